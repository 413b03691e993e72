/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Transmit flags become virtio-net headers, checksums and segments; guest/guest_ip.c is the judge.
 */
#include "test_offload_send.h"

/* --- flags of the application ---------------------------------------------------------------------- */

/* A packet as an application sends it: lengths and flags set, checksum fields full of noise. */
static struct rte_mbuf *
app_packet(const struct guest_ip *ip, uint16_t segsz, const uint32_t *cut)
{
	const uint32_t len = guest_ip_build(buf, ip);
	struct guest_ip_view v;
	struct rte_mbuf *m;

	assert_true(guest_ip_parse(buf, len, &v));
	guest_ip_put16(&buf[v.field], 0x5aa5);
	if (!v.ipv6)
		guest_ip_put16(&buf[v.l3 + 10], 0xa55a);
	m = rig_mbuf_of(buf, len, cut);
	m->tx_offload = rte_mbuf_tx_offload(v.l3, v.l4 - v.l3, v.payload - v.l4, segsz, 0, 0, 0);
	m->ol_flags |= v.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	m->ol_flags |= v.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (segsz != 0)
		m->ol_flags |= v.udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
	return m;
}

static void
test_offload_send_leaves_checksum_to_guest(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(rig_ip_cuts); i++) {
		struct rte_mbuf *m = app_packet(&rig_ip[i % RIG_NR(rig_ip)], 0,
			rig_ip_cuts[i / RIG_NR(rig_ip)]);
		struct virtio_net_hdr hdr;
		struct guest_ip_view v;

		send_whole(&conf, m, RIG_OFFLOADS, &hdr);
		assert_true(guest_ip_is_begun(sent, m->pkt_len));
		assert_true(guest_ip_parse(sent, m->pkt_len, &v));
		assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(hdr.csum_start, v.l4);
		assert_int_equal(hdr.csum_offset, v.field - v.l4);
		assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		assert_int_equal(hdr.gso_size, 0);
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_send_makes_checksum(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(rig_ip_cuts); i++) {
		struct rte_mbuf *m = app_packet(&rig_ip[i % RIG_NR(rig_ip)], 0,
			rig_ip_cuts[i / RIG_NR(rig_ip)]);
		struct virtio_net_hdr hdr;

		send_whole(&conf, m, NONE_OF_THEM, &hdr);
		assert_no_offload(&hdr);
		assert_true(guest_ip_is_right(sent, m->pkt_len));
		rte_pktmbuf_free(m);
	}
}

/* Padding behind the packet of IP is in no checksum. */
static void
test_offload_send_leaves_padding_out(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	const struct guest_ip ip = { .payload = 1, .udp = true };
	struct virtio_net_hdr hdr;
	struct rte_mbuf *m = app_packet(&ip, 0, rig_ip_cuts[0]);

	(void)state;
	memset(rte_pktmbuf_append(m, 60 - m->pkt_len), 0xee, 60 - 43);
	send_whole(&conf, m, NONE_OF_THEM, &hdr);
	assert_true(guest_ip_is_right(sent, 60));
	rte_pktmbuf_free(m);
}

/* Not even the headers fit what IP says of the length: the checksum is of all that there is. */
static void
test_offload_send_does_not_believe_a_short_length(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct rte_mbuf *m = app_packet(&rig_ip[0], 0, rig_ip_cuts[0]);
	struct virtio_net_hdr hdr;
	struct guest_ip_view v;

	(void)state;
	assert_true(guest_ip_parse(buf, m->pkt_len, &v));
	guest_ip_put16(rte_pktmbuf_mtod_offset(m, uint8_t *, v.l3 + 2), 10);
	send_whole(&conf, m, NONE_OF_THEM, &hdr);
	guest_ip_build(buf, &rig_ip[0]);
	assert_int_equal(guest_ip_get16(&sent[v.field]), guest_ip_get16(&buf[v.field]));
	rte_pktmbuf_free(m);
}

/* IPv6 has no such field: what is there is an address. */
static void
test_offload_send_refuses_ip_checksum_of_ipv6(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct rte_mbuf *m = app_packet(&rig_ip[2], 0, rig_ip_cuts[0]);
	struct vhostx_offload o;

	(void)state;
	assert_true(vhostx_offload_request(&conf, m, &o));
	m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	assert_false(vhostx_offload_request(&conf, m, &o));
	assert_int_equal(vhostx_offload_prepare(m), -EINVAL);
	rte_pktmbuf_free(m);
}

static void
test_offload_send_makes_ip_checksum_alone(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct rte_mbuf *m = app_packet(&rig_ip[0], 0, rig_ip_cuts[1]);
	struct virtio_net_hdr hdr;
	struct guest_ip_view v;

	(void)state;
	m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
	send_whole(&conf, m, RIG_OFFLOADS, &hdr);
	assert_no_offload(&hdr);
	assert_true(guest_ip_parse(sent, m->pkt_len, &v));
	assert_int_equal(guest_ip_get16(&sent[v.field]), 0x5aa5);
	guest_ip_build(buf, &rig_ip[0]);
	assert_memory_equal(&sent[v.l3], &buf[v.l3], 20);
	rte_pktmbuf_free(m);
}

static void
test_offload_send_leaves_segmentation_to_guest(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * 2; i++) {
		struct guest_ip ip = rig_ip[i / 2];
		struct virtio_net_hdr hdr;
		struct rte_mbuf *m;
		uint8_t type = ip.udp ? 3 : ip.ipv6 ? 4 : 1;

		ip.payload += 9000;
		if (i % 2 != 0 && !ip.udp) {
			ip.tcp_flags = 0x80; /* CWR */
			type |= VIRTIO_NET_HDR_GSO_ECN;
		}
		m = app_packet(&ip, 1448, rig_ip_cuts[i % 4]);
		send_whole(&conf, m, RIG_OFFLOADS, &hdr);
		assert_true(guest_ip_is_begun(sent, m->pkt_len));
		assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(hdr.gso_type, type);
		assert_int_equal(hdr.gso_size, 1448);
		assert_int_equal(hdr.hdr_len, guest_ip_headers(&ip));
		rte_pktmbuf_free(m);
	}
}

/* The length in the IP header is written anew: applications need not know it. */
static void
test_offload_send_sets_length_of_long_packets(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (uint32_t ipv6 = 0; ipv6 < 2; ipv6++) {
		const struct guest_ip ip = { .payload = 5000, .ipv6 = ipv6 };
		struct rte_mbuf *m = app_packet(&ip, 1448, rig_ip_cuts[0]);
		struct virtio_net_hdr hdr;

		guest_ip_put16(rte_pktmbuf_mtod_offset(m, uint8_t *, ipv6 ? 18 : 16), 0);
		send_whole(&conf, m, RIG_OFFLOADS, &hdr);
		assert_true(guest_ip_is_begun(sent, m->pkt_len));
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_send_refuses_wrong_lengths(void **state)
{
	static const struct { uint16_t l2, l3, l4, segsz; } wrong[] = {
		{ 14, 0, 20, 0 }, { 14, 24, 20, 0 }, { 13, 20, 20, 0 }, { 14, 16, 20, 0 },
		{ 120, 20, 20, 0 }, { 127, 511, 255, 0 }, { 14, 20, 19, 100 }, { 14, 20, 20, 0xffff },
		{ 14, 20, 120, 100 }, { 14, 20, 121, 100 },
	};
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(wrong); i++) {
		struct rte_mbuf *m = app_packet(&rig_ip[0], wrong[i].segsz, rig_ip_cuts[0]);
		struct vhostx_offload o;

		m->tx_offload = rte_mbuf_tx_offload(wrong[i].l2, wrong[i].l3, wrong[i].l4,
			wrong[i].segsz == 0xffff ? 0 : wrong[i].segsz, 0, 0, 0);
		assert_false(vhostx_offload_request(&conf, m, &o));
		assert_int_equal(vhostx_offload_prepare(m), -EINVAL);
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_prepare_refuses_other_offloads(void **state)
{
	static const uint64_t others[] = { RTE_MBUF_F_TX_QINQ, RTE_MBUF_F_TX_OUTER_IP_CKSUM,
		RTE_MBUF_F_TX_OUTER_UDP_CKSUM, RTE_MBUF_F_TX_MACSEC, RTE_MBUF_F_TX_IEEE1588_TMST };
	struct rte_mbuf *m = app_packet(&rig_ip[0], 0, rig_ip_cuts[0]);
	const uint64_t flags = m->ol_flags;

	(void)state;
	assert_int_equal(vhostx_offload_prepare(m), 0);
	for (size_t i = 0; i < RIG_NR(others); i++) {
		m->ol_flags = flags | others[i];
		assert_int_equal(vhostx_offload_prepare(m), -ENOTSUP);
	}
	m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_SCTP_CKSUM;
	assert_int_equal(vhostx_offload_prepare(m), -ENOTSUP);
	m->ol_flags = RTE_MBUF_F_TX_VLAN;
	assert_int_equal(vhostx_offload_prepare(m), 0);
	rte_pktmbuf_free(m);
}

/*
 * A program that parses tunnels tells of them, though it makes the sums of the outer headers itself. Those of the inner
 * ones may be asked for if the lengths are from the beginning of the packet on.
 */
static void
test_offload_regress_prepare_takes_told_tunnels(void **state)
{
	static const uint64_t told[] = { RTE_MBUF_F_TX_OUTER_IPV4, RTE_MBUF_F_TX_OUTER_IPV6,
		RTE_MBUF_F_TX_TUNNEL_VXLAN, RTE_MBUF_F_TX_TUNNEL_GRE | RTE_MBUF_F_TX_OUTER_IPV4,
		RTE_MBUF_F_TX_TUNNEL_UDP | RTE_MBUF_F_TX_IPV6 };
	struct rte_mbuf *m = app_packet(&rig_ip[0], 0, rig_ip_cuts[0]);
	const uint64_t flags = m->ol_flags;

	(void)state;
	for (size_t i = 0; i < RIG_NR(told); i++) {
		m->outer_l2_len = 0;
		m->ol_flags = flags | told[i];
		assert_int_equal(vhostx_offload_prepare(m), 0);
		m->outer_l2_len = 14;
		assert_int_equal(vhostx_offload_prepare(m), -ENOTSUP);
		m->ol_flags = told[i];
		assert_int_equal(vhostx_offload_prepare(m), 0);
	}
	rte_pktmbuf_free(m);
	m = app_packet(&rig_ip[0], 10, rig_ip_cuts[0]);
	assert_int_equal(vhostx_offload_prepare(m), 0);
	m->ol_flags |= RTE_MBUF_F_TX_TUNNEL_VXLAN;
	assert_int_equal(vhostx_offload_prepare(m), -ENOTSUP);
	rte_pktmbuf_free(m);
}

/* --- segments -------------------------------------------------------------------------------------- */

static void
test_offload_segments_only_where_it_must(void **state)
{
	/* What the guest must have, by kind of packet. */
	static const struct { struct guest_ip ip; uint16_t need; } kinds[] = {
		{ { .payload = 3000 }, 1 << 1 | 1 << 7 },
		{ { .payload = 3000, .ipv6 = true }, 1 << 1 | 1 << 8 },
		{ { .payload = 3000, .tcp_flags = 0x80 }, 1 << 1 | 1 << 7 | 1 << 9 },
		{ { .payload = 3000, .ipv6 = true, .tcp_flags = 0x80 }, 1 << 1 | 1 << 8 | 1 << 9 },
		{ { .payload = 3000, .udp = true }, 1 << 1 | 1 << 10 },
	};
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(kinds); i++) {
		struct rte_mbuf *m = app_packet(&kinds[i].ip, 1000, rig_ip_cuts[0]);
		struct copy c;

		assert_true(copy_begin(&c, &conf, m));
		for (uint16_t features = 0; features < 1 << 11; features++)
			assert_int_equal(vhostx_offload_must_segment(&c.o, c.headers, features, c.len),
				(features & kinds[i].need) != kinds[i].need);
		/* IP has no length that long. */
		assert_false(vhostx_offload_must_segment(&c.o, c.headers, 0xffff, 14 + 65535));
		assert_true(vhostx_offload_must_segment(&c.o, c.headers, 0xffff, 14 + 65536));
		rte_pktmbuf_free(m);
	}
}

/* One segment as it is in sent[], against the packet that it is of. */
static void
assert_segment(const struct guest_ip *ip, uint32_t k, uint32_t off, uint32_t len, bool last)
{
	const uint32_t payload = len - guest_ip_headers(ip);
	uint8_t flags = ip->tcp_flags;
	struct guest_ip_view v;

	assert_true(guest_ip_parse(sent, len, &v));
	assert_int_equal(v.end, len);
	assert_true(guest_net_matches(&sent[v.payload], payload, ip->seed, off));
	assert_int_equal(guest_ip_get32(&sent[v.l4 + 4]), (uint32_t)(ip->seq + off));
	if (!last)
		flags &= ~0x09; /* FIN, PSH */
	if (k != 0)
		flags &= ~0x80; /* CWR */
	assert_int_equal(sent[v.l4 + 13], flags);
	if (!ip->ipv6)
		assert_int_equal(guest_ip_get16(&sent[v.l3 + 4]), (uint16_t)(ip->id + k));
}

static void
cut_packet(const struct guest_ip *ip, uint16_t gso_size, uint16_t features, const uint32_t *cut)
{
	const uint32_t counted = guest_ip_headers(ip) - 14 - 4 * ip->vlan - 40 * ip->ipv6;
	const uint32_t most = RTE_MIN((uint32_t)gso_size, 65535 - counted);
	const struct vhostx_offload_conf conf = rig_conf();
	struct rte_mbuf *m = app_packet(ip, gso_size, cut);
	struct vhostx_segments g;
	struct virtio_net_hdr hdr;
	uint32_t off = 0, k, n;
	struct copy c;

	assert_true(copy_begin(&c, &conf, m));
	vhostx_segments_begin(&g, &c.o, c.headers, c.len);
	for (k = 0; (n = vhostx_segments_payload(&g)) != 0; k++) {
		assert_int_equal(n, RTE_MIN(most, ip->payload - off));
		vhostx_segments_next(&g, c.headers, c.body, features, &hdr);
		assert_int_equal(copy_out(&c, n), c.o.headers + n);
		assert_segment(ip, k, off, c.o.headers + n, off + n == ip->payload);
		if (features != 0) {
			assert_true(guest_ip_is_begun(sent, c.o.headers + n));
			assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		} else {
			assert_true(guest_ip_is_right(sent, c.o.headers + n));
			assert_no_offload(&hdr);
		}
		off += n;
	}
	assert_int_equal(off, ip->payload);
	rte_pktmbuf_free(m);
}

static void
test_offload_segments_are_right(void **state)
{
	static const uint32_t payloads[] = { 1, 99, 100, 101, 200, 1999, 9000 };

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(payloads); i++) {
		struct guest_ip ip = rig_ip[i % RIG_NR(rig_ip)];

		if (ip.udp)
			continue;
		ip.payload = payloads[i / RIG_NR(rig_ip)];
		ip.tcp_flags = 0x99; /* CWR, ACK, PSH, FIN */
		ip.seq = UINT32_MAX - 300;
		ip.id = UINT16_MAX - 1;
		for (size_t k = 0; k < RIG_NR(rig_ip_cuts); k++) {
			cut_packet(&ip, 100, NONE_OF_THEM, rig_ip_cuts[k]);
			cut_packet(&ip, 101, NONE_OF_THEM, rig_ip_cuts[k]);
			cut_packet(&ip, 1448, 1 << VIRTIO_NET_F_GUEST_CSUM, rig_ip_cuts[k]);
		}
	}
}

static void
test_offload_segments_of_the_longest(void **state)
{
	const struct guest_ip ip = { .payload = 65535 - 40, .tcp_flags = 0x18, .seq = 1 };
	const struct guest_ip ip6 = { .payload = 65535 - 20, .ipv6 = true, .tcp_flags = 0x11 };

	(void)state;
	cut_packet(&ip, 1460, NONE_OF_THEM, rig_ip_cuts[3]);
	cut_packet(&ip6, 1, NONE_OF_THEM, rig_ip_cuts[0]);
	cut_packet(&ip6, 65535, NONE_OF_THEM, rig_ip_cuts[0]);
}

/* A guest may ask for segments as long as 16 bits can tell. IP counts the headers as well. */
static void
test_offload_segments_regress_length_of_ip(void **state)
{
	static const uint16_t sizes[] = { 65535, 65535 - 19, 65535 - 20, 65535 - 39, 65535 - 40, 65535 - 41 };

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(sizes); i++) {
		struct guest_ip ip = rig_ip[i % RIG_NR(rig_ip)];

		ip.payload = 70000;
		if (!ip.udp)
			cut_packet(&ip, sizes[i / RIG_NR(rig_ip)], NONE_OF_THEM, rig_ip_cuts[0]);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offload_send_leaves_checksum_to_guest),
		cmocka_unit_test(test_offload_send_makes_checksum),
		cmocka_unit_test(test_offload_send_leaves_padding_out),
		cmocka_unit_test(test_offload_send_does_not_believe_a_short_length),
		cmocka_unit_test(test_offload_send_refuses_ip_checksum_of_ipv6),
		cmocka_unit_test(test_offload_send_makes_ip_checksum_alone),
		cmocka_unit_test(test_offload_send_leaves_segmentation_to_guest),
		cmocka_unit_test(test_offload_send_sets_length_of_long_packets),
		cmocka_unit_test(test_offload_send_refuses_wrong_lengths),
		cmocka_unit_test(test_offload_prepare_refuses_other_offloads),
		cmocka_unit_test(test_offload_regress_prepare_takes_told_tunnels),
		cmocka_unit_test(test_offload_segments_only_where_it_must),
		cmocka_unit_test(test_offload_segments_are_right),
		cmocka_unit_test(test_offload_segments_of_the_longest),
		cmocka_unit_test(test_offload_segments_regress_length_of_ip),
	};

	rig_eal();
	return rig_end(cmocka_run_group_tests_name("test_offload_send", tests, NULL, NULL));
}
