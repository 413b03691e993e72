/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Requests to the front-end.
 */
#include <errno.h>
#include <sys/socket.h>

#include "../mem/iotlb.h"
#include "sock_req.h"

bool
vhostx_req_is_channel(int fd)
{
	socklen_t len = sizeof(int);
	int type;

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

int
vhostx_req_send_miss(int fd, uint64_t miss)
{
	const struct {
		struct vhostx_msg_header header;
		struct vhostx_msg_iotlb iotlb;
	} __rte_packed msg = {
		.header = {
			.request = VHOSTX_BACKEND_IOTLB_MSG,
			.flags = VHOSTX_MSG_VERSION,
			.size = sizeof(msg.iotlb),
		},
		.iotlb = {
			.iova = vhostx_miss_iova(miss),
			.perm = vhostx_miss_access(miss),
			.type = VHOSTX_IOTLB_MISS,
		},
	};
	const ssize_t len = send(fd, &msg, sizeof(msg), MSG_DONTWAIT | MSG_NOSIGNAL);

	if (len < 0)
		return -errno;
	/* A message that was cut in two cannot be taken back. */
	return len == sizeof(msg) ? 0 : -EPIPE;
}
