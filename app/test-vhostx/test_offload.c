/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Virtio-net headers from the guest become mbuf flags, or are refused; guest/guest_ip.c is the judge of
 * checksums.
 */
#include "test_offload_rig.h"

#include <rte_net.h>

static uint8_t buf[VHOSTX_PACKET_MAX];

/* Receive the packet in buf: its mbuf is the caller's. */
static struct rte_mbuf *
receive(const struct vhostx_offload_conf *conf, uint32_t len, const struct guest_net_hdr *hdr,
	const uint32_t *cut)
{
	const struct virtio_net_hdr h = rig_hdr(hdr);
	struct rte_mbuf *m = rig_mbuf_of(buf, len, cut);

	m->tx_offload = UINT64_MAX;
	assert_int_equal(vhostx_offload_check(&h, RIG_OFFLOADS, len), VHOSTX_NO_CAUSE);
	assert_int_equal(vhostx_offload_receive(conf, &h, m), VHOSTX_NO_CAUSE);
	return m;
}

/* --- wrong headers --------------------------------------------------------------------------------- */

/* What vhostx_offload_check() says of a packet of 100 bytes. */
static const struct {
	struct guest_net_hdr hdr; /* flags, gso_type, hdr_len, gso_size, csum_start, csum_offset */
	uint16_t without;         /* features that were not negotiated */
	enum vhostx_cause cause;
} headers[] = {
	{ { 1, 0, 0, 0, 34, 16 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 0, 0, 0, 0, 98 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 0, 0, 0, 98, 0 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 0, 0, 0, 99, 0 }, 0, VHOSTX_BAD_CSUM },
	{ { 1, 0, 0, 0, 34, 65 }, 0, VHOSTX_BAD_CSUM },
	{ { 1, 0, 0, 0, 100, 0 }, 0, VHOSTX_BAD_CSUM },
	{ { 1, 0, 0, 0, 0xffff, 0xffff }, 0, VHOSTX_BAD_CSUM },
	{ { 1, 0, 0, 0, 0xffff, 3 }, 0, VHOSTX_BAD_CSUM },
	{ { 1, 0, 0, 0, 2, 0xffff }, 0, VHOSTX_BAD_CSUM },
	{ { 1, 0, 0, 0, 34, 16 }, 1 << 0, VHOSTX_BAD_CSUM },
	/* Without a checksum, where it would be says nothing. */
	{ { 0, 0, 0, 0, 0xffff, 0xffff }, 0, VHOSTX_NO_CAUSE },
	{ { 2, 0, 0xffff, 0xffff, 0xffff, 0xffff }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 1, 54, 1448, 34, 16 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 1, 100, 1448, 34, 16 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 4, 54, 1448, 34, 16 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 3, 42, 1448, 34, 6 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 0x81, 54, 1448, 34, 16 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 0x84, 54, 1448, 34, 16 }, 0, VHOSTX_NO_CAUSE },
	{ { 1, 1, 54, 1448, 34, 16 }, 1 << 11, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 4, 54, 1448, 34, 16 }, 1 << 12, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 0x81, 54, 1448, 34, 16 }, 1 << 13, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 3, 42, 1448, 34, 6 }, 1 << 14, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 0x83, 42, 1448, 34, 6 }, 0, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 2, 54, 1448, 34, 16 }, 0, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 5, 54, 1448, 34, 16 }, 0, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 0x80, 54, 1448, 34, 16 }, 0, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 0x7f, 54, 1448, 34, 16 }, 0, VHOSTX_BAD_GSO_TYPE },
	{ { 1, 1, 54, 0, 34, 16 }, 0, VHOSTX_BAD_GSO_SIZE },
	{ { 0, 1, 54, 1448, 34, 16 }, 0, VHOSTX_BAD_GSO_CSUM },
	{ { 2, 1, 54, 1448, 34, 16 }, 0, VHOSTX_BAD_GSO_CSUM },
	{ { 1, 1, 101, 1448, 34, 16 }, 0, VHOSTX_BAD_HDR_LEN },
};

static void
test_offload_check_tells_wrong_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < RIG_NR(headers); i++) {
		const struct virtio_net_hdr h = rig_hdr(&headers[i].hdr);
		const enum vhostx_cause cause =
			vhostx_offload_check(&h, RIG_OFFLOADS & ~headers[i].without, 100);

		if (cause != headers[i].cause)
			fail_msg("header %zu: %d", i, cause);
	}
}

/* The guest says that it is to be cut in a way that does not fit what it is. */
static void
test_offload_receive_refuses_other_packets(void **state)
{
	static const uint8_t types[] = { 1, 4, 3 };
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		const uint32_t len = guest_ip_build(buf, &rig_ip[i]);
		const uint8_t right = rig_ip[i].udp ? 3 : rig_ip[i].ipv6 ? 4 : 1;

		for (size_t k = 0; k < RIG_NR(types); k++) {
			struct guest_net_hdr hdr;
			struct virtio_net_hdr h;
			struct rte_mbuf *m;

			guest_ip_leave(buf, len, 10, &hdr);
			hdr.gso_type = types[k];
			h = rig_hdr(&hdr);
			m = rig_mbuf_of(buf, len, rig_ip_cuts[0]);
			assert_int_equal(vhostx_offload_receive(&conf, &h, m),
				types[k] == right ? VHOSTX_NO_CAUSE : VHOSTX_BAD_GSO_PACKET);
			rte_pktmbuf_free(m);
		}
	}
}

/* Of every length from nothing on: no byte outside is read, and what is whole is known. */
static void
test_offload_receive_refuses_cut_headers(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		const uint32_t whole = guest_ip_build(buf, &rig_ip[i]);
		struct guest_net_hdr hdr;

		guest_ip_leave(buf, whole, 10, &hdr);
		for (uint32_t len = 1; len < whole; len++) {
			uint8_t *copy = malloc(len);
			struct rte_mbuf *m;
			const struct virtio_net_hdr h = rig_hdr(&hdr);
			enum vhostx_cause cause;

			assert_non_null(copy);
			memcpy(copy, buf, len);
			m = rig_mbuf_of(copy, len, rig_ip_cuts[i % RIG_NR(rig_ip_cuts)]);
			cause = vhostx_offload_check(&h, RIG_OFFLOADS, len);
			if (cause == VHOSTX_NO_CAUSE)
				cause = vhostx_offload_receive(&conf, &h, m);
			assert_int_equal(cause == VHOSTX_NO_CAUSE, len > guest_ip_headers(&rig_ip[i]));
			free(copy);
			rte_pktmbuf_free(m);
		}
	}
}

static enum vhostx_cause
receive_spoiled(uint32_t len, const struct guest_net_hdr *hdr)
{
	const struct vhostx_offload_conf conf = rig_conf();
	const struct virtio_net_hdr h = rig_hdr(hdr);
	struct rte_mbuf *m = rig_mbuf_of(buf, len, rig_ip_cuts[0]);
	const enum vhostx_cause cause = vhostx_offload_receive(&conf, &h, m);

	rte_pktmbuf_free(m);
	return cause;
}

/* Headers that cannot be: of TCP too short or longer than the packet, of IPv4 too short, of IPv6 too long. */
static void
test_offload_receive_refuses_wrong_ip(void **state)
{
	const struct guest_ip ip = { .payload = 30 };
	const struct guest_ip ext = { .payload = 700, .ipv6 = true, .l3_more = 8 };
	struct guest_net_hdr hdr;
	uint32_t len = guest_ip_build(buf, &ip);

	(void)state;
	guest_ip_leave(buf, len, 10, &hdr);
	assert_int_equal(receive_spoiled(len, &hdr), VHOSTX_NO_CAUSE);
	buf[46] = 4 << 4;
	assert_int_equal(receive_spoiled(len, &hdr), VHOSTX_BAD_GSO_PACKET);
	buf[46] = 15 << 4;
	assert_int_equal(receive_spoiled(len, &hdr), VHOSTX_BAD_GSO_PACKET);
	buf[14] = 0x44;
	buf[42] = 5 << 4;
	hdr.csum_start -= 4;
	assert_int_equal(receive_spoiled(len, &hdr), VHOSTX_BAD_GSO_PACKET);
	len = guest_ip_build(buf, &ext);
	guest_ip_leave(buf, len, 10, &hdr);
	buf[55] = 480 / 8 - 1;
	buf[14 + 520 + 12] = 5 << 4;
	hdr.csum_start = 14 + 520;
	assert_int_equal(receive_spoiled(len, &hdr), VHOSTX_BAD_GSO_PACKET);
}

/* --- flags ----------------------------------------------------------------------------------------- */

static void
assert_lengths(const struct rte_mbuf *m, const uint8_t *packet, uint16_t gso_size)
{
	struct guest_ip_view v;
	struct rte_net_hdr_lens lens;

	assert_true(guest_ip_parse(packet, m->pkt_len, &v));
	assert_int_equal(m->l2_len, v.l3);
	assert_int_equal(m->l3_len, v.l4 - v.l3);
	assert_int_equal(m->l4_len, v.payload - v.l4);
	assert_int_equal(m->tso_segsz, gso_size);
	assert_int_equal(m->outer_l2_len, 0);
	assert_int_equal(m->outer_l3_len, 0);
	assert_int_equal(m->packet_type & (RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK),
		rte_net_get_ptype(m, &lens, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK));
}

static void
test_offload_receive_tells_open_checksum(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(rig_ip_cuts); i++) {
		const struct guest_ip *ip = &rig_ip[i % RIG_NR(rig_ip)];
		const uint32_t len = guest_ip_build(buf, ip);
		struct guest_net_hdr hdr;
		struct rte_mbuf *m;

		guest_ip_leave(buf, len, 0, &hdr);
		m = receive(&conf, len, &hdr, rig_ip_cuts[i / RIG_NR(rig_ip)]);
		assert_int_equal(m->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_NONE | conf.meta_flag);
		assert_memory_equal(rig_bytes(m), buf, len);
		assert_lengths(m, buf, 0);
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_receive_tells_segmentation(void **state)
{
	struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	/* Whoever takes long packets knows that they are not finished. */
	conf.keep_tcp = conf.keep_udp = false;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(rig_ip_cuts); i++) {
		struct guest_ip ip = rig_ip[i % RIG_NR(rig_ip)];
		struct guest_net_hdr hdr;
		struct rte_mbuf *m;
		uint32_t len;

		ip.payload += 8000;
		len = guest_ip_build(buf, &ip);
		guest_ip_leave(buf, len, 1400, &hdr);
		m = receive(&conf, len, &hdr, rig_ip_cuts[i / RIG_NR(rig_ip)]);
		assert_int_equal(m->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_LRO |
			conf.meta_flag);
		assert_memory_equal(rig_bytes(m), buf, len);
		assert_lengths(m, buf, 1400);
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_receive_sets_legacy_flags(void **state)
{
	struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	conf.tx_flags = true;
	conf.keep_tcp = conf.keep_udp = false;
	for (size_t i = 0; i < RIG_NR(rig_ip) * 2; i++) {
		const struct guest_ip *ip = &rig_ip[i / 2];
		const uint32_t len = guest_ip_build(buf, ip);
		const uint16_t gso_size = i % 2 * 50;
		uint64_t flags = ip->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
		struct guest_net_hdr hdr;
		struct rte_mbuf *m;

		flags |= ip->udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
		if (gso_size != 0)
			flags |= ip->udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
		guest_ip_leave(buf, len, gso_size, &hdr);
		m = receive(&conf, len, &hdr, rig_ip_cuts[0]);
		assert_int_equal(m->ol_flags, flags);
		assert_memory_equal(rig_bytes(m), buf, len);
		assert_lengths(m, buf, gso_size);
		rte_pktmbuf_free(m);
	}
}

/* An application that does not look at flags gets whole checksums. */
static void
test_offload_receive_finishes_checksum(void **state)
{
	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * RIG_NR(rig_ip_cuts); i++) {
		const struct guest_ip *ip = &rig_ip[i % RIG_NR(rig_ip)];
		const uint32_t len = guest_ip_build(buf, ip);
		struct vhostx_offload_conf conf = rig_conf();
		struct guest_net_hdr hdr;
		struct rte_mbuf *m;

		*(ip->udp ? &conf.keep_udp : &conf.keep_tcp) = false;
		guest_ip_leave(buf, len, 0, &hdr);
		m = receive(&conf, len, &hdr, rig_ip_cuts[i / RIG_NR(rig_ip)]);
		assert_int_equal(m->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
		assert_true(guest_ip_is_right(rig_bytes(m), len));
		rte_pktmbuf_free(m);
	}
}

/* A checksum inside a tunnel, or of something else than TCP and UDP, has no flag: it is made. */
static void
test_offload_receive_finishes_what_has_no_flag(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	const struct guest_ip ip = { .payload = 300, .udp = true };
	const struct guest_ip inner = { .payload = 71, .ipv6 = true };
	struct guest_net_hdr hdr;
	struct guest_ip_view v;
	struct rte_mbuf *m;
	uint32_t len, in;

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip_cuts); i++) {
		guest_ip_build(buf, &ip);
		guest_ip_parse(buf, sizeof(buf), &v);
		in = guest_ip_build(&buf[v.payload + 8], &inner);
		len = v.payload + 8 + in;
		guest_ip_leave(&buf[v.payload + 8], in, 0, &hdr);
		hdr.csum_start += v.payload + 8;
		m = receive(&conf, len, &hdr, rig_ip_cuts[i]);
		assert_int_equal(m->ol_flags, 0);
		assert_true(guest_ip_is_right(rig_bytes(m) + v.payload + 8, in));
		rte_pktmbuf_free(m);
	}
}

/* Flags cannot tell this either: TCP that sums up from elsewhere, or did not begin with the pseudo header. */
static void
test_offload_receive_finishes_odd_checksums(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;
	uint32_t len;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		len = guest_ip_build(buf, &rig_ip[0]);
		guest_ip_leave(buf, len, 0, &hdr);
		if (i == 0)
			hdr.csum_start -= 2;
		else if (i == 1)
			hdr.csum_offset += 2;
		else
			buf[hdr.csum_start + hdr.csum_offset] ^= 1;
		m = receive(&conf, len, &hdr, rig_ip_cuts[0]);
		assert_int_equal(m->ol_flags, 0);
		assert_memory_not_equal(rig_bytes(m), buf, len);
		rte_pktmbuf_free(m);
	}
}

/* Long packets of DPDK in a guest that did not prepare them leave the length out. */
static void
test_offload_receive_mends_begun_sum(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		len = guest_ip_build(buf, &rig_ip[i]);
		guest_ip_leave(buf, len, 30, &hdr);
		buf[hdr.csum_start + hdr.csum_offset] ^= 1;
		m = receive(&conf, len, &hdr, rig_ip_cuts[i % RIG_NR(rig_ip_cuts)]);
		assert_true(guest_ip_is_begun(rig_bytes(m), len));
		rte_pktmbuf_free(m);
	}
}

/* The length of IP is more than there is: no flag vouches for that packet. */
static void
test_offload_receive_finishes_truncated(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) - 1; i++) {
		len = guest_ip_build(buf, &rig_ip[i]);
		guest_ip_leave(buf, len, 0, &hdr);
		m = receive(&conf, len - 1, &hdr, rig_ip_cuts[0]);
		assert_int_equal(m->ol_flags, 0);
		rte_pktmbuf_free(m);
	}
}

/* A sum of UDP that comes out as 0 is sent as 0xffff: 0 means that there is none (RFC 768). */
static void
test_offload_receive_finishes_with_no_zero(void **state)
{
	const struct guest_ip ip = { .payload = 100, .udp = true };
	const struct vhostx_offload_conf conf = { 0 };
	const uint32_t len = guest_ip_build(buf, &ip);
	const uint32_t sum = guest_ip_get16(&buf[40]) + guest_ip_get16(&buf[42]);
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;

	(void)state;
	guest_ip_put16(&buf[42], (uint16_t)(sum + (sum >> 16)));
	guest_ip_leave(buf, len, 0, &hdr);
	m = receive(&conf, len, &hdr, rig_ip_cuts[0]);
	assert_int_equal(guest_ip_get16(rig_bytes(m) + 40), 0xffff);
	assert_true(guest_ip_is_right(rig_bytes(m), len));
	rte_pktmbuf_free(m);
}

/* What follows the packet of IP is summed up too, as the guest was promised: it is zeros. */
static void
test_offload_receive_finishes_padded(void **state)
{
	const struct guest_ip ip = { .payload = 1 };
	struct vhostx_offload_conf conf = rig_conf();
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;

	(void)state;
	conf.keep_tcp = false;
	memset(buf, 0, 60);
	guest_ip_build(buf, &ip);
	guest_ip_leave(buf, 60, 0, &hdr);
	m = receive(&conf, 60, &hdr, rig_ip_cuts[0]);
	assert_int_equal(m->ol_flags, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	assert_true(guest_ip_is_right(rig_bytes(m), 60));
	rte_pktmbuf_free(m);
}

/* The guest counts from before the tag that was taken off. */
static void
test_offload_receive_after_strip(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		const uint32_t len = guest_ip_build(buf, &rig_ip[i]);
		struct guest_net_hdr hdr;
		struct virtio_net_hdr h;
		struct rte_mbuf *m;

		guest_ip_leave(buf, len, 0, &hdr);
		h = rig_hdr(&hdr);
		m = rig_mbuf_of(buf, len, rig_ip_cuts[0]);
		rte_vlan_strip(m);
		assert_int_equal(vhostx_offload_receive(&conf, &h, m), VHOSTX_NO_CAUSE);
		assert_int_equal(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK, RTE_MBUF_F_RX_L4_CKSUM_NONE);
		assert_int_equal(m->l2_len, 14);
		h.csum_start = 3;
		assert_int_equal(vhostx_offload_receive(&conf, &h, m) == VHOSTX_BAD_CSUM, rig_ip[i].vlan);
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_verify_ip(void **state)
{
	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * 3; i++) {
		const struct guest_ip *ip = &rig_ip[i / 3];
		const uint32_t len = guest_ip_build(buf, ip);
		uint64_t flag = ip->ipv6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_GOOD;
		struct rte_mbuf *m;

		if (i % 3 == 1) {
			buf[ip->vlan ? 26 : 22] ^= 1; /* the time to live */
			flag = ip->ipv6 ? 0 : RTE_MBUF_F_RX_IP_CKSUM_BAD;
		}
		/* In pieces it is not looked at. */
		m = rig_mbuf_of(buf, len, rig_ip_cuts[i % 3 == 2 ? 2 : 0]);
		vhostx_offload_verify_ip(m);
		assert_int_equal(m->ol_flags, i % 3 == 2 ? 0 : flag);
		rte_pktmbuf_free(m);
	}
}

/* Any bytes with any header that passed the check. */
static void
test_offload_receive_survives_noise(void **state)
{
	struct vhostx_offload_conf conf = rig_conf();
	uint32_t taken = 0;

	(void)state;
	srand(1);
	for (uint32_t i = 0; i < 200000; i++) {
		struct guest_ip ip = rig_ip[i % RIG_NR(rig_ip)];
		const uint32_t len = guest_ip_build(buf, &ip);
		struct guest_net_hdr hdr;
		struct virtio_net_hdr h;
		struct rte_mbuf *m;

		guest_ip_leave(buf, len, i % 3 == 0 ? rand() % 200 : 0, &hdr);
		for (int k = rand() % 4; k > 0; k--)
			((uint8_t *)&hdr)[rand() % 10] = rand();
		for (int k = rand() % 4; k > 0; k--)
			buf[rand() % guest_ip_headers(&ip)] = rand();
		h = rig_hdr(&hdr);
		conf.keep_tcp = i & 1;
		conf.tx_flags = i & 2;
		m = rig_mbuf_of(buf, 1 + rand() % len, rig_ip_cuts[i % RIG_NR(rig_ip_cuts)]);
		if (vhostx_offload_check(&h, RIG_OFFLOADS, m->pkt_len) == VHOSTX_NO_CAUSE)
			taken += vhostx_offload_receive(&conf, &h, m) == VHOSTX_NO_CAUSE;
		rte_pktmbuf_free(m);
	}
	assert_in_range(taken, 1000, 199000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offload_check_tells_wrong_headers),
		cmocka_unit_test(test_offload_receive_refuses_other_packets),
		cmocka_unit_test(test_offload_receive_refuses_cut_headers),
		cmocka_unit_test(test_offload_receive_refuses_wrong_ip),
		cmocka_unit_test(test_offload_receive_tells_open_checksum),
		cmocka_unit_test(test_offload_receive_tells_segmentation),
		cmocka_unit_test(test_offload_receive_sets_legacy_flags),
		cmocka_unit_test(test_offload_receive_finishes_checksum),
		cmocka_unit_test(test_offload_receive_finishes_what_has_no_flag),
		cmocka_unit_test(test_offload_receive_finishes_odd_checksums),
		cmocka_unit_test(test_offload_receive_mends_begun_sum),
		cmocka_unit_test(test_offload_receive_finishes_truncated),
		cmocka_unit_test(test_offload_receive_finishes_with_no_zero),
		cmocka_unit_test(test_offload_receive_finishes_padded),
		cmocka_unit_test(test_offload_receive_after_strip),
		cmocka_unit_test(test_offload_verify_ip),
		cmocka_unit_test(test_offload_receive_survives_noise),
	};

	rig_eal();
	return rig_end(cmocka_run_group_tests_name("test_offload", tests, NULL, NULL));
}
