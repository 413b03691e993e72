/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What ends waits for buffers that are out: rings, memory, connections.
 */
#include <sys/stat.h>

#include <rte_cycles.h>

#include "vhostx_port.h"
#include "vhostx_zc_wait.h"

/* Does the message end ring @a idx's life? */
static bool
zc_ends(const struct vhostx_msg *msg, uint16_t idx)
{
	switch (msg->header.request) {
	case VHOSTX_GET_VRING_BASE:
	case VHOSTX_SET_VRING_BASE:
		return msg->payload.state.index == idx;
	case VHOSTX_RESET_DEVICE:
		return true;
	case VHOSTX_SET_STATUS:
		return msg->payload.u64 == 0;
	default:
		return false;
	}
}

/* Is region @a k of a table of memory the guest's region @a i, the same bytes of the same file? */
static bool
zc_is_region(const struct vhostx_msg *msg, uint32_t k, const struct vhostx_mem *mem, uint32_t i)
{
	const struct vhostx_msg_region *r = &msg->payload.memory.region[k];
	struct stat st;

	return r->gpa == mem->range[i].gpa && r->size == mem->range[i].size && k < msg->nr_fds &&
		fstat(msg->fds[k], &st) == 0 && vhostx_map_is(mem->map[i], &st, r->mmap_offset, r->size);
}

/* Does the message leave the guest without this region? */
static bool
zc_takes_away(const struct vhostx_msg *msg, const struct vhostx_mem *mem, uint32_t i)
{
	const struct vhostx_msg_region *r = &msg->payload.mem_reg.region;

	/* As vhostx_mem_remove() has it: a region that is not there is refused, one that came twice stays. */
	if (msg->header.request == VHOSTX_REM_MEM_REG)
		return vhostx_mem_is(mem, i, r->gpa, r->size, r->uva) && mem->adds[i] == 1;
	if (msg->header.request != VHOSTX_SET_MEM_TABLE)
		return false;
	for (uint32_t k = 0; k < msg->payload.memory.nr && k < VHOSTX_MSG_FDS; k++) {
		if (zc_is_region(msg, k, mem, i))
			return false;
	}
	return true;
}

/* Slots that the wait is for. */
static uint32_t
zc_awaited(const struct vhostx_port *port)
{
	uint32_t out = 0;

	for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
		const struct vhostx_zc *zc = port->ring[i].zc.zc;

		if (zc == NULL)
			continue;
		if (port->zc.wait == VHOSTX_ZC_WAIT_MEM)
			out += vhostx_zc_leaving(zc);
		else if (port->zc.wait == VHOSTX_ZC_WAIT_GONE || zc_ends(&port->zc.msg, i))
			out += vhostx_zc_out(zc);
	}
	return out;
}

uint64_t
vhostx_zc_patience(const struct vhostx_port *port)
{
	return rte_get_tsc_hz() / 1000 * port->args.zc_deadline;
}

/* Was a wait in vain, less than a deadline ago? */
static bool
zc_was_in_vain(const struct vhostx_port *port, uint64_t now)
{
	return port->zc.in_vain != 0 && now - port->zc.in_vain < vhostx_zc_patience(port);
}

/*
 * Until when to wait. Who waited already does so on: one deadline. And what was awaited in vain is not awaited again
 * at once: a front-end that stops ends one ring after the other.
 */
static uint64_t
zc_deadline(const struct vhostx_port *port)
{
	const uint64_t now = rte_get_tsc_cycles();

	if (port->zc.wait != VHOSTX_ZC_NO_WAIT)
		return port->zc.deadline;
	return zc_was_in_vain(port, now) ? now : now + vhostx_zc_patience(port);
}

/* Begin to wait, if there is something to wait for. Rings that end do not run meanwhile. */
static bool
zc_wait(struct vhostx_port *port, enum vhostx_zc_wait wait)
{
	port->zc.deadline = zc_deadline(port);
	port->zc.wait = wait;
	for (uint16_t i = 1; wait != VHOSTX_ZC_WAIT_MEM && i < port->be.nr_vrings; i += 2) {
		if (port->ring[i].zc.zc != NULL &&
				(wait == VHOSTX_ZC_WAIT_GONE || zc_ends(&port->zc.msg, i)))
			vhostx_port_pause(port, i);
	}
	if (zc_awaited(port) == 0) {
		port->zc.wait = VHOSTX_ZC_NO_WAIT;
		return false;
	}
	vhostx_zc_arm(port, 0);
	return true;
}

/* The regions that a message takes away are lent from no more. @return whether there are any. */
static bool
zc_leave(struct vhostx_port *port, const struct vhostx_msg *msg)
{
	const struct vhostx_mem *mem = port->be.mem;
	bool any = false;

	for (uint32_t r = 0; mem != NULL && r < mem->nr; r++) {
		if (!zc_takes_away(msg, mem, r))
			continue;
		any = true;
		for (uint16_t i = 1; i < port->be.nr_vrings; i += 2) {
			if (port->ring[i].zc.zc != NULL)
				vhostx_zc_leave(port->ring[i].zc.zc, mem->range[r].va);
		}
	}
	return any;
}

bool
vhostx_zc_defer(struct vhostx_port *port, struct vhostx_msg *msg)
{
	bool waits = false;

	if (port->zc.timer == NULL || !vhostx_backend_serves(&port->be, msg))
		return false;
	port->zc.msg = *msg;
	if (zc_leave(port, msg))
		waits = zc_wait(port, VHOSTX_ZC_WAIT_MEM);
	else
		waits = zc_wait(port, VHOSTX_ZC_WAIT_RINGS);
	if (!waits)
		return false;
	/* Its files are ours now. */
	msg->nr_fds = 0;
	vhostx_sock_hold(port->sock);
	return true;
}

bool
vhostx_zc_defer_gone(struct vhostx_port *port)
{
	if (port->zc.timer == NULL)
		return false;
	if (port->zc.wait == VHOSTX_ZC_WAIT_RINGS || port->zc.wait == VHOSTX_ZC_WAIT_MEM)
		vhostx_msg_close_fds(&port->zc.msg);
	return zc_wait(port, VHOSTX_ZC_WAIT_GONE);
}

void
vhostx_zc_connected(struct vhostx_port *port)
{
	if (port->zc.wait != VHOSTX_ZC_NO_WAIT)
		vhostx_sock_hold(port->sock);
	/* What its predecessor awaited says nothing about this one. */
	port->zc.in_vain = 0;
}

/* The wait is over: go on where it began. */
static void
zc_go_on(struct vhostx_port *port)
{
	const enum vhostx_zc_wait wait = port->zc.wait;
	int ret = 0;

	port->zc.wait = VHOSTX_ZC_NO_WAIT;
	if (wait == VHOSTX_ZC_WAIT_GONE) {
		vhostx_port_forget(port);
	} else {
		/* What is freed after a reset has no ring to go back to: its memory may be something else then. */
		for (uint16_t i = 1; wait == VHOSTX_ZC_WAIT_RINGS && i < port->be.nr_vrings; i += 2) {
			if (zc_ends(&port->zc.msg, i))
				vhostx_zc_end(port, i);
		}
		ret = vhostx_port_handle(port, &port->zc.msg);
		vhostx_msg_close_fds(&port->zc.msg);
	}
	vhostx_sock_go_on(port->sock, ret);
}

void
vhostx_zc_look(struct vhostx_port *port)
{
	const uint64_t now = rte_get_tsc_cycles();

	if (zc_awaited(port) != 0) {
		if (now < port->zc.deadline)
			return;
		/* What was not awaited was not in vain: it would keep others from waiting for ever. */
		if (!zc_was_in_vain(port, now))
			port->zc.in_vain = now;
	}
	zc_go_on(port);
}
