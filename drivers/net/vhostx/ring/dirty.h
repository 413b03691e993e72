/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What a ring writes into guest memory goes into the dirty log. To be called where the snapshot has one.
 */
#ifndef VHOSTX_RING_DIRTY_H
#define VHOSTX_RING_DIRTY_H

#include "vq.h"

/*
 * The order of a burst: write data, vhostx_dirty_data(), publish, vhostx_dirty_used(). So when the front-end sees
 * a used entry in a page that it copies, the data's pages are in the log already.
 */

/** Log what was written into the buffers of @a n chains: their first used_len bytes. */
void vhostx_dirty_data(const struct vhostx_snapshot *snap, const struct vhostx_batch *batch,
	const struct vhostx_chain *chain, uint16_t n);

/**
 * Log the ring's entries that were given back since last_used was @a before, at least one; then tell the
 * front-end, if it wants to be told.
 */
void vhostx_dirty_used(const struct vhostx_snapshot *snap, uint16_t before);

/**
 * Log the whole ring, before it runs: what was put back into it, and what a process that was killed had written and
 * not logged yet.
 */
void vhostx_dirty_ring(const struct vhostx_snapshot *snap);

/** Log our wish for kicks, which was just written. Any thread. */
void vhostx_dirty_wish(const struct vhostx_snapshot *snap);

#endif /* VHOSTX_RING_DIRTY_H */
