/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: a table of handlers, and the answer that each outcome asks for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../vhostx_log.h"
#include "backend_call.h"

/* Most entries of a ring (virtio 1.3, 2.7 and 2.8). */
#define BACKEND_RING_MAX 32768u

/* Handles one request that was checked. @return 0, or -errno after backend_fail(). */
typedef int (*backend_handler)(struct backend_call *call);

/* A ring that is paused leaves the state "started"; what else was said of it stays. */
static void
backend_stop(struct vhostx_vring *vring)
{
	vring->started = false;
	backend_keep_fd(&vring->kickfd, -1);
}

/* "If [it] has not been negotiated, the ring starts directly in the enabled state." */
static bool
backend_starts_enabled(const struct vhostx_backend *be)
{
	return be->has_features && (be->features & RTE_BIT64(VHOSTX_F_PROTOCOL_FEATURES)) == 0;
}

/* Is there such a ring? @a idx is what the message says, in full width. */
static int
backend_check_index(struct backend_call *call, uint32_t idx)
{
	const unsigned int nr = call->be->nr_vrings;

	if (idx < nr)
		return 0;
	return backend_fail(call, -EINVAL, "ring %u is past the %u rings of this port (queues=%u)",
		idx, nr, nr / 2);
}

/* --- features --------------------------------------------------------------------------------- */

static int
handle_get_features(struct backend_call *call)
{
	call->be->asked_features = true;
	backend_reply_u64(call, call->be->offered);
	return 0;
}

static int
handle_set_features(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;
	const uint64_t features = call->msg->payload.u64;
	int ret;

	if ((features & ~be->offered) != 0)
		return backend_fail(call, -EINVAL, "features 0x%" PRIx64 " were not offered",
			features & ~be->offered);
	backend_pause_all(be);
	ret = vhostx_backend_use_iommu(call, (features & RTE_BIT64(VHOSTX_F_ACCESS_PLATFORM)) != 0);
	if (ret != 0) {
		backend_resume_all(be);
		return ret;
	}
	be->features = features;
	be->has_features = true;
	be->asked_features = false;
	be->told_features = false;
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		if (be->vring[i].started && backend_starts_enabled(be))
			be->vring[i].enabled = true;
	}
	backend_resume_all(be);
	return 0;
}

static int
handle_get_protocol_features(struct backend_call *call)
{
	backend_reply_u64(call, call->be->protocol_offered);
	return 0;
}

static int
handle_set_protocol_features(struct backend_call *call)
{
	const uint64_t features = call->msg->payload.u64;
	const uint64_t offered = call->be->protocol_offered;

	if ((features & ~offered) != 0)
		return backend_fail(call, -EINVAL, "features 0x%" PRIx64 " were not offered",
			features & ~offered);
	call->be->protocol_features = features;
	return 0;
}

static int
handle_get_queue_num(struct backend_call *call)
{
	backend_reply_u64(call, call->be->nr_vrings / 2);
	return 0;
}

/* --- session and device ----------------------------------------------------------------------- */

static int
handle_set_owner(struct backend_call *call)
{
	(void)call; /* the connection is the session */
	return 0;
}

/* Deprecated: "either ignore this message, or use it to disable all rings"; forget nothing. */
static int
handle_reset_owner(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;

	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		backend_pause(be, i);
		be->vring[i].enabled = false;
		backend_resume(be, i);
	}
	return 0;
}

/*
 * "Disable all rings and reset all internal device state to the initial state, ready to be
 * reinitialized." What belongs to the connection stays: protocol features, memory (QEMU keeps a
 * list of the slots that it has added, and does not add them again), and the call and err files
 * (QEMU sends them when the guest's interrupt masks change, which a reset need not do).
 */
static int
handle_reset_device(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;

	backend_pause_all(be);
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		struct vhostx_vring *vring = &be->vring[i];

		backend_stop(vring);
		*vring = (struct vhostx_vring) {
			.kickfd = -1, .callfd = vring->callfd, .errfd = vring->errfd,
		};
		be->ops->rewind(be->ctx, i);
	}
	vhostx_backend_forget_iotlb(be);
	be->features = 0;
	be->has_features = false;
	be->status = 0;
	return 0;
}

/*
 * Status 0 is the driver's reset (virtio 1.3, 2.1.2): from then on the device leaves the rings
 * alone. The front-end has usually stopped them by GET_VRING_BASE; SET_VRING_KICK starts them.
 */
static int
handle_set_status(struct backend_call *call)
{
	struct vhostx_backend *be = call->be;
	const uint64_t status = call->msg->payload.u64;

	if (status > UINT8_MAX)
		return backend_fail(call, -EINVAL, "device status 0x%" PRIx64 " is past 8 bits",
			status);
	be->status = status;
	if (status != 0)
		return 0;
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		backend_pause(be, i);
		backend_stop(&be->vring[i]);
	}
	vhostx_backend_forget_iotlb(be);
	return 0;
}

static int
handle_get_status(struct backend_call *call)
{
	backend_reply_u64(call, call->be->status);
	return 0;
}

/* "The first 6 bytes of the payload contain the mac address of the guest." */
static int
handle_send_rarp(struct backend_call *call)
{
	const uint8_t *mac = call->msg->payload.bytes;

	if ((mac[0] & 1) != 0 || (mac[0] | mac[1] | mac[2] | mac[3] | mac[4] | mac[5]) == 0)
		return backend_fail(call, -EINVAL, "its address is no guest's");
	call->be->ops->send_rarp(call->be->ctx, mac);
	return 0;
}

static int
handle_net_set_mtu(struct backend_call *call)
{
	const struct vhostx_backend *be = call->be;
	const uint64_t mtu = call->msg->payload.u64;

	if (be->ops->set_mtu(be->ctx, mtu) != 0)
		return backend_fail(call, -EINVAL, "MTU %" PRIu64 " is refused", mtu);
	return 0;
}

/* --- one ring --------------------------------------------------------------------------------- */

static int
handle_set_vring_num(struct backend_call *call)
{
	const struct vhostx_msg_vring_state *state = &call->msg->payload.state;
	int ret = backend_check_index(call, state->index);

	if (ret != 0)
		return ret;
	if (state->num == 0 || state->num > BACKEND_RING_MAX)
		return backend_fail(call, -EINVAL, "ring %u of %u entries; 1 to %u are possible",
			state->index, state->num, BACKEND_RING_MAX);
	backend_pause(call->be, state->index);
	call->be->vring[state->index].num = state->num;
	backend_resume(call->be, state->index);
	return 0;
}

static int
handle_set_vring_addr(struct backend_call *call)
{
	const struct vhostx_msg_vring_addr *addr = &call->msg->payload.addr;
	struct vhostx_vring *vring;
	int ret = backend_check_index(call, addr->index);

	if (ret != 0)
		return ret;
	if ((addr->flags & ~VHOSTX_VRING_F_LOG) != 0)
		return backend_fail(call, -EINVAL, "ring %u has flags 0x%x; 0 and 1 are possible",
			addr->index, addr->flags);
	backend_pause(call->be, addr->index);
	vring = &call->be->vring[addr->index];
	vring->desc_uva = addr->desc;
	vring->avail_uva = addr->avail;
	vring->used_uva = addr->used;
	vring->log = (addr->flags & VHOSTX_VRING_F_LOG) != 0;
	vring->log_addr = addr->log;
	vring->has_addr = true;
	backend_resume(call->be, addr->index);
	return 0;
}

static int
handle_set_vring_base(struct backend_call *call)
{
	const struct vhostx_msg_vring_state *state = &call->msg->payload.state;
	const struct vhostx_backend *be = call->be;
	int ret = backend_check_index(call, state->index);

	if (ret != 0)
		return ret;
	backend_pause(be, state->index);
	be->ops->set_base(be->ctx, state->index, state->num);
	backend_resume(be, state->index);
	return 0;
}

static int
handle_get_vring_base(struct backend_call *call)
{
	const uint32_t idx = call->msg->payload.state.index;
	struct vhostx_backend *be = call->be;
	int ret = backend_check_index(call, idx);

	if (ret != 0)
		return ret;
	backend_pause(be, idx);
	backend_stop(&be->vring[idx]);
	vhostx_backend_forget_iotlb(be);
	call->reply->payload.state.index = idx;
	call->reply->payload.state.num = be->ops->get_base(be->ctx, idx);
	call->reply->header.size = sizeof(call->reply->payload.state);
	return 0;
}

static int
handle_set_vring_kick(struct backend_call *call)
{
	const uint32_t idx = call->msg->payload.u64 & VHOSTX_MSG_VRING_MASK;
	struct vhostx_backend *be = call->be;
	int ret = backend_check_index(call, idx);

	if (ret == 0)
		ret = backend_check_eventfd(call);
	if (ret != 0)
		return ret;
	backend_pause(be, idx);
	backend_keep_fd(&be->vring[idx].kickfd, backend_take_fd(call->msg));
	be->vring[idx].started = true;
	if (backend_starts_enabled(be))
		be->vring[idx].enabled = true;
	backend_resume(be, idx);
	return 0;
}

/* SET_VRING_CALL and _ERR: files that start nothing. */
static int
handle_set_vring_file(struct backend_call *call)
{
	const bool err = call->msg->header.request == VHOSTX_SET_VRING_ERR;
	const uint32_t idx = call->msg->payload.u64 & VHOSTX_MSG_VRING_MASK;
	struct vhostx_vring *vring;
	int ret = backend_check_index(call, idx);

	if (ret == 0)
		ret = backend_check_eventfd(call);
	if (ret != 0)
		return ret;
	vring = &call->be->vring[idx];
	backend_pause(call->be, idx);
	backend_keep_fd(err ? &vring->errfd : &vring->callfd, backend_take_fd(call->msg));
	backend_resume(call->be, idx);
	return 0;
}

static int
handle_set_vring_enable(struct backend_call *call)
{
	const struct vhostx_msg_vring_state *state = &call->msg->payload.state;
	int ret = backend_check_index(call, state->index);

	if (ret != 0)
		return ret;
	if (state->num > 1)
		return backend_fail(call, -EINVAL, "ring %u to %u; 0 and 1 are possible",
			state->index, state->num);
	backend_pause(call->be, state->index);
	call->be->vring[state->index].enabled = state->num == 1;
	backend_resume(call->be, state->index);
	return 0;
}

/* --- every message ---------------------------------------------------------------------------- */

/* One for each request that the table in msg.c says is served. */
static const backend_handler backend_handlers[] = {
	[VHOSTX_GET_FEATURES] = handle_get_features,
	[VHOSTX_SET_FEATURES] = handle_set_features,
	[VHOSTX_SET_OWNER] = handle_set_owner,
	[VHOSTX_RESET_OWNER] = handle_reset_owner,
	[VHOSTX_SET_MEM_TABLE] = vhostx_handle_set_mem_table,
	[VHOSTX_SET_LOG_BASE] = vhostx_handle_set_log_base,
	[VHOSTX_SET_LOG_FD] = vhostx_handle_set_log_fd,
	[VHOSTX_SET_VRING_NUM] = handle_set_vring_num,
	[VHOSTX_SET_VRING_ADDR] = handle_set_vring_addr,
	[VHOSTX_SET_VRING_BASE] = handle_set_vring_base,
	[VHOSTX_GET_VRING_BASE] = handle_get_vring_base,
	[VHOSTX_SET_VRING_KICK] = handle_set_vring_kick,
	[VHOSTX_SET_VRING_CALL] = handle_set_vring_file,
	[VHOSTX_SET_VRING_ERR] = handle_set_vring_file,
	[VHOSTX_GET_PROTOCOL_FEATURES] = handle_get_protocol_features,
	[VHOSTX_SET_PROTOCOL_FEATURES] = handle_set_protocol_features,
	[VHOSTX_GET_QUEUE_NUM] = handle_get_queue_num,
	[VHOSTX_SET_VRING_ENABLE] = handle_set_vring_enable,
	[VHOSTX_SEND_RARP] = handle_send_rarp,
	[VHOSTX_NET_SET_MTU] = handle_net_set_mtu,
	[VHOSTX_SET_BACKEND_REQ_FD] = vhostx_handle_set_backend_req_fd,
	[VHOSTX_IOTLB_MSG] = vhostx_handle_iotlb_msg,
	[VHOSTX_GET_CONFIG] = vhostx_handle_get_config,
	[VHOSTX_SET_CONFIG] = vhostx_handle_set_config,
	[VHOSTX_POSTCOPY_ADVISE] = vhostx_handle_postcopy_advise,
	[VHOSTX_POSTCOPY_LISTEN] = vhostx_handle_postcopy_listen,
	[VHOSTX_POSTCOPY_END] = vhostx_handle_postcopy_end,
	[VHOSTX_GET_INFLIGHT_FD] = vhostx_handle_get_inflight_fd,
	[VHOSTX_SET_INFLIGHT_FD] = vhostx_handle_set_inflight_fd,
	[VHOSTX_RESET_DEVICE] = handle_reset_device,
	[VHOSTX_GET_MAX_MEM_SLOTS] = vhostx_handle_get_max_mem_slots,
	[VHOSTX_ADD_MEM_REG] = vhostx_handle_add_mem_reg,
	[VHOSTX_REM_MEM_REG] = vhostx_handle_rem_mem_reg,
	[VHOSTX_SET_STATUS] = handle_set_status,
	[VHOSTX_GET_STATUS] = handle_get_status,
};

static bool
backend_has_protocol_feature(const struct vhostx_backend *be, unsigned int bit)
{
	return (be->protocol_features & RTE_BIT64(bit)) != 0;
}

/* The protocol feature that a request belongs to, if it was not agreed on; else negative. */
static int
backend_lacks(const struct vhostx_backend *be, uint32_t request)
{
	const int feature = vhostx_msg_protocol_feature(request);

	return feature >= 0 && backend_has_protocol_feature(be, feature) ? -1 : feature;
}

bool
vhostx_backend_serves(const struct vhostx_backend *be, const struct vhostx_msg *msg)
{
	const char *why;

	return vhostx_msg_check(msg, &why) == 0 && backend_lacks(be, msg->header.request) < 0;
}

/* Check and handle. @return 0; -EPROTO if malformed; another -errno if refused. */
static int
backend_dispatch(struct backend_call *call)
{
	const uint32_t request = call->msg->header.request;
	const char *why = NULL;
	int ret, lacks;

	if (vhostx_postcopy_is_ack(call))
		return vhostx_handle_postcopy_ack(call);
	ret = vhostx_msg_check(call->msg, &why);
	if (ret != 0)
		return backend_fail(call, ret, "%s (request %u)", why, request);
	lacks = backend_lacks(call->be, request);
	if (lacks >= 0)
		return backend_fail(call, -ENOSYS, "protocol feature %d was not agreed", lacks);
	return backend_handlers[request](call);
}

enum vhostx_verdict
vhostx_backend_handle(struct vhostx_backend *be, struct vhostx_msg *msg, struct vhostx_msg *reply)
{
	struct backend_call call = { .be = be, .msg = msg, .reply = reply };
	const uint32_t request = msg->header.request;
	bool ack, answers;
	int ret;

	VHOSTX_LOG(DEBUG, be->name, "%s (%u)", vhostx_msg_name(request), request);
	reply->header = (struct vhostx_msg_header) {
		.request = request, .flags = VHOSTX_MSG_VERSION | VHOSTX_MSG_REPLY,
	};
	reply->nr_fds = 0;
	ret = backend_dispatch(&call);
	/* After the handler, which may have negotiated REPLY_ACK. */
	answers = vhostx_msg_has_reply(request) || call.answers;
	ack = (msg->header.flags & VHOSTX_MSG_NEED_REPLY) != 0 && !answers &&
		backend_has_protocol_feature(be, VHOSTX_PROTOCOL_F_REPLY_ACK);
	if (ret != 0) {
		/* A reply of its own cannot say "no"; after a malformed message all is doubtful. */
		ack = ack && ret != -EPROTO;
		VHOSTX_LOG(ERR, be->name, "%s: %s; %s", vhostx_msg_name(request), call.why,
			ack ? "request refused" : "connection closed");
		if (!ack)
			return VHOSTX_CLOSE;
	}
	if (ack)
		backend_reply_u64(&call, ret != 0);
	return ack || answers ? VHOSTX_REPLY : VHOSTX_SILENT;
}

/* --- life ------------------------------------------------------------------------------------- */

static void
backend_init_vring(struct vhostx_vring *vring)
{
	*vring = (struct vhostx_vring) { .kickfd = -1, .callfd = -1, .errfd = -1 };
}

int
vhostx_backend_init(struct vhostx_backend *be, const char *name, uint64_t offered,
	uint16_t nr_vrings, const struct vhostx_backend_ops *ops, void *ctx)
{
	*be = (struct vhostx_backend) {
		.name = name, .ops = ops, .ctx = ctx, .offered = offered, .nr_vrings = nr_vrings,
		.protocol_offered = VHOSTX_PROTOCOL_FEATURES,
		.logfd = -1,
		.reqfd = -1,
		.vring = calloc(nr_vrings, sizeof(*be->vring)),
	};
	if (be->vring == NULL)
		return -ENOMEM;
	for (uint16_t i = 0; i < nr_vrings; i++)
		backend_init_vring(&be->vring[i]);
	return 0;
}

/* QEMU hangs up, and says so on its own standard error only, when its running guest has more than is offered. */
static void
backend_check_farewell(struct vhostx_backend *be)
{
	if (be->asked_features && !be->has_features && !be->told_features) {
		VHOSTX_LOG(NOTICE, be->name, "the front-end left without choosing of the features 0x%" PRIx64
			": a guest that runs with more of them needs the arguments that this port had before, "
			"or a restart", be->offered);
		be->told_features = true;
	}
	be->asked_features = false;
}

void
vhostx_backend_reset(struct vhostx_backend *be)
{
	backend_check_farewell(be);
	/* First: a poller may sleep in a fault that nobody answers any more. */
	vhostx_postcopy_stop(be);
	backend_pause_all(be);
	for (uint16_t i = 0; i < be->nr_vrings; i++) {
		backend_keep_fd(&be->vring[i].kickfd, -1);
		backend_keep_fd(&be->vring[i].callfd, -1);
		backend_keep_fd(&be->vring[i].errfd, -1);
		backend_init_vring(&be->vring[i]);
	}
	vhostx_log_close(be->log);
	be->log = NULL;
	vhostx_inflight_close(be->inflight);
	be->inflight = NULL;
	backend_keep_fd(&be->logfd, -1);
	backend_keep_fd(&be->reqfd, -1);
	vhostx_iotlb_free(be->iotlb);
	be->iotlb = NULL;
	vhostx_mem_free(be->mem);
	be->mem = NULL;
	be->features = 0;
	be->has_features = false;
	be->protocol_features = 0;
	be->status = 0;
}

void
vhostx_backend_fini(struct vhostx_backend *be)
{
	vhostx_backend_reset(be);
	free(be->vring);
	be->vring = NULL;
	be->nr_vrings = 0;
}
