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
	perf_burst_fn burst;     /**< for perf_slots_run() */
	struct perf_lane *lanes; /**< likewise; used in turn, burst by burst */
	unsigned int nb_lanes;   /**< of lanes */
	double *samples;         /**< [slots] figures, in the order of time */
};

/**
 * Set up a turn for each driver, @a twins times; those after the first time have a ' in their name.
 * @return 0 or -ENOMEM; perf_turns_free() is due in both cases.
 */
int perf_turns_alloc(struct perf_turn *turns, unsigned int twins, const struct perf_options *opt);

/** Free the samples of @a nb turns. */
void perf_turns_free(struct perf_turn *turns, unsigned int nb);

/**
 * Let the turns have @a slots slots each, after one that is not counted.
 * @return 0, or -EIO if a slot went by without a frame.
 */
int perf_slots_run(struct perf_turn *turns, unsigned int nb, const struct perf_case *c,
	const struct perf_options *opt);

/** Who of @a nb is the @a k th in a slot: the first one changes, and so does the direction. */
unsigned int perf_slots_order(unsigned int slot, unsigned int k, unsigned int nb);

/** The figures of a turn. */
struct perf_quantiles perf_slots_figure(const struct perf_turn *turn, unsigned int slots);

/** The figures of one turn divided by those of another, slot by slot. */
struct perf_quantiles perf_slots_ratio(const struct perf_turn *a, const struct perf_turn *b,
	unsigned int slots);

#endif /* PERF_SLOTS_H */
