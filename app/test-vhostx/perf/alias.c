/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A second mapping of the guest's mbufs. A vhost port maps guest memory by itself, and a CPU may pay for
 * seeing one byte at two addresses; the floor has to pay as well.
 */
#include <string.h>
#include <sys/mman.h>

#include <rte_common.h>
#include <rte_memory.h>

#include "alias.h"

/* Map the file again that the bytes are in, which has to be a single one. @return their address there. */
static uint8_t *
alias_map(struct perf_alias *alias, const uint8_t *begin, size_t len)
{
	const struct rte_memseg *first = rte_mem_virt2memseg(begin, NULL);
	const struct rte_memseg *last = rte_mem_virt2memseg(begin + len - 1, NULL);
	size_t lead, offset;
	int fd;

	if (first == NULL || last == NULL)
		return NULL;
	fd = rte_memseg_get_fd(first);
	if (fd < 0 || rte_memseg_get_fd(last) != fd || rte_memseg_get_fd_offset(first, &offset) != 0)
		return NULL;
	lead = RTE_PTR_DIFF(begin, first->addr);
	alias->base_len = RTE_ALIGN_CEIL(len + lead, (size_t)first->hugepage_sz);
	alias->base = mmap(NULL, alias->base_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		offset);
	if (alias->base == MAP_FAILED) {
		alias->base = NULL;
		return NULL;
	}
	return (uint8_t *)alias->base + lead;
}

static void
alias_chunk(struct rte_mempool *pool __rte_unused, void *opaque, struct rte_mempool_memhdr *chunk,
	unsigned int index)
{
	struct perf_alias *alias = opaque;

	alias->begin = chunk->addr;
	alias->len = index == 0 ? chunk->len : 0;
}

void
perf_alias_init(struct perf_alias *alias, struct rte_mempool *pool)
{
	memset(alias, 0, sizeof(*alias));
	rte_mempool_mem_iter(pool, alias_chunk, alias);
	if (alias->len != 0)
		alias->map = alias_map(alias, alias->begin, alias->len);
	if (alias->map == NULL) {
		alias->len = 0;
		return;
	}
	/* Is it the same memory? */
	alias->begin[0] ^= 0xff;
	if (alias->begin[0] != *(volatile uint8_t *)alias->map)
		alias->len = 0;
	alias->begin[0] ^= 0xff;
}

void
perf_alias_fini(struct perf_alias *alias)
{
	if (alias->base != NULL)
		munmap(alias->base, alias->base_len);
	memset(alias, 0, sizeof(*alias));
}

uint8_t *
perf_alias_of(const struct perf_alias *alias, uint8_t *va)
{
	const uintptr_t at = va - alias->begin;

	return at < alias->len ? alias->map + at : va;
}
