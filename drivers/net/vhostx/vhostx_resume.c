/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings that outlive the process. A split ring needs no file: its used index tells where it was.
 */
#include <rte_eal.h>

#include "ring/journal.h"
#include "vhostx_log.h"
#include "vhostx_resume.h"

/* Where the position of a packed ring is when nobody has given one (virtio 1.3, 2.8.1). */
#define RESUME_PACKED_BASE 0x80008000u

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

/* Open the state file, once; without it the port works, but a packed ring does not outlive the process. */
static bool
resume_open(struct vhostx_port *port)
{
	const char *folder, *why = "no folder on a memory file system was found; give state-dir";
	int ret = -ENOTSUP;

	if (port->state != NULL || port->stateless)
		return port->state != NULL;
	folder = resume_folder(port);
	if (folder != NULL)
		ret = vhostx_state_open(folder, port->args.iface, &port->state, &why);
	if (ret == 0)
		return true;
	port->stateless = true;
	VHOSTX_LOG(WARNING, port->name, "packed rings will not outlive this process: %s%s%s%s", why,
		folder != NULL ? " (" : "", folder != NULL ? folder : "", folder != NULL ? ")" : "");
	return false;
}

static bool
resume_ident(const struct vhostx_port_ring *r, struct vhostx_state_ident *ident)
{
	const struct vhostx_snapshot *s = &r->snap;

	*ident = (struct vhostx_state_ident) {
		.size = s->size,
		.base = r->ring.base < 0 ? RESUME_PACKED_BASE : (uint32_t)r->ring.base,
	};
	return vhostx_mem_place(s->mem, s->packed.desc, &ident->desc) &&
		vhostx_mem_place(s->mem, s->packed.driver, &ident->driver) &&
		vhostx_mem_place(s->mem, s->packed.device, &ident->device);
}

void
vhostx_resume_ring(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	struct vhostx_state_ident ident;

	/* A journal is for chains that are given back in the order in which they were taken. */
	if (r->snap.format != VHOSTX_PACKED || r->snap.zc != NULL || port->args.no_state || !resume_open(port))
		return;
	r->snap.journal = vhostx_state_journal(port->state, idx, r->snap.size);
	if (r->snap.journal == NULL)
		VHOSTX_LOG(WARNING, port->name, "ring %u will not outlive this process: the state file's file "
			"system is full; give another state-dir", idx);
	if (!r->ring.fresh)
		return;
	r->kept = false;
	if (!resume_ident(r, &ident) || !vhostx_state_is_bound(port->state, idx, &ident))
		return;
	r->kept = r->snap.journal != NULL && vhostx_journal_resume(&r->snap);
	if (r->kept)
		VHOSTX_LOG(INFO, port->name, "ring %u goes on at entry %u, where it was", idx, r->ring.last_used);
	else
		VHOSTX_LOG(NOTICE, port->name, "ring %u begins where the front-end says: the ring contradicts the "
			"state file", idx);
}

void
vhostx_resume_keep(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	struct vhostx_state_ident ident;

	if (r->snap.journal == NULL || !resume_ident(r, &ident)) {
		r->snap.journal = NULL;
		vhostx_resume_forget(port, idx);
		return;
	}
	if (!r->kept) {
		vhostx_state_unbind(port->state, idx);
		vhostx_journal_begin(&r->snap);
	}
	/* The same ring in other memory: SET_MEM_TABLE may have exchanged it. */
	if (!vhostx_state_is_bound(port->state, idx, &ident))
		vhostx_state_bind(port->state, idx, &ident);
	r->kept = true;
}

void
vhostx_resume_forget(struct vhostx_port *port, uint16_t idx)
{
	if (port->state != NULL)
		vhostx_state_unbind(port->state, idx);
	port->ring[idx].kept = false;
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
	/* Of a ring that runs, the front-end does not know the position: it cannot be asked for it any more. */
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (!port->be.vring[i].started)
			vhostx_resume_forget(port, i);
	}
	vhostx_state_close(port->state);
	port->state = NULL;
}
