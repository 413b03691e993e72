/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * SEND_RARP: a guest that moved here is announced once, among the packets that it sends.
 */
#include <ethdev_driver.h>
#include <rte_arp.h>
#include <rte_interrupts.h>

#include "test_ethdev_front.h"

static const struct rte_ether_addr guest = { .addr_bytes = { 0x52, 0x54, 0, 0x12, 0x34, 0xfe } };

static void
ask(struct front *f, const struct rte_ether_addr *mac)
{
	uint8_t payload[8] = { 0 };

	memcpy(payload, mac, sizeof(*mac));
	front_do(f, VHOSTX_SEND_RARP, payload, sizeof(payload), -1);
}

/* RFC 903: "request reverse", the guest asking for itself. */
static void
rarp_check(struct rte_mbuf *m, uint16_t port, const struct rte_ether_addr *mac)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	const struct rte_arp_hdr *arp = (const struct rte_arp_hdr *)(eth + 1);

	assert_int_equal(m->port, port);
	assert_true(m->pkt_len >= 60);
	assert_true(rte_is_broadcast_ether_addr(&eth->dst_addr));
	assert_memory_equal(&eth->src_addr, mac, sizeof(*mac));
	assert_int_equal(eth->ether_type, rte_cpu_to_be_16(RTE_ETHER_TYPE_RARP));
	assert_int_equal(arp->arp_opcode, rte_cpu_to_be_16(RTE_ARP_OP_REVREQUEST));
	assert_memory_equal(&arp->arp_data.arp_sha, mac, sizeof(*mac));
	assert_memory_equal(&arp->arp_data.arp_tha, mac, sizeof(*mac));
	rte_pktmbuf_free(m);
}

static void
assert_nothing(uint16_t port)
{
	struct rte_mbuf *m;

	for (int i = 0; i < 100; i++)
		assert_int_equal(rte_eth_rx_burst(port, 0, &m, 1), 0);
}

static void
test_ethdev_rarp_once(void **state)
{
	const struct rte_ether_addr other = { .addr_bytes = { 2, 0, 0, 0, 0, 1 } };
	const struct port_conf conf = { 0 };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_eth_stats stats;

	(void)state;
	assert_nothing(port);
	ask(f, &guest);
	rarp_check(port_receive(port, 0), port, &guest);
	assert_nothing(port);
	/* Of two that nobody has fetched the last one counts. */
	ask(f, &guest);
	ask(f, &other);
	rarp_check(port_receive(port, 0), port, &other);
	assert_nothing(port);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ipackets, 2);
	assert_true(stats.ibytes >= 2 * 60);
	front_free(f);
	port_close(port);
}

/* A burst that the guest could fill by itself. */
static void
test_ethdev_rarp_comes_first(void **state)
{
	const struct port_conf conf = { 0 };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_mbuf *pkts[4];

	(void)state;
	for (uint32_t i = 0; i < 8; i++)
		front_send(f, 0, 64, i);
	ask(f, &guest);
	assert_int_equal(rte_eth_rx_burst(port, 0, pkts, 4), 4);
	rarp_check(pkts[0], port, &guest);
	for (uint32_t i = 1; i < 4; i++)
		packet_check(pkts[i], 64, i - 1);
	for (uint32_t i = 3; i < 8; i++)
		packet_check(port_receive(port, 0), 64, i);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_rarp_wakes_sleepers(void **state)
{
	const struct port_conf conf = { .rx_intr = true };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_epoll_event event;

	(void)state;
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD,
		RTE_INTR_EVENT_ADD, NULL), 0);
	for (int before = 0; before < 2; before++) {
		if (before)
			ask(f, &guest);
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		if (!before) {
			while (rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, 20) != 0)
				assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
			ask(f, &guest);
		}
		assert_int_equal(rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, DEADLINE_MS), 1);
		assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
		rarp_check(port_receive(port, 0), port, &guest);
	}
	front_free(f);
	port_close(port);
}

/* ethdev changes and frees its arrays of queues when it likes, while a guest moves here as well. */
static void
test_ethdev_regress_rarp_in_ethdevs_array(void **state)
{
	void **nowhere = (void **)(uintptr_t)16;
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct rte_eth_dev_data *data = rte_eth_devices[port].data;
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	void **rx = data->rx_queues;

	(void)state;
	data->rx_queues = nowhere;
	ask(f, &guest);
	data->rx_queues = rx;
	rarp_check(port_receive(port, 0), port, &guest);
	/* Nobody polls any queue: the guest's other messages are served as ever. */
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_configure(port, 0, 1, &(struct rte_eth_conf){ 0 }), 0);
	ask(f, &guest);
	front_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_rarp_once),
		rig_case(test_ethdev_rarp_comes_first),
		rig_case(test_ethdev_rarp_wakes_sleepers),
		rig_case(test_ethdev_regress_rarp_in_ethdevs_array),
	};

	return rig_main(tests);
}
