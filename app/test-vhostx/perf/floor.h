/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The floor: copy the same bytes from, or to, as many buffers as a ring has, with a mempool get and a
 * put. No driver that copies can be cheaper.
 */
#ifndef PERF_FLOOR_H
#define PERF_FLOOR_H

#include "lane.h"

/** The buffers that stand for a ring. */
struct perf_floor;

/** Take the buffers from the guest's pool. @return NULL if there are too few. */
struct perf_floor *perf_floor_create(const struct perf_bench *bench);

/** Give them back; NULL is allowed. */
void perf_floor_free(struct perf_floor *floor);

/** The function for a direction; NULL if it has no floor. */
perf_burst_fn perf_floor_burst(enum perf_direction direction);

/** The vector width that the copies of the floor have: "128 bits", "256 bits" or "512 bits". */
const char *perf_floor_isa(void);

#endif /* PERF_FLOOR_H */
