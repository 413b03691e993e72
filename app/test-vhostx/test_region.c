/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory: which tables are refused, how mappings live, what addresses translate to. After
 * each case no mapping and no file may be left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "test_region_rig.h"

/** Building @a nr regions of files of @a file_size bytes fails with @a err and says @a text. */
static void
assert_refused(const struct vhostx_region_desc *desc, unsigned int nr, uint64_t file_size, int err,
	const char *text)
{
	const int fd = file_of(file_size);
	int fds[VHOSTX_MEM_SLOTS + 1];
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	for (unsigned int i = 0; i < nr; i++)
		fds[i] = fd;
	assert_int_equal(vhostx_mem_build(desc, fds, nr, NULL, VHOSTX_MAP_ALL, &mem, &why), err);
	assert_null(mem);
	assert_non_null(why);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", text, why);
	assert_int_equal(vhostx_map_count(), 0);
	close(fd);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void
test_region_refuses_impossible_numbers(void **state)
{
	static const struct {
		struct vhostx_region_desc desc;
		const char *text;
	} cases[] = {
		{ { .gpa = 0, .size = 0 }, "no bytes" },
		{ { .gpa = UINT64_MAX - PAGE + 2, .size = PAGE }, "past the last address" },
		{ { .uva = UINT64_MAX - PAGE + 2, .size = PAGE }, "past the last address" },
		{ { .gpa = 2, .size = UINT64_MAX }, "past the last address" },
		{ { .size = UINT64_MAX }, "more than any file" },
		{ { .size = PAGE, .mmap_offset = INT64_MAX }, "more than any file" },
		{ { .size = 3 * PAGE }, "smaller than the front-end says" },
		{ { .size = 2 * PAGE, .mmap_offset = 1 }, "smaller than the front-end says" },
		{ { .size = 1, .mmap_offset = 2 * PAGE }, "smaller than the front-end says" },
		{ { .size = 1, .mmap_offset = 3 * PAGE }, "smaller than the front-end says" },
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(cases); i++)
		assert_refused(&cases[i].desc, 1, 2 * PAGE, -EINVAL, cases[i].text);
}

static void
test_region_takes_the_last_address(void **state)
{
	const struct vhostx_region_desc desc = {
		.gpa = UINT64_MAX - PAGE + 1, .uva = UINT64_MAX - PAGE + 1, .size = PAGE,
	};
	const int fd = file_of(PAGE);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	uint32_t hint = 0;
	uint64_t run = 0;

	(void)state;
	assert_int_equal(vhostx_mem_build(&desc, &fd, 1, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	close(fd);
	assert_non_null(vhostx_mem_va(mem, &hint, UINT64_MAX, &run));
	assert_int_equal(run, 1);
	assert_null(vhostx_mem_va(mem, &hint, 0, &run));
	assert_non_null(vhostx_mem_from_uva(mem, UINT64_MAX, 1));
	assert_null(vhostx_mem_from_uva(mem, UINT64_MAX, 2));
	vhostx_mem_free(mem);
}

static void
test_region_refuses_overlaps(void **state)
{
	/* Each pair but the last shares guest or user addresses. */
	static const struct vhostx_region_desc pairs[][2] = {
		{ { 0x1000, PAGE, 0x1000, 0 }, { 0x1000, PAGE, 0x9000, 0 } },
		{ { 0x1000, PAGE, 0x1000, 0 }, { 0x1fff, PAGE, 0x9000, 0 } },
		{ { 0x1fff, PAGE, 0x1000, 0 }, { 0x1000, PAGE, 0x9000, 0 } },
		{ { 0x1000, 2 * PAGE, 0x1000, 0 }, { 0x1800, 1, 0x9000, 0 } },
		{ { 0x1000, PAGE, 0x1000, 0 }, { 0x9000, PAGE, 0x1000, 0 } },
		{ { 0x1000, PAGE, 0x1fff, 0 }, { 0x9000, PAGE, 0x1000, 0 } },
	};
	static const struct vhostx_region_desc apart[2] = {
		{ 0x2000, PAGE, 0x2000, 0 }, { 0x1000, PAGE, 0x1000, 0 },
	};
	const int fd = file_of(2 * PAGE);
	const int fds[2] = { fd, fd };
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(pairs); i++)
		assert_refused(pairs[i], 2, 2 * PAGE, -EINVAL, "overlap");
	assert_int_equal(vhostx_mem_build(apart, fds, 2, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	vhostx_mem_free(mem);
	close(fd);
}

static void
test_region_refuses_more_than_the_slots(void **state)
{
	struct vhostx_region_desc desc[VHOSTX_MEM_SLOTS + 1];
	const struct vhostx_region_desc more = region_at(UINT32_MAX, 1);
	const int fd = file_of(PAGE);
	int fds[VHOSTX_MEM_SLOTS];
	struct vhostx_mem *mem = NULL;
	struct vhostx_mem *none = NULL;
	const char *why = NULL;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(desc); i++)
		desc[i] = region_at(i * 16, 16);
	for (unsigned int i = 0; i < RTE_DIM(fds); i++)
		fds[i] = fd;
	assert_refused(desc, RTE_DIM(desc), PAGE, -EINVAL, "more than 509");
	assert_int_equal(vhostx_mem_build(desc, fds, VHOSTX_MEM_SLOTS, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	assert_int_equal(vhostx_map_count(), VHOSTX_MEM_SLOTS);
	assert_int_equal(vhostx_mem_add(mem, &more, fd, VHOSTX_MAP_ALL, &none, &why), -EINVAL);
	assert_non_null(strstr(why, "more than 509"));
	assert_null(none);
	vhostx_mem_free(mem);
	close(fd);
}

static void
test_region_reports_what_mmap_says(void **state)
{
	const struct vhostx_region_desc huge = { .size = (uint64_t)1 << 60 };
	const struct vhostx_region_desc small = region_at(0, PAGE);
	const int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	(void)state;
	assert_refused(&huge, 1, (uint64_t)1 << 60, -ENOMEM, "no room");
	/* A device has no size to check; this one cannot be mapped. */
	assert_true(fd >= 0);
	assert_int_equal(vhostx_mem_build(&small, &fd, 1, NULL, VHOSTX_MAP_ALL, &mem, &why), -ENODEV);
	assert_non_null(strstr(why, "cannot be mapped"));
	close(fd);
}

static void
test_region_failure_gives_earlier_regions_back(void **state)
{
	const struct vhostx_region_desc desc[3] = {
		region_at(0, PAGE), region_at(PAGE, PAGE), region_at(PAGE, PAGE),
	};

	(void)state;
	assert_refused(desc, 3, PAGE, -EINVAL, "overlap");
}

/* 2018-1059: an address was translated without a look at how many bytes follow it. */
static void
test_region_regress_cve_2018_1059(void **state)
{
	struct vhostx_mem *mem = table_of(0x10000, 2 * PAGE);
	const uint64_t uva = 0x700000010000;
	uint32_t hint = 0;
	uint64_t run = 0;

	(void)state;
	assert_non_null(vhostx_mem_va(mem, &hint, 0x10000 + 2 * PAGE - 1, &run));
	assert_int_equal(run, 1);
	assert_null(vhostx_mem_va(mem, &hint, 0x10000 + 2 * PAGE, &run));
	assert_null(vhostx_mem_va(mem, &hint, 0xffff, &run));
	assert_non_null(vhostx_mem_from_uva(mem, uva, 2 * PAGE));
	assert_null(vhostx_mem_from_uva(mem, uva, 2 * PAGE + 1));
	assert_null(vhostx_mem_from_uva(mem, uva + 1, 2 * PAGE));
	assert_null(vhostx_mem_from_uva(mem, uva + 1, UINT64_MAX));
	assert_null(vhostx_mem_from_uva(mem, uva - 1, 2));
	assert_null(vhostx_mem_from_uva(mem, uva, 0));
	vhostx_mem_free(mem);
}

/* 2020-10722: the sum of offset and size wrapped, and passed the check against the file's size. */
static void
test_region_regress_cve_2020_10722(void **state)
{
	const struct vhostx_region_desc cases[] = {
		{ .size = PAGE, .mmap_offset = UINT64_MAX - PAGE + 1 },
		{ .size = PAGE, .mmap_offset = UINT64_MAX },
		{ .size = UINT64_MAX - PAGE + 1, .mmap_offset = PAGE },
		{ .size = UINT64_MAX, .mmap_offset = 1 },
		{ .size = INT64_MAX, .mmap_offset = INT64_MAX },
	};

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(cases); i++)
		assert_refused(&cases[i], 1, 2 * PAGE, -EINVAL, "more than any file");
}

/* --- how mappings live ------------------------------------------------------------------------ */

static void
test_region_shares_bytes_with_the_file(void **state)
{
	/* Not page-aligned in file or guest. */
	const struct vhostx_region_desc desc = {
		.gpa = 0x123, .uva = 0x9456, .size = PAGE, .mmap_offset = PAGE + 100,
	};
	const int fd = file_of(3 * PAGE);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	uint32_t hint = 0;
	uint64_t run = 0;
	uint8_t *va, byte = 0;

	(void)state;
	assert_int_equal(vhostx_mem_build(&desc, &fd, 1, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	va = vhostx_mem_va(mem, &hint, 0x123, &run);
	assert_non_null(va);
	assert_int_equal(run, PAGE);
	assert_int_equal(va[0], 1);
	assert_int_equal(va[PAGE - 101], 1);
	assert_int_equal(va[PAGE - 100], 2);
	assert_ptr_equal(vhostx_mem_from_uva(mem, 0x9456, 1), va);
	va[7] = 0xaa;
	assert_int_equal(pread(fd, &byte, 1, PAGE + 107), 1);
	assert_int_equal(byte, 0xaa);
	vhostx_mem_free(mem);
	close(fd);
}

static void
test_region_new_table_takes_mappings_over(void **state)
{
	struct vhostx_region_desc desc[2] = { region_at(PAGE, PAGE), region_at(4 * PAGE, PAGE) };
	const int fds[2] = { file_of(2 * PAGE), file_of(2 * PAGE) };
	struct vhostx_mem *old = NULL, *mem = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_mem_build(desc, fds, 2, NULL, VHOSTX_MAP_ALL, &old, &why), 0);
	desc[1].mmap_offset = PAGE;
	assert_int_equal(vhostx_mem_build(desc, fds, 2, old, VHOSTX_MAP_ALL, &mem, &why), 0);
	assert_int_equal(vhostx_map_count(), 3);
	assert_ptr_equal(mem->range[0].va, old->range[0].va);
	assert_ptr_not_equal(mem->range[1].va, old->range[1].va);
	vhostx_mem_free(old);
	assert_int_equal(vhostx_map_count(), 2);
	assert_int_equal(mem->range[0].va[0], 0);
	assert_int_equal(mem->range[1].va[0], 1);
	vhostx_mem_free(mem);
	close(fds[0]);
	close(fds[1]);
}

static void
test_region_maps_again_what_differs(void **state)
{
	const struct vhostx_region_desc was = { 0x10000, PAGE, 0x20000, 0 };
	const struct vhostx_region_desc now[] = {
		{ 0x11000, PAGE, 0x20000, 0 }, { 0x10000, PAGE / 2, 0x20000, 0 },
		{ 0x10000, PAGE, 0x21000, 0 }, { 0x10000, PAGE, 0x20000, 1 },
		{ 0x10000, PAGE, 0x20000, 0 }, /* with another file */
	};
	const int fd = file_of(2 * PAGE), other = file_of(2 * PAGE);
	struct vhostx_mem *old = NULL, *mem = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_mem_build(&was, &fd, 1, NULL, VHOSTX_MAP_ALL, &old, &why), 0);
	for (unsigned int i = 0; i < RTE_DIM(now); i++) {
		const int *file = i == RTE_DIM(now) - 1 ? &other : &fd;

		assert_int_equal(vhostx_mem_build(&now[i], file, 1, old, VHOSTX_MAP_OWN, &mem, &why), 0);
		assert_int_equal(vhostx_map_count(), 2);
		vhostx_mem_free(mem);
		/* With no other region of the same guest, either: it would not be known which one an address is in. */
		assert_int_equal(vhostx_mem_build(&now[i], file, 1, old, VHOSTX_MAP_ALL, &mem, &why), 0);
		assert_int_equal(vhostx_map_count(), 2);
		vhostx_mem_free(mem);
	}
	vhostx_mem_free(old);
	close(fd);
	close(other);
}

static void
test_region_add_and_remove(void **state)
{
	struct vhostx_mem *one = table_of(0x4000, PAGE), *two = NULL, *left = NULL, *none = NULL;
	struct vhostx_region_desc low = region_at(0x1000, PAGE), high = region_at(0x4000, PAGE);
	const int fd = file_of(PAGE);
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_mem_add(one, &low, fd, VHOSTX_MAP_ALL, &two, &why), 0);
	close(fd);
	assert_int_equal(two->nr, 2);
	assert_int_equal(two->range[0].gpa, 0x1000);
	assert_int_equal(two->range[1].gpa, 0x4000);
	vhostx_mem_free(one);
	assert_int_equal(vhostx_map_count(), 2);
	high.mmap_offset = 77; /* "the mmap offset is ignored" */
	assert_int_equal(vhostx_mem_remove(two, &high, &left, &why), 0);
	vhostx_mem_free(two);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(vhostx_mem_remove(left, &low, &none, &why), 0);
	vhostx_mem_free(left);
	assert_int_equal(none->nr, 0);
	assert_int_equal(vhostx_map_count(), 0);
	vhostx_mem_free(none);
}

static void
test_region_add_to_nothing(void **state)
{
	const struct vhostx_region_desc desc = region_at(0, PAGE);
	const int fd = file_of(PAGE);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_mem_add(NULL, &desc, fd, VHOSTX_MAP_ALL, &mem, &why), 0);
	assert_int_equal(mem->nr, 1);
	vhostx_mem_free(mem);
	close(fd);
}

static void
test_region_failed_add_leaves_the_old(void **state)
{
	struct vhostx_mem *old = table_of(0x4000, PAGE), *mem = NULL;
	const struct vhostx_region_desc same = region_at(0x4000, PAGE);
	const int fd = file_of(PAGE);
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_mem_add(old, &same, fd, VHOSTX_MAP_ALL, &mem, &why), -EINVAL);
	assert_null(mem);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(old->range[0].va[0], 0);
	vhostx_mem_free(old);
	close(fd);
}

static void
test_region_remove_needs_all_three_to_match(void **state)
{
	struct vhostx_mem *old = table_of(0x4000, PAGE), *mem = NULL;
	struct vhostx_region_desc desc[3];
	const char *why = NULL;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(desc); i++)
		desc[i] = region_at(0x4000, PAGE);
	desc[0].gpa++;
	desc[1].uva++;
	desc[2].size--;
	for (unsigned int i = 0; i < RTE_DIM(desc); i++) {
		assert_int_equal(vhostx_mem_remove(old, &desc[i], &mem, &why), -ENOENT);
		assert_int_equal(vhostx_mem_remove(NULL, &desc[i], &mem, &why), -ENOENT);
	}
	assert_null(mem);
	vhostx_mem_free(old);
}

static void
test_region_held_mapping_outlives_its_table(void **state)
{
	struct vhostx_mem *mem = table_of(0x4000, 2 * PAGE);
	uint8_t *va = mem->range[0].va;
	struct vhostx_map *held = vhostx_mem_hold(mem, va + 2 * PAGE - 1);

	(void)state;
	assert_non_null(held);
	assert_null(vhostx_mem_hold(mem, va + 2 * PAGE));
	assert_null(vhostx_mem_hold(mem, va - 1));
	vhostx_mem_free(mem);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(va[PAGE], 1);
	vhostx_map_put(held);
	assert_int_equal(vhostx_map_count(), 0);
}

/* --- translation ------------------------------------------------------------------------------ */

static void
test_region_empty_table_holds_nothing(void **state)
{
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	uint32_t hint = 0;
	uint64_t run = 0;

	(void)state;
	assert_int_equal(vhostx_mem_build(NULL, NULL, 0, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	assert_null(vhostx_mem_va(mem, &hint, 0, &run));
	assert_null(vhostx_mem_va(mem, &hint, UINT64_MAX, &run));
	assert_null(vhostx_mem_from_uva(mem, 0, 1));
	assert_null(vhostx_mem_hold(mem, mem));
	vhostx_mem_free(mem);
}

/** A full table in a mixed order: gaps of 0 to 3 regions, sizes of 1 to 64 bytes. */
static struct vhostx_mem *
table_full(void)
{
	struct vhostx_region_desc desc[VHOSTX_MEM_SLOTS];
	const int fd = file_of(PAGE);
	int fds[VHOSTX_MEM_SLOTS];
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	uint64_t gpa = 5;

	for (unsigned int i = 0; i < VHOSTX_MEM_SLOTS; i++) {
		struct vhostx_region_desc *d = &desc[(i * 100) % VHOSTX_MEM_SLOTS];

		*d = region_at(gpa, 1 + i % 64);
		d->uva = 0x100000000 - gpa * 2;
		d->mmap_offset = i;
		gpa += d->size + i % 4 * 16;
		fds[i] = fd;
	}
	assert_int_equal(vhostx_mem_build(desc, fds, VHOSTX_MEM_SLOTS, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	close(fd);
	return mem;
}

/** Where a naive walk over the table finds @a gpa. */
static uint8_t *
naive_va(const struct vhostx_mem *mem, uint64_t gpa, uint64_t *run)
{
	for (uint32_t i = 0; i < mem->nr; i++) {
		const struct vhostx_range *range = &mem->range[i];

		if (gpa >= range->gpa && gpa - range->gpa < range->size) {
			*run = range->size - (gpa - range->gpa);
			return range->va + (gpa - range->gpa);
		}
	}
	return NULL;
}

static void
test_region_lookup_is_as_naive_lookup(void **state)
{
	struct vhostx_mem *mem = table_full();
	const struct vhostx_range *last = &mem->range[VHOSTX_MEM_SLOTS - 1];
	uint32_t random = 1, hint = 0;

	(void)state;
	for (uint64_t i = 0; i < 2 * (last->gpa + last->size) + 200; i++) {
		/* First all addresses in order, then as many at random: the hint is wrong. */
		const uint64_t gpa = i < last->gpa + last->size + 100 ? i :
			(random = random * 1664525 + 1013904223) % (last->gpa + last->size + 100);
		uint64_t run = 0, naive_run = 0;
		const uint8_t *va = vhostx_mem_va(mem, &hint, gpa, &run);

		assert_ptr_equal(va, naive_va(mem, gpa, &naive_run));
		assert_int_equal(run, naive_run);
		assert_true(hint < mem->nr);
		if (va != NULL)
			assert_true(gpa - mem->range[hint].gpa < mem->range[hint].size);
	}
	vhostx_mem_free(mem);
}

/** Look at the ends of every region, at what is just outside, and in the holes, as the naive walk does. */
static void
assert_lookup_is_naive(const struct vhostx_mem *mem)
{
	for (uint32_t i = 0; i < 8 * mem->nr; i++) {
		const struct vhostx_range *r = &mem->range[i / 8];
		const uint64_t places[8] = {
			r->gpa, r->gpa - 1, r->gpa + 1, r->gpa + r->size - 1, r->gpa + r->size,
			r->gpa + r->size / 2, r->gpa + 16 * r->size, r->gpa - 16 * r->size,
		};
		uint64_t run = 0, naive_run = 0;
		uint32_t hint = i % mem->nr;

		assert_ptr_equal(vhostx_mem_va(mem, &hint, places[i % 8], &run),
			naive_va(mem, places[i % 8], &naive_run));
		assert_int_equal(run, naive_run);
	}
}

static void
test_region_lookup_with_holes(void **state)
{
	/* A PC's: below 640 KiB, below 3 GiB, above 4 GiB; hotplugged memory far up; the last page there is. */
	static const uint64_t gpa[] = { 0, 0xc0000, 0x100000000, 0x140000000, 0x8000000000, 0x8000001000,
		UINT64_MAX - PAGE + 1 };
	const int fd = file_of(PAGE);
	struct vhostx_region_desc desc;
	struct vhostx_mem *mem = NULL, *next = NULL;
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(gpa) / sizeof(gpa[0]); i++) {
		desc = region_at(gpa[i], PAGE);
		desc.uva = 0x10000 + i * PAGE;
		assert_int_equal(vhostx_mem_add(mem, &desc, fd, VHOSTX_MAP_ALL, &next, &why), 0);
		vhostx_mem_free(mem);
		mem = next;
		assert_lookup_is_naive(mem);
	}
	for (size_t i = 0; mem->nr > 1; i++) {
		desc = region_at(gpa[i], PAGE);
		desc.uva = 0x10000 + i * PAGE;
		assert_int_equal(vhostx_mem_remove(mem, &desc, &next, &why), 0);
		vhostx_mem_free(mem);
		mem = next;
		assert_lookup_is_naive(mem);
	}
	vhostx_mem_free(mem);
	close(fd);
}

static void
test_region_table_is_sorted(void **state)
{
	struct vhostx_mem *mem = table_full();

	(void)state;
	assert_int_equal(mem->nr, VHOSTX_MEM_SLOTS);
	for (uint32_t i = 0; i < mem->nr; i++) {
		const struct vhostx_range *range = &mem->range[i];

		assert_true(i == 0 || range[-1].gpa + range[-1].size <= range->gpa);
		assert_int_equal(mem->uva[i], 0x100000000 - range->gpa * 2);
		assert_ptr_equal(vhostx_mem_from_uva(mem, mem->uva[i], range->size), range->va);
	}
	vhostx_mem_free(mem);
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_region_##name, setup, teardown)

/* Back from every byte of a table to its guest address, whichever region was hit last. */
static void
test_region_finds_guest_address(void **state)
{
	struct vhostx_mem *one = table_of(0x4000, PAGE), *mem = NULL;
	const struct vhostx_region_desc low = region_at(0x1000, PAGE);
	const int fd = file_of(PAGE);
	const char *why = NULL;
	uint32_t hint = 1;
	uint64_t run;

	(void)state;
	assert_int_equal(vhostx_mem_add(one, &low, fd, VHOSTX_MAP_ALL, &mem, &why), 0);
	for (uint32_t i = 0; i < 2; i++) {
		const uint8_t *va = mem->range[i].va;

		assert_int_equal(vhostx_mem_gpa(mem, &hint, va, &run), mem->range[i].gpa);
		assert_int_equal(run, PAGE);
		assert_int_equal(hint, i);
		assert_int_equal(vhostx_mem_gpa(mem, &hint, va + PAGE - 1, &run),
			mem->range[i].gpa + PAGE - 1);
		assert_int_equal(run, 1);
	}
	assert_true(vhostx_mem_gpa(mem, &hint, &hint, &run) == UINT64_MAX);
	vhostx_mem_free(one);
	vhostx_mem_free(mem);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(refuses_impossible_numbers),
		CASE(takes_the_last_address),
		CASE(refuses_overlaps),
		CASE(refuses_more_than_the_slots),
		CASE(reports_what_mmap_says),
		CASE(failure_gives_earlier_regions_back),
		CASE(regress_cve_2018_1059),
		CASE(regress_cve_2020_10722),
		CASE(shares_bytes_with_the_file),
		CASE(new_table_takes_mappings_over),
		CASE(maps_again_what_differs),
		CASE(finds_guest_address),
		CASE(add_and_remove),
		CASE(add_to_nothing),
		CASE(failed_add_leaves_the_old),
		CASE(remove_needs_all_three_to_match),
		CASE(held_mapping_outlives_its_table),
		CASE(empty_table_holds_nothing),
		CASE(lookup_is_as_naive_lookup),
		CASE(lookup_with_holes),
		CASE(table_is_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
