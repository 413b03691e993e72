/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Ports that change or end while other threads look at them: the control thread at queues, monitors at
 * anything. Also run by ThreadSanitizer.
 */
#include <ethdev_driver.h>

#include "test_ethdev_front.h"
#include "vhostx_telemetry.h"

/* A thread that does the same again and again until it is told to end. */
struct again {
	void (*step)(uint16_t port);
	uint16_t port;
	pthread_t thread;
	bool ending;          /* atomic */
	unsigned int rounds;  /* atomic */
};

static void *
again_run(void *arg)
{
	struct again *a = arg;

	while (!__atomic_load_n(&a->ending, __ATOMIC_RELAXED)) {
		a->step(a->port);
		__atomic_fetch_add(&a->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void
again_begin(struct again *a, void (*step)(uint16_t port), uint16_t port)
{
	*a = (struct again){ .step = step, .port = port };
	assert_int_equal(pthread_create(&a->thread, NULL, again_run, a), 0);
}

static void
again_end(struct again *a)
{
	wait_until(__atomic_load_n(&a->rounds, __ATOMIC_RELAXED) > 1);
	__atomic_store_n(&a->ending, true, __ATOMIC_RELAXED);
	pthread_join(a->thread, NULL);
}

/* --- queues ----------------------------------------------------------------------------------------- */

/* All that the control thread does for a guest's life, and what a monitor asks meanwhile. */
static void
serve_guest(uint16_t port)
{
	FILE *nowhere = fopen("/dev/null", "w");
	struct front *f = front_open(0, &(struct front_conf){ .pairs = 2 });

	assert_int_equal(rte_eth_dev_priv_dump(port, nowhere), 0);
	front_enable(f, 1, false);
	front_free(f);
	wait_until(!port_has_rings(port, 1));
	fclose(nowhere);
}

/* ethdev changes and frees its arrays of queues when it likes: nobody but ethdev reads them. */
static void
test_ethdev_arrays_of_queues_are_ethdevs(void **state)
{
	void **nowhere = (void **)(uintptr_t)16;
	const uint16_t port = vhost_open(0, &(struct port_conf){ .queues = 2 });
	struct rte_eth_dev_data *data = rte_eth_devices[port].data;
	void **rx = data->rx_queues, **tx = data->tx_queues;
	struct rte_eth_stats stats;

	(void)state;
	data->rx_queues = nowhere;
	data->tx_queues = nowhere;
	serve_guest(port);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(rte_eth_stats_reset(port), 0);
	data->rx_queues = rx;
	data->tx_queues = tx;
}

static void
test_ethdev_queues_come_and_go_under_guests(void **state)
{
	const struct port_conf all = { .queues = 2 }, some = { .queues = 2, .rxq = 1, .txq = 2 };
	const struct rte_eth_conf conf = { 0 };
	const uint16_t port = vhost_open(0, &all);
	struct again guests;

	(void)state;
	again_begin(&guests, serve_guest, port);
	for (unsigned int i = 0; i < 30; i++) {
		assert_int_equal(rte_eth_dev_stop(port), 0);
		/* Releases all tx queues and frees their array, then the same with rx. */
		assert_int_equal(rte_eth_dev_configure(port, 2, 0, &conf), 0);
		assert_int_equal(rte_eth_dev_configure(port, 0, 2, &conf), 0);
		port_configure(port, i % 2 == 0 ? &some : &all);
		assert_int_equal(rte_eth_dev_start(port), 0);
	}
	again_end(&guests);
}

/* --- the end of a port ------------------------------------------------------------------------------ */

static void
ask_info(uint16_t port)
{
	struct rte_eth_vhostx_info info;
	struct rte_eth_vhostx_queue_event event;

	if (rte_eth_vhostx_get_info(port, &info) == 0)
		assert_true(info.nr_regions <= VHOSTX_MEM_SLOTS);
	while (rte_eth_vhostx_get_queue_event(port, &event) == 0)
		assert_true(event.queue_id < 2);
}

static void
test_ethdev_monitor_meets_the_end_of_a_port(void **state)
{
	struct again monitor;
	uint16_t port = vhost_open(0, &(struct port_conf){ .queues = 2 });

	(void)state;
	again_begin(&monitor, ask_info, port);
	for (unsigned int i = 0; i < 100; i++) {
		port_close(port);
		assert_int_equal(vhost_open(0, &(struct port_conf){ .queues = 2 }), port);
	}
	again_end(&monitor);
}

/* Does a thread wait for the mutex, which is ours? Only glibc itself knows. */
static bool
is_wanted(const pthread_mutex_t *mutex)
{
	return __atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) > 1;
}

/* The control thread has come for a question that is to be asked again when the port ends. */
static void
test_ethdev_regress_question_meets_the_end_of_a_port(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ .devargs = ",iommu-support=1" });
	struct vhostx_port *p = vhostx_ports_lock(port);

	(void)state;
	vhostx_loop_arm(p->iommu.timer, 0);
	wait_until(is_wanted(&p->lock));
	vhostx_iommu_close(p);
	vhostx_ports_unlock(p);
	port_close(port);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_arrays_of_queues_are_ethdevs),
		rig_case(test_ethdev_queues_come_and_go_under_guests),
		rig_case(test_ethdev_monitor_meets_the_end_of_a_port),
		rig_case(test_ethdev_regress_question_meets_the_end_of_a_port),
	};

	return rig_main(tests);
}
