/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The UNIX socket of a port: listens, or connects and reconnects for ever, and turns bytes into
 * messages. The only user of socket calls.
 */
#ifndef VHOSTX_USER_SOCK_H
#define VHOSTX_USER_SOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "msg.h"
#include "sock_path.h"

/**
 * A client's first retry comes at once, the next ones after 1 ms, 2 ms, 4 ms ... up to this. Only a
 * connection that lasted as long starts that anew: one that is lost at once, time and again, must not
 * keep the control thread busy.
 */
#define VHOSTX_SOCK_RETRY_MAX_US 20000u

/** What the owner of a socket is told; each is called on the control thread with the lock held. */
struct vhostx_sock_ops {
	void (*connected)(void *ctx);                      /**< a front-end is there */
	int (*message)(void *ctx, struct vhostx_msg *msg); /**< <0: close the connection */
	void (*disconnected)(void *ctx);                   /**< it is gone; the next may come at once */
	void (*release)(void *ctx); /**< no lock held, after _close(): the last callback, once */
};

/** What a socket is opened with. */
struct vhostx_sock_conf {
	const char *name;      /**< the port's name, for the log; lives until release() */
	const char *path;      /**< lives until release(); shorter than sun_path */
	bool client;           /**< connect instead of listen */
	const struct vhostx_sock_perm *perm; /**< of a server's file; NULL: the process's own */
	pthread_mutex_t *lock; /**< the port mutex: taken around each callback */
	const struct vhostx_sock_ops *ops;
	void *ctx;             /**< handed to the callbacks */
};

struct vhostx_sock;

/**
 * Open the socket; the caller holds conf->lock. A stale socket file is replaced; a live socket of
 * anybody, or a file that is no socket, is not. In server mode the file exists on return; in client mode
 * the first attempt is made by the control thread. A second front-end on a busy server socket is
 * closed at once.
 *
 * @return 0, or -errno after a log line that names the remedy (-EADDRINUSE: somebody listens there;
 *   -EEXIST: not a socket; that of socket, bind, listen or the control thread). No callback comes
 *   after an error, not even release().
 */
int vhostx_sock_open(const struct vhostx_sock_conf *conf, struct vhostx_sock **sock);

/**
 * Send a reply to the front-end; never blocks. The caller holds the lock.
 * @return 0, or -errno: -ENOTCONN, -EAGAIN (it does not read its replies): close the connection.
 */
int vhostx_sock_send(struct vhostx_sock *sock, const struct vhostx_msg_header *header,
	const void *payload);

/** As vhostx_sock_send(), with a file, which stays the caller's; -1: none. */
int vhostx_sock_send_fd(struct vhostx_sock *sock, const struct vhostx_msg_header *header,
	const void *payload, int fd);

/** Read nothing from the front-end until vhostx_sock_go_on(). The caller holds the lock. */
void vhostx_sock_hold(struct vhostx_sock *sock);

/**
 * Read on, or, if @a ret is negative, close the connection as if message() had returned that. On the control
 * thread, the caller holds the lock. Does nothing for a socket that is not held; NULL is allowed.
 */
void vhostx_sock_go_on(struct vhostx_sock *sock, int ret);

/**
 * The connection once more, for who waits for its end; it is the caller's to close. The caller holds the lock.
 * @return the file or -errno.
 */
int vhostx_sock_dup(const struct vhostx_sock *sock);

/** Is a front-end connected? The caller holds the lock. */
bool vhostx_sock_connected(const struct vhostx_sock *sock);

/**
 * The process of the front-end that is connected; the caller holds the lock.
 * @return 0 if there is none, or if it cannot be seen from here.
 */
pid_t vhostx_sock_peer(const struct vhostx_sock *sock);

/**
 * Close connection and socket, remove the socket's file; the caller holds the lock. Does not call
 * disconnected(); release() comes after the caller has let the lock go, and may end the lock's life:
 * the caller touches neither ctx nor the lock after that. Never waits for the control thread. NULL is
 * allowed.
 */
void vhostx_sock_close(struct vhostx_sock *sock);

#endif /* VHOSTX_USER_SOCK_H */
