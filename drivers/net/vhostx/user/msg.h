/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The vhost-user messages: wire structs, and the table that every message is checked against before
 * a handler sees it. Source: vhost-user specification of QEMU ("Vhost-user Protocol").
 */
#ifndef VHOSTX_USER_MSG_H
#define VHOSTX_USER_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

/** Most files that come with one message ("at most 8"), and most regions in SET_MEM_TABLE. */
#define VHOSTX_MSG_FDS 8
/** Protocol version in the header's flags. */
#define VHOSTX_MSG_VERSION 0x1u
#define VHOSTX_MSG_VERSION_MASK 0x3u
#define VHOSTX_MSG_REPLY 0x4u      /**< set on every reply */
#define VHOSTX_MSG_NEED_REPLY 0x8u /**< REPLY_ACK: the sender wants an acknowledgement */
/** Ring index and "no file" flag of the SET_VRING_KICK, _CALL and _ERR payloads. */
#define VHOSTX_MSG_VRING_MASK 0xffu
#define VHOSTX_MSG_VRING_NOFD 0x100u

/** Front-end requests (id as in the specification; those that are served). */
enum vhostx_request {
	VHOSTX_GET_FEATURES = 1,
	VHOSTX_SET_FEATURES = 2,
	VHOSTX_SET_OWNER = 3,
	VHOSTX_RESET_OWNER = 4,
	VHOSTX_SET_MEM_TABLE = 5,
	VHOSTX_SET_LOG_BASE = 6,
	VHOSTX_SET_LOG_FD = 7,
	VHOSTX_SET_VRING_NUM = 8,
	VHOSTX_SET_VRING_ADDR = 9,
	VHOSTX_SET_VRING_BASE = 10,
	VHOSTX_GET_VRING_BASE = 11,
	VHOSTX_SET_VRING_KICK = 12,
	VHOSTX_SET_VRING_CALL = 13,
	VHOSTX_SET_VRING_ERR = 14,
	VHOSTX_GET_PROTOCOL_FEATURES = 15,
	VHOSTX_SET_PROTOCOL_FEATURES = 16,
	VHOSTX_GET_QUEUE_NUM = 17,
	VHOSTX_SET_VRING_ENABLE = 18,
	VHOSTX_SEND_RARP = 19,
	VHOSTX_NET_SET_MTU = 20,
	VHOSTX_SET_BACKEND_REQ_FD = 21,
	VHOSTX_IOTLB_MSG = 22,
	VHOSTX_GET_CONFIG = 24,
	VHOSTX_SET_CONFIG = 25,
	VHOSTX_POSTCOPY_ADVISE = 28,
	VHOSTX_POSTCOPY_LISTEN = 29,
	VHOSTX_POSTCOPY_END = 30,
	VHOSTX_GET_INFLIGHT_FD = 31,
	VHOSTX_SET_INFLIGHT_FD = 32,
	VHOSTX_RESET_DEVICE = 34,
	VHOSTX_GET_MAX_MEM_SLOTS = 36,
	VHOSTX_ADD_MEM_REG = 37,
	VHOSTX_REM_MEM_REG = 38,
	VHOSTX_SET_STATUS = 39,
	VHOSTX_GET_STATUS = 40,
};

/** Back-end requests, which go the other way, on a channel of their own. */
enum vhostx_backend_request {
	VHOSTX_BACKEND_IOTLB_MSG = 1,
};

/** Protocol feature bits. */
#define VHOSTX_PROTOCOL_F_MQ 0
#define VHOSTX_PROTOCOL_F_LOG_SHMFD 1
#define VHOSTX_PROTOCOL_F_RARP 2
#define VHOSTX_PROTOCOL_F_REPLY_ACK 3
#define VHOSTX_PROTOCOL_F_MTU 4
#define VHOSTX_PROTOCOL_F_BACKEND_REQ 5
#define VHOSTX_PROTOCOL_F_PAGEFAULT 8
#define VHOSTX_PROTOCOL_F_CONFIG 9
#define VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD 12
#define VHOSTX_PROTOCOL_F_RESET_DEVICE 13
#define VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS 15
#define VHOSTX_PROTOCOL_F_STATUS 16
/** The virtio feature bit that turns the dirty log on. */
#define VHOSTX_F_LOG_ALL 26
/** The virtio feature bit that tells that protocol features exist. */
#define VHOSTX_F_PROTOCOL_FEATURES 30

/** "A vring state description". */
struct vhostx_msg_vring_state {
	uint32_t index; /**< ring */
	uint32_t num;   /**< size, base or switch, by request */
};

/** Flag of a vring address description: log writes to the used ring. */
#define VHOSTX_VRING_F_LOG 0x1u

/** "A vring address description". */
struct vhostx_msg_vring_addr {
	uint32_t index; /**< ring */
	uint32_t flags; /**< VHOSTX_VRING_F_LOG */
	uint64_t desc;  /**< front-end address of the descriptors */
	uint64_t used;  /**< front-end address of the used ring, or device area */
	uint64_t avail; /**< front-end address of the available ring, or driver area */
	uint64_t log;   /**< guest-physical address to log the used ring at */
};

/** A region of "memory regions description". */
struct vhostx_msg_region {
	uint64_t gpa;         /**< guest address */
	uint64_t size;        /**< bytes */
	uint64_t uva;         /**< user address */
	uint64_t mmap_offset; /**< where the region starts in the file, bytes */
};

/** "Memory regions description". */
struct vhostx_msg_memory {
	uint32_t nr;      /**< regions that follow */
	uint32_t padding;
	struct vhostx_msg_region region[VHOSTX_MSG_FDS]; /**< [nr] */
};

/** "Single memory region description". */
struct vhostx_msg_mem_reg {
	uint64_t padding;
	struct vhostx_msg_region region;
};

/** "Log description". */
struct vhostx_msg_log {
	uint64_t size;   /**< bytes of the bitmap */
	uint64_t offset; /**< where it starts in the file, bytes */
};

/** Types of an IOTLB message. */
enum vhostx_iotlb_type {
	VHOSTX_IOTLB_MISS = 1,       /**< to the front-end: the device wants this address */
	VHOSTX_IOTLB_UPDATE = 2,     /**< here it is */
	VHOSTX_IOTLB_INVALIDATE = 3, /**< it is not valid any more */
};

/** "An IOTLB message". */
struct vhostx_msg_iotlb {
	uint64_t iova; /**< I/O virtual address that the guest gave its device */
	uint64_t size; /**< bytes */
	uint64_t uva;  /**< user address of an update */
	uint8_t perm;  /**< 1: read, 2: write */
	uint8_t type;  /**< enum vhostx_iotlb_type */
	uint8_t padding[6];
};

/** Flag of a configuration message: it brings what another host had. */
#define VHOSTX_CONFIG_F_MIGRATION 0x1u
/** Longest piece of configuration space that a message carries, bytes. */
#define VHOSTX_CONFIG_MAX 256

/** "Virtio device config space". */
struct vhostx_msg_config {
	uint32_t offset; /**< in the configuration space, bytes */
	uint32_t size;   /**< bytes that follow */
	uint32_t flags;  /**< VHOSTX_CONFIG_F_MIGRATION, or 0: the guest writes */
	uint8_t bytes[VHOSTX_CONFIG_MAX]; /**< [size] */
};

/** "Inflight description": 20 bytes, which front-ends written in C pad to the struct's 24. */
struct vhostx_msg_inflight {
	uint64_t mmap_size;   /**< bytes of the buffer */
	uint64_t mmap_offset; /**< where it begins in the file, bytes */
	uint16_t num_queues;  /**< rings */
	uint16_t queue_size;  /**< entries of each */
};

/** A message's header, as on the wire. */
struct vhostx_msg_header {
	uint32_t request; /**< enum vhostx_request, or anything */
	uint32_t flags;   /**< version, reply, need reply */
	uint32_t size;    /**< bytes of payload that follow */
};

/** A message's payload. */
union vhostx_msg_payload {
	uint64_t u64;
	struct vhostx_msg_vring_state state;
	struct vhostx_msg_vring_addr addr;
	struct vhostx_msg_memory memory;
	struct vhostx_msg_mem_reg mem_reg;
	struct vhostx_msg_inflight inflight;
	struct vhostx_msg_log log;
	struct vhostx_msg_iotlb iotlb;
	struct vhostx_msg_config config;
	uint8_t bytes[512]; /**< the longest payload that is taken off the socket */
};

/** A message with its files. */
struct vhostx_msg {
	struct vhostx_msg_header header;
	union vhostx_msg_payload payload; /**< header.size bytes of it are valid */
	int fds[VHOSTX_MSG_FDS]; /**< [nr_fds]; whoever keeps one puts -1 in its place */
	unsigned int nr_fds;     /**< 0 to VHOSTX_MSG_FDS */
};

/** Name of a request for the log ("SET_MEM_TABLE"), "unknown" if it is none. */
const char *vhostx_msg_name(uint32_t request);

/**
 * Check a message against the table: known, version 1, no reply flag, payload of exactly the size,
 * as many files as the request takes.
 *
 * @param why  set to a sentence for the log on error.
 * @return 0; -ENOSYS for an unknown request; -EPROTO for a malformed one.
 */
int vhostx_msg_check(const struct vhostx_msg *msg, const char **why);

/**
 * The protocol feature that must have been negotiated before this request is legal.
 * @return its bit, or -1 if there is none.
 */
int vhostx_msg_protocol_feature(uint32_t request);

/** Does the request have a reply of its own (so that need_reply changes nothing)? */
bool vhostx_msg_has_reply(uint32_t request);

/** Close the files that nobody kept. */
void vhostx_msg_close_fds(struct vhostx_msg *msg);

#endif /* VHOSTX_USER_MSG_H */
