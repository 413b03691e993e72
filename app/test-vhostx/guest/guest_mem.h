/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Fake guest memory for tests: regions backed by memfds, each between two PROT_NONE guard pages, so
 * that an access past a region's end is a crash and not a silent success.
 */
#ifndef GUEST_MEM_H
#define GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most regions of one memory. */
#define GUEST_MEM_MAX 512

/** Bytes of canary on either side of a guarded buffer. */
#define GUEST_CANARY 32

/** Which end of a region touches its guard page; they both do if the size is whole pages. */
enum guest_place {
	GUEST_PLACE_END,   /**< the byte after the last one faults */
	GUEST_PLACE_START, /**< the byte before the first one faults */
};

/** One region. Regions that touch in guest addresses never touch in this process. */
struct guest_region {
	uint64_t gpa;         /**< guest-physical address of the first byte */
	uint64_t size;        /**< bytes, at least 1, no page multiple needed */
	uint64_t uva;         /**< front-end address of the first byte, as given */
	uint64_t mmap_offset; /**< offset of the first byte in the file, bytes */
	uint8_t *va;          /**< the first byte in this process */
	int fd;               /**< the memfd, owned by the region */
	uint64_t used;        /**< bytes that the allocator gave out */
	uint8_t *map;         /**< the whole mapping, guard pages included */
	size_t map_len;       /**< bytes of it */
};

/** A buffer with canaries around it. */
struct guest_guarded {
	uint64_t gpa; /**< first byte of the buffer proper */
	uint64_t len; /**< its bytes */
};

/** The memory of one guest. */
struct guest_mem {
	unsigned int nr;                         /**< regions */
	struct guest_region region[GUEST_MEM_MAX]; /**< in the order of guest_mem_add() */
	struct guest_guarded *guarded;           /**< buffers of guest_mem_alloc_guarded() */
	size_t nr_guarded;                       /**< how many */
	size_t cap_guarded;                      /**< room for as many */
};

/** Start with no region. */
void guest_mem_init(struct guest_mem *mem);

/** Unmap and close everything. */
void guest_mem_fini(struct guest_mem *mem);

/**
 * Add a region of @a size zero bytes. What the last page has beyond them is filled with a pattern that
 * guest_mem_intact() checks.
 * @return its index, or -errno.
 */
int guest_mem_add(struct guest_mem *mem, uint64_t gpa, uint64_t size, uint64_t uva,
	enum guest_place place);

/** @return the bytes from @a gpa to the end of its region, start address in @a va; 0 if unmapped. */
uint64_t guest_mem_run(const struct guest_mem *mem, uint64_t gpa, uint8_t **va);

/** @return the address of @a len bytes that lie in one region, or NULL. */
void *guest_mem_ptr(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/** @return the front-end address of @a gpa, or UINT64_MAX if it is unmapped. */
uint64_t guest_mem_uva(const struct guest_mem *mem, uint64_t gpa);

/** Take @a len bytes from a region. @a align is a power of two. @return gpa, UINT64_MAX if full. */
uint64_t guest_mem_alloc(struct guest_mem *mem, unsigned int region, uint64_t len, uint64_t align);

/** As guest_mem_alloc(), byte-aligned, with a canary on both sides for guest_mem_intact(). */
uint64_t guest_mem_alloc_guarded(struct guest_mem *mem, unsigned int region, uint64_t len);

/** Fill @a len bytes, which may cross from region to region. @return 0, or -EFAULT. */
int guest_mem_set(const struct guest_mem *mem, uint64_t gpa, uint8_t byte, uint64_t len);

/** Copy to the guest, crossing regions where needed. @return 0, or -EFAULT. */
int guest_mem_write(const struct guest_mem *mem, uint64_t gpa, const void *src, uint64_t len);

/** Copy from the guest, crossing regions where needed. @return 0, or -EFAULT. */
int guest_mem_read(const struct guest_mem *mem, uint64_t gpa, void *dst, uint64_t len);

/** @return whether all canaries and all bytes of the pages around the regions are as they were. */
bool guest_mem_intact(const struct guest_mem *mem);

#endif /* GUEST_MEM_H */
