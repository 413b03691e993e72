/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Turns: what is compared takes its slots one after the other, in an order that changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "slots.h"

/* Bursts of a slot: enough to go round the ring a few times, fewer of what takes long. */
#define BURSTS_MIN 20u
#define BURSTS_MAX 4000u

int
perf_turns_alloc(struct perf_turn *turns, unsigned int twins, const struct perf_options *opt)
{
	int ret = 0;

	for (unsigned int i = 0; i < opt->nb_drivers * twins; i++) {
		turns[i] = (struct perf_turn){ .samples = calloc(opt->slots, sizeof(double)) };
		snprintf(turns[i].name, sizeof(turns[i].name), "%.20s%s",
			opt->drivers[i % opt->nb_drivers], i < opt->nb_drivers ? "" : "'");
		if (turns[i].samples == NULL)
			ret = -ENOMEM;
	}
	return ret;
}

void
perf_turns_free(struct perf_turn *turns, unsigned int nb)
{
	for (unsigned int i = 0; i < nb; i++)
		free(turns[i].samples);
}

static unsigned int
slot_bursts(const struct perf_case *c, const struct perf_options *opt)
{
	unsigned int n = opt->slot_frames / c->burst;

	if (c->direction == PERF_IDLE)
		n = BURSTS_MIN;
	if (c->size > 2048)
		n /= 3;
	return RTE_MIN(RTE_MAX(n, BURSTS_MIN), BURSTS_MAX);
}

/* One slot; returns its cycles per unit, 0 if nothing was measured. */
static double
slot_run(struct perf_turn *turn, const struct perf_case *c, unsigned int bursts, double *costs)
{
	unsigned int n = 0;
	uint64_t cycles;

	for (unsigned int i = 0; i < bursts; i++) {
		const uint32_t units = turn->burst(&turn->lanes[i % turn->nb_lanes], c, &cycles);

		if (likely(units != 0))
			costs[n++] = (double)cycles / units;
	}
	return n == 0 ? 0 : perf_mean_of_most(costs, n);
}

unsigned int
perf_slots_order(unsigned int slot, unsigned int k, unsigned int nb)
{
	const unsigned int at = (slot / 2 + k) % nb;

	return slot % 2 == 0 ? at : nb - 1 - at;
}

int
perf_slots_run(struct perf_turn *turns, unsigned int nb, const struct perf_case *c,
	const struct perf_options *opt)
{
	const unsigned int bursts = slot_bursts(c, opt);
	double costs[BURSTS_MAX];
	double took;

	for (unsigned int slot = 0; slot < opt->slots + 1; slot++) {
		for (unsigned int k = 0; k < nb; k++) {
			struct perf_turn *turn = &turns[perf_slots_order(slot, k, nb)];

			took = slot_run(turn, c, bursts, costs);
			if (took == 0)
				return -EIO;
			if (slot != 0)
				turn->samples[slot - 1] = took;
		}
	}
	return 0;
}

struct perf_quantiles
perf_slots_figure(const struct perf_turn *turn, unsigned int slots)
{
	double copy[slots];

	memcpy(copy, turn->samples, sizeof(copy));
	return perf_quantiles(copy, slots);
}

struct perf_quantiles
perf_slots_ratio(const struct perf_turn *a, const struct perf_turn *b, unsigned int slots)
{
	double ratio[slots];

	for (unsigned int i = 0; i < slots; i++)
		ratio[i] = a->samples[i] / b->samples[i];
	return perf_quantiles(ratio, slots);
}
