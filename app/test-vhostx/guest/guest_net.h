/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Frames over a guest's virtqueue: a virtio-net header and bytes that follow from a seed, sent in any
 * segmentation and received from one or several buffers (virtio 1.3, 5.1.6).
 */
#ifndef GUEST_NET_H
#define GUEST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_ring.h"

/** Most buffers of one received frame. */
#define GUEST_NET_CHAINS 256

/** struct virtio_net_hdr; without num_buffers in the 10 byte form. */
struct guest_net_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers;
};

/** What guest_net_receive() found beside the bytes. */
struct guest_net_frame {
	struct guest_net_hdr hdr;       /**< as the device wrote it */
	uint32_t len;                   /**< bytes after the header */
	uint32_t nr;                    /**< buffers */
	uint16_t id[GUEST_NET_CHAINS];  /**< theirs, in used order */
	uint32_t used[GUEST_NET_CHAINS]; /**< bytes that the device says it wrote into each */
};

/** Byte @a off of the pattern of @a seed. */
uint8_t guest_net_byte(uint32_t seed, uint32_t off);

/** Write @a len bytes of a pattern, from its byte @a off on. */
void guest_net_pattern(uint8_t *buf, uint32_t len, uint32_t seed, uint32_t off);

/** @return whether @a buf has @a len bytes of the pattern, from its byte @a off on. */
bool guest_net_matches(const uint8_t *buf, uint32_t len, uint32_t seed, uint32_t off);

/** @return bytes of all pieces. */
uint64_t guest_net_seg_bytes(const struct guest_seg *seg, uint32_t nseg);

/** Copy @a len bytes into pieces, from byte @a off of them on. @return 0, -ENOSPC, -EFAULT. */
int guest_net_scatter(const struct guest_mem *mem, const struct guest_seg *seg, uint32_t nseg,
	uint64_t off, const void *src, uint64_t len);

/** Copy @a len bytes from pieces, from byte @a off of them on. @return 0, -ENOSPC, -EFAULT. */
int guest_net_gather(const struct guest_mem *mem, const struct guest_seg *seg, uint32_t nseg,
	uint64_t off, void *dst, uint64_t len);

/**
 * Cut @a total bytes that lie at @a gpa into pieces of the sizes in @a cut (0-terminated, the last one
 * repeats), the pieces @a gap bytes apart.
 * @return the number of pieces, 0 if there are more than @a max.
 */
uint32_t guest_net_cut(struct guest_seg *seg, uint32_t max, uint64_t gpa, uint32_t total,
	const uint32_t *cut, uint32_t gap, bool writable);

/**
 * Write header (@a hdr NULL: zero) and @a len bytes of the pattern of @a seed into pieces.
 * @param hdr_len  10 or 12.
 * @return 0, -ENOSPC, -EFAULT, -ENOMEM.
 */
int guest_net_fill(const struct guest_mem *mem, const struct guest_seg *seg, uint32_t nseg,
	const struct guest_net_hdr *hdr, uint32_t hdr_len, uint32_t len, uint32_t seed);

/**
 * Take one received frame, of one or of num_buffers used buffers.
 *
 * @param mergeable  VIRTIO_NET_F_MRG_RXBUF.
 * @param buf        gets the bytes after the header, [@a cap].
 * @return 1; 0 if there is none; an error of guest_ring_get_used(); -EBADMSG: used length below the
 *   header's, num_buffers that is wrong, or a buffer before the last not filled (5.1.6.4.1);
 *   -ENOSPC: @a cap is too small.
 */
int guest_net_receive(struct guest_ring *ring, uint32_t hdr_len, bool mergeable, uint8_t *buf,
	uint32_t cap, struct guest_net_frame *frame);

#endif /* GUEST_NET_H */
