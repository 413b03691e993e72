/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * rx bursts of a zero-copy ring: what is copied instead of lent, and what is lent though it looks like that.
 */
#include <linux/virtio_net.h>

#include "test_offload_rig.h"
#include "test_ring_zc.h"

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

/* The tag of a packet whose header is in a copy is taken off there. */
static void
test_ring_zc_strips_what_is_lent(void **state)
{
	static const uint8_t tag[] = { 0x81, 0, 0x30, 0x07 };
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig->queue.finish = VHOSTX_RX_STRIP;
	use_table(rig, 512, 100, false);
	rig_send(rig, 1, LONG);
	guest_mem_write(&rig->mem, rig_slot(rig, 1) + rig->v.hdr_len + 12, tag, sizeof(tag));
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_true(is_lent(rig, m));
	assert_true((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0);
	assert_int_equal(m->vlan_tci, 0x3007);
	assert_int_equal(m->pkt_len, LONG - 4);
	assert_true(guest_net_matches(rte_pktmbuf_mtod_offset(m, uint8_t *, 12), VHOSTX_ZC_HEADER - 16, 1, 16));
	rte_pktmbuf_free(m);
	drop_table(rig);
}

/* Where no offload was negotiated nobody asks what the header says. */
static void
test_ring_zc_lends_whatever_header_says(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	use_table(rig, 512, 100, false);
	rig_send(rig, 1, LONG);
	guest_mem_set(&rig->mem, rig_slot(rig, 1), 0xff, rig->v.hdr_len);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_true(is_lent(rig, m));
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

/* What is left to do to a packet: flags tell the application, or it is done, in a copy; @a lent: flags do. */
static void
check_told(struct rig *rig, const struct guest_ip *ip, bool gso, bool linear, bool lent)
{
	/* The guest's header has to be in one piece to be looked at. */
	const bool is_told = lent && rig->v.layout == RIG_DIRECT;
	struct rte_mbuf *m;

	memset(rig->queue.count.zc, 0, sizeof(rig->queue.count.zc));
	rig->queue.linear = linear;
	use_table(rig, 60, 100, linear);
	assert_true(pass_open(rig, ip, gso ? ip->ipv6 ? 4 : 1 : 0, &m));
	assert_int_equal(is_lent(rig, m), is_told);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_OFFLOAD], !is_told);
	assert_true(rig->queue.offload.keep_tcp || gso || guest_ip_is_right(rig_bytes(m), m->pkt_len) == !lent);
	rte_pktmbuf_free(m);
	poll_nothing(rig);
	assert_int_equal(guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }), 1);
	drop_table(rig);
}

static void
test_ring_zc_lends_if_application_is_told(void **state)
{
	static const struct {
		bool keep_tcp, keep_udp, tx_flags, gso, linear, lent;
	} told[] = {
		{ .keep_tcp = true, .keep_udp = true, .lent = true },
		{ .keep_tcp = true },
		{ .keep_udp = true },
		{ .tx_flags = true, .lent = true },
		{ .gso = true, .lent = true },
		{ .gso = true, .linear = true },
		{ .keep_tcp = true, .keep_udp = true, .linear = true },
	};
	const struct guest_ip ip = { .payload = 1000 };
	struct rig *rig = *state;

	rig->snap.offloads = RIG_OFFLOADS;
	rig->snap.hdr_mask = 0xffff;
	rig->queue.offload = rig_conf();
	for (uint32_t i = 0; i < RIG_NR(told); i++) {
		rig->queue.offload.keep_tcp = told[i].keep_tcp;
		rig->queue.offload.keep_udp = told[i].keep_udp;
		rig->queue.offload.tx_flags = told[i].tx_flags;
		check_told(rig, &ip, told[i].gso, told[i].linear, told[i].lent);
	}
}

/* The checksum may have to be begun, in a TCP header that is in the copy whole. */
static void
test_ring_zc_copies_what_is_open_behind_header(void **state)
{
	struct rig *rig = *state;

	rig->snap.offloads = RIG_OFFLOADS;
	rig->snap.hdr_mask = 0xffff;
	rig->queue.offload = rig_conf();
	for (uint32_t more = 40; more < 72; more += 8) {
		const struct guest_ip ip = { .ipv6 = true, .l3_more = more, .payload = 1000 };

		check_told(rig, &ip, true, false, 14 + 40 + more + 20 <= VHOSTX_ZC_HEADER);
	}
}

static bool
is_any_order_without_event(const struct rig_variant *v)
{
	return any_order(v) && !v->event_idx;
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

/* Memory that the bus sees as this process does. */
static void
test_ring_zc_tells_bus_addresses_of_whole_region(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 100, false);
	struct vhostx_zc_region *r = &zc->region[zc->region_of[RIG_R_DATA]];
	struct vhostx_dma dma = { .area = { .addr = r->va, .len = r->size, .page = RIG_PAGE } };
	struct rte_mbuf *m;

	zc->dma = true;
	r->dma = &dma;
	for (uint32_t i = 0; i < 4; i++) {
		const int id = pass_one(rig, i, LONG, &m);

		assert_true(is_lent(rig, m));
		for (const struct rte_mbuf *seg = m->next; seg != NULL; seg = seg->next)
			assert_int_equal(rte_pktmbuf_iova(seg), rte_pktmbuf_mtod(seg, uintptr_t));
		rig_assert_mbuf(m, LONG, i);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	r->dma = NULL;
	drop_table(rig);
}

/* Take every mbuf of the pool. @return how many. */
static uint32_t
take_all(struct rte_mbuf *all[RIG_MBUFS])
{
	uint32_t n = 0;

	while (n < RIG_MBUFS && (all[n] = rte_pktmbuf_alloc(rig_pool)) != NULL)
		n++;
	return n;
}

/* Without a mbuf to attach to a packet is copied; without any it stays with the guest. */
static void
test_ring_zc_lives_with_empty_pool(void **state)
{
	struct rig *rig = *state;
	static struct rte_mbuf *all[RIG_MBUFS];
	struct rte_mbuf *m;
	uint32_t n;

	use_table(rig, 512, 100, false);
	n = take_all(all);
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
	uint32_t n;

	use_table(rig, 512, 0, false);
	rig->queue.room = 256;
	n = take_all(all);
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

/* Between such packets there may be a chain that has none, and was not counted. */
static void
test_ring_zc_uncounts_packets_alone(void **state)
{
	static struct rte_mbuf *all[RIG_MBUFS];
	struct rig *rig = *state;
	const struct guest_seg part = { rig_slot(rig, 0), rig->v.hdr_len - 1, false };
	struct rte_mbuf *pkts[3];
	uint32_t n;

	if (rig_capacity(rig) < 3)
		return;
	use_table(rig, 512, 0, false);
	rig->queue.room = 256;
	n = take_all(all);
	for (uint32_t i = 0; i < 3; i++)
		rte_pktmbuf_free(all[--n]);
	rig_send(rig, 1, LONG);
	guest_ring_add(&rig->ring, &part, 1);
	rig_send(rig, 2, LONG);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 3), 0);
	for (uint32_t i = 0; i < VHOSTX_ZC_REASONS; i++)
		assert_int_equal(rig->queue.count.zc[i], 0);
	rte_pktmbuf_free_bulk(all, n);
	assert_int_equal(rig_rx(&rig->queue, pkts, 3), 2);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_INFLIGHT], 2);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 1);
	rig_assert_mbuf(pkts[0], LONG, 1);
	rig_assert_mbuf(pkts[1], LONG, 2);
	drop_table(rig);
}

/* Somebody who knows when the pool is asked in vain. */
static struct {
	rte_mempool_dequeue_t dequeue; /* the pool's own */
	const uint64_t *counted;       /* packets that were counted as copied for this reason */
	uint8_t *reason;               /* what he takes away after that */
} sly;

static int
sly_dequeue(struct rte_mempool *pool, void **objs, unsigned int n)
{
	const int ret = sly.dequeue(pool, objs, n);

	if (ret != 0 && *sly.counted != 0)
		*sly.reason = 0;
	return ret;
}

/* A packet for which there are no mbufs is found to be copied for @a why, which then holds no more. */
static void
expect_uncounted(struct rig *rig, enum vhostx_zc_reason why, uint8_t *reason)
{
	struct rte_mempool_ops *ops = rte_mempool_get_ops(rig_pool->ops_index);
	static struct rte_mbuf *all[RIG_MBUFS];
	uint32_t n = take_all(all);
	struct rte_mbuf *m;

	rte_pktmbuf_free(all[--n]);
	sly.dequeue = ops->dequeue;
	sly.counted = &rig->queue.count.zc[why];
	sly.reason = reason;
	guest_ring_publish(&rig->ring);
	ops->dequeue = sly_dequeue;
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	ops->dequeue = sly.dequeue;
	assert_int_equal(*reason, 0);
	for (uint32_t i = 0; i < VHOSTX_ZC_REASONS; i++)
		assert_int_equal(rig->queue.count.zc[i], 0);
	rte_pktmbuf_free_bulk(all, n);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rte_pktmbuf_free(m);
}

/* A guest that asks for an offload no more, just when its packet was found to be copied for that. */
static void
test_ring_zc_regress_uncounts_what_was_counted(void **state)
{
	struct rig *rig = *state;
	uint8_t *flags;

	rig->queue.room = 256;
	rig->snap.offloads = 1 << VIRTIO_NET_F_CSUM;
	rig->snap.hdr_mask = 0xffff;
	use_table(rig, 512, 100, false);
	rig_send(rig, 1, LONG);
	flags = guest_mem_ptr(&rig->mem, rig_slot(rig, 1), 1);
	*flags = 1;
	expect_uncounted(rig, VHOSTX_ZC_OFFLOAD, flags);
	drop_table(rig);
}

/* The packets of the ring's earlier lives come back then: for the next reason, and for none. */
static void
test_ring_zc_regress_uncounts_what_was_held(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc;

	rig->queue.room = 256;
	for (uint8_t inflight = 0; inflight <= 100; inflight += 100) {
		zc = use_table(rig, 512, inflight, false);
		zc->held = true;
		rig_send(rig, 1, LONG);
		expect_uncounted(rig, VHOSTX_ZC_HELD, (uint8_t *)&zc->held);
		memset(rig->queue.count.zc, 0, sizeof(rig->queue.count.zc));
		drop_table(rig);
	}
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_zc_copies_short_packets, any_order),
	RIG_CASE(test_ring_zc_copies_what_is_all_header, any_order),
	RIG_CASE(test_ring_zc_copies_to_offload, rig_is_no_event),
	RIG_CASE(test_ring_zc_lends_what_flags_tell, is_direct_without_event),
	RIG_CASE(test_ring_zc_strips_what_is_lent, any_order),
	RIG_CASE(test_ring_zc_lends_whatever_header_says, any_order),
	RIG_CASE(test_ring_zc_lends_if_application_is_told, is_any_order_without_event),
	RIG_CASE(test_ring_zc_copies_what_is_open_behind_header, is_any_order_without_event),
	RIG_CASE(test_ring_zc_linear_copies_to_strip, any_order),
	RIG_CASE(test_ring_zc_copies_from_leaving_region, any_order),
	RIG_CASE(test_ring_zc_copies_what_devices_cannot_read, any_order),
	RIG_CASE(test_ring_zc_tells_bus_addresses, any_order),
	RIG_CASE(test_ring_zc_tells_bus_addresses_of_whole_region, any_order),
	RIG_CASE(test_ring_zc_lives_with_empty_pool, some),
	RIG_CASE(test_ring_zc_regress_counts_what_is_received, some),
	RIG_CASE(test_ring_zc_uncounts_packets_alone, some),
	RIG_CASE(test_ring_zc_regress_uncounts_what_was_counted, some),
	RIG_CASE(test_ring_zc_regress_uncounts_what_was_held, some),
};

int
main(void)
{
	return rig_main_on("test_ring_zc_copy", cases, RIG_NR(cases), false);
}
