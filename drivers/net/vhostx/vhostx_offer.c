/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The virtio features that a port offers.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include <rte_bitops.h>

#include "user/backend.h"
#include "vhostx_offer.h"

/* Virtio features that are offered: what the rings can do, and what front-ends do by themselves. */
#define OFFER_ALWAYS ( \
	RTE_BIT64(VIRTIO_NET_F_CSUM) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_CSUM) | \
	RTE_BIT64(VIRTIO_NET_F_MTU) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_TSO4) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_TSO6) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_ECN) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_UFO) | \
	RTE_BIT64(VIRTIO_NET_F_MRG_RXBUF) | \
	RTE_BIT64(VIRTIO_NET_F_CTRL_VQ) | \
	RTE_BIT64(VIRTIO_NET_F_CTRL_RX) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	RTE_BIT64(VIRTIO_NET_F_MQ) | \
	RTE_BIT64(VHOSTX_F_LOG_ALL) | \
	RTE_BIT64(VIRTIO_F_ANY_LAYOUT) | \
	RTE_BIT64(VIRTIO_RING_F_INDIRECT_DESC) | \
	RTE_BIT64(VIRTIO_RING_F_EVENT_IDX) | \
	RTE_BIT64(VHOSTX_F_PROTOCOL_FEATURES) | \
	RTE_BIT64(VIRTIO_F_VERSION_1) | \
	RTE_BIT64(VIRTIO_F_RING_PACKED) | \
	RTE_BIT64(VIRTIO_F_IN_ORDER))

/* Those beside that let the guest send packets which somebody has to cut. */
#define OFFER_TSO ( \
	RTE_BIT64(VIRTIO_NET_F_HOST_TSO4) | \
	RTE_BIT64(VIRTIO_NET_F_HOST_TSO6) | \
	RTE_BIT64(VIRTIO_NET_F_HOST_ECN) | \
	RTE_BIT64(VIRTIO_NET_F_HOST_UFO))

/*
 * A packet that somebody keeps must not delay those after it: buffers of a zero-copy port come back in any
 * order.
 */
uint64_t
vhostx_offer(const struct vhostx_args *args, bool tso)
{
	uint64_t features = tso ? OFFER_ALWAYS | OFFER_TSO : OFFER_ALWAYS;

	if (args->iommu_support)
		features |= RTE_BIT64(VHOSTX_F_ACCESS_PLATFORM);
	return args->dequeue_zero_copy ? features & ~RTE_BIT64(VIRTIO_F_IN_ORDER) : features;
}
