/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The bursts: fetch -> move -> complete -> notify. The steps that know the ring's format are in split.h
 * and packed.h; everything else here serves both.
 */
#include <linux/virtio_net.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "../vhostx_compat.h"
#include "burst.h"
#include "copy.h"
#include "notify.h"
#include "packed.h"
#include "split.h"

/* Chains per step: few enough that what is prefetched is still in the nearest cache when it is used. */
#define STEP 64u

/* --- one switch on the format per step ------------------------------------------------------------ */

static __rte_always_inline uint16_t
ring_fetch(const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t want, uint16_t dir)
{
	switch (s->format) {
	case VHOSTX_SPLIT:
		return split_fetch(s, b, want, dir);
	default:
		return packed_fetch(s, b, want, dir);
	}
}

static __rte_always_inline void
ring_complete(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t n)
{
	if (n == 0)
		return;
	switch (s->format) {
	case VHOSTX_SPLIT:
		split_take(s, b, n);
		split_complete(s, b->chain, n);
		break;
	default:
		packed_take(s, b, n);
		packed_complete(s, b->chain, n);
		break;
	}
}

static __rte_always_inline void
ring_notify(struct vhostx_queue *q, const struct vhostx_snapshot *s)
{
	bool wanted;

	if (s->callfd < 0)
		return;
	/* F: what was completed before what the guest says it wants. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	switch (s->format) {
	case VHOSTX_SPLIT:
		wanted = split_wants_call(s);
		break;
	default:
		wanted = packed_wants_call(s);
		break;
	}
	if (!wanted)
		return;
	vhostx_eventfd_signal(s->callfd, s->call_blocks);
	q->count.calls++;
}

/* The ring cannot be trusted any more. Later bursts see ring->fault and stay away. */
static __rte_noinline __rte_cold void
ring_report(struct vhostx_queue *q, const struct vhostx_snapshot *s)
{
	q->count.drops[s->ring->fault]++;
	vhostx_eventfd_signal(q->wakefd, false);
}

/* --- rx: guest to host ---------------------------------------------------------------------------- */

/* Fill in what a pool's mbuf does not have yet. */
static __rte_always_inline void
rx_rearm(const struct vhostx_queue *q, struct rte_mbuf *m, uint32_t len)
{
	vhostx_mbuf_rearm(m, q->rearm);
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = len;
	m->data_len = len;
	m->vlan_tci = 0;
}

/* A packet of up to 64 KiB in one external buffer: the one allocation outside the pool (ext-buffer=1). */
static bool
rx_attach(struct rte_mbuf *m, uint32_t len)
{
	uint32_t size = RTE_PKTMBUF_HEADROOM + len + sizeof(struct rte_mbuf_ext_shared_info);
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
	rte_pktmbuf_free(m->next);
	m->next = NULL;
	m->nb_segs = 1;
	return RX_NO_MBUF;
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
	result = rx_make_room(q, m, left);
	if (result != RX_TAKEN)
		return result;
	from = vhostx_cursor_begin(b, c);
	vhostx_cursor_skip(&from, s->hdr_len);
	for (; m != NULL; m = m->next) {
		left -= m->data_len;
		vhostx_cursor_read(&from, rte_pktmbuf_mtod(m, uint8_t *), m->data_len, left);
	}
	return RX_TAKEN;
}

/* Copy chains into the mbufs that @a pkts holds; returns packets, and in @a taken chains. */
static __rte_always_inline uint16_t
rx_move(struct vhostx_queue *q, const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	uint16_t n, struct rte_mbuf **pkts, uint16_t *taken)
{
	const uint32_t hdr_len = s->hdr_len;
	const uint32_t room = q->room;
	uint64_t bytes = 0;
	uint16_t done = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		const struct vhostx_chain *c = &b->chain[i];
		const uint32_t len = c->total - hdr_len;
		struct rte_mbuf *m = pkts[done];

		/* A chain not longer than its header wraps len round; one of 0 bytes more is refused too. */
		if (likely(c->fault == VHOSTX_NO_CAUSE && c->nspill == 0 && len - 1 < room)) {
			rx_rearm(q, m, len);
			rte_memcpy(rte_pktmbuf_mtod(m, void *), c->va + hdr_len, len);
		} else {
			const enum rx_result result = rx_general(q, s, b, c, m);

			if (result == RX_NO_MBUF)
				break;
			if (result == RX_DROP)
				continue;
		}
		bytes += len;
		done++;
	}
	q->count.packets += done;
	q->count.bytes += bytes;
	*taken = i;
	return done;
}

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

/* Receive up to @a want packets in one step. Returns packets, and in @a taken chains. */
static __rte_always_inline uint16_t
rx_step(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b,
	struct rte_mbuf **pkts, uint16_t want, uint16_t *taken)
{
	const uint16_t found = ring_fetch(s, b, want, 0);
	uint16_t n, done;

	*taken = 0;
	if (found == 0)
		return 0;
	n = rx_alloc(q, pkts, found);
	done = rx_move(q, s, b, n, pkts, taken);
	if (unlikely(*taken < found))
		q->count.nombuf++;
	if (unlikely(done < n))
		rte_mempool_put_bulk(q->pool, (void **)&pkts[done], n - done);
	ring_complete(s, b, *taken);
	return done;
}

static __rte_always_inline uint16_t
rx_ring(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_batch batch;
	uint16_t want, taken;
	uint16_t chains = 0; /* bounds the loop: a guest may send bad chains as fast as they are dropped */
	uint16_t done = 0;

	do {
		want = RTE_MIN((uint16_t)(nb - chains), STEP);
		done += rx_step(q, s, &batch, &pkts[done], want, &taken);
		chains += taken;
	} while (taken == want && chains < nb);
	if (chains != 0)
		ring_notify(q, s);
	return done;
}

/* A ring that is started but disabled: "must process and discard any TX packets" (vhost-user). */
static __rte_noinline void
rx_discard(struct vhostx_queue *q, const struct vhostx_snapshot *s)
{
	struct vhostx_batch batch;
	const uint16_t n = ring_fetch(s, &batch, STEP, 0);

	if (n == 0)
		return;
	q->count.drops[VHOSTX_DISABLED] += n;
	ring_complete(s, &batch, n);
	ring_notify(q, s);
}

uint16_t
vhostx_rx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_queue *q = queue;
	const struct vhostx_snapshot *s = vhostx_queue_enter(q);
	uint16_t done = 0;

	if (likely(s != NULL && s->ring->fault == VHOSTX_NO_CAUSE && nb != 0)) {
		if (likely(s->enabled))
			done = rx_ring(q, s, pkts, nb);
		else
			rx_discard(q, s);
		if (unlikely(s->ring->fault != VHOSTX_NO_CAUSE))
			ring_report(q, s);
	}
	vhostx_queue_leave(q);
	return done;
}

/* --- tx: host to guest ---------------------------------------------------------------------------- */

/* The header in front of a packet that takes @a chains chains (virtio 1.3, 5.1.6). */
static __rte_always_inline struct virtio_net_hdr_mrg_rxbuf
tx_header(uint16_t chains)
{
	return (struct virtio_net_hdr_mrg_rxbuf){ .num_buffers = chains };
}

/* What became of a packet that the fast path did not take. */
enum tx_result {
	TX_SENT,  /* it is in the chains */
	TX_DROP,  /* it will never fit */
	TX_RETRY, /* chains that are wrong were passed over: try the next ones */
	TX_MORE   /* it needs more chains than were fetched */
};

/* How many chains from @a c on take @a need bytes? They are n at most; wrong ones end the search. */
static enum tx_result
tx_span(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_chain *c, uint16_t n,
	uint64_t need, uint16_t *chains)
{
	uint64_t total = 0;
	uint16_t k = 0;

	while (k < n && total < need) {
		const bool is_short = c[k].total < s->hdr_len;

		total += c[k].total;
		k++;
		if (likely(c[k - 1].fault == VHOSTX_NO_CAUSE && !is_short)) {
			if (s->mergeable)
				continue;
			break;
		}
		/* Those before it go back empty as well: a packet's buffers follow one another. */
		q->count.drops[is_short && c[k - 1].fault == VHOSTX_NO_CAUSE ?
			VHOSTX_BAD_LENGTH : c[k - 1].fault]++;
		*chains = k;
		return TX_RETRY;
	}
	*chains = k;
	if (total >= need)
		return TX_SENT;
	return s->mergeable ? TX_MORE : TX_DROP;
}

/* Copy a packet, with its header, into @a chains chains. */
static void
tx_scatter(const struct vhostx_snapshot *s, const struct vhostx_batch *b, struct vhostx_chain *c,
	uint16_t chains, const struct rte_mbuf *m)
{
	const struct virtio_net_hdr_mrg_rxbuf hdr = tx_header(chains);
	struct vhostx_mbuf_cursor from = { .seg = m };
	uint32_t left = m->pkt_len;
	uint32_t head = s->hdr_len;

	for (uint16_t k = 0; k < chains; k++) {
		struct vhostx_cursor to = vhostx_cursor_begin(b, &c[k]);
		const uint32_t part = RTE_MIN(left, c[k].total - head);

		vhostx_cursor_write(&to, (const uint8_t *)&hdr, head, part);
		vhostx_cursor_write_mbuf(&to, &from, part);
		c[k].used_len = head + part;
		left -= part;
		head = 0;
	}
}

static __rte_noinline enum tx_result
tx_general(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b,
	uint16_t first, uint16_t n, const struct rte_mbuf *m, uint16_t *chains)
{
	struct vhostx_chain *c = &b->chain[first];
	const uint64_t need = (uint64_t)m->pkt_len + s->hdr_len;
	const enum tx_result result = tx_span(q, s, c, n - first, need, chains);

	if (result == TX_SENT)
		tx_scatter(s, b, c, *chains, m);
	if (result == TX_DROP || result == TX_MORE)
		*chains = 0;
	return result;
}

/* The packet fits one chain of one segment: the common case. */
static __rte_always_inline void
tx_copy(struct vhostx_chain *c, const struct rte_mbuf *m, uint32_t hdr_len)
{
	const struct virtio_net_hdr_mrg_rxbuf hdr = tx_header(1);

	memcpy(c->va, &hdr, hdr_len == sizeof(hdr) ? sizeof(hdr) : sizeof(hdr.hdr));
	rte_memcpy(c->va + hdr_len, rte_pktmbuf_mtod(m, const void *), m->data_len);
	c->used_len = hdr_len + m->data_len;
}

/* What one step of tx did. */
struct tx_done {
	uint16_t packets; /* taken over, sent or dropped */
	uint16_t chains;  /* used up */
	bool more;        /* the next packet needs more chains than were fetched */
};

static __rte_always_inline struct tx_done
tx_move(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n,
	struct rte_mbuf **pkts, uint16_t nb)
{
	struct tx_done done = { 0 };
	uint64_t sent = 0, bytes = 0;

	while (done.packets < nb && done.chains < n) {
		struct vhostx_chain *c = &b->chain[done.chains];
		const struct rte_mbuf *m = pkts[done.packets];
		enum tx_result result = TX_SENT;
		uint16_t chains = 1;

		if (likely(c->fault == VHOSTX_NO_CAUSE && c->nspill == 0 && m->nb_segs == 1 &&
				c->len >= (uint32_t)m->data_len + s->hdr_len))
			tx_copy(c, m, s->hdr_len);
		else
			result = tx_general(q, s, b, done.chains, n, m, &chains);
		if (unlikely(result == TX_MORE)) {
			done.more = true;
			break;
		}
		done.chains += chains;
		done.packets += result != TX_RETRY;
		if (likely(result == TX_SENT)) {
			sent++;
			bytes += m->pkt_len;
		} else if (result == TX_DROP) {
			q->count.drops[VHOSTX_OVERSIZE]++;
		}
	}
	q->count.packets += sent;
	q->count.bytes += bytes;
	return done;
}

/* Did the fetch see all that there can ever be: as many chains as it takes, or the whole ring? */
static bool
tx_saw_all(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t n)
{
	uint32_t slots = 0;

	for (uint16_t i = 0; i < n; i++)
		slots += b->chain[i].ndesc;
	return n == VHOSTX_CHAINS || slots >= s->size;
}

/*
 * Send what fits. A packet that takes more chains than were fetched has them fetched again, four times as
 * many: only long packets in short mergeable buffers come here.
 */
static __rte_always_inline uint16_t
tx_ring(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_batch batch;
	struct tx_done step;
	uint32_t chains = 0;
	uint32_t shift = 0;
	uint16_t done = 0;
	uint16_t want, n;

	while (done < nb) {
		want = RTE_MIN((uint32_t)(nb - done) << shift, shift == 0 ? STEP : VHOSTX_CHAINS);
		n = ring_fetch(s, &batch, want, VRING_DESC_F_WRITE);
		step = tx_move(q, s, &batch, n, &pkts[done], nb - done);
		ring_complete(s, &batch, step.chains);
		chains += step.chains;
		done += step.packets;
		if (likely(step.packets != 0)) {
			if (n < want)
				break;
			continue;
		}
		/* Bad chains alone end the burst as well: a guest may supply them for ever. */
		if (!step.more || step.chains != 0)
			break;
		if (tx_saw_all(s, &batch, n)) {
			q->count.drops[VHOSTX_OVERSIZE]++;
			done++;
		} else if (n < want) {
			break;
		}
		shift += 2;
	}
	if (chains != 0)
		ring_notify(q, s);
	return done;
}

uint16_t
vhostx_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_queue *q = queue;
	const struct vhostx_snapshot *s = vhostx_queue_enter(q);
	uint16_t done = 0;

	if (likely(s != NULL && s->ring->fault == VHOSTX_NO_CAUSE && s->enabled)) {
		done = tx_ring(q, s, pkts, nb);
		if (unlikely(s->ring->fault != VHOSTX_NO_CAUSE))
			ring_report(q, s);
	}
	vhostx_queue_leave(q);
	if (done != 0)
		rte_pktmbuf_free_bulk(pkts, done);
	return done;
}
