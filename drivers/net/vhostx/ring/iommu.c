/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Addresses of a guest behind a virtual IOMMU. Apart from the bursts, which are not to pay for it.
 */
#include <errno.h>

#include "notify.h"
#include "vq.h"

static uint8_t
iommu_access(uint16_t dir)
{
	return dir != 0 ? VHOSTX_ACCESS_W : VHOSTX_ACCESS_R;
}

/* Have it asked for, once. What is denied is told once as well: the guest may use the page again, and rightly. */
static enum vhostx_cause
iommu_ask(const struct vhostx_snapshot *s, uint64_t word)
{
	uint64_t *miss = &s->ring->iommu.miss;
	const uint64_t asked = __atomic_load_n(miss, __ATOMIC_RELAXED);

	if (asked == (word | VHOSTX_MISS_DENIED)) {
		__atomic_store_n(miss, 0, __ATOMIC_RELAXED);
		return VHOSTX_BAD_ADDRESS;
	}
	if (asked != word) {
		__atomic_store_n(miss, word, __ATOMIC_RELAXED);
		vhostx_eventfd_signal(s->wakefd, false);
	}
	return VHOSTX_MISS;
}

enum vhostx_cause
vhostx_iommu_va(const struct vhostx_snapshot *s, uint64_t iova, uint16_t dir, uint8_t **va, uint64_t *run)
{
	/* Before the entry: one that goes meanwhile is then out of date. */
	const uint32_t gen = __atomic_load_n(&s->iotlb->gen, __ATOMIC_ACQUIRE);
	const uint8_t access = iommu_access(dir);
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	struct vhostx_iotlb_entry e;
	int ret = vhostx_iotlb_find(s->iotlb, iova, access, &e);

	if (ret == -EAGAIN)
		return VHOSTX_MISS;
	if (ret != 0)
		return iommu_ask(s, vhostx_miss_word(iova, access));
	r->last = (struct vhostx_range) {
		.gpa = e.first, .size = e.last - e.first + 1, .va = (uint8_t *)(uintptr_t)e.va,
	};
	r->gen = gen;
	r->perm = e.perm;
	*va = r->last.va + (iova - e.first);
	*run = e.last - iova + 1;
	return VHOSTX_NO_CAUSE;
}

struct vhostx_range
vhostx_iommu_range(const struct vhostx_snapshot *s, uint16_t dir)
{
	const struct vhostx_iommu_ring *r = &s->ring->iommu;

	if ((r->perm & iommu_access(dir)) != 0 && r->gen == __atomic_load_n(&s->iotlb->gen, __ATOMIC_RELAXED))
		return r->last;
	return (struct vhostx_range){ 0 };
}
