/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Packets per second: the virtio side polls on a second core, in a second process.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "frames.h"
#include "table.h"
#include "two_cores.h"

/* A turn begins to count after this time. */
#define WARM_MS 3u

/* What is measured of a turn. */
enum metric {
	METRIC_RATE, /* millions of frames per second */
	METRIC_BUSY, /* cycles per frame of the host's core, without the polls that found none */
	METRICS,
};

/* What a turn has seen. */
struct turn_count {
	uint64_t frames;  /* in the time that counts */
	uint64_t busy;    /* cycles of the rounds that moved them */
	uint64_t all;     /* since the turn began */
	uint64_t wrong;   /* of those that were looked at, one a burst */
	uint64_t dropped; /* received but not sent on */
};

/* One burst of a direction; returns frames. */
typedef uint16_t (*turn_burst_fn)(struct perf_stage *stage, uint16_t port, const struct perf_case *c,
	struct turn_count *count);

static uint16_t
turn_rx(struct perf_stage *stage __rte_unused, uint16_t port, const struct perf_case *c,
	struct turn_count *count)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t n = rte_eth_rx_burst(port, 0, pkts, c->burst);

	if (n == 0)
		return 0;
	count->wrong += !perf_frame_is(pkts[0], c->size, count->all);
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static uint16_t
turn_tx(struct perf_stage *stage, uint16_t port, const struct perf_case *c, struct turn_count *count)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t made = perf_frames_make(stage->bench->host_pool, pkts, c->burst, c->size,
		count->all);

	return perf_peer_send(port, pkts, made);
}

static uint16_t
turn_fwd(struct perf_stage *stage __rte_unused, uint16_t port, const struct perf_case *c,
	struct turn_count *count)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t n = rte_eth_rx_burst(port, 0, pkts, c->burst);

	count->dropped += n - perf_peer_send(port, pkts, n);
	return n;
}

/* Bursts until the time is over. */
static void
turn_poll(struct perf_stage *stage, uint16_t port, const struct perf_case *c, struct turn_count *count,
	double metrics[METRICS])
{
	static const turn_burst_fn bursts[] = {
		[PERF_RX] = turn_rx,
		[PERF_TX] = turn_tx,
		[PERF_FWD] = turn_fwd,
	};
	const turn_burst_fn burst = bursts[c->direction];
	const uint64_t hz = rte_get_tsc_hz();
	const uint64_t start = rte_rdtsc() + hz * WARM_MS / 1000;
	const uint64_t end = start + hz * stage->bench->opt->slot_ms / 1000;
	uint64_t before, now = rte_rdtsc(), began = 0;
	uint16_t n;

	do {
		before = now;
		n = burst(stage, port, c, count);
		now = rte_rdtsc();
		count->all += n;
		count->frames += n;
		if (n != 0)
			count->busy += now - before;
		if (began == 0 && now >= start) {
			began = now;
			count->frames = 0;
			count->busy = 0;
		}
	} while (now < end);
	metrics[METRIC_RATE] = (double)count->frames * hz / (now - began) / 1e6;
	metrics[METRIC_BUSY] = (double)count->busy / RTE_MAX(count->frames, 1u);
}

/* Compare what was sent with what arrived. */
static void
turn_settle(struct perf_stage *stage, const struct perf_case *c, const struct turn_count *count,
	const struct perf_peer_reply *reply, uint64_t drained)
{
	struct perf_faults *faults = &stage->faults;

	faults->wrong += count->wrong;
	if (c->direction == PERF_RX)
		faults->lost += reply->tx - (count->all + drained);
	else if (c->direction == PERF_TX)
		faults->lost += count->all - reply->rx;
	else
		faults->lost += stage->seeds - drained;
}

/* One turn of a pair. @return 0 or -errno. */
static int
turn_run(struct perf_stage *stage, unsigned int i, const struct perf_case *c, double metrics[METRICS])
{
	static const enum perf_order orders[] = {
		[PERF_RX] = PERF_PEER_SOURCE,
		[PERF_TX] = PERF_PEER_SINK,
		[PERF_FWD] = PERF_PEER_ECHO,
	};
	const uint16_t port = stage->pairs[i].vhost;
	struct turn_count count = { 0 };
	struct perf_peer_reply reply;
	uint64_t drained = 0;
	int ret;

	ret = perf_stage_tell(stage, i, orders[c->direction], c, NULL);
	if (ret != 0)
		return ret;
	turn_poll(stage, port, c, &count, metrics);
	/* What goes round comes to rest here; a source is stopped first. */
	if (c->direction == PERF_FWD)
		drained = perf_stage_await(port, stage->seeds - RTE_MIN(count.dropped, stage->seeds));
	ret = perf_stage_tell(stage, i, PERF_PEER_STOP, c, &reply);
	if (c->direction == PERF_RX)
		drained = perf_stage_await(port, reply.tx - RTE_MIN(count.all, reply.tx));
	turn_settle(stage, c, &count, &reply, drained);
	return ret;
}

/* The turns of each metric. */
struct course {
	struct perf_table table;
	struct perf_turn turns[METRICS][PERF_DRIVERS_MAX * PERF_TWINS];
};

static void
course_print(struct course *course, const struct perf_case *c)
{
	struct perf_table busy = course->table;

	perf_table_case(c, "Mpps");
	perf_table_row(&course->table, c, course->turns[METRIC_RATE], NULL);
	busy.unit = "cycles busy per packet";
	busy.decimals = 1;
	busy.larger_is_better = false;
	perf_table_case(c, "busy");
	perf_table_row(&busy, c, course->turns[METRIC_BUSY], NULL);
}

static int
case_run(struct course *course, struct perf_stage *stage, const struct perf_case *c)
{
	const unsigned int slots = course->table.opt->slots;
	double metrics[METRICS];
	int ret = 0;

	for (unsigned int slot = 0; slot < slots + 1; slot++)
		for (unsigned int k = 0; ret == 0 && k < stage->nb; k++) {
			const unsigned int i = perf_slots_order(slot, k, stage->nb);

			ret = turn_run(stage, i, c, metrics);
			for (unsigned int m = 0; m < METRICS && slot != 0; m++)
				course->turns[m][i].samples[slot - 1] = metrics[m];
		}
	if (ret == 0)
		course_print(course, c);
	return ret;
}

static int
wiring_run(struct course *course, struct perf_stage *stage, const struct perf_case *list, unsigned int nb)
{
	int ret = perf_stage_open(stage, &list[0].wiring);

	if (ret == 0) {
		perf_table_wiring(&list[0].wiring);
		perf_table_heading(&course->table, false);
	}
	for (unsigned int i = 0; ret == 0 && i < nb; i++)
		ret = case_run(course, stage, &list[i]);
	perf_stage_close(stage);
	return ret;
}

int
perf_two_cores(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report)
{
	struct course course = {
		.table = {
			.report = report,
			.opt = bench->opt,
			.mode = "two-cores",
			.unit = "Mpps",
			.decimals = 2,
			.larger_is_better = true,
		},
	};
	struct perf_stage stage;
	unsigned int first, next;
	int ret = 0;

	for (unsigned int m = 0; ret == 0 && m < METRICS; m++)
		ret = perf_turns_alloc(course.turns[m], PERF_TWINS, bench->opt);
	if (ret == 0)
		ret = perf_stage_init(&stage, bench);
	if (ret != 0)
		return ret;
	stage.seeds = bench->opt->seeds;
	for (first = 0; ret == 0 && first < cases->nb; first = next) {
		for (next = first; next < cases->nb; next++) {
			if (!perf_wiring_equal(&cases->list[first].wiring, &cases->list[next].wiring))
				break;
		}
		ret = wiring_run(&course, &stage, &cases->list[first], next - first);
	}
	perf_stage_fini(&stage);
	for (unsigned int m = 0; m < METRICS; m++)
		perf_turns_free(course.turns[m], PERF_TWINS * bench->opt->nb_drivers);
	printf("\nframes lost %" PRIu64 ", wrong %" PRIu64 "\n", stage.faults.lost, stage.faults.wrong);
	if (ret != 0)
		return ret;
	return stage.faults.lost != 0 || stage.faults.wrong != 0 ? -EBADMSG : 0;
}
