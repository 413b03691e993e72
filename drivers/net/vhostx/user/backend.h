/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: what the front-end has said so far, and the handlers that keep it.
 * No access to any ring: the owner stops and starts them.
 */
#ifndef VHOSTX_USER_BACKEND_H
#define VHOSTX_USER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_bitops.h>

#include "../mem/iotlb.h"
#include "../mem/log.h"
#include "../mem/inflight.h"
#include "../mem/region.h"
#include "../mem/uffd.h"
#include "msg.h"

/** Pages of one ring that can be asked for at once: those of any that QEMU makes. */
#define VHOSTX_VRING_MISSES 16u

/**
 * What the front-end has said of one ring: plain data, not trusted.
 *
 * | state    | how it is left                                                               |
 * |----------|------------------------------------------------------------------------------|
 * | stopped  | SET_VRING_KICK starts it                                                     |
 * | started  | GET_VRING_BASE, RESET_DEVICE, SET_STATUS 0 or the connection's end stop it   |
 *
 * A started ring is served if it is enabled; enabling is independent of starting. RESET_OWNER
 * disables.
 */
struct vhostx_vring {
	uint64_t desc_uva;  /**< front-end address of descriptors */
	uint64_t avail_uva; /**< front-end address of available ring, or driver area */
	uint64_t used_uva;  /**< front-end address of used ring, or device area */
	uint64_t log_addr;  /**< guest-physical address that stands for the used ring's in the log */
	uint32_t num;       /**< size in entries; 0: not said yet */
	int kickfd;         /**< -1: none (the front-end expects polling) */
	int callfd;         /**< -1: none (the guest polls) */
	int errfd;          /**< -1: none */
	bool has_addr;      /**< SET_VRING_ADDR was seen */
	bool log;           /**< it had VHOSTX_VRING_F_LOG: log_addr is valid */
	bool started;       /**< see the table; the owner clears it for a ring that a guest broke */
	bool enabled;       /**< SET_VRING_ENABLE, or no protocol features */
	/**
	 * Behind an IOMMU the addresses above are the device's own; a ring of which the IOTLB lacks parts is
	 * not built, and this tells what: each a vhostx_miss_word(), then 0. The owner writes it.
	 */
	uint64_t miss[VHOSTX_VRING_MISSES + 1];
};

/** What the front-end can learn of the device: the fields of virtio_net_config that exist here. */
struct vhostx_net_config {
	uint8_t mac[6];
	bool link;   /**< status: the link is up */
	uint16_t mtu; /**< bytes */
};

/** How the owner of the rings is told; called with the port mutex held, like the handlers. */
struct vhostx_backend_ops {
	/**
	 * Take ring @a idx from its poller: on return no burst uses its snapshot, memory or files.
	 * The cursors stay. Does nothing if it was not running.
	 */
	void (*pause)(void *ctx, uint16_t idx);
	/** The state of started ring @a idx changed: build a snapshot if all is there, run it. */
	void (*resume)(void *ctx, uint16_t idx);
	/** The IOTLB has the addresses from @a first to @a last, or, with no permission, there are none. */
	void (*mapped)(void *ctx, uint64_t first, uint64_t last, uint8_t perm);
	/** Something was taken out of the IOTLB: on return every burst that may use it has ended. */
	void (*quiesce)(void *ctx);
	/** Set the position of a paused ring (payload of SET_VRING_BASE). */
	void (*set_base)(void *ctx, uint16_t idx, uint32_t base);
	/** Put a paused ring back to its own beginning, whichever that is in its format. */
	void (*rewind)(void *ctx, uint16_t idx);
	/** The position of a paused ring (payload of GET_VRING_BASE's reply). */
	uint32_t (*get_base)(void *ctx, uint16_t idx);
	/** GET_CONFIG: fill @a config. */
	void (*get_config)(void *ctx, struct vhostx_net_config *config);
	/** SEND_RARP: announce the guest on the wire by the six bytes of this address. */
	void (*send_rarp)(void *ctx, const uint8_t *mac);
	/** NET_SET_MTU. @return 0, or -EINVAL if the value is refused. */
	int (*set_mtu)(void *ctx, uint64_t mtu);
};

/** The device as the front-end has described it. */
struct vhostx_backend {
	const char *name;           /**< the port's, for the log */
	const struct vhostx_backend_ops *ops;
	void *ctx;                  /**< handed to ops */
	uint64_t offered;           /**< what GET_FEATURES answers, bit PROTOCOL_FEATURES too */
	uint64_t features;          /**< negotiated by SET_FEATURES; a subset of offered */
	uint64_t protocol_offered;  /**< what GET_PROTOCOL_FEATURES answers; the owner may add to it */
	uint64_t protocol_features; /**< negotiated; a subset of protocol_offered */
	struct vhostx_mem *mem;     /**< NULL: no memory yet */
	uint32_t mem_changes;       /**< how often mem became another table */
	struct vhostx_log *log;     /**< SET_LOG_BASE; NULL: none */
	struct vhostx_inflight *inflight; /**< SET_INFLIGHT_FD; NULL: none */
	int logfd;                  /**< SET_LOG_FD; -1: none */
	struct vhostx_uffd *uffd;   /**< POSTCOPY_ADVISE; NULL: no post-copy is under way */
	bool local;                 /**< the front-end is in this process; the owner says so */
	bool listening;             /**< POSTCOPY_LISTEN: memory is filled while it is used */
	bool unacked;               /**< the front-end does not know yet where memory is: rings wait */
	int reqfd;                  /**< SET_BACKEND_REQ_FD: where back-end requests go; -1: nowhere */
	struct vhostx_iotlb *iotlb; /**< VIRTIO_F_ACCESS_PLATFORM was negotiated; NULL: it was not */
	uint16_t nr_vrings;         /**< twice the port's queue pairs */
	bool has_features;          /**< SET_FEATURES was seen */
	bool asked_features;        /**< GET_FEATURES was seen, and no SET_FEATURES that was right since */
	bool told_features;         /**< the log has that a front-end left in that state; of all connections */
	uint8_t status;             /**< virtio device status of SET_STATUS */
	struct vhostx_vring *vring; /**< [nr_vrings] */
};

/** Protocol features that every port offers. */
#define VHOSTX_PROTOCOL_FEATURES ( \
	RTE_BIT64(VHOSTX_PROTOCOL_F_MQ) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_LOG_SHMFD) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_RARP) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_REPLY_ACK) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_MTU) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_CONFIG) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_INFLIGHT_SHMFD) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_RESET_DEVICE) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_CONFIGURE_MEM_SLOTS) | \
	RTE_BIT64(VHOSTX_PROTOCOL_F_STATUS))

/** The virtio feature bit of a guest whose device addresses go through an IOMMU: VIRTIO_F_ACCESS_PLATFORM. */
#define VHOSTX_F_ACCESS_PLATFORM 33

/** What to do with the connection after a message. */
enum vhostx_verdict {
	VHOSTX_SILENT, /**< no reply */
	VHOSTX_REPLY,  /**< send the reply */
	VHOSTX_CLOSE,  /**< close the connection; the reason is in the log */
};

/**
 * Prepare the state for @a nr_vrings rings.
 * @return 0 or -ENOMEM.
 */
int vhostx_backend_init(struct vhostx_backend *be, const char *name, uint64_t offered,
	uint16_t nr_vrings, const struct vhostx_backend_ops *ops, void *ctx);

/** Will the message be handled, as far as its form tells and what was agreed? What it says may still be refused. */
bool vhostx_backend_serves(const struct vhostx_backend *be, const struct vhostx_msg *msg);

/**
 * Handle one message: check it, change the state, pausing and resuming the rings that it concerns.
 * Files that are kept are taken out of @a msg, the others stay for vhostx_msg_close_fds().
 *
 * A request that fails, or that nobody knows, is answered by a non-zero payload if the sender asked
 * for an acknowledgement (REPLY_ACK), else, or where the request has a reply of its own, the
 * connection is to be closed; a malformed one closes it always. Each of these writes one log line.
 *
 * @param reply  filled when VHOSTX_REPLY is returned: header, and header.size bytes of payload.
 */
enum vhostx_verdict vhostx_backend_handle(struct vhostx_backend *be, struct vhostx_msg *msg,
	struct vhostx_msg *reply);

/** The connection ended: pause every ring and forget all that was said. */
void vhostx_backend_reset(struct vhostx_backend *be);

/** As reset, and free what init allocated. */
void vhostx_backend_fini(struct vhostx_backend *be);

#endif /* VHOSTX_USER_BACKEND_H */
