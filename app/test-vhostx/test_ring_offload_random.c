/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Packets of random shape from one guest to another by way of a port that forwards, against a model of what the
 * second one must see. Seeds are fixed.
 */
#include "test_ring_offload.h"

#define ROUNDS 1000
#define LONGEST 70000u /* payload, bytes: more than IP can tell */
#define IP_MOST 65535u

static uint8_t buf[VHOSTX_PACKET_MAX], got[VHOSTX_PACKET_MAX];

/* One packet and the two guests' ways with it. */
struct trip {
	uint32_t dice;
	struct guest_ip ip;
	struct guest_net_hdr hdr; /* as the first guest gives it */
	uint32_t len;             /* of the packet, without a tag that the port puts in */
	bool tag;                 /* it puts one in */
	uint16_t features;        /* of the second guest */
	uint32_t frames;          /* that it got, */
	uint32_t off;             /* and payload */
};

static uint32_t
roll(struct trip *t, uint32_t n)
{
	t->dice = t->dice * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)t->dice * n >> 32);
}

/* Sizes of segments: common ones, odd ones, and those that IP cannot tell with the headers. */
static uint32_t
roll_size(struct trip *t)
{
	switch (roll(t, 6)) {
	case 0:
		return 0;
	case 1:
		return 1 + roll(t, 40);
	case 2:
		return IP_MOST - roll(t, 400);
	case 3:
		return 1 + roll(t, IP_MOST);
	default:
		return 500 + roll(t, 2000);
	}
}

static void
roll_packet(struct trip *t)
{
	const bool ipv6 = roll(t, 2), udp = roll(t, 4) == 0;
	const uint32_t size = roll_size(t);
	const uint32_t most = size == 0 ? 9000 : RTE_MIN(40 * size, LONGEST);

	t->ip = (struct guest_ip){
		.ipv6 = ipv6, .udp = udp, .vlan = roll(t, 2),
		.l3_more = roll(t, 3) != 0 ? 0 : (ipv6 ? 8 * roll(t, 32) : 8 * roll(t, 6)),
		.tcp_more = udp ? 0 : 4 * roll(t, 11), .tcp_flags = roll(t, 256), .id = roll(t, 65536),
		.seq = t->dice, .payload = 1 + roll(t, most), .seed = roll(t, 1000),
	};
	t->len = guest_ip_build(buf, &t->ip);
	t->hdr = (struct guest_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .hdr_len = roll(t, RTE_MIN(t->len, IP_MOST)),
		.csum_start = guest_ip_headers(&t->ip) - (udp ? 8 : 20 + t->ip.tcp_more),
		.csum_offset = udp ? 6 : 16, .gso_size = size,
		.gso_type = size == 0 ? 0 : udp ? 3 : ipv6 ? 4 : 1,
	};
	if (size != 0 && !udp && (t->ip.tcp_flags & 0x80))
		t->hdr.gso_type |= 0x80;
}

/* Begin the checksum; of a packet that is to be cut neither that nor IP's length need be right. */
static void
leave_checksum(struct trip *t)
{
	const uint32_t l3 = 14 + 4 * t->ip.vlan;
	struct guest_net_hdr hdr;

	if (t->hdr.gso_size == 0 || roll(t, 2) == 0)
		guest_ip_leave(buf, t->len, t->hdr.gso_size, &hdr);
	if (t->hdr.gso_size != 0 && roll(t, 4) == 0)
		guest_ip_put16(&buf[l3 + (t->ip.ipv6 ? 4 : 2)], t->ip.ipv6 ? roll(t, 9) : 40 + roll(t, 9));
}

/* The application: it got the packet and sends it, with a tag at times. NULL: the port dropped it. */
static struct rte_mbuf *
forward(struct trip *t, struct rig *rig)
{
	const struct virtio_net_hdr hdr = rig_hdr(&t->hdr);
	struct vhostx_offload_conf *conf = &rig->queue.offload;
	struct rte_mbuf *m = rig_mbuf_of(buf, t->len, rig_ip_cuts[roll(t, 2) == 0 ? 0 : 3]);

	conf->tx_flags = roll(t, 2);
	conf->keep_tcp = roll(t, 2);
	conf->keep_udp = roll(t, 2);
	t->tag = roll(t, 4) == 0;
	if (vhostx_offload_check(&hdr, RIG_OFFLOADS, t->len) != VHOSTX_NO_CAUSE ||
			vhostx_offload_receive(conf, &hdr, m) != VHOSTX_NO_CAUSE) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	if (t->tag) {
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		m->vlan_tci = 9;
	}
	return m;
}

/* The second guest: some features, each with those that it stands on. */
static void
roll_features(struct trip *t, struct rig *rig)
{
	static const uint8_t bits[] = { VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN,
		VIRTIO_NET_F_GUEST_UFO };

	t->features = 0;
	if (roll(t, 3) != 0)
		t->features = 1 << VIRTIO_NET_F_GUEST_CSUM;
	for (size_t i = 0; t->features != 0 && i < RIG_NR(bits); i++)
		t->features |= roll(t, 2) << bits[i];
	rig_negotiate(rig, t->features);
}

/* The whole ring is full of buffers, each as long as any; those of the last round are taken back. */
static void
post_all(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->v.size; i++)
		rig_add_segs(rig, i, &(struct guest_seg){ rig_slot(rig, i), RIG_SLOT_LEN, true }, 1);
	guest_ring_publish(&rig->ring);
}

/* --- the model ------------------------------------------------------------------------------------- */

static bool
is_long(const struct trip *t)
{
	return t->hdr.gso_size != 0;
}

/* Does the second guest get it in one piece? */
static bool
goes_whole(const struct trip *t)
{
	uint16_t need = t->ip.udp ? 1 << VIRTIO_NET_F_GUEST_UFO :
		1 << (t->ip.ipv6 ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_GUEST_TSO4);

	if (!t->ip.udp && (t->ip.tcp_flags & 0x80))
		need |= 1 << VIRTIO_NET_F_GUEST_ECN;
	return !is_long(t) || ((t->features & need) == need && t->len - 14 - 4 * t->ip.vlan <= IP_MOST);
}

/* Payload of a segment: what the first guest said, or less if IP cannot tell that. */
static uint32_t
segment_size(const struct trip *t)
{
	const uint32_t counted = guest_ip_headers(&t->ip) - 14 - 4 * t->ip.vlan - (t->ip.ipv6 ? 40 : 0);

	return RTE_MIN((uint32_t)t->hdr.gso_size, IP_MOST - counted);
}

/* Put the frame in got[] as it was without the port's tag. Returns its length. */
static uint32_t
take_tag_off(const struct trip *t, uint32_t len)
{
	if (!t->tag)
		return len;
	assert_int_equal(guest_ip_get32(&got[12]), 0x81000009);
	memmove(&got[12], &got[16], len - 16);
	return len - 4;
}

static void
assert_header(const struct trip *t, const struct guest_net_hdr *h, uint32_t len)
{
	const bool whole = is_long(t) && goes_whole(t);
	struct guest_ip_view v;

	assert_true(guest_ip_parse(got, len, &v));
	assert_int_equal(v.end, len);
	assert_true(h->flags == 0 ? guest_ip_is_right(got, len) : guest_ip_is_begun(got, len));
	assert_true(h->flags == 0 || (t->features & 1 << VIRTIO_NET_F_GUEST_CSUM) != 0);
	assert_int_equal(h->csum_start, h->flags == 0 ? 0 : v.l4 + 4 * t->tag);
	assert_int_equal(h->csum_offset, h->flags == 0 ? 0 : v.field - v.l4);
	assert_int_equal(h->gso_type, whole ? t->hdr.gso_type : 0);
	assert_int_equal(h->gso_size, whole ? t->hdr.gso_size : 0);
	assert_int_equal(h->hdr_len, whole ? v.payload + 4 * t->tag : 0);
}

static void
assert_tcp(const struct trip *t, uint32_t l4, bool last)
{
	uint8_t flags = t->ip.tcp_flags;

	if (!last)
		flags &= ~0x09; /* FIN, PSH */
	if (t->frames != 0)
		flags &= ~0x80; /* CWR */
	assert_int_equal(got[l4 + 13], flags);
	assert_int_equal(guest_ip_get32(&got[l4 + 4]), (uint32_t)(t->ip.seq + t->off));
}

/* The next frame is what the model says. */
static void
assert_frame(struct trip *t, const struct guest_net_frame *f)
{
	const uint32_t left = t->ip.payload - t->off;
	const uint32_t n = goes_whole(t) ? left : RTE_MIN(left, segment_size(t));
	const uint32_t len = take_tag_off(t, f->len);
	struct guest_ip_view v;

	assert_header(t, &f->hdr, len);
	guest_ip_parse(got, len, &v);
	assert_int_equal(len - v.payload, n);
	assert_true(guest_net_matches(&got[v.payload], n, t->ip.seed, t->off));
	if (!t->ip.udp)
		assert_tcp(t, v.l4, n == left);
	if (!t->ip.ipv6)
		assert_int_equal(guest_ip_get16(&got[v.l3 + 4]), (uint16_t)(t->ip.id + t->frames));
	t->frames++;
	t->off += n;
}

static void
take_frames(struct trip *t, struct rig *rig)
{
	static struct guest_net_frame f;

	t->frames = 0;
	t->off = 0;
	while (t->off < t->ip.payload) {
		assert_int_equal(guest_net_receive(&rig->ring, rig->v.hdr_len, true, got, sizeof(got), &f), 1);
		assert_frame(t, &f);
	}
}

/* Take everything else that the ring has, by filling it. */
static void
empty_ring(struct rig *rig)
{
	struct rte_mbuf *m;

	while (rig_tx(&rig->queue, (m = rig_mbuf(60, 0), &m), 1) == 1)
		;
	rte_pktmbuf_free(m);
	for (uint32_t len, i = 0; i < rig->v.size; i++) {
		uint16_t id;

		if (guest_ring_get_used(&rig->ring, &id, &len) != 1)
			break;
	}
}

/* --- cases ----------------------------------------------------------------------------------------- */

static void
test_ring_offload_random_packets_arrive(void **state)
{
	struct rig *rig = *state;
	uint32_t cut = 0, whole = 0, dropped = 0;
	struct trip t = { .dice = 1 };

	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint64_t before = rig->queue.count.drops[VHOSTX_NO_UFO];
		struct rte_mbuf *m;

		roll_features(&t, rig);
		roll_packet(&t);
		leave_checksum(&t);
		post_all(rig);
		m = forward(&t, rig);
		assert_non_null(m);
		assert_true(rig_tx_one(rig, m));
		if (t.ip.udp && !goes_whole(&t)) {
			assert_int_equal(rig->queue.count.drops[VHOSTX_NO_UFO], before + 1);
			dropped++;
		} else {
			take_frames(&t, rig);
			cut += t.frames > 1;
			whole += is_long(&t) && goes_whole(&t);
		}
		empty_ring(rig);
	}
	assert_true(cut > ROUNDS / 10 && whole > ROUNDS / 20 && dropped > ROUNDS / 100);
}

/* What a guest may be given are the bits for what a host may be given, elsewhere. */
static uint16_t
as_host(uint16_t guest)
{
	return (guest & 1 << VIRTIO_NET_F_GUEST_CSUM) >> VIRTIO_NET_F_GUEST_CSUM |
		(guest & ~(1 << VIRTIO_NET_F_GUEST_CSUM)) << (VIRTIO_NET_F_HOST_TSO4 - VIRTIO_NET_F_GUEST_TSO4);
}

/* Take all that was sent; nothing is asked of the guest that it does not do, or cannot. Returns how many. */
static uint32_t
take_sound_frames(const struct trip *t, struct rig *rig)
{
	static struct guest_net_frame f;
	uint32_t n;

	for (n = 0; guest_net_receive(&rig->ring, rig->v.hdr_len, true, got, sizeof(got), &f) == 1; n++) {
		const struct virtio_net_hdr h = rig_hdr(&f.hdr);

		assert_int_equal(vhostx_offload_check(&h, as_host(t->features), f.len), VHOSTX_NO_CAUSE);
	}
	return n;
}

/* The first guest lies wherever it can: what the second one gets may be rubbish, but says so of itself. */
static void
test_ring_offload_random_lies_stay_lies(void **state)
{
	struct rig *rig = *state;
	struct trip t = { .dice = 2 };
	uint32_t frames = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct rte_mbuf *m;

		roll_features(&t, rig);
		roll_packet(&t);
		for (uint32_t k = roll(&t, 4); k > 0; k--)
			((uint8_t *)&t.hdr)[roll(&t, 10)] = roll(&t, 256);
		for (uint32_t k = roll(&t, 4); k > 0; k--)
			buf[roll(&t, guest_ip_headers(&t.ip))] = roll(&t, 256);
		t.len = 1 + roll(&t, t.len);
		post_all(rig);
		m = forward(&t, rig);
		if (m != NULL)
			assert_true(rig_tx_one(rig, m));
		frames += take_sound_frames(&t, rig);
		empty_ring(rig);
	}
	assert_true(frames > ROUNDS / 4);
}

/* An application that asks for anything, with any lengths, of a packet that may be shorter than they say. */
static struct rte_mbuf *
roll_request(struct trip *t)
{
	static const uint64_t flags[] = { RTE_MBUF_F_TX_IPV4, RTE_MBUF_F_TX_IPV6, RTE_MBUF_F_TX_IP_CKSUM,
		RTE_MBUF_F_TX_TCP_CKSUM, RTE_MBUF_F_TX_SCTP_CKSUM, RTE_MBUF_F_TX_UDP_CKSUM, RTE_MBUF_F_TX_TCP_SEG,
		RTE_MBUF_F_TX_UDP_SEG, RTE_MBUF_F_TX_VLAN, RTE_MBUF_F_TX_OUTER_IP_CKSUM };
	const uint32_t l3 = 14 + 4 * t->ip.vlan, headers = guest_ip_headers(&t->ip);
	const uint32_t l4 = headers - (t->ip.udp ? 8 : 20 + t->ip.tcp_more);
	struct rte_mbuf *m;

	t->len = roll(t, 3) != 0 ? t->len : 1 + roll(t, t->len);
	m = rig_mbuf_of(buf, t->len, rig_ip_cuts[roll(t, RIG_NR(rig_ip_cuts) - 1) + 1]);
	m->tx_offload = rte_mbuf_tx_offload(roll(t, 8) != 0 ? l3 : roll(t, 128), roll(t, 8) != 0 ? l4 - l3 : roll(t, 512),
		roll(t, 8) != 0 ? headers - l4 : roll(t, 256), t->hdr.gso_size, 0, 0, 0);
	for (uint32_t k = roll(t, 5); k > 0; k--)
		m->ol_flags |= flags[roll(t, RIG_NR(flags))];
	return m;
}

static void
test_ring_offload_random_requests_are_answered(void **state)
{
	struct rig *rig = *state;
	struct trip t = { .dice = 3 };
	uint32_t frames = 0;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct rte_mbuf *m;

		roll_features(&t, rig);
		roll_packet(&t);
		if (t.len > 20000)
			continue;
		m = roll_request(&t);
		post_all(rig);
		assert_true(rig_tx_one(rig, m));
		frames += take_sound_frames(&t, rig);
		empty_ring(rig);
	}
	assert_true(frames > ROUNDS / 4);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_offload_random_packets_arrive, NULL),
	RIG_CASE(test_ring_offload_random_lies_stay_lies, NULL),
	RIG_CASE(test_ring_offload_random_requests_are_answered, NULL),
};

int
main(void)
{
	static const struct rig_variant variants[] = {
		{ .format = GUEST_SPLIT, .size = 256, .mergeable = true, .hdr_len = 12 },
		{ .format = GUEST_PACKED, .size = 250, .mergeable = true, .hdr_len = 12, .base = GUEST_PACKED_BASE },
	};
	int failed;

	rig_eal();
	failed = rig_run("test_ring_offload_random", cases, RIG_NR(cases), variants, RIG_NR(variants));
	rte_eal_cleanup();
	return failed;
}
