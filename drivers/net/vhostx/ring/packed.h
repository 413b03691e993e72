/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The packed format (virtio 1.3, 2.8): fetch, take, complete, wants_call; contract in vq.h. Included by
 * burst.c and give.c.
 */
#ifndef VHOSTX_RING_PACKED_H
#define VHOSTX_RING_PACKED_H

#include "four.h"
#include "journal.h"
#include "vq.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1u << VRING_PACKED_DESC_F_USED)

/* A slot of the ring and the wrap counter that belongs to it. */
struct packed_pos {
	uint16_t slot;
	bool wrap;
};

static __rte_always_inline struct packed_pos
packed_step(const struct vhostx_snapshot *s, struct packed_pos p, uint32_t by)
{
	uint32_t slot = (uint32_t)p.slot + by;

	if (slot >= s->size) {
		slot -= s->size;
		p.wrap = !p.wrap;
	}
	p.slot = slot;
	return p;
}

static __rte_always_inline struct vhostx_desc
packed_desc(const struct vring_packed_desc *p)
{
	/* D: flags are in this word; pairs with the guest's release of them. */
	const uint64_t rest = __atomic_load_n((const uint64_t *)&p->len, __ATOMIC_ACQUIRE);

	return vhostx_desc_of(vhostx_load64(&p->addr), rest, true);
}

/* Available: the avail bit is the wrap counter, the used bit its inverse (virtio 1.3, 2.8.1). */
static __rte_always_inline bool
packed_is_avail(const struct vhostx_desc *d, bool wrap)
{
	return (d->flags & (PACKED_AVAIL | PACKED_USED)) == (wrap ? PACKED_AVAIL : PACKED_USED);
}

/*
 * The general walk. It goes on to the end of the chain even after a fault, because only there are the
 * buffer id and the number of slots known. Returns false if there is no end.
 */
static __rte_noinline bool
packed_walk(const struct vhostx_snapshot *s, struct vhostx_batch *b, struct vhostx_chain *c,
	struct vhostx_desc d, struct packed_pos p, uint16_t dir)
{
	for (uint32_t steps = 1; steps <= s->size; steps++) {
		if (c->fault == VHOSTX_NO_CAUSE)
			c->fault = vhostx_chain_add_desc(s, b, c, &d, dir);
		if (!(d.flags & VRING_DESC_F_NEXT)) {
			c->id = d.tag;
			c->ndesc = steps;
			return true;
		}
		p = packed_step(s, p, 1);
		d = packed_desc(&s->packed.desc[p.slot]);
	}
	return false;
}

#ifdef __AVX2__
/* The common chains from the i-th on, four by four. Returns where they end. */
static __rte_always_inline uint16_t
packed_fours(const struct vhostx_snapshot *s, const struct vring_packed_desc *desc, struct vhostx_chain *c, uint16_t i,
	uint16_t n, uint16_t kind, uint16_t good, uint16_t dir, bool load)
{
	struct vhostx_four_ranges hint = vhostx_four_hint(s, dir);

	for (; i + 4 <= n; i += 4) {
		const struct vhostx_four f = vhostx_four_of(_mm256_loadu_si256((const __m256i *)&desc[i]),
			_mm256_loadu_si256((const __m256i *)&desc[i + 2]));
		const __m256i rest = _mm256_unpackhi_epi64(f.d01, f.d23);

		if (!vhostx_chain_four_seek(s, &hint, &c[i], &f, vhostx_four_others(&f, 48, kind, good)))
			break;
		vhostx_chain_init_four(&c[i], _mm256_and_si256(_mm256_srli_epi64(rest, 32),
			_mm256_set1_epi64x(UINT16_MAX)));
		if (load)
			vhostx_chain_load_four(&c[i], dir);
	}
	return i;
}
#endif

/*
 * The common chains, at most n of them, from slot p on to the end of the ring: available, one descriptor
 * in one region. Returns how many.
 */
static __rte_always_inline uint16_t
packed_singles(const struct vhostx_snapshot *s, struct vhostx_chain *c, struct packed_pos p, uint16_t n,
	uint16_t dir, bool load)
{
	const uint16_t kind = PACKED_AVAIL | PACKED_USED | VRING_DESC_F_NEXT | VRING_DESC_F_INDIRECT |
		VRING_DESC_F_WRITE;
	const uint16_t good = (p.wrap ? PACKED_AVAIL : PACKED_USED) | dir;
	const struct vring_packed_desc *desc = &s->packed.desc[p.slot];
	struct vhostx_range range;
	uint16_t i = 0;

	n = RTE_MIN(n, (uint16_t)(s->size - p.slot));
#ifdef __AVX2__
	i = packed_fours(s, desc, c, i, n, kind, good, dir, load);
#endif
	range = vhostx_range_hint(s, dir);
	for (; i < n; i++) {
		const struct vhostx_desc d = packed_desc(&desc[i]);

		if ((d.flags & kind) != good || unlikely(!vhostx_range_seek(s, &range, d.addr, dir) ||
				!vhostx_chain_single(&range, &c[i], &d)))
			break;
		vhostx_chain_init(&c[i], d.tag);
		if (load)
			vhostx_chain_load(&c[i], dir);
	}
	return i;
}

/* Any chain at slot p. Returns false if the batch ends before it. */
static __rte_noinline bool
packed_chain(const struct vhostx_snapshot *s, struct vhostx_batch *b, struct vhostx_chain *c,
	struct packed_pos p, uint16_t dir)
{
	const struct vhostx_desc d = packed_desc(&s->packed.desc[p.slot]);

	if (!packed_is_avail(&d, p.wrap))
		return false;
	vhostx_chain_init(c, d.tag);
	vhostx_chain_walk(b, c);
	if (!packed_walk(s, b, c, d, p, dir)) {
		vhostx_ring_stop(s->ring, VHOSTX_BAD_HEAD);
		return false;
	}
	return !vhostx_chain_deferred(b, c);
}

static __rte_always_inline bool
packed_is_empty(const struct vhostx_snapshot *s)
{
	const struct vhostx_desc d = packed_desc(&s->packed.desc[s->ring->last_avail]);

	return !packed_is_avail(&d, s->ring->avail_wrap);
}

/* Begin to load descriptors that are going to be written, too. */
static __rte_always_inline void
packed_prefetch(const struct vhostx_snapshot *s, struct packed_pos p, uint16_t n)
{
	n = RTE_MIN(n, (uint16_t)(s->size - p.slot));
	for (uint16_t k = 0; k < n; k += 4)
		__builtin_prefetch(&s->packed.desc[p.slot + k], 1, 3);
}

static __rte_always_inline uint16_t
packed_fetch(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t want, uint16_t dir, bool load)
{
	struct packed_pos p = { .slot = s->ring->last_avail, .wrap = s->ring->avail_wrap };
	uint32_t left = s->size; /* slots that were not seen yet */
	uint16_t n = 0;
	uint16_t run;

	b->nspill = 0;
	b->full = false;
	b->plain = true;
	if (dir != 0)
		packed_prefetch(s, p, want);
	while (n < want && left != 0) {
		run = packed_singles(s, &b->chain[n], p, RTE_MIN((uint32_t)(want - n), left), dir, load);
		n += run;
		left -= run;
		p = packed_step(s, p, run);
		if (n == want || left == 0)
			break;
		/* The ring's end, nothing more, or a chain of another kind. */
		if (p.slot == 0 && run != 0)
			continue;
		if (!packed_chain(s, b, &b->chain[n], p, dir))
			break;
		b->plain = false;
		if (unlikely(b->chain[n].ndesc > left)) {
			vhostx_ring_stop(s->ring, VHOSTX_BAD_INDEX);
			break;
		}
		left -= b->chain[n].ndesc;
		p = packed_step(s, p, b->chain[n].ndesc);
		n++;
	}
	return n;
}

static __rte_always_inline void
packed_take(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t n)
{
	struct vhostx_ring *ring = s->ring;
	struct packed_pos p = { .slot = ring->last_avail, .wrap = ring->avail_wrap };
	uint32_t slots = n;

	/* No more than the ring has: fetch has seen to it. */
	if (unlikely(!b->plain)) {
		slots = 0;
		for (uint16_t i = 0; i < n; i++)
			slots += b->chain[i].ndesc;
	}
	p = packed_step(s, p, slots);
	/* Atomic for those who ask how full the ring is. */
	__atomic_store_n(&ring->last_avail, p.slot, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->avail_wrap, p.wrap, __ATOMIC_RELAXED);
}

/* The second word of a used descriptor (virtio 1.3, 2.8.8): both bits are the wrap counter. */
static __rte_always_inline uint64_t
packed_used_word(const struct vhostx_chain *c, bool wrap)
{
	const uint64_t elem = c->elem;
	uint64_t flags = wrap ? PACKED_AVAIL | PACKED_USED : 0;

	if (elem >> 32 != 0)
		flags |= VRING_DESC_F_WRITE;
	return (elem << 32 | elem >> 32) | flags << 48;
}

/* The entries of all chains but the first, each of which takes one slot. Returns slots of all. */
static __rte_always_inline uint32_t
packed_write_singles(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n,
	struct packed_pos first)
{
	const uint32_t ahead = RTE_MIN((uint32_t)n, (uint32_t)s->size - first.slot);
	struct vring_packed_desc *const desc = s->packed.desc;
	uint32_t i;

	for (i = 1; i < ahead; i++)
		vhostx_store64(&desc[first.slot + i].len, packed_used_word(&c[i], first.wrap));
	for (; i < n; i++)
		vhostx_store64(&desc[i - ahead].len, packed_used_word(&c[i], !first.wrap));
	return n;
}

/* The same for chains of any length. */
static __rte_always_inline uint32_t
packed_write_chains(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n,
	struct packed_pos first)
{
	struct packed_pos p = packed_step(s, first, c[0].ndesc);
	uint32_t slots = c[0].ndesc;

	for (uint16_t i = 1; i < n; i++) {
		vhostx_store64(&s->packed.desc[p.slot].len, packed_used_word(&c[i], p.wrap));
		p = packed_step(s, p, c[i].ndesc);
		slots += c[i].ndesc;
	}
	return slots;
}

/* The first entry, after which the guest sees all; the ring goes on by @a slots. */
static __rte_always_inline void
packed_write_first(const struct vhostx_snapshot *s, const struct vhostx_chain *c, struct packed_pos first,
	uint32_t slots)
{
	const struct packed_pos next = packed_step(s, first, slots);
	struct vhostx_ring *ring = s->ring;

	/* E: the guest goes no further than the first until its flags change. */
	__atomic_store_n((uint64_t *)&s->packed.desc[first.slot].len, packed_used_word(c, first.wrap),
		__ATOMIC_RELEASE);
	ring->unsignalled += slots;
	ring->last_used = next.slot;
	ring->used_wrap = next.wrap;
}

static __rte_always_inline void
packed_complete(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n, bool plain)
{
	const struct packed_pos first = { .slot = s->ring->last_used, .wrap = s->ring->used_wrap };

	if (s->journal != NULL)
		vhostx_journal_open(s, c[n - 1].ndesc);
	packed_write_first(s, &c[0], first, likely(plain) ? packed_write_singles(s, c, n, first) :
		packed_write_chains(s, c, n, first));
}

/* "A single used descriptor with the Buffer ID corresponding to the last descriptor in the batch": 2.8.9. */
static __rte_always_inline void
packed_complete_unwritten(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n, bool plain)
{
	const struct packed_pos first = { .slot = s->ring->last_used, .wrap = s->ring->used_wrap };

	if (!s->in_order) {
		packed_complete(s, c, n, plain);
		return;
	}
	if (s->journal != NULL)
		vhostx_journal_open_one(s);
	packed_write_first(s, &c[n - 1], first, vhostx_journal_slots(s));
}

/* Was the slot that the driver named passed since it was last asked (virtio 1.3, 2.8.10)? */
static __rte_always_inline bool
packed_passed(const struct vhostx_snapshot *s, uint16_t off_wrap, uint16_t before)
{
	const struct vhostx_ring *ring = s->ring;
	uint16_t event = off_wrap & 0x7fff;

	if ((off_wrap >> 15) != ring->used_wrap)
		event -= s->size;
	if (ring->last_used <= before)
		before -= s->size;
	return vhostx_need_event(event, ring->last_used, before);
}

static __rte_always_inline bool
packed_wants_call(const struct vhostx_snapshot *s)
{
	struct vhostx_ring *ring = s->ring;
	const uint16_t before = ring->signalled;
	/* After a whole lap the position alone cannot tell which slots were passed: then call. */
	const bool valid = ring->signalled_valid && ring->unsignalled < s->size;
	const uint32_t event = __atomic_load_n((const uint32_t *)s->packed.driver, __ATOMIC_RELAXED);
	const uint16_t flags = event >> 16;

	ring->signalled = ring->last_used;
	ring->signalled_valid = true;
	ring->unsignalled = 0;
	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !s->event_idx || !valid)
		return true;
	return packed_passed(s, (uint16_t)event, before);
}

#endif /* VHOSTX_RING_PACKED_H */
