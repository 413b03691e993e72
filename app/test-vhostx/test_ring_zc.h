/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of zero-copy rings share: a rig whose ring has a table, and packets that may be lent.
 */
#ifndef TEST_RING_ZC_H
#define TEST_RING_ZC_H

#include "test_ring_cases.h"
#include "test_ring_packets.h"

#define LONG 1500u /* bytes of a packet that is lent */

/* Give the rig's ring a table, as a port does that is started with these arguments. */
static inline struct vhostx_zc *
use_table(struct rig *rig, uint32_t threshold, uint8_t inflight, bool linear)
{
	const struct vhostx_zc_conf conf = { .size = rig->v.size, .threshold = threshold,
		.inflight = inflight, .linear = linear };
	struct vhostx_zc *zc = vhostx_zc_create(&conf);

	assert_non_null(zc);
	assert_int_equal(vhostx_zc_adopt(zc, rig->table), 0);
	rig->snap.zc = zc;
	return zc;
}

static inline void
poll_nothing(struct rig *rig)
{
	struct rte_mbuf *m;

	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
}

/* Everything that was lent is back. */
static inline void
drop_table(struct rig *rig)
{
	for (uint32_t i = 0; i <= rig->v.size / (VHOSTX_ZC_LOOK * VHOSTX_ZC_GROUP); i++)
		poll_nothing(rig);
	assert_int_equal(rig->snap.zc->out, 0);
	assert_int_equal(rig->snap.zc->out_entries, 0);
	vhostx_zc_free(rig->snap.zc);
	rig->snap.zc = NULL;
}

/* The guest sends one frame, the host receives it. Returns the id. */
static inline int
pass_one(struct rig *rig, uint32_t i, uint32_t len, struct rte_mbuf **m)
{
	const int id = rig_send(rig, i, len);

	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, m, 1), 1);
	return id;
}

/* Do bytes of the packet lie in the guest's memory? */
static inline bool
is_lent(const struct rig *rig, const struct rte_mbuf *m)
{
	for (; m != NULL; m = m->next) {
		for (uint32_t i = 0; i < rig->mem.nr; i++) {
			if (rte_pktmbuf_mtod(m, uint8_t *) - rig->mem.region[i].va <
					(ptrdiff_t)rig->mem.region[i].size &&
					rte_pktmbuf_mtod(m, uint8_t *) >= rig->mem.region[i].va)
				return true;
		}
	}
	return false;
}

/* For cases that take long: what differs for them is the format, the size and the layout. */
static inline bool
some(const struct rig_variant *v)
{
	return !v->in_order && v->mergeable && !v->event_idx;
}

/* A zero-copy port does not offer IN_ORDER. */
static inline bool
any_order(const struct rig_variant *v)
{
	return !v->in_order;
}

#endif /* TEST_RING_ZC_H */
