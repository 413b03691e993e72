/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What differs between DPDK releases, and nothing else.
 */
#ifndef VHOSTX_COMPAT_H
#define VHOSTX_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_version.h>

/**
 * Driver structs are not covered by the ABI promise, but they are kept within a release and its stable
 * updates: is @a running, as rte_version() tells it ("DPDK 22.11.4"), of the release that this was
 * compiled for?
 */
static inline bool
vhostx_same_release(const char *running)
{
	unsigned int year, month;

	return sscanf(running, "%*s %u.%u", &year, &month) == 2 && year == RTE_VER_YEAR &&
		month == RTE_VER_MONTH;
}

/**
 * Write data_off, refcnt, nb_segs and port of a mbuf at once. rearm_data is a marker up to 24.07 and an
 * array after that; data_off is its first byte in all of them.
 */
static __rte_always_inline void
vhostx_mbuf_rearm(struct rte_mbuf *m, uint64_t rearm)
{
	memcpy(RTE_PTR_ADD(m, offsetof(struct rte_mbuf, data_off)), &rearm, sizeof(rearm));
}

#endif /* VHOSTX_COMPAT_H */
