/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A message as it comes in on a connection, in one receive call or in many.
 */
#ifndef VHOSTX_USER_SOCK_MSG_H
#define VHOSTX_USER_SOCK_MSG_H

#include <stddef.h>

#include "msg.h"
#include "sock.h"

/** The message that is being received; empty: all zero. */
struct vhostx_sock_msg {
	size_t received;       /**< bytes so far, header included */
	struct vhostx_msg msg; /**< its files are closed by vhostx_sock_msg_forget() */
};

/** What one receive call came to. */
enum vhostx_sock_step {
	VHOSTX_SOCK_MORE,    /**< some bytes of a message */
	VHOSTX_SOCK_MESSAGE, /**< a message is complete */
	VHOSTX_SOCK_EMPTY,   /**< nothing to read now */
	VHOSTX_SOCK_GONE,    /**< hang-up, or a message that cannot be taken: the log tells why */
};

/** One receive call on connection @a fd of the socket that has @a conf. */
enum vhostx_sock_step vhostx_sock_msg_receive(struct vhostx_sock_msg *in, int fd, const struct vhostx_sock_conf *conf);

/** Begin with the next message; closes the files that this one still has. */
void vhostx_sock_msg_forget(struct vhostx_sock_msg *in);

#endif /* VHOSTX_USER_SOCK_MSG_H */
