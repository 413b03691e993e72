/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port as an application meets it: what it says of itself, life and end, addresses and MTU.
 */
#include <sys/syscall.h>

#include <linux/mempolicy.h>

#include <ethdev_driver.h>

#include "test_ethdev_front.h"

static const struct port_conf plain;

static void
test_ethdev_info(void **state)
{
	const struct port_conf conf = { .queues = 3 };
	const uint16_t port = vhost_open(0, &conf);
	struct rte_eth_dev_info info;

	(void)state;
	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_string_equal(info.driver_name, "net_vhostx");
	assert_int_equal(info.max_rx_queues, 3);
	assert_int_equal(info.max_tx_queues, 3);
	assert_int_equal(info.nb_rx_queues, 3);
	assert_int_equal(info.max_mac_addrs, 1);
	assert_int_equal(info.min_mtu, RTE_ETHER_MIN_MTU);
	assert_int_equal(info.max_mtu, UINT16_MAX);
	assert_true(*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
	assert_true(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER);
	assert_true(info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
	assert_true(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	assert_true(info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
}

/* A type in a packet is a promise that only a listed one may make. */
static void
test_ethdev_packet_types(void **state)
{
	const uint16_t vhost = vhost_open(0, &plain);
	const uint16_t virtio = virtio_open(0, &plain);
	const int listed = rte_eth_dev_get_supported_ptypes(vhost, RTE_PTYPE_ALL_MASK, NULL, 0);
	struct rte_mbuf *m;

	(void)state;
	assert_true(listed >= 0);
	wait_until(port_has_rings(vhost, 1));
	port_send(virtio, 0, packet_make(100, 1));
	m = port_receive(vhost, 0);
	assert_true(listed != 0 || m->packet_type == RTE_PTYPE_UNKNOWN);
	packet_check(m, 100, 1);
}

static void
test_ethdev_close_unconfigured(void **state)
{
	const uint16_t port = vhost_probe(0, &plain);
	struct rte_eth_stats stats;

	(void)state;
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(rte_eth_stats_reset(port), 0);
	assert_false(port_is_up(port));
	assert_int_equal(rte_vdev_uninit("net_vhostx0"), 0);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

static void
test_ethdev_close_twice(void **state)
{
	const uint16_t port = vhost_open(0, &plain);

	(void)state;
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_close(port), 0);
	assert_int_not_equal(rte_eth_dev_close(port), 0);
	assert_int_equal(rte_vdev_uninit("net_vhostx0"), 0);
	assert_int_not_equal(access(port_path(0), F_OK), 0);
}

static void
test_ethdev_traffic(void **state)
{
	const uint16_t vhost = vhost_open(0, &plain);
	const uint16_t virtio = virtio_open(0, &plain);
	struct rte_eth_stats stats;

	(void)state;
	wait_until(port_has_rings(vhost, 1));
	for (uint32_t i = 0; i < 100; i++) {
		port_pass(virtio, vhost, 0, i);
		port_pass(vhost, virtio, 0, i);
	}
	assert_int_equal(rte_eth_stats_get(vhost, &stats), 0);
	assert_int_equal(stats.ipackets, 100);
	assert_int_equal(stats.opackets, 100);
	assert_int_equal(stats.ibytes, stats.obytes);
	assert_int_equal(stats.ierrors + stats.oerrors + stats.rx_nombuf, 0);
}

static void
test_ethdev_restart_keeps_guest(void **state)
{
	const uint16_t vhost = vhost_open(0, &plain);
	const uint16_t virtio = virtio_open(0, &plain);
	struct rte_mbuf *m = NULL;

	(void)state;
	wait_until(port_has_rings(vhost, 1));
	for (uint32_t i = 0; i < 20; i++) {
		port_pass(virtio, vhost, 0, i);
		assert_int_equal(rte_eth_dev_stop(vhost), 0);
		port_send(virtio, 0, packet_make(100, i));
		assert_int_equal(rte_eth_dev_start(vhost), 0);
		m = port_receive(vhost, 0);
		packet_check(m, 100, i);
		port_pass(vhost, virtio, 0, i);
	}
}

static void
test_ethdev_reconfigure(void **state)
{
	const struct port_conf four = { .queues = 4 }, two = { .queues = 4, .rxq = 2, .txq = 2 };
	const uint16_t vhost = vhost_open(0, &four);
	const uint16_t virtio = virtio_open(0, &four);

	(void)state;
	wait_until(port_has_rings(vhost, 4));
	for (int round = 0; round < 4; round++) {
		const struct port_conf *conf = round % 2 == 0 ? &two : &four;

		assert_int_equal(rte_eth_dev_stop(vhost), 0);
		port_configure(vhost, conf);
		assert_int_equal(rte_eth_dev_start(vhost), 0);
		for (uint16_t q = 0; q < (round % 2 == 0 ? 2 : 4); q++) {
			port_pass(virtio, vhost, q, q);
			port_pass(vhost, virtio, q, q);
		}
		if (round % 2 != 0)
			continue;
		/* What the guest sent meanwhile on rings without a queue waits for one. */
		port_send(virtio, 3, packet_make(77, round));
		assert_int_equal(rte_eth_dev_stop(vhost), 0);
		port_configure(vhost, &four);
		assert_int_equal(rte_eth_dev_start(vhost), 0);
		packet_check(port_receive(vhost, 3), 77, round);
	}
}

static void
test_ethdev_mac(void **state)
{
	const struct port_conf given = { .devargs = ",mac=02:01:02:03:04:05" };
	const struct rte_ether_addr want = { { 2, 1, 2, 3, 4, 5 } };
	struct rte_ether_addr other = { { 2, 9, 9, 9, 9, 9 } };
	const uint16_t a = vhost_open(0, &given);
	const uint16_t b = vhost_open(1, &plain);
	const struct rte_ether_addr own = { { 'V', 'H', 'O', 'S', 'T', b } };
	struct rte_ether_addr mac;

	(void)state;
	assert_int_equal(rte_eth_macaddr_get(a, &mac), 0);
	assert_true(rte_is_same_ether_addr(&mac, &want));
	assert_int_equal(rte_eth_macaddr_get(b, &mac), 0);
	assert_true(rte_is_same_ether_addr(&mac, &own));
	assert_int_equal(rte_eth_dev_default_mac_addr_set(a, &other), 0);
	assert_int_equal(rte_eth_macaddr_get(a, &mac), 0);
	assert_true(rte_is_same_ether_addr(&mac, &other));
	other.addr_bytes[0] = 1;
	assert_int_not_equal(rte_eth_dev_default_mac_addr_set(a, &other), 0);
}

static uint16_t
mtu_of(uint16_t port)
{
	uint16_t mtu = 0;

	assert_int_equal(rte_eth_dev_get_mtu(port, &mtu), 0);
	return mtu;
}

static void
test_ethdev_mtu(void **state)
{
	const uint16_t port = vhost_open(0, &plain);

	(void)state;
	assert_int_equal(mtu_of(port), 1500);
	assert_int_equal(rte_eth_dev_set_mtu(port, 9000), 0);
	assert_int_equal(mtu_of(port), 9000);
	assert_int_equal(rte_eth_dev_set_mtu(port, UINT16_MAX), 0);
	assert_int_equal(rte_eth_dev_set_mtu(port, RTE_ETHER_MIN_MTU), 0);
	assert_int_equal(rte_eth_dev_set_mtu(port, RTE_ETHER_MIN_MTU - 1), -EINVAL);
	assert_int_equal(mtu_of(port), RTE_ETHER_MIN_MTU);
}

/* ethdev writes 1500 at configure unless the application asks for something. */
static void
test_ethdev_regress_mtu_of_devargs(void **state)
{
	const struct port_conf conf = { .devargs = ",mtu=9000" };
	const struct rte_eth_conf asked = { .rxmode.mtu = 2000 };
	const uint16_t port = vhost_probe(0, &conf);

	(void)state;
	assert_int_equal(mtu_of(port), 9000);
	port_configure(port, &conf);
	assert_int_equal(mtu_of(port), 9000);
	assert_int_equal(rte_eth_dev_configure(port, 1, 1, &asked), 0);
	assert_int_equal(mtu_of(port), 2000);
}

static void
test_ethdev_mtu_of_guest(void **state)
{
	const uint16_t port = vhost_open(0, &plain);
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	front_do_u64(f, VHOSTX_NET_SET_MTU, 4000, -1);
	assert_int_equal(mtu_of(port), 4000);
	front_free(f);
}

#define NODE_NOWHERE 7 /* a node that the machine has not */

/* The NUMA node of a byte of the guest. */
static int
node_of(const struct front *f, uint64_t gpa)
{
	int node = -1;

	assert_int_equal(syscall(SYS_get_mempolicy, &node, NULL, 0, guest_mem_ptr(&f->mem, gpa, 1),
		MPOL_F_NODE | MPOL_F_ADDR), 0);
	return node;
}

static void
test_ethdev_node_is_the_guests(void **state)
{
	const uint16_t port = vhost_open(0, &plain);
	struct front *f;

	(void)state;
	rte_eth_devices[port].data->numa_node = NODE_NOWHERE;
	f = front_open(0, &(struct front_conf){ 0 });
	assert_int_equal(rte_eth_dev_socket_id(port), node_of(f, FRONT_GPA));
	front_free(f);
}

static void
test_ethdev_node_of_devargs_stays(void **state)
{
	const struct port_conf conf = { .devargs = ",numa=0" };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f;

	(void)state;
	assert_int_equal(rte_eth_dev_socket_id(port), 0);
	/* The guest's node may be 0 as well. */
	rte_eth_devices[port].data->numa_node = NODE_NOWHERE;
	f = front_open(0, &(struct front_conf){ 0 });
	assert_int_equal(rte_eth_dev_socket_id(port), NODE_NOWHERE);
	front_free(f);
}

static void
test_ethdev_filters(void **state)
{
	const uint16_t port = vhost_open(0, &plain);

	(void)state;
	assert_int_equal(rte_eth_promiscuous_get(port), 1);
	assert_int_equal(rte_eth_allmulticast_get(port), 1);
	assert_int_equal(rte_eth_promiscuous_disable(port), 0);
	assert_int_equal(rte_eth_promiscuous_get(port), 0);
	assert_int_equal(rte_eth_promiscuous_enable(port), 0);
	assert_int_equal(rte_eth_allmulticast_disable(port), 0);
	assert_int_equal(rte_eth_allmulticast_enable(port), 0);
}

static void
test_ethdev_vhostx_info(void **state)
{
	const uint16_t port = vhost_open(0, &plain);
	struct rte_eth_vhostx_info info;
	struct front *f;

	(void)state;
	assert_int_equal(rte_eth_vhostx_get_info(port, &info), 0);
	assert_string_equal(info.iface, port_path(0));
	assert_false(info.client || info.connected);
	f = front_open(0, &(struct front_conf){ 0 });
	assert_int_equal(rte_eth_vhostx_get_info(port, &info), 0);
	assert_true(info.connected);
	assert_int_equal(info.features, front_features(&f->conf));
	assert_int_equal(info.nr_regions, 1);
	front_free(f);
	assert_int_equal(rte_eth_vhostx_get_info(port + 1, &info), -EINVAL);
	assert_int_equal(rte_eth_vhostx_get_info(port, NULL), -EINVAL);
}

/* One end of it goes on while the other port comes and goes. */
struct other_traffic {
	struct rte_mempool *pool;
	uint16_t vhost, virtio;
	uint32_t passed; /* atomic */
	bool end;        /* atomic */
};

static void *
other_traffic_run(void *arg)
{
	struct other_traffic *t = arg;

	pool = t->pool;
	for (uint32_t i = 0; !__atomic_load_n(&t->end, __ATOMIC_RELAXED); i++) {
		port_pass(t->virtio, t->vhost, 0, i);
		port_pass(t->vhost, t->virtio, 0, i);
		__atomic_store_n(&t->passed, i, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void
attach_and_detach(uint32_t seed)
{
	char args[256];
	uint16_t port;
	struct front *f;

	snprintf(args, sizeof(args), "iface=%s", port_path(1));
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_vhostx1", args), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_vhostx1", &port), 0);
	port_configure(port, &plain);
	assert_int_equal(rte_eth_dev_start(port), 0);
	f = front_open(1, &(struct front_conf){ 0 });
	front_send(f, 0, 99, seed);
	packet_check(port_receive(port, 0), 99, seed);
	if (seed % 2 == 0)
		assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eal_hotplug_remove("vdev", "net_vhostx1"), 0);
	front_free(f);
}

static void
test_ethdev_hotplug_under_traffic(void **state)
{
	struct other_traffic other = {
		.pool = rte_pktmbuf_pool_create("other", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0),
	};
	const struct port_conf conf = { .pool = other.pool };
	unsigned int files, threads, maps, mbufs;
	pthread_t thread;

	(void)state;
	other.vhost = vhost_open(0, &conf);
	other.virtio = virtio_open(0, &conf);
	wait_until(port_has_rings(other.vhost, 1));
	attach_and_detach(0);
	pthread_create(&thread, NULL, other_traffic_run, &other);
	files = count_files();
	threads = count_threads();
	maps = vhostx_map_count();
	for (uint32_t i = 0; i < 100; i++) {
		const uint32_t passed = __atomic_load_n(&other.passed, __ATOMIC_RELAXED);

		attach_and_detach(i);
		wait_until(__atomic_load_n(&other.passed, __ATOMIC_RELAXED) != passed);
	}
	__atomic_store_n(&other.end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	mbufs = rte_mempool_avail_count(pool);
	attach_and_detach(1);
	assert_int_equal(rte_mempool_avail_count(pool), mbufs);
	assert_int_equal(vhostx_map_count(), maps);
	/* The control thread closes a little later, at the beginning as at the end. */
	wait_until(count_files() <= files);
	wait_until(count_threads() < threads);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_info),
		rig_case(test_ethdev_packet_types),
		rig_case(test_ethdev_close_unconfigured),
		rig_case(test_ethdev_close_twice),
		rig_case(test_ethdev_traffic),
		rig_case(test_ethdev_restart_keeps_guest),
		rig_case(test_ethdev_reconfigure),
		rig_case(test_ethdev_mac),
		rig_case(test_ethdev_mtu),
		rig_case(test_ethdev_regress_mtu_of_devargs),
		rig_case(test_ethdev_mtu_of_guest),
		rig_case(test_ethdev_node_is_the_guests),
		rig_case(test_ethdev_node_of_devargs_stays),
		rig_case(test_ethdev_filters),
		rig_case(test_ethdev_vhostx_info),
		rig_case(test_ethdev_hotplug_under_traffic),
	};

	return rig_main(tests);
}
