/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port: messages change the device state, rings are built from it and published to queues.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <ethdev_driver.h>
#include <rte_alarm.h>
#include <rte_string_fns.h>

#include "ring/notify.h"
#include "user/build.h"
#include "vhostx_log.h"
#include "vhostx_port.h"

/* Virtio features that are offered: what the rings can do, and what front-ends do by themselves. */
#define PORT_FEATURES ( \
	RTE_BIT64(VIRTIO_NET_F_MTU) | \
	RTE_BIT64(VIRTIO_NET_F_MRG_RXBUF) | \
	RTE_BIT64(VIRTIO_NET_F_CTRL_VQ) | \
	RTE_BIT64(VIRTIO_NET_F_CTRL_RX) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	RTE_BIT64(VIRTIO_NET_F_MQ) | \
	RTE_BIT64(VIRTIO_F_ANY_LAYOUT) | \
	RTE_BIT64(VIRTIO_RING_F_INDIRECT_DESC) | \
	RTE_BIT64(VIRTIO_RING_F_EVENT_IDX) | \
	RTE_BIT64(VHOSTX_F_PROTOCOL_FEATURES) | \
	RTE_BIT64(VIRTIO_F_VERSION_1) | \
	RTE_BIT64(VIRTIO_F_RING_PACKED) | \
	RTE_BIT64(VIRTIO_F_IN_ORDER))

static void
port_get(struct vhostx_port *port)
{
	__atomic_fetch_add(&port->refs, 1, __ATOMIC_RELAXED);
}

static void
port_put(void *arg)
{
	struct vhostx_port *port = arg;

	if (__atomic_sub_fetch(&port->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	close(port->wakefd);
	pthread_mutex_destroy(&port->lock);
	free(port->ring);
	free(port);
}

/* --- link ------------------------------------------------------------------------------------------ */

/* Deliver link events: on the EAL's interrupt thread, with no lock held. */
static void
port_event(void *arg)
{
	struct vhostx_port *port = arg;
	bool closed;

	pthread_mutex_lock(&port->lock);
	port->event = false;
	closed = port->closed;
	pthread_mutex_unlock(&port->lock);
	if (!closed)
		rte_eth_dev_callback_process(&rte_eth_devices[port->port_id], RTE_ETH_EVENT_INTR_LSC,
			NULL);
	port_put(port);
}

static void
port_schedule_event(struct vhostx_port *port)
{
	if (port->event)
		return;
	port_get(port);
	port->event = true;
	if (rte_eal_alarm_set(1, port_event, port) == 0)
		return;
	port->event = false;
	port_put(port);
	VHOSTX_LOG(ERR, port->name, "no alarm for a link event: applications learn of it when they ask");
}

/* The link is up while a queue pair runs in both directions. */
static bool
port_has_pair(const struct vhostx_port *port)
{
	const struct vhostx_port_ring *r = port->ring;

	for (uint16_t i = 0; i < port->be.nr_vrings; i += 2) {
		if (r[i].built && r[i].snap.enabled && r[i + 1].built && r[i + 1].snap.enabled)
			return true;
	}
	return false;
}

static void
port_update_link(struct vhostx_port *port)
{
	struct rte_eth_dev *dev = &rte_eth_devices[port->port_id];
	const struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_10G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
		.link_status = port_has_pair(port) ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};

	if (rte_eth_linkstatus_set(dev, &link) == 0)
		port_schedule_event(port);
}

/* --- rings ----------------------------------------------------------------------------------------- */

/* The queue that serves ring @a idx while the port is started, or NULL. */
static struct vhostx_queue *
port_queue(const struct vhostx_port *port, uint16_t idx)
{
	const struct rte_eth_dev_data *data = rte_eth_devices[port->port_id].data;
	const uint16_t n = idx / 2;

	if (!port->started)
		return NULL;
	if (idx % 2 == 0)
		return n < data->nb_tx_queues ? data->tx_queues[n] : NULL;
	return n < data->nb_rx_queues ? data->rx_queues[n] : NULL;
}

static void
ring_publish(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];

	r->queue = port_queue(port, idx);
	if (r->queue == NULL)
		return;
	vhostx_queue_publish(r->queue, &r->snap);
	/* Whatever the last back-end owed the guest, it looks at its ring now. */
	if (!r->told && r->snap.enabled && r->snap.callfd >= 0) {
		vhostx_eventfd_signal(r->snap.callfd, r->snap.call_blocks);
		r->told = true;
	}
}

static void
ring_retire(struct vhostx_port_ring *r)
{
	if (r->queue == NULL)
		return;
	vhostx_queue_retire(r->queue);
	r->queue = NULL;
}

static void
ops_pause(void *ctx, uint16_t idx)
{
	struct vhostx_port *port = ctx;

	ring_retire(&port->ring[idx]);
	port->ring[idx].built = false;
}

/* Say once why a ring that should run does not. */
static void
ring_refused(struct vhostx_port *port, uint16_t idx, const char *why)
{
	if (port->ring[idx].why != why)
		VHOSTX_LOG(ERR, port->name, "ring %u cannot run: %s", idx, why);
	port->ring[idx].why = why;
}

static void
ops_resume(void *ctx, uint16_t idx)
{
	struct vhostx_port *port = ctx;
	struct vhostx_port_ring *r = &port->ring[idx];
	const char *why = NULL;
	int ret;

	ops_pause(port, idx);
	ret = vhostx_build(&port->be, idx, &r->snap, &why);
	if (ret == 0) {
		r->snap.ring = &r->ring;
		r->snap.call_blocks = r->snap.callfd >= 0 && vhostx_eventfd_blocks(r->snap.callfd);
		ret = vhostx_ring_prepare(&r->snap, &why);
	}
	if (ret == -EINVAL)
		ring_refused(port, idx, why);
	if (ret < 0)
		return;
	if (ret == 1)
		VHOSTX_LOG(INFO, port->name, "ring %u continues at its used index", idx);
	r->why = NULL;
	r->built = true;
	ring_publish(port, idx);
}

static void
ops_set_base(void *ctx, uint16_t idx, uint32_t base)
{
	struct vhostx_port *port = ctx;

	vhostx_ring_set_base(&port->ring[idx].ring, base);
	port->ring[idx].told = false;
}

static uint32_t
ops_get_base(void *ctx, uint16_t idx)
{
	struct vhostx_port *port = ctx;
	const bool packed = (port->be.features & RTE_BIT64(VIRTIO_F_RING_PACKED)) != 0;

	port->ring[idx].told = false;
	return vhostx_ring_get_base(&port->ring[idx].ring, packed ? VHOSTX_PACKED : VHOSTX_SPLIT);
}

static int
ops_set_mtu(void *ctx, uint64_t mtu)
{
	struct vhostx_port *port = ctx;

	if (mtu < RTE_ETHER_MIN_MTU || mtu > UINT16_MAX)
		return -EINVAL;
	rte_eth_devices[port->port_id].data->mtu = mtu;
	return 0;
}

static const struct vhostx_backend_ops backend_ops = {
	.pause = ops_pause,
	.resume = ops_resume,
	.set_base = ops_set_base,
	.get_base = ops_get_base,
	.set_mtu = ops_set_mtu,
};

/* A guest broke ring @a idx: it stays down until the front-end starts it again. */
static void
ring_broken(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	const bool ahead = r->ring.fault == VHOSTX_BAD_INDEX;

	ops_pause(port, idx);
	port->be.vring[idx].started = false;
	r->ring.fault = VHOSTX_NO_CAUSE;
	r->told = false;
	if (port->be.vring[idx].errfd >= 0)
		vhostx_eventfd_signal(port->be.vring[idx].errfd,
			vhostx_eventfd_blocks(port->be.vring[idx].errfd));
	VHOSTX_LOG(ERR, port->name, "ring %u stopped, the guest broke it: %s; restart the guest's driver",
		idx, ahead ? "it offers more entries than the ring has" :
		"a chain begins past the ring or has no end");
}

/* A poller found a ring that cannot be trusted. */
static void
port_wake(void *arg)
{
	struct vhostx_port *port = arg;
	uint64_t count;

	if (read(port->wakefd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&port->lock);
	for (uint16_t i = 0; !port->closed && i < port->be.nr_vrings; i++) {
		if (port->ring[i].built && __atomic_load_n(&port->ring[i].ring.fault,
				__ATOMIC_RELAXED) != VHOSTX_NO_CAUSE)
			ring_broken(port, i);
	}
	if (!port->closed)
		port_update_link(port);
	pthread_mutex_unlock(&port->lock);
}

/* --- socket ---------------------------------------------------------------------------------------- */

static void
sock_connected(void *ctx)
{
	const struct vhostx_port *port = ctx;

	VHOSTX_LOG(INFO, port->name, "a front-end is connected");
}

static int
sock_message(void *ctx, struct vhostx_msg *msg)
{
	struct vhostx_port *port = ctx;
	const uint64_t ring = msg->payload.u64 & VHOSTX_MSG_VRING_MASK;
	struct vhostx_msg reply;
	enum vhostx_verdict verdict;

	/* A guest that was told on another file is told on the new one. */
	if (msg->header.request == VHOSTX_SET_VRING_CALL && ring < port->be.nr_vrings)
		port->ring[ring].told = false;
	verdict = vhostx_backend_handle(&port->be, msg, &reply);
	port_update_link(port);
	if (verdict == VHOSTX_REPLY)
		return vhostx_sock_send(port->sock, &reply.header, &reply.payload);
	return verdict == VHOSTX_CLOSE ? -EPROTO : 0;
}

static void
sock_disconnected(void *ctx)
{
	struct vhostx_port *port = ctx;

	vhostx_backend_reset(&port->be);
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		vhostx_ring_reset(&port->ring[i].ring);
		port->ring[i].told = false;
		port->ring[i].why = NULL;
	}
	port_update_link(port);
	VHOSTX_LOG(INFO, port->name, "the front-end is gone");
}

static const struct vhostx_sock_ops sock_ops = {
	.connected = sock_connected,
	.message = sock_message,
	.disconnected = sock_disconnected,
	.release = port_put,
};

/* --- the port -------------------------------------------------------------------------------------- */

int
vhostx_port_create(struct rte_eth_dev *dev, const struct vhostx_args *args, struct vhostx_port **out)
{
	struct vhostx_port *port = calloc(1, sizeof(*port));
	const uint16_t nr_vrings = args->queues * 2;
	int ret = -ENOMEM;

	if (port == NULL)
		return -ENOMEM;
	port->ring = aligned_alloc(RTE_CACHE_LINE_SIZE, nr_vrings * sizeof(*port->ring));
	if (port->ring == NULL)
		goto free_port;
	memset(port->ring, 0, nr_vrings * sizeof(*port->ring));
	port->refs = 1;
	port->port_id = dev->data->port_id;
	port->args = *args;
	strlcpy(port->name, dev->data->name, sizeof(port->name));
	ret = vhostx_backend_init(&port->be, port->name, PORT_FEATURES, nr_vrings, &backend_ops, port);
	if (ret != 0)
		goto free_rings;
	for (uint16_t i = 0; i < nr_vrings; i++)
		vhostx_ring_reset(&port->ring[i].ring);
	port->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ret = -errno;
	if (port->wakefd < 0)
		goto free_backend;
	pthread_mutex_init(&port->lock, NULL);
	port_get(port);
	port->wake = vhostx_loop_add_fd(port->wakefd, port_wake, port_put, port);
	ret = -errno;
	if (port->wake == NULL)
		goto close_wake;
	*out = port;
	return 0;

close_wake:
	pthread_mutex_destroy(&port->lock);
	close(port->wakefd);
free_backend:
	vhostx_backend_fini(&port->be);
free_rings:
	free(port->ring);
free_port:
	free(port);
	return ret;
}

int
vhostx_port_open(struct vhostx_port *port)
{
	const struct vhostx_sock_conf conf = {
		.name = port->name,
		.path = port->args.iface,
		.client = port->args.client,
		.lock = &port->lock,
		.ops = &sock_ops,
		.ctx = port,
	};
	int ret = 0;

	pthread_mutex_lock(&port->lock);
	if (port->sock == NULL) {
		port_get(port);
		ret = vhostx_sock_open(&conf, &port->sock);
		if (ret != 0)
			port_put(port);
	}
	pthread_mutex_unlock(&port->lock);
	return ret;
}

void
vhostx_port_start(struct vhostx_port *port)
{
	pthread_mutex_lock(&port->lock);
	port->started = true;
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (port->ring[i].built)
			ring_publish(port, i);
	}
	pthread_mutex_unlock(&port->lock);
}

void
vhostx_port_stop(struct vhostx_port *port)
{
	pthread_mutex_lock(&port->lock);
	port->started = false;
	for (uint16_t i = 0; i < port->be.nr_vrings; i++)
		ring_retire(&port->ring[i]);
	pthread_mutex_unlock(&port->lock);
}

void
vhostx_port_forget(struct vhostx_port *port, const struct vhostx_queue *queue)
{
	pthread_mutex_lock(&port->lock);
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (port->ring[i].queue == queue)
			ring_retire(&port->ring[i]);
	}
	pthread_mutex_unlock(&port->lock);
}

void
vhostx_port_close(struct vhostx_port *port)
{
	vhostx_port_stop(port);
	pthread_mutex_lock(&port->lock);
	port->closed = true;
	vhostx_sock_close(port->sock);
	port->sock = NULL;
	vhostx_backend_fini(&port->be);
	pthread_mutex_unlock(&port->lock);
	vhostx_loop_del(port->wake);
	/* An alarm that is being delivered has a reference of its own. */
	if (rte_eal_alarm_cancel(port_event, port) > 0)
		port_put(port);
	port_put(port);
}
