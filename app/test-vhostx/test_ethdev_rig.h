/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of the ethdev share: an EAL without hugepages, ports of the driver and virtio-user ports
 * on the same sockets in one process, and packets. Every wait is on a condition and has a deadline.
 */
#ifndef TEST_ETHDEV_RIG_H
#define TEST_ETHDEV_RIG_H

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_version.h>

#include "guest/guest_net.h"
#include "mem/region.h"
#include "rte_eth_vhostx.h"
#include "vhostx_ports.h"

#define DEADLINE_MS 30000
#define RIG_MBUFS 8191u
#define RIG_ROOM 2048u
#define RIG_RING 256 /* entries of virtio-user's rings */

static __thread struct rte_mempool *pool; /* where this thread takes packets from */
static char rig_dir[32];
static unsigned int rig_available; /* mbufs in the pool when the case began */

static inline uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Evaluate again and again until it holds; other threads get the processor meanwhile. */
#define wait_until(condition) do { \
	const uint64_t end_ = now_ms() + DEADLINE_MS; \
	while (!(condition)) { \
		if (now_ms() > end_) \
			fail_msg("not in time: %s", #condition); \
		sched_yield(); \
	} \
} while (0)

/* One lcore that may run on every processor that the test may: nothing is pinned to a busy one. */
static inline void
rig_lcores(char *arg, size_t len)
{
	size_t at = snprintf(arg, len, "--lcores=0@(");
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	for (int i = 0, n = 0; i < CPU_SETSIZE && n < 4; i++) {
		if (CPU_ISSET(i, &set))
			at += snprintf(arg + at, len - at, "%s%d", n++ == 0 ? "" : ",", i);
	}
	snprintf(arg + at, len - at, ")");
}

/* Start the EAL and make what all cases use; cmocka's group set-up. */
static inline int
rig_eal(void **state)
{
	static char arg[][64] = { "test_ethdev", "--no-huge", "--no-shconf", "--no-pci", "-m", "192", "",
		"--no-telemetry", "--log-level=error", "--log-level=pmd.net.vhostx:error" };
	char *argv[RTE_DIM(arg)];

	(void)state;
	rig_lcores(arg[6], sizeof(arg[6]));
	for (size_t i = 0; i < RTE_DIM(arg); i++)
		argv[i] = arg[i];
	/* virtio-user writes to sockets whose other end is gone. */
	signal(SIGPIPE, SIG_IGN);
	if (rte_eal_init(RTE_DIM(arg), argv) < 0)
		return -1;
	pool = rte_pktmbuf_pool_create("rig", RIG_MBUFS, 0, 0, RIG_ROOM + RTE_PKTMBUF_HEADROOM, 0);
	snprintf(rig_dir, sizeof(rig_dir), "/tmp/vx-XXXXXX");
	return pool == NULL || mkdtemp(rig_dir) == NULL;
}

static inline int
rig_eal_end(void **state)
{
	(void)state;
	rmdir(rig_dir);
	return rte_eal_cleanup();
}

/* --- ports ------------------------------------------------------------------------------------------ */

/* How a port is set up; all zero is one queue pair without offloads. */
struct port_conf {
	uint16_t queues;      /* of the device; 0: 1 */
	uint16_t rxq, txq;    /* that are set up; 0: as many */
	uint64_t rx_offloads, tx_offloads;
	bool lsc;             /* intr_conf.lsc */
	bool rx_intr;         /* intr_conf.rxq */
	bool deferred;        /* rx and tx queues are started by hand */
	struct rte_mempool *pool; /* for received packets; NULL: pool */
	const char *devargs;  /* more of them, with a comma in front; NULL: none */
};

static inline uint16_t
conf_queues(const struct port_conf *conf)
{
	return conf->queues == 0 ? 1 : conf->queues;
}

static inline const char *
port_path(unsigned int n)
{
	static char path[4][64];

	snprintf(path[n % 4], sizeof(path[0]), "%s/%u.sock", rig_dir, n);
	return path[n % 4];
}

static inline void
port_configure(uint16_t port, const struct port_conf *conf)
{
	const uint16_t rxq = conf->rxq == 0 ? conf_queues(conf) : conf->rxq;
	const uint16_t txq = conf->txq == 0 ? conf_queues(conf) : conf->txq;
	const struct rte_eth_rxconf rx = { .rx_deferred_start = conf->deferred,
		.offloads = conf->rx_offloads };
	const struct rte_eth_txconf tx = { .tx_deferred_start = conf->deferred,
		.offloads = conf->tx_offloads };
	const struct rte_eth_conf dev = {
		.rxmode.offloads = conf->rx_offloads,
		.txmode.offloads = conf->tx_offloads,
		.intr_conf = { .lsc = conf->lsc, .rxq = conf->rx_intr },
	};

	assert_int_equal(rte_eth_dev_configure(port, rxq, txq, &dev), 0);
	for (uint16_t i = 0; i < rxq; i++)
		assert_int_equal(rte_eth_rx_queue_setup(port, i, RIG_RING, SOCKET_ID_ANY, &rx,
			conf->pool == NULL ? pool : conf->pool), 0);
	for (uint16_t i = 0; i < txq; i++)
		assert_int_equal(rte_eth_tx_queue_setup(port, i, RIG_RING, SOCKET_ID_ANY, &tx), 0);
}

static inline uint16_t
port_attach(const char *name, const char *args)
{
	uint16_t port = UINT16_MAX;

	assert_int_equal(rte_vdev_init(name, args), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(name, &port), 0);
	return port;
}

/* net_vhostx<n> on socket n, probed only. */
static inline uint16_t
vhost_probe(unsigned int n, const struct port_conf *conf)
{
	char name[32], args[512];

	snprintf(name, sizeof(name), "net_vhostx%u", n);
	/* Ports close while guests are there: they would leave files. */
	snprintf(args, sizeof(args), "iface=%s,queues=%u,state-dir=none%s", port_path(n), conf_queues(conf),
		conf->devargs == NULL ? "" : conf->devargs);
	return port_attach(name, args);
}

/* The same, configured and started. */
static inline uint16_t
vhost_open(unsigned int n, const struct port_conf *conf)
{
	const uint16_t port = vhost_probe(n, conf);

	port_configure(port, conf);
	assert_int_equal(rte_eth_dev_start(port), 0);
	return port;
}

/* net_virtio_user<n> on socket n, configured and started. */
static inline uint16_t
virtio_open(unsigned int n, const struct port_conf *conf)
{
	char name[32], args[512];
	uint16_t port;

	snprintf(name, sizeof(name), "net_virtio_user%u", n);
	snprintf(args, sizeof(args), "path=%s,queues=%u,queue_size=%u%s", port_path(n),
		conf_queues(conf), RIG_RING, conf->devargs == NULL ? "" : conf->devargs);
	port = port_attach(name, args);
	port_configure(port, conf);
	assert_int_equal(rte_eth_dev_start(port), 0);
	return port;
}

static inline void
port_close(uint16_t port)
{
	char name[RTE_ETH_NAME_MAX_LEN];

	assert_int_equal(rte_eth_dev_get_name_by_port(port, name), 0);
	rte_eth_dev_stop(port);
	assert_int_equal(rte_vdev_uninit(name), 0);
}

static inline bool
port_is_up(uint16_t port)
{
	struct rte_eth_link link;

	assert_int_equal(rte_eth_link_get_nowait(port, &link), 0);
	return link.link_status == RTE_ETH_LINK_UP;
}

/* Do all rings of the first @a pairs pairs run? The link is up before, at the first of them. */
static inline bool
port_has_rings(uint16_t port, uint16_t pairs)
{
	struct vhostx_port *p = vhostx_ports_lock(port);
	bool up = true;

	for (uint16_t i = 0; i < pairs * 2; i++)
		up = up && p->ring[i].built && p->ring[i].snap.enabled;
	vhostx_ports_unlock(p);
	return up;
}

static inline bool
port_is_vhost(uint16_t port)
{
	struct vhostx_port *p = vhostx_ports_lock(port);

	if (p != NULL)
		vhostx_ports_unlock(p);
	return p != NULL;
}

/* cmocka tear-down: every port ends, and every mbuf is back. */
static inline int
rig_teardown(void **state)
{
	uint16_t port, left;

	(void)state;
	/* Guests first: virtio-user waits for answers. */
	for (int vhost = 0; vhost < 2; vhost++) {
		RTE_ETH_FOREACH_DEV(port) {
			if (port_is_vhost(port) == vhost)
				port_close(port);
		}
	}
	left = rig_available - rte_mempool_avail_count(pool);
	if (left != 0)
		print_error("%d mbufs were lost, or freed twice\n", (int16_t)left);
	if (vhostx_map_count() != 0)
		print_error("%u mappings are left\n", vhostx_map_count());
	return left != 0 || vhostx_map_count() != 0;
}

static inline int
rig_setup(void **state)
{
	(void)state;
	rig_available = rte_mempool_avail_count(pool);
	return 0;
}

/* --- packets ---------------------------------------------------------------------------------------- */

/* @a len bytes of the pattern of @a seed in one segment. */
static inline struct rte_mbuf *
packet_make(uint32_t len, uint32_t seed)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	guest_net_pattern((uint8_t *)rte_pktmbuf_append(m, len), len, seed, 0);
	return m;
}

/* The packet has @a len bytes of the pattern of @a seed; it is freed. */
static inline void
packet_check(struct rte_mbuf *m, uint32_t len, uint32_t seed)
{
	uint32_t off = 0;

	assert_int_equal(m->pkt_len, len);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next) {
		assert_true(guest_net_matches(rte_pktmbuf_mtod(s, const uint8_t *), s->data_len, seed,
			off));
		off += s->data_len;
	}
	assert_int_equal(off, len);
	rte_pktmbuf_free(m);
}

/* Send one packet, retrying while there is no room. */
static inline void
port_send(uint16_t port, uint16_t queue, struct rte_mbuf *m)
{
	wait_until(rte_eth_tx_burst(port, queue, &m, 1) == 1);
}

/* Wait for one packet. */
static inline struct rte_mbuf *
port_receive(uint16_t port, uint16_t queue)
{
	struct rte_mbuf *m = NULL;

	wait_until(rte_eth_rx_burst(port, queue, &m, 1) == 1);
	return m;
}

/* A packet crosses from one end to the other. */
static inline void
port_pass(uint16_t from, uint16_t to, uint16_t queue, uint32_t seed)
{
	port_send(from, queue, packet_make(60 + seed % 1400, seed));
	packet_check(port_receive(to, queue), 60 + seed % 1400, seed);
}

/* --- what grows if it leaks ------------------------------------------------------------------------- */

static inline unsigned int
count_entries(const char *path)
{
	DIR *dir = opendir(path);
	unsigned int n = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static inline unsigned int
count_files(void)
{
	return count_entries("/proc/self/fd");
}

static inline unsigned int
count_threads(void)
{
	return count_entries("/proc/self/task");
}

/* Run the tests of a file: one EAL for all cases. */
#define rig_main(tests) \
	cmocka_run_group_tests(tests, rig_eal, rig_eal_end)
#define rig_case(function) \
	cmocka_unit_test_setup_teardown(function, rig_setup, rig_teardown)

#endif /* TEST_ETHDEV_RIG_H */
