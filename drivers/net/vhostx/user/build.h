/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Device state becomes a snapshot: the one function that validates what the front-end has said of a
 * ring.
 */
#ifndef VHOSTX_USER_BUILD_H
#define VHOSTX_USER_BUILD_H

#include "../ring/snapshot.h"
#include "backend.h"

/** Bytes of the areas of a ring, by the names that they have in struct vhostx_vring. */
struct vhostx_areas {
	uint64_t desc, avail, used;
};

/** Those of ring @a idx with the features that were negotiated. */
struct vhostx_areas vhostx_build_areas(const struct vhostx_backend *be, uint16_t idx);

/**
 * Fill @a snap for ring @a idx; its ring pointer, its wakefd, how it asks and what tells whether files block are
 * the caller's to set.
 *
 * @param why   set to a sentence for the log when -EINVAL is returned.
 * @param miss  [VHOSTX_VRING_MISSES + 1], set to a vhostx_miss_word() for each page of the ring that the IOTLB
 *   lacks, or for so many, then to 0.
 * @return 0; -EAGAIN if the front-end has not said all yet, or the IOTLB lacks a part; -EINVAL if what it said cannot be: a ring
 *   without memory, a size that the format does not allow, an address outside guest memory or not
 *   aligned, a ring that crosses from one region to another.
 */
int vhostx_build(const struct vhostx_backend *be, uint16_t idx, struct vhostx_snapshot *snap,
	const char **why, uint64_t *miss);

/** Give back what a snapshot has of its own: built, and retired since, or all zero. */
void vhostx_build_end(struct vhostx_snapshot *snap);

#endif /* VHOSTX_USER_BUILD_H */
