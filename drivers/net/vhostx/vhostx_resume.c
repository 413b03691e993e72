/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings that outlive the process. A split ring that gives back in order needs nothing: its used index tells where
 * it was.
 */
#include <errno.h>

#include <rte_eal.h>

#include "ring/inflight.h"
#include "ring/journal.h"
#include "ring/reclaim.h"
#include "vhostx_log.h"
#include "vhostx_resume.h"

/* Where the position of a packed ring is when nobody has given one (virtio 1.3, 2.8.1). */
#define RESUME_PACKED_BASE 0x80008000u

/* --- our own file ----------------------------------------------------------------------------------- */

/* The folder that was asked for, or one that is in memory; NULL if there is none. */
static const char *
resume_folder(const struct vhostx_port *port)
{
	const char *const folders[] = { rte_eal_get_runtime_dir(), "/dev/shm" };

	if (port->args.state_dir[0] != '\0')
		return port->args.state_dir;
	for (unsigned int i = 0; i < RTE_DIM(folders); i++) {
		if (vhostx_state_is_memory(folders[i]))
			return folders[i];
	}
	return NULL;
}

bool
vhostx_resume_open(struct vhostx_port *port, bool make)
{
	const char *folder, *why = "no folder on a memory file system was found; give state-dir";
	int ret = -ENOTSUP;

	if (port->state != NULL || port->stateless || port->args.no_state)
		return port->state != NULL;
	folder = resume_folder(port);
	if (folder != NULL)
		ret = vhostx_state_open(folder, port->args.iface, make, &port->state, &why);
	if (ret == 0 || !make)
		return ret == 0;
	port->stateless = true;
	VHOSTX_LOG(WARNING, port->name, "what guests need after a crash will not outlive this process: %s%s%s%s",
		why, folder != NULL ? " (" : "", folder != NULL ? folder : "", folder != NULL ? ")" : "");
	return false;
}

/* Where an area begins: those of two rings that differ begin elsewhere. */
static bool
resume_place(const struct vhostx_snapshot *s, const void *area, struct vhostx_place *place)
{
	uint64_t run;

	return vhostx_mem_place(s->mem, vhostx_view_origin(s->view, area, &run), place);
}

static bool
resume_ident(const struct vhostx_port_ring *r, enum vhostx_state_kind kind, struct vhostx_state_ident *ident)
{
	const struct vhostx_snapshot *s = &r->snap;
	const uint32_t base = r->ring.base < 0 ? RESUME_PACKED_BASE : (uint32_t)r->ring.base;

	/* Both formats have their areas in the same places of the snapshot. */
	*ident = (struct vhostx_state_ident) {
		.size = s->size, .base = s->format == VHOSTX_PACKED ? base : 0, .kind = kind,
	};
	return resume_place(s, s->packed.desc, &ident->desc) &&
		resume_place(s, s->packed.driver, &ident->driver) &&
		resume_place(s, s->packed.device, &ident->device);
}

/* What is to be kept of the ring. */
static enum vhostx_state_kind
resume_kind(const struct vhostx_snapshot *s)
{
	/* A journal is for chains that are given back in the order in which they were taken. */
	if (s->format == VHOSTX_PACKED)
		return s->zc == NULL ? VHOSTX_STATE_JOURNAL : VHOSTX_STATE_RECORD_PACKED;
	return s->zc == NULL ? VHOSTX_STATE_NOTHING : VHOSTX_STATE_RECORD_SPLIT;
}

/* Let the ring use its room in the file for this. @return false if there is no room. */
static bool
resume_use(struct vhostx_port *port, uint16_t idx, enum vhostx_state_kind kind)
{
	struct vhostx_snapshot *s = &port->ring[idx].snap;
	void *room = vhostx_state_room(port->state, idx, kind, s->size);

	s->journal = kind == VHOSTX_STATE_JOURNAL ? room : NULL;
	s->inflight = kind == VHOSTX_STATE_JOURNAL ? NULL : room;
	s->own_record = s->inflight != NULL;
	return room != NULL;
}

/* What the front-end has dropped since the ring was bound is made available again. @return false if it cannot be. */
static bool
resume_reclaim(struct vhostx_port *port, uint16_t idx, enum vhostx_state_kind kind, uint32_t before, uint32_t now)
{
	const struct vhostx_snapshot *s = &port->ring[idx].snap;
	struct vhostx_dropped dropped;
	int32_t at;

	if (before == now)
		return true;
	dropped = vhostx_reclaim_find(before, now, s->size);
	if (dropped.slots == 0)
		return false;
	at = kind == VHOSTX_STATE_JOURNAL ? vhostx_journal_position(s) : vhostx_inflight_position(s);
	if (at < 0 || !vhostx_reclaim(s, &dropped, at))
		return false;
	VHOSTX_LOG(NOTICE, port->name, "ring %u: the front-end dropped %u entries while it had no back-end; they are "
		"given back in their turn, their packets are lost", idx, dropped.slots);
	return true;
}

/* Resume the ring by what the file has of this kind, if it is this ring's. */
static bool
resume_by_file(struct vhostx_port *port, uint16_t idx, enum vhostx_state_kind kind)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	struct vhostx_state_ident ident;
	bool done = false;
	uint32_t base;

	if (!resume_ident(r, kind, &ident) || !vhostx_state_is_bound_at(port->state, idx, &ident, &base))
		return false;
	if (resume_use(port, idx, kind) && resume_reclaim(port, idx, kind, base, ident.base))
		done = kind == VHOSTX_STATE_JOURNAL ? vhostx_journal_resume(&r->snap) :
			vhostx_inflight_resume(&r->snap, true);
	if (done)
		VHOSTX_LOG(INFO, port->name, "ring %u goes on at entry %u, where it was", idx, r->ring.last_used);
	else
		VHOSTX_LOG(NOTICE, port->name, "ring %u begins where the front-end says: the ring contradicts the "
			"state file", idx);
	r->snap.journal = NULL;
	r->snap.inflight = NULL;
	return done;
}

/* What the port was started with before need not be what it is started with now. */
static enum vhostx_state_kind
resume_by_any(struct vhostx_port *port, uint16_t idx)
{
	static const enum vhostx_state_kind kinds[] = {
		VHOSTX_STATE_JOURNAL, VHOSTX_STATE_RECORD_PACKED, VHOSTX_STATE_RECORD_SPLIT,
	};

	for (unsigned int i = 0; i < RTE_DIM(kinds); i++) {
		const bool packed = kinds[i] != VHOSTX_STATE_RECORD_SPLIT;

		if (packed == (port->ring[idx].snap.format == VHOSTX_PACKED) &&
				resume_by_file(port, idx, kinds[i]))
			return kinds[i];
	}
	return VHOSTX_STATE_NOTHING;
}

/* --- the front-end's record -------------------------------------------------------------------------- */

static union vhostx_inflight_ring *
resume_record(const struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_snapshot *s = &port->ring[idx].snap;

	if (port->be.inflight == NULL)
		return NULL;
	return vhostx_inflight_ring(port->be.inflight, idx, s->size, s->format == VHOSTX_PACKED);
}

/*
 * The front-end keeps a record: nothing else is needed. It makes a new one when its guest is reset, so one that is
 * filled in is believed whatever position comes with it.
 */
static bool
resume_by_record(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];

	r->snap.inflight = resume_record(port, idx);
	if (r->snap.inflight == NULL || !r->ring.fresh)
		return r->snap.inflight != NULL;
	r->noted = NULL;
	if (vhostx_inflight_resume(&r->snap, false)) {
		r->noted = r->snap.inflight;
		VHOSTX_LOG(INFO, port->name, "ring %u goes on at entry %u, where its in-flight record says", idx,
			r->ring.last_used);
	}
	return true;
}

/* --- a ring's life ----------------------------------------------------------------------------------- */

void
vhostx_resume_ring(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	const enum vhostx_state_kind kind = resume_kind(&r->snap);

	if (resume_by_record(port, idx))
		return;
	if ((kind == VHOSTX_STATE_NOTHING && !r->ring.fresh) || !vhostx_resume_open(port, kind != VHOSTX_STATE_NOTHING))
		return;
	if (r->ring.fresh) {
		r->noted = NULL;
		r->kept = resume_by_any(port, idx);
	}
	if (kind != VHOSTX_STATE_NOTHING && !resume_use(port, idx, kind))
		VHOSTX_LOG(WARNING, port->name, "ring %u will not outlive this process: the state file's file "
			"system is full; give another state-dir", idx);
}

/* Begin what is kept of the ring, which stands at its position. Lent buffers that were not noted cannot be. */
static bool
resume_begin(struct vhostx_port_ring *r)
{
	struct vhostx_snapshot *s = &r->snap;

	if (s->inflight == NULL) {
		vhostx_journal_begin(s);
		return true;
	}
	if (s->zc != NULL && __atomic_load_n(&s->zc->out, __ATOMIC_RELAXED) != 0) {
		s->inflight = NULL;
		return false;
	}
	vhostx_inflight_begin(s);
	return true;
}

/* The file has what is this ring's: from now on it counts. */
static void
resume_keep_file(struct vhostx_port *port, uint16_t idx, enum vhostx_state_kind kind)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	struct vhostx_state_ident ident;

	if (kind == VHOSTX_STATE_NOTHING || !resume_ident(r, kind, &ident))
		goto forget;
	/* Kinds have rooms of their own: the one by which the ring was resumed counts until the other one does. */
	if (r->kept == VHOSTX_STATE_NOTHING)
		vhostx_state_unbind(port->state, idx);
	if (r->kept != kind && !resume_begin(r))
		goto forget;
	/* The same ring in other memory: SET_MEM_TABLE may have exchanged it. */
	if (!vhostx_state_is_bound(port->state, idx, &ident))
		vhostx_state_bind(port->state, idx, &ident);
	r->kept = kind;
	r->noted = r->snap.inflight;
	return;

forget:
	r->snap.journal = NULL;
	r->snap.inflight = NULL;
	vhostx_resume_forget(port, idx);
}

void
vhostx_resume_keep(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];

	if (r->snap.inflight == NULL || r->snap.inflight != resume_record(port, idx)) {
		resume_keep_file(port, idx, r->snap.journal != NULL || r->snap.inflight != NULL ?
			resume_kind(&r->snap) : VHOSTX_STATE_NOTHING);
	} else {
		if (r->noted != r->snap.inflight)
			resume_begin(r);
		r->noted = r->snap.inflight;
		if (port->state != NULL)
			vhostx_state_unbind(port->state, idx);
		r->kept = VHOSTX_STATE_NOTHING;
	}
	r->zc.at.inflight = r->snap.inflight;
	r->zc.at.own_record = r->snap.own_record;
}

union vhostx_inflight_ring *
vhostx_resume_noted(const struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_port_ring *r = &port->ring[idx];

	return r->kept != VHOSTX_STATE_NOTHING || r->noted == resume_record(port, idx) ? r->noted : NULL;
}

void
vhostx_resume_forget(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];

	if (port->state != NULL)
		vhostx_state_unbind(port->state, idx);
	/* Both formats have it in the same place. 0: not initialised. */
	if (r->noted != NULL && r->noted == resume_record(port, idx))
		r->noted->split.version = 0;
	r->kept = VHOSTX_STATE_NOTHING;
	r->noted = NULL;
}

void
vhostx_resume_said(struct vhostx_port *port, const struct vhostx_msg *msg)
{
	const uint32_t request = msg->header.request;
	const uint32_t idx = msg->payload.state.index;

	if (request == VHOSTX_GET_VRING_BASE && idx < port->be.nr_vrings)
		vhostx_resume_forget(port, idx);
	if (request != VHOSTX_RESET_DEVICE && (request != VHOSTX_SET_STATUS || msg->payload.u64 != 0))
		return;
	for (uint16_t i = 0; i < port->be.nr_vrings; i++)
		vhostx_resume_forget(port, i);
}

void
vhostx_resume_close(struct vhostx_port *port)
{
	const bool served = port->sock != NULL && vhostx_sock_connected(port->sock);

	/* Of a ring that runs, the front-end does not know the position: it cannot be asked for it any more. */
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (!served || !port->be.vring[i].started)
			vhostx_resume_forget(port, i);
	}
	vhostx_state_close(port->state);
	port->state = NULL;
}
