/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Packets on their way to the guest of which more is to be made than a copy: checksums, segments. Included
 * by tx.h alone.
 */
#ifndef VHOSTX_RING_TX_OFFLOAD_H
#define VHOSTX_RING_TX_OFFLOAD_H

#include <netinet/in.h>

#include "segment.h"

/* The parts of a packet that an offload is about, beside its source. */
struct tx_offload {
	struct vhostx_offload o;
	uint8_t *headers; /* o.headers bytes, in the prefix of the source */
	uint32_t len;     /* bytes of the packet */
	bool cut;         /* it is to be cut into segments here */
};

/*
 * Do what a packet asks for, but cutting it. Its headers go into the prefix, and are changed there: others
 * may hold the mbuf too.
 */
static enum vhostx_cause
tx_offload_begin(const struct vhostx_queue *q, const struct vhostx_snapshot *s,
	const struct rte_mbuf *m, struct tx_source *src, struct tx_offload *t)
{
	if (!vhostx_offload_request(&q->offload, m, &t->o))
		return VHOSTX_BAD_REQUEST;
	if (t->o.headers == 0)
		return VHOSTX_NO_CAUSE;
	if (m->ol_flags & RTE_MBUF_F_TX_VLAN)
		vhostx_offload_add_tag(&t->o);
	/* Behind the Ethernet addresses and the tag, if there is one: no headers are that short. */
	if (!source_pull(src, t->o.headers - (src->prefix_len - s->hdr_len)))
		return VHOSTX_BAD_REQUEST;
	t->headers = &src->prefix[s->hdr_len];
	t->len = src->len - s->hdr_len;
	t->cut = vhostx_offload_must_segment(&t->o, t->headers, s->offloads, t->len);
	if (!t->cut)
		vhostx_offload_send(&t->o, t->headers, src->body, t->len, s->offloads, &src->hdr.hdr);
	else if (t->o.proto != IPPROTO_TCP)
		return VHOSTX_NO_UFO;
	return VHOSTX_NO_CAUSE;
}

/* How many chains do all segments take? None is written yet: a packet is sent whole or not at all. */
static enum tx_result
tx_segments_span(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_chain *c,
	uint16_t n, const struct tx_offload *t, uint16_t *chains)
{
	const uint32_t most = vhostx_segments_most(&t->o);
	enum tx_result result;
	uint16_t part;

	*chains = 0;
	for (uint32_t left = t->len - t->o.headers; left != 0; left -= RTE_MIN(left, most)) {
		if (*chains == n)
			return TX_MORE;
		result = tx_span(q, s, &c[*chains], n - *chains,
			s->hdr_len + t->o.headers + RTE_MIN(left, most), &part);
		*chains += part;
		if (result != TX_SENT)
			return result;
	}
	return TX_SENT;
}

/* Cut a packet into segments, each a packet of its own for the guest; counts them. */
static __rte_noinline enum tx_result
tx_segments(struct vhostx_queue *q, const struct vhostx_snapshot *s, struct vhostx_batch *b,
	uint16_t first, uint16_t n, const struct rte_mbuf *m, struct tx_source *src,
	const struct tx_offload *t, uint16_t *chains)
{
	struct vhostx_chain *c = &b->chain[first];
	struct vhostx_segments g;
	enum tx_result result;
	uint32_t payload;
	uint16_t part;

	result = tx_segments_span(q, s, c, n - first, t, chains);
	if (result != TX_SENT)
		return result;
	vhostx_segments_begin(&g, &t->o, t->headers, t->len);
	while ((payload = vhostx_segments_payload(&g)) != 0) {
		vhostx_segments_next(&g, t->headers, src->body, s->offloads, &src->hdr.hdr);
		src->prefix_done = 0;
		src->len = s->hdr_len + t->o.headers + payload;
		tx_span(q, s, c, n - first, src->len, &part);
		tx_scatter(b, c, part, src, s->hdr_len);
		c += part;
		count_packet(&q->count, m, rte_pktmbuf_mtod(m, const uint8_t *), src->len - s->hdr_len);
		q->count.packets++;
		q->count.bytes += src->len - s->hdr_len;
	}
	return TX_COUNTED;
}

#endif /* VHOSTX_RING_TX_OFFLOAD_H */
