/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of hostile rings share: the proof that a wrong chain is counted under its cause, costs
 * the guest that chain and nothing else. Memory past a region is a guard page, so that one byte too far
 * ends the test.
 */
#ifndef TEST_RING_HOSTILE_H
#define TEST_RING_HOSTILE_H

#include "test_ring_cases.h"
#include "test_ring_packets.h"

#define GOOD 900u /* seed of the frame that follows a bad chain */

static inline bool
is_small(const struct rig_variant *v)
{
	return v->size < 100;
}

static inline bool
is_small_packed(const struct rig_variant *v)
{
	return is_small(v) && rig_is_packed(v);
}

static inline bool
is_small_split(const struct rig_variant *v)
{
	return is_small(v) && rig_is_split(v);
}

static inline bool
is_small_mergeable(const struct rig_variant *v)
{
	return is_small(v) && v->mergeable;
}

static inline bool
is_small_plain(const struct rig_variant *v)
{
	return is_small(v) && !v->mergeable;
}

static inline bool
is_large(const struct rig_variant *v)
{
	return v->size >= 600;
}


/* Adds a wrong chain; writable is the direction that would be right. Returns its id. */
typedef int (*add_fn)(struct rig *rig, bool writable);

/*
 * From guest to host: the chain goes back untouched, the frames around it arrive. Bursts may look at four chains at
 * once: @a before of the good ones come first, three in all.
 */
static inline void
expect_bad_rx_at(struct rig *rig, add_fn add, enum vhostx_cause cause, uint32_t before)
{
	const uint64_t drops = rig->queue.count.drops[cause];
	struct rte_mbuf *pkts[4];
	uint16_t n = 0;
	int id[4];

	for (uint32_t i = 0; i < 4; i++)
		id[i] = i == before ? add(rig, false) : rig_send(rig, GOOD + i, 60);
	guest_ring_publish(&rig->ring);
	for (int k = 0; k < 8; k++)
		n += rig_rx(&rig->queue, &pkts[n], 4 - n);
	assert_int_equal(rig->cursors.fault, VHOSTX_NO_CAUSE);
	assert_int_equal(n, 3);
	for (uint32_t i = 0; i < 3; i++)
		rig_assert_mbuf(pkts[i], 60, GOOD + i + (i >= before));
	for (uint32_t i = 0; i < 4; i++)
		rig_assert_returned(rig, id[i]);
	assert_int_equal(rig->queue.count.drops[cause], drops + 1);
}

/* From host to guest: the chain goes back untouched, the frames are in the buffers around it, four in all. */
static inline void
expect_bad_tx_at(struct rig *rig, add_fn add, enum vhostx_cause cause, uint32_t before)
{
	const uint64_t drops = rig->queue.count.drops[cause];
	struct rte_mbuf *pkts[4];
	uint16_t n = 0;
	int bad = 0;

	for (uint32_t i = 0; i < 4; i++) {
		if (i == before)
			bad = add(rig, true);
		rig_post(rig, GOOD + i, RIG_SLOT_LEN);
		pkts[i] = rig_mbuf(60, GOOD + i);
	}
	guest_ring_publish(&rig->ring);
	for (int k = 0; k < 8 && n < 4; k++)
		n += rig_tx(&rig->queue, &pkts[n], 4 - n);
	assert_int_equal(rig->cursors.fault, VHOSTX_NO_CAUSE);
	assert_int_equal(n, 4);
	for (uint32_t i = 0; i < 4; i++) {
		if (i == before)
			rig_assert_returned(rig, bad);
		rig_assert_frame(rig, 60, GOOD + i, 1);
	}
	assert_int_equal(rig->queue.count.drops[cause], drops + 1);
}

static inline void
expect_bad_rx(struct rig *rig, add_fn add, enum vhostx_cause cause)
{
	for (uint32_t before = 0; before < 4; before++)
		expect_bad_rx_at(rig, add, cause, before);
}

static inline void
expect_bad_tx(struct rig *rig, add_fn add, enum vhostx_cause cause)
{
	for (uint32_t before = 0; before < 4; before++)
		expect_bad_tx_at(rig, add, cause, before);
}

/* A case for both directions, made from a function that adds the chain. */
#define BAD_CHAIN_CASE(what, cause) \
static void \
test_ring_hostile_##what(void **state) \
{ \
	expect_bad_rx(*state, add_##what, cause); \
	expect_bad_tx(*state, add_##what, cause); \
}

static inline int
add_one(struct rig *rig, uint64_t gpa, uint32_t len, bool writable)
{
	const struct guest_seg seg = { gpa, len, writable };
	const int id = guest_ring_add(&rig->ring, &seg, 1);

	assert_true(id >= 0);
	return id;
}

/* A chain of two, whose k-th descriptor is then changed. */
static inline int
add_two(struct rig *rig, bool writable, uint32_t k, struct guest_desc *d)
{
	const struct guest_seg seg[2] = { { rig_slot(rig, 0), 100, writable },
		{ rig_slot(rig, 0) + 100, 100, writable } };
	const int id = guest_ring_add(&rig->ring, seg, 2);

	*d = guest_ring_peek(&rig->ring, guest_ring_slot(&rig->ring, id, k));
	return id;
}

static inline void
poke(struct rig *rig, int id, uint32_t k, const struct guest_desc *d)
{
	guest_ring_poke(&rig->ring, guest_ring_slot(&rig->ring, id, k), d);
}

/* Run the cases on direct rings of both formats; they build chains and tables themselves. */
static inline int
hostile_main(const char *prog, const struct rig_case *cases, size_t nr_cases)
{
	static const uint16_t sizes[][2] = { { 64, 61 }, { 1024, 1000 } };
	static struct rig_variant all[36 * RIG_NR(sizes)];
	size_t n, k = 0;
	int failed;

	rig_eal();
	n = rig_variants(all, sizes, RIG_NR(sizes));
	for (size_t i = 0; i < n; i++) {
		if (all[i].layout == RIG_DIRECT)
			all[k++] = all[i];
	}
	failed = rig_run(prog, cases, nr_cases, all, k);
	rte_eal_cleanup();
	return failed;
}

#endif /* TEST_RING_HOSTILE_H */
