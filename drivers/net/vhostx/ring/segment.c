/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Segmentation of TCP over IPv4 and IPv6, as a NIC does it.
 */
#include <rte_ip.h>
#include <rte_tcp.h>

#include "segment.h"

static struct rte_ipv4_hdr *
ipv4_of(const struct vhostx_offload *o, uint8_t *headers)
{
	return (struct rte_ipv4_hdr *)&headers[o->l2_len];
}

static struct rte_tcp_hdr *
tcp_of(const struct vhostx_offload *o, uint8_t *headers)
{
	return (struct rte_tcp_hdr *)&headers[o->l2_len + o->l3_len];
}

void
vhostx_segments_begin(struct vhostx_segments *g, const struct vhostx_offload *o,
	const uint8_t *headers, uint32_t len)
{
	const struct rte_tcp_hdr *tcp =
		(const struct rte_tcp_hdr *)&headers[o->l2_len + o->l3_len];
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)&headers[o->l2_len];

	*g = (struct vhostx_segments){
		.o = o,
		.most = vhostx_segments_most(o),
		.left = len - o->headers,
		.seq = rte_be_to_cpu_32(tcp->sent_seq),
		.id = o->ipv6 ? 0 : rte_be_to_cpu_16(ip->packet_id),
		.flags = tcp->tcp_flags,
		.first = true,
	};
}

/* The end of the stream is in the last segment, the answer to a congestion mark in the first (RFC 3168). */
static uint8_t
segment_flags(const struct vhostx_segments *g, bool last)
{
	uint8_t flags = g->flags;

	if (!last)
		flags &= ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	if (!g->first)
		flags &= ~RTE_TCP_CWR_FLAG;
	return flags;
}

void
vhostx_segments_next(struct vhostx_segments *g, uint8_t *headers, struct vhostx_mbuf_cursor body,
	uint16_t features, struct virtio_net_hdr *hdr)
{
	const struct vhostx_offload *o = g->o;
	const uint32_t payload = vhostx_segments_payload(g);
	struct rte_tcp_hdr *tcp = tcp_of(o, headers);

	*hdr = (struct virtio_net_hdr){ 0 };
	if (!o->ipv6)
		ipv4_of(o, headers)->packet_id = rte_cpu_to_be_16(g->id);
	tcp->sent_seq = rte_cpu_to_be_32(g->seq);
	tcp->tcp_flags = segment_flags(g, payload == g->left);
	vhostx_offload_set_length(o, headers, o->headers + payload);
	vhostx_offload_set_csum(o, headers, body, o->l4_len + payload, features, hdr);
	g->left -= payload;
	g->seq += payload;
	g->id++;
	g->first = false;
}
