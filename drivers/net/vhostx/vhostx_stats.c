/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the pollers counted, as ethdev asks for it.
 */
#include <ethdev_driver.h>

#include "ring/queue.h"
#include "vhostx_port.h"
#include "vhostx_stats.h"

#define AT(field) offsetof(struct vhostx_counters, field)
#define BOTH (VHOSTX_WAY_RX | VHOSTX_WAY_TX)

/*
 * Names that net_vhost has come first and in its order; those that it gives both directions have both here,
 * even where a counter is always 0. What is called drop is a packet less; a tx queue passes over a
 * chain that is wrong and loses nothing.
 */
static const struct vhostx_stat stats[] = {
	{ "good_packets", AT(packets), BOTH },
	{ "good_bytes", AT(bytes), BOTH },
	{ "multicast_packets", AT(multicast), BOTH },
	{ "broadcast_packets", AT(broadcast), BOTH },
	{ "undersize_packets", AT(sizes[0]), BOTH },
	{ "size_64_packets", AT(sizes[1]), BOTH },
	{ "size_65_127_packets", AT(sizes[2]), BOTH },
	{ "size_128_255_packets", AT(sizes[3]), BOTH },
	{ "size_256_511_packets", AT(sizes[4]), BOTH },
	{ "size_512_1023_packets", AT(sizes[5]), BOTH },
	{ "size_1024_1518_packets", AT(sizes[6]), BOTH },
	{ "size_1519_max_packets", AT(sizes[7]), BOTH },
	{ "guest_notifications", AT(calls), BOTH },
	{ "guest_notifications_suppressed", AT(no_calls), BOTH },
	{ "mbuf_alloc_failed", AT(nombuf), BOTH },
	{ "no_descriptors", AT(no_chain), VHOSTX_WAY_TX },
	{ "drop_bad_address", AT(drops[VHOSTX_BAD_ADDRESS]), VHOSTX_WAY_RX },
	{ "drop_bad_direction", AT(drops[VHOSTX_BAD_DIRECTION]), VHOSTX_WAY_RX },
	{ "drop_bad_indirect", AT(drops[VHOSTX_BAD_INDIRECT]), VHOSTX_WAY_RX },
	{ "drop_bad_chain", AT(drops[VHOSTX_BAD_CHAIN]), VHOSTX_WAY_RX },
	{ "drop_bad_length", AT(drops[VHOSTX_BAD_LENGTH]), VHOSTX_WAY_RX },
	{ "chain_bad_address", AT(drops[VHOSTX_BAD_ADDRESS]), VHOSTX_WAY_TX },
	{ "chain_bad_direction", AT(drops[VHOSTX_BAD_DIRECTION]), VHOSTX_WAY_TX },
	{ "chain_bad_indirect", AT(drops[VHOSTX_BAD_INDIRECT]), VHOSTX_WAY_TX },
	{ "chain_bad_chain", AT(drops[VHOSTX_BAD_CHAIN]), VHOSTX_WAY_TX },
	{ "chain_bad_length", AT(drops[VHOSTX_BAD_LENGTH]), VHOSTX_WAY_TX },
	{ "drop_oversize", AT(drops[VHOSTX_OVERSIZE]), BOTH },
	{ "drop_bad_csum", AT(drops[VHOSTX_BAD_CSUM]), VHOSTX_WAY_RX },
	{ "drop_bad_gso_type", AT(drops[VHOSTX_BAD_GSO_TYPE]), VHOSTX_WAY_RX },
	{ "drop_bad_gso_size", AT(drops[VHOSTX_BAD_GSO_SIZE]), VHOSTX_WAY_RX },
	{ "drop_bad_gso_csum", AT(drops[VHOSTX_BAD_GSO_CSUM]), VHOSTX_WAY_RX },
	{ "drop_bad_hdr_len", AT(drops[VHOSTX_BAD_HDR_LEN]), VHOSTX_WAY_RX },
	{ "drop_bad_gso_packet", AT(drops[VHOSTX_BAD_GSO_PACKET]), VHOSTX_WAY_RX },
	{ "drop_bad_request", AT(drops[VHOSTX_BAD_REQUEST]), VHOSTX_WAY_TX },
	{ "drop_no_ufo", AT(drops[VHOSTX_NO_UFO]), VHOSTX_WAY_TX },
	{ "drop_runt", AT(drops[VHOSTX_RUNT]), VHOSTX_WAY_TX },
	{ "drop_disabled", AT(drops[VHOSTX_DISABLED]), VHOSTX_WAY_RX },
	{ "ring_stopped_bad_head", AT(drops[VHOSTX_BAD_HEAD]), BOTH },
	{ "ring_stopped_bad_index", AT(drops[VHOSTX_BAD_INDEX]), BOTH },
	{ "zc_packets", AT(zc[VHOSTX_ZC_LENT]), VHOSTX_WAY_RX },
	{ "zc_copied_short", AT(zc[VHOSTX_ZC_SHORT]), VHOSTX_WAY_RX },
	{ "zc_copied_inflight", AT(zc[VHOSTX_ZC_INFLIGHT]), VHOSTX_WAY_RX },
	{ "zc_copied_shape", AT(zc[VHOSTX_ZC_SHAPE]), VHOSTX_WAY_RX },
	{ "zc_copied_leaving", AT(zc[VHOSTX_ZC_LEAVING]), VHOSTX_WAY_RX },
	{ "zc_copied_logged", AT(zc[VHOSTX_ZC_LOGGED]), VHOSTX_WAY_RX },
	{ "zc_copied_offload", AT(zc[VHOSTX_ZC_OFFLOAD]), VHOSTX_WAY_RX },
	{ "zc_copied_held", AT(zc[VHOSTX_ZC_HELD]), VHOSTX_WAY_RX },
	{ "zc_copied_no_mbuf", AT(zc[VHOSTX_ZC_NO_MBUF]), VHOSTX_WAY_RX },
	{ "zc_copied_no_dma", AT(zc[VHOSTX_ZC_NO_DMA]), VHOSTX_WAY_RX },
	{ "zc_completed_early", AT(zc_early), VHOSTX_WAY_RX },
};

/*
 * Of the port. They are last, so that what precedes them has the same ids in a secondary process, which
 * cannot see the port.
 */
static const char *const gauges[] = { "rx_unpolled_queues", "connects", "zc_outstanding",
	"zc_longest_us", "iotlb_misses", "iotlb_entries" };

static bool
is_primary(void)
{
	return rte_eal_process_type() == RTE_PROC_PRIMARY;
}

/*
 * A primary process asks the port, under whose mutex no queue goes away. A secondary one has only what ethdev
 * shares: before the port is configured that are numbers of queues, but no queues.
 */
static void
queues_lock(const struct rte_eth_dev *dev)
{
	struct vhostx_port *port = dev->data->dev_private;

	if (is_primary())
		pthread_mutex_lock(&port->lock);
}

static void
queues_unlock(const struct rte_eth_dev *dev)
{
	struct vhostx_port *port = dev->data->dev_private;

	if (is_primary())
		pthread_mutex_unlock(&port->lock);
}

static struct vhostx_queue *
queue_at(const struct rte_eth_dev *dev, enum vhostx_way way, uint16_t i)
{
	const bool rx = way == VHOSTX_WAY_RX;
	const struct vhostx_port *port = dev->data->dev_private;
	void **shared = rx ? dev->data->rx_queues : dev->data->tx_queues;

	if (is_primary())
		return port->ring[2 * i + rx].queue;
	return shared == NULL ? NULL : shared[i];
}

static uint16_t
nr_queues(const struct rte_eth_dev *dev, enum vhostx_way way)
{
	return way == VHOSTX_WAY_RX ? dev->data->nb_rx_queues : dev->data->nb_tx_queues;
}

/*
 * One counter, read while its poller writes: old or new, never torn. It may be older than the base, which a
 * primary process sets while another one asks, or be taken back since then: that is no count either.
 */
static uint64_t
since_reset(const struct vhostx_queue *queue, size_t offset)
{
	const uint64_t *count = RTE_PTR_ADD(&queue->count, offset);
	const uint64_t *base = RTE_PTR_ADD(&queue->base, offset);
	const uint64_t since = __atomic_load_n(count, __ATOMIC_RELAXED) - __atomic_load_n(base, __ATOMIC_RELAXED);

	return (int64_t)since < 0 ? 0 : since;
}

const struct vhostx_stat *
vhostx_stat_next(const struct vhostx_stat *stat, enum vhostx_way way)
{
	stat = stat == NULL ? stats : stat + 1;
	while (stat < stats + RTE_DIM(stats) && (stat->ways & way) == 0)
		stat++;
	return stat < stats + RTE_DIM(stats) ? stat : NULL;
}

uint64_t
vhostx_stat_value(const struct vhostx_queue *queue, const struct vhostx_stat *stat)
{
	return queue == NULL ? 0 : since_reset(queue, stat->offset);
}

uint64_t
vhostx_stats_lost(const struct vhostx_queue *queue, enum vhostx_way way)
{
	unsigned int cause = way == VHOSTX_WAY_RX ? VHOSTX_NO_CAUSE + 1 : VHOSTX_OVERSIZE;
	uint64_t sum = 0;

	for (; queue != NULL && cause < VHOSTX_BAD_HEAD; cause++)
		sum += since_reset(queue, AT(drops[cause]));
	return sum;
}

/* --- basic ----------------------------------------------------------------------------------------- */

static void
add_rx(struct rte_eth_stats *sum, uint16_t i, const struct vhostx_queue *queue)
{
	const uint64_t packets = since_reset(queue, AT(packets));
	const uint64_t bytes = since_reset(queue, AT(bytes));
	const uint64_t lost = vhostx_stats_lost(queue, VHOSTX_WAY_RX);

	sum->ipackets += packets;
	sum->ibytes += bytes;
	sum->ierrors += lost;
	sum->rx_nombuf += since_reset(queue, AT(nombuf));
	if (i >= RTE_ETHDEV_QUEUE_STAT_CNTRS)
		return;
	sum->q_ipackets[i] = packets;
	sum->q_ibytes[i] = bytes;
	sum->q_errors[i] = lost;
}

/* q_errors has no room for two directions; ethdev shows it as that of rx queues. */
static void
add_tx(struct rte_eth_stats *sum, uint16_t i, const struct vhostx_queue *queue)
{
	const uint64_t packets = since_reset(queue, AT(packets));
	const uint64_t bytes = since_reset(queue, AT(bytes));

	sum->opackets += packets;
	sum->obytes += bytes;
	sum->oerrors += vhostx_stats_lost(queue, VHOSTX_WAY_TX);
	if (i >= RTE_ETHDEV_QUEUE_STAT_CNTRS)
		return;
	sum->q_opackets[i] = packets;
	sum->q_obytes[i] = bytes;
}

int
vhostx_stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *sum)
{
	const struct vhostx_queue *queue;

	queues_lock(dev);
	for (uint16_t i = 0; i < nr_queues(dev, VHOSTX_WAY_RX); i++) {
		queue = queue_at(dev, VHOSTX_WAY_RX, i);
		if (queue != NULL)
			add_rx(sum, i, queue);
	}
	for (uint16_t i = 0; i < nr_queues(dev, VHOSTX_WAY_TX); i++) {
		queue = queue_at(dev, VHOSTX_WAY_TX, i);
		if (queue != NULL)
			add_tx(sum, i, queue);
	}
	queues_unlock(dev);
	return 0;
}

/* --- extended -------------------------------------------------------------------------------------- */

static unsigned int
count_way(enum vhostx_way way)
{
	const struct vhostx_stat *stat = NULL;
	unsigned int n = 0;

	while ((stat = vhostx_stat_next(stat, way)) != NULL)
		n++;
	return n;
}

static unsigned int
count_all(const struct rte_eth_dev *dev)
{
	return nr_queues(dev, VHOSTX_WAY_RX) * count_way(VHOSTX_WAY_RX) +
		nr_queues(dev, VHOSTX_WAY_TX) * count_way(VHOSTX_WAY_TX) +
		(is_primary() ? RTE_DIM(gauges) : 0);
}

/* The counters of all queues of one direction. @return how many were written. */
static unsigned int
put_values(struct rte_eth_xstat *xstats, const struct rte_eth_dev *dev, enum vhostx_way way)
{
	unsigned int at = 0;

	for (uint16_t i = 0; i < nr_queues(dev, way); i++) {
		const struct vhostx_queue *queue = queue_at(dev, way, i);
		const struct vhostx_stat *stat = NULL;

		while ((stat = vhostx_stat_next(stat, way)) != NULL)
			xstats[at++].value = vhostx_stat_value(queue, stat);
	}
	return at;
}

static unsigned int
put_names(struct rte_eth_xstat_name *names, const struct rte_eth_dev *dev, enum vhostx_way way)
{
	unsigned int at = 0;

	for (uint16_t i = 0; i < nr_queues(dev, way); i++) {
		const struct vhostx_stat *stat = NULL;

		while ((stat = vhostx_stat_next(stat, way)) != NULL)
			snprintf(names[at++].name, sizeof(names->name), "%s_q%u_%s",
				way == VHOSTX_WAY_RX ? "rx" : "tx", i, stat->name);
	}
	return at;
}

static void
put_gauges(struct rte_eth_xstat *xstats, const struct vhostx_port *port)
{
	xstats[0].value = port->unpolled;
	xstats[1].value = port->connects - port->connects_base;
	xstats[2].value = vhostx_zc_outstanding(port);
	xstats[3].value = vhostx_zc_longest_us(port);
	xstats[4].value = __atomic_load_n(&port->iommu.misses, __ATOMIC_RELAXED) - port->iommu.misses_base;
	xstats[5].value = port->be.iotlb == NULL ? 0 : port->be.iotlb->nr;
}

int
vhostx_xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *xstats, unsigned int n)
{
	const unsigned int all = count_all(dev);
	unsigned int at;

	if (xstats == NULL || n < all)
		return all;
	queues_lock(dev);
	at = put_values(xstats, dev, VHOSTX_WAY_RX);
	at += put_values(&xstats[at], dev, VHOSTX_WAY_TX);
	if (is_primary())
		put_gauges(&xstats[at], dev->data->dev_private);
	queues_unlock(dev);
	for (unsigned int i = 0; i < all; i++)
		xstats[i].id = i;
	return all;
}

int
vhostx_xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned int n)
{
	const unsigned int all = count_all(dev);
	unsigned int at;

	if (names == NULL || n < all)
		return all;
	at = put_names(names, dev, VHOSTX_WAY_RX);
	at += put_names(&names[at], dev, VHOSTX_WAY_TX);
	for (unsigned int i = 0; at < all; i++, at++)
		snprintf(names[at].name, sizeof(names->name), "%s", gauges[i]);
	return all;
}

/* --- reset ----------------------------------------------------------------------------------------- */

/*
 * Only its poller writes a counter, with a plain load and store; a zero written from here would be
 * overwritten by the sum that a running burst holds. So a reset remembers what was counted before it.
 */
static void
reset_queue(struct vhostx_queue *queue)
{
	const uint64_t *count = (const uint64_t *)&queue->count;
	uint64_t *base = (uint64_t *)&queue->base;

	for (unsigned int i = 0; i < sizeof(queue->count) / sizeof(*count); i++)
		__atomic_store_n(&base[i], __atomic_load_n(&count[i], __ATOMIC_RELAXED),
			__ATOMIC_RELAXED);
}

static void
reset_way(const struct rte_eth_dev *dev, enum vhostx_way way)
{
	for (uint16_t i = 0; i < nr_queues(dev, way); i++) {
		struct vhostx_queue *queue = queue_at(dev, way, i);

		if (queue != NULL)
			reset_queue(queue);
	}
}

int
vhostx_stats_reset(struct rte_eth_dev *dev)
{
	struct vhostx_port *port = dev->data->dev_private;

	queues_lock(dev);
	reset_way(dev, VHOSTX_WAY_RX);
	reset_way(dev, VHOSTX_WAY_TX);
	if (is_primary()) {
		port->connects_base = port->connects;
		port->iommu.misses_base = __atomic_load_n(&port->iommu.misses, __ATOMIC_RELAXED);
		vhostx_zc_forget_longest(port);
	}
	queues_unlock(dev);
	return 0;
}
