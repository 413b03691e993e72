/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Post-copy as the port sees it: what keeps the control thread out of page faults that another host answers.
 */
#ifndef VHOSTX_POSTCOPY_H
#define VHOSTX_POSTCOPY_H

#include <stdbool.h>
#include <stdint.h>

#include "user/msg.h"

struct vhostx_port;
struct vhostx_source;

/** What a port that takes guests by post-copy has for it, under the port mutex. */
struct vhostx_postcopy_port {
	struct vhostx_source *timer; /**< NULL: it takes none */
	struct vhostx_msg msg;       /**< if waits: the message that waits for pollers asleep in faults, and its files */
	uint32_t looks;              /**< in vain, whether pollers have left */
	bool waits;
	bool woken;                  /**< vhostx_port_woken() waits likewise */
};

/** Begin. @return 0, or -errno of the control thread. A port without postcopy-support=1 needs nothing. */
int vhostx_postcopy_open(struct vhostx_port *port);

/** The front-end is gone: the message that waits, if any, is nobody's any more. Port mutex held. */
void vhostx_postcopy_gone(struct vhostx_port *port);

/** The port closes. Port mutex held. */
void vhostx_postcopy_close(struct vhostx_port *port);

/**
 * Take the port mutex where the rings may have to be taken from their pollers next: while a guest comes, without
 * keeping it, and so the control thread, from the time that a poller sleeps in a fault.
 */
void vhostx_postcopy_lock(struct vhostx_port *port);

/**
 * Would handling the message wait for a poller that sleeps in a fault? Then it is taken, with its files, and handed
 * to vhostx_port_handle() later; reading from the socket rests. Port mutex held, as for the next ones.
 */
bool vhostx_postcopy_defer(struct vhostx_port *port, struct vhostx_msg *msg);

/** The same for vhostx_port_woken(). */
bool vhostx_postcopy_defer_wake(struct vhostx_port *port);

/**
 * Is the memory that starting ring @a idx touches here? Its snapshot is built. If not, a thread of its own
 * fetches it and resumes the ring.
 */
bool vhostx_postcopy_ready(struct vhostx_port *port, uint16_t idx);

/** A message was handled: see to it that nobody sleeps in a fault for longer than the connection lasts. */
void vhostx_postcopy_said(struct vhostx_port *port, const struct vhostx_msg *msg);

#endif /* VHOSTX_POSTCOPY_H */
