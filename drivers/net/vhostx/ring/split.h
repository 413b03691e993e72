/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The split format (virtio 1.3, 2.7): fetch, take, complete, wants_call; contract in vq.h. Included by
 * burst.c and give.c.
 */
#ifndef VHOSTX_RING_SPLIT_H
#define VHOSTX_RING_SPLIT_H

#include "four.h"
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
		c->ndesc = steps + 1;
		c->fault = vhostx_chain_add_desc(s, b, c, &d, dir);
		if (c->fault != VHOSTX_NO_CAUSE || !(d.flags & VRING_DESC_F_NEXT))
			return;
		if (d.tag >= s->size)
			break;
		d = split_desc(s, d.tag);
	}
	c->fault = VHOSTX_BAD_CHAIN;
}

/* Begin with the chains of four heads at once, without a branch. */
static __rte_always_inline void
split_four_heads(const struct vhostx_snapshot *s, struct vhostx_chain *c, uint64_t four)
{
	const uint16_t first = four;

	/* Often the four are neighbours, always so in order: then two of them have all lines. */
	rte_prefetch0(&s->split.desc[first]);
	rte_prefetch0(&s->split.desc[four >> 48]);
	if (four != first * UINT64_C(0x0001000100010001) + UINT64_C(0x0003000200010000)) {
		rte_prefetch0(&s->split.desc[(uint16_t)(four >> 16)]);
		rte_prefetch0(&s->split.desc[(uint16_t)(four >> 32)]);
	}
#ifdef __AVX2__
	vhostx_chain_init_four(c, _mm256_permute4x64_epi64(
		_mm256_cvtepu16_epi64(_mm_cvtsi64_si128(four)), 0xd8));
#else
	for (unsigned int k = 0; k < 4; k++)
		vhostx_chain_init(&c[k], (uint16_t)(four >> 16 * k));
#endif
}

/* Copy up to @a n heads and begin to load their descriptors. Returns those before a bad one. */
static __rte_always_inline uint16_t
split_heads(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n)
{
	const uint16_t mask = s->size - 1;
	const uint64_t past = (uint16_t)~mask * UINT64_C(0x0001000100010001);
	uint16_t i = 0;

	while (i < n) {
		const uint16_t at = (s->ring->last_avail + i) & mask;
		uint16_t head;

		if (n - i >= 4 && s->size - at >= 4) {
			const uint64_t four = vhostx_load64(&s->split.avail->ring[at]);

			if (likely((four & past) == 0)) {
				split_four_heads(s, &b->chain[i], four);
				i += 4;
				continue;
			}
		}
		head = __atomic_load_n(&s->split.avail->ring[at], __ATOMIC_RELAXED);
		if (unlikely(head >= s->size)) {
			vhostx_ring_stop(s->ring, VHOSTX_BAD_HEAD);
			return i;
		}
		rte_prefetch0(&s->split.desc[head]);
		vhostx_chain_init(&b->chain[i++], head);
	}
	return n;
}

#ifdef __AVX2__
/* The common chains from the i-th on, four by four. Returns where they end. */
static __rte_always_inline uint16_t
split_fours(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t i, uint16_t n, uint16_t kind,
	uint16_t dir, bool load)
{
	struct vhostx_four_ranges hint = vhostx_four_hint(s, dir);

	for (; i + 4 <= n; i += 4) {
		struct vhostx_chain *c = &b->chain[i];
		const struct vring_desc *desc = s->split.desc;
		const struct vhostx_four f = vhostx_four_of(
			_mm256_loadu2_m128i((const __m128i *)&desc[c[1].id], (const __m128i *)&desc[c[0].id]),
			_mm256_loadu2_m128i((const __m128i *)&desc[c[3].id], (const __m128i *)&desc[c[2].id]));

		if (!vhostx_chain_four_seek(s, &hint, c, &f, vhostx_four_others(&f, 32, kind, dir)))
			break;
		if (load)
			vhostx_chain_load_four(c, dir);
	}
	return i;
}
#endif

/* The common chains from the i-th on: one descriptor in one region. Returns where they end. */
static __rte_always_inline uint16_t
split_singles(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t i, uint16_t n, uint16_t dir,
	bool load)
{
	const uint16_t kind = VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE;
	struct vhostx_range range;

#ifdef __AVX2__
	i = split_fours(s, b, i, n, kind, dir, load);
#endif
	range = vhostx_range_hint(s, dir);
	for (; i < n; i++) {
		struct vhostx_chain *c = &b->chain[i];
		const struct vhostx_desc d = split_desc(s, c->id);

		if (unlikely((d.flags & kind) != dir || !vhostx_range_seek(s, &range, d.addr, dir) ||
				!vhostx_chain_single(&range, c, &d)))
			break;
		if (load)
			vhostx_chain_load(c, dir);
	}
	return i;
}

static __rte_always_inline bool
split_is_empty(const struct vhostx_snapshot *s)
{
	return __atomic_load_n(&s->split.avail->idx, __ATOMIC_RELAXED) == s->ring->last_avail;
}

/*
 * How many entries are there, if not @a want at least? The guest writes its index often. Where it offers more than
 * is taken, as for tx, it is left alone while there are enough from the last look, or each burst would begin by
 * waiting for its line.
 */
static __rte_always_inline uint16_t
split_pending(const struct vhostx_snapshot *s, uint16_t want, uint16_t dir)
{
	struct vhostx_ring *ring = s->ring;
	uint16_t n = ring->seen - ring->last_avail;

	if (dir != 0 && n >= want)
		return n;
	/* D: pairs with the guest's release of its index. */
	ring->seen = __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE);
	n = ring->seen - ring->last_avail;
	if (unlikely(n > s->size)) {
		vhostx_ring_stop(ring, VHOSTX_BAD_INDEX);
		return 0;
	}
	return n;
}

/* Begin to load the lines that giving back is going to write: the guest looked at them last. */
static __rte_always_inline void
split_prefetch_used(const struct vhostx_snapshot *s)
{
	__builtin_prefetch(&s->split.used->ring[s->ring->last_used & (s->size - 1)], 1, 3);
	__builtin_prefetch(&s->split.used->idx, 1, 3);
}

static __rte_always_inline uint16_t
split_fetch(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t want, uint16_t dir, bool load)
{
	uint16_t n = split_pending(s, want, dir);
	uint16_t i = 0;

	if (n != 0)
		split_prefetch_used(s);
	n = split_heads(s, b, RTE_MIN(n, want));
	b->nspill = 0;
	b->full = false;
	b->plain = false; /* of no use to this format, but passed on */
	while ((i = split_singles(s, b, i, n, dir, load)) < n) {
		struct vhostx_chain *c = &b->chain[i];

		vhostx_chain_walk(b, c);
		split_walk(s, b, c, split_desc(s, c->id), dir);
		if (unlikely(vhostx_chain_deferred(b, c)))
			break;
		i++;
	}
	return i;
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
	struct vring_used_elem *const used = s->split.used->ring;
	const uint16_t last = ring->last_used;
	const uint16_t mask = s->size - 1;

	for (uint16_t i = 0; i < n; i++)
		vhostx_store64(&used[(last + i) & mask], c[i].elem);
	ring->last_used = last + n;
	/* E: pairs with the guest's acquire of this index. */
	__atomic_store_n(&s->split.used->idx, ring->last_used, __ATOMIC_RELEASE);
}

/* "By only writing out a single used ring entry with the id [...] of the last buffer in the batch": 2.7.9. */
static __rte_always_inline void
split_complete_unwritten(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_ring *ring = s->ring;
	const uint16_t last = ring->last_used;

	if (!s->in_order) {
		split_complete(s, c, n);
		return;
	}
	vhostx_store64(&s->split.used->ring[last & (s->size - 1)], c[n - 1].elem);
	ring->last_used = last + n;
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
