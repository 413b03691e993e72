/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What a program may ask of a net_vhostx port beyond ethdev: the counterpart of rte_eth_vhost.h.
 */
#ifndef RTE_ETH_VHOSTX_H
#define RTE_ETH_VHOSTX_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A queue that the guest switched on or off. */
struct rte_eth_vhostx_queue_event {
	uint16_t queue_id; /**< ethdev queue, from 0 */
	bool rx;           /**< an rx queue (the guest transmits), else a tx queue */
	bool enable;       /**< it is on now */
};

/**
 * Take the next change of a queue that was not told yet: call it from a callback of
 * RTE_ETH_EVENT_QUEUE_STATE until it returns an error. Changes that undo each other are not told.
 *
 * @return 0; -ENOENT if there is none; -EINVAL if @a port_id is no net_vhostx port of this (primary)
 *   process, or @a event is NULL.
 */
int rte_eth_vhostx_get_queue_event(uint16_t port_id, struct rte_eth_vhostx_queue_event *event);

/** What a port is connected to. */
struct rte_eth_vhostx_info {
	const char *iface;          /**< socket path; valid until the port is closed */
	bool client;                /**< the port connects, else it listens */
	bool connected;             /**< a front-end is there */
	uint64_t features;          /**< virtio features that it negotiated, bit by bit */
	uint64_t protocol_features; /**< vhost-user protocol features that it negotiated */
	uint16_t nr_regions;        /**< memory regions of the guest, 0 to 509 */
};

/**
 * Describe a port's connection.
 * @return 0; -EINVAL if @a port_id is no net_vhostx port of this (primary) process, or @a info is NULL.
 */
int rte_eth_vhostx_get_info(uint16_t port_id, struct rte_eth_vhostx_info *info);

#ifdef __cplusplus
}
#endif

#endif /* RTE_ETH_VHOSTX_H */
