/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Post-copy as the port sees it: what keeps the control thread out of page faults that another host answers.
 */
#ifndef VHOSTX_POSTCOPY_H
#define VHOSTX_POSTCOPY_H

#include "vhostx_port.h"

/**
 * Is the memory that starting ring @a idx touches here? Its snapshot is built. If not, a thread of its own
 * fetches it and resumes the ring. Port mutex held, as for the next one.
 */
bool vhostx_postcopy_ready(struct vhostx_port *port, uint16_t idx);

/** A message was handled: see to it that nobody sleeps in a fault for longer than the connection lasts. */
void vhostx_postcopy_said(struct vhostx_port *port, const struct vhostx_msg *msg);

#endif /* VHOSTX_POSTCOPY_H */
