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

struct vhostx_areas
vhostx_build_areas(const struct vhostx_backend *be, uint16_t idx)
{
	const uint64_t event = has(be, VIRTIO_RING_F_EVENT_IDX) ? sizeof(uint16_t) : 0;
	const uint64_t n = be->vring[idx].num;

	if (has(be, VIRTIO_F_RING_PACKED))
		return (struct vhostx_areas) {
			.desc = n * sizeof(struct vring_packed_desc),
			.avail = sizeof(struct vring_packed_desc_event),
			.used = sizeof(struct vring_packed_desc_event),
		};
	return (struct vhostx_areas) {
		.desc = n * sizeof(struct vring_desc),
		.avail = sizeof(struct vring_avail) + n * sizeof(uint16_t) + event,
		.used = sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) + event,
	};
}

/* How the areas of a ring are found. */
struct finder {
	const struct vhostx_backend *be;
	uint64_t *miss;       /* as of vhostx_build() */
	unsigned int nr_miss; /* of those */
};

/* Each page once: one that two areas share with all that they want of it. */
static void
finder_miss(struct finder *f, uint64_t iova, uint8_t access)
{
	const uint64_t word = vhostx_miss_word(iova, access);

	for (unsigned int i = 0; i < f->nr_miss; i++) {
		if (vhostx_miss_iova(f->miss[i]) == vhostx_miss_iova(word)) {
			f->miss[i] |= word;
			return;
		}
	}
	if (f->nr_miss < VHOSTX_VRING_MISSES)
		f->miss[f->nr_miss++] = word;
}

/* Note what the IOTLB lacks of an area. Returns whether that is nothing. */
static bool
finder_has(struct finder *f, uint64_t iova, uint64_t len, uint8_t access)
{
	bool all = true;

	for (uint64_t done = 0, run; done < len; done += run) {
		const uint64_t at = iova + done;
		struct vhostx_iotlb_entry e;

		run = VHOSTX_MISS_PAGE - at % VHOSTX_MISS_PAGE;
		if (vhostx_iotlb_find(f->be->iotlb, at, access, &e) == 0) {
			run = e.last - at + 1;
			continue;
		}
		finder_miss(f, at, access);
		all = false;
	}
	return all;
}

/* Where an area is of which the IOTLB has all. Its pieces must make one. */
static uint8_t *
finder_join(const struct finder *f, uint64_t iova, uint64_t len, uint8_t access)
{
	struct vhostx_iotlb_entry e;
	uint8_t *va = NULL;

	for (uint64_t done = 0; done < len; done += e.last - (iova + done) + 1) {
		uint8_t *here;

		if (vhostx_iotlb_find(f->be->iotlb, iova + done, access, &e) != 0)
			return NULL;
		here = (uint8_t *)(uintptr_t)(e.va + (iova + done - e.first));
		if (done == 0)
			va = here;
		else if (here != va + done)
			return NULL;
	}
	return va;
}

/* Where the page at @a iova is, all of it, and as far from the border of a page as there; NULL: not so. */
static uint8_t *
finder_page(const struct finder *f, uint64_t iova, uint8_t access)
{
	struct vhostx_iotlb_entry e;
	uint64_t va;

	if (vhostx_iotlb_find(f->be->iotlb, iova, access, &e) != 0 || e.last - iova < VHOSTX_PAGE - 1)
		return NULL;
	va = e.va + (iova - e.first);
	return va % VHOSTX_PAGE == 0 ? (uint8_t *)(uintptr_t)va : NULL;
}

/* Put an area together that is in pieces: a guest's driver gets the pages of a ring one by one. */
static uint8_t *
finder_view(const struct finder *f, uint64_t iova, uint64_t len, uint8_t access, struct vhostx_view **out)
{
	const uint64_t off = iova % VHOSTX_PAGE;
	struct vhostx_view *view = vhostx_view_alloc((off + len + VHOSTX_PAGE - 1) / VHOSTX_PAGE);
	uint32_t i;

	if (view == NULL)
		return NULL;
	for (i = 0; i < view->nr; i++) {
		view->page[i] = finder_page(f, iova - off + (uint64_t)i * VHOSTX_PAGE, access);
		if (view->page[i] == NULL)
			break;
	}
	if (i < view->nr || vhostx_view_map(view) != 0) {
		vhostx_view_free(view);
		return NULL;
	}
	*out = view;
	return view->va + off;
}

/*
 * The front-end's addresses are the device's own. While memory is filled, a page that is not there yet must be
 * touched where that is noticed, which a view is not.
 */
static uint8_t *
find_iova(struct finder *f, uint64_t iova, uint64_t len, uint8_t access, struct vhostx_view **view)
{
	uint32_t hint = 0;
	uint64_t run;
	uint8_t *va;

	if (len - 1 > UINT64_MAX - iova || !finder_has(f, iova, len, access))
		return NULL;
	va = finder_join(f, iova, len, access);
	if (va != NULL && vhostx_mem_gpa(f->be->mem, &hint, va, &run) != UINT64_MAX && run >= len)
		return va;
	return f->be->listening ? NULL : finder_view(f, iova, len, access, view);
}

/* One area of a ring: in one region, aligned as virtio 1.3, 2.7 and 2.8.10.1 ask. */
static void *
area(struct finder *f, uint64_t addr, uint64_t len, uint64_t align, uint8_t access, struct vhostx_view **view)
{
	uint8_t *va = f->be->iotlb != NULL ? find_iova(f, addr, len, access, view) :
		vhostx_mem_from_uva(f->be->mem, addr, len);

	return ((uintptr_t)va & (align - 1)) == 0 ? va : NULL;
}

static bool
build_split(struct finder *f, const struct vhostx_vring *vring, const struct vhostx_areas *len,
	struct vhostx_snapshot *s)
{
	s->format = VHOSTX_SPLIT;
	s->split.desc = area(f, vring->desc_uva, len->desc, 16, VHOSTX_ACCESS_R, &s->view[0]);
	s->split.avail = area(f, vring->avail_uva, len->avail, 2, VHOSTX_ACCESS_R, &s->view[1]);
	s->split.used = area(f, vring->used_uva, len->used, 4, VHOSTX_ACCESS_RW, &s->view[2]);
	return s->split.desc != NULL && s->split.avail != NULL && s->split.used != NULL;
}

static bool
build_packed(struct finder *f, const struct vhostx_vring *vring, const struct vhostx_areas *len,
	struct vhostx_snapshot *s)
{
	s->format = VHOSTX_PACKED;
	s->packed.desc = area(f, vring->desc_uva, len->desc, 16, VHOSTX_ACCESS_RW, &s->view[0]);
	s->packed.driver = area(f, vring->avail_uva, len->avail, 4, VHOSTX_ACCESS_R, &s->view[1]);
	s->packed.device = area(f, vring->used_uva, len->used, 4, VHOSTX_ACCESS_RW, &s->view[2]);
	return s->packed.desc != NULL && s->packed.driver != NULL && s->packed.device != NULL;
}

void
vhostx_build_end(struct vhostx_snapshot *s)
{
	for (unsigned int i = 0; i < VHOSTX_VIEWS; i++) {
		vhostx_view_free(s->view[i]);
		s->view[i] = NULL;
	}
}

static int
build_areas(const struct vhostx_backend *be, uint16_t idx, struct vhostx_snapshot *s, const char **why,
	uint64_t *miss)
{
	const struct vhostx_areas len = vhostx_build_areas(be, idx);
	const struct vhostx_vring *vring = &be->vring[idx];
	struct finder f = { .be = be, .miss = miss };
	bool found;

	if (!has(be, VIRTIO_F_RING_PACKED) && !rte_is_power_of_2(vring->num)) {
		*why = "the size of a split ring is not a power of two";
		return -EINVAL;
	}
	found = has(be, VIRTIO_F_RING_PACKED) ? build_packed(&f, vring, &len, s) :
		build_split(&f, vring, &len, s);
	miss[f.nr_miss] = 0;
	if (found)
		return 0;
	vhostx_build_end(s);
	if (f.nr_miss != 0)
		return -EAGAIN;
	*why = be->iotlb == NULL ? "the ring is not aligned or not in one region of guest memory" :
		"the ring is not aligned, or its pages are in pieces that cannot be put together, as in hugepages; "
		"give it fewer entries, or iommu=pt to the guest's kernel";
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
	/* Behind an IOMMU it is the ring's own address once more, which is logged where it really is. */
	if (vring->log && be->iotlb == NULL)
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
	const char **why, uint64_t *miss)
{
	const struct vhostx_vring *vring = &be->vring[idx];

	miss[0] = 0;
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
		.iotlb = be->iotlb,
		.size = vring->num,
		.mergeable = has(be, VIRTIO_NET_F_MRG_RXBUF),
		.event_idx = has(be, VIRTIO_RING_F_EVENT_IDX),
		.indirect = has(be, VIRTIO_RING_F_INDIRECT_DESC),
		.in_order = has(be, VIRTIO_F_IN_ORDER),
		.enabled = vring->enabled,
		.offloads = build_offloads(be),
		.callfd = vring->callfd,
		.kickfd = vring->kickfd,
	};
	build_log(be, vring, s);
	/* flags and gso_type; without VIRTIO_NET_F_CSUM a driver has nothing to say there. */
	s->hdr_mask = has(be, VIRTIO_NET_F_CSUM) ? rte_cpu_to_le_64(0xffff) : 0;
	s->hdr_len = s->mergeable || has(be, VIRTIO_F_VERSION_1) ?
		sizeof(struct virtio_net_hdr_mrg_rxbuf) : sizeof(struct virtio_net_hdr);
	return build_areas(be, idx, s, why, miss);
}
