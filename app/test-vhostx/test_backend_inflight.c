/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The messages about the in-flight record, and the buffer that they are about.
 */
#include <sys/stat.h>

#include <linux/virtio_config.h>

#include "backend_rig.h"

static const struct vhostx_msg_inflight wanted = { .num_queues = RINGS, .queue_size = 256 };

/* GET_INFLIGHT_FD. Returns the file, the caller's. */
static int
get_inflight(uint32_t size)
{
	assert_int_equal(say(VHOSTX_GET_INFLIGHT_FD, 0, &wanted, size, -1), VHOSTX_REPLY);
	assert_int_equal(reply.header.size, size);
	assert_int_equal(reply.nr_fds, 1);
	assert_int_equal(reply.payload.inflight.num_queues, RINGS);
	assert_int_equal(reply.payload.inflight.queue_size, 256);
	assert_int_equal(reply.payload.inflight.mmap_offset, 0);
	return reply.fds[0];
}

static void
test_inflight_buffer_has_room_for_the_format(void **state)
{
	static const struct { uint64_t features, region; } formats[] = {
		{ PROTOCOL, 16 + 256 * 16 + 48 }, /* rounded up to 64 */
		{ PROTOCOL | RTE_BIT64(VIRTIO_F_RING_PACKED), 32 + 256 * 32 + 32 },
	};

	(void)state;
	for (size_t i = 0; i < RTE_DIM(formats); i++) {
		struct stat st;
		int fd;

		be.offered |= formats[i].features;
		negotiate(formats[i].features);
		fd = get_inflight(24);
		assert_int_equal(reply.payload.inflight.mmap_size, RINGS * formats[i].region);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, reply.payload.inflight.mmap_size);
		/* Nobody can take it from under a poller. */
		assert_int_equal(ftruncate(fd, 0), -1);
		close(fd);
		close(get_inflight(20));
	}
}

/* It may be asked for before the format is known, and has room for either then. */
static void
test_inflight_buffer_before_the_format_has_room_for_both(void **state)
{
	(void)state;
	assert_int_equal(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, VHOSTX_PROTOCOL_FEATURES), VHOSTX_SILENT);
	close(get_inflight(24));
	assert_int_equal(reply.payload.inflight.mmap_size, RINGS * (32 + 256 * 32 + 32));
}

/* CVE-2021-3839: more rings than there are; CVE-2020-10726 is the teardown's count of files. */
static void
test_inflight_refuses_what_is_no_ring(void **state)
{
	static const struct vhostx_msg_inflight bad[] = {
		{ .num_queues = RINGS + 1, .queue_size = 256 }, { .num_queues = 0, .queue_size = 256 },
		{ .num_queues = 0xffff, .queue_size = 0xffff }, { .num_queues = 1, .queue_size = 0 },
		{ .num_queues = 1, .queue_size = 32769 },
	};

	(void)state;
	negotiate(PROTOCOL);
	for (size_t i = 0; i < RTE_DIM(bad); i++)
		assert_closed(say(VHOSTX_GET_INFLIGHT_FD, 0, &bad[i], 24, -1), "a buffer for ");
}

static void
test_inflight_buffer_is_used_by_running_rings(void **state)
{
	struct vhostx_msg_inflight said;

	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	for (unsigned int i = 0; i < 3; i++) {
		const int fd = get_inflight(24);

		said = reply.payload.inflight;
		assert_trace("");
		assert_int_equal(say(VHOSTX_SET_INFLIGHT_FD, 0, &said, 24, fd), VHOSTX_SILENT);
		assert_non_null(strstr(trace, "P0 "));
		assert_non_null(strstr(trace, "R0 "));
		trace[0] = '\0';
		assert_non_null(vhostx_inflight_ring(be.inflight, RINGS - 1, 256, false));
		assert_null(vhostx_inflight_ring(be.inflight, RINGS, 256, false));
		assert_null(vhostx_inflight_ring(be.inflight, 0, 128, false));
		/* It was made for split rings: packed ones do not fit. */
		assert_null(vhostx_inflight_ring(be.inflight, 0, 256, true));
		assert_int_equal(vhostx_map_count(), 1);
	}
	vhostx_backend_reset(&be);
	assert_null(be.inflight);
	assert_int_equal(vhostx_map_count(), 0);
}

static void
test_inflight_refuses_a_short_file(void **state)
{
	struct vhostx_msg_inflight said = wanted;

	(void)state;
	negotiate(PROTOCOL);
	said.mmap_size = 2 * PAGE;
	assert_closed(say(VHOSTX_SET_INFLIGHT_FD, 0, &said, 24, memory_file(PAGE)), "smaller than");
	said.mmap_size = 0;
	assert_closed(say(VHOSTX_SET_INFLIGHT_FD, 0, &said, 24, memory_file(PAGE)), "SET_INFLIGHT_FD: ");
	said.mmap_size = PAGE;
	said.mmap_offset = UINT64_MAX - 10;
	assert_closed(say(VHOSTX_SET_INFLIGHT_FD, 0, &said, 24, memory_file(PAGE)), "SET_INFLIGHT_FD: ");
	said.mmap_offset = 0;
	said.num_queues = 0;
	assert_closed(say(VHOSTX_SET_INFLIGHT_FD, 0, &said, 24, memory_file(PAGE)), "for no rings");
}

#define INFLIGHT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INFLIGHT_TEST(test_inflight_buffer_has_room_for_the_format),
		INFLIGHT_TEST(test_inflight_buffer_before_the_format_has_room_for_both),
		INFLIGHT_TEST(test_inflight_refuses_what_is_no_ring),
		INFLIGHT_TEST(test_inflight_buffer_is_used_by_running_rings),
		INFLIGHT_TEST(test_inflight_refuses_a_short_file),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
