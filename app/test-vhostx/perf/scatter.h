/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A guest with one virtqueue, whose buffers are scattered over regions of memory, and the driver's queue on
 * its other end.
 */
#ifndef PERF_SCATTER_H
#define PERF_SCATTER_H

#include "lane.h"

/** The guest, its ring, and the queue. */
struct perf_scatter;

/**
 * Make a guest whose buffers are in @a regions regions, and a ring of the case's format.
 * @param random  in no order at all; else neighbours in memory follow one another.
 * @return NULL after saying why.
 */
struct perf_scatter *perf_scatter_create(const struct perf_bench *bench, const struct perf_case *c,
	unsigned int regions, bool random);

/** End it; NULL is allowed. */
void perf_scatter_free(struct perf_scatter *scatter);

/** The function of a direction for a lane that has a guest. */
perf_burst_fn perf_scatter_burst(enum perf_direction direction);

/** The floor, a perf_burst_fn: a plain copy from or to the guest's buffers, with a mempool get and put. */
uint32_t perf_scatter_floor(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles);

#endif /* PERF_SCATTER_H */
