/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A back-end whose rings only write down what happens to them, and the front-end's side of it.
 * After each case no mapping and no file may be left.
 */
#ifndef BACKEND_RIG_H
#define BACKEND_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "logcap.h"
#include "open_files.h"
#include "user/backend.h"

#define PORT "net_vhostx7"
#define PAGE 4096u
#define RINGS 4
#define PROTOCOL RTE_BIT64(VHOSTX_F_PROTOCOL_FEATURES)
#define OFFERED (PROTOCOL | 0xff)

/* --- rig: a back-end whose rings only write down what happens to them ------------------------- */

/** "P<ring>" pause, "R<ring>" resume, "U<span>/<perm>" mapped, "Q" quiesce, "S<ring>=<base>" set_base, "W<ring>" rewind, "G<ring>" get_base, "M<mtu>", "A<first and last byte>" send_rarp. */
static char trace[1 << 12];
static struct vhostx_backend be;
static struct vhostx_msg reply;
static unsigned int files_before;

static inline void __rte_format_printf(1, 2)
record(const char *fmt, ...)
{
	const size_t used = strlen(trace);
	va_list args;

	va_start(args, fmt);
	if (used < sizeof(trace) - 64) /* storms are not compared */
		vsnprintf(trace + used, sizeof(trace) - used, fmt, args);
	va_end(args);
}

static inline void
ops_pause(void *ctx, uint16_t idx)
{
	assert_ptr_equal(ctx, &trace);
	record("P%u ", idx);
}

static inline void
ops_resume(void *ctx, uint16_t idx)
{
	assert_ptr_equal(ctx, &trace);
	/* Whoever runs a ring may use all that was said of it. */
	assert_true(be.vring[idx].callfd < 0 || fcntl(be.vring[idx].callfd, F_GETFD) >= 0);
	assert_true(be.vring[idx].kickfd < 0 || fcntl(be.vring[idx].kickfd, F_GETFD) >= 0);
	for (uint32_t i = 0; be.mem != NULL && i < be.mem->nr; i++)
		(void)*(volatile uint8_t *)be.mem->range[i].va;
	record("R%u ", idx);
}

static inline void
ops_mapped(void *ctx, uint64_t first, uint64_t last, uint8_t perm)
{
	assert_ptr_equal(ctx, &trace);
	record("U%jx-%jx/%u ", (uintmax_t)first, (uintmax_t)last, perm);
}

static inline void
ops_quiesce(void *ctx)
{
	assert_ptr_equal(ctx, &trace);
	record("Q ");
}

static inline void
ops_set_base(void *ctx, uint16_t idx, uint32_t base)
{
	assert_ptr_equal(ctx, &trace);
	record("S%u=%x ", idx, base);
}

static inline void
ops_rewind(void *ctx, uint16_t idx)
{
	assert_ptr_equal(ctx, &trace);
	record("W%u ", idx);
}

static inline uint32_t
ops_get_base(void *ctx, uint16_t idx)
{
	assert_ptr_equal(ctx, &trace);
	record("G%u ", idx);
	return 0x80010000u + idx;
}

static inline void
ops_get_config(void *ctx, struct vhostx_net_config *config)
{
	assert_ptr_equal(ctx, &trace);
	*config = (struct vhostx_net_config){
		.mac = { 0x52, 0x54, 1, 2, 3, 4 }, .link = true, .mtu = 0x1234,
	};
}

static inline void
ops_send_rarp(void *ctx, const uint8_t *mac)
{
	assert_ptr_equal(ctx, &trace);
	record("A%02x%02x ", mac[0], mac[5]);
}

static inline int
ops_set_mtu(void *ctx, uint64_t mtu)
{
	assert_ptr_equal(ctx, &trace);
	record("M%ju ", (uintmax_t)mtu);
	return mtu < 68 ? -EINVAL : 0;
}

static const struct vhostx_backend_ops ops = {
	.pause = ops_pause, .resume = ops_resume, .mapped = ops_mapped, .quiesce = ops_quiesce,
	.set_base = ops_set_base, .rewind = ops_rewind,
	.get_base = ops_get_base, .get_config = ops_get_config, .send_rarp = ops_send_rarp, .set_mtu = ops_set_mtu,
};

static inline int
setup(void **state)
{
	(void)state;
	files_before = files_open();
	trace[0] = '\0';
	logcap_clear(NULL);
	return vhostx_backend_init(&be, PORT, OFFERED, RINGS, &ops, &trace);
}

static inline int
teardown(void **state)
{
	(void)state;
	vhostx_backend_fini(&be);
	return vhostx_map_count() == 0 && files_open() == files_before ? 0 : -1;
}

/** The calls since the last look are these. */
static inline void
assert_trace(const char *expected)
{
	assert_string_equal(trace, expected);
	trace[0] = '\0';
}

/* --- rig: the front-end ----------------------------------------------------------------------- */

static inline int
event_file(void)
{
	const int fd = eventfd(0, EFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline int
memory_file(uint64_t size)
{
	const int fd = memfd_create("guest", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

/** Deliver a message as the socket does: what is not kept is closed. */
static inline enum vhostx_verdict
deliver(struct vhostx_msg *msg)
{
	enum vhostx_verdict verdict;

	memset(&reply, 0xee, sizeof(reply));
	verdict = vhostx_backend_handle(&be, msg, &reply);
	vhostx_msg_close_fds(msg);
	if (verdict == VHOSTX_REPLY) {
		assert_int_equal(reply.header.request, msg->header.request);
		assert_int_equal(reply.header.flags, VHOSTX_MSG_VERSION | VHOSTX_MSG_REPLY);
		assert_int_equal(reply.nr_fds, msg->header.request == VHOSTX_GET_INFLIGHT_FD);
	}
	return verdict;
}

/** A message with @a size bytes of @a payload; @a fd < 0: no file. */
static inline enum vhostx_verdict
say(uint32_t request, uint32_t flags, const void *payload, uint32_t size, int fd)
{
	struct vhostx_msg msg = {
		.header = { .request = request, .flags = VHOSTX_MSG_VERSION | flags, .size = size },
		.fds = { fd },
		.nr_fds = fd < 0 ? 0 : 1,
	};

	if (size != 0)
		memcpy(&msg.payload, payload, size);
	return deliver(&msg);
}

static enum vhostx_verdict
say_u64(uint32_t request, uint64_t value)
{
	return say(request, 0, &value, sizeof(value), -1);
}

static inline enum vhostx_verdict
say_state(uint32_t request, uint32_t index, uint32_t num)
{
	const struct vhostx_msg_vring_state state = { .index = index, .num = num };

	return say(request, 0, &state, sizeof(state), -1);
}

/** SET_VRING_KICK, _CALL or _ERR with a file. */
static inline enum vhostx_verdict
say_file(uint32_t request, uint64_t index)
{
	return say(request, 0, &index, sizeof(index), event_file());
}

static inline enum vhostx_verdict
say_addr(uint32_t index, uint32_t flags)
{
	const struct vhostx_msg_vring_addr addr = {
		.index = index, .flags = flags, .desc = 0x1000, .avail = 0x2000, .used = 0x3000,
		.log = 0x4000,
	};

	return say(VHOSTX_SET_VRING_ADDR, 0, &addr, sizeof(addr), -1);
}

static inline struct vhostx_msg_region
region_at(uint64_t gpa)
{
	return (struct vhostx_msg_region) { .gpa = gpa, .size = PAGE, .uva = gpa + 0x70000000 };
}

/** SET_MEM_TABLE of one page at @a gpa, in a file of @a file_size bytes. */
static inline enum vhostx_verdict
say_memory(uint64_t gpa, uint64_t file_size)
{
	const struct vhostx_msg_memory memory = { .nr = 1, .region[0] = region_at(gpa) };

	return say(VHOSTX_SET_MEM_TABLE, 0, &memory, 8 + 32, memory_file(file_size));
}

static inline enum vhostx_verdict
say_mem_reg(uint32_t request, uint64_t gpa, int fd)
{
	const struct vhostx_msg_mem_reg mem_reg = { .region = region_at(gpa) };

	return say(request, 0, &mem_reg, sizeof(mem_reg), fd);
}

/** The request has a reply of its own; its value. */
static inline uint64_t
ask(uint32_t request)
{
	assert_int_equal(say(request, 0, NULL, 0, -1), VHOSTX_REPLY);
	assert_int_equal(reply.header.size, 8);
	return reply.payload.u64;
}

/** As QEMU does first. */
static inline void
negotiate(uint64_t features)
{
	const uint64_t protocol = VHOSTX_PROTOCOL_FEATURES;

	assert_int_equal(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, protocol), VHOSTX_SILENT);
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, features), VHOSTX_SILENT);
	trace[0] = '\0';
}

/** Ring @a idx is started and enabled. */
static inline void
start_ring(uint32_t idx)
{
	assert_int_equal(say_state(VHOSTX_SET_VRING_NUM, idx, 256), VHOSTX_SILENT);
	assert_int_equal(say_addr(idx, 0), VHOSTX_SILENT);
	assert_int_equal(say_file(VHOSTX_SET_VRING_CALL, idx), VHOSTX_SILENT);
	assert_int_equal(say_file(VHOSTX_SET_VRING_KICK, idx), VHOSTX_SILENT);
	assert_int_equal(say_state(VHOSTX_SET_VRING_ENABLE, idx, 1), VHOSTX_SILENT);
	trace[0] = '\0';
}

/** The last message closed the connection, changed no ring, and one line says @a text. */
static inline void
assert_closed(enum vhostx_verdict verdict, const char *text)
{
	assert_int_equal(verdict, VHOSTX_CLOSE);
	assert_trace("");
	assert_int_equal(logcap_count("connection closed"), 1);
	assert_int_equal(logcap_count(PORT ": "), logcap_count("\n"));
	if (!logcap_has(text))
		fail_msg("\"%s\" is not in the log", text);
	logcap_clear(NULL);
}

/** The last message was acknowledged with @a value. */
static inline void
assert_acked(enum vhostx_verdict verdict, uint64_t value)
{
	assert_int_equal(verdict, VHOSTX_REPLY);
	assert_int_equal(reply.header.size, 8);
	assert_int_equal(reply.payload.u64, value);
}

/** A case with a back-end of its own. */
#define BACKEND_CASE(name) cmocka_unit_test_setup_teardown(test_backend_##name, setup, teardown)

#endif /* BACKEND_RIG_H */
