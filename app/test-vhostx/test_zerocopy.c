/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The table of zero-copy slots by itself: what is lent comes back once, from any thread, and the memory that
 * it is in stays mapped until then.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "ring/lend.h"

#define PAGE 4096u
#define SIZE 1024u /* a page of times */
#define GPA(i) (UINT64_C(0x100000) * (i))

/* Guest memory of so many pages' regions. */
static struct vhostx_mem *
memory_of(unsigned int nr, const unsigned int *at, const struct vhostx_mem *old, const int *fd)
{
	struct vhostx_region_desc desc[8];
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	int fds[8];

	for (unsigned int i = 0; i < nr; i++) {
		desc[i] = (struct vhostx_region_desc){ .gpa = GPA(at[i]), .size = PAGE, .uva = GPA(at[i]),
			.mmap_offset = at[i] * PAGE };
		fds[i] = *fd;
	}
	assert_int_equal(vhostx_mem_build(desc, fds, nr, old, VHOSTX_MAP_ALL, &mem, &why), 0);
	return mem;
}

struct bench {
	int fd;
	struct vhostx_mem *mem; /* regions 1, 2, 3 */
	struct vhostx_zc *zc;
};

static const unsigned int all_regions[] = { 1, 2, 3 };

static int
adopt(struct vhostx_zc *zc, const struct vhostx_mem *mem)
{
	const int ret = vhostx_zc_adopt(zc, mem);

	assert_int_equal(vhostx_zc_refused(zc).nr, 0);
	return ret;
}

static int
setup(void **state)
{
	const struct vhostx_zc_conf conf = { .size = SIZE, .threshold = 512, .inflight = 50 };
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	bench->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(bench->fd, 8 * PAGE), 0);
	bench->mem = memory_of(3, all_regions, NULL, &bench->fd);
	bench->zc = vhostx_zc_create(&conf);
	assert_non_null(bench->zc);
	assert_int_equal(adopt(bench->zc, bench->mem), 0);
	*state = bench;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *bench = *state;

	vhostx_zc_free(bench->zc);
	vhostx_mem_free(bench->mem);
	close(bench->fd);
	free(bench);
	return vhostx_map_count() == 0 ? 0 : -1;
}

/* Lend from these regions, given as indices into the adopted memory (-1: none). */
static struct vhostx_zc_slot *
lend(struct bench *bench, uint16_t id, int first, int second, uint16_t mbufs)
{
	const struct vhostx_chain c = { .id = id, .ndesc = id % 3 + 1 };
	const uint16_t region[] = {
		first < 0 ? VHOSTX_ZC_NOWHERE : bench->zc->region_of[first],
		second < 0 ? VHOSTX_ZC_NOWHERE : bench->zc->region_of[second],
	};

	return vhostx_zc_lend(bench->zc, &c, region, mbufs, 0);
}

/* What a mbuf's free does. */
static void
give_back(struct vhostx_zc_slot *slot)
{
	if (rte_mbuf_ext_refcnt_update(&slot->shinfo, -1) == 0)
		slot->shinfo.free_cb(NULL, slot->shinfo.fcb_opaque);
}

static uint32_t
reap_all(struct vhostx_zc *zc, struct vhostx_chain *rec)
{
	uint16_t group, passed = 0;
	uint32_t n = 0;

	while (vhostx_zc_next_group(zc, &group, &passed))
		n += vhostx_zc_reap(zc, group, &rec[n], 0, NULL);
	return n;
}

static void
test_zerocopy_returns_slot_once(void **state)
{
	struct bench *bench = *state;
	struct vhostx_zc_slot *slot = lend(bench, 77, 0, -1, 1);
	struct vhostx_chain rec[SIZE];

	assert_true(vhostx_zc_is_out(bench->zc, 77));
	assert_false(vhostx_zc_has_done(bench->zc));
	assert_int_equal(reap_all(bench->zc, rec), 0);
	give_back(slot);
	assert_true(vhostx_zc_is_out(bench->zc, 77));
	assert_true(vhostx_zc_has_done(bench->zc));
	assert_int_equal(reap_all(bench->zc, rec), 1);
	assert_int_equal(rec[0].id, 77);
	assert_int_equal(rec[0].ndesc, 77 % 3 + 1);
	assert_int_equal(rec[0].used_len, 0);
	assert_false(vhostx_zc_is_out(bench->zc, 77));
	assert_int_equal(reap_all(bench->zc, rec), 0);
	assert_int_equal(bench->zc->out, 0);
	assert_int_equal(bench->zc->out_entries, 0);
}

static void
test_zerocopy_waits_for_every_mbuf_of_a_slot(void **state)
{
	struct bench *bench = *state;
	struct vhostx_zc_slot *slot = lend(bench, 5, 0, -1, 3);
	struct vhostx_chain rec[SIZE];

	give_back(slot);
	give_back(slot);
	assert_int_equal(reap_all(bench->zc, rec), 0);
	give_back(slot);
	assert_int_equal(reap_all(bench->zc, rec), 1);
}

static void
test_zerocopy_takes_any_order(void **state)
{
	struct bench *bench = *state;
	struct vhostx_zc_slot *slot[SIZE];
	struct vhostx_chain rec[SIZE];
	uint8_t seen[SIZE] = { 0 };
	uint32_t n = 0;

	for (uint32_t i = 0; i < SIZE; i++)
		slot[i] = lend(bench, i, i % 3, -1, 1);
	assert_int_equal(bench->zc->out, SIZE);
	/* 389 has no factor in common with the size. */
	for (uint32_t i = 0; i < SIZE; i++) {
		const uint32_t at = i * 389 % SIZE;

		give_back(slot[at]);
		if (i % 7 == 0)
			n += reap_all(bench->zc, &rec[n]);
	}
	n += reap_all(bench->zc, &rec[n]);
	assert_int_equal(n, SIZE);
	for (uint32_t i = 0; i < n; i++)
		seen[rec[i].id]++;
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(bench->zc->out, 0);
	for (uint32_t i = 0; i < bench->zc->nr_regions; i++)
		assert_int_equal(bench->zc->region[i].out, 0);
}

static void
test_zerocopy_refuses_what_it_should(void **state)
{
	struct bench *bench = *state;
	struct vhostx_chain c = { .id = 1, .ndesc = 1 };

	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 511), VHOSTX_ZC_SHORT);
	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 512), VHOSTX_ZC_LENT);
	c.ndesc = SIZE / 2;
	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 512), VHOSTX_ZC_LENT);
	c.ndesc = SIZE / 2 + 1;
	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 512), VHOSTX_ZC_INFLIGHT);
	c = (struct vhostx_chain){ .id = SIZE, .ndesc = 1 };
	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 512), VHOSTX_ZC_SHAPE);
	bench->zc->held = true;
	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 512), VHOSTX_ZC_HELD);
	assert_int_equal(vhostx_zc_judge(bench->zc, &c, 511), VHOSTX_ZC_SHORT);
}

/* A region that is not in the new memory stays mapped while a slot is in it, its neighbours do not. */
static void
test_zerocopy_keeps_region_of_slot_alone(void **state)
{
	static const unsigned int kept[] = { 3 };
	struct bench *bench = *state;
	struct vhostx_mem *now = memory_of(1, kept, bench->mem, &bench->fd);
	struct vhostx_zc_slot *slot = lend(bench, 9, 0, -1, 1);
	volatile uint8_t *byte = bench->mem->range[0].va;
	struct vhostx_chain rec[SIZE];

	assert_int_equal(vhostx_map_count(), 3);
	vhostx_mem_free(bench->mem);
	bench->mem = now;
	assert_int_equal(vhostx_map_count(), 3);
	assert_int_equal(adopt(bench->zc, now), 0);
	assert_int_equal(vhostx_map_count(), 2);
	*byte = 1;
	assert_int_equal(vhostx_zc_leaving(bench->zc), 1);
	give_back(slot);
	vhostx_zc_trim(bench->zc);
	assert_int_equal(vhostx_map_count(), 2);
	assert_int_equal(reap_all(bench->zc, rec), 1);
	vhostx_zc_trim(bench->zc);
	assert_int_equal(vhostx_map_count(), 1);
}

static void
test_zerocopy_counts_both_regions_of_a_slot(void **state)
{
	static const unsigned int kept[] = { 3 };
	struct bench *bench = *state;
	struct vhostx_zc_slot *slot = lend(bench, 9, 0, 1, 1);

	vhostx_mem_free(bench->mem);
	bench->mem = memory_of(1, kept, NULL, &bench->fd);
	assert_int_equal(adopt(bench->zc, bench->mem), 0);
	assert_int_equal(vhostx_map_count(), 3);
	give_back(slot);
	assert_true(vhostx_zc_is_back(bench->zc));
	vhostx_zc_trim(bench->zc);
	assert_int_equal(vhostx_map_count(), 1);
}

static void
test_zerocopy_follows_memory_to_and_fro(void **state)
{
	static const unsigned int other[] = { 1, 5 };
	struct bench *bench = *state;
	struct vhostx_mem *second = memory_of(2, other, bench->mem, &bench->fd);
	struct vhostx_zc_slot *slot[3];

	for (uint32_t i = 0; i < 4; i++) {
		slot[0] = lend(bench, 0, 0, -1, 1);
		assert_int_equal(adopt(bench->zc, i % 2 == 0 ? second : bench->mem), 0);
		assert_int_equal(vhostx_zc_leaving(bench->zc), 0);
		give_back(slot[0]);
		assert_true(vhostx_zc_is_back(bench->zc));
	}
	vhostx_zc_leave(bench->zc, bench->mem->range[0].va);
	assert_true(bench->zc->region[bench->zc->region_of[0]].refusal == VHOSTX_ZC_LEAVING);
	/* It is adopted all the same: whatever left it alone came back to it. */
	assert_int_equal(adopt(bench->zc, bench->mem), 0);
	assert_false(bench->zc->region[bench->zc->region_of[0]].refusal == VHOSTX_ZC_LEAVING);
	vhostx_mem_free(second);
}

/* An old table: the last thing that is left of a port. */
static void
test_zerocopy_outlives_memory(void **state)
{
	struct bench *bench = *state;
	struct vhostx_zc_slot *slot = lend(bench, 1000, 1, -1, 1);
	volatile uint8_t *byte = bench->mem->range[1].va;

	vhostx_mem_free(bench->mem);
	bench->mem = NULL;
	assert_false(vhostx_zc_is_back(bench->zc));
	assert_int_equal(*byte, 0);
	give_back(slot);
	assert_true(vhostx_zc_is_back(bench->zc));
}

static void
test_zerocopy_remembers_longest(void **state)
{
	struct bench *bench = *state;
	const struct vhostx_chain c = { .id = 3, .ndesc = 1 };
	const uint16_t region[] = { 0, VHOSTX_ZC_NOWHERE };
	struct vhostx_chain rec[VHOSTX_ZC_GROUP];

	/* The clock wraps in between. */
	give_back(vhostx_zc_lend(bench->zc, &c, region, 1, UINT32_MAX - 10));
	assert_int_equal(vhostx_zc_reap(bench->zc, 0, rec, 20, NULL), 1);
	assert_int_equal(bench->zc->longest, 31);
	give_back(vhostx_zc_lend(bench->zc, &c, region, 1, 5));
	assert_int_equal(vhostx_zc_reap(bench->zc, 0, rec, 6, NULL), 1);
	assert_int_equal(bench->zc->longest, 31);
	/* The core that lent it is a little ahead. */
	give_back(vhostx_zc_lend(bench->zc, &c, region, 1, 9));
	assert_int_equal(vhostx_zc_reap(bench->zc, 0, rec, 6, NULL), 1);
	assert_int_equal(bench->zc->longest, 31);
}

/* What is out still is told as if it came back now. */
static void
test_zerocopy_tells_of_what_is_out(void **state)
{
	struct bench *bench = *state;
	const struct vhostx_chain c = { .id = 3, .ndesc = 1 };
	const uint16_t region[] = { 0, VHOSTX_ZC_NOWHERE };
	struct vhostx_zc_slot *slot = vhostx_zc_lend(bench->zc, &c, region, 1, vhostx_zc_now() - 1000);

	assert_true(vhostx_zc_longest(bench->zc) >= 1000);
	give_back(slot);
	assert_true(vhostx_zc_is_back(bench->zc));
}

/* When slots were lent, where the first one to look waits until slot 0 has come back and is lent again. */
static uint32_t *slow_since;

static void
lend_anew(int sig)
{
	const uint32_t before = vhostx_zc_now();

	(void)sig;
	while (vhostx_zc_now() - before <= VHOSTX_ZC_AHEAD)
		;
	mprotect(slow_since, PAGE, PROT_READ | PROT_WRITE);
	slow_since[0] = vhostx_zc_now();
}

/* Who asks for the longest time may be off his core while he does: what is lent meanwhile is not out for hours. */
static void
test_zerocopy_regress_longest_of_lent_meanwhile(void **state)
{
	const struct sigaction action = { .sa_handler = lend_anew };
	struct bench *bench = *state;
	uint32_t *since = bench->zc->since, longest;
	struct vhostx_zc_slot *slot;
	struct sigaction old;

	slow_since = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(slow_since != MAP_FAILED);
	bench->zc->since = slow_since;
	slot = lend(bench, 0, 0, -1, 1);
	assert_int_equal(mprotect(slow_since, PAGE, PROT_NONE), 0);
	assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
	longest = vhostx_zc_longest(bench->zc);
	sigaction(SIGSEGV, &old, NULL);
	bench->zc->since = since;
	munmap(slow_since, PAGE);
	give_back(slot);
	assert_true(vhostx_zc_is_back(bench->zc));
	assert_true(longest < UINT32_MAX / 2);
}

/* A ring of another size than the groups, and one without a slot. */
static void
test_zerocopy_takes_odd_sizes(void **state)
{
	static const uint16_t sizes[] = { 0, 1, 2, 63, 65, 1000, 32768 };
	struct bench *bench = *state;

	for (size_t i = 0; i < RTE_DIM(sizes); i++) {
		const struct vhostx_zc_conf conf = { .size = sizes[i], .inflight = 100 };
		struct vhostx_chain rec[VHOSTX_ZC_GROUP];

		vhostx_zc_free(bench->zc);
		bench->zc = vhostx_zc_create(&conf);
		assert_non_null(bench->zc);
		assert_int_equal(adopt(bench->zc, bench->mem), 0);
		assert_false(vhostx_zc_is_out(bench->zc, sizes[i]));
		assert_true(vhostx_zc_is_back(bench->zc));
		if (sizes[i] == 0)
			continue;
		give_back(lend(bench, sizes[i] - 1, 0, -1, 1));
		assert_int_equal(reap_all(bench->zc, rec), 1);
		assert_int_equal(rec[0].id, sizes[i] - 1);
	}
}

/* --- other threads ---------------------------------------------------------------------------------- */

#define ROUNDS 20000u

/* Slots on their way to whoever frees them; a place is NULL while it is free. */
struct belt {
	struct vhostx_zc_slot *place[64];
	uint8_t *buffer; /* [64] what the slots lend: plain bytes, so that ThreadSanitizer sees who is late */
	uint32_t sum;
};

static void *
consume(void *arg)
{
	struct belt *belt = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct vhostx_zc_slot **place = &belt->place[i % 64];
		struct vhostx_zc_slot *slot;

		while ((slot = __atomic_load_n(place, __ATOMIC_ACQUIRE)) == NULL)
			;
		belt->sum += belt->buffer[i % 64];
		__atomic_store_n(place, NULL, __ATOMIC_RELAXED); /* the slot's state orders */
		give_back(slot);
	}
	return NULL;
}

static void
test_zerocopy_orders_reader_before_guest(void **state)
{
	struct bench *bench = *state;
	uint8_t buffer[64] = { 0 };
	struct belt belt = { .buffer = buffer };
	struct vhostx_chain rec[VHOSTX_ZC_GROUP];
	uint32_t sent = 0, back = 0, sum = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, consume, &belt), 0);
	while (back < ROUNDS) {
		const uint32_t at = sent % 64;

		if (sent < ROUNDS && !vhostx_zc_is_out(bench->zc, at) &&
				__atomic_load_n(&belt.place[at], __ATOMIC_RELAXED) == NULL) {
			/* The guest writes what it got back. */
			buffer[at] = sent;
			sum += buffer[at];
			__atomic_store_n(&belt.place[at], lend(bench, at, 0, -1, 1), __ATOMIC_RELEASE);
			sent++;
		}
		back += vhostx_zc_reap(bench->zc, 0, rec, 0, NULL);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(belt.sum, sum);
	assert_int_equal(bench->zc->out, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_zerocopy_returns_slot_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_waits_for_every_mbuf_of_a_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_takes_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_refuses_what_it_should, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_keeps_region_of_slot_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_counts_both_regions_of_a_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_follows_memory_to_and_fro, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_outlives_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_remembers_longest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_tells_of_what_is_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_regress_longest_of_lent_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_takes_odd_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_zerocopy_orders_reader_before_guest, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
