/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A lane is one way that frames take: a queue of a pair, or of two pairs. Its bursts are timed on the
 * vhost side; the virtio side and all checks are outside of the timed section.
 */
#include <errno.h>

#include <rte_ethdev.h>

#include "clock.h"
#include "frames.h"
#include "lane.h"

/*
 * Polls without a frame after which it counts as lost: some 100 ms. The control thread of a zero-copy port takes a
 * ring from its poller for a moment, and may lose the processor meanwhile.
 */
#define PATIENCE 10000000u
/* Polls of an empty queue in one timed section. */
#define IDLE_POLLS 1000u

/* Check frames, the first of which should have number @a seq. */
static void
lane_look(struct perf_lane *lane, const struct perf_case *c, struct rte_mbuf **pkts, uint16_t n,
	uint32_t seq)
{
	for (uint16_t i = 0; i < n; i++) {
		if (unlikely(!perf_frame_is(pkts[i], c->size, seq + i)))
			lane->faults->wrong++;
	}
}

/* Check @a n frames, the first of which should have number @a seq, and free them. */
static void
lane_check(struct perf_lane *lane, const struct perf_case *c, struct rte_mbuf **pkts, uint16_t n,
	uint32_t seq)
{
	lane_look(lane, c, pkts, n, seq);
	rte_pktmbuf_free_bulk(pkts, n);
}

/* The first frames of a burst, which the guest's driver has until its next one, leave the caches. */
static void
lane_cool(struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++) {
		for (const struct rte_mbuf *m = pkts[i]; m != NULL; m = m->next)
			perf_cache_flush(rte_pktmbuf_mtod(m, const void *), m->data_len);
	}
}

/* The guest sends a burst; returns how many frames are on the ring. */
static uint16_t
lane_guest_send(struct perf_lane *lane, const struct perf_case *c)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t n = perf_frames_make(perf_bench_guest(lane->bench, &c->wiring), pkts, c->burst, c->size,
		lane->seq);
	const uint16_t sent = rte_eth_tx_burst(lane->virtio, lane->queue, pkts, n);

	if (lane->bench->opt->cold)
		lane_cool(pkts, sent);
	rte_pktmbuf_free_bulk(&pkts[sent], n - sent);
	return sent;
}

/* Receive the frames from number @a seq up to lane->seq on a port, check and free them. */
static void
lane_receive(struct perf_lane *lane, const struct perf_case *c, uint16_t port, uint32_t seq)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	unsigned int patience = PATIENCE;

	while (seq != lane->seq && patience != 0) {
		const uint16_t n = rte_eth_rx_burst(port, lane->queue, pkts, PERF_BURST_MAX);

		patience = n == 0 ? patience - 1 : PATIENCE;
		lane_check(lane, c, pkts, n, seq);
		seq += n;
	}
	lane->faults->lost += (uint32_t)(lane->seq - seq);
}

static uint32_t
lane_rx(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t sent = lane_guest_send(lane, c);
	const uint32_t seq = lane->seq;
	uint64_t begin, end;
	uint16_t n;

	begin = perf_clock_begin();
	n = rte_eth_rx_burst(lane->vhost, lane->queue, pkts, c->burst);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	lane->seq += sent;
	lane_check(lane, c, pkts, n, seq);
	if (unlikely(n != sent)) {
		lane->faults->split++;
		lane_receive(lane, c, lane->vhost, seq + n);
	}
	return n;
}

/* Look at every byte of the packets, as a consumer does that computes over them. */
static void
lane_read(struct rte_mbuf **pkts, uint16_t n)
{
	volatile uint64_t sink;
	uint64_t sum = 0;

	for (uint16_t i = 0; i < n; i++) {
		for (const struct rte_mbuf *m = pkts[i]; m != NULL; m = m->next) {
			const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
			uint32_t at = 0;
			uint64_t word;

			for (; at + sizeof(word) <= m->data_len; at += sizeof(word)) {
				memcpy(&word, data + at, sizeof(word));
				sum += word;
			}
			for (; at < m->data_len; at++)
				sum += data[at];
		}
	}
	sink = sum;
	(void)sink;
}

/* Receiving and freeing are timed; the check, which reads, is between the two and is not. */
static uint32_t
lane_drop(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t sent = lane_guest_send(lane, c);
	const uint32_t seq = lane->seq;
	uint64_t begin, end;
	uint16_t n;

	begin = perf_clock_begin();
	n = rte_eth_rx_burst(lane->vhost, lane->queue, pkts, c->burst);
	if (c->direction == PERF_READ)
		lane_read(pkts, n);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	lane->seq += sent;
	lane_look(lane, c, pkts, n, seq);
	begin = perf_clock_begin();
	rte_pktmbuf_free_bulk(pkts, n);
	end = perf_clock_end();
	*cycles += perf_lane_cycles(lane, begin, end);
	if (unlikely(n != sent)) {
		lane->faults->split++;
		lane_receive(lane, c, lane->vhost, seq + n);
	}
	return n;
}

static uint32_t
lane_tx(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint32_t seq = lane->seq;
	const uint16_t made = perf_frames_make(lane->bench->host_pool, pkts, c->burst, c->size, seq);
	uint64_t begin, end;
	uint16_t n;

	begin = perf_clock_begin();
	n = rte_eth_tx_burst(lane->vhost, lane->queue, pkts, made);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	lane->seq += n;
	if (unlikely(n != made)) {
		lane->faults->split++;
		rte_pktmbuf_free_bulk(&pkts[n], made - n);
	}
	lane_receive(lane, c, lane->virtio, seq);
	return n;
}

static uint32_t
lane_fwd(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t sent = lane_guest_send(lane, c);
	const uint32_t seq = lane->seq;
	uint64_t begin, end;
	uint16_t got, n;

	begin = perf_clock_begin();
	got = rte_eth_rx_burst(lane->vhost, lane->queue, pkts, c->burst);
	n = rte_eth_tx_burst(lane->out_vhost, lane->queue, pkts, got);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	lane->seq += n;
	lane_receive(lane, c, lane->out_virtio, seq);
	if (unlikely(n != sent)) {
		lane->faults->split++;
		lane_check(lane, c, &pkts[n], got - n, lane->seq);
		lane->seq = seq + sent;
		lane_receive(lane, c, lane->vhost, seq + got);
	}
	return n;
}

static uint32_t
lane_idle(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	uint64_t begin, end;
	uint32_t n = 0;

	begin = perf_clock_begin();
	for (unsigned int i = 0; i < IDLE_POLLS; i++)
		n += rte_eth_rx_burst(lane->vhost, lane->queue, pkts, c->burst);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	lane->faults->wrong += n;
	return IDLE_POLLS;
}

perf_burst_fn
perf_lane_burst(enum perf_direction direction)
{
	static const perf_burst_fn bursts[] = {
		[PERF_RX] = lane_rx,
		[PERF_TX] = lane_tx,
		[PERF_FWD] = lane_fwd,
		[PERF_DROP] = lane_drop,
		[PERF_READ] = lane_drop,
		[PERF_IDLE] = lane_idle,
	};

	return bursts[direction];
}

int
perf_lane_ready(struct perf_lane *lane, const struct perf_case *c)
{
	const uint64_t end = rte_rdtsc() + rte_get_tsc_hz();
	const perf_burst_fn burst = perf_lane_burst(c->direction);
	struct perf_faults *const faults = lane->faults;
	struct perf_faults ignored;
	struct perf_case few = *c;
	uint64_t cycles;

	/* So many fit on any ring, however long they are. */
	few.burst = RTE_MIN(c->burst, 4u);
	do {
		ignored = (struct perf_faults){ 0 };
		lane->faults = &ignored;
		if (burst(lane, &few, &cycles) != 0 && ignored.lost == 0 && ignored.split == 0) {
			lane->faults = faults;
			faults->wrong += ignored.wrong;
			return 0;
		}
	} while (rte_rdtsc() < end);
	lane->faults = faults;
	return -ETIMEDOUT;
}
