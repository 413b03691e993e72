/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: messages about the dirty log.
 */
#include "backend_rig.h"

/** SET_LOG_BASE with a file of @a file_size bytes. */
static enum vhostx_verdict
say_log(uint64_t size, uint64_t offset, uint64_t file_size)
{
	const struct vhostx_msg_log log = { .size = size, .offset = offset };

	return say(VHOSTX_SET_LOG_BASE, 0, &log, sizeof(log), memory_file(file_size));
}

/* QEMU takes an answer of any length, rust-vmm one of eight bytes. */
static void
assert_log_taken(enum vhostx_verdict verdict)
{
	assert_int_equal(verdict, VHOSTX_REPLY);
	assert_int_equal(reply.header.size, 8);
	assert_int_equal(reply.payload.u64, 0);
}

static void
test_backend_log_is_switched_between_bursts(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(1);
	assert_log_taken(say_log(PAGE, 0, PAGE));
	assert_trace("P0 P1 P2 P3 R1 ");
	assert_int_equal(be.log->pages, 8 * PAGE);
	assert_int_equal(vhostx_map_count(), 1);
	assert_log_taken(say_log(8, 64, PAGE));
	assert_trace("P0 P1 P2 P3 R1 ");
	assert_int_equal(be.log->pages, 64);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(files_open(), files_before + 2); /* call and kick of the ring */
	vhostx_backend_reset(&be);
	assert_null(be.log);
	assert_int_equal(vhostx_map_count(), 0);
}

static void
test_backend_log_that_is_wrong_leaves_the_old(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(1);
	assert_log_taken(say_log(PAGE, 0, PAGE));
	trace[0] = '\0';
	assert_closed(say_log(2 * PAGE, 0, PAGE), "SET_LOG_BASE: the file is smaller");
	assert_closed(say_log(UINT64_MAX, PAGE, PAGE), "SET_LOG_BASE: the file is smaller");
	assert_closed(say_log(8, 4, PAGE), "not a multiple of 8");
	assert_int_equal(be.log->pages, 8 * PAGE);
}

/* Without LOG_SHMFD the message has an address of another process. */
static void
test_backend_log_wants_its_protocol_feature(void **state)
{
	(void)state;
	assert_closed(say_log(PAGE, 0, PAGE), "protocol feature 1 was not agreed");
	assert_null(be.log);
}

static void
test_backend_log_shorter_than_memory_is_told(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(say_memory(64 * PAGE, PAGE), VHOSTX_SILENT);
	assert_log_taken(say_log(8, 0, PAGE));
	assert_int_equal(logcap_count("the dirty log ends before guest memory does"), 1);
	assert_log_taken(say_log(16, 0, PAGE));
	assert_int_equal(logcap_count("the dirty log ends before guest memory does"), 1);
	assert_int_equal(say_memory(128 * PAGE, PAGE), VHOSTX_SILENT);
	assert_int_equal(logcap_count("the dirty log ends before guest memory does"), 2);
}

static void
test_backend_log_file_is_kept_and_closed(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(say(VHOSTX_SET_LOG_FD, 0, NULL, 0, event_file()), VHOSTX_SILENT);
		assert_true(be.logfd >= 0);
		assert_int_equal(files_open(), files_before + 1);
	}
	trace[0] = '\0';
	assert_closed(say(VHOSTX_SET_LOG_FD, 0, NULL, 0, memory_file(8)), "no eventfd");
	vhostx_backend_reset(&be);
	assert_int_equal(be.logfd, -1);
	assert_int_equal(files_open(), files_before);
}

static void
test_backend_log_flag_of_a_ring(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_addr(0, VHOSTX_VRING_F_LOG), VHOSTX_SILENT);
	assert_trace("P0 R0 ");
	assert_true(be.vring[0].log);
	assert_int_equal(be.vring[0].log_addr, 0x4000);
	assert_int_equal(say_addr(0, 0), VHOSTX_SILENT);
	assert_false(be.vring[0].log);
	trace[0] = '\0';
	assert_closed(say_addr(0, 2), "ring 0 has flags 0x2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BACKEND_CASE(log_is_switched_between_bursts),
		BACKEND_CASE(log_that_is_wrong_leaves_the_old),
		BACKEND_CASE(log_wants_its_protocol_feature),
		BACKEND_CASE(log_shorter_than_memory_is_told),
		BACKEND_CASE(log_file_is_kept_and_closed),
		BACKEND_CASE(log_flag_of_a_ring),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
