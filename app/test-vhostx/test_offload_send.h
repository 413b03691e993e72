/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of sending with offloads share: the way of a burst, without the ring.
 */
#ifndef TEST_OFFLOAD_SEND_H
#define TEST_OFFLOAD_SEND_H

#include "test_offload_rig.h"

#include "ring/segment.h"

#define NONE_OF_THEM 0

static uint8_t buf[VHOSTX_PACKET_MAX], sent[VHOSTX_PACKET_MAX];

struct copy {
	struct vhostx_offload o;
	struct vhostx_mbuf_cursor body;
	uint32_t len;
	uint8_t headers[VHOSTX_HEADERS_MAX];
};

static inline bool
copy_begin(struct copy *c, const struct vhostx_offload_conf *conf, const struct rte_mbuf *m)
{
	const uint8_t *data = NULL;
	uint32_t part;

	if (!vhostx_offload_request(conf, m, &c->o))
		return false;
	assert_true(c->o.headers <= VHOSTX_HEADERS_MAX);
	c->body = (struct vhostx_mbuf_cursor){ .seg = m };
	c->len = m->pkt_len;
	for (uint32_t at = 0; at < c->o.headers; at += part) {
		part = vhostx_mbuf_next(&c->body, c->o.headers - at, &data);
		assert_int_not_equal(part, 0);
		memcpy(&c->headers[at], data, part);
	}
	return true;
}

/* Put headers and n bytes of body into sent[]. Returns their length. */
static inline uint32_t
copy_out(struct copy *c, uint32_t n)
{
	uint32_t at = c->o.headers, part;
	const uint8_t *data = NULL;

	memcpy(sent, c->headers, at);
	for (; n != 0; n -= part, at += part) {
		part = vhostx_mbuf_next(&c->body, n, &data);
		assert_int_not_equal(part, 0);
		memcpy(&sent[at], data, part);
	}
	return at;
}

/* Send whole; the frame is in sent[]. The mbuf is unchanged. */
static inline void
send_whole(const struct vhostx_offload_conf *conf, const struct rte_mbuf *m, uint16_t features,
	struct virtio_net_hdr *hdr)
{
	static uint8_t before[VHOSTX_PACKET_MAX];
	struct copy c;

	memcpy(before, rig_bytes(m), m->pkt_len);
	assert_true(copy_begin(&c, conf, m));
	assert_false(vhostx_offload_must_segment(&c.o, c.headers, features, c.len));
	vhostx_offload_send(&c.o, c.headers, c.body, c.len, features, hdr);
	assert_int_equal(copy_out(&c, c.len - c.o.headers), m->pkt_len);
	assert_memory_equal(rig_bytes(m), before, m->pkt_len);
}

static inline void
assert_no_offload(const struct virtio_net_hdr *hdr)
{
	static const struct virtio_net_hdr none;

	assert_memory_equal(hdr, &none, sizeof(none));
}

#endif /* TEST_OFFLOAD_SEND_H */
