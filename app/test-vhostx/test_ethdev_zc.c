/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy ports and what ends around them while packets are out: rings, memory, connections, ports.
 */
#include <sys/resource.h>

#include <ethdev_driver.h>

#include "test_ethdev_front.h"

#include "ring/lend.h"

#define LONG 1500u

static const struct port_conf lender = { .devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512" };
static const struct port_conf patient = {
	.devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512,zc-deadline=400",
};

/* Each case runs on both formats. */
static const struct front_conf formats[] = {
	{ .format = GUEST_SPLIT },
	{ .format = GUEST_PACKED },
};

/* The guest transmits one packet, the application gets it. */
static struct rte_mbuf *
pass(struct front *f, uint16_t port, uint32_t seed)
{
	struct rte_mbuf *m = NULL;

	front_send(f, 0, LONG, seed);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
	return m;
}

/* As pass(), and the packet must be the guest's buffer. */
static struct rte_mbuf *
pass_lent(struct front *f, uint16_t port, uint32_t seed)
{
	struct rte_mbuf *m = pass(f, port, seed);

	assert_int_equal(m->nb_segs, 2);
	assert_true(RTE_MBUF_HAS_EXTBUF(m->next));
	return m;
}

static uint64_t
xstat(uint16_t port, const char *name)
{
	uint64_t id, value;

	assert_int_equal(rte_eth_xstats_get_id_by_name(port, name, &id), 0);
	assert_int_equal(rte_eth_xstats_get_by_id(port, &id, &value, 1), 1);
	return value;
}

/* What the guest keeps for the front-end may be unmapped by it at any time: look at it from our side. */
static void
assert_readable(const struct rte_mbuf *m, uint32_t seed)
{
	uint32_t off = 0;

	for (; m != NULL; m = m->next) {
		assert_true(guest_net_matches(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, seed, off));
		off += m->data_len;
	}
	assert_int_equal(off, LONG);
}

static void
for_each_format(void (*run)(const struct front_conf *conf))
{
	for (size_t i = 0; i < RTE_DIM(formats); i++) {
		run(&formats[i]);
		/* What was out of a port that is closed is unmapped a moment after it is freed. */
		wait_until(vhostx_map_count() == 0);
	}
}

/* --- a ring that runs ------------------------------------------------------------------------------ */

static void
check_burst(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < 500; i++) {
		m = pass_lent(f, port, i);
		assert_int_equal(front_reap(f, 0), 0);
		assert_readable(m, i);
		rte_pktmbuf_free(m);
		wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && front_reap(f, 0) == 1);
	}
	assert_int_equal(xstat(port, "rx_q0_zc_packets"), 500);
	assert_int_equal(xstat(port, "zc_outstanding"), 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_returns_at_next_burst(void **state)
{
	(void)state;
	for_each_format(check_burst);
}

/* Nobody polls any more: the control thread gives the buffer back, and calls the guest, within 1 ms. */
static void
check_unpolled(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	uint32_t in_time = 0;
	struct rte_mbuf *m;
	uint64_t start;

	guest_ring_calls(&f->ring[1], true);
	for (uint32_t i = 0; i < 20; i++) {
		m = pass_lent(f, port, i);
		front_calls(f, 1);
		start = rte_get_tsc_cycles();
		rte_pktmbuf_free(m);
		wait_until(front_reap(f, 0) == 1);
		in_time += rte_get_tsc_cycles() - start <= rte_get_tsc_hz() / 1000;
		wait_until(front_calls(f, 1) == 1);
		/* So long that the control thread went to sleep in between. */
		if (i % 4 == 0)
			rte_delay_us_sleep(50000);
	}
	print_message("%u of 20 within 1 ms\n", in_time);
	/* A machine that does other things is late at times. */
	assert_true(in_time >= 5);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_returns_unpolled(void **state)
{
	(void)state;
	for_each_format(check_unpolled);
}

/* Nobody has polled for hours: the clock has come round half way. */
static void
check_long_unpolled(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct vhostx_queue *q = rte_eth_devices[port].data->rx_queues[0];
	struct rte_mbuf *m = pass_lent(f, port, 1);
	const uint64_t start = now_ms();
	const struct vhostx_snapshot *s = vhostx_queue_visit(q);

	assert_non_null(s);
	__atomic_store_n(&s->zc->polled, vhostx_zc_now() - 0x80100000u, __ATOMIC_RELAXED);
	vhostx_queue_unvisit(q);
	rte_pktmbuf_free(m);
	wait_until(front_reap(f, 0) == 1);
	assert_true(now_ms() - start < 1000);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_returns_long_unpolled(void **state)
{
	(void)state;
	for_each_format(check_long_unpolled);
}

/* How often threads of this process went to sleep: the control thread, the test itself only yields. */
static uint64_t
count_sleeps(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_nvcsw;
}

/* The control thread takes a core from somebody when it wakes: not much oftener than each ms, while all are polled. */
static void
check_polled(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	const uint64_t start = now_ms(), before = count_sleeps();
	uint64_t sleeps, ms;
	struct rte_mbuf *m;

	do {
		m = pass_lent(f, port, 1);
		rte_pktmbuf_free(m);
		wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && front_reap(f, 0) == 1);
		ms = now_ms() - start;
	} while (ms < 300);
	sleeps = count_sleeps() - before;
	print_message("%.2f a millisecond\n", (double)sleeps / ms);
	assert_true(sleeps > 0);
	assert_true(sleeps * 5 < ms * 7);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_lets_pollers_work(void **state)
{
	(void)state;
	for_each_format(check_polled);
}

/* A stopped port has no queues that could be polled. */
static void
check_stopped(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1);

	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	wait_until(front_reap(f, 0) == 1);
	assert_int_equal(rte_eth_dev_start(port), 0);
	m = pass_lent(f, port, 2);
	assert_readable(m, 2);
	rte_pktmbuf_free(m);
	wait_until(front_reap(f, 0) == 1);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_returns_while_stopped(void **state)
{
	(void)state;
	for_each_format(check_stopped);
}

/* Packets that are never freed: the guest has the other half of its ring. */
static void
check_hoarder(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *kept[200], *m;
	uint32_t lent = 0;

	for (uint32_t i = 0; i < RTE_DIM(kept); i++) {
		kept[i] = pass(f, port, i);
		lent += kept[i]->nb_segs == 2;
		front_reap(f, 0);
		assert_true(guest_ring_free(&f->ring[1]) > 0);
	}
	assert_int_equal(lent, 32);
	assert_int_equal(xstat(port, "rx_q0_zc_copied_inflight"), RTE_DIM(kept) - 32);
	assert_int_equal(xstat(port, "zc_outstanding"), 32);
	rte_pktmbuf_free_bulk(kept, RTE_DIM(kept));
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && xstat(port, "zc_outstanding") == 0);
	front_reap(f, 0);
	assert_int_equal(guest_ring_free(&f->ring[1]), 64);
	assert_true(xstat(port, "zc_longest_us") > 0);
	rte_eth_xstats_reset(port);
	assert_int_equal(xstat(port, "zc_longest_us"), 0);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_lives_with_hoarder(void **state)
{
	(void)state;
	for_each_format(check_hoarder);
}

/* --- the end of a ring ------------------------------------------------------------------------------ */

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
	const uint32_t base = get_base(f, 1);

	assert_true(now_ms() - start >= 399);
	assert_int_equal(front_reap(f, 0), 1);
	assert_int_equal(base, conf->format == GUEST_PACKED ? guest_ring_base(&f->ring[1]) :
		guest_ring_base(&f->ring[1]) & 0xffff);
	assert_int_equal(xstat(port, "rx_q0_zc_completed_early"), 1);
	assert_int_equal(xstat(port, "zc_outstanding"), 1);
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	wait_until(xstat(port, "zc_outstanding") == 0);
	/* It was out longer than any that came back in time. */
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

struct later {
	struct rte_mbuf *m;
	pthread_t thread;
};

static void *
free_later(void *arg)
{
	struct later *later = arg;

	rte_delay_us_sleep(20000);
	rte_pktmbuf_free(later->m);
	return NULL;
}

/* The answer comes when the packet is freed. */
static void
check_base_soon(const struct front_conf *conf)
{
	const struct port_conf very_patient = {
		.devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512,zc-deadline=10000",
	};
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

/* --- the end of memory, connection and port ------------------------------------------------------------ */

/* A region that is removed: its table is acknowledged after the deadline, and it stays as long as it is read. */
static void
check_memory(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_new(conf);
	const uint64_t gpa = FRONT_GPA + (1u << 30);
	const struct guest_seg seg = { gpa, FRONT_HDR + LONG, false };
	struct rte_mbuf *m = NULL;
	uint8_t bytes[FRONT_HDR + LONG] = { 0 };
	uint64_t start;

	assert_int_equal(guest_mem_add(&f->mem, gpa, 65536, FRONT_UVA + (1u << 30), GUEST_PLACE_START), 1);
	front_connect(f, 0);
	guest_net_pattern(bytes + FRONT_HDR, LONG, 3, 0);
	assert_int_equal(guest_mem_write(&f->mem, gpa, bytes, sizeof(bytes)), 0);
	assert_true(guest_ring_add(&f->ring[1], &seg, 1) >= 0);
	front_publish(f, 1);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
	assert_int_equal(m->nb_segs, 2);
	assert_int_equal(vhostx_map_count(), 2);
	/* The guest has one region less; what it took from the other is still out. */
	f->mem.nr = 1;
	start = now_ms();
	front_memory(f);
	assert_true(now_ms() - start >= 399);
	f->mem.nr = 2;
	assert_int_equal(vhostx_map_count(), 2);
	assert_readable(m, 3);
	/* The ring has gone on. */
	rte_pktmbuf_free(pass_lent(f, port, 4));
	rte_pktmbuf_free(m);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && xstat(port, "zc_outstanding") == 0);
	wait_until(vhostx_map_count() == 1);
	assert_int_equal(front_reap(f, 0), 2);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_memory_leaves(void **state)
{
	(void)state;
	for_each_format(check_memory);
}

static void
check_disconnect(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1), *next;

	front_disconnect(f);
	wait_until(!port_is_up(port));
	wait_until(front_reap(f, 0) == 1);
	assert_readable(m, 1);
	/* The same guest comes back: its ring is whole. */
	front_connect(f, 0);
	next = pass_lent(f, port, 2);
	assert_readable(m, 1);
	assert_readable(next, 2);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(next);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && xstat(port, "zc_outstanding") == 0);
	assert_int_equal(front_reap(f, 0), 1);
	assert_int_equal(vhostx_map_count(), 1);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_outlives_connection(void **state)
{
	(void)state;
	for_each_format(check_disconnect);
}

/* A front-end that is back before the deadline is over: the last life of its ring ends first. */
static void
check_reconnect(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1), *next;

	front_disconnect(f);
	front_connect(f, 0);
	assert_int_equal(front_reap(f, 0), 1);
	next = pass_lent(f, port, 2);
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(next);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_reconnects_within_deadline(void **state)
{
	(void)state;
	for_each_format(check_reconnect);
}

/* The front-end goes while its message waits. */
static void
check_gone(const struct front_conf *conf)
{
	const struct vhostx_msg_vring_state ask = { .index = 1 };
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1);

	front_sendmsg(f, VHOSTX_GET_VRING_BASE, &ask, sizeof(ask), NULL, 0);
	wait_until(!port_is_up(port));
	front_disconnect(f);
	wait_until(front_reap(f, 0) == 1);
	front_connect(f, 0);
	rte_pktmbuf_free(pass_lent(f, port, 2));
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_front_end_goes_while_it_waits(void **state)
{
	(void)state;
	for_each_format(check_gone);
}

/* After the port nothing is left but what its packets are in. */
static void
check_close(const struct front_conf *conf)
{
	const unsigned int threads = count_threads();
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m[3];
	struct later later;

	for (uint32_t i = 0; i < RTE_DIM(m); i++)
		m[i] = pass_lent(f, port, i);
	port_close(port);
	assert_int_equal(front_reap(f, 0), RTE_DIM(m));
	assert_int_equal(vhostx_map_count(), 1);
	for (uint32_t i = 0; i < RTE_DIM(m); i++)
		assert_readable(m[i], i);
	rte_pktmbuf_free(m[2]);
	rte_pktmbuf_free(m[0]);
	later.m = m[1];
	assert_int_equal(pthread_create(&later.thread, NULL, free_later, &later), 0);
	pthread_join(later.thread, NULL);
	wait_until(vhostx_map_count() == 0);
	assert_true(count_threads() <= threads + 1);
	front_free(f);
}

static void
test_ethdev_zc_outlives_port(void **state)
{
	(void)state;
	for_each_format(check_close);
}

static void
test_ethdev_zc_close_while_front_end_waits(void **state)
{
	const struct vhostx_msg_vring_state ask = { .index = 1 };
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, &formats[0]);
	struct rte_mbuf *m = pass_lent(f, port, 1);

	(void)state;
	front_sendmsg(f, VHOSTX_GET_VRING_BASE, &ask, sizeof(ask), NULL, 0);
	wait_until(!port_is_up(port));
	port_close(port);
	assert_int_equal(front_reap(f, 0), 1);
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	wait_until(vhostx_map_count() == 0);
	front_free(f);
}

/* Buffers come back in any order: the guest may not count on another one. */
static void
test_ethdev_zc_offers_no_order(void **state)
{
	const uint16_t zc = vhost_open(0, &lender), copying = vhost_open(1, &(struct port_conf){ 0 });
	struct front *f = front_open(0, &formats[0]), *g = front_open(1, &formats[0]);

	(void)state;
	assert_false(front_offered(f) & RTE_BIT64(VIRTIO_F_IN_ORDER));
	assert_true(front_offered(g) & RTE_BIT64(VIRTIO_F_IN_ORDER));
	front_free(f);
	front_free(g);
	port_close(zc);
	port_close(copying);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_zc_returns_at_next_burst),
		rig_case(test_ethdev_zc_returns_unpolled),
		rig_case(test_ethdev_zc_returns_long_unpolled),
		rig_case(test_ethdev_zc_lets_pollers_work),
		rig_case(test_ethdev_zc_returns_while_stopped),
		rig_case(test_ethdev_zc_lives_with_hoarder),
		rig_case(test_ethdev_zc_base_waits_for_deadline),
		rig_case(test_ethdev_zc_base_waits_no_longer),
		rig_case(test_ethdev_zc_no_other_port_waits),
		rig_case(test_ethdev_zc_copies_after_many_restarts),
		rig_case(test_ethdev_zc_memory_leaves),
		rig_case(test_ethdev_zc_outlives_connection),
		rig_case(test_ethdev_zc_reconnects_within_deadline),
		rig_case(test_ethdev_zc_front_end_goes_while_it_waits),
		rig_case(test_ethdev_zc_outlives_port),
		rig_case(test_ethdev_zc_close_while_front_end_waits),
		rig_case(test_ethdev_zc_offers_no_order),
	};

	return rig_main(tests);
}
