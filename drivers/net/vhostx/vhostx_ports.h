/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The ports of this process by their ethdev id, for threads that may ask while a port ends: ethdev gives
 * its array of devices no lock.
 */
#ifndef VHOSTX_PORTS_H
#define VHOSTX_PORTS_H

#include "vhostx_port.h"

/** From now on @a port can be found. */
void vhostx_ports_add(struct vhostx_port *port);

/** From now on it cannot; who has found it already keeps it. No lock held. */
void vhostx_ports_remove(struct vhostx_port *port);

/** Is there none? */
bool vhostx_ports_none(void);

/**
 * Find a port, take a reference and lock it.
 * @return NULL if this (primary) process has no open port of this driver with that id.
 */
struct vhostx_port *vhostx_ports_lock(uint16_t port_id);

/** Unlock and give the reference back. */
void vhostx_ports_unlock(struct vhostx_port *port);

#endif /* VHOSTX_PORTS_H */
