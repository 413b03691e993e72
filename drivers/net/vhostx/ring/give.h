/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Give lent buffers back to the guest without a burst: by whoever has the ring while no poller has it.
 */
#ifndef VHOSTX_RING_GIVE_H
#define VHOSTX_RING_GIVE_H

#include <stdint.h>

struct vhostx_snapshot;
struct vhostx_zc;

/** Complete the slots that are done, and call the guest if it wants to know. @return how many. */
uint32_t vhostx_give_done(const struct vhostx_snapshot *snap, struct vhostx_zc *zc);

/**
 * Complete all others too, though mbufs still have their buffers: from now on the guest may write there. To be
 * called once, at the end of the table's use. @return how many those are.
 */
uint32_t vhostx_give_early(const struct vhostx_snapshot *snap, struct vhostx_zc *zc);

#endif /* VHOSTX_RING_GIVE_H */
