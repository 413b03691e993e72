/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The device arguments: a string becomes a checked struct, every wrong value a named error.
 */
#ifndef VHOSTX_ARGS_H
#define VHOSTX_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include <rte_ether.h>

#include "user/sock_path.h"

/** Most queue pairs of a port: the ring index of the SET_VRING_KICK payload has 8 bits. */
#define VHOSTX_MAX_PAIRS 128

/** Shorter packets cost less to copy than to lend, as measured, bytes: default of zc-threshold. */
#define VHOSTX_ZC_THRESHOLD 2048
/** Default of zc-inflight, percent: the guest works on with the other half of its ring. */
#define VHOSTX_ZC_INFLIGHT_PERCENT 50
/** Default of zc-deadline, and its largest value, ms: front-ends lose patience as well. */
#define VHOSTX_ZC_DEADLINE 50
#define VHOSTX_ZC_DEADLINE_MAX 10000

/** What RTE_PMD_REGISTER_PARAM_STRING tells of the arguments. */
#define VHOSTX_PARAM_STRING \
	"iface=<path> " \
	"queues=<1-128> " \
	"client=<0|1> " \
	"linear-buffer=<0|1> " \
	"ext-buffer=<0|1> " \
	"tso=<0|1> " \
	"legacy-ol-flags=<0|1> " \
	"postcopy-support=<0|1> " \
	"iommu-support=<0|1> " \
	"dequeue-zero-copy=<0|1> " \
	"zc-threshold=<bytes> " \
	"zc-inflight=<1-100> " \
	"zc-deadline=<ms> " \
	"zc-dma=<0|1> " \
	"mac=<xx:xx:xx:xx:xx:xx> " \
	"mtu=<68-65535> " \
	"numa=<node> " \
	"owner=<user> " \
	"group=<group> " \
	"mode=<octal> " \
	"state-dir=<folder|none>"

/** Checked device arguments; defaults are those of net_vhost. */
struct vhostx_args {
	char iface[sizeof(((struct sockaddr_un *)0)->sun_path)]; /**< socket path; mandatory */
	uint16_t queues;    /**< queue pairs, 1 to VHOSTX_MAX_PAIRS; default 1 */
	bool client;        /**< connect to the socket instead of listening; default 0 */
	bool linear_buffer; /**< received packets have one segment; default 0 */
	bool ext_buffer;    /**< a packet too long for its mbuf gets one large buffer; default 0 */
	bool tso;           /**< the guest may send packets that are to be segmented; default 0 */
	bool legacy_ol_flags; /**< offloads of received packets are told by transmit flags; default 0 */
	bool iommu_support;     /**< the guest's device may be behind an IOMMU; default 0 */
	bool dequeue_zero_copy; /**< received packets are the guest's own buffers; default 0 */
	bool postcopy;          /**< the guest may run here before its memory is; default 0 */
	uint32_t zc_threshold;  /**< bytes of a packet from which on it is not copied */
	uint8_t zc_inflight;    /**< percent of a ring that may be out */
	uint32_t zc_deadline;   /**< ms that the front-end may be kept waiting for packets that are out */
	bool zc_dma;            /**< what is not copied may go to physical devices; default 1 */
	bool zc_tuned;          /**< one of the three numbers was given */
	bool has_mac;                 /**< mac was given */
	struct rte_ether_addr mac;    /**< of the port; default 56:48:4f:53:54 and the port's id */
	uint16_t mtu;                 /**< that the port begins with, RTE_ETHER_MIN_MTU on; default 0: 1500 */
	int numa;                     /**< node of the port; default -1: that of the guest's memory */
	bool no_state;                /**< state-dir=none: nothing outlives the process; default 0 */
	char state_dir[256];          /**< folder of the state file; default "": one in memory is found */
	struct vhostx_sock_perm perm; /**< of the socket's file; default: the process's own */
};

/** Must every received packet fit one mbuf of the application's pool? */
static inline bool
vhostx_args_one_mbuf(const struct vhostx_args *args)
{
	return args->linear_buffer && !args->ext_buffer;
}

/**
 * Parse and check @a str ("key=value,..."), the arguments of port @a name.
 *
 * Every error writes one log line with the key, the value and what is allowed; so does tso=1 where it has no effect.
 *
 * @return 0; -EINVAL (unknown key, wrong value, no iface, iface under /dev/vduse); -ENAMETOOLONG
 *   (iface longer than a UNIX socket address holds); -ENOMEM.
 */
int vhostx_args_parse(struct vhostx_args *args, const char *name, const char *str);

#endif /* VHOSTX_ARGS_H */
