/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A snapshot: all that a burst may know of the cold side, validated, complete and immutable. Publish it
 * to a queue, retire it again.
 */
#ifndef VHOSTX_RING_SNAPSHOT_H
#define VHOSTX_RING_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_ring.h>

#include "../mem/log.h"
#include "../mem/region.h"
#include "../mem/view.h"

struct vhostx_iotlb;
struct vhostx_journal;
union vhostx_inflight_ring;
struct vhostx_queue;
struct vhostx_ring;
struct vhostx_zc;

/** The two formats of a virtqueue (virtio 1.3, 2.7 and 2.8). */
enum vhostx_format {
	VHOSTX_SPLIT,
	VHOSTX_PACKED,
};

/**
 * Ask the front-end for pages that the IOTLB lacks, any thread, without waiting.
 * @param miss  [n], 1 to VHOSTX_AHEAD of vhostx_miss_word().
 * @return false if that cannot be now: the control thread has to.
 */
typedef bool (*vhostx_ask_fn)(void *arg, const uint64_t *miss, uint32_t n);

/** Largest ring of either format (virtio 1.3, 2.7 and 2.8.10.1). */
#define VHOSTX_RING_MAX 32768u

/**
 * | state     | who may touch it                                 | what moves it on                     |
 * |-----------|--------------------------------------------------|--------------------------------------|
 * | built     | the holder of the port mutex                     | vhostx_queue_publish()               |
 * | published | bursts of its queue, reading; nobody writes      | vhostx_queue_retire()                |
 * | retired   | the holder of the port mutex: publish it again,  |                                      |
 * |           | or free it, and what it points to                |                                      |
 */
struct vhostx_snapshot {
	union {
		struct {
			struct vring_desc *desc;   /**< [size] */
			struct vring_avail *avail; /**< flags, idx, ring[size], used_event */
			struct vring_used *used;   /**< flags, idx, ring[size], avail_event */
		} split;
		struct {
			struct vring_packed_desc *desc;         /**< [size] */
			struct vring_packed_desc_event *driver; /**< the guest's wish for interrupts */
			struct vring_packed_desc_event *device; /**< our wish for kicks */
		} packed;
	};
	struct vhostx_ring *ring;     /**< the cursors; while published they are the poller's */
	const struct vhostx_mem *mem; /**< guest memory */
	const struct vhostx_iotlb *iotlb; /**< where the guest's addresses are; NULL: mem knows them */
	struct vhostx_zc *zc;         /**< rx: slots that buffers are lent by; NULL: all is copied */
	union vhostx_inflight_ring *inflight; /**< in-flight record, the poller's; NULL: none is kept */
	struct vhostx_journal *journal; /**< packed: outlives the process, the poller's; NULL: none is kept */
	const struct vhostx_log *log; /**< what is written is noted there; NULL: nobody wants to know */
	uint64_t log_used;            /**< second place to log the used ring or device area at; UINT64_MAX: none */
	uint16_t size;                /**< entries, 1 to VHOSTX_RING_MAX; a power of two if split */
	uint8_t format;               /**< enum vhostx_format */
	uint8_t hdr_len;              /**< bytes of the virtio-net header: 10 or 12 */
	bool mergeable;               /**< VIRTIO_NET_F_MRG_RXBUF */
	bool event_idx;               /**< VIRTIO_F_EVENT_IDX */
	bool indirect;                /**< VIRTIO_F_INDIRECT_DESC */
	bool in_order;                /**< VIRTIO_F_IN_ORDER: one used entry may stand for a batch */
	bool enabled;                 /**< false: discard what the guest sends, supply nothing */
	bool shared;                  /**< several tx queues use it: take the ring's lock */
	bool own_record;              /**< inflight is read by this driver alone: it may have steps of its own */
	uint16_t offloads;            /**< virtio-net's feature bits for checksums and segmentation: all < 16 */
	uint64_t hdr_mask;            /**< of a header's first 8 bytes: not 0 there, an offload is asked for */
	int callfd;                   /**< interrupts the guest; -1: it polls */
	bool call_blocks;             /**< callfd lacks O_NONBLOCK */
	bool log_blocks;              /**< logfd lacks O_NONBLOCK */
	int logfd;                    /**< signalled when the log was written; -1: nobody asked for that */
	int wakefd;                   /**< behind an IOMMU: the port's eventfd, as the queue's */
	vhostx_ask_fn ask;            /**< behind an IOMMU: how pages are asked for */
	void *ask_arg;                /**< its first argument */
	int kickfd;                   /**< the guest's kicks, for who waits for them; -1: none */
	struct vhostx_view *view[VHOSTX_VIEWS]; /**< areas of the ring that were put together; each may be NULL */
};

/**
 * Ask the kernel for cheap retiring; call once per process before a queue is used.
 * @return false if it refuses: queues must then be set up with their fence on.
 */
bool vhostx_membarrier_register(void);

/** A full fence on every core that runs a thread of this process, or here alone if the kernel refuses. */
void vhostx_barrier_all(void);

/** Let bursts of @a queue use @a snap from now on; wakes an application that sleeps on the queue. */
void vhostx_queue_publish(struct vhostx_queue *queue, const struct vhostx_snapshot *snap);

/** The first half of vhostx_queue_retire(): take the snapshot away. A burst that runs may use it still. */
void vhostx_queue_unpublish(struct vhostx_queue *queue);

/** Is no burst left that may use what was unpublished? */
bool vhostx_queue_is_left(struct vhostx_queue *queue);

/** The second half: wait until that is so. */
void vhostx_queue_await_left(struct vhostx_queue *queue);

/**
 * Take the snapshot away from @a queue and wait until no burst uses it: on return its ring, memory and
 * files are the caller's. Waits for at most one burst. Tx bursts wait a moment for the next snapshot,
 * until vhostx_queue_settle().
 */
void vhostx_queue_retire(struct vhostx_queue *queue);

/**
 * Wait until the burst that runs now, if one does, has ended; after vhostx_barrier_all(), so that it has seen what
 * was changed before that, or is waited for.
 */
void vhostx_queue_await(const struct vhostx_queue *queue);

/** What the queue has now, a snapshot or none, is what it is to have. */
void vhostx_queue_settle(struct vhostx_queue *queue);

/** Forget the position and every fault of a ring that no queue has. */
void vhostx_ring_reset(struct vhostx_ring *ring);

/** Set the position of a ring that no queue has: payload of SET_VRING_BASE. */
void vhostx_ring_set_base(struct vhostx_ring *ring, uint32_t base);

/** The position of a ring that no queue has: payload of GET_VRING_BASE's reply. */
uint32_t vhostx_ring_get_base(const struct vhostx_ring *ring, enum vhostx_format format);

/** Tell the guest that nobody needs its kicks (virtio 1.3, 2.7.10 and 2.8.14). */
void vhostx_ring_suppress_kicks(const struct vhostx_snapshot *snap);

/**
 * Prepare the ring of a snapshot that is not published: settle the position of a ring that has just
 * got one, and tell the guest that nobody needs its kicks.
 *
 * @param why  set to a sentence for the log when -EINVAL is returned.
 * @return 0; 1 if a split ring continues at its used index, because that differs from the position
 *   that the front-end gave; -EINVAL if a packed ring's position is past its size.
 */
int vhostx_ring_prepare(const struct vhostx_snapshot *snap, const char **why);

#endif /* VHOSTX_RING_SNAPSHOT_H */
