/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A RARP packet among those of the guest, for a guest that moved here and cannot announce itself.
 */
#ifndef VHOSTX_RING_RARP_H
#define VHOSTX_RING_RARP_H

#include <rte_ether.h>

#include "queue.h"

/** Let the next rx burst of @a queue deliver a RARP packet from @a mac; one, however often it is asked for. */
void vhostx_rarp_ask(struct vhostx_queue *queue, const struct rte_ether_addr *mac);

/**
 * Make the packet that was asked for; the poller's. Without an mbuf the next burst tries again.
 * @return 1, or 0 if there is none.
 */
uint16_t vhostx_rarp_take(struct vhostx_queue *queue, struct rte_mbuf **pkt);

#endif /* VHOSTX_RING_RARP_H */
