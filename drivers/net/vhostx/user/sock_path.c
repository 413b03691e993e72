/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The path of a UNIX socket: connect to it, listen on it, tell a stale file from a live one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_string_fns.h>

#include "sock_path.h"

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

int
vhostx_sock_path_listen(struct vhostx_sock_path *file, const char *path,
	const struct vhostx_sock_perm *perm)
{
	struct stat st;
	int fd, held, ret;

	*file = (struct vhostx_sock_path){ .path = path, .fd = -1 };
	fd = path_socket();
	if (fd < 0)
		return fd;
	ret = path_claim(fd, path);
	if (ret < 0)
		goto close_fd;
	held = path_hold(path, &st);
	ret = held;
	if (ret < 0)
		goto close_fd;
	ret = path_permit(held, perm);
	close(held);
	if (ret == 0 && listen(fd, SOMAXCONN) < 0)
		ret = -errno;
	if (ret < 0) {
		unlink(path);
		goto close_fd;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->fd = fd;
	return 0;

close_fd:
	close(fd);
	return ret;
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
