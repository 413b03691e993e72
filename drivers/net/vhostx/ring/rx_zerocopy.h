/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The rx burst of a ring with a table of slots: which packets are lent, and how. Those that are not take
 * the way of every other ring, rx_move(). Included by rx.h alone.
 */
#ifndef VHOSTX_RING_RX_ZEROCOPY_H
#define VHOSTX_RING_RX_ZEROCOPY_H

#include <rte_tcp.h>

#include "format.h"
#include "lend.h"

/* What lending needs during one step. */
struct rx_lender {
	struct rte_mbuf *seg[STEP]; /* mbufs to attach buffers to */
	uint16_t nb;                /* how many are left */
	uint32_t now;               /* vhostx_zc_now() */
	uint64_t lent;              /* chains of the step that were lent, as bits */
};

static_assert(VHOSTX_ZC_SHORTEST >= RX_FILTERED, "the filter reads no byte behind a packet that is lent");
static_assert(STEP <= 64, "a bit for each chain of a step");

/* The pieces of a packet that are to be lent. */
struct rx_plan {
	uint16_t region[VHOSTX_ZC_REGIONS]; /* where they are */
	uint32_t mbufs;                     /* how many it takes */
};

/* Have @a n mbufs to attach to. */
static bool
rx_lender_fill(struct vhostx_queue *q, struct rx_lender *l, uint16_t n)
{
	if (l->nb >= n)
		return true;
	if (n > STEP || rte_mempool_get_bulk(q->pool, (void **)&l->seg[l->nb], n - l->nb) != 0)
		return false;
	l->nb = n;
	return true;
}

/* Where devices see a piece. RTE_BAD_IOVA: nowhere, or in several places. */
static __rte_always_inline rte_iova_t
rx_piece_iova(const struct vhostx_zc *zc, const uint8_t *va, uint32_t len, uint16_t region)
{
	const struct vhostx_dma *dma = zc->region[region].dma;

	return dma == NULL ? RTE_BAD_IOVA : vhostx_dma_iova(dma, va, len);
}

/* Put a piece of guest memory behind @a m. */
static __rte_always_inline void
rx_lend_piece(const struct vhostx_zc *zc, struct vhostx_zc_slot *slot, struct rte_mbuf *m,
	uint8_t *va, uint16_t len, uint16_t region)
{
	rte_pktmbuf_attach_extbuf(m, va, rx_piece_iova(zc, va, len, region), len, &slot->shinfo);
	m->data_len = len;
}

/* May a piece be lent, as far as its region tells? */
static __rte_always_inline enum vhostx_zc_reason
rx_judge_piece(const struct vhostx_zc *zc, const uint8_t *va, uint32_t len, uint16_t region)
{
	const uint8_t refusal = __atomic_load_n(&zc->region[region].refusal, __ATOMIC_RELAXED);

	if (unlikely(refusal != VHOSTX_ZC_LENT))
		return refusal;
	if (zc->dma && unlikely(rx_piece_iova(zc, va, len, region) == RTE_BAD_IOVA))
		return VHOSTX_ZC_NO_DMA;
	return VHOSTX_ZC_LENT;
}

/* Note the region of a piece. */
static enum vhostx_zc_reason
rx_plan_region(const struct vhostx_snapshot *s, struct rx_plan *plan, const uint8_t *va, uint32_t len)
{
	const uint16_t region = vhostx_zc_region_at(s, va);
	enum vhostx_zc_reason reason;
	uint32_t i = 0;

	if (region == VHOSTX_ZC_NOWHERE)
		return VHOSTX_ZC_SHAPE;
	reason = rx_judge_piece(s->zc, va, len, region);
	if (reason != VHOSTX_ZC_LENT)
		return reason;
	while (i < VHOSTX_ZC_REGIONS && plan->region[i] != region &&
			plan->region[i] != VHOSTX_ZC_NOWHERE)
		i++;
	if (i == VHOSTX_ZC_REGIONS)
		return VHOSTX_ZC_SHAPE;
	plan->region[i] = region;
	return VHOSTX_ZC_LENT;
}

/* Can the @a left bytes from @a at on be lent, and what does it take? */
static enum vhostx_zc_reason
rx_plan_pieces(const struct vhostx_snapshot *s, struct vhostx_cursor at, uint32_t left,
	struct rx_plan *plan)
{
	*plan = (struct rx_plan){ .region = { VHOSTX_ZC_NOWHERE, VHOSTX_ZC_NOWHERE } };
	while (left != 0) {
		const uint32_t part = RTE_MIN(left, at.len);
		const enum vhostx_zc_reason reason = rx_plan_region(s, plan, at.va, part);

		if (reason != VHOSTX_ZC_LENT)
			return reason;
		plan->mbufs += (part + VHOSTX_ZC_PIECE_MAX - 1) / VHOSTX_ZC_PIECE_MAX;
		if (plan->mbufs > (s->zc->linear ? 1 : VHOSTX_ZC_PIECES))
			return VHOSTX_ZC_SHAPE;
		left -= part;
		vhostx_cursor_advance(&at, part, left);
	}
	return VHOSTX_ZC_LENT;
}

/* A packet in several pieces, or in one too long for a mbuf. */
static __rte_noinline enum vhostx_zc_reason
rx_lend_general(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m, struct rx_lender *l)
{
	const uint32_t head = s->zc->linear ? 0 : VHOSTX_ZC_HEADER;
	uint32_t left = c->total - s->hdr_len - head;
	struct vhostx_cursor at = vhostx_cursor_begin(b, c);
	struct vhostx_zc_slot *slot;
	enum vhostx_zc_reason reason;
	struct rx_plan plan;

	vhostx_cursor_skip(&at, s->hdr_len);
	rx_rearm(q, m, c->total - s->hdr_len);
	if (head != 0)
		vhostx_cursor_read(&at, rte_pktmbuf_mtod(m, uint8_t *), head, 1);
	reason = rx_plan_pieces(s, at, left, &plan);
	if (reason == VHOSTX_ZC_LENT && head != 0 && !rx_lender_fill(q, l, plan.mbufs))
		reason = VHOSTX_ZC_NO_MBUF;
	if (reason != VHOSTX_ZC_LENT)
		return reason;
	slot = vhostx_zc_lend(s->zc, c, plan.region, plan.mbufs, l->now);
	m->nb_segs = 1 + (head != 0 ? plan.mbufs : 0);
	m->data_len = head;
	while (left != 0) {
		const uint32_t part = RTE_MIN(RTE_MIN(left, at.len), VHOSTX_ZC_PIECE_MAX);

		if (head != 0) {
			m->next = l->seg[--l->nb];
			m = m->next;
			rx_rearm(q, m, part);
		}
		rx_lend_piece(s->zc, slot, m, at.va, part, vhostx_zc_region_at(s, at.va));
		left -= part;
		vhostx_cursor_advance(&at, part, left);
	}
	return VHOSTX_ZC_LENT;
}

/* Of constant length, so that a few wide moves do it. */
static __rte_always_inline void
rx_copy_header(uint8_t *dst, const uint8_t *src)
{
	for (uint32_t off = 0; off < VHOSTX_ZC_HEADER; off += VHOSTX_VEC)
		vhostx_move(dst + off, src + off);
}

/* A packet in one piece that is not longer than a mbuf can be. */
static __rte_always_inline enum vhostx_zc_reason
rx_lend_single(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_chain *c,
	struct rte_mbuf *m, uint32_t len, struct rx_lender *l)
{
	const uint16_t region[] = { vhostx_zc_region_at(s, c->va), VHOSTX_ZC_NOWHERE };
	const uint32_t head = s->zc->linear ? 0 : VHOSTX_ZC_HEADER;
	uint8_t *va = c->va + s->hdr_len;
	const enum vhostx_zc_reason reason = rx_judge_piece(s->zc, va + head, len - head, region[0]);
	struct rte_mbuf *seg = m;

	if (unlikely(reason != VHOSTX_ZC_LENT))
		return reason;
	if (likely(head != 0)) {
		if (unlikely(l->nb == 0))
			return VHOSTX_ZC_NO_MBUF;
		seg = l->seg[--l->nb];
		rx_rearm(q, m, len);
		rx_copy_header(rte_pktmbuf_mtod(m, uint8_t *), va);
		m->data_len = VHOSTX_ZC_HEADER;
		m->nb_segs = 2;
		m->next = seg;
	}
	rx_rearm(q, seg, len - head);
	rx_lend_piece(s->zc, vhostx_zc_lend(s->zc, c, region, 1, l->now), seg, va + head, len - head,
		region[0]);
	return VHOSTX_ZC_LENT;
}

/* Lend a packet of @a len bytes. Nothing has happened unless it returns VHOSTX_ZC_LENT. */
static __rte_always_inline enum vhostx_zc_reason
rx_lend(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m, uint32_t len, struct rx_lender *l)
{
	if (likely(c->nspill == 0 && len <= VHOSTX_ZC_PIECE_MAX))
		return rx_lend_single(q, s, c, m, len, l);
	return rx_lend_general(q, s, b, c, m, l);
}

/* Is there a packet in the chain? If not it is for rx_move() to drop it. */
static __rte_always_inline bool
rx_has_packet(const struct vhostx_snapshot *s, const struct vhostx_chain *c)
{
	return c->fault == VHOSTX_NO_CAUSE && c->total > s->hdr_len &&
		c->total - s->hdr_len <= VHOSTX_PACKET_MAX;
}

/*
 * Is what the guest asks for told by flags alone, or written into the header that is copied? The header is
 * read again for that: a guest that changes it in between may find a checksum in its own buffer.
 */
static __rte_noinline bool
rx_only_tells(const struct vhostx_queue *q, const struct vhostx_snapshot *s,
	const struct vhostx_chain *c)
{
	const struct vhostx_offload_conf *conf = &q->offload;
	struct virtio_net_hdr hdr;
	uint64_t word;

	if (s->zc->linear || c->len < sizeof(word))
		return false;
	word = vhostx_load64(c->va);
	memcpy(&hdr, &word, sizeof(word));
	return (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE || conf->tx_flags ||
		(conf->keep_tcp && conf->keep_udp)) &&
		hdr.csum_start + sizeof(struct rte_tcp_hdr) <= VHOSTX_ZC_HEADER;
}

/* Why is the packet copied? VHOSTX_ZC_LENT: it need not be, as far as can be told now. */
static __rte_always_inline enum vhostx_zc_reason
rx_judge(const struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_chain *c)
{
	const enum vhostx_zc_reason reason = vhostx_zc_judge(s->zc, c, c->total - s->hdr_len);

	if (reason != VHOSTX_ZC_LENT)
		return reason;
	/* What others write into a lent buffer would not be in the log. */
	if (unlikely(s->log != NULL))
		return VHOSTX_ZC_LOGGED;
	/* The tag would be taken off in the guest's memory. */
	if (unlikely(s->zc->linear && (q->finish & VHOSTX_RX_STRIP)))
		return VHOSTX_ZC_OFFLOAD;
	if (unlikely(rx_may_ask(s, c)) && !rx_only_tells(q, s, c))
		return VHOSTX_ZC_OFFLOAD;
	return reason;
}

/*
 * The next chain from @a i on that is to be lent, or @a n: those before it are to be copied. One whose head
 * is out may not be offered: it stops the ring, and becomes the new @a n.
 */
static __rte_always_inline uint16_t
rx_next_lent(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t *n)
{
	enum vhostx_zc_reason reason;

	for (; i < *n; i++) {
		const struct vhostx_chain *c = &b->chain[i];

		if (unlikely(s->zc->out != 0 && vhostx_zc_is_out(s->zc, c->id))) {
			vhostx_ring_stop(s->ring, VHOSTX_BAD_HEAD);
			*n = i;
			break;
		}
		if (unlikely(!rx_has_packet(s, c)))
			continue;
		reason = rx_judge(q, s, c);
		if (reason == VHOSTX_ZC_LENT)
			break;
		q->count.zc[reason]++;
	}
	return i;
}

/* Lend chain @a i. RX_NO_MBUF: it is to be copied; RX_DROP: it was lent, and has come back already. */
static __rte_always_inline enum rx_result
rx_lend_at(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, struct rte_mbuf *m, struct rx_lender *l)
{
	const uint32_t len = b->chain[i].total - s->hdr_len;
	const enum vhostx_zc_reason reason = rx_lend(q, s, b, &b->chain[i], m, len, l);

	if (unlikely(reason != VHOSTX_ZC_LENT)) {
		q->count.zc[reason]++;
		return RX_NO_MBUF;
	}
	l->lent |= UINT64_C(1) << i;
	if (unlikely(rx_may_ask(s, &b->chain[i])) && rx_offload(q, s, b, &b->chain[i], m) == RX_DROP)
		return RX_DROP;
	count_packet(&q->count, m, rte_pktmbuf_mtod(m, const uint8_t *), len);
	if (unlikely(q->finish != 0))
		rx_finish(q, &m, 1);
	q->count.packets++;
	q->count.bytes += len;
	q->count.zc[VHOSTX_ZC_LENT]++;
	return RX_TAKEN;
}

/* What all common chains of a step have in common: it is read once. */
struct rx_common {
	struct vhostx_range range; /* where their buffers are */
	uint16_t region;           /* of the table */
	uint16_t end;              /* the first chain that is not looked at */
};

/* Up to which of @a n chains may common ones be lent from the region where the last buffer was found? */
static __rte_always_inline struct rx_common
rx_common_of(const struct vhostx_queue *q, const struct vhostx_snapshot *s, uint16_t i, uint16_t n,
	const struct rx_lender *l)
{
	const struct vhostx_zc *zc = s->zc;
	const uint32_t left = RTE_MAX(zc->limit, zc->out_entries) - zc->out_entries;
	const uint32_t most = zc->linear ? left : RTE_MIN(left, (uint32_t)l->nb);
	const struct rx_common common = {
		.range = vhostx_range_hint(s, 0),
		.region = zc->region_of[s->ring->hint],
		.end = i + RTE_MIN(most, (uint32_t)n - i),
	};
	const struct vhostx_zc_region *r = &zc->region[common.region];

	if (unlikely(s->log != NULL || q->finish != 0 || __atomic_load_n(&zc->held, __ATOMIC_RELAXED) ||
			__atomic_load_n(&r->refusal, __ATOMIC_RELAXED) != VHOSTX_ZC_LENT ||
			(r->dma != NULL && r->dma->page != NULL)))
		return (struct rx_common){ .end = i };
	return common;
}

/* One descriptor in that region, whose head is not out, and a frame to one station that asks for nothing. */
static __rte_always_inline bool
rx_is_common_lent(const struct vhostx_snapshot *s, const struct rx_common *common,
	const struct rx_filter *filter, const struct vhostx_chain *c, uint32_t len)
{
	const struct vhostx_zc *zc = s->zc;

	return c->shape == VHOSTX_SINGLE && len - zc->threshold <= VHOSTX_ZC_PIECE_MAX - zc->threshold &&
		c->id < zc->size && !vhostx_zc_is_out(zc, c->id) &&
		(uintptr_t)c->va - (uintptr_t)common->range.va < common->range.size &&
		rx_is_common(filter, c->va);
}

/* Begin to load what lending touches of the chains beside the two lines that fetch began to load. */
static __rte_always_inline void
rx_prefetch_lent(const struct vhostx_zc *zc, const struct vhostx_batch *b, uint16_t i, uint16_t n)
{
	for (; i < n; i++) {
		if (likely(b->chain[i].id < zc->size))
			rte_prefetch0(&zc->slot[b->chain[i].id]);
		if (!zc->linear)
			rte_prefetch0(b->chain[i].va + 2 * RTE_CACHE_LINE_SIZE);
	}
}

/*
 * Lend the chains from @a i on as long as they are common: as rx_next_lent() and rx_lend_at() do it one by one, but
 * what they count is counted once. @return the first one that is not.
 */
static __rte_always_inline uint16_t
rx_lend_common(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, struct rte_mbuf **pkts, struct rx_lender *l)
{
	const struct rx_common common = rx_common_of(q, s, i, n, l);
	const struct rx_filter filter = rx_filter_of(s);
	const uint32_t hdr_len = s->hdr_len;
	const uint64_t whole = q->rearm & ~(uint64_t)UINT16_MAX; /* data_off is its low half-word */
	struct vhostx_zc *zc = s->zc;
	const bool has_iova = zc->region[common.region].dma != NULL;
	const uint16_t first = i;
	uint64_t bytes = 0;

	for (; i < common.end; i++, pkts++) {
		const struct vhostx_chain *c = &b->chain[i];
		const uint32_t len = c->total - hdr_len;
		uint8_t *va = c->va + hdr_len;
		struct vhostx_zc_slot *slot;
		struct rte_mbuf *m = *pkts;
		uint32_t rest = len;

		if (unlikely(!rx_is_common_lent(s, &common, &filter, c, len)))
			break;
		if (likely(!zc->linear)) {
			vhostx_mbuf_fresh(m, q->rearm + ((uint64_t)1 << 32), len);
			rx_copy_header(rte_pktmbuf_mtod(m, uint8_t *), va);
			m->data_len = VHOSTX_ZC_HEADER;
			m->next = l->seg[--l->nb];
			m = m->next;
			va += VHOSTX_ZC_HEADER;
			rest -= VHOSTX_ZC_HEADER;
		}
		slot = vhostx_zc_lend_single(zc, c->id, common.region, l->now);
		vhostx_mbuf_lend(m, whole, va, has_iova ? (uintptr_t)va : RTE_BAD_IOVA, rest, &slot->shinfo);
		l->lent |= UINT64_C(1) << i;
		q->count.sizes[vhostx_size_class(len)]++;
		bytes += len;
	}
	if (i != first) {
		vhostx_zc_lent_singles(zc, common.region, i - first);
		q->count.packets += i - first;
		q->count.bytes += bytes;
		q->count.zc[VHOSTX_ZC_LENT] += i - first;
	}
	return i;
}

/* The cold side may sleep while nothing is out. */
static __rte_always_inline void
rx_tell(struct vhostx_queue *q, struct vhostx_zc *zc)
{
	/* L: slots out before tell; the other half is the membarrier of the cold side. */
	if (unlikely(q->fence))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		rte_compiler_barrier();
	if (likely(!__atomic_load_n(&zc->tell, __ATOMIC_RELAXED)))
		return;
	__atomic_store_n(&zc->tell, false, __ATOMIC_RELAXED);
	vhostx_eventfd_signal(q->wakefd, false);
}

/* Is there nothing to lend, and nothing out that the guest could offer again? Then this is a ring as any other. */
static __rte_always_inline bool
rx_all_short(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t n)
{
	uint32_t most = 0;

	for (uint16_t i = 0; i < n; i++)
		most = RTE_MAX(most, b->chain[i].total);
	return s->zc->out == 0 && most < s->zc->threshold + s->hdr_len;
}

/* As rx_move(), for a ring with a table of slots; @a lent gets the chains that were lent, as bits. */
static __rte_noinline uint16_t
rx_move_zc(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t n, struct rte_mbuf **pkts, uint16_t *taken, uint64_t *lent)
{
	struct rx_lender l;
	enum rx_result result;
	uint16_t done = 0;
	uint16_t i = 0;

	*lent = 0;
	if (rx_all_short(s, b, n)) {
		done = rx_move(q, s, b, 0, n, pkts, taken);
		q->count.zc[VHOSTX_ZC_SHORT] += done;
		return done;
	}
	/* Not its array, which would take longer than the rest. */
	l.nb = 0;
	l.lent = 0;
	l.now = vhostx_zc_now();
	rx_prefetch_lent(s->zc, b, 0, n);
	while (i < n) {
		uint16_t next;

		if (unlikely(l.nb == 0 && !s->zc->linear && b->chain[i].total >= s->zc->threshold + s->hdr_len))
			rx_lender_fill(q, &l, n - i);
		if (likely(b->chain[i].shape == VHOSTX_SINGLE)) {
			next = rx_lend_common(q, s, b, i, n, &pkts[done], &l);
			done += next - i;
			i = next;
			if (likely(i == n))
				break;
		}
		next = rx_next_lent(q, s, b, i, &n);
		if (likely(next == i && i < n)) {
			if (unlikely(l.nb == 0 && !s->zc->linear))
				rx_lender_fill(q, &l, n - i);
			result = rx_lend_at(q, s, b, i, pkts[done], &l);
			if (likely(result != RX_NO_MBUF)) {
				done += result == RX_TAKEN;
				i++;
				continue;
			}
			next = i + 1;
		}
		done += rx_move(q, s, b, i, next, &pkts[done], &i);
		if (unlikely(i < next))
			break;
	}
	if (unlikely(l.nb != 0))
		rte_mempool_put_bulk(q->pool, (void **)l.seg, l.nb);
	if (l.lent != 0)
		rx_tell(q, s->zc);
	*taken = i;
	*lent = l.lent;
	return done;
}

/* Take @a n chains; complete those that were not lent. @return how many those are. */
static __rte_noinline uint16_t
rx_complete_zc(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n, uint64_t lent)
{
	uint16_t k = 0;

	ring_take(s, b, n);
	for (uint16_t i = 0; i < n; i++) {
		if (!(lent >> i & 1))
			b->chain[k++] = b->chain[i];
		else if (unlikely(s->inflight != NULL))
			s->zc->slot[b->chain[i].id].entry = b->chain[i].entry;
	}
	if (k != 0)
		ring_return(s, b->chain, k, b->plain);
	return k;
}

/*
 * Complete what came back, in whatever order it did: a split ring's used ring takes any (virtio 1.3, 2.7.8),
 * a packed ring's used descriptor goes into the next used position, whose chain may still be out, and skips as
 * many slots as its own chain had (2.8.6). @return how many chains.
 */
static __rte_noinline uint32_t
rx_reap(const struct vhostx_snapshot *s)
{
	struct vhostx_chain rec[VHOSTX_ZC_GROUP];
	struct vhostx_zc *zc = s->zc;
	uint16_t passed = 0, looks = 0;
	uint32_t given = 0;
	uint16_t group, n;

	if (zc->out == 0)
		return 0;
	while (looks++ < VHOSTX_ZC_LOOK && vhostx_zc_next_group(zc, &group, &passed)) {
		n = vhostx_zc_reap(zc, group, rec, vhostx_zc_now());
		if (n != 0)
			ring_return(s, rec, n, false);
		given += n;
	}
	zc->look = (zc->look + passed) % zc->nr_groups;
	return given;
}

#endif /* VHOSTX_RING_RX_ZEROCOPY_H */
