/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings that a hostile guest writes at random, between the bursts and during them.
 */
#include <pthread.h>
#include <sched.h>

#include "test_ring_scribbler.h"

/* One burst each way; what arrives must be whole mbufs. Restarts a ring that was stopped. */
static void
burst_both_ways(struct rig *rig, uint32_t i)
{
	struct rte_mbuf *pkts[32];
	const char *why = "";
	uint16_t n;

	n = rig_rx(&rig->queue, pkts, 32);
	for (uint16_t k = 0; k < n; k++)
		assert_int_equal(rte_mbuf_check(pkts[k], 1, &why), 0);
	rte_pktmbuf_free_bulk(pkts, n);
	for (n = 0; n < 8; n++)
		pkts[n] = rig_mbuf(60 + (i * 97 + n * 301) % 3000, n);
	n = rig_tx(&rig->queue, pkts, 8);
	rte_pktmbuf_free_bulk(&pkts[n], 8 - n);
	if (rig->cursors.fault != VHOSTX_NO_CAUSE) {
		const uint32_t base = rig_stop(rig);

		rig_start(rig, base);
	}
}

/* Enough went through for the run to mean something. */
static void
expect_variety(const struct rig *rig)
{
	const struct vhostx_counters *c = &rig->queue.count;

	assert_true(c->packets > 100);
	assert_true(c->drops[VHOSTX_BAD_ADDRESS] > 10);
	assert_true(c->drops[VHOSTX_BAD_DIRECTION] > 10);
	assert_true(c->drops[VHOSTX_BAD_LENGTH] > 10);
	assert_true(c->drops[VHOSTX_BAD_CHAIN] + c->drops[VHOSTX_BAD_INDIRECT] > 10);
}

static void
test_ring_hostile_survives_random_rings(void **state)
{
	struct rig *rig = *state;
	struct scribbler s = { .rig = rig, .state = 1 };

	for (uint32_t i = 0; i < 5000; i++) {
		for (uint32_t k = 0; k < 12; k++)
			scribble(&s);
		burst_both_ways(rig, i);
	}
	expect_variety(rig);
}

#define WRITES 20000

static void *
scribble_on(void *arg)
{
	struct scribbler *s = arg;

	for (uint32_t i = 0; i < WRITES; i++) {
		scribble(s);
		/* Where both threads share a core, bursts come between. */
		if (i % 64 == 0)
			sched_yield();
	}
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Every field changes between any two reads of it. */
static void
test_ring_hostile_survives_changes_under_burst(void **state)
{
	struct rig *rig = *state;
	struct scribbler s = { .rig = rig, .state = 2 };
	pthread_t thread;
	uint32_t i = 0;

	assert_int_equal(pthread_create(&thread, NULL, scribble_on, &s), 0);
	while (!__atomic_load_n(&s.done, __ATOMIC_ACQUIRE))
		burst_both_ways(rig, i++);
	pthread_join(thread, NULL);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_hostile_survives_random_rings, is_small),
	RIG_CASE(test_ring_hostile_survives_changes_under_burst, is_small),
};

int
main(void)
{
	return hostile_main("test_ring_hostile_random", cases, RIG_NR(cases));
}
