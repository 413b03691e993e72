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
/* How long until what the front-end had no room for is sent, and what is more than these at a time. */
#define IOMMU_FULL_US 1000u
#define IOMMU_REQUESTS 128u

/* One pass over the rings. */
struct asking {
	struct vhostx_port *port;
	uint32_t left; /* requests */
	bool sent;     /* one at least */
	bool full;     /* there is more to send */
};

/* What a ring waits for now: its own memory, or some of its buffers'; 0: nothing that can be asked for. */
static uint64_t
iommu_missing(const struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_port_ring *r = &port->ring[idx];
	uint64_t word;

	if (!r->built)
		return port->be.vring[idx].started ? port->be.vring[idx].miss[0] : 0;
	word = __atomic_load_n(&r->ring.iommu.miss, __ATOMIC_RELAXED);
	return (word & VHOSTX_MISS_DENIED) != 0 ? 0 : word;
}

/* Send requests. @return 0, or -errno. Any thread: rings are paused while the channel changes. */
static int
iommu_send(struct vhostx_port *port, const uint64_t *miss, uint32_t n)
{
	const int ret = port->be.reqfd < 0 ? -ENOTCONN : vhostx_req_send_misses(port->be.reqfd, miss, n);

	if (ret == 0)
		__atomic_fetch_add(&port->iommu.misses, n, __ATOMIC_RELAXED);
	return ret;
}

bool
vhostx_iommu_ask(void *port, const uint64_t *miss, uint32_t n)
{
	return iommu_send(port, miss, n) == 0;
}

/* Send a request. @return 0, or -EAGAIN: there is no room for it now; or another -errno, that the log has. */
static int
iommu_send_one(struct vhostx_port *port, uint64_t word)
{
	const int ret = iommu_send(port, &word, 1);

	if (ret != 0 && ret != -EAGAIN && !port->iommu.deaf) {
		port->iommu.deaf = true;
		VHOSTX_LOG(ERR, port->name, "the front-end cannot be asked for the guest's addresses: %s",
			ret == -ENOTCONN ? "it gave no channel for that" : strerror(-ret));
	}
	return ret;
}

/*
 * Have a page asked for, unless it was, and note that where the ring's questions are. Returns whether it was.
 * What another ring has asked for may be there by now.
 */
static bool
iommu_ask(struct asking *a, struct vhostx_iommu_ring *r, uint64_t word)
{
	uint64_t *slot = vhostx_iommu_ahead(r, word);
	const uint64_t there = __atomic_load_n(slot, __ATOMIC_RELAXED);
	int ret;

	if ((there & VHOSTX_MISS_ASKED) != 0 && vhostx_miss_covers(there, word))
		return true;
	if (a->left == 0) {
		a->full = true;
		return false;
	}
	ret = iommu_send_one(a->port, word);
	if (ret == 0) {
		__atomic_store_n(slot, word | VHOSTX_MISS_ASKED, __ATOMIC_RELAXED);
		a->sent = true;
		a->left--;
	} else if (ret == -EAGAIN) {
		a->left = 0;
		a->full = true;
	}
	return ret == 0;
}

/* What the poller has found and could not ask for. */
static void
iommu_ask_ahead(struct asking *a, struct vhostx_iommu_ring *r)
{
	/* O: pairs with the release in look_leave(). */
	if (!__atomic_exchange_n(&r->fresh, false, __ATOMIC_ACQUIRE))
		return;
	for (unsigned int i = 0; i < VHOSTX_AHEAD; i++) {
		const uint64_t word = __atomic_load_n(&r->ahead[i], __ATOMIC_RELAXED);
		struct vhostx_iotlb_entry e;

		if (word == 0 || (word & VHOSTX_MISS_ASKED) != 0)
			continue;
		if (vhostx_iotlb_find(a->port->be.iotlb, vhostx_miss_iova(word), vhostx_miss_access(word), &e) == 0)
			__atomic_store_n(&r->ahead[i], 0, __ATOMIC_RELAXED);
		else
			iommu_ask(a, r, word);
	}
	if (a->full)
		__atomic_store_n(&r->fresh, true, __ATOMIC_RELAXED);
}

/* What it waits for first, then the rest. Returns whether it waits. */
static bool
iommu_ask_ring(struct asking *a, uint16_t idx)
{
	struct vhostx_port_ring *r = &a->port->ring[idx];
	const uint64_t word = iommu_missing(a->port, idx);

	if (word == 0) {
		r->asked = 0;
	} else if (word != r->asked && iommu_ask(a, &r->ring.iommu, word)) {
		r->asked = word;
		r->asked_at = rte_get_tsc_cycles();
	}
	if (r->built) {
		iommu_ask_ahead(a, &r->ring.iommu);
		return word != 0;
	}
	for (const uint64_t *more = a->port->be.vring[idx].miss; word != 0 && *more != 0; more++)
		iommu_ask(a, &r->ring.iommu, *more);
	return word != 0;
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
	struct asking a = { .port = port, .left = IOMMU_REQUESTS };
	bool waiting = false;

	if (port->be.iotlb == NULL || port->iommu.timer == NULL)
		return;
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		if (iommu_ask_ring(&a, i))
			waiting = true;
	}
	if (a.full)
		iommu_arm(port, IOMMU_FULL_US);
	else if ((waiting || a.sent) && port->iommu.wait_us == 0)
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

/* Forget questions that nobody has answered since the last time. Returns whether others are left. */
static bool
iommu_forget_old(struct vhostx_iommu_ring *r)
{
	bool left = false;

	for (unsigned int i = 0; i < VHOSTX_AHEAD; i++) {
		const uint64_t word = __atomic_load_n(&r->ahead[i], __ATOMIC_RELAXED);

		if ((word & VHOSTX_MISS_ASKED) == 0)
			continue;
		__atomic_store_n(&r->ahead[i], (word & VHOSTX_MISS_OLD) != 0 ? 0 : word | VHOSTX_MISS_OLD,
			__ATOMIC_RELAXED);
		left = true;
	}
	return left;
}

/* What a look at the rings has found when the timer ran out. */
struct waiting {
	uint64_t before; /* who waits since then waits long, TSC cycles */
	bool tell;       /* and the log is to have it */
	bool some;       /* a ring waits, or questions are open */
	bool again;      /* a ring has waited long */
};

/* Let a ring that waits for long have its questions again. */
static void
iommu_repeat(struct vhostx_port *port, uint16_t idx, struct waiting *w)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	const uint64_t word = iommu_missing(port, idx);

	if (word == 0)
		return;
	w->some = true;
	if (word != r->asked) {
		/* The poller has asked for it, and has told nobody yet that it waits. */
		r->asked = word;
		r->asked_at = rte_get_tsc_cycles();
	}
	if ((int64_t)(r->asked_at - w->before) > 0)
		return;
	if (w->tell)
		iommu_tell(port, idx);
	w->again = true;
	r->asked = 0;
	__atomic_store_n(vhostx_iommu_ahead(&r->ring.iommu, word), 0, __ATOMIC_RELAXED);
}

/* Forget what was asked for so long ago that it is to be asked for again. */
static void
iommu_look(struct vhostx_port *port)
{
	const uint32_t wait_us = RTE_MAX(port->iommu.wait_us, IOMMU_WAIT_US);
	/* Only more is to be sent. */
	const bool early = port->iommu.wait_us < IOMMU_WAIT_US;
	struct waiting w = {
		.before = rte_get_tsc_cycles() - wait_us * (rte_get_tsc_hz() / 1000000),
		.tell = wait_us == IOMMU_WAIT_MAX_US,
		.some = early,
	};

	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		iommu_repeat(port, i, &w);
		if (!early && iommu_forget_old(&port->ring[i].ring.iommu))
			w.some = true;
	}
	if (w.again)
		iommu_arm(port, RTE_MIN(2 * wait_us, IOMMU_WAIT_MAX_US));
	else if (w.some)
		iommu_arm(port, wait_us);
	else
		port->iommu.wait_us = 0;
	vhostx_iommu_update(port);
}

static void
iommu_again(void *arg)
{
	struct vhostx_port *port = arg;

	pthread_mutex_lock(&port->lock);
	/* The port may have been closed while this was on its way here. */
	if (port->iommu.timer != NULL)
		iommu_look(port);
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

/* What was asked for ahead and has its answer, whatever it is: a chain that is denied a page asks for it again. */
static void
iommu_settle_ahead(struct vhostx_iommu_ring *r, uint64_t first, uint64_t last)
{
	const uint64_t pages = RTE_MIN(last / VHOSTX_MISS_PAGE - first / VHOSTX_MISS_PAGE, VHOSTX_AHEAD - 1) + 1;

	for (uint64_t i = 0; i < pages; i++) {
		uint64_t *slot = vhostx_iommu_ahead(r, first + i * VHOSTX_MISS_PAGE);
		const uint64_t word = __atomic_load_n(slot, __ATOMIC_RELAXED);
		const uint64_t page = vhostx_miss_iova(word);

		if (word != 0 && first <= page + (VHOSTX_MISS_PAGE - 1) && page <= last)
			__atomic_store_n(slot, 0, __ATOMIC_RELAXED);
	}
}

void
vhostx_iommu_mapped(struct vhostx_port *port, uint64_t first, uint64_t last, uint8_t perm)
{
	for (uint16_t i = 0; i < port->be.nr_vrings; i++) {
		const uint64_t word = iommu_missing(port, i);
		const uint64_t page = vhostx_miss_iova(word);

		if (word != 0 && port->ring[i].built && first <= page + (VHOSTX_MISS_PAGE - 1) && page <= last)
			iommu_settle(&port->ring[i], word, perm);
		iommu_settle_ahead(&port->ring[i].ring.iommu, first, last);
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
	return port->args.iommu_support ? vhostx_port_add_timer(port, iommu_again, &port->iommu.timer) : 0;
}

void
vhostx_iommu_close(struct vhostx_port *port)
{
	vhostx_loop_del(port->iommu.timer);
	port->iommu.timer = NULL;
}
