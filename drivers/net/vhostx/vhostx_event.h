/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Link and queue-state events: found under the port mutex, delivered on the EAL's interrupt thread with
 * no lock held, so that a callback may call any ethdev function.
 */
#ifndef VHOSTX_EVENT_H
#define VHOSTX_EVENT_H

#include "vhostx_port.h"

/** Compare link and ring states with what was told last, and schedule events. Port mutex held. */
void vhostx_event_update(struct vhostx_port *port);

/**
 * No events any more, of a port that is closed: after this none is scheduled. Waits for a callback that runs, a second
 * at most. No lock held; may be called from a callback.
 */
void vhostx_event_cancel(struct vhostx_port *port);

#endif /* VHOSTX_EVENT_H */
