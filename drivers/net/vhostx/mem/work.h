/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Work that may take seconds, done by a thread, one after the other, so that no port waits for another one's.
 */
#ifndef VHOSTX_MEM_WORK_H
#define VHOSTX_MEM_WORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/** A part of what it is done to. */
struct vhostx_work {
	STAILQ_ENTRY(vhostx_work) next;         /**< while it is handed over; not the caller's then */
	void (*run)(struct vhostx_work *work);  /**< does it, and may free it or hand it over again */
};

/** Hand over. The thread is there while there is something to do; if it cannot be had, this one does it. Any thread. */
void vhostx_work_give(struct vhostx_work *work);

/**
 * Wait until all that was handed over before is done, for at most @a us microseconds. Not from work, and with no lock
 * held that work takes.
 * @return whether it is.
 */
bool vhostx_work_await(uint64_t us);

#endif /* VHOSTX_MEM_WORK_H */
