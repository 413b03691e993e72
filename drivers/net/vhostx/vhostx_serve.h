/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Which queue serves which ring. Rx queue n serves ring 2n + 1. Tx queue n serves ring 2n while the
 * guest has it enabled, else it shares one that is: an application with more tx queues than the guest
 * loses nothing.
 */
#ifndef VHOSTX_SERVE_H
#define VHOSTX_SERVE_H

#include "vhostx_port.h"

/** Take ring @a idx from the queues that it is published to. Port mutex held. */
void vhostx_serve_retire(struct vhostx_port *port, uint16_t idx);

/**
 * Take all rings from their queues, and wait for nobody. Port mutex held.
 * @return whether no burst uses them any more; if not, ask again. vhostx_serve_update() gives them back.
 */
bool vhostx_serve_leave(struct vhostx_port *port);

/** Tx bursts wait no longer for what vhostx_serve_leave() took. Port mutex held. */
void vhostx_serve_settle(struct vhostx_port *port);

/** Wait until every burst that runs now has ended. Port mutex held. */
void vhostx_serve_quiesce(struct vhostx_port *port);

/**
 * Publish to every queue what it should have now, retiring what it should not. Port mutex held. A
 * guest that was not signalled since its ring started is signalled.
 */
void vhostx_serve_update(struct vhostx_port *port);

#endif /* VHOSTX_SERVE_H */
