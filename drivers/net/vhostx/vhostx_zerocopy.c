/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port's part in zero-copy: tables of slots for its rings, and the tick that gives back what no poller does.
 */
#include <stdlib.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "mem/clock.h"
#include "ring/give.h"
#include "ring/lend.h"
#include "ring/notify.h"
#include "vhostx_log.h"
#include "vhostx_port.h"
#include "vhostx_ports.h"
#include "vhostx_resume.h"
#include "vhostx_zc_wait.h"

/*
 * While something is out, a tick looks whether its queue is still polled, and gives back what is done if it is not. Each
 * tick takes its core from somebody, who finds his caches and his batches the worse for it: there are as few as can keep
 * the promise of 1 ms, and those of all ports fall together. A burst says when it was: what is done came back after that.
 */
#define ZC_LEFT_US 800u
/* Not sooner than this after another one. */
#define ZC_SOON_US 50u
/* While memory is being registered for devices. */
#define ZC_PENDING_US 5000u
/* While the front-end waits. */
#define ZC_WAIT_US 400u
/* Ticks without anything out after which the tick sleeps until a poller lends again. */
#define ZC_QUIET 27u
/* The longest pause while nothing but tables of earlier lives is out. */
#define ZC_OLD_US 100000u
/* How often vhostx_zc_drain() and vhostx_zc_await_devices() look. */
#define ZC_DRAIN_US 100u
/* How long the latter does: that tables of closed ports are back is seen by a tick. */
#define ZC_DEVICES_US (2 * ZC_OLD_US)

/* Packets of closed ports were awaited in vain; atomic. State of the process. */
static bool zc_in_vain;

/* --- giving back ----------------------------------------------------------------------------------- */

/* What else than the ring itself is written when it completes may have changed since it was built. */
static void
zc_refresh(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_snapshot *at = &port->ring[idx].zc.at;

	at->mem = port->be.mem;
	at->log = at->log == NULL || at->mem == NULL ? NULL : port->be.log;
	at->logfd = at->log == NULL ? -1 : port->be.logfd;
	at->log_blocks = at->logfd >= 0 && vhostx_eventfd_blocks(at->logfd);
	at->inflight = vhostx_resume_noted(port, idx);
	at->callfd = port->be.vring[idx].callfd;
	at->call_blocks = at->callfd >= 0 && vhostx_eventfd_blocks(at->callfd);
}

/* Does a queue have the ring now? */
static bool
zc_is_published(const struct vhostx_port_ring *r)
{
	return r->queue != NULL && r->queue->snap == &r->snap;
}

/* Microseconds since the table's ring was polled. */
static uint32_t
zc_unpolled_us(const struct vhostx_zc *zc)
{
	const uint32_t units = vhostx_zc_now() - __atomic_load_n(&zc->polled, __ATOMIC_RELAXED);

	/* The poller's core may be ahead by a little, or come by just now. */
	if (units > UINT32_MAX - VHOSTX_ZC_AHEAD)
		return 0;
	return RTE_MIN(vhostx_zc_us(units), (uint64_t)UINT32_MAX);
}

/* Take the ring from its queue for a moment. @return whether it has one, to be given to zc_put_ring(). */
static bool
zc_take_ring(struct vhostx_port_ring *r)
{
	const bool published = zc_is_published(r);

	if (published)
		vhostx_queue_retire(r->queue);
	return published;
}

static void
zc_put_ring(struct vhostx_port_ring *r, bool published)
{
	if (!published)
		return;
	vhostx_queue_publish(r->queue, &r->snap);
	vhostx_queue_settle(r->queue);
}

/* Give back what is done. */
static void
zc_give(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	const bool published = zc_take_ring(r);

	if (r->ring.fault == VHOSTX_NO_CAUSE) {
		zc_refresh(port, idx);
		vhostx_give_done(&r->zc.at, r->zc.zc);
	}
	zc_put_ring(r, published);
}

/* Nothing of the table is out any more. */
static void
zc_free(struct vhostx_port *port, struct vhostx_zc *zc)
{
	port->zc.longest = RTE_MAX(port->zc.longest, zc->longest);
	vhostx_zc_free(zc);
}

/* A table that no ring has any more, with what is still out of it. */
static void
zc_put_old(struct vhostx_port *port, struct vhostx_port_ring *r, struct vhostx_zc *zc)
{
	if (vhostx_zc_is_back(zc)) {
		zc_free(port, zc);
		return;
	}
	vhostx_zc_let_go(zc);
	zc->owner = r;
	zc->next = port->zc.old;
	port->zc.old = zc;
	r->zc.nr_old++;
}

/* Free the old tables that are back. */
static void
zc_reap_old(struct vhostx_port *port)
{
	struct vhostx_zc **link = &port->zc.old;

	while (*link != NULL) {
		struct vhostx_zc *zc = *link;
		struct vhostx_port_ring *r = zc->owner;

		if (!vhostx_zc_is_back(zc)) {
			vhostx_zc_trim(zc);
			link = &zc->next;
			continue;
		}
		*link = zc->next;
		zc_free(port, zc);
		r->zc.nr_old--;
		if (r->zc.zc != NULL && r->zc.nr_old < VHOSTX_ZC_OLD)
			__atomic_store_n(&r->zc.zc->held, false, __ATOMIC_RELAXED);
	}
}

/* --- the life of a ring ---------------------------------------------------------------------------- */

/*
 * virtio-user holds the lock of the EAL's list of memory while it waits for its back-end to answer; registering
 * takes that lock. In another process it is another lock.
 */
static const char *
zc_no_dma(const struct vhostx_port *port)
{
	return port->be.local ? "the front-end is in this process" : NULL;
}

static struct vhostx_zc *
zc_create(struct vhostx_port *port, const struct vhostx_port_ring *r)
{
	const struct vhostx_zc_conf conf = {
		.size = r->snap.size,
		.threshold = port->args.zc_threshold,
		.inflight = port->args.zc_inflight,
		.linear = port->args.linear_buffer,
		.dma = port->args.zc_dma,
		.no_dma = zc_no_dma(port),
	};
	struct vhostx_zc *zc = vhostx_zc_create(&conf);

	if (zc == NULL)
		return NULL;
	zc->tell = true;
	if (r->zc.nr_old >= VHOSTX_ZC_OLD) {
		zc->held = true;
		VHOSTX_LOG(WARNING, port->name, "ring %u copies: packets of its last %u starts are not freed; "
			"free them", (unsigned int)(r - port->ring), VHOSTX_ZC_OLD);
	}
	return zc;
}

/* Say once for each memory that some of it is copied from. */
static void
zc_tell_refused(struct vhostx_port *port, const struct vhostx_zc *zc)
{
	const struct vhostx_zc_refused refused = vhostx_zc_refused(zc);

	if (refused.nr == 0 || port->zc.refused_of == port->be.mem_changes || vhostx_zc_is_pending(zc))
		return;
	port->zc.refused_of = port->be.mem_changes;
	VHOSTX_LOG(WARNING, port->name, "packets in %u of %u memory regions of the guest are copied, physical devices "
		"could not read them: %s; or give zc-dma=0 if no packet goes to one", refused.nr,
		port->be.mem->nr, refused.why);
}

/* Lend from what is registered for devices by now. @return whether something is not yet. */
static bool
zc_settle(struct vhostx_port *port, struct vhostx_port_ring *r)
{
	if (!vhostx_zc_is_pending(r->zc.zc))
		return false;
	if (vhostx_zc_has_news(r->zc.zc)) {
		const bool published = zc_take_ring(r);

		vhostx_zc_settle(r->zc.zc);
		zc_put_ring(r, published);
		zc_tell_refused(port, r->zc.zc);
	}
	return vhostx_zc_is_pending(r->zc.zc);
}

void
vhostx_zc_start(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	struct vhostx_zc_ring *z = &r->zc;

	if (port->zc.timer == NULL || idx % 2 == 0)
		return;
	/* A ring of another shape than that which lent: its used entries cannot be told there any more. */
	if (z->zc != NULL && (z->zc->size != r->snap.size || z->at.format != r->snap.format ||
			r->snap.in_order)) {
		zc_put_old(port, r, z->zc);
		z->zc = NULL;
	}
	/* Its guest counts on an order in which buffers that are lent cannot come back: all is copied. */
	if (r->snap.in_order)
		return;
	if (z->zc == NULL)
		z->zc = zc_create(port, r);
	if (z->zc == NULL || vhostx_zc_adopt(z->zc, port->be.mem) != 0) {
		VHOSTX_LOG(WARNING, port->name, "ring %u copies: no memory for a table of its %u entries",
			idx, r->snap.size);
		if (z->zc != NULL)
			zc_put_old(port, r, z->zc);
		z->zc = NULL;
		return;
	}
	zc_tell_refused(port, z->zc);
	if (vhostx_zc_is_pending(z->zc))
		vhostx_zc_wake(port);
	r->snap.zc = z->zc;
	z->at = r->snap;
}

void
vhostx_zc_end(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	struct vhostx_zc *zc = r->zc.zc;
	uint32_t early;

	if (zc == NULL)
		return;
	zc_refresh(port, idx);
	vhostx_give_done(&r->zc.at, zc);
	early = vhostx_give_early(&r->zc.at, zc);
	if (r->queue != NULL)
		r->queue->count.zc_early += early;
	if (early != 0)
		VHOSTX_LOG(NOTICE, port->name, "ring %u got %u buffers back whose packets are not freed yet: "
			"they may change", idx, early);
	r->zc.zc = NULL;
	r->snap.zc = NULL;
	zc_put_old(port, r, zc);
}

void
vhostx_zc_end_all(struct vhostx_port *port)
{
	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2)
		vhostx_zc_end(port, i);
}

/* --- the tick -------------------------------------------------------------------------------------- */

void
vhostx_zc_arm(struct vhostx_port *port, uint32_t us)
{
	port->zc.pause_us = us;
	if (us == ZC_LEFT_US)
		vhostx_loop_arm_together(port->zc.timer, us);
	else
		vhostx_loop_arm(port->zc.timer, us);
}

/* One ring's part in a tick. @return when it is to be looked at again, microseconds; 0: nothing of it is out. */
static uint32_t
zc_tick_ring(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	bool pending;
	uint32_t us;

	if (r->zc.zc == NULL)
		return 0;
	vhostx_zc_trim(r->zc.zc);
	pending = zc_settle(port, r);
	if (vhostx_zc_out(r->zc.zc) == 0)
		return pending ? ZC_PENDING_US : 0;
	if (!vhostx_zc_has_done(r->zc.zc))
		return ZC_LEFT_US;
	us = zc_unpolled_us(r->zc.zc);
	if (zc_is_published(r) && us < ZC_LEFT_US)
		return RTE_MAX(ZC_LEFT_US - us, ZC_SOON_US);
	zc_give(port, idx);
	return ZC_LEFT_US;
}

/*
 * Sleep, unless a poller lends at this moment: either it sees that it has to tell, or the slot is seen here (L).
 */
static bool
zc_may_sleep(struct vhostx_port *port)
{
	bool out = false;

	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
		if (port->ring[i].zc.zc != NULL)
			__atomic_store_n(&port->ring[i].zc.zc->tell, true, __ATOMIC_RELAXED);
	}
	vhostx_barrier_all();
	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2)
		out = out || vhostx_zc_out(port->ring[i].zc.zc) != 0;
	return !out;
}

/* When to tick again if the rings ask for @a us, microseconds; 0: when a poller tells. */
static uint32_t
zc_next(struct vhostx_port *port, uint32_t us)
{
	if (us != 0 || port->zc.wait != VHOSTX_ZC_NO_WAIT)
		port->zc.quiet = 0;
	if (port->zc.wait != VHOSTX_ZC_NO_WAIT)
		return ZC_WAIT_US;
	if (us != 0)
		return us;
	if (++port->zc.quiet < ZC_QUIET)
		return ZC_LEFT_US;
	if (!zc_may_sleep(port))
		return ZC_LEFT_US;
	if (port->zc.old == NULL)
		return 0;
	return RTE_MIN(RTE_MAX(port->zc.pause_us, ZC_LEFT_US) * 2, ZC_OLD_US);
}

static void
zc_tick(void *arg)
{
	struct vhostx_port *port = arg;
	uint32_t us = 0;

	pthread_mutex_lock(&port->lock);
	if (port->zc.timer == NULL)
		goto unlock;
	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
		const uint32_t again = zc_tick_ring(port, i);

		us = us == 0 || (again != 0 && again < us) ? again : us;
	}
	zc_reap_old(port);
	if (port->zc.wait != VHOSTX_ZC_NO_WAIT)
		vhostx_zc_look(port);
	us = zc_next(port, us);
	port->zc.pause_us = us;
	if (port->closed && port->zc.old == NULL) {
		vhostx_loop_del(port->zc.timer);
		port->zc.timer = NULL;
	} else if (us != 0) {
		vhostx_zc_arm(port, us);
	}
unlock:
	pthread_mutex_unlock(&port->lock);
}

void
vhostx_zc_wake(struct vhostx_port *port)
{
	if (port->zc.timer == NULL)
		return;
	port->zc.quiet = 0;
	if (port->zc.pause_us == 0 || port->zc.pause_us > ZC_LEFT_US)
		vhostx_zc_arm(port, ZC_LEFT_US);
}

/* --- the port -------------------------------------------------------------------------------------- */

int
vhostx_zc_open(struct vhostx_port *port)
{
	__atomic_store_n(&zc_in_vain, false, __ATOMIC_RELAXED);
	return port->args.dequeue_zero_copy ? vhostx_port_add_timer(port, zc_tick, &port->zc.timer) : 0;
}

void
vhostx_zc_close(struct vhostx_port *port)
{
	if (port->zc.timer == NULL)
		return;
	if (port->zc.wait == VHOSTX_ZC_WAIT_RINGS || port->zc.wait == VHOSTX_ZC_WAIT_MEM)
		vhostx_msg_close_fds(&port->zc.msg);
	port->zc.wait = VHOSTX_ZC_NO_WAIT;
	vhostx_zc_end_all(port);
	/* The tick ends itself when the last table is back. */
	vhostx_zc_arm(port, 0);
}

void
vhostx_zc_drain(struct vhostx_port *port)
{
	const uint64_t start = rte_get_tsc_cycles();
	uint32_t out;

	if (!port->args.dequeue_zero_copy)
		return;
	for (;;) {
		out = 0;
		pthread_mutex_lock(&port->lock);
		for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
			if (port->ring[i].zc.zc == NULL)
				continue;
			zc_give(port, i);
			out += vhostx_zc_out(port->ring[i].zc.zc);
		}
		pthread_mutex_unlock(&port->lock);
		if (out == 0 || rte_get_tsc_cycles() - start >= vhostx_zc_patience(port))
			break;
		usleep(ZC_DRAIN_US);
	}
}

void
vhostx_zc_await_devices(void)
{
	const uint64_t start = vhostx_now_us();

	if (__atomic_load_n(&zc_in_vain, __ATOMIC_RELAXED) || !vhostx_ports_none())
		return;
	while (vhostx_map_count_registered() != 0) {
		if (vhostx_now_us() - start >= ZC_DEVICES_US) {
			__atomic_store_n(&zc_in_vain, true, __ATOMIC_RELAXED);
			return;
		}
		usleep(ZC_DRAIN_US);
	}
}

uint32_t
vhostx_zc_outstanding(const struct vhostx_port *port)
{
	uint32_t out = 0;

	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2)
		out += vhostx_zc_out(port->ring[i].zc.zc);
	for (const struct vhostx_zc *zc = port->zc.old; zc != NULL; zc = zc->next)
		out += vhostx_zc_out(zc);
	return out;
}

uint64_t
vhostx_zc_longest_us(const struct vhostx_port *port)
{
	uint32_t longest = port->zc.longest;

	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
		const struct vhostx_zc *zc = port->ring[i].zc.zc;

		if (zc != NULL)
			longest = RTE_MAX(longest, vhostx_zc_longest(zc));
	}
	for (const struct vhostx_zc *zc = port->zc.old; zc != NULL; zc = zc->next)
		longest = RTE_MAX(longest, vhostx_zc_longest(zc));
	return vhostx_zc_us(longest);
}

void
vhostx_zc_forget_longest(struct vhostx_port *port)
{
	port->zc.longest = 0;
	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
		if (port->ring[i].zc.zc != NULL)
			__atomic_store_n(&port->ring[i].zc.zc->longest, 0, __ATOMIC_RELAXED);
	}
	for (struct vhostx_zc *zc = port->zc.old; zc != NULL; zc = zc->next)
		zc->longest = 0;
}
