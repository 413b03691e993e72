/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: messages about the guest's IOMMU.
 */
#include <sys/socket.h>

#include "backend_rig.h"
#include "user/sock_req.h"

#define PLATFORM RTE_BIT64(VHOSTX_F_ACCESS_PLATFORM)
#define BACKEND_REQ RTE_BIT64(VHOSTX_PROTOCOL_F_BACKEND_REQ)
#define UVA 0x70000000ull /* of guest-physical address 0 */

/* A back-end that offers the IOMMU, and a front-end that wants it. */
static int
setup_iommu(void **state)
{
	const int ret = setup(state);

	be.offered |= PLATFORM;
	be.protocol_offered |= BACKEND_REQ;
	negotiate(PROTOCOL | PLATFORM);
	return ret;
}

static enum vhostx_verdict
say_iotlb(uint8_t type, uint64_t iova, uint64_t size, uint64_t uva, uint8_t perm)
{
	const struct vhostx_msg_iotlb m = {
		.iova = iova, .size = size, .uva = uva, .perm = perm, .type = type,
	};

	return say(VHOSTX_IOTLB_MSG, VHOSTX_MSG_NEED_REPLY, &m, sizeof(m), -1);
}

static enum vhostx_verdict
say_update(uint64_t iova, uint64_t size, uint64_t uva, uint8_t perm)
{
	return say_iotlb(VHOSTX_IOTLB_UPDATE, iova, size, uva, perm);
}

static enum vhostx_verdict
say_invalidate(uint64_t iova, uint64_t size)
{
	return say_iotlb(VHOSTX_IOTLB_INVALIDATE, iova, size, 0, 0);
}

static bool
is_mapped(uint64_t iova)
{
	struct vhostx_iotlb_entry e;

	return vhostx_iotlb_find(be.iotlb, iova, VHOSTX_ACCESS_R, &e) == 0;
}

/* The last message was refused, changed nothing, and one line says text. */
static void
assert_nacked(enum vhostx_verdict verdict, const char *text)
{
	assert_acked(verdict, 1);
	assert_trace("");
	assert_int_equal(logcap_count("request refused"), 1);
	if (!logcap_has(text))
		fail_msg("\"%s\" is not in the log", text);
	logcap_clear(NULL);
}

static void
test_backend_iommu_is_offered_where_asked_for(void **state)
{
	(void)state;
	assert_int_equal(ask(VHOSTX_GET_PROTOCOL_FEATURES), VHOSTX_PROTOCOL_FEATURES | BACKEND_REQ);
	be.protocol_offered &= ~BACKEND_REQ;
	assert_int_equal(ask(VHOSTX_GET_PROTOCOL_FEATURES), VHOSTX_PROTOCOL_FEATURES);
	assert_closed(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, BACKEND_REQ), "0x20 were not offered");
}

static void
test_backend_iommu_begins_and_ends_with_the_feature(void **state)
{
	(void)state;
	assert_non_null(be.iotlb);
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	trace[0] = '\0';
	assert_acked(say_update(0x5000, PAGE, UVA, 3), 0);
	assert_trace("U5000-5fff/3 ");
	/* The log is turned on: nothing is forgotten. */
	be.offered |= RTE_BIT64(VHOSTX_F_LOG_ALL);
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, PROTOCOL | PLATFORM | RTE_BIT64(VHOSTX_F_LOG_ALL)),
		VHOSTX_SILENT);
	assert_true(is_mapped(0x5fff));
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, PROTOCOL), VHOSTX_SILENT);
	assert_null(be.iotlb);
	trace[0] = '\0';
	assert_nacked(say_update(0x5000, PAGE, UVA, 3), "VIRTIO_F_ACCESS_PLATFORM was not negotiated");
	assert_acked(say_invalidate(0x5000, PAGE), 0);
}

static void
test_backend_iommu_refuses_wrong_updates(void **state)
{
	(void)state;
	assert_nacked(say_update(0x5000, PAGE, UVA, 3), "are not in one region");
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	trace[0] = '\0';
	assert_nacked(say_update(0x5000, 2 * PAGE, UVA, 3), "are not in one region");
	assert_nacked(say_update(0x5000, PAGE, UVA + 1, 3), "are not in one region");
	assert_nacked(say_update(0x5000, UINT64_MAX, UVA, 3), "cannot be");
	assert_nacked(say_update(UINT64_MAX - PAGE + 2, PAGE, UVA, 3), "cannot be");
	assert_nacked(say_update(0x5000, 0, UVA, 3), "cannot be");
	assert_nacked(say_update(0x5000, PAGE, UVA, 4), "permission 4");
	assert_nacked(say_iotlb(VHOSTX_IOTLB_MISS, 0x5000, PAGE, UVA, 3), "type 1;");
	assert_nacked(say_iotlb(0, 0x5000, PAGE, UVA, 3), "type 0;");
	assert_int_equal(be.iotlb->nr, 0);
}

/* "0: No access": an answer as well. */
static void
test_backend_iommu_takes_a_no(void **state)
{
	(void)state;
	assert_acked(say_update(0x5000, PAGE, UVA, 0), 0);
	assert_trace("U5000-5fff/0 ");
	assert_int_equal(be.iotlb->nr, 0);
}

static void
test_backend_iommu_invalidates_parts(void **state)
{
	(void)state;
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	assert_acked(say_update(0x5000, PAGE, UVA, 3), 0);
	trace[0] = '\0';
	assert_acked(say_invalidate(0x5400, 0x400), 0);
	assert_trace("Q ");
	assert_true(is_mapped(0x53ff));
	assert_false(is_mapped(0x5400));
	assert_false(is_mapped(0x57ff));
	assert_true(is_mapped(0x5800));
	/* What is not there may be in use by a burst all the same: it was, and had to make room. */
	assert_acked(say_invalidate(0x5400, 0x400), 0);
	assert_trace("Q ");
}

/* 2^64 bytes do not fit 64 bits. */
static void
test_backend_iommu_invalidates_all(void **state)
{
	static const uint64_t size[] = { 0, UINT64_MAX, UINT64_MAX - PAGE };

	(void)state;
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	for (unsigned int i = 0; i < RTE_DIM(size); i++) {
		assert_acked(say_update(0x5000, PAGE, UVA, 3), 0);
		assert_acked(say_invalidate(i == 2 ? 0x5000 : 0, size[i]), 0);
		assert_int_equal(be.iotlb->nr, 0);
	}
}

/* say_addr() puts the areas at 0x1000, 0x2000 and 0x3000; 256 entries. */
static void
test_backend_iommu_invalidation_stops_ring(void **state)
{
	static const struct {
		uint64_t iova, size;
		bool hit;
	} spans[] = {
		{ 0x0, 0x1000, false }, { 0x0, 0x1001, true }, { 0x1fff, 1, true },
		{ 0x2000, 1, true }, { 0x2203, 1, true }, { 0x2204, 0xdfc, false },
		{ 0x3803, 1, true }, { 0x3804, 0x1000, false }, { 0, 0, true },
	};

	(void)state;
	start_ring(1);
	for (unsigned int i = 0; i < RTE_DIM(spans); i++) {
		assert_acked(say_invalidate(spans[i].iova, spans[i].size), 0);
		assert_trace(spans[i].hit ? "P1 Q R1 " : "Q ");
	}
}

/* A ring that waits for a page goes on with that page, and with no other. */
static void
test_backend_iommu_update_resumes_ring(void **state)
{
	(void)state;
	assert_int_equal(say_memory(0, 4 * PAGE), VHOSTX_SILENT);
	start_ring(0);
	start_ring(1);
	be.vring[1].miss[0] = vhostx_miss_word(0x2000, VHOSTX_ACCESS_R);
	assert_acked(say_update(0x1000, PAGE, UVA, 3), 0);
	assert_trace("U1000-1fff/3 ");
	assert_acked(say_update(0x2000, PAGE, UVA, 3), 0);
	assert_trace("U2000-2fff/3 R1 ");
	assert_acked(say_update(0x2000, PAGE, UVA, 0), 0);
	assert_trace("U2000-2fff/0 ");
}

/* From then on nobody tells what the guest unmaps. */
static void
test_backend_iommu_stop_forgets(void **state)
{
	(void)state;
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	for (int i = 0; i < 3; i++) {
		start_ring(1);
		assert_acked(say_update(0x5000, PAGE, UVA, 3), 0);
		trace[0] = '\0';
		if (i == 0) {
			assert_int_equal(say_state(VHOSTX_GET_VRING_BASE, 1, 0), VHOSTX_REPLY);
			assert_trace("P1 Q G1 ");
		} else if (i == 1) {
			assert_int_equal(say_u64(VHOSTX_SET_STATUS, 0), VHOSTX_SILENT);
			assert_trace("P0 P1 P2 P3 Q ");
		} else {
			assert_int_equal(say(VHOSTX_RESET_DEVICE, 0, NULL, 0, -1), VHOSTX_SILENT);
			assert_trace("P0 P1 P2 P3 W0 W1 W2 W3 Q ");
		}
		assert_int_equal(be.iotlb->nr, 0);
	}
}

static void
test_backend_iommu_new_memory_forgets(void **state)
{
	(void)state;
	assert_int_equal(say_memory(0, PAGE), VHOSTX_SILENT);
	assert_acked(say_update(0x5000, PAGE, UVA, 3), 0);
	assert_int_equal(say_memory(PAGE, PAGE), VHOSTX_SILENT);
	assert_int_equal(be.iotlb->nr, 0);
}

static void
test_backend_iommu_channel_is_a_socket(void **state)
{
	int pair[2];

	(void)state;
	assert_closed(say(VHOSTX_SET_BACKEND_REQ_FD, 0, NULL, 0, event_file()), "agreed");
	assert_int_equal(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, VHOSTX_PROTOCOL_FEATURES | BACKEND_REQ),
		VHOSTX_SILENT);
	assert_closed(say(VHOSTX_SET_BACKEND_REQ_FD, 0, NULL, 0, event_file()), "no stream socket");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		assert_int_equal(say(VHOSTX_SET_BACKEND_REQ_FD, 0, NULL, 0, pair[0]), VHOSTX_SILENT);
		assert_true(be.reqfd >= 0);
		close(pair[1]);
		assert_int_equal(files_open(), files_before + 1);
	}
	vhostx_backend_reset(&be);
	assert_int_equal(be.reqfd, -1);
	assert_int_equal(files_open(), files_before);
}

/* The bytes that QEMU's vhost-user.rst has for a miss. */
static void
test_backend_iommu_miss_on_the_wire(void **state)
{
	static const uint8_t expected[44] = {
		1, 0, 0, 0, 1, 0, 0, 0, 32, 0, 0, 0,
		0, 0x50, 0x34, 0x12, 0xf0, 0xff, 0, 0,
		[36] = 2, [37] = 1,
	};
	const uint64_t miss[2] = {
		vhostx_miss_word(0xfff012345abc, VHOSTX_ACCESS_W), vhostx_miss_word(0x5000, VHOSTX_ACCESS_R),
	};
	uint8_t got[128];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(vhostx_req_send_misses(pair[0], miss, 2), 0);
	assert_int_equal(recv(pair[1], got, sizeof(got), MSG_DONTWAIT), 2 * sizeof(expected));
	assert_memory_equal(got, expected, sizeof(expected));
	assert_memory_equal(&got[sizeof(expected)], expected, 12);
	assert_int_equal(got[sizeof(expected) + 13], 0x50);
	assert_int_equal(got[sizeof(expected) + 36], 1);
	/* A front-end that does not read holds up nobody. */
	for (int i = 0; vhostx_req_send_misses(pair[0], &miss[1], 1) == 0; i++)
		assert_true(i < 1000000);
	assert_int_equal(vhostx_req_send_misses(pair[0], &miss[1], 1), -EAGAIN);
	close(pair[1]);
	assert_int_equal(vhostx_req_send_misses(pair[0], &miss[1], 1), -EPIPE);
	close(pair[0]);
}

#define IOMMU_CASE(name) cmocka_unit_test_setup_teardown(test_backend_iommu_##name, setup_iommu, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		IOMMU_CASE(is_offered_where_asked_for),
		IOMMU_CASE(begins_and_ends_with_the_feature),
		IOMMU_CASE(refuses_wrong_updates),
		IOMMU_CASE(takes_a_no),
		IOMMU_CASE(invalidates_parts),
		IOMMU_CASE(invalidates_all),
		IOMMU_CASE(invalidation_stops_ring),
		IOMMU_CASE(update_resumes_ring),
		IOMMU_CASE(stop_forgets),
		IOMMU_CASE(new_memory_forgets),
		IOMMU_CASE(channel_is_a_socket),
		IOMMU_CASE(miss_on_the_wire),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
