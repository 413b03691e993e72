/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The split format (virtio 1.3, 2.7): fetch, take, complete, wants_call; contract in vq.h. Included by
 * burst.c alone.
 */
#ifndef VHOSTX_RING_SPLIT_H
#define VHOSTX_RING_SPLIT_H

#include "vq.h"

static __rte_always_inline struct vhostx_desc
split_desc(const struct vhostx_snapshot *s, uint16_t i)
{
	const struct vring_desc *p = &s->split.desc[i];

	return vhostx_desc_of(vhostx_load64(&p->addr), vhostx_load64(&p->len), false);
}

/* The general walk: chained, indirect, crossing regions, or wrong. */
static __rte_noinline void
split_walk(const struct vhostx_snapshot *s, struct vhostx_batch *b, struct vhostx_chain *c,
	struct vhostx_desc d, uint16_t dir)
{
	for (uint32_t steps = 0; steps < s->size; steps++) {
		c->fault = vhostx_chain_add_desc(s, b, c, &d, dir);
		if (c->fault != VHOSTX_NO_CAUSE || !(d.flags & VRING_DESC_F_NEXT))
			return;
		if (d.tag >= s->size)
			break;
		d = split_desc(s, d.tag);
	}
	c->fault = VHOSTX_BAD_CHAIN;
}

/* Copy up to @a n heads and begin to load their descriptors. Returns those before a bad one. */
static __rte_always_inline uint16_t
split_heads(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n)
{
	const uint16_t mask = s->size - 1;

	for (uint16_t i = 0; i < n; i++) {
		const uint16_t at = (s->ring->last_avail + i) & mask;
		const uint16_t head = __atomic_load_n(&s->split.avail->ring[at], __ATOMIC_RELAXED);

		if (unlikely(head >= s->size)) {
			vhostx_ring_stop(s->ring, VHOSTX_BAD_HEAD);
			return i;
		}
		rte_prefetch0(&s->split.desc[head]);
		vhostx_chain_init(&b->chain[i], head, 0);
	}
	return n;
}

static __rte_always_inline uint16_t
split_fetch(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t want, uint16_t dir)
{
	/* D: pairs with the guest's release of its index. */
	const uint16_t idx = __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE);
	uint16_t n = idx - s->ring->last_avail;

	if (unlikely(n > s->size)) {
		vhostx_ring_stop(s->ring, VHOSTX_BAD_INDEX);
		return 0;
	}
	n = split_heads(s, b, RTE_MIN(n, want));
	b->nspill = 0;
	b->full = false;
	for (uint16_t i = 0; i < n; i++) {
		struct vhostx_chain *c = &b->chain[i];
		const struct vhostx_desc d = split_desc(s, c->id);

		if (likely(vhostx_chain_single(s, c, &d, dir)))
			continue;
		c->spill = b->nspill;
		split_walk(s, b, c, d, dir);
		if (unlikely(vhostx_chain_deferred(b, c)))
			return i;
	}
	return n;
}

static __rte_always_inline void
split_take(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t n)
{
	RTE_SET_USED(b);
	/* Atomic for those who ask how full the ring is. */
	__atomic_store_n(&s->ring->last_avail, (uint16_t)(s->ring->last_avail + n), __ATOMIC_RELAXED);
}

static __rte_always_inline void
split_complete(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_ring *ring = s->ring;
	const uint16_t mask = s->size - 1;

	for (uint16_t i = 0; i < n; i++) {
		const uint64_t entry = c[i].id | (uint64_t)c[i].used_len << 32;

		vhostx_store64(&s->split.used->ring[(ring->last_used + i) & mask], entry);
	}
	ring->last_used += n;
	/* E: pairs with the guest's acquire of this index. */
	__atomic_store_n(&s->split.used->idx, ring->last_used, __ATOMIC_RELEASE);
}

static __rte_always_inline bool
split_wants_call(const struct vhostx_snapshot *s)
{
	struct vhostx_ring *ring = s->ring;
	const uint16_t before = ring->signalled;
	const bool valid = ring->signalled_valid;
	uint16_t event;

	if (!s->event_idx)
		return !(__atomic_load_n(&s->split.avail->flags, __ATOMIC_RELAXED) &
			VRING_AVAIL_F_NO_INTERRUPT);
	event = __atomic_load_n(&s->split.avail->ring[s->size], __ATOMIC_RELAXED);
	ring->signalled = ring->last_used;
	ring->signalled_valid = true;
	return !valid || vhostx_need_event(event, ring->last_used, before);
}

#endif /* VHOSTX_RING_SPLIT_H */
