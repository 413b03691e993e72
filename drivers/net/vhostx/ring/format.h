/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What every burst does on a ring of either format: one switch a step. Included by burst.c alone, through
 * rx.h and tx.h.
 */
#ifndef VHOSTX_RING_FORMAT_H
#define VHOSTX_RING_FORMAT_H

#include <rte_ether.h>
#include <rte_mbuf.h>

#include "notify.h"
#include "return.h"

/* Chains per step: few enough that what is prefetched is still in the nearest cache when it is used. */
#define STEP 64u

/* Is there surely nothing to fetch? */
static __rte_always_inline bool
ring_is_empty(const struct vhostx_snapshot *s)
{
	switch (s->format) {
	case VHOSTX_SPLIT:
		return split_is_empty(s);
	default:
		return packed_is_empty(s);
	}
}

static __rte_always_inline uint16_t
ring_fetch(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t want, uint16_t dir, bool load)
{
	switch (s->format) {
	case VHOSTX_SPLIT:
		return split_fetch(s, b, want, dir, load);
	default:
		return packed_fetch(s, b, want, dir, load);
	}
}

/* Take chains without giving them back: of the ring alone. */
static __rte_always_inline void
ring_advance(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n)
{
	switch (s->format) {
	case VHOSTX_SPLIT:
		split_take(s, b, n);
		break;
	default:
		packed_take(s, b, n);
		break;
	}
}

/* The same, noted. */
static __rte_always_inline void
ring_take(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n)
{
	if (unlikely(s->inflight != NULL))
		vhostx_inflight_take(s, b->chain, n);
	ring_advance(s, b, n);
}

/* The ring has an in-flight record: chains are noted in it, unless it does without. */
static __rte_noinline void
ring_give_back_noted(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n)
{
	if (!vhostx_inflight_may_pass(s)) {
		ring_take(s, b, n);
		ring_put(s, b->chain, n, b->plain);
		return;
	}
	ring_advance(s, b, n);
	vhostx_inflight_pass(s, &b->chain[n - 1]);
	ring_write(s, b->chain, n, b->plain);
	vhostx_inflight_passed(s, &b->chain[n - 1]);
}

/* Take chains and give them back. @a dir as of fetch: without WRITE nothing was written into them. */
static __rte_always_inline void
ring_give_back(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n, uint16_t dir)
{
	if (unlikely(s->inflight != NULL) && !vhostx_inflight_is_silent(s)) {
		ring_give_back_noted(s, b, n);
		return;
	}
	switch (s->format) {
	case VHOSTX_SPLIT:
		split_take(s, b, n);
		if (dir == 0)
			split_complete_unwritten(s, b->chain, n);
		else
			split_complete(s, b->chain, n);
		break;
	default:
		packed_take(s, b, n);
		if (dir == 0)
			packed_complete_unwritten(s, b->chain, n, b->plain);
		else
			packed_complete(s, b->chain, n, b->plain);
		break;
	}
}

/* The front-end migrates the guest: it wants to know what is written. */
static __rte_noinline __rte_cold void
ring_complete_logged(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n, uint16_t dir)
{
	const uint16_t before = s->ring->last_used;

	vhostx_dirty_data(s, b, b->chain, n);
	ring_give_back(s, b, n, dir);
	vhostx_dirty_used(s, before);
}

static __rte_always_inline void
ring_complete(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n, uint16_t dir)
{
	if (n == 0)
		return;
	if (likely(s->log == NULL))
		ring_give_back(s, b, n, dir);
	else
		ring_complete_logged(s, b, n, dir);
}

static __rte_always_inline void
ring_notify(struct vhostx_queue *q, const struct vhostx_snapshot *s)
{
	if (s->callfd < 0)
		return;
	if (!ring_wants_call(s)) {
		q->count.no_calls++;
		return;
	}
	vhostx_eventfd_signal(s->callfd, s->call_blocks);
	q->count.calls++;
}

static __rte_noinline void
count_group(struct vhostx_counters *count, const struct rte_mbuf *m)
{
	struct rte_ether_addr copy; /* where the first segment does not have all of it */
	const struct rte_ether_addr *dst = rte_pktmbuf_read(m, 0, sizeof(copy), &copy);

	if (dst != NULL && rte_is_broadcast_ether_addr(dst))
		count->broadcast++;
	else
		count->multicast++;
}

/* Count a packet of @a len bytes that begins at @a data and is in @a m; the caller sums packets and bytes. */
static __rte_always_inline void
count_packet(struct vhostx_counters *count, const struct rte_mbuf *m, const uint8_t *data, uint32_t len)
{
	count->sizes[vhostx_size_class(len)]++;
	if (unlikely(*data & 1))
		count_group(count, m);
}

/* The ring cannot be trusted any more. Later bursts see ring->fault and stay away. */
static __rte_noinline __rte_cold void
ring_report(struct vhostx_queue *q, const struct vhostx_snapshot *s)
{
	q->count.drops[s->ring->fault]++;
	vhostx_eventfd_signal(q->wakefd, false);
}

#endif /* VHOSTX_RING_FORMAT_H */
