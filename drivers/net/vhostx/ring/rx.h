/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The rx burst, guest to host: fetch, move, complete, notify. Included by burst.c alone.
 */
#ifndef VHOSTX_RING_RX_H
#define VHOSTX_RING_RX_H

#include <rte_malloc.h>
#include <rte_vect.h>

#include "../vhostx_compat.h"
#include "burst.h"
#include "copy.h"
#include "format.h"
#include "offload.h"

/* Fill in what a pool's mbuf does not have yet. */
static __rte_always_inline void
rx_rearm(const struct vhostx_queue *q, struct rte_mbuf *m, uint32_t len)
{
	vhostx_mbuf_fresh(m, q->rearm, len);
}

/* A packet of up to 64 KiB in one external buffer: the one allocation outside the pool (ext-buffer=1). */
static bool
rx_attach(struct rte_mbuf *m, uint32_t len)
{
	/* Wider than the length: that of a guest's chain may have all of 32 bits. */
	uint64_t size = (uint64_t)len + RTE_PKTMBUF_HEADROOM + sizeof(struct rte_mbuf_ext_shared_info);
	struct rte_mbuf_ext_shared_info *shinfo;
	uint16_t buf_len;
	void *buf;

	size = RTE_ALIGN_CEIL(size, sizeof(uintptr_t));
	if (size > UINT16_MAX)
		return false;
	buf_len = size;
	buf = rte_malloc(NULL, buf_len, RTE_CACHE_LINE_SIZE);
	if (buf == NULL)
		return false;
	shinfo = rte_pktmbuf_ext_shinfo_init_helper(buf, &buf_len,
		(rte_mbuf_extbuf_free_callback_t)(void *)rte_free, buf);
	if (shinfo == NULL) {
		rte_free(buf);
		return false;
	}
	rte_pktmbuf_attach_extbuf(m, buf, rte_malloc_virt2iova(buf), buf_len, shinfo);
	rte_pktmbuf_reset_headroom(m);
	m->data_len = len;
	return true;
}

/* Chain mbufs to @a m until @a len bytes have room; each gets its data_len. */
static bool
rx_extend(struct vhostx_queue *q, struct rte_mbuf *m, uint32_t len)
{
	struct rte_mbuf *last = m;
	uint32_t room = q->room;

	m->data_len = room;
	while (room < len) {
		struct rte_mbuf *next = rte_pktmbuf_alloc(q->pool);

		if (next == NULL)
			return false;
		next->data_len = RTE_MIN(len - room, (uint32_t)rte_pktmbuf_tailroom(next));
		room += next->data_len;
		last->next = next;
		last = next;
		m->nb_segs++;
	}
	return true;
}

/* What became of a chain that the fast path did not take. */
enum rx_result {
	RX_TAKEN,  /* the packet is in the mbuf */
	RX_DROP,   /* the chain goes back, the mbuf is unused */
	RX_NO_MBUF /* the chain stays on the ring */
};

/* Make it a pool's mbuf again. */
static void
rx_give_back(struct rte_mbuf *m)
{
	if (RTE_MBUF_HAS_EXTBUF(m))
		rte_pktmbuf_detach_extbuf(m);
	rte_pktmbuf_free(m->next);
	m->next = NULL;
	m->nb_segs = 1;
}

/* Find room for @a len bytes in @a m: as it is, external or chained. */
static enum rx_result
rx_make_room(struct vhostx_queue *q, struct rte_mbuf *m, uint32_t len)
{
	rx_rearm(q, m, len);
	if (len <= q->room)
		return RX_TAKEN;
	if (q->ext && rx_attach(m, len))
		return RX_TAKEN;
	if (q->linear || len > VHOSTX_PACKET_MAX) {
		q->count.drops[VHOSTX_OVERSIZE]++;
		return RX_DROP;
	}
	if (rx_extend(q, m, len))
		return RX_TAKEN;
	rx_give_back(m);
	return RX_NO_MBUF;
}

/* Take the VLAN tag off, if there is one in the first segment. Most packets that are asked have none. */
static __rte_always_inline void
rx_strip(struct rte_mbuf *m)
{
	const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	if (m->data_len >= sizeof(*eth) + sizeof(struct rte_vlan_hdr) &&
			unlikely(eth->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN)) &&
			!(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED))
		rte_vlan_strip(m);
}

/* The guest's header asks for something: tell the application, or do it. The packet is in the mbuf. */
static __rte_noinline enum rx_result
rx_offload(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m)
{
	struct vhostx_cursor from = vhostx_cursor_begin(b, c);
	struct virtio_net_hdr hdr;
	enum vhostx_cause cause;

	vhostx_cursor_read(&from, (uint8_t *)&hdr, sizeof(hdr), 1);
	cause = vhostx_offload_check(&hdr, s->offloads, m->pkt_len);
	if (cause == VHOSTX_NO_CAUSE) {
		if (q->finish & VHOSTX_RX_STRIP)
			rx_strip(m);
		cause = vhostx_offload_receive(&q->offload, &hdr, m);
	}
	if (cause == VHOSTX_NO_CAUSE)
		return RX_TAKEN;
	q->count.drops[cause]++;
	rx_give_back(m);
	return RX_DROP;
}

/* Does the header of a packet ask for something, or is it in pieces? */
static __rte_always_inline bool
rx_may_ask(const struct vhostx_snapshot *s, const struct vhostx_chain *c)
{
	return s->hdr_mask != 0 &&
		(c->len < sizeof(uint64_t) || (vhostx_load64(c->va) & s->hdr_mask) != 0);
}

/* What is done to every packet if the application enabled it. */
static __rte_noinline void
rx_finish(const struct vhostx_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	const uint8_t finish = q->finish;

	for (uint16_t i = 0; i < n; i++) {
		if (finish & VHOSTX_RX_STRIP)
			rx_strip(pkts[i]);
		if (finish & VHOSTX_RX_VERIFY_IP)
			vhostx_offload_verify_ip(pkts[i]);
	}
}

static __rte_noinline enum rx_result
rx_general(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, struct rte_mbuf *m)
{
	struct vhostx_cursor from;
	enum rx_result result;
	uint32_t left;

	if (c->fault != VHOSTX_NO_CAUSE) {
		q->count.drops[c->fault]++;
		return RX_DROP;
	}
	if (c->total <= s->hdr_len) {
		q->count.drops[VHOSTX_BAD_LENGTH]++;
		return RX_DROP;
	}
	left = c->total - s->hdr_len;
	/* For a group, or of a few bytes: else as any other. */
	if (c->shape == VHOSTX_SINGLE && left <= q->room && !rx_may_ask(s, c)) {
		vhostx_mbuf_fresh(m, q->rearm, left);
		vhostx_copy(rte_pktmbuf_mtod(m, uint8_t *), c->va + s->hdr_len, left);
		return RX_TAKEN;
	}
	result = rx_make_room(q, m, left);
	if (result != RX_TAKEN)
		return result;
	from = vhostx_cursor_begin(b, c);
	vhostx_cursor_skip(&from, s->hdr_len);
	for (struct rte_mbuf *seg = m; seg != NULL; seg = seg->next) {
		left -= seg->data_len;
		vhostx_cursor_read(&from, rte_pktmbuf_mtod(seg, uint8_t *), seg->data_len, left);
	}
	return s->hdr_mask != 0 ? rx_offload(q, s, b, c, m) : RX_TAKEN;
}

/* The bits that make a packet uncommon, in the 16 bytes that a chain begins with: header, then frame. */
struct rx_filter {
	uint64_t word[2];
};

/* Is there a packet in the chain, that is: one that is not dropped for what it is in? */
static __rte_always_inline bool
rx_has_packet(const struct vhostx_snapshot *s, const struct vhostx_chain *c)
{
	return c->fault == VHOSTX_NO_CAUSE && c->total > s->hdr_len &&
		c->total - s->hdr_len <= VHOSTX_PACKET_MAX;
}

/* Longer than all packets. */
#define RX_ANY_LEN UINT32_MAX

/* Bytes of frame that a chain has at least when the filter may be laid on it: header and these make 16. */
#define RX_FILTERED 6u
static_assert(VHOSTX_ROOM_MIN >= RX_FILTERED, "what is shorter than the room is told by one comparison");

/* What a header asks for, and the first bit of the frame: for a group. */
static __rte_always_inline struct rx_filter
rx_filter_of(const struct vhostx_snapshot *s)
{
	return (struct rx_filter){ { s->hdr_mask, UINT64_C(1) << 8 * (s->hdr_len - sizeof(uint64_t)) } };
}

static __rte_always_inline bool
rx_is_common(const struct rx_filter *filter, const uint8_t *va)
{
#ifdef __SSE4_1__
	return _mm_testz_si128(_mm_loadu_si128((const __m128i *)va),
		_mm_loadu_si128((const __m128i *)filter->word));
#else
	return ((vhostx_load64(va) & filter->word[0]) | (vhostx_load64(va + 8) & filter->word[1])) == 0;
#endif
}

/*
 * Copy the chains from @a i to before @a n, or to the first one with a packet of @a end_len bytes, into the mbufs that
 * @a pkts holds; returns packets, and in @a taken where it ended.
 */
static __rte_always_inline uint16_t
rx_move_below(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, uint32_t end_len, struct rte_mbuf **pkts, uint16_t *taken)
{
	const uint32_t hdr_len = s->hdr_len;
	const uint64_t rearm = q->rearm; /* data_off is its low half-word */
	const struct rx_filter filter = rx_filter_of(s);
	const uint32_t room = RTE_MIN(q->room, end_len);
	const struct vhostx_chain *const end = &b->chain[n];
	const struct vhostx_chain *c;
	struct rte_mbuf **out = pkts;
	uint64_t bytes = 0;
	uint16_t done;

	for (c = &b->chain[i]; c < end; c++) {
		const uint32_t len = c->total - hdr_len;
		struct rte_mbuf *m = *out;

		/* A chain shorter than its header wraps len round; what is in front of the filter must be there. */
		if (likely(c->shape == VHOSTX_SINGLE && len - RX_FILTERED < room - RX_FILTERED &&
				rx_is_common(&filter, c->va))) {
			vhostx_mbuf_fresh(m, rearm, len);
			vhostx_copy((uint8_t *)m->buf_addr + (uint16_t)rearm, c->va + hdr_len, len);
			q->count.sizes[vhostx_size_class(len)]++;
		} else {
			enum rx_result result;

			if (end_len != RX_ANY_LEN && rx_has_packet(s, c) && len >= end_len)
				break;
			result = rx_general(q, s, b, c, m);
			if (result == RX_NO_MBUF)
				break;
			if (result == RX_DROP)
				continue;
			count_packet(&q->count, m, rte_pktmbuf_mtod(m, const uint8_t *), len);
		}
		bytes += len;
		out++;
	}
	done = out - pkts;
	q->count.packets += done;
	q->count.bytes += bytes;
	if (unlikely(q->finish != 0))
		rx_finish(q, pkts, done);
	*taken = c - b->chain;
	return done;
}

/* The same for packets of any length. */
static __rte_always_inline uint16_t
rx_move(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t i, uint16_t n, struct rte_mbuf **pkts, uint16_t *taken)
{
	return rx_move_below(q, s, b, i, n, RX_ANY_LEN, pkts, taken);
}

#include "rx_zerocopy.h"

/* Get as many mbufs as the pool has, up to @a n. */
static __rte_always_inline uint16_t
rx_alloc(struct vhostx_queue *q, struct rte_mbuf **pkts, uint16_t n)
{
	while (unlikely(rte_mempool_get_bulk(q->pool, (void **)pkts, n) != 0)) {
		n /= 2;
		if (n == 0)
			break;
	}
	return n;
}

/*
 * Receive the @a found chains of a batch in one step. Returns packets, in @a taken chains, and adds to @a given those
 * that went back to the guest.
 */
static __rte_always_inline uint16_t
rx_step(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b,
	struct rte_mbuf **pkts, uint16_t found, bool zc, uint16_t *taken, uint32_t *given)
{
	uint64_t lent = 0;
	uint16_t n, done;

	*taken = 0;
	if (found == 0)
		return 0;
	n = rx_alloc(q, pkts, found);
	if (!zc)
		done = rx_move(q, s, b, 0, n, pkts, taken);
	else
		done = rx_move_zc(q, s, b, n, pkts, taken, &lent);
	if (unlikely(*taken < found && s->ring->fault == VHOSTX_NO_CAUSE))
		q->count.nombuf++;
	if (unlikely(done < n))
		rte_mempool_put_bulk(q->pool, (void **)&pkts[done], n - done);
	if (!zc || lent == 0) {
		ring_complete(s, b, *taken, 0);
		*given += *taken;
	} else {
		*given += rx_complete_zc(s, b, *taken, lent);
	}
	return done;
}

/* @a zc: the ring lends its buffers. A constant, so that what it costs is not in the way of other rings. */
static __rte_always_inline uint16_t
rx_steps(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb, bool zc)
{
	struct vhostx_batch batch;
	uint16_t want, found, taken;
	uint32_t given = 0;
	uint16_t chains = 0; /* bounds the loop: a guest may send bad chains as fast as they are dropped */
	uint16_t done = 0;

	do {
		want = RTE_MIN((uint16_t)(nb - chains), STEP);
		found = ring_fetch(s, &batch, want, 0, zc ? s->zc->copies : true);
		if (zc && chains == 0 && s->zc->out != 0)
			given += rx_reap(s, batch.chain, found);
		done += rx_step(q, s, &batch, &pkts[done], found, zc, &taken, &given);
		chains += taken;
	} while ((taken == want || (batch.full && taken != 0)) && chains < nb);
	if (given != 0)
		ring_notify(q, s);
	return done;
}

static __rte_noinline uint16_t
rx_ring(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb)
{
	return rx_steps(q, s, pkts, nb, false);
}

static __rte_noinline uint16_t
rx_ring_zc(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb)
{
	return rx_steps(q, s, pkts, nb, true);
}

/* A ring that is started but disabled: "must process and discard any TX packets" (vhost-user). */
static __rte_noinline void
rx_discard(struct vhostx_queue *q, const struct vhostx_snapshot *s)
{
	struct vhostx_batch batch;
	const uint16_t n = ring_fetch(s, &batch, STEP, 0, false);
	const uint32_t given = s->zc != NULL ? rx_reap(s, batch.chain, 0) : 0;

	if (n + given == 0)
		return;
	q->count.drops[VHOSTX_DISABLED] += n;
	ring_complete(s, &batch, n, 0);
	ring_notify(q, s);
}

#endif /* VHOSTX_RING_RX_H */
