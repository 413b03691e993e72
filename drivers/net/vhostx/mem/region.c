/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory: tables of regions, and how they translate addresses.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/mempolicy.h>

#include <rte_bitops.h>

#include "region.h"

/* --- a table under construction --------------------------------------------------------------- */

/* Pieces that the addresses of a table of @a nr regions are cut into. */
static uint32_t
mem_buckets(uint32_t nr)
{
	return rte_align32pow2(4 * RTE_MAX(nr, 1u));
}

struct vhostx_mem *
vhostx_mem_alloc(uint32_t room)
{
	const uint32_t ranges = 2 * RTE_MAX(room, 1u);
	const uint32_t buckets = mem_buckets(room);
	struct vhostx_mem *mem = calloc(1, sizeof(*mem) + ranges * sizeof(mem->range[0]) +
		room * (sizeof(mem->uva[0]) + sizeof(mem->map[0]) + sizeof(mem->adds[0])) +
		(buckets + 1) * sizeof(mem->piece[0]));

	if (mem == NULL)
		return NULL;
	mem->uva = (uint64_t *)&mem->range[ranges];
	mem->map = (struct vhostx_map **)&mem->uva[room];
	mem->adds = (uint32_t *)&mem->map[room];
	mem->piece = (uint16_t *)&mem->adds[room];
	return mem;
}

/* The ranges that begin up to @a addr, from the @a at-th on. */
static uint32_t
mem_begun(const struct vhostx_mem *mem, uint32_t at, uint64_t addr)
{
	while (at < mem->nr && mem->range[at].gpa <= addr)
		at++;
	return at;
}

/* The pieces begin at a multiple of their size, and none is behind the last address. */
static void
mem_cut(struct vhostx_mem *mem)
{
	const struct vhostx_range *last = &mem->range[mem->nr - 1];
	const uint64_t end = last->gpa + (last->size - 1);

	mem->nr_buckets = mem_buckets(mem->nr);
	mem->shift = 0;
	while ((end >> mem->shift) - (mem->range[0].gpa >> mem->shift) >= mem->nr_buckets)
		mem->shift++;
	mem->base = mem->range[0].gpa >> mem->shift << mem->shift;
}

/*
 * Cut the addresses from the first range's to the last one's into pieces, few of which have the beginning of a range
 * inside, as memory is put at round addresses: there an address is looked up without a step, however many ranges
 * there are.
 */
void
vhostx_mem_index(struct vhostx_mem *mem)
{
	uint32_t before, inside;

	if (mem->nr == 0)
		return;
	mem_cut(mem);
	before = RTE_MAX(mem_begun(mem, 0, mem->base), 1u);
	for (uint32_t i = 0; i < mem->nr_buckets; i++) {
		const uint64_t next = mem->base + ((uint64_t)(i + 1) << mem->shift);

		inside = mem_begun(mem, before, next - 1) - before;
		mem->piece[i] = before | (inside == 0 ? 0 : rte_log2_u32(rte_align32prevpow2(inside)) + 1) <<
			VHOSTX_PIECE_STEPS;
		/* Behind the last address there may be none. */
		before = mem_begun(mem, before + inside, next == 0 ? UINT64_MAX : next);
	}
	mem->piece[mem->nr_buckets] = mem->nr;
	/* The search looks a step too far, never more than there are ranges. */
	for (uint32_t i = mem->nr; i < 2 * mem->nr; i++)
		mem->range[i] = (struct vhostx_range){ .gpa = UINT64_MAX };
}

/* Put a region in the place that its gpa asks for; the reference to @a map becomes the table's. */
static void
mem_insert(struct vhostx_mem *mem, uint64_t gpa, uint64_t size, uint64_t uva, uint32_t adds, struct vhostx_map *map)
{
	uint32_t i = mem->nr++;

	for (; i > 0 && mem->range[i - 1].gpa > gpa; i--) {
		mem->range[i] = mem->range[i - 1];
		mem->uva[i] = mem->uva[i - 1];
		mem->map[i] = mem->map[i - 1];
		mem->adds[i] = mem->adds[i - 1];
	}
	mem->range[i] = (struct vhostx_range){ .gpa = gpa, .size = size, .va = vhostx_map_va(map) };
	mem->uva[i] = uva;
	mem->map[i] = map;
	mem->adds[i] = adds;
}

/*
 * Does the file hold the whole region? A byte past its end would raise SIGBUS in the poller.
 * Devices (device-DAX) have no size; anything else that is no regular file is no memory either.
 */
static int
mem_check_file(const struct vhostx_region_desc *desc, const struct stat *st, const char **why)
{
	if (S_ISCHR(st->st_mode))
		return 0;
	if (!S_ISREG(st->st_mode)) {
		*why = "guest memory is not in a file that can be mapped; use memfd or hugetlbfs";
		return -EINVAL;
	}
	if (desc->mmap_offset <= (uint64_t)st->st_size &&
			desc->size <= (uint64_t)st->st_size - desc->mmap_offset)
		return 0;
	*why = "guest memory is smaller than the front-end says; "
		"give the file behind it its full size";
	return -EINVAL;
}

/* Do two spans of addresses, neither empty nor wrapping, share a byte? */
static bool
spans_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a <= b ? b - a < a_size : a - b < b_size;
}

/* Is the description possible at all, and beside those that are in the table? */
static int
mem_check(const struct vhostx_mem *mem, const struct vhostx_region_desc *desc, const char **why)
{
	if (desc->size == 0) {
		*why = "a memory region has no bytes";
		return -EINVAL;
	}
	if (desc->gpa == UINT64_MAX || desc->size - 1 > UINT64_MAX - desc->gpa || desc->size - 1 > UINT64_MAX - desc->uva) {
		*why = "a memory region goes past the last address";
		return -EINVAL;
	}
	/* Also keeps every sum of map.c below 2^64. */
	if (desc->size > INT64_MAX || desc->mmap_offset > INT64_MAX - desc->size) {
		*why = "a memory region's offset and size are more than any file has";
		return -EINVAL;
	}
	for (uint32_t i = 0; i < mem->nr; i++) {
		const uint64_t size = mem->range[i].size;

		if (spans_overlap(mem->range[i].gpa, size, desc->gpa, desc->size) ||
				spans_overlap(mem->uva[i], size, desc->uva, desc->size)) {
			*why = "two memory regions overlap";
			return -EINVAL;
		}
	}
	return 0;
}

/* Which region of @a old is this one, the same in every way? UINT32_MAX: none. */
static uint32_t
mem_same(const struct vhostx_mem *old, const struct vhostx_region_desc *desc, const struct stat *st)
{
	for (uint32_t i = 0; old != NULL && i < old->nr; i++) {
		if (vhostx_mem_is(old, i, desc->gpa, desc->size, desc->uva) &&
				vhostx_map_is(old->map[i], st, desc->mmap_offset, desc->size))
			return i;
	}
	return UINT32_MAX;
}

/* Does the table have this mapping already? Two regions of a guest need addresses of their own: they are told by them. */
static bool
mem_has(const struct vhostx_mem *mem, const struct vhostx_map *map)
{
	for (uint32_t i = 0; i < mem->nr; i++) {
		if (mem->map[i] == map)
			return true;
	}
	return false;
}

/* A reference to the bytes of a region that was checked: those of @a old, of another port, or mapped anew. */
static int
mem_map(const struct vhostx_mem *mem, const struct vhostx_region_desc *desc, int fd, const struct stat *st,
	const struct vhostx_mem *old, enum vhostx_map_with with, struct vhostx_map **map, const char **why)
{
	const uint32_t same = mem_same(old, desc, st);
	int ret;

	if (same != UINT32_MAX && !mem_has(mem, old->map[same]) &&
			(with != VHOSTX_MAP_OWN || vhostx_map_with(old->map[same]) == VHOSTX_MAP_OWN)) {
		*map = vhostx_map_get(old->map[same]);
		return 0;
	}
	ret = vhostx_map_open(fd, st, desc->mmap_offset, desc->size, with, map, why);
	if (ret != 0 || !(mem_has(mem, *map) || (old != NULL && mem_has(old, *map))))
		return ret;
	/* It is another region's. */
	vhostx_map_put(*map);
	return vhostx_map_open(fd, st, desc->mmap_offset, desc->size, VHOSTX_MAP_OWN, map, why);
}

/* A table of what @a old has but region @a skip, with room for @a more; NULL: out of memory. */
static struct vhostx_mem *
mem_copy(const struct vhostx_mem *old, uint32_t skip, uint32_t more)
{
	const uint32_t nr = old == NULL ? 0 : old->nr;
	struct vhostx_mem *mem = vhostx_mem_alloc(nr + more);

	for (uint32_t i = 0; mem != NULL && i < nr; i++) {
		if (i != skip)
			mem_insert(mem, old->range[i].gpa, old->range[i].size, old->uva[i], old->adds[i],
				vhostx_map_get(old->map[i]));
	}
	return mem;
}

/* Check one more region and add it to a table that has the room. */
static int
mem_append(struct vhostx_mem *mem, const struct vhostx_region_desc *desc, int fd, const struct vhostx_mem *old,
	enum vhostx_map_with with, const char **why)
{
	struct vhostx_map *map;
	struct stat st;
	int ret;

	ret = mem_check(mem, desc, why);
	if (ret != 0)
		return ret;
	if (fstat(fd, &st) != 0) {
		*why = "the file of guest memory cannot be read";
		return -errno;
	}
	ret = mem_check_file(desc, &st, why);
	if (ret == 0)
		ret = mem_map(mem, desc, fd, &st, old, with, &map, why);
	if (ret == 0)
		mem_insert(mem, desc->gpa, desc->size, desc->uva, 1, map);
	return ret;
}

/* --- tables ----------------------------------------------------------------------------------- */

int
vhostx_mem_build(const struct vhostx_region_desc *desc, const int *fds, unsigned int nr,
	const struct vhostx_mem *old, enum vhostx_map_with with,
	struct vhostx_mem **mem, const char **why)
{
	struct vhostx_mem *built;
	int ret = 0;

	if (nr > VHOSTX_MEM_SLOTS) {
		*why = "guest memory has more than " RTE_STR(VHOSTX_MEM_SLOTS) " regions";
		return -EINVAL;
	}
	built = vhostx_mem_alloc(nr);
	if (built == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < nr && ret == 0; i++)
		ret = mem_append(built, &desc[i], fds[i], old, with, why);
	if (ret != 0) {
		vhostx_mem_free(built);
		return ret;
	}
	vhostx_mem_index(built);
	*mem = built;
	return 0;
}

int
vhostx_mem_add(const struct vhostx_mem *old, const struct vhostx_region_desc *desc, int fd,
	enum vhostx_map_with with, 	struct vhostx_mem **mem, const char **why)
{
	const uint32_t nr = old == NULL ? 0 : old->nr;
	uint32_t again = UINT32_MAX;
	struct vhostx_mem *built;
	struct stat st;
	int ret = 0;

	if (fstat(fd, &st) == 0)
		again = mem_same(old, desc, &st);
	if (again == UINT32_MAX && nr == VHOSTX_MEM_SLOTS) {
		*why = "guest memory has more than " RTE_STR(VHOSTX_MEM_SLOTS) " regions";
		return -EINVAL;
	}
	built = mem_copy(old, UINT32_MAX, 1);
	if (built == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	if (again != UINT32_MAX)
		built->adds[again]++;
	else
		ret = mem_append(built, desc, fd, NULL, with, why);
	if (ret != 0) {
		vhostx_mem_free(built);
		return ret;
	}
	vhostx_mem_index(built);
	*mem = built;
	return 0;
}

int
vhostx_mem_remove(const struct vhostx_mem *old, const struct vhostx_region_desc *desc,
	struct vhostx_mem **mem, const char **why)
{
	const uint32_t nr = old == NULL ? 0 : old->nr;
	struct vhostx_mem *built;
	uint32_t gone = 0;
	bool last;

	while (gone < nr && !vhostx_mem_is(old, gone, desc->gpa, desc->size, desc->uva))
		gone++;
	if (gone == nr) {
		*why = "no memory region has this address and size";
		return -ENOENT;
	}
	last = old->adds[gone] == 1;
	built = mem_copy(old, last ? gone : UINT32_MAX, 0);
	if (built == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	if (!last)
		built->adds[gone]--;
	vhostx_mem_index(built);
	*mem = built;
	return 0;
}

void
vhostx_mem_free(struct vhostx_mem *mem)
{
	if (mem == NULL)
		return;
	for (uint32_t i = 0; i < mem->nr; i++)
		vhostx_map_put(mem->map[i]);
	free(mem);
}

/* --- NUMA ------------------------------------------------------------------------------------- */

int
vhostx_mem_node(const struct vhostx_mem *mem)
{
	const struct vhostx_range *largest;
	int node;

	if (mem == NULL || mem->nr == 0)
		return -1;
	largest = &mem->range[0];
	for (uint32_t i = 1; i < mem->nr; i++) {
		if (mem->range[i].size > largest->size)
			largest = &mem->range[i];
	}
	if (syscall(SYS_get_mempolicy, &node, NULL, 0, largest->va,
			MPOL_F_NODE | MPOL_F_ADDR) != 0)
		return -1;
	return node;
}

/* --- references ------------------------------------------------------------------------------- */

struct vhostx_map *
vhostx_mem_hold(const struct vhostx_mem *mem, const void *va)
{
	for (uint32_t i = 0; i < mem->nr; i++) {
		if ((uintptr_t)va - (uintptr_t)mem->range[i].va < mem->range[i].size)
			return vhostx_map_get(mem->map[i]);
	}
	return NULL;
}

bool
vhostx_mem_is_here(const void *va, uint64_t len)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const uintptr_t last = ((uintptr_t)va + len - 1) & -page;
	uint8_t state;

	for (uintptr_t at = (uintptr_t)va & -page; at <= last; at += page) {
		if (mincore((void *)at, page, &state) != 0 || (state & 1) == 0)
			return false;
	}
	return true;
}

bool
vhostx_mem_place(const struct vhostx_mem *mem, const void *va, struct vhostx_place *place)
{
	for (uint32_t i = 0; i < mem->nr; i++) {
		const uint64_t off = (uintptr_t)va - (uintptr_t)mem->range[i].va;

		if (off >= mem->range[i].size)
			continue;
		*place = vhostx_map_place(mem->map[i]);
		place->offset += off;
		return true;
	}
	return false;
}

/* --- translation ------------------------------------------------------------------------------ */

void *
vhostx_mem_from_uva(const struct vhostx_mem *mem, uint64_t uva, uint64_t len)
{
	for (uint32_t i = 0; i < mem->nr && len != 0; i++) {
		const uint64_t off = uva - mem->uva[i];

		if (off < mem->range[i].size)
			return len <= mem->range[i].size - off ? mem->range[i].va + off : NULL;
	}
	return NULL;
}

uint64_t
vhostx_mem_gpa(const struct vhostx_mem *mem, uint32_t *hint, const void *va, uint64_t *run)
{
	/* Sorted by gpa, so nothing is known of the order of va: from the last hit on, once round. */
	for (uint32_t n = 0, i = *hint; n < mem->nr; n++, i = i + 1 < mem->nr ? i + 1 : 0) {
		const uint64_t off = (uintptr_t)va - (uintptr_t)mem->range[i].va;

		if (off < mem->range[i].size) {
			*hint = i;
			*run = mem->range[i].size - off;
			return mem->range[i].gpa + off;
		}
	}
	return UINT64_MAX;
}

uint8_t *
vhostx_mem_va_slow(const struct vhostx_mem *mem, uint32_t *hint, uint64_t gpa, uint64_t *run)
{
	const uint32_t at = vhostx_mem_find(mem, gpa);
	const struct vhostx_range *range = &mem->range[at];
	const uint64_t off = gpa - range->gpa;

	if (off >= range->size)
		return NULL;
	*hint = at;
	*run = range->size - off;
	return range->va + off;
}
