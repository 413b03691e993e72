/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * dpdk-test-vhostx perf: how fast vhost drivers are, side by side.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_vect.h>
#include <rte_version.h>

#include "clock.h"
#include "floor.h"
#include "footprint.h"
#include "frames.h"
#include "latency.h"
#include "one_core.h"
#include "regions.h"
#include "ring/burst.h"
#include "two_cores.h"

static void
print_cases(const struct perf_cases *cases)
{
	char name[PERF_NAME_MAX];

	for (unsigned int i = 0; i < cases->nb; i++) {
		perf_case_name(&cases->list[i], name);
		printf("%s\n", name);
	}
}

static void
print_heading(const struct perf_bench *bench)
{
	const struct perf_options *opt = bench->opt;

	printf("%s, TSC %.2f GHz, SIMD up to %u bits, ring %u, %u slots of about %u frames each\n",
		rte_version(), rte_get_tsc_hz() / 1e9, rte_vect_get_max_simd_bitwidth(), opt->ring,
		opt->slots, opt->slot_frames);
	printf("TSC cycles per packet on the vhost side, less the %u of an empty section:\n"
		"  rx    rte_eth_rx_burst(), mbufs taken from the pool; freeing them is not timed\n"
		"  drop  rx, and freeing the mbufs without a look at them\n"
		"  read  rx, reading every byte, and freeing the mbufs\n"
		"  tx    rte_eth_tx_burst(), which frees the mbufs; allocating them is not timed\n"
		"  fwd   rx burst, then tx burst of the same mbufs on a second port\n"
		"  idle  rte_eth_rx_burst() of a connected, empty queue, cycles per poll\n"
		"A slot's figure is the mean of its bursts without the slowest fiftieth. Columns show the\n"
		"median of the slots and p10-p90. Ratios are taken slot by slot; a driver against a second\n"
		"port of itself is the noise. The floor copies the same bytes (%s moves) from or to as\n"
		"many buffers%s, with a mempool get and put.\n",
		(unsigned int)bench->overhead, perf_floor_isa(),
		bench->alias.len == 0 ? "" : ", mapped twice as for a vhost port");
}

static void
print_heading_regions(const struct perf_bench *bench)
{
	const struct perf_options *opt = bench->opt;

	printf("%s, TSC %.2f GHz, bursts for %s, ring %u, %u slots of about %u frames each\n", rte_version(),
		rte_get_tsc_hz() / 1e9, vhostx_bursts_best()->isa, opt->ring, opt->slots, opt->slot_frames);
	printf("TSC cycles per packet of a burst, without ethdev. The guest has its buffers in one region, and\n"
		"the same bytes in many regions, 128 MiB apart: neighbours follow one another on the ring, or they are\n"
		"in random order. The floor copies from and to the same buffers.\n"
		"Columns show the median of the slots and p10-p90; ratios are taken slot by slot.\n");
}

static void
print_heading_two_cores(const struct perf_options *opt)
{
	printf("%s, SIMD up to %u bits, ring %u, %u slots of %u ms\n", rte_version(),
		rte_vect_get_max_simd_bitwidth(), opt->ring, opt->slots, opt->slot_ms);
	printf("Two processes on a core each; columns show the median of the slots and p10-p90.\n");
	if (opt->mode == PERF_TWO_CORES)
		printf("Millions of packets per second:\n"
			"  rx    the guest's side sends, the host's side receives and frees\n"
			"  tx    the host's side makes and sends, the guest's side receives and frees\n"
			"  fwd   both sides send back what they receive, %u packets are on the way\n"
			"and what of the host's core that takes: TSC cycles per packet, polls that find nothing left out.\n"
			"The slower side sets the pace; where that is the guest's, the cycles tell the drivers apart.\n",
			opt->seeds);
	else
		printf("Round trips host, guest's side, host, under an offered load; then the highest load\n"
			"that comes back whole for 10 ms: halving, the best of ten trials.\n");
}

/* Run a mode, with the ports' memory there. */
static int
perf_mode_run(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report)
{
	switch (bench->opt->mode) {
	case PERF_ONE_CORE:
		bench->overhead = perf_clock_overhead();
		print_heading(bench);
		return perf_one_core(bench, cases, report);
	case PERF_FOOTPRINT:
		return perf_footprint(bench);
	case PERF_REGIONS:
		bench->overhead = perf_clock_overhead();
		print_heading_regions(bench);
		return perf_regions(bench, cases, report);
	case PERF_TWO_CORES:
		print_heading_two_cores(bench->opt);
		return perf_two_cores(bench, cases, report);
	case PERF_LATENCY:
		print_heading_two_cores(bench->opt);
		return perf_latency(bench, cases, report);
	default:
		return perf_peer_main(bench);
	}
}

static int
perf_run(const struct perf_options *opt, const struct perf_cases *cases)
{
	struct perf_report report;
	struct perf_bench bench;
	int ret;

	perf_frames_init();
	ret = perf_report_open(&report, opt);
	if (ret != 0)
		return ret;
	ret = perf_bench_init(&bench, opt);
	if (ret == 0)
		ret = perf_mode_run(&bench, cases, &report);
	perf_bench_fini(&bench);
	perf_report_close(&report);
	return ret;
}

/* Run or list the cases that the options ask for. */
static int
perf_do(const struct perf_options *opt)
{
	static struct perf_cases cases;

	perf_cases_make(&cases, opt->mode, opt->quick, opt->filter);
	if (cases.nb == 0 && opt->filter != NULL) {
		printf("--filter %s: no case has these words; --list prints the cases\n", opt->filter);
		return -EINVAL;
	}
	if (!opt->list)
		return perf_run(opt, &cases);
	print_cases(&cases);
	return 0;
}

/* The options behind "--", or none. */
static int
perf_main(int argc, char **argv)
{
	struct perf_options opt;
	int eal, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	eal = rte_eal_init(argc, argv);
	if (eal < 0) {
		printf("EAL: %s\n", rte_strerror(rte_errno));
		return EXIT_FAILURE;
	}
	ret = perf_options_parse(&opt, argc - eal, argv + eal);
	if (ret != 0 || opt.help)
		perf_usage();
	else
		ret = perf_do(&opt);
	rte_eal_cleanup();
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "perf") == 0)
		return perf_main(argc - 1, argv + 1);
	perf_usage();
	return EXIT_FAILURE;
}
