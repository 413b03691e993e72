/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory: the regions of a front-end, in tables that translate addresses.
 */
#ifndef VHOSTX_MEM_REGION_H
#define VHOSTX_MEM_REGION_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "map.h"

/** Bytes of the smallest page that guest memory can have on any machine. */
#define VHOSTX_PAGE 4096u

/** Most regions of one guest; the answer to GET_MAX_MEM_SLOTS. */
#define VHOSTX_MEM_SLOTS 509

/** One region as a message describes it; untrusted. */
struct vhostx_region_desc {
	uint64_t gpa;         /**< guest-physical address of the first byte */
	uint64_t size;        /**< bytes */
	uint64_t uva;         /**< the same byte in the front-end's own address space */
	uint64_t mmap_offset; /**< offset of the first byte in the file, bytes */
};

/** The hot part of a region: what a burst needs to translate an address. */
struct vhostx_range {
	uint64_t gpa;  /**< first guest-physical address */
	uint64_t size; /**< bytes; 0 in the placeholder of an empty table */
	uint8_t *va;   /**< where that byte is in this process */
};
/* Bursts load all three at once. */
static_assert(offsetof(struct vhostx_range, size) == 8 && offsetof(struct vhostx_range, va) == 16, "gpa, size, va");

/** Of a piece: ranges that begin at its first byte or before it, the first range of all in any case. */
#define VHOSTX_PIECE_BEFORE 0xfffu
/** Of a piece: above these bits, how many steps find the one of those that begin inside of it; mostly none do. */
#define VHOSTX_PIECE_STEPS 12

/**
 * A table of regions, immutable once built, sorted by gpa, free of overlaps.
 *
 * | state     | who may touch it                       | what moves it on           |
 * |-----------|----------------------------------------|----------------------------|
 * | built     | the holder of the port mutex           | a snapshot is built on it  |
 * | in use    | additionally bursts, reading           | all those snapshots retire |
 * | freed     | nobody; mappings lent out stay mapped  | vhostx_map_put() of each   |
 */
struct vhostx_mem {
	uint32_t nr;                     /**< regions, 0 to VHOSTX_MEM_SLOTS */
	uint32_t nr_buckets;             /**< pieces of equal size that the addresses are cut into; 0 if nr is */
	uint32_t shift;                  /**< bits of an address inside of a piece */
	uint64_t base;                   /**< where the first piece begins */
	uint16_t *piece;                 /**< [nr_buckets + 1] VHOSTX_PIECE_* of each piece, and of what is after them */
	uint64_t *uva;                   /**< [nr] front-end address of each range */
	struct vhostx_map **map;         /**< [nr] the mapping behind each range, a reference */
	uint32_t *adds;                  /**< [nr] how often the front-end added each */
	struct vhostx_range range[];     /**< [max(nr, 1)] sorted by gpa, then as many that no address is in */
};

/** Is this the @a i-th region of the table, as far as a front-end names it? */
static inline bool
vhostx_mem_is(const struct vhostx_mem *mem, uint32_t i, uint64_t gpa, uint64_t size, uint64_t uva)
{
	return mem->range[i].gpa == gpa && mem->range[i].size == size && mem->uva[i] == uva;
}

/** An empty table with room for @a room regions, whose ranges the caller fills in. @return NULL: out of memory. */
struct vhostx_mem *vhostx_mem_alloc(uint32_t room);

/** Make ready for lookups, when nr and all ranges, sorted, are there. */
void vhostx_mem_index(struct vhostx_mem *mem);

/**
 * Build a table from @a nr descriptions and as many files; mappings of @a old (may be NULL) that
 * have the same guest and user address, size, offset and file are taken over, not mapped again. Other bytes that
 * another port has mapped are shared with it, unless they are those of another region of this guest: an address in this
 * process tells which region it is in.
 *
 * The files stay the caller's. On error @a why (never NULL) gets a sentence for the log.
 *
 * @param with  with whom bytes may be shared.
 * @return 0, -EINVAL (a size of 0, an address that wraps, an overlap, more than VHOSTX_MEM_SLOTS, a
 *   region larger than its file), -ENOMEM, or the -errno of fstat or mmap.
 */
int vhostx_mem_build(const struct vhostx_region_desc *desc, const int *fds, unsigned int nr,
	const struct vhostx_mem *old, enum vhostx_map_with with, struct vhostx_mem **mem, const char **why);

/**
 * Build a table of @a old (may be NULL) plus one region; errors as vhostx_mem_build(). A region that is
 * in it already, the same in every way, is counted: QEMU up to 8.0 adds, and removes, each region once a
 * queue pair.
 */
int vhostx_mem_add(const struct vhostx_mem *old, const struct vhostx_region_desc *desc, int fd,
	enum vhostx_map_with with, struct vhostx_mem **mem, const char **why);

/**
 * Build a table of @a old (may be NULL) less the region with this gpa, uva and size (mmap_offset is
 * ignored, as vhost-user REM_MEM_REG says), once it was removed as often as it was added.
 * @return 0, -ENOENT if there is no such region, -ENOMEM.
 */
int vhostx_mem_remove(const struct vhostx_mem *old, const struct vhostx_region_desc *desc,
	struct vhostx_mem **mem, const char **why);

/** Give a table and its references back; NULL is allowed. */
void vhostx_mem_free(struct vhostx_mem *mem);

/** Take one more reference to the mapping behind @a va (an address inside the table), or NULL. */
struct vhostx_map *vhostx_mem_hold(const struct vhostx_mem *mem, const void *va);

/** Can @a len bytes at @a va, guest memory, be touched without waiting for them? false if nobody can tell. */
bool vhostx_mem_is_here(const void *va, uint64_t len);

/** The place of @a va. @return false if no region of the table has it. */
bool vhostx_mem_place(const struct vhostx_mem *mem, const void *va, struct vhostx_place *place);

/**
 * Translate a front-end address of @a len bytes that must lie in one region.
 * @return the address in this process, or NULL if any byte is outside or @a len is 0.
 */
void *vhostx_mem_from_uva(const struct vhostx_mem *mem, uint64_t uva, uint64_t len);

/**
 * The guest-physical address of @a va, an address inside the table.
 *
 * @param hint  as of vhostx_mem_va().
 * @param run   set to how many bytes follow in the same region.
 * @return the address, or UINT64_MAX if no region holds @a va.
 */
uint64_t vhostx_mem_gpa(const struct vhostx_mem *mem, uint32_t *hint, const void *va, uint64_t *run);

/**
 * The NUMA node of the first page of the largest region. Brings that page in.
 * @return the node, or -1 if there is no memory or the kernel does not tell.
 */
int vhostx_mem_node(const struct vhostx_mem *mem);

/**
 * The only range that may hold @a gpa. Almost without a branch that depends on the address: buffers lie in no order,
 * and a wrong guess of the CPU costs more than the search.
 * @return an index of range[], which does not hold @a gpa if nothing does.
 */
static __rte_always_inline uint32_t
vhostx_mem_find(const struct vhostx_mem *mem, uint64_t gpa)
{
	const uint64_t bucket = (gpa - mem->base) >> mem->shift;
	const uint32_t piece = mem->piece[RTE_MIN(bucket, (uint64_t)mem->nr_buckets)];
	uint32_t at = piece & VHOSTX_PIECE_BEFORE;

	for (uint32_t step = (1u << (piece >> VHOSTX_PIECE_STEPS)) / 2; unlikely(step != 0); step /= 2) {
		/* Below the ranges that fill the table up. */
		const uint64_t last = RTE_MIN(gpa, UINT64_MAX - 1);

		at += step & -(uint32_t)(mem->range[at + step - 1].gpa <= last);
	}
	return at - (at != 0);
}

/** As vhostx_mem_va(), if @a hint is wrong; updates it. */
uint8_t *vhostx_mem_va_slow(const struct vhostx_mem *mem, uint32_t *hint, uint64_t gpa,
	uint64_t *run);

/**
 * Translate a guest-physical address.
 *
 * @param hint  index of the range that was right last time; any value below max(nr, 1).
 * @param run   set to how many bytes follow in the same region, at least 1 on success.
 * @return the address in this process, or NULL if no region holds @a gpa.
 */
static __rte_always_inline uint8_t *
vhostx_mem_va(const struct vhostx_mem *mem, uint32_t *hint, uint64_t gpa, uint64_t *run)
{
	const struct vhostx_range *range = &mem->range[*hint];
	const uint64_t off = gpa - range->gpa;

	if (unlikely(off >= range->size))
		return vhostx_mem_va_slow(mem, hint, gpa, run);
	*run = range->size - off;
	return range->va + off;
}

#endif /* VHOSTX_MEM_REGION_H */
