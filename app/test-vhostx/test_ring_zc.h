/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of zero-copy rings share: a rig whose ring has a table.
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
	struct vhostx_zc_refused refused;

	assert_non_null(zc);
	assert_int_equal(vhostx_zc_adopt(zc, rig->table, &refused), 0);
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

/* For cases that take long: what differs for them is the format, the size and the layout. */
static inline bool
some(const struct rig_variant *v)
{
	return !v->in_order && v->mergeable && !v->event_idx;
}

#endif /* TEST_RING_ZC_H */
