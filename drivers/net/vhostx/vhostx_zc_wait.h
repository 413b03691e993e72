/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What ends waits for buffers that are out, but not longer than the port's deadline. All under the port mutex.
 */
#ifndef VHOSTX_ZC_WAIT_H
#define VHOSTX_ZC_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct vhostx_msg;
struct vhostx_port;

/**
 * Does the message have to wait for buffers that are out? Then it is taken, with its files, and handed to
 * vhostx_port_handle() when they are back or the deadline is over; reading from the socket rests.
 */
bool vhostx_zc_defer(struct vhostx_port *port, struct vhostx_msg *msg);

/** The front-end is gone. @return whether its state has to stay until vhostx_port_forget() is called. */
bool vhostx_zc_defer_gone(struct vhostx_port *port);

/** A front-end came: it is not listened to while the last one's state stays. */
void vhostx_zc_connected(struct vhostx_port *port);

/** Is the wait over? Then go on where it began. */
void vhostx_zc_look(struct vhostx_port *port);

/** The port's deadline, TSC cycles. */
uint64_t vhostx_zc_patience(const struct vhostx_port *port);

#endif /* VHOSTX_ZC_WAIT_H */
