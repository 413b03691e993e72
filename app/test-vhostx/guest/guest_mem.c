/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Fake guest memory: mapping with guard pages, lookup, a bump allocator, canaries.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest_mem.h"

/** What canaries and slack bytes hold; no test pattern repeats it this long. */
#define CANARY_BYTE 0xc5

static size_t
mem_page(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool
mem_all(const uint8_t *p, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++) {
		if (p[i] != CANARY_BYTE)
			return false;
	}
	return true;
}

/* The mapped bytes of a region's pages that lie before and after it. */
static void
region_slack(const struct guest_region *r, uint64_t *before, uint64_t *after)
{
	*before = r->mmap_offset;
	*after = r->map_len - 2 * mem_page() - r->mmap_offset - r->size;
}

/* Reserve address space with a page to spare on both sides, then put the file between them. */
static int
region_map(struct guest_region *r, uint64_t len)
{
	const size_t page = mem_page();

	r->map_len = len + 2 * page;
	r->map = mmap(NULL, r->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->map == MAP_FAILED)
		return -errno;
	if (mmap(r->map + page, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd, 0) ==
			MAP_FAILED) {
		munmap(r->map, r->map_len);
		return -errno;
	}
	return 0;
}

void
guest_mem_init(struct guest_mem *mem)
{
	memset(mem, 0, sizeof(*mem));
}

void
guest_mem_fini(struct guest_mem *mem)
{
	for (unsigned int i = 0; i < mem->nr; i++) {
		munmap(mem->region[i].map, mem->region[i].map_len);
		close(mem->region[i].fd);
	}
	free(mem->guarded);
	memset(mem, 0, sizeof(*mem));
}

int
guest_mem_add(struct guest_mem *mem, uint64_t gpa, uint64_t size, uint64_t uva,
	enum guest_place place)
{
	const size_t page = mem_page();
	const uint64_t len = (size + page - 1) / page * page;
	struct guest_region *r = &mem->region[mem->nr];
	uint64_t before, after;
	int rc;

	if (mem->nr == GUEST_MEM_MAX || size == 0)
		return -EINVAL;
	*r = (struct guest_region){ .gpa = gpa, .size = size, .uva = uva };
	r->fd = memfd_create("guest", MFD_CLOEXEC);
	if (r->fd < 0)
		return -errno;
	rc = ftruncate(r->fd, (off_t)len) < 0 ? -errno : region_map(r, len);
	if (rc < 0) {
		close(r->fd);
		return rc;
	}
	r->mmap_offset = place == GUEST_PLACE_END ? len - size : 0;
	r->va = r->map + page + r->mmap_offset;
	region_slack(r, &before, &after);
	memset(r->va - before, CANARY_BYTE, before);
	memset(r->va + size, CANARY_BYTE, after);
	return (int)mem->nr++;
}

uint64_t
guest_mem_run(const struct guest_mem *mem, uint64_t gpa, uint8_t **va)
{
	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct guest_region *r = &mem->region[i];

		if (gpa - r->gpa < r->size) {
			*va = r->va + (gpa - r->gpa);
			return r->size - (gpa - r->gpa);
		}
	}
	return 0;
}

void *
guest_mem_ptr(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	uint8_t *va = NULL;

	return guest_mem_run(mem, gpa, &va) >= len ? va : NULL;
}

uint64_t
guest_mem_uva(const struct guest_mem *mem, uint64_t gpa)
{
	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct guest_region *r = &mem->region[i];

		if (gpa - r->gpa < r->size)
			return r->uva + (gpa - r->gpa);
	}
	return UINT64_MAX;
}

uint64_t
guest_mem_alloc(struct guest_mem *mem, unsigned int region, uint64_t len, uint64_t align)
{
	struct guest_region *r = &mem->region[region];
	const uint64_t gpa = (r->gpa + r->used + align - 1) & ~(align - 1);
	const uint64_t off = gpa - r->gpa;

	if (region >= mem->nr || off > r->size || len > r->size - off)
		return UINT64_MAX;
	r->used = off + len;
	return gpa;
}

/* Remember a buffer, so that its canaries are checked. */
static bool
mem_remember(struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	if (mem->nr_guarded == mem->cap_guarded) {
		const size_t cap = mem->cap_guarded ? 2 * mem->cap_guarded : 64;
		struct guest_guarded *p = realloc(mem->guarded, cap * sizeof(*p));

		if (p == NULL)
			return false;
		mem->guarded = p;
		mem->cap_guarded = cap;
	}
	mem->guarded[mem->nr_guarded++] = (struct guest_guarded){ gpa, len };
	return true;
}

uint64_t
guest_mem_alloc_guarded(struct guest_mem *mem, unsigned int region, uint64_t len)
{
	const uint64_t gpa = guest_mem_alloc(mem, region, len + 2 * GUEST_CANARY, 1);

	if (gpa == UINT64_MAX || !mem_remember(mem, gpa + GUEST_CANARY, len))
		return UINT64_MAX;
	guest_mem_set(mem, gpa, CANARY_BYTE, GUEST_CANARY);
	guest_mem_set(mem, gpa + GUEST_CANARY + len, CANARY_BYTE, GUEST_CANARY);
	return gpa + GUEST_CANARY;
}

int
guest_mem_set(const struct guest_mem *mem, uint64_t gpa, uint8_t byte, uint64_t len)
{
	while (len > 0) {
		uint8_t *va = NULL;
		uint64_t run = guest_mem_run(mem, gpa, &va);

		if (run == 0)
			return -EFAULT;
		run = run < len ? run : len;
		memset(va, byte, run);
		gpa += run;
		len -= run;
	}
	return 0;
}

int
guest_mem_write(const struct guest_mem *mem, uint64_t gpa, const void *src, uint64_t len)
{
	const uint8_t *from = src;

	while (len > 0) {
		uint8_t *va = NULL;
		uint64_t run = guest_mem_run(mem, gpa, &va);

		if (run == 0)
			return -EFAULT;
		run = run < len ? run : len;
		memcpy(va, from, run);
		from += run;
		gpa += run;
		len -= run;
	}
	return 0;
}

int
guest_mem_read(const struct guest_mem *mem, uint64_t gpa, void *dst, uint64_t len)
{
	uint8_t *to = dst;

	while (len > 0) {
		uint8_t *va = NULL;
		uint64_t run = guest_mem_run(mem, gpa, &va);

		if (run == 0)
			return -EFAULT;
		run = run < len ? run : len;
		memcpy(to, va, run);
		to += run;
		gpa += run;
		len -= run;
	}
	return 0;
}

bool
guest_mem_intact(const struct guest_mem *mem)
{
	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct guest_region *r = &mem->region[i];
		uint64_t before, after;

		region_slack(r, &before, &after);
		if (!mem_all(r->va - before, before) || !mem_all(r->va + r->size, after))
			return false;
	}
	for (size_t i = 0; i < mem->nr_guarded; i++) {
		const struct guest_guarded *g = &mem->guarded[i];
		const uint8_t *va = guest_mem_ptr(mem, g->gpa - GUEST_CANARY, GUEST_CANARY);

		if (!mem_all(va, GUEST_CANARY))
			return false;
		va = guest_mem_ptr(mem, g->gpa + g->len, GUEST_CANARY);
		if (!mem_all(va, GUEST_CANARY))
			return false;
	}
	return true;
}
