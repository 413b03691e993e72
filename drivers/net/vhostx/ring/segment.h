/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Cut a TCP packet into segments, one after the other, for a guest that does not take it whole.
 */
#ifndef VHOSTX_RING_SEGMENT_H
#define VHOSTX_RING_SEGMENT_H

#include <rte_ip.h>

#include "offload.h"

/**
 * Payload bytes of a segment at most: what was asked for, or what is left beside the headers in the length that
 * IP can tell. Cut smaller a packet arrives; otherwise its segments would say a wrong length of themselves.
 */
static inline uint32_t
vhostx_segments_most(const struct vhostx_offload *o)
{
	const uint32_t counted = o->l3_len + o->l4_len - (o->ipv6 ? sizeof(struct rte_ipv6_hdr) : 0);

	return RTE_MIN((uint32_t)o->gso_size, UINT16_MAX - counted);
}

/** A packet that is being cut. */
struct vhostx_segments {
	const struct vhostx_offload *o; /**< gso_size is not 0, proto is IPPROTO_TCP */
	uint32_t most;   /**< payload bytes of a segment, vhostx_segments_most() */
	uint32_t left;   /**< payload bytes that are in no segment yet */
	uint32_t seq;    /**< TCP sequence number of the next segment */
	uint16_t id;     /**< IPv4 identification of the next segment */
	uint8_t flags;   /**< TCP flags of the packet */
	bool first;      /**< the next segment is the first */
};

/**
 * Begin to cut a packet.
 *
 * @param headers  its first o->headers bytes.
 * @param len      its bytes in all, more than that.
 */
void vhostx_segments_begin(struct vhostx_segments *g, const struct vhostx_offload *o,
	const uint8_t *headers, uint32_t len);

/** Payload bytes that the next segment has; 0: there is none. */
static inline uint32_t
vhostx_segments_payload(const struct vhostx_segments *g)
{
	return RTE_MIN(g->left, g->most);
}

/**
 * Make the next segment's headers out of those of the packet or of the segment before it.
 *
 * @param body  where its payload begins.
 * @param hdr   filled.
 */
void vhostx_segments_next(struct vhostx_segments *g, uint8_t *headers,
	struct vhostx_mbuf_cursor body, uint16_t features, struct virtio_net_hdr *hdr);

#endif /* VHOSTX_RING_SEGMENT_H */
