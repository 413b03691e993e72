/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Orderings of which one half is a barrier on another core, or a fence that ThreadSanitizer would not miss: letters
 * A, J and N of the table in ring/vq.h. Each is tried against a burst, and has a litmus test: the same without the
 * barrier, which must see what goes wrong.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ring/dirty.h"

#define ROUNDS 20000
/* As long as the failing of what lacks its barrier is waited for; often it is seen at once. */
#define SECONDS 20
#define ALIVE 256

/* --- frame ------------------------------------------------------------------------------------------ */

/* What a poller's thread and the other side share, and what either saw. */
struct litmus {
	struct vhostx_queue queue;
	struct vhostx_snapshot snap;
	struct vhostx_ring ring;
	uint16_t avail[4];   /* N: an available ring with nothing in it */
	struct vhostx_iotlb *iotlb;
	struct vhostx_mem *mem; /* J: a table without a mapping behind it */
	struct vhostx_log log;
	uint64_t bits;       /* of the log */
	uint64_t page;       /* what the page holds; guest memory */
	uint64_t round;      /* atomic: J, the turn that the poller is to take */
	uint64_t served;     /* atomic: what the poller has done */
	bool stop;           /* atomic */
	/* Both sides write here, so that their stores queue up and their loads run ahead of them. */
	uint64_t busy_line[8 * 8] __rte_cache_aligned;
	uint64_t violations; /* the side's that sees them, read when the poller has ended */
};

/* One ordering. */
struct litmus_case {
	const char *seen;                                       /* what goes wrong, in words */
	void (*begin)(struct litmus *l);                        /* before there is a poller */
	bool (*burst)(struct litmus *l, bool barrier);          /* whether there was something to do */
	void (*turn)(struct litmus *l, uint32_t i, bool barrier);
};

/* A poller's thread. */
struct litmus_poller {
	struct litmus *l;
	const struct litmus_case *c;
	bool barrier;
};

static void *
litmus_poll(void *arg)
{
	const struct litmus_poller *p = arg;
	struct litmus *l = p->l;

	while (!__atomic_load_n(&l->stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 8; i++)
			__atomic_store_n(&l->busy_line[i * 8], i, __ATOMIC_RELAXED);
		if (p->c->burst(l, p->barrier))
			__atomic_store_n(&l->served, l->served + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* Until the poller has done something, keep its lines from it. */
static void
litmus_wait(struct litmus *l, uint64_t seen, uint32_t i)
{
	while (__atomic_load_n(&l->served, __ATOMIC_ACQUIRE) == seen)
		__atomic_store_n(&l->busy_line[i % 8 * 8], i, __ATOMIC_RELAXED);
}

/* @return how often it went wrong. */
static uint64_t
litmus_run(const struct litmus_case *c, bool barrier)
{
	static struct litmus l;
	struct litmus_poller poller = { &l, c, barrier };
	pthread_t thread;

	memset(&l, 0, sizeof(l));
	c->begin(&l);
	assert_int_equal(pthread_create(&thread, NULL, litmus_poll, &poller), 0);
	for (uint32_t i = 0; i < ROUNDS; i++)
		c->turn(&l, i, barrier);
	__atomic_store_n(&l.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	vhostx_iotlb_free(l.iotlb);
	free(l.mem);
	return l.violations;
}

/* Shows that the test with the barrier can fail; how often it does is the processor's affair. */
static void
litmus_without(const struct litmus_case *c)
{
	const time_t end = time(NULL) + SECONDS;
	uint64_t violations = 0;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	skip(); /* a data race, on purpose; and in slow code it is not seen for sure */
#endif
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	while (violations == 0 && time(NULL) < end)
		violations = litmus_run(c, false);
	print_message("without the barrier: %ju %s\n", (uintmax_t)violations, c->seen);
#ifdef __x86_64__
	assert_true(violations > 0);
#endif
}

/* --- A: a snapshot is taken away -------------------------------------------------------------------- */

static void
snapshot_begin(struct litmus *l)
{
	(void)l;
}

static bool
snapshot_burst(struct litmus *l, bool barrier)
{
	const struct vhostx_snapshot *s = vhostx_queue_enter(&l->queue);

	(void)barrier;
	for (int i = 0; i < 8 && s != NULL; i++)
		l->violations += *(const volatile uint16_t *)&s->size != ALIVE;
	vhostx_queue_leave(&l->queue);
	return s != NULL;
}

/* vhostx_queue_retire() as it would be without its half of the letter. */
static void
retire_without_barrier(struct vhostx_queue *queue)
{
	__atomic_store_n(&queue->snap, NULL, __ATOMIC_RELAXED);
	vhostx_queue_await(queue);
}

/* Publish, wait until it is used, retire, and reuse the memory. */
static void
snapshot_turn(struct litmus *l, uint32_t i, bool barrier)
{
	const uint64_t seen = __atomic_load_n(&l->served, __ATOMIC_RELAXED);

	*(volatile uint16_t *)&l->snap.size = ALIVE;
	vhostx_queue_publish(&l->queue, &l->snap);
	litmus_wait(l, seen, i);
	if (barrier)
		vhostx_queue_retire(&l->queue);
	else
		retire_without_barrier(&l->queue);
	for (int k = 0; k < 20; k++)
		*(volatile uint16_t *)&l->snap.size = 0;
}

static const struct litmus_case snapshot_case = {
	"reads of a reused snapshot", snapshot_begin, snapshot_burst, snapshot_turn,
};

static void
test_litmus_retire_waits_for_burst(void **state)
{
	(void)state;
	assert_true(vhostx_membarrier_register());
	assert_int_equal(litmus_run(&snapshot_case, true), 0);
}

/* Where the kernel refuses membarrier(), the burst has the fence. */
static void
fenced_begin(struct litmus *l)
{
	l->queue.fence = true;
}

static void
test_litmus_retire_with_fences(void **state)
{
	static const struct litmus_case fenced = { "", fenced_begin, snapshot_burst, snapshot_turn };

	(void)state;
	assert_int_equal(litmus_run(&fenced, true), 0);
}

static void
test_litmus_retire_without_barrier(void **state)
{
	(void)state;
	litmus_without(&snapshot_case);
}

/* --- J: a page is written while the front-end copies it --------------------------------------------- */

/* The word that a burst writes is our wish for kicks: it has a function that logs it alone. */
static void
log_begin(struct litmus *l)
{
	l->mem = vhostx_mem_alloc(1);
	assert_non_null(l->mem);
	l->mem->nr = 1;
	l->mem->range[0] = (struct vhostx_range){ .gpa = 0, .size = sizeof(l->page), .va = (uint8_t *)&l->page };
	vhostx_mem_index(l->mem);
	l->log = (struct vhostx_log){ .word = &l->bits, .pages = 64 };
	l->snap = (struct vhostx_snapshot){
		.format = VHOSTX_PACKED, .mem = l->mem, .log = &l->log, .log_used = UINT64_MAX,
		.packed.device = (struct vring_packed_desc_event *)&l->page,
	};
}

/* vhostx_dirty_wish() as it would be without its fence. */
static void
wish_without_fence(const struct vhostx_snapshot *s)
{
	struct vhostx_log_batch batch = { 0 };

	vhostx_log_mark(s->log, &batch, 0, sizeof(*s->packed.device));
	vhostx_log_flush(s->log, &batch);
}

static bool
log_burst(struct litmus *l, bool fence)
{
	const uint64_t round = __atomic_load_n(&l->round, __ATOMIC_ACQUIRE);

	if (round == l->served)
		return false;
	__atomic_store_n(&l->page, round, __ATOMIC_RELAXED);
	if (fence)
		vhostx_dirty_wish(&l->snap);
	else
		wish_without_fence(&l->snap);
	return true;
}

/* A page that was dirty is copied while it is written: it has to be dirty after that, or the copy is right. */
static void
log_turn(struct litmus *l, uint32_t i, bool barrier)
{
	const uint64_t before = l->round;
	uint64_t copy;

	(void)barrier;
	__atomic_store_n(&l->bits, 1, __ATOMIC_RELAXED);
	for (int k = 0; k < 8; k++)
		__atomic_store_n(&l->busy_line[k * 8], i, __ATOMIC_RELAXED);
	__atomic_store_n(&l->round, before + 1, __ATOMIC_RELEASE);
	/* Sooner or later: when the poller looks at the bit. */
	for (uint32_t k = 0; k < i % 512; k++)
		rte_compiler_barrier();
	__atomic_exchange_n(&l->bits, 0, __ATOMIC_SEQ_CST);
	copy = __atomic_load_n(&l->page, __ATOMIC_RELAXED);
	litmus_wait(l, before, i);
	l->violations += __atomic_load_n(&l->bits, __ATOMIC_RELAXED) == 0 && copy != before + 1;
}

static const struct litmus_case log_case = {
	"changes of a page that are not copied again", log_begin, log_burst, log_turn,
};

static void
test_litmus_log_misses_no_change(void **state)
{
	(void)state;
	assert_int_equal(litmus_run(&log_case, true), 0);
}

static void
test_litmus_log_without_fence(void **state)
{
	(void)state;
	litmus_without(&log_case);
}

/* --- N: an address is taken out of the IOTLB -------------------------------------------------------- */

static void
iotlb_begin(struct litmus *l)
{
	l->iotlb = vhostx_iotlb_create(16);
	assert_non_null(l->iotlb);
	l->snap = (struct vhostx_snapshot){
		.ring = &l->ring, .iotlb = l->iotlb, .wakefd = -1, .kickfd = -1,
		.split.avail = (struct vring_avail *)l->avail,
	};
	vhostx_queue_publish(&l->queue, &l->snap);
}

/* Translate one address, and look whether the page is the guest's. */
static bool
iotlb_look(struct litmus *l, const struct vhostx_snapshot *s)
{
	const struct vhostx_range range = vhostx_iommu_range(s, 0);
	uint8_t *va = range.va;
	uint64_t run;

	if (range.size == 0 && vhostx_iommu_va(s, 0x1000, 0, &va, &run) != VHOSTX_NO_CAUSE)
		return false;
	for (int i = 0; i < 8; i++)
		l->violations += __atomic_load_n((uint64_t *)va, __ATOMIC_RELAXED) == 0;
	return true;
}

static bool
iotlb_burst(struct litmus *l, bool barrier)
{
	const struct vhostx_snapshot *s = vhostx_queue_enter(&l->queue);
	const bool found = s != NULL && iotlb_look(l, s);

	(void)barrier;
	vhostx_queue_leave(&l->queue);
	return found;
}

/* Map, wait until it is used, unmap as vhostx_serve_quiesce() does, and use the page for something else. */
static void
iotlb_turn(struct litmus *l, uint32_t i, bool barrier)
{
	const uint64_t seen = __atomic_load_n(&l->served, __ATOMIC_RELAXED);

	__atomic_store_n(&l->page, 1, __ATOMIC_RELAXED);
	vhostx_iotlb_add(l->iotlb, 0x1000, sizeof(l->page), &l->page, VHOSTX_ACCESS_RW);
	litmus_wait(l, seen, i);
	vhostx_iotlb_remove(l->iotlb, 0x1000, 0x1000 + sizeof(l->page) - 1);
	if (barrier)
		vhostx_barrier_all();
	vhostx_queue_await(&l->queue);
	for (int k = 0; k < 20; k++)
		__atomic_store_n(&l->page, 0, __ATOMIC_RELAXED);
}

static const struct litmus_case iotlb_case = {
	"reads of a page that was taken back", iotlb_begin, iotlb_burst, iotlb_turn,
};

static void
test_litmus_removal_waits_for_burst(void **state)
{
	(void)state;
	assert_true(vhostx_membarrier_register());
	assert_int_equal(litmus_run(&iotlb_case, true), 0);
}

static void
test_litmus_removal_without_barrier(void **state)
{
	(void)state;
	litmus_without(&iotlb_case);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_litmus_retire_waits_for_burst),
		cmocka_unit_test(test_litmus_retire_with_fences),
		cmocka_unit_test(test_litmus_retire_without_barrier),
		cmocka_unit_test(test_litmus_log_misses_no_change),
		cmocka_unit_test(test_litmus_log_without_fence),
		cmocka_unit_test(test_litmus_removal_waits_for_burst),
		cmocka_unit_test(test_litmus_removal_without_barrier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
