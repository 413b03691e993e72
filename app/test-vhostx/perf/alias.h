/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A second mapping of the guest's mbufs. A vhost port maps guest memory by itself, and a CPU may pay for
 * seeing one byte at two addresses; the floor has to pay as well.
 */
#ifndef PERF_ALIAS_H
#define PERF_ALIAS_H

#include <stddef.h>
#include <stdint.h>

#include <rte_mempool.h>

/** The mapping. */
struct perf_alias {
	uint8_t *begin; /**< of the pool's memory, as the pool sees it */
	size_t len;     /**< bytes; 0: there is no second mapping */
	uint8_t *map;   /**< the same bytes again */
	void *base;     /**< what to unmap, and how much; NULL: nothing */
	size_t base_len;
};

/** Map the memory of @a pool again, if it is one piece of one file that can be mapped. */
void perf_alias_init(struct perf_alias *alias, struct rte_mempool *pool);

/** Unmap it. */
void perf_alias_fini(struct perf_alias *alias);

/** The other address of a byte of the pool; the same one if there is no second mapping. */
uint8_t *perf_alias_of(const struct perf_alias *alias, uint8_t *va);

#endif /* PERF_ALIAS_H */
