/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Which queue serves which ring.
 */
#include <sys/epoll.h>

#include <ethdev_driver.h>

#include "ring/notify.h"
#include "vhostx_log.h"
#include "vhostx_serve.h"

/* Can the queue be polled? */
static bool
queue_runs(const struct vhostx_port *port, const struct vhostx_queue *q)
{
	return port->started && q != NULL && !q->stopped;
}

static struct vhostx_queue *
rx_queue(const struct vhostx_port *port, uint16_t n)
{
	return port->ring[2 * n + 1].queue;
}

static struct vhostx_queue *
tx_queue(const struct vhostx_port *port, uint16_t n)
{
	return port->ring[2 * n].queue;
}

static struct vhostx_port_ring *
ring_of(const struct vhostx_snapshot *snap)
{
	return RTE_PTR_SUB(snap, offsetof(struct vhostx_port_ring, snap));
}

/* The guest's kicks wake who waits for the queue's interrupt, as long as the ring is published. */
static void
watch_kicks(const struct vhostx_queue *q, int kickfd, int op)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (q->epfd >= 0 && kickfd >= 0)
		epoll_ctl(q->epfd, op, kickfd, &event);
}

static void
queue_publish(struct vhostx_port *port, struct vhostx_queue *q, struct vhostx_port_ring *r)
{
	const uint16_t idx = r - port->ring;

	watch_kicks(q, port->be.vring[idx].kickfd, EPOLL_CTL_ADD);
	vhostx_queue_publish(q, &r->snap);
	/* Whatever the last back-end owed the guest, it looks at its ring now. */
	if (!r->told && r->snap.enabled && r->snap.callfd >= 0) {
		vhostx_eventfd_signal(r->snap.callfd, r->snap.call_blocks);
		r->told = true;
	}
}

static void
queue_unpublish(struct vhostx_port *port, struct vhostx_queue *q)
{
	const uint16_t idx = ring_of(q->snap) - port->ring;

	vhostx_queue_unpublish(q);
	watch_kicks(q, port->be.vring[idx].kickfd, EPOLL_CTL_DEL);
}

static void
queue_retire(struct vhostx_port *port, struct vhostx_queue *q)
{
	queue_unpublish(port, q);
	vhostx_queue_await_left(q);
}

/* Who was asked to leave and had no time to wait: nobody goes on before they have. */
static void
await_left(struct vhostx_port *port)
{
	if (!port->leaving)
		return;
	port->leaving = false;
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (port->ring[i].queue != NULL)
			vhostx_queue_await_left(port->ring[i].queue);
	}
}

static void
queue_set(struct vhostx_port *port, struct vhostx_queue *q, struct vhostx_port_ring *want)
{
	if (q->snap != NULL && (want == NULL || q->snap != &want->snap))
		queue_retire(port, q);
	if (q->snap == NULL && want != NULL)
		queue_publish(port, q, want);
}

/*
 * Rings that the guest uses and nobody polls stall its traffic there: say so once a connection. Of the first, for how
 * many there will be is not known yet: a front-end enables one after the other.
 */
static void
update_rx(struct vhostx_port *port)
{
	uint16_t unpolled = 0, first = 0;

	for (uint16_t n = 0; n < port->be.nr_vrings / 2; n++) {
		struct vhostx_port_ring *r = &port->ring[2 * n + 1];
		struct vhostx_queue *q = rx_queue(port, n);
		const bool runs = queue_runs(port, q);

		if (q != NULL)
			queue_set(port, q, runs && r->built ? r : NULL);
		if (!port->started || runs || !r->built || !r->snap.enabled)
			continue;
		if (unpolled++ == 0)
			first = n;
	}
	if (unpolled != 0 && !port->warned) {
		VHOSTX_LOG(WARNING, port->name, "the guest transmits on queue %u, which the application does "
			"not poll: configure more rx queues, or fewer queues in the guest", first);
		port->warned = true;
	}
	port->unpolled = unpolled;
}

/* The tx rings that the guest has enabled, in order. */
static uint16_t
enabled_tx(struct vhostx_port *port, struct vhostx_port_ring **enabled)
{
	uint16_t nr = 0;

	for (uint16_t i = 0; i < port->be.nr_vrings; i += 2) {
		if (port->ring[i].built && port->ring[i].snap.enabled)
			enabled[nr++] = &port->ring[i];
	}
	return nr;
}

static struct vhostx_port_ring *
tx_target(struct vhostx_port *port, uint16_t n, struct vhostx_port_ring **enabled, uint16_t nr)
{
	struct vhostx_port_ring *own = &port->ring[2 * n];

	if (!queue_runs(port, tx_queue(port, n)))
		return NULL;
	if (own->built && own->snap.enabled)
		return own;
	/* A ring that waits for the guest's IOMMU comes back in a moment: its packets are for no other one. */
	if (port->be.vring[2 * n].started && port->be.vring[2 * n].enabled &&
			port->be.vring[2 * n].miss[0] != 0)
		return NULL;
	return nr != 0 ? enabled[n % nr] : NULL;
}

/* A ring becomes shared, or ceases to be, while no queue has it. */
static void
update_tx(struct vhostx_port *port)
{
	struct vhostx_port_ring *enabled[VHOSTX_MAX_PAIRS], *want[VHOSTX_MAX_PAIRS];
	const uint16_t nr = enabled_tx(port, enabled);
	const uint16_t pairs = port->be.nr_vrings / 2;
	uint16_t users[VHOSTX_MAX_PAIRS] = { 0 };

	for (uint16_t n = 0; n < pairs; n++) {
		want[n] = tx_target(port, n, enabled, nr);
		if (want[n] != NULL)
			users[(want[n] - port->ring) / 2]++;
	}
	for (uint16_t n = 0; n < pairs; n++) {
		struct vhostx_queue *q = tx_queue(port, n);
		const struct vhostx_port_ring *r;

		if (q == NULL || q->snap == NULL)
			continue;
		r = ring_of(q->snap);
		if (r != want[n] || r->snap.shared != (users[(r - port->ring) / 2] > 1))
			queue_retire(port, q);
	}
	for (uint16_t n = 0; n < pairs; n++) {
		struct vhostx_snapshot *snap = &port->ring[2 * n].snap;

		/* Where it stays as it is, the snapshot may be published. */
		if (snap->shared != (users[n] > 1))
			snap->shared = users[n] > 1;
	}
	for (uint16_t n = 0; n < pairs; n++) {
		if (tx_queue(port, n) != NULL)
			queue_set(port, tx_queue(port, n), want[n]);
	}
}

void
vhostx_serve_retire(struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_snapshot *snap = &port->ring[idx].snap;
	struct vhostx_queue *q;

	if (!port->ring[idx].built)
		return;
	await_left(port);
	if (idx % 2 != 0) {
		q = rx_queue(port, idx / 2);
		if (q != NULL && q->snap == snap)
			queue_retire(port, q);
		return;
	}
	for (uint16_t n = 0; n < port->be.nr_vrings / 2; n++) {
		q = tx_queue(port, n);
		if (q != NULL && q->snap == snap)
			queue_retire(port, q);
	}
}

void
vhostx_serve_quiesce(struct vhostx_port *port)
{
	/* N: one for all queues. */
	vhostx_barrier_all();
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (port->ring[i].queue != NULL && port->ring[i].queue->snap != NULL)
			vhostx_queue_await(port->ring[i].queue);
	}
}

bool
vhostx_serve_leave(struct vhostx_port *port)
{
	bool left = true;

	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		struct vhostx_queue *q = port->ring[i].queue;

		if (q == NULL)
			continue;
		if (q->snap != NULL)
			queue_unpublish(port, q);
		left = vhostx_queue_is_left(q) && left;
	}
	port->leaving = !left;
	return left;
}

void
vhostx_serve_settle(struct vhostx_port *port)
{
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (port->ring[i].queue != NULL)
			vhostx_queue_settle(port->ring[i].queue);
	}
}

void
vhostx_serve_update(struct vhostx_port *port)
{
	await_left(port);
	update_rx(port);
	update_tx(port);
	vhostx_serve_settle(port);
}
