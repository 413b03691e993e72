/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Messages come in: bytes up to the end of one, and its files.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../vhostx_log.h"
#include "sock_msg.h"

static enum vhostx_sock_step
msg_refuse(const struct vhostx_sock_msg *in, const struct vhostx_sock_conf *conf, const char *why)
{
	VHOSTX_LOG(ERR, conf->name, "message %s (%u) refused, %s; the connection is closed",
		vhostx_msg_name(in->msg.header.request), in->msg.header.request, why);
	return VHOSTX_SOCK_GONE;
}

/** Take one file into the message, or close it if the message is full. @return whether it fitted. */
static bool
msg_keep_fd(struct vhostx_msg *msg, int fd)
{
	if (msg->nr_fds == VHOSTX_MSG_FDS) {
		close(fd);
		return false;
	}
	msg->fds[msg->nr_fds++] = fd;
	return true;
}

/** Take every file that came with a receive call. @return whether all fitted into the message. */
static bool
msg_keep_fds(struct vhostx_msg *msg, struct msghdr *hdr)
{
	struct cmsghdr *cmsg;
	bool fitted = true;
	size_t i, nr;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(hdr); cmsg != NULL; cmsg = CMSG_NXTHDR(hdr, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		nr = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < nr; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			fitted &= msg_keep_fd(msg, fd);
		}
	}
	return fitted;
}

/**
 * The part of the message that is still to come: first the header alone, for its size tells where this
 * message ends, and no byte of the next may be taken with it lest its files come along.
 */
static struct iovec
msg_missing(struct vhostx_sock_msg *in)
{
	const size_t header = sizeof(in->msg.header);
	const size_t got = in->received;

	if (got < header)
		return (struct iovec){ (uint8_t *)&in->msg.header + got, header - got };
	return (struct iovec){ in->msg.payload.bytes + (got - header), header + in->msg.header.size - got };
}

/** What the message came to, now that some bytes of it are there. */
static enum vhostx_sock_step
msg_judge(const struct vhostx_sock_msg *in, const struct vhostx_sock_conf *conf)
{
	const struct vhostx_msg *msg = &in->msg;

	if (in->received < sizeof(msg->header))
		return VHOSTX_SOCK_MORE;
	if (msg->header.size > sizeof(msg->payload))
		return msg_refuse(in, conf, "its payload is longer than any");
	return in->received == sizeof(msg->header) + msg->header.size ? VHOSTX_SOCK_MESSAGE : VHOSTX_SOCK_MORE;
}

static enum vhostx_sock_step
msg_judge_error(const struct vhostx_sock_conf *conf, int err)
{
	if (err == EAGAIN)
		return VHOSTX_SOCK_EMPTY;
	if (err == EINTR)
		return VHOSTX_SOCK_MORE;
	VHOSTX_LOG(INFO, conf->name, "cannot receive from %s: %s", conf->path, strerror(err));
	return VHOSTX_SOCK_GONE;
}

enum vhostx_sock_step
vhostx_sock_msg_receive(struct vhostx_sock_msg *in, int fd, const struct vhostx_sock_conf *conf)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(VHOSTX_MSG_FDS * sizeof(int))];
	} control;
	struct iovec iov = msg_missing(in);
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	bool fitted;
	ssize_t len;

	len = recvmsg(fd, &hdr, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (len < 0)
		return msg_judge_error(conf, errno);
	fitted = msg_keep_fds(&in->msg, &hdr);
	if (len == 0)
		return in->received == 0 ? VHOSTX_SOCK_GONE :
			msg_refuse(in, conf, "the front-end hung up in the middle of it");
	in->received += len;
	if (!fitted || ((hdr.msg_flags & MSG_CTRUNC) && in->msg.nr_fds == VHOSTX_MSG_FDS))
		return msg_refuse(in, conf, "it comes with more than 8 files");
	/* The kernel says the same when it cannot open the files here. */
	if (hdr.msg_flags & MSG_CTRUNC)
		return msg_refuse(in, conf, "its files cannot be taken (too many open files?)");
	return msg_judge(in, conf);
}

void
vhostx_sock_msg_forget(struct vhostx_sock_msg *in)
{
	vhostx_msg_close_fds(&in->msg);
	in->msg.nr_fds = 0;
	in->msg.header = (struct vhostx_msg_header){ 0 };
	in->received = 0;
}
