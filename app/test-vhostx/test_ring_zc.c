/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * rx bursts of a zero-copy ring: what is lent, what is copied, and how it comes back, on all kinds of ring,
 * with the guest's side of guest/ as the judge.
 */
#include <linux/virtio_net.h>

#include "ring/lend.h"
#include "test_ring_zc.h"

/* The guest sends one frame, the host receives it. Returns the id. */
static int
pass_one(struct rig *rig, uint32_t i, uint32_t len, struct rte_mbuf **m)
{
	const int id = rig_send(rig, i, len);

	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, m, 1), 1);
	return id;
}

/* Do bytes of the packet lie in the guest's memory? */
static bool
is_lent(const struct rig *rig, const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next) {
		for (uint32_t i = 0; i < rig->mem.nr; i++) {
			if (rte_pktmbuf_mtod(m, uint8_t *) - rig->mem.region[i].va <
					(ptrdiff_t)rig->mem.region[i].size &&
					rte_pktmbuf_mtod(m, uint8_t *) >= rig->mem.region[i].va)
				return true;
		}
	}
	return false;
}

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

static void
test_ring_zc_copies_short_packets(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < RIG_NR(rig_lengths) && rig_lengths[i] < 512; i++) {
		id = pass_one(rig, i, rig_lengths[i], &m);
		assert_false(is_lent(rig, m));
		rig_assert_mbuf(m, rig_lengths[i], i);
		rig_assert_returned(rig, id);
		assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_SHORT], i + 1);
	}
	drop_table(rig);
}

/* Without a threshold all is lent that is longer than what is copied of each packet. */
static void
test_ring_zc_copies_what_is_all_header(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	uint32_t len;
	uint16_t id;

	use_table(rig, 0, 100, false);
	for (uint32_t i = 0; i < RIG_NR(rig_lengths); i++) {
		pass_one(rig, i, rig_lengths[i], &m);
		assert_int_equal(is_lent(rig, m), rig_lengths[i] > VHOSTX_ZC_HEADER);
		rig_assert_mbuf(m, rig_lengths[i], i);
		poll_nothing(rig);
		assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
	}
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

/* A packet that somebody keeps delays no other, for laps of the ring. */
static void
test_ring_zc_kept_packet_delays_none(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *kept, *m;
	int id, kept_id;

	use_table(rig, 512, 100, false);
	kept_id = pass_one(rig, 7, LONG, &kept);
	for (uint32_t i = 0; i < 3u * RTE_MIN(rig->v.size, 200u) && rig_capacity(rig) > 1; i++) {
		id = pass_one(rig, i % 5, LONG, &m);
		assert_true(is_lent(rig, m));
		rig_assert_mbuf(m, LONG, i % 5);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	rig_assert_mbuf(kept, LONG, 7);
	poll_nothing(rig);
	rig_assert_returned(rig, kept_id);
	drop_table(rig);
}

/* One burst of packets three of which in turn are long and short; @a first: the first ones are long. */
static void
mix_with_copies(struct rig *rig, bool first)
{
	struct rte_mbuf *pkts[RIG_BURST];
	const uint32_t n = RTE_MIN(rig_capacity(rig), (uint32_t)RIG_BURST);
	const uint64_t before = rig->queue.count.zc[VHOSTX_ZC_SHORT];
	uint32_t used = 0, len;
	uint16_t id;

	for (uint32_t i = 0; i < n; i++)
		rig_send(rig, i, (i / 3 % 2 == 0) == first ? LONG : 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, RIG_BURST), n);
	for (uint32_t i = 0; i < n; i++) {
		const bool is_long = (i / 3 % 2 == 0) == first;

		assert_int_equal(is_lent(rig, pkts[i]), is_long);
		rig_assert_mbuf(pkts[i], is_long ? LONG : 60, i);
	}
	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		used++;
	assert_int_equal(used, rig->queue.count.zc[VHOSTX_ZC_SHORT] - before);
	poll_nothing(rig);
	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		used++;
	assert_int_equal(used, n);
}

/* Order among lent and copied packets of one burst, the first and after others, and after one that was all copied. */
static void
test_ring_zc_mixes_with_copies(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < 8; i++) {
		if (i % 4 >= 2) {
			id = pass_one(rig, i, 60, &m);
			rig_assert_mbuf(m, 60, i);
			rig_assert_returned(rig, id);
		}
		mix_with_copies(rig, i % 2 == 0);
	}
	drop_table(rig);
}

/* Somebody who keeps all that he gets: the guest goes on with the other half of its ring. */
static void
test_ring_zc_never_starves_guest(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 50, false);
	struct rte_mbuf *kept[RIG_SLOTS], *m;
	uint32_t n = 0, len;
	uint16_t id;

	for (uint32_t i = 0; i < 4u * RTE_MIN(rig->v.size, 300u); i++) {
		assert_true(guest_ring_free(&rig->ring) >= rig_ndesc(rig));
		pass_one(rig, 3, LONG, &m);
		if (is_lent(rig, m) && n < RIG_SLOTS) {
			kept[n++] = m;
			continue;
		}
		rig_assert_mbuf(m, LONG, 3);
		poll_nothing(rig);
		/* Of the largest rings a burst sees a part. */
		if (rig->v.size > VHOSTX_ZC_LOOK * VHOSTX_ZC_GROUP)
			poll_nothing(rig);
		assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
	}
	assert_true(zc->out_entries <= rig->v.size / 2u);
	/* The largest rings have more than the test can keep. */
	if (zc->out_entries + rig_ndesc(rig) > zc->limit)
		assert_true(rig->queue.count.zc[VHOSTX_ZC_INFLIGHT] != 0);
	else
		assert_true(rig->v.size > 2 * RIG_SLOTS);
	while (n > 0)
		rig_assert_mbuf(kept[--n], LONG, 3);
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

/* Taking the tag off would move bytes in the guest's memory. */
static void
test_ring_zc_linear_copies_to_strip(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig->queue.linear = true;
	rig->queue.finish = VHOSTX_RX_STRIP;
	use_table(rig, 60, 100, true);
	pass_one(rig, 1, LONG, &m);
	assert_false(is_lent(rig, m));
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_OFFLOAD], 1);
	rig_assert_mbuf(m, LONG, 1);
	drop_table(rig);
}

/* A checksum that the guest left is made in a copy, not in the guest's memory. */
static void
test_ring_zc_copies_to_offload(void **state)
{
	static const uint8_t needs_csum = 1;
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig->snap.offloads = 1 << VIRTIO_NET_F_CSUM;
	rig->snap.hdr_mask = 0xffff;
	use_table(rig, 60, 100, false);
	rig_send(rig, 1, LONG);
	assert_int_equal(guest_mem_write(&rig->mem, rig_slot(rig, 1), &needs_csum, 1), 0);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_false(is_lent(rig, m));
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_OFFLOAD], 1);
	assert_false(guest_net_matches(rte_pktmbuf_mtod(m, uint8_t *), m->data_len, 1, 0));
	assert_true(guest_net_matches(guest_mem_ptr(&rig->mem, rig_slot(rig, 1) + rig->v.hdr_len, LONG),
		LONG, 1, 0));
	rte_pktmbuf_free(m);
	drop_table(rig);
}

/* Guest: transmit @a ip with something left to do, and receive it; whether a mbuf came. */
static bool
pass_open(struct rig *rig, const struct guest_ip *ip, uint8_t gso_type, struct rte_mbuf **m)
{
	uint8_t *p = guest_mem_ptr(&rig->mem, rig_slot(rig, 1), RIG_SLOT_LEN);
	const uint32_t len = guest_ip_build(p + rig->v.hdr_len, ip);
	struct guest_seg seg[3];
	struct guest_net_hdr hdr;

	guest_ip_leave(p + rig->v.hdr_len, len, gso_type == 0 ? 0 : 500, &hdr);
	hdr.gso_type = gso_type;
	memcpy(p, &hdr, rig->v.hdr_len);
	rig_add_segs(rig, 1, seg, rig_cut(rig, seg, rig_slot(rig, 1), rig->v.hdr_len + len, false));
	guest_ring_publish(&rig->ring);
	return rig_rx(&rig->queue, m, 1) == 1;
}

static bool
is_direct_without_event(const struct rig_variant *v)
{
	return v->layout == RIG_DIRECT && !v->event_idx;
}

/* What flags can tell needs no copy; a packet that is not what its header says comes back at once. */
static void
test_ring_zc_lends_what_flags_tell(void **state)
{
	const struct guest_ip ip = { .payload = 1000 };
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig->snap.offloads = RIG_OFFLOADS;
	rig->snap.hdr_mask = 0xffff;
	rig->queue.offload = rig_conf();
	use_table(rig, 60, 100, false);
	for (uint32_t i = 0; i < 2; i++) {
		assert_true(pass_open(rig, &ip, i, &m));
		assert_true(is_lent(rig, m));
		assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_NONE);
		assert_int_equal((m->ol_flags & RTE_MBUF_F_RX_LRO) != 0, i);
		assert_true(guest_ip_is_begun(rig_bytes(m), m->pkt_len));
		rte_pktmbuf_free(m);
		poll_nothing(rig);
	}
	assert_false(pass_open(rig, &ip, 4, &m));
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_GSO_PACKET], 1);
	poll_nothing(rig);
	assert_int_equal(rig->snap.zc->out, 0);
	assert_int_equal(rig->queue.count.packets, 2);
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

static void
test_ring_zc_copies_from_leaving_region(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	struct rte_mbuf *before, *m;

	pass_one(rig, 1, LONG, &before);
	vhostx_zc_leave(zc, rig->mem.region[RIG_R_DATA].va);
	assert_int_equal(vhostx_zc_leaving(zc), 1);
	if (guest_ring_free(&rig->ring) >= rig_ndesc(rig)) {
		pass_one(rig, 2, LONG, &m);
		assert_false(is_lent(rig, m));
		assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_LEAVING], 1);
		rig_assert_mbuf(m, LONG, 2);
	}
	rig_assert_mbuf(before, LONG, 1);
	poll_nothing(rig);
	assert_int_equal(vhostx_zc_leaving(zc), 0);
	drop_table(rig);
}

/* Memory that devices cannot read: somebody may send what he receives to one. */
static void
test_ring_zc_copies_what_devices_cannot_read(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	struct rte_mbuf *m;
	int id;

	for (uint32_t i = 0; i < zc->nr_regions; i++)
		zc->region[i].refusal = VHOSTX_ZC_NO_DMA;
	id = pass_one(rig, 1, LONG, &m);
	assert_false(is_lent(rig, m));
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_NO_DMA], 1);
	rig_assert_mbuf(m, LONG, 1);
	rig_assert_returned(rig, id);
	drop_table(rig);
}

/* What the bus sees of a lent packet; one that lies in two places there is copied. */
static void
test_ring_zc_tells_bus_addresses(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	struct vhostx_zc_region *r = &zc->region[zc->region_of[RIG_R_DATA]];
	rte_iova_t page[RIG_DATA_LEN / RIG_SLOT_LEN];
	struct vhostx_dma dma = { .area = { .addr = r->va, .len = r->size, .page = RIG_SLOT_LEN }, .page = page };
	struct rte_mbuf *m;
	bool lent;

	for (uint32_t i = 0; i < RIG_NR(page); i++)
		page[i] = 0x100000 + 2 * i * RIG_SLOT_LEN;
	zc->dma = true;
	r->dma = &dma;
	for (uint32_t i = 0; i < RIG_NR(rig_lengths); i++) {
		pass_one(rig, i, 1000 + i, &m);
		lent = is_lent(rig, m);
		for (const struct rte_mbuf *seg = lent ? m->next : NULL; seg != NULL; seg = seg->next) {
			const size_t off = rte_pktmbuf_mtod(seg, uint8_t *) - r->va;

			assert_int_equal(rte_pktmbuf_iova(seg),
				page[off / RIG_SLOT_LEN] + off % RIG_SLOT_LEN);
			assert_true(off % RIG_SLOT_LEN + seg->data_len <= RIG_SLOT_LEN);
		}
		rig_assert_mbuf(m, 1000 + i, i);
		poll_nothing(rig);
		assert_int_equal(guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }), 1);
	}
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_LENT] + rig->queue.count.zc[VHOSTX_ZC_NO_DMA],
		rig->queue.count.packets);
	r->dma = NULL;
	drop_table(rig);
}

/* Without a mbuf to attach to a packet is copied; without any it stays with the guest. */
static void
test_ring_zc_lives_with_empty_pool(void **state)
{
	struct rig *rig = *state;
	static struct rte_mbuf *all[RIG_MBUFS];
	struct rte_mbuf *m;
	uint32_t n = 0;

	use_table(rig, 512, 100, false);
	while (n < RIG_MBUFS && (all[n] = rte_pktmbuf_alloc(rig_pool)) != NULL)
		n++;
	rig_send(rig, 1, LONG);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_int_equal(rig->queue.count.nombuf, 1);
	rte_pktmbuf_free(all[--n]);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_false(is_lent(rig, m));
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_NO_MBUF], 1);
	rig_assert_mbuf(m, LONG, 1);
	rte_pktmbuf_free_bulk(all, n);
	drop_table(rig);
}

/* A packet that waits for mbufs is counted once, when it is received. */
static void
test_ring_zc_regress_counts_what_is_received(void **state)
{
	static struct rte_mbuf *all[RIG_MBUFS];
	struct rig *rig = *state;
	struct rte_mbuf *m;
	uint32_t n = 0;

	use_table(rig, 512, 0, false);
	rig->queue.room = 256;
	while (n < RIG_MBUFS && (all[n] = rte_pktmbuf_alloc(rig_pool)) != NULL)
		n++;
	rte_pktmbuf_free(all[--n]);
	rig_send(rig, 1, LONG);
	guest_ring_publish(&rig->ring);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_INFLIGHT], 0);
	rte_pktmbuf_free_bulk(all, n);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_INFLIGHT], 1);
	rig_assert_mbuf(m, LONG, 1);
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
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 0);
	rig_assert_mbuf(kept, LONG, 1);
	assert_true(vhostx_zc_is_back(rig->snap.zc));
	drop_table(rig);
}

/* A ring that is disabled discards what is sent, and takes back what is out. */
static void
test_ring_zc_disabled_returns(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	use_table(rig, 512, 100, false);
	id = pass_one(rig, 1, LONG, &m);
	rig->snap.enabled = false;
	rig_assert_mbuf(m, LONG, 1);
	poll_nothing(rig);
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

/* --- long runs ------------------------------------------------------------------------------------ */

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Packets that are out, each with its seed. */
struct held {
	struct rte_mbuf *m;
	uint32_t len, seed;
};

static void
free_one(struct held *held, uint32_t *n, uint32_t at)
{
	rig_assert_mbuf(held[at].m, held[at].len, held[at].seed);
	held[at] = held[--*n];
}

/* A burst sees a part of a long ring: only when all parts were seen, what was done before that is back for sure. */
static void
test_ring_zc_long_ring_is_seen_in_parts(void **state)
{
	const struct vhostx_zc_conf conf = { .size = 2 * VHOSTX_ZC_LOOK * VHOSTX_ZC_GROUP, .inflight = 100 };
	struct vhostx_zc *zc = vhostx_zc_create(&conf);
	struct rig *rig = *state;
	uint32_t begin, first;

	assert_non_null(zc);
	rig->snap.zc = zc;
	/* Something is out everywhere, and nothing of it comes back. */
	memset(zc->out_in, 1, zc->nr_groups);
	zc->out = zc->out_entries = zc->nr_groups;
	begin = vhostx_zc_now() - 1000;
	zc->polled = zc->lap = begin;
	poll_nothing(rig);
	assert_int_equal(zc->polled, begin);
	first = vhostx_zc_now();
	poll_nothing(rig);
	assert_int_equal(zc->polled, begin);
	rte_delay_us_sleep(100);
	poll_nothing(rig);
	assert_int_equal(zc->polled, begin);
	poll_nothing(rig);
	assert_true(zc->polled - first < vhostx_zc_now() - first);
	/* Of one whose few groups with something out are all seen each burst is of now. */
	memset(zc->out_in, 0, zc->nr_groups);
	zc->out_in[zc->nr_groups - 1] = 1;
	rte_delay_us_sleep(100);
	first = vhostx_zc_now();
	poll_nothing(rig);
	assert_true(zc->polled - first <= vhostx_zc_now() - first);
	vhostx_zc_free(zc);
	rig->snap.zc = NULL;
}

/* Any mixture of lengths, bursts and holders: each buffer comes back once, and none while it is read. */
static void
test_ring_zc_soak(void **state)
{
	struct rig *rig = *state;
	struct held held[RIG_SLOTS + RIG_BURST];
	struct rte_mbuf *pkts[32];
	uint32_t n = 0, random = rig->v.size, sent = 0, len;
	uint16_t id, got;

	use_table(rig, 300, 60, false);
	for (uint32_t round = 0; round < 300; round++) {
		const uint32_t burst = next_random(&random) % 32 + 1;

		/* Slots of the rig are used again only when the packets in them are gone. */
		for (uint32_t i = 0; i < burst && n + i < RIG_SLOTS / 2 &&
				guest_ring_free(&rig->ring) >= rig_ndesc(rig); i++) {
			bool busy = false;

			for (uint32_t k = 0; k < n; k++)
				busy = busy || held[k].seed % RIG_SLOTS == sent % RIG_SLOTS;
			if (busy)
				break;
			rig_send(rig, sent, 60 + sent % 1900);
			sent++;
		}
		guest_ring_publish(&rig->ring);
		got = rig_rx(&rig->queue, pkts, 32);
		for (uint16_t i = 0; i < got; i++, n++) {
			held[n] = (struct held){ .m = pkts[i], .len = pkts[i]->pkt_len };
			for (held[n].seed = sent; held[n].seed-- > 0;) {
				if (60 + held[n].seed % 1900 == held[n].len)
					break;
			}
		}
		for (uint32_t k = next_random(&random) % 40; k > 0 && n > 0; k--)
			free_one(held, &n, next_random(&random) % n);
		while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
			;
	}
	while (n > 0)
		free_one(held, &n, n - 1);
	poll_nothing(rig);
	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		;
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	assert_int_equal(rig->queue.count.packets, sent);
	assert_true(rig->queue.count.zc[VHOSTX_ZC_LENT] != 0);
	drop_table(rig);
}

/* A zero-copy port does not offer IN_ORDER. */
static bool
any_order(const struct rig_variant *v)
{
	return !v->in_order;
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_zc_lends_and_returns, any_order),
	RIG_CASE(test_ring_zc_copies_short_packets, any_order),
	RIG_CASE(test_ring_zc_copies_what_is_all_header, any_order),
	RIG_CASE(test_ring_zc_returns_in_any_order, any_order),
	RIG_CASE(test_ring_zc_kept_packet_delays_none, any_order),
	RIG_CASE(test_ring_zc_mixes_with_copies, any_order),
	RIG_CASE(test_ring_zc_never_starves_guest, some),
	RIG_CASE(test_ring_zc_header_is_safe_from_guest, any_order),
	RIG_CASE(test_ring_zc_clone_keeps_buffer, any_order),
	RIG_CASE(test_ring_zc_takes_mbufs_as_they_are, any_order),
	RIG_CASE(test_ring_zc_segments_keep_buffer, any_order),
	RIG_CASE(test_ring_zc_linear_lends_whole, any_order),
	RIG_CASE(test_ring_zc_copies_to_offload, rig_is_no_event),
	RIG_CASE(test_ring_zc_lends_what_flags_tell, is_direct_without_event),
	RIG_CASE(test_ring_zc_linear_copies_to_strip, any_order),
	RIG_CASE(test_ring_zc_splits_long_buffers, some),
	RIG_CASE(test_ring_zc_crosses_regions, any_order),
	RIG_CASE(test_ring_zc_copies_from_leaving_region, any_order),
	RIG_CASE(test_ring_zc_copies_what_devices_cannot_read, any_order),
	RIG_CASE(test_ring_zc_tells_bus_addresses, any_order),
	RIG_CASE(test_ring_zc_lives_with_empty_pool, some),
	RIG_CASE(test_ring_zc_regress_counts_what_is_received, some),
	RIG_CASE(test_ring_zc_stops_at_head_that_is_out, any_order),
	RIG_CASE(test_ring_zc_disabled_returns, any_order),
	RIG_CASE(test_ring_zc_calls_for_what_returns, any_order),
	RIG_CASE(test_ring_zc_long_ring_is_seen_in_parts, some),
	RIG_CASE(test_ring_zc_soak, some),
};

int
main(void)
{
	return rig_main_on("test_ring_zc", cases, RIG_NR(cases), false);
}
