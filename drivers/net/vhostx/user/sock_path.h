/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The path of a UNIX socket: connect to it, listen on it, tell a stale file from a live one.
 */
#ifndef VHOSTX_USER_SOCK_PATH_H
#define VHOSTX_USER_SOCK_PATH_H

#include <stdint.h>
#include <sys/types.h>

/** A listening socket and the file that it made. */
struct vhostx_sock_path {
	const char *path; /**< the caller's */
	int fd;           /**< non-blocking, close-on-exec; -1: does not listen */
	dev_t dev;        /**< of the file, to know it again */
	ino_t ino;        /**< of the file, to know it again */
};

/** Whose the socket's file is and who may connect (that takes write permission). */
struct vhostx_sock_perm {
	int64_t owner; /**< user id; -1: unchanged */
	int64_t group; /**< group id; -1: unchanged */
	int32_t mode;  /**< permission bits, 0 to 0777; -1: unchanged */
};

/**
 * Connect to @a path without waiting: a UNIX socket does so at once or not at all.
 * @return the file descriptor, non-blocking and close-on-exec; or -errno (-EAGAIN: the listener's
 *   queue is full; -ENAMETOOLONG).
 */
int vhostx_sock_path_dial(const char *path);

/**
 * Listen on @a path and fill @a file; a socket file on which nobody listens is replaced. The file has
 * the permissions @a perm (may be NULL) before anybody can connect; nobody else's file gets them. Waits for another
 * one, of this process or not, that does the same in this folder, a second at most.
 * @return 0; -EADDRINUSE (somebody listens there); -EEXIST (not a socket); -ENAMETOOLONG; or that of
 *   socket, bind, listen, connect, chown, chmod. On error @a file says that nobody listens.
 */
int vhostx_sock_path_listen(struct vhostx_sock_path *file, const char *path,
	const struct vhostx_sock_perm *perm);

/** Stop listening and remove the file, unless another stands in its place; nothing if fd is -1. */
void vhostx_sock_path_close(struct vhostx_sock_path *file);

#endif /* VHOSTX_USER_SOCK_PATH_H */
