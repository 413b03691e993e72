/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What an application asks of a ring apart from bursts: how full it is, a wake-up when something comes,
 * an address to watch. Any thread may ask, also while another polls the queue.
 */
#ifndef VHOSTX_RING_INSPECT_H
#define VHOSTX_RING_INSPECT_H

#include "queue.h"

/** A word of guest memory that changes when the guest offers the next chain. */
struct vhostx_watch {
	const void *addr;        /**< of size bytes; stays mapped while map is held */
	uint8_t size;            /**< 2 */
	uint16_t mask;           /**< bits that matter */
	uint16_t match;          /**< their value when there is something to fetch, or when there is not */
	bool until_differs;      /**< wake when (word & mask) != match, else when it is equal */
	struct vhostx_map *map;  /**< a reference for the caller to put back */
};

/**
 * Entries that the guest has offered and that were not fetched: packets to receive, or buffers to send
 * into. A packed ring is counted entry by entry.
 * @return 0 if the queue is down, or the ring is broken or disabled; at most the ring's size.
 */
uint32_t vhostx_queue_pending(struct vhostx_queue *queue);

/**
 * Has the guest offered the entry that is @a offset entries ahead of the next one to fetch?
 * @return 1 or 0; -EINVAL if the ring has no so many entries; -ENODEV if the queue is down, or the ring is
 *   broken or disabled.
 */
int vhostx_queue_offers(struct vhostx_queue *queue, uint16_t offset);

/**
 * The same of a built snapshot, whoever has the ring: for the holder of the port mutex. While a burst
 * runs the number is of some moment of it, of a packed ring that passes its end perhaps too small.
 */
uint32_t vhostx_ring_pending(const struct vhostx_snapshot *snap);

/**
 * Ask the guest for kicks. If it has offered something meanwhile, or the ring comes up later, the
 * queue's evfd is signalled.
 */
void vhostx_queue_intr_on(struct vhostx_queue *queue);

/** Ask the guest for no kicks. */
void vhostx_queue_intr_off(struct vhostx_queue *queue);

/** Where to look for the next chain. @return 0, or -ENODEV if the queue is down. */
int vhostx_queue_watch(struct vhostx_queue *queue, struct vhostx_watch *watch);

#endif /* VHOSTX_RING_INSPECT_H */
