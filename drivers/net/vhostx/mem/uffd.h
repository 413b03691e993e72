/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Memory whose pages another host still has: whoever touches one sleeps until the front-end has fetched it.
 * The only user of userfaultfd.
 */
#ifndef VHOSTX_MEM_UFFD_H
#define VHOSTX_MEM_UFFD_H

#include "region.h"

/**
 * One userfaultfd, shared with the front-end, which answers the faults.
 *
 * | state    | touching a page that is missing     | what moves it on                            |
 * |----------|-------------------------------------|---------------------------------------------|
 * | open     | sleeps, in mappings that are added  | vhostx_uffd_release(), or the watched file  |
 * | released | gives zeroes, as without all this   | vhostx_uffd_close()                         |
 *
 * Functions may be called from any thread. None of them touches the memory.
 */
struct vhostx_uffd;

/**
 * Open a userfaultfd.
 *
 * @param why  set to a sentence for the log on error.
 * @return 0; -EPERM if this process may not; -ENOSYS if the kernel cannot; -ENOMEM; another -errno.
 */
int vhostx_uffd_open(struct vhostx_uffd **uffd, const char **why);

/** The file for the front-end; it stays the object's. */
int vhostx_uffd_file(const struct vhostx_uffd *uffd);

/**
 * Release as soon as @a fd, which becomes the object's also on error, is hung up: a thread of its own sees to
 * that, for those who would see the end may be asleep in a fault. One file is watched, the first.
 * @return 0 or -errno.
 */
int vhostx_uffd_watch(struct vhostx_uffd *uffd, int fd);

/**
 * Let faults in the mappings of a table come to the front-end; those that do already are passed over. They stay
 * mapped until the release.
 *
 * @param why  set to a sentence for the log on error.
 * @return 0; -EPIPE if released; -ENOSPC if so much came and went that twice VHOSTX_MEM_SLOTS are mapped; -ENOMEM;
 *   or the -errno of the ioctl (-EINVAL: a kind of memory that the kernel cannot do this for).
 */
int vhostx_uffd_add(struct vhostx_uffd *uffd, const struct vhostx_mem *mem, const char **why);

/** All pages are here, or will never come: wake who sleeps in a fault, and let nobody sleep from now on. */
void vhostx_uffd_release(struct vhostx_uffd *uffd);

/** Release and free. NULL is allowed. */
void vhostx_uffd_close(struct vhostx_uffd *uffd);

#endif /* VHOSTX_MEM_UFFD_H */
