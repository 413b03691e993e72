/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The bursts: fetch -> move -> complete -> notify. The steps that know the ring's format are in split.h
 * and packed.h; everything else here serves both.
 */
#include <linux/virtio_net.h>

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

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
	if (!wanted) {
		q->count.no_calls++;
		return;
	}
	vhostx_eventfd_signal(s->callfd, s->call_blocks);
	q->count.calls++;
}

static __rte_noinline void
count_group(struct vhostx_counters *count, const struct rte_mbuf *m)
{
	const struct rte_ether_addr *dst = rte_pktmbuf_mtod(m, const struct rte_ether_addr *);

	if (m->data_len >= sizeof(*dst) && rte_is_broadcast_ether_addr(dst))
		count->broadcast++;
	else
		count->multicast++;
}

/* Count a packet of @a len bytes that is, or was, in @a m; packets and bytes are summed by the caller. */
static __rte_always_inline void
count_packet(struct vhostx_counters *count, const struct rte_mbuf *m, uint32_t len)
{
	count->sizes[vhostx_size_class(len)]++;
	if (unlikely(*rte_pktmbuf_mtod(m, const uint8_t *) & 1))
		count_group(count, m);
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

/* Take the VLAN tag off, if there is one in the first segment. */
static __rte_noinline void
rx_strip(struct rte_mbuf *m)
{
	if (m->data_len >= sizeof(struct rte_ether_hdr) + sizeof(struct rte_vlan_hdr))
		rte_vlan_strip(m);
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
		count_packet(&q->count, m, len);
		if (unlikely(q->strip))
			rx_strip(m);
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
	} while ((taken == want || (batch.full && taken != 0)) && chains < nb);
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

/* mbuf flags that need the general path. */
#define TX_GENERAL RTE_MBUF_F_TX_VLAN

/* A packet as it goes into the chains: a prefix, made here, then the mbuf from some byte on. */
struct tx_source {
	struct vhostx_mbuf_cursor body;
	uint32_t len;         /* bytes in all */
	uint32_t prefix_len;  /* bytes of prefix */
	uint32_t prefix_done; /* bytes of prefix that were written */
	uint8_t prefix[sizeof(struct virtio_net_hdr_mrg_rxbuf) + sizeof(struct rte_ether_hdr) +
		sizeof(struct rte_vlan_hdr)];
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
tx_scatter(const struct vhostx_batch *b, struct vhostx_chain *c, uint16_t chains,
	struct tx_source *src, uint32_t hdr_len)
{
	const struct virtio_net_hdr_mrg_rxbuf hdr = tx_header(chains);
	uint32_t left = src->len;

	memcpy(src->prefix, &hdr, hdr_len);
	for (uint16_t k = 0; k < chains; k++) {
		struct vhostx_cursor to = vhostx_cursor_begin(b, &c[k]);

		c[k].used_len = RTE_MIN(left, c[k].total);
		source_write(src, &to, c[k].used_len);
		left -= c[k].used_len;
	}
}

/* A packet of any shape into chains of any shape; @a chains and @a len get what it took. */
static __rte_noinline enum tx_result
tx_general(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b,
	uint16_t first, uint16_t n, const struct rte_mbuf *m, uint16_t *chains, uint32_t *len)
{
	struct vhostx_chain *c = &b->chain[first];
	struct tx_source src;
	enum tx_result result;

	*chains = 0;
	if (!source_begin(&src, m, s->hdr_len)) {
		q->count.drops[VHOSTX_RUNT]++;
		return TX_DROP;
	}
	result = tx_span(q, s, c, n - first, src.len, chains);
	if (result == TX_SENT) {
		tx_scatter(b, c, *chains, &src, s->hdr_len);
		*len = src.len - s->hdr_len;
		return TX_SENT;
	}
	if (result == TX_DROP)
		q->count.drops[VHOSTX_OVERSIZE]++;
	if (result != TX_RETRY)
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
		uint32_t len = m->data_len;
		uint16_t chains = 1;

		if (likely(c->fault == VHOSTX_NO_CAUSE && c->nspill == 0 && m->nb_segs == 1 &&
				(m->ol_flags & TX_GENERAL) == 0 && c->len >= len + s->hdr_len))
			tx_copy(c, m, s->hdr_len);
		else
			result = tx_general(q, s, b, done.chains, n, m, &chains, &len);
		if (unlikely(result == TX_MORE)) {
			done.more = true;
			break;
		}
		done.chains += chains;
		done.packets += result != TX_RETRY;
		if (likely(result == TX_SENT)) {
			count_packet(&q->count, m, len);
			sent++;
			bytes += len;
		}
	}
	q->count.packets += sent;
	q->count.bytes += bytes;
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
		shift += 2;
	}
	if (chains != 0)
		ring_notify(q, s);
	if (unlikely(done < nb))
		q->count.no_chain++;
	return done;
}

/*
 * A ring whose memory or files are exchanged is away for some microseconds. Most applications drop what
 * a tx burst does not take: wait for it, but not longer than a port may hold up others.
 */
static __rte_noinline const struct vhostx_snapshot *
tx_await(struct vhostx_queue *q)
{
	const uint64_t start = rte_rdtsc();

	vhostx_queue_leave(q);
	while (__atomic_load_n(&q->changing, __ATOMIC_ACQUIRE) &&
			rte_rdtsc() - start < q->patience)
		rte_pause();
	return vhostx_queue_enter(q);
}

uint16_t
vhostx_tx_burst(void *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	struct vhostx_queue *q = queue;
	const struct vhostx_snapshot *s = vhostx_queue_enter(q);
	uint16_t done = 0;

	if (unlikely(s == NULL))
		s = tx_await(q);
	if (likely(s != NULL && s->enabled)) {
		if (unlikely(s->shared))
			rte_spinlock_lock(&s->ring->lock);
		if (likely(s->ring->fault == VHOSTX_NO_CAUSE)) {
			done = tx_ring(q, s, pkts, nb);
			if (unlikely(s->ring->fault != VHOSTX_NO_CAUSE))
				ring_report(q, s);
		}
		if (unlikely(s->shared))
			rte_spinlock_unlock(&s->ring->lock);
	}
	vhostx_queue_leave(q);
	if (done != 0)
		rte_pktmbuf_free_bulk(pkts, done);
	return done;
}
