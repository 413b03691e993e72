/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Copy between the segments of chains and the segments of mbufs: the general case, any cut on either
 * side. Lengths are checked by the caller.
 */
#ifndef VHOSTX_RING_COPY_H
#define VHOSTX_RING_COPY_H

#include <rte_mbuf.h>

#include "vq.h"

/*
 * The widest register of the instruction set that burst.c is compiled for; bytes at any address. Without
 * wide registers the compiler makes do with what there is.
 */
#if defined(__AVX512F__)
#define VHOSTX_VEC 64u
#elif defined(__AVX2__)
#define VHOSTX_VEC 32u
#else
#define VHOSTX_VEC 16u
#endif

#define VHOSTX_DEFINE_MOVE(bytes) \
typedef uint8_t vhostx_v##bytes __attribute__((vector_size(bytes), aligned(1), may_alias)); \
static __rte_always_inline void \
vhostx_move##bytes(uint8_t *dst, const uint8_t *src) \
{ \
	*(vhostx_v##bytes *)dst = *(const vhostx_v##bytes *)src; \
}
VHOSTX_DEFINE_MOVE(2)
VHOSTX_DEFINE_MOVE(4)
VHOSTX_DEFINE_MOVE(8)
VHOSTX_DEFINE_MOVE(16)
VHOSTX_DEFINE_MOVE(32)
VHOSTX_DEFINE_MOVE(64)

static __rte_always_inline void
vhostx_move(uint8_t *dst, const uint8_t *src)
{
	switch (VHOSTX_VEC) {
	case 64:
		vhostx_move64(dst, src);
		break;
	case 32:
		vhostx_move32(dst, src);
		break;
	default:
		vhostx_move16(dst, src);
	}
}

/* Fewer bytes than a register has: two halves of the next smaller size, which overlap. */
static __rte_always_inline void
vhostx_copy_short(uint8_t *dst, const uint8_t *src, uint32_t n)
{
	if (VHOSTX_VEC > 32 && n >= 32) {
		vhostx_move32(dst, src);
		vhostx_move32(dst + n - 32, src + n - 32);
	} else if (VHOSTX_VEC > 16 && n >= 16) {
		vhostx_move16(dst, src);
		vhostx_move16(dst + n - 16, src + n - 16);
	} else if (n >= 8) {
		vhostx_move8(dst, src);
		vhostx_move8(dst + n - 8, src + n - 8);
	} else if (n >= 4) {
		vhostx_move4(dst, src);
		vhostx_move4(dst + n - 4, src + n - 4);
	} else if (n >= 2) {
		vhostx_move2(dst, src);
		vhostx_move2(dst + n - 2, src + n - 2);
	} else if (n != 0) {
		*dst = *src;
	}
}

/** More than four registers full: whole lines at the destination, then the last four once more. */
static __rte_always_inline void
vhostx_copy_long(uint8_t *dst, const uint8_t *src, uint32_t n)
{
	const uint32_t odd = -(uintptr_t)dst % VHOSTX_VEC;
	uint32_t at = odd;

	if (odd != 0)
		vhostx_move(dst, src);
	while (n - at > 4 * VHOSTX_VEC) {
		vhostx_move(dst + at, src + at);
		vhostx_move(dst + at + VHOSTX_VEC, src + at + VHOSTX_VEC);
		vhostx_move(dst + at + 2 * VHOSTX_VEC, src + at + 2 * VHOSTX_VEC);
		vhostx_move(dst + at + 3 * VHOSTX_VEC, src + at + 3 * VHOSTX_VEC);
		at += 4 * VHOSTX_VEC;
	}
	dst += n;
	src += n;
	vhostx_move(dst - 4 * VHOSTX_VEC, src - 4 * VHOSTX_VEC);
	vhostx_move(dst - 3 * VHOSTX_VEC, src - 3 * VHOSTX_VEC);
	vhostx_move(dst - 2 * VHOSTX_VEC, src - 2 * VHOSTX_VEC);
	vhostx_move(dst - VHOSTX_VEC, src - VHOSTX_VEC);
}

/** Copy @a n bytes between a guest's buffer and a mbuf. */
static __rte_always_inline void
vhostx_copy(uint8_t *dst, const uint8_t *src, uint32_t n)
{
	if (n < VHOSTX_VEC) {
		vhostx_copy_short(dst, src, n);
	} else if (n <= 2 * VHOSTX_VEC) {
		vhostx_move(dst, src);
		vhostx_move(dst + n - VHOSTX_VEC, src + n - VHOSTX_VEC);
	} else if (n <= 4 * VHOSTX_VEC) {
		vhostx_move(dst, src);
		vhostx_move(dst + VHOSTX_VEC, src + VHOSTX_VEC);
		vhostx_move(dst + n - 2 * VHOSTX_VEC, src + n - 2 * VHOSTX_VEC);
		vhostx_move(dst + n - VHOSTX_VEC, src + n - VHOSTX_VEC);
	} else {
		vhostx_copy_long(dst, src, n);
	}
}

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

		vhostx_copy(dst, at->va, part);
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

		vhostx_copy(at->va, src, part);
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
