/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Statistics as ethdev gets them, without EAL: names, values, classes of size, totals and reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ethdev_driver.h>

#include "ring/queue.h"
#include "vhostx_port.h"
#include "vhostx_stats.h"

#define QUEUES 20
#define XSTATS 2048

/* A device with its queues; made anew for each case. */
static struct vhostx_queue rxq[QUEUES], txq[QUEUES];
static struct vhostx_port_ring ring[2 * QUEUES]; /* even: tx, odd: rx */
static struct vhostx_port port;
static struct rte_eth_dev_data data;
static struct rte_eth_dev dev;
static struct rte_eth_xstat_name names[XSTATS];
static struct rte_eth_xstat xstats[XSTATS];

static int
setup(void **state)
{
	(void)state;
	memset(rxq, 0, sizeof(rxq));
	memset(txq, 0, sizeof(txq));
	memset(names, 0, sizeof(names));
	memset(xstats, 0, sizeof(xstats));
	for (unsigned int i = 0; i < QUEUES; i++) {
		ring[2 * i].queue = &txq[i];
		ring[2 * i + 1].queue = &rxq[i];
	}
	port = (struct vhostx_port){ .lock = PTHREAD_MUTEX_INITIALIZER, .ring = ring };
	data = (struct rte_eth_dev_data){
		.nb_rx_queues = QUEUES,
		.nb_tx_queues = QUEUES,
		.dev_private = &port,
	};
	dev = (struct rte_eth_dev){ .data = &data };
	return 0;
}

static int
fetch(void)
{
	const int n = vhostx_xstats_get_names(&dev, names, XSTATS);

	assert_true(n > 0 && n <= XSTATS);
	assert_int_equal(vhostx_xstats_get(&dev, xstats, XSTATS), n);
	return n;
}

static uint64_t
value(const char *name)
{
	const int n = fetch();

	for (int i = 0; i < n; i++) {
		if (strcmp(names[i].name, name) == 0)
			return xstats[i].value;
	}
	fail_msg("no statistic is called %s", name);
	return 0;
}

static struct rte_eth_stats
basic(void)
{
	struct rte_eth_stats stats = { 0 };

	assert_int_equal(vhostx_stats_get(&dev, &stats), 0);
	return stats;
}

/* --- names ------------------------------------------------------------------------------------ */

/* Whether ethdev itself has such a name: basic, or filled in for queues. */
static bool
is_ethdev_name(const char *name)
{
	static const char *const taken[] = {
		"rx_good_packets", "tx_good_packets", "rx_good_bytes", "tx_good_bytes",
		"rx_missed_errors", "rx_errors", "tx_errors", "rx_mbuf_allocation_errors",
		"rx_q0_packets", "rx_q0_bytes", "rx_q0_errors", "tx_q0_packets", "tx_q0_bytes",
	};

	for (unsigned int i = 0; i < RTE_DIM(taken); i++) {
		if (strcmp(name, taken[i]) == 0)
			return true;
	}
	return false;
}

static void
test_stats_names_are_unique(void **state)
{
	const int n = fetch();

	(void)state;
	for (int i = 0; i < n; i++) {
		assert_int_equal(xstats[i].id, i);
		assert_int_not_equal(strlen(names[i].name), 0);
		assert_true(strlen(names[i].name) < RTE_ETH_XSTATS_NAME_SIZE - 1);
		assert_false(is_ethdev_name(names[i].name));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(names[i].name, names[j].name);
	}
}

/* What net_vhost of 22.11 to 25.11 shows of a queue and this driver has as well. */
static void
test_stats_names_of_net_vhost(void **state)
{
	static const char *const theirs[] = {
		"good_packets", "good_bytes", "multicast_packets", "broadcast_packets",
		"undersize_packets", "size_64_packets", "size_65_127_packets",
		"size_128_255_packets", "size_256_511_packets", "size_512_1023_packets",
		"size_1024_1518_packets", "size_1519_max_packets", "guest_notifications",
		"guest_notifications_suppressed", "mbuf_alloc_failed",
	};
	char name[RTE_ETH_XSTATS_NAME_SIZE];

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(theirs); i++) {
		snprintf(name, sizeof(name), "rx_q0_%s", theirs[i]);
		assert_int_equal(value(name), 0);
		snprintf(name, sizeof(name), "tx_q%u_%s", QUEUES - 1, theirs[i]);
		assert_int_equal(value(name), 0);
	}
}

/* Every counter that a poller has is told, in each direction at most once. */
static void
test_stats_no_counter_is_left_out(void **state)
{
	const unsigned int words = sizeof(struct vhostx_counters) / sizeof(uint64_t);
	const unsigned int unused = offsetof(struct vhostx_counters, drops[VHOSTX_NO_CAUSE]) /
		sizeof(uint64_t);
	unsigned int seen[sizeof(struct vhostx_counters) / sizeof(uint64_t)] = { 0 };

	(void)state;
	for (unsigned int way = VHOSTX_WAY_RX; way <= VHOSTX_WAY_TX; way++) {
		const struct vhostx_stat *stat = NULL;

		while ((stat = vhostx_stat_next(stat, way)) != NULL) {
			assert_int_equal(seen[stat->offset / sizeof(uint64_t)] & way, 0);
			seen[stat->offset / sizeof(uint64_t)] |= way;
		}
	}
	for (unsigned int i = 0; i < words; i++) {
		if (i == unused)
			assert_int_equal(seen[i], 0);
		else
			assert_int_not_equal(seen[i], 0);
	}
}

static void
test_stats_array_too_short_is_left_alone(void **state)
{
	const int n = vhostx_xstats_get_names(&dev, NULL, 0);

	(void)state;
	assert_int_equal(vhostx_xstats_get(&dev, NULL, 0), n);
	assert_int_equal(vhostx_xstats_get(&dev, xstats, n - 1), n);
	assert_int_equal(vhostx_xstats_get_names(&dev, names, n - 1), n);
	assert_int_equal(xstats[1].id, 0);
	assert_int_equal(strlen(names[0].name), 0);
}

/* --- values ----------------------------------------------------------------------------------- */

static void
test_stats_size_class_at_every_boundary(void **state)
{
	static const struct {
		uint32_t first, last;
	} sizes[VHOSTX_SIZES] = {
		{ 0, 63 }, { 64, 64 }, { 65, 127 }, { 128, 255 }, { 256, 511 }, { 512, 1023 },
		{ 1024, 1518 }, { 1519, UINT32_MAX },
	};

	(void)state;
	for (uint32_t i = 0; i < VHOSTX_SIZES; i++) {
		assert_int_equal(vhostx_size_class(sizes[i].first), i);
		assert_int_equal(vhostx_size_class(sizes[i].last), i);
	}
	for (uint32_t len = 0; len < 70000; len++) {
		const uint32_t class = vhostx_size_class(len);

		assert_in_range(len, sizes[class].first, sizes[class].last);
	}
}

static void
test_stats_values_stand_under_their_names(void **state)
{
	(void)state;
	rxq[3].count.sizes[2] = 5;
	rxq[3].count.drops[VHOSTX_BAD_ADDRESS] = 6;
	txq[3].count.drops[VHOSTX_BAD_ADDRESS] = 7;
	txq[19].count.no_chain = INT64_MAX;
	assert_int_equal(value("rx_q3_size_65_127_packets"), 5);
	assert_int_equal(value("rx_q3_drop_bad_address"), 6);
	assert_int_equal(value("tx_q3_chain_bad_address"), 7);
	assert_true(value("tx_q19_no_descriptors") == INT64_MAX);
	assert_int_equal(value("rx_q2_size_65_127_packets"), 0);
}

static void
test_stats_totals_are_of_all_queues(void **state)
{
	struct rte_eth_stats stats;

	(void)state;
	for (unsigned int i = 0; i < QUEUES; i++) {
		rxq[i].count.packets = 1;
		rxq[i].count.bytes = 60;
		rxq[i].count.nombuf = 3;
		txq[i].count.packets = 2;
		txq[i].count.bytes = 120;
	}
	stats = basic();
	assert_int_equal(stats.ipackets, QUEUES);
	assert_int_equal(stats.ibytes, 60 * QUEUES);
	assert_int_equal(stats.rx_nombuf, 3 * QUEUES);
	assert_int_equal(stats.opackets, 2 * QUEUES);
	assert_int_equal(stats.obytes, 120 * QUEUES);
	assert_int_equal(stats.q_ipackets[RTE_ETHDEV_QUEUE_STAT_CNTRS - 1], 1);
	assert_int_equal(stats.q_obytes[RTE_ETHDEV_QUEUE_STAT_CNTRS - 1], 120);
}

/* A wrong chain is a lost packet on rx alone, and a ring that stops is none. */
static void
test_stats_errors_are_lost_packets(void **state)
{
	struct rte_eth_stats stats;

	(void)state;
	for (unsigned int i = 0; i < VHOSTX_CAUSES; i++) {
		rxq[1].count.drops[i] = 1u << i;
		txq[1].count.drops[i] = 1u << i;
	}
	stats = basic();
	assert_int_equal(stats.ierrors, (1u << VHOSTX_BAD_HEAD) - (1u << VHOSTX_BAD_ADDRESS));
	assert_int_equal(stats.q_errors[1], stats.ierrors);
	assert_int_equal(stats.oerrors, (1u << VHOSTX_BAD_HEAD) - (1u << VHOSTX_OVERSIZE));
}

/* Between probe and configure there are numbers of queues, but no queues. */
static void
test_stats_before_configure(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2 * QUEUES; i++)
		ring[i].queue = NULL;
	assert_int_equal(basic().ipackets, 0);
	assert_int_equal(value("rx_q0_good_packets"), 0);
	assert_int_equal(vhostx_stats_reset(&dev), 0);
}

static void
test_stats_queue_not_set_up(void **state)
{
	(void)state;
	ring[1].queue = NULL;
	ring[2].queue = NULL;
	rxq[1].count.packets = 4;
	assert_int_equal(basic().ipackets, 4);
	assert_int_equal(value("rx_q0_good_packets"), 0);
	assert_int_equal(value("rx_q1_good_packets"), 4);
	assert_int_equal(vhostx_stats_reset(&dev), 0);
	assert_int_equal(basic().ipackets, 0);
}

static void
test_stats_gauges_of_the_port(void **state)
{
	(void)state;
	port.unpolled = 3;
	port.connects = 9;
	assert_int_equal(value("rx_unpolled_queues"), 3);
	assert_int_equal(value("connects"), 9);
	vhostx_stats_reset(&dev);
	assert_int_equal(value("rx_unpolled_queues"), 3);
	assert_int_equal(value("connects"), 0);
}

/* --- reset ------------------------------------------------------------------------------------ */

static void
test_stats_reset_leaves_the_counters_to_their_poller(void **state)
{
	struct vhostx_counters before;
	int n;

	(void)state;
	memset(&rxq[0].count, 0x5a, sizeof(rxq[0].count));
	memset(&txq[5].count, 0x77, sizeof(txq[5].count));
	before = rxq[0].count;
	assert_int_equal(vhostx_stats_reset(&dev), 0);
	assert_memory_equal(&rxq[0].count, &before, sizeof(before));
	n = fetch();
	for (int i = 0; i < n; i++)
		assert_int_equal(xstats[i].value, 0);
	assert_int_equal(basic().ipackets, 0);
	assert_int_equal(basic().ierrors, 0);
}

static void
test_stats_count_on_after_a_reset(void **state)
{
	(void)state;
	rxq[0].count.packets = UINT64_MAX;
	vhostx_stats_reset(&dev);
	rxq[0].count.packets += 7;
	assert_int_equal(value("rx_q0_good_packets"), 7);
	assert_int_equal(basic().ipackets, 7);
	assert_int_equal(basic().q_ipackets[0], 7);
	vhostx_stats_reset(&dev);
	assert_int_equal(value("rx_q0_good_packets"), 0);
}

/* A reset by another process may come between the two looks; and a poller takes back what it counted too early. */
static void
test_stats_regress_never_below_zero(void **state)
{
	(void)state;
	rxq[0].count.zc[VHOSTX_ZC_SHORT] = 5;
	vhostx_stats_reset(&dev);
	rxq[0].count.zc[VHOSTX_ZC_SHORT]--;
	assert_int_equal(value("rx_q0_zc_copied_short"), 0);
	rxq[0].count.zc[VHOSTX_ZC_SHORT] += 2;
	assert_int_equal(value("rx_q0_zc_copied_short"), 1);
}

#define STATS_TEST(name) cmocka_unit_test_setup(name, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATS_TEST(test_stats_names_are_unique),
		STATS_TEST(test_stats_names_of_net_vhost),
		STATS_TEST(test_stats_no_counter_is_left_out),
		STATS_TEST(test_stats_array_too_short_is_left_alone),
		STATS_TEST(test_stats_size_class_at_every_boundary),
		STATS_TEST(test_stats_values_stand_under_their_names),
		STATS_TEST(test_stats_totals_are_of_all_queues),
		STATS_TEST(test_stats_errors_are_lost_packets),
		STATS_TEST(test_stats_before_configure),
		STATS_TEST(test_stats_queue_not_set_up),
		STATS_TEST(test_stats_gauges_of_the_port),
		STATS_TEST(test_stats_reset_leaves_the_counters_to_their_poller),
		STATS_TEST(test_stats_count_on_after_a_reset),
		STATS_TEST(test_stats_regress_never_below_zero),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
