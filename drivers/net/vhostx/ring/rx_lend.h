/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * How one packet of a zero-copy ring is lent: in one piece, or in several. Included by rx_zerocopy.h alone.
 */
#ifndef VHOSTX_RING_RX_LEND_H
#define VHOSTX_RING_RX_LEND_H

#include "format.h"
#include "lend.h"

/* Mbufs to attach to that are taken from the pool at once, at most. */
#define RX_SEGS (4 * STEP)

/* What lending needs during one step. */
struct rx_lender {
	struct rte_mbuf *seg[RX_SEGS]; /* mbufs to attach buffers to */
	uint16_t nb;                   /* how many are left */
	uint16_t loaded;               /* the first chain whose buffers do not come into the cache yet */
	uint16_t ahead;                /* how many chains before they are needed they shall begin to */
	uint32_t now;                  /* vhostx_zc_now() */
	uint64_t lent;                 /* chains of the step that were lent, as bits */
	uint8_t why[STEP];             /* of chains that are to be copied: what was counted of them */
};

static_assert(STEP <= 64, "a bit for each chain of a step");

/* A piece of a packet, in one region, that one mbuf can take. */
struct rx_piece {
	uint8_t *va;
	rte_iova_t iova;
	uint16_t len;
};

/* The pieces of a packet that are to be lent. */
struct rx_plan {
	uint16_t region[VHOSTX_ZC_REGIONS]; /* where they are */
	uint16_t nb;                        /* how many */
	uint16_t most;                      /* how many there may be, up to VHOSTX_ZC_PIECES */
	struct rx_piece piece[VHOSTX_ZC_PIECES];
};

/* Have @a n mbufs to attach to, at most RX_SEGS. */
static bool
rx_lender_fill(struct vhostx_queue *q, struct rx_lender *l, uint32_t n)
{
	if (l->nb >= n)
		return true;
	if (rte_mempool_get_bulk(q->pool, (void **)&l->seg[l->nb], n - l->nb) != 0)
		return false;
	l->nb = n;
	return true;
}

/* How many packets, or mbufs to attach to, before it is written a mbuf begins to come into the cache: both its lines. */
#define RX_MBUFS 4u

static __rte_always_inline void
rx_load_mbuf(const struct rte_mbuf *m)
{
	rte_prefetch0_write(m);
	rte_prefetch0_write(RTE_PTR_ADD(m, RTE_CACHE_LINE_MIN_SIZE));
}

/* One more of those to attach to, which come from the end. */
static __rte_always_inline void
rx_load_segs(const struct rx_lender *l)
{
	if (l->nb > RX_MBUFS)
		rx_load_mbuf(l->seg[l->nb - 1 - RX_MBUFS]);
}

/* May a piece in this region be lent, and where do devices see it? RTE_BAD_IOVA: nowhere, or in several places. */
static __rte_always_inline enum vhostx_zc_reason
rx_judge_piece(const struct vhostx_zc *zc, const uint8_t *va, uint32_t len, uint16_t region, rte_iova_t *iova)
{
	const struct vhostx_zc_region *r = &zc->region[region];
	const uint8_t refusal = __atomic_load_n(&r->refusal, __ATOMIC_RELAXED);

	if (unlikely(refusal != VHOSTX_ZC_LENT))
		return refusal;
	*iova = r->dma == NULL ? RTE_BAD_IOVA : vhostx_dma_iova(r->dma, va, len);
	return zc->dma && unlikely(*iova == RTE_BAD_IOVA) ? VHOSTX_ZC_NO_DMA : VHOSTX_ZC_LENT;
}

/* Note that the packet is in this region too. @return false if that is one too many. */
static bool
rx_plan_region(struct rx_plan *plan, uint16_t region)
{
	for (uint32_t i = 0; i < VHOSTX_ZC_REGIONS; i++) {
		if (plan->region[i] == VHOSTX_ZC_NOWHERE)
			plan->region[i] = region;
		if (plan->region[i] == region)
			return true;
	}
	return false;
}

/* Add @a len bytes that are in one segment of the chain. */
static enum vhostx_zc_reason
rx_plan_add(const struct vhostx_snapshot *s, struct rx_plan *plan, uint8_t *va, uint32_t len)
{
	const uint16_t region = vhostx_zc_region_at(s, va);

	if (region == VHOSTX_ZC_NOWHERE || !rx_plan_region(plan, region))
		return VHOSTX_ZC_SHAPE;
	while (len != 0) {
		const uint32_t part = RTE_MIN(len, VHOSTX_ZC_PIECE_MAX);
		struct rx_piece *piece = &plan->piece[plan->nb];
		enum vhostx_zc_reason reason;

		if (plan->nb++ == plan->most)
			return VHOSTX_ZC_SHAPE;
		reason = rx_judge_piece(s->zc, va, part, region, &piece->iova);
		if (reason != VHOSTX_ZC_LENT)
			return reason;
		piece->va = va;
		piece->len = part;
		va += part;
		len -= part;
	}
	return VHOSTX_ZC_LENT;
}

/* The @a left bytes from @a at on. */
static enum vhostx_zc_reason
rx_plan_make(const struct vhostx_snapshot *s, struct vhostx_cursor at, uint32_t left, struct rx_plan *plan)
{
	plan->region[0] = VHOSTX_ZC_NOWHERE;
	plan->region[1] = VHOSTX_ZC_NOWHERE;
	plan->nb = 0;
	plan->most = s->zc->linear ? 1 : VHOSTX_ZC_PIECES;
	while (left != 0) {
		const uint32_t part = RTE_MIN(left, at.len);
		const enum vhostx_zc_reason reason = rx_plan_add(s, plan, at.va, part);

		if (reason != VHOSTX_ZC_LENT)
			return reason;
		left -= part;
		vhostx_cursor_advance(&at, part, left);
	}
	return VHOSTX_ZC_LENT;
}

static_assert(VHOSTX_ZC_REGIONS == 2, "rx_plan_make() begins with none of them");

/* A packet in several pieces, or in one too long for a mbuf. */
static __rte_noinline enum vhostx_zc_reason
rx_lend_general(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m, struct rx_lender *l)
{
	const uint32_t head = s->zc->linear ? 0 : VHOSTX_ZC_HEADER;
	const uint64_t whole = q->rearm & ~(uint64_t)UINT16_MAX; /* data_off is its low half-word */
	const uint32_t len = c->total - s->hdr_len;
	struct vhostx_cursor at = vhostx_cursor_begin(b, c);
	struct vhostx_zc_slot *slot;
	enum vhostx_zc_reason reason;
	struct rx_plan plan;

	vhostx_cursor_skip(&at, s->hdr_len);
	if (head != 0)
		vhostx_cursor_read(&at, (uint8_t *)m->buf_addr + (uint16_t)q->rearm, head, 1);
	reason = rx_plan_make(s, at, len - head, &plan);
	if (reason == VHOSTX_ZC_LENT && head != 0 && !rx_lender_fill(q, l, plan.nb))
		reason = VHOSTX_ZC_NO_MBUF;
	if (reason != VHOSTX_ZC_LENT)
		return reason;
	slot = vhostx_zc_lend(s->zc, c, plan.region, plan.nb, l->now);
	if (head != 0) {
		vhostx_mbuf_first(m, q->rearm, len, head);
		m->nb_segs = 1 + plan.nb;
	}
	for (uint16_t i = 0; i < plan.nb; i++) {
		const struct rx_piece *piece = &plan.piece[i];

		if (head != 0) {
			m->next = l->seg[--l->nb];
			m = m->next;
		}
		vhostx_mbuf_lend(m, whole, piece->va, piece->iova, piece->len, &slot->shinfo);
	}
	return VHOSTX_ZC_LENT;
}

/* Are all pieces of a chain where the last buffer was found, and none too long for a mbuf? */
static __rte_always_inline bool
rx_chain_is_near(const struct vhostx_snapshot *s, const struct vhostx_batch *b, const struct vhostx_chain *c)
{
	const struct vhostx_range range = vhostx_range_hint(s, 0);
	const struct vhostx_zc_region *r = &s->zc->region[s->zc->region_of[s->ring->hint]];
	const struct vhostx_seg *seg = &b->spill[c->spill];
	bool near = !s->zc->linear && c->nspill < VHOSTX_ZC_PIECES && c->len <= VHOSTX_ZC_PIECE_MAX &&
		(uintptr_t)c->va - (uintptr_t)range.va < range.size &&
		__atomic_load_n(&r->refusal, __ATOMIC_RELAXED) == VHOSTX_ZC_LENT &&
		(r->dma == NULL || r->dma->page == NULL);

	for (uint32_t i = 0; near && i < c->nspill; i++)
		near = seg[i].len <= VHOSTX_ZC_PIECE_MAX && (uintptr_t)seg[i].va - (uintptr_t)range.va < range.size;
	return near;
}

/* A packet of which that is so. */
static __rte_noinline enum vhostx_zc_reason
rx_lend_near(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m, struct rx_lender *l)
{
	const uint16_t region[] = { s->zc->region_of[s->ring->hint], VHOSTX_ZC_NOWHERE };
	const bool has_iova = s->zc->region[region[0]].dma != NULL;
	const uint64_t whole = q->rearm & ~(uint64_t)UINT16_MAX; /* data_off is its low half-word */
	struct vhostx_cursor at = vhostx_cursor_begin(b, c);
	struct rte_mbuf_ext_shared_info *shinfo;
	uint32_t left = c->total - s->hdr_len;
	struct rte_mbuf *last = m;
	uint16_t nb = 0;

	if (unlikely(!rx_lender_fill(q, l, c->nspill + 1)))
		return VHOSTX_ZC_NO_MBUF;
	vhostx_mbuf_first(m, q->rearm, left, VHOSTX_ZC_HEADER);
	vhostx_cursor_skip(&at, s->hdr_len);
	vhostx_cursor_read(&at, (uint8_t *)m->buf_addr + (uint16_t)q->rearm, VHOSTX_ZC_HEADER, 1);
	left -= VHOSTX_ZC_HEADER;
	shinfo = &vhostx_zc_lend(s->zc, c, region, 1, l->now)->shinfo;
	while (left != 0) {
		const uint32_t part = RTE_MIN(left, at.len);
		struct rte_mbuf *seg = l->seg[--l->nb];

		rx_load_segs(l);
		vhostx_mbuf_lend(seg, whole, at.va, has_iova ? (uintptr_t)at.va : RTE_BAD_IOVA, part, shinfo);
		last->next = seg;
		last = seg;
		left -= part;
		vhostx_cursor_advance(&at, part, left);
		nb++;
	}
	m->nb_segs = nb + 1;
	rte_mbuf_ext_refcnt_set(shinfo, nb);
	return VHOSTX_ZC_LENT;
}

/* Of constant length, so that a few wide moves do it. */
static __rte_always_inline void
rx_copy_header(uint8_t *dst, const uint8_t *src)
{
	for (uint32_t off = 0; off < VHOSTX_ZC_HEADER; off += VHOSTX_VEC)
		vhostx_move(dst + off, src + off);
}

/* The header of a packet that is attached from @a va + VHOSTX_ZC_HEADER on to @a seg. */
static __rte_always_inline void
rx_lend_header(const struct vhostx_queue *q, struct rte_mbuf *m, struct rte_mbuf *seg, const uint8_t *va,
	uint32_t len)
{
	/* nb_segs is the third half-word: one more */
	vhostx_mbuf_first(m, q->rearm + (UINT64_C(1) << 32), len, VHOSTX_ZC_HEADER);
	rx_copy_header((uint8_t *)m->buf_addr + (uint16_t)q->rearm, va);
	m->next = seg;
}

/* A packet in one piece that is not longer than a mbuf can be. */
static __rte_always_inline enum vhostx_zc_reason
rx_lend_single(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_chain *c,
	struct rte_mbuf *m, uint32_t len, struct rx_lender *l)
{
	const uint16_t region[] = { vhostx_zc_region_at(s, c->va), VHOSTX_ZC_NOWHERE };
	const uint64_t whole = q->rearm & ~(uint64_t)UINT16_MAX; /* data_off is its low half-word */
	const uint32_t head = s->zc->linear ? 0 : VHOSTX_ZC_HEADER;
	uint8_t *va = c->va + s->hdr_len;
	enum vhostx_zc_reason reason;
	struct vhostx_zc_slot *slot;
	rte_iova_t iova;

	reason = rx_judge_piece(s->zc, va + head, len - head, region[0], &iova);
	if (unlikely(reason != VHOSTX_ZC_LENT))
		return reason;
	if (head != 0) {
		if (unlikely(!rx_lender_fill(q, l, 1)))
			return VHOSTX_ZC_NO_MBUF;
		rx_lend_header(q, m, l->seg[--l->nb], va, len);
		m = m->next;
	}
	slot = vhostx_zc_lend(s->zc, c, region, 1, l->now);
	vhostx_mbuf_lend(m, whole, va + head, iova, len - head, &slot->shinfo);
	return VHOSTX_ZC_LENT;
}

/* Lend a packet of @a len bytes. Nothing has happened unless it returns VHOSTX_ZC_LENT. */
static __rte_always_inline enum vhostx_zc_reason
rx_lend(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m, uint32_t len, struct rx_lender *l)
{
	if (likely(c->nspill == 0 && len <= VHOSTX_ZC_PIECE_MAX))
		return rx_lend_single(q, s, c, m, len, l);
	if (likely(rx_chain_is_near(s, b, c)))
		return rx_lend_near(q, s, b, c, m, l);
	return rx_lend_general(q, s, b, c, m, l);
}

#endif /* VHOSTX_RING_RX_LEND_H */
