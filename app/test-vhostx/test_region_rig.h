/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of guest memory share: files, regions, tables. After each case no mapping and no file may be left.
 */
#ifndef TEST_REGION_RIG_H
#define TEST_REGION_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "mem/clock.h"
#include "mem/region.h"
#include "open_files.h"

#define PAGE 4096u

static unsigned int files_before;

static inline int
setup(void **state)
{
	(void)state;
	files_before = files_open();
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	return vhostx_map_count() == 0 && files_open() == files_before ? 0 : -1;
}

/** A file of @a size bytes, each page filled with its number. */
static inline int
file_of(uint64_t size)
{
	const int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t page[PAGE];

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	for (uint64_t i = 0; i < size / PAGE && i < 16; i++) {
		memset(page, i, sizeof(page));
		assert_int_equal(pwrite(fd, page, sizeof(page), i * PAGE), sizeof(page));
	}
	return fd;
}

/** A region at @a gpa; its user address is @a gpa beside a constant, its file's offset 0. */
static inline struct vhostx_region_desc
region_at(uint64_t gpa, uint64_t size)
{
	return (struct vhostx_region_desc) {
		.gpa = gpa, .size = size, .uva = 0x700000000000 + gpa,
	};
}

/** A table of one region, all of it in one file. */
static inline struct vhostx_mem *
table_of(uint64_t gpa, uint64_t size)
{
	const struct vhostx_region_desc desc = region_at(gpa, size);
	const int fd = file_of(size);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	assert_int_equal(vhostx_mem_build(&desc, &fd, 1, NULL, false, &mem, &why), 0);
	close(fd);
	return mem;
}

#endif /* TEST_REGION_RIG_H */
