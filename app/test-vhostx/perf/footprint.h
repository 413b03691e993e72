/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What an idle port costs in memory.
 */
#ifndef PERF_FOOTPRINT_H
#define PERF_FOOTPRINT_H

#include "wire.h"

/**
 * Print by how much the heaps grow with each port of one queue pair that is started and that nobody is connected
 * to, for each driver.
 * @return 0, or -errno if ports cannot be made.
 */
int perf_footprint(struct perf_bench *bench);

#endif /* PERF_FOOTPRINT_H */
