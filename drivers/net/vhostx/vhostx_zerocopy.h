/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port's part in zero-copy: a table of slots for each life of an rx ring, and buffers given back for queues
 * that are not polled. Messages that wait for what is out: vhostx_zc_wait.h.
 */
#ifndef VHOSTX_ZEROCOPY_H
#define VHOSTX_ZEROCOPY_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/snapshot.h"
#include "ring/zerocopy.h"
#include "user/loop.h"
#include "user/msg.h"

struct vhostx_port;

/** Tables of earlier lives of a ring that may be out; with more, what it receives is copied. */
#define VHOSTX_ZC_OLD 4u

/** What a ring has lent. */
struct vhostx_zc_ring {
	struct vhostx_zc *zc;      /**< the table of the ring's life; NULL: none yet */
	struct vhostx_snapshot at; /**< where its slots are given back to; valid while zc is there */
	uint32_t nr_old;           /**< tables of its earlier lives that are not back yet */
};

/** Why the front-end waits. */
enum vhostx_zc_wait {
	VHOSTX_ZC_NO_WAIT,
	VHOSTX_ZC_WAIT_RINGS, /**< for buffers of rings that its message ends */
	VHOSTX_ZC_WAIT_MEM,   /**< for buffers in memory that its message takes away */
	VHOSTX_ZC_WAIT_GONE,  /**< it is gone: for buffers of all rings */
};

/** What a port has of it, under the port mutex. */
struct vhostx_zc_port {
	struct vhostx_source *timer; /**< the tick; NULL: the port copies */
	struct vhostx_zc *old;       /**< tables whose ring's life is over */
	enum vhostx_zc_wait wait;
	uint64_t deadline;           /**< of the wait, TSC cycles */
	uint64_t in_vain;            /**< when what was awaited was out after a deadline, TSC cycles; 0: never */
	struct vhostx_msg msg;       /**< the message that waits, and its files */
	uint32_t longest;            /**< longest that a slot of a table that is freed was out */
	uint32_t quiet;              /**< ticks since something was out */
	uint32_t pause_us;           /**< to the next tick; 0: it sleeps until it is told of a slot */
	uint32_t refused_of;         /**< be.mem_changes when memory was said to be copied from; 0: never */
};

/** Begin: @return 0, or -errno of the control thread. A port that copies needs nothing. */
int vhostx_zc_open(struct vhostx_port *port);

/** The port is closed, all rings have ended; what is out stays mapped until it is back. */
void vhostx_zc_close(struct vhostx_port *port);

/** Ring @a idx is about to run by its snapshot: give it its table. */
void vhostx_zc_start(struct vhostx_port *port, uint16_t idx);

/** The life of ring @a idx, which no queue has, is over: complete all that it has lent. */
void vhostx_zc_end(struct vhostx_port *port, uint16_t idx);

/** As vhostx_zc_end() for every ring. */
void vhostx_zc_end_all(struct vhostx_port *port);

/** Slots of a table that are out; of NULL none. Any time. */
static inline uint32_t
vhostx_zc_out(const struct vhostx_zc *zc)
{
	return zc == NULL ? 0 : __atomic_load_n(&zc->out, __ATOMIC_ACQUIRE);
}

/** Tick after @a us microseconds. */
void vhostx_zc_arm(struct vhostx_port *port, uint32_t us);

/** A poller has lent a buffer while the tick slept. */
void vhostx_zc_wake(struct vhostx_port *port);

/** Wait until all is back, for the port's deadline at most; by the thread that closes the port. No lock held. */
void vhostx_zc_drain(struct vhostx_port *port);

/**
 * No port may be left, and the EAL be about to end: wait until devices know of no guest's memory any more of which all
 * packets are freed. For a fifth of a second at most, and not again before there is another port.
 */
void vhostx_zc_await_devices(void);

/** Slots that are out, of all rings and their earlier lives. */
uint32_t vhostx_zc_outstanding(const struct vhostx_port *port);

/** The longest time that a slot was out since this was last forgotten, or is out so far, microseconds. */
uint64_t vhostx_zc_longest_us(const struct vhostx_port *port);

/** Forget it. */
void vhostx_zc_forget_longest(struct vhostx_port *port);

#endif /* VHOSTX_ZEROCOPY_H */
