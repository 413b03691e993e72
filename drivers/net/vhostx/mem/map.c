/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Mappings of files: made once for all ports, counted by reference.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <rte_common.h>

#include "dma.h"
#include "map.h"
#include "unmap.h"
#include "work.h"

struct vhostx_map {
	TAILQ_ENTRY(vhostx_map) next;  /* of those that ports share; under map_lock */
	uint32_t refs;                 /* atomic; by every holder */
	enum vhostx_map_with with;     /* constant, like all that follows; in the list unless its own */
	dev_t dev;                     /* the file: with ino what tells it from others */
	ino_t ino;
	struct timespec changed;       /* its st_ctim when it was mapped: numbers of files come round */
	uint64_t offset;               /* of the first byte that was asked for */
	uint64_t size;                 /* bytes that were asked for */
	void *addr;                    /* what mmap returned */
	size_t len;                    /* bytes from addr that are mapped */
	uint8_t *va;                   /* the first byte, at or after addr */
	bool hugetlbfs;                /* the file is there */
	size_t page;                   /* bytes, of the file */
	struct vhostx_work work;       /* registers it for devices, and undoes that */
	pthread_mutex_t dma_lock;      /* of the rest */
	bool registering;              /* work has the next two */
	struct vhostx_dma *dma;        /* what devices know of it; NULL: nothing */
	int dma_ret;                   /* what came of it the last time: 0, or a -errno */
	const char *no_dma;            /* why, for the log */
};

/* Mappings alive; atomic. State of the process for the leak checks, nothing depends on it. */
static unsigned int map_live;

/* Of those, the ones that are registered for devices; atomic. */
static unsigned int map_registered;

/* Those that ports share. One whose last reference is gone is on its way out of the list. */
static TAILQ_HEAD(, vhostx_map) map_list = TAILQ_HEAD_INITIALIZER(map_list);
static pthread_mutex_t map_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- one mapping ------------------------------------------------------------------------------ */

/* The unit that the file's mappings come in: the page, on hugetlbfs the huge page. */
static uint64_t
map_align(const struct stat *st)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const uint64_t block = st->st_blksize;

	return block > page && (block & (block - 1)) == 0 ? block : page;
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
map_range(int fd, uint64_t start, size_t len, uint64_t align)
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

static int
map_create(int fd, const struct stat *st, uint64_t offset, uint64_t size, struct vhostx_map **out, const char **why)
{
	const uint64_t align = map_align(st);
	const uint64_t start = RTE_ALIGN_FLOOR(offset, align);
	struct vhostx_map *map = calloc(1, sizeof(*map));
	struct statfs fs;
	int err;

	if (map == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	map->len = RTE_ALIGN_CEIL(offset - start + size, align);
	map->addr = map_range(fd, start, map->len, align);
	if (map->addr == MAP_FAILED) {
		err = errno;
		*why = map_why(err);
		free(map);
		return -err;
	}
	map->refs = 1;
	map->with = VHOSTX_MAP_OWN;
	map->dev = st->st_dev;
	map->ino = st->st_ino;
	map->changed = st->st_ctim;
	map->offset = offset;
	map->size = size;
	map->va = (uint8_t *)map->addr + (offset - start);
	map->hugetlbfs = fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
	map->page = align;
	pthread_mutex_init(&map->dma_lock, NULL);
	__atomic_fetch_add(&map_live, 1, __ATOMIC_RELAXED);
	*out = map;
	return 0;
}

/* --- those that ports share ------------------------------------------------------------------- */

bool
vhostx_map_is(const struct vhostx_map *map, const struct stat *st, uint64_t offset, uint64_t size)
{
	return map->dev == st->st_dev && map->ino == st->st_ino && map->offset == offset && map->size == size;
}

/* A reference, unless the last one is gone. */
static bool
map_get_live(struct vhostx_map *map)
{
	uint32_t refs = __atomic_load_n(&map->refs, __ATOMIC_RELAXED);

	while (refs != 0) {
		if (__atomic_compare_exchange_n(&map->refs, &refs, refs + 1, false, __ATOMIC_RELAXED,
				__ATOMIC_RELAXED))
			return true;
	}
	return false;
}

/*
 * Is it the same file beyond doubt? On some file systems numbers of files are 32 bits and come round, while what is
 * mapped keeps its own: another front-end could make files until one has it. That was changed later then, and nobody
 * sets that time. A file that was itself changed in between is mapped once more, no harm is done.
 */
static bool
map_is_unchanged(const struct vhostx_map *map, const struct stat *st)
{
	return map->changed.tv_sec == st->st_ctim.tv_sec && map->changed.tv_nsec == st->st_ctim.tv_nsec;
}

/* A reference to the mapping of these bytes that ports share, or NULL. */
static struct vhostx_map *
map_find(const struct stat *st, uint64_t offset, uint64_t size, enum vhostx_map_with with)
{
	struct vhostx_map *map;

	pthread_mutex_lock(&map_lock);
	TAILQ_FOREACH(map, &map_list, next) {
		if (map->with == with && vhostx_map_is(map, st, offset, size) && map_is_unchanged(map, st) &&
				map_get_live(map))
			break;
	}
	pthread_mutex_unlock(&map_lock);
	return map;
}

/*
 * May this file be mapped as well? The front-end may have been given it to read only, and another one's mapping would
 * let it have written by us what it may not write.
 */
static int
map_try(int fd, const struct stat *st, uint64_t offset, const char **why)
{
	const uint64_t align = map_align(st);
	void *addr = map_range(fd, RTE_ALIGN_FLOOR(offset, align), align, align);
	const int err = errno;

	if (addr != MAP_FAILED) {
		munmap(addr, align);
		return 0;
	}
	*why = map_why(err);
	return -err;
}

int
vhostx_map_open(int fd, const struct stat *st, uint64_t offset, uint64_t size, enum vhostx_map_with with,
	struct vhostx_map **out, const char **why)
{
	struct vhostx_map *map;
	int ret;

	/* Each time that a device is opened it may be other memory. */
	if (with == VHOSTX_MAP_OWN || !S_ISREG(st->st_mode))
		return map_create(fd, st, offset, size, out, why);
	map = map_find(st, offset, size, with);
	if (map != NULL) {
		ret = map_try(fd, st, offset, why);
		if (ret == 0)
			*out = map;
		else
			vhostx_map_put(map);
		return ret;
	}
	ret = map_create(fd, st, offset, size, &map, why);
	if (ret != 0)
		return ret;
	map->with = with;
	pthread_mutex_lock(&map_lock);
	TAILQ_INSERT_HEAD(&map_list, map, next);
	pthread_mutex_unlock(&map_lock);
	*out = map;
	return 0;
}

/* --- of either kind --------------------------------------------------------------------------- */

struct vhostx_map *
vhostx_map_get(struct vhostx_map *map)
{
	/* Whoever takes a reference has one, or a table that has: no ordering is needed. */
	__atomic_fetch_add(&map->refs, 1, __ATOMIC_RELAXED);
	return map;
}

enum vhostx_map_with
vhostx_map_with(const struct vhostx_map *map)
{
	return map->with;
}

struct vhostx_place
vhostx_map_place(const struct vhostx_map *map)
{
	return (struct vhostx_place){ .dev = map->dev, .ino = map->ino, .offset = map->offset };
}

int
vhostx_map_file(int fd, uint64_t offset, uint64_t size, struct vhostx_map **map, const char **why)
{
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
	ret = map_create(fd, &st, offset, size, map, why);
	if (ret != 0)
		*why = "the file cannot be mapped";
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

/* --- the last reference ----------------------------------------------------------------------- */

/* One reference less. @return whether it was the last one: the mapping is no port's any more, nor becomes one's. */
static bool
map_drop(struct vhostx_map *map)
{
	/* Release: this holder's accesses come first. Acquire: the last one unmaps after all. */
	if (__atomic_sub_fetch(&map->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	if (map->with != VHOSTX_MAP_OWN) {
		pthread_mutex_lock(&map_lock);
		TAILQ_REMOVE(&map_list, map, next);
		pthread_mutex_unlock(&map_lock);
	}
	return true;
}

/* The last reference is gone. */
static void
map_destroy(struct vhostx_map *map)
{
	pthread_mutex_destroy(&map->dma_lock);
	vhostx_unmap(map->addr, map->len, &map_live);
	free(map);
}

/* --- for devices ------------------------------------------------------------------------------ */

static struct vhostx_map *
map_of(struct vhostx_work *work)
{
	return (struct vhostx_map *)RTE_PTR_SUB(work, offsetof(struct vhostx_map, work));
}

static void
map_unregister(struct vhostx_work *work)
{
	struct vhostx_map *map = map_of(work);

	vhostx_dma_unregister(map->dma);
	/* Release: who sees it may end the EAL. */
	__atomic_fetch_sub(&map_registered, 1, __ATOMIC_RELEASE);
	map_destroy(map);
}

static void
map_register(struct vhostx_work *work)
{
	struct vhostx_map *map = map_of(work);
	const struct vhostx_dma_area area = {
		.addr = map->addr, .len = map->len, .page = map->page, .hugetlbfs = map->hugetlbfs,
	};
	struct vhostx_dma *dma = map->dma;
	const char *why = NULL;
	const int ret = dma == NULL ? vhostx_dma_register(&area, &dma, &why) : vhostx_dma_map(dma, &why);

	if (map->dma == NULL && dma != NULL)
		__atomic_fetch_add(&map_registered, 1, __ATOMIC_RELAXED);
	pthread_mutex_lock(&map->dma_lock);
	map->dma = dma;
	map->dma_ret = ret;
	map->no_dma = why;
	map->registering = false;
	pthread_mutex_unlock(&map->dma_lock);
	/* Now, not as work of its own: what waits may register the same pages, and who closes a port counts on it. */
	if (map_drop(map))
		map_unregister(work);
}

/* Is there anything to do that may succeed? */
static bool
map_may_register(const struct vhostx_map *map)
{
	if (map->registering || map->dma_ret == -ENOTSUP)
		return false;
	return map->dma == NULL || !vhostx_dma_is_whole(map->dma);
}

bool
vhostx_map_register(struct vhostx_map *map)
{
	bool give;

	pthread_mutex_lock(&map->dma_lock);
	give = map_may_register(map);
	map->registering = map->registering || give;
	pthread_mutex_unlock(&map->dma_lock);
	if (!give)
		return false;
	map->work.run = map_register;
	vhostx_map_get(map);
	vhostx_work_give(&map->work);
	return true;
}

int
vhostx_map_registered(struct vhostx_map *map, const struct vhostx_dma **dma, const char **why)
{
	int ret;

	*dma = NULL;
	pthread_mutex_lock(&map->dma_lock);
	ret = map->registering ? -EINPROGRESS : map->dma_ret;
	if (ret == 0)
		*dma = map->dma;
	else
		*why = map->no_dma;
	pthread_mutex_unlock(&map->dma_lock);
	return ret;
}

/* --- the end ---------------------------------------------------------------------------------- */

void
vhostx_map_put(struct vhostx_map *map)
{
	if (!map_drop(map))
		return;
	if (map->dma == NULL) {
		map_destroy(map);
		return;
	}
	map->work.run = map_unregister;
	vhostx_work_give(&map->work);
}

unsigned int
vhostx_map_count(void)
{
	return __atomic_load_n(&map_live, __ATOMIC_RELAXED);
}

unsigned int
vhostx_map_count_registered(void)
{
	return __atomic_load_n(&map_registered, __ATOMIC_ACQUIRE);
}
