/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Cycles per packet: both ends of each port in this process, on one core.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "floor.h"
#include "one_core.h"
#include "slots.h"
#include "table.h"

/* Each driver is there twice, to be compared with itself. */
#define TWINS 2u
/* Most lanes of one turn: queues or ports. */
#define LANES_MAX 16u

/* What takes part in one turn: the pairs of a driver, or the buffers of the floor. */
struct party {
	const char *driver;                /* NULL: the floor */
	unsigned int nb_pairs;
	unsigned int nb_lanes;
	struct perf_pair pairs[LANES_MAX];
	struct perf_lane lanes[LANES_MAX];
	bool ready[PERF_IDLE + 1];         /* by direction: frames were seen to pass */
};

/* All that there is for one wiring. */
struct arena {
	struct perf_bench *bench;
	struct perf_table table;
	const struct perf_wiring *wiring;
	struct perf_faults faults;
	unsigned int nb_parties; /* the last one is the floor */
	struct party *parties;
	unsigned int nb_turns;
	struct perf_turn turns[PERF_TURNS_MAX];
};

/* --- parties -------------------------------------------------------------------------------------- */

static void
party_close(struct party *party)
{
	for (unsigned int i = party->nb_pairs; i > 0; i--)
		perf_pair_close(&party->pairs[i - 1]);
	for (unsigned int i = 0; i < party->nb_lanes; i++)
		perf_floor_free(party->lanes[i].floor);
	memset(party, 0, sizeof(*party));
}

static void
party_lanes(struct party *party, struct arena *arena, unsigned int nb_out)
{
	const struct perf_wiring *w = arena->wiring;

	party->nb_lanes = (unsigned int)w->queues * w->ports;
	for (unsigned int i = 0; i < party->nb_lanes; i++) {
		const struct perf_pair *in = &party->pairs[i / w->queues];
		const struct perf_pair *out = nb_out == 0 ? in : &party->pairs[w->ports];

		party->lanes[i] = (struct perf_lane){
			.bench = arena->bench,
			.faults = &arena->faults,
			.vhost = in->vhost,
			.virtio = in->virtio,
			.out_vhost = out->vhost,
			.out_virtio = out->virtio,
			.queue = i % w->queues,
		};
	}
}

/* The pairs of a driver, and one more to forward to if @a nb_out is 1. */
static int
party_open(struct party *party, struct arena *arena, const char *driver, unsigned int nb_out)
{
	int ret = 0;

	party->driver = driver;
	while (ret == 0 && party->nb_pairs < arena->wiring->ports + nb_out) {
		ret = perf_pair_open(&party->pairs[party->nb_pairs], arena->bench, driver,
			arena->wiring);
		party->nb_pairs++;
	}
	if (ret == 0)
		party_lanes(party, arena, nb_out);
	return ret;
}

static int
party_open_floor(struct party *party, struct arena *arena)
{
	party_lanes(party, arena, 0);
	for (unsigned int i = 0; i < party->nb_lanes; i++) {
		party->lanes[i].floor = perf_floor_create(arena->bench);
		if (party->lanes[i].floor == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Frames pass on every lane of the party. */
static int
party_ready(struct party *party, const struct perf_case *c)
{
	int ret;

	if (party->driver == NULL || party->ready[c->direction])
		return 0;
	for (unsigned int i = 0; i < party->nb_lanes; i++) {
		ret = perf_lane_ready(&party->lanes[i], c);
		if (ret != 0) {
			printf("%s: no frames pass\n", party->pairs[i / c->wiring.queues].vhost_name);
			return ret;
		}
	}
	party->ready[c->direction] = true;
	return 0;
}

/* --- turns ---------------------------------------------------------------------------------------- */

static void
turn_add(struct arena *arena, struct party *party, unsigned int nb_lanes, const char *suffix)
{
	struct perf_turn *turn = &arena->turns[arena->nb_turns++];

	snprintf(turn->name, sizeof(turn->name), "%.20s%s",
		party->driver == NULL ? "floor" : party->driver, suffix);
	turn->lanes = party->lanes;
	turn->nb_lanes = nb_lanes;
}

/* Set the turns to a case. @return how many take part: all, or all but the floor. */
static unsigned int
turns_prepare(struct arena *arena, const struct perf_case *c)
{
	unsigned int nb = 0;

	for (unsigned int i = 0; i < arena->nb_turns; i++) {
		struct perf_turn *turn = &arena->turns[i];

		turn->burst = turn->lanes[0].floor == NULL ? perf_lane_burst(c->direction) :
			perf_floor_burst(c->direction);
		nb += turn->burst != NULL;
	}
	return nb;
}

static int
turns_alloc(struct arena *arena)
{
	const unsigned int slots = arena->bench->opt->slots;

	for (unsigned int i = 0; i < arena->nb_turns; i++) {
		arena->turns[i].samples = calloc(slots, sizeof(double));
		if (arena->turns[i].samples == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int
arena_measure(struct arena *arena, const struct perf_case *c, unsigned int *nb)
{
	int ret;

	for (unsigned int i = 0; i < arena->nb_parties; i++) {
		ret = party_ready(&arena->parties[i], c);
		if (ret != 0)
			return ret;
	}
	*nb = turns_prepare(arena, c);
	return perf_slots_run(arena->turns, *nb, c, arena->bench->opt);
}

static void
arena_close(struct arena *arena)
{
	for (unsigned int i = 0; i < arena->nb_turns; i++)
		free(arena->turns[i].samples);
	for (unsigned int i = 0; i < arena->nb_parties; i++)
		party_close(&arena->parties[i]);
	free(arena->parties);
}

/* --- drivers side by side ------------------------------------------------------------------------- */

/* The turns: each driver, each driver's twin, the floor. */
static int
duel_open(struct arena *arena, bool forward)
{
	const struct perf_options *opt = arena->bench->opt;
	int ret = 0;

	arena->nb_parties = opt->nb_drivers * TWINS + 1;
	arena->parties = calloc(arena->nb_parties, sizeof(*arena->parties));
	if (arena->parties == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; ret == 0 && i < opt->nb_drivers * TWINS; i++) {
		struct party *party = &arena->parties[i];

		ret = party_open(party, arena, opt->drivers[i % opt->nb_drivers], forward);
		turn_add(arena, party, party->nb_lanes, i < opt->nb_drivers ? "" : "'");
	}
	if (ret == 0) {
		struct party *party = &arena->parties[arena->nb_parties - 1];

		ret = party_open_floor(party, arena);
		turn_add(arena, party, party->nb_lanes, "");
	}
	return ret == 0 ? turns_alloc(arena) : ret;
}

static void
duel_report(const struct arena *arena, const struct perf_case *c, bool floor)
{
	perf_table_case(c, "");
	perf_table_row(&arena->table, c, arena->turns,
		floor ? &arena->turns[arena->nb_turns - 1] : NULL);
}

/* --- one lane beside many ------------------------------------------------------------------------- */

/* The turns: one lane and all lanes of a driver, then of the floor. */
static int
spread_open(struct arena *arena, const char *driver)
{
	int ret;

	arena->nb_parties = 2;
	arena->parties = calloc(arena->nb_parties, sizeof(*arena->parties));
	if (arena->parties == NULL)
		return -ENOMEM;
	ret = party_open(&arena->parties[0], arena, driver, 0);
	if (ret == 0)
		ret = party_open_floor(&arena->parties[1], arena);
	for (unsigned int i = 0; i < arena->nb_parties; i++) {
		turn_add(arena, &arena->parties[i], 1, " one");
		turn_add(arena, &arena->parties[i], arena->parties[i].nb_lanes, " all");
	}
	return ret == 0 ? turns_alloc(arena) : ret;
}

static void
spread_heading(const struct arena *arena)
{
	printf("%-23s | one %-16.16s | all in turn          | all/one              | floor one"
		"            | floor all            | floor all/one\n", "cycles", arena->parties[0].driver);
}

static void
spread_report(const struct arena *arena, const struct perf_case *c)
{
	perf_table_case(c, "");
	for (unsigned int i = 0; i < arena->nb_turns; i += 2) {
		perf_table_figure(&arena->table, c, &arena->turns[i]);
		perf_table_figure(&arena->table, c, &arena->turns[i + 1]);
		perf_table_ratio(&arena->table, c, &arena->turns[i + 1], &arena->turns[i]);
	}
	printf("\n");
}

/* --- all ------------------------------------------------------------------------------------------ */

/* Measure @a nb cases of one wiring; @a spread is the driver of which one lane is compared with all. */
static int
arena_run(struct arena *arena, const struct perf_case *list, unsigned int nb, const char *spread)
{
	unsigned int nb_turns;
	bool forward = false;
	int ret = perf_bench_prepare(arena->bench, &list[0].wiring);

	if (ret != 0)
		return ret;
	arena->wiring = &list[0].wiring;
	for (unsigned int i = 0; i < nb; i++)
		forward = forward || list[i].direction == PERF_FWD;
	ret = spread != NULL ? spread_open(arena, spread) : duel_open(arena, forward);
	if (ret == 0) {
		perf_wire_prefault();
		perf_table_wiring(arena->wiring);
		if (spread != NULL)
			spread_heading(arena);
		else
			perf_table_heading(&arena->table, true);
	}
	for (unsigned int i = 0; ret == 0 && i < nb; i++) {
		ret = arena_measure(arena, &list[i], &nb_turns);
		if (ret == 0 && spread != NULL)
			spread_report(arena, &list[i]);
		else if (ret == 0)
			duel_report(arena, &list[i], nb_turns == arena->nb_turns);
	}
	arena_close(arena);
	return ret;
}

static int
wiring_run(struct perf_bench *bench, const struct perf_case *list, unsigned int nb,
	struct perf_report *report, struct perf_faults *faults)
{
	const struct perf_wiring *w = &list[0].wiring;
	const bool spread = w->queues > 1 || w->ports > 1;
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < (spread ? bench->opt->nb_drivers : 1); i++) {
		struct arena arena = {
			.bench = bench,
			.table = {
				.report = report,
				.opt = bench->opt,
				.mode = "one-core",
				.unit = "cycles",
				.decimals = 1,
			},
		};

		ret = arena_run(&arena, list, nb, spread ? bench->opt->drivers[i] : NULL);
		faults->lost += arena.faults.lost;
		faults->wrong += arena.faults.wrong;
		faults->split += arena.faults.split;
	}
	return ret;
}

int
perf_one_core(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report)
{
	struct perf_faults faults = { 0 };
	unsigned int first, next;
	int ret = 0;

	for (first = 0; ret == 0 && first < cases->nb; first = next) {
		for (next = first; next < cases->nb; next++) {
			if (!perf_wiring_equal(&cases->list[first].wiring, &cases->list[next].wiring))
				break;
		}
		ret = wiring_run(bench, &cases->list[first], next - first, report, &faults);
	}
	printf("\nframes lost %" PRIu64 ", wrong %" PRIu64 "; bursts in parts %" PRIu64 "\n",
		faults.lost, faults.wrong, faults.split);
	if (ret != 0)
		return ret;
	return faults.lost != 0 || faults.wrong != 0 ? -EBADMSG : 0;
}
