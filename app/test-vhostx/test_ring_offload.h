/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of rings with offloads share: a rig that has negotiated some.
 */
#ifndef TEST_RING_OFFLOAD_H
#define TEST_RING_OFFLOAD_H

#include "test_offload_rig.h"
#include "test_ring_cases.h"
#include "test_ring_packets.h"

/* Negotiate, and let the application look at flags. */
static inline void
rig_negotiate(struct rig *rig, uint16_t features)
{
	const uint32_t base = rig_stop(rig);

	rig->snap.offloads = features;
	rig->snap.hdr_mask = features & 1 << VIRTIO_NET_F_CSUM ? 0xffff : 0;
	rig->queue.offload = rig_conf();
	rig_start(rig, base);
}

#endif /* TEST_RING_OFFLOAD_H */
