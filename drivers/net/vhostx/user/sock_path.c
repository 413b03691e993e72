/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The path of a UNIX socket: connect to it, listen on it, tell a stale file from a live one.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_string_fns.h>

#include "../mem/clock.h"
#include "sock_path.h"

/** How long a folder that another one has is waited for, and how often that looks. */
#define PATH_WAIT_US 1000000u
#define PATH_LOOK_US 500u

/** Fill in the address of @a path. @return 0 or -ENAMETOOLONG. */
static int
path_address(struct sockaddr_un *addr, const char *path)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return rte_strscpy(addr->sun_path, path, sizeof(addr->sun_path)) < 0 ? -ENAMETOOLONG : 0;
}

static int
path_socket(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int
vhostx_sock_path_dial(const char *path)
{
	struct sockaddr_un addr;
	int ret = path_address(&addr, path);
	int fd;

	if (ret < 0)
		return ret;
	fd = path_socket();
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/**
 * Is the socket file @a path left over from a process that is gone? Removes it then.
 * @return 0 if the path is free now; -EADDRINUSE, -EEXIST (no socket) or that of connect.
 */
static int
path_remove_stale(const char *path)
{
	struct stat st;
	int ret;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	ret = vhostx_sock_path_dial(path);
	if (ret >= 0) {
		close(ret);
		return -EADDRINUSE;
	}
	switch (-ret) {
	case ECONNREFUSED:
		return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
	case ENOENT:
		return 0;
	case EAGAIN:     /* its queue is full */
	case EPROTOTYPE: /* it is of another type */
		return -EADDRINUSE;
	}
	return ret;
}

static int
path_bind(int fd, const struct sockaddr_un *addr)
{
	return bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;
}

/** Bind @a fd to @a path, in the place of a stale file if need be. @return 0 or -errno. */
static int
path_claim(int fd, const char *path)
{
	struct sockaddr_un addr;
	int ret;

	ret = path_address(&addr, path);
	if (ret < 0)
		return ret;
	ret = path_bind(fd, &addr);
	if (ret != -EADDRINUSE)
		return ret;
	ret = path_remove_stale(path);
	return ret < 0 ? ret : path_bind(fd, &addr);
}

/**
 * Hold on to the file that was just bound: whoever may write to the folder can put another file, or a link to one,
 * in its place at any time. @return a descriptor that only names it; -EEXIST if it is no socket; -errno.
 */
static int
path_hold(const char *path, struct stat *st)
{
	const int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0 || !S_ISSOCK(st->st_mode)) {
		close(fd);
		return -EEXIST;
	}
	return fd;
}

/* Give the held file to somebody else. */
static int
path_permit(int held, const struct vhostx_sock_perm *perm)
{
	char name[32];

	if (perm == NULL)
		return 0;
	/* -1 means unchanged to chown as well. */
	if ((perm->owner >= 0 || perm->group >= 0) &&
			fchownat(held, "", (uid_t)perm->owner, (gid_t)perm->group, AT_EMPTY_PATH) < 0)
		return -errno;
	/* After chown, which clears bits. Kernels before 6.6 have no chmod of a descriptor that only names. */
	snprintf(name, sizeof(name), "/proc/self/fd/%d", held);
	if (perm->mode >= 0 && chmod(name, perm->mode) < 0)
		return -errno;
	return 0;
}

/**
 * Have the folder of @a path for oneself. Between bind() and listen() a socket does not answer, and a stale one does not
 * either: of two processes that start at one time, one would remove the other's file. Whoever may read a folder can keep
 * it, so it is not waited for without end.
 * @return a descriptor to be closed; or -1: it cannot be had.
 */
static int
path_lock(const char *path)
{
	const uint64_t start = vhostx_now_us();
	char copy[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;

	if (rte_strscpy(copy, path, sizeof(copy)) < 0)
		return -1;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR) &&
			vhostx_now_us() - start < PATH_WAIT_US)
		usleep(PATH_LOOK_US);
	return fd;
}

/** Make @a fd listen on @a path. @return 0 or -errno; @a st is of the file then. */
static int
path_listen(int fd, const char *path, const struct vhostx_sock_perm *perm, struct stat *st)
{
	int held, ret;

	ret = path_claim(fd, path);
	if (ret < 0)
		return ret;
	held = path_hold(path, st);
	if (held < 0)
		return held;
	ret = path_permit(held, perm);
	close(held);
	if (ret == 0 && listen(fd, SOMAXCONN) < 0)
		ret = -errno;
	if (ret < 0)
		unlink(path);
	return ret;
}

int
vhostx_sock_path_listen(struct vhostx_sock_path *file, const char *path,
	const struct vhostx_sock_perm *perm)
{
	struct stat st;
	int fd, lock, ret;

	*file = (struct vhostx_sock_path){ .path = path, .fd = -1 };
	fd = path_socket();
	if (fd < 0)
		return fd;
	lock = path_lock(path);
	ret = path_listen(fd, path, perm, &st);
	if (lock >= 0)
		close(lock);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->fd = fd;
	return 0;
}

void
vhostx_sock_path_close(struct vhostx_sock_path *file)
{
	struct stat st;

	if (file->fd < 0)
		return;
	/* The bound socket keeps its inode number from being used again: close it last. */
	if (lstat(file->path, &st) == 0 && st.st_dev == file->dev && st.st_ino == file->ino)
		unlink(file->path);
	close(file->fd);
	file->fd = -1;
}
