/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * TCP and UDP packets as a guest builds and checks them, byte by byte as the RFCs have it: the judge of
 * checksums and segments.
 */
#ifndef GUEST_IP_H
#define GUEST_IP_H

#include <stdbool.h>
#include <stdint.h>

#include "guest_net.h"

/** Longest headers that guest_ip_build() makes. */
#define GUEST_IP_HEADERS 256

/** What a packet is to look like. */
struct guest_ip {
	bool ipv6;
	bool udp;
	bool vlan;
	uint8_t l3_more;    /**< bytes of IPv4 options, or of an IPv6 extension; a multiple of 8 */
	uint8_t tcp_more;   /**< bytes of TCP options; a multiple of 4 */
	uint8_t tcp_flags;
	uint16_t id;        /**< IPv4 identification */
	uint32_t seq;       /**< TCP sequence number */
	uint32_t payload;   /**< bytes after the headers */
	uint32_t seed;      /**< of the payload's pattern */
	uint32_t off;       /**< where in the pattern it begins */
};

/** Where things are in a packet, offsets in bytes. */
struct guest_ip_view {
	bool ipv6;
	bool udp;
	uint32_t l3;      /**< IP header */
	uint32_t l4;      /**< TCP or UDP header */
	uint32_t field;   /**< its checksum */
	uint32_t payload; /**< what follows */
	uint32_t end;     /**< by the length in the IP header */
};

/** Bytes of headers that the packet has. */
uint32_t guest_ip_headers(const struct guest_ip *ip);

/** Write a packet with right checksums. @return its length. */
uint32_t guest_ip_build(uint8_t *buf, const struct guest_ip *ip);

/**
 * Leave the checksum of a packet to the device: the field gets the sum of the pseudo header, and @a hdr
 * says where it is (virtio 1.3, 5.1.6.2); with @a gso_size the packet is one to be cut.
 */
void guest_ip_leave(uint8_t *buf, uint32_t len, uint16_t gso_size, struct guest_net_hdr *hdr);

/** Find one's way. @return false if it is no packet that guest_ip_build() makes. */
bool guest_ip_parse(const uint8_t *buf, uint32_t len, struct guest_ip_view *view);

/** Are IP and TCP or UDP checksums right? */
bool guest_ip_is_right(const uint8_t *buf, uint32_t len);

/** Is the IPv4 checksum right, and does the other field hold the sum of the pseudo header? */
bool guest_ip_is_begun(const uint8_t *buf, uint32_t len);

/** Big-endian numbers in a packet. */
static inline uint16_t
guest_ip_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
guest_ip_get32(const uint8_t *p)
{
	return (uint32_t)guest_ip_get16(p) << 16 | guest_ip_get16(p + 2);
}

static inline void
guest_ip_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
guest_ip_put32(uint8_t *p, uint32_t v)
{
	guest_ip_put16(p, (uint16_t)(v >> 16));
	guest_ip_put16(p + 2, (uint16_t)v);
}

#endif /* GUEST_IP_H */
