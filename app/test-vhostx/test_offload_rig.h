/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of offloads share: packets of every kind, in mbufs cut anywhere.
 */
#ifndef TEST_OFFLOAD_RIG_H
#define TEST_OFFLOAD_RIG_H

#include "guest/guest_ip.h"
#include "ring/burst.h"
#include "ring/offload.h"
#include "test_mbuf_rig.h"

/* Features that matter, all of them negotiated. */
#define RIG_OFFLOADS 0x7f83 /* CSUM, GUEST_CSUM, GUEST_TSO4 to HOST_UFO */

/* One TCP and one UDP packet of each shape of headers. */
static const struct guest_ip rig_ip[] = {
	{ .payload = 100, .tcp_flags = 0x18, .seq = 7, .id = 9, .seed = 1 },
	{ .payload = 101, .udp = true, .seed = 2 },
	{ .payload = 102, .ipv6 = true, .tcp_flags = 0x10, .seed = 3 },
	{ .payload = 103, .ipv6 = true, .udp = true, .seed = 4 },
	{ .payload = 104, .vlan = true, .tcp_more = 12, .seed = 5 },
	{ .payload = 105, .vlan = true, .udp = true, .l3_more = 8, .seed = 6 },
	{ .payload = 106, .vlan = true, .ipv6 = true, .l3_more = 16, .tcp_more = 40, .seed = 7 },
	{ .payload = 107, .ipv6 = true, .udp = true, .l3_more = 8, .seed = 8 },
	{ .payload = 1, .l3_more = 40, .tcp_more = 4, .seed = 9 },
};

/* How a packet is cut into segments of an mbuf; 0 ends, the last one repeats. */
static const uint32_t rig_ip_cuts[][5] = { { RIG_ROOM, 0 }, { 14, 20, 7, 64, 0 }, { 1, 2, 3, 5, 0 },
	{ 35, 1, 1000, 0 } };

/* The bytes of an mbuf in one piece; valid until the next call. */
static inline uint8_t *
rig_bytes(const struct rte_mbuf *m)
{
	static uint8_t buf[VHOSTX_PACKET_MAX];
	uint32_t off = 0;

	for (; m != NULL; m = m->next) {
		memcpy(&buf[off], rte_pktmbuf_mtod(m, const uint8_t *), m->data_len);
		off += m->data_len;
	}
	return buf;
}

/* The driver's idea of the same header. */
static inline struct virtio_net_hdr
rig_hdr(const struct guest_net_hdr *hdr)
{
	return (struct virtio_net_hdr){ hdr->flags, hdr->gso_type, hdr->hdr_len, hdr->gso_size,
		.csum_start = hdr->csum_start, .csum_offset = hdr->csum_offset };
}

/* An application that looks at checksum flags and takes long packets. */
static inline struct vhostx_offload_conf
rig_conf(void)
{
	struct vhostx_offload_conf conf = { .keep_tcp = true, .keep_udp = true };

	assert_int_equal(vhostx_offload_register(&conf), 0);
	return conf;
}

/* An mbuf of the packet, which is built in @a buf, that asks for all that it can. */
static inline struct rte_mbuf *
rig_ask(uint8_t *buf, const struct guest_ip *ip, uint16_t segsz)
{
	const uint32_t len = guest_ip_build(buf, ip);
	struct guest_ip_view v;
	struct rte_mbuf *m = rig_mbuf_of(buf, len, rig_ip_cuts[0]);

	guest_ip_parse(buf, len, &v);
	m->tx_offload = rte_mbuf_tx_offload(v.l3, v.l4 - v.l3, v.payload - v.l4, segsz, 0, 0, 0);
	m->ol_flags = v.ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	m->ol_flags |= v.udp ? RTE_MBUF_F_TX_UDP_CKSUM : RTE_MBUF_F_TX_TCP_CKSUM;
	if (segsz != 0)
		m->ol_flags |= v.udp ? RTE_MBUF_F_TX_UDP_SEG : RTE_MBUF_F_TX_TCP_SEG;
	return m;
}

/* The end of a file's tests, of which @a failed failed: no mbuf was lost. @return how many failures that makes. */
static inline int
rig_end(int failed)
{
	if (rte_mempool_avail_count(rig_pool) != RIG_MBUFS) {
		print_error("mbufs were lost\n");
		failed++;
	}
	rte_eal_cleanup();
	return failed;
}

#endif /* TEST_OFFLOAD_RIG_H */
