/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Write to an eventfd: the guest's interrupt, the ring's error file, the port's wake-up; and empty one: the guest's
 * kick. Never waits.
 */
#ifndef VHOSTX_RING_NOTIFY_H
#define VHOSTX_RING_NOTIFY_H

#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

/** Would a write to @a fd wait when the file is full? */
static inline bool
vhostx_eventfd_blocks(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

/**
 * Add one to the eventfd. A full one is left alone: its reader has been told already.
 *
 * @param blocks  vhostx_eventfd_blocks() of it. The flag belongs to the front-end's file too, so it is
 *   not changed: a file that would wait is asked first.
 */
static inline void
vhostx_eventfd_signal(int fd, bool blocks)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	const uint64_t one = 1;

	if (blocks && poll(&p, 1, 0) != 1)
		return;
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/**
 * Take the count out of the eventfd; -1 is allowed. The front-end's file may be made to wait at any time: a kernel
 * that cannot be asked not to leaves it as it is.
 */
static inline void
vhostx_eventfd_empty(int fd)
{
	uint64_t count;
	const struct iovec iov = { &count, sizeof(count) };

	if (fd >= 0 && preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0)
		return;
}

#endif /* VHOSTX_RING_NOTIFY_H */
