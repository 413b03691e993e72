/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The ethdev: probe and remove, device operations, and who owns the name net_vhostx.
 */
#include <errno.h>
#include <stdlib.h>

#include <bus_driver.h>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_malloc.h>

#include "ring/burst.h"
#include "vhostx_args.h"
#include "vhostx_compat.h"
#include "vhostx_log.h"
#include "vhostx_port.h"
#include "vhostx_queues.h"
#include "vhostx_stats.h"
#include "vhostx_telemetry.h"

static struct vhostx_port *
port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* --- device ---------------------------------------------------------------------------------------- */

static int
dev_configure(struct rte_eth_dev *dev)
{
	const struct vhostx_args *args = &port_of(dev)->args;

	/* ethdev has put its default in the place of ours, unless the application asked for something. */
	if (args->mtu != 0 && dev->data->mtu == RTE_ETHER_MTU)
		dev->data->mtu = args->mtu;
	vhostx_port_offer(port_of(dev), args->tso ||
		(dev->data->dev_conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0);
	return vhostx_port_open(port_of(dev));
}

/*
 * All queues start with the port, but those that the application starts itself. Called while the port
 * is not started, so that nobody else looks at the queues.
 */
static void
start_queue(struct vhostx_queue *queue, uint8_t *state)
{
	if (queue == NULL)
		return;
	queue->stopped = queue->deferred;
	*state = queue->stopped ? RTE_ETH_QUEUE_STATE_STOPPED : RTE_ETH_QUEUE_STATE_STARTED;
}

static void
start_queues(struct rte_eth_dev *dev)
{
	struct rte_eth_dev_data *data = dev->data;

	for (uint16_t i = 0; i < data->nb_rx_queues; i++) {
		/* The port may be configured anew, and its queues not be set up again. */
		vhostx_rx_queue_set_offloads(dev, i);
		start_queue(data->rx_queues[i], &data->rx_queue_state[i]);
	}
	for (uint16_t i = 0; i < data->nb_tx_queues; i++)
		start_queue(data->tx_queues[i], &data->tx_queue_state[i]);
}

static void
stop_queues(struct rte_eth_dev *dev)
{
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		dev->data->rx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		dev->data->tx_queue_state[i] = RTE_ETH_QUEUE_STATE_STOPPED;
}

static int
dev_start(struct rte_eth_dev *dev)
{
	int ret;

	ret = vhostx_intr_setup(dev);
	if (ret != 0)
		return ret;
	start_queues(dev);
	vhostx_port_start(port_of(dev));
	return 0;
}

static int
dev_stop(struct rte_eth_dev *dev)
{
	vhostx_port_stop(port_of(dev));
	stop_queues(dev);
	vhostx_intr_release(dev);
	return 0;
}

/* Where a received packet has transmit flags, none tells the state of its checksum. */
#define RX_FLAG_OFFLOADS (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | \
	RTE_ETH_RX_OFFLOAD_TCP_LRO)

static void
infos_fill(struct rte_eth_dev_info *info, uint16_t queues)
{
	info->max_mac_addrs = 1;
	info->max_rx_queues = queues;
	info->max_tx_queues = queues;
	info->min_rx_bufsize = 0;
	info->max_rx_pktlen = VHOSTX_PACKET_MAX;
	info->max_lro_pkt_size = VHOSTX_PACKET_MAX;
	info->min_mtu = RTE_ETHER_MIN_MTU;
	info->max_mtu = UINT16_MAX;
	info->speed_capa = RTE_ETH_LINK_SPEED_10G | RTE_ETH_LINK_SPEED_FIXED;
	info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_SCATTER | RTE_ETH_RX_OFFLOAD_VLAN_STRIP |
		RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RX_FLAG_OFFLOADS;
	info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
		RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |
		RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO;
}

static int
dev_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	infos_fill(info, port_of(dev)->args.queues);
	if (port_of(dev)->args.legacy_ol_flags)
		info->rx_offload_capa &= ~RX_FLAG_OFFLOADS;
	return 0;
}

/* A stripping that was switched takes effect at the next burst. */
static int
vlan_offload_set(struct rte_eth_dev *dev, int mask)
{
	if (!(mask & RTE_ETH_VLAN_STRIP_MASK))
		return 0;
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		vhostx_rx_queue_set_offloads(dev, i);
	return 0;
}

/* What the guest sends is all received, and its own filter is the front-end's: nothing to do. */
static int
mac_addr_set(struct rte_eth_dev *dev __rte_unused, struct rte_ether_addr *addr __rte_unused)
{
	return 0;
}

static int
accept_filter(struct rte_eth_dev *dev __rte_unused)
{
	return 0;
}

/* The link changes when a message or a fault says so, at once. */
static int
link_update(struct rte_eth_dev *dev __rte_unused, int wait __rte_unused)
{
	return 0;
}

/* Nothing depends on it: what fits the guest's buffers is sent, what fits the mbufs is received. */
static int
mtu_set(struct rte_eth_dev *dev __rte_unused, uint16_t mtu __rte_unused)
{
	return 0;
}

/* --- probe and remove ------------------------------------------------------------------------------ */

static int
dev_close(struct rte_eth_dev *dev)
{
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return 0;
	vhostx_port_stop(port_of(dev));
	vhostx_intr_release(dev);
	for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
		vhostx_rx_queue_release(dev, i);
	for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
		vhostx_tx_queue_release(dev, i);
	vhostx_port_close(port_of(dev));
	/* Not from rte_malloc: the control thread may hold it a little longer than ethdev does. */
	dev->data->dev_private = NULL;
	return 0;
}

static const struct eth_dev_ops ops = {
	.dev_configure = dev_configure,
	.dev_start = dev_start,
	.dev_stop = dev_stop,
	.dev_close = dev_close,
	.dev_infos_get = dev_infos_get,
	.link_update = link_update,
	.mtu_set = mtu_set,
	.mac_addr_set = mac_addr_set,
	.promiscuous_enable = accept_filter,
	.promiscuous_disable = accept_filter,
	.allmulticast_enable = accept_filter,
	.allmulticast_disable = accept_filter,
	.vlan_offload_set = vlan_offload_set,
	.rx_queue_setup = vhostx_rx_queue_setup,
	.tx_queue_setup = vhostx_tx_queue_setup,
	.rx_queue_release = vhostx_rx_queue_release,
	.tx_queue_release = vhostx_tx_queue_release,
	.rx_queue_start = vhostx_rx_queue_start,
	.rx_queue_stop = vhostx_rx_queue_stop,
	.tx_queue_start = vhostx_tx_queue_start,
	.tx_queue_stop = vhostx_tx_queue_stop,
	.rxq_info_get = vhostx_rxq_info_get,
	.txq_info_get = vhostx_txq_info_get,
	.tx_done_cleanup = vhostx_tx_done_cleanup,
	.rx_queue_intr_enable = vhostx_rx_queue_intr_enable,
	.rx_queue_intr_disable = vhostx_rx_queue_intr_disable,
	.get_monitor_addr = vhostx_get_monitor_addr,
	.stats_get = vhostx_stats_get,
	.stats_reset = vhostx_stats_reset,
	.xstats_get = vhostx_xstats_get,
	.xstats_get_names = vhostx_xstats_get_names,
	.xstats_reset = vhostx_stats_reset,
	.eth_dev_priv_dump = vhostx_priv_dump,
};

/* A secondary process sees statistics and link: the rings are mapped in the primary only. */
static uint16_t
no_burst(void *queue __rte_unused, struct rte_mbuf **pkts __rte_unused, uint16_t nb __rte_unused)
{
	return 0;
}

/* It cannot read the arguments either: it is told of the queues that are configured. */
static int
secondary_infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
	infos_fill(info, RTE_MAX(dev->data->nb_rx_queues, dev->data->nb_tx_queues));
	return 0;
}

static const struct eth_dev_ops secondary_ops = {
	.dev_close = dev_close,
	.dev_infos_get = secondary_infos_get,
	.link_update = link_update,
	.stats_get = vhostx_stats_get,
	.stats_reset = vhostx_stats_reset,
	.xstats_get = vhostx_xstats_get,
	.xstats_get_names = vhostx_xstats_get_names,
	.xstats_reset = vhostx_stats_reset,
};

static int
probe_secondary(struct rte_vdev_device *vdev, const char *name)
{
	struct rte_eth_dev *dev = rte_eth_dev_attach_secondary(name);

	if (dev == NULL) {
		VHOSTX_LOG(ERR, name, "the primary process has no such port");
		return -ENODEV;
	}
	dev->dev_ops = &secondary_ops;
	dev->device = &vdev->device;
	dev->rx_pkt_burst = no_burst;
	dev->tx_pkt_burst = no_burst;
	rte_eth_dev_probing_finish(dev);
	return 0;
}

/* 56:48:4f:53:54 is "VHOST", as net_vhost has it; the last byte is the port's id. */
static struct rte_ether_addr *
mac_alloc(const struct rte_eth_dev *dev, const struct vhostx_args *args)
{
	struct rte_ether_addr *mac = rte_zmalloc(NULL, sizeof(*mac), 0);

	if (mac != NULL)
		*mac = args->has_mac ? args->mac : (struct rte_ether_addr){
			.addr_bytes = { 'V', 'H', 'O', 'S', 'T', dev->data->port_id }
		};
	return mac;
}

static int
dev_init(struct rte_eth_dev *dev, const struct vhostx_args *args)
{
	struct rte_eth_dev_data *data = dev->data;
	const struct vhostx_bursts *const bursts = vhostx_bursts_best();
	struct vhostx_port *port;
	int ret;

	data->mac_addrs = mac_alloc(dev, args);
	if (data->mac_addrs == NULL)
		return -ENOMEM;
	ret = vhostx_port_create(dev, args, &port);
	if (ret != 0)
		return ret;
	data->dev_private = port;
	data->dev_link = (struct rte_eth_link){
		.link_speed = RTE_ETH_SPEED_NUM_10G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
	};
	/* Autofill: "rx_q0_packets" and the like stand beside the driver's own names, as with net_vhost. */
	data->dev_flags = RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	if (args->mtu != 0)
		data->mtu = args->mtu;
	data->promiscuous = 1;
	data->all_multicast = 1;
	dev->dev_ops = &ops;
	dev->rx_pkt_burst = bursts->rx;
	dev->tx_pkt_burst = bursts->tx;
	dev->tx_pkt_prepare = vhostx_tx_prepare;
	dev->rx_queue_count = vhostx_rx_queue_count;
	dev->rx_descriptor_status = vhostx_rx_descriptor_status;
	dev->tx_descriptor_status = vhostx_tx_descriptor_status;
	return 0;
}

static int
vhostx_probe(struct rte_vdev_device *vdev)
{
	const char *name = rte_vdev_device_name(vdev);
	struct vhostx_args args;
	struct rte_eth_dev *dev;
	int ret;

	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return probe_secondary(vdev, name);
	ret = vhostx_args_parse(&args, name, rte_vdev_device_args(vdev));
	if (ret != 0)
		return ret;
	if (args.numa >= 0)
		vdev->device.numa_node = args.numa;
	else if (vdev->device.numa_node == SOCKET_ID_ANY)
		vdev->device.numa_node = rte_socket_id();
	dev = rte_eth_vdev_allocate(vdev, 0);
	if (dev == NULL) {
		VHOSTX_LOG(ERR, name, "no free ethdev port, or the name is taken");
		return -ENOMEM;
	}
	ret = dev_init(dev, &args);
	if (ret != 0) {
		VHOSTX_LOG(ERR, name, "cannot be created: %s", strerror(-ret));
		rte_eth_dev_release_port(dev);
		return ret;
	}
	rte_eth_dev_probing_finish(dev);
	return 0;
}

static int
vhostx_remove(struct rte_vdev_device *vdev)
{
	struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

	if (dev == NULL) {
		/* ethdev has closed it; maybe it is the EAL's end. */
		vhostx_zc_await_devices();
		return 0;
	}
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return rte_eth_dev_release_port(dev);
	/* A device can go at any time; ethdev closes stopped ports only. */
	rte_eth_dev_stop(dev->data->port_id);
	return rte_eth_dev_close(dev->data->port_id);
}

/* --- the name -------------------------------------------------------------------------------------- */

static struct rte_vdev_driver vhostx_driver = {
	.driver = {
		.name = "net_vhostx",
		.alias = "eth_vhostx",
	},
	.probe = vhostx_probe,
	.remove = vhostx_remove,
};

/*
 * The vdev bus gives a device to the first driver whose name is a prefix of the device's, and ours
 * begin like those of net_vhost. A driver that would win them is moved behind ours; it keeps its own.
 */
static void
claim(struct rte_bus *bus, const char *device)
{
	struct rte_vdev_driver *winner = NULL;

	if (bus->parse(device, &winner) != 0 || winner == &vhostx_driver)
		return;
	rte_vdev_unregister(winner);
	rte_vdev_register(winner);
}

RTE_INIT(vhostx_register)
{
	struct rte_bus *bus;

	if (!vhostx_same_release(rte_version())) {
		fprintf(stderr, "net_vhostx: built for DPDK %u.%02u but loaded into %s: "
			"no net_vhostx ports; build it again for this release\n",
			RTE_VER_YEAR, RTE_VER_MONTH, rte_version());
		return;
	}
	rte_vdev_register(&vhostx_driver);
	bus = rte_bus_find_by_name("vdev");
	if (bus == NULL)
		return;
	claim(bus, "net_vhostx");
	claim(bus, "eth_vhostx");
}

RTE_PMD_EXPORT_NAME(net_vhostx, __COUNTER__);
RTE_PMD_REGISTER_PARAM_STRING(net_vhostx, VHOSTX_PARAM_STRING);
