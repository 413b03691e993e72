/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Cycles per packet: both ends of each port in this process, on one core.
 */
#ifndef PERF_ONE_CORE_H
#define PERF_ONE_CORE_H

#include "report.h"
#include "wire.h"

/**
 * Measure and report all cases.
 * @return 0; -errno if ports cannot be made; -EBADMSG if a frame was lost or wrong.
 */
int perf_one_core(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report);

#endif /* PERF_ONE_CORE_H */
