/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Which virtio features a port offers: by its arguments, and what a guest that runs has from before. A guest's
 * driver cannot give a feature up, and its front-end hangs up, or goes on in silence, if one is missing.
 */
#ifndef VHOSTX_OFFER_H
#define VHOSTX_OFFER_H

#include "vhostx_port.h"

/**
 * What a port with these arguments offers; @a tso: guests may send packets that are to be segmented, if the port has
 * room for them.
 */
uint64_t vhostx_offer(const struct vhostx_args *args, bool tso);

/** A front-end came: settle what it is offered. Port mutex held, as for the others. */
void vhostx_offer_connected(struct vhostx_port *port);

/** A message was handled, and is not answered yet: it may have told what the guest has. */
void vhostx_offer_said(struct vhostx_port *port, const struct vhostx_msg *msg);

/** The port closes: nobody will come back if nobody is there. Before the state file and the socket close. */
void vhostx_offer_close(struct vhostx_port *port);

#endif /* VHOSTX_OFFER_H */
