/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What an idle port costs in memory: the heaps of DPDK and of the C library, before and after.
 */
#include <malloc.h>
#include <stdio.h>

#include <rte_malloc.h>

#include "footprint.h"

/* Ports after the first, whose mean is the figure: the first one brings what all share. */
#define PORTS 8u

struct heaps {
	double dpdk; /* bytes that rte_malloc has given out, all sockets */
	double libc; /* bytes that malloc has given out */
};

static struct heaps
heaps_now(void)
{
	struct rte_malloc_socket_stats stats;
	const struct mallinfo2 info = mallinfo2();
	struct heaps heaps = { .libc = (double)info.uordblks + (double)info.hblkhd };

	for (int socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		if (rte_malloc_get_socket_stats(socket, &stats) == 0)
			heaps.dpdk += (double)stats.heap_allocsz_bytes;
	}
	return heaps;
}

static void
footprint_print(const char *driver, const char *what, const struct heaps *before, const struct heaps *after,
	unsigned int ports)
{
	const double dpdk = (after->dpdk - before->dpdk) / ports / 1024;
	const double libc = (after->libc - before->libc) / ports / 1024;

	printf("%-16s %-12s %12.1f %12.1f %12.1f\n", driver, what, dpdk, libc, dpdk + libc);
}

static int
footprint_of(struct perf_bench *bench, const char *driver)
{
	const struct perf_wiring wiring = { .queues = 1, .ports = 1 };
	struct perf_pair pairs[1 + PORTS] = { 0 };
	struct heaps none = heaps_now(), one, all;
	int ret;

	ret = perf_pair_open_vhost(&pairs[0], bench, driver, &wiring);
	one = heaps_now();
	for (unsigned int i = 1; ret == 0 && i <= PORTS; i++)
		ret = perf_pair_open_vhost(&pairs[i], bench, driver, &wiring);
	all = heaps_now();
	for (unsigned int i = 0; i <= PORTS; i++)
		perf_pair_close(&pairs[i]);
	if (ret != 0)
		return ret;
	footprint_print(driver, "the first", &none, &one, 1);
	footprint_print(driver, "each further", &one, &all, PORTS);
	return 0;
}

int
perf_footprint(struct perf_bench *bench)
{
	int ret = 0;

	printf("KiB of an idle port, one queue pair, ring %u, nobody connected; heap statistics before and after\n"
		"%-16s %-12s %12s %12s %12s\n", bench->opt->ring, "driver", "port", "rte_malloc", "malloc", "both");
	for (unsigned int i = 0; ret == 0 && i < bench->opt->nb_drivers; i++)
		ret = footprint_of(bench, bench->opt->drivers[i]);
	return ret;
}
