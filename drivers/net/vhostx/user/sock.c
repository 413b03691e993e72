/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * One socket of a port. Connections are made, served and dropped on the control thread alone; another
 * thread can only send a reply or close the whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_common.h>

#include "../mem/clock.h"
#include "../vhostx_log.h"
#include "loop.h"
#include "sock.h"
#include "sock_msg.h"
#include "sock_path.h"

/** Most receive or accept calls per wake-up: one talkative front-end must not hold up the others. */
#define SOCK_BURST 4
/** The same in time: with 128 queue pairs a single message takes some milliseconds. */
#define SOCK_TURN_US 1000u
/** How long accepting rests when the process has no file descriptor left. */
#define SOCK_PAUSE_US 100000u
#define SOCK_FIRST_RETRY_US 1000u
/** Connections that come without any wait; once they are used up, one is earned in each period. */
#define SOCK_PACE_CREDIT 200u
#define SOCK_PACE_US 100000u

/*
 * All fields are guarded by conf.lock. The timer is the first source to be made and the last to be
 * deleted, and sources are released in that order: its release is the end of the socket.
 */
struct vhostx_sock {
	struct vhostx_sock_conf conf;    /**< the caller's */
	struct vhostx_source *timer;     /**< next attempt to connect, or end of the rest in accepting */
	struct vhostx_source *listening; /**< server: NULL while accepting rests */
	struct vhostx_source *reading;   /**< of the connection */
	struct vhostx_sock_path file;    /**< server: what listens; a client's fd is -1 */
	int fd;                          /**< the connection; -1: none */
	uint64_t since_us;               /**< when the connection came, CLOCK_MONOTONIC */
	uint32_t retry_us;               /**< client: wait before the next attempt */
	uint64_t paid_us;                /**< when all connections so far will have been earned */
	uint64_t wait_us;                /**< that the next one has to wait, 0 unless they come too fast */
	bool hasty;                      /**< they came too fast, and half of the credit is not back yet */
	int logged;                      /**< errno of connect or accept that the log has already */
	bool held;                       /**< nothing is read from the connection */
	bool opened;                     /**< open succeeded: release() is due at the end */
	struct vhostx_sock_msg in;       /**< the message that is being received */
};

/** End the connection without telling anybody. */
static void
sock_hang_up(struct vhostx_sock *sock)
{
	vhostx_loop_del(sock->reading);
	sock->reading = NULL;
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
	sock->held = false;
	vhostx_sock_msg_forget(&sock->in);
}

/**
 * One more connection. A peer that comes and goes without end, like QEMU with more queues than the port has,
 * would keep the control thread busy and fill the log: it has to wait then.
 */
static void
sock_pace(struct vhostx_sock *sock)
{
	const uint64_t credit_us = (uint64_t)SOCK_PACE_CREDIT * SOCK_PACE_US;
	const uint64_t now = vhostx_now_us();
	const bool was_hasty = sock->hasty;

	sock->paid_us = RTE_MAX(sock->paid_us, now) + SOCK_PACE_US;
	sock->wait_us = sock->paid_us > now + credit_us ? sock->paid_us - now - credit_us : 0;
	sock->hasty = sock->paid_us > now + (was_hasty ? credit_us / 2 : credit_us);
	if (sock->hasty && !was_hasty)
		VHOSTX_LOG(WARNING, sock->conf.name, "front-ends on %s come and go too fast, one every "
			"%u ms is served from now on; see the lines above and the front-end's own log for why",
			sock->conf.path, SOCK_PACE_US / 1000);
}

/** Let the next attempt to connect come after the wait that is due, and double that. */
static void
sock_retry(struct vhostx_sock *sock)
{
	vhostx_loop_arm(sock->timer, RTE_MAX(sock->retry_us, sock->wait_us));
	sock->retry_us = sock->retry_us == 0 ? SOCK_FIRST_RETRY_US :
		RTE_MIN(2 * sock->retry_us, VHOSTX_SOCK_RETRY_MAX_US);
}

/** The connection is over: tell the owner, and as a client look for the next. */
static void
sock_drop(struct vhostx_sock *sock)
{
	sock_hang_up(sock);
	if (!sock->hasty)
		VHOSTX_LOG(INFO, sock->conf.name, "the front-end on %s is disconnected", sock->conf.path);
	sock->conf.ops->disconnected(sock->conf.ctx);
	if (!sock->conf.client || sock->timer == NULL)
		return;
	if (vhostx_now_us() - sock->since_us >= VHOSTX_SOCK_RETRY_MAX_US)
		sock->retry_us = 0;
	sock_retry(sock);
}

/** One step of serving the connection. @return whether another step makes sense now. */
static bool
sock_serve(struct vhostx_sock *sock)
{
	int ret;

	switch (vhostx_sock_msg_receive(&sock->in, sock->fd, &sock->conf)) {
	case VHOSTX_SOCK_MORE:
		return true;
	case VHOSTX_SOCK_MESSAGE:
		ret = sock->conf.ops->message(sock->conf.ctx, &sock->in.msg);
		vhostx_sock_msg_forget(&sock->in);
		if (ret >= 0)
			return true;
		break;
	case VHOSTX_SOCK_EMPTY:
		return false;
	case VHOSTX_SOCK_GONE:
		break;
	}
	if (sock->fd >= 0)
		sock_drop(sock);
	return false;
}

/** The connection has something to read, or is hung up. */
static void
sock_on_readable(void *arg)
{
	struct vhostx_sock *sock = arg;
	const uint64_t began = vhostx_now_us();
	unsigned int i;

	pthread_mutex_lock(sock->conf.lock);
	/* No connection: another thread closed the socket while this one was on its way here. */
	for (i = 0; i < SOCK_BURST && sock->fd >= 0 && !sock->held; i++)
		if (!sock_serve(sock) || vhostx_now_us() - began >= SOCK_TURN_US)
			break;
	pthread_mutex_unlock(sock->conf.lock);
}

/** Make @a fd the connection; closes it on error. */
static int
sock_begin(struct vhostx_sock *sock, int fd)
{
	sock->reading = vhostx_loop_add_fd(fd, sock_on_readable, NULL, sock);
	if (sock->reading == NULL) {
		const int err = errno;

		close(fd);
		return -err;
	}
	sock->fd = fd;
	sock->since_us = vhostx_now_us();
	if (!sock->hasty)
		VHOSTX_LOG(INFO, sock->conf.name, "a front-end is connected on %s", sock->conf.path);
	sock->conf.ops->connected(sock->conf.ctx);
	return 0;
}

/** Has the peer of @a fd closed it? What it has sent before may still be there to read. */
static bool
sock_is_dead(int fd)
{
	struct pollfd pfd = { .fd = fd };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR)) != 0;
}

/** Has the peer of @a fd closed it without a word, as whoever looks if a socket is live does? */
static bool
sock_is_probe(int fd)
{
	uint8_t byte;

	return recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

/** Serve the new connection @a fd, or refuse it. */
static void
sock_take(struct vhostx_sock *sock, int fd)
{
	int ret;

	sock_pace(sock);
	if (sock_is_probe(fd)) {
		close(fd);
		return;
	}
	/*
	 * A front-end that was restarted may be here before its old connection's end was seen. What the
	 * old one left unread is dropped: nobody waits for an answer, and its end undoes whatever it
	 * asked for.
	 */
	if (sock->fd >= 0 && sock_is_dead(sock->fd))
		sock_drop(sock);
	if (sock->file.fd < 0) {
		close(fd);
		return;
	}
	if (sock->fd >= 0) {
		VHOSTX_LOG(WARNING, sock->conf.name, "a second front-end on %s was closed: "
			"the port serves one at a time", sock->conf.path);
		close(fd);
		return;
	}
	ret = sock_begin(sock, fd);
	if (ret < 0)
		VHOSTX_LOG(ERR, sock->conf.name, "cannot serve the front-end on %s: %s",
			sock->conf.path, strerror(-ret));
}

/** Accept nobody for a while; who wants to connect waits in the socket's queue. */
static void
sock_rest(struct vhostx_sock *sock, uint64_t us)
{
	vhostx_loop_del(sock->listening);
	sock->listening = NULL;
	vhostx_loop_arm(sock->timer, us);
}

/**
 * Accepting failed: the connection stays in the queue, so epoll would come back at once. Look away for
 * a while; one line tells of any number of failures in a row.
 */
static void
sock_cannot_accept(struct vhostx_sock *sock, int err)
{
	if (err != sock->logged)
		VHOSTX_LOG(ERR, sock->conf.name, "cannot accept a front-end on %s, trying on: %s",
			sock->conf.path, strerror(err));
	sock->logged = err;
	sock_rest(sock, SOCK_PAUSE_US);
}

/** Accept one connection. @return whether there may be another one now. */
static bool
sock_accept(struct vhostx_sock *sock)
{
	const int fd = accept4(sock->file.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		sock->logged = 0;
		sock_take(sock, fd);
		/* The owner may have closed it all. */
		if (sock->wait_us != 0 && sock->listening != NULL)
			sock_rest(sock, sock->wait_us);
		return true;
	}
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	if (errno != EAGAIN)
		sock_cannot_accept(sock, errno);
	return false;
}

/** Somebody wants to connect. */
static void
sock_on_knock(void *arg)
{
	struct vhostx_sock *sock = arg;
	unsigned int i;

	pthread_mutex_lock(sock->conf.lock);
	for (i = 0; i < SOCK_BURST && sock->listening != NULL; i++)
		if (!sock_accept(sock))
			break;
	pthread_mutex_unlock(sock->conf.lock);
}

/** Watch the listening socket; later, if that fails. */
static void
sock_watch(struct vhostx_sock *sock)
{
	sock->listening = vhostx_loop_add_fd(sock->file.fd, sock_on_knock, NULL, sock);
	if (sock->listening == NULL)
		vhostx_loop_arm(sock->timer, SOCK_PAUSE_US);
}

/** Client: one attempt. */
static void
sock_connect(struct vhostx_sock *sock)
{
	int ret = vhostx_sock_path_dial(sock->conf.path);

	if (ret >= 0) {
		sock_pace(sock);
		ret = sock_begin(sock, ret);
	}
	if (ret >= 0) {
		sock->logged = 0;
		return;
	}
	/* One line for any number of attempts that fail alike. */
	if (ret != -sock->logged)
		VHOSTX_LOG(INFO, sock->conf.name, "no front-end on %s yet, trying on: %s",
			sock->conf.path, strerror(-ret));
	sock->logged = -ret;
	sock_retry(sock);
}

/** Time for the next attempt to connect, or to accept again. */
static void
sock_on_timer(void *arg)
{
	struct vhostx_sock *sock = arg;

	pthread_mutex_lock(sock->conf.lock);
	if (sock->timer != NULL) {
		if (sock->conf.client)
			sock_connect(sock);
		else
			sock_watch(sock);
	}
	pthread_mutex_unlock(sock->conf.lock);
}

/** The last source is gone: so is the socket. */
static void
sock_on_release(void *arg)
{
	struct vhostx_sock *sock = arg;
	const struct vhostx_sock_conf conf = sock->conf;
	const bool opened = sock->opened;

	free(sock);
	if (!opened)
		return;
	/* Whoever closed the socket may still hold the lock that release() destroys: wait for him. */
	pthread_mutex_lock(conf.lock);
	pthread_mutex_unlock(conf.lock);
	conf.ops->release(conf.ctx);
}

static void
sock_log_open(const struct vhostx_sock *sock, int err)
{
	const char *name = sock->conf.name, *path = sock->conf.path;

	switch (err) {
	case EADDRINUSE:
		VHOSTX_LOG(ERR, name, "%s is in use by another process or port; "
			"stop that one or give another iface", path);
		break;
	case EEXIST:
		VHOSTX_LOG(ERR, name, "%s is there and is not a socket; "
			"remove it or give another iface", path);
		break;
	case EPERM:
		VHOSTX_LOG(ERR, name, "cannot give %s the owner, group or mode asked for; "
			"run as root, or as that user", path);
		break;
	case EACCES:
		VHOSTX_LOG(ERR, name, "no permission for %s; let this user write to the folder, and to a socket that "
			"is there, or give another iface", path);
		break;
	case ENOENT:
		VHOSTX_LOG(ERR, name, "the folder of %s is not there; create it", path);
		break;
	default:
		VHOSTX_LOG(ERR, name, "cannot open %s: %s", path, strerror(err));
	}
}

/** Make file and sources of a socket whose timer is there. @return 0 or -errno. */
static int
sock_start(struct vhostx_sock *sock)
{
	int ret;

	if (sock->conf.client) {
		vhostx_loop_arm(sock->timer, 0);
		return 0;
	}
	ret = vhostx_sock_path_listen(&sock->file, sock->conf.path, sock->conf.perm);
	if (ret < 0)
		return ret;
	sock->listening = vhostx_loop_add_fd(sock->file.fd, sock_on_knock, NULL, sock);
	if (sock->listening == NULL) {
		ret = -errno;
		vhostx_sock_path_close(&sock->file);
	}
	return ret;
}

int
vhostx_sock_open(const struct vhostx_sock_conf *conf, struct vhostx_sock **sock)
{
	struct vhostx_sock *new = calloc(1, sizeof(*new));
	int ret;

	*sock = NULL;
	if (new == NULL)
		return -ENOMEM;
	new->conf = *conf;
	new->file.fd = -1;
	new->fd = -1;
	new->timer = vhostx_loop_add_timer(sock_on_timer, sock_on_release, new);
	if (new->timer == NULL) {
		ret = -errno;
		sock_log_open(new, -ret);
		free(new);
		return ret;
	}
	ret = sock_start(new);
	if (ret < 0) {
		sock_log_open(new, -ret);
		vhostx_loop_del(new->timer); /* frees it, and calls nobody */
		return ret;
	}
	new->opened = true;
	*sock = new;
	return 0;
}

int
vhostx_sock_send_fd(struct vhostx_sock *sock, const struct vhostx_msg_header *header,
	const void *payload, int fd)
{
	union {
		struct cmsghdr header;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
	} };
	struct iovec iov[] = {
		{ (void *)(uintptr_t)header, sizeof(*header) },
		{ (void *)(uintptr_t)payload, header->size },
	};
	struct msghdr hdr = { .msg_iov = iov, .msg_iovlen = RTE_DIM(iov) };
	ssize_t len;

	if (sock->fd < 0)
		return -ENOTCONN;
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		hdr.msg_control = &control;
		hdr.msg_controllen = sizeof(control);
	}
	len = sendmsg(sock->fd, &hdr, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (len < 0)
		return -errno;
	/* The rest of a reply would have to wait: the front-end does not read. */
	return (size_t)len == sizeof(*header) + header->size ? 0 : -EAGAIN;
}

int
vhostx_sock_send(struct vhostx_sock *sock, const struct vhostx_msg_header *header,
	const void *payload)
{
	return vhostx_sock_send_fd(sock, header, payload, -1);
}

void
vhostx_sock_hold(struct vhostx_sock *sock)
{
	if (sock->fd < 0)
		return;
	vhostx_loop_del(sock->reading);
	sock->reading = NULL;
	sock->held = true;
}

void
vhostx_sock_go_on(struct vhostx_sock *sock, int ret)
{
	if (sock == NULL || !sock->held)
		return;
	sock->held = false;
	if (ret >= 0)
		sock->reading = vhostx_loop_add_fd(sock->fd, sock_on_readable, NULL, sock);
	if (sock->reading == NULL)
		sock_drop(sock);
}

int
vhostx_sock_dup(const struct vhostx_sock *sock)
{
	const int fd = fcntl(sock->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

bool
vhostx_sock_connected(const struct vhostx_sock *sock)
{
	/* One that has just hung up is gone, even if the control thread has not come to see it. */
	return sock->fd >= 0 && !sock_is_dead(sock->fd);
}

pid_t
vhostx_sock_peer(const struct vhostx_sock *sock)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (sock->fd < 0 || getsockopt(sock->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return 0;
	return peer.pid;
}

void
vhostx_sock_close(struct vhostx_sock *sock)
{
	struct vhostx_source *timer;

	if (sock == NULL)
		return;
	vhostx_loop_del(sock->listening);
	sock->listening = NULL;
	vhostx_sock_path_close(&sock->file);
	sock_hang_up(sock);
	/* Last, see struct vhostx_sock; callbacks on their way here see that it is gone. */
	timer = sock->timer;
	sock->timer = NULL;
	vhostx_loop_del(timer);
}
