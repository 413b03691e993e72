/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Sends back what port 0 receives, one lcore a queue, each asleep on its rx interrupt when idle. Tells
 * of every sleep and wake-up in the words of l3fwd-power, which distributions do not package.
 *
 * With "look" after the number of queues it polls once more after it has asked for the interrupt. DPDK's
 * virtio drivers need that: virtio_dev_rx_queue_intr_enable() sets the flag and does not look at the ring, so
 * nobody tells of packets that came between the last poll and the flag; if they were enough to fill the
 * ring, no later one can come either. (l3fwd-power sleeps for 10 ms at most.)
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_epoll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define PORT 0
#define BURST 32
#define RING 1024
#define IDLE_POLLS 300 /* without a packet, before a queue is left to its interrupt */
#define LOOK_MS 100    /* how long the end of the program may be overslept */

static uint16_t nr_queues;
static bool look;
static bool ending; /* atomic */

/* Exchange the addresses and send; what the other end has no room for is lost. */
static void
send_back(uint16_t queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct rte_ether_hdr *eth;
	struct rte_ether_addr addr;
	uint16_t sent;

	for (uint16_t i = 0; i < nb; i++) {
		eth = rte_pktmbuf_mtod(pkts[i], struct rte_ether_hdr *);
		addr = eth->src_addr;
		eth->src_addr = eth->dst_addr;
		eth->dst_addr = addr;
	}
	sent = rte_eth_tx_burst(PORT, queue, pkts, nb);
	rte_pktmbuf_free_bulk(&pkts[sent], nb - sent);
}

/* Receive and send back. @return packets. */
static uint16_t
serve_burst(uint16_t queue)
{
	struct rte_mbuf *pkts[BURST];
	const uint16_t nb = rte_eth_rx_burst(PORT, queue, pkts, BURST);

	if (nb != 0)
		send_back(queue, pkts, nb);
	return nb;
}

/* Sleep until the other end wakes us. */
static void
doze(uint16_t queue)
{
	struct rte_epoll_event event;
	int n = 0;

	rte_eth_dev_rx_intr_enable(PORT, queue);
	if (look && serve_burst(queue) != 0) {
		rte_eth_dev_rx_intr_disable(PORT, queue);
		return;
	}
	printf("lcore %u sleeps until interrupt triggers\n", rte_lcore_id());
	while (n == 0 && !__atomic_load_n(&ending, __ATOMIC_RELAXED))
		n = rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, LOOK_MS);
	rte_eth_dev_rx_intr_disable(PORT, queue);
	if (n > 0)
		printf("lcore %u is waked up from rx interrupt on port %u queue %u\n", rte_lcore_id(),
			PORT, queue);
}

static int
serve_queue(void *arg)
{
	const uint16_t queue = rte_lcore_index(rte_lcore_id()) - 1; /* the main lcore has index 0 */
	uint32_t idle = 0;

	(void)arg;
	if (queue >= nr_queues)
		return 0;
	if (rte_eth_dev_rx_intr_ctl_q(PORT, queue, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD, NULL) != 0)
		rte_exit(EXIT_FAILURE, "queue %u has no interrupt\n", queue);
	while (!__atomic_load_n(&ending, __ATOMIC_RELAXED)) {
		if (serve_burst(queue) != 0) {
			idle = 0;
		} else if (++idle == IDLE_POLLS) {
			doze(queue);
			idle = 0;
		}
	}
	return 0;
}

static int
start_port(struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = { .intr_conf.rxq = 1 };
	int ret = rte_eth_dev_configure(PORT, nr_queues, nr_queues, &conf);

	for (uint16_t i = 0; i < nr_queues && ret == 0; i++) {
		ret = rte_eth_rx_queue_setup(PORT, i, RING, SOCKET_ID_ANY, NULL, pool);
		if (ret == 0)
			ret = rte_eth_tx_queue_setup(PORT, i, RING, SOCKET_ID_ANY, NULL);
	}
	return ret != 0 ? ret : rte_eth_dev_start(PORT);
}

int
main(int argc, char **argv)
{
	struct rte_mempool *pool;
	char line[80];
	int args;

	setvbuf(stdout, NULL, _IOLBF, 0);
	args = rte_eal_init(argc, argv) + 1;
	if (args < 1 || args >= argc)
		rte_exit(EXIT_FAILURE, "usage: %s EAL-OPTIONS -- QUEUES [look]\n", argv[0]);
	nr_queues = atoi(argv[args]);
	look = args + 1 < argc;
	pool = rte_pktmbuf_pool_create("pool", 16383, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (nr_queues == 0 || rte_lcore_count() != nr_queues + 1u || pool == NULL)
		rte_exit(EXIT_FAILURE, "needs mbufs, queues, and a worker lcore for each\n");
	if (start_port(pool) != 0)
		rte_exit(EXIT_FAILURE, "port %u does not start\n", PORT);
	rte_eal_mp_remote_launch(serve_queue, NULL, SKIP_MAIN);
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin) != NULL && strcmp(line, "quit\n") != 0)
		;
	__atomic_store_n(&ending, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
	rte_eth_dev_stop(PORT);
	rte_eth_dev_close(PORT);
	return rte_eal_cleanup();
}
