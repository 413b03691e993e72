/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Turns: what is compared takes its slots one after the other, in an order that changes.
 */
#ifndef PERF_SLOTS_H
#define PERF_SLOTS_H

#include "lane.h"
#include "stats.h"

/** Most things that take turns. */
#define PERF_TURNS_MAX (2 * PERF_DRIVERS_MAX + 2)

/** One of those that take turns. */
struct perf_turn {
	char name[32];
	perf_burst_fn burst;
	struct perf_lane *lanes; /**< used in turn, burst by burst */
	unsigned int nb_lanes;
	double *samples;         /**< [slots] cycles per unit, in the order of time */
};

/**
 * Let the turns have @a slots slots each, after one that is not counted.
 * @return 0, or -EIO if a slot went by without a frame.
 */
int perf_slots_run(struct perf_turn *turns, unsigned int nb, const struct perf_case *c,
	const struct perf_options *opt);

/** The cycles of a turn. */
struct perf_quantiles perf_slots_cycles(const struct perf_turn *turn, unsigned int slots);

/** The cycles of one turn divided by those of another, slot by slot. */
struct perf_quantiles perf_slots_ratio(const struct perf_turn *a, const struct perf_turn *b,
	unsigned int slots);

#endif /* PERF_SLOTS_H */
