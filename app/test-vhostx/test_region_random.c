/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Tables of random regions, anywhere in 64 bits and in any number, looked up against a walk over them. Nothing is
 * mapped. Seeds are fixed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mem/region.h"

#define TABLES 1500
#define LOOKUPS 400

static uint64_t dice;

static uint64_t
roll(uint64_t n)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return n == 0 ? dice : (dice >> 11) % n;
}

/* A number whose size is random as well. */
static uint64_t
roll_any(void)
{
	return (roll(0) | 1) >> roll(64);
}

static int
by_gpa(const void *a, const void *b)
{
	const struct vhostx_range *x = a, *y = b;

	return x->gpa < y->gpa ? -1 : x->gpa > y->gpa;
}

/* Where regions begin: close together from anywhere on, at the end of all, or scattered. */
static void
roll_begins(struct vhostx_range *range, uint32_t nr)
{
	const uint64_t base = roll(3) == 0 ? -(roll(8) + nr) : roll_any();
	const uint64_t step = roll(2) == 0 ? 1 : roll_any();
	const bool scattered = roll(3) == 0;

	for (uint32_t i = 0; i < nr; i++)
		range[i].gpa = scattered ? roll_any() : base + i * step + (step > 1 ? roll(step) : 0);
	qsort(range, nr, sizeof(*range), by_gpa);
}

/* Up to the next one, or less. Those that begin where another one does go. */
static struct vhostx_mem *
roll_table(void)
{
	const uint32_t nr = 1 + roll(roll(2) == 0 ? 9 : VHOSTX_MEM_SLOTS);
	struct vhostx_mem *mem = vhostx_mem_alloc(nr);

	assert_non_null(mem);
	roll_begins(mem->range, nr);
	for (uint32_t i = 0; i < nr; i++) {
		const struct vhostx_range r = mem->range[i];
		const uint64_t room = (i + 1 < nr ? mem->range[i + 1].gpa : 0) - r.gpa;

		/* No region begins at the last address of all. */
		if (r.gpa == UINT64_MAX || (i + 1 < nr && room == 0))
			continue;
		mem->range[mem->nr++] = (struct vhostx_range){ .gpa = r.gpa,
			.size = RTE_MAX(1u, RTE_MIN(room, roll(2) == 0 ? room : roll_any())) };
	}
	return mem;
}

/* Which region has it? UINT32_MAX: none. */
static uint32_t
walk(const struct vhostx_mem *mem, uint64_t gpa)
{
	for (uint32_t i = 0; i < mem->nr; i++) {
		if (gpa - mem->range[i].gpa < mem->range[i].size)
			return i;
	}
	return UINT32_MAX;
}

/* An address at a border of a region, near it, or anywhere. */
static uint64_t
roll_address(const struct vhostx_mem *mem)
{
	const struct vhostx_range *r = &mem->range[roll(mem->nr)];

	switch (roll(4)) {
	case 0:
		return r->gpa + roll(3) - 1;
	case 1:
		return r->gpa + r->size + roll(3) - 1;
	case 2:
		return r->gpa + roll(r->size);
	default:
		return roll_any();
	}
}

static void
test_region_random_lookup_is_as_a_walk(void **state)
{
	(void)state;
	dice = 1;
	for (uint32_t t = 0; t < TABLES; t++) {
		struct vhostx_mem *mem = roll_table();

		if (mem->nr != 0)
			vhostx_mem_index(mem);
		for (uint32_t i = 0; mem->nr != 0 && i < LOOKUPS; i++) {
			const uint64_t gpa = roll_address(mem);
			const uint32_t at = walk(mem, gpa);
			const uint32_t found = vhostx_mem_find(mem, gpa);

			assert_true(found < 2 * mem->nr);
			if (at != UINT32_MAX)
				assert_int_equal(found, at);
			else
				assert_true(gpa - mem->range[found].gpa >= mem->range[found].size);
		}
		free(mem);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_region_random_lookup_is_as_a_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
