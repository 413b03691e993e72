/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Messages about the guest's IOMMU: what the front-end tells of its mappings, and the channel that it is asked on.
 */
#include <inttypes.h>

#include "backend_call.h"
#include "build.h"
#include "sock_req.h"

int
vhostx_backend_use_iommu(struct backend_call *call, bool use)
{
	struct vhostx_backend *be = call->be;

	if (use && be->iotlb == NULL) {
		be->iotlb = vhostx_iotlb_create(VHOSTX_IOTLB_MAX);
		if (be->iotlb == NULL)
			return backend_fail(call, -ENOMEM, "out of memory");
	} else if (!use) {
		vhostx_iotlb_free(be->iotlb);
		be->iotlb = NULL;
	}
	return 0;
}

void
vhostx_backend_forget_iotlb(struct vhostx_backend *be)
{
	if (be->iotlb == NULL)
		return;
	vhostx_iotlb_remove(be->iotlb, 0, UINT64_MAX);
	be->ops->quiesce(be->ctx);
}

int
vhostx_handle_set_backend_req_fd(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;

	if (!vhostx_req_is_channel(call->msg->fds[0]))
		return backend_fail(call, -EINVAL, "its file is no stream socket");
	/* Pollers send on it. */
	backend_pause_all(be);
	backend_keep_fd(&be->reqfd, backend_take_fd(call->msg));
	backend_resume_all(be);
	return 0;
}

/* --- entries ---------------------------------------------------------------------------------- */

/* Addresses from first to last. */
struct span {
	uint64_t first, last;
};

static bool
span_has(const struct span *span, uint64_t iova)
{
	return span->first <= iova && iova <= span->last;
}

/* Do an area of a ring that has bytes, and the span, share one? An area that wraps is never built. */
static bool
span_meets(const struct span *span, uint64_t iova, uint64_t len)
{
	return iova <= span->last && (span_has(span, iova) || span->first - iova < len);
}

static bool
span_meets_ring(const struct span *span, const struct vhostx_backend *be, uint16_t idx)
{
	const struct vhostx_vring *vring = &be->vring[idx];
	const struct vhostx_areas len = vhostx_build_areas(be, idx);

	return vring->started && vring->has_addr && vring->num != 0 &&
		(span_meets(span, vring->desc_uva, len.desc) ||
		span_meets(span, vring->avail_uva, len.avail) ||
		span_meets(span, vring->used_uva, len.used));
}

/*
 * "Addresses and size must be within vhost memory regions"; QEMU cuts an entry that would reach from one into the
 * next. Permission 0 says that the guest has no such page: nothing to keep.
 */
static int
iotlb_update(struct backend_call *call, const struct vhostx_msg_iotlb *m)
{
	struct vhostx_backend *be = call->be;
	const struct span span = { m->iova, m->iova + (m->size - 1) };
	void *va = NULL;

	if (be->iotlb == NULL)
		return backend_fail(call, -EINVAL, "VIRTIO_F_ACCESS_PLATFORM was not negotiated");
	if (m->size == 0 || m->size - 1 > UINT64_MAX - m->iova || m->perm > VHOSTX_ACCESS_RW)
		return backend_fail(call, -EINVAL, "%" PRIu64 " bytes at 0x%" PRIx64 ", permission %u, cannot be",
			m->size, m->iova, m->perm);
	if (m->perm != 0 && be->mem != NULL)
		va = vhostx_mem_from_uva(be->mem, m->uva, m->size);
	if (m->perm != 0 && va == NULL)
		return backend_fail(call, -EINVAL, "%" PRIu64 " bytes at user address 0x%" PRIx64
			" are not in one region of guest memory", m->size, m->uva);
	if (m->perm != 0)
		vhostx_iotlb_add(be->iotlb, m->iova, m->size, va, m->perm);
	be->ops->mapped(be->ctx, span.first, span.last, m->perm);
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		if (m->perm != 0 && be->vring[i].miss[0] != 0 &&
				span_has(&span, vhostx_miss_iova(be->vring[i].miss[0])))
			backend_resume(be, i);
	}
	return 0;
}

/* The whole address space is 2^64 bytes, which 0 stands for; QEMU cuts what goes past its end. */
static struct span
iotlb_span(const struct vhostx_msg_iotlb *m)
{
	const bool past = m->size == 0 || m->size - 1 > UINT64_MAX - m->iova;

	return (struct span){ m->iova, past ? UINT64_MAX : m->iova + (m->size - 1) };
}

/*
 * The guest's processor waits for the reply, after which it may use the page for anything. Rings whose own memory
 * it is stop, and go on when they find it elsewhere.
 */
static int
iotlb_invalidate(struct backend_call *call, const struct vhostx_msg_iotlb *m)
{
	struct vhostx_backend *be = call->be;
	const struct span span = iotlb_span(m);

	if (be->iotlb == NULL)
		return 0;
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		if (span_meets_ring(&span, be, i))
			backend_pause(be, i);
	}
	vhostx_iotlb_remove(be->iotlb, span.first, span.last);
	be->ops->quiesce(be->ctx);
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		if (span_meets_ring(&span, be, i))
			backend_resume(be, i);
	}
	return 0;
}

int
vhostx_handle_iotlb_msg(struct backend_call *call)
{
	const struct vhostx_msg_iotlb *m = &call->msg->payload.iotlb;

	switch (m->type) {
	case VHOSTX_IOTLB_UPDATE:
		return iotlb_update(call, m);
	case VHOSTX_IOTLB_INVALIDATE:
		return iotlb_invalidate(call, m);
	default:
		return backend_fail(call, -EINVAL, "type %u; update (2) and invalidate (3) are possible", m->type);
	}
}
