/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The vhost ports of this process, and the second process that has their other ends.
 */
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "two_cores.h"

/* Nothing is on the way any more after this time without a frame. */
#define QUIET_US 2000u

int
perf_stage_init(struct perf_stage *stage, struct perf_bench *bench)
{
	memset(stage, 0, sizeof(*stage));
	stage->bench = bench;
	return perf_peer_start(&stage->peer, bench->opt, bench->opt->peer_eal);
}

void
perf_stage_fini(struct perf_stage *stage)
{
	perf_peer_end(&stage->peer);
}

static int
stage_open_pair(struct perf_stage *stage, const char *driver, const struct perf_wiring *wiring)
{
	struct perf_pair *pair = &stage->pairs[stage->nb++];
	struct perf_peer_order order = { .order = PERF_PEER_OPEN, .wiring = *wiring };
	int ret = perf_pair_open_vhost(pair, stage->bench, driver, wiring);

	if (ret != 0)
		return ret;
	memcpy(order.path, pair->path, sizeof(order.path));
	ret = perf_peer_tell(&stage->peer, &order, NULL);
	return ret == 0 ? perf_pair_wait(pair) : ret;
}

int
perf_stage_open(struct perf_stage *stage, const struct perf_wiring *wiring)
{
	const struct perf_options *opt = stage->bench->opt;
	int ret = 0;

	for (unsigned int i = 0; ret == 0 && i < opt->nb_drivers * PERF_TWINS; i++)
		ret = stage_open_pair(stage, opt->drivers[i % opt->nb_drivers], wiring);
	if (ret == 0)
		perf_wire_prefault();
	return ret;
}

void
perf_stage_close(struct perf_stage *stage)
{
	const struct perf_peer_order order = { .order = PERF_PEER_CLOSE };

	perf_peer_tell(&stage->peer, &order, NULL);
	while (stage->nb > 0)
		perf_pair_close(&stage->pairs[--stage->nb]);
}

int
perf_stage_tell(struct perf_stage *stage, unsigned int i, enum perf_order order,
	const struct perf_case *c, struct perf_peer_reply *reply)
{
	const struct perf_peer_order o = {
		.order = order,
		.port = i,
		.c = *c,
		.seeds = order == PERF_PEER_ECHO ? stage->seeds : 0,
	};

	return perf_peer_tell(&stage->peer, &o, reply);
}

static uint64_t
stage_drain(uint16_t port, uint64_t expected, uint64_t quiet_us)
{
	const uint64_t quiet = rte_get_tsc_hz() * quiet_us / 1000000;
	uint64_t last = rte_rdtsc(), count = 0;
	struct rte_mbuf *pkts[64];
	uint16_t n;

	while (count < expected && rte_rdtsc() - last < quiet) {
		n = rte_eth_rx_burst(port, 0, pkts, RTE_DIM(pkts));
		if (n == 0)
			continue;
		rte_pktmbuf_free_bulk(pkts, n);
		count += n;
		last = rte_rdtsc();
	}
	return count;
}

uint64_t
perf_stage_drain(uint16_t port)
{
	return stage_drain(port, UINT64_MAX, QUIET_US);
}

uint64_t
perf_stage_await(uint16_t port, uint64_t expected)
{
	return stage_drain(port, expected, PERF_PATIENCE_US);
}
