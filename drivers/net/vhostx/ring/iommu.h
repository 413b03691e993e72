/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings of a guest behind a virtual IOMMU: addresses go through the IOTLB, and what it lacks is asked for. A chain
 * that misses something waits on its ring, and while it does, the chains after it are looked at: an answer takes
 * long, and many cost hardly more than one. What is not answered soon is left to the control thread.
 */
#ifndef VHOSTX_RING_IOMMU_H
#define VHOSTX_RING_IOMMU_H

#include "../mem/iotlb.h"
#include "queue.h"

/** Entries of a ring that are looked at ahead of their turn: a burst, and the next one. */
#define VHOSTX_AHEAD_ENTRIES 64u
/** Pages that a ring can have asked for ahead; a power of two. */
#define VHOSTX_AHEAD 128u

/** A ring's part in it. */
struct vhostx_iommu_ring {
	struct vhostx_range last; /**< entry of the last address, by its I/O virtual address; the poller's */
	uint32_t gen;             /**< of the IOTLB before that was found */
	uint8_t perm;             /**< what the entry allows; 0: nothing was found yet */
	bool looked_wrap;         /**< packed: wrap counter at looked; the poller's, as the next two */
	uint16_t looked;          /**< entries before it were looked at: as last_avail of the ring */
	uint16_t keen;            /**< entries to look at until none is looked at ahead: lately nothing was missing */
	uint16_t dir;             /**< VRING_DESC_F_WRITE if the ring's buffers are to be written, else 0 */
	bool fresh;               /**< ahead has words that were not asked for; atomic, letter O */
	uint64_t since;           /**< when miss was written, or the control thread woken, TSC cycles; the poller's */
	/**
	 * What the next chain misses, a word of vhostx_miss_word(); 0: nothing is missing. Atomic: the poller writes it,
	 * when the word is in ahead as well; if its place there is taken, or no answer comes for a while, it wakes the
	 * control thread. That puts 0 in its place when the answer is there, or adds VHOSTX_MISS_DENIED.
	 */
	uint64_t miss;
	/**
	 * What is missing, by page, see vhostx_iommu_ahead(). Atomic: the poller writes a word where 0 is, with
	 * VHOSTX_MISS_ASKED, and takes that back if it cannot ask. The control thread writes where a word is: it adds
	 * that then, and puts 0 there when it was answered or forgotten.
	 */
	uint64_t ahead[VHOSTX_AHEAD];
};

/** The only place where a ring may have asked for the page of @a iova ahead. */
static inline uint64_t *
vhostx_iommu_ahead(struct vhostx_iommu_ring *r, uint64_t iova)
{
	return &r->ahead[iova / VHOSTX_MISS_PAGE % VHOSTX_AHEAD];
}

/**
 * As vhostx_guest_va(), by the IOTLB.
 * @return VHOSTX_MISS if it was asked for, or the IOTLB is being changed; VHOSTX_BAD_ADDRESS if the front-end has
 *   denied it; VHOSTX_NO_CAUSE.
 */
enum vhostx_cause vhostx_iommu_va(const struct vhostx_snapshot *snap, uint64_t iova, uint16_t dir,
	uint8_t **va, uint64_t *run);

/**
 * A fetch begins, or goes on: ask for what it will miss, if chains missed something lately.
 * @return the entry of the ring's last address, if it stands and allows @a dir; else a range without bytes.
 */
struct vhostx_range vhostx_iommu_range(const struct vhostx_snapshot *snap, uint16_t dir);

#endif /* VHOSTX_RING_IOMMU_H */
