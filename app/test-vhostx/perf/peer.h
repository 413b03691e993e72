/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A second process that holds the virtio-user ports: what it is told over a socket, and how to tell it.
 */
#ifndef PERF_PEER_H
#define PERF_PEER_H

#include "wire.h"

struct rte_mbuf;

/** Number of the file, in the peer, that its orders come from. */
#define PERF_PEER_FD 3
/** How long the other side may do nothing before what it owes counts as lost: a machine may stop it. */
#define PERF_PATIENCE_US 500000u
/** Most ports of a peer. */
#define PERF_PEER_PORTS 8

/** What a peer is told. */
enum perf_order {
	PERF_PEER_OPEN,   /**< make a port on the socket at path */
	PERF_PEER_CLOSE,  /**< remove all ports */
	PERF_PEER_SOURCE, /**< send frames as fast as the ring takes them */
	PERF_PEER_SINK,   /**< receive frames and free them */
	PERF_PEER_ECHO,   /**< send back what arrives */
	PERF_PEER_STOP,   /**< end SOURCE, SINK or ECHO */
	PERF_PEER_QUIT,   /**< end */
};

/** An order. */
struct perf_peer_order {
	enum perf_order order;
	struct perf_wiring wiring; /**< OPEN */
	char path[96];             /**< OPEN: the socket */
	unsigned int port;         /**< SOURCE, SINK, ECHO: which one, in the order of OPEN */
	struct perf_case c;        /**< SOURCE: size and burst */
	uint32_t seeds;            /**< ECHO: frames to send first */
};

/** The answer to an order; after STOP with the counts since the order before. */
struct perf_peer_reply {
	int status;  /**< 0 or -errno */
	uint64_t rx; /**< frames received */
	uint64_t tx; /**< frames sent */
};

/** A peer as the other process sees it. */
struct perf_peer {
	int fd;    /**< where orders go; -1: there is no peer */
	pid_t pid; /**< of the process */
};

/**
 * Start a peer: this program again.
 * @param eal  EAL options, separated by blanks
 * @return 0 or -errno, after saying what is wrong
 */
int perf_peer_start(struct perf_peer *peer, const struct perf_options *opt, const char *eal);

/** Give an order and wait for the answer. @return its status, or -EPIPE if the peer has gone. */
int perf_peer_tell(struct perf_peer *peer, const struct perf_peer_order *order,
	struct perf_peer_reply *reply);

/** End the peer. */
void perf_peer_end(struct perf_peer *peer);

/**
 * Send a burst of @a n, on either side, for PERF_PATIENCE_US at most in which the other side makes no room.
 * @return how many; the others are freed.
 */
uint16_t perf_peer_send(uint16_t port, struct rte_mbuf **pkts, uint16_t n);

/** What the second process does: follow orders until it is told to quit. */
int perf_peer_main(struct perf_bench *bench);

#endif /* PERF_PEER_H */
