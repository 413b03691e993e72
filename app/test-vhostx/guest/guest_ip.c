/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * TCP and UDP packets as a guest builds and checks them.
 */
#include <string.h>

#include "guest_ip.h"

#define ETH_LEN 14
#define VLAN_LEN 4
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_DSTOPTS 60

/* RFC 1071, word by word. */
static uint32_t
ip_sum(uint32_t sum, const uint8_t *p, uint32_t len)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += guest_ip_get16(&p[i]);
	if (len % 2 != 0)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The pseudo header: addresses, protocol, length (RFC 9293, 3.1; RFC 8200, 8.1). */
static uint32_t
ip_pseudo(const uint8_t *buf, const struct guest_ip_view *v, uint32_t bytes)
{
	const uint8_t proto = v->udp ? PROTO_UDP : PROTO_TCP;
	uint8_t tail[8] = { bytes >> 24, bytes >> 16, bytes >> 8, bytes, 0, 0, 0, proto };
	const uint32_t sum = v->ipv6 ? ip_sum(0, &buf[v->l3 + 8], 32) : ip_sum(0, &buf[v->l3 + 12], 8);

	return ip_sum(sum, tail, sizeof(tail));
}

uint32_t
guest_ip_headers(const struct guest_ip *ip)
{
	return ETH_LEN + (ip->vlan ? VLAN_LEN : 0) + (ip->ipv6 ? 40 : 20) + ip->l3_more +
		(ip->udp ? 8 : 20 + ip->tcp_more);
}

static uint32_t
build_l2(uint8_t *buf, const struct guest_ip *ip)
{
	static const uint8_t macs[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	uint32_t at = sizeof(macs);

	memcpy(buf, macs, sizeof(macs));
	if (ip->vlan) {
		guest_ip_put16(&buf[at], 0x8100);
		guest_ip_put16(&buf[at + 2], 5);
		at += VLAN_LEN;
	}
	guest_ip_put16(&buf[at], ip->ipv6 ? 0x86dd : 0x0800);
	return at + 2;
}

static uint32_t
build_ipv4(uint8_t *p, const struct guest_ip *ip, uint32_t l4)
{
	const uint32_t len = 20 + ip->l3_more;

	memset(p, 1, len); /* options: no operation */
	p[0] = (uint8_t)(0x40 | len / 4);
	p[1] = 0;
	guest_ip_put16(&p[2], (uint16_t)(len + l4));
	guest_ip_put16(&p[4], ip->id);
	guest_ip_put16(&p[6], 0x4000);
	p[8] = 64;
	p[9] = ip->udp ? PROTO_UDP : PROTO_TCP;
	guest_ip_put16(&p[10], 0);
	guest_ip_put32(&p[12], 0xc0a80001);
	guest_ip_put32(&p[16], 0xc0a8fe02);
	guest_ip_put16(&p[10], (uint16_t)~ip_sum(0, p, len));
	return len;
}

static uint32_t
build_ipv6(uint8_t *p, const struct guest_ip *ip, uint32_t l4)
{
	const uint8_t proto = ip->udp ? PROTO_UDP : PROTO_TCP;

	memset(p, 0, 40 + ip->l3_more);
	p[0] = 0x60;
	guest_ip_put16(&p[4], (uint16_t)(ip->l3_more + l4));
	p[6] = ip->l3_more != 0 ? PROTO_DSTOPTS : proto;
	p[7] = 64;
	for (uint8_t i = 0; i < 32; i++)
		p[8 + i] = (uint8_t)(0xfd - i * 3);
	if (ip->l3_more != 0) {
		p[40] = proto;
		p[41] = (uint8_t)(ip->l3_more / 8 - 1);
		p[42] = 1; /* PadN */
		p[43] = (uint8_t)(ip->l3_more - 4);
	}
	return 40 + ip->l3_more;
}

static uint32_t
build_l4(uint8_t *p, const struct guest_ip *ip, uint32_t l4)
{
	guest_ip_put16(&p[0], 1234);
	guest_ip_put16(&p[2], 5678);
	if (ip->udp) {
		guest_ip_put16(&p[4], (uint16_t)l4);
		guest_ip_put16(&p[6], 0);
		return 8;
	}
	memset(&p[4], 1, 16 + ip->tcp_more); /* options: no operation */
	guest_ip_put32(&p[4], ip->seq);
	p[12] = (uint8_t)((20 + ip->tcp_more) / 4 << 4);
	p[13] = ip->tcp_flags;
	guest_ip_put16(&p[16], 0);
	guest_ip_put16(&p[18], 0);
	return 20 + ip->tcp_more;
}

static void
finish(uint8_t *buf, const struct guest_ip_view *v)
{
	uint16_t sum;

	guest_ip_put16(&buf[v->field], 0);
	sum = (uint16_t)~ip_sum(ip_pseudo(buf, v, v->end - v->l4), &buf[v->l4], v->end - v->l4);
	guest_ip_put16(&buf[v->field], v->udp && sum == 0 ? 0xffff : sum);
}

uint32_t
guest_ip_build(uint8_t *buf, const struct guest_ip *ip)
{
	const uint32_t l4_len = ip->udp ? 8 : 20 + ip->tcp_more;
	struct guest_ip_view v = { .ipv6 = ip->ipv6, .udp = ip->udp };

	v.l3 = build_l2(buf, ip);
	v.l4 = v.l3 + (ip->ipv6 ? build_ipv6 : build_ipv4)(&buf[v.l3], ip, l4_len + ip->payload);
	v.payload = v.l4 + build_l4(&buf[v.l4], ip, l4_len + ip->payload);
	v.field = v.l4 + (ip->udp ? 6 : 16);
	v.end = v.payload + ip->payload;
	guest_net_pattern(&buf[v.payload], ip->payload, ip->seed, ip->off);
	finish(buf, &v);
	return v.end;
}

static bool
parse_ip(const uint8_t *buf, uint32_t len, struct guest_ip_view *v, uint8_t *proto)
{
	const uint8_t *p = &buf[v->l3];

	if (len < v->l3 + (v->ipv6 ? 40u : 20u) || p[0] >> 4 != (v->ipv6 ? 6 : 4))
		return false;
	if (v->ipv6) {
		*proto = p[6];
		v->l4 = v->l3 + 40;
		v->end = v->l4 + guest_ip_get16(&p[4]);
		if (*proto == PROTO_DSTOPTS) {
			*proto = p[40];
			v->l4 += (p[41] + 1) * 8;
		}
	} else {
		*proto = p[9];
		v->l4 = v->l3 + (p[0] & 15) * 4;
		v->end = v->l3 + guest_ip_get16(&p[2]);
	}
	return v->end <= len;
}

bool
guest_ip_parse(const uint8_t *buf, uint32_t len, struct guest_ip_view *v)
{
	uint16_t type;
	uint8_t proto;

	*v = (struct guest_ip_view){ .l3 = ETH_LEN };
	if (len < ETH_LEN + VLAN_LEN)
		return false;
	type = guest_ip_get16(&buf[12]);
	if (type == 0x8100) {
		v->l3 += VLAN_LEN;
		type = guest_ip_get16(&buf[16]);
	}
	if (type != 0x0800 && type != 0x86dd)
		return false;
	v->ipv6 = type == 0x86dd;
	if (!parse_ip(buf, len, v, &proto) || (proto != PROTO_TCP && proto != PROTO_UDP))
		return false;
	v->udp = proto == PROTO_UDP;
	if (v->end < v->l4 + (v->udp ? 8u : 20u))
		return false;
	v->field = v->l4 + (v->udp ? 6 : 16);
	v->payload = v->l4 + (v->udp ? 8 : (buf[v->l4 + 12] >> 4) * 4u);
	return v->payload <= v->end;
}

void
guest_ip_leave(uint8_t *buf, uint32_t len, uint16_t gso_size, struct guest_net_hdr *hdr)
{
	struct guest_ip_view v;

	memset(hdr, 0, sizeof(*hdr));
	if (!guest_ip_parse(buf, len, &v))
		return;
	guest_ip_put16(&buf[v.field], (uint16_t)ip_pseudo(buf, &v, v.end - v.l4));
	hdr->flags = 1; /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
	hdr->csum_start = (uint16_t)v.l4;
	hdr->csum_offset = (uint16_t)(v.field - v.l4);
	if (gso_size == 0)
		return;
	hdr->gso_type = v.udp ? 3 : v.ipv6 ? 4 : 1; /* _GSO_UDP, _TCPV6, _TCPV4 */
	hdr->gso_size = gso_size;
	hdr->hdr_len = (uint16_t)v.payload;
}

static bool
ipv4_is_right(const uint8_t *buf, const struct guest_ip_view *v)
{
	return v->ipv6 || ip_sum(0, &buf[v->l3], v->l4 - v->l3) == 0xffff;
}

bool
guest_ip_is_right(const uint8_t *buf, uint32_t len)
{
	struct guest_ip_view v;

	return guest_ip_parse(buf, len, &v) && ipv4_is_right(buf, &v) &&
		ip_sum(ip_pseudo(buf, &v, v.end - v.l4), &buf[v.l4], v.end - v.l4) == 0xffff &&
		(!v.udp || guest_ip_get16(&buf[v.field]) != 0);
}

bool
guest_ip_is_begun(const uint8_t *buf, uint32_t len)
{
	struct guest_ip_view v;

	return guest_ip_parse(buf, len, &v) && ipv4_is_right(buf, &v) &&
		guest_ip_get16(&buf[v.field]) == ip_pseudo(buf, &v, v.end - v.l4);
}
