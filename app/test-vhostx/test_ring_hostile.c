/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Chains of a hostile guest that are wrong or odd: addresses, lengths, directions, links.
 */
#include "test_ring_hostile.h"

static int
add_unmapped_buffer(struct rig *rig, bool writable)
{
	return add_one(rig, RIG_NOWHERE, 100, writable);
}
BAD_CHAIN_CASE(unmapped_buffer, VHOSTX_BAD_ADDRESS)

static int
add_buffer_past_region(struct rig *rig, bool writable)
{
	return add_one(rig, RIG_DATA + RIG_DATA_LEN - 50, 100, writable);
}
BAD_CHAIN_CASE(buffer_past_region, VHOSTX_BAD_ADDRESS)

/* Two regions in a row, and then nothing. */
static int
add_buffer_past_second_region(struct rig *rig, bool writable)
{
	return add_one(rig, RIG_HIGH - 1, RIG_HIGH_LEN + 2, writable);
}
BAD_CHAIN_CASE(buffer_past_second_region, VHOSTX_BAD_ADDRESS)

static int
add_buffer_that_wraps(struct rig *rig, bool writable)
{
	return add_one(rig, UINT64_MAX - 10, 100, writable);
}
BAD_CHAIN_CASE(buffer_that_wraps, VHOSTX_BAD_ADDRESS)

/* As far from the last region as a signed difference tells, and as long as a descriptor tells. */
static int
add_regress_buffer_half_way_round(struct rig *rig, bool writable)
{
	return add_one(rig, RIG_HIGH + INT64_MAX, UINT32_MAX, writable);
}
BAD_CHAIN_CASE(regress_buffer_half_way_round, VHOSTX_BAD_ADDRESS)

static int
add_longest_buffer(struct rig *rig, bool writable)
{
	return add_one(rig, rig_slot(rig, 0), UINT32_MAX, writable);
}
BAD_CHAIN_CASE(longest_buffer, VHOSTX_BAD_ADDRESS)

static int
add_empty_buffer(struct rig *rig, bool writable)
{
	return add_one(rig, rig_slot(rig, 0), 0, writable);
}
BAD_CHAIN_CASE(empty_buffer, VHOSTX_BAD_LENGTH)

static int
add_empty_unmapped_buffer(struct rig *rig, bool writable)
{
	return add_one(rig, RIG_NOWHERE, 0, writable);
}
BAD_CHAIN_CASE(empty_unmapped_buffer, VHOSTX_BAD_LENGTH)

static int
add_last_byte_of_region(struct rig *rig, bool writable)
{
	return add_one(rig, RIG_DATA + RIG_DATA_LEN - 1, 1, writable);
}
BAD_CHAIN_CASE(last_byte_of_region, VHOSTX_BAD_LENGTH)

static int
add_shorter_than_header(struct rig *rig, bool writable)
{
	return add_one(rig, rig_slot(rig, 0), rig->v.hdr_len - 1, writable);
}
BAD_CHAIN_CASE(shorter_than_header, VHOSTX_BAD_LENGTH)

/* Several descriptors that do not make a header together, some of them empty. */
static int
add_bytes_shorter_than_header(struct rig *rig, bool writable)
{
	struct guest_seg seg[12];

	for (uint32_t i = 0; i < 12; i++)
		seg[i] = (struct guest_seg){ rig_slot(rig, 0) + i, i % 4 != 3, writable };
	return guest_ring_add(&rig->ring, seg, 12);
}
BAD_CHAIN_CASE(bytes_shorter_than_header, VHOSTX_BAD_LENGTH)

static int
add_wrong_direction(struct rig *rig, bool writable)
{
	return add_one(rig, rig_slot(rig, 0), 100, !writable);
}
BAD_CHAIN_CASE(wrong_direction, VHOSTX_BAD_DIRECTION)

static int
add_mixed_directions(struct rig *rig, bool writable)
{
	const struct guest_seg seg[2] = { { rig_slot(rig, 0), 100, writable },
		{ rig_slot(rig, 0), 100, !writable } };

	return guest_ring_add(&rig->ring, seg, 2);
}
BAD_CHAIN_CASE(mixed_directions, VHOSTX_BAD_DIRECTION)

static int
add_unmapped_second_buffer(struct rig *rig, bool writable)
{
	const struct guest_seg seg[3] = { { rig_slot(rig, 0), 100, writable },
		{ RIG_NOWHERE, 100, writable }, { rig_slot(rig, 0), 100, writable } };

	return guest_ring_add(&rig->ring, seg, 3);
}
BAD_CHAIN_CASE(unmapped_second_buffer, VHOSTX_BAD_ADDRESS)

/* Each buffer is there, all together they are more than 32 bits tell. */
static int
add_sum_over_4g(struct rig *rig, bool writable)
{
	struct guest_seg seg[130];

	for (uint32_t i = 0; i < 130; i++)
		seg[i] = (struct guest_seg){ RIG_DATA, RIG_DATA_LEN, writable };
	return guest_ring_add(&rig->ring, seg, 130);
}
BAD_CHAIN_CASE(sum_over_4g, VHOSTX_BAD_LENGTH)

static int
add_too_many_segments(struct rig *rig, bool writable)
{
	static struct guest_seg seg[VHOSTX_SPILL + 2];

	for (uint32_t i = 0; i < RIG_NR(seg); i++)
		seg[i] = (struct guest_seg){ rig_slot(rig, 0) + i, 1, writable };
	return guest_ring_add(&rig->ring, seg, RIG_NR(seg));
}
BAD_CHAIN_CASE(too_many_segments, VHOSTX_BAD_CHAIN)

static int
add_next_past_table(struct rig *rig, bool writable)
{
	struct guest_desc d;
	const int id = add_two(rig, writable, 0, &d);

	d.id_next = rig->v.size;
	poke(rig, id, 0, &d);
	return id;
}
BAD_CHAIN_CASE(next_past_table, VHOSTX_BAD_CHAIN)

static int
add_next_far_past_table(struct rig *rig, bool writable)
{
	struct guest_desc d;
	const int id = add_two(rig, writable, 0, &d);

	d.id_next = UINT16_MAX;
	poke(rig, id, 0, &d);
	return id;
}
BAD_CHAIN_CASE(next_far_past_table, VHOSTX_BAD_CHAIN)

static int
add_loop_of_one(struct rig *rig, bool writable)
{
	struct guest_desc d;
	const int id = add_two(rig, writable, 0, &d);

	d.id_next = guest_ring_slot(&rig->ring, id, 0);
	poke(rig, id, 0, &d);
	return id;
}
BAD_CHAIN_CASE(loop_of_one, VHOSTX_BAD_CHAIN)

static int
add_loop_of_two(struct rig *rig, bool writable)
{
	struct guest_desc d;
	const int id = add_two(rig, writable, 1, &d);

	d.flags |= GUEST_DESC_NEXT;
	d.id_next = guest_ring_slot(&rig->ring, id, 0);
	poke(rig, id, 1, &d);
	return id;
}
BAD_CHAIN_CASE(loop_of_two, VHOSTX_BAD_CHAIN)

/* Empty buffers do not end a loop by filling the segments. */
static int
add_loop_of_nothing(struct rig *rig, bool writable)
{
	struct guest_desc d;
	const int id = add_two(rig, writable, 0, &d);

	d.id_next = guest_ring_slot(&rig->ring, id, 0);
	d.len = 0;
	poke(rig, id, 0, &d);
	return id;
}
BAD_CHAIN_CASE(loop_of_nothing, VHOSTX_BAD_CHAIN)


static void
test_ring_hostile_rx_drops_header_alone(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	const int id = add_one(rig, rig_slot(rig, 0), rig->v.hdr_len, false);

	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 1);
	rig_assert_returned(rig, id);
}

/* As long as 32 bits tell: with what an external buffer needs beside the packet they would tell of a short one. */
static void
test_ring_hostile_rx_regress_external_of_4g(void **state)
{
	struct rig *rig = *state;
	struct guest_seg seg[128];
	struct rte_mbuf *m;
	int id;

	rig->queue.ext = true;
	for (uint32_t i = 0; i < RIG_NR(seg); i++)
		seg[i] = (struct guest_seg){ RIG_DATA, RIG_DATA_LEN, false };
	seg[0].len--;
	id = guest_ring_add(&rig->ring, seg, RIG_NR(seg));
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	rig_assert_returned(rig, id);
}

/* CVE-2022-2132: the header over as many descriptors as it has bytes, with nothing and with one byte. */
static void
test_ring_hostile_rx_takes_header_in_bytes(void **state)
{
	struct rig *rig = *state;
	static const uint32_t one[] = { 1, 0 };
	struct guest_seg seg[13];
	struct rte_mbuf *m;

	for (uint32_t len = 0; len < 2; len++) {
		const uint32_t n = guest_net_cut(seg, 13, rig_slot(rig, 0), rig->v.hdr_len + len,
			one, 2, false);

		guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, len, 4);
		assert_true(guest_ring_add(&rig->ring, seg, n) >= 0);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), len);
	}
	rig_assert_mbuf(m, 1, 4);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 1);
}

/* The same for a buffer that is written: all 13 cuts of the header into two pieces, then into bytes. */
static void
test_ring_hostile_tx_writes_header_in_pieces(void **state)
{
	struct rig *rig = *state;
	struct guest_seg seg[80];

	for (uint32_t first = 1; first <= 14; first++) {
		const uint32_t cut[] = { first, first < 14 ? 80 : 1, 0 };
		const uint32_t pieces[] = { 1, 0 };
		const uint32_t n = guest_net_cut(seg, 80, rig_slot(rig, first), 72,
			first < 14 ? cut : pieces, 2, true);

		if (n > rig->v.size)
			continue;
		assert_true(guest_ring_add(&rig->ring, seg, n) >= 0);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(60, first)));
		rig_assert_frame(rig, 60, first, 1);
	}
}

/* A packed batch of net_vhost once took a buffer of 1 byte for one of 4 GiB. */
static void
test_ring_hostile_tx_skips_buffers_shorter_than_header(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[4];
	int id[8];
	uint16_t n = 0;

	for (uint32_t i = 0; i < 8; i++)
		id[i] = add_one(rig, rig_slot(rig, i), i % 2 ? 100 : 1 + i, true);
	for (uint32_t i = 0; i < 4; i++)
		pkts[i] = rig_mbuf(60, i);
	guest_ring_publish(&rig->ring);
	for (int k = 0; k < 10 && n < 4; k++)
		n += rig_tx(&rig->queue, &pkts[n], 4 - n);
	assert_int_equal(n, 4);
	for (uint32_t i = 0; i < 4; i++) {
		rig_assert_returned(rig, id[2 * i]);
		rig_assert_frame(rig, 60, i, 1);
	}
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 4);
}

/* Without mergeable buffers one of the header's length holds no frame; the frame is lost, not it. */
static void
test_ring_hostile_tx_plain_drops_frame_for_short_buffer(void **state)
{
	struct rig *rig = *state;

	add_one(rig, rig_slot(rig, 0), rig->v.hdr_len, true);
	guest_ring_publish(&rig->ring);
	assert_true(rig_tx_one(rig, rig_mbuf(60, 0)));
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	rig_assert_nothing_used(rig);
}

/* A bad buffer among those that a frame would be spread over: the ones before it go back unused. */
static void
test_ring_hostile_tx_merges_behind_bad_buffer(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m = rig_mbuf(250, 1);
	uint16_t n = 0;
	int id[3];

	id[0] = rig_post(rig, 0, 100);
	id[1] = rig_post(rig, 1, 100);
	id[2] = add_unmapped_buffer(rig, true);
	for (uint32_t i = 3; i < 6; i++)
		rig_post(rig, i, 100);
	guest_ring_publish(&rig->ring);
	for (int k = 0; k < 4 && n == 0; k++)
		n = rig_tx(&rig->queue, &m, 1);
	assert_int_equal(n, 1);
	for (uint32_t i = 0; i < 3; i++)
		rig_assert_returned(rig, id[i]);
	rig_assert_frame(rig, 250, 1, 3);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_ADDRESS], 1);
}

/* Nothing but bad chains: each burst ends, all of them come back, and no frame is lost with them. */
static void
test_ring_hostile_bad_chains_only(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m = rig_mbuf(60, 0);
	struct rte_mbuf *pkts[RIG_SLOTS];
	uint16_t id;
	uint32_t len;

	for (uint32_t lap = 0; lap < 2; lap++) {
		const uint32_t n = guest_ring_free(&rig->ring);

		for (uint32_t i = 0; i < n; i++)
			add_unmapped_buffer(rig, lap == 1);
		guest_ring_publish(&rig->ring);
		for (uint32_t k = 0; k < 2 * n; k++) {
			if (lap == 0)
				assert_int_equal(rig_rx(&rig->queue, pkts, RIG_SLOTS), 0);
			else
				assert_int_equal(rig_tx(&rig->queue, &m, 1), 0);
		}
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
		assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_ADDRESS], (lap + 1) * n);
	}
	rte_pktmbuf_free(m);
}

/* A frame that needs all of the ring waits for the chain that was wrong to come again: it is no longer than fits. */
static void
test_ring_hostile_tx_frame_of_whole_ring_waits(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = rig->v.size - 1;
	const int bad = add_one(rig, RIG_NOWHERE, 50, true);
	struct rte_mbuf *pkts[64] = { rig_mbuf(n * 50, 1) };

	for (uint32_t i = 1; i < RIG_NR(pkts); i++)
		pkts[i] = rig_mbuf(60, i);
	for (uint32_t i = 0; i < n; i++)
		rig_post(rig, i, 50);
	guest_ring_publish(&rig->ring);
	for (uint32_t k = 0; k < 3; k++)
		assert_int_equal(rig_tx(&rig->queue, pkts, RIG_NR(pkts)), 0);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 0);
	rig_assert_returned(rig, bad);
	rig_post(rig, n, 50);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, pkts, RIG_NR(pkts)), 1);
	rig_assert_frame(rig, n * 50, 1, n + 1);
	rte_pktmbuf_free_bulk(&pkts[1], RIG_NR(pkts) - 1);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_hostile_unmapped_buffer, is_small),
	RIG_CASE(test_ring_hostile_buffer_past_region, is_small),
	RIG_CASE(test_ring_hostile_buffer_past_second_region, is_small),
	RIG_CASE(test_ring_hostile_buffer_that_wraps, is_small),
	RIG_CASE(test_ring_hostile_regress_buffer_half_way_round, is_small),
	RIG_CASE(test_ring_hostile_longest_buffer, is_small),
	RIG_CASE(test_ring_hostile_empty_buffer, is_small),
	RIG_CASE(test_ring_hostile_empty_unmapped_buffer, is_small),
	RIG_CASE(test_ring_hostile_last_byte_of_region, is_small),
	RIG_CASE(test_ring_hostile_shorter_than_header, is_small),
	RIG_CASE(test_ring_hostile_bytes_shorter_than_header, is_small),
	RIG_CASE(test_ring_hostile_wrong_direction, is_small),
	RIG_CASE(test_ring_hostile_mixed_directions, is_small),
	RIG_CASE(test_ring_hostile_unmapped_second_buffer, is_small),
	RIG_CASE(test_ring_hostile_sum_over_4g, is_large),
	RIG_CASE(test_ring_hostile_too_many_segments, is_large),
	RIG_CASE(test_ring_hostile_next_past_table, is_small_split),
	RIG_CASE(test_ring_hostile_next_far_past_table, is_small_split),
	RIG_CASE(test_ring_hostile_loop_of_one, rig_is_split),
	RIG_CASE(test_ring_hostile_loop_of_two, rig_is_split),
	RIG_CASE(test_ring_hostile_loop_of_nothing, rig_is_split),
	RIG_CASE(test_ring_hostile_rx_drops_header_alone, is_small),
	RIG_CASE(test_ring_hostile_rx_regress_external_of_4g, is_large),
	RIG_CASE(test_ring_hostile_rx_takes_header_in_bytes, is_small),
	RIG_CASE(test_ring_hostile_tx_writes_header_in_pieces, NULL),
	RIG_CASE(test_ring_hostile_tx_skips_buffers_shorter_than_header, is_small),
	RIG_CASE(test_ring_hostile_tx_plain_drops_frame_for_short_buffer, is_small_plain),
	RIG_CASE(test_ring_hostile_tx_merges_behind_bad_buffer, is_small_mergeable),
	RIG_CASE(test_ring_hostile_bad_chains_only, NULL),
	RIG_CASE(test_ring_hostile_tx_frame_of_whole_ring_waits, is_small_mergeable),
};

int
main(void)
{
	return hostile_main("test_ring_hostile", cases, RIG_NR(cases));
}
