/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Mappings: which files have them, who shares one, when they end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "test_region_rig.h"

/* A table of the first page of a file, for a guest of its own; NULL: refused with @a err, which says @a text. */
static struct vhostx_mem *
guest_of(int fd, uint64_t gpa, enum vhostx_map_with with, int err, const char *text)
{
	const struct vhostx_region_desc desc = region_at(gpa, PAGE);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	assert_int_equal(vhostx_mem_build(&desc, &fd, 1, NULL, with, &mem, &why), err);
	if (err != 0)
		assert_non_null(strstr(why, text));
	return mem;
}

/* The same file once more, opened anew. */
static int
again(int fd, int flags)
{
	char path[32];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, flags | O_CLOEXEC);
	assert_true(other >= 0);
	return other;
}

/* --- which files ------------------------------------------------------------------------------ */

static void
test_map_refuses_files_that_are_no_memory(void **state)
{
	const struct vhostx_region_desc desc = region_at(0, PAGE);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	int fds[4], sealed, bad = -1;

	(void)state;
	fds[0] = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pipe(&fds[1]), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(vhostx_mem_build(&desc, &fds[i], 1, NULL, VHOSTX_MAP_ALL, &mem, &why), -EINVAL);
		assert_non_null(strstr(why, "not in a file"));
		close(fds[i]);
	}
	assert_int_equal(vhostx_mem_build(&desc, &bad, 1, NULL, VHOSTX_MAP_ALL, &mem, &why), -EBADF);
	sealed = file_of(PAGE);
	fds[0] = again(sealed, O_RDONLY);
	assert_int_equal(vhostx_mem_build(&desc, &fds[0], 1, NULL, VHOSTX_MAP_ALL, &mem, &why), -EACCES);
	assert_non_null(strstr(why, "share=on"));
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(vhostx_mem_build(&desc, &sealed, 1, NULL, VHOSTX_MAP_ALL, &mem, &why), -EACCES);
	assert_non_null(strstr(why, "share=on"));
	close(fds[0]);
	close(sealed);
	assert_null(mem);
}

/* --- who shares ------------------------------------------------------------------------------- */

static void
test_map_ports_share_bytes(void **state)
{
	const int fd = file_of(2 * PAGE), other = again(fd, O_RDWR);
	struct vhostx_mem *one = guest_of(fd, 0, VHOSTX_MAP_ALL, 0, ""), *two = guest_of(other, 0x7000, VHOSTX_MAP_ALL, 0, "");

	(void)state;
	close(fd);
	close(other);
	assert_int_equal(vhostx_map_count(), 1);
	assert_ptr_equal(one->map[0], two->map[0]);
	assert_ptr_equal(one->range[0].va, two->range[0].va);
	assert_int_equal(two->range[0].gpa, 0x7000);
	vhostx_mem_free(one);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(two->range[0].va[1], 0);
	vhostx_mem_free(two);
	assert_int_equal(vhostx_map_count(), 0);
}

/* Who must not write the file must not have it written by us either, though another one has had it mapped. */
static void
test_map_shares_only_with_who_may_write(void **state)
{
	const int fd = file_of(PAGE), other = again(fd, O_RDONLY);
	struct vhostx_mem *mem = guest_of(fd, 0, VHOSTX_MAP_ALL, 0, "");

	(void)state;
	assert_null(guest_of(other, 0, VHOSTX_MAP_ALL, -EACCES, "share=on"));
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	assert_null(guest_of(fd, 0, VHOSTX_MAP_ALL, -EACCES, "share=on"));
	assert_int_equal(vhostx_map_count(), 1);
	vhostx_mem_free(mem);
	close(fd);
	close(other);
}

/* In post-copy a port's memory has its own userfaultfd. */
static void
test_map_own_is_shared_with_nobody(void **state)
{
	const struct vhostx_region_desc desc = region_at(0, PAGE);
	const int fd = file_of(PAGE);
	struct vhostx_mem *shared = guest_of(fd, 0, VHOSTX_MAP_ALL, 0, ""), *own = guest_of(fd, 0, VHOSTX_MAP_OWN, 0, "");
	struct vhostx_mem *mem = NULL, *kept = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_map_count(), 2);
	/* What it has shared so far it has no more, what it has of its own it keeps. */
	assert_int_equal(vhostx_mem_build(&desc, &fd, 1, shared, VHOSTX_MAP_OWN, &mem, &why), 0);
	assert_int_equal(vhostx_map_count(), 3);
	assert_int_equal(vhostx_mem_build(&desc, &fd, 1, own, VHOSTX_MAP_OWN, &kept, &why), 0);
	assert_int_equal(vhostx_map_count(), 3);
	vhostx_mem_free(shared);
	vhostx_mem_free(own);
	vhostx_mem_free(mem);
	vhostx_mem_free(kept);
	close(fd);
}

/* An address in this process tells which region of the guest it is in. */
static void
test_map_regions_of_one_guest_have_their_own(void **state)
{
	const struct vhostx_region_desc desc[] = { region_at(0, PAGE), region_at(0x4000, PAGE) };
	const int fd = file_of(PAGE), fds[] = { fd, fd };
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_mem_build(desc, fds, 2, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	assert_ptr_not_equal(mem->range[0].va, mem->range[1].va);
	mem->range[0].va[5] = 7;
	assert_int_equal(mem->range[1].va[5], 7);
	vhostx_mem_free(mem);
	close(fd);
}

/* Also if the one that is there first was there before, and shared with others. */
static void
test_map_regress_region_taken_over(void **state)
{
	const struct vhostx_region_desc before = region_at(0x4000, PAGE), after[] = { region_at(0, PAGE), before };
	const int fd = file_of(PAGE), fds[] = { fd, fd };
	struct vhostx_mem *old = NULL, *mem = NULL;
	const char *why = NULL;
	uint32_t hint = 0;
	uint64_t run;

	(void)state;
	assert_int_equal(vhostx_mem_build(&before, &fd, 1, NULL, VHOSTX_MAP_ALL, &old, &why), 0);
	assert_int_equal(vhostx_mem_build(after, fds, 2, old, VHOSTX_MAP_ALL, &mem, &why), 0);
	assert_ptr_equal(mem->range[1].va, old->range[0].va);
	assert_ptr_not_equal(mem->range[0].va, mem->range[1].va);
	assert_true(vhostx_mem_gpa(mem, &hint, mem->range[1].va, &run) == 0x4000);
	vhostx_mem_free(old);
	vhostx_mem_free(mem);
	close(fd);
}

/* Another file may have the same number: numbers of 32 bits come round. It was changed later than what is mapped. */
static void
test_map_number_of_a_file_is_no_proof(void **state)
{
	const int fd = file_of(PAGE);
	struct vhostx_map *one = NULL, *two = NULL, *three = NULL;
	const char *why = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(vhostx_map_open(fd, &st, 0, PAGE, VHOSTX_MAP_ALL, &one, &why), 0);
	assert_int_equal(vhostx_map_open(fd, &st, 0, PAGE, VHOSTX_MAP_ALL, &two, &why), 0);
	assert_ptr_equal(one, two);
	st.st_ctim.tv_nsec++;
	assert_int_equal(vhostx_map_open(fd, &st, 0, PAGE, VHOSTX_MAP_ALL, &three, &why), 0);
	assert_ptr_not_equal(one, three);
	vhostx_map_put(one);
	vhostx_map_put(two);
	vhostx_map_put(three);
	close(fd);
}

/* A front-end in this process holds locks while it waits: it must not be the last one to have what is registered. */
static void
test_map_local_is_shared_among_local(void **state)
{
	const int fd = file_of(PAGE);
	struct vhostx_mem *all = guest_of(fd, 0, VHOSTX_MAP_ALL, 0, ""), *one = guest_of(fd, 0, VHOSTX_MAP_LOCAL, 0, "");
	struct vhostx_mem *two = guest_of(fd, 0, VHOSTX_MAP_LOCAL, 0, "");

	(void)state;
	assert_ptr_equal(one->map[0], two->map[0]);
	assert_ptr_not_equal(one->map[0], all->map[0]);
	vhostx_mem_free(all);
	vhostx_mem_free(one);
	vhostx_mem_free(two);
	close(fd);
}

/* What is opened once more is other memory here. */
static void
test_map_devices_are_not_shared(void **state)
{
	const int fd = open("/dev/zero", O_RDWR | O_CLOEXEC), other = open("/dev/zero", O_RDWR | O_CLOEXEC);
	struct vhostx_mem *one = guest_of(fd, 0, VHOSTX_MAP_ALL, 0, ""), *two = guest_of(other, 0, VHOSTX_MAP_ALL, 0, "");

	(void)state;
	one->range[0].va[0] = 1;
	assert_int_equal(two->range[0].va[0], 0);
	vhostx_mem_free(one);
	vhostx_mem_free(two);
	close(fd);
	close(other);
}

#define ROUNDS 20000

static void *
come_and_go(void *arg)
{
	const struct vhostx_region_desc desc = region_at(0, PAGE);
	const int fd = *(int *)arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct vhostx_mem *mem = NULL;
		const char *why = NULL;

		if (vhostx_mem_build(&desc, &fd, 1, NULL, VHOSTX_MAP_ALL, &mem, &why) != 0 || mem->range[0].va[1] != 0)
			return arg;
		vhostx_mem_free(mem);
	}
	return NULL;
}

/* One finds what another one is letting go of. */
static void
test_map_ports_come_and_go(void **state)
{
	int fd = file_of(PAGE);
	pthread_t thread[3];
	void *bad;

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, come_and_go, &fd), 0);
	for (unsigned int i = 0; i < RTE_DIM(thread); i++) {
		assert_int_equal(pthread_join(thread[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(vhostx_map_count(), 0);
	close(fd);
}

/* --- when they end ---------------------------------------------------------------------------- */

static void
test_map_last_put_unmaps(void **state)
{
	struct vhostx_mem *mem = table_of(0, PAGE);
	uint8_t *va = mem->range[0].va;
	unsigned char resident;

	(void)state;
	assert_int_equal(mincore(va, PAGE, &resident), 0);
	vhostx_mem_free(mem);
	assert_int_equal(mincore(va, PAGE, &resident), -1);
	assert_int_equal(errno, ENOMEM);
	vhostx_mem_free(NULL);
}

#define LARGE ((uint64_t)256 << 20)

/* Use a page of each; microseconds that it then takes to do this with them. */
static uint64_t
time_of_end(uint8_t *va, void (*end)(void *), void *arg)
{
	uint64_t start;

	for (uint64_t i = 0; i < LARGE; i += PAGE)
		va[i] = 1;
	start = vhostx_now_us();
	end(arg);
	return vhostx_now_us() - start;
}

static void
end_plain(void *va)
{
	munmap(va, LARGE);
}

static void
end_table(void *mem)
{
	vhostx_mem_free(mem);
}

/* The control thread lets go of a guest, and has others to serve. */
static void
test_map_regress_large_mapping_keeps_nobody(void **state)
{
	bool quick = false;

	(void)state;
#ifdef __SANITIZE_THREAD__
	skip(); /* its shadow takes gigabytes */
#endif
	/* Some times: the processor may be taken away in between. */
	for (int i = 0; i < 10 && !quick; i++) {
		const int fd = file_of(LARGE);
		void *plain = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		const struct vhostx_region_desc desc = { .size = LARGE };
		const uint64_t deadline = vhostx_now_us() + 30000000;
		struct vhostx_mem *mem = NULL;
		const char *why = NULL;
		uint64_t whole, ours;

		assert_ptr_not_equal(plain, MAP_FAILED);
		whole = time_of_end(plain, end_plain, plain);
		assert_int_equal(vhostx_mem_build(&desc, &fd, 1, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
		ours = time_of_end(mem->range[0].va, end_table, mem);
		while (vhostx_map_count() != 0 && vhostx_now_us() < deadline)
			sched_yield();
		assert_int_equal(vhostx_map_count(), 0);
		close(fd);
		print_message("%ju us, %ju us if all is done at once\n", (uintmax_t)ours, (uintmax_t)whole);
		quick = ours < whole / 2;
	}
	assert_true(quick);
}

/* A process that has locked its memory, as testpmd: mapping took the time, and the memory, of every page. */
static void
test_map_regress_locked_process(void **state)
{
	const uint64_t size = 64 << 20;
	const int fd = memfd_create("guest", MFD_CLOEXEC);
	const struct vhostx_region_desc desc = region_at(0, size);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	struct stat st;
	int ret;

	(void)state;
	assert_int_equal(ftruncate(fd, size), 0);
	if (mlockall(MCL_FUTURE) != 0) {
		close(fd);
		skip();
	}
	ret = vhostx_mem_build(&desc, &fd, 1, NULL, VHOSTX_MAP_ALL, &mem, &why);
	munlockall();
	assert_int_equal(ret, 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	mem->range[0].va[size - 1] = 1;
	vhostx_mem_free(mem);
	close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(test_map_##name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(refuses_files_that_are_no_memory),
		CASE(regress_locked_process),
		CASE(ports_share_bytes),
		CASE(shares_only_with_who_may_write),
		CASE(own_is_shared_with_nobody),
		CASE(regions_of_one_guest_have_their_own),
		CASE(regress_region_taken_over),
		CASE(number_of_a_file_is_no_proof),
		CASE(local_is_shared_among_local),
		CASE(devices_are_not_shared),
		CASE(ports_come_and_go),
		CASE(last_put_unmaps),
		CASE(regress_large_mapping_keeps_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
