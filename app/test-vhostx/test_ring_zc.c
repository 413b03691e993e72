/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * rx bursts of a zero-copy ring: what is lent, and how it comes back, on all kinds of ring, with the guest's side
 * of guest/ as the judge.
 */
#include "test_ring_zc.h"

static void
test_ring_zc_lends_and_returns(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < 3u * rig->v.size && i < 300; i++) {
		const uint32_t len = 512 + i % 1000;
		const int id = pass_one(rig, i, len, &m);

		assert_true(is_lent(rig, m));
		assert_int_equal(m->nb_segs, 2);
		assert_int_equal(m->data_len, VHOSTX_ZC_HEADER);
		/* No device was told of it. */
		assert_true(rte_mbuf_iova_get(m->next) == RTE_BAD_IOVA);
		poll_nothing(rig);
		rig_assert_nothing_used(rig);
		rig_assert_mbuf(m, len, i);
		rig_assert_nothing_used(rig);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_LENT], rig->queue.count.packets);
	drop_table(rig);
}

/* A pool's mbuf has whatever data_off its last user left there. */
static void
test_ring_zc_takes_mbufs_as_they_are(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m, *used[8];
	int id;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < RTE_DIM(used); i++) {
		assert_int_equal(rte_pktmbuf_alloc_bulk(rig_pool, used, RTE_DIM(used)), 0);
		for (uint32_t k = 0; k < RTE_DIM(used); k++)
			used[k]->data_off = k;
		rte_pktmbuf_free_bulk(used, RTE_DIM(used));
		id = pass_one(rig, i % 5, LONG, &m);
		assert_true(is_lent(rig, m));
		assert_true(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, i % 5, 0));
		rte_pktmbuf_free(m);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	drop_table(rig);
}

/* As many as the ring takes, freed from the last to the first: they come back in that order, or its groups'. */
static void
test_ring_zc_returns_in_any_order(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig_capacity(rig), 200u);
	struct rte_mbuf *pkts[200];
	uint32_t len;
	uint16_t id;

	use_table(rig, 512, 100, false);
	for (uint32_t lap = 0; lap < 3; lap++) {
		for (uint32_t i = 0; i < n; i++)
			rig_send(rig, i, LONG);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, pkts, n), n);
		for (uint32_t i = n; i-- > 0;) {
			rig_assert_mbuf(pkts[i], LONG, i);
			poll_nothing(rig);
			assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
			assert_int_equal(len, 0);
		}
		rig_assert_nothing_used(rig);
		assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	}
	drop_table(rig);
}

/* The bytes that a checker has seen stay what they were; those behind them are the guest's to change. */
static void
test_ring_zc_header_is_safe_from_guest(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	pass_one(rig, 1, LONG, &m);
	assert_int_equal(guest_mem_set(&rig->mem, rig_slot(rig, 1), 0x5a, rig->v.hdr_len + LONG), 0);
	assert_true(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), VHOSTX_ZC_HEADER, 1, 0));
	assert_int_equal(*rte_pktmbuf_mtod(m->next, uint8_t *), 0x5a);
	/* And what the application writes there does not reach the guest. */
	memset(rte_pktmbuf_mtod(m, void *), 0, VHOSTX_ZC_HEADER);
	assert_int_equal(*(uint8_t *)guest_mem_ptr(&rig->mem, rig_slot(rig, 1) + rig->v.hdr_len, 1), 0x5a);
	rte_pktmbuf_free(m);
	drop_table(rig);
}

static void
test_ring_zc_clone_keeps_buffer(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m, *clone;
	int id;

	use_table(rig, 512, 100, false);
	id = pass_one(rig, 1, LONG, &m);
	clone = rte_pktmbuf_clone(m, rig_pool);
	assert_non_null(clone);
	rte_pktmbuf_free(m);
	poll_nothing(rig);
	rig_assert_nothing_used(rig);
	assert_true(guest_net_matches(rte_pktmbuf_mtod(clone->next, uint8_t *), LONG - VHOSTX_ZC_HEADER, 1,
		VHOSTX_ZC_HEADER));
	rte_pktmbuf_free(clone);
	poll_nothing(rig);
	rig_assert_returned(rig, id);
	drop_table(rig);
}

/* Cut as rte_gso cuts: each segment attaches a part of what was lent, and the last of them keeps it out. */
static void
test_ring_zc_segments_keep_buffer(void **state)
{
	struct rig *rig = *state;
	const uint32_t part = (LONG - VHOSTX_ZC_HEADER) / 4;
	struct rte_mbuf *m, *segs[4];
	int id;

	use_table(rig, 512, 100, false);
	id = pass_one(rig, 1, LONG, &m);
	/* Some chains have more pieces than one, of which the first may be short. */
	for (uint32_t i = 0; i < RTE_DIM(segs); i++) {
		segs[i] = rte_pktmbuf_alloc(rig_pool);
		rte_pktmbuf_attach(segs[i], m->next);
		segs[i]->data_off = m->next->data_off + RTE_MIN(i * part, m->next->data_len - 1u);
		segs[i]->data_len = RTE_MIN(part, m->next->data_len - (segs[i]->data_off - m->next->data_off));
	}
	rte_pktmbuf_free(m);
	for (uint32_t i = RTE_DIM(segs); i-- > 0;) {
		poll_nothing(rig);
		rig_assert_nothing_used(rig);
		assert_true(guest_net_matches(rte_pktmbuf_mtod(segs[i], uint8_t *), segs[i]->data_len, 1,
			VHOSTX_ZC_HEADER + segs[i]->data_off));
		rte_pktmbuf_free(segs[i]);
	}
	poll_nothing(rig);
	rig_assert_returned(rig, id);
	drop_table(rig);
}

/* One segment, nothing copied, and no headroom: what is in front of it is the guest's header. */
static void
test_ring_zc_linear_lends_whole(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	rig->queue.linear = true;
	use_table(rig, 60, 100, true);
	id = pass_one(rig, 1, LONG, &m);
	assert_int_equal(m->nb_segs, 1);
	/* Several pieces cannot be one segment. */
	assert_int_equal(is_lent(rig, m), rig->v.layout == RIG_DIRECT);
	if (is_lent(rig, m)) {
		assert_int_equal(rte_pktmbuf_headroom(m), 0);
		assert_int_equal(rte_pktmbuf_tailroom(m), 0);
	} else {
		assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_SHAPE], 1);
	}
	assert_int_equal(m->data_len, LONG);
	assert_true(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), LONG, 1, 0));
	rte_pktmbuf_free(m);
	poll_nothing(rig);
	rig_assert_returned(rig, id);
	drop_table(rig);
}

/* A mbuf's length has 16 bits: longer buffers are lent by several mbufs. */
static void
test_ring_zc_splits_long_buffers(void **state)
{
	static const uint32_t lengths[] = { 65535, 65536, 65535 + VHOSTX_ZC_HEADER, 65536 + VHOSTX_ZC_HEADER,
		131072, VHOSTX_PACKET_MAX };
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, VHOSTX_PACKET_MAX + 12);
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < RIG_NR(lengths); i++) {
		const int id = rig_send_from(rig, i, gpa, lengths[i]);

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_true(is_lent(rig, m));
		rig_assert_mbuf(m, lengths[i], i);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	drop_table(rig);
}

/* A buffer that crosses regions is lent in pieces; the slot counts in both. */
static void
test_ring_zc_crosses_regions(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	const uint64_t gpa = RIG_HIGH - rig->v.hdr_len - 600;
	struct rte_mbuf *m;
	uint32_t in = 0;
	int id;

	id = rig_send_from(rig, 1, gpa, LONG);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_true(is_lent(rig, m));
	for (uint32_t i = 0; i < zc->nr_regions; i++)
		in += zc->region[i].out;
	assert_int_equal(in, 2);
	rig_assert_mbuf(m, LONG, 1);
	poll_nothing(rig);
	rig_assert_returned(rig, id);
	drop_table(rig);
}

/* From the threshold on, be it to one station, to a group or to all; what is lent is counted as what is copied is. */
static void
test_ring_zc_counts_what_is_lent(void **state)
{
	static const uint8_t to[][6] = { { 2 }, { 1 }, { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct rig *rig = *state;
	const struct vhostx_counters *count = &rig->queue.count;
	struct rte_mbuf *kept, *m;

	use_table(rig, 512, 100, false);
	pass_one(rig, 0, LONG, &kept);
	memset(&rig->queue.count, 0, sizeof(*count));
	for (uint32_t i = 0; i < 9; i++) {
		const uint32_t len = 511 + i % 3;
		const int id = rig_send(rig, 1, len);

		guest_mem_write(&rig->mem, rig_slot(rig, 1) + rig->v.hdr_len, to[i / 3], sizeof(to[0]));
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_int_equal(is_lent(rig, m), len >= 512);
		rte_pktmbuf_free(m);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	assert_int_equal(count->packets, 9);
	assert_int_equal(count->bytes, 9 * 512);
	assert_int_equal(count->sizes[vhostx_size_class(511)], 3);
	assert_int_equal(count->sizes[vhostx_size_class(512)], 6);
	assert_int_equal(count->multicast, 3);
	assert_int_equal(count->broadcast, 3);
	assert_int_equal(count->zc[VHOSTX_ZC_LENT], 6);
	assert_int_equal(count->zc[VHOSTX_ZC_SHORT], 3);
	rig_assert_mbuf(kept, LONG, 0);
	drop_table(rig);
}

/* Below the threshold, and longer than a mbuf: copied into several. */
static void
test_ring_zc_copies_into_chained_mbufs(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 5012);
	const uint64_t kept_gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 5012);
	struct rte_mbuf *kept, *m;

	use_table(rig, 5000, 100, false);
	rig_send_from(rig, 0, kept_gpa, 5000);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &kept, 1), 1);
	assert_true(is_lent(rig, kept));
	for (uint32_t i = 0; i < 16; i++) {
		const uint32_t len = RIG_ROOM - 1 + i / 4;
		const int id = rig_send_from(rig, i, gpa, len);

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_int_equal(m->nb_segs, len <= RIG_ROOM ? 1 : 2);
		rig_assert_mbuf(m, len, i);
		rig_assert_returned(rig, id);
	}
	rig_assert_mbuf(kept, 5000, 0);
	drop_table(rig);
}

/* A head that is out may not be offered again: that ring stops, and what was whole arrives. */
static void
test_ring_zc_stops_at_head_that_is_out(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *kept, *pkts[4];
	int id;

	if (rig_capacity(rig) < 3)
		return;
	use_table(rig, 512, 100, false);
	id = pass_one(rig, 1, LONG, &kept);
	rig_send(rig, 2, LONG);
	rig_send(rig, 3, 60);
	if (rig->v.format == GUEST_SPLIT) {
		guest_ring_poke_avail(&rig->ring, rig->v.base + 2, id);
	} else {
		const uint16_t slot = guest_ring_slot(&rig->ring, id, 0);
		const uint16_t at = (slot + 3u * rig_ndesc(rig) - 1) % rig->v.size;
		struct guest_desc d = guest_ring_peek(&rig->ring, at);

		d.id_next = id;
		guest_ring_poke(&rig->ring, at, &d);
	}
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	rig_assert_mbuf(pkts[0], LONG, 2);
	assert_int_equal(rig->cursors.fault, VHOSTX_BAD_HEAD);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_HEAD], 1);
	assert_int_equal(rig->queue.count.nombuf, 0);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 0);
	rig_assert_mbuf(kept, LONG, 1);
	assert_true(vhostx_zc_is_back(rig->snap.zc));
	drop_table(rig);
}

/* A ring that is disabled discards what is sent, and takes back what is out; for that alone the guest is called. */
static void
test_ring_zc_disabled_returns(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	use_table(rig, 512, 100, false);
	guest_ring_calls(&rig->ring, true);
	id = pass_one(rig, 1, LONG, &m);
	rig->snap.enabled = false;
	poll_nothing(rig);
	assert_int_equal(rig_signals(rig->callfd), 0);
	rig_assert_mbuf(m, LONG, 1);
	poll_nothing(rig);
	assert_int_equal(rig_signals(rig->callfd), 1);
	rig_assert_returned(rig, id);
	drop_table(rig);
}

/* The guest is called for what comes back, not for what goes out. */
static void
test_ring_zc_calls_for_what_returns(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	guest_ring_calls(&rig->ring, true);
	pass_one(rig, 1, LONG, &m);
	assert_int_equal(rig_signals(rig->callfd), 0);
	rig_assert_mbuf(m, LONG, 1);
	poll_nothing(rig);
	assert_int_equal(rig_signals(rig->callfd), 1);
	poll_nothing(rig);
	assert_int_equal(rig_signals(rig->callfd), 0);
	drop_table(rig);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_zc_lends_and_returns, any_order),
	RIG_CASE(test_ring_zc_returns_in_any_order, any_order),
	RIG_CASE(test_ring_zc_header_is_safe_from_guest, any_order),
	RIG_CASE(test_ring_zc_clone_keeps_buffer, any_order),
	RIG_CASE(test_ring_zc_takes_mbufs_as_they_are, any_order),
	RIG_CASE(test_ring_zc_segments_keep_buffer, any_order),
	RIG_CASE(test_ring_zc_linear_lends_whole, any_order),
	RIG_CASE(test_ring_zc_splits_long_buffers, some),
	RIG_CASE(test_ring_zc_crosses_regions, any_order),
	RIG_CASE(test_ring_zc_counts_what_is_lent, any_order),
	RIG_CASE(test_ring_zc_copies_into_chained_mbufs, some),
	RIG_CASE(test_ring_zc_stops_at_head_that_is_out, any_order),
	RIG_CASE(test_ring_zc_disabled_returns, any_order),
	RIG_CASE(test_ring_zc_calls_for_what_returns, any_order),
};

int
main(void)
{
	return rig_main_on("test_ring_zc", cases, RIG_NR(cases), false);
}
