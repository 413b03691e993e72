/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of packets share: an EAL without hugepages, a pool, and mbufs of any bytes, cut anywhere.
 */
#ifndef TEST_MBUF_RIG_H
#define TEST_MBUF_RIG_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#define RIG_NR(array) (sizeof(array) / sizeof((array)[0]))

#define RIG_ROOM 2048u  /* bytes that a mbuf holds */
#define RIG_MBUFS 4095u /* in the pool */

/* One pool for all cases; each case gives back what it took. */
static struct rte_mempool *rig_pool;

static inline void
rig_eal(void)
{
	char arg[][24] = { "test", "--no-huge", "--no-shconf", "--no-pci", "-m", "128", "-l", "0",
		"--log-level=error", "--no-telemetry" };
	char *argv[RIG_NR(arg)];
	cpu_set_t cpus;

	for (size_t i = 0; i < RIG_NR(arg); i++)
		argv[i] = arg[i];
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || rte_eal_init(RIG_NR(arg), argv) < 0)
		exit(1);
	/* The EAL binds its lcore to a CPU; several tests run at a time. */
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		exit(1);
	rig_pool = rte_pktmbuf_pool_create("rig", RIG_MBUFS, 64, 0,
		RIG_ROOM + RTE_PKTMBUF_HEADROOM, 0);
	if (rig_pool == NULL)
		exit(1);
}

/* Host: len bytes in an mbuf, in segments of the sizes in cut (0-terminated). */
static inline struct rte_mbuf *
rig_mbuf_of(const uint8_t *buf, uint32_t len, const uint32_t *cut)
{
	struct rte_mbuf *first = NULL, **link = &first;
	uint32_t off = 0;

	do {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig_pool);

		assert_non_null(m);
		m->data_len = RTE_MIN(*cut, len - off);
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), buf + off, m->data_len);
		off += m->data_len;
		*link = m;
		link = &m->next;
		if (m != first)
			first->nb_segs++;
		if (cut[1] != 0)
			cut++;
	} while (off < len);
	first->pkt_len = len;
	return first;
}

#endif /* TEST_MBUF_RIG_H */
