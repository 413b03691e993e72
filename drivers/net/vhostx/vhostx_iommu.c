/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Misses of rings on their way to the front-end. Nobody waits for the answer: a ring that misses something takes
 * part in nothing until it is there, or the front-end denies it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <rte_cycles.h>

#include "user/sock_req.h"
#include "vhostx_iommu.h"
#include "vhostx_log.h"
#include "vhostx_port.h"

/*
 * How long an answer is waited for before the question comes again: at first, and at most, after doubling. One that
 * comes twice may be answered when the guest has unmapped the page already, which it would be told of as a fault.
 */
#define IOMMU_WAIT_US 100000u
#define IOMMU_WAIT_MAX_US 1600000u
/* How long until what the front-end had no room for is sent. */
#define IOMMU_FULL_US 1000u

/* What a ring misses now: its own memory, or some of its buffers'; 0: nothing that can be asked for. */
static uint64_t
iommu_missing(const struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_port_ring *r = &port->ring[idx];
	uint64_t word;

	if (!r->built)
		return port->be.vring[idx].started ? port->be.vring[idx].miss : 0;
	word = __atomic_load_n(&r->ring.iommu.miss, __ATOMIC_RELAXED);
	return (word & VHOSTX_MISS_DENIED) != 0 ? 0 : word;
}

/* Send a request. @return whether there was room for it; if not, it is sent when the timer says so. */
static bool
iommu_ask(struct vhostx_port *port, uint16_t idx, uint64_t word)
{
	const int ret = port->be.reqfd < 0 ? -ENOTCONN : vhostx_req_send_miss(port->be.reqfd, word);

	if (ret == 0) {
		port->ring[idx].asked = word;
		port->ring[idx].asked_at = rte_get_tsc_cycles();
		port->iommu.misses++;
	} else if (ret != -EAGAIN && !port->iommu.deaf) {
		port->iommu.deaf = true;
		VHOSTX_LOG(ERR, port->name, "the front-end cannot be asked for the guest's addresses: %s",
			ret == -ENOTCONN ? "it gave no channel for that" : strerror(-ret));
	}
	return ret != -EAGAIN;
}

static void
iommu_arm(struct vhostx_port *port, uint32_t us)
{
	port->iommu.wait_us = us;
	vhostx_loop_arm(port->iommu.timer, us);
}

void
vhostx_iommu_update(struct vhostx_port *port)
{
	bool waiting = false, full = false;

	if (port->be.iotlb == NULL || port->iommu.timer == NULL)
		return;
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		const uint64_t word = iommu_missing(port, i);

		if (word == 0)
			port->ring[i].asked = 0;
		else if (word != port->ring[i].asked && !iommu_ask(port, i, word))
			full = true;
		waiting = waiting || word != 0;
	}
	if (full)
		iommu_arm(port, IOMMU_FULL_US);
	else if (waiting && port->iommu.wait_us == 0)
		iommu_arm(port, IOMMU_WAIT_US);
}

/* A front-end has no way to say no, but silence. */
static void
iommu_tell(struct vhostx_port *port, uint16_t idx)
{
	const uint64_t word = port->ring[idx].asked;

	if (word == 0 || port->iommu.silent)
		return;
	port->iommu.silent = true;
	VHOSTX_LOG(WARNING, port->name, "ring %u waits for the guest's address 0x%" PRIx64 " (%s), which the "
		"front-end does not translate: the guest's driver has not mapped it", idx,
		vhostx_miss_iova(word), (vhostx_miss_access(word) & VHOSTX_ACCESS_W) != 0 ? "write" : "read");
}

/* Forget what was asked for so long ago that it is to be asked for again. */
static void
iommu_again(void *arg)
{
	struct vhostx_port *port = arg;
	const uint32_t wait_us = RTE_MAX(port->iommu.wait_us, IOMMU_WAIT_US);
	const uint64_t before = rte_get_tsc_cycles() - wait_us * (rte_get_tsc_hz() / 1000000);
	bool waiting = false;

	pthread_mutex_lock(&port->lock);
	for (uint16_t i = 0; !port->closed && i < port->be.nr_vrings; i++) {
		if (iommu_missing(port, i) == 0)
			continue;
		waiting = true;
		if ((int64_t)(port->ring[i].asked_at - before) > 0)
			continue;
		if (wait_us == IOMMU_WAIT_MAX_US)
			iommu_tell(port, i);
		port->ring[i].asked = 0;
	}
	if (waiting)
		iommu_arm(port, RTE_MIN(2 * wait_us, IOMMU_WAIT_MAX_US));
	else
		port->iommu.wait_us = 0;
	if (!port->closed)
		vhostx_iommu_update(port);
	pthread_mutex_unlock(&port->lock);
}

/* The poller may put another word in its place at any time; only the one that was answered is settled. */
static void
iommu_settle(struct vhostx_port_ring *r, uint64_t word, uint8_t perm)
{
	const uint8_t access = vhostx_miss_access(word);
	const uint64_t answer = (perm & access) == access ? 0 : word | VHOSTX_MISS_DENIED;

	__atomic_compare_exchange_n(&r->ring.iommu.miss, &word, answer, false, __ATOMIC_RELAXED,
		__ATOMIC_RELAXED);
	r->asked = 0;
}

void
vhostx_iommu_mapped(struct vhostx_port *port, uint64_t first, uint64_t last, uint8_t perm)
{
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		const uint64_t word = iommu_missing(port, i);
		const uint64_t page = vhostx_miss_iova(word);

		if (word != 0 && port->ring[i].built && first <= page + (VHOSTX_MISS_PAGE - 1) && page <= last)
			iommu_settle(&port->ring[i], word, perm);
	}
	/* Answers come: the next question has waited for nothing yet. */
	if (port->iommu.wait_us > IOMMU_WAIT_US)
		iommu_arm(port, IOMMU_WAIT_US);
}

void
vhostx_iommu_connected(struct vhostx_port *port)
{
	port->iommu.deaf = false;
	port->iommu.silent = false;
}

int
vhostx_iommu_open(struct vhostx_port *port)
{
	if (!port->args.iommu_support)
		return 0;
	vhostx_port_get(port);
	port->iommu.timer = vhostx_loop_add_timer(iommu_again, vhostx_port_put, port);
	if (port->iommu.timer != NULL)
		return 0;
	vhostx_port_put(port);
	return -errno;
}

void
vhostx_iommu_close(struct vhostx_port *port)
{
	vhostx_loop_del(port->iommu.timer);
	port->iommu.timer = NULL;
}
