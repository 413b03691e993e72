/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Vhost ports, each with a virtio-user port of this process on its socket.
 */
#ifndef PERF_WIRE_H
#define PERF_WIRE_H

#include <rte_mempool.h>

#include "alias.h"
#include "cases.h"
#include "options.h"

/** What all ports of a run share. */
struct perf_bench {
	const struct perf_options *opt;
	char dir[64];                   /**< private folder of the sockets */
	struct rte_mempool *host_pool;  /**< mbufs of the vhost side */
	struct rte_mempool *guest_pool; /**< mbufs of the virtio-user side: guest memory */
	struct rte_mempool *jumbo_pool; /**< the same, for what it sends if a buffer holds any frame; NULL: not yet */
	struct perf_alias alias;        /**< of guest_pool */
	uint64_t overhead;              /**< TSC cycles of an empty timed section */
	unsigned int serial;            /**< makes the names of ports unique */
};

/** Make the pool that cases of @a wiring need beside the others. @return 0, or -ENOMEM after saying so. */
int perf_bench_prepare(struct perf_bench *bench, const struct perf_wiring *wiring);

/** The pool from which the guest's side sends. */
static inline struct rte_mempool *
perf_bench_guest(const struct perf_bench *bench, const struct perf_wiring *wiring)
{
	return wiring->jumbo ? bench->jumbo_pool : bench->guest_pool;
}

/** Two ports on one socket. */
struct perf_pair {
	uint16_t vhost;       /**< ethdev port */
	uint16_t virtio;      /**< ethdev port */
	char vhost_name[32];  /**< empty: no such port */
	char virtio_name[32]; /**< empty: no such port */
	char path[96];        /**< the socket */
};

/** Make the folder and the pools. @return 0 or -errno, after saying what is wrong. */
int perf_bench_init(struct perf_bench *bench, const struct perf_options *opt);

/** Undo perf_bench_init(). */
void perf_bench_fini(struct perf_bench *bench);

/**
 * Make a vhost port of @a spec, a driver's name, perhaps "/" and offloads, and perhaps "+" and devargs, configured and
 * started, and nothing else of the pair.
 * @return 0 or -errno, after saying what is wrong; perf_pair_close() is due in both cases.
 */
int perf_pair_open_vhost(struct perf_pair *pair, struct perf_bench *bench, const char *spec,
	const struct perf_wiring *wiring);

/** Make the other port, on the pair's socket; errors as perf_pair_open_vhost(). */
int perf_pair_open_virtio(struct perf_pair *pair, struct perf_bench *bench,
	const struct perf_wiring *wiring);

/** Wait until the vhost port's link is up. @return 0, or -ETIMEDOUT after saying so. */
int perf_pair_wait(const struct perf_pair *pair);

/** All three. */
int perf_pair_open(struct perf_pair *pair, struct perf_bench *bench, const char *driver,
	const struct perf_wiring *wiring);

/** Map all shared memory now: a vhost port's own mapping of it would fault page by page while it is timed. */
void perf_wire_prefault(void);

/** Remove the ports that there are. */
void perf_pair_close(struct perf_pair *pair);

#endif /* PERF_WIRE_H */
