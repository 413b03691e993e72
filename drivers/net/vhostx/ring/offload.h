/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Checksums and segmentation that one side leaves to the other: virtio-net headers become mbuf flags and
 * the reverse. Nothing here is called for a packet that asks for nothing.
 */
#ifndef VHOSTX_RING_OFFLOAD_H
#define VHOSTX_RING_OFFLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_net.h>

#include <rte_bitops.h>
#include <rte_ether.h>

#include "copy.h"
#include "queue.h"

/** Transmit flags that ask for an offload. */
#define VHOSTX_TX_OFFLOADS (RTE_MBUF_F_TX_IP_CKSUM | RTE_MBUF_F_TX_L4_MASK | \
	RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_UDP_SEG)

/** Longest headers that the length fields of an mbuf can tell, bytes, and a VLAN tag. */
#define VHOSTX_HEADERS_MAX (127u + 511 + 255 + 4)

/**
 * What a received mbuf remembers of its virtio-net header, in a dynamic field: a port of this driver that
 * the mbuf is sent to gives the offload to its guest, though the application sets no flag. It is a
 * hint and no more: it is used if the packet is the one that it was written for and the checksum in it is
 * still the unfinished one, so that to finish it is right whatever the application did.
 */
struct vhostx_meta {
	const void *data;  /**< the packet's first byte */
	uint32_t pkt_len;  /**< its length */
	uint16_t gso_size; /**< payload bytes of a segment, 0: not to be segmented */
	uint8_t gso_type;  /**< VIRTIO_NET_HDR_GSO_* */
};

/**
 * Register the dynamic field and its flag, and set tx_mask.
 * @return 0, or -errno: conf is left without field and flag.
 */
int vhostx_offload_register(struct vhostx_offload_conf *conf);

/* --- guest to host --------------------------------------------------------------------------------- */

/**
 * Can a packet of @a len bytes have the header that the guest gave it (virtio 1.3, 5.1.6.2)?
 *
 * @param features  what was negotiated; see struct vhostx_snapshot.
 * @return VHOSTX_NO_CAUSE, or why not: the packet is lost.
 */
enum vhostx_cause vhostx_offload_check(const struct virtio_net_hdr *hdr, uint16_t features,
	uint32_t len);

/**
 * Tell in the mbuf what the guest left to do, or do it where flags cannot tell it or the application does
 * not look at them. VLAN stripping comes before. May write the checksum into the packet.
 *
 * @param hdr  passed vhostx_offload_check().
 * @return VHOSTX_NO_CAUSE, or why the packet is lost: it is not what the header says.
 */
enum vhostx_cause vhostx_offload_receive(const struct vhostx_offload_conf *conf,
	const struct virtio_net_hdr *hdr, struct rte_mbuf *m);

/** Verify the checksum of an IPv4 header (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM), if the first segment has it. */
void vhostx_offload_verify_ip(struct rte_mbuf *m);

/* --- host to guest --------------------------------------------------------------------------------- */

/** What is to be done with a packet on its way to the guest. */
struct vhostx_offload {
	uint32_t headers;  /**< bytes of headers to have in one piece; 0: nothing is to be done */
	uint16_t l2_len;   /**< Ethernet and VLAN, bytes */
	uint16_t l3_len;   /**< IP with options or extensions, bytes */
	uint16_t l4_len;   /**< part of headers: a TCP header, at least 20 bytes of it; 8 of UDP */
	uint16_t gso_size; /**< payload bytes of a segment, 0: not to be segmented */
	uint8_t proto;     /**< IPPROTO_TCP or IPPROTO_UDP: its checksum is to be made; 0: none */
	bool ipv6;
	bool ip_csum;      /**< make the checksum of the IPv4 header */
};

/**
 * What does an mbuf with one of VHOSTX_TX_OFFLOADS, or with a struct vhostx_meta, ask for? Flags of the
 * application count more than what was received.
 *
 * @return false if the lengths in the mbuf do not fit the packet.
 */
bool vhostx_offload_request(const struct vhostx_offload_conf *conf, const struct rte_mbuf *m,
	struct vhostx_offload *o);

/** A VLAN tag was put into the headers. */
static inline void
vhostx_offload_add_tag(struct vhostx_offload *o)
{
	o->headers += sizeof(struct rte_vlan_hdr);
	o->l2_len += sizeof(struct rte_vlan_hdr);
}

/**
 * Is a packet to be cut into segments here, because the guest takes no such packet?
 *
 * @param headers   the first o->headers bytes of the packet.
 * @param features  what was negotiated.
 * @param len       bytes of the packet.
 */
bool vhostx_offload_must_segment(const struct vhostx_offload *o, const uint8_t *headers,
	uint16_t features, uint32_t len);

/**
 * Do what was asked for, by way of the virtio-net header as far as the guest goes along, else here.
 *
 * @param headers  the first o->headers bytes of the packet: checksums are written there, never into the
 *   mbuf, which others may hold too.
 * @param body     where the packet goes on after them.
 * @param len      bytes of the packet.
 * @param hdr      filled.
 */
void vhostx_offload_send(const struct vhostx_offload *o, uint8_t *headers,
	struct vhostx_mbuf_cursor body, uint32_t len, uint16_t features, struct virtio_net_hdr *hdr);

/**
 * rte_eth_tx_prepare(): a burst makes all checksums anew from the headers and needs nothing in the packet,
 * so this only checks.
 * @return 0, also for a packet that is only told to be in a tunnel; -ENOTSUP: an offload that no port of this driver
 *   has; -EINVAL: lengths that do not fit the packet.
 */
int vhostx_offload_prepare(const struct rte_mbuf *m);

/* --- for segmentation ------------------------------------------------------------------------------ */

/** Write the lengths of a packet with @a len bytes, and the checksum of IPv4, into its IP header. */
void vhostx_offload_set_length(const struct vhostx_offload *o, uint8_t *headers, uint32_t len);

/**
 * Make the checksum of TCP or UDP: begun if the guest finishes it, else finished.
 *
 * @param bytes  from the beginning of the TCP or UDP header on.
 */
void vhostx_offload_set_csum(const struct vhostx_offload *o, uint8_t *headers,
	struct vhostx_mbuf_cursor body, uint32_t bytes, uint16_t features, struct virtio_net_hdr *hdr);

#endif /* VHOSTX_RING_OFFLOAD_H */
