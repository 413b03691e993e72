/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the pollers counted, as ethdev asks for it.
 */
#include <ethdev_driver.h>

#include "ring/queue.h"
#include "vhostx_stats.h"

static uint64_t
count_drops(const struct vhostx_counters *count)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < VHOSTX_CAUSES; i++)
		sum += count->drops[i];
	return sum;
}

static void
add_rx(struct rte_eth_stats *stats, uint16_t i, const struct vhostx_counters *count)
{
	stats->ipackets += count->packets;
	stats->ibytes += count->bytes;
	stats->ierrors += count_drops(count);
	stats->rx_nombuf += count->nombuf;
	if (i >= RTE_ETHDEV_QUEUE_STAT_CNTRS)
		return;
	stats->q_ipackets[i] = count->packets;
	stats->q_ibytes[i] = count->bytes;
	stats->q_errors[i] += count_drops(count);
}

static void
add_tx(struct rte_eth_stats *stats, uint16_t i, const struct vhostx_counters *count)
{
	stats->opackets += count->packets;
	stats->obytes += count->bytes;
	stats->oerrors += count_drops(count);
	if (i >= RTE_ETHDEV_QUEUE_STAT_CNTRS)
		return;
	stats->q_opackets[i] = count->packets;
	stats->q_obytes[i] = count->bytes;
	stats->q_errors[i] += count_drops(count);
}

int
vhostx_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
	const struct vhostx_queue *queue;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (queue != NULL)
			add_rx(stats, i, &queue->count);
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		queue = dev->data->tx_queues[i];
		if (queue != NULL)
			add_tx(stats, i, &queue->count);
	}
	return 0;
}

int
vhostx_stats_reset(struct rte_eth_dev *dev)
{
	struct vhostx_queue *queue;

	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++) {
		queue = dev->data->rx_queues[i];
		if (queue != NULL)
			queue->count = (struct vhostx_counters){ 0 };
	}
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++) {
		queue = dev->data->tx_queues[i];
		if (queue != NULL)
			queue->count = (struct vhostx_counters){ 0 };
	}
	return 0;
}
