/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Retiring, and the position of a ring. Against a polling thread it is in test_litmus.c.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ring/vq.h"

#define ROUNDS 20000

struct retirement {
	struct vhostx_queue queue;
	bool done; /* atomic */
};

static void *
retire_queue(void *arg)
{
	struct retirement *r = arg;

	vhostx_queue_retire(&r->queue);
	__atomic_store_n(&r->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void
test_snapshot_retire_waits_for_visitors(void **state)
{
	static struct vhostx_snapshot snap;
	static struct retirement r;
	pthread_t thread;

	(void)state;
	vhostx_queue_publish(&r.queue, &snap);
	assert_ptr_equal(vhostx_queue_visit(&r.queue), &snap);
	assert_ptr_equal(vhostx_queue_visit(&r.queue), &snap);
	assert_int_equal(pthread_create(&thread, NULL, retire_queue, &r), 0);
	while (__atomic_load_n(&r.queue.snap, __ATOMIC_ACQUIRE) != NULL)
		sched_yield();
	vhostx_queue_unvisit(&r.queue);
	for (int i = 0; i < ROUNDS; i++) {
		assert_false(__atomic_load_n(&r.done, __ATOMIC_ACQUIRE));
		sched_yield();
	}
	vhostx_queue_unvisit(&r.queue);
	pthread_join(thread, NULL);
	assert_null(vhostx_queue_visit(&r.queue));
	vhostx_queue_unvisit(&r.queue);
}

static void
test_snapshot_retire_of_idle_queue(void **state)
{
	struct vhostx_queue queue = { .snap = (void *)&queue };

	(void)state;
	vhostx_queue_retire(&queue);
	assert_null(vhostx_queue_enter(&queue));
	vhostx_queue_leave(&queue);
}

static void
test_snapshot_split_continues_at_used_index(void **state)
{
	struct { uint16_t flags, idx; uint64_t ring[8]; } used = { .idx = 7 };
	struct vhostx_ring ring;
	struct vhostx_snapshot s = { .format = VHOSTX_SPLIT, .size = 8, .ring = &ring,
		.split.used = (void *)&used };
	const char *why = NULL;

	(void)state;
	vhostx_ring_reset(&ring);
	vhostx_ring_set_base(&ring, 3);
	assert_int_equal(vhostx_ring_get_base(&ring, VHOSTX_SPLIT), 3);
	assert_int_equal(vhostx_ring_prepare(&s, &why), 1);
	assert_int_equal(ring.last_avail, 7);
	assert_int_equal(vhostx_ring_get_base(&ring, VHOSTX_SPLIT), 7);
	assert_int_equal(used.flags, VRING_USED_F_NO_NOTIFY);
	/* A ring that only paused goes on where it was. */
	ring.last_avail = ring.last_used = 9;
	assert_int_equal(vhostx_ring_prepare(&s, &why), 0);
	assert_int_equal(ring.last_avail, 9);
}

static void
test_snapshot_packed_position(void **state)
{
	struct vring_packed_desc_event device = { 0 };
	struct vhostx_ring ring;
	struct vhostx_snapshot s = { .format = VHOSTX_PACKED, .size = 5, .ring = &ring,
		.packed.device = &device };
	const char *why = NULL;

	(void)state;
	vhostx_ring_reset(&ring);
	assert_int_equal(vhostx_ring_get_base(&ring, VHOSTX_PACKED), 0x80008000u);
	assert_int_equal(vhostx_ring_prepare(&s, &why), 0);
	assert_true(ring.avail_wrap && ring.used_wrap);
	/* The upper half is what virtio-user leaves 0. */
	vhostx_ring_set_base(&ring, 0x0004);
	assert_int_equal(vhostx_ring_prepare(&s, &why), 0);
	assert_int_equal(vhostx_ring_get_base(&ring, VHOSTX_PACKED), 0x00040004u);
	assert_int_equal(device.flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	vhostx_ring_set_base(&ring, 0x8005);
	assert_int_equal(vhostx_ring_prepare(&s, &why), -22);
	assert_non_null(why);
}

/* It ran with more entries, or as a split ring, and was not told where to begin anew. */
static void
test_snapshot_regress_packed_position_of_a_longer_ring(void **state)
{
	struct vring_packed_desc_event device = { 0 };
	struct vhostx_ring ring;
	struct vhostx_snapshot s = { .format = VHOSTX_PACKED, .size = 64, .ring = &ring,
		.packed.device = &device };
	const char *why = NULL;

	(void)state;
	vhostx_ring_reset(&ring);
	vhostx_ring_set_base(&ring, 0x803f);
	assert_int_equal(vhostx_ring_prepare(&s, &why), 0);
	s.size = 63;
	assert_int_equal(vhostx_ring_prepare(&s, &why), -22);
	assert_non_null(why);
	ring.last_avail = 62;
	assert_int_equal(vhostx_ring_prepare(&s, &why), -22);
	ring.last_used = 62;
	assert_int_equal(vhostx_ring_prepare(&s, &why), 0);
	/* Lent buffers part the two. */
	ring.last_avail = 63;
	assert_int_equal(vhostx_ring_prepare(&s, &why), -22);
	ring.last_avail = 62;
	s.size = 64;
	s.format = VHOSTX_SPLIT;
	ring.last_avail = ring.last_used = 60000;
	s.split.used = (void *)(uint64_t[130]){ 0 };
	assert_int_equal(vhostx_ring_prepare(&s, &why), 0);
	s.format = VHOSTX_PACKED;
	s.packed.device = &device;
	assert_int_equal(vhostx_ring_prepare(&s, &why), -22);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_snapshot_retire_waits_for_visitors),
		cmocka_unit_test(test_snapshot_retire_of_idle_queue),
		cmocka_unit_test(test_snapshot_split_continues_at_used_index),
		cmocka_unit_test(test_snapshot_packed_position),
		cmocka_unit_test(test_snapshot_regress_packed_position_of_a_longer_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
