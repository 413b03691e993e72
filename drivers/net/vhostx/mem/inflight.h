/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The in-flight record that a front-end keeps for us (vhost-user, "Inflight I/O tracking"): its layout, and the
 * buffer that holds it. Passive: a ring's region is written by whoever has the ring, the rest by the cold side.
 */
#ifndef VHOSTX_MEM_INFLIGHT_H
#define VHOSTX_MEM_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "region.h"

/** DescStateSplit. */
struct vhostx_inflight_split_desc {
	uint8_t inflight;   /**< the head is out */
	uint8_t padding[5];
	uint16_t next;      /**< of the last batch that was given back */
	uint64_t counter;   /**< order in which heads were taken */
};

/** QueueRegionSplit. */
struct vhostx_inflight_split {
	uint64_t features;
	uint16_t version;         /**< 1; 0: not initialised */
	uint16_t desc_num;        /**< entries of desc */
	uint16_t last_batch_head; /**< where the last batch's list begins */
	uint16_t used_idx;        /**< of the used ring */
	struct vhostx_inflight_split_desc desc[];
};

/** DescStatePacked. */
struct vhostx_inflight_packed_desc {
	uint8_t inflight; /**< the chain that begins here is out */
	uint8_t padding;
	uint16_t next;    /**< of the chain, or of the free list */
	uint16_t last;    /**< the chain's last entry */
	uint16_t num;     /**< entries of the chain */
	uint64_t counter; /**< order in which chains were taken */
	uint16_t id;      /**< the descriptor, as the ring had it */
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/** QueueRegionPacked. Our own has a word more for each entry behind the last one: see vhostx_record_words(). */
struct vhostx_inflight_packed {
	uint64_t features;
	uint16_t version;          /**< 1; 0: not initialised */
	uint16_t desc_num;         /**< entries of desc */
	uint16_t free_head;        /**< first entry of the free list */
	uint16_t old_free_head;    /**< the same before what is under way */
	uint16_t used_idx;         /**< position of used elements */
	uint16_t old_used_idx;
	uint8_t used_wrap_counter;
	uint8_t old_used_wrap_counter;
	uint16_t proof;            /**< of ours, padding to others: last head that was given back, see journal.h */
	uint16_t old_proof;        /**< the same before what is under way */
	uint8_t padding[6];
	struct vhostx_inflight_packed_desc desc[];
};

/** A region of the buffer; which of the two is the ring's format. */
union vhostx_inflight_ring {
	struct vhostx_inflight_split split;
	struct vhostx_inflight_packed packed;
};

/** A buffer that is mapped. */
struct vhostx_inflight {
	struct vhostx_map *map;
	uint64_t size;      /**< bytes */
	uint16_t nr_queues; /**< regions */
	uint16_t nr_desc;   /**< entries of each ring */
};

/** Bytes of a buffer for @a nr_queues rings of @a nr_desc entries. */
uint64_t vhostx_inflight_size(uint16_t nr_queues, uint16_t nr_desc, bool packed);

/**
 * Make a zeroed buffer of @a size bytes that nobody can shrink.
 * @return a file, the caller's; or -errno.
 */
int vhostx_inflight_create(uint64_t size);

/**
 * Map a buffer that the front-end kept.
 *
 * @param why  set to a sentence for the log on error.
 * @return 0, -EINVAL (no rings, more bytes than the file has), -ENOMEM, or the -errno of mmap.
 */
int vhostx_inflight_open(int fd, uint64_t offset, uint64_t size, uint16_t nr_queues, uint16_t nr_desc,
	struct vhostx_inflight **inflight, const char **why);

/** Unmap; nobody may use it any more. NULL is allowed. */
void vhostx_inflight_close(struct vhostx_inflight *inflight);

/**
 * The region of ring @a idx with @a size entries.
 * @return NULL if the buffer has none that fits: no such ring, another size, or too short for the format.
 */
union vhostx_inflight_ring *vhostx_inflight_ring(const struct vhostx_inflight *inflight, uint16_t idx,
	uint32_t size, bool packed);

#endif /* VHOSTX_MEM_INFLIGHT_H */
