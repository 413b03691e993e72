/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The ethdev operations on queues.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "ring/burst.h"
#include "ring/inspect.h"
#include "ring/offload.h"
#include "vhostx_compat.h"
#include "vhostx_log.h"
#include "vhostx_port.h"
#include "vhostx_queues.h"

static struct vhostx_port *
port_of(const struct rte_eth_dev *dev)
{
	return dev->data->dev_private;
}

/* --- set up and release ---------------------------------------------------------------------------- */

static void
intr_close(struct vhostx_queue *queue)
{
	if (queue->epfd >= 0)
		close(queue->epfd);
	if (queue->evfd >= 0)
		close(queue->evfd);
	queue->epfd = -1;
	queue->evfd = -1;
}

static void
queue_free(struct vhostx_queue *queue)
{
	if (queue == NULL)
		return;
	intr_close(queue);
	if (queue->watched != NULL)
		vhostx_map_put(queue->watched);
	rte_free(queue);
}

void
vhostx_rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	queue_free(vhostx_port_swap_queue(port_of(dev), 2 * id + 1, NULL));
	dev->data->rx_queues[id] = NULL;
}

void
vhostx_tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
	queue_free(vhostx_port_swap_queue(port_of(dev), 2 * id, NULL));
	dev->data->tx_queues[id] = NULL;
}

/* Without room in the mbuf, what one port received reaches another by flags of the application alone. */
static void
queue_register_meta(struct rte_eth_dev *dev, struct vhostx_queue *queue)
{
	const int ret = vhostx_offload_register(&queue->offload);

	if (ret != 0)
		VHOSTX_LOG(WARNING, port_of(dev)->name, "queue %u: the mbuf has no room for the offloads of a "
			"received packet (%s): forwarded ones lose theirs, unless the application sets flags",
			queue->queue_id, strerror(-ret));
}

static struct vhostx_queue *
queue_alloc(struct rte_eth_dev *dev, uint16_t id, unsigned int socket)
{
	struct vhostx_queue *queue = rte_zmalloc_socket("vhostx_queue", sizeof(*queue),
		RTE_CACHE_LINE_SIZE, socket);

	if (queue == NULL) {
		VHOSTX_LOG(ERR, port_of(dev)->name, "no memory for queue %u", id);
		return NULL;
	}
	queue->port_id = dev->data->port_id;
	queue->queue_id = id;
	queue->wakefd = port_of(dev)->wakefd;
	queue->patience = rte_get_tsc_hz() / 10;
	queue->epfd = -1;
	queue->evfd = -1;
	queue->fence = !vhostx_membarrier_register();
	queue_register_meta(dev, queue);
	return queue;
}

/* What a fresh mbuf of this port has in its first words. */
static uint64_t
rearm_word(uint16_t port_id)
{
	struct rte_mbuf m = { .data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1, .port = port_id };
	uint64_t word;

	rte_mbuf_refcnt_set(&m, 1);
	memcpy(&word, RTE_PTR_ADD(&m, offsetof(struct rte_mbuf, data_off)), sizeof(word));
	return word;
}

/* What an application with rx interrupts waits on, unless it is there: our own signal, and the guest's kick later. */
static int
intr_open(const struct vhostx_port *port, struct vhostx_queue *queue)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ret;

	if (queue->epfd >= 0)
		return 0;
	queue->epfd = epoll_create1(EPOLL_CLOEXEC);
	queue->evfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (queue->epfd >= 0 && queue->evfd >= 0 &&
			epoll_ctl(queue->epfd, EPOLL_CTL_ADD, queue->evfd, &event) == 0)
		return 0;
	ret = -errno;
	VHOSTX_LOG(ERR, port->name, "rx queue %u: no file for interrupts: %s", queue->queue_id, strerror(-ret));
	intr_close(queue);
	return ret;
}

/* Can packets be received into mbufs of this pool? */
static int
check_pool(const struct vhostx_port *port, uint16_t id, struct rte_mempool *pool)
{
	const uint16_t room = rte_pktmbuf_data_room_size(pool);

	if (room < RTE_PKTMBUF_HEADROOM + VHOSTX_ROOM_MIN) {
		VHOSTX_LOG(ERR, port->name, "rx queue %u: the mbufs of pool %s have no room for an Ethernet header "
			"beyond the headroom of %u bytes", id, pool->name, RTE_PKTMBUF_HEADROOM);
		return -EINVAL;
	}
	/* They never let go of the buffer that they have: what is attached to them would stay there. */
	if (rte_pktmbuf_priv_flags(pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) {
		VHOSTX_LOG(ERR, port->name, "rx queue %u: the mbufs of pool %s have external buffers for good; "
			"make it by rte_pktmbuf_pool_create()", id, pool->name);
		return -ENOTSUP;
	}
	/* What is copied of a packet that is lent goes into one. */
	if (port->args.dequeue_zero_copy && !port->args.linear_buffer &&
			room < RTE_PKTMBUF_HEADROOM + VHOSTX_ZC_HEADER) {
		VHOSTX_LOG(ERR, port->name,
			"rx queue %u: dequeue-zero-copy=1 needs mbufs with %u bytes beyond the headroom of %u; those of "
			"pool %s have fewer", id, VHOSTX_ZC_HEADER, RTE_PKTMBUF_HEADROOM, pool->name);
		return -EINVAL;
	}
	return 0;
}

/* The number of descriptors is the guest's: whatever the application asks for is taken. */
int
vhostx_rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc __rte_unused,
	unsigned int socket, const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	const struct vhostx_args *args = &port_of(dev)->args;
	struct vhostx_queue *queue;
	int ret = check_pool(port_of(dev), id, pool);

	if (ret != 0)
		return ret;
	queue = queue_alloc(dev, id, socket);
	if (queue == NULL)
		return -ENOMEM;
	queue->pool = pool;
	queue->room = rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM;
	queue->rearm = rearm_word(dev->data->port_id);
	queue->linear = args->linear_buffer;
	queue->ext = args->ext_buffer;
	queue->deferred = conf->rx_deferred_start;
	if (dev->data->dev_conf.intr_conf.rxq)
		ret = intr_open(port_of(dev), queue);
	if (ret != 0) {
		queue_free(queue);
		return ret;
	}
	dev->data->rx_queues[id] = queue;
	queue_free(vhostx_port_swap_queue(port_of(dev), 2 * id + 1, queue));
	return 0;
}

/*
 * net_vhost has TCP_CKSUM and UDP_CKSUM without IPV4_CKSUM: who enables them knows that the guest may leave its
 * checksum to others. Who enables all three does what is done with a NIC, as Open vSwitch does, and sends packets on
 * as they are; unless it takes long packets too, which are never finished.
 */
static bool
looks_at_l4(uint64_t offloads)
{
	return (offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) == 0 || (offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO) != 0;
}

/* No offload is one of a queue alone: what ethdev passes at setup adds nothing. */
void
vhostx_rx_queue_set_offloads(struct rte_eth_dev *dev, uint16_t id)
{
	const uint64_t offloads = dev->data->dev_conf.rxmode.offloads;
	struct vhostx_queue *queue = dev->data->rx_queues[id];

	if (queue == NULL)
		return;
	queue->finish = ((offloads & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) ? VHOSTX_RX_STRIP : 0) |
		((offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) ? VHOSTX_RX_VERIFY_IP : 0);
	queue->offload.keep_tcp = (offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) != 0 && looks_at_l4(offloads);
	queue->offload.keep_udp = (offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0 && looks_at_l4(offloads);
	queue->offload.tx_flags = port_of(dev)->args.legacy_ol_flags;
}

int
vhostx_tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t nb_desc __rte_unused,
	unsigned int socket, const struct rte_eth_txconf *conf)
{
	struct vhostx_queue *queue = queue_alloc(dev, id, socket);

	if (queue == NULL)
		return -ENOMEM;
	queue->deferred = conf->tx_deferred_start;
	dev->data->tx_queues[id] = queue;
	queue_free(vhostx_port_swap_queue(port_of(dev), 2 * id, queue));
	return 0;
}

/* --- start and stop -------------------------------------------------------------------------------- */

int
vhostx_rx_queue_start(struct rte_eth_dev *dev, uint16_t id)
{
	vhostx_port_stop_queue(port_of(dev), dev->data->rx_queues[id], false);
	dev->data->rx_queue_state[id] = RTE_ETH_QUEUE_STATE_STARTED;
	return 0;
}

int
vhostx_rx_queue_stop(struct rte_eth_dev *dev, uint16_t id)
{
	vhostx_port_stop_queue(port_of(dev), dev->data->rx_queues[id], true);
	dev->data->rx_queue_state[id] = RTE_ETH_QUEUE_STATE_STOPPED;
	return 0;
}

int
vhostx_tx_queue_start(struct rte_eth_dev *dev, uint16_t id)
{
	vhostx_port_stop_queue(port_of(dev), dev->data->tx_queues[id], false);
	dev->data->tx_queue_state[id] = RTE_ETH_QUEUE_STATE_STARTED;
	return 0;
}

int
vhostx_tx_queue_stop(struct rte_eth_dev *dev, uint16_t id)
{
	vhostx_port_stop_queue(port_of(dev), dev->data->tx_queues[id], true);
	dev->data->tx_queue_state[id] = RTE_ETH_QUEUE_STATE_STOPPED;
	return 0;
}

/* --- what an application asks ---------------------------------------------------------------------- */

void
vhostx_rxq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_rxq_info *info)
{
	const struct vhostx_queue *queue = dev->data->rx_queues[id];

	info->mp = queue->pool;
	info->scattered_rx = !queue->linear;
	info->rx_buf_size = queue->room;
	info->nb_desc = vhostx_port_ring_size(port_of(dev), 2 * id + 1);
	info->conf.rx_deferred_start = queue->deferred;
	info->conf.offloads = dev->data->dev_conf.rxmode.offloads;
}

void
vhostx_txq_info_get(struct rte_eth_dev *dev, uint16_t id, struct rte_eth_txq_info *info)
{
	const struct vhostx_queue *queue = dev->data->tx_queues[id];

	info->nb_desc = vhostx_port_ring_size(port_of(dev), 2 * id);
	info->conf.tx_deferred_start = queue->deferred;
	info->conf.offloads = dev->data->dev_conf.txmode.offloads;
}

uint16_t
vhostx_tx_prepare(void *queue __rte_unused, struct rte_mbuf **pkts, uint16_t nb)
{
	uint16_t i;
	int ret;

	for (i = 0; i < nb; i++) {
		ret = vhostx_offload_prepare(pkts[i]);
		if (ret != 0) {
			rte_errno = -ret;
			break;
		}
	}
	return i;
}

/* A burst copies and frees: nothing is ever left to clean up. */
int
vhostx_tx_done_cleanup(void *queue __rte_unused, uint32_t count __rte_unused)
{
	return 0;
}

uint32_t
vhostx_rx_queue_count(void *queue)
{
	return vhostx_queue_pending(queue);
}

int
vhostx_rx_descriptor_status(void *queue, uint16_t offset)
{
	const int offers = vhostx_queue_offers(queue, offset);

	if (offers == -ENODEV)
		return RTE_ETH_RX_DESC_UNAVAIL;
	if (offers < 0)
		return offers;
	return offers != 0 ? RTE_ETH_RX_DESC_DONE : RTE_ETH_RX_DESC_AVAIL;
}

/* What the guest has offered can be sent into at once; what it has not got back is in use. */
int
vhostx_tx_descriptor_status(void *queue, uint16_t offset)
{
	const int offers = vhostx_queue_offers(queue, offset);

	if (offers == -ENODEV)
		return RTE_ETH_TX_DESC_UNAVAIL;
	if (offers < 0)
		return offers;
	return offers != 0 ? RTE_ETH_TX_DESC_DONE : RTE_ETH_TX_DESC_FULL;
}

/* --- rx interrupts and power ----------------------------------------------------------------------- */

int
vhostx_rx_queue_intr_enable(struct rte_eth_dev *dev, uint16_t id)
{
	struct vhostx_queue *queue = dev->data->rx_queues[id];

	if (queue->evfd < 0)
		return -ENOTSUP;
	vhostx_queue_intr_on(queue);
	return 0;
}

int
vhostx_rx_queue_intr_disable(struct rte_eth_dev *dev, uint16_t id)
{
	struct vhostx_queue *queue = dev->data->rx_queues[id];

	if (queue->evfd < 0)
		return -ENOTSUP;
	vhostx_queue_intr_off(queue);
	return 0;
}

enum { WATCH_MASK, WATCH_MATCH, WATCH_UNTIL_DIFFERS };

/* Called with the word's value before the core sleeps. @return -1 to stay awake. */
static int
monitor_check(const uint64_t value, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	const bool same = (value & opaque[WATCH_MASK]) == opaque[WATCH_MATCH];

	return same != (opaque[WATCH_UNTIL_DIFFERS] != 0) ? -1 : 0;
}

int
vhostx_get_monitor_addr(void *rx_queue, struct rte_power_monitor_cond *cond)
{
	struct vhostx_queue *queue = rx_queue;
	struct vhostx_watch watch;
	int ret;

	ret = vhostx_queue_watch(queue, &watch);
	if (ret != 0)
		return ret;
	/* The core reads the address after this call: it stays mapped until the next one. */
	if (queue->watched != NULL)
		vhostx_map_put(queue->watched);
	queue->watched = watch.map;
	cond->addr = (volatile void *)(uintptr_t)watch.addr;
	cond->size = watch.size;
	cond->fn = monitor_check;
	cond->opaque[WATCH_MASK] = watch.mask;
	cond->opaque[WATCH_MATCH] = watch.match;
	cond->opaque[WATCH_UNTIL_DIFFERS] = watch.until_differs;
	return 0;
}

/* A queue that was set up before the port was configured with interrupts has no file yet; one that was not, never. */
static int
intr_fill_queue(struct rte_eth_dev *dev, struct rte_intr_handle *handle, uint16_t id)
{
	struct vhostx_queue *queue = dev->data->rx_queues[id];
	const int ret = queue == NULL ? 0 : intr_open(port_of(dev), queue);

	if (ret != 0)
		return ret;
	return rte_intr_vec_list_index_set(handle, id, RTE_INTR_VEC_RXTX_OFFSET + id) != 0 ||
		rte_intr_efds_index_set(handle, id, queue == NULL ? -1 : queue->epfd) != 0 ? -ENOMEM : 0;
}

static int
intr_fill(struct rte_eth_dev *dev, struct rte_intr_handle *handle)
{
	const uint16_t nr = dev->data->nb_rx_queues;
	int ret = 0;

	/* The counter of an epoll file has no bytes to read. */
	if (rte_intr_type_set(handle, RTE_INTR_HANDLE_VDEV) != 0 ||
			rte_intr_efd_counter_size_set(handle, 0) != 0 ||
			rte_intr_vec_list_alloc(handle, "vhostx", nr) != 0)
		return -ENOMEM;
	for (uint16_t i = 0; i < nr && ret == 0; i++)
		ret = intr_fill_queue(dev, handle, i);
	if (ret != 0)
		return ret;
	return rte_intr_nb_efd_set(handle, nr) != 0 || rte_intr_max_intr_set(handle, nr + 1) != 0 ?
		-ENOMEM : 0;
}

int
vhostx_intr_setup(struct rte_eth_dev *dev)
{
	struct rte_intr_handle *handle;
	int ret;

	if (!dev->data->dev_conf.intr_conf.rxq)
		return 0;
	vhostx_intr_release(dev);
	handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	if (handle == NULL)
		return -ENOMEM;
	dev->intr_handle = handle;
	ret = intr_fill(dev, handle);
	if (ret != 0) {
		VHOSTX_LOG(ERR, port_of(dev)->name, "rx interrupts of %u queues cannot be set up",
			dev->data->nb_rx_queues);
		vhostx_intr_release(dev);
	}
	return ret;
}

void
vhostx_intr_release(struct rte_eth_dev *dev)
{
	if (dev->intr_handle == NULL)
		return;
	rte_intr_free_epoll_fd(dev->intr_handle);
	rte_intr_vec_list_free(dev->intr_handle);
	rte_intr_instance_free(dev->intr_handle);
	dev->intr_handle = NULL;
}
