/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory: mappings that are counted by reference, and the tables that translate addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>

#include <rte_bitops.h>

#include "dma.h"
#include "region.h"
#include "unmap.h"

struct vhostx_map {
	uint32_t refs;                 /* atomic; by every holder */
	uint32_t adds;                 /* how often the front-end added it; tables of one front-end */
	struct vhostx_region_desc desc; /* constant, like all that follows: what was mapped */
	dev_t dev;                     /* the file: with ino what tells it from others */
	ino_t ino;
	void *addr;                    /* what mmap returned */
	size_t len;                    /* bytes from addr that are mapped */
	uint8_t *va;                   /* the region's first byte, at or after addr */
	bool sealed;                   /* the file cannot shrink: no access can raise SIGBUS */
	bool hugetlbfs;                /* the file is there */
	size_t page;                   /* bytes, of the file */
	struct vhostx_dma *dma;        /* what devices know of it; NULL: nothing; the cold side's */
	const char *no_dma;            /* why they may not; NULL: nobody asked, or they may */
};

/* Mappings alive; atomic. State of the process for the leak checks, nothing depends on it. */
static unsigned int map_live;

/* --- one mapping ------------------------------------------------------------------------------ */

/* The unit that the file's mappings come in: the page, on hugetlbfs the huge page. */
static uint64_t
map_align(const struct stat *st)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const uint64_t block = st->st_blksize;

	return block > page && (block & (block - 1)) == 0 ? block : page;
}

/*
 * Does the file hold the whole region? A byte past its end would raise SIGBUS in the poller.
 * Devices (device-DAX) have no size; anything else that is no regular file is no memory either.
 */
static int
map_check_file(const struct vhostx_region_desc *desc, const struct stat *st, const char **why)
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

static const char *
map_why(int err)
{
	switch (err) {
	case EACCES:
	case EPERM:
		return "guest memory is not shared; start QEMU with share=on";
	case ENOMEM:
		return "no room to map guest memory; raise the limits of this process "
			"(vm.max_map_count, ulimit -v) or give hugetlbfs more pages";
	default:
		return "guest memory cannot be mapped; use memfd or hugetlbfs";
	}
}

static bool
map_is_same(const struct vhostx_map *map, const struct vhostx_region_desc *desc,
	const struct stat *st)
{
	return map->desc.gpa == desc->gpa && map->desc.uva == desc->uva &&
		map->desc.size == desc->size && map->desc.mmap_offset == desc->mmap_offset &&
		map->dev == st->st_dev && map->ino == st->st_ino;
}

/* Mappings as large as that begin at a border of that: the EAL describes them in few pieces. */
#define MAP_BORDER ((size_t)2 << 20)

/* Addresses for a mapping that begins at a border; NULL: any will do. */
static void *
map_reserve(size_t len, uint64_t align)
{
	const size_t room = len + MAP_BORDER;
	uint8_t *addr, *at;

	if (len < MAP_BORDER || align >= MAP_BORDER)
		return NULL;
	addr = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED)
		return NULL;
	at = RTE_PTR_ALIGN_CEIL(addr, MAP_BORDER);
	if (at != addr)
		munmap(addr, at - addr);
	munmap(at + len, MAP_BORDER - (at - addr));
	return at;
}

/*
 * Map a shared file. In a process that has locked its memory (mlockall(MCL_FUTURE), as testpmd does), mmap would
 * bring every page in before it returns: seconds for a large guest, for which all ports wait, and all memory of the
 * machine for a front-end that lies with a sparse file. Pages without access are not brought in.
 */
static void *
map_open(int fd, uint64_t start, size_t len, uint64_t align)
{
	void *place = map_reserve(len, align);
	void *addr = mmap(place, len, PROT_NONE, MAP_SHARED | (place == NULL ? 0 : MAP_FIXED), fd, start);
	int err = errno;

	if (addr != MAP_FAILED) {
		munlock(addr, len);
		if (mprotect(addr, len, PROT_READ | PROT_WRITE) == 0)
			return addr;
		err = errno;
		place = addr;
	}
	if (place != NULL)
		munmap(place, len);
	errno = err;
	return MAP_FAILED;
}

/* Map a region whose description and file were checked. */
static int
map_create(const struct vhostx_region_desc *desc, int fd, const struct stat *st,
	struct vhostx_map **out, const char **why)
{
	const uint64_t align = map_align(st);
	const uint64_t start = RTE_ALIGN_FLOOR(desc->mmap_offset, align);
	const uint64_t skip = desc->mmap_offset - start;
	const int seals = fcntl(fd, F_GET_SEALS);
	struct vhostx_map *map = calloc(1, sizeof(*map));
	struct statfs fs;
	int err;

	if (map == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	map->len = RTE_ALIGN_CEIL(skip + desc->size, align);
	map->addr = map_open(fd, start, map->len, align);
	if (map->addr == MAP_FAILED) {
		err = errno;
		*why = map_why(err);
		free(map);
		return -err;
	}
	map->refs = 1;
	map->adds = 1;
	map->desc = *desc;
	map->dev = st->st_dev;
	map->ino = st->st_ino;
	map->va = (uint8_t *)map->addr + skip;
	map->sealed = seals >= 0 && (seals & F_SEAL_SHRINK) != 0;
	map->hugetlbfs = fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
	map->page = align;
	__atomic_fetch_add(&map_live, 1, __ATOMIC_RELAXED);
	*out = map;
	return 0;
}

struct vhostx_map *
vhostx_map_get(struct vhostx_map *map)
{
	/* Whoever takes a reference has one, or a table that has: no ordering is needed. */
	__atomic_fetch_add(&map->refs, 1, __ATOMIC_RELAXED);
	return map;
}

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
		room * (sizeof(mem->uva[0]) + sizeof(mem->map[0])) + (buckets + 1) * sizeof(mem->piece[0]));

	if (mem == NULL)
		return NULL;
	mem->uva = (uint64_t *)&mem->range[ranges];
	mem->map = (struct vhostx_map **)&mem->uva[room];
	mem->piece = (uint16_t *)&mem->map[room];
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

/* Put a reference to @a map, which becomes the table's, in the place that its gpa asks for. */
static void
mem_insert(struct vhostx_mem *mem, struct vhostx_map *map)
{
	uint32_t i = mem->nr++;

	for (; i > 0 && mem->range[i - 1].gpa > map->desc.gpa; i--) {
		mem->range[i] = mem->range[i - 1];
		mem->uva[i] = mem->uva[i - 1];
		mem->map[i] = mem->map[i - 1];
	}
	mem->range[i] = (struct vhostx_range) {
		.gpa = map->desc.gpa, .size = map->desc.size, .va = map->va,
	};
	mem->uva[i] = map->desc.uva;
	mem->map[i] = map;
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
	/* Also keeps every sum of map_create() below 2^64. */
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

/* A reference to the mapping of this region in @a old, or NULL. */
static struct vhostx_map *
mem_reuse(const struct vhostx_mem *old, const struct vhostx_region_desc *desc,
	const struct stat *st)
{
	for (uint32_t i = 0; old != NULL && i < old->nr; i++) {
		if (map_is_same(old->map[i], desc, st))
			return vhostx_map_get(old->map[i]);
	}
	return NULL;
}

/* A table of what @a old has but region @a skip, with room for @a more; NULL: out of memory. */
static struct vhostx_mem *
mem_copy(const struct vhostx_mem *old, uint32_t skip, uint32_t more)
{
	const uint32_t nr = old == NULL ? 0 : old->nr;
	struct vhostx_mem *mem = vhostx_mem_alloc(nr + more);

	for (uint32_t i = 0; mem != NULL && i < nr; i++) {
		if (i != skip)
			mem_insert(mem, vhostx_map_get(old->map[i]));
	}
	return mem;
}

/* Check one more region and add it to a table that has the room. */
static int
mem_append(struct vhostx_mem *mem, const struct vhostx_region_desc *desc, int fd,
	const struct vhostx_mem *old, const char **why)
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
	ret = map_check_file(desc, &st, why);
	if (ret != 0)
		return ret;
	map = mem_reuse(old, desc, &st);
	if (map == NULL)
		ret = map_create(desc, fd, &st, &map, why);
	if (ret == 0)
		mem_insert(mem, map);
	return ret;
}

/* --- tables ----------------------------------------------------------------------------------- */

int
vhostx_mem_build(const struct vhostx_region_desc *desc, const int *fds, unsigned int nr,
	const struct vhostx_mem *old, struct vhostx_mem **mem, const char **why)
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
		ret = mem_append(built, &desc[i], fds[i], old, why);
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
	struct vhostx_mem **mem, const char **why)
{
	const uint32_t nr = old == NULL ? 0 : old->nr;
	struct vhostx_map *again = NULL;
	struct vhostx_mem *built;
	struct stat st;
	int ret = 0;

	if (fstat(fd, &st) == 0)
		again = mem_reuse(old, desc, &st);
	if (again == NULL && nr == VHOSTX_MEM_SLOTS) {
		*why = "guest memory has more than " RTE_STR(VHOSTX_MEM_SLOTS) " regions";
		return -EINVAL;
	}
	built = mem_copy(old, UINT32_MAX, 1);
	if (built == NULL) {
		*why = "out of memory";
		ret = -ENOMEM;
	} else if (again != NULL) {
		again->adds++;
	} else {
		ret = mem_append(built, desc, fd, NULL, why);
	}
	if (again != NULL)
		vhostx_map_put(again);
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

	while (gone < nr && (old->range[gone].gpa != desc->gpa || old->uva[gone] != desc->uva ||
			old->range[gone].size != desc->size))
		gone++;
	if (gone == nr) {
		*why = "no memory region has this address and size";
		return -ENOENT;
	}
	last = old->map[gone]->adds == 1;
	built = mem_copy(old, last ? gone : UINT32_MAX, 0);
	if (built == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	if (!last)
		old->map[gone]->adds--;
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
		const struct vhostx_map *map = mem->map[i];

		if (off >= mem->range[i].size)
			continue;
		*place = (struct vhostx_place) {
			.dev = map->dev, .ino = map->ino, .offset = map->desc.mmap_offset + off,
		};
		return true;
	}
	return false;
}

int
vhostx_map_file(int fd, uint64_t offset, uint64_t size, struct vhostx_map **map, const char **why)
{
	const struct vhostx_region_desc desc = { .size = size, .mmap_offset = offset };
	struct stat st;
	int ret;

	if (fstat(fd, &st) != 0) {
		*why = "the file cannot be read";
		return -errno;
	}
	if (size == 0 || size > INT64_MAX || offset > INT64_MAX - size || !S_ISREG(st.st_mode) ||
			offset + size > (uint64_t)st.st_size) {
		*why = "the file is smaller than the front-end says, or cannot be mapped";
		return -EINVAL;
	}
	ret = map_create(&desc, fd, &st, map, why);
	if (ret != 0)
		*why = "the file cannot be mapped";
	return ret;
}

int
vhostx_map_register(struct vhostx_map *map, const struct vhostx_dma **dma, const char **why)
{
	const struct vhostx_dma_area area = {
		.addr = map->addr, .len = map->len, .page = map->page, .hugetlbfs = map->hugetlbfs,
	};
	int ret = 0;

	*dma = NULL;
	if (map->no_dma != NULL) {
		*why = map->no_dma;
		return -ENOTSUP;
	}
	if (map->dma != NULL) {
		ret = vhostx_dma_map(map->dma, why);
	} else {
		ret = vhostx_dma_register(&area, &map->dma, why);
		if (ret != 0)
			map->no_dma = *why;
	}
	if (ret == 0)
		*dma = map->dma;
	return ret;
}

void *
vhostx_map_va(const struct vhostx_map *map)
{
	return map->va;
}

void *
vhostx_map_pages(const struct vhostx_map *map, uint64_t *len)
{
	*len = map->len;
	return map->addr;
}

void
vhostx_map_put(struct vhostx_map *map)
{
	/* Release: this holder's accesses come first. Acquire: the last one unmaps after all. */
	if (__atomic_sub_fetch(&map->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	vhostx_dma_unregister(map->dma);
	vhostx_unmap(map->addr, map->len, &map_live);
	free(map);
}

unsigned int
vhostx_map_count(void)
{
	return __atomic_load_n(&map_live, __ATOMIC_RELAXED);
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
