/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The second process: holds the virtio-user ports and does with them what it is told.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "frames.h"
#include "peer.h"

/* Rounds between two looks at the order socket. */
#define ROUNDS 512u

/* What the peer is doing. */
struct peer_state {
	struct perf_bench *bench;
	struct perf_pair pairs[PERF_PEER_PORTS];
	unsigned int nb_pairs;
	struct perf_peer_order now; /* the order that is being followed */
	uint32_t seq;               /* number of the next frame */
	struct perf_peer_reply count;
};

uint16_t
perf_peer_send(uint16_t port, struct rte_mbuf **pkts, uint16_t n)
{
	const uint64_t patience = rte_get_tsc_hz() * PERF_PATIENCE_US / 1000000;
	uint16_t sent = n == 0 ? 0 : rte_eth_tx_burst(port, 0, pkts, n);
	uint64_t last = 0;

	while (unlikely(sent < n)) {
		const uint16_t more = rte_eth_tx_burst(port, 0, &pkts[sent], n - sent);

		sent += more;
		if (more != 0 || last == 0)
			last = rte_rdtsc();
		else if (rte_rdtsc() - last >= patience)
			break;
	}
	rte_pktmbuf_free_bulk(&pkts[sent], n - sent);
	return sent;
}

static void
peer_reply(const struct perf_peer_reply *reply)
{
	if (write(PERF_PEER_FD, reply, sizeof(*reply)) != sizeof(*reply))
		_exit(1);
}

static int
peer_open(struct peer_state *state)
{
	struct perf_pair *pair = &state->pairs[state->nb_pairs];

	if (state->nb_pairs == PERF_PEER_PORTS)
		return -ENOSPC;
	memset(pair, 0, sizeof(*pair));
	memcpy(pair->path, state->now.path, sizeof(pair->path));
	state->nb_pairs++;
	return perf_pair_open_virtio(pair, state->bench, &state->now.wiring);
}

static void
peer_close(struct peer_state *state)
{
	while (state->nb_pairs > 0)
		perf_pair_close(&state->pairs[--state->nb_pairs]);
}

static void
peer_send(struct peer_state *state, uint16_t port, const struct perf_case *c, uint16_t n)
{
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	const uint16_t made = perf_frames_make(state->bench->guest_pool, pkts, n, c->size, state->seq);
	const uint16_t sent = rte_eth_tx_burst(port, 0, pkts, made);

	rte_pktmbuf_free_bulk(&pkts[sent], made - sent);
	state->seq += sent;
	state->count.tx += sent;
}

static uint16_t
peer_sink(struct peer_state *state, uint16_t port)
{
	struct rte_mbuf *pkts[64];
	const uint16_t n = rte_eth_rx_burst(port, 0, pkts, RTE_DIM(pkts));

	rte_pktmbuf_free_bulk(pkts, n);
	state->count.rx += n;
	return n;
}

/* Everything that came goes back: no more is on the way than there is room for. */
static void
peer_echo(struct peer_state *state, uint16_t port)
{
	struct rte_mbuf *pkts[64];
	const uint16_t n = rte_eth_rx_burst(port, 0, pkts, RTE_DIM(pkts));

	state->count.rx += n;
	state->count.tx += perf_peer_send(port, pkts, n);
}

static void
peer_round(struct peer_state *state)
{
	const uint16_t port = state->pairs[state->now.port].virtio;

	switch (state->now.order) {
	case PERF_PEER_SOURCE:
		peer_send(state, port, &state->now.c, state->now.c.burst);
		break;
	case PERF_PEER_SINK:
		peer_sink(state, port);
		break;
	case PERF_PEER_ECHO:
		peer_echo(state, port);
		break;
	default:
		break;
	}
}

static bool
peer_busy(const struct peer_state *state)
{
	return state->now.order == PERF_PEER_SOURCE || state->now.order == PERF_PEER_SINK ||
		state->now.order == PERF_PEER_ECHO;
}

/* The order that was followed is over: a sink takes what is on the ring. */
static void
peer_finish(struct peer_state *state)
{
	if (state->now.order != PERF_PEER_SINK)
		return;
	while (peer_sink(state, state->pairs[state->now.port].virtio) != 0)
		;
}

/* Begin to follow the order in state->now, and answer it. */
static void
peer_obey(struct peer_state *state)
{
	struct perf_peer_reply reply = state->count;

	reply.status = 0;
	if (state->now.order == PERF_PEER_OPEN)
		reply.status = peer_open(state);
	if (state->now.order == PERF_PEER_CLOSE)
		peer_close(state);
	if (peer_busy(state) && state->now.port >= state->nb_pairs) {
		state->now.order = PERF_PEER_STOP;
		reply.status = -EINVAL;
	}
	state->count = (struct perf_peer_reply){ 0 };
	if (state->now.order == PERF_PEER_SOURCE || state->now.order == PERF_PEER_ECHO)
		state->seq = 0;
	peer_reply(&reply);
	if (state->now.order != PERF_PEER_ECHO)
		return;
	while (state->seq < state->now.seeds)
		peer_send(state, state->pairs[state->now.port].virtio, &state->now.c,
			RTE_MIN(state->now.seeds - state->seq, 32u));
}

int
perf_peer_main(struct perf_bench *bench)
{
	struct peer_state state = { .bench = bench, .now.order = PERF_PEER_STOP };
	struct perf_peer_order order;
	ssize_t len;

	peer_reply(&state.count);
	for (;;) {
		for (unsigned int i = 0; peer_busy(&state) && i < ROUNDS; i++)
			peer_round(&state);
		len = recv(PERF_PEER_FD, &order, sizeof(order), peer_busy(&state) ? MSG_DONTWAIT : 0);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (len != sizeof(order) || order.order == PERF_PEER_QUIT)
			break;
		peer_finish(&state);
		state.now = order;
		peer_obey(&state);
	}
	peer_close(&state);
	return 0;
}
