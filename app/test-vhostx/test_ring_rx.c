/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * rx bursts, guest to host, over good rings: every case runs on all kinds of ring, with the guest's side
 * of guest/ as the judge.
 */
#include "test_ring_cases.h"
#include "test_ring_packets.h"

static void
test_ring_rx_delivers_every_length(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 4 * RIG_NR(rig_lengths); i++) {
		const uint32_t len = rig_lengths[i % RIG_NR(rig_lengths)];
		const int id = rig_send(rig, i, len);
		struct rte_mbuf *m;

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_int_equal(m->nb_segs, 1);
		rig_assert_mbuf(m, len, i);
		rig_assert_returned(rig, id);
		rig_assert_nothing_used(rig);
	}
}

static void
test_ring_rx_keeps_order_in_bursts(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[RIG_BURST];
	int id[RIG_BURST];

	for (uint32_t k = 0; k < RIG_NR(rig_bursts) && rig_bursts[k] <= rig_capacity(rig); k++) {
		const uint32_t n = rig_bursts[k];

		for (uint32_t i = 0; i < n; i++)
			id[i] = rig_send(rig, i, 60 + i);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, pkts, RIG_BURST), n);
		for (uint32_t i = 0; i < n; i++) {
			rig_assert_mbuf(pkts[i], 60 + i, i);
			rig_assert_returned(rig, id[i]);
		}
		rig_assert_nothing_used(rig);
	}
}

static void
test_ring_rx_leaves_what_was_not_asked_for(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[2];

	rig_send(rig, 0, 60);
	rig_send(rig, 1, 61);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 0), 0);
	assert_int_equal(rig_rx(&rig->queue, pkts, 1), 1);
	rig_assert_mbuf(pkts[0], 60, 0);
	assert_int_equal(rig_rx(&rig->queue, pkts, 2), 1);
	rig_assert_mbuf(pkts[0], 61, 1);
	assert_int_equal(rig_rx(&rig->queue, pkts, 2), 0);
}

static void
test_ring_rx_sees_published_only(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	rig_send(rig, 0, 60);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 60, 0);
}

static void
test_ring_rx_empties_full_ring(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = rig_capacity(rig);
	struct rte_mbuf *pkts[RIG_SLOTS];

	for (uint32_t lap = 0; lap < 3; lap++) {
		for (uint32_t i = 0; i < n; i++)
			rig_send(rig, i, 100);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, pkts, RIG_SLOTS), n);
		for (uint32_t i = 0; i < n; i++) {
			uint16_t id;
			uint32_t len;

			rig_assert_mbuf(pkts[i], 100, i);
			assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
		}
	}
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
}

static void
test_ring_rx_chains_mbufs_for_long_frames(void **state)
{
	static const uint32_t long_lengths[] = { 2049, 4096, 4097, 9000, 65535, 65536, 200000,
		VHOSTX_PACKET_MAX };
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, VHOSTX_PACKET_MAX + 12);

	for (uint32_t i = 0; i < RIG_NR(long_lengths); i++) {
		const uint32_t len = long_lengths[i];
		/* Segments after the first have no headroom to keep. */
		const int id = rig_send_from(rig, i, gpa, len);
		struct rte_mbuf *m;

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_true(m->nb_segs >= (len + RIG_ROOM - 1) / RIG_ROOM);
		rig_assert_mbuf(m, len, i);
		rig_assert_returned(rig, id);
	}
	assert_int_equal(rig->queue.count.nombuf, 0);
}

static void
test_ring_rx_drops_longer_than_the_most(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, VHOSTX_PACKET_MAX + 13);
	const int id = rig_send_from(rig, 0, gpa, VHOSTX_PACKET_MAX + 1);
	struct rte_mbuf *m;

	rig_send(rig, 1, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1) +
		rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 60, 1);
	rig_assert_returned(rig, id);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
}

static void
test_ring_rx_linear_drops_what_one_mbuf_cannot_hold(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, RIG_ROOM + 13);
	struct rte_mbuf *pkts[4];

	rig->queue.linear = true;
	rig_send_from(rig, 0, gpa, RIG_ROOM + 1);
	rig_send(rig, 1, RIG_ROOM - 12);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	rig_assert_mbuf(pkts[0], RIG_ROOM - 12, 1);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
}

static void
test_ring_rx_ext_puts_long_frames_in_one_segment(void **state)
{
	static const uint32_t long_lengths[] = { 2049, 9000, 60000, 65000 };
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 70000);

	rig->queue.linear = true;
	rig->queue.ext = true;
	for (uint32_t i = 0; i < RIG_NR(long_lengths); i++) {
		const int id = rig_send_from(rig, i, gpa, long_lengths[i]);
		struct rte_mbuf *m;

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_int_equal(m->nb_segs, 1);
		assert_true(RTE_MBUF_HAS_EXTBUF(m));
		rig_assert_mbuf(m, long_lengths[i], i);
		rig_assert_returned(rig, id);
	}
}

static void
test_ring_rx_ext_drops_what_16_bits_cannot_tell(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 70000);
	struct rte_mbuf *pkts[4];

	rig->queue.linear = true;
	rig->queue.ext = true;
	rig_send_from(rig, 0, gpa, 65536);
	rig_send(rig, 1, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	rig_assert_mbuf(pkts[0], 60, 1);
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
}

/* Take mbufs from the pool until n are left; they come in one array. */
static uint32_t
drain_pool(struct rte_mbuf **held, uint32_t n)
{
	uint32_t k = 0;

	while (rte_mempool_avail_count(rig_pool) > n)
		held[k++] = rte_pktmbuf_alloc(rig_pool);
	return k;
}

static void
test_ring_rx_waits_for_mbufs(void **state)
{
	static struct rte_mbuf *held[RIG_MBUFS];
	struct rig *rig = *state;
	struct rte_mbuf *pkts[4];
	const uint32_t n = drain_pool(held, 0);
	const int id = rig_send(rig, 0, 60);

	rig_send(rig, 1, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 0);
	assert_int_equal(rig->queue.count.nombuf, 1);
	rig_assert_nothing_used(rig);
	rte_pktmbuf_free(held[0]);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	assert_int_equal(rig->queue.count.nombuf, 2);
	rig_assert_mbuf(pkts[0], 60, 0);
	rig_assert_returned(rig, id);
	rte_pktmbuf_free_bulk(&held[1], n - 1);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	rig_assert_mbuf(pkts[0], 60, 1);
}

/* Others take mbufs as they are in the pool: each is a packet of one segment. */
static void
assert_pool_is_fresh(void)
{
	static struct rte_mbuf *all[RIG_MBUFS];
	uint32_t n = 0;

	while (n < RIG_MBUFS && (all[n] = rte_mbuf_raw_alloc(rig_pool)) != NULL)
		n++;
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(all[i]->nb_segs, 1);
		assert_null(all[i]->next);
		rte_mbuf_raw_free(all[i]);
	}
}

static void
test_ring_rx_waits_for_mbufs_of_long_frame(void **state)
{
	static struct rte_mbuf *held[RIG_MBUFS];
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 9012);
	const uint32_t n = drain_pool(held, 3);
	struct rte_mbuf *pkts[2];

	rig_send_from(rig, 0, gpa, 9000);
	guest_ring_publish(&rig->ring);
	for (uint32_t i = 1; i < 5; i++) {
		assert_int_equal(rig_rx(&rig->queue, pkts, 2), 0);
		assert_int_equal(rig->queue.count.nombuf, i);
		rig_assert_nothing_used(rig);
		/* What was taken for the attempt is back. */
		assert_int_equal(rte_mempool_avail_count(rig_pool), 3);
		assert_pool_is_fresh();
	}
	rte_pktmbuf_free_bulk(held, n);
	assert_int_equal(rig_rx(&rig->queue, pkts, 2), 1);
	rig_assert_mbuf(pkts[0], 9000, 0);
}

static void
test_ring_rx_disabled_discards(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[4];
	const int first = rig_send(rig, 0, 60);
	const int second = rig_send(rig, 1, 60);

	rig->snap.enabled = false;
	guest_ring_calls(&rig->ring, true);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 0);
	assert_int_equal(rig_signals(rig->callfd), 1);
	rig_assert_returned(rig, first);
	rig_assert_returned(rig, second);
	assert_int_equal(rig->queue.count.drops[VHOSTX_DISABLED], 2);
	rig->snap.enabled = true;
	rig_send(rig, 2, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	rig_assert_mbuf(pkts[0], 60, 2);
}

/* The header and then the payload cross from one region to the next, which lies elsewhere here. */
static void
test_ring_rx_joins_frame_from_two_regions(void **state)
{
	struct rig *rig = *state;

	for (uint32_t in_low = 1; in_low < 80; in_low++) {
		const int id = rig_send_from(rig, in_low, RIG_HIGH - in_low, 70);
		struct rte_mbuf *m;

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rig_assert_mbuf(m, 70, in_low);
		rig_assert_returned(rig, id);
	}
}

/* Each pattern of frames in two regions, and the one after it: a burst begins where the last one ended. */
static void
test_ring_rx_takes_frames_from_any_region(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig_capacity(rig), RIG_MIXED);
	struct rte_mbuf *pkts[RIG_MIXED];

	for (uint32_t in = 0; in < 1u << n; in++) {
		int id[RIG_MIXED];

		for (uint32_t i = 0; i < n; i++)
			id[i] = rig_send_from(rig, i, rig_mixed(rig, in, i), 60 + i);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, pkts, n), n);
		for (uint32_t i = 0; i < n; i++) {
			rig_assert_mbuf(pkts[i], 60 + i, i);
			rig_assert_returned(rig, id[i]);
		}
	}
}

static void
test_ring_rx_reads_table_from_two_regions(void **state)
{
	struct rig *rig = *state;
	struct guest_seg seg[3];

	for (uint32_t in_low = 1; in_low < 48; in_low++) {
		const uint32_t n = rig_cut(rig, seg, rig_slot(rig, in_low), 112, false);
		struct rte_mbuf *m;
		int id;

		guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, 100, in_low);
		id = guest_ring_add_indirect(&rig->ring, seg, n, RIG_HIGH - in_low);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		/* Ten bytes of header leave two more for the frame. */
		assert_int_equal(m->pkt_len, 112 - rig->v.hdr_len);
		rte_pktmbuf_free(m);
		rig_assert_returned(rig, id);
	}
}

/* "zero or more normal chained descriptors followed by a single indirect one" (virtio 1.3, 2.7.5.3.2). */
static void
test_ring_rx_takes_table_at_end_of_chain(void **state)
{
	struct rig *rig = *state;
	struct guest_seg seg[2] = { { rig_slot(rig, 0), 20, false }, { RIG_TABLES, 32, false } };
	struct guest_desc d;
	struct rte_mbuf *m;
	int id;

	if (rig->v.format == GUEST_PACKED)
		return; /* A list holds descriptors of one kind (virtio 1.3, 2.8.5). */
	guest_net_pattern(guest_mem_ptr(&rig->mem, seg[0].gpa, 60), 60, 0, 0);
	for (uint32_t i = 0; i < 2; i++) {
		d = (struct guest_desc){ seg[0].gpa + 20 + 20 * i, 20, i == 0 ? GUEST_DESC_NEXT : 0,
			1 };
		guest_ring_poke_table(&rig->ring, RIG_TABLES, i, &d);
	}
	id = guest_ring_add(&rig->ring, seg, 2);
	d = guest_ring_peek(&rig->ring, guest_ring_slot(&rig->ring, id, 1));
	/* WRITE beside INDIRECT means nothing (virtio 1.3, 2.7.5.3.2). */
	d.flags |= GUEST_DESC_INDIRECT | GUEST_DESC_WRITE;
	guest_ring_poke(&rig->ring, guest_ring_slot(&rig->ring, id, 1), &d);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(m->pkt_len, 60 - rig->v.hdr_len);
	assert_true(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), m->pkt_len, 0,
		rig->v.hdr_len));
	rte_pktmbuf_free(m);
	rig_assert_returned(rig, id);
}

/* As many one-byte descriptors as the ring or the driver takes. */
static void
test_ring_rx_joins_longest_chain(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN((uint32_t)rig->v.size, VHOSTX_SPILL + 1);
	static struct guest_seg seg[VHOSTX_SPILL + 1];
	static const uint32_t one[] = { 1, 0 };
	struct rte_mbuf *m;
	int id;

	if (n <= 12)
		return;
	assert_int_equal(guest_net_cut(seg, n, rig_slot(rig, 0), n, one, 1, false), n);
	guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, n - rig->v.hdr_len, 3);
	if (rig->v.layout == RIG_INDIRECT)
		id = guest_ring_add_indirect(&rig->ring, seg, n, RIG_TABLES);
	else
		id = guest_ring_add(&rig->ring, seg, n);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, n - rig->v.hdr_len, 3);
	rig_assert_returned(rig, id);
}

/* Guest: up to 24 chains, in more segments than the driver holds at a time. Returns how many there was room for. */
static uint32_t
send_shreds(struct rig *rig)
{
	static const uint32_t few[] = { 2, 0 };
	struct guest_seg seg[50];
	uint32_t posted = 0;

	while (posted < 24 && (rig->v.layout == RIG_INDIRECT || rig->ring.nr_free >= 50) &&
			rig->ring.nr_free > 0 && rig->v.size >= 50) {
		assert_int_equal(guest_net_cut(seg, 50, rig_slot(rig, posted), 100, few, 0, false), 50);
		guest_net_fill(&rig->mem, seg, 50, NULL, rig->v.hdr_len, 100 - rig->v.hdr_len,
			posted);
		if (rig->v.layout == RIG_INDIRECT)
			guest_ring_add_indirect(&rig->ring, seg, 50, RIG_TABLES + 1024 * posted);
		else
			guest_ring_add(&rig->ring, seg, 50);
		posted++;
	}
	guest_ring_publish(&rig->ring);
	return posted;
}

/* The rest comes with the next fetch. */
static void
test_ring_rx_fetches_again_when_segments_run_out(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[64];
	const uint32_t posted = send_shreds(rig);
	uint32_t got = 0;

	for (uint32_t k = 0; k < 8 && got < posted; k++)
		got += rig_rx(&rig->queue, &pkts[got], 64 - got);
	assert_int_equal(got, posted);
	for (uint32_t i = 0; i < got; i++)
		rig_assert_mbuf(pkts[i], 100 - rig->v.hdr_len, i);
}

/* Not while there are no mbufs: it would be fetched for ever. */
static void
test_ring_rx_ends_when_segments_and_mbufs_run_out(void **state)
{
	static struct rte_mbuf *held[RIG_MBUFS];
	struct rig *rig = *state;
	const uint32_t posted = send_shreds(rig), n = drain_pool(held, 0);
	struct rte_mbuf *pkts[64];
	uint16_t got;

	alarm(20);
	assert_int_equal(rig_rx(&rig->queue, pkts, 64), 0);
	alarm(0);
	rte_pktmbuf_free_bulk(held, n);
	got = rig_rx(&rig->queue, pkts, 64);
	assert_true(got == posted || rig->v.iommu);
	rte_pktmbuf_free_bulk(pkts, got);
}

static void
test_ring_rx_counts(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[2];

	rig_send(rig, 0, 60);
	rig_send(rig, 1, 1000);
	/* To one station, and to a group. */
	guest_mem_set(&rig->mem, rig_slot(rig, 0) + rig->v.hdr_len, 2, 1);
	guest_mem_set(&rig->mem, rig_slot(rig, 1) + rig->v.hdr_len, 1, 1);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 2), 2);
	rte_pktmbuf_free_bulk(pkts, 2);
	assert_int_equal(rig->queue.count.packets, 2);
	assert_int_equal(rig->queue.count.bytes, 1060);
	assert_int_equal(rig->queue.count.sizes[vhostx_size_class(60)], 1);
	assert_int_equal(rig->queue.count.sizes[vhostx_size_class(1000)], 1);
	assert_int_equal(rig->queue.count.multicast, 1);
	for (uint32_t i = 0; i < VHOSTX_CAUSES; i++)
		assert_int_equal(rig->queue.count.drops[i], 0);
}

/* One used entry stands for the batch: the ones after it are as the guest left them (virtio 1.3, 2.7.9, 2.8.9). */
static void
test_ring_rx_in_order_writes_one_entry(void **state)
{
	struct rig *rig = *state;
	const bool split = rig->v.format == GUEST_SPLIT;
	const struct vring_used *used = rig->ring.device;
	const uint16_t at = rig->v.base % rig->v.size;
	struct rte_mbuf *pkts[3];
	struct guest_desc before;
	int id[3];

	for (uint32_t i = 0; i < 3; i++)
		id[i] = rig_send(rig, i, 60 + i);
	guest_ring_publish(&rig->ring);
	before = guest_ring_peek(&rig->ring, guest_ring_slot(&rig->ring, id[1], 0));
	assert_int_equal(rig_rx(&rig->queue, pkts, 3), 3);
	if (split) {
		assert_int_equal(used->ring[at].id, id[2]);
		assert_int_equal(used->ring[(at + 1) % rig->v.size].id, 0);
	} else {
		const struct guest_desc after = guest_ring_peek(&rig->ring,
			guest_ring_slot(&rig->ring, id[1], 0));

		assert_memory_equal(&before, &after, sizeof(before));
	}
	for (uint32_t i = 0; i < 3; i++) {
		rig_assert_mbuf(pkts[i], 60 + i, i);
		rig_assert_returned(rig, id[i]);
	}
	rig_assert_nothing_used(rig);
}

/* At least three chains fit. */
static bool
rig_is_in_order_for_three(const struct rig_variant *v)
{
	return rig_is_in_order(v) && (v->layout != RIG_CHAINED || v->size >= 9);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_rx_delivers_every_length, NULL),
	RIG_CASE(test_ring_rx_keeps_order_in_bursts, NULL),
	RIG_CASE(test_ring_rx_leaves_what_was_not_asked_for, NULL),
	RIG_CASE(test_ring_rx_sees_published_only, NULL),
	RIG_CASE(test_ring_rx_empties_full_ring, NULL),
	RIG_CASE(test_ring_rx_chains_mbufs_for_long_frames, rig_is_no_event),
	RIG_CASE(test_ring_rx_drops_longer_than_the_most, rig_is_no_event),
	RIG_CASE(test_ring_rx_linear_drops_what_one_mbuf_cannot_hold, rig_is_no_event),
	RIG_CASE(test_ring_rx_ext_puts_long_frames_in_one_segment, rig_is_no_event),
	RIG_CASE(test_ring_rx_ext_drops_what_16_bits_cannot_tell, rig_is_no_event),
	RIG_CASE(test_ring_rx_waits_for_mbufs, rig_is_no_event),
	RIG_CASE(test_ring_rx_waits_for_mbufs_of_long_frame, rig_is_no_event),
	RIG_CASE(test_ring_rx_disabled_discards, NULL),
	RIG_CASE(test_ring_rx_joins_frame_from_two_regions, rig_is_no_event),
	RIG_CASE(test_ring_rx_takes_frames_from_any_region, rig_is_no_event),
	RIG_CASE(test_ring_rx_reads_table_from_two_regions, rig_is_indirect),
	RIG_CASE(test_ring_rx_takes_table_at_end_of_chain, rig_is_indirect),
	RIG_CASE(test_ring_rx_joins_longest_chain, NULL),
	RIG_CASE(test_ring_rx_fetches_again_when_segments_run_out, NULL),
	RIG_CASE(test_ring_rx_ends_when_segments_and_mbufs_run_out, rig_is_no_event),
	RIG_CASE(test_ring_rx_counts, NULL),
	RIG_CASE(test_ring_rx_in_order_writes_one_entry, rig_is_in_order_for_three),
};

int
main(void)
{
	return rig_main("test_ring_rx", cases, RIG_NR(cases));
}
