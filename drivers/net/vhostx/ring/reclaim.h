/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Chains of a packed ring that the front-end took while no back-end was there. QEMU (seen with 7.2) serves the ring
 * itself then: it drops what it finds at the position that it knows, which is an old one, and marks it used there,
 * in the middle of what the guest has offered.
 */
#ifndef VHOSTX_RING_RECLAIM_H
#define VHOSTX_RING_RECLAIM_H

#include "snapshot.h"

/** Entries that were dropped; positions are a slot and, in bit 15, the wrap counter there. */
struct vhostx_dropped {
	uint16_t at;    /**< position of the first */
	uint16_t slots; /**< how many; 0: none */
};

/**
 * What a front-end has dropped that moved the position of a packed ring by itself.
 *
 * @param before  payload of its last SET_VRING_BASE but one.
 * @param now     that of the last one.
 * @return slots is 0 if that is no such move.
 */
struct vhostx_dropped vhostx_reclaim_find(uint32_t before, uint32_t now, uint32_t size);

/**
 * Make the dropped chains available again: entries without a buffer, that are given back as faulty in their turn.
 * What they said is lost. Chains from before @a at are left alone.
 *
 * @param at  where the ring goes on: its guest has seen nothing of what comes after that.
 * @return false if they are not there, or if the guest may have them already; nothing is changed then.
 */
bool vhostx_reclaim(const struct vhostx_snapshot *snap, const struct vhostx_dropped *dropped, uint16_t at);

#endif /* VHOSTX_RING_RECLAIM_H */
