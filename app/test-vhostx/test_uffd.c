/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Memory whose pages come later: who touches one waits for the front-end, but never for one that is gone. After
 * each case no mapping and no file may be left.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include <cmocka.h>

#include "mem/uffd.h"
#include "open_files.h"

#define PAGE 4096u
#define PAGES 4u

static unsigned int files_before;
static struct vhostx_uffd *uffd;
static struct vhostx_mem *mem;
static int file; /* behind mem */

static struct vhostx_mem *
table(const struct vhostx_mem *old, uint64_t gpa)
{
	const struct vhostx_region_desc desc = { .gpa = gpa, .size = PAGES * PAGE, .uva = gpa };
	struct vhostx_mem *new = NULL;
	const char *why = NULL;

	assert_int_equal(vhostx_mem_build(&desc, &file, 1, old, VHOSTX_MAP_OWN, &new, &why), 0);
	return new;
}

static int
setup(void **state)
{
	const char *why = NULL;

	(void)state;
	files_before = files_open();
	if (vhostx_uffd_open(&uffd, &why) != 0) {
		assert_non_null(why);
		return 0;
	}
	file = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(file, PAGES * PAGE), 0);
	mem = table(NULL, 0);
	assert_int_equal(vhostx_uffd_add(uffd, mem, &why), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (uffd == NULL)
		return 0;
	vhostx_mem_free(mem);
	vhostx_uffd_close(uffd);
	uffd = NULL;
	close(file);
	return vhostx_map_count() == 0 && files_open() == files_before ? 0 : -1;
}

/* Where userfaultfd is forbidden there is nothing to see. */
static void
need_uffd(void)
{
	if (uffd == NULL)
		skip();
}

/* A thread that reads a byte, and what it got. */
struct reader {
	pthread_t thread;
	const volatile uint8_t *va;
	int got; /* atomic; -1: nothing yet */
};

static void *
read_byte(void *arg)
{
	struct reader *r = arg;

	__atomic_store_n(&r->got, *r->va, __ATOMIC_RELAXED);
	return NULL;
}

static void
reader_start(struct reader *r, const uint8_t *va)
{
	*r = (struct reader){ .va = va, .got = -1 };
	assert_int_equal(pthread_create(&r->thread, NULL, read_byte, r), 0);
}

static int
reader_end(struct reader *r)
{
	assert_int_equal(pthread_join(r->thread, NULL), 0);
	return r->got;
}

/* The address of the next fault, as the front-end sees it. */
static uint64_t
next_fault(void)
{
	struct pollfd fault = { .fd = vhostx_uffd_file(uffd), .events = POLLIN };
	struct uffd_msg msg;

	assert_int_equal(poll(&fault, 1, 10000), 1);
	assert_int_equal(read(fault.fd, &msg, sizeof(msg)), sizeof(msg));
	assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
	return msg.arg.pagefault.address;
}

static void
wake(uint64_t address)
{
	struct uffdio_range range = { .start = address, .len = PAGE };

	assert_int_equal(ioctl(vhostx_uffd_file(uffd), UFFDIO_WAKE, &range), 0);
}

/* The page comes by another mapping of the file, as in QEMU, which then wakes. */
static void
test_uffd_reader_gets_what_the_front_end_brings(void **state)
{
	struct reader reader;

	(void)state;
	need_uffd();
	reader_start(&reader, mem->range[0].va + PAGE + 5);
	assert_true(next_fault() == (uintptr_t)mem->range[0].va + PAGE);
	assert_int_equal(pwrite(file, "\x5a", 1, PAGE + 5), 1);
	wake((uintptr_t)mem->range[0].va + PAGE);
	assert_int_equal(reader_end(&reader), 0x5a);
}

static void
test_uffd_page_that_is_here_is_no_fault(void **state)
{
	struct pollfd fault;

	(void)state;
	need_uffd();
	assert_false(vhostx_mem_is_here(mem->range[0].va, PAGE));
	assert_int_equal(pwrite(file, "\x5a", 1, 0), 1);
	assert_true(vhostx_mem_is_here(mem->range[0].va, PAGE));
	assert_false(vhostx_mem_is_here(mem->range[0].va + 1, PAGE));
	assert_int_equal(*(volatile uint8_t *)mem->range[0].va, 0x5a);
	fault = (struct pollfd){ .fd = vhostx_uffd_file(uffd), .events = POLLIN };
	assert_int_equal(poll(&fault, 1, 0), 0);
}

static void
test_uffd_release_wakes_sleepers(void **state)
{
	struct reader reader[2];
	const char *why = NULL;

	(void)state;
	need_uffd();
	reader_start(&reader[0], mem->range[0].va);
	next_fault();
	reader_start(&reader[1], mem->range[0].va + PAGE);
	next_fault();
	vhostx_uffd_release(uffd);
	assert_int_equal(reader_end(&reader[0]), 0);
	assert_int_equal(reader_end(&reader[1]), 0);
	/* Nobody sleeps there any more. */
	assert_int_equal(*(volatile uint8_t *)(mem->range[0].va + 2 * PAGE), 0);
	assert_int_equal(vhostx_uffd_add(uffd, mem, &why), -EPIPE);
}

/* The front-end dies; it may have given its copy of the file to somebody. */
static void
test_uffd_hang_up_wakes_sleepers(void **state)
{
	struct reader reader;
	int pair[2], copy;

	(void)state;
	need_uffd();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vhostx_uffd_watch(uffd, pair[0]), 0);
	copy = dup(vhostx_uffd_file(uffd));
	reader_start(&reader, mem->range[0].va);
	next_fault();
	/* What is sent is no reason. */
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(__atomic_load_n(&reader.got, __ATOMIC_RELAXED), -1);
	close(pair[1]);
	assert_int_equal(reader_end(&reader), 0);
	close(copy);
}

static void
test_uffd_watches_the_first_file(void **state)
{
	int pair[2], other[2];

	(void)state;
	need_uffd();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
	assert_int_equal(vhostx_uffd_watch(uffd, pair[0]), 0);
	assert_int_equal(vhostx_uffd_watch(uffd, other[0]), 0);
	assert_int_equal(fcntl(other[0], F_GETFD), -1);
	close(other[1]);
	close(pair[1]);
}

/* What was added stays mapped, and a table that has it again changes nothing. */
static void
test_uffd_keeps_and_knows_mappings(void **state)
{
	struct vhostx_mem *again, *more;
	struct reader reader;
	const char *why = NULL;

	(void)state;
	need_uffd();
	again = table(mem, 0);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(vhostx_uffd_add(uffd, again, &why), 0);
	vhostx_mem_free(mem);
	more = table(again, 1 << 20);
	assert_int_equal(vhostx_uffd_add(uffd, more, &why), 0);
	vhostx_mem_free(again);
	assert_int_equal(vhostx_map_count(), 2);
	mem = more;
	reader_start(&reader, mem->range[0].va);
	assert_true(next_fault() == (uintptr_t)mem->range[0].va);
	vhostx_uffd_release(uffd);
	assert_int_equal(reader_end(&reader), 0);
	assert_int_equal(vhostx_map_count(), 1);
}

/* What it keeps is mapped until the end: a front-end that changes memory for ever must not use up all mappings. */
static void
test_uffd_regress_memory_that_changes_for_ever(void **state)
{
	const char *why = NULL;
	int ret = 0;

	(void)state;
	need_uffd();
	for (unsigned int i = 0; ret == 0 && i < 4 * VHOSTX_MEM_SLOTS; i++) {
		struct vhostx_mem *next = table(NULL, 0);

		ret = vhostx_uffd_add(uffd, next, &why);
		vhostx_mem_free(next);
	}
	assert_int_equal(ret, -ENOSPC);
	assert_non_null(why);
	assert_in_range(vhostx_map_count(), VHOSTX_MEM_SLOTS, 3 * VHOSTX_MEM_SLOTS);
	/* What it has it takes on. */
	assert_int_equal(vhostx_uffd_add(uffd, mem, &why), 0);
}

#define UFFD_CASE(name) cmocka_unit_test_setup_teardown(test_uffd_##name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		UFFD_CASE(reader_gets_what_the_front_end_brings),
		UFFD_CASE(page_that_is_here_is_no_fault),
		UFFD_CASE(release_wakes_sleepers),
		UFFD_CASE(hang_up_wakes_sleepers),
		UFFD_CASE(watches_the_first_file),
		UFFD_CASE(keeps_and_knows_mappings),
		UFFD_CASE(regress_memory_that_changes_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
