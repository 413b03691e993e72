/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Indirect tables of a hostile guest.
 */
#include "test_ring_hostile.h"

/* A chain of one table of two good entries; its descriptor is for the caller to change. */
static int
add_table(struct rig *rig, bool writable, struct guest_desc *head)
{
	const struct guest_seg seg[2] = { { rig_slot(rig, 0), 100, writable },
		{ rig_slot(rig, 0) + 100, 100, writable } };
	const int id = guest_ring_add_indirect(&rig->ring, seg, 2, RIG_TABLES);

	assert_true(id >= 0);
	*head = guest_ring_peek(&rig->ring, guest_ring_slot(&rig->ring, id, 0));
	return id;
}

/* As add_table(), with another length of the table. */
static int
add_table_len(struct rig *rig, bool writable, uint32_t len)
{
	struct guest_desc d;
	const int id = add_table(rig, writable, &d);

	d.len = len;
	poke(rig, id, 0, &d);
	return id;
}

/* As add_table(), with another address of the table. */
static int
add_table_at(struct rig *rig, bool writable, uint64_t gpa)
{
	struct guest_desc d;
	const int id = add_table(rig, writable, &d);

	d.addr = gpa;
	poke(rig, id, 0, &d);
	return id;
}

/* As add_table(), with another second entry. */
static int
add_table_entry(struct rig *rig, bool writable, uint64_t gpa, uint32_t len, uint16_t flags,
	uint16_t next)
{
	const struct guest_desc entry = { gpa, len, flags, next };
	struct guest_desc d;
	const int id = add_table(rig, writable, &d);

	guest_ring_poke_table(&rig->ring, RIG_TABLES, 1, &entry);
	return id;
}

static int
add_empty_table(struct rig *rig, bool writable)
{
	return add_table_len(rig, writable, 0);
}
BAD_CHAIN_CASE(empty_table, VHOSTX_BAD_INDIRECT)

static int
add_table_of_part_of_entry(struct rig *rig, bool writable)
{
	return add_table_len(rig, writable, 15);
}
BAD_CHAIN_CASE(table_of_part_of_entry, VHOSTX_BAD_INDIRECT)

static int
add_table_of_odd_length(struct rig *rig, bool writable)
{
	return add_table_len(rig, writable, 33);
}
BAD_CHAIN_CASE(table_of_odd_length, VHOSTX_BAD_INDIRECT)

static int
add_table_of_odd_4g(struct rig *rig, bool writable)
{
	return add_table_len(rig, writable, UINT32_MAX);
}
BAD_CHAIN_CASE(table_of_odd_4g, VHOSTX_BAD_INDIRECT)

static int
add_unmapped_table(struct rig *rig, bool writable)
{
	return add_table_at(rig, writable, RIG_NOWHERE);
}
BAD_CHAIN_CASE(unmapped_table, VHOSTX_BAD_ADDRESS)

static int
add_table_that_wraps(struct rig *rig, bool writable)
{
	return add_table_at(rig, writable, UINT64_MAX - 15);
}
BAD_CHAIN_CASE(table_that_wraps, VHOSTX_BAD_ADDRESS)

/* The region ends inside the first entry. */
static int
add_table_past_region(struct rig *rig, bool writable)
{
	return add_table_at(rig, writable, RIG_HIGH + RIG_HIGH_LEN - 15);
}
BAD_CHAIN_CASE(table_past_region, VHOSTX_BAD_ADDRESS)

/* The first entry is the region's last 16 bytes, and says that it goes on. */
static int
add_second_entry_past_region(struct rig *rig, bool writable)
{
	const uint64_t gpa = RIG_HIGH + RIG_HIGH_LEN - 16;
	const struct guest_desc entry = { rig_slot(rig, 0), 50,
		(writable ? GUEST_DESC_WRITE : 0) | GUEST_DESC_NEXT, 1 };

	guest_ring_poke_table(&rig->ring, gpa, 0, &entry);
	return add_table_at(rig, writable, gpa);
}
BAD_CHAIN_CASE(second_entry_past_region, VHOSTX_BAD_ADDRESS)

static int
add_table_in_table(struct rig *rig, bool writable)
{
	return add_table_entry(rig, writable, RIG_TABLES, 32, GUEST_DESC_INDIRECT, 0);
}
BAD_CHAIN_CASE(table_in_table, VHOSTX_BAD_INDIRECT)

/* WRITE "is the only valid flag" there, "others are reserved and are ignored" (virtio 1.3, 2.8.7). */
static void
test_ring_hostile_rx_ignores_flags_in_packed_table(void **state)
{
	struct rig *rig = *state;
	const int id = add_table_entry(rig, false, rig_slot(rig, 0), 100,
		GUEST_DESC_INDIRECT | GUEST_DESC_NEXT, 0);
	struct rte_mbuf *m;

	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(m->pkt_len, 200 - rig->v.hdr_len); /* two entries */
	rte_pktmbuf_free(m);
	rig_assert_returned(rig, id);
}

static int
add_table_and_next(struct rig *rig, bool writable)
{
	struct guest_desc d;
	const int id = add_two(rig, writable, 0, &d);

	guest_ring_poke_table(&rig->ring, RIG_TABLES, 0, &(struct guest_desc){ rig_slot(rig, 0),
		100, writable ? GUEST_DESC_WRITE : 0, 0 });
	d.addr = RIG_TABLES;
	d.len = 16;
	d.flags |= GUEST_DESC_INDIRECT;
	poke(rig, id, 0, &d);
	return id;
}
BAD_CHAIN_CASE(table_and_next, VHOSTX_BAD_INDIRECT)

static int
add_wrong_direction_in_table(struct rig *rig, bool writable)
{
	return add_table_entry(rig, writable, rig_slot(rig, 0), 100,
		writable ? 0 : GUEST_DESC_WRITE, 0);
}

static void
test_ring_hostile_wrong_direction_in_table(void **state)
{
	struct rig *rig = *state;

	if (rig->v.format == GUEST_SPLIT)
		expect_bad_rx(rig, add_wrong_direction_in_table, VHOSTX_BAD_DIRECTION);
	expect_bad_tx(rig, add_wrong_direction_in_table, VHOSTX_BAD_DIRECTION);
}

/* DPDK's virtio driver sets WRITE in the packed tables that it transmits from. */
static void
test_ring_hostile_rx_reads_writable_packed_table(void **state)
{
	struct rig *rig = *state;
	struct guest_desc d;
	struct rte_mbuf *m;
	const int id = add_table(rig, false, &d);

	guest_ring_poke_table(&rig->ring, RIG_TABLES, 1, &(struct guest_desc){
		rig_slot(rig, 0) + 100, 100, GUEST_DESC_WRITE, 0 });
	guest_net_pattern(guest_mem_ptr(&rig->mem, rig_slot(rig, 0), 200), 200, 1, 0);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(m->pkt_len, 200 - rig->v.hdr_len);
	assert_true(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len, 1,
		rig->v.hdr_len));
	rte_pktmbuf_free(m);
	rig_assert_returned(rig, id);
}

static int
add_unmapped_buffer_in_table(struct rig *rig, bool writable)
{
	return add_table_entry(rig, writable, RIG_NOWHERE, 100, writable ? GUEST_DESC_WRITE : 0, 0);
}
BAD_CHAIN_CASE(unmapped_buffer_in_table, VHOSTX_BAD_ADDRESS)

static int
add_next_past_indirect_table(struct rig *rig, bool writable)
{
	return add_table_entry(rig, writable, rig_slot(rig, 0), 10,
		(writable ? GUEST_DESC_WRITE : 0) | GUEST_DESC_NEXT, 2);
}
BAD_CHAIN_CASE(next_past_indirect_table, VHOSTX_BAD_CHAIN)

static int
add_loop_in_table(struct rig *rig, bool writable)
{
	return add_table_entry(rig, writable, rig_slot(rig, 0), 10,
		(writable ? GUEST_DESC_WRITE : 0) | GUEST_DESC_NEXT, 0);
}
BAD_CHAIN_CASE(loop_in_table, VHOSTX_BAD_CHAIN)

/* "A driver MUST NOT create a descriptor chain longer than the Queue Size" (virtio 1.3, 2.7.5.3.1). */
static int
add_table_longer_than_ring(struct rig *rig, bool writable)
{
	struct guest_seg seg[65];
	const uint32_t n = rig->v.size + 1;

	for (uint32_t i = 0; i < n; i++)
		seg[i] = (struct guest_seg){ rig_slot(rig, 0) + i, 1, writable };
	return guest_ring_add_indirect(&rig->ring, seg, n, RIG_TABLES);
}
BAD_CHAIN_CASE(table_longer_than_ring, VHOSTX_BAD_CHAIN)

/* All of the 4 GiB that a length can tell, of which the first entries are there, and empty. */
static int
add_table_of_4g(struct rig *rig, bool writable)
{
	const struct guest_desc empty = { 0, 0, writable ? GUEST_DESC_WRITE : 0, 0 };

	for (uint32_t i = 2; i < 100; i++)
		guest_ring_poke_table(&rig->ring, RIG_TABLES, i, &empty);
	return add_table_len(rig, writable, UINT32_MAX - 15);
}
BAD_CHAIN_CASE(table_of_4g, VHOSTX_BAD_CHAIN)

static void
test_ring_hostile_table_without_feature(void **state)
{
	struct rig *rig = *state;
	struct guest_desc d;
	struct rte_mbuf *m;
	const int id = add_table(rig, false, &d);

	rig->snap.indirect = false;
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_INDIRECT], 1);
	rig_assert_returned(rig, id);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_hostile_empty_table, is_small),
	RIG_CASE(test_ring_hostile_table_of_part_of_entry, is_small),
	RIG_CASE(test_ring_hostile_table_of_odd_length, is_small),
	RIG_CASE(test_ring_hostile_table_of_odd_4g, is_small),
	RIG_CASE(test_ring_hostile_unmapped_table, is_small),
	RIG_CASE(test_ring_hostile_table_that_wraps, is_small),
	RIG_CASE(test_ring_hostile_table_past_region, is_small),
	RIG_CASE(test_ring_hostile_second_entry_past_region, is_small),
	RIG_CASE(test_ring_hostile_table_in_table, is_small_split),
	RIG_CASE(test_ring_hostile_rx_ignores_flags_in_packed_table, is_small_packed),
	RIG_CASE(test_ring_hostile_table_and_next, is_small),
	RIG_CASE(test_ring_hostile_wrong_direction_in_table, is_small),
	RIG_CASE(test_ring_hostile_rx_reads_writable_packed_table, is_small_packed),
	RIG_CASE(test_ring_hostile_unmapped_buffer_in_table, is_small),
	RIG_CASE(test_ring_hostile_next_past_indirect_table, is_small_split),
	RIG_CASE(test_ring_hostile_loop_in_table, rig_is_split),
	RIG_CASE(test_ring_hostile_table_longer_than_ring, is_small),
	RIG_CASE(test_ring_hostile_table_of_4g, is_small_packed),
	RIG_CASE(test_ring_hostile_table_without_feature, is_small),
};

int
main(void)
{
	return hostile_main("test_ring_hostile_table", cases, RIG_NR(cases));
}
