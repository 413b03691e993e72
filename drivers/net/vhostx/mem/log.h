/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The dirty log: a bitmap in shared memory that tells a migrating front-end which pages of the guest were
 * written. Passive; written by whoever writes guest memory.
 */
#ifndef VHOSTX_MEM_LOG_H
#define VHOSTX_MEM_LOG_H

#include <stdint.h>

#include "region.h"

/** Bytes of guest memory that a bit stands for: VHOST_LOG_PAGE of the vhost-user specification. */
#define VHOSTX_LOG_PAGE 4096u

/** One bitmap. Immutable but for the bits: the front-end clears them while we set them. */
struct vhostx_log {
	struct vhostx_map *map; /**< the reference that keeps it mapped */
	uint64_t *word;         /**< bit n % 64 of word[n / 64] is page n */
	uint64_t pages;         /**< bits; pages from there on are not logged */
};

/** Bits of one word that are to be set: what lies close together is set at once. */
struct vhostx_log_batch {
	uint64_t index; /**< which word */
	uint64_t bits;  /**< 0: nothing */
};

/**
 * Map @a size bytes at @a offset of a file, which stays the caller's, as a log.
 *
 * @param why  set to a sentence for the log on error.
 * @return 0; -EINVAL (no bytes, an offset that is not a multiple of 8, more than the file has); -ENOMEM;
 *   the -errno of mmap.
 */
int vhostx_log_open(int fd, uint64_t offset, uint64_t size, struct vhostx_log **log, const char **why);

/** Unmap and free; nobody may use the log any more. NULL is allowed. */
void vhostx_log_close(struct vhostx_log *log);

/** Does the log have a bit for each page of @a mem? @a mem may be NULL. */
bool vhostx_log_covers(const struct vhostx_log *log, const struct vhostx_mem *mem);

/**
 * Note that @a len bytes at guest-physical address @a gpa were written. A full fence must stand between
 * the writes and this call: a bit that is set already is not set again, so the front-end's clearing of it has
 * to come before that look if its copy of the page came before the writes.
 */
void vhostx_log_mark(const struct vhostx_log *log, struct vhostx_log_batch *batch, uint64_t gpa,
	uint64_t len);

/** Set what the batch still holds. */
void vhostx_log_flush(const struct vhostx_log *log, struct vhostx_log_batch *batch);

#endif /* VHOSTX_MEM_LOG_H */
