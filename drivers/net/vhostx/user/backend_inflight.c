/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Messages about the in-flight record: a buffer that is made here and kept by the front-end.
 */
#include <string.h>

#include <linux/virtio_config.h>

#include "backend_call.h"

/* Regions are laid out by the rings' format. Before it is negotiated there is room for either. */
static bool
inflight_packed(const struct vhostx_backend *be)
{
	return !be->has_features || (be->features & RTE_BIT64(VIRTIO_F_RING_PACKED)) != 0;
}

int
vhostx_handle_get_inflight_fd(struct backend_call *call)
{
	const struct vhostx_msg_inflight *asked = &call->msg->payload.inflight;
	struct vhostx_msg_inflight *answer = &call->reply->payload.inflight;
	uint64_t size;
	int fd;

	if (asked->num_queues == 0 || asked->num_queues > call->be->nr_vrings || asked->queue_size == 0 ||
			asked->queue_size > 32768)
		return backend_fail(call, -EINVAL, "a buffer for %u rings of %u entries; this port has %u (queues=%u)",
			asked->num_queues, asked->queue_size, call->be->nr_vrings, call->be->nr_vrings / 2);
	size = vhostx_inflight_size(asked->num_queues, asked->queue_size, inflight_packed(call->be));
	fd = vhostx_inflight_create(size);
	if (fd < 0)
		return backend_fail(call, fd, "no file for the buffer: %s", strerror(-fd));
	memset(answer, 0, sizeof(*answer));
	answer->mmap_size = size;
	answer->num_queues = asked->num_queues;
	answer->queue_size = asked->queue_size;
	call->reply->header.size = call->msg->header.size;
	call->reply->fds[0] = fd;
	call->reply->nr_fds = 1;
	return 0;
}

int
vhostx_handle_set_inflight_fd(struct backend_call *call)
{
	const struct vhostx_msg_inflight *said = &call->msg->payload.inflight;
	struct vhostx_inflight *inflight = NULL, *old = call->be->inflight;
	const char *why = "";
	int ret;

	ret = vhostx_inflight_open(call->msg->fds[0], said->mmap_offset, said->mmap_size, said->num_queues,
		said->queue_size, &inflight, &why);
	if (ret != 0)
		return backend_fail(call, ret, "%s", why);
	backend_pause_all(call->be);
	call->be->inflight = inflight;
	backend_resume_all(call->be);
	/* Last, so that the new one cannot have its address: the rings tell them apart by it. */
	vhostx_inflight_close(old);
	return 0;
}
