/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Messages about guest memory: whole tables, single regions that come and go, and the log of what is written.
 */
#include <errno.h>
#include <string.h>

#include "../vhostx_log.h"
#include "backend_call.h"

/* A log that is too short is of the front-end's making; its guest has to be served none the less. */
static void
backend_check_log(const struct vhostx_backend *be)
{
	if (be->log != NULL && !vhostx_log_covers(be->log, be->mem))
		VHOSTX_LOG(WARNING, be->name, "the dirty log ends before guest memory does: "
			"a migration would lose what is written behind its end");
}

static struct vhostx_region_desc
backend_region(const struct vhostx_msg_region *region)
{
	return (struct vhostx_region_desc) {
		.gpa = region->gpa, .size = region->size,
		.uva = region->uva, .mmap_offset = region->mmap_offset,
	};
}

/*
 * In post-copy what describes memory is sent back, with the addresses that it has here. "The back-end must have
 * mmap'd the regions but not yet accessed them": until the front-end has acknowledged that, no ring runs.
 */
static void
backend_answer(struct backend_call *call)
{
	if (!call->be->listening)
		return;
	call->answers = true;
	call->reply->payload = call->msg->payload;
	call->reply->header.size = call->msg->header.size;
	call->be->unacked = true;
}

static enum vhostx_map_with
backend_shares_with(const struct vhostx_backend *be)
{
	if (be->listening)
		return VHOSTX_MAP_OWN;
	return be->local ? VHOSTX_MAP_LOCAL : VHOSTX_MAP_ALL;
}

/*
 * Take the outcome of building a table. If there is one it takes the place of the old, between two
 * bursts of every ring; else the old stays.
 */
static int
backend_use_memory(struct backend_call *call, int ret, struct vhostx_mem *mem, const char *why)
{
	struct vhostx_backend *be = call->be;
	struct vhostx_mem *old = be->mem;

	if (ret == -EINVAL || ret == -ENOENT)
		return backend_fail(call, ret, "%s", why);
	if (ret != 0)
		return backend_fail(call, ret, "%s (%s)", why, strerror(-ret));
	ret = be->listening ? vhostx_postcopy_take(call, mem) : 0;
	if (ret != 0) {
		vhostx_mem_free(mem);
		return ret;
	}
	backend_pause_all(be);
	/* It has addresses of the old table's mappings. */
	if (be->iotlb != NULL)
		vhostx_iotlb_remove(be->iotlb, 0, UINT64_MAX);
	be->mem = mem;
	be->mem_changes++;
	vhostx_mem_free(old);
	backend_check_log(be);
	backend_resume_all(be);
	return 0;
}

int
vhostx_handle_set_mem_table(struct backend_call *call)
{
	const struct vhostx_msg_memory *memory = &call->msg->payload.memory;
	struct vhostx_region_desc desc[VHOSTX_MSG_FDS];
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	int ret;

	for (uint32_t i = 0; i < memory->nr; i++)
		desc[i] = backend_region(&memory->region[i]);
	backend_answer(call);
	ret = vhostx_mem_build(desc, call->msg->fds, memory->nr, call->be->mem, backend_shares_with(call->be), &mem, &why);
	ret = backend_use_memory(call, ret, mem, why);
	for (uint32_t i = 0; i < memory->nr && ret == 0 && call->answers; i++)
		call->reply->payload.memory.region[i].uva = vhostx_postcopy_base(call->be, &memory->region[i]);
	return ret;
}

int
vhostx_handle_get_max_mem_slots(struct backend_call *call)
{
	backend_reply_u64(call, VHOSTX_MEM_SLOTS);
	return 0;
}

int
vhostx_handle_add_mem_reg(struct backend_call *call)
{
	const struct vhostx_msg_region *region = &call->msg->payload.mem_reg.region;
	const struct vhostx_region_desc desc = backend_region(region);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	int ret;

	backend_answer(call);
	ret = vhostx_mem_add(call->be->mem, &desc, call->msg->fds[0], backend_shares_with(call->be), &mem, &why);
	ret = backend_use_memory(call, ret, mem, why);
	if (ret == 0 && call->answers)
		call->reply->payload.mem_reg.region.uva = vhostx_postcopy_base(call->be, region);
	return ret;
}

int
vhostx_handle_rem_mem_reg(struct backend_call *call)
{
	const struct vhostx_region_desc desc = backend_region(&call->msg->payload.mem_reg.region);
	struct vhostx_mem *mem = NULL;
	const char *why = NULL;
	int ret = vhostx_mem_remove(call->be->mem, &desc, &mem, &why);

	return backend_use_memory(call, ret, mem, why);
}

/* The old log gets its last bit before the reply: the front-end may then read and free it. */
int
vhostx_handle_set_log_base(struct backend_call *call)
{
	const struct vhostx_msg_log *desc = &call->msg->payload.log;
	struct vhostx_backend *be = call->be;
	struct vhostx_log *log = NULL;
	const char *why = NULL;
	int ret = vhostx_log_open(call->msg->fds[0], desc->offset, desc->size, &log, &why);

	if (ret != 0)
		return backend_fail(call, ret, "%s", why);
	backend_pause_all(be);
	vhostx_log_close(be->log);
	be->log = log;
	backend_check_log(be);
	backend_resume_all(be);
	/* The specification names no payload: QEMU takes any, rust-vmm waits for eight bytes. */
	backend_reply_u64(call, 0);
	return 0;
}

int
vhostx_handle_set_log_fd(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;
	int ret = backend_check_eventfd(call);

	if (ret != 0)
		return ret;
	backend_pause_all(be);
	backend_keep_fd(&be->logfd, backend_take_fd(call->msg));
	backend_resume_all(be);
	return 0;
}
