/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Mappings of the files that front-ends pass: ports whose front-ends pass the same bytes share one, for a guest with
 * several of them fills page tables, TLB and the EAL's lists once. Knows neither guests nor addresses of theirs.
 */
#ifndef VHOSTX_MEM_MAP_H
#define VHOSTX_MEM_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/**
 * One mapping of a file, counted by reference: held by each table that lists it and by whatever lends its bytes out.
 *
 * | state   | who may touch it                                     | what moves it on                        |
 * |---------|------------------------------------------------------|-----------------------------------------|
 * | shared  | its holders; who looks for these bytes may become one | the last vhostx_map_put()              |
 * | own     | its holders                                          | the last vhostx_map_put()               |
 * | gone    | nobody                                               |                                         |
 */
struct vhostx_map;

/** What devices know of a mapping: dma.h. */
struct vhostx_dma;

/** A byte of guest memory by the file that it is in: the same in every process that maps it. */
struct vhostx_place {
	uint64_t dev;    /**< st_dev */
	uint64_t ino;    /**< st_ino */
	uint64_t offset; /**< in the file, bytes */
};

/** Are two places one? */
static inline bool
vhostx_place_equal(const struct vhostx_place *a, const struct vhostx_place *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->offset == b->offset;
}

/** With whom a mapping may be shared. */
enum vhostx_map_with {
	VHOSTX_MAP_ALL,   /**< ports whose front-ends are in other processes */
	VHOSTX_MAP_LOCAL, /**< ports whose front-end is in this one: it holds locks that devices' mappings end by */
	VHOSTX_MAP_OWN,   /**< nobody: in post-copy a port's memory has a userfaultfd of its own */
};

/**
 * Map @a size bytes at @a offset of a file, both checked, or find them mapped by another port. The file stays the
 * caller's, the reference is the caller's too. Any thread.
 *
 * @param st   of the file.
 * @param why  set to a sentence for the log on error.
 * @return 0, -ENOMEM, or the -errno of mmap, also if another port may map the bytes and this file's holder may not.
 */
int vhostx_map_open(int fd, const struct stat *st, uint64_t offset, uint64_t size, enum vhostx_map_with with,
	struct vhostx_map **map, const char **why);

/**
 * Map @a size bytes at @a offset of a file that is no guest memory; the file stays the caller's. The
 * reference is the caller's too.
 *
 * @param why  set to a sentence for the log on error.
 * @return 0, -EINVAL (no bytes, more than the file has, no file that can be mapped), -ENOMEM, or the -errno of
 *   fstat or mmap.
 */
int vhostx_map_file(int fd, uint64_t offset, uint64_t size, struct vhostx_map **map, const char **why);

/** Are these the bytes that it was asked for? */
bool vhostx_map_is(const struct vhostx_map *map, const struct stat *st, uint64_t offset, uint64_t size);

/** Who may have it? */
enum vhostx_map_with vhostx_map_with(const struct vhostx_map *map);

/** The place of its first byte. */
struct vhostx_place vhostx_map_place(const struct vhostx_map *map);

/** Take one more reference, as any holder of one may. @return @a map. */
struct vhostx_map *vhostx_map_get(struct vhostx_map *map);

/** The pages that @a map has, whole ones: where they begin, and in @a len how many bytes they are. */
void *vhostx_map_pages(const struct vhostx_map *map, uint64_t *len);

/**
 * Have a mapping registered for devices, unless it is, or can never be (-ENOTSUP): that is work.h's. Undone before it
 * is unmapped, likewise. By the cold side.
 * @return whether it was handed over.
 */
bool vhostx_map_register(struct vhostx_map *map);

/**
 * What came of it?
 * @param dma  set to where devices see it, valid as long as the mapping; NULL on error.
 * @param why  set to a sentence for the log on error, but for -EINPROGRESS.
 * @return 0, -EINPROGRESS, or the -errno of the last time.
 */
int vhostx_map_registered(struct vhostx_map *map, const struct vhostx_dma **dma, const char **why);

/** Where the first byte that a mapping was asked for is in this process. */
void *vhostx_map_va(const struct vhostx_map *map);

/**
 * Drop a reference; the last one unmaps, or leaves it to work.h if devices know of it. May be called from any thread.
 */
void vhostx_map_put(struct vhostx_map *map);

/** Mappings that exist in this process now (for tests and for leak checks). */
unsigned int vhostx_map_count(void);

/** Of those, the ones that are registered for devices; without what work.h has still to register. */
unsigned int vhostx_map_count_registered(void);

#endif /* VHOSTX_MEM_MAP_H */
