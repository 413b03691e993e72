/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the number of memory regions costs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "regions.h"
#include "scatter.h"
#include "table.h"

/* One region and many, and the floor of both. */
#define TURNS 4u

/* The guests of a case, and who takes turns. */
struct contest {
	struct perf_scatter *guest[TURNS];
	struct perf_lane lane[TURNS];
	struct perf_turn turn[TURNS];
};

static void
contest_close(struct contest *contest)
{
	for (unsigned int i = 0; i < TURNS; i++) {
		free(contest->turn[i].samples);
		perf_scatter_free(contest->guest[i]);
	}
}

static int
contest_open(struct contest *contest, struct perf_bench *bench, const struct perf_case *c, bool random,
	struct perf_faults *faults)
{
	for (unsigned int i = 0; i < TURNS; i++) {
		const unsigned int regions = i % 2 == 0 ? 1 : bench->opt->regions;
		const bool floor = i >= 2;
		struct perf_turn *turn = &contest->turn[i];

		contest->guest[i] = perf_scatter_create(bench, c, regions, random);
		turn->samples = calloc(bench->opt->slots, sizeof(*turn->samples));
		if (contest->guest[i] == NULL || turn->samples == NULL)
			return -ENOMEM;
		contest->lane[i] = (struct perf_lane){
			.bench = bench, .faults = faults, .scatter = contest->guest[i],
		};
		snprintf(turn->name, sizeof(turn->name), "%s%u regions%s", floor ? "floor " : "", regions,
			random ? " random" : "");
		turn->burst = floor ? perf_scatter_floor : perf_scatter_burst(c->direction);
		turn->lanes = &contest->lane[i];
		turn->nb_lanes = 1;
	}
	return 0;
}

static void
contest_report(const struct contest *contest, const struct perf_table *table, const struct perf_case *c, bool random)
{
	printf("%-6s %-10s ", c->wiring.packed ? "packed" : "split", random ? "random" : "neighbours");
	perf_table_case(c, "");
	for (unsigned int i = 0; i < TURNS; i += 2) {
		perf_table_figure(table, c, &contest->turn[i]);
		perf_table_figure(table, c, &contest->turn[i + 1]);
		perf_table_ratio(table, c, &contest->turn[i + 1], &contest->turn[i]);
	}
	printf("\n");
}

int
perf_regions(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report)
{
	const struct perf_table table = {
		.report = report, .opt = bench->opt, .mode = "regions", .unit = "cycles", .decimals = 1,
	};
	struct perf_faults faults = { 0 };
	int ret = 0;

	printf("\n%-41s | one region           | %-3u regions          | many/one             | floor one"
		"            | floor many           | floor many/one\n", "cycles", bench->opt->regions);
	for (unsigned int i = 0; ret == 0 && i < 2 * cases->nb; i++) {
		const struct perf_case *c = &cases->list[i / 2];
		const bool random = i % 2 != 0;
		struct contest contest = { 0 };

		ret = contest_open(&contest, bench, c, random, &faults);
		if (ret == 0)
			ret = perf_slots_run(contest.turn, TURNS, c, bench->opt);
		if (ret == 0)
			contest_report(&contest, &table, c, random);
		contest_close(&contest);
	}
	printf("\nframes lost %" PRIu64 ", wrong %" PRIu64 "\n", faults.lost, faults.wrong);
	if (ret != 0)
		return ret;
	return faults.lost != 0 || faults.wrong != 0 ? -EBADMSG : 0;
}
