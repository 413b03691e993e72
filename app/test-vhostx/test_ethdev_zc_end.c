/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy ports and the end of a ring while packets are out.
 */
#include "test_ethdev_zc_patient.h"

static uint32_t
get_base(struct front *f, uint16_t ring)
{
	const struct vhostx_msg_vring_state state = { .index = ring };

	front_sendmsg(f, VHOSTX_GET_VRING_BASE, &state, sizeof(state), NULL, 0);
	return front_reply(f) >> 32;
}

/* The answer waits for the deadline, not for the packet; the guest has all of its ring then. */
static void
check_base_late(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1);
	const uint64_t start = now_ms();
	uint32_t base;

	guest_ring_calls(&f->ring[1], true);
	front_calls(f, 1);
	base = get_base(f, 1);
	assert_true(now_ms() - start >= 399);
	assert_int_equal(front_calls(f, 1), 1);
	assert_int_equal(front_reap(f, 0), 1);
	assert_int_equal(base, conf->format == GUEST_PACKED ? guest_ring_base(&f->ring[1]) :
		guest_ring_base(&f->ring[1]) & 0xffff);
	assert_int_equal(xstat(port, "rx_q0_zc_completed_early"), 1);
	assert_int_equal(xstat(port, "zc_outstanding"), 1);
	assert_readable(m, 1);
	/* It is out longer than any that came back in time, and that is told before it comes back. */
	assert_true(xstat(port, "zc_longest_us") >= 399000);
	rte_pktmbuf_free(m);
	wait_until(xstat(port, "zc_outstanding") == 0);
	assert_true(xstat(port, "zc_longest_us") >= 399000);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_base_waits_for_deadline(void **state)
{
	(void)state;
	for_each_format(check_base_late);
}

/*
 * A front-end that stops ends one ring after the other: they wait for one deadline, not for one each. What ends a
 * deadline later is awaited again.
 */
static void
check_one_deadline(const struct front_conf *conf)
{
	struct port_conf slow = patient;
	struct front_conf three = *conf;
	struct rte_mbuf *m[3];
	struct front *f;
	uint64_t start, late;
	uint16_t port;

	slow.queues = three.pairs = 3;
	port = vhost_open(0, &slow);
	f = front_open(0, &three);
	for (uint16_t i = 0; i < 3; i++) {
		front_send(f, i, LONG, i);
		wait_until(rte_eth_rx_burst(port, i, &m[i], 1) == 1);
	}
	start = now_ms();
	get_base(f, 1);
	assert_true(now_ms() - start >= 399);
	start = now_ms();
	wait_until(now_ms() - start >= 200);
	late = now_ms();
	get_base(f, 3);
	assert_true(now_ms() - late < 300);
	/* This one was not awaited, and makes it no later. */
	wait_until(now_ms() - start >= 410);
	late = now_ms();
	get_base(f, 5);
	assert_true(now_ms() - late >= 399);
	assert_int_equal(front_reap(f, 1), 1);
	assert_int_equal(xstat(port, "rx_q1_zc_completed_early"), 1);
	rte_pktmbuf_free_bulk(m, 3);
	wait_until(xstat(port, "zc_outstanding") == 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_rings_share_deadline(void **state)
{
	(void)state;
	for_each_format(check_one_deadline);
}

/* A packet that is freed after its ring's end stays out of the ring, which is the guest's to put something else there. */
static void
free_without_ring(struct front *f, uint16_t port, struct rte_mbuf *m)
{
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	wait_until(xstat(port, "zc_outstanding") == 0);
	assert_int_equal(front_reap(f, 0), 0);
	front_free(f);
	port_close(port);
}

/* Whatever ends a ring waits for what is out of it, and then gives it back. */
static void
check_end_waits(const struct front_conf *conf, uint32_t request, const void *payload, uint32_t size)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1);
	const uint64_t start = now_ms();

	front_do(f, request, payload, size, -1);
	assert_true(now_ms() - start >= 49);
	assert_int_equal(front_reap(f, 0), 1);
	assert_int_equal(xstat(port, "rx_q0_zc_completed_early"), 1);
	free_without_ring(f, port, m);
}

static void
check_ends(const struct front_conf *conf)
{
	const struct vhostx_msg_vring_state base = { .index = 1,
		.num = conf->format == GUEST_PACKED ? GUEST_PACKED_BASE : 0 };
	const uint64_t reset = 0;

	check_end_waits(conf, VHOSTX_SET_VRING_BASE, &base, sizeof(base));
	check_end_waits(conf, VHOSTX_RESET_DEVICE, NULL, 0);
	check_end_waits(conf, VHOSTX_SET_STATUS, &reset, sizeof(reset));
}

static void
test_ethdev_zc_every_end_waits(void **state)
{
	(void)state;
	for_each_format(check_ends);
}

/* A ring whose end waits does not go on: it would not come to an end. */
static void
check_rests(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &very_patient);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *kept = pass_lent(f, port, 1), *m;
	const struct vhostx_msg_vring_state ask = { .index = 1 };
	uint32_t sent = 0, got;

	front_sendmsg(f, VHOSTX_GET_VRING_BASE, &ask, sizeof(ask), NULL, 0);
	/* Some may pass before the message is read. */
	do {
		front_send(f, 0, LONG, ++sent);
		rte_delay_us_sleep(1000);
		got = rte_eth_rx_burst(port, 0, &m, 1);
		rte_pktmbuf_free_bulk(&m, got);
	} while (got != 0 && sent < 100);
	assert_int_equal(got, 0);
	rte_pktmbuf_free(kept);
	front_reply(f);
	assert_int_equal(front_reap(f, 0), sent);
	assert_int_equal(xstat(port, "rx_q0_zc_completed_early"), 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_ring_rests_while_it_ends(void **state)
{
	(void)state;
	for_each_format(check_rests);
}

/* The answer comes when the packet is freed. */
static void
check_base_soon(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &very_patient);
	struct front *f = front_open(0, conf);
	struct later later = { .m = pass_lent(f, port, 1) };
	const uint64_t start = now_ms();

	assert_int_equal(pthread_create(&later.thread, NULL, free_later, &later), 0);
	get_base(f, 1);
	assert_true(now_ms() - start < 9000);
	pthread_join(later.thread, NULL);
	assert_int_equal(front_reap(f, 0), 1);
	assert_int_equal(xstat(port, "rx_q0_zc_completed_early"), 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_base_waits_no_longer(void **state)
{
	(void)state;
	for_each_format(check_base_soon);
}

/* One port's front-end waits, another's is answered at once. */
static void
test_ethdev_zc_no_other_port_waits(void **state)
{
	const struct port_conf very_patient = {
		.devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512,zc-deadline=3000",
	};
	const struct vhostx_msg_vring_state ask = { .index = 1 };
	const uint16_t slow = vhost_open(0, &very_patient), fast = vhost_open(1, &lender);
	struct front *f = front_open(0, &formats[0]), *g = front_open(1, &formats[0]);
	struct rte_mbuf *m = pass_lent(f, slow, 1);
	uint64_t start;

	(void)state;
	front_sendmsg(f, VHOSTX_GET_VRING_BASE, &ask, sizeof(ask), NULL, 0);
	start = now_ms();
	for (uint32_t i = 0; i < 20; i++)
		get_base(g, 1);
	assert_true(now_ms() - start < 2500);
	front_reply(f);
	assert_true(now_ms() - start >= 2999);
	rte_pktmbuf_free(m);
	front_free(f);
	front_free(g);
	port_close(slow);
	port_close(fast);
	wait_until(vhostx_map_count() == 0);
}

/* Restarts with packets of every life kept: after some of them the ring copies, until they are freed. */
static void
check_restarts(const struct front_conf *conf)
{
	const struct port_conf hasty = {
		.devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512,zc-deadline=1",
	};
	const uint16_t port = vhost_open(0, &hasty);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *kept[VHOSTX_ZC_OLD + 2], *m;
	uint32_t lent = 0;

	for (uint32_t i = 0; i < RTE_DIM(kept); i++) {
		kept[i] = pass(f, port, i);
		lent += kept[i]->nb_segs == 2;
		get_base(f, 1);
		front_reap(f, 0);
		front_start_ring(f, 1);
	}
	assert_int_equal(lent, VHOSTX_ZC_OLD);
	assert_int_equal(xstat(port, "rx_q0_zc_copied_held"), 2);
	for (uint32_t i = 0; i < RTE_DIM(kept); i++)
		assert_readable(kept[i], i);
	rte_pktmbuf_free_bulk(kept, RTE_DIM(kept));
	wait_until(xstat(port, "zc_outstanding") == 0);
	m = pass_lent(f, port, 9);
	rte_pktmbuf_free(m);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_copies_after_many_restarts(void **state)
{
	(void)state;
	for_each_format(check_restarts);
}

/* A ring that goes on with fewer entries is another one: what the last one has lent has no place there. */
static void
check_shape(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1);

	front_do_state(f, VHOSTX_SET_VRING_NUM, 1, 32);
	front_do_u64(f, VHOSTX_SET_VRING_KICK, 1, f->kickfd[1]);
	free_without_ring(f, port, m);
}

static void
test_ethdev_zc_ring_of_another_size(void **state)
{
	(void)state;
	for_each_format(check_shape);
}

/* A request that was not agreed on is refused, and ends nothing. */
static void
check_refused(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1);
	const uint64_t start = now_ms(), status = 0;

	front_sendmsg(f, VHOSTX_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0);
	front_do_u64(f, VHOSTX_SET_PROTOCOL_FEATURES, front_reply(f) & ~RTE_BIT64(VHOSTX_PROTOCOL_F_STATUS), -1);
	front_sendmsg(f, VHOSTX_SET_STATUS, &status, sizeof(status), NULL, 0);
	assert_int_equal(front_reply(f), 1);
	assert_true(now_ms() - start < 399);
	rte_pktmbuf_free(pass_lent(f, port, 2));
	rte_pktmbuf_free(m);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_regress_refused_end(void **state)
{
	(void)state;
	for_each_format(check_refused);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_zc_base_waits_for_deadline),
		rig_case(test_ethdev_zc_rings_share_deadline),
		rig_case(test_ethdev_zc_ring_rests_while_it_ends),
		rig_case(test_ethdev_zc_every_end_waits),
		rig_case(test_ethdev_zc_base_waits_no_longer),
		rig_case(test_ethdev_zc_no_other_port_waits),
		rig_case(test_ethdev_zc_copies_after_many_restarts),
		rig_case(test_ethdev_zc_ring_of_another_size),
		rig_case(test_ethdev_zc_regress_refused_end),
	};

	return rig_main(tests);
}
