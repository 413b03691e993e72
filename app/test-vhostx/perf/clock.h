/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The TSC around a burst. A section begins when all stores before it are visible and ends when its last
 * instruction has completed; what an empty section takes is subtracted.
 */
#ifndef PERF_CLOCK_H
#define PERF_CLOCK_H

#include <stdint.h>

#include <rte_atomic.h>
#include <rte_cycles.h>
#ifdef RTE_ARCH_X86
#include <rte_vect.h>
#endif

/** Wait for the instructions before, hold those after. */
static __rte_always_inline void
perf_clock_fence(void)
{
#ifdef RTE_ARCH_X86
	_mm_lfence();
#else
	rte_mb();
#endif
}

/** Begin a section. @return its beginning, TSC cycles. */
static __rte_always_inline uint64_t
perf_clock_begin(void)
{
	uint64_t now;

	rte_mb();
	perf_clock_fence();
	now = rte_rdtsc();
	perf_clock_fence();
	return now;
}

/** End a section. @return its end, TSC cycles. */
static __rte_always_inline uint64_t
perf_clock_end(void)
{
	uint64_t now;

	perf_clock_fence();
	now = rte_rdtsc();
	perf_clock_fence();
	return now;
}

/** Take bytes out of all caches. Does nothing where there is no instruction for that. */
static inline void
perf_cache_flush(const void *data, size_t len)
{
#ifdef RTE_ARCH_X86
	const char *const begin = RTE_PTR_ALIGN_FLOOR(data, RTE_CACHE_LINE_SIZE);

	for (const char *at = begin; at < (const char *)data + len; at += RTE_CACHE_LINE_SIZE)
		_mm_clflush(at);
#else
	RTE_SET_USED(data);
	RTE_SET_USED(len);
#endif
}

/** @return the least TSC cycles that an empty section was seen to take. */
static inline uint64_t
perf_clock_overhead(void)
{
	uint64_t least = UINT64_MAX;

	for (unsigned int i = 0; i < 100000; i++) {
		const uint64_t begin = perf_clock_begin();
		const uint64_t took = perf_clock_end() - begin;

		if (took < least)
			least = took;
	}
	return least;
}

#endif /* PERF_CLOCK_H */
