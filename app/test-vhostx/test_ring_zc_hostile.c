/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * rx bursts of a zero-copy ring whose guest sends what does not fit the books: pieces, regions, ids, more than may
 * be out.
 */
#include "test_ring_zc.h"

#define RIG_R_HIGH (RIG_R_TABLES + 2)

/* As many pieces as a packet may have are lent, one more is copied, and so are more than there are mbufs at hand. */
static void
test_ring_zc_copies_too_many_pieces(void **state)
{
	static const uint32_t pieces[] = { VHOSTX_ZC_PIECES, VHOSTX_ZC_PIECES + 1, 300 };
	struct rig *rig = *state;
	const uint32_t cut[] = { rig->v.hdr_len + VHOSTX_ZC_HEADER + 1u, 4, 0 };
	struct guest_seg seg[300];
	struct rte_mbuf *m;

	use_table(rig, 256, 100, false);
	for (uint32_t i = 0; i < RIG_NR(pieces) && pieces[i] <= rig->v.size; i++) {
		const uint32_t len = VHOSTX_ZC_HEADER + 1 + (pieces[i] - 1) * 4;
		const uint32_t n = guest_net_cut(seg, RIG_NR(seg), rig_slot(rig, i), rig->v.hdr_len + len, cut, 0, false);
		int id;

		assert_int_equal(n, pieces[i]);
		guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, len, i);
		id = guest_ring_add(&rig->ring, seg, n);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_int_equal(is_lent(rig, m), i == 0);
		assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_SHAPE], i);
		rig_assert_mbuf(m, len, i);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	drop_table(rig);
}

/* Guest: a frame of 1000 bytes in these pieces, the header in front. */
static void
send_pieces(struct rig *rig, uint32_t i, const struct guest_seg *seg, uint32_t n)
{
	guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, 1000, i);
	assert_true(guest_ring_add(&rig->ring, seg, n) >= 0);
}

/* The same, the bytes from @a at on in another region. */
static void
send_across(struct rig *rig, uint32_t i, uint32_t at)
{
	const struct guest_seg seg[] = { { rig_slot(rig, i), rig->v.hdr_len + at, false },
		{ RIG_HIGH + i * 1000, 1000 - at, false } };

	send_pieces(rig, i, seg, 2);
}

/* Each region has what is out of it, wherever the last buffer of a burst was found: it may be taken away by that. */
static void
test_ring_zc_counts_regions_of_a_burst(void **state)
{
	struct rig *rig = *state;
	const struct guest_seg high = { RIG_HIGH + 4000, rig->v.hdr_len + 1000, false };
	const struct guest_seg data = { rig_slot(rig, 3), rig->v.hdr_len + 1000, false };
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	struct rte_mbuf *pkts[4];

	send_across(rig, 0, 500);
	send_pieces(rig, 1, &high, 1);
	send_across(rig, 2, 200);
	send_pieces(rig, 3, &data, 1);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_true(is_lent(rig, pkts[i]));
	assert_int_equal(zc->region[zc->region_of[RIG_R_DATA]].out, 3);
	assert_int_equal(zc->region[zc->region_of[RIG_R_HIGH]].out, 3);
	for (uint32_t i = 0; i < 4; i++)
		rig_assert_mbuf(pkts[i], 1000, i);
	drop_table(rig);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }), 1);
}

/* A slot has room for two regions: what is in three is copied. */
static void
test_ring_zc_copies_what_is_in_three_regions(void **state)
{
	struct rig *rig = *state;
	const struct guest_seg seg[] = { { rig_slot(rig, 0), rig->v.hdr_len + 400, false }, { RIG_LOW, 300, false },
		{ RIG_HIGH, 300, false } };
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	send_pieces(rig, 0, seg, 3);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_false(is_lent(rig, m));
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_SHAPE], 1);
	rig_assert_mbuf(m, 1000, 0);
	drop_table(rig);
}

/* There is no slot for an id past the ring. */
static void
test_ring_zc_copies_id_past_the_ring(void **state)
{
	static const uint16_t past[] = { 0, 1, UINT16_MAX };
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < RIG_NR(past); i++) {
		const int id = rig_send(rig, i, LONG);
		const uint16_t at = guest_ring_slot(&rig->ring, id, rig_ndesc(rig) - 1);
		struct guest_desc d = guest_ring_peek(&rig->ring, at);

		d.id_next = past[i] == UINT16_MAX ? UINT16_MAX : rig->v.size + past[i];
		guest_ring_poke(&rig->ring, at, &d);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_false(is_lent(rig, m));
		assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_SHAPE], i + 1);
		rig_assert_mbuf(m, LONG, i);
	}
	assert_int_equal(rig->cursors.fault, VHOSTX_NO_CAUSE);
	drop_table(rig);
}

/* What comes back with such an id is nothing that the guest has sent: its entries are not free again. */
static bool
is_roomy_packed(const struct rig_variant *v)
{
	return some(v) && rig_is_packed(v) && (v->layout != RIG_CHAINED || v->size >= 9);
}

/* A burst of more than may be out: the rest is copied. */
static void
check_limit(struct rig *rig, bool linear)
{
	const uint32_t n = RTE_MIN(rig_capacity(rig), 60u), ndesc = rig_ndesc(rig);
	struct vhostx_zc *zc = use_table(rig, 512, 100, linear);
	const uint32_t most = n / 2;
	struct rte_mbuf *pkts[60];
	uint32_t lent = 0;

	zc->limit = most * ndesc;
	for (uint32_t i = 0; i < n; i++)
		rig_send(rig, i, LONG);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, n), n);
	for (uint32_t i = 0; i < n; i++)
		lent += is_lent(rig, pkts[i]);
	if (!linear || rig->v.layout == RIG_DIRECT)
		assert_int_equal(lent, most);
	assert_true(zc->out_entries <= zc->limit);
	rte_pktmbuf_free_bulk(pkts, n);
	drop_table(rig);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }), 1);
}

static void
test_ring_zc_burst_ends_at_limit(void **state)
{
	check_limit(*state, false);
	check_limit(*state, true);
}

/* Whatever the threshold, what is no whole Ethernet header is not lent. */
static void
test_ring_zc_linear_copies_runts(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 0, 100, true);
	for (uint32_t len = 1; len <= VHOSTX_ZC_SHORTEST; len++) {
		const int id = pass_one(rig, len, len, &m);

		assert_int_equal(is_lent(rig, m), len == VHOSTX_ZC_SHORTEST);
		rte_pktmbuf_free(m);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	drop_table(rig);
}

/*
 * While something is out the chains of a burst are looked at one by one: no byte behind the end of memory, where the
 * shortest frames are, and a header alone is no packet.
 */
static void
test_ring_zc_takes_shortest_at_end_of_memory(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *kept, *m;

	use_table(rig, 512, 100, false);
	pass_one(rig, 0, LONG, &kept);
	for (uint32_t len = 0; len < 8; len++) {
		const uint64_t gpa = RIG_HIGH - rig->v.hdr_len - len;
		const int id = rig_send_from(rig, 1, gpa, len);

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), len != 0);
		if (len != 0)
			rig_assert_mbuf(m, len, 1);
		rig_assert_returned(rig, id);
	}
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 1);
	assert_int_equal(rig->queue.count.packets, 8);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_SHORT], 7);
	rig_assert_mbuf(kept, LONG, 0);
	drop_table(rig);
}

/* The longest that one segment can be. */
static void
test_ring_zc_linear_lends_up_to_16_bits(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 70000);
	struct rte_mbuf *m;

	rig->queue.linear = true;
	use_table(rig, 512, 100, true);
	for (uint32_t len = UINT16_MAX - 1; len <= UINT16_MAX + 2; len++) {
		const int id = rig_send_from(rig, 1, gpa, len);

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), len <= UINT16_MAX);
		if (len <= UINT16_MAX) {
			assert_int_equal(m->data_len, len);
			assert_true(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), len, 1, 0));
			rte_pktmbuf_free(m);
			poll_nothing(rig);
		}
		rig_assert_returned(rig, id);
	}
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 2);
	drop_table(rig);
}

/* Guest: a chain of two buffers, of @a len bytes in memory and of 100 at @a gpa. Returns its id. */
static int
send_two(struct rig *rig, uint32_t len, uint64_t gpa)
{
	const struct guest_seg seg[] = { { rig_slot(rig, 1), len, false }, { gpa, 100, false } };
	const int id = guest_ring_add(&rig->ring, seg, 2);

	assert_true(id >= 0);
	return id;
}

/* Chains without a packet, alone and in front of one, are dropped, not lent, and not counted as copied. */
static void
expect_drops(struct rig *rig)
{
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, VHOSTX_PACKET_MAX + 13);
	const struct guest_seg part = { rig_slot(rig, 1), rig->v.hdr_len - 1, false };
	uint64_t zc[VHOSTX_ZC_REASONS];
	struct rte_mbuf *m;

	memcpy(zc, rig->queue.count.zc, sizeof(zc));
	memset(rig->queue.count.drops, 0, sizeof(rig->queue.count.drops));
	for (uint32_t i = 0; i < 4; i++) {
		const int id = i == 0 ? guest_ring_add(&rig->ring, &part, 1) :
			i == 1 ? rig_send_from(rig, 1, gpa, VHOSTX_PACKET_MAX + 1) :
			send_two(rig, i == 2 ? LONG : 100, RIG_NOWHERE);

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
		rig_assert_returned(rig, id);
	}
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 1);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_ADDRESS], 2);
	assert_memory_equal(zc, rig->queue.count.zc, sizeof(zc));
}

/* Be it that nothing was lent yet, that the last packet was copied, or that something is out. */
static void
test_ring_zc_drops_what_has_no_packet(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	expect_drops(rig);
	rig_assert_returned(rig, pass_one(rig, 0, 60, &m));
	rig_assert_mbuf(m, 60, 0);
	expect_drops(rig);
	pass_one(rig, 0, LONG, &m);
	expect_drops(rig);
	rig_assert_mbuf(m, LONG, 0);
	drop_table(rig);
}

static bool
is_some_direct(const struct rig_variant *v)
{
	return some(v) && v->layout == RIG_DIRECT;
}

/* Offer a frame that the ring stops at: the index is too far ahead, or its chain has no end. */
static void
send_fatal(struct rig *rig)
{
	struct guest_desc d;

	rig_send(rig, 2, 60);
	guest_ring_publish(&rig->ring);
	if (rig->v.format == GUEST_SPLIT) {
		guest_ring_poke_avail_idx(&rig->ring, rig->v.base + rig->v.size + 2);
		return;
	}
	for (uint16_t i = 0; i < rig->v.size; i++) {
		d = guest_ring_peek(&rig->ring, i);
		d.flags |= GUEST_DESC_NEXT;
		guest_ring_poke(&rig->ring, i, &d);
	}
}

/* What came back is the guest's again, and it is called for it, even if its ring stops in the same burst. */
static void
test_ring_zc_ring_that_stops_returns(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	use_table(rig, 512, 100, false);
	guest_ring_calls(&rig->ring, true);
	id = pass_one(rig, 1, LONG, &m);
	send_fatal(rig);
	rig_assert_mbuf(m, LONG, 1);
	poll_nothing(rig);
	assert_true(rig->cursors.fault != VHOSTX_NO_CAUSE);
	rig_assert_returned(rig, id);
	assert_int_equal(rig_signals(rig->callfd), 1);
	drop_table(rig);
}

/* Nothing is lent while too much of earlier lives is out. */
static void
test_ring_zc_copies_while_held(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	struct rte_mbuf *m;

	zc->held = true;
	pass_one(rig, 1, LONG, &m);
	assert_false(is_lent(rig, m));
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_HELD], 1);
	rig_assert_mbuf(m, LONG, 1);
	drop_table(rig);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_zc_copies_too_many_pieces, some),
	RIG_CASE(test_ring_zc_counts_regions_of_a_burst, some),
	RIG_CASE(test_ring_zc_copies_what_is_in_three_regions, some),
	RIG_CASE(test_ring_zc_copies_id_past_the_ring, is_roomy_packed),
	RIG_CASE(test_ring_zc_burst_ends_at_limit, some),
	RIG_CASE(test_ring_zc_linear_copies_runts, some),
	RIG_CASE(test_ring_zc_takes_shortest_at_end_of_memory, some),
	RIG_CASE(test_ring_zc_drops_what_has_no_packet, some),
	RIG_CASE(test_ring_zc_linear_lends_up_to_16_bits, is_some_direct),
	RIG_CASE(test_ring_zc_ring_that_stops_returns, any_order),
	RIG_CASE(test_ring_zc_copies_while_held, some),
};

int
main(void)
{
	return rig_main_on("test_ring_zc_hostile", cases, RIG_NR(cases), false);
}
