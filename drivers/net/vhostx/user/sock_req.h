/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The back-end's own channel to the front-end: a connected socket that the front-end gave, requests without reply.
 */
#ifndef VHOSTX_USER_SOCK_REQ_H
#define VHOSTX_USER_SOCK_REQ_H

#include <stdbool.h>

#include "msg.h"

/** Is @a fd something that requests can be sent on? */
bool vhostx_req_is_channel(int fd);

/** Most pages that are asked for at once. */
#define VHOSTX_REQ_MISSES 128u

/**
 * Ask for pages that the IOTLB lacks; never blocks, and sends all or nothing that is worth keeping. Any thread:
 * what several send at once is one after the other.
 *
 * @param miss  [n], 1 to VHOSTX_REQ_MISSES of vhostx_miss_word().
 * @return 0; -EAGAIN: the front-end does not read, try again; another -errno: the channel is of no use any more.
 */
int vhostx_req_send_misses(int fd, const uint64_t *miss, uint32_t n);

#endif /* VHOSTX_USER_SOCK_REQ_H */
