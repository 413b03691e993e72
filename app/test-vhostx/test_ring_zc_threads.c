/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy rings whose packets are freed by another thread than the one that polls.
 */
#include <pthread.h>
#include <sched.h>

#include "test_ring_zc.h"

/* Where packets change threads. */
struct lane {
	struct rte_mbuf *place[8]; /* NULL: free */
	uint32_t packets;
};

static void *
free_elsewhere(void *arg)
{
	struct lane *lane = arg;

	for (uint32_t i = 0; i < lane->packets; i++) {
		struct rte_mbuf **place = &lane->place[i % RIG_NR(lane->place)];
		struct rte_mbuf *m;

		while ((m = __atomic_load_n(place, __ATOMIC_ACQUIRE)) == NULL)
			sched_yield();
		__atomic_store_n(place, NULL, __ATOMIC_RELEASE);
		rig_assert_mbuf(m, LONG, i % RIG_SLOTS);
	}
	return NULL;
}

static void
test_ring_zc_freed_by_another_thread(void **state)
{
	struct rig *rig = *state;
	struct lane lane = { .packets = 300 };
	uint32_t back = 0, sent = 0, got = 0, len;
	struct rte_mbuf *m;
	pthread_t thread;
	uint16_t id;

	use_table(rig, 512, 100, false);
	assert_int_equal(pthread_create(&thread, NULL, free_elsewhere, &lane), 0);
	while (back < lane.packets) {
		if (sent < lane.packets && sent - back < RIG_SLOTS &&
				guest_ring_free(&rig->ring) >= rig_ndesc(rig)) {
			rig_send(rig, sent % RIG_SLOTS, LONG);
			sent++;
			guest_ring_publish(&rig->ring);
		}
		if (__atomic_load_n(&lane.place[got % RIG_NR(lane.place)], __ATOMIC_ACQUIRE) == NULL &&
				rig_rx(&rig->queue, &m, 1) == 1) {
			__atomic_store_n(&lane.place[got % RIG_NR(lane.place)], m, __ATOMIC_RELEASE);
			got++;
		} else {
			sched_yield();
		}
		while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
			back++;
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	drop_table(rig);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_zc_freed_by_another_thread, some),
};

int
main(void)
{
	return rig_main("test_ring_zc_threads", cases, RIG_NR(cases));
}
