/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the handlers of messages share, and the handlers that have a file of their own. Included by
 * backend*.c alone.
 */
#ifndef VHOSTX_USER_BACKEND_CALL_H
#define VHOSTX_USER_BACKEND_CALL_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"

/* One message under way. */
struct backend_call {
	struct vhostx_backend *be;
	struct vhostx_msg *msg;
	struct vhostx_msg *reply;
	bool answers;  /* set by a handler whose reply the table of messages does not know */
	char why[160]; /* set by whoever returns an error */
};

/* Note why the request fails; what becomes of the connection is added where that is decided. */
static inline int __rte_format_printf(3, 4)
backend_fail(struct backend_call *call, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(call->why, sizeof(call->why), fmt, args);
	va_end(args);
	return err;
}

static inline void
backend_reply_u64(struct backend_call *call, uint64_t value)
{
	call->reply->payload.u64 = value;
	call->reply->header.size = sizeof(value);
}

/* --- rings ------------------------------------------------------------------------------------ */

static inline void
backend_pause(const struct vhostx_backend *be, uint16_t idx)
{
	be->ops->pause(be->ctx, idx);
}

static inline void
backend_resume(const struct vhostx_backend *be, uint16_t idx)
{
	if (be->vring[idx].started && !be->unacked)
		be->ops->resume(be->ctx, idx);
}

static inline void
backend_pause_all(const struct vhostx_backend *be)
{
	for (uint16_t i = 0; i < be->nr_vrings; i++)
		backend_pause(be, i);
}

static inline void
backend_resume_all(const struct vhostx_backend *be)
{
	for (uint16_t i = 0; i < be->nr_vrings; i++)
		backend_resume(be, i);
}

/* Put @a fd (-1: none) in the place of a file that no burst uses any more. */
static inline void
backend_keep_fd(int *slot, int fd)
{
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

/* The file of a SET_VRING_KICK, _CALL or _ERR becomes the caller's; -1 if the message has none. */
static inline int
backend_take_fd(struct vhostx_msg *msg)
{
	int fd;

	if (msg->nr_fds == 0)
		return -1;
	fd = msg->fds[0];
	msg->fds[0] = -1;
	return fd;
}

/*
 * Is the message's file, if it has one, an eventfd (or of its kin, which refuse a write)? A pipe or a
 * socket whose other end is closed would end the process by SIGPIPE when a poller writes to it.
 */
static inline int
backend_check_eventfd(struct backend_call *call)
{
	struct stat st;

	if (call->msg->nr_fds == 0)
		return 0;
	if (fstat(call->msg->fds[0], &st) == 0 && (st.st_mode & S_IFMT) == 0)
		return 0;
	return backend_fail(call, -EINVAL, "its file is no eventfd");
}

/* --- handlers: each takes one request that was checked, and returns 0 or -errno after backend_fail() ------- */

/* backend_mem.c */
int vhostx_handle_set_mem_table(struct backend_call *call);
int vhostx_handle_get_max_mem_slots(struct backend_call *call);
int vhostx_handle_add_mem_reg(struct backend_call *call);
int vhostx_handle_rem_mem_reg(struct backend_call *call);
int vhostx_handle_set_log_base(struct backend_call *call);
int vhostx_handle_set_log_fd(struct backend_call *call);

/* backend_iommu.c */
int vhostx_handle_set_backend_req_fd(struct backend_call *call);
int vhostx_handle_iotlb_msg(struct backend_call *call);

/* backend_config.c */
int vhostx_handle_get_config(struct backend_call *call);
int vhostx_handle_set_config(struct backend_call *call);

/* backend_postcopy.c */
int vhostx_handle_postcopy_advise(struct backend_call *call);
int vhostx_handle_postcopy_listen(struct backend_call *call);
int vhostx_handle_postcopy_end(struct backend_call *call);
int vhostx_handle_postcopy_ack(struct backend_call *call);

/* Does the message tell that the front-end has taken note of where memory is here? */
bool vhostx_postcopy_is_ack(const struct backend_call *call);
/* Before a table takes the place of the old one. @return 0, or -errno after backend_fail(). */
int vhostx_postcopy_take(struct backend_call *call, const struct vhostx_mem *mem);
/* Where a region of the table in use begins here, for the reply to whoever described it. */
uint64_t vhostx_postcopy_base(const struct vhostx_backend *be, const struct vhostx_msg_region *region);
/* Nobody waits for a page any more. */
void vhostx_postcopy_stop(struct vhostx_backend *be);

/* backend_inflight.c */
int vhostx_handle_get_inflight_fd(struct backend_call *call);
int vhostx_handle_set_inflight_fd(struct backend_call *call);

/* --- IOTLB, backend_iommu.c ------------------------------------------------------------------- */

/* Have an IOTLB or none, while all rings are paused. @return 0, or -ENOMEM after backend_fail(). */
int vhostx_backend_use_iommu(struct backend_call *call, bool use);

/* A ring has stopped: the front-end need not tell any more what the guest takes back. */
void vhostx_backend_forget_iotlb(struct vhostx_backend *be);

#endif /* VHOSTX_USER_BACKEND_CALL_H */
