/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Copy between the segments of chains and the segments of mbufs: the general case, any cut on either
 * side. Lengths are checked by the caller.
 */
#ifndef VHOSTX_RING_COPY_H
#define VHOSTX_RING_COPY_H

#include <rte_mbuf.h>
#include <rte_memcpy.h>

#include "vq.h"

/** A place inside a chain. */
struct vhostx_cursor {
	uint8_t *va;                   /**< next byte */
	uint32_t len;                  /**< bytes left in this segment */
	const struct vhostx_seg *next; /**< the segment after it */
};

/** The first byte of a chain without fault, whose total is not 0. */
static inline struct vhostx_cursor
vhostx_cursor_begin(const struct vhostx_batch *b, const struct vhostx_chain *c)
{
	return (struct vhostx_cursor){ .va = c->va, .len = c->len, .next = &b->spill[c->spill] };
}

/** Go @a n bytes on inside the segment; into the next one where it ends and @a more bytes are wanted. */
static inline void
vhostx_cursor_advance(struct vhostx_cursor *at, uint32_t n, uint32_t more)
{
	at->va += n;
	at->len -= n;
	if (at->len == 0 && more != 0) {
		at->va = at->next->va;
		at->len = at->next->len;
		at->next++;
	}
}

/** Pass over @a n bytes of the chain, of which at least one more follows. */
static inline void
vhostx_cursor_skip(struct vhostx_cursor *at, uint32_t n)
{
	while (n != 0) {
		const uint32_t part = RTE_MIN(n, at->len);

		n -= part;
		vhostx_cursor_advance(at, part, 1);
	}
}

/** Copy @a n bytes out of the chain; @a more follow that will be wanted. */
static inline void
vhostx_cursor_read(struct vhostx_cursor *at, uint8_t *dst, uint32_t n, uint32_t more)
{
	while (n != 0) {
		const uint32_t part = RTE_MIN(n, at->len);

		rte_memcpy(dst, at->va, part);
		dst += part;
		n -= part;
		vhostx_cursor_advance(at, part, n + more);
	}
}

/** Copy @a n bytes into the chain; @a more follow that will be wanted. */
static inline void
vhostx_cursor_write(struct vhostx_cursor *at, const uint8_t *src, uint32_t n, uint32_t more)
{
	while (n != 0) {
		const uint32_t part = RTE_MIN(n, at->len);

		rte_memcpy(at->va, src, part);
		src += part;
		n -= part;
		vhostx_cursor_advance(at, part, n + more);
	}
}

/** A place inside a chained mbuf. */
struct vhostx_mbuf_cursor {
	const struct rte_mbuf *seg; /**< its segment */
	uint32_t off;               /**< bytes of it that were read */
};

/** The bytes at the cursor that are contiguous, at most @a n; goes on after them. 0 at the end. */
static inline uint32_t
vhostx_mbuf_next(struct vhostx_mbuf_cursor *from, uint32_t n, const uint8_t **data)
{
	uint32_t part;

	while (from->off == from->seg->data_len) {
		if (from->seg->next == NULL)
			return 0;
		from->seg = from->seg->next;
		from->off = 0;
	}
	part = RTE_MIN(n, from->seg->data_len - from->off);
	*data = rte_pktmbuf_mtod_offset(from->seg, const uint8_t *, from->off);
	from->off += part;
	return part;
}

/** Copy @a n bytes of a packet into the chain; fewer if its segments have fewer. */
static inline void
vhostx_cursor_write_mbuf(struct vhostx_cursor *to, struct vhostx_mbuf_cursor *from, uint32_t n)
{
	const uint8_t *data;
	uint32_t part;

	while (n != 0) {
		part = vhostx_mbuf_next(from, n, &data);
		if (unlikely(part == 0))
			return;
		n -= part;
		vhostx_cursor_write(to, data, part, n);
	}
}

#endif /* VHOSTX_RING_COPY_H */
