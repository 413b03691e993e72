/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The rx burst of a ring with a table of slots: which packets are lent. Those that are not take the way of every
 * other ring, rx_move(). Included by rx.h alone.
 */
#ifndef VHOSTX_RING_RX_ZEROCOPY_H
#define VHOSTX_RING_RX_ZEROCOPY_H

#include <rte_tcp.h>

#include "rx_lend.h"

static_assert(VHOSTX_ZC_SHORTEST >= RX_FILTERED, "the filter reads no byte behind a packet that is lent");

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
	uint16_t i, uint16_t *n, struct rx_lender *l)
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
		l->why[i] = reason;
		q->count.zc[reason]++;
	}
	return i;
}

/* There are no mbufs to copy the chains from @a i to before @a n into: they are counted when there are. */
static __rte_noinline __rte_cold void
rx_uncount(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, const struct rx_lender *l)
{
	for (; i < n; i++) {
		if (rx_has_packet(s, &b->chain[i]))
			q->count.zc[l->why[i]]--;
	}
}

/* Lend chain @a i. RX_NO_MBUF: it is to be copied; RX_DROP: it was lent, and has come back already. */
static __rte_always_inline enum rx_result
rx_lend_at(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, struct rte_mbuf *m, struct rx_lender *l)
{
	const uint32_t len = b->chain[i].total - s->hdr_len;
	const enum vhostx_zc_reason reason = rx_lend(q, s, b, &b->chain[i], m, len, l);

	if (unlikely(reason != VHOSTX_ZC_LENT)) {
		l->why[i] = reason;
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

/*
 * Lines of guests' memory that are asked for ahead: memory takes 350 cycles, and lending one packet some 36. A core
 * waits for fewer at once, but reaping has asked for one line of each of as many packets as came back.
 */
#define RX_LINES 48u
/* Lines of a buffer that lending reads: the virtio-net header is in front of what is copied, or looked at. */
#define RX_LINES_COPIED 3u
#define RX_LINES_SEEN 2u

/* Begin to load what lending touches of a chain. A pointer past the slots does no harm. */
static __rte_always_inline void
rx_load(const struct vhostx_zc *zc, const struct vhostx_batch *b, const struct vhostx_chain *c)
{
	rte_prefetch0(c->va);
	rte_prefetch0(c->va + RTE_CACHE_LINE_SIZE);
	if (!zc->linear)
		rte_prefetch0(c->va + 2 * RTE_CACHE_LINE_SIZE);
	rte_prefetch0_write(&zc->slot[c->id]);
	/* A chain often begins with a buffer that has the virtio-net header alone. */
	if (c->nspill != 0) {
		rte_prefetch0(b->spill[c->spill].va);
		rte_prefetch0(b->spill[c->spill].va + RTE_CACHE_LINE_SIZE);
	}
}

/* How many chains before they are needed they shall begin to come into the cache. */
static __rte_always_inline uint16_t
rx_ahead(const struct vhostx_zc *zc)
{
	return zc->linear ? RX_LINES / RX_LINES_SEEN : RX_LINES / RX_LINES_COPIED;
}

/* Begin to load the chains that are needed when the @a i-th one is done. */
static __rte_always_inline void
rx_load_ahead(const struct vhostx_zc *zc, const struct vhostx_batch *b, uint16_t i, uint16_t n, struct rx_lender *l)
{
	const uint16_t end = RTE_MIN(i + l->ahead, n);

	while (l->loaded < end)
		rx_load(zc, b, &b->chain[l->loaded++]);
}

/* The packet's own, of which @a left follow the first, and the one to attach to, which come from the end of @a seg. */
static __rte_always_inline void
rx_load_mbufs(struct rte_mbuf **pkts, uint16_t left, struct rte_mbuf **seg, uint16_t nb)
{
	if (left > RX_MBUFS)
		rx_load_mbuf(pkts[RX_MBUFS]);
	if (nb > RX_MBUFS)
		rx_load_mbuf(seg[nb - 1 - RX_MBUFS]);
}

/* What all common chains of a step have in common: it is read once. */
struct rx_common {
	struct vhostx_range range; /* where their buffers are */
	uint64_t use;              /* what their slots say */
	uint16_t region;           /* of the table */
	uint16_t most;             /* how many of them may be lent */
	bool has_iova;             /* devices see them at their addresses */
	bool none;                 /* there is something special about all of them */
};

/* May common chains be lent from the region where the last buffer was found, and how many? */
static __rte_always_inline struct rx_common
rx_common_of(const struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct rx_lender *l)
{
	const struct vhostx_zc *zc = s->zc;
	const uint16_t region = zc->region_of[s->ring->hint];
	const struct vhostx_zc_region *r = &zc->region[region];
	const uint32_t left = RTE_MAX(zc->limit, zc->out_entries) - zc->out_entries;

	return (struct rx_common) {
		.range = vhostx_range_hint(s, 0),
		.use = vhostx_zc_single(region),
		.region = region,
		.most = zc->linear ? RTE_MIN(left, STEP) : RTE_MIN(left, (uint32_t)l->nb),
		.has_iova = r->dma != NULL,
		.none = s->log != NULL || q->finish != 0 || __atomic_load_n(&zc->held, __ATOMIC_RELAXED) ||
			__atomic_load_n(&r->refusal, __ATOMIC_RELAXED) != VHOSTX_ZC_LENT ||
			(r->dma != NULL && r->dma->page != NULL),
	};
}

/*
 * Take the chains from @a i on as long as they are common: one descriptor in that region, whose head is not out, with
 * a frame to one station that asks for nothing. Long ones are lent, short ones copied: as rx_next_lent(), rx_lend_at()
 * and rx_move() do it one by one, but what they count is counted once. @return the first one that is not.
 */
static __rte_always_inline uint16_t
rx_take_common(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, struct rte_mbuf **pkts, struct rx_lender *l)
{
	const struct rx_common common = rx_common_of(q, s, l);
	const struct rx_filter filter = rx_filter_of(s);
	const uint32_t hdr_len = s->hdr_len, room = q->room;
	const uint64_t whole = q->rearm & ~(uint64_t)UINT16_MAX; /* data_off is its low half-word */
	struct vhostx_zc *const zc = s->zc;
	const uint8_t *const state = zc->state;
	const uint32_t threshold = zc->threshold, size = zc->size, now = l->now;
	const bool linear = zc->linear;
	const uint16_t first = i;
	uint16_t lent = 0, loaded = l->loaded, nb = l->nb;
	uint64_t bytes = 0, bits = 0;

	if (unlikely(common.none))
		return i;
	for (; i < n; i++, pkts++) {
		const struct vhostx_chain *c = &b->chain[i];
		const uint32_t len = c->total - hdr_len, id = c->id;
		uint8_t *va = c->va + hdr_len;
		struct rte_mbuf *m = *pkts;

		if (loaded < n)
			rx_load(zc, b, &b->chain[loaded++]);
		rx_load_mbufs(pkts, n - i, l->seg, nb);
		if (unlikely(c->shape != VHOSTX_SINGLE || id >= size ||
				__atomic_load_n(&state[id], __ATOMIC_RELAXED) != VHOSTX_ZC_IDLE ||
				(uintptr_t)c->va - (uintptr_t)common.range.va >= common.range.size ||
				len - RX_FILTERED > VHOSTX_ZC_PIECE_MAX - RX_FILTERED ||
				!rx_is_common(&filter, c->va)))
			break;
		if (len >= threshold) {
			uint32_t rest = len;

			if (unlikely(lent == common.most))
				break;
			if (!linear) {
				rx_lend_header(q, m, l->seg[--nb], va, len);
				m = m->next;
				va += VHOSTX_ZC_HEADER;
				rest -= VHOSTX_ZC_HEADER;
			}
			vhostx_mbuf_lend(m, whole, va, common.has_iova ? (uintptr_t)va : RTE_BAD_IOVA, rest,
				vhostx_zc_lend_single(zc, id, common.use, now));
			bits |= UINT64_C(1) << i;
			lent++;
		} else if (likely(len < room)) {
			vhostx_mbuf_fresh(m, q->rearm, len);
			vhostx_copy((uint8_t *)m->buf_addr + (uint16_t)q->rearm, va, len);
		} else {
			break;
		}
		q->count.sizes[vhostx_size_class(len)]++;
		bytes += len;
	}
	l->loaded = loaded;
	l->nb = nb;
	l->lent |= bits;
	if (lent != 0)
		vhostx_zc_lent_singles(zc, common.region, lent);
	q->count.packets += i - first;
	q->count.bytes += bytes;
	q->count.zc[VHOSTX_ZC_LENT] += lent;
	q->count.zc[VHOSTX_ZC_SHORT] += i - first - lent;
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

/* How many of the chains from @a i on are long enough to be lent. */
static __rte_always_inline uint16_t
rx_count_long(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t i, uint16_t n)
{
	const uint32_t from = s->zc->threshold + s->hdr_len;
	uint16_t count = 0;

	for (; i < n; i++)
		count += b->chain[i].total >= from;
	return count;
}

/*
 * Begin a step with @a many long chains. The array of mbufs stays as it is: to clear it would take longer than the
 * rest.
 */
static __rte_always_inline void
rx_lender_begin(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, uint16_t many, struct rx_lender *l)
{
	l->nb = 0;
	l->loaded = i;
	l->lent = 0;
	l->now = vhostx_zc_now();
	l->ahead = rx_ahead(s->zc);
	if (s->zc->out == 0) {
		s->zc->lap = l->now;
		__atomic_store_n(&s->zc->polled, l->now, __ATOMIC_RELAXED);
	}
	rx_load_ahead(s->zc, b, i, n, l);
	/* As many mbufs to attach to as it takes if all of them are lent. */
	if (likely(!s->zc->linear && many != 0))
		rx_lender_fill(q, l, RTE_MIN(many + b->nspill, RX_SEGS));
}

/* Lend the long packets of the chains from @a i on, copy the others. */
static __rte_always_inline uint16_t
rx_lend_long(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, uint16_t many, struct rte_mbuf **pkts, uint16_t *taken, uint64_t *lent)
{
	struct rx_lender l;
	enum rx_result result;
	uint16_t done = 0;

	rx_lender_begin(q, s, b, i, n, many, &l);
	while (i < n) {
		uint16_t next;

		if (likely(b->chain[i].shape == VHOSTX_SINGLE)) {
			next = rx_take_common(q, s, b, i, n, &pkts[done], &l);
			done += next - i;
			i = next;
			if (likely(i == n))
				break;
		}
		next = rx_next_lent(q, s, b, i, &n, &l);
		rx_load_ahead(s->zc, b, next, n, &l);
		if (likely(next == i && i < n)) {
			result = rx_lend_at(q, s, b, i, pkts[done], &l);
			if (likely(result != RX_NO_MBUF)) {
				done += result == RX_TAKEN;
				i++;
				continue;
			}
			next = i + 1;
		}
		done += rx_move(q, s, b, i, next, &pkts[done], &i);
		if (unlikely(i < next)) {
			rx_uncount(q, s, b, i, next, &l);
			break;
		}
	}
	if (unlikely(l.nb != 0))
		rte_mempool_put_bulk(q->pool, (void **)l.seg, l.nb);
	if (l.lent != 0)
		rx_tell(q, s->zc);
	*taken = i;
	*lent = l.lent;
	return done;
}

/* The chains from @a i on, of which there may be some to lend, and some out that the guest could offer again. */
static __rte_noinline uint16_t
rx_move_mixed(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, struct rte_mbuf **pkts, uint16_t *taken, uint64_t *lent)
{
	const uint16_t many = rx_count_long(s, b, i, n);
	struct vhostx_zc *const zc = s->zc;
	uint16_t done;

	zc->copies = many == 0 && zc->out == 0;
	if (!zc->copies)
		return rx_lend_long(q, s, b, i, n, many, pkts, taken, lent);
	/* The next fetch does this. */
	for (uint16_t k = i; k < n; k++)
		vhostx_chain_load(&b->chain[k], 0);
	done = rx_move(q, s, b, i, n, pkts, taken);
	q->count.zc[VHOSTX_ZC_SHORT] += done;
	return done;
}

/*
 * As rx_move(), for a ring with a table of slots; @a lent gets the chains that were lent, as bits. While nothing is
 * out that the guest could offer again, this is a ring as any other up to the first long packet.
 */
static __rte_always_inline uint16_t
rx_move_zc(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t n, struct rte_mbuf **pkts, uint16_t *taken, uint64_t *lent)
{
	const struct vhostx_zc *const zc = s->zc;
	const uint32_t threshold = zc->threshold;
	uint16_t done;

	*taken = 0;
	if (unlikely(!zc->copies || zc->out != 0))
		return rx_move_mixed(q, s, b, 0, n, pkts, taken, lent);
	done = rx_move_below(q, s, b, 0, n, threshold, pkts, taken);
	q->count.zc[VHOSTX_ZC_SHORT] += done;
	/* All, or all that there are mbufs for? */
	if (likely(*taken == n) || b->chain[*taken].total - s->hdr_len < threshold)
		return done;
	return done + rx_move_mixed(q, s, b, *taken, n, &pkts[done], taken, lent);
}

/* Put the chains whose bits are not set in front of the others. @return how many those are. */
static __rte_always_inline uint16_t
rx_pick_copied(struct vhostx_chain *c, uint16_t n, uint64_t lent)
{
	uint16_t k = 0, from = 0;

	for (; lent != 0; lent &= lent - 1) {
		const uint16_t at = __builtin_ctzll(lent);

		/* Most follow one another: there is nothing between them. */
		if (at != from && k != from)
			memmove(&c[k], &c[from], (at - from) * sizeof(*c));
		k += at - from;
		from = at + 1;
	}
	if (n != from && k != from)
		memmove(&c[k], &c[from], (n - from) * sizeof(*c));
	return k + n - from;
}

/* Take @a n chains; complete those that were not lent. @return how many those are. */
static __rte_noinline uint16_t
rx_complete_zc(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n, uint64_t lent)
{
	/* A split ring's record has no entries but the heads. */
	uint64_t bits = s->inflight != NULL && s->format == VHOSTX_PACKED ? lent : 0;
	uint16_t k;

	ring_take(s, b, n);
	for (; bits != 0; bits &= bits - 1) {
		const struct vhostx_chain *c = &b->chain[__builtin_ctzll(bits)];

		s->zc->slot[c->id].entry = c->entry;
	}
	if (likely(lent == UINT64_MAX >> (64 - n)))
		return 0;
	k = rx_pick_copied(b->chain, n, lent);
	if (k != 0)
		ring_return(s, b->chain, k, b->plain);
	return k;
}

/* A look is over that passed so many groups; a long ring is seen whole by several. */
static __rte_always_inline void
rx_looked(struct vhostx_zc *zc, uint16_t passed, uint32_t now)
{
	const uint16_t end = zc->look + passed;

	if (unlikely(passed < zc->nr_groups && end < zc->nr_groups)) {
		zc->look = end;
		return;
	}
	__atomic_store_n(&zc->polled, passed < zc->nr_groups ? zc->lap : now, __ATOMIC_RELAXED);
	zc->look = end - zc->nr_groups;
	zc->lap = now;
}

/*
 * Complete what came back, in whatever order it did: a split ring's used ring takes any (virtio 1.3, 2.7.8),
 * a packed ring's used descriptor goes into the next used position, whose chain may still be out, and skips as
 * many slots as its own chain had (2.8.6). Meanwhile the @a n_next chains at @a next, which were fetched, begin to come
 * into the cache: no memory is waited for yet. @return how many chains came back.
 */
static __rte_noinline uint32_t
rx_reap(const struct vhostx_snapshot *s, const struct vhostx_chain *next, uint16_t n_next)
{
	struct vhostx_zc_ahead ahead = { .next = next, .end = next + n_next };
	struct vhostx_chain rec[VHOSTX_ZC_GROUP];
	struct vhostx_zc *zc = s->zc;
	uint16_t passed = 0, looks = 0;
	uint32_t given = 0;
	uint16_t group, n;
	uint32_t now;

	if (zc->out == 0)
		return 0;
	now = vhostx_zc_now();
	while (looks++ < VHOSTX_ZC_LOOK && vhostx_zc_next_group(zc, &group, &passed)) {
		const uint32_t entries = zc->out_entries;

		n = vhostx_zc_reap(zc, group, rec, now, &ahead);
		if (n != 0)
			ring_return(s, rec, n, entries - zc->out_entries == n);
		given += n;
	}
	rx_looked(zc, passed, now);
	return given;
}

#endif /* VHOSTX_RING_RX_ZEROCOPY_H */
