/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Self test of the fake guest memory and of the frames that cross it.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest/guest_net.h"

static void
test_guest_net_cuts_and_fills(void **state)
{
	static const uint32_t cut[] = { 1, 5, 20, 0 };
	struct guest_seg seg[8];
	struct guest_mem mem;
	uint8_t out[60];
	uint32_t n;

	(void)state;
	guest_mem_init(&mem);
	guest_mem_add(&mem, 0x1000, 80, 0, GUEST_PLACE_START);
	guest_mem_add(&mem, 0x1050, 400, 0, GUEST_PLACE_END);
	n = guest_net_cut(seg, 8, 0x1000, 62, cut, 7, false);
	assert_int_equal(n, 5);
	assert_int_equal(seg[4].len, 16);
	assert_int_equal(guest_net_fill(&mem, seg, n, NULL, 12, 50, 3), 0);
	assert_int_equal(guest_net_gather(&mem, seg, n, 12, out, 50), 0);
	assert_true(guest_net_matches(out, 50, 3, 0));
	assert_int_equal(guest_net_fill(&mem, seg, n, NULL, 12, 51, 3), -ENOSPC);
	assert_int_equal(guest_net_cut(seg, 3, 0x1000, 62, cut, 7, false), 0);
	guest_mem_fini(&mem);
}

static void
test_guest_mem_crosses_regions(void **state)
{
	struct guest_mem mem;
	uint8_t in[64], out[64];
	uint8_t *a, *b;

	(void)state;
	guest_mem_init(&mem);
	assert_int_equal(guest_mem_add(&mem, 0x1000, 33, 0xa000, GUEST_PLACE_END), 0);
	assert_int_equal(guest_mem_add(&mem, 0x1021, 1, 0xb000, GUEST_PLACE_END), 1);
	assert_int_equal(guest_mem_add(&mem, 0x1022, 5000, 0xc000, GUEST_PLACE_START), 2);
	guest_net_pattern(in, sizeof(in), 1, 0);
	assert_int_equal(guest_mem_write(&mem, 0x1010, in, sizeof(in)), 0);
	assert_int_equal(guest_mem_read(&mem, 0x1010, out, sizeof(out)), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(guest_mem_run(&mem, 0x1020, &a), 1);
	assert_int_equal(guest_mem_run(&mem, 0x1021, &b), 1);
	assert_true(b != a + 1);
	assert_null(guest_mem_ptr(&mem, 0x1020, 2));
	assert_int_equal(guest_mem_uva(&mem, 0x1025), 0xc003);
	assert_int_equal(guest_mem_write(&mem, 0xfff, in, 1), -EFAULT);
	assert_int_equal(guest_mem_read(&mem, 0x1022 + 4999, out, 2), -EFAULT);
	assert_true(guest_mem_intact(&mem));
	guest_mem_fini(&mem);
}

/* Does a write to p end the process? */
static bool
faults(volatile uint8_t *p)
{
	const pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		/* cmocka and the sanitizers have handlers of their own. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		*p = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status != 0;
}

static void
test_guest_mem_guards_both_ends(void **state)
{
	struct guest_mem mem;

	(void)state;
	guest_mem_init(&mem);
	guest_mem_add(&mem, 0, 100, 0, GUEST_PLACE_END);
	guest_mem_add(&mem, 0x1000, 100, 0, GUEST_PLACE_START);
	guest_mem_add(&mem, 0x10000, 8192, 0, GUEST_PLACE_END);
	assert_true(faults(mem.region[0].va + 100));
	assert_false(faults(mem.region[0].va + 99));
	assert_true(faults(mem.region[1].va - 1));
	assert_true(faults(mem.region[2].va - 1));
	assert_true(faults(mem.region[2].va + 8192));
	guest_mem_fini(&mem);
}

static void
test_guest_mem_notices_stray_writes(void **state)
{
	struct guest_mem mem;
	uint8_t *p;
	uint64_t gpa;

	(void)state;
	guest_mem_init(&mem);
	guest_mem_add(&mem, 0, 100, 0, GUEST_PLACE_END);
	guest_mem_add(&mem, 0x1000, 8000, 0, GUEST_PLACE_START);
	mem.region[0].va[-1] ^= 1;
	assert_false(guest_mem_intact(&mem));
	mem.region[0].va[-1] ^= 1;
	mem.region[1].va[8000] ^= 1;
	assert_false(guest_mem_intact(&mem));
	mem.region[1].va[8000] ^= 1;
	gpa = guest_mem_alloc_guarded(&mem, 1, 11);
	p = guest_mem_ptr(&mem, gpa, 11);
	memset(p, 0, 11);
	assert_true(guest_mem_intact(&mem));
	p[11] = 0;
	assert_false(guest_mem_intact(&mem));
	p[11] = p[12];
	p[-1] = 0;
	assert_false(guest_mem_intact(&mem));
	guest_mem_fini(&mem);
}

static void
test_guest_mem_allocates_aligned(void **state)
{
	struct guest_mem mem;

	(void)state;
	guest_mem_init(&mem);
	guest_mem_add(&mem, 0x1003, 64, 0, GUEST_PLACE_END);
	assert_int_equal(guest_mem_alloc(&mem, 0, 1, 1), 0x1003);
	assert_int_equal(guest_mem_alloc(&mem, 0, 16, 16), 0x1010);
	assert_int_equal(guest_mem_alloc(&mem, 0, 36, 1), UINT64_MAX);
	assert_int_equal(guest_mem_alloc(&mem, 0, 35, 1), 0x1020);
	assert_int_equal(guest_mem_add(&mem, 0, 0, 0, GUEST_PLACE_END), -EINVAL);
	guest_mem_fini(&mem);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_net_cuts_and_fills),
		cmocka_unit_test(test_guest_mem_crosses_regions),
		cmocka_unit_test(test_guest_mem_guards_both_ends),
		cmocka_unit_test(test_guest_mem_notices_stray_writes),
		cmocka_unit_test(test_guest_mem_allocates_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
