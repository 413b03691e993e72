/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The table of messages, and the check of every message against it.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "msg.h"

/* They are copied from and to the socket as they are. */
static_assert(sizeof(struct vhostx_msg_header) == 12, "header on the wire");
static_assert(sizeof(struct vhostx_msg_vring_state) == 8, "vring state on the wire");
static_assert(sizeof(struct vhostx_msg_vring_addr) == 40, "vring address on the wire");
static_assert(offsetof(struct vhostx_msg_memory, region) == 8, "memory table on the wire");
static_assert(sizeof(struct vhostx_msg_region) == 32, "memory region on the wire");
static_assert(sizeof(struct vhostx_msg_mem_reg) == 40, "single memory region on the wire");
static_assert(sizeof(struct vhostx_msg_log) == 16, "log description on the wire");
static_assert(sizeof(struct vhostx_msg_iotlb) == 32, "IOTLB message on the wire");
static_assert(offsetof(struct vhostx_msg_config, bytes) == 12, "config space on the wire");

/* What a message of one request looks like. */
struct msg_rule {
	const char *name; /* NULL: no such request */
	bool served;      /* else it is known by name only, for the log */
	bool reply;       /* it has a reply of its own */
	bool longer;      /* size is that of the shortest payload */
	uint8_t min_fds;
	uint8_t max_fds;
	uint8_t feature;  /* protocol feature that it needs; 0: none, as MQ gates nothing */
	uint16_t size;    /* bytes of payload */
};

#define U64 sizeof(uint64_t)
#define INFLIGHT (offsetof(struct vhostx_msg_inflight, queue_size) + sizeof(uint16_t))
#define STATE sizeof(struct vhostx_msg_vring_state)
#define CONFIG offsetof(struct vhostx_msg_config, bytes)
#define IOTLB offsetof(struct vhostx_msg_iotlb, padding)

static const struct msg_rule msg_rules[] = {
	[VHOSTX_GET_FEATURES] = { .name = "GET_FEATURES", .served = true, .reply = true },
	[VHOSTX_SET_FEATURES] = { .name = "SET_FEATURES", .served = true, .size = U64 },
	[VHOSTX_SET_OWNER] = { .name = "SET_OWNER", .served = true },
	[VHOSTX_RESET_OWNER] = { .name = "RESET_OWNER", .served = true },
	[VHOSTX_SET_MEM_TABLE] = { .name = "SET_MEM_TABLE", .served = true,
		.longer = true, .min_fds = 1, .max_fds = VHOSTX_MSG_FDS,
		.size = offsetof(struct vhostx_msg_memory, region[1]) },
	/* Without LOG_SHMFD it has an address of the front-end's own memory, which is of no use here. */
	[VHOSTX_SET_LOG_BASE] = { .name = "SET_LOG_BASE", .served = true, .reply = true,
		.min_fds = 1, .max_fds = 1, .size = sizeof(struct vhostx_msg_log),
		.feature = VHOSTX_PROTOCOL_F_LOG_SHMFD },
	[VHOSTX_SET_LOG_FD] = { .name = "SET_LOG_FD", .served = true, .min_fds = 1, .max_fds = 1 },
	[VHOSTX_SET_VRING_NUM] = { .name = "SET_VRING_NUM", .served = true, .size = STATE },
	[VHOSTX_SET_VRING_ADDR] = { .name = "SET_VRING_ADDR", .served = true,
		.size = sizeof(struct vhostx_msg_vring_addr) },
	[VHOSTX_SET_VRING_BASE] = { .name = "SET_VRING_BASE", .served = true, .size = STATE },
	[VHOSTX_GET_VRING_BASE] = { .name = "GET_VRING_BASE", .served = true,
		.reply = true, .size = STATE },
	[VHOSTX_SET_VRING_KICK] = { .name = "SET_VRING_KICK", .served = true,
		.max_fds = 1, .size = U64 },
	[VHOSTX_SET_VRING_CALL] = { .name = "SET_VRING_CALL", .served = true,
		.max_fds = 1, .size = U64 },
	[VHOSTX_SET_VRING_ERR] = { .name = "SET_VRING_ERR", .served = true,
		.max_fds = 1, .size = U64 },
	[VHOSTX_GET_PROTOCOL_FEATURES] = { .name = "GET_PROTOCOL_FEATURES", .served = true,
		.reply = true },
	[VHOSTX_SET_PROTOCOL_FEATURES] = { .name = "SET_PROTOCOL_FEATURES", .served = true,
		.size = U64 },
	[VHOSTX_GET_QUEUE_NUM] = { .name = "GET_QUEUE_NUM", .served = true, .reply = true },
	[VHOSTX_SET_VRING_ENABLE] = { .name = "SET_VRING_ENABLE", .served = true, .size = STATE },
	[VHOSTX_SEND_RARP] = { .name = "SEND_RARP", .served = true, .size = U64,
		.feature = VHOSTX_PROTOCOL_F_RARP },
	[VHOSTX_NET_SET_MTU] = { .name = "NET_SET_MTU", .served = true, .size = U64,
		.feature = VHOSTX_PROTOCOL_F_MTU },
	[VHOSTX_SET_BACKEND_REQ_FD] = { .name = "SET_BACKEND_REQ_FD", .served = true,
		.min_fds = 1, .max_fds = 1, .feature = VHOSTX_PROTOCOL_F_BACKEND_REQ },
	[VHOSTX_IOTLB_MSG] = { .name = "IOTLB_MSG", .served = true, .longer = true, .size = IOTLB },
	[23] = { .name = "SET_VRING_ENDIAN" },
	[VHOSTX_GET_CONFIG] = { .name = "GET_CONFIG", .served = true, .reply = true, .longer = true,
		.size = CONFIG, .feature = VHOSTX_PROTOCOL_F_CONFIG },
	[VHOSTX_SET_CONFIG] = { .name = "SET_CONFIG", .served = true, .longer = true,
		.size = CONFIG, .feature = VHOSTX_PROTOCOL_F_CONFIG },
	[26] = { .name = "CREATE_CRYPTO_SESSION" },
	[27] = { .name = "CLOSE_CRYPTO_SESSION" },
	[VHOSTX_POSTCOPY_ADVISE] = { .name = "POSTCOPY_ADVISE", .served = true, .reply = true,
		.feature = VHOSTX_PROTOCOL_F_PAGEFAULT },
	[VHOSTX_POSTCOPY_LISTEN] = { .name = "POSTCOPY_LISTEN", .served = true,
		.feature = VHOSTX_PROTOCOL_F_PAGEFAULT },
	[VHOSTX_POSTCOPY_END] = { .name = "POSTCOPY_END", .served = true, .reply = true,
		.feature = VHOSTX_PROTOCOL_F_PAGEFAULT },
	[VHOSTX_GET_INFLIGHT_FD] = { .name = "GET_INFLIGHT_FD", .served = true, .reply = true, .longer = true,
		.size = INFLIGHT, .feature = VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD },
	[VHOSTX_SET_INFLIGHT_FD] = { .name = "SET_INFLIGHT_FD", .served = true, .min_fds = 1, .max_fds = 1,
		.longer = true, .size = INFLIGHT, .feature = VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD },
	[33] = { .name = "GPU_SET_SOCKET" },
	[VHOSTX_RESET_DEVICE] = { .name = "RESET_DEVICE", .served = true,
		.feature = VHOSTX_PROTOCOL_F_RESET_DEVICE },
	[35] = { .name = "VRING_KICK" },
	[VHOSTX_GET_MAX_MEM_SLOTS] = { .name = "GET_MAX_MEM_SLOTS", .served = true, .reply = true,
		.feature = VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	[VHOSTX_ADD_MEM_REG] = { .name = "ADD_MEM_REG", .served = true, .min_fds = 1, .max_fds = 1,
		.size = sizeof(struct vhostx_msg_mem_reg),
		.feature = VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	/* "For compatibility with existing incorrect implementations" one file may come along. */
	[VHOSTX_REM_MEM_REG] = { .name = "REM_MEM_REG", .served = true, .max_fds = 1,
		.size = sizeof(struct vhostx_msg_mem_reg),
		.feature = VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS },
	[VHOSTX_SET_STATUS] = { .name = "SET_STATUS", .served = true, .size = U64,
		.feature = VHOSTX_PROTOCOL_F_STATUS },
	[VHOSTX_GET_STATUS] = { .name = "GET_STATUS", .served = true, .reply = true,
		.feature = VHOSTX_PROTOCOL_F_STATUS },
	[41] = { .name = "GET_SHARED_OBJECT" },
	[42] = { .name = "SET_DEVICE_STATE_FD" },
	[43] = { .name = "CHECK_DEVICE_STATE" },
	[44] = { .name = "GET_SHMEM_CONFIG" },
};

/* The rule of a request, or NULL if the specification has none. */
static const struct msg_rule *
msg_rule(uint32_t request)
{
	if (request >= RTE_DIM(msg_rules) || msg_rules[request].name == NULL)
		return NULL;
	return &msg_rules[request];
}

/* SET_MEM_TABLE: as many regions as files, and a payload that ends with the last region. */
static int
msg_check_memory(const struct vhostx_msg *msg, const char **why)
{
	const uint32_t nr = msg->payload.memory.nr;

	if (nr != msg->nr_fds) {
		*why = "there is not one file for each memory region";
		return -EPROTO;
	}
	if (msg->header.size != offsetof(struct vhostx_msg_memory, region) +
			nr * sizeof(struct vhostx_msg_region)) {
		*why = "the payload does not have the size of its memory regions";
		return -EPROTO;
	}
	return 0;
}

/* GET_CONFIG and SET_CONFIG: as many bytes as they say. */
static int
msg_check_config(const struct vhostx_msg *msg, const char **why)
{
	const uint32_t size = msg->payload.config.size;

	if (size <= VHOSTX_CONFIG_MAX && msg->header.size == CONFIG + size)
		return 0;
	*why = "the payload does not have the size of its piece of configuration";
	return -EPROTO;
}

/* GET_INFLIGHT_FD, SET_INFLIGHT_FD: with the padding of a C struct or without. */
static int
msg_check_inflight(const struct vhostx_msg *msg, const char **why)
{
	if (msg->header.size == INFLIGHT || msg->header.size == sizeof(struct vhostx_msg_inflight))
		return 0;
	*why = "the payload does not have the size of that request";
	return -EPROTO;
}

/* IOTLB_MSG: a C struct, which some send without the padding at its end. */
static int
msg_check_iotlb(const struct vhostx_msg *msg, const char **why)
{
	if (msg->header.size == IOTLB || msg->header.size == sizeof(struct vhostx_msg_iotlb))
		return 0;
	*why = "the payload does not have the size of an IOTLB message";
	return -EPROTO;
}

/* SET_VRING_KICK, _CALL, _ERR: one file, or the flag that says that there is none. */
static int
msg_check_vring_file(const struct vhostx_msg *msg, const char **why)
{
	const bool no_fd = (msg->payload.u64 & VHOSTX_MSG_VRING_NOFD) != 0;

	if ((msg->payload.u64 & ~(uint64_t)(VHOSTX_MSG_VRING_MASK | VHOSTX_MSG_VRING_NOFD)) != 0) {
		*why = "the payload has bits beside ring index and no-file flag";
		return -EPROTO;
	}
	if (msg->nr_fds != (no_fd ? 0 : 1)) {
		*why = "there is not one file, or not none where the flag says so";
		return -EPROTO;
	}
	return 0;
}

const char *
vhostx_msg_name(uint32_t request)
{
	const struct msg_rule *rule = msg_rule(request);

	return rule == NULL ? "unknown" : rule->name;
}

int
vhostx_msg_check(const struct vhostx_msg *msg, const char **why)
{
	const struct msg_rule *rule = msg_rule(msg->header.request);
	const uint32_t size = msg->header.size;

	if ((msg->header.flags & VHOSTX_MSG_VERSION_MASK) != VHOSTX_MSG_VERSION) {
		*why = "the protocol version is not 1";
		return -EPROTO;
	}
	if ((msg->header.flags & VHOSTX_MSG_REPLY) != 0) {
		*why = "a reply to a request that nobody sent";
		return -EPROTO;
	}
	if (rule == NULL || !rule->served) {
		*why = "this driver does not serve that request";
		return -ENOSYS;
	}
	if (size < rule->size || (size > rule->size && !rule->longer)) {
		*why = "the payload does not have the size of that request";
		return -EPROTO;
	}
	if (msg->nr_fds < rule->min_fds || msg->nr_fds > rule->max_fds) {
		*why = "too many or too few files";
		return -EPROTO;
	}
	switch (msg->header.request) {
	case VHOSTX_SET_MEM_TABLE:
		return msg_check_memory(msg, why);
	case VHOSTX_GET_INFLIGHT_FD:
	case VHOSTX_SET_INFLIGHT_FD:
		return msg_check_inflight(msg, why);
	case VHOSTX_GET_CONFIG:
	case VHOSTX_SET_CONFIG:
		return msg_check_config(msg, why);
	case VHOSTX_IOTLB_MSG:
		return msg_check_iotlb(msg, why);
	case VHOSTX_SET_VRING_KICK:
	case VHOSTX_SET_VRING_CALL:
	case VHOSTX_SET_VRING_ERR:
		return msg_check_vring_file(msg, why);
	default:
		return 0;
	}
}

int
vhostx_msg_protocol_feature(uint32_t request)
{
	const struct msg_rule *rule = msg_rule(request);

	return rule == NULL || rule->feature == 0 ? -1 : rule->feature;
}

bool
vhostx_msg_has_reply(uint32_t request)
{
	const struct msg_rule *rule = msg_rule(request);

	return rule != NULL && rule->reply;
}

void
vhostx_msg_close_fds(struct vhostx_msg *msg)
{
	for (unsigned int i = 0; i < msg->nr_fds; i++) {
		if (msg->fds[i] >= 0)
			close(msg->fds[i]);
	}
	msg->nr_fds = 0;
}
