/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A lane is one way that frames take: a queue of a pair, or of two pairs. Its bursts are timed on the
 * vhost side; the virtio side and all checks are outside of the timed section.
 */
#ifndef PERF_LANE_H
#define PERF_LANE_H

#include "wire.h"

/** What went wrong, all that was seen. */
struct perf_faults {
	uint64_t lost;  /**< frames that never came */
	uint64_t wrong; /**< frames out of order, of wrong length or with wrong bytes */
	uint64_t split; /**< bursts that came or went in parts: not an error, but not what was meant */
};

/** One way that frames take. */
struct perf_lane {
	const struct perf_bench *bench;
	struct perf_faults *faults; /**< where to count; shared by lanes */
	uint16_t vhost;             /**< port whose bursts are timed */
	uint16_t virtio;            /**< port at its other end */
	uint16_t out_vhost;         /**< forward: port that sends on */
	uint16_t out_virtio;        /**< forward: port at the other end of that */
	uint16_t queue;             /**< of all of them */
	uint32_t seq;               /**< number of the next frame */
	struct perf_floor *floor;   /**< the floor's lanes: their buffers; else NULL */
	struct perf_scatter *scatter; /**< lanes without ports: the guest; else NULL */
};

/**
 * One burst of a case on a lane.
 * @param cycles  set to the TSC cycles of the timed section, without the clock's own
 * @return frames (idle: polls) that the section handled; 0: nothing was measured
 */
typedef uint32_t (*perf_burst_fn)(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles);

/** What a timed section from @a begin to @a end took, TSC cycles, without the clock's own. */
static inline uint64_t
perf_lane_cycles(const struct perf_lane *lane, uint64_t begin, uint64_t end)
{
	const uint64_t took = end - begin;

	return took > lane->bench->overhead ? took - lane->bench->overhead : 0;
}

/** The function for a direction. */
perf_burst_fn perf_lane_burst(enum perf_direction direction);

/** Send frames until some arrive. @return 0, or -ETIMEDOUT after a second of none. */
int perf_lane_ready(struct perf_lane *lane, const struct perf_case *c);

#endif /* PERF_LANE_H */
