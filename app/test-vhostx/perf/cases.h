/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What is measured: the list of cases, their names, and the filter on them.
 */
#ifndef PERF_CASES_H
#define PERF_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/** Most cases in a list. */
#define PERF_CASES_MAX 1024
/** Room for the name of a case. */
#define PERF_NAME_MAX 80

/** What is timed. */
enum perf_direction {
	PERF_RX,   /**< guest to host: rte_eth_rx_burst() */
	PERF_TX,   /**< host to guest: rte_eth_tx_burst(), which frees the mbufs of the burst */
	PERF_FWD,  /**< rx on one port, then tx of the same mbufs on a second one */
	PERF_DROP, /**< rte_eth_rx_burst(), then rte_pktmbuf_free_bulk(), nothing read in between */
	PERF_READ, /**< the same, every byte read in between */
	PERF_IDLE, /**< rte_eth_rx_burst() on an empty queue; the unit is a poll */
};

/** What needs ports of its own. */
struct perf_wiring {
	bool packed;
	bool mergeable;  /**< VIRTIO_NET_F_MRG_RXBUF */
	bool in_order;   /**< offered by the guest's side; whether it is used is up to the driver */
	bool jumbo;      /**< a buffer of the guest holds any frame that it sends, not 2 KiB of it */
	uint16_t queues; /**< queue pairs, polled in turn */
	uint16_t ports;  /**< ports, polled in turn */
};

/** One line of the table. */
struct perf_case {
	struct perf_wiring wiring;
	enum perf_direction direction;
	uint32_t size;  /**< bytes of a frame, or PERF_IMIX */
	uint16_t burst; /**< frames in a burst */
};

/** The cases of a run, those of one wiring side by side. */
struct perf_cases {
	unsigned int nb;
	struct perf_case list[PERF_CASES_MAX];
};

/** Do two cases use the same ports? */
bool perf_wiring_equal(const struct perf_wiring *a, const struct perf_wiring *b);

/** "rx", "tx", "fwd", "drop", "read" or "idle". */
const char *perf_direction_name(enum perf_direction direction);

/** The words that a filter sees: "split/mrg/inorder/nojumbo/q1/p1/rx/64/b32". @a name has PERF_NAME_MAX bytes. */
void perf_case_name(const struct perf_case *c, char *name);

/** "64" or "imix"; @a name has PERF_NAME_MAX bytes. */
void perf_size_name(uint32_t size, char *name);

/**
 * Make the list.
 * @param mode    what the cases are for
 * @param quick   a small but telling part of it
 * @param filter  comma-separated terms, each of which a case must satisfy by having one of the term's words,
 *   which are separated by '|'; NULL keeps all
 */
void perf_cases_make(struct perf_cases *cases, enum perf_mode mode, bool quick,
	 const char *filter);

#endif /* PERF_CASES_H */
