/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Round trips from the host to the guest's side and back, and the highest rate that loses nothing.
 */
#ifndef PERF_LATENCY_H
#define PERF_LATENCY_H

#include "report.h"
#include "wire.h"

/** Measure and report all cases; returns as perf_one_core(). */
int perf_latency(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report);

#endif /* PERF_LATENCY_H */
