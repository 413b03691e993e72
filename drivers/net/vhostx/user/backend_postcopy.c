/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Messages about post-copy: the guest runs here before its memory is.
 */
#include <fcntl.h>
#include <string.h>

#include "../vhostx_log.h"
#include "backend_call.h"

/*
 * QEMU sends this once for each queue pair, and listens to each file that it gets: they are one. Without a file it
 * gives up the migration alone; the connection would cost the guest its network.
 */
int
vhostx_handle_postcopy_advise(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;
	const char *why = NULL;
	int ret = 0;

	if (be->uffd == NULL)
		ret = vhostx_uffd_open(&be->uffd, &why);
	if (ret != 0) {
		VHOSTX_LOG(ERR, be->name, "POSTCOPY_ADVISE: %s; an empty answer is sent", why);
		return 0;
	}
	call->reply->fds[0] = fcntl(vhostx_uffd_file(be->uffd), F_DUPFD_CLOEXEC, 0);
	call->reply->nr_fds = call->reply->fds[0] >= 0;
	return 0;
}

int
vhostx_handle_postcopy_listen(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;

	if (be->uffd == NULL)
		return backend_fail(call, -EINVAL, "POSTCOPY_ADVISE did not come before it");
	/* Nobody has told the front-end where it is here, and its pages may be missing already. */
	if (!be->listening && be->mem != NULL)
		return backend_fail(call, -EINVAL, "guest memory is in use already");
	be->listening = true;
	return 0;
}

int
vhostx_handle_postcopy_end(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;
	const bool waited = be->unacked;

	vhostx_postcopy_stop(be);
	if (waited)
		backend_resume_all(be);
	backend_reply_u64(call, 0);
	return 0;
}

/*
 * "An empty VHOST_USER_SET_MEM_TABLE as an acknowledgement". QEMU puts eight zeroes in it, and calls it like the
 * last message about memory: 0 if there was none because nothing had changed.
 */
bool
vhostx_postcopy_is_ack(const struct backend_call *call)
{
	const struct vhostx_msg_header *header = &call->msg->header;

	if (!call->be->listening || call->msg->nr_fds != 0 ||
			(header->flags & (VHOSTX_MSG_VERSION_MASK | VHOSTX_MSG_REPLY)) != VHOSTX_MSG_VERSION)
		return false;
	switch (header->request) {
	case VHOSTX_SET_MEM_TABLE:
		return header->size == 0 || header->size == sizeof(uint64_t);
	case 0:
	case VHOSTX_ADD_MEM_REG:
	case VHOSTX_REM_MEM_REG:
		return header->size == sizeof(uint64_t);
	default:
		return false;
	}
}

int
vhostx_handle_postcopy_ack(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;

	if (call->msg->header.size != 0 && call->msg->payload.u64 != 0)
		return backend_fail(call, -EPROTO, "the front-end cannot bring the guest's pages");
	be->unacked = false;
	backend_resume_all(be);
	return 0;
}

int
vhostx_postcopy_take(struct backend_call *call, const struct vhostx_mem *mem)
{
	const char *why = NULL;
	const int ret = vhostx_uffd_add(call->be->uffd, mem, &why);

	return ret == 0 ? 0 : backend_fail(call, ret, "%s (%s)", why, strerror(-ret));
}

uint64_t
vhostx_postcopy_base(const struct vhostx_backend *be, const struct vhostx_msg_region *region)
{
	return (uintptr_t)vhostx_mem_from_uva(be->mem, region->uva, 1);
}

void
vhostx_postcopy_stop(struct vhostx_backend *be)
{
	vhostx_uffd_close(be->uffd);
	be->uffd = NULL;
	be->listening = false;
	be->unacked = false;
}
