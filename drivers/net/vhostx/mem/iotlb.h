/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The IOTLB: what a guest behind a virtual IOMMU lets its device see, as far as the front-end has told.
 * Passive; the cold side writes, both sides read.
 */
#ifndef VHOSTX_MEM_IOTLB_H
#define VHOSTX_MEM_IOTLB_H

#include <stdbool.h>
#include <stdint.h>

/** Most entries of one port, 32 bytes each: the buffers of 16 queue pairs of 1024 descriptors, a page each. */
#define VHOSTX_IOTLB_MAX 16384u

/** What an entry allows, and what is asked for: bits as in the message. */
#define VHOSTX_ACCESS_R 1u
#define VHOSTX_ACCESS_W 2u
#define VHOSTX_ACCESS_RW 3u

/** Bytes whose entry is asked for at once. */
#define VHOSTX_MISS_PAGE 4096u
/** Beside the access: the front-end has answered, and does not allow it. */
#define VHOSTX_MISS_DENIED 4u
/** Beside the access: the front-end was asked, and has not answered. */
#define VHOSTX_MISS_ASKED 8u
/** Beside that: some time ago. */
#define VHOSTX_MISS_OLD 16u

/** What is missing, in one word, never 0: the page and the access that is wanted (VHOSTX_ACCESS_*). */
static inline uint64_t
vhostx_miss_word(uint64_t iova, uint8_t access)
{
	return (iova & ~(uint64_t)(VHOSTX_MISS_PAGE - 1)) | access;
}

/** First address of the page that is missing. */
static inline uint64_t
vhostx_miss_iova(uint64_t word)
{
	return word & ~(uint64_t)(VHOSTX_MISS_PAGE - 1);
}

/** What is wanted of it. */
static inline uint8_t
vhostx_miss_access(uint64_t word)
{
	return word & VHOSTX_ACCESS_RW;
}

/** Does the answer to @a asked, 0 or a word whatever became of it, answer @a word too? */
static inline bool
vhostx_miss_covers(uint64_t asked, uint64_t word)
{
	return vhostx_miss_iova(asked) == vhostx_miss_iova(word) &&
		(vhostx_miss_access(word) & ~vhostx_miss_access(asked)) == 0;
}

/** Addresses that follow one another, here and there. All fields are read while they are written. */
struct vhostx_iotlb_entry {
	uint64_t first; /**< I/O virtual address of the first byte */
	uint64_t last;  /**< of the last one */
	uint64_t va;    /**< where the first byte is in this process */
	uint64_t perm;  /**< VHOSTX_ACCESS_*, not 0 */
};

/**
 * A cache: what is not in it can be asked for. Sorted, free of overlaps; neighbours that continue each other are
 * one entry.
 *
 * The holder of the port mutex writes. Whoever reads without it looks at seq before and after (letter M in
 * ring/vq.h). What a burst has found it may use to its end: so memory that was removed may go away, and the
 * front-end be told, only after every burst that began before has ended.
 */
struct vhostx_iotlb {
	uint32_t seq;   /**< odd while entries change; atomic */
	uint32_t gen;   /**< how often something was taken out: what was found before may be wrong; atomic */
	uint32_t nr;    /**< entries; atomic */
	uint32_t max;   /**< most entries */
	uint32_t dice;  /**< state of the choice of who has to go from a full cache */
	struct vhostx_iotlb_entry entry[]; /**< [max], the first nr are in use */
};

/** Make an empty cache of at most @a max entries, 2 or more. @return NULL: out of memory. */
struct vhostx_iotlb *vhostx_iotlb_create(uint32_t max);

/** Free it; nobody may use it any more. NULL is allowed. */
void vhostx_iotlb_free(struct vhostx_iotlb *tlb);

/**
 * Put @a size bytes in, which must not be 0 nor wrap, in the place of whatever is there. A full cache loses
 * another entry for it.
 */
void vhostx_iotlb_add(struct vhostx_iotlb *tlb, uint64_t iova, uint64_t size, void *va, uint8_t perm);

/** Take the addresses from @a first to @a last out; what an entry has beside them stays. */
void vhostx_iotlb_remove(struct vhostx_iotlb *tlb, uint64_t first, uint64_t last);

/**
 * Copy the entry that has @a iova. Any thread.
 * @return 0; -ENOENT if there is none; -EACCES if it does not allow all of @a access, with the entry copied none
 *   the less; -EAGAIN if the cache is being changed all the time: ask again later.
 */
int vhostx_iotlb_find(const struct vhostx_iotlb *tlb, uint64_t iova, uint8_t access,
	struct vhostx_iotlb_entry *entry);

#endif /* VHOSTX_MEM_IOTLB_H */
