/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What an application asks of a queue: start and stop, what it is, how full it is, an address to watch.
 */
#include "logcap.h"
#include "test_ethdev_front.h"

static const struct front_conf formats[] = {
	{ .format = GUEST_SPLIT },
	{ .format = GUEST_PACKED, .size = 61 },
};

static uint8_t
rx_state(uint16_t port, uint16_t queue)
{
	struct rte_eth_rxq_info info;

	assert_int_equal(rte_eth_rx_queue_info_get(port, queue, &info), 0);
	return info.queue_state;
}

static uint8_t
tx_state(uint16_t port, uint16_t queue)
{
	struct rte_eth_txq_info info;

	assert_int_equal(rte_eth_tx_queue_info_get(port, queue, &info), 0);
	return info.queue_state;
}

static void
test_ethdev_queue_info(void **state)
{
	const struct port_conf conf = { .queues = 2 };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ .pairs = 2, .size = 128 });
	struct rte_eth_rxq_info rx;
	struct rte_eth_txq_info tx;

	(void)state;
	assert_int_equal(rte_eth_rx_queue_info_get(port, 1, &rx), 0);
	assert_ptr_equal(rx.mp, pool);
	assert_int_equal(rx.scattered_rx, 1);
	assert_int_equal(rx.rx_buf_size, RIG_ROOM);
	assert_int_equal(rx.nb_desc, 128);
	assert_int_equal(rx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_equal(rx.conf.rx_deferred_start, 0);
	assert_int_equal(rte_eth_tx_queue_info_get(port, 1, &tx), 0);
	assert_int_equal(tx.nb_desc, 128);
	assert_int_equal(tx.queue_state, RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_not_equal(rte_eth_rx_queue_info_get(port, 2, &rx), 0);
	front_free(f);
}

static void
test_ethdev_rx_queue_stop(void **state)
{
	const struct port_conf conf = { .queues = 2 };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ .pairs = 2 });
	struct rte_mbuf *m;

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(rte_eth_dev_rx_queue_stop(port, 1), 0);
		assert_int_equal(rx_state(port, 1), RTE_ETH_QUEUE_STATE_STOPPED);
		assert_int_equal(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STARTED);
		front_send(f, 1, 100, i);
		front_send(f, 0, 90, i);
		packet_check(port_receive(port, 0), 90, i);
		assert_int_equal(rte_eth_rx_burst(port, 1, &m, 1), 0);
		assert_int_equal(rte_eth_dev_rx_queue_start(port, 1), 0);
		assert_int_equal(rx_state(port, 1), RTE_ETH_QUEUE_STATE_STARTED);
		packet_check(port_receive(port, 1), 100, i);
		front_reap(f, 0);
		front_reap(f, 1);
	}
	front_free(f);
}

static void
test_ethdev_tx_queue_stop(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_mbuf *m = packet_make(100, 1);
	uint8_t buf[2048];

	(void)state;
	front_post(f, 0, 8, 2048);
	assert_int_equal(rte_eth_dev_tx_queue_stop(port, 0), 0);
	assert_int_equal(tx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 0);
	assert_int_equal(front_receive(f, 0, buf, sizeof(buf)), 0);
	assert_int_equal(rte_eth_dev_tx_queue_start(port, 0), 0);
	assert_int_equal(tx_state(port, 0), RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
	assert_int_equal(front_receive(f, 0, buf, sizeof(buf)), 100);
	front_free(f);
}

/* Deferred queues stay down at each start of the port, and say that they were set up so. */
static void
test_ethdev_deferred_start(void **state)
{
	const struct port_conf conf = { .deferred = true };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_eth_rxq_info rx;
	struct rte_eth_txq_info tx;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
		assert_int_equal(tx_state(port, 0), RTE_ETH_QUEUE_STATE_STOPPED);
		assert_int_equal(rte_eth_dev_rx_queue_start(port, 0), 0);
		assert_int_equal(rte_eth_dev_tx_queue_start(port, 0), 0);
		front_send(f, 0, 100, i);
		packet_check(port_receive(port, 0), 100, i);
		assert_int_equal(rte_eth_rx_queue_info_get(port, 0, &rx), 0);
		assert_int_equal(rx.conf.rx_deferred_start, 1);
		assert_int_equal(rte_eth_tx_queue_info_get(port, 0, &tx), 0);
		assert_int_equal(tx.conf.tx_deferred_start, 1);
		assert_int_equal(rte_eth_dev_stop(port), 0);
		assert_int_equal(rte_eth_dev_start(port), 0);
	}
	front_free(f);
}

/* rte_eth_dev_start() starts all queues but deferred ones, also those that were stopped by hand. */
static void
test_ethdev_regress_start_starts_all_queues(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_eth_rxq_info rx;

	(void)state;
	assert_int_equal(rte_eth_dev_rx_queue_stop(port, 0), 0);
	assert_int_equal(rte_eth_dev_tx_queue_stop(port, 0), 0);
	assert_int_equal(rte_eth_rx_queue_info_get(port, 0, &rx), 0);
	assert_int_equal(rx.conf.rx_deferred_start, 0);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_start(port), 0);
	assert_int_equal(rx_state(port, 0), RTE_ETH_QUEUE_STATE_STARTED);
	assert_int_equal(tx_state(port, 0), RTE_ETH_QUEUE_STATE_STARTED);
	front_send(f, 0, 100, 1);
	packet_check(port_receive(port, 0), 100, 1);
	front_free(f);
}

/* --- how full --------------------------------------------------------------------------------------- */

static void
assert_rx_pending(uint16_t port, uint16_t n)
{
	assert_int_equal(rte_eth_rx_queue_count(port, 0), n);
	if (n != 0)
		assert_int_equal(rte_eth_rx_descriptor_status(port, 0, n - 1), RTE_ETH_RX_DESC_DONE);
	assert_int_equal(rte_eth_rx_descriptor_status(port, 0, n), RTE_ETH_RX_DESC_AVAIL);
}

static void
check_rx_count(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_new(conf);

	assert_int_equal(rte_eth_rx_queue_count(port, 0), 0);
	front_connect(f, 0);
	assert_rx_pending(port, 0);
	/* Some laps of the ring, in strides that do not divide it. */
	for (uint32_t round = 0; round < 40; round++) {
		const uint32_t n = round % 13 + 1;

		for (uint32_t i = 0; i < n; i++) {
			front_send(f, 0, 64 + i, i);
			assert_rx_pending(port, i + 1);
		}
		for (uint32_t i = 0; i < n; i++) {
			packet_check(port_receive(port, 0), 64 + i, i);
			assert_rx_pending(port, n - i - 1);
		}
		assert_int_equal(front_reap(f, 0), n);
	}
	front_free(f);
	wait_until(!port_is_up(port));
	assert_int_equal(rte_eth_rx_queue_count(port, 0), 0);
	port_close(port);
}

static void
test_ethdev_rx_queue_count(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(formats); i++)
		check_rx_count(&formats[i]);
}

static void
check_rx_count_full(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, conf);
	const uint16_t size = f->ring[1].conf.size;

	for (uint16_t i = 0; i < size; i++)
		front_send(f, 0, 64, i);
	assert_int_equal(rte_eth_rx_queue_count(port, 0), size);
	assert_int_equal(rte_eth_rx_descriptor_status(port, 0, size - 1), RTE_ETH_RX_DESC_DONE);
	assert_int_equal(rte_eth_rx_descriptor_status(port, 0, size), -EINVAL);
	for (uint16_t i = 0; i < size; i++)
		packet_check(port_receive(port, 0), 64, i);
	assert_rx_pending(port, 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_rx_queue_count_full(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(formats); i++)
		check_rx_count_full(&formats[i]);
}

/* What a guest transmits on a ring that is off is no packet to receive; what it supplies is of no use. */
static void
check_disabled(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, conf);

	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 0), RTE_ETH_TX_DESC_FULL);
	front_enable(f, 0, false);
	front_send(f, 0, 64, 0);
	front_post(f, 0, 1, 2048);
	assert_int_equal(rte_eth_rx_queue_count(port, 0), 0);
	assert_int_equal(rte_eth_rx_descriptor_status(port, 0, 0), RTE_ETH_RX_DESC_UNAVAIL);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 0), RTE_ETH_TX_DESC_UNAVAIL);
	front_enable(f, 0, true);
	assert_int_equal(rte_eth_rx_queue_count(port, 0), 1);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 0), RTE_ETH_TX_DESC_DONE);
	front_free(f);
	wait_until(!port_is_up(port));
	assert_int_equal(rte_eth_rx_descriptor_status(port, 0, 0), RTE_ETH_RX_DESC_UNAVAIL);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 0), RTE_ETH_TX_DESC_UNAVAIL);
	port_close(port);
}

static void
test_ethdev_descriptors_of_a_disabled_ring(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(formats); i++)
		check_disabled(&formats[i]);
}

static void
check_tx_status(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, conf);

	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 0), RTE_ETH_TX_DESC_FULL);
	front_post(f, 0, 5, 2048);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 4), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 5), RTE_ETH_TX_DESC_FULL);
	port_send(port, 0, packet_make(64, 0));
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 3), RTE_ETH_TX_DESC_DONE);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, 4), RTE_ETH_TX_DESC_FULL);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, f->ring[0].conf.size - 1),
		RTE_ETH_TX_DESC_FULL);
	assert_int_equal(rte_eth_tx_descriptor_status(port, 0, f->ring[0].conf.size), -EINVAL);
	assert_int_equal(rte_eth_tx_done_cleanup(port, 0, 0), 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_tx_descriptor_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(formats); i++)
		check_tx_status(&formats[i]);
}

/* What one thread asks does not look like the end of the burst that another is in. */
static void
test_ethdev_regress_count_within_burst(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct vhostx_queue *q = rte_eth_fp_ops[port].rxq.data[0];
	struct rte_power_monitor_cond cond;
	uint32_t bursts;

	(void)state;
	front_send(f, 0, 100, 1);
	assert_non_null(vhostx_queue_enter(q));
	bursts = q->bursts;
	assert_int_equal(rte_eth_rx_queue_count(port, 0), 1);
	assert_int_equal(rte_eth_rx_descriptor_status(port, 0, 0), RTE_ETH_RX_DESC_DONE);
	assert_int_equal(rte_eth_get_monitor_addr(port, 0, &cond), 0);
	assert_int_equal(q->bursts, bursts);
	vhostx_queue_leave(q);
	front_free(f);
}

/* A thread that polls, while another asks how full the queue is. */
struct poller {
	uint16_t port;
	bool end; /* atomic */
};

static void *
poller_run(void *arg)
{
	const struct poller *p = arg;
	struct rte_mbuf *m;

	while (!__atomic_load_n(&p->end, __ATOMIC_RELAXED)) {
		if (rte_eth_rx_burst(p->port, 0, &m, 1) == 1)
			rte_pktmbuf_free(m);
	}
	return NULL;
}

static void
test_ethdev_count_beside_poller(void **state)
{
	struct poller poller = { .port = vhost_open(0, &(struct port_conf){ 0 }) };
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, poller_run, &poller);
	for (uint32_t i = 0; i < 2000; i++) {
		front_send(f, 0, 100, i);
		/* The ring is taken away and given back at times. */
		if (i % 100 == 0) {
			front_enable(f, 0, false);
			front_enable(f, 0, true);
		}
		wait_until(rte_eth_rx_queue_count(poller.port, 0) == 0);
		assert_int_equal(rte_eth_rx_descriptor_status(poller.port, 0, 3),
			RTE_ETH_RX_DESC_AVAIL);
		assert_int_equal(rte_eth_rx_descriptor_status(poller.port, 0, 9999), -EINVAL);
		wait_until(front_reap(f, 0) == 1);
	}
	__atomic_store_n(&poller.end, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	front_free(f);
}

/* --- an address to watch ---------------------------------------------------------------------------- */

/* Would a core that looks at the condition now stay awake? */
static bool
stays_awake(const struct rte_power_monitor_cond *cond)
{
	assert_int_equal(cond->size, sizeof(uint16_t));
	return cond->fn(*(volatile uint16_t *)cond->addr, cond->opaque) == -1;
}

static void
check_monitor(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct rte_power_monitor_cond cond = { 0 };
	struct front *f = front_new(conf);

	assert_int_equal(rte_eth_get_monitor_addr(port, 0, &cond), -ENODEV);
	front_connect(f, 0);
	for (uint32_t i = 0; i < 150; i++) {
		assert_int_equal(rte_eth_get_monitor_addr(port, 0, &cond), 0);
		assert_false(stays_awake(&cond));
		front_send(f, 0, 64, i);
		assert_true(stays_awake(&cond));
		assert_int_equal(rte_eth_get_monitor_addr(port, 0, &cond), 0);
		assert_true(stays_awake(&cond));
		packet_check(port_receive(port, 0), 64, i);
		assert_int_equal(front_reap(f, 0), 1);
	}
	assert_int_equal(rte_eth_get_monitor_addr(port, 0, &cond), 0);
	front_free(f);
	wait_until(!port_is_up(port));
	assert_int_equal(vhostx_map_count(), 1); /* the core may still look */
	assert_false(stays_awake(&cond));
	port_close(port);
	assert_int_equal(vhostx_map_count(), 0);
}

static void
test_ethdev_monitor_addr(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(formats); i++)
		check_monitor(&formats[i]);
}

/* --- rings without a queue -------------------------------------------------------------------------- */

static uint16_t
unpolled(uint16_t port)
{
	struct vhostx_port *p = vhostx_ports_lock(port);
	const uint16_t n = p->unpolled;

	vhostx_ports_unlock(p);
	return n;
}

static void
test_ethdev_unpolled_rings(void **state)
{
	const struct port_conf conf = { .queues = 4, .rxq = 1 };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f;

	(void)state;
	logcap_clear(NULL);
	for (unsigned int i = 1; i <= 2; i++) {
		f = front_open(0, &(struct front_conf){ .pairs = 4 });
		assert_int_equal(unpolled(port), 3);
		assert_int_equal(logcap_count("does not poll"), i);
		assert_int_equal(logcap_count("the guest transmits on queue 1, "), i);
		front_enable(f, 3, false);
		assert_int_equal(unpolled(port), 2);
		front_enable(f, 3, true);
		assert_int_equal(unpolled(port), 3);
		assert_int_equal(logcap_count("does not poll"), i);
		front_free(f);
		wait_until(unpolled(port) == 0);
	}
}

static int
setup(void **state)
{
	if (rig_eal(state) != 0)
		return -1;
	rte_log_set_global_level(RTE_LOG_DEBUG);
	return logcap_start(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_queue_info),
		rig_case(test_ethdev_rx_queue_stop),
		rig_case(test_ethdev_tx_queue_stop),
		rig_case(test_ethdev_deferred_start),
		rig_case(test_ethdev_regress_start_starts_all_queues),
		rig_case(test_ethdev_rx_queue_count),
		rig_case(test_ethdev_rx_queue_count_full),
		rig_case(test_ethdev_descriptors_of_a_disabled_ring),
		rig_case(test_ethdev_tx_descriptor_status),
		rig_case(test_ethdev_regress_count_within_burst),
		rig_case(test_ethdev_count_beside_poller),
		rig_case(test_ethdev_monitor_addr),
		rig_case(test_ethdev_unpolled_rings),
	};

	return cmocka_run_group_tests(tests, setup, rig_eal_end);
}
