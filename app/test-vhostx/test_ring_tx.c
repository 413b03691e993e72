/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * tx bursts, host to guest, over good rings: every case runs on all kinds of ring, with the guest's side
 * of guest/ as the judge.
 */
#include "test_ring_cases.h"
#include "test_ring_packets.h"

static void
test_ring_tx_delivers_every_length(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 4 * RIG_NR(rig_lengths); i++) {
		const uint32_t len = rig_lengths[i % RIG_NR(rig_lengths)];

		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(len, i)));
		rig_assert_frame(rig, len, i, 1);
		rig_assert_nothing_used(rig);
	}
}

static void
test_ring_tx_fills_buffer_exactly(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < RIG_NR(rig_lengths); i++) {
		rig_post(rig, i, rig->v.hdr_len + rig_lengths[i]);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(rig_lengths[i], i)));
		rig_assert_frame(rig, rig_lengths[i], i, 1);
	}
}

/* A byte after the frame stays what the guest put there. */
static void
test_ring_tx_writes_no_more_than_the_frame(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < RIG_NR(rig_lengths) - 2; i++) {
		const uint64_t gpa = rig_slot(rig, i);
		const uint32_t end = rig->v.hdr_len + rig_lengths[i];
		const uint8_t *p = guest_mem_ptr(&rig->mem, gpa, RIG_SLOT_LEN);

		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(rig_lengths[i], i)));
		rig_assert_frame(rig, rig_lengths[i], i, 1);
		for (uint32_t k = end; k < RIG_SLOT_LEN; k++)
			assert_int_equal(p[k], 0xee);
	}
}

/* A header is right from its last use, or wrong in any of its bytes: afterwards it is right. */
static void
test_ring_tx_header_of_last_use(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 2 * rig->v.hdr_len; i++) {
		uint8_t *p = guest_mem_ptr(&rig->mem, rig_slot(rig, i), rig->v.hdr_len);

		rig_post(rig, i, RIG_SLOT_LEN);
		memset(p, 0, rig->v.hdr_len);
		if (rig->v.hdr_len == 12)
			p[10] = 1;
		if (i < rig->v.hdr_len)
			p[i] += 1 + i;
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(60, i)));
		rig_assert_frame(rig, 60, i, 1);
	}
}

static void
test_ring_tx_keeps_order_in_bursts(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[RIG_BURST];

	for (uint32_t k = 0; k < RIG_NR(rig_bursts) && rig_bursts[k] <= rig_capacity(rig); k++) {
		const uint32_t n = rig_bursts[k];

		for (uint32_t i = 0; i < n; i++) {
			rig_post(rig, i, RIG_SLOT_LEN);
			pkts[i] = rig_mbuf(60 + i, i);
		}
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_tx(&rig->queue, pkts, n), n);
		for (uint32_t i = 0; i < n; i++)
			rig_assert_frame(rig, 60 + i, i, 1);
		rig_assert_nothing_used(rig);
	}
}

static void
test_ring_tx_leaves_frames_without_buffers(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[5];

	for (uint32_t i = 0; i < 5; i++)
		pkts[i] = rig_mbuf(60, i);
	assert_int_equal(rig_tx(&rig->queue, pkts, 5), 0);
	rig_post(rig, 0, RIG_SLOT_LEN);
	rig_post(rig, 1, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, pkts, 5), 2);
	rig_assert_frame(rig, 60, 0, 1);
	rig_assert_frame(rig, 60, 1, 1);
	assert_int_equal(rig_tx(&rig->queue, &pkts[2], 3), 0);
	rig_post(rig, 2, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, &pkts[2], 3), 1);
	rig_assert_frame(rig, 60, 2, 1);
	/* The others are still the caller's. */
	rte_pktmbuf_free_bulk(&pkts[3], 2);
	assert_int_equal(rig->queue.count.packets, 3);
	assert_int_equal(rig->queue.count.bytes, 180);
	assert_true(rig->v.iommu || rig->queue.count.no_chain == 4);
}

/* To one station, and to a group. */
static void
test_ring_tx_counts(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[2] = { rig_mbuf(60, 0), rig_mbuf(1000, 1) };

	*rte_pktmbuf_mtod(pkts[0], uint8_t *) = 2;
	*rte_pktmbuf_mtod(pkts[1], uint8_t *) = 1;
	rig_post(rig, 0, RIG_SLOT_LEN);
	rig_post(rig, 1, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, pkts, 2), 2);
	assert_int_equal(rig->queue.count.packets, 2);
	assert_int_equal(rig->queue.count.bytes, 1060);
	assert_int_equal(rig->queue.count.sizes[vhostx_size_class(60)], 1);
	assert_int_equal(rig->queue.count.sizes[vhostx_size_class(1000)], 1);
	assert_int_equal(rig->queue.count.multicast, 1);
	assert_int_equal(rig->queue.count.no_chain, 0);
	for (uint32_t i = 0; i < VHOSTX_CAUSES; i++)
		assert_int_equal(rig->queue.count.drops[i], 0);
}

/* Beside one that goes into its pool as it is: one that somebody has too, one attached to it, one of another pool. */
static void
test_ring_tx_frees_each_as_it_is(void **state)
{
	static struct rte_mempool *other;
	struct rig *rig = *state;
	struct rte_mbuf *kept = rig_mbuf(60, 1), *pkts[2];

	if (other == NULL)
		other = rte_pktmbuf_pool_create("other", 7, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	assert_non_null(other);
	/* To one station, then to a group. */
	for (uint32_t i = 0; i < 6; i++) {
		pkts[0] = rig_mbuf(60, 0);
		pkts[1] = i % 3 == 0 ? kept : i % 3 == 1 ? rte_pktmbuf_clone(kept, rig_pool) :
			rte_pktmbuf_copy(kept, other, 0, UINT32_MAX);
		if (i % 3 == 0)
			rte_mbuf_refcnt_update(kept, 1);
		for (uint32_t k = 0; k < 2; k++)
			*rte_pktmbuf_mtod(pkts[k], uint8_t *) = i < 3 ? 2 : 1;
		rig_post(rig, 0, RIG_SLOT_LEN);
		rig_post(rig, 1, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_tx(&rig->queue, pkts, 2), 2);
		assert_int_equal(rte_mbuf_refcnt_read(kept), 1);
		assert_int_equal(rte_mempool_avail_count(other), 7);
		for (uint32_t k = 0; k < 2; k++)
			assert_int_equal(guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }), 1);
	}
	rte_pktmbuf_free(kept);
}

/* What was seen of the ring before it stopped is not what is there when it goes on. */
static void
test_ring_tx_goes_on_where_it_was(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[3];
	const char *why;

	if (rig_capacity(rig) < 4)
		return;
	for (uint32_t i = 0; i < 4; i++)
		rig_post(rig, i, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(rig_tx_one(rig, rig_mbuf(60, i)));
		rig_assert_frame(rig, 60, i, 1);
	}
	vhostx_queue_retire(&rig->queue);
	vhostx_ring_set_base(&rig->cursors, vhostx_ring_get_base(&rig->cursors, rig->snap.format));
	assert_int_equal(vhostx_ring_prepare(&rig->snap, &why), 0);
	vhostx_queue_publish(&rig->queue, &rig->snap);
	for (uint32_t i = 0; i < 3; i++)
		pkts[i] = rig_mbuf(60, 2 + i);
	assert_int_equal(rig_tx(&rig->queue, pkts, 3), 2);
	rig_assert_frame(rig, 60, 2, 1);
	rig_assert_frame(rig, 60, 3, 1);
	rig_assert_nothing_used(rig);
	rte_pktmbuf_free(pkts[2]);
}

static void
test_ring_tx_joins_mbuf_segments(void **state)
{
	static const uint32_t cuts[][6] = { { 1, 1, 1, 1, 300, 0 }, { 14, 20, 300, 0 },
		{ 500, 500, 500, 0 }, { 1999, 1, 0 }, { 60, 1, 1000, 0 }, { 7, 0 } };
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 60; i++) {
		const uint32_t len = 1 + i * 33;

		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf_cut(len, i, cuts[i % RIG_NR(cuts)])));
		rig_assert_frame(rig, len, i, 1);
	}
}

/* What a mbuf has beyond the length that it says is nobody's. */
static void
test_ring_tx_sends_no_more_than_the_length(void **state)
{
	static const uint32_t cut[] = { 60, 40, 0 };
	struct rig *rig = *state;
	const uint8_t *p = guest_mem_ptr(&rig->mem, rig_slot(rig, 0), RIG_SLOT_LEN);
	struct rte_mbuf *m = rig_mbuf_cut(100, 1, cut);

	m->pkt_len = 70;
	rig_post(rig, 0, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	assert_true(rig_tx_one(rig, m));
	rig_assert_frame(rig, 70, 1, 1);
	assert_int_equal(p[rig->v.hdr_len + 70], 0xee);
}

static void
test_ring_tx_sends_long_frames_in_long_buffers(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 65562);

	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t len = 9000 + 18000 * i;

		rig_post_at(rig, i, gpa, 65562);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(len, i)));
		rig_assert_frame(rig, len, i, 1);
	}
}

/* A frame over n buffers, which it fills to the last byte or all but. */
static void
test_ring_tx_merges_buffers(void **state)
{
	struct rig *rig = *state;
	const uint32_t most = RTE_MIN(rig_capacity(rig), 100u);
	const uint32_t buf = 100;

	for (uint32_t n = 1; n <= most; n += n < 6 ? 1 : 31) {
		for (uint32_t spare = 0; spare < 3; spare++) {
			const uint32_t len = n * buf - rig->v.hdr_len - spare;

			for (uint32_t i = 0; i < n; i++)
				rig_post(rig, i, buf);
			guest_ring_publish(&rig->ring);
			assert_true(rig_tx_one(rig, rig_mbuf(len, n)));
			rig_assert_frame(rig, len, n, n);
			rig_assert_nothing_used(rig);
		}
	}
}

/* The first buffers hold the header alone, or not much more. */
static void
test_ring_tx_merges_buffers_of_the_header(void **state)
{
	struct rig *rig = *state;

	for (uint32_t first = rig->v.hdr_len; first < rig->v.hdr_len + 4u; first++) {
		rig_post(rig, 0, first);
		rig_post(rig, 1, 200);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(100, first)));
		rig_assert_frame(rig, 100, first, 2);
	}
}

static void
test_ring_tx_merges_in_bursts(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = rig_capacity(rig) / 2;
	struct rte_mbuf *pkts[RIG_SLOTS];

	for (uint32_t i = 0; i < 2 * n; i++)
		rig_post(rig, i, 100);
	guest_ring_publish(&rig->ring);
	for (uint32_t i = 0; i < n; i++)
		pkts[i] = rig_mbuf(120, i);
	assert_int_equal(rig_tx(&rig->queue, pkts, n), n);
	for (uint32_t i = 0; i < n; i++)
		rig_assert_frame(rig, 120, i, 2);
	rig_assert_nothing_used(rig);
}

static void
test_ring_tx_merges_all_or_nothing(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m = rig_mbuf(150, 1);

	rig_post(rig, 0, 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, &m, 1), 0);
	rig_assert_nothing_used(rig);
	rig_post(rig, 1, 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, &m, 1), 1);
	rig_assert_frame(rig, 150, 1, 2);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 0);
}

/* A frame longer than all the buffers that the ring, or the driver, can ever hold at once. */
static void
test_ring_tx_merge_drops_what_never_fits(void **state)
{
	struct rig *rig = *state;
	const uint32_t whole = rig->v.size / rig_ndesc(rig);
	const uint32_t n = RTE_MIN(whole, VHOSTX_CHAINS + 40);
	const uint32_t held = RTE_MIN(n, VHOSTX_CHAINS);

	if (n == whole && rig->v.size % rig_ndesc(rig) != 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		rig_post(rig, i, 50);
	guest_ring_publish(&rig->ring);
	assert_true(rig_tx_one(rig, rig_mbuf(held * 50, 1)));
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	rig_assert_nothing_used(rig);
	/* The buffers are there for others. */
	for (uint32_t i = 0; i < n && i < 5; i++) {
		assert_true(rig_tx_one(rig, rig_mbuf(30, i)));
		rig_assert_frame(rig, 30, i, 1);
	}
}

/* Not even where a second buffer follows. */
static void
test_ring_tx_plain_drops_what_does_not_fit(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[3] = { rig_mbuf(101, 0), rig_mbuf(60, 1), rig_mbuf(100, 2) };

	rig_post(rig, 0, rig->v.hdr_len + 100);
	rig_post(rig, 1, rig->v.hdr_len + 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, pkts, 3), 3);
	rig_assert_frame(rig, 60, 1, 1);
	rig_assert_frame(rig, 100, 2, 1);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	assert_int_equal(rig->queue.count.packets, 2);
}

static void
test_ring_tx_splits_frame_over_two_regions(void **state)
{
	struct rig *rig = *state;

	for (uint32_t in_low = 1; in_low < 80; in_low++) {
		rig_post_at(rig, in_low, RIG_HIGH - in_low, 90);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(70, in_low)));
		rig_assert_frame(rig, 70, in_low, 1);
	}
}

/* Each pattern of buffers in two regions, and the one after it: a burst begins where the last one ended. */
static void
test_ring_tx_fills_buffers_of_any_region(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig_capacity(rig), RIG_MIXED);
	struct rte_mbuf *pkts[RIG_MIXED];

	for (uint32_t in = 0; in < 1u << n; in++) {
		for (uint32_t i = 0; i < n; i++) {
			rig_post_at(rig, i, rig_mixed(rig, in, i), 200);
			pkts[i] = rig_mbuf(60 + i, i);
		}
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_tx(&rig->queue, pkts, n), n);
		for (uint32_t i = 0; i < n; i++)
			rig_assert_frame(rig, 60 + i, i, 1);
	}
}

static void
test_ring_tx_disabled_takes_nothing(void **state)
{
	struct rig *rig = *state;

	rig->snap.enabled = false;
	rig_post(rig, 0, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	rig_assert_nothing_used(rig);
}

static bool
is_shreddable(const struct rig_variant *v)
{
	return rig_is_mergeable(v) && rig_is_indirect(v);
}

/* Supply n buffers of 16 pieces of 10 bytes each, more pieces than one fetch can take. */
static bool
post_shreds(struct rig *rig, uint32_t n)
{
	static const uint32_t ten[] = { 10, 0 };
	struct guest_seg seg[16];

	if (rig->v.size < n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(guest_mem_set(&rig->mem, rig_slot(rig, i), 0xee, 160), 0);
		assert_int_equal(guest_net_cut(seg, 16, rig_slot(rig, i), 160, ten, 0, true), 16);
		assert_true(rig_add_segs(rig, i, seg, 16) >= 0);
	}
	guest_ring_publish(&rig->ring);
	return true;
}

/* The frame needs more pieces than a fetch has room for: it stalled the queue for ever. */
static void
test_ring_tx_regress_stall_by_pieces(void **state)
{
	struct rig *rig = *state;

	if (!post_shreds(rig, 100))
		return;
	assert_true(rig_tx_one(rig, rig_mbuf(9000, 1)));
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	rig_assert_nothing_used(rig);
	assert_true(rig_tx_one(rig, rig_mbuf(60, 2)));
	rig_assert_frame(rig, 60, 2, 1);
}

/* Many such frames in a burst: the number of chains to fetch next ran over, and those behind were left. */
static void
test_ring_tx_regress_many_stalls_by_pieces(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[40];

	if (!post_shreds(rig, 100))
		return;
	for (uint32_t nb = 15; nb <= RIG_NR(pkts); nb++) {
		for (uint32_t i = 0; i < nb; i++)
			pkts[i] = rig_mbuf(9000, i);
		assert_int_equal(rig_tx(&rig->queue, pkts, nb), nb);
	}
	assert_true(rig_tx_one(rig, rig_mbuf(60, 2)));
	rig_assert_frame(rig, 60, 2, 1);
}

/* A fetch that its pieces cut short looked like an empty ring. */
static void
test_ring_tx_regress_burst_cut_by_pieces(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[64];

	if (!post_shreds(rig, 64))
		return;
	for (uint32_t i = 0; i < 64; i++)
		pkts[i] = rig_mbuf(60, i);
	assert_int_equal(rig_tx(&rig->queue, pkts, 64), 64);
	for (uint32_t i = 0; i < 64; i++)
		rig_assert_frame(rig, 60, i, 1);
}

/* The address may lie in several segments. */
static void
test_ring_tx_regress_counts_broadcast_in_pieces(void **state)
{
	static const uint32_t cut[] = { 3, 2, 55, 0 };
	struct rig *rig = *state;
	struct rte_mbuf *m;

	/* To a group, then to all. */
	for (uint32_t i = 0; i < 2; i++) {
		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		m = rig_mbuf_cut(60, 1, cut);
		memset(rte_pktmbuf_mtod(m, void *), 0xff, 3);
		memset(rte_pktmbuf_mtod(m->next, void *), i == 0 ? 0 : 0xff, 2);
		memset(rte_pktmbuf_mtod(m->next->next, void *), 0xff, 1);
		assert_true(rig_tx_one(rig, m));
	}
	assert_int_equal(rig->queue.count.multicast, 1);
	assert_int_equal(rig->queue.count.broadcast, 1);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_tx_delivers_every_length, NULL),
	RIG_CASE(test_ring_tx_fills_buffer_exactly, NULL),
	RIG_CASE(test_ring_tx_writes_no_more_than_the_frame, NULL),
	RIG_CASE(test_ring_tx_header_of_last_use, NULL),
	RIG_CASE(test_ring_tx_keeps_order_in_bursts, NULL),
	RIG_CASE(test_ring_tx_leaves_frames_without_buffers, NULL),
	RIG_CASE(test_ring_tx_counts, rig_is_flat),
	RIG_CASE(test_ring_tx_frees_each_as_it_is, rig_is_no_event),
	RIG_CASE(test_ring_tx_goes_on_where_it_was, NULL),
	RIG_CASE(test_ring_tx_joins_mbuf_segments, NULL),
	RIG_CASE(test_ring_tx_sends_no_more_than_the_length, NULL),
	RIG_CASE(test_ring_tx_sends_long_frames_in_long_buffers, rig_is_no_event),
	RIG_CASE(test_ring_tx_merges_buffers, rig_is_mergeable),
	RIG_CASE(test_ring_tx_merges_buffers_of_the_header, rig_is_mergeable),
	RIG_CASE(test_ring_tx_merges_in_bursts, rig_is_mergeable),
	RIG_CASE(test_ring_tx_merges_all_or_nothing, rig_is_mergeable),
	RIG_CASE(test_ring_tx_merge_drops_what_never_fits, rig_is_mergeable),
	RIG_CASE(test_ring_tx_plain_drops_what_does_not_fit, rig_is_plain),
	RIG_CASE(test_ring_tx_splits_frame_over_two_regions, rig_is_no_event),
	RIG_CASE(test_ring_tx_fills_buffers_of_any_region, rig_is_no_event),
	RIG_CASE(test_ring_tx_disabled_takes_nothing, NULL),
	RIG_CASE(test_ring_tx_regress_stall_by_pieces, is_shreddable),
	RIG_CASE(test_ring_tx_regress_many_stalls_by_pieces, is_shreddable),
	RIG_CASE(test_ring_tx_regress_burst_cut_by_pieces, is_shreddable),
	RIG_CASE(test_ring_tx_regress_counts_broadcast_in_pieces, rig_is_no_event),
};

int
main(void)
{
	return rig_main("test_ring_tx", cases, RIG_NR(cases));
}
