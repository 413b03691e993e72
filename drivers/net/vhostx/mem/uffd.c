/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * userfaultfd: open, add mappings, release, and the thread that releases when the front-end has died.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include <rte_common.h>

#include "thread.h"
#include "uffd.h"

/* Younger than some of the headers that this is built with. */
#define UFFD_USER_MODE_ONLY_FLAG 1
#define UFFD_DEVICE "/dev/userfaultfd"
#define UFFD_DEVICE_NEW _IO(0xAA, 0x00)

/*
 * Most mappings that are kept: those of memory that has gone meanwhile as well, for which there is a whole table's
 * room. A process has some 65530 mappings, for all of its ports.
 */
#define UFFD_MAPS (2u * VHOSTX_MEM_SLOTS)

struct vhostx_uffd {
	pthread_mutex_t lock;
	int fd;                  /* constant: the number stays ours after the release */
	bool released;
	struct vhostx_map **map; /* [nr] references to what was added; NULL at first */
	unsigned int nr;
	bool watching;           /* thread, watched and stop are valid */
	pthread_t thread;
	int watched;             /* the front-end's end tells of itself here */
	int stop[2];             /* a pipe: the thread ends when the second is closed */
};

/*
 * Three doors: the system call; the device, which an administrator may open to a group; and, for those who have
 * neither, faults of this process's own code alone. There are no others: no system call is given guest memory.
 */
static int
uffd_create(void)
{
	const int flags = O_CLOEXEC | O_NONBLOCK;
	int fd = syscall(SYS_userfaultfd, flags);
	int device;

	if (fd >= 0 || errno != EPERM)
		return fd;
	device = open(UFFD_DEVICE, O_RDWR | O_CLOEXEC);
	if (device >= 0) {
		fd = ioctl(device, UFFD_DEVICE_NEW, flags);
		close(device);
	}
	if (fd >= 0)
		return fd;
	fd = syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY_FLAG);
	/* What an old kernel says of the flag tells nothing to a user. */
	if (fd < 0)
		errno = EPERM;
	return fd;
}

/* Take a reference to a mapping that is not here yet, and tell the kernel of it. */
static int
uffd_add(struct vhostx_uffd *uffd, struct vhostx_map *map)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct vhostx_map **more;
	uint64_t len;

	for (unsigned int i = 0; i < uffd->nr; i++) {
		if (uffd->map[i] == map)
			return 0;
	}
	if (uffd->nr == UFFD_MAPS)
		return -ENOSPC;
	more = realloc(uffd->map, (uffd->nr + 1) * sizeof(*more));
	if (more == NULL)
		return -ENOMEM;
	uffd->map = more;
	reg.range.start = (uintptr_t)vhostx_map_pages(map, &len);
	reg.range.len = len;
	if (ioctl(uffd->fd, UFFDIO_REGISTER, &reg) != 0)
		return -errno;
	uffd->map[uffd->nr++] = vhostx_map_get(map);
	return 0;
}

/* Neither file says anything but that its other end is closed. */
static void *
uffd_thread(void *arg)
{
	struct vhostx_uffd *uffd = arg;
	struct pollfd files[] = {
		{ .fd = uffd->watched },
		{ .fd = uffd->stop[0] },
	};

	while (poll(files, RTE_DIM(files), -1) < 0)
		continue;
	if (files[1].revents == 0)
		vhostx_uffd_release(uffd);
	return NULL;
}

int
vhostx_uffd_open(struct vhostx_uffd **out, const char **why)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct vhostx_uffd *uffd = calloc(1, sizeof(*uffd));
	int ret;

	*why = "out of memory";
	if (uffd == NULL)
		return -ENOMEM;
	uffd->fd = uffd_create();
	if (uffd->fd < 0 || ioctl(uffd->fd, UFFDIO_API, &api) != 0) {
		ret = -errno;
		*why = ret == -EPERM ? "this process may not use userfaultfd; run it as root, or set "
			"vm.unprivileged_userfaultfd=1" : "the kernel has no userfaultfd";
		if (uffd->fd >= 0)
			close(uffd->fd);
		free(uffd);
		return ret;
	}
	pthread_mutex_init(&uffd->lock, NULL);
	*out = uffd;
	return 0;
}

int
vhostx_uffd_file(const struct vhostx_uffd *uffd)
{
	return uffd->fd;
}

int
vhostx_uffd_watch(struct vhostx_uffd *uffd, int fd)
{
	int ret;

	if (uffd->watching) {
		close(fd);
		return 0;
	}
	uffd->watched = fd;
	ret = pipe2(uffd->stop, O_CLOEXEC) == 0 ? 0 : -errno;
	if (ret != 0)
		goto close_fd;
	ret = vhostx_thread_start("vhostx-uffd", uffd_thread, uffd, &uffd->thread);
	if (ret != 0)
		goto close_stop;
	uffd->watching = true;
	return 0;

close_stop:
	close(uffd->stop[0]);
	close(uffd->stop[1]);
close_fd:
	close(fd);
	return ret;
}

int
vhostx_uffd_add(struct vhostx_uffd *uffd, const struct vhostx_mem *mem, const char **why)
{
	int ret;

	pthread_mutex_lock(&uffd->lock);
	ret = uffd->released ? -EPIPE : 0;
	for (uint32_t i = 0; ret == 0 && i < mem->nr; i++)
		ret = uffd_add(uffd, mem->map[i]);
	pthread_mutex_unlock(&uffd->lock);
	if (ret == -EINVAL)
		*why = "the kernel has no userfaultfd for this kind of memory; use memfd";
	else if (ret == -ENOSPC)
		*why = "guest memory changes too often while its pages are missing";
	else if (ret != 0)
		*why = "guest memory cannot be watched for pages that are missing";
	return ret;
}

/* The front-end has the file too, and may keep it: the mappings must be taken from it one by one. */
void
vhostx_uffd_release(struct vhostx_uffd *uffd)
{
	pthread_mutex_lock(&uffd->lock);
	uffd->released = true;
	for (unsigned int i = 0; i < uffd->nr; i++) {
		struct uffdio_range range;
		uint64_t len;

		range.start = (uintptr_t)vhostx_map_pages(uffd->map[i], &len);
		range.len = len;
		ioctl(uffd->fd, UFFDIO_UNREGISTER, &range);
		vhostx_map_put(uffd->map[i]);
	}
	uffd->nr = 0;
	pthread_mutex_unlock(&uffd->lock);
}

void
vhostx_uffd_close(struct vhostx_uffd *uffd)
{
	if (uffd == NULL)
		return;
	vhostx_uffd_release(uffd);
	if (uffd->watching) {
		close(uffd->stop[1]);
		pthread_join(uffd->thread, NULL);
		close(uffd->stop[0]);
		close(uffd->watched);
	}
	close(uffd->fd);
	pthread_mutex_destroy(&uffd->lock);
	free(uffd->map);
	free(uffd);
}
