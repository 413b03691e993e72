/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Virtio-net headers to mbuf flags and back. A checksum field that is left to be finished holds the sum of
 * the pseudo header (virtio 1.3, 5.1.6.2); to finish it is to add up from csum_start to the end.
 */
#include <errno.h>
#include <netinet/in.h>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_mbuf_dyn.h>
#include <rte_net.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "offload.h"

/* What rte_net_get_ptype() is to look at: no tunnels, whose inner packets no header can be about. */
#define OFFLOAD_LAYERS (RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK | RTE_PTYPE_L4_MASK)

static bool
has(uint16_t features, unsigned int bit)
{
	return (features & RTE_BIT32(bit)) != 0;
}

int
vhostx_offload_register(struct vhostx_offload_conf *conf)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "vhostx_dynfield_meta",
		.size = sizeof(struct vhostx_meta),
		.align = __alignof__(struct vhostx_meta),
	};
	static const struct rte_mbuf_dynflag flag = { .name = "vhostx_dynflag_meta" };
	const int offset = rte_mbuf_dynfield_register(&field);
	const int bit = offset < 0 ? -1 : rte_mbuf_dynflag_register(&flag);

	conf->meta_flag = 0;
	conf->tx_mask = VHOSTX_TX_OFFLOADS;
	if (bit < 0)
		return -rte_errno;
	conf->meta_offset = offset;
	conf->meta_flag = RTE_BIT64(bit);
	conf->tx_mask |= conf->meta_flag;
	return 0;
}

static struct vhostx_meta *
meta_of(const struct vhostx_offload_conf *conf, const struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, conf->meta_offset, struct vhostx_meta *);
}

/* --- sums ------------------------------------------------------------------------------------------ */

static uint16_t
sum_fold(uint64_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The one's complement sum of @a n bytes of a packet, fewer if it has fewer. */
static uint16_t
sum_body(struct vhostx_mbuf_cursor from, uint32_t n)
{
	const uint8_t *data;
	uint64_t sum = 0;
	bool odd = false;
	uint32_t part;

	while (n != 0 && (part = vhostx_mbuf_next(&from, n, &data)) != 0) {
		const uint16_t one = rte_raw_cksum(data, part);

		sum += odd ? rte_bswap16(one) : one;
		odd ^= part & 1;
		n -= part;
	}
	return sum_fold(sum);
}

/* What goes into the field: "no checksum" of UDP is 0, so that nobody sends that (RFC 768). */
static uint16_t
sum_finish(uint16_t sum)
{
	return sum == 0xffff ? 0xffff : (uint16_t)~sum;
}

/* Of the addresses, the protocol and @a bytes of TCP or UDP, header and payload. */
static uint16_t
sum_pseudo(const struct vhostx_offload *o, const uint8_t *headers, uint32_t bytes)
{
	const uint8_t *ip = headers + o->l2_len;
	uint64_t sum = rte_cpu_to_be_32(bytes);

	sum = (sum & 0xffff) + (sum >> 16) + rte_cpu_to_be_16(o->proto);
	if (o->ipv6)
		sum += rte_raw_cksum(ip + offsetof(struct rte_ipv6_hdr, src_addr), 32);
	else
		sum += rte_raw_cksum(ip + offsetof(struct rte_ipv4_hdr, src_addr), 8);
	return sum_fold(sum);
}

/* Bytes from the beginning of a TCP or UDP header to its checksum. */
static uint16_t
csum_offset(uint8_t proto)
{
	return proto == IPPROTO_TCP ? offsetof(struct rte_tcp_hdr, cksum) :
		offsetof(struct rte_udp_hdr, dgram_cksum);
}

/* --- headers --------------------------------------------------------------------------------------- */

/* What IP says of the bytes after its header; 0 if that is more than the packet of @a len bytes has. */
static uint32_t
ip_payload(const struct vhostx_offload *o, const uint8_t *headers, uint32_t len)
{
	const uint8_t *ip = headers + o->l2_len;
	uint32_t total;

	if (o->ipv6)
		total = sizeof(struct rte_ipv6_hdr) +
			rte_be_to_cpu_16(((const struct rte_ipv6_hdr *)ip)->payload_len);
	else
		total = rte_be_to_cpu_16(((const struct rte_ipv4_hdr *)ip)->total_length);
	return total > len - o->l2_len || total < o->l3_len ? 0 : total - o->l3_len;
}

static void
ip_csum(uint8_t *ip)
{
	struct rte_ipv4_hdr *h = (struct rte_ipv4_hdr *)ip;

	h->hdr_checksum = 0;
	h->hdr_checksum = rte_ipv4_cksum(h);
}

/*
 * Fill lengths and protocol of a TCP or UDP packet, that is no fragment, by looking at it. Returns its
 * type, with proto 0 if it is something else.
 */
static uint32_t
packet_parse(const struct rte_mbuf *m, struct vhostx_offload *o)
{
	struct rte_net_hdr_lens lens = { 0 };
	const uint32_t type = rte_net_get_ptype(m, &lens, OFFLOAD_LAYERS);
	const uint32_t l3 = type & RTE_PTYPE_L3_MASK;
	const uint32_t l4 = type & RTE_PTYPE_L4_MASK;

	*o = (struct vhostx_offload){ 0 };
	if (l4 != RTE_PTYPE_L4_TCP && l4 != RTE_PTYPE_L4_UDP)
		return type;
	/* An IPv4 header shorter than 20 bytes has no type. */
	if (!RTE_ETH_IS_IPV4_HDR(l3) && !RTE_ETH_IS_IPV6_HDR(l3))
		return type;
	if (l4 == RTE_PTYPE_L4_TCP && lens.l4_len < sizeof(struct rte_tcp_hdr))
		return type;
	o->l2_len = lens.l2_len;
	o->l3_len = lens.l3_len;
	o->l4_len = lens.l4_len;
	o->headers = o->l2_len + o->l3_len + o->l4_len;
	/* Extensions of IPv6 may be longer than an mbuf can tell. */
	if (o->headers > m->pkt_len || lens.l3_len >= RTE_BIT32(RTE_MBUF_L3_LEN_BITS))
		return type;
	o->ipv6 = RTE_ETH_IS_IPV6_HDR(l3);
	o->proto = l4 == RTE_PTYPE_L4_TCP ? IPPROTO_TCP : IPPROTO_UDP;
	return type;
}

/* Is the packet of the kind that is cut in this way? */
static bool
gso_fits(const struct vhostx_offload *o, uint8_t gso_type, uint32_t len)
{
	if (len == o->headers)
		return false;
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return o->proto == IPPROTO_TCP && !o->ipv6;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return o->proto == IPPROTO_TCP && o->ipv6;
	default:
		return o->proto == IPPROTO_UDP;
	}
}

/* Does the checksum field hold @a begun, the sum of the pseudo header, and nothing more yet? */
static bool
csum_is_begun(const struct vhostx_offload *o, const struct rte_mbuf *m, uint16_t *begun)
{
	const uint32_t at = o->l2_len + o->l3_len + csum_offset(o->proto);
	uint8_t copy[VHOSTX_HEADERS_MAX];
	const uint8_t *headers = rte_pktmbuf_read(m, 0, o->headers, copy);
	uint32_t bytes;
	uint16_t field;

	if (headers == NULL)
		return false;
	bytes = o->gso_size != 0 ? m->pkt_len - o->l2_len - o->l3_len :
		ip_payload(o, headers, m->pkt_len);
	memcpy(&field, &headers[at], sizeof(field));
	*begun = sum_pseudo(o, headers, bytes);
	/* 0 and 0xffff are the same number. */
	return bytes != 0 && field % 0xffff == *begun % 0xffff;
}

/* --- guest to host --------------------------------------------------------------------------------- */

/* Was this kind of segmentation negotiated? */
static bool
gso_is_known(uint8_t gso_type, uint16_t features)
{
	if ((gso_type & VIRTIO_NET_HDR_GSO_ECN) && !has(features, VIRTIO_NET_F_HOST_ECN))
		return false;
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return has(features, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return has(features, VIRTIO_NET_F_HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP:
		return gso_type == VIRTIO_NET_HDR_GSO_UDP && has(features, VIRTIO_NET_F_HOST_UFO);
	default:
		return false;
	}
}

enum vhostx_cause
vhostx_offload_check(const struct virtio_net_hdr *hdr, uint16_t features, uint32_t len)
{
	const bool csum = (hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0;
	const uint32_t end = (uint32_t)hdr->csum_start + hdr->csum_offset + sizeof(uint16_t);

	if (csum && (!has(features, VIRTIO_NET_F_CSUM) || end > len))
		return VHOSTX_BAD_CSUM;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return VHOSTX_NO_CAUSE;
	if (!gso_is_known(hdr->gso_type, features))
		return VHOSTX_BAD_GSO_TYPE;
	if (hdr->gso_size == 0)
		return VHOSTX_BAD_GSO_SIZE;
	if (!csum)
		return VHOSTX_BAD_GSO_CSUM;
	/* It is no more than a hint, but a guest that gives this one is not to be trusted with the rest. */
	if (hdr->hdr_len > len)
		return VHOSTX_BAD_HDR_LEN;
	return VHOSTX_NO_CAUSE;
}

/* Write 16 bits at any offset of a packet. */
static void
packet_put(struct rte_mbuf *m, uint32_t off, uint16_t value)
{
	uint8_t bytes[sizeof(value)];

	memcpy(bytes, &value, sizeof(bytes));
	for (uint32_t i = 0; m != NULL && i < sizeof(bytes); ) {
		if (off + i < m->data_len) {
			*rte_pktmbuf_mtod_offset(m, uint8_t *, off + i) = bytes[i];
			i++;
		} else {
			off -= m->data_len;
			m = m->next;
		}
	}
}

/* Finish a checksum that the guest has begun, wherever it is. */
static void
receive_finish(struct rte_mbuf *m, uint32_t start, uint32_t offset)
{
	struct vhostx_mbuf_cursor from = { .seg = m };
	uint32_t left = start;
	const uint8_t *data;

	while (left != 0)
		left -= vhostx_mbuf_next(&from, left, &data);
	packet_put(m, start + offset, sum_finish(sum_body(from, m->pkt_len - start)));
}

/* Flags as an application sets them to transmit (legacy-ol-flags=1). */
static void
receive_tx_flags(const struct vhostx_offload *o, struct rte_mbuf *m)
{
	const bool tcp = o->proto == IPPROTO_TCP;

	m->ol_flags |= o->ipv6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
	m->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
	if (o->gso_size != 0)
		m->ol_flags |= tcp ? RTE_MBUF_F_TX_TCP_SEG : RTE_MBUF_F_TX_UDP_SEG;
}

static void
receive_rx_flags(const struct vhostx_offload_conf *conf, const struct vhostx_offload *o,
	uint8_t gso_type, struct rte_mbuf *m)
{
	m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
	if (o->gso_size != 0)
		m->ol_flags |= RTE_MBUF_F_RX_LRO;
	if (conf->meta_flag == 0)
		return;
	m->ol_flags |= conf->meta_flag;
	*meta_of(conf, m) = (struct vhostx_meta){
		.data = rte_pktmbuf_mtod(m, const void *),
		.pkt_len = m->pkt_len,
		.gso_size = o->gso_size,
		.gso_type = gso_type,
	};
}

/* Does the application look at the flags of this packet before it sends it on? */
static bool
receive_keeps(const struct vhostx_offload_conf *conf, const struct vhostx_offload *o)
{
	return o->gso_size != 0 || conf->tx_flags ||
		(o->proto == IPPROTO_TCP ? conf->keep_tcp : conf->keep_udp);
}

enum vhostx_cause
vhostx_offload_receive(const struct vhostx_offload_conf *conf, const struct virtio_net_hdr *hdr,
	struct rte_mbuf *m)
{
	const bool gso = hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
	const uint32_t tag = m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED ? sizeof(struct rte_vlan_hdr) : 0;
	const uint32_t start = hdr->csum_start - tag;
	struct vhostx_offload o;
	uint16_t begun = 0;
	bool known;

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return VHOSTX_NO_CAUSE;
	/* Nobody sums up from within the tag. */
	if (hdr->csum_start < tag)
		return VHOSTX_BAD_CSUM;
	m->packet_type = packet_parse(m, &o);
	known = o.proto != 0 && start == (uint32_t)o.l2_len + o.l3_len &&
		hdr->csum_offset == csum_offset(o.proto);
	if (gso && (!known || !gso_fits(&o, hdr->gso_type, m->pkt_len)))
		return VHOSTX_BAD_GSO_PACKET;
	o.gso_size = gso ? hdr->gso_size : 0;
	if (known && !csum_is_begun(&o, m, &begun)) {
		/* Long packets of DPDK in the guest, unless it calls rte_eth_tx_prepare(). */
		if (gso)
			packet_put(m, start + hdr->csum_offset, begun);
		else
			known = false;
	}
	if (o.proto != 0)
		m->tx_offload = rte_mbuf_tx_offload(o.l2_len, o.l3_len, o.l4_len, o.gso_size, 0, 0, 0);
	if (!known || !receive_keeps(conf, &o)) {
		receive_finish(m, start, hdr->csum_offset);
		if (known)
			m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
	} else if (conf->tx_flags) {
		receive_tx_flags(&o, m);
	} else {
		receive_rx_flags(conf, &o, hdr->gso_type, m);
	}
	return VHOSTX_NO_CAUSE;
}

void
vhostx_offload_verify_ip(struct rte_mbuf *m)
{
	struct rte_net_hdr_lens lens = { 0 };
	const uint32_t type = rte_net_get_ptype(m, &lens, RTE_PTYPE_L2_MASK | RTE_PTYPE_L3_MASK);

	if (!RTE_ETH_IS_IPV4_HDR(type) || m->data_len < lens.l2_len + lens.l3_len)
		return;
	m->ol_flags |= rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, lens.l2_len),
		lens.l3_len) == 0xffff ? RTE_MBUF_F_RX_IP_CKSUM_GOOD : RTE_MBUF_F_RX_IP_CKSUM_BAD;
}

/* --- host to guest --------------------------------------------------------------------------------- */

/* Are the lengths possible, and those of a packet of this version of IP? */
static bool
request_fits(const struct rte_mbuf *m, struct vhostx_offload *o)
{
	const uint8_t *version;
	uint8_t copy;

	o->headers = o->l2_len + o->l3_len + o->l4_len;
	if (o->headers > m->pkt_len || (o->gso_size != 0 && o->headers == m->pkt_len))
		return false;
	version = rte_pktmbuf_read(m, o->l2_len, sizeof(copy), &copy);
	if (version == NULL)
		return false;
	o->ipv6 = *version >> 4 == 6;
	if (o->ipv6)
		return !o->ip_csum && o->l3_len >= sizeof(struct rte_ipv6_hdr);
	return *version >> 4 == 4 && o->l3_len >= sizeof(struct rte_ipv4_hdr) &&
		o->l3_len == (*version & 0xf) * 4u;
}

/* Transmit flags name the offload, the mbuf has the lengths. */
static bool
request_flags(const struct rte_mbuf *m, struct vhostx_offload *o)
{
	const uint64_t l4 = m->ol_flags & RTE_MBUF_F_TX_L4_MASK;

	*o = (struct vhostx_offload){
		.l2_len = m->l2_len,
		.l3_len = m->l3_len,
		.ip_csum = (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0,
	};
	if (m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) {
		o->gso_size = m->tso_segsz;
		if (o->gso_size == 0)
			return false;
	}
	if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) || l4 == RTE_MBUF_F_TX_TCP_CKSUM) {
		o->proto = IPPROTO_TCP;
		o->l4_len = sizeof(struct rte_tcp_hdr);
	} else if ((m->ol_flags & RTE_MBUF_F_TX_UDP_SEG) || l4 == RTE_MBUF_F_TX_UDP_CKSUM) {
		o->proto = IPPROTO_UDP;
		o->l4_len = sizeof(struct rte_udp_hdr);
	}
	if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) {
		if (m->l4_len < o->l4_len)
			return false;
		o->l4_len = m->l4_len;
	}
	return (o->proto == 0 && !o->ip_csum) || request_fits(m, o);
}

/* What was received with the packet counts if that is still the same packet, and its checksum not made. */
static bool
request_meta(const struct vhostx_offload_conf *conf, const struct rte_mbuf *m,
	struct vhostx_offload *o)
{
	const struct vhostx_meta *meta = meta_of(conf, m);
	uint16_t begun;

	if (meta->data != rte_pktmbuf_mtod(m, const void *) || meta->pkt_len != m->pkt_len)
		return false;
	packet_parse(m, o);
	o->gso_size = meta->gso_size;
	o->ip_csum = (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) != 0 && !o->ipv6;
	return o->proto != 0 && csum_is_begun(o, m, &begun) &&
		(o->gso_size == 0 || gso_fits(o, meta->gso_type, m->pkt_len));
}

bool
vhostx_offload_request(const struct vhostx_offload_conf *conf, const struct rte_mbuf *m,
	struct vhostx_offload *o)
{
	const uint64_t l4 = m->ol_flags & (VHOSTX_TX_OFFLOADS & ~RTE_MBUF_F_TX_IP_CKSUM);

	if (l4 == 0 && (m->ol_flags & conf->meta_flag) != 0 && request_meta(conf, m, o))
		return true;
	return request_flags(m, o);
}

/* The kind of segmentation, as the virtio-net header has it. */
static uint8_t
gso_type(const struct vhostx_offload *o, const uint8_t *headers)
{
	const struct rte_tcp_hdr *tcp = (const struct rte_tcp_hdr *)&headers[o->l2_len + o->l3_len];
	uint8_t type;

	if (o->proto == IPPROTO_UDP)
		return VIRTIO_NET_HDR_GSO_UDP;
	type = o->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	return tcp->tcp_flags & RTE_TCP_CWR_FLAG ? type | VIRTIO_NET_HDR_GSO_ECN : type;
}

bool
vhostx_offload_must_segment(const struct vhostx_offload *o, const uint8_t *headers,
	uint16_t features, uint32_t len)
{
	uint16_t need = RTE_BIT32(VIRTIO_NET_F_GUEST_CSUM);
	uint8_t type;

	if (o->gso_size == 0)
		return false;
	/* IP cannot say it: only segments can be sent. */
	if (len - o->l2_len > UINT16_MAX)
		return true;
	type = gso_type(o, headers);
	if (type & VIRTIO_NET_HDR_GSO_ECN)
		need |= RTE_BIT32(VIRTIO_NET_F_GUEST_ECN);
	if (o->proto == IPPROTO_UDP)
		need |= RTE_BIT32(VIRTIO_NET_F_GUEST_UFO);
	else
		need |= RTE_BIT32(o->ipv6 ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_GUEST_TSO4);
	return (features & need) != need;
}

void
vhostx_offload_set_length(const struct vhostx_offload *o, uint8_t *headers, uint32_t len)
{
	uint8_t *ip = headers + o->l2_len;

	len -= o->l2_len;
	if (o->ipv6) {
		((struct rte_ipv6_hdr *)ip)->payload_len =
			rte_cpu_to_be_16(len - sizeof(struct rte_ipv6_hdr));
		return;
	}
	((struct rte_ipv4_hdr *)ip)->total_length = rte_cpu_to_be_16(len);
	ip_csum(ip);
}

void
vhostx_offload_set_csum(const struct vhostx_offload *o, uint8_t *headers,
	struct vhostx_mbuf_cursor body, uint32_t bytes, uint16_t features, struct virtio_net_hdr *hdr)
{
	const uint32_t start = o->l2_len + o->l3_len;
	uint8_t *field = &headers[start + csum_offset(o->proto)];
	uint64_t sum = sum_pseudo(o, headers, bytes);
	uint16_t value = sum;

	if (has(features, VIRTIO_NET_F_GUEST_CSUM)) {
		hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr->csum_start = start;
		hdr->csum_offset = csum_offset(o->proto);
	} else {
		memset(field, 0, sizeof(value));
		sum += rte_raw_cksum(&headers[start], RTE_MIN(bytes, o->l4_len));
		if (bytes > o->l4_len)
			sum += sum_body(body, bytes - o->l4_len);
		value = sum_finish(sum_fold(sum));
	}
	memcpy(field, &value, sizeof(value));
}

void
vhostx_offload_send(const struct vhostx_offload *o, uint8_t *headers,
	struct vhostx_mbuf_cursor body, uint32_t len, uint16_t features, struct virtio_net_hdr *hdr)
{
	uint32_t bytes = len - o->l2_len - o->l3_len;

	*hdr = (struct virtio_net_hdr){ 0 };
	if (o->gso_size != 0) {
		hdr->gso_type = gso_type(o, headers);
		hdr->gso_size = o->gso_size;
		hdr->hdr_len = o->headers;
		vhostx_offload_set_length(o, headers, len);
	} else {
		/* What follows the packet of IP is padding. */
		const uint32_t said = o->headers != 0 ? ip_payload(o, headers, len) : 0;

		if (said != 0)
			bytes = said;
		if (o->ip_csum)
			ip_csum(headers + o->l2_len);
	}
	if (o->proto != 0)
		vhostx_offload_set_csum(o, headers, body, bytes, features, hdr);
}

/* Flags that tell what a packet is, and ask for nothing. */
#define OFFLOAD_TUNNEL (RTE_MBUF_F_TX_TUNNEL_MASK | RTE_MBUF_F_TX_OUTER_IPV4 | RTE_MBUF_F_TX_OUTER_IPV6)
#define OFFLOAD_TOLD (RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IPV6 | OFFLOAD_TUNNEL)

int
vhostx_offload_prepare(const struct rte_mbuf *m)
{
	const uint64_t others = RTE_MBUF_F_TX_OFFLOAD_MASK & ~(VHOSTX_TX_OFFLOADS | RTE_MBUF_F_TX_VLAN | OFFLOAD_TOLD);
	struct vhostx_offload o;

	if ((m->ol_flags & others) != 0 ||
			(m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_SCTP_CKSUM)
		return -ENOTSUP;
	if ((m->ol_flags & VHOSTX_TX_OFFLOADS) == 0)
		return 0;
	/* Behind outer lengths l2_len does not begin where the packet does; segments have outer headers too. */
	if ((m->ol_flags & OFFLOAD_TUNNEL) != 0 && (m->outer_l2_len + m->outer_l3_len != 0 ||
			(m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)) != 0))
		return -ENOTSUP;
	return request_flags(m, &o) ? 0 : -EINVAL;
}
