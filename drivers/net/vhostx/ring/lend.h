/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What whoever has a ring does with its table of slots: lend, and reap what came back. Inline for bursts.
 */
#ifndef VHOSTX_RING_LEND_H
#define VHOSTX_RING_LEND_H

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "vq.h"
#include "zerocopy.h"

/* The "done" bit of eight states. */
#define VHOSTX_ZC_DONES (UINT64_C(0x0101010101010101) * VHOSTX_ZC_DONE)

/** Time in units of some microseconds, so that an hour fits 32 bits; other machines count more slowly. */
#ifdef RTE_ARCH_X86
#define VHOSTX_ZC_CLOCK_SHIFT 14
#else
#define VHOSTX_ZC_CLOCK_SHIFT 10
#endif

/** By so much another core's clock may be ahead, in these units. */
#define VHOSTX_ZC_AHEAD 64u

static __rte_always_inline uint32_t
vhostx_zc_now(void)
{
	return rte_rdtsc() >> VHOSTX_ZC_CLOCK_SHIFT;
}

/** The same in microseconds. */
static inline uint64_t
vhostx_zc_us(uint64_t units)
{
	/* Without the EAL there are no cycles a second. */
	return (units << VHOSTX_ZC_CLOCK_SHIFT) / RTE_MAX(rte_get_tsc_hz() / 1000000, UINT64_C(1));
}

/** Is the head or id out, so that the guest may not offer it? */
static __rte_always_inline bool
vhostx_zc_is_out(const struct vhostx_zc *zc, uint16_t id)
{
	return id < zc->size &&
		__atomic_load_n(&zc->state[id], __ATOMIC_RELAXED) != VHOSTX_ZC_IDLE;
}

/** May a chain with @a len bytes of packet be lent, as far as can be told before its pieces are seen? */
static __rte_always_inline enum vhostx_zc_reason
vhostx_zc_judge(const struct vhostx_zc *zc, const struct vhostx_chain *c, uint32_t len)
{
	if (len < zc->threshold)
		return VHOSTX_ZC_SHORT;
	if (unlikely(__atomic_load_n(&zc->held, __ATOMIC_RELAXED)))
		return VHOSTX_ZC_HELD;
	if (unlikely(zc->out_entries + c->ndesc > zc->limit))
		return VHOSTX_ZC_INFLIGHT;
	return unlikely(c->id >= zc->size) ? VHOSTX_ZC_SHAPE : VHOSTX_ZC_LENT;
}

/** The table's region that a piece at @a va is in, or VHOSTX_ZC_NOWHERE. */
static __rte_always_inline uint16_t
vhostx_zc_region_at(const struct vhostx_snapshot *s, const uint8_t *va)
{
	const struct vhostx_mem *mem = s->mem;
	uint32_t i = s->ring->hint;

	if (likely((uintptr_t)va - (uintptr_t)mem->range[i].va < mem->range[i].size))
		return s->zc->region_of[i];
	for (i = 0; i < mem->nr; i++) {
		if ((uintptr_t)va - (uintptr_t)mem->range[i].va < mem->range[i].size)
			return s->zc->region_of[i];
	}
	return VHOSTX_ZC_NOWHERE;
}

/** Count a slot into the region, or out of it again. */
static __rte_always_inline void
vhostx_zc_count(struct vhostx_zc *zc, uint16_t region, int by)
{
	uint32_t *out = &zc->region[region].out;

	/* Release: the cold side may unmap when it sees 0. Pairs with the acquire in vhostx_zc_trim(). */
	__atomic_store_n(out, *out + by, __ATOMIC_RELEASE);
}

/** The chain's slot goes out with @a mbufs mbufs, whose buffers are in these regions. */
static __rte_always_inline struct vhostx_zc_slot *
vhostx_zc_lend(struct vhostx_zc *zc, const struct vhostx_chain *c,
	const uint16_t region[VHOSTX_ZC_REGIONS], uint16_t mbufs, uint32_t now)
{
	struct vhostx_zc_slot *slot = &zc->slot[c->id];

	rte_mbuf_ext_refcnt_set(&slot->shinfo, mbufs);
	slot->ndesc = c->ndesc;
	__atomic_store_n(&zc->since[c->id], now, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < VHOSTX_ZC_REGIONS; i++) {
		slot->region[i] = region[i];
		if (region[i] != VHOSTX_ZC_NOWHERE)
			vhostx_zc_count(zc, region[i], 1);
	}
	zc->out_in[c->id / VHOSTX_ZC_GROUP]++;
	zc->out_entries += c->ndesc;
	__atomic_store_n(&zc->out, zc->out + 1, __ATOMIC_RELAXED);
	/* P: since comes first. Pairs with the acquire in vhostx_zc_longest(). */
	__atomic_store_n(&zc->state[c->id], VHOSTX_ZC_OUT, __ATOMIC_RELEASE);
	return slot;
}

/** What the slot of a chain of one entry in one region says. */
static __rte_always_inline uint64_t
vhostx_zc_single(uint16_t region)
{
	return (struct vhostx_zc_slot){ .region = { region, VHOSTX_ZC_NOWHERE }, .ndesc = 1 }.use;
}

/**
 * As vhostx_zc_lend() for a chain of one entry and one mbuf, in one region; vhostx_zc_lent_singles() puts a number of
 * them into the table's books.
 * @param use  vhostx_zc_single() of the region.
 */
static __rte_always_inline struct rte_mbuf_ext_shared_info *
vhostx_zc_lend_single(const struct vhostx_zc *zc, uint16_t id, uint64_t use, uint32_t now)
{
	struct vhostx_zc_slot *slot = &zc->slot[id];

	rte_mbuf_ext_refcnt_set(&slot->shinfo, 1);
	slot->use = use;
	__atomic_store_n(&zc->since[id], now, __ATOMIC_RELAXED);
	zc->out_in[id / VHOSTX_ZC_GROUP]++;
	/* P: as above. */
	__atomic_store_n(&zc->state[id], VHOSTX_ZC_OUT, __ATOMIC_RELEASE);
	return &slot->shinfo;
}

/** See above. Before the burst ends: until then nobody takes memory away. */
static __rte_always_inline void
vhostx_zc_lent_singles(struct vhostx_zc *zc, uint16_t region, uint16_t n)
{
	vhostx_zc_count(zc, region, n);
	zc->out_entries += n;
	__atomic_store_n(&zc->out, zc->out + n, __ATOMIC_RELAXED);
}

/** The slots of eight states, from @a first on, that are done, as bits at the beginning of their bytes. */
static __rte_always_inline uint64_t
vhostx_zc_dones(const struct vhostx_zc *zc, uint32_t first)
{
	return __atomic_load_n((uint64_t *)&zc->state[first], __ATOMIC_RELAXED) & VHOSTX_ZC_DONES;
}

/** Slots that leave a region one after the other. */
struct vhostx_zc_leavers {
	uint16_t region;
	uint16_t n;
};

/** One slot, which is done, leaves its regions; most leave the region that the one before did. */
static __rte_always_inline void
vhostx_zc_leave_regions(struct vhostx_zc *zc, const struct vhostx_zc_slot *slot, struct vhostx_zc_leavers *l)
{
	if (unlikely(slot->region[0] != l->region)) {
		if (l->n != 0)
			vhostx_zc_count(zc, l->region, -(int)l->n);
		l->region = slot->region[0];
		l->n = 0;
	}
	l->n++;
	for (uint32_t i = 1; i < VHOSTX_ZC_REGIONS; i++) {
		if (unlikely(slot->region[i] != VHOSTX_ZC_NOWHERE))
			vhostx_zc_count(zc, slot->region[i], -1);
	}
}

/** Chains whose buffers begin to come into the cache, one for each slot that is reaped. */
struct vhostx_zc_ahead {
	const struct vhostx_chain *next;
	const struct vhostx_chain *end;
};

/** Of the next one the line behind the first, where most frames begin, and no nearer than the second cache. */
static __rte_always_inline void
vhostx_zc_load_next(struct vhostx_zc_ahead *ahead)
{
	if (ahead->next != ahead->end)
		__builtin_prefetch(ahead->next++->va + RTE_CACHE_LINE_SIZE, 0, 2);
}

/**
 * Reap the slots of one group that are done.
 * @param rec    gets what to complete; [VHOSTX_ZC_GROUP], or NULL: nobody wants to know.
 * @param ahead  what is needed next; NULL: nothing is.
 * @return how many.
 */
static __rte_always_inline uint16_t
vhostx_zc_reap(struct vhostx_zc *zc, uint16_t group, struct vhostx_chain *rec, uint32_t now,
	struct vhostx_zc_ahead *ahead)
{
	struct vhostx_zc_leavers leavers = { .region = VHOSTX_ZC_NOWHERE };
	const struct vhostx_zc_slot *const slots = zc->slot;
	const uint32_t *const since = zc->since;
	uint8_t *const state = zc->state;
	/* What was lent by a core that is ahead was not out for hours. */
	const uint32_t soon = now + VHOSTX_ZC_AHEAD;
	uint32_t longest = zc->longest + VHOSTX_ZC_AHEAD, entries = 0;
	uint16_t n = 0;

	for (uint32_t at = 0; at < VHOSTX_ZC_GROUP; at += sizeof(uint64_t)) {
		const uint16_t first = group * VHOSTX_ZC_GROUP + at;

		for (uint64_t dones = vhostx_zc_dones(zc, first); dones != 0; dones &= dones - 1) {
			const uint16_t id = first + __builtin_ctzll(dones) / 8;
			const struct vhostx_zc_slot *slot = &slots[id];

			/* K: pairs with the release in vhostx_zc_done(). */
			(void)__atomic_load_n(&state[id], __ATOMIC_ACQUIRE);
			if (rec != NULL) {
				rec[n].elem = id;
				rec[n].ndesc = slot->ndesc;
				rec[n].entry = slot->entry;
			}
			longest = RTE_MAX(longest, soon - since[id]);
			vhostx_zc_leave_regions(zc, slot, &leavers);
			entries += slot->ndesc;
			__atomic_store_n(&state[id], VHOSTX_ZC_IDLE, __ATOMIC_RELAXED);
			n++;
			if (ahead != NULL)
				vhostx_zc_load_next(ahead);
		}
	}
	if (n == 0)
		return 0;
	vhostx_zc_count(zc, leavers.region, -(int)leavers.n);
	longest -= VHOSTX_ZC_AHEAD;
	if (unlikely(longest != zc->longest))
		__atomic_store_n(&zc->longest, longest, __ATOMIC_RELAXED);
	zc->out_in[group] -= n;
	zc->out_entries -= entries;
	__atomic_store_n(&zc->out, zc->out - n, __ATOMIC_RELAXED);
	return n;
}

/** The next group that has slots out, from *@a group on; false: none before @a end groups were passed. */
static __rte_always_inline bool
vhostx_zc_next_group(const struct vhostx_zc *zc, uint16_t *group, uint16_t *passed)
{
	while (*passed < zc->nr_groups) {
		*group = zc->look + *passed < zc->nr_groups ? zc->look + *passed :
			zc->look + *passed - zc->nr_groups;
		(*passed)++;
		if (zc->out_in[*group] != 0)
			return true;
	}
	return false;
}

#endif /* VHOSTX_RING_LEND_H */
