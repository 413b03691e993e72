/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the pollers counted, as ethdev asks for it.
 */
#ifndef VHOSTX_STATS_H
#define VHOSTX_STATS_H

struct rte_eth_dev;
struct rte_eth_stats;

/**
 * Fill @a stats: totals of all queues, and the first RTE_ETHDEV_QUEUE_STAT_CNTRS queues one by one. A
 * packet dropped for any cause is an error of its direction. @return 0.
 */
int vhostx_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats);

/** Begin to count from zero; what a burst counts meanwhile may be lost. @return 0. */
int vhostx_stats_reset(struct rte_eth_dev *dev);

#endif /* VHOSTX_STATS_H */
