/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings of a guest behind a virtual IOMMU: addresses go through the IOTLB, and what it lacks is asked for by the
 * control thread. A ring asks for one page at a time, and waits for it.
 */
#ifndef VHOSTX_RING_IOMMU_H
#define VHOSTX_RING_IOMMU_H

#include "../mem/iotlb.h"
#include "queue.h"

/** A ring's part in it. */
struct vhostx_iommu_ring {
	struct vhostx_range last; /**< entry of the last address, by its I/O virtual address; the poller's */
	uint32_t gen;             /**< of the IOTLB before that was found */
	uint8_t perm;             /**< what the entry allows; 0: nothing was found yet */
	/**
	 * A word of vhostx_miss_word(); 0: nothing is missing. Atomic: the poller writes it and wakes the control thread,
	 * which puts 0 in its place when the answer is there, or adds VHOSTX_MISS_DENIED.
	 */
	uint64_t miss;
};

/**
 * As vhostx_guest_va(), by the IOTLB.
 * @return VHOSTX_MISS if it was asked for, or the IOTLB is being changed; VHOSTX_BAD_ADDRESS if the front-end has
 *   denied it; VHOSTX_NO_CAUSE.
 */
enum vhostx_cause vhostx_iommu_va(const struct vhostx_snapshot *snap, uint64_t iova, uint16_t dir,
	uint8_t **va, uint64_t *run);

/** The entry of the ring's last address, if it stands and allows @a dir; else a range without bytes. */
struct vhostx_range vhostx_iommu_range(const struct vhostx_snapshot *snap, uint16_t dir);

#endif /* VHOSTX_RING_IOMMU_H */
