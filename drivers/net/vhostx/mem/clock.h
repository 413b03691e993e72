/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The time that cold code measures its own work by.
 */
#ifndef VHOSTX_MEM_CLOCK_H
#define VHOSTX_MEM_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Microseconds since some time in the past; never goes back. */
static inline uint64_t
vhostx_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

#endif /* VHOSTX_MEM_CLOCK_H */
