/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Packets per second: the virtio side polls on a second core, in a second process.
 */
#ifndef PERF_TWO_CORES_H
#define PERF_TWO_CORES_H

#include "lane.h"
#include "peer.h"
#include "report.h"

/** Each driver is there twice, to be compared with itself. */
#define PERF_TWINS 2

/** The vhost ports of this process and the peer that has their other ends. */
struct perf_stage {
	struct perf_bench *bench;
	struct perf_peer peer;
	struct perf_faults faults;
	uint32_t seeds;       /**< frames that ECHO sends first */
	unsigned int nb;      /**< of pairs: each driver, then each driver's twin */
	struct perf_pair pairs[PERF_DRIVERS_MAX * PERF_TWINS];
};

/** Start the peer. @return 0 or -errno, after saying what is wrong. */
int perf_stage_init(struct perf_stage *stage, struct perf_bench *bench);

/** End it. */
void perf_stage_fini(struct perf_stage *stage);

/** Make the ports of a wiring; perf_stage_close() is due even after an error. */
int perf_stage_open(struct perf_stage *stage, const struct perf_wiring *wiring);

/** Remove them. */
void perf_stage_close(struct perf_stage *stage);

/** Let the peer do something with the port of pair @a i. */
int perf_stage_tell(struct perf_stage *stage, unsigned int i, enum perf_order order,
	const struct perf_case *c, struct perf_peer_reply *reply);

/** Receive and free until nothing has come for 2 ms. @return how many. */
uint64_t perf_stage_drain(uint16_t port);

/** The same until @a expected frames have come, or nothing for PERF_PATIENCE_US. */
uint64_t perf_stage_await(uint16_t port, uint64_t expected);

/** Measure and report all cases; returns as perf_one_core(). */
int perf_two_cores(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report);

#endif /* PERF_TWO_CORES_H */
