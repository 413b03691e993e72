/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Unmap in pieces: so long as one goes, the process can map nothing else.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <rte_common.h>

#include "clock.h"
#include "thread.h"
#include "unmap.h"

/* A piece of used pages takes a millisecond, one that nobody has used next to nothing. */
#define UNMAP_PIECE ((size_t)16 << 20)
/* How long the caller does it himself. */
#define UNMAP_CALLER_US 2000u

/* A mapping that goes. */
struct unmap {
	uint8_t *addr;
	size_t len;         /* bytes */
	size_t done;        /* bytes from addr on whose pages are gone */
	unsigned int *live; /* as of vhostx_unmap() */
};

/* Take the pages of the next piece; they stay in their file. What has no such pages goes as a whole. */
static void
unmap_piece(struct unmap *u)
{
	const size_t len = RTE_MIN(u->len - u->done, UNMAP_PIECE);

	u->done = madvise(u->addr + u->done, len, MADV_DONTNEED) == 0 ? u->done + len : u->len;
}

static void
unmap_end(const struct unmap *u)
{
	munmap(u->addr, u->len);
	__atomic_fetch_sub(u->live, 1, __ATOMIC_RELAXED);
}

static void *
unmap_thread(void *arg)
{
	struct unmap *u = arg;

	while (u->done < u->len)
		unmap_piece(u);
	unmap_end(u);
	free(u);
	return NULL;
}

/* Leave the rest to a thread. @return false if there is none. */
static bool
unmap_leave(const struct unmap *u)
{
	struct unmap *rest = malloc(sizeof(*rest));

	if (rest == NULL)
		return false;
	*rest = *u;
	if (vhostx_thread_start("vhostx-unmap", unmap_thread, rest, NULL) == 0)
		return true;
	free(rest);
	return false;
}

void
vhostx_unmap(void *addr, size_t len, unsigned int *live)
{
	const uint64_t end = vhostx_now_us() + UNMAP_CALLER_US;
	struct unmap u = { .addr = addr, .len = len, .live = live };
	bool alone = false;

	while (u.done < u.len) {
		unmap_piece(&u);
		if (alone || u.done >= u.len || vhostx_now_us() < end)
			continue;
		if (unmap_leave(&u))
			return;
		alone = true;
	}
	unmap_end(&u);
}
