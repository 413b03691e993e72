/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Offloads through the bursts and the rings: headers in any layout, drops that lose nothing else, segments
 * in buffers of any shape.
 */
#include "test_ring_offload.h"

static uint8_t buf[VHOSTX_PACKET_MAX], got[VHOSTX_PACKET_MAX];

/* --- rx -------------------------------------------------------------------------------------------- */

/* Guest: transmit the packet in buf, from a place of its own. */
static int
send_packet(struct rig *rig, uint32_t i, uint32_t len, const struct guest_net_hdr *hdr)
{
	const uint32_t all = rig->v.hdr_len + len;
	const uint64_t gpa = all <= RIG_SLOT_LEN ? rig_slot(rig, i) :
		guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, all);
	struct guest_seg seg[3];
	uint32_t n;

	assert_true(gpa != UINT64_MAX);
	n = rig_cut(rig, seg, gpa, all, false);
	assert_int_equal(guest_net_scatter(&rig->mem, seg, n, 0, hdr, rig->v.hdr_len), 0);
	assert_int_equal(guest_net_scatter(&rig->mem, seg, n, rig->v.hdr_len, buf, len), 0);
	return rig_add_segs(rig, i, seg, n);
}

/* Guest: take everything back that it transmitted. */
static void
reap(struct rig *rig)
{
	uint32_t len;
	uint16_t id;

	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		assert_int_equal(len, 0);
}

static struct rte_mbuf *
receive_packet(struct rig *rig, uint32_t len, const struct guest_net_hdr *hdr)
{
	const int id = send_packet(rig, 0, len, hdr);
	struct rte_mbuf *m;
	const char *why;

	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_returned(rig, id);
	assert_int_equal(rte_mbuf_check(m, 1, &why), 0);
	assert_int_equal(m->pkt_len, len);
	return m;
}

static void
test_ring_offload_rx_tells_open_checksum(void **state)
{
	struct rig *rig = *state;

	rig_negotiate(rig, RIG_OFFLOADS);
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		const uint32_t len = guest_ip_build(buf, &rig_ip[i]);
		struct guest_net_hdr hdr;
		struct rte_mbuf *m;

		guest_ip_leave(buf, len, 0, &hdr);
		m = receive_packet(rig, len, &hdr);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_NONE);
		assert_memory_equal(rig_bytes(m), buf, len);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig->queue.count.packets, RIG_NR(rig_ip));
}

/* A packet that asks for nothing is told as before, whatever the fields say that then mean nothing. */
static void
test_ring_offload_rx_plain_packets(void **state)
{
	const struct guest_net_hdr hdr = { 0, 0, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff };
	const uint32_t len = guest_ip_build(buf, &rig_ip[0]);
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig_negotiate(rig, RIG_OFFLOADS);
	m = receive_packet(rig, len, &hdr);
	assert_int_equal(m->ol_flags, 0);
	assert_int_equal(m->packet_type, 0);
	rte_pktmbuf_free(m);
}

/* Who negotiated nothing has nothing to ask for. */
static void
test_ring_offload_rx_not_negotiated(void **state)
{
	const uint32_t len = guest_ip_build(buf, &rig_ip[0]);
	struct rig *rig = *state;
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;

	rig_negotiate(rig, RIG_OFFLOADS & ~(1 << VIRTIO_NET_F_CSUM));
	guest_ip_leave(buf, len, 0, &hdr);
	memset(&hdr, 0xff, sizeof(hdr));
	m = receive_packet(rig, len, &hdr);
	assert_int_equal(m->ol_flags, 0);
	assert_memory_equal(rig_bytes(m), buf, len);
	rte_pktmbuf_free(m);
}

static void
receive_long(struct rig *rig, uint32_t payload, uint16_t nb_segs)
{
	const struct guest_ip ip = { .payload = payload, .tcp_flags = 0x10 };
	const uint32_t len = guest_ip_build(buf, &ip);
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;

	guest_ip_leave(buf, len, 1460, &hdr);
	m = receive_packet(rig, len, &hdr);
	assert_true(m->ol_flags & RTE_MBUF_F_RX_LRO);
	assert_int_equal(m->tso_segsz, 1460);
	assert_int_equal(m->nb_segs, nb_segs);
	assert_memory_equal(rig_bytes(m), buf, len);
	rte_pktmbuf_free(m);
}

static void
test_ring_offload_rx_long_packets(void **state)
{
	struct rig *rig = *state;

	rig_negotiate(rig, RIG_OFFLOADS);
	receive_long(rig, 2048 - 54, 1);
	receive_long(rig, 2048, 2);
	receive_long(rig, 65495, 33);
	rig->queue.ext = true;
	receive_long(rig, 60000, 1);
}

static void
test_ring_offload_rx_after_strip(void **state)
{
	struct rig *rig = *state;

	rig_negotiate(rig, RIG_OFFLOADS);
	rig->queue.finish = VHOSTX_RX_STRIP | VHOSTX_RX_VERIFY_IP;
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		const uint32_t len = guest_ip_build(buf, &rig_ip[i]);
		struct guest_net_hdr hdr;
		struct rte_mbuf *m;

		guest_ip_leave(buf, len, 0, &hdr);
		send_packet(rig, i, len, &hdr);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		assert_int_equal((m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0, rig_ip[i].vlan);
		assert_int_equal(m->pkt_len, len - (rig_ip[i].vlan ? 4 : 0));
		assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_NONE);
		assert_int_equal((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD) != 0, !rig_ip[i].ipv6);
		assert_int_equal(m->l2_len, 14);
		assert_true(guest_ip_is_begun(rig_bytes(m), m->pkt_len));
		rte_pktmbuf_free(m);
		reap(rig);
	}
}

/* One tag is taken off a packet with two, though strip is asked about twice. */
static void
test_ring_offload_rx_strips_once(void **state)
{
	const struct guest_ip ip = { .payload = 50, .vlan = true };
	const uint32_t len = guest_ip_build(&buf[4], &ip) + 4;
	struct rig *rig = *state;
	struct guest_net_hdr hdr = { .flags = 1, .csum_start = 42, .csum_offset = 16 };
	struct rte_mbuf *m;

	memmove(buf, &buf[4], 12);
	memcpy(&buf[12], (uint8_t[]){ 0x81, 0, 0, 9 }, 4);
	rig_negotiate(rig, RIG_OFFLOADS);
	rig->queue.finish = VHOSTX_RX_STRIP;
	send_packet(rig, 0, len, &hdr);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(m->vlan_tci, 9);
	assert_int_equal(m->pkt_len, len - 4);
	rte_pktmbuf_free(m);
}

/* Called for each mbuf of the pool, which no packet is in. */
static void
assert_own_buffer(struct rte_mempool *pool, void *arg, void *obj, unsigned int i)
{
	const struct rte_mbuf *m = obj;

	(void)arg;
	(void)i;
	assert_ptr_equal(m->buf_addr, (const uint8_t *)obj + sizeof(*m) + rte_pktmbuf_priv_size(pool));
	assert_null(m->next);
}

/* A wrong header costs its packet, and is counted; those around it arrive. */
static void
test_ring_offload_rx_drops_wrong_headers(void **state)
{
	static const struct { struct guest_net_hdr hdr; enum vhostx_cause cause; } wrong[] = {
		{ { 1, 0, 0, 0, 2000, 16 }, VHOSTX_BAD_CSUM },
		{ { 1, 0, 0, 0, 34, 2000 }, VHOSTX_BAD_CSUM },
		{ { 1, 2, 54, 1000, 34, 16 }, VHOSTX_BAD_GSO_TYPE },
		{ { 1, 1, 54, 0, 34, 16 }, VHOSTX_BAD_GSO_SIZE },
		{ { 0, 1, 54, 1000, 34, 16 }, VHOSTX_BAD_GSO_CSUM },
		{ { 1, 1, 2000, 1000, 34, 16 }, VHOSTX_BAD_HDR_LEN },
		{ { 1, 4, 54, 1000, 34, 16 }, VHOSTX_BAD_GSO_PACKET },
		{ { 1, 1, 54, 1000, 36, 16 }, VHOSTX_BAD_GSO_PACKET },
	};
	struct rig *rig = *state;
	struct rte_mbuf *pkts[8];

	rig_negotiate(rig, RIG_OFFLOADS);
	for (size_t i = 0; i < RIG_NR(wrong); i++) {
		/* A header in pieces, and packets of one mbuf, of a chain and external. */
		const struct guest_ip ip = { .payload = i % 2 == 0 ? 100 : 1940 };
		const struct guest_ip longer = { .payload = 5000 };
		const uint64_t before = rig->queue.count.drops[wrong[i].cause];
		const uint32_t n = rig_capacity(rig) < 4 ? 1 : 3;
		uint32_t len;

		rig->queue.ext = i % 3 == 0;
		for (uint32_t k = 0; k < n; k++) {
			len = guest_ip_build(buf, k == 1 && wrong[i].cause == VHOSTX_BAD_GSO_PACKET ?
				&longer : &ip);
			send_packet(rig, k, len, k == n / 2 ? &wrong[i].hdr : &(struct guest_net_hdr){ 0 });
		}
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, pkts, 8), n - 1);
		assert_int_equal(rig->queue.count.drops[wrong[i].cause], before + 1);
		for (uint32_t k = 0; k < n - 1; k++) {
			assert_int_equal(pkts[k]->ol_flags & ~RTE_MBUF_F_EXTERNAL, 0);
			rte_pktmbuf_free(pkts[k]);
		}
		reap(rig);
	}
	rte_mempool_obj_iter(rig_pool, assert_own_buffer, NULL);
}

/* --- tx -------------------------------------------------------------------------------------------- */

static struct rte_mbuf *
ask(const struct guest_ip *ip, uint16_t segsz)
{
	return rig_ask(buf, ip, segsz);
}

/* Guest: the next frame, in got[]. */
static uint32_t
take_frame(struct rig *rig, struct guest_net_hdr *hdr)
{
	static struct guest_net_frame f;

	assert_int_equal(guest_net_receive(&rig->ring, rig->v.hdr_len, rig->v.mergeable, got,
		sizeof(got), &f), 1);
	*hdr = f.hdr;
	return f.len;
}

static void
post_many(struct rig *rig, uint32_t n, uint32_t len)
{
	for (uint32_t i = 0; i < n; i++)
		rig_post(rig, i, len);
	guest_ring_publish(&rig->ring);
}

static void
test_ring_offload_tx_checksums(void **state)
{
	struct rig *rig = *state;

	for (size_t i = 0; i < RIG_NR(rig_ip) * 2; i++) {
		struct guest_net_hdr hdr;
		uint32_t len;

		if (i % RIG_NR(rig_ip) == 0)
			rig_negotiate(rig, i == 0 ? RIG_OFFLOADS : 0);
		post_many(rig, 1, RIG_SLOT_LEN);
		assert_true(rig_tx_one(rig, ask(&rig_ip[i % RIG_NR(rig_ip)], 0)));
		len = take_frame(rig, &hdr);
		assert_int_equal(hdr.flags, i < RIG_NR(rig_ip));
		assert_true(i < RIG_NR(rig_ip) ? guest_ip_is_begun(got, len) : guest_ip_is_right(got, len));
	}
}

/* Whole to a guest that cuts or is never to see the wire. */
static void
test_ring_offload_tx_long_packets(void **state)
{
	const struct guest_ip ip = { .payload = 60000, .tcp_flags = 0x18 };
	struct rig *rig = *state;
	struct guest_net_hdr hdr;

	rig_negotiate(rig, RIG_OFFLOADS);
	rig_post_at(rig, 0, guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 65562), 65562);
	guest_ring_publish(&rig->ring);
	assert_true(rig_tx_one(rig, ask(&ip, 1448)));
	assert_int_equal(take_frame(rig, &hdr), 60054);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(hdr.gso_size, 1448);
	assert_int_equal(hdr.hdr_len, 54);
	assert_true(guest_ip_is_begun(got, 60054));
	assert_int_equal(rig->queue.count.packets, 1);
}

/* Guest: take segments until all of the payload is there. Returns how many. */
static uint32_t
take_segments(struct rig *rig, const struct guest_ip *ip, uint32_t gso_size, bool right)
{
	uint32_t off = 0, n;

	for (n = 0; off < ip->payload; n++) {
		struct guest_net_hdr hdr;
		const uint32_t len = take_frame(rig, &hdr);
		struct guest_ip_view v;

		assert_true(right ? guest_ip_is_right(got, len) : guest_ip_is_begun(got, len));
		assert_true(guest_ip_parse(got, len, &v));
		assert_int_equal(v.end, len);
		assert_int_equal(len - v.payload, RTE_MIN(gso_size, ip->payload - off));
		assert_int_equal(guest_ip_get32(&got[v.l4 + 4]), ip->seq + off);
		assert_true(guest_net_matches(&got[v.payload], len - v.payload, ip->seed, off));
		assert_int_equal(hdr.gso_type, 0);
		assert_int_equal(hdr.flags, right ? 0 : 1);
		off += len - v.payload;
	}
	rig_assert_nothing_used(rig);
	return n;
}

static void
test_ring_offload_tx_cuts(void **state)
{
	struct rig *rig = *state;

	for (uint32_t k = 0; k < 4; k++) {
		const struct guest_ip ip = { .payload = 5 * 900 - 200, .seq = 5, .ipv6 = k / 2,
			.tcp_more = 12, .vlan = k / 2, .seed = k };
		const uint16_t features = k % 2 == 0 ? 0 : 1 << VIRTIO_NET_F_GUEST_CSUM;
		const uint64_t packets = rig->queue.count.packets, bytes = rig->queue.count.bytes;

		if (rig_capacity(rig) < 5)
			return;
		rig_negotiate(rig, features);
		post_many(rig, 5, 1100);
		assert_true(rig_tx_one(rig, ask(&ip, 900)));
		assert_int_equal(take_segments(rig, &ip, 900, features == 0), 5);
		assert_int_equal(rig->queue.count.packets - packets, 5);
		assert_int_equal(rig->queue.count.bytes - bytes,
			ip.payload + 5 * guest_ip_headers(&ip));
	}
}

/* Each segment begins in a buffer of its own, and may take many. */
static void
test_ring_offload_tx_cuts_into_short_buffers(void **state)
{
	const struct guest_ip ip = { .payload = 1000, .seed = 3 };
	struct rig *rig = *state;
	uint32_t n;

	if (rig_capacity(rig) < 100)
		return;
	rig_negotiate(rig, 0);
	for (uint32_t size = rig->v.hdr_len + 1; size < 200; size = size * 3 / 2) {
		const uint32_t each = (rig->v.hdr_len + 54 + 500 + size - 1) / size;

		n = 2 * each;
		post_many(rig, n, size);
		assert_true(rig_tx_one(rig, ask(&ip, 500)));
		assert_int_equal(take_segments(rig, &ip, 500, true), 2);
	}
}

/* All segments or none: what does not fit now is the caller's, and nothing of it is in the ring. */
static void
test_ring_offload_tx_cuts_all_or_nothing(void **state)
{
	const struct guest_ip ip = { .payload = 3000, .seed = 3 };
	struct rig *rig = *state;
	struct rte_mbuf *m = ask(&ip, 1000);

	if (rig_capacity(rig) < 3 || rig->v.size < 4 * rig_ndesc(rig)) {
		rte_pktmbuf_free(m);
		return;
	}
	rig_negotiate(rig, 0);
	post_many(rig, 2, 1100);
	assert_int_equal(rig_tx(&rig->queue, &m, 1), 0);
	rig_assert_nothing_used(rig);
	assert_int_equal(rig->queue.count.packets, 0);
	rig_post(rig, 2, 1100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_tx(&rig->queue, &m, 1), 1);
	assert_int_equal(take_segments(rig, &ip, 1000, true), 3);
}

/* More segments than the ring can ever hold. */
static void
test_ring_offload_tx_drops_what_never_fits(void **state)
{
	const struct guest_ip ip = { .payload = 40000, .seed = 3 };
	struct rig *rig = *state;

	const uint32_t whole = rig->v.size / rig_ndesc(rig);

	if (whole > 300 || rig->v.size % rig_ndesc(rig) != 0)
		return;
	rig_negotiate(rig, 0);
	post_many(rig, whole, 200);
	assert_true(rig_tx_one(rig, ask(&ip, 100)));
	assert_int_equal(rig->queue.count.drops[VHOSTX_OVERSIZE], 1);
	rig_assert_nothing_used(rig);
	assert_true(rig_tx_one(rig, rig_mbuf(60, 1)));
	rig_assert_frame(rig, 60, 1, 1);
}

/* A buffer that is wrong goes back empty, with those before it; the next ones get all segments. */
static void
test_ring_offload_tx_cuts_around_wrong_buffers(void **state)
{
	const struct guest_ip ip = { .payload = 2000, .seed = 3 };
	struct rig *rig = *state;
	uint32_t id[2];

	if (rig_capacity(rig) < 4)
		return;
	rig_negotiate(rig, 0);
	id[0] = rig_post(rig, 0, 1100);
	id[1] = rig_post(rig, 1, rig->v.hdr_len - 1);
	rig_post(rig, 2, 1100);
	rig_post(rig, 3, 1100);
	guest_ring_publish(&rig->ring);
	assert_true(rig_tx_one(rig, ask(&ip, 1000)));
	rig_assert_returned(rig, id[0]);
	rig_assert_returned(rig, id[1]);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_LENGTH], 1);
	assert_int_equal(take_segments(rig, &ip, 1000, true), 2);
}

/* A flag of which nothing follows, as that of another checksum: no header is known, and the tag is all there is to do. */
static void
test_ring_offload_tx_tag_alone(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m = rig_mbuf(60, 3);
	struct guest_net_hdr hdr;

	rig_negotiate(rig, 0);
	m->ol_flags |= RTE_MBUF_F_TX_VLAN | RTE_MBUF_F_TX_SCTP_CKSUM;
	m->vlan_tci = 77;
	post_many(rig, 1, RIG_SLOT_LEN);
	assert_true(rig_tx_one(rig, m));
	assert_int_equal(take_frame(rig, &hdr), 64);
	assert_true(guest_net_matches(got, 12, 3, 0));
	assert_int_equal(guest_ip_get16(&got[12]), 0x8100);
	assert_int_equal(guest_ip_get16(&got[14]), 77);
	assert_true(guest_net_matches(&got[16], 48, 3, 12));
}

static void
test_ring_offload_tx_with_tag(void **state)
{
	struct rig *rig = *state;

	for (uint32_t k = 0; k < 2; k++) {
		const struct guest_ip ip = { .payload = 1000, .seed = 3, .ipv6 = k };
		struct rte_mbuf *m = ask(&ip, 1000);
		struct guest_net_hdr hdr;

		rig_negotiate(rig, k == 0 ? 0 : RIG_OFFLOADS);
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 77;
		post_many(rig, 1, RIG_SLOT_LEN);
		assert_true(rig_tx_one(rig, m));
		assert_int_equal(take_frame(rig, &hdr), guest_ip_headers(&ip) + 4 + 1000);
		assert_int_equal(guest_ip_get16(&got[12]), 0x8100);
		assert_int_equal(guest_ip_get16(&got[14]), 77);
		if (k == 0) {
			assert_true(guest_ip_is_right(got, guest_ip_headers(&ip) + 4 + 1000));
		} else {
			assert_true(guest_ip_is_begun(got, guest_ip_headers(&ip) + 4 + 1000));
			assert_int_equal(hdr.csum_start, 58);
			assert_int_equal(hdr.hdr_len, 78);
		}
	}
}

static void
test_ring_offload_tx_drops_wrong_requests(void **state)
{
	const struct guest_ip udp = { .payload = 1000, .udp = true };
	struct rig *rig = *state;
	struct rte_mbuf *pkts[3] = { ask(&rig_ip[0], 0), ask(&udp, 500), ask(&rig_ip[0], 0) };
	struct guest_net_hdr hdr;

	rig_negotiate(rig, RIG_OFFLOADS & ~(1 << VIRTIO_NET_F_GUEST_UFO));
	pkts[0]->l3_len = 200;
	if (rig_capacity(rig) < 3) {
		rte_pktmbuf_free_bulk(pkts, 3);
		return;
	}
	post_many(rig, 3, RIG_SLOT_LEN);
	assert_int_equal(rig_tx(&rig->queue, pkts, 3), 3);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_REQUEST], 1);
	assert_int_equal(rig->queue.count.drops[VHOSTX_NO_UFO], 1);
	assert_int_equal(rig->queue.count.packets, 1);
	take_frame(rig, &hdr);
	rig_assert_nothing_used(rig);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_offload_rx_tells_open_checksum, rig_is_no_event),
	RIG_CASE(test_ring_offload_rx_plain_packets, rig_is_no_event),
	RIG_CASE(test_ring_offload_rx_not_negotiated, rig_is_no_event),
	RIG_CASE(test_ring_offload_rx_long_packets, rig_is_no_event),
	RIG_CASE(test_ring_offload_rx_after_strip, rig_is_no_event),
	RIG_CASE(test_ring_offload_rx_strips_once, rig_is_no_event),
	RIG_CASE(test_ring_offload_rx_drops_wrong_headers, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_checksums, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_long_packets, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_cuts, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_cuts_into_short_buffers, rig_is_mergeable),
	RIG_CASE(test_ring_offload_tx_cuts_all_or_nothing, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_drops_what_never_fits, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_cuts_around_wrong_buffers, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_tag_alone, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_with_tag, rig_is_no_event),
	RIG_CASE(test_ring_offload_tx_drops_wrong_requests, rig_is_no_event),
};

int
main(void)
{
	return rig_main("test_ring_offload", cases, RIG_NR(cases));
}
