/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: features, acknowledgements and rings, as a front-end (replies,
 * files) and the owner of the rings (calls in order) see them.
 */
#include "backend_rig.h"

/* --- features --------------------------------------------------------------------------------- */

static void
test_backend_answers_what_is_asked(void **state)
{
	(void)state;
	assert_int_equal(ask(VHOSTX_GET_FEATURES), OFFERED);
	assert_int_equal(ask(VHOSTX_GET_PROTOCOL_FEATURES), VHOSTX_PROTOCOL_FEATURES);
	assert_int_equal(ask(VHOSTX_GET_QUEUE_NUM), RINGS / 2);
	assert_int_equal(say(VHOSTX_SET_OWNER, 0, NULL, 0, -1), VHOSTX_SILENT);
	negotiate(PROTOCOL);
	assert_int_equal(ask(VHOSTX_GET_MAX_MEM_SLOTS), 509);
	assert_int_equal(ask(VHOSTX_GET_STATUS), 0);
	assert_trace("");
}

static void
test_backend_refuses_features_not_offered(void **state)
{
	(void)state;
	assert_closed(say_u64(VHOSTX_SET_FEATURES, OFFERED | 0x100), "features 0x100 ");
	assert_false(be.has_features);
	assert_closed(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, 1 << 14), "features 0x4000 ");
	assert_int_equal(be.protocol_features, 0);
}

static void
test_backend_features_change_while_rings_run(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(1);
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, PROTOCOL | 1), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R1 ");
	assert_int_equal(be.features, PROTOCOL | 1);
	assert_true(be.vring[1].enabled);
}

/* A running guest has features that are not offered: QEMU leaves. Told once, until one is content. */
static void
test_backend_tells_who_leaves_without_features(void **state)
{
	const char *text = "left without choosing of the features 0x400000ff";

	(void)state;
	vhostx_backend_reset(&be);
	assert_int_equal(logcap_count(text), 0);
	for (int i = 0; i < 3; i++) {
		ask(VHOSTX_GET_FEATURES);
		vhostx_backend_reset(&be);
		assert_int_equal(logcap_count(text), 1);
	}
	ask(VHOSTX_GET_FEATURES);
	negotiate(PROTOCOL);
	vhostx_backend_reset(&be);
	assert_int_equal(logcap_count(text), 1);
	ask(VHOSTX_GET_FEATURES);
	vhostx_backend_reset(&be);
	assert_int_equal(logcap_count(text), 2);
}

static void
test_backend_ring_waits_for_enable(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, 2), VHOSTX_SILENT);
	assert_true(be.vring[2].started);
	assert_false(be.vring[2].enabled);
	assert_int_equal(say_state(VHOSTX_SET_VRING_ENABLE, 2, 1), VHOSTX_SILENT);
	assert_true(be.vring[2].enabled);
	assert_int_equal(say_state(VHOSTX_SET_VRING_ENABLE, 2, 0), VHOSTX_SILENT);
	assert_false(be.vring[2].enabled);
	assert_trace("P2 R2 P2 R2 P2 R2 ");
}

static void
test_backend_legacy_ring_starts_enabled(void **state)
{
	(void)state;
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, 0), VHOSTX_SILENT);
	assert_false(be.vring[0].enabled); /* nobody knows yet */
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, 1), VHOSTX_SILENT);
	assert_true(be.vring[0].enabled);
	assert_false(be.vring[1].enabled);
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, 1), VHOSTX_SILENT);
	assert_true(be.vring[1].enabled);
}

/* --- acknowledgements ------------------------------------------------------------------------- */

static void
test_backend_acknowledges_when_asked(void **state)
{
	const uint32_t flag = VHOSTX_MSG_NEED_REPLY;
	const struct vhostx_msg_vring_state bad = { .index = RINGS, .num = 1 };
	const uint64_t protocol = VHOSTX_PROTOCOL_FEATURES, features = PROTOCOL;

	(void)state;
	assert_int_equal(say(VHOSTX_SET_OWNER, flag, NULL, 0, -1), VHOSTX_SILENT);
	assert_acked(say(VHOSTX_SET_PROTOCOL_FEATURES, flag, &protocol, 8, -1), 0);
	assert_acked(say(VHOSTX_SET_FEATURES, flag, &features, 8, -1), 0);
	assert_acked(say(VHOSTX_SET_VRING_ENABLE, flag, &bad, sizeof(bad), -1), 1);
	assert_true(logcap_has(PORT ": SET_VRING_ENABLE: ring 4 is past the 4 rings of this port "
		"(queues=2); request refused\n"));
	assert_int_equal(say(VHOSTX_GET_FEATURES, flag, NULL, 0, -1), VHOSTX_REPLY);
	assert_int_equal(reply.payload.u64, OFFERED);
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, PROTOCOL), VHOSTX_SILENT);
}

static void
test_backend_acknowledges_unknown_requests(void **state)
{
	const uint64_t any = 1;

	(void)state;
	assert_closed(say(41, VHOSTX_MSG_NEED_REPLY, NULL, 0, -1), "GET_SHARED_OBJECT: ");
	negotiate(PROTOCOL);
	assert_acked(say(41, VHOSTX_MSG_NEED_REPLY, NULL, 0, -1), 1);
	assert_acked(say(1000, VHOSTX_MSG_NEED_REPLY, &any, 8, event_file()), 1);
	assert_true(logcap_has("request 1000"));
	logcap_clear(NULL);
	assert_closed(say(1000, 0, &any, 8, event_file()), "request 1000");
}

static void
test_backend_closes_where_a_reply_cannot_say_no(void **state)
{
	const uint64_t protocol = RTE_BIT64(VHOSTX_PROTOCOL_F_REPLY_ACK);
	const struct vhostx_msg_vring_state bad = { .index = RINGS };

	(void)state;
	assert_int_equal(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, protocol), VHOSTX_SILENT);
	assert_closed(say(VHOSTX_GET_VRING_BASE, VHOSTX_MSG_NEED_REPLY, &bad, sizeof(bad), -1),
		"ring 4 is past");
	assert_closed(say(VHOSTX_GET_STATUS, VHOSTX_MSG_NEED_REPLY, NULL, 0, -1),
		"GET_STATUS: protocol feature 16");
}

static void
test_backend_closes_on_malformed_always(void **state)
{
	const uint64_t any = 0;

	(void)state;
	negotiate(PROTOCOL);
	assert_closed(say(VHOSTX_SET_FEATURES, VHOSTX_MSG_NEED_REPLY, &any, 4, -1), "size");
	assert_closed(say(VHOSTX_SET_OWNER, VHOSTX_MSG_NEED_REPLY, NULL, 0, event_file()), "files");
	assert_closed(say(VHOSTX_SET_OWNER, VHOSTX_MSG_REPLY, NULL, 0, -1), "reply");
	assert_closed(say(VHOSTX_SET_OWNER, 2, NULL, 0, -1), "version");
}

static void
test_backend_wants_protocol_feature_first(void **state)
{
	(void)state;
	assert_closed(say_u64(VHOSTX_NET_SET_MTU, 1500), "protocol feature 4");
	assert_closed(say_u64(VHOSTX_SET_STATUS, 1), "protocol feature 16");
	assert_closed(say(VHOSTX_RESET_DEVICE, 0, NULL, 0, -1), "protocol feature 13");
	assert_closed(say_mem_reg(VHOSTX_ADD_MEM_REG, 0, memory_file(PAGE)), "protocol feature 15");
	assert_closed(say_mem_reg(VHOSTX_REM_MEM_REG, 0, -1), "protocol feature 15");
	assert_closed(say(VHOSTX_GET_MAX_MEM_SLOTS, 0, NULL, 0, -1), "protocol feature 15");
	assert_null(be.mem);
}

/* --- rings ------------------------------------------------------------------------------------ */

/* 2020-10723: the index was cut down before it was compared with the number of rings. */
static void
test_backend_regress_cve_2020_10723(void **state)
{
	static const uint32_t bad[] = { RINGS, 0xff, 0x100, 0x10000, 0x80000000, UINT32_MAX };

	(void)state;
	negotiate(PROTOCOL);
	for (unsigned int i = 0; i < RTE_DIM(bad); i++) {
		assert_closed(say_state(VHOSTX_SET_VRING_NUM, bad[i], 1), "is past the 4 rings");
		assert_closed(say_state(VHOSTX_SET_VRING_BASE, bad[i], 0), "is past the 4 rings");
		assert_closed(say_state(VHOSTX_GET_VRING_BASE, bad[i], 0), "is past the 4 rings");
		assert_closed(say_state(VHOSTX_SET_VRING_ENABLE, bad[i], 1), "is past the 4 rings");
		assert_closed(say_addr(bad[i], 0), "is past the 4 rings");
	}
	for (uint32_t request = VHOSTX_SET_VRING_KICK; request <= VHOSTX_SET_VRING_ERR; request++) {
		assert_closed(say_file(request, RINGS), "ring 4 is past the 4 rings");
		assert_closed(say_file(request, 0xff), "ring 255 is past the 4 rings");
		assert_closed(say_file(request, UINT64_C(1) << 32), "bits beside ring index");
	}
}

static void
test_backend_pauses_around_each_change(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(2);
	assert_int_equal(say_state(VHOSTX_SET_VRING_NUM, 2, 32768), VHOSTX_SILENT);
	assert_trace("P2 R2 ");
	assert_int_equal(be.vring[2].num, 32768);
	assert_int_equal(say_addr(2, 0), VHOSTX_SILENT);
	assert_trace("P2 R2 ");
	assert_int_equal(say_state(VHOSTX_SET_VRING_BASE, 2, 0x80000007), VHOSTX_SILENT);
	assert_trace("P2 S2=80000007 R2 ");
	assert_int_equal(say_file(VHOSTX_SET_VRING_CALL, 2), VHOSTX_SILENT);
	assert_trace("P2 R2 ");
	assert_int_equal(say_file(VHOSTX_SET_VRING_ERR, 2), VHOSTX_SILENT);
	assert_trace("P2 R2 ");
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, 2), VHOSTX_SILENT);
	assert_trace("P2 R2 ");
}

static void
test_backend_resumes_started_rings_only(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	assert_int_equal(say_state(VHOSTX_SET_VRING_NUM, 0, 8), VHOSTX_SILENT);
	assert_int_equal(say_addr(0, 0), VHOSTX_SILENT);
	assert_true(be.vring[0].has_addr);
	assert_int_equal(be.vring[0].desc_uva, 0x1000);
	assert_int_equal(be.vring[0].avail_uva, 0x2000);
	assert_int_equal(be.vring[0].used_uva, 0x3000);
	assert_int_equal(say_state(VHOSTX_SET_VRING_ENABLE, 0, 1), VHOSTX_SILENT);
	assert_trace("P0 P0 P0 ");
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, 0), VHOSTX_SILENT);
	assert_trace("P0 R0 ");
}

static void
test_backend_refuses_wrong_values(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_closed(say_state(VHOSTX_SET_VRING_NUM, 0, 0), "ring 0 of 0 entries");
	assert_closed(say_state(VHOSTX_SET_VRING_NUM, 0, 32769), "ring 0 of 32769 entries");
	assert_closed(say_state(VHOSTX_SET_VRING_NUM, 0, 0x80000000), "1 to 32768 are possible");
	assert_int_equal(be.vring[0].num, 256);
	assert_closed(say_state(VHOSTX_SET_VRING_ENABLE, 0, 2), "ring 0 to 2");
	assert_true(be.vring[0].enabled);
	assert_closed(say_addr(0, 3), "ring 0 has flags 0x3");
	assert_closed(say_u64(VHOSTX_SET_STATUS, 0x100), "device status 0x100");
}

static void
test_backend_get_base_stops_the_ring(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	start_ring(3);
	assert_int_equal(say_state(VHOSTX_GET_VRING_BASE, 3, 99), VHOSTX_REPLY);
	assert_int_equal(reply.header.size, 8);
	assert_int_equal(reply.payload.state.index, 3);
	assert_int_equal(reply.payload.state.num, 0x80010003);
	assert_trace("P3 G3 ");
	assert_false(be.vring[3].started);
	assert_int_equal(be.vring[3].kickfd, -1);
	assert_true(be.vring[3].callfd >= 0);
	assert_true(be.vring[3].enabled);
	/* No change of another message starts it again, but a kick file does. */
	assert_int_equal(say_state(VHOSTX_SET_VRING_BASE, 3, 5), VHOSTX_SILENT);
	assert_trace("P3 S3=5 ");
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, 3), VHOSTX_SILENT);
	assert_trace("P3 R3 ");
}

static void
test_backend_files_can_be_taken_away(void **state)
{
	const uint64_t none = VHOSTX_MSG_VRING_NOFD;

	(void)state;
	negotiate(PROTOCOL);
	start_ring(0);
	assert_int_equal(say_file(VHOSTX_SET_VRING_ERR, 0), VHOSTX_SILENT);
	assert_int_equal(files_open(), files_before + 3);
	assert_int_equal(say_u64(VHOSTX_SET_VRING_CALL, none), VHOSTX_SILENT);
	assert_int_equal(be.vring[0].callfd, -1);
	assert_int_equal(say_u64(VHOSTX_SET_VRING_ERR, none), VHOSTX_SILENT);
	assert_int_equal(be.vring[0].errfd, -1);
	assert_int_equal(say_u64(VHOSTX_SET_VRING_KICK, none), VHOSTX_SILENT);
	assert_int_equal(be.vring[0].kickfd, -1);
	assert_true(be.vring[0].started); /* "polling should be used" */
	assert_int_equal(files_open(), files_before);
}

/* 2019-14818: files and memory of a message that comes again and again were never given back. */
static void
test_backend_regress_cve_2019_14818(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	for (unsigned int i = 0; i < 300; i++) {
		start_ring(i % RINGS);
		assert_int_equal(say_file(VHOSTX_SET_VRING_ERR, i % RINGS), VHOSTX_SILENT);
		assert_int_equal(say_state(VHOSTX_SET_VRING_NUM, 0, 1 + i), VHOSTX_SILENT);
		assert_int_equal(say_state(VHOSTX_GET_VRING_BASE, 0, 0), VHOSTX_REPLY);
		assert_int_equal(say_memory(i % 3 * PAGE, PAGE), VHOSTX_SILENT);
		assert_true(files_open() <= files_before + 3 * RINGS);
		assert_int_equal(vhostx_map_count(), 1);
	}
}

/* 2022-0669, 2021-3839: more files than a message can use, and on messages that use none. */
static void
test_backend_regress_cve_2022_0669(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	for (uint32_t request = 0; request <= 50; request++) {
		struct vhostx_msg msg = {
			.header = { .request = request, .flags = VHOSTX_MSG_VERSION, .size = 8 },
			.nr_fds = VHOSTX_MSG_FDS,
		};

		for (unsigned int i = 0; i < VHOSTX_MSG_FDS; i++)
			msg.fds[i] = event_file();
		assert_int_equal(deliver(&msg), VHOSTX_CLOSE);
		assert_int_equal(files_open(), files_before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BACKEND_CASE(answers_what_is_asked),
		BACKEND_CASE(refuses_features_not_offered),
		BACKEND_CASE(features_change_while_rings_run),
		BACKEND_CASE(tells_who_leaves_without_features),
		BACKEND_CASE(ring_waits_for_enable),
		BACKEND_CASE(legacy_ring_starts_enabled),
		BACKEND_CASE(acknowledges_when_asked),
		BACKEND_CASE(acknowledges_unknown_requests),
		BACKEND_CASE(closes_where_a_reply_cannot_say_no),
		BACKEND_CASE(closes_on_malformed_always),
		BACKEND_CASE(wants_protocol_feature_first),
		BACKEND_CASE(regress_cve_2020_10723),
		BACKEND_CASE(pauses_around_each_change),
		BACKEND_CASE(resumes_started_rings_only),
		BACKEND_CASE(refuses_wrong_values),
		BACKEND_CASE(get_base_stops_the_ring),
		BACKEND_CASE(files_can_be_taken_away),
		BACKEND_CASE(regress_cve_2019_14818),
		BACKEND_CASE(regress_cve_2022_0669),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
