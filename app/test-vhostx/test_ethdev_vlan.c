/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * VLAN tags taken off and put on, and buffers that are longer than a mbuf.
 */
#include <rte_ether.h>

#include "test_ethdev_front.h"

#define TCI 0x6123
#define ADDRS 12u   /* bytes of the two addresses */
#define TAGGED 18u  /* bytes up to the end of the tag and the type after it */

static const struct port_conf with_strip = { .rx_offloads = RTE_ETH_RX_OFFLOAD_VLAN_STRIP };
static const struct port_conf with_insert = { .tx_offloads = RTE_ETH_TX_OFFLOAD_VLAN_INSERT |
	RTE_ETH_TX_OFFLOAD_MULTI_SEGS };

/* Mbufs whose data belongs to those of the pool. */
static struct rte_mempool *indirect;

/* A frame of the pattern whose bytes 12 to 15 are a tag. */
static void
make_tagged(uint8_t *frame, uint32_t len, uint32_t seed)
{
	static const uint8_t tag[4] = { 0x81, 0x00, TCI >> 8, TCI & 0xff };

	guest_net_pattern(frame, len, seed, 0);
	memcpy(&frame[ADDRS], tag, RTE_MIN(sizeof(tag), len - ADDRS));
}

/* --- strip ------------------------------------------------------------------------------------------ */

static void
assert_stripped(struct rte_mbuf *m, const uint8_t *frame, uint32_t len)
{
	assert_int_equal(m->pkt_len, len - 4);
	assert_true(m->ol_flags & RTE_MBUF_F_RX_VLAN);
	assert_true(m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED);
	assert_int_equal(m->vlan_tci, TCI);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame, ADDRS);
	assert_memory_equal(rte_pktmbuf_mtod_offset(m, void *, ADDRS), frame + ADDRS + 4,
		len - ADDRS - 4);
	rte_pktmbuf_free(m);
}

static void
assert_as_sent(struct rte_mbuf *m, const uint8_t *frame, uint32_t len)
{
	assert_int_equal(m->pkt_len, len);
	assert_true((m->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)) == 0);
	assert_memory_equal(rte_pktmbuf_mtod(m, void *), frame, len);
	rte_pktmbuf_free(m);
}

static void
test_ethdev_vlan_strip(void **state)
{
	static const uint32_t lengths[] = { TAGGED, TAGGED + 1, 60, 64, 1000, 1522, RIG_ROOM };
	const uint16_t port = vhost_open(0, &with_strip);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	uint8_t frame[RIG_ROOM];
	uint64_t bytes = 0;
	struct rte_eth_stats stats;

	(void)state;
	for (uint32_t i = 0; i < RTE_DIM(lengths); i++) {
		make_tagged(frame, lengths[i], i);
		front_send_bytes(f, 0, frame, lengths[i]);
		assert_stripped(port_receive(port, 0), frame, lengths[i]);
		bytes += lengths[i];
	}
	/* What the guest sent is what is counted. */
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.ibytes, bytes);
	front_free(f);
}

/* Without a tag, or too short to hold one and a type: as sent. */
static void
test_ethdev_vlan_strip_leaves(void **state)
{
	const uint16_t port = vhost_open(0, &with_strip);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	uint8_t frame[64];

	(void)state;
	for (uint32_t len = 1; len < TAGGED; len++) {
		if (len <= ADDRS)
			guest_net_pattern(frame, len, len, 0);
		else
			make_tagged(frame, len, len);
		front_send_bytes(f, 0, frame, len);
		assert_as_sent(port_receive(port, 0), frame, len);
	}
	guest_net_pattern(frame, sizeof(frame), 1, 0);
	front_send_bytes(f, 0, frame, sizeof(frame));
	assert_as_sent(port_receive(port, 0), frame, sizeof(frame));
	front_free(f);
}

static void
test_ethdev_vlan_strip_at_run_time(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	uint8_t frame[100];

	(void)state;
	make_tagged(frame, sizeof(frame), 1);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(rte_eth_dev_set_vlan_offload(port,
			i % 2 == 0 ? 0 : RTE_ETH_VLAN_STRIP_OFFLOAD), 0);
		assert_int_equal(rte_eth_dev_get_vlan_offload(port),
			i % 2 == 0 ? 0 : RTE_ETH_VLAN_STRIP_OFFLOAD);
		front_send_bytes(f, 0, frame, sizeof(frame));
		if (i % 2 == 0)
			assert_as_sent(port_receive(port, 0), frame, sizeof(frame));
		else
			assert_stripped(port_receive(port, 0), frame, sizeof(frame));
	}
	assert_int_not_equal(rte_eth_dev_set_vlan_offload(port, RTE_ETH_VLAN_FILTER_OFFLOAD), 0);
	front_free(f);
}

/* Offloads are the port's: what it is configured with counts when it starts, though its queues stay as they are. */
static void
test_ethdev_regress_vlan_strip_configured_anew(void **state)
{
	const uint16_t port = vhost_open(0, &with_strip);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	uint8_t frame[100];

	(void)state;
	make_tagged(frame, sizeof(frame), 1);
	for (int i = 0; i < 4; i++) {
		const struct rte_eth_conf conf = { .rxmode.offloads = i % 2 == 0 ? 0 : RTE_ETH_RX_OFFLOAD_VLAN_STRIP };

		assert_int_equal(rte_eth_dev_stop(port), 0);
		assert_int_equal(rte_eth_dev_configure(port, 1, 1, &conf), 0);
		assert_int_equal(rte_eth_dev_start(port), 0);
		front_send_bytes(f, 0, frame, sizeof(frame));
		if (i % 2 == 0)
			assert_as_sent(port_receive(port, 0), frame, sizeof(frame));
		else
			assert_stripped(port_receive(port, 0), frame, sizeof(frame));
	}
	front_free(f);
}

/* --- insert ----------------------------------------------------------------------------------------- */

static void
want_tag(struct rte_mbuf *m)
{
	m->ol_flags |= RTE_MBUF_F_TX_VLAN;
	m->vlan_tci = TCI;
}

/* The guest's next frame is the pattern of @a seed with a tag in it. */
static void
assert_inserted(struct front *f, uint32_t len, uint32_t seed)
{
	static const uint8_t tag[4] = { 0x81, 0x00, TCI >> 8, TCI & 0xff };
	static uint8_t buf[1 << 17];

	assert_int_equal(front_receive(f, 0, buf, sizeof(buf)), len + 4);
	assert_true(guest_net_matches(buf, ADDRS, seed, 0));
	assert_memory_equal(buf + ADDRS, tag, sizeof(tag));
	assert_true(guest_net_matches(buf + ADDRS + 4, len - ADDRS, seed, ADDRS));
}

static void
check_insert_direct(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &with_insert);
	struct front *f = front_open(0, conf);
	uint8_t buf[256];

	for (uint32_t len = ADDRS; len < 140; len++) {
		struct rte_mbuf *m = packet_make(len, len);

		front_post(f, 0, 2, 100);
		want_tag(m);
		assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
		/* What is longer than one buffer takes two, or is dropped. */
		if (conf->plain && len + 4 + FRONT_HDR > 100)
			assert_int_equal(front_receive(f, 0, buf, sizeof(buf)), 0);
		else
			assert_inserted(f, len, len);
		/* Begin without buffers that are left. */
		front_free(f);
		f = front_open(0, conf);
	}
	front_free(f);
	port_close(port);
}

static void
test_ethdev_vlan_insert(void **state)
{
	(void)state;
	check_insert_direct(&(struct front_conf){ .format = GUEST_SPLIT });
	check_insert_direct(&(struct front_conf){ .format = GUEST_SPLIT, .plain = true });
	check_insert_direct(&(struct front_conf){ .format = GUEST_PACKED });
	check_insert_direct(&(struct front_conf){ .format = GUEST_PACKED, .plain = true });
}

/* A clone shares its bytes with a mbuf that somebody else reads: the tag must not be written there. */
static void
test_ethdev_vlan_insert_shared(void **state)
{
	const uint16_t port = vhost_open(0, &with_insert);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_mbuf *whole = packet_make(200, 3);
	struct rte_mbuf *clone = rte_pktmbuf_clone(whole, indirect);

	(void)state;
	assert_non_null(clone);
	front_post(f, 0, 4, 2048);
	want_tag(clone);
	assert_int_equal(rte_eth_tx_burst(port, 0, &clone, 1), 1);
	assert_inserted(f, 200, 3);
	assert_int_equal(rte_mbuf_refcnt_read(whole), 1);
	/* The same with a mbuf that two hold. */
	rte_mbuf_refcnt_update(whole, 1);
	want_tag(whole);
	assert_int_equal(rte_eth_tx_burst(port, 0, &whole, 1), 1);
	assert_inserted(f, 200, 3);
	assert_int_equal(rte_mbuf_refcnt_read(whole), 1);
	whole->ol_flags = 0;
	packet_check(whole, 200, 3);
	front_free(f);
}

/* A packet whose first segment has @a first bytes. */
static struct rte_mbuf *
packet_split(uint32_t first, uint32_t len, uint32_t seed)
{
	struct rte_mbuf *head = packet_make(first, seed);
	struct rte_mbuf *tail = rte_pktmbuf_alloc(pool);

	guest_net_pattern((uint8_t *)rte_pktmbuf_append(tail, len - first), len - first, seed, first);
	assert_int_equal(rte_pktmbuf_chain(head, tail), 0);
	return head;
}

static void
test_ethdev_vlan_insert_segments(void **state)
{
	const uint16_t port = vhost_open(0, &with_insert);
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	front_post(f, 0, 40, 2048);
	for (uint32_t first = 0; first < 20; first++) {
		struct rte_mbuf *m = packet_split(first, 90, first);

		want_tag(m);
		assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
		assert_inserted(f, 90, first);
	}
	front_free(f);
}

/* A frame without both addresses has no place for a tag: it is dropped, once, with those around it sent. */
static void
test_ethdev_vlan_insert_runt(void **state)
{
	const uint16_t port = vhost_open(0, &with_insert);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_eth_stats stats;
	struct rte_mbuf *m[3];

	(void)state;
	front_post(f, 0, 60, 2048);
	for (uint32_t len = 1; len < ADDRS; len++) {
		m[0] = packet_make(100, len);
		m[1] = packet_make(len, len);
		m[2] = packet_make(ADDRS, len);
		for (int i = 0; i < 3; i++)
			want_tag(m[i]);
		assert_int_equal(rte_eth_tx_burst(port, 0, m, 3), 3);
		assert_inserted(f, 100, len);
		assert_inserted(f, ADDRS, len);
	}
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.oerrors, ADDRS - 1);
	assert_int_equal(stats.opackets, 2 * (ADDRS - 1));
	front_free(f);
}

/* With its tag the frame is longer than the guest's buffer. */
static void
test_ethdev_vlan_insert_oversize(void **state)
{
	const uint16_t port = vhost_open(0, &with_insert);
	struct front *f = front_open(0, &(struct front_conf){ .plain = true });
	struct rte_mbuf *m[2];
	struct rte_eth_stats stats;
	uint8_t buf[2048];

	(void)state;
	front_post(f, 0, 4, FRONT_HDR + 200);
	m[0] = packet_make(197, 1);
	m[1] = packet_make(196, 2);
	want_tag(m[0]);
	want_tag(m[1]);
	assert_int_equal(rte_eth_tx_burst(port, 0, m, 2), 2);
	assert_inserted(f, 196, 2);
	assert_int_equal(front_receive(f, 0, buf, sizeof(buf)), 0);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(stats.oerrors, 1);
	front_free(f);
}

/* A full ring takes nothing: the mbufs stay the caller's, without a tag of ours in them. */
static void
test_ethdev_vlan_insert_no_room(void **state)
{
	const uint16_t port = vhost_open(0, &with_insert);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_mbuf *m = packet_make(100, 1);

	(void)state;
	want_tag(m);
	for (int i = 0; i < 10; i++)
		assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 0);
	front_post(f, 0, 1, 2048);
	assert_int_equal(rte_eth_tx_burst(port, 0, &m, 1), 1);
	assert_inserted(f, 100, 1);
	front_free(f);
}

/* --- long frames ------------------------------------------------------------------------------------ */

/* Transmit @a len bytes of a pattern as a chain of pieces of FRONT_SLOT_LEN. */
static void
front_send_long(struct front *f, uint32_t len, uint32_t seed)
{
	const uint32_t cut[] = { FRONT_SLOT_LEN, 0 };
	struct guest_seg seg[40];
	const uint32_t n = guest_net_cut(seg, RTE_DIM(seg), f->slots[1], FRONT_HDR + len, cut, 0, false);

	assert_true(n != 0);
	assert_int_equal(guest_net_fill(&f->mem, seg, n, NULL, FRONT_HDR, len, seed), 0);
	assert_true(guest_ring_add(&f->ring[1], seg, n) >= 0);
	front_publish(f, 1);
}

static void
check_long(const char *devargs, uint32_t longest, bool one_segment)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ .devargs = devargs });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_eth_stats stats;

	for (uint32_t len = RIG_ROOM - 1; len <= longest; len = len * 3 / 2) {
		struct rte_mbuf *m;

		front_send_long(f, len, len);
		m = port_receive(port, 0);
		assert_true(m->nb_segs == 1 || !one_segment);
		packet_check(m, len, len);
		front_reap(f, 0);
	}
	front_send_long(f, longest, 5);
	packet_check(port_receive(port, 0), longest, 5);
	if (one_segment) {
		struct rte_mbuf *m;

		front_send_long(f, longest + 1, 6);
		front_send_long(f, 100, 7);
		wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
		packet_check(m, 100, 7);
		assert_int_equal(rte_eth_stats_get(port, &stats), 0);
		assert_int_equal(stats.ierrors, 1);
	}
	front_free(f);
	port_close(port);
}

static void
test_ethdev_long_frames(void **state)
{
	(void)state;
	check_long("", 100000, false);
	check_long(",linear-buffer=1", RIG_ROOM, true);
	/* One buffer of 16-bit length holds headroom, frame and its own counter. */
	check_long(",ext-buffer=1,linear-buffer=1", UINT16_MAX / 8 * 8 - RTE_PKTMBUF_HEADROOM -
		sizeof(struct rte_mbuf_ext_shared_info), true);
	check_long(",ext-buffer=1", 100000, false);
}

static int
setup(void **state)
{
	if (rig_eal(state) != 0)
		return -1;
	indirect = rte_pktmbuf_pool_create("indirect", 63, 0, 0, 0, 0);
	return indirect == NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_vlan_strip),
		rig_case(test_ethdev_vlan_strip_leaves),
		rig_case(test_ethdev_vlan_strip_at_run_time),
		rig_case(test_ethdev_regress_vlan_strip_configured_anew),
		rig_case(test_ethdev_vlan_insert),
		rig_case(test_ethdev_vlan_insert_shared),
		rig_case(test_ethdev_vlan_insert_segments),
		rig_case(test_ethdev_vlan_insert_runt),
		rig_case(test_ethdev_vlan_insert_oversize),
		rig_case(test_ethdev_vlan_insert_no_room),
		rig_case(test_ethdev_long_frames),
	};

	return cmocka_run_group_tests(tests, setup, rig_eal_end);
}
