/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the pollers counted, as ethdev asks for it. All of it works in a secondary process, without the
 * gauges of the port.
 */
#ifndef VHOSTX_STATS_H
#define VHOSTX_STATS_H

#include <stdint.h>

struct rte_eth_dev;
struct rte_eth_stats;
struct rte_eth_xstat;
struct rte_eth_xstat_name;
struct vhostx_queue;

/** Directions, as bits: which queues have a counter. */
enum vhostx_way {
	VHOSTX_WAY_RX = 1,
	VHOSTX_WAY_TX = 2,
};

/** One counter of a queue. */
struct vhostx_stat {
	const char *name; /**< what follows "rx_q0_" */
	uint16_t offset;  /**< in struct vhostx_counters, bytes */
	uint8_t ways;     /**< enum vhostx_way bits */
};

/** The counter after @a stat of queues of one direction; the first one after NULL, NULL after the last. */
const struct vhostx_stat *vhostx_stat_next(const struct vhostx_stat *stat, enum vhostx_way way);

/** What @a queue (NULL: none, 0) counted since the last reset. */
uint64_t vhostx_stat_value(const struct vhostx_queue *queue, const struct vhostx_stat *stat);

/**
 * Packets that @a queue (NULL: none, 0) has lost since the last reset, for any cause. A chain that is
 * wrong costs an rx queue the packet in it; a tx queue takes the next chain.
 */
uint64_t vhostx_stats_lost(const struct vhostx_queue *queue, enum vhostx_way way);

/**
 * Fill @a stats: totals of all queues, and the first RTE_ETHDEV_QUEUE_STAT_CNTRS queues one by one. A
 * lost packet is an error of its direction. @return 0.
 */
int vhostx_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats);

/** Fill @a xstats if it has room for all. @return how many there are. */
int vhostx_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n);

/** Fill @a names if it has room for all. @return how many there are. */
int vhostx_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names,
	unsigned int n);

/** Begin to count from zero, basic and extended statistics alike. @return 0. */
int vhostx_stats_reset(struct rte_eth_dev *dev);

#endif /* VHOSTX_STATS_H */
