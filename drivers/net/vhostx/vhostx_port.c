/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port: messages change the device state, rings are built from it and published to queues.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <linux/virtio_config.h>

#include <ethdev_driver.h>
#include <rte_cycles.h>
#include <rte_string_fns.h>

#include "mem/work.h"
#include "ring/notify.h"
#include "ring/rarp.h"
#include "rte_eth_vhostx.h"
#include "user/build.h"
#include "vhostx_event.h"
#include "vhostx_log.h"
#include "vhostx_offer.h"
#include "vhostx_ports.h"
#include "vhostx_postcopy.h"
#include "vhostx_resume.h"
#include "vhostx_serve.h"
#include "vhostx_zc_wait.h"

/* --- rings ----------------------------------------------------------------------------------------- */

void
vhostx_port_pause(struct vhostx_port *port, uint16_t idx)
{
	vhostx_serve_retire(port, idx);
	vhostx_build_end(&port->ring[idx].snap);
	port->ring[idx].built = false;
}

static void
ops_pause(void *ctx, uint16_t idx)
{
	vhostx_port_pause(ctx, idx);
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
	ret = vhostx_build(&port->be, idx, &r->snap, &why, port->be.vring[idx].miss);
	if (ret == 0 && !vhostx_postcopy_ready(port, idx))
		return;
	if (ret == 0) {
		r->snap.ring = &r->ring;
		r->snap.wakefd = port->wakefd;
		r->snap.ask = vhostx_iommu_ask;
		r->snap.ask_arg = port;
		r->snap.call_blocks = r->snap.callfd >= 0 && vhostx_eventfd_blocks(r->snap.callfd);
		r->snap.log_blocks = r->snap.logfd >= 0 && vhostx_eventfd_blocks(r->snap.logfd);
		vhostx_zc_start(port, idx);
		vhostx_resume_ring(port, idx);
		ret = vhostx_ring_prepare(&r->snap, &why);
	}
	if (ret == -EINVAL)
		ring_refused(port, idx, why);
	if (ret < 0)
		return;
	if (ret == 1)
		VHOSTX_LOG(INFO, port->name, "ring %u continues at its used index", idx);
	vhostx_resume_keep(port, idx);
	/*
	 * QEMU makes the file with a count in it, and takes what is left there, when we are gone, as a kick to itself:
	 * it would drop what it finds at the position that it knows (ring/reclaim.h; with ioeventfd=on it does that
	 * anyway). Whoever sleeps on the ring is woken when it is published.
	 */
	vhostx_eventfd_empty(r->snap.kickfd);
	r->why = NULL;
	r->built = true;
}

static void
ops_quiesce(void *ctx)
{
	vhostx_serve_quiesce(ctx);
}

static void
ops_mapped(void *ctx, uint64_t first, uint64_t last, uint8_t perm)
{
	vhostx_iommu_mapped(ctx, first, last, perm);
}

static void
ops_set_base(void *ctx, uint16_t idx, uint32_t base)
{
	struct vhostx_port *port = ctx;

	vhostx_zc_end(port, idx);
	vhostx_ring_set_base(&port->ring[idx].ring, base);
	port->ring[idx].told = false;
}

static void
ops_rewind(void *ctx, uint16_t idx)
{
	struct vhostx_port *port = ctx;

	vhostx_zc_end(port, idx);
	vhostx_ring_reset(&port->ring[idx].ring);
	port->ring[idx].told = false;
}

static uint32_t
ops_get_base(void *ctx, uint16_t idx)
{
	struct vhostx_port *port = ctx;
	const bool packed = (port->be.features & RTE_BIT64(VIRTIO_F_RING_PACKED)) != 0;

	vhostx_zc_end(port, idx);
	port->ring[idx].told = false;
	return vhostx_ring_get_base(&port->ring[idx].ring, packed ? VHOSTX_PACKED : VHOSTX_SPLIT);
}

static void
ops_get_config(void *ctx, struct vhostx_net_config *config)
{
	const struct vhostx_port *port = ctx;
	const struct rte_eth_dev_data *data = rte_eth_devices[port->port_id].data;

	memcpy(config->mac, data->mac_addrs, sizeof(config->mac));
	config->link = true;
	config->mtu = data->mtu;
}

/* On the first queue: who asks for one packet on the wire wants one. */
static void
ops_send_rarp(void *ctx, const uint8_t *mac)
{
	const struct vhostx_port *port = ctx;
	struct vhostx_queue *queue = port->ring[1].queue;
	struct rte_ether_addr addr;

	memcpy(&addr, mac, sizeof(addr));
	if (queue == NULL) {
		VHOSTX_LOG(WARNING, port->name, "the guest " RTE_ETHER_ADDR_PRT_FMT " cannot be announced: "
			"the application has no rx queue", RTE_ETHER_ADDR_BYTES(&addr));
		return;
	}
	VHOSTX_LOG(INFO, port->name, "the guest " RTE_ETHER_ADDR_PRT_FMT " is announced by RARP",
		RTE_ETHER_ADDR_BYTES(&addr));
	vhostx_rarp_ask(queue, &addr);
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
	.quiesce = ops_quiesce,
	.mapped = ops_mapped,
	.set_base = ops_set_base,
	.rewind = ops_rewind,
	.get_base = ops_get_base,
	.get_config = ops_get_config,
	.send_rarp = ops_send_rarp,
	.set_mtu = ops_set_mtu,
};

/* A guest broke ring @a idx: it stays down until the front-end starts it again. */
static void
ring_broken(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	const char *why = r->ring.fault == VHOSTX_BAD_INDEX ?
		"it offers more entries than the ring has" :
		"a chain begins past the ring or has no end";

	ops_pause(port, idx);
	vhostx_resume_forget(port, idx);
	port->be.vring[idx].started = false;
	r->ring.fault = VHOSTX_NO_CAUSE;
	r->told = false;
	if (port->be.vring[idx].errfd >= 0)
		vhostx_eventfd_signal(port->be.vring[idx].errfd,
			vhostx_eventfd_blocks(port->be.vring[idx].errfd));
	r->why = why;
	VHOSTX_LOG(ERR, port->name, "ring %u stopped, the guest broke it: %s; restart the guest's driver",
		idx, why);
}

/* After any change of rings: the queues first, then who wants to know. */
static void
port_update(struct vhostx_port *port)
{
	vhostx_serve_update(port);
	vhostx_iommu_update(port);
	vhostx_event_update(port);
}

void
vhostx_port_woken(struct vhostx_port *port)
{
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (port->ring[i].built && __atomic_load_n(&port->ring[i].ring.fault,
				__ATOMIC_RELAXED) != VHOSTX_NO_CAUSE)
			ring_broken(port, i);
	}
	port_update(port);
	vhostx_zc_wake(port);
}

static void
port_wake(void *arg)
{
	struct vhostx_port *port = arg;
	uint64_t count;

	if (read(port->wakefd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&port->lock);
	if (!port->closed && !vhostx_postcopy_defer_wake(port))
		vhostx_port_woken(port);
	pthread_mutex_unlock(&port->lock);
}

/* --- socket ---------------------------------------------------------------------------------------- */

static void
sock_connected(void *ctx)
{
	struct vhostx_port *port = ctx;

	port->since = rte_get_tsc_cycles();
	port->be.local = vhostx_sock_peer(port->sock) == getpid();
	vhostx_offer_connected(port);
	port->connects++;
	port->warned = false;
	vhostx_zc_connected(port);
	vhostx_iommu_connected(port);
}

/* Applications put their mbufs and lcores where the port says that it is: where the guest's memory is. */
static void
port_update_node(struct vhostx_port *port)
{
	int node;

	/* It brings a page in. */
	if (port->be.listening)
		return;
	if (port->args.numa >= 0 || port->be.mem_changes == port->node_of)
		return;
	port->node_of = port->be.mem_changes;
	node = vhostx_mem_node(port->be.mem);
	if (node >= 0)
		rte_eth_devices[port->port_id].data->numa_node = node;
}

void
vhostx_port_resume(struct vhostx_port *port, uint16_t idx)
{
	if (port->be.vring[idx].started && !port->be.unacked)
		ops_resume(port, idx);
	/* Other rings may have been taken from their queues to come here. */
	port_update(port);
}

int
vhostx_port_handle(struct vhostx_port *port, struct vhostx_msg *msg)
{
	const uint64_t ring = msg->payload.u64 & VHOSTX_MSG_VRING_MASK;
	struct vhostx_msg reply;
	enum vhostx_verdict verdict;
	int ret = 0;

	/* A guest that was told on another file is told on the new one. */
	if (msg->header.request == VHOSTX_SET_VRING_CALL && ring < port->be.nr_vrings)
		port->ring[ring].told = false;
	verdict = vhostx_backend_handle(&port->be, msg, &reply);
	port_update(port);
	port_update_node(port);
	if (verdict == VHOSTX_CLOSE)
		return -EPROTO;
	vhostx_offer_said(port, msg);
	if (verdict == VHOSTX_REPLY)
		ret = vhostx_sock_send_fd(port->sock, &reply.header, &reply.payload,
			reply.nr_fds != 0 ? reply.fds[0] : -1);
	vhostx_msg_close_fds(&reply);
	if (ret != 0)
		return ret;
	vhostx_postcopy_said(port, msg);
	vhostx_resume_said(port, msg);
	return 0;
}

static int
sock_message(void *ctx, struct vhostx_msg *msg)
{
	struct vhostx_port *port = ctx;

	if (vhostx_postcopy_defer(port, msg))
		return 0;
	if (!vhostx_zc_defer(port, msg))
		return vhostx_port_handle(port, msg);
	/* Rings may be down meanwhile. */
	port_update(port);
	return 0;
}

void
vhostx_port_forget(struct vhostx_port *port)
{
	vhostx_zc_end_all(port);
	vhostx_backend_reset(&port->be);
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		ops_rewind(port, i);
		port->ring[i].why = NULL;
	}
	port_update(port);
}

static void
sock_disconnected(void *ctx)
{
	struct vhostx_port *port = ctx;

	port->since = 0;
	/* First: pollers may sleep in a fault that nobody answers any more. */
	if (port->be.uffd != NULL)
		vhostx_uffd_release(port->be.uffd);
	vhostx_postcopy_gone(port);
	for (uint16_t i = 0; i < port->be.nr_vrings; i++)
		vhostx_port_pause(port, i);
	if (vhostx_zc_defer_gone(port))
		port_update(port);
	else
		vhostx_port_forget(port);
}

static const struct vhostx_sock_ops sock_ops = {
	.connected = sock_connected,
	.message = sock_message,
	.disconnected = sock_disconnected,
	.release = vhostx_port_put,
};

/* --- the port -------------------------------------------------------------------------------------- */

void
vhostx_port_get(struct vhostx_port *port)
{
	__atomic_fetch_add(&port->refs, 1, __ATOMIC_RELAXED);
}

void
vhostx_port_put(void *arg)
{
	struct vhostx_port *port = arg;

	if (__atomic_sub_fetch(&port->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	close(port->wakefd);
	pthread_mutex_destroy(&port->lock);
	free(port->ring);
	free(port);
}

int
vhostx_port_add_timer(struct vhostx_port *port, vhostx_loop_cb cb, struct vhostx_source **timer)
{
	int ret = 0;

	vhostx_port_get(port);
	*timer = vhostx_loop_add_timer(cb, vhostx_port_put, port);
	if (*timer == NULL) {
		ret = -errno;
		vhostx_port_put(port);
	}
	return ret;
}

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
	port->offered = vhostx_offer(args, false);
	strlcpy(port->name, dev->data->name, sizeof(port->name));
	ret = vhostx_backend_init(&port->be, port->name, port->offered, nr_vrings, &backend_ops, port);
	if (ret != 0)
		goto free_rings;
	if (args->postcopy)
		port->be.protocol_offered |= RTE_BIT64(VHOSTX_PROTOCOL_F_PAGEFAULT);
	if (args->iommu_support)
		port->be.protocol_offered |= RTE_BIT64(VHOSTX_PROTOCOL_F_BACKEND_REQ);
	for (uint16_t i = 0; i < nr_vrings; i++)
		vhostx_ring_reset(&port->ring[i].ring);
	port->wakefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ret = -errno;
	if (port->wakefd < 0)
		goto free_backend;
	pthread_mutex_init(&port->lock, NULL);
	vhostx_port_get(port);
	port->wake = vhostx_loop_add_fd(port->wakefd, port_wake, vhostx_port_put, port);
	ret = -errno;
	if (port->wake == NULL)
		goto close_wake;
	ret = vhostx_zc_open(port);
	if (ret == 0)
		ret = vhostx_iommu_open(port);
	if (ret == 0)
		ret = vhostx_postcopy_open(port);
	if (ret != 0)
		goto delete_wake;
	vhostx_ports_add(port);
	*out = port;
	return 0;

delete_wake:
	/* The loop's references are given back later, and the last frees the port: only then nothing is left to do. */
	vhostx_loop_del(port->zc.timer);
	vhostx_iommu_close(port);
	vhostx_backend_fini(&port->be);
	vhostx_loop_del(port->wake);
	vhostx_port_put(port);
	return ret;
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

void
vhostx_port_offer(struct vhostx_port *port, bool tso)
{
	pthread_mutex_lock(&port->lock);
	port->offered = vhostx_offer(&port->args, tso);
	pthread_mutex_unlock(&port->lock);
}

int
vhostx_port_open(struct vhostx_port *port)
{
	const struct vhostx_sock_conf conf = {
		.name = port->name,
		.path = port->args.iface,
		.client = port->args.client,
		.perm = &port->args.perm,
		.lock = &port->lock,
		.ops = &sock_ops,
		.ctx = port,
	};
	int ret = 0;

	pthread_mutex_lock(&port->lock);
	if (port->sock == NULL) {
		vhostx_port_get(port);
		ret = vhostx_sock_open(&conf, &port->sock);
		if (ret != 0)
			vhostx_port_put(port);
	}
	pthread_mutex_unlock(&port->lock);
	return ret;
}

void
vhostx_port_start(struct vhostx_port *port)
{
	pthread_mutex_lock(&port->lock);
	port->started = true;
	vhostx_serve_update(port);
	pthread_mutex_unlock(&port->lock);
}

void
vhostx_port_stop(struct vhostx_port *port)
{
	vhostx_postcopy_lock(port);
	port->started = false;
	vhostx_serve_update(port);
	pthread_mutex_unlock(&port->lock);
}

void
vhostx_port_stop_queue(struct vhostx_port *port, struct vhostx_queue *queue, bool stop)
{
	vhostx_postcopy_lock(port);
	queue->stopped = stop;
	vhostx_serve_update(port);
	pthread_mutex_unlock(&port->lock);
}

struct vhostx_queue *
vhostx_port_swap_queue(struct vhostx_port *port, uint16_t idx, struct vhostx_queue *queue)
{
	struct vhostx_queue *old;

	vhostx_postcopy_lock(port);
	old = port->ring[idx].queue;
	if (old != NULL) {
		old->stopped = true;
		vhostx_serve_update(port);
	}
	port->ring[idx].queue = queue;
	if (port->started)
		vhostx_serve_update(port);
	pthread_mutex_unlock(&port->lock);
	return old;
}

uint16_t
vhostx_port_ring_size(struct vhostx_port *port, uint16_t idx)
{
	uint16_t size;

	pthread_mutex_lock(&port->lock);
	size = port->be.vring[idx].num;
	pthread_mutex_unlock(&port->lock);
	return size;
}

int
rte_eth_vhostx_get_info(uint16_t port_id, struct rte_eth_vhostx_info *info)
{
	struct vhostx_port *port = info == NULL ? NULL : vhostx_ports_lock(port_id);

	if (port == NULL)
		return -EINVAL;
	*info = (struct rte_eth_vhostx_info){
		.iface = port->args.iface,
		.client = port->args.client,
		.connected = port->sock != NULL && vhostx_sock_connected(port->sock),
		.features = port->be.features,
		.protocol_features = port->be.protocol_features,
		.nr_regions = port->be.mem == NULL ? 0 : port->be.mem->nr,
	};
	vhostx_ports_unlock(port);
	return 0;
}

void
vhostx_port_close(struct vhostx_port *port)
{
	vhostx_ports_remove(port);
	/* Whoever sleeps in a fault would be waited for. */
	pthread_mutex_lock(&port->lock);
	if (port->be.uffd != NULL)
		vhostx_uffd_release(port->be.uffd);
	pthread_mutex_unlock(&port->lock);
	vhostx_port_stop(port);
	vhostx_zc_drain(port);
	pthread_mutex_lock(&port->lock);
	port->closed = true;
	vhostx_zc_close(port);
	vhostx_iommu_close(port);
	vhostx_postcopy_close(port);
	vhostx_offer_close(port);
	vhostx_resume_close(port);
	vhostx_sock_close(port->sock);
	port->sock = NULL;
	vhostx_backend_fini(&port->be);
	pthread_mutex_unlock(&port->lock);
	vhostx_loop_del(port->wake);
	vhostx_event_cancel(port);
	vhostx_port_put(port);
	/* What devices knew of has to be taken from them while there is an EAL; it may end with the last port. */
	if (vhostx_ports_none())
		vhostx_work_await(UINT64_MAX);
}
