/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: memory and the device as a whole, and messages that make no sense.
 */
#include "backend_rig.h"

/* --- memory ----------------------------------------------------------------------------------- */

static void
test_backend_swaps_memory_between_bursts(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R0 ");
	assert_int_equal(be.mem->nr, 1);
	assert_int_equal(say_memory(PAGE, PAGE), VHOSTX_SILENT);
	assert_int_equal(be.mem->range[0].gpa, PAGE);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(files_open(), files_before + 2);
}

static void
test_backend_same_memory_is_not_mapped_again(void **state)
{
	const struct vhostx_msg_memory memory = { .nr = 1, .region[0] = region_at(0) };
	const int fd = memory_file(PAGE);
	const uint8_t *va;

	(void)state;
	assert_int_equal(say(VHOSTX_SET_MEM_TABLE, 0, &memory, 8 + 32, dup(fd)), VHOSTX_SILENT);
	va = be.mem->range[0].va;
	assert_int_equal(say(VHOSTX_SET_MEM_TABLE, 0, &memory, 8 + 32, fd), VHOSTX_SILENT);
	assert_ptr_equal(be.mem->range[0].va, va);
}

static void
test_backend_bad_memory_leaves_the_old(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	trace[0] = '\0';
	assert_closed(say_memory(PAGE, PAGE / 2),
		"SET_MEM_TABLE: guest memory is smaller than the front-end says");
	assert_closed(say_mem_reg(VHOSTX_ADD_MEM_REG, 0, memory_file(PAGE)), "overlap");
	assert_closed(say_mem_reg(VHOSTX_REM_MEM_REG, PAGE, -1), "no memory region has");
	assert_int_equal(be.mem->nr, 1);
	assert_int_equal(be.mem->range[0].gpa, 0);
}

static void
test_backend_says_why_memory_cannot_be_mapped(void **state)
{
	struct vhostx_msg_memory memory = { .nr = 1, .region[0] = { .size = UINT64_C(1) << 60 } };
	const int fd = memory_file(UINT64_C(1) << 60);

	(void)state;
	assert_closed(say(VHOSTX_SET_MEM_TABLE, 0, &memory, 8 + 32, fd), "Cannot allocate memory");
	assert_null(be.mem);
}

static void
test_backend_memory_comes_and_goes_by_region(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(1);
	assert_int_equal(say_mem_reg(VHOSTX_ADD_MEM_REG, PAGE, memory_file(PAGE)), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R1 ");
	assert_int_equal(say_mem_reg(VHOSTX_ADD_MEM_REG, 0, memory_file(PAGE)), VHOSTX_SILENT);
	assert_int_equal(be.mem->nr, 2);
	trace[0] = '\0';
	/* "If a file descriptor is passed, the back-end MUST close it." */
	assert_int_equal(say_mem_reg(VHOSTX_REM_MEM_REG, PAGE, memory_file(PAGE)), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R1 ");
	assert_int_equal(say_mem_reg(VHOSTX_REM_MEM_REG, 0, -1), VHOSTX_SILENT);
	assert_int_equal(be.mem->nr, 0);
	assert_int_equal(vhostx_map_count(), 0);
	assert_int_equal(files_open(), files_before + 2);
}

/* QEMU up to 8.0 sends both once a queue pair. */
static void
test_backend_regress_region_added_twice(void **state)
{
	const int fd = memory_file(PAGE);

	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(say_mem_reg(VHOSTX_ADD_MEM_REG, 0, dup(fd)), VHOSTX_SILENT);
	assert_int_equal(say_mem_reg(VHOSTX_ADD_MEM_REG, 0, dup(fd)), VHOSTX_SILENT);
	assert_int_equal(be.mem->nr, 1);
	assert_int_equal(vhostx_map_count(), 1);
	assert_int_equal(say_mem_reg(VHOSTX_REM_MEM_REG, 0, -1), VHOSTX_SILENT);
	assert_int_equal(be.mem->nr, 1);
	assert_int_equal(say_mem_reg(VHOSTX_REM_MEM_REG, 0, -1), VHOSTX_SILENT);
	assert_int_equal(be.mem->nr, 0);
	assert_int_equal(vhostx_map_count(), 0);
	close(fd);
}

/* A write to a pipe whose reader is gone ended the process by SIGPIPE. */
static void
test_backend_regress_call_file_is_no_eventfd(void **state)
{
	static const uint32_t requests[] = {
		VHOSTX_SET_VRING_CALL, VHOSTX_SET_VRING_ERR, VHOSTX_SET_VRING_KICK,
	};
	const uint64_t ring = 0;
	int ends[2];

	(void)state;
	negotiate(PROTOCOL);
	for (unsigned int i = 0; i < RTE_DIM(requests); i++) {
		assert_int_equal(pipe(ends), 0);
		assert_closed(say(requests[i], 0, &ring, sizeof(ring), ends[1]), "is no eventfd");
		close(ends[0]);
	}
	assert_int_equal(files_open(), files_before);
}

static void
test_backend_takes_eight_regions(void **state)
{
	struct vhostx_msg msg = {
		.header = { VHOSTX_SET_MEM_TABLE, VHOSTX_MSG_VERSION, 8 + 32 * VHOSTX_MSG_FDS },
		.nr_fds = VHOSTX_MSG_FDS,
	};

	(void)state;
	msg.payload.memory.nr = VHOSTX_MSG_FDS;
	for (unsigned int i = 0; i < VHOSTX_MSG_FDS; i++) {
		msg.payload.memory.region[i] = region_at((7 - i) * PAGE);
		msg.fds[i] = memory_file(PAGE);
	}
	assert_int_equal(deliver(&msg), VHOSTX_SILENT);
	assert_int_equal(be.mem->nr, VHOSTX_MSG_FDS);
	assert_int_equal(vhostx_map_count(), VHOSTX_MSG_FDS);
	assert_int_equal(files_open(), files_before);
}

/* --- device ----------------------------------------------------------------------------------- */

static void
test_backend_mtu_is_the_owners_decision(void **state)
{
	const uint64_t small = 67;

	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(say_u64(VHOSTX_NET_SET_MTU, 9000), VHOSTX_SILENT);
	assert_trace("M9000 ");
	assert_acked(say(VHOSTX_NET_SET_MTU, VHOSTX_MSG_NEED_REPLY, &small, 8, -1), 1);
	assert_trace("M67 ");
	assert_true(logcap_has("MTU 67 is refused"));
}

static void
test_backend_rarp_has_the_guests_address(void **state)
{
	const uint8_t mac[8] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0xff, 0xff };
	const uint8_t group[8] = { 0x53, 0x54, 0, 0x12, 0x34, 0x56 }, none[8] = { [6] = 1 };

	(void)state;
	assert_closed(say(VHOSTX_SEND_RARP, 0, mac, 8, -1), "protocol feature 2 was not agreed");
	negotiate(PROTOCOL);
	assert_int_equal(say(VHOSTX_SEND_RARP, 0, mac, 8, -1), VHOSTX_SILENT);
	assert_trace("A5256 ");
	assert_closed(say(VHOSTX_SEND_RARP, 0, group, 8, -1), "its address is no guest's");
	assert_closed(say(VHOSTX_SEND_RARP, 0, none, 8, -1), "its address is no guest's");
}

/** GET_CONFIG or SET_CONFIG. */
static enum vhostx_verdict
say_config(uint32_t request, uint32_t offset, uint32_t size, uint32_t flags)
{
	const struct vhostx_msg_config config = { .offset = offset, .size = size, .flags = flags };

	return say(request, 0, &config, 12 + size, -1);
}

/* virtio 1.3, 5.1.4: MAC, status, queue pairs and MTU, in this order. */
static void
test_backend_config_is_told(void **state)
{
	const uint8_t expected[12] = { 0x52, 0x54, 1, 2, 3, 4, 1, 0, RINGS / 2, 0, 0x34, 0x12 };

	(void)state;
	assert_closed(say_config(VHOSTX_GET_CONFIG, 0, 12, 0), "protocol feature 9 was not agreed");
	negotiate(PROTOCOL);
	for (uint32_t at = 0; at <= sizeof(expected); at++) {
		const uint32_t size = sizeof(expected) - at;

		assert_int_equal(say_config(VHOSTX_GET_CONFIG, at, size, 0), VHOSTX_REPLY);
		assert_int_equal(reply.header.size, 12 + size);
		assert_int_equal(reply.payload.config.offset, at);
		assert_int_equal(reply.payload.config.size, size);
		assert_memory_equal(reply.payload.config.bytes, &expected[at], size);
	}
	/* All of it, and beyond. */
	for (uint32_t size = 0; size <= VHOSTX_CONFIG_MAX; size++) {
		assert_int_equal(say_config(VHOSTX_GET_CONFIG, 10, size, 0), VHOSTX_REPLY);
		assert_true(reply.header.size == 0 || reply.header.size == 12 + size);
	}
	assert_int_equal(reply.header.size, 0);
	assert_int_equal(say_config(VHOSTX_GET_CONFIG, UINT32_MAX, 2, 0), VHOSTX_REPLY);
	assert_int_equal(reply.header.size, 0);
}

static void
test_backend_config_is_read_only(void **state)
{
	struct vhostx_msg_config lie = { .size = VHOSTX_CONFIG_MAX + 1 };

	(void)state;
	negotiate(PROTOCOL);
	assert_closed(say_config(VHOSTX_SET_CONFIG, 0, 6, 0), "a guest cannot write");
	assert_int_equal(say_config(VHOSTX_SET_CONFIG, 0, 12, VHOSTX_CONFIG_F_MIGRATION), VHOSTX_SILENT);
	assert_closed(say_config(VHOSTX_SET_CONFIG, 200, 12, VHOSTX_CONFIG_F_MIGRATION), "past the config");
	assert_closed(say(VHOSTX_SET_CONFIG, 0, &lie, 12 + VHOSTX_CONFIG_MAX, -1), "size of its piece");
	lie.size = 5;
	assert_closed(say(VHOSTX_GET_CONFIG, 0, &lie, 12, -1), "size of its piece");
}

static void
test_backend_reset_owner_disables(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	trace[0] = '\0';
	assert_int_equal(say(VHOSTX_RESET_OWNER, 0, NULL, 0, -1), VHOSTX_SILENT);
	assert_trace("P0 R0 P1 P2 P3 ");
	assert_false(be.vring[0].enabled);
	assert_true(be.vring[0].started);
	assert_non_null(be.mem);
	assert_true(be.has_features);
}

static void
test_backend_reset_device_forgets_the_device(void **state)
{
	(void)state;
	negotiate(PROTOCOL | 1);
	start_ring(0);
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	assert_int_equal(say_u64(VHOSTX_SET_STATUS, 15), VHOSTX_SILENT);
	trace[0] = '\0';
	assert_int_equal(say(VHOSTX_RESET_DEVICE, 0, NULL, 0, -1), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 W0 W1 W2 W3 ");
	assert_false(be.vring[0].started || be.vring[0].enabled || be.vring[0].has_addr);
	assert_int_equal(be.vring[0].num, 0);
	assert_int_equal(be.vring[0].kickfd, -1);
	assert_int_equal(be.features, 0);
	assert_false(be.has_features);
	/* The connection's: memory, protocol features (or this would close), the call file. */
	assert_int_equal(ask(VHOSTX_GET_STATUS), 0);
	assert_int_equal(be.mem->nr, 1);
	assert_int_equal(files_open(), files_before + 1);
	assert_true(be.vring[0].callfd >= 0);
}

static void
test_backend_status_is_kept(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_u64(VHOSTX_SET_STATUS, 0xff), VHOSTX_SILENT);
	assert_int_equal(ask(VHOSTX_GET_STATUS), 0xff);
	assert_trace("");
	assert_true(be.vring[0].started);
}

static void
test_backend_status_zero_stops_the_rings(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_u64(VHOSTX_SET_STATUS, 0), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 ");
	assert_false(be.vring[0].started);
	assert_int_equal(be.vring[0].kickfd, -1);
	assert_int_equal(be.vring[0].num, 256);
	assert_true(be.has_features);
}

static void
test_backend_reset_forgets_everything(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	start_ring(3);
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	trace[0] = '\0';
	vhostx_backend_reset(&be);
	assert_trace("P0 P1 P2 P3 ");
	assert_int_equal(files_open(), files_before);
	assert_int_equal(vhostx_map_count(), 0);
	assert_null(be.mem);
	assert_false(be.has_features);
	assert_int_equal(be.protocol_features | be.features | be.status, 0);
	for (unsigned int i = 0; i < RINGS; i++) {
		assert_false(be.vring[i].started || be.vring[i].enabled || be.vring[i].has_addr);
		assert_int_equal(be.vring[i].num, 0);
	}
	assert_int_equal(ask(VHOSTX_GET_FEATURES), OFFERED);
}

/* --- anything --------------------------------------------------------------------------------- */

/** One message of a kind that no front-end sends; closing resets, as the port does. */
static void
say_anything(uint32_t request, uint32_t size, unsigned int fds, uint8_t fill, bool memory)
{
	struct vhostx_msg msg = {
		.header = { request, VHOSTX_MSG_VERSION | VHOSTX_MSG_NEED_REPLY, size },
		.nr_fds = fds,
	};
	enum vhostx_verdict verdict;

	memset(&msg.payload, fill, sizeof(msg.payload));
	if (request == VHOSTX_SET_MEM_TABLE && fill == 1)
		msg.payload.memory = (struct vhostx_msg_memory) {
			.nr = 1, .region[0] = region_at(0),
		};
	for (unsigned int i = 0; i < fds; i++)
		msg.fds[i] = memory ? memory_file(PAGE) : event_file();
	verdict = deliver(&msg);
	/* Silent is only who has just agreed on no acknowledgements. */
	assert_true(verdict != VHOSTX_SILENT || be.protocol_features == 0);
	if (verdict == VHOSTX_REPLY)
		assert_int_equal(reply.header.size, 8);
	assert_true(files_open() <= files_before + 3 * RINGS);
	assert_true(vhostx_map_count() <= 1);
	if (verdict == VHOSTX_CLOSE) {
		vhostx_backend_reset(&be);
		assert_int_equal(files_open(), files_before);
	}
	if (be.protocol_features == 0)
		negotiate(PROTOCOL);
}

static void
test_backend_survives_anything(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 7, 8, 9, 39, 40, 41, 264, 512, 513, UINT32_MAX };
	static const unsigned int fds[] = { 0, 1, 8 };
	static const uint8_t fills[] = { 0, 1, 0x7f, 0xff };

	(void)state;
	negotiate(PROTOCOL);
	for (uint32_t i = 0; i < 51 * RTE_DIM(sizes) * RTE_DIM(fds) * RTE_DIM(fills) * 2; i++) {
		uint32_t rest = i / 2;
		const uint8_t fill = fills[rest % RTE_DIM(fills)];
		const unsigned int nr = fds[(rest /= RTE_DIM(fills)) % RTE_DIM(fds)];
		const uint32_t size = sizes[(rest /= RTE_DIM(fds)) % RTE_DIM(sizes)];

		say_anything(rest / RTE_DIM(sizes), size, nr, fill, i % 2 != 0);
		if (i % 64 == 0)
			logcap_clear(NULL);
	}
}

static void
test_backend_survives_any_order(void **state)
{
	/* Sizes that are right for most, so that many get through. */
	static const uint32_t sizes[] = { 0, 8, 8, 40 };
	uint32_t pick = 1;

	(void)state;
	negotiate(PROTOCOL);
	for (uint32_t i = 0; i < 20000; i++) {
		pick = pick * 1664525 + 1013904223;
		say_anything(pick >> 8 & 0x3f, sizes[pick >> 16 & 3], pick >> 18 & 1,
			pick >> 20 & 1, (pick >> 21 & 1) != 0);
		if (i % 64 == 0)
			logcap_clear(NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BACKEND_CASE(swaps_memory_between_bursts),
		BACKEND_CASE(same_memory_is_not_mapped_again),
		BACKEND_CASE(bad_memory_leaves_the_old),
		BACKEND_CASE(says_why_memory_cannot_be_mapped),
		BACKEND_CASE(memory_comes_and_goes_by_region),
		BACKEND_CASE(regress_region_added_twice),
		BACKEND_CASE(regress_call_file_is_no_eventfd),
		BACKEND_CASE(takes_eight_regions),
		BACKEND_CASE(mtu_is_the_owners_decision),
		BACKEND_CASE(rarp_has_the_guests_address),
		BACKEND_CASE(config_is_told),
		BACKEND_CASE(config_is_read_only),
		BACKEND_CASE(reset_owner_disables),
		BACKEND_CASE(reset_device_forgets_the_device),
		BACKEND_CASE(status_is_kept),
		BACKEND_CASE(status_zero_stops_the_rings),
		BACKEND_CASE(reset_forgets_everything),
		BACKEND_CASE(survives_anything),
		BACKEND_CASE(survives_any_order),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
