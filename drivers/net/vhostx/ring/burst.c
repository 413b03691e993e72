/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The bursts as ethdev calls them: enter the queue, serve the ring, leave. Compiled once per instruction
 * set; all that a burst does is inlined here from rx.h and tx.h, which share all but the steps that know
 * the ring's format.
 */
#include <rte_cycles.h>
#include <rte_pause.h>

#include "burst.h"
#include "rarp.h"
#include "rx.h"
#include "tx.h"

#ifndef VHOSTX_ISA
#define VHOSTX_ISA base
#endif

/* Apart: a poll that finds nothing needs neither the stack nor the registers of one that does. */
static __rte_noinline uint16_t
rx_serve(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb)
{
	uint16_t rarp = 0, done = 0;

	/* First, or a guest that fills every burst would keep it off the wire. */
	if (unlikely(__atomic_load_n(&q->rarp, __ATOMIC_RELAXED) != 0) && nb != 0) {
		rarp = vhostx_rarp_take(q, pkts);
		pkts += rarp;
		nb -= rarp;
	}
	if (likely(s != NULL && s->ring->fault == VHOSTX_NO_CAUSE && nb != 0)) {
		if (unlikely(!s->enabled))
			rx_discard(q, s);
		else if (unlikely(s->zc != NULL))
			done = rx_ring_zc(q, s, pkts, nb);
		else
			done = rx_ring(q, s, pkts, nb);
		if (unlikely(s->ring->fault != VHOSTX_NO_CAUSE))
			ring_report(q, s);
	}
	vhostx_queue_leave(q);
	return rarp + done;
}

static uint16_t
rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_queue *q = queue;
	const uint32_t bursts = q->bursts;
	const struct vhostx_snapshot *s = vhostx_queue_enter(q);

	if (s == NULL || (s->zc != NULL && s->zc->out != 0) || !ring_is_empty(s) || unlikely(q->rarp != 0))
		return rx_serve(q, s, pkts, nb);
	vhostx_queue_leave_from(q, bursts);
	return 0;
}

/*
 * A ring whose memory or files are exchanged is away for some microseconds. Most applications drop what
 * a tx burst does not take: wait for it, but not longer than a port may hold up others.
 */
static __rte_noinline const struct vhostx_snapshot *
tx_await(struct vhostx_queue *q)
{
	const uint64_t start = rte_rdtsc();

	vhostx_queue_leave(q);
	while (__atomic_load_n(&q->changing, __ATOMIC_ACQUIRE) &&
			rte_rdtsc() - start < q->patience)
		rte_pause();
	return vhostx_queue_enter(q);
}

static uint16_t
tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_queue *q = queue;
	const struct vhostx_snapshot *s = vhostx_queue_enter(q);
	uint16_t done = 0;

	if (unlikely(s == NULL))
		s = tx_await(q);
	if (likely(s != NULL && s->enabled && nb != 0)) {
		if (unlikely(s->shared))
			rte_spinlock_lock(&s->ring->lock);
		if (likely(s->ring->fault == VHOSTX_NO_CAUSE)) {
			done = tx_ring(q, s, pkts, nb);
			if (unlikely(s->ring->fault != VHOSTX_NO_CAUSE))
				ring_report(q, s);
		}
		if (unlikely(s->shared))
			rte_spinlock_unlock(&s->ring->lock);
	}
	vhostx_queue_leave(q);
	return done;
}

#define CONCAT_(a, b) a##b
#define CONCAT(a, b) CONCAT_(a, b)

extern const struct vhostx_bursts CONCAT(vhostx_bursts_, VHOSTX_ISA);
const struct vhostx_bursts CONCAT(vhostx_bursts_, VHOSTX_ISA) = {
	.isa = RTE_STR(VHOSTX_ISA),
	.rx = rx_burst,
	.tx = tx_burst,
};
