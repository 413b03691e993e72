/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * An ethdev queue as its poller sees it: the door between cold and hot side, and the counters.
 */
#ifndef VHOSTX_RING_QUEUE_H
#define VHOSTX_RING_QUEUE_H

#include <rte_atomic.h>
#include <rte_mempool.h>

#include "snapshot.h"
#include "zerocopy.h"

/** Why a packet or a ring was given up. Chain and packet causes drop one packet, ring causes stop it. */
enum vhostx_cause {
	VHOSTX_NO_CAUSE,
	/* A chain of the guest is wrong: it goes back to the guest, its packet is lost. */
	VHOSTX_BAD_ADDRESS,   /**< a buffer or an indirect table is not in guest memory */
	VHOSTX_BAD_DIRECTION, /**< a buffer to be read is writable, or the reverse */
	VHOSTX_BAD_INDIRECT,  /**< table nested, empty, of odd length, or not negotiated */
	VHOSTX_BAD_CHAIN,     /**< next past the table, a loop, or more segments than are taken */
	VHOSTX_BAD_LENGTH,    /**< not longer than the header, or over 4 GiB */
	/* A packet is given up. */
	VHOSTX_OVERSIZE,      /**< longer than the guest's buffers, or than one mbuf if linear */
	VHOSTX_RUNT,          /**< tx: too short for the VLAN tag that it asks for */
	VHOSTX_DISABLED,      /**< the guest sent it on a ring that is started but not enabled */
	/* Of these, the first six are the guest's virtio-net header, the others the application's mbuf. */
	VHOSTX_BAD_CSUM,      /**< a checksum outside the packet, or not negotiated */
	VHOSTX_BAD_GSO_TYPE,  /**< unknown segmentation, or not negotiated */
	VHOSTX_BAD_GSO_SIZE,  /**< segments of 0 bytes */
	VHOSTX_BAD_GSO_CSUM,  /**< segmentation without a checksum to make */
	VHOSTX_BAD_HDR_LEN,   /**< segmentation with headers longer than the packet */
	VHOSTX_BAD_GSO_PACKET, /**< segmentation of a packet that is not of that kind */
	VHOSTX_BAD_REQUEST,   /**< tx: header lengths that do not fit the packet and its flags */
	VHOSTX_NO_UFO,        /**< tx: a UDP packet to be cut, which only the guest could have done */
	/* The ring is wrong: it stops until the front-end starts it again. */
	VHOSTX_BAD_HEAD,      /**< a head past the descriptor table, or a chain without an end */
	VHOSTX_BAD_INDEX,     /**< the available index ran more than a ring ahead */
	VHOSTX_CAUSES,
	/* None of them, and nothing is wrong. */
	VHOSTX_MISS,          /**< the IOTLB lacks a part of the chain, which stays on the ring until it has it */
};

/** Classes of packet length: below 64, 64, 65, 128, 256, 512, 1024 to 1518 and above. */
#define VHOSTX_SIZES 8

/**
 * What a poller counts; readers may see a burst half counted, never a torn number. What every burst counts is in
 * front, in one cache line with the beginning of the poller's part of the queue.
 */
struct vhostx_counters {
	uint64_t packets;              /**< delivered */
	uint64_t bytes;                /**< of those, without the virtio-net header, with the VLAN tag */
	uint64_t calls;                /**< interrupts sent to the guest */
	uint64_t no_calls;             /**< bursts after which the guest wanted none */
	uint64_t sizes[VHOSTX_SIZES];  /**< of those, by length */
	uint64_t multicast;            /**< of those, to a group but not to all */
	uint64_t broadcast;            /**< of those, to all */
	uint64_t nombuf;               /**< rx: bursts cut short because the mbuf pool was empty */
	uint64_t no_chain;             /**< tx: bursts cut short because the guest had no buffer */
	uint64_t drops[VHOSTX_CAUSES]; /**< packets dropped, or rings stopped, by cause */
	uint64_t zc_early;             /**< rx: buffers given back to the guest while mbufs had them */
	uint64_t zc[VHOSTX_ZC_REASONS]; /**< rx: packets of a zero-copy ring: lent, or why they were copied */
};

/** Which of sizes[] a packet of @a len bytes belongs to. */
static __rte_always_inline uint32_t
vhostx_size_class(uint32_t len)
{
	/* Up to the first length beyond every bound: a load is cheaper than counting bits. */
	static const uint8_t classes[1520] = {
		[0 ... 63] = 0,
		[64] = 1,
		[65 ... 127] = 2,
		[128 ... 255] = 3,
		[256 ... 511] = 4,
		[512 ... 1023] = 5,
		[1024 ... 1518] = 6,
		[1519] = 7,
	};

	return classes[RTE_MIN(len, RTE_DIM(classes) - 1)];
}

/** What is done to every received packet if the application enabled it: bits. */
#define VHOSTX_RX_STRIP 1u     /**< take a VLAN tag off (VLAN_STRIP) */
#define VHOSTX_RX_VERIFY_IP 2u /**< verify the checksum of an IPv4 header (IPV4_CKSUM) */

/** What a queue does with offloads. */
struct vhostx_offload_conf {
	uint64_t tx_mask;   /**< tx: of ol_flags: an offload is asked for */
	uint64_t meta_flag; /**< of ol_flags: the mbuf has a struct vhostx_meta; 0: there was no room for it */
	int meta_offset;    /**< of that in the mbuf, bytes */
	bool keep_tcp;      /**< rx: the application looks whether the TCP checksum is made (TCP_CKSUM) */
	bool keep_udp;      /**< rx: likewise UDP (UDP_CKSUM) */
	bool tx_flags;      /**< rx: legacy-ol-flags=1 */
};

/** An rx or tx queue. */
struct vhostx_queue {
	/* Written by the cold side, read by every burst. */
	const struct vhostx_snapshot *snap; /**< NULL: down. Letters A, B in ring/vq.h */
	struct rte_mempool *pool; /**< rx: where mbufs come from */
	uint64_t rarp;            /**< rx: a RARP packet to deliver, see rarp.c; 0: none; atomic, the poller clears it */
	uint64_t rearm;           /**< rx: data_off, refcnt, nb_segs and port of a fresh mbuf */
	uint32_t room;            /**< rx: bytes that one mbuf of the pool holds */
	uint64_t patience;        /**< tx: TSC cycles to wait for a snapshot that is being replaced */
	int wakefd;               /**< the port's eventfd: the way from hot to cold */
	uint16_t port_id;
	uint16_t queue_id;        /**< of ethdev */
	bool deferred;            /**< the application starts it by itself after each start of the port */
	bool changing;            /**< snap is being replaced: the next one comes at once; atomic */
	bool stopped;             /**< by rte_eth_dev_rx_queue_stop or its like: not published to */
	bool fence;               /**< the kernel refused membarrier: pay for a fence here */
	bool linear;              /**< rx: linear-buffer=1 */
	bool ext;                 /**< rx: ext-buffer=1 */
	uint8_t finish;           /**< rx: VHOSTX_RX_*, what is done to every packet */
	struct vhostx_offload_conf offload;
	int epfd;                 /**< rx interrupts: epoll of evfd and the guest's kick; -1: none */
	int evfd;                 /**< rx interrupts: wakes who waits on epfd; -1: none */
	uint32_t leaving;         /**< cold: bursts when snap was taken away; odd: that burst may use it still */
	bool asked;               /**< cold: snap was taken away, and whoever had it is not known to have left */
	struct vhostx_counters base; /**< count at the last reset: what is told is the difference */

	/* Written by the poller. */
	uint32_t bursts __rte_cache_aligned; /**< odd while a burst may use snap. Letters A, C */
	bool intr;                /**< rx: the application waits for interrupts; atomic, letter G */
	struct vhostx_map *watched; /**< reference behind the address that a core may wait on */
	struct vhostx_counters count;

	/* Written by whoever asks about the queue. */
	uint32_t visitors __rte_cache_aligned; /**< threads that may use snap beside the poller. Letter I */
} __rte_cache_aligned;

/**
 * Begin a burst.
 * @return the snapshot, valid until vhostx_queue_leave(); NULL if the queue is down. Leave in both cases.
 */
static __rte_always_inline const struct vhostx_snapshot *
vhostx_queue_enter(struct vhostx_queue *queue)
{
	/* A: bursts before snap; the other half is the membarrier in vhostx_queue_retire(). */
	__atomic_store_n(&queue->bursts, queue->bursts + 1, __ATOMIC_RELAXED);
	if (unlikely(queue->fence))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		rte_compiler_barrier();
	/* B: pairs with the release in vhostx_queue_publish(). */
	return __atomic_load_n(&queue->snap, __ATOMIC_ACQUIRE);
}

/** End a burst that found the count of bursts at @a bursts when it began: not to wait for one's own store of it. */
static __rte_always_inline void
vhostx_queue_leave_from(struct vhostx_queue *queue, uint32_t bursts)
{
	/* C: pairs with the acquire in vhostx_queue_retire(). */
	__atomic_store_n(&queue->bursts, bursts + 2, __ATOMIC_RELEASE);
}

/** End a burst. */
static __rte_always_inline void
vhostx_queue_leave(struct vhostx_queue *queue)
{
	vhostx_queue_leave_from(queue, queue->bursts - 1);
}

/**
 * Begin to look at a queue from any thread, while another may poll it: two threads in one counter of
 * bursts would lose it.
 * @return as vhostx_queue_enter(). Leave by vhostx_queue_unvisit() in both cases.
 */
static inline const struct vhostx_snapshot *
vhostx_queue_visit(struct vhostx_queue *queue)
{
	__atomic_fetch_add(&queue->visitors, 1, __ATOMIC_RELAXED);
	/* I: visitors before snap; the other half is in vhostx_queue_retire(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* B: pairs with the release in vhostx_queue_publish(). */
	return __atomic_load_n(&queue->snap, __ATOMIC_ACQUIRE);
}

/** End the look. */
static inline void
vhostx_queue_unvisit(struct vhostx_queue *queue)
{
	/* I: pairs with the acquire in vhostx_queue_retire(). */
	__atomic_fetch_sub(&queue->visitors, 1, __ATOMIC_RELEASE);
}

#endif /* VHOSTX_RING_QUEUE_H */
