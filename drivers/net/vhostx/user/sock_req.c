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

/* One request, as it is on the wire. */
struct miss_request {
	struct vhostx_msg_header header;
	struct vhostx_msg_iotlb iotlb;
} __rte_packed;

int
vhostx_req_send_misses(int fd, const uint64_t *miss, uint32_t n)
{
	struct miss_request request[VHOSTX_REQ_MISSES];
	ssize_t len;

	for (uint32_t i = 0; i < n; i++) {
		request[i] = (struct miss_request) {
			.header = {
				.request = VHOSTX_BACKEND_IOTLB_MSG,
				.flags = VHOSTX_MSG_VERSION,
				.size = sizeof(request[i].iotlb),
			},
			.iotlb = {
				.iova = vhostx_miss_iova(miss[i]),
				.perm = vhostx_miss_access(miss[i]),
				.type = VHOSTX_IOTLB_MISS,
			},
		};
	}
	len = send(fd, request, n * sizeof(request[0]), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (len < 0)
		return -errno;
	/* A message that was cut in two cannot be taken back. */
	return (size_t)len == n * sizeof(request[0]) ? 0 : -EPIPE;
}
