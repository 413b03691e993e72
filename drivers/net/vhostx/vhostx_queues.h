/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The ethdev operations on queues: set up and release, start and stop, what an application asks of
 * one, and rx interrupts.
 */
#ifndef VHOSTX_QUEUES_H
#define VHOSTX_QUEUES_H

#include <ethdev_driver.h>

/* Each is the eth_dev_ops entry, or fast-path entry, of the same name. */
int vhostx_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket,
	const struct rte_eth_rxconf *conf, struct rte_mempool *pool);
int vhostx_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc, unsigned int socket,
	const struct rte_eth_txconf *conf);
void vhostx_rx_queue_release(struct rte_eth_dev *dev, uint16_t id);
void vhostx_tx_queue_release(struct rte_eth_dev *dev, uint16_t id);
int vhostx_rx_queue_start(struct rte_eth_dev *dev, uint16_t id);
int vhostx_rx_queue_stop(struct rte_eth_dev *dev, uint16_t id);
int vhostx_tx_queue_start(struct rte_eth_dev *dev, uint16_t id);
int vhostx_tx_queue_stop(struct rte_eth_dev *dev, uint16_t id);
void vhostx_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info);
void vhostx_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info);
uint16_t vhostx_tx_prepare(void *queue, struct rte_mbuf **pkts, uint16_t nb);
int vhostx_tx_done_cleanup(void *queue, uint32_t count);
int vhostx_rx_queue_intr_enable(struct rte_eth_dev *dev, uint16_t id);
int vhostx_rx_queue_intr_disable(struct rte_eth_dev *dev, uint16_t id);
int vhostx_get_monitor_addr(void *queue, struct rte_power_monitor_cond *cond);
uint32_t vhostx_rx_queue_count(void *queue);
int vhostx_rx_descriptor_status(void *queue, uint16_t offset);
int vhostx_tx_descriptor_status(void *queue, uint16_t offset);

/** Have an rx queue, if it is set up, do the offloads that the port is configured with, from the next burst on. */
void vhostx_rx_queue_set_offloads(struct rte_eth_dev *dev, uint16_t id);

/**
 * Give the application one file per rx queue to wait on, if it was configured with rx interrupts.
 * @return 0, -ENOMEM, or the -errno of a file that cannot be had.
 */
int vhostx_intr_setup(struct rte_eth_dev *dev);

/** Take those files back. */
void vhostx_intr_release(struct rte_eth_dev *dev);

#endif /* VHOSTX_QUEUES_H */
