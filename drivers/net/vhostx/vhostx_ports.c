/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The ports of this process by their ethdev id.
 */
#include "vhostx_ports.h"

/*
 * Each entry is a port that has a reference of its ethdev, hence can be referred to once more while the
 * lock is held. The lock is taken before that of a port and let go before waiting for one.
 */
static struct {
	pthread_mutex_t lock;
	struct vhostx_port *port[RTE_MAX_ETHPORTS];
} ports = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
};

static void
ports_set(uint16_t id, struct vhostx_port *port)
{
	pthread_mutex_lock(&ports.lock);
	ports.port[id] = port;
	pthread_mutex_unlock(&ports.lock);
}

void
vhostx_ports_add(struct vhostx_port *port)
{
	ports_set(port->port_id, port);
}

void
vhostx_ports_remove(struct vhostx_port *port)
{
	ports_set(port->port_id, NULL);
}

bool
vhostx_ports_none(void)
{
	bool none = true;

	pthread_mutex_lock(&ports.lock);
	for (uint32_t i = 0; none && i < RTE_MAX_ETHPORTS; i++)
		none = ports.port[i] == NULL;
	pthread_mutex_unlock(&ports.lock);
	return none;
}

struct vhostx_port *
vhostx_ports_lock(uint16_t port_id)
{
	struct vhostx_port *port;

	if (port_id >= RTE_MAX_ETHPORTS)
		return NULL;
	pthread_mutex_lock(&ports.lock);
	port = ports.port[port_id];
	if (port != NULL)
		vhostx_port_get(port);
	pthread_mutex_unlock(&ports.lock);
	if (port == NULL)
		return NULL;
	pthread_mutex_lock(&port->lock);
	if (!port->closed)
		return port;
	vhostx_ports_unlock(port);
	return NULL;
}

void
vhostx_ports_unlock(struct vhostx_port *port)
{
	pthread_mutex_unlock(&port->lock);
	vhostx_port_put(port);
}
