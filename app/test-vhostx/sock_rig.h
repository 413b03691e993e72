/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the socket's tests share: an owner that notes its callbacks, and the front-end's side.
 */
#ifndef SOCK_RIG_H
#define SOCK_RIG_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_common.h>

#include "logcap.h"
#include "open_files.h"
#include "user/sock.h"

/** No test waits longer for what must come. */
#define DEADLINE_MS 20000

/** The owner of a socket: what its callbacks shall do, and what they noted. */
struct owner {
	pthread_mutex_t lock;     /**< the port mutex: over all below */
	pthread_cond_t changed;   /**< signalled after every callback */
	struct vhostx_sock *sock; /**< NULL: closed */
	char path[108];           /**< the socket's */
	char name[16];            /**< the port's */
	int verdict;              /**< what message() returns */
	bool echo;                /**< message() sends back what it got */
	bool keep;                /**< message() keeps the first file */
	bool close;               /**< message() closes the socket */
	int kept;                 /**< that file */
	unsigned int connected;   /**< calls */
	unsigned int messages;    /**< calls */
	unsigned int disconnected; /**< calls */
	unsigned int released;    /**< calls */
	unsigned int releasing;   /**< calls that began: no lock, atomic */
	struct vhostx_msg last;   /**< the last message */
	unsigned int seen[4];     /**< files that came with the first messages */
};

static struct owner owners[2];
static char rig_dir[32];
static unsigned int rig_fds;

static inline uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void
owner_on_connected(void *ctx)
{
	struct owner *o = ctx;

	o->connected++;
	pthread_cond_broadcast(&o->changed);
}

static inline void
owner_close_locked(struct owner *o)
{
	struct vhostx_sock *sock = o->sock;

	o->sock = NULL;
	vhostx_sock_close(sock);
}

static inline int
owner_on_message(void *ctx, struct vhostx_msg *msg)
{
	struct owner *o = ctx;

	if (o->messages < RTE_DIM(o->seen))
		o->seen[o->messages] = msg->nr_fds;
	o->messages++;
	o->last = *msg;
	if (o->keep) {
		o->kept = msg->fds[0];
		msg->fds[0] = -1;
	}
	if (o->echo)
		assert_int_equal(vhostx_sock_send(o->sock, &msg->header, &msg->payload), 0);
	if (o->close)
		owner_close_locked(o);
	pthread_cond_broadcast(&o->changed);
	return o->verdict;
}

static inline void
owner_on_disconnected(void *ctx)
{
	struct owner *o = ctx;

	o->disconnected++;
	pthread_cond_broadcast(&o->changed);
}

static inline void
owner_on_release(void *ctx)
{
	struct owner *o = ctx;

	__atomic_add_fetch(&o->releasing, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&o->lock);
	o->released++;
	pthread_cond_broadcast(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

static const struct vhostx_sock_ops owner_ops = {
	.connected = owner_on_connected,
	.message = owner_on_message,
	.disconnected = owner_on_disconnected,
	.release = owner_on_release,
};

/** Open the owner's socket. @return what vhostx_sock_open() does. */
static inline int
owner_open(struct owner *o, bool client)
{
	const struct vhostx_sock_conf conf = {
		.name = o->name,
		.path = o->path,
		.client = client,
		.lock = &o->lock,
		.ops = &owner_ops,
		.ctx = o,
	};
	int ret;

	pthread_mutex_lock(&o->lock);
	o->released = 0;
	ret = vhostx_sock_open(&conf, &o->sock);
	pthread_mutex_unlock(&o->lock);
	return ret;
}

/** Wait until *@a field of @a o is at least @a value. */
static inline void
owner_wait(struct owner *o, const unsigned int *field, unsigned int value)
{
	struct timespec end;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += DEADLINE_MS / 1000;
	pthread_mutex_lock(&o->lock);
	while (*field < value && ret == 0)
		ret = pthread_cond_timedwait(&o->changed, &o->lock, &end);
	pthread_mutex_unlock(&o->lock);
	assert_int_equal(ret, 0);
}

static inline unsigned int
owner_get(struct owner *o, const unsigned int *field)
{
	unsigned int value;

	pthread_mutex_lock(&o->lock);
	value = *field;
	pthread_mutex_unlock(&o->lock);
	return value;
}

/** Set a field while no callback runs. */
#define OWNER_SET(o, field, value) do { \
	pthread_mutex_lock(&(o)->lock); \
	(o)->field = (value); \
	pthread_mutex_unlock(&(o)->lock); \
} while (0)

static inline bool
owner_is_connected(struct owner *o)
{
	bool connected;

	pthread_mutex_lock(&o->lock);
	connected = vhostx_sock_connected(o->sock);
	pthread_mutex_unlock(&o->lock);
	return connected;
}

/** Close the socket and wait for its end. */
static inline void
owner_close(struct owner *o)
{
	pthread_mutex_lock(&o->lock);
	owner_close_locked(o);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->released, 1);
}

static inline struct sockaddr_un
address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

/** Connect as a front-end. */
static inline int
front_connect(const char *path)
{
	const struct sockaddr_un addr = address(path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/** Bind @a path as somebody else. */
static inline int
front_bind(const char *path, int type)
{
	const struct sockaddr_un addr = address(path);
	const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static inline int
front_listen(const char *path)
{
	const int fd = front_bind(path, SOCK_STREAM);

	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/** Accept the driver as a client, within @a timeout_ms. @return the file descriptor or -1. */
static inline int
front_accept(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, timeout_ms) == 1 ? accept4(fd, NULL, NULL, SOCK_CLOEXEC) : -1;
}

/** Send @a len bytes with @a nr copies of a new file. */
static inline void
front_send(int fd, const void *data, size_t len, unsigned int nr)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(32 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int file = eventfd(0, EFD_CLOEXEC);
	struct cmsghdr *cmsg;
	unsigned int i;

	if (nr > 0) {
		hdr.msg_control = &control;
		hdr.msg_controllen = CMSG_SPACE(nr * sizeof(int));
		cmsg = CMSG_FIRSTHDR(&hdr);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
		for (i = 0; i < nr; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &file, sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &hdr, MSG_NOSIGNAL), len);
	close(file);
}

/** A message's bytes as on the wire; the payload is 0, 1, 2, ... */
struct wire {
	struct vhostx_msg_header header;
	uint8_t payload[1024];
};

static inline struct wire
wire(uint32_t request, uint32_t size)
{
	struct wire w = { .header = { request, VHOSTX_MSG_VERSION, size } };
	unsigned int i;

	for (i = 0; i < sizeof(w.payload); i++)
		w.payload[i] = i;
	return w;
}

/** Send a whole message in one call, with @a nr files. */
static inline void
front_message(int fd, uint32_t request, uint32_t size, unsigned int nr)
{
	const struct wire w = wire(request, size);

	front_send(fd, &w, sizeof(w.header) + size, nr);
}

/** Has the driver hung up on @a fd, or does it within the deadline? */
static inline bool
front_is_closed(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint8_t byte;

	return poll(&pfd, 1, DEADLINE_MS) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

static inline int
rig_setup(void **state)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(owners); i++) {
		struct owner *o = &owners[i];

		*o = (struct owner){ .kept = -1 };
		pthread_mutex_init(&o->lock, NULL);
		pthread_cond_init(&o->changed, NULL);
		snprintf(o->name, sizeof(o->name), "net_vhostx%u", i);
		snprintf(o->path, sizeof(o->path), "%s/%u.sock", rig_dir, i);
	}
	rig_fds = files_open();
	return logcap_clear(state);
}

/** Close what is open; no file may be left open, whatever the test did. */
static inline int
rig_teardown(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(owners); i++) {
		struct owner *o = &owners[i];

		if (o->sock != NULL)
			owner_close(o);
		if (o->kept >= 0)
			close(o->kept);
		unlink(o->path);
		pthread_cond_destroy(&o->changed);
		pthread_mutex_destroy(&o->lock);
	}
	assert_int_equal(files_open(), rig_fds);
	return 0;
}

/** A folder for the sockets; and the control thread, so that its files are not counted. */
static inline int
rig_start(void **state)
{
	snprintf(rig_dir, sizeof(rig_dir), "/tmp/test_sock.XXXXXX");
	if (mkdtemp(rig_dir) == NULL || logcap_start(state) < 0)
		return -1;
	rig_setup(state);
	if (owner_open(&owners[0], true) < 0)
		return -1;
	owner_close(&owners[0]);
	return 0;
}

static inline int
rig_stop(void **state)
{
	(void)state;
	return rmdir(rig_dir);
}

#define SOCK_TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif /* SOCK_RIG_H */
