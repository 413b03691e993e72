/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Device state becomes a snapshot.
 */
#include <errno.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <rte_bitops.h>
#include <rte_byteorder.h>

#include "build.h"

static bool
has(const struct vhostx_backend *be, unsigned int feature)
{
	return (be->features & RTE_BIT64(feature)) != 0;
}

/* One area of a ring: in one region, aligned as virtio 1.3, 2.7 and 2.8.10.1 ask. */
static void *
area(const struct vhostx_backend *be, uint64_t uva, uint64_t len, uint64_t align)
{
	uint8_t *va = vhostx_mem_from_uva(be->mem, uva, len);

	return ((uintptr_t)va & (align - 1)) == 0 ? va : NULL;
}

static int
build_split(const struct vhostx_backend *be, const struct vhostx_vring *vring,
	struct vhostx_snapshot *s, const char **why)
{
	const uint64_t event = s->event_idx ? sizeof(uint16_t) : 0;
	const uint64_t n = vring->num;

	if (!rte_is_power_of_2(vring->num)) {
		*why = "the size of a split ring is not a power of two";
		return -EINVAL;
	}
	s->format = VHOSTX_SPLIT;
	s->split.desc = area(be, vring->desc_uva, n * sizeof(struct vring_desc), 16);
	s->split.avail = area(be, vring->avail_uva, sizeof(struct vring_avail) +
		n * sizeof(uint16_t) + event, 2);
	s->split.used = area(be, vring->used_uva, sizeof(struct vring_used) +
		n * sizeof(struct vring_used_elem) + event, 4);
	if (s->split.desc != NULL && s->split.avail != NULL && s->split.used != NULL)
		return 0;
	*why = "the ring is not aligned or not in one region of guest memory";
	return -EINVAL;
}

static int
build_packed(const struct vhostx_backend *be, const struct vhostx_vring *vring,
	struct vhostx_snapshot *s, const char **why)
{
	s->format = VHOSTX_PACKED;
	s->packed.desc = area(be, vring->desc_uva,
		(uint64_t)vring->num * sizeof(struct vring_packed_desc), 16);
	s->packed.driver = area(be, vring->avail_uva, sizeof(struct vring_packed_desc_event), 4);
	s->packed.device = area(be, vring->used_uva, sizeof(struct vring_packed_desc_event), 4);
	if (s->packed.desc != NULL && s->packed.driver != NULL && s->packed.device != NULL)
		return 0;
	*why = "the ring is not aligned or not in one region of guest memory";
	return -EINVAL;
}

/*
 * Both switches of the protocol turn the log on, and for all that the ring writes: to log more than was asked
 * for costs a copy, to log less costs the guest its data.
 */
static void
build_log(const struct vhostx_backend *be, const struct vhostx_vring *vring, struct vhostx_snapshot *s)
{
	s->log_used = UINT64_MAX;
	s->logfd = -1;
	if (be->log == NULL || !(vring->log || has(be, VHOSTX_F_LOG_ALL)))
		return;
	s->log = be->log;
	s->logfd = be->logfd;
	if (vring->log)
		s->log_used = vring->log_addr;
}

/*
 * Offloads of either direction, without those that lack the one that they stand on (virtio 1.3, 5.1.3.1).
 */
static uint16_t
build_offloads(const struct vhostx_backend *be)
{
	const uint64_t host = RTE_BIT64(VIRTIO_NET_F_HOST_TSO4) | RTE_BIT64(VIRTIO_NET_F_HOST_TSO6) |
		RTE_BIT64(VIRTIO_NET_F_HOST_ECN) | RTE_BIT64(VIRTIO_NET_F_HOST_UFO);
	const uint64_t guest = RTE_BIT64(VIRTIO_NET_F_GUEST_TSO4) | RTE_BIT64(VIRTIO_NET_F_GUEST_TSO6) |
		RTE_BIT64(VIRTIO_NET_F_GUEST_ECN) | RTE_BIT64(VIRTIO_NET_F_GUEST_UFO);
	uint64_t mask = RTE_BIT64(VIRTIO_NET_F_CSUM) | RTE_BIT64(VIRTIO_NET_F_GUEST_CSUM);

	if (has(be, VIRTIO_NET_F_CSUM))
		mask |= host;
	if (has(be, VIRTIO_NET_F_GUEST_CSUM))
		mask |= guest;
	return be->features & mask;
}

int
vhostx_build(const struct vhostx_backend *be, uint16_t idx, struct vhostx_snapshot *s,
	const char **why)
{
	const struct vhostx_vring *vring = &be->vring[idx];

	if (!vring->started || !vring->has_addr || vring->num == 0 || !be->has_features)
		return -EAGAIN;
	/* QEMU starts rings also if it has no memory that it can share, and says nothing. */
	if (be->mem == NULL) {
		*why = "the front-end has shared no guest memory; start QEMU with share=on and a numa node for it";
		return -EINVAL;
	}
	if (vring->num > VHOSTX_RING_MAX) {
		*why = "the ring has more than 32768 entries";
		return -EINVAL;
	}
	*s = (struct vhostx_snapshot) {
		.mem = be->mem,
		.size = vring->num,
		.mergeable = has(be, VIRTIO_NET_F_MRG_RXBUF),
		.event_idx = has(be, VIRTIO_RING_F_EVENT_IDX),
		.indirect = has(be, VIRTIO_RING_F_INDIRECT_DESC),
		.in_order = has(be, VIRTIO_F_IN_ORDER),
		.enabled = vring->enabled,
		.offloads = build_offloads(be),
		.callfd = vring->callfd,
	};
	build_log(be, vring, s);
	/* flags and gso_type; without VIRTIO_NET_F_CSUM a driver has nothing to say there. */
	s->hdr_mask = has(be, VIRTIO_NET_F_CSUM) ? rte_cpu_to_le_64(0xffff) : 0;
	s->hdr_len = s->mergeable || has(be, VIRTIO_F_VERSION_1) ?
		sizeof(struct virtio_net_hdr_mrg_rxbuf) : sizeof(struct virtio_net_hdr);
	if (has(be, VIRTIO_F_RING_PACKED))
		return build_packed(be, vring, s, why);
	return build_split(be, vring, s, why);
}
