/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Link and queue-state events.
 */
#include <errno.h>
#include <unistd.h>

#include <ethdev_driver.h>
#include <rte_alarm.h>
#include <rte_interrupts.h>

#include "mem/clock.h"
#include "rte_eth_vhostx.h"
#include "vhostx_event.h"
#include "vhostx_log.h"
#include "vhostx_ports.h"

/* How long who closes a port waits for its callbacks, and how often that looks. */
#define EVENT_WAIT_US 1000000u
#define EVENT_LOOK_US 100u

static bool
ring_up(const struct vhostx_port_ring *r)
{
	return r->built && r->snap.enabled;
}

/* The link is up while a queue pair runs in both directions. */
static bool
port_has_pair(const struct vhostx_port *port)
{
	for (uint16_t i = 0; i < port->be.nr_vrings; i += 2) {
		if (ring_up(&port->ring[i]) && ring_up(&port->ring[i + 1]))
			return true;
	}
	return false;
}

static bool
port_has_news(const struct vhostx_port *port)
{
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (ring_up(&port->ring[i]) != port->ring[i].seen)
			return true;
	}
	return false;
}

/* Has a ring changed since the last event? An application that does not ask which one hears of each change once. */
static bool
port_has_changed(struct vhostx_port *port)
{
	bool changed = false;

	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		struct vhostx_port_ring *r = &port->ring[i];

		if (ring_up(r) == r->announced)
			continue;
		r->announced = ring_up(r);
		changed = true;
	}
	return changed;
}

static bool
event_take_link(struct vhostx_port *port)
{
	bool link;

	pthread_mutex_lock(&port->lock);
	link = port->link_event && !port->closed;
	port->link_event = false;
	port->event = false;
	port->telling = true;
	pthread_mutex_unlock(&port->lock);
	return link;
}

/* Asked after the callbacks of the link, which may have closed the port: its id is nobody's then, or another one's. */
static bool
event_has_queues(struct vhostx_port *port)
{
	bool queues;

	pthread_mutex_lock(&port->lock);
	queues = !port->closed && port_has_news(port);
	pthread_mutex_unlock(&port->lock);
	return queues;
}

static void
event_end(struct vhostx_port *port)
{
	pthread_mutex_lock(&port->lock);
	port->telling = false;
	pthread_mutex_unlock(&port->lock);
}

static void
event_deliver(void *arg)
{
	struct vhostx_port *port = arg;
	struct rte_eth_dev *dev;

	/* Pairs with the release in event_schedule(): EAL's alarms order it too, but do not promise it. */
	if (!__atomic_load_n(&port->event, __ATOMIC_ACQUIRE))
		return;
	dev = &rte_eth_devices[port->port_id];
	if (event_take_link(port))
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_INTR_LSC, NULL);
	if (event_has_queues(port))
		rte_eth_dev_callback_process(dev, RTE_ETH_EVENT_QUEUE_STATE, NULL);
	event_end(port);
	vhostx_port_put(port);
}

static void
event_schedule(struct vhostx_port *port)
{
	if (port->event)
		return;
	vhostx_port_get(port);
	__atomic_store_n(&port->event, true, __ATOMIC_RELEASE);
	if (rte_eal_alarm_set(1, event_deliver, port) == 0)
		return;
	port->event = false;
	vhostx_port_put(port);
	VHOSTX_LOG(ERR, port->name, "no alarm for an event: applications learn of it when they ask");
}

void
vhostx_event_update(struct vhostx_port *port)
{
	struct rte_eth_dev *dev = &rte_eth_devices[port->port_id];
	const struct rte_eth_link link = {
		.link_speed = RTE_ETH_SPEED_NUM_10G,
		.link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
		.link_autoneg = RTE_ETH_LINK_FIXED,
		.link_status = port_has_pair(port) ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
	};

	if (rte_eth_linkstatus_set(dev, &link) == 0)
		port->link_event = true;
	if (port_has_changed(port) || port->link_event)
		event_schedule(port);
}

static bool
event_is_told(struct vhostx_port *port)
{
	bool told;

	pthread_mutex_lock(&port->lock);
	told = !port->telling;
	pthread_mutex_unlock(&port->lock);
	return told;
}

/*
 * A callback may wait for a lock of the application's that is held while the port is closed: neither would ever go on.
 * @return whether none runs, or this is one.
 */
static bool
event_await_told(struct vhostx_port *port)
{
	const uint64_t start = vhostx_now_us();

	while (!rte_thread_is_intr() && !event_is_told(port)) {
		if (vhostx_now_us() - start >= EVENT_WAIT_US)
			return false;
		usleep(EVENT_LOOK_US);
	}
	return true;
}

void
vhostx_event_cancel(struct vhostx_port *port)
{
	/* What is scheduled has a reference of its own, and sees that the port is closed. */
	if (!event_await_told(port)) {
		VHOSTX_LOG(WARNING, port->name, "the port is closed under a callback that does not return: "
			"hold no lock that it takes when you close a port");
		return;
	}
	/* The EAL waits for one that has begun: it finds nothing to tell. */
	if (rte_eal_alarm_cancel(event_deliver, port) > 0)
		vhostx_port_put(port);
}

int
rte_eth_vhostx_get_queue_event(uint16_t port_id, struct rte_eth_vhostx_queue_event *event)
{
	struct vhostx_port *port = event == NULL ? NULL : vhostx_ports_lock(port_id);
	int ret = -ENOENT;

	if (port == NULL)
		return -EINVAL;
	for (uint16_t i = 0; i < port->be.nr_vrings && ret != 0; i++) {
		struct vhostx_port_ring *r = &port->ring[i];

		if (ring_up(r) == r->seen)
			continue;
		r->seen = ring_up(r);
		event->queue_id = i / 2;
		event->rx = i % 2 != 0;
		event->enable = r->seen;
		ret = 0;
	}
	vhostx_ports_unlock(port);
	return ret;
}
