/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The IOTLB: what it holds after entries came and went, compared with a map of single bytes; what it costs at most;
 * and threads that read while it changes.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_common.h>

#include "mem/iotlb.h"

#define R VHOSTX_ACCESS_R
#define W VHOSTX_ACCESS_W
#define RW VHOSTX_ACCESS_RW
#define SPACE 96u /* addresses of the model */

static struct vhostx_iotlb *tlb;

static int
setup(void **state)
{
	(void)state;
	tlb = vhostx_iotlb_create(1000);
	return tlb == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	vhostx_iotlb_free(tlb);
	return 0;
}

static void
add(uint64_t iova, uint64_t size, uint64_t va, uint8_t perm)
{
	vhostx_iotlb_add(tlb, iova, size, (void *)(uintptr_t)va, perm);
}

/* Where an address is; 0: nowhere. */
static uint64_t
va_of(uint64_t iova, uint8_t access)
{
	struct vhostx_iotlb_entry e;

	return vhostx_iotlb_find(tlb, iova, access, &e) == 0 ? e.va + (iova - e.first) : 0;
}

static void
test_iotlb_finds_first_to_last(void **state)
{
	struct vhostx_iotlb_entry e;

	(void)state;
	assert_int_equal(vhostx_iotlb_find(tlb, 0, R, &e), -ENOENT);
	add(0x2000, 0x1000, 0x70000, RW);
	assert_int_equal(vhostx_iotlb_find(tlb, 0x1fff, R, &e), -ENOENT);
	assert_int_equal(vhostx_iotlb_find(tlb, 0x3000, R, &e), -ENOENT);
	assert_int_equal(vhostx_iotlb_find(tlb, UINT64_MAX, R, &e), -ENOENT);
	assert_int_equal(vhostx_iotlb_find(tlb, 0x2fff, RW, &e), 0);
	assert_int_equal(e.first, 0x2000);
	assert_int_equal(e.last, 0x2fff);
	assert_int_equal(va_of(0x2abc, R), 0x70abc);
}

static void
test_iotlb_reaches_the_last_address(void **state)
{
	(void)state;
	add(UINT64_MAX - 0xfff, 0x1000, 0x70000, RW);
	assert_int_equal(va_of(UINT64_MAX, R), 0x70fff);
	vhostx_iotlb_remove(tlb, UINT64_MAX, UINT64_MAX);
	assert_int_equal(va_of(UINT64_MAX, R), 0);
	assert_int_equal(va_of(UINT64_MAX - 1, R), 0x70ffe);
	vhostx_iotlb_remove(tlb, 0, UINT64_MAX);
	assert_int_equal(tlb->nr, 0);
}

static void
test_iotlb_keeps_permissions(void **state)
{
	struct vhostx_iotlb_entry e;

	(void)state;
	add(0x1000, 0x1000, 0x70000, R);
	add(0x2000, 0x1000, 0x71000, W);
	assert_int_equal(tlb->nr, 2);
	assert_int_equal(vhostx_iotlb_find(tlb, 0x1000, W, &e), -EACCES);
	assert_int_equal(e.perm, R);
	assert_int_equal(vhostx_iotlb_find(tlb, 0x1000, RW, &e), -EACCES);
	assert_int_equal(vhostx_iotlb_find(tlb, 0x2000, R, &e), -EACCES);
	assert_int_equal(va_of(0x2000, W), 0x71000);
	/* The guest's driver maps the page anew, for more. */
	add(0x1000, 0x1000, 0x70000, RW);
	assert_int_equal(va_of(0x1000, W), 0x70000);
}

static void
test_iotlb_joins_neighbours(void **state)
{
	(void)state;
	add(0x1000, 0x1000, 0x71000, RW);
	add(0x3000, 0x1000, 0x73000, RW);
	assert_int_equal(tlb->nr, 2);
	add(0x2000, 0x1000, 0x72000, RW);
	assert_int_equal(tlb->nr, 1);
	assert_int_equal(tlb->entry[0].first, 0x1000);
	assert_int_equal(tlb->entry[0].last, 0x3fff);
	add(0x4000, 0x1000, 0x75000, RW); /* another place */
	add(0x5000, 0x1000, 0x76000, R);  /* another permission */
	assert_int_equal(tlb->nr, 3);
}

/* A reader that remembers an entry may go on with it until something goes. */
static void
test_iotlb_counts_removals_alone(void **state)
{
	uint32_t gen = tlb->gen;

	(void)state;
	add(0x1000, 0x1000, 0x71000, RW);
	add(0x2000, 0x1000, 0x72000, RW);
	add(0x1000, 0x2000, 0x71000, RW);
	vhostx_iotlb_remove(tlb, 0x8000, 0x8fff);
	assert_int_equal(tlb->gen, gen);
	add(0x1800, 0x10, 0x90000, RW);
	assert_int_not_equal(tlb->gen, gen);
	gen = tlb->gen;
	vhostx_iotlb_remove(tlb, 0x2fff, 0x2fff);
	assert_int_not_equal(tlb->gen, gen);
}

static void
test_iotlb_repetition_disturbs_nobody(void **state)
{
	uint32_t seq;

	(void)state;
	add(0x1000, 0x4000, 0x71000, RW);
	seq = tlb->seq;
	add(0x1000, 0x4000, 0x71000, RW);
	add(0x2000, 0x1000, 0x72000, RW);
	assert_int_equal(tlb->seq, seq);
}

/* --- compared with a map of bytes ------------------------------------------------------------------ */

static struct {
	uint64_t va;
	uint8_t perm; /* 0: nothing */
} model[SPACE];

/* All of the cache is in the model and, unless the cache is too small for it, the reverse. */
static void
compare(bool all)
{
	for (uint32_t i = 0; i < tlb->nr; i++) {
		assert_true(tlb->entry[i].first <= tlb->entry[i].last);
		assert_true(i == 0 || tlb->entry[i - 1].last < tlb->entry[i].first);
	}
	for (uint64_t a = 0; a < SPACE; a++) {
		struct vhostx_iotlb_entry e;
		const int ret = vhostx_iotlb_find(tlb, a, 0, &e);

		assert_true(ret == 0 || ret == -ENOENT);
		if (ret == 0) {
			assert_int_equal(e.perm, model[a].perm);
			assert_int_equal(e.va + (a - e.first), model[a].va);
		} else if (all) {
			assert_int_equal(model[a].perm, 0);
		}
	}
	assert_int_equal(tlb->seq % 2, 0);
}

static void
random_change(uint32_t *seed)
{
	const uint64_t first = rand_r(seed) % SPACE;
	const uint64_t size = 1 + rand_r(seed) % RTE_MIN(SPACE - first, 12u);
	/* Few places, so that neighbours continue each other at times. */
	const uint64_t base = 0x1000 * (1 + rand_r(seed) % 3);
	const uint8_t perm = rand_r(seed) % 4;

	if (perm == 0)
		vhostx_iotlb_remove(tlb, first, first + size - 1);
	else
		add(first, size, base + first, perm);
	for (uint64_t a = first; a < first + size; a++) {
		model[a].perm = perm;
		model[a].va = base + a;
	}
}

static void
run_model(uint32_t max)
{
	vhostx_iotlb_free(tlb);
	tlb = vhostx_iotlb_create(max);
	assert_non_null(tlb);
	for (uint32_t seed = 1; seed < 40; seed++) {
		uint32_t dice = seed;

		vhostx_iotlb_remove(tlb, 0, UINT64_MAX);
		memset(model, 0, sizeof(model));
		for (int i = 0; i < 300; i++) {
			random_change(&dice);
			assert_true(tlb->nr <= max);
			compare(max >= SPACE);
		}
	}
}

static void
test_iotlb_is_what_was_put_in(void **state)
{
	(void)state;
	run_model(SPACE);
}

static void
test_iotlb_too_small_forgets(void **state)
{
	(void)state;
	run_model(2);
	run_model(7);
}

static void
test_iotlb_full_keeps_what_came_last(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 5000; i++) {
		add(i * 0x2000, 0x1000, 0x100000 + i * 0x1000, RW);
		assert_int_equal(va_of(i * 0x2000, RW), 0x100000 + i * 0x1000);
	}
	assert_int_equal(tlb->nr, 1000);
}

/* What had to go for another is found no more where it was found before: nobody would tell when it is taken back. */
static void
test_iotlb_full_tells_that_one_went(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 1100; i++) {
		const uint32_t gen = tlb->gen;

		add(i * 0x2000, 0x1000, 0x100000 + i * 0x1000, RW);
		assert_true((tlb->gen != gen) == (i >= 1000));
	}
}

/* --- readers beside a writer ----------------------------------------------------------------------- */

#define PAGES 64u
#define PAGE 0x1000u

static bool stop; /* atomic */

/* What the writer puts in: one of two places, by page. */
static bool
is_possible(uint64_t iova, const struct vhostx_iotlb_entry *e)
{
	const uint64_t va = e->va + (iova - e->first);

	return e->first <= iova && e->last >= iova && e->perm == RW &&
		(va == 0x10000000 + iova || va == 0x20000000 + iova);
}

static void *
read_all(void *arg)
{
	uint64_t *wrong = arg;
	uint64_t found = 0;
	uint32_t seed = 7;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) || found == 0) {
		const uint64_t iova = rand_r(&seed) % (PAGES * PAGE);
		struct vhostx_iotlb_entry e;
		const int ret = vhostx_iotlb_find(tlb, iova, RW, &e);

		found += ret == 0;
		*wrong += ret == 0 && !is_possible(iova, &e);
	}
	return NULL;
}

static void
test_iotlb_reader_sees_whole_entries(void **state)
{
	static uint64_t wrong[2][16];
	uint32_t seed = 3;
	pthread_t thread[2];

	(void)state;
	stop = false;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, read_all, wrong[i]), 0);
	for (int i = 0; i < 100000; i++) {
		const uint64_t iova = rand_r(&seed) % PAGES * PAGE;

		if (i % 3 == 0)
			vhostx_iotlb_remove(tlb, iova, iova + 3 * PAGE - 1);
		else
			add(iova, PAGE, (i % 3 == 1 ? 0x10000000 : 0x20000000) + iova, RW);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(wrong[0][0] + wrong[1][0], 0);
}

#define IOTLB_CASE(name) cmocka_unit_test_setup_teardown(test_iotlb_##name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IOTLB_CASE(finds_first_to_last),
		IOTLB_CASE(reaches_the_last_address),
		IOTLB_CASE(keeps_permissions),
		IOTLB_CASE(joins_neighbours),
		IOTLB_CASE(counts_removals_alone),
		IOTLB_CASE(repetition_disturbs_nobody),
		IOTLB_CASE(is_what_was_put_in),
		IOTLB_CASE(too_small_forgets),
		IOTLB_CASE(full_keeps_what_came_last),
		IOTLB_CASE(full_tells_that_one_went),
		IOTLB_CASE(reader_sees_whole_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
