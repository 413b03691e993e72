/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the number of memory regions costs. virtio-user shares a few; here a guest made of memfds has as many as are
 * asked for, and the bursts of the driver, linked into this program, are called without a port.
 */
#ifndef PERF_REGIONS_H
#define PERF_REGIONS_H

#include "report.h"
#include "wire.h"

/**
 * Compare guest memory of one region with the same bytes in opt->regions regions, and the floor likewise.
 * @return 0; -errno if the guest cannot be made; -EBADMSG if a frame was lost or wrong.
 */
int perf_regions(struct perf_bench *bench, const struct perf_cases *cases, struct perf_report *report);

#endif /* PERF_REGIONS_H */
