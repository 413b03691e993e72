/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Set bits in the dirty log.
 */
#include <errno.h>
#include <stdlib.h>

#include "log.h"

int
vhostx_log_open(int fd, uint64_t offset, uint64_t size, struct vhostx_log **out, const char **why)
{
	struct vhostx_log *log;
	int ret;

	/* Words that straddle a cache line cannot be changed atomically. */
	if (offset % sizeof(*log->word) != 0) {
		*why = "the dirty log's offset is not a multiple of 8";
		return -EINVAL;
	}
	log = calloc(1, sizeof(*log));
	if (log == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	ret = vhostx_map_file(fd, offset, size, &log->map, why);
	if (ret != 0) {
		free(log);
		return ret;
	}
	/* Mapped to the end of the page: the last word is whole, its bits past the end are left alone. */
	log->word = vhostx_map_va(log->map);
	log->pages = size * 8;
	*out = log;
	return 0;
}

void
vhostx_log_close(struct vhostx_log *log)
{
	if (log == NULL)
		return;
	vhostx_map_put(log->map);
	free(log);
}

bool
vhostx_log_covers(const struct vhostx_log *log, const struct vhostx_mem *mem)
{
	const struct vhostx_range *last;

	if (mem == NULL || mem->nr == 0)
		return true;
	last = &mem->range[mem->nr - 1];
	return (last->gpa + last->size - 1) / VHOSTX_LOG_PAGE < log->pages;
}

void
vhostx_log_flush(const struct vhostx_log *log, struct vhostx_log_batch *batch)
{
	uint64_t *word = &log->word[batch->index];

	/* While a page stays dirty the line stays shared: only the first write to it pays. */
	if ((__atomic_load_n(word, __ATOMIC_RELAXED) & batch->bits) != batch->bits)
		__atomic_fetch_or(word, batch->bits, __ATOMIC_RELEASE);
	batch->bits = 0;
}

/* Add bits to the batch, in whose place those of another word are set first. */
static void
log_add(const struct vhostx_log *log, struct vhostx_log_batch *batch, uint64_t index, uint64_t bits)
{
	if (batch->bits != 0 && batch->index != index)
		vhostx_log_flush(log, batch);
	batch->index = index;
	batch->bits |= bits;
}

void
vhostx_log_mark(const struct vhostx_log *log, struct vhostx_log_batch *batch, uint64_t gpa,
	uint64_t len)
{
	uint64_t page = gpa / VHOSTX_LOG_PAGE;
	uint64_t end; /* page after the last */

	if (len == 0 || len - 1 > UINT64_MAX - gpa)
		return;
	end = RTE_MIN((gpa + (len - 1)) / VHOSTX_LOG_PAGE + 1, log->pages);
	while (page < end) {
		const unsigned int bit = page % 64;
		const uint64_t run = RTE_MIN(end - page, 64u - bit);

		log_add(log, batch, page / 64, UINT64_MAX >> (64 - run) << bit);
		page += run;
	}
}
