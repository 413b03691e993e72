/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of zero-copy ports share.
 */
#ifndef TEST_ETHDEV_ZC_H
#define TEST_ETHDEV_ZC_H

#include "test_ethdev_front.h"

#define LONG 1500u /* bytes of a packet that is lent */

static const struct port_conf lender = { .devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512" };

/* Each case runs on both formats. */
static const struct front_conf formats[] = {
	{ .format = GUEST_SPLIT },
	{ .format = GUEST_PACKED },
};

/* The guest transmits one packet, the application gets it. */
static inline struct rte_mbuf *
pass(struct front *f, uint16_t port, uint32_t seed)
{
	struct rte_mbuf *m = NULL;

	front_send(f, 0, LONG, seed);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
	return m;
}

/* As pass(), and the packet must be the guest's buffer. */
static inline struct rte_mbuf *
pass_lent(struct front *f, uint16_t port, uint32_t seed)
{
	struct rte_mbuf *m = pass(f, port, seed);

	assert_int_equal(m->nb_segs, 2);
	assert_true(RTE_MBUF_HAS_EXTBUF(m->next));
	return m;
}

static inline uint64_t
xstat(uint16_t port, const char *name)
{
	uint64_t id, value;

	assert_int_equal(rte_eth_xstats_get_id_by_name(port, name, &id), 0);
	assert_int_equal(rte_eth_xstats_get_by_id(port, &id, &value, 1), 1);
	return value;
}

/* What the guest keeps for the front-end may be unmapped by it at any time: look at it from our side. */
static inline void
assert_readable(const struct rte_mbuf *m, uint32_t seed)
{
	uint32_t off = 0;

	for (; m != NULL; m = m->next) {
		assert_true(guest_net_matches(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, seed, off));
		off += m->data_len;
	}
	assert_int_equal(off, LONG);
}

static inline void
for_each_format(void (*run)(const struct front_conf *conf))
{
	for (size_t i = 0; i < RTE_DIM(formats); i++) {
		run(&formats[i]);
		/* What was out of a port that is closed is unmapped a moment after it is freed. */
		wait_until(vhostx_map_count() == 0);
	}
}

#endif /* TEST_ETHDEV_ZC_H */
