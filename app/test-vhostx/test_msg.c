/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The table of messages: what is well-formed, what is malformed, what is unknown. The expectations
 * are written from the specification, not from the table.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/msg.h"

/** A request that is served, as the specification describes it. */
struct expected {
	uint32_t request;
	const char *name;
	uint32_t size;   /**< bytes of payload */
	unsigned int fds; /**< bit n: n files may come along */
	int feature;     /**< protocol feature, or -1 */
	bool reply;
};

static const struct expected served[] = {
	{ 1, "GET_FEATURES", 0, 1, -1, true },
	{ 2, "SET_FEATURES", 8, 1, -1, false },
	{ 3, "SET_OWNER", 0, 1, -1, false },
	{ 4, "RESET_OWNER", 0, 1, -1, false },
	{ 5, "SET_MEM_TABLE", 8 + 32, 2, -1, false },
	{ 6, "SET_LOG_BASE", 16, 2, 1, true },
	{ 7, "SET_LOG_FD", 0, 2, -1, false },
	{ 8, "SET_VRING_NUM", 8, 1, -1, false },
	{ 9, "SET_VRING_ADDR", 40, 1, -1, false },
	{ 10, "SET_VRING_BASE", 8, 1, -1, false },
	{ 11, "GET_VRING_BASE", 8, 1, -1, true },
	{ 12, "SET_VRING_KICK", 8, 2, -1, false },
	{ 13, "SET_VRING_CALL", 8, 2, -1, false },
	{ 14, "SET_VRING_ERR", 8, 2, -1, false },
	{ 15, "GET_PROTOCOL_FEATURES", 0, 1, -1, true },
	{ 16, "SET_PROTOCOL_FEATURES", 8, 1, -1, false },
	{ 17, "GET_QUEUE_NUM", 0, 1, -1, true },
	{ 18, "SET_VRING_ENABLE", 8, 1, -1, false },
	{ 19, "SEND_RARP", 8, 1, 2, false },
	{ 20, "NET_SET_MTU", 8, 1, 4, false },
	{ 21, "SET_BACKEND_REQ_FD", 0, 2, 5, false },
	{ 22, "IOTLB_MSG", 26, 1, -1, false },
	{ 24, "GET_CONFIG", 12, 1, 9, true },
	{ 25, "SET_CONFIG", 12, 1, 9, false },
	{ 28, "POSTCOPY_ADVISE", 0, 1, 8, true },
	{ 29, "POSTCOPY_LISTEN", 0, 1, 8, false },
	{ 30, "POSTCOPY_END", 0, 1, 8, true },
	{ 31, "GET_INFLIGHT_FD", 20, 1, 12, true },
	{ 32, "SET_INFLIGHT_FD", 20, 2, 12, false },
	{ 34, "RESET_DEVICE", 0, 1, 13, false },
	{ 36, "GET_MAX_MEM_SLOTS", 0, 1, 15, true },
	{ 37, "ADD_MEM_REG", 40, 2, 15, false },
	{ 38, "REM_MEM_REG", 40, 3, 15, false },
	{ 39, "SET_STATUS", 8, 1, 16, false },
	{ 40, "GET_STATUS", 0, 1, 16, true },
};

/** A well-formed message with @a fds files, which are never used. */
static struct vhostx_msg
message(uint32_t request, uint32_t size, unsigned int fds)
{
	struct vhostx_msg msg = {
		.header = { .request = request, .flags = VHOSTX_MSG_VERSION, .size = size },
		.nr_fds = fds,
	};

	if (request == VHOSTX_SET_MEM_TABLE)
		msg.payload.memory.nr = 1;
	return msg;
}

static int
check(const struct vhostx_msg *msg)
{
	const char *why = NULL;
	const int ret = vhostx_msg_check(msg, &why);

	assert_true((ret == 0) == (why == NULL));
	return ret;
}

/** The only number of files with which @a e is plain: the highest. */
static unsigned int
most_fds(const struct expected *e)
{
	return e->fds == 1 ? 0 : 1;
}

static void
test_msg_takes_what_the_specification_says(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(served); i++) {
		const struct expected *e = &served[i];
		struct vhostx_msg msg = message(e->request, e->size, most_fds(e));

		assert_int_equal(check(&msg), 0);
		msg.header.flags |= VHOSTX_MSG_NEED_REPLY;
		assert_int_equal(check(&msg), 0);
		assert_string_equal(vhostx_msg_name(e->request), e->name);
		assert_int_equal(vhostx_msg_protocol_feature(e->request), e->feature);
		assert_int_equal(vhostx_msg_has_reply(e->request), e->reply);
	}
}

static void
test_msg_refuses_other_sizes(void **state)
{
	static const int off[] = { -8, -4, -1, 1, 4, 8, 32, 512, 0x7fffffff };

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(served); i++) {
		for (unsigned int k = 0; k < RTE_DIM(off); k++) {
			const struct expected *e = &served[i];
			const struct vhostx_msg msg = message(e->request, e->size + off[k],
				most_fds(e));

			/* An inflight description may have the padding of a C struct. */
			if (e->feature == VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD && off[k] == 4)
				assert_int_equal(check(&msg), 0);
			else
				assert_int_equal(check(&msg), -EPROTO);
		}
	}
}

/* 2019-14818, 2021-3839, 2022-0669: files that no handler expected stayed open. */
static void
test_msg_regress_cve_2022_0669(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(served); i++) {
		const struct expected *e = &served[i];

		for (unsigned int n = 0; n <= VHOSTX_MSG_FDS; n++) {
			const struct vhostx_msg msg = message(e->request, e->size, n);

			assert_int_equal(check(&msg), (e->fds & (1u << n)) != 0 ? 0 : -EPROTO);
		}
	}
}

static void
test_msg_refuses_wrong_header(void **state)
{
	struct vhostx_msg msg = message(VHOSTX_SET_OWNER, 0, 0);

	(void)state;
	for (uint32_t version = 0; version < 4; version++) {
		msg.header.flags = version;
		assert_int_equal(check(&msg), version == 1 ? 0 : -EPROTO);
	}
	msg.header.flags = VHOSTX_MSG_VERSION | VHOSTX_MSG_REPLY;
	assert_int_equal(check(&msg), -EPROTO);
}

static bool
is_served(uint32_t request)
{
	for (unsigned int i = 0; i < RTE_DIM(served); i++) {
		if (served[i].request == request)
			return true;
	}
	return false;
}

static void
test_msg_does_not_know_the_others(void **state)
{
	static const uint32_t far[] = { 0, 45, 50, 255, 256, 0x7fffffff, 0x80000001, UINT32_MAX };

	(void)state;
	for (uint32_t request = 1; request <= 44; request++) {
		const struct vhostx_msg msg = message(request, 0, 0);

		assert_string_not_equal(vhostx_msg_name(request), "unknown");
		if (!is_served(request))
			assert_int_equal(check(&msg), -ENOSYS);
	}
	for (unsigned int i = 0; i < RTE_DIM(far); i++) {
		const struct vhostx_msg msg = message(far[i], 8, 1);

		assert_int_equal(check(&msg), -ENOSYS);
		assert_string_equal(vhostx_msg_name(far[i]), "unknown");
		assert_int_equal(vhostx_msg_protocol_feature(far[i]), -1);
		assert_false(vhostx_msg_has_reply(far[i]));
	}
}

static void
test_msg_memory_table_has_a_file_each(void **state)
{
	(void)state;
	for (uint32_t nr = 0; nr <= VHOSTX_MSG_FDS + 1; nr++) {
		for (unsigned int fds = 0; fds <= VHOSTX_MSG_FDS; fds++) {
			struct vhostx_msg msg = message(VHOSTX_SET_MEM_TABLE, 8 + 32 * nr, fds);

			msg.payload.memory.nr = nr;
			assert_int_equal(check(&msg), nr == fds && nr != 0 ? 0 : -EPROTO);
			msg.header.size++;
			assert_int_equal(check(&msg), -EPROTO);
			msg.header.size -= 33;
			assert_int_equal(check(&msg), -EPROTO);
		}
	}
}

static void
test_msg_memory_table_with_wild_number(void **state)
{
	static const uint32_t wild[] = { 9, 0x08000001, 0x80000001, UINT32_MAX };

	(void)state;
	for (unsigned int i = 0; i < RTE_DIM(wild); i++) {
		struct vhostx_msg msg = message(VHOSTX_SET_MEM_TABLE, 8 + 32, 1);

		msg.payload.memory.nr = wild[i];
		assert_int_equal(check(&msg), -EPROTO);
		msg.header.size = 8 + 32 * wild[i];
		assert_int_equal(check(&msg), -EPROTO);
	}
}

static void
test_msg_vring_file_or_flag(void **state)
{
	(void)state;
	for (uint32_t request = VHOSTX_SET_VRING_KICK; request <= VHOSTX_SET_VRING_ERR; request++) {
		for (unsigned int fds = 0; fds <= 2; fds++) {
			struct vhostx_msg msg = message(request, 8, fds);

			msg.payload.u64 = 0xff;
			assert_int_equal(check(&msg), fds == 1 ? 0 : -EPROTO);
			msg.payload.u64 = 0xff | VHOSTX_MSG_VRING_NOFD;
			assert_int_equal(check(&msg), fds == 0 ? 0 : -EPROTO);
		}
	}
}

/* 2020-10723: a ring index was cut down to fewer bits than it came with. */
static void
test_msg_regress_cve_2020_10723(void **state)
{
	(void)state;
	for (uint32_t request = VHOSTX_SET_VRING_KICK; request <= VHOSTX_SET_VRING_ERR; request++) {
		for (unsigned int bit = 9; bit < 64; bit++) {
			struct vhostx_msg msg = message(request, 8, 1);

			msg.payload.u64 = UINT64_C(1) << bit;
			assert_int_equal(check(&msg), -EPROTO);
		}
	}
}

static void
test_msg_close_fds_spares_what_was_kept(void **state)
{
	struct vhostx_msg msg = { .nr_fds = 3 };
	int closed[2], kept;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		msg.fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	closed[0] = msg.fds[0];
	kept = msg.fds[1];
	closed[1] = msg.fds[2];
	msg.fds[1] = -1;
	vhostx_msg_close_fds(&msg);
	assert_int_equal(msg.nr_fds, 0);
	assert_true(fcntl(kept, F_GETFD) >= 0);
	assert_int_equal(fcntl(closed[0], F_GETFD), -1);
	assert_int_equal(fcntl(closed[1], F_GETFD), -1);
	vhostx_msg_close_fds(&msg);
	assert_int_equal(close(kept), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msg_takes_what_the_specification_says),
		cmocka_unit_test(test_msg_refuses_other_sizes),
		cmocka_unit_test(test_msg_regress_cve_2022_0669),
		cmocka_unit_test(test_msg_refuses_wrong_header),
		cmocka_unit_test(test_msg_does_not_know_the_others),
		cmocka_unit_test(test_msg_memory_table_has_a_file_each),
		cmocka_unit_test(test_msg_memory_table_with_wild_number),
		cmocka_unit_test(test_msg_vring_file_or_flag),
		cmocka_unit_test(test_msg_regress_cve_2020_10723),
		cmocka_unit_test(test_msg_close_fds_spares_what_was_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
