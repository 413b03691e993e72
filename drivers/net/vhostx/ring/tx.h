/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The tx burst, host to guest: fetch, move, complete, notify. Included by burst.c alone.
 */
#ifndef VHOSTX_RING_TX_H
#define VHOSTX_RING_TX_H

#include <linux/virtio_net.h>

#include <rte_ether.h>

#include "../vhostx_compat.h"
#include "burst.h"
#include "copy.h"
#include "format.h"
#include "offload.h"

/* The header in front of a packet that takes @a chains chains (virtio 1.3, 5.1.6). */
static __rte_always_inline struct virtio_net_hdr_mrg_rxbuf
tx_header(uint16_t chains)
{
	return (struct virtio_net_hdr_mrg_rxbuf){ .num_buffers = chains };
}

/* A packet as it goes into the chains: a prefix, made here, then the mbuf from some byte on. */
struct tx_source {
	struct vhostx_mbuf_cursor body;
	struct virtio_net_hdr_mrg_rxbuf hdr; /* the beginning of prefix, when all is known */
	uint32_t len;         /* bytes in all */
	uint32_t prefix_len;  /* bytes of prefix */
	uint32_t prefix_done; /* bytes of prefix that were written */
	uint8_t prefix[sizeof(struct virtio_net_hdr_mrg_rxbuf) + VHOSTX_HEADERS_MAX];
};

/* Append @a n bytes of the packet to the prefix. */
static bool
source_pull(struct tx_source *src, uint32_t n)
{
	const uint8_t *data;
	uint32_t part;

	while (n != 0) {
		part = vhostx_mbuf_next(&src->body, n, &data);
		if (part == 0)
			return false;
		memcpy(&src->prefix[src->prefix_len], data, part);
		src->prefix_len += part;
		n -= part;
	}
	return true;
}

/* Room for the virtio-net header, then the Ethernet addresses and the VLAN tag if one is asked for. */
static bool
source_begin(struct tx_source *src, const struct rte_mbuf *m, uint32_t hdr_len)
{
	struct rte_vlan_hdr tag = { 0 };
	uint16_t word;

	src->body = (struct vhostx_mbuf_cursor){ .seg = m };
	src->hdr = tx_header(1);
	src->prefix_len = hdr_len;
	src->prefix_done = 0;
	src->len = hdr_len + m->pkt_len;
	if (!(m->ol_flags & RTE_MBUF_F_TX_VLAN))
		return true;
	if (!source_pull(src, 2 * RTE_ETHER_ADDR_LEN))
		return false;
	word = rte_cpu_to_be_16(RTE_ETHER_TYPE_VLAN);
	memcpy(&src->prefix[src->prefix_len], &word, sizeof(word));
	tag.vlan_tci = rte_cpu_to_be_16(m->vlan_tci);
	memcpy(&src->prefix[src->prefix_len + sizeof(word)], &tag.vlan_tci, sizeof(tag.vlan_tci));
	src->prefix_len += sizeof(tag);
	src->len += sizeof(tag);
	return true;
}

/* Write the next @a n bytes of the packet into a chain. */
static void
source_write(struct tx_source *src, struct vhostx_cursor *to, uint32_t n)
{
	const uint32_t part = RTE_MIN(n, src->prefix_len - src->prefix_done);

	vhostx_cursor_write(to, &src->prefix[src->prefix_done], part, n - part);
	src->prefix_done += part;
	vhostx_cursor_write_mbuf(to, &src->body, n - part);
}

/* What became of a packet that the fast path did not take. */
enum tx_result {
	TX_SENT,  /* it is in the chains */
	TX_DROP,  /* it will never fit */
	TX_RETRY, /* chains that are wrong were passed over: try the next ones */
	TX_MORE,  /* it needs more chains than were fetched */
	TX_COUNTED /* it was sent in pieces, which are counted */
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
tx_scatter(const struct vhostx_batch *b, struct vhostx_chain *c, uint16_t chains,
	struct tx_source *src, uint32_t hdr_len)
{
	uint32_t left = src->len;

	src->hdr.num_buffers = chains;
	memcpy(src->prefix, &src->hdr, hdr_len);
	for (uint16_t k = 0; k < chains; k++) {
		struct vhostx_cursor to = vhostx_cursor_begin(b, &c[k]);

		c[k].used_len = RTE_MIN(left, c[k].total);
		source_write(src, &to, c[k].used_len);
		left -= c[k].used_len;
	}
}

#include "tx_offload.h"

/* A packet of any shape into chains of any shape; @a chains and @a len get what it took. */
static __rte_noinline enum tx_result
tx_general(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b,
	uint16_t first, uint16_t n, const struct rte_mbuf *m, uint16_t *chains, uint32_t *len)
{
	struct vhostx_chain *c = &b->chain[first];
	enum vhostx_cause cause = VHOSTX_NO_CAUSE;
	struct tx_offload t = { 0 };
	struct tx_source src;
	enum tx_result result;

	*chains = 0;
	if (!source_begin(&src, m, s->hdr_len))
		cause = VHOSTX_RUNT;
	else if (m->ol_flags & q->offload.tx_mask)
		cause = tx_offload_begin(q, s, m, &src, &t);
	if (cause != VHOSTX_NO_CAUSE) {
		q->count.drops[cause]++;
		return TX_DROP;
	}
	result = t.cut ? tx_segments(q, s, b, first, n, m, &src, &t, chains) :
		tx_span(q, s, c, n - first, src.len, chains);
	if (result == TX_SENT) {
		tx_scatter(b, c, *chains, &src, s->hdr_len);
		*len = src.len - s->hdr_len;
		return TX_SENT;
	}
	if (result == TX_COUNTED)
		return result;
	if (result == TX_DROP)
		q->count.drops[VHOSTX_OVERSIZE]++;
	if (result != TX_RETRY)
		*chains = 0;
	return result;
}

/*
 * No offload, num_buffers 1; not by a copy, because a header made on the stack would be waited for. Most buffers
 * have just that from their last use, and a line that nobody writes stays in the caches of both sides.
 */
static __rte_always_inline void
tx_write_plain_header(uint8_t *va, uint32_t hdr_len)
{
	if (likely(hdr_len == sizeof(struct virtio_net_hdr_mrg_rxbuf))) {
		if (vhostx_load64(va) == 0 && vhostx_load32(va + 8) == 1 << 16)
			return;
		vhostx_store32(va + 8, 1 << 16);
	} else {
		vhostx_store16(va + 8, 0);
	}
	vhostx_store64(va, 0);
}

/* The packet fits one chain of one segment: the common case. */
static __rte_always_inline void
tx_copy(struct vhostx_chain *c, const uint8_t *data, uint32_t len, uint32_t hdr_len)
{
	tx_write_plain_header(c->va, hdr_len);
	vhostx_copy(c->va + hdr_len, data, len);
	c->used_len = hdr_len + len;
}

/* As tx_copy() for a packet of several segments: a zero-copy port's, of which the first has the headers. */
static __rte_noinline void
tx_copy_segs(struct vhostx_chain *c, const struct rte_mbuf *m, uint32_t hdr_len)
{
	uint8_t *to = c->va + hdr_len;
	uint32_t left = m->pkt_len;

	tx_write_plain_header(c->va, hdr_len);
	for (; m != NULL && left != 0; m = m->next) {
		const uint32_t part = RTE_MIN(left, (uint32_t)m->data_len);

		vhostx_copy(to, rte_pktmbuf_mtod(m, const uint8_t *), part);
		to += part;
		left -= part;
	}
	c->used_len = to - c->va;
}

/* Is that all there is to do? */
static __rte_always_inline bool
tx_is_segs(const struct vhostx_chain *c, const struct rte_mbuf *m, uint64_t general, uint32_t hdr_len)
{
	return c->shape == VHOSTX_SINGLE && (m->ol_flags & general) == 0 &&
		(uint64_t)m->pkt_len + hdr_len <= c->len;
}

/* The half-words of a mbuf's rearm_data. */
#define TX_REFCNT (UINT64_C(0xffff) << 16)
#define TX_NB_SEGS (UINT64_C(0xffff) << 32)
/* Both are 1: nobody else has the mbuf, and it is all of the packet. */
#define TX_ALONE (UINT64_C(1) << 16 | UINT64_C(1) << 32)

static_assert(offsetof(struct rte_mbuf, refcnt) == offsetof(struct rte_mbuf, rearm_data) + 2 &&
	offsetof(struct rte_mbuf, nb_segs) == offsetof(struct rte_mbuf, rearm_data) + 4, "one word has both");

/*
 * Send packets as long as they are common: of one segment, to one station, with nothing to be done to them, into a
 * chain of one segment. What they count is counted once.
 * @param mixed  bits are added if not all may go straight into @a pool: rte_pktmbuf_free() has to look at them.
 * @return how many.
 */
static __rte_always_inline uint16_t
tx_take_common(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_chain *c, struct rte_mbuf **pkts,
	uint16_t n, const struct rte_mempool *pool, uint64_t *mixed)
{
	const uint64_t general = q->offload.tx_mask | RTE_MBUF_F_TX_VLAN;
	const uint64_t shared = RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
	const uint32_t hdr_len = s->hdr_len;
	uint64_t differ = 0, bytes = 0;
	uint16_t i;

	for (i = 0; i < n; i++) {
		const struct rte_mbuf *m = pkts[i];
		const uint64_t alone = vhostx_load64(&m->rearm_data) ^ TX_ALONE;
		const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
		const uint32_t len = m->data_len;

		if (unlikely(c[i].shape != VHOSTX_SINGLE || ((alone & TX_NB_SEGS) | (m->ol_flags & general)) != 0 ||
				c[i].len < len + hdr_len || (*data & 1)))
			break;
		tx_copy(&c[i], data, len, hdr_len);
		differ |= (alone & TX_REFCNT) | (m->ol_flags & shared) | ((uintptr_t)m->pool ^ (uintptr_t)pool);
		q->count.sizes[vhostx_size_class(len)]++;
		bytes += len;
	}
	*mixed |= differ;
	q->count.packets += i;
	q->count.bytes += bytes;
	return i;
}

/* What one step of tx did. */
struct tx_done {
	uint16_t packets; /* taken over, sent or dropped */
	uint16_t chains;  /* used up */
	bool more;        /* the next packet needs more chains than were fetched */
	bool mixed;       /* not all of the packets may go straight into the pool of the first */
};

/* A packet that is not common, or whose chain is not; it may be one that only goes to a group. */
static __rte_noinline void
tx_take_other(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n,
	const struct rte_mbuf *m, struct tx_done *done)
{
	const uint64_t general = q->offload.tx_mask | RTE_MBUF_F_TX_VLAN;
	struct vhostx_chain *c = &b->chain[done->chains];
	enum tx_result result = TX_SENT;
	uint32_t len = m->pkt_len;
	uint16_t chains = 1;

	if (tx_is_segs(c, m, general, s->hdr_len))
		tx_copy_segs(c, m, s->hdr_len);
	else
		result = tx_general(q, s, b, done->chains, n, m, &chains, &len);
	done->mixed = true;
	done->more = result == TX_MORE;
	if (unlikely(done->more))
		return;
	done->chains += chains;
	done->packets += result != TX_RETRY;
	if (unlikely(result != TX_SENT))
		return;
	count_packet(&q->count, m, rte_pktmbuf_mtod(m, const uint8_t *), len);
	q->count.packets++;
	q->count.bytes += len;
}

static __rte_always_inline struct tx_done
tx_move(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b, uint16_t n,
	struct rte_mbuf **pkts, uint16_t nb, const struct rte_mempool *pool)
{
	struct tx_done done = { 0 };
	uint64_t mixed = 0;

	for (;;) {
		const uint16_t most = RTE_MIN(nb - done.packets, n - done.chains);
		const uint16_t run = tx_take_common(q, s, &b->chain[done.chains], &pkts[done.packets], most, pool, &mixed);

		done.packets += run;
		done.chains += run;
		if (likely(run == most))
			break;
		tx_take_other(q, s, b, n, pkts[done.packets], &done);
		if (unlikely(done.more))
			break;
	}
	done.mixed |= mixed != 0;
	return done;
}

/* Did the fetch see all that there can ever be: all that it has room for, or the whole ring? */
static bool
tx_saw_all(const struct vhostx_snapshot *s, const struct vhostx_batch *b, uint16_t n)
{
	uint32_t slots = 0;

	for (uint16_t i = 0; i < n; i++)
		slots += b->chain[i].ndesc;
	return n == VHOSTX_CHAINS || b->full || slots >= s->size;
}

/* Free what was sent. Most applications send mbufs of one pool, one segment each, that are theirs alone. */
static __rte_always_inline void
tx_free(struct rte_mbuf **pkts, uint16_t n, struct rte_mempool *pool, bool mixed)
{
	if (n == 0)
		return;
	if (likely(!mixed))
		rte_mempool_put_bulk(pool, (void **)pkts, n);
	else
		rte_pktmbuf_free_bulk(pkts, n);
}

/*
 * Send what fits. A packet that takes more chains than were fetched has them fetched again, four times as
 * many: only long packets in short mergeable buffers come here.
 */
static __rte_always_inline uint16_t
tx_ring(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct rte_mbuf **pkts, uint16_t nb)
{
	struct rte_mempool *const pool = pkts[0]->pool;
	struct vhostx_batch batch;
	struct tx_done step;
	bool mixed = false;
	uint32_t chains = 0;
	uint32_t shift = 0;
	uint16_t done = 0;
	uint16_t want, n;

	while (done < nb) {
		want = RTE_MIN((uint32_t)(nb - done) << shift, shift == 0 ? STEP : VHOSTX_CHAINS);
		n = ring_fetch(s, &batch, want, VRING_DESC_F_WRITE, true);
		step = tx_move(q, s, &batch, n, &pkts[done], nb - done, pool);
		mixed |= step.mixed;
		ring_complete(s, &batch, step.chains, VRING_DESC_F_WRITE);
		chains += step.chains;
		done += step.packets;
		if (likely(step.packets != 0)) {
			if (n < want && !batch.full)
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
		if (1u << shift < VHOSTX_CHAINS)
			shift += 2;
	}
	if (chains != 0)
		ring_notify(q, s);
	if (unlikely(done < nb))
		q->count.no_chain++;
	tx_free(pkts, done, pool, mixed);
	return done;
}

#endif /* VHOSTX_RING_TX_H */
