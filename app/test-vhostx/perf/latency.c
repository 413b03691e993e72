/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Round trips from the host to the guest's side and back, and the highest rate that loses nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "frames.h"
#include "latency.h"
#include "table.h"
#include "two_cores.h"

/* Round trips of a turn that are kept. */
#define TRIPS_MAX 200000u
/* Frames that fall due together, at high rates. */
#define DUE_MAX 32u
/*
 * Steps of the search for the highest rate, and trials of each. Short ones: a machine that stops one side for longer
 * than the ring lasts, as a virtual one does now and then, loses frames at any rate.
 */
#define SEARCH_STEPS 9u
#define SEARCH_TRIALS 10u
#define SEARCH_MS 10u
/* Where it begins, millions of frames per second: more than any driver does. */
#define SEARCH_TOP 64.0

/* The loads that round trips are measured under, millions of frames per second. */
static const double loads[] = { 0.1, 1, 5 };

/* What is measured of a turn. */
enum metric {
	METRIC_P50,
	METRIC_P99,
	METRIC_P999,
	METRICS,
};

/* An offered load, and what came of it. */
struct trial {
	double mpps;     /* offered */
	unsigned int ms; /* for so long */
	double *trips;   /* [TRIPS_MAX] round trips, cycles; NULL: not kept */
	uint32_t kept;   /* of trips */
	uint64_t due;    /* frames that should have been sent */
	uint64_t back;   /* frames that came back */
};

static void
trial_receive(struct trial *trial, uint16_t port)
{
	struct rte_mbuf *pkts[64];
	const uint16_t n = rte_eth_rx_burst(port, 0, pkts, RTE_DIM(pkts));
	const uint64_t now = rte_rdtsc();

	for (uint16_t i = 0; i < n && trial->trips != NULL && trial->kept < TRIPS_MAX; i++)
		trial->trips[trial->kept++] = now - perf_frame_stamp_of(pkts[i]);
	rte_pktmbuf_free_bulk(pkts, n);
	trial->back += n;
}

/* Send @a n frames; what the ring does not take is lost. */
static void
trial_send(struct perf_stage *stage, struct trial *trial, uint16_t port, const struct perf_case *c,
	uint16_t n)
{
	struct rte_mbuf *pkts[DUE_MAX];
	const uint16_t made = perf_frames_make(stage->bench->host_pool, pkts, n, c->size, trial->due);
	const uint64_t now = rte_rdtsc();
	uint16_t sent;

	for (uint16_t i = 0; i < made; i++)
		perf_frame_stamp(pkts[i], now);
	sent = rte_eth_tx_burst(port, 0, pkts, made);
	rte_pktmbuf_free_bulk(&pkts[sent], made - sent);
	trial->due += n;
}

/* Offer a load for a while and wait for the rest. */
static void
trial_run(struct perf_stage *stage, struct trial *trial, uint16_t port, const struct perf_case *c)
{
	const double per_cycle = trial->mpps * 1e6 / rte_get_tsc_hz();
	const uint64_t begin = rte_rdtsc();
	const uint64_t end = begin + rte_get_tsc_hz() * trial->ms / 1000;
	uint64_t now, want;

	for (now = begin; now < end; now = rte_rdtsc()) {
		want = (uint64_t)((now - begin) * per_cycle);
		if (want > trial->due)
			trial_send(stage, trial, port, c, RTE_MIN(want - trial->due, DUE_MAX));
		trial_receive(trial, port);
	}
	/* Falling behind the clock is no loss by itself; what was not sent counts below. */
	trial->due = (uint64_t)((end - begin) * per_cycle);
	for (now = 0; now < 2; now++)
		trial->back += perf_stage_drain(port);
}

/* Does the pair carry this load, in one of a few trials? A frame in a hundred thousand is forgiven. */
static bool
rate_carried(struct perf_stage *stage, unsigned int i, const struct perf_case *c, double mpps)
{
	for (unsigned int k = 0; k < SEARCH_TRIALS; k++) {
		struct trial trial = { .mpps = mpps, .ms = SEARCH_MS };

		trial_run(stage, &trial, stage->pairs[i].vhost, c);
		if (trial.back + trial.due / 100000 + DUE_MAX >= trial.due)
			return true;
	}
	return false;
}

/* The highest rate, by halving. */
static double
rate_search(struct perf_stage *stage, unsigned int i, const struct perf_case *c)
{
	double low = 0, high = SEARCH_TOP;

	for (unsigned int step = 0; step < SEARCH_STEPS; step++) {
		const double middle = (low + high) / 2;

		if (rate_carried(stage, i, c, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

static int
turn_rate(struct perf_stage *stage, unsigned int i, const struct perf_case *c, double *mpps)
{
	int ret = perf_stage_tell(stage, i, PERF_PEER_ECHO, c, NULL);

	if (ret != 0)
		return ret;
	*mpps = rate_search(stage, i, c);
	return perf_stage_tell(stage, i, PERF_PEER_STOP, c, NULL);
}

static int
turn_trips(struct perf_stage *stage, unsigned int i, const struct perf_case *c, double mpps,
	double *trips, double metrics[METRICS])
{
	static const double quantiles[METRICS] = { 0.5, 0.99, 0.999 };
	struct trial trial = { .mpps = mpps, .ms = stage->bench->opt->slot_ms, .trips = trips };
	const double us = rte_get_tsc_hz() / 1e6;
	int ret = perf_stage_tell(stage, i, PERF_PEER_ECHO, c, NULL);

	if (ret != 0)
		return ret;
	trial_run(stage, &trial, stage->pairs[i].vhost, c);
	if (trial.kept == 0)
		stage->faults.lost++;
	for (unsigned int m = 0; m < METRICS; m++)
		metrics[m] = trial.kept == 0 ? 0 :
			perf_quantile(trips, trial.kept, quantiles[m]) / us;
	return perf_stage_tell(stage, i, PERF_PEER_STOP, c, NULL);
}

/* Everything for one mode of reporting: the table, and the turns for each metric. */
struct course {
	struct perf_stage stage;
	struct perf_table table;
	struct perf_turn turns[METRICS][PERF_DRIVERS_MAX * PERF_TWINS];
	double *trips;
};

static int
course_trips(struct course *course, const struct perf_case *c, double mpps)
{
	static const char *const names[METRICS] = { "p50", "p99", "p99.9" };
	struct perf_stage *stage = &course->stage;
	double metrics[METRICS];
	char unit[32];

	for (unsigned int slot = 0; slot < course->table.opt->slots; slot++)
		for (unsigned int k = 0; k < stage->nb; k++) {
			const unsigned int i = perf_slots_order(slot, k, stage->nb);
			int ret = turn_trips(stage, i, c, mpps, course->trips, metrics);

			if (ret != 0)
				return ret;
			for (unsigned int m = 0; m < METRICS; m++)
				course->turns[m][i].samples[slot] = metrics[m];
		}
	for (unsigned int m = 0; m < METRICS; m++) {
		snprintf(unit, sizeof(unit), "us %s at %g Mpps", names[m], mpps);
		course->table.unit = unit;
		course->table.larger_is_better = false;
		perf_table_case(c, names[m]);
		printf(" %4g", mpps);
		perf_table_row(&course->table, c, course->turns[m], NULL);
	}
	return 0;
}

static int
course_rate(struct course *course, const struct perf_case *c)
{
	struct perf_stage *stage = &course->stage;
	/* A search takes as long as a few dozen turns. */
	const unsigned int slots = RTE_MIN(course->table.opt->slots, 5u);
	struct perf_options opt = *course->table.opt;
	struct perf_table table = course->table;

	for (unsigned int slot = 0; slot < slots; slot++)
		for (unsigned int k = 0; k < stage->nb; k++) {
			const unsigned int i = perf_slots_order(slot, k, stage->nb);
			int ret = turn_rate(stage, i, c, &course->turns[0][i].samples[slot]);

			if (ret != 0)
				return ret;
		}
	opt.slots = slots;
	table.opt = &opt;
	table.unit = "Mpps without loss";
	table.larger_is_better = true;
	perf_table_case(c, "Mpps");
	printf(" loss0");
	perf_table_row(&table, c, course->turns[0], NULL);
	return 0;
}

static int
course_case(struct course *course, const struct perf_case *c)
{
	int ret = perf_stage_open(&course->stage, &c->wiring);

	if (ret == 0) {
		perf_table_wiring(&c->wiring);
		course->table.unit = "us, Mpps";
		perf_table_heading(&course->table, false);
	}
	for (unsigned int i = 0; ret == 0 && i < RTE_DIM(loads); i++)
		ret = course_trips(course, c, loads[i]);
	if (ret == 0)
		ret = course_rate(course, c);
	perf_stage_close(&course->stage);
	return ret;
}

int
perf_latency(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report)
{
	const unsigned int nb_turns = PERF_TWINS * bench->opt->nb_drivers;
	struct course *course = calloc(1, sizeof(*course));
	int ret = 0;

	if (course == NULL)
		return -ENOMEM;
	course->table = (struct perf_table){
		.report = report,
		.opt = bench->opt,
		.mode = "latency",
		.decimals = 2,
	};
	course->trips = calloc(TRIPS_MAX, sizeof(*course->trips));
	for (unsigned int m = 0; ret == 0 && m < METRICS; m++)
		ret = perf_turns_alloc(course->turns[m], PERF_TWINS, bench->opt);
	if (ret == 0)
		ret = course->trips == NULL ? -ENOMEM : perf_stage_init(&course->stage, bench);
	if (ret == 0) {
		for (unsigned int i = 0; ret == 0 && i < cases->nb; i++)
			ret = course_case(course, &cases->list[i]);
		perf_stage_fini(&course->stage);
	}
	for (unsigned int m = 0; m < METRICS; m++)
		perf_turns_free(course->turns[m], nb_turns);
	free(course->trips);
	free(course);
	return ret;
}
