/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What applications are told of offloads, what guests are offered, and what enabling them changes.
 */
#include <rte_errno.h>
#include <rte_tcp.h>

#include "guest/guest_ip.h"
#include "test_ethdev_front.h"

#define RX_FLAGS (RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM | \
	RTE_ETH_RX_OFFLOAD_TCP_LRO)
#define TX_OFFLOADS (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM | \
	RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO)
#define HOST_TSO 0x7800u /* VIRTIO_NET_F_HOST_TSO4, _TSO6, _ECN, _UFO */

static const struct port_conf plain;

static void
test_ethdev_offload_capabilities(void **state)
{
	const uint16_t port = vhost_probe(0, &plain);
	struct rte_eth_dev_info info;

	(void)state;
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_int_equal(info.rx_offload_capa & RX_FLAGS, RX_FLAGS);
	assert_true(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM);
	assert_int_equal(info.tx_offload_capa & TX_OFFLOADS, TX_OFFLOADS);
	port_configure(port, &(struct port_conf){ .rx_offloads = info.rx_offload_capa,
		.tx_offloads = info.tx_offload_capa });
	assert_int_equal(rte_eth_dev_start(port), 0);
}

/* With transmit flags on received packets there are none that tell of checksums. */
static void
test_ethdev_offload_capabilities_legacy(void **state)
{
	const uint16_t port = vhost_probe(0, &(struct port_conf){ .devargs = ",legacy-ol-flags=1" });
	struct rte_eth_dev_info info;

	(void)state;
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_int_equal(info.rx_offload_capa & RX_FLAGS, 0);
	assert_int_equal(info.tx_offload_capa & TX_OFFLOADS, TX_OFFLOADS);
}

/* CSUM, all that the guest takes, and @a tso is what a port offers. */
static void
check_offer(const struct port_conf *conf, uint32_t tso)
{
	const uint16_t port = vhost_open(0, conf);
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	assert_int_equal(front_offered(f) & 0x7f83, 0x0783 | tso);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_offload_offers(void **state)
{
	static const struct { struct port_conf conf; uint32_t tso; } cases[] = {
		{ { 0 }, 0 },
		{ { .devargs = ",tso=0" }, 0 },
		{ { .devargs = ",tso=1" }, HOST_TSO },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO }, HOST_TSO },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM }, 0 },
		{ { .devargs = ",legacy-ol-flags=1" }, 0 },
	};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		check_offer(&cases[i].conf, cases[i].tso);
}

/* A long packet would fit no mbuf and be lost, and the guest would send it for ever. */
static void
test_ethdev_regress_offload_of_linear_buffers(void **state)
{
	static const struct { struct port_conf conf; uint32_t tso; } cases[] = {
		{ { .devargs = ",tso=1,linear-buffer=1" }, 0 },
		{ { .devargs = ",linear-buffer=1", .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO }, 0 },
		{ { .devargs = ",tso=1,linear-buffer=1,dequeue-zero-copy=1" }, 0 },
		{ { .devargs = ",tso=1,linear-buffer=1,ext-buffer=1" }, HOST_TSO },
		{ { .devargs = ",tso=1,ext-buffer=1" }, HOST_TSO },
	};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		check_offer(&cases[i].conf, cases[i].tso);
}

/* Features freeze when a front-end comes: what an application changes is for the next one. */
static void
test_ethdev_offload_offers_next_front_end(void **state)
{
	const uint16_t port = vhost_open(0, &plain);
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	for (uint32_t on = 1; on < 4; on++) {
		const uint64_t before = front_offered(f);

		assert_int_equal(rte_eth_dev_stop(port), 0);
		port_configure(port, &(struct port_conf){
			.rx_offloads = on % 2 ? RTE_ETH_RX_OFFLOAD_TCP_LRO : 0 });
		assert_int_equal(rte_eth_dev_start(port), 0);
		assert_true(front_offered(f) == before);
		/* It may say again what it said, as QEMU does when it begins to log. */
		front_do_u64(f, VHOSTX_SET_FEATURES, front_features(&f->conf), -1);
		front_free(f);
		f = front_open(0, &(struct front_conf){ 0 });
		assert_int_equal(front_offered(f) & HOST_TSO, on % 2 ? HOST_TSO : 0);
	}
	front_free(f);
}

/* --- packets --------------------------------------------------------------------------------------- */

/* The guest transmits a packet whose checksum is to be made. */
static void
send_open(struct front *f, uint8_t *packet, uint32_t len)
{
	const struct guest_seg seg = { front_slot(f, 1), FRONT_HDR + len, false };
	struct guest_net_hdr hdr;

	front_do_u64(f, VHOSTX_SET_FEATURES, front_features(&f->conf) | 1 << VIRTIO_NET_F_CSUM, -1);
	guest_ip_leave(packet, len, 0, &hdr);
	assert_int_equal(guest_mem_write(&f->mem, seg.gpa, &hdr, sizeof(hdr)), 0);
	assert_int_equal(guest_mem_write(&f->mem, seg.gpa + FRONT_HDR, packet, len), 0);
	assert_true(guest_ring_add(&f->ring[1], &seg, 1) >= 0);
	front_publish(f, 1);
}

struct rx_case {
	struct port_conf conf;
	bool udp;
	uint64_t flags;
};

/* What a packet whose checksum the guest left is received with, and that GOOD is said of right ones alone. */
static void
check_rx_flags(const struct rx_case *c)
{
	const struct guest_ip ip = { .payload = 100, .udp = c->udp };
	const uint16_t port = vhost_open(0, &c->conf);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	const uint64_t known = RTE_MBUF_F_RX_L4_CKSUM_MASK | RTE_MBUF_F_RX_IP_CKSUM_MASK |
		RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_L4_MASK;
	uint8_t packet[256];
	struct rte_mbuf *m;

	send_open(f, packet, guest_ip_build(packet, &ip));
	m = port_receive(port, 0);
	assert_int_equal(m->ol_flags & known, c->flags);
	assert_int_equal(guest_ip_is_right(rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len),
		(c->flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD) != 0 &&
		(c->flags & RTE_MBUF_F_RX_L4_CKSUM_BAD) == 0);
	rte_pktmbuf_free(m);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_offload_rx_flags(void **state)
{
	static const struct rx_case cases[] = {
		{ { 0 }, false, RTE_MBUF_F_RX_L4_CKSUM_GOOD },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM }, false, RTE_MBUF_F_RX_L4_CKSUM_NONE },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM }, true, RTE_MBUF_F_RX_L4_CKSUM_GOOD },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_UDP_CKSUM }, true, RTE_MBUF_F_RX_L4_CKSUM_NONE },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM }, true,
			RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD },
		{ { .devargs = ",legacy-ol-flags=1" }, true,
			RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM },
	};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		check_rx_flags(&cases[i]);
}

/* Programs for NICs enable what a NIC has if all of it is there, and send packets on to one as they are. */
static void
test_ethdev_regress_offload_all_checksums(void **state)
{
	static const uint64_t made = RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	static const uint64_t left = RTE_MBUF_F_RX_L4_CKSUM_NONE | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	const struct rx_case cases[] = {
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM }, false, made },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM }, true, made },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO }, false, left },
		{ { .rx_offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_TCP_LRO }, true, left },
	};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++)
		check_rx_flags(&cases[i]);
}

/* A program that looks at checksums no more is not left with unfinished ones by queues that it set up before. */
static void
test_ethdev_regress_offload_configured_anew(void **state)
{
	const struct guest_ip ip = { .payload = 100 };
	const struct rte_eth_conf looks = { .rxmode.offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM }, does_not = { 0 };
	const uint16_t port = vhost_open(0, &plain);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	uint8_t packet[256];
	struct rte_mbuf *m;

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(rte_eth_dev_stop(port), 0);
		assert_int_equal(rte_eth_dev_configure(port, 1, 1, i % 2 == 0 ? &looks : &does_not), 0);
		assert_int_equal(rte_eth_dev_start(port), 0);
		send_open(f, packet, guest_ip_build(packet, &ip));
		m = port_receive(port, 0);
		assert_int_equal(guest_ip_is_right(rte_pktmbuf_mtod(m, const uint8_t *), m->pkt_len), i % 2);
		rte_pktmbuf_free(m);
		assert_int_equal(front_reap(f, 0), 1);
	}
	front_free(f);
}

/* A mbuf that asks for a TCP checksum. */
static struct rte_mbuf *
ask(uint16_t l3_len)
{
	const struct guest_ip ip = { .payload = 100 };
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	rte_pktmbuf_append(m, guest_ip_build(rte_pktmbuf_mtod(m, uint8_t *), &ip));
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = l3_len;
	m->l4_len = sizeof(struct rte_tcp_hdr);
	m->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_TCP_CKSUM;
	return m;
}

static void
test_ethdev_offload_prepare(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ .tx_offloads = TX_OFFLOADS });
	struct rte_mbuf *pkts[4] = { ask(20), ask(20), ask(24), ask(20) };

	(void)state;
	assert_int_equal(rte_eth_tx_prepare(port, 0, pkts, 2), 2);
	assert_int_equal(rte_eth_tx_prepare(port, 0, pkts, 4), 2);
	assert_int_equal(rte_errno, EINVAL);
	pkts[1]->ol_flags |= RTE_MBUF_F_TX_QINQ;
	assert_int_equal(rte_eth_tx_prepare(port, 0, pkts, 4), 1);
	assert_int_equal(rte_errno, ENOTSUP);
	rte_pktmbuf_free_bulk(pkts, 4);
}

/* The guest has negotiated nothing: it gets whole checksums. */
static void
test_ethdev_offload_tx_falls_back(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ .tx_offloads = TX_OFFLOADS });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_mbuf *m = ask(20);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	uint8_t frame[FRONT_SLOT_LEN];
	uint32_t len;

	(void)state;
	guest_ip_put16(&p[24], 0);
	guest_ip_put16(&p[50], 0x1234);
	front_post(f, 0, 1, FRONT_SLOT_LEN);
	wait_until(port_has_rings(port, 1));
	port_send(port, 0, m);
	len = front_receive(f, 0, frame, sizeof(frame));
	assert_int_equal(len, 154);
	assert_true(guest_ip_is_right(frame, len));
	front_free(f);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_offload_capabilities),
		rig_case(test_ethdev_offload_capabilities_legacy),
		rig_case(test_ethdev_offload_offers),
		rig_case(test_ethdev_regress_offload_of_linear_buffers),
		rig_case(test_ethdev_offload_offers_next_front_end),
		rig_case(test_ethdev_offload_rx_flags),
		rig_case(test_ethdev_regress_offload_all_checksums),
		rig_case(test_ethdev_regress_offload_configured_anew),
		rig_case(test_ethdev_offload_prepare),
		rig_case(test_ethdev_offload_tx_falls_back),
	};

	return rig_main(tests);
}
