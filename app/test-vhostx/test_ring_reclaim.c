/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A process was killed, and before the next one came the front-end took chains of the packed ring at an old position
 * and gave them back at once, as QEMU does.
 */
#include "test_ring_crash.h"

#include "ring/reclaim.h"

#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED (1u << VRING_PACKED_DESC_F_USED)

/* A position of the rig's ring, slots after the one that it began at. */
static uint16_t
reclaim_at(const struct rig *rig, uint32_t slots)
{
	const uint32_t slot = (rig->v.base & 0x7fff) + slots;
	const bool wrap = (rig->v.base & 0x8000) != 0;

	return slot % rig->v.size | (uint16_t)(wrap != (slot / rig->v.size % 2 != 0)) << 15;
}

/* The front-end gives a chain back: a used element takes the place of its head. */
static void
reclaim_drop(struct rig *rig, uint16_t at)
{
	struct vring_packed_desc *head = &rig->snap.packed.desc[at & 0x7fff];

	assert_int_equal(head->flags & (AVAIL | USED), at >> 15 != 0 ? AVAIL : USED);
	head->len = 0;
	head->flags = at >> 15 != 0 ? AVAIL | USED : 0;
}

/* The ring is what the process left, which had received some frames; the guest has offered others since. */
static void
reclaim_setup(struct rig *rig, uint32_t received, uint32_t offered)
{
	crash_setup(rig);
	for (uint32_t i = 0; i < received; i++)
		rig_send(rig, i, 60 + i);
	guest_ring_publish(&rig->ring);
	assert_int_equal(crash_receive(rig, 0), received);
	assert_int_equal(crash_reap(rig), received);
	for (uint32_t i = 0; i < offered; i++)
		rig_send(rig, i, 60 + i);
	guest_ring_publish(&rig->ring);
	vhostx_queue_retire(&rig->queue);
	vhostx_ring_set_base(&rig->cursors, rig->v.base);
}

static int32_t
reclaim_position(const struct rig *rig)
{
	return crash_recorded ? vhostx_inflight_position(&rig->snap) : vhostx_journal_position(&rig->snap);
}

/* Frames of the offered ones that arrive; those that were dropped do not. */
static void
reclaim_check(struct rig *rig, uint32_t offered, uint32_t first, uint32_t dropped)
{
	const uint64_t faults = rig->queue.count.drops[VHOSTX_BAD_INDIRECT];
	struct rte_mbuf *pkts[RIG_BURST];
	uint32_t next = 0;
	uint16_t n;

	while ((n = rig_rx(&rig->queue, pkts, RIG_BURST)) != 0) {
		for (uint16_t i = 0; i < n; i++, next++) {
			if (next == first)
				next += dropped;
			rig_assert_mbuf(pkts[i], 60 + next, next);
		}
	}
	if (next == first)
		next += dropped;
	assert_int_equal(next, offered);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_INDIRECT] - faults, dropped);
	/* The guest has everything back, each once. */
	assert_int_equal(crash_reap(rig), offered);
}

/* One or several, wherever they are among what is offered. */
static void
test_ring_reclaim_goes_on(void **state)
{
	struct rig *rig = *state;
	const uint32_t cap = rig_capacity(rig), ndesc = rig_ndesc(rig);

	for (uint32_t dropped = 1; dropped < cap; dropped++) {
		for (uint32_t first = 1; first + dropped <= cap; first++) {
			const struct vhostx_dropped d = {
				.at = reclaim_at(rig, (1 + first) * ndesc), .slots = dropped * ndesc,
			};

			reclaim_setup(rig, 1, cap);
			for (uint32_t i = 0; i < dropped; i++)
				reclaim_drop(rig, reclaim_at(rig, (1 + first + i) * ndesc));
			assert_true(vhostx_reclaim(&rig->snap, &d, reclaim_position(rig)));
			/* A process that was killed here leaves it to the next one. */
			assert_true(vhostx_reclaim(&rig->snap, &d, reclaim_position(rig)));
			crash_resume(rig);
			reclaim_check(rig, cap, first, dropped);
			rig->v.base = reclaim_at(rig, (1 + cap) * ndesc);
			rig->v.base |= rig->v.base << 16;
			crash_forget();
		}
	}
}

/* Where the guest may have them already, or where there is nothing of the kind, nothing is changed. */
static void
test_ring_reclaim_is_refused(void **state)
{
	struct rig *rig = *state;
	const struct guest_region *desc = &rig->mem.region[RIG_R_DESC];
	const uint32_t offered = rig_capacity(rig) - 1, ndesc = rig_ndesc(rig);
	const struct {
		uint32_t at, slots;
	} wrong[] = {
		{ ndesc, ndesc },                      /* the next to be given back */
		{ 0, 2 * ndesc },                      /* we gave the first of them back already */
		{ (1 + offered) * ndesc, ndesc },      /* not offered yet */
		{ 2 * ndesc, (uint32_t)rig->v.size },  /* more than there is */
	};
	uint8_t before[1024];

	reclaim_setup(rig, 1, offered);
	assert_true(desc->size <= sizeof(before));
	for (size_t i = 0; i < RIG_NR(wrong); i++) {
		const struct vhostx_dropped d = { .at = reclaim_at(rig, wrong[i].at), .slots = wrong[i].slots };

		memcpy(before, desc->va, desc->size);
		assert_false(vhostx_reclaim(&rig->snap, &d, reclaim_position(rig)));
		assert_memory_equal(before, desc->va, desc->size);
	}
	crash_resume(rig);
	reclaim_check(rig, offered, offered, 0);
	crash_forget();
}

/* In a chain that was given back already all but the head looks available. */
static void
test_ring_reclaim_leaves_the_past(void **state)
{
	struct rig *rig = *state;
	const struct guest_region *desc = &rig->mem.region[RIG_R_DESC];
	const uint32_t offered = rig_capacity(rig) - 1, ndesc = rig_ndesc(rig);
	const struct vhostx_dropped d = { .at = reclaim_at(rig, 1), .slots = ndesc - 1 };
	uint8_t before[1024];

	reclaim_setup(rig, 1, offered);
	reclaim_drop(rig, d.at);
	memcpy(before, desc->va, desc->size);
	assert_true(vhostx_reclaim(&rig->snap, &d, reclaim_position(rig)));
	assert_memory_equal(before, desc->va, desc->size);
	crash_resume(rig);
	reclaim_check(rig, offered, offered, 0);
	crash_forget();
}

static void
test_ring_reclaim_find(void **state)
{
	static const struct {
		uint32_t before, now;
		uint16_t at, slots;
	} table[] = {
		{ 0x80008000, 0x80018001, 0x8000, 1 },
		{ 0x80078007, 0x00000000, 0x8007, 1 },
		{ 0x00070007, 0x80028002, 0x0007, 3 },
		{ 0x80038003, 0x00030003, 0x8003, 8 },
		{ 0x80008000, 0x80008000, 0x8000, 0 }, /* the same */
		{ 0x80018001, 0x80008000, 0x8001, 0 }, /* back: a ring that began anew */
		{ 0x80038003, 0x00040004, 0x8003, 0 }, /* more than the ring has */
		{ 0x80008000, 0x80018002, 0, 0 },      /* something is out */
		{ 0x80018000, 0x80018001, 0, 0 },
		{ 0x80088008, 0x80018001, 0, 0 },      /* past the ring's end */
		{ 0x80018001, 0x80088008, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < RIG_NR(table); i++) {
		const struct vhostx_dropped d = vhostx_reclaim_find(table[i].before, table[i].now, 8);

		assert_int_equal(d.slots, table[i].slots);
		assert_int_equal(d.at, table[i].at);
	}
}

static bool
reclaim_is_chained(const struct rig_variant *v)
{
	return v->layout == RIG_CHAINED;
}

int
main(void)
{
	static const struct rig_case cases[] = {
		RIG_CASE(test_ring_reclaim_goes_on, NULL),
		RIG_CASE(test_ring_reclaim_is_refused, NULL),
		RIG_CASE(test_ring_reclaim_leaves_the_past, reclaim_is_chained),
		RIG_CASE(test_ring_reclaim_find, NULL),
	};
	static const enum rig_layout layouts[] = { RIG_DIRECT, RIG_CHAINED, RIG_INDIRECT };
	static struct rig_variant v[2 * RIG_NR(layouts)];
	int failed;

	rig_eal();
	for (size_t k = 0; k < RIG_NR(v); k++) {
		const bool late = k >= RIG_NR(layouts);

		v[k] = (struct rig_variant){
			.format = GUEST_PACKED,
			.size = 13,
			.hdr_len = 12,
			.layout = layouts[k % RIG_NR(layouts)],
			.base = late ? 11u | 11u << 16 : GUEST_PACKED_BASE,
		};
	}
	failed = rig_run("test_ring_reclaim", cases, RIG_NR(cases), v, RIG_NR(v));
	crash_recorded = true;
	crash_doubted = true;
	failed += rig_run("test_ring_reclaim own record", cases, RIG_NR(cases), v, RIG_NR(v));
	rte_eal_cleanup();
	return failed;
}
