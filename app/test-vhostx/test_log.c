/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The dirty log: which files are taken, and which bits a write sets.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "mem/log.h"

#define SIZE 4096u   /* of the bitmap: 128 MiB of guest memory */
#define PAGES (SIZE * 8u)

/* A log of SIZE bytes that begins OFFSET bytes into its file, seen as the front-end sees it. */
#define OFFSET 4104u

struct rig {
	struct vhostx_log *log;
	uint8_t *seen; /* the whole file */
	int fd;
};

static int
setup(void **state)
{
	static struct rig rig;
	const char *why;

	rig.fd = memfd_create("log", MFD_CLOEXEC);
	if (rig.fd < 0 || ftruncate(rig.fd, 4 * SIZE) != 0)
		return -1;
	rig.seen = mmap(NULL, 4 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, rig.fd, 0);
	*state = &rig;
	return vhostx_log_open(rig.fd, OFFSET, SIZE, &rig.log, &why);
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	vhostx_log_close(rig->log);
	munmap(rig->seen, 4 * SIZE);
	close(rig->fd);
	return vhostx_map_count() == 0 ? 0 : -1;
}

/* "log[page / 8] |= 1 << page % 8", byte by byte as the specification has it. */
static bool
is_dirty(const struct rig *rig, uint64_t page)
{
	return (rig->seen[OFFSET + page / 8] & 1u << page % 8) != 0;
}

static void
mark(struct rig *rig, uint64_t gpa, uint64_t len)
{
	struct vhostx_log_batch batch = { 0 };

	vhostx_log_mark(rig->log, &batch, gpa, len);
	vhostx_log_flush(rig->log, &batch);
}

/* These pages are dirty, and nothing else in the file has changed. */
static void
assert_pages(struct rig *rig, uint64_t first, uint64_t n)
{
	for (uint64_t page = 0; page < PAGES; page++) {
		if (is_dirty(rig, page) != (page - first < n))
			fail_msg("page %ju, of %ju from %ju on", (uintmax_t)page, (uintmax_t)n,
				(uintmax_t)first);
	}
	for (uint32_t i = 0; i < 4 * SIZE; i++) {
		if (i - OFFSET >= SIZE && rig->seen[i] != 0)
			fail_msg("byte %u beside the log", i);
	}
	memset(rig->seen, 0, 4 * SIZE);
}

static void
test_log_marks_each_page_touched(void **state)
{
	static const uint64_t len[] = { 1, 2, 4095, 4096, 4097, 8192, 64 * 4096, 65 * 4096 + 1,
		200 * 4096 };
	struct rig *rig = *state;

	for (uint64_t gpa = 0; gpa < 130 * 4096; gpa += 1365) {
		for (size_t i = 0; i < RTE_DIM(len); i++) {
			const uint64_t last = (gpa + len[i] - 1) / 4096;

			mark(rig, gpa, len[i]);
			assert_pages(rig, gpa / 4096, last - gpa / 4096 + 1);
		}
	}
}

static void
test_log_keeps_bits_that_are_set(void **state)
{
	struct rig *rig = *state;

	mark(rig, 10 * 4096, 4096);
	mark(rig, 11 * 4096, 4096);
	mark(rig, 10 * 4096, 4096);
	assert_pages(rig, 10, 2);
}

static void
test_log_ends_where_it_ends(void **state)
{
	struct rig *rig = *state;
	const uint64_t end = PAGES * 4096ull;

	mark(rig, end - 4096, 1 << 20);
	assert_pages(rig, PAGES - 1, 1);
	mark(rig, end, 4096);
	mark(rig, UINT64_MAX, 1);
	mark(rig, UINT64_MAX - 10, 100);
	mark(rig, UINT64_MAX, UINT64_MAX);
	mark(rig, 0, 0);
	mark(rig, 2, UINT64_MAX);
	assert_pages(rig, 0, 0);
	mark(rig, 0, UINT64_MAX);
	assert_pages(rig, 0, PAGES);
}

/* One batch, over many words and back. */
static void
test_log_batches_what_lies_together(void **state)
{
	struct rig *rig = *state;
	struct vhostx_log_batch batch = { 0 };

	for (uint64_t page = 0; page < 1000; page += 2)
		vhostx_log_mark(rig->log, &batch, page * 4096, 1);
	assert_false(is_dirty(rig, 998)); /* waits for its neighbours */
	for (uint64_t page = 1; page < 1000; page += 2)
		vhostx_log_mark(rig->log, &batch, page * 4096 + 4095, 1);
	vhostx_log_flush(rig->log, &batch);
	assert_pages(rig, 0, 1000);
}

/* rust-vmm asks for one byte more than half a page of pages needs. */
static void
test_log_of_odd_size(void **state)
{
	struct rig *rig = *state;
	struct rig odd = *rig;
	const char *why;

	assert_int_equal(vhostx_log_open(rig->fd, OFFSET, 13, &odd.log, &why), 0);
	mark(&odd, 0, UINT64_MAX);
	vhostx_log_close(odd.log);
	assert_pages(rig, 0, 13 * 8);
}

static void
test_log_covers(void **state)
{
	struct rig *rig = *state;
	struct vhostx_mem *mem = calloc(1, sizeof(*mem) + sizeof(mem->range[0]));

	assert_true(vhostx_log_covers(rig->log, NULL));
	assert_true(vhostx_log_covers(rig->log, mem));
	mem->nr = 1;
	mem->range[0] = (struct vhostx_range){ .gpa = 4096, .size = (PAGES - 1) * 4096ull };
	assert_true(vhostx_log_covers(rig->log, mem));
	mem->range[0].size++;
	assert_false(vhostx_log_covers(rig->log, mem));
	mem->range[0] = (struct vhostx_range){ .gpa = UINT64_MAX, .size = 1 };
	assert_false(vhostx_log_covers(rig->log, mem));
	free(mem);
}

static void
refuse(int fd, uint64_t offset, uint64_t size)
{
	struct vhostx_log *log;
	const char *why = NULL;

	assert_int_equal(vhostx_log_open(fd, offset, size, &log, &why), -EINVAL);
	assert_non_null(why);
}

/* 2020-10722: offset and size that wrap round. */
static void
test_log_regress_cve_2020_10722(void **state)
{
	const int fd = ((struct rig *)*state)->fd;

	refuse(fd, 0, UINT64_MAX);
	refuse(fd, UINT64_MAX - 7, 8);
	refuse(fd, UINT64_MAX - 7, UINT64_MAX);
	refuse(fd, 4096, UINT64_MAX - 4095);
	refuse(fd, (uint64_t)INT64_MAX + 1, 8);
	refuse(fd, 8, INT64_MAX);
}

static void
test_log_refuses_wrong_files(void **state)
{
	const int fd = ((struct rig *)*state)->fd;
	const int event = eventfd(0, EFD_CLOEXEC);
	struct vhostx_log *log;
	const char *why = NULL;

	refuse(fd, 0, 0);
	refuse(fd, 4, 8);
	refuse(fd, 0, 4 * SIZE + 1);
	refuse(fd, 4 * SIZE, 1);
	refuse(fd, 3 * SIZE + 8, SIZE);
	refuse(event, 0, 8);
	close(event);
	assert_int_equal(vhostx_log_open(event, 0, 8, &log, &why), -EBADF);
	assert_int_equal(vhostx_log_open(fd, 0, 4 * SIZE, &log, &why), 0);
	vhostx_log_close(log);
	vhostx_log_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log_marks_each_page_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_keeps_bits_that_are_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_ends_where_it_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_batches_what_lies_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_of_odd_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_covers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_regress_cve_2020_10722, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_refuses_wrong_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
