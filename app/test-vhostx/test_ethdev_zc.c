/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy ports whose rings run: what comes back, when, and what those who keep it do to the guest.
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include <ethdev_driver.h>

#include "test_ethdev_zc.h"

#include "mem/inflight.h"
#include "ring/lend.h"

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

/* Registering memory would wait for a lock that a front-end of this process may hold: what devices read is copied. */
static void
check_own_front(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ .devargs = ",dequeue-zero-copy=1,zc-threshold=512" });
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass(f, port, 1);

	assert_int_equal(xstat(port, "rx_q0_zc_copied_no_dma"), 1);
	assert_readable(m, 1);
	rte_pktmbuf_free(m);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_registers_nothing_of_own_front_end(void **state)
{
	(void)state;
	for_each_format(check_own_front);
}

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

#define UNPOLLED 20u

/* Nobody polls any more: the control thread gives buffers back, and calls the guest. @return how many within 1 ms. */
static uint32_t
count_in_time(struct front *f, uint16_t port)
{
	uint32_t in_time = 0;
	struct rte_mbuf *m;
	uint64_t start;

	for (uint32_t i = 0; i < UNPOLLED; i++) {
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
	print_message("%u of %u within 1 ms\n", in_time, UNPOLLED);
	return in_time;
}

static void
check_unpolled(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	unsigned int tries = 10;

	guest_ring_calls(&f->ring[1], true);
	/* A machine that does other things is late most of the time. */
	while (count_in_time(f, port) < UNPOLLED / 4)
		assert_int_not_equal(--tries, 0);
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

#define POLLED_PORTS 4

/*
 * The control thread takes a core from somebody when it wakes: not much oftener than each ms, while all are polled,
 * however many ports there are.
 */
static void
check_polled(const struct front_conf *conf)
{
	struct front *f[POLLED_PORTS];
	uint16_t port[POLLED_PORTS];
	uint64_t start, before, sleeps, ms;
	struct rte_mbuf *m;

	for (unsigned int i = 0; i < POLLED_PORTS; i++) {
		port[i] = vhost_open(i, &lender);
		f[i] = front_open(i, conf);
	}
	/* They begin at different times. */
	for (unsigned int i = 0; i < POLLED_PORTS; i++) {
		rte_pktmbuf_free(pass_lent(f[i], port[i], 0));
		rte_delay_us_block(200);
		wait_until(rte_eth_rx_burst(port[i], 0, &m, 1) == 0 && front_reap(f[i], 0) == 1);
	}
	start = now_ms();
	before = count_sleeps();
	do {
		for (unsigned int i = 0; i < POLLED_PORTS; i++) {
			m = pass_lent(f[i], port[i], 1);
			rte_pktmbuf_free(m);
			wait_until(rte_eth_rx_burst(port[i], 0, &m, 1) == 0 && front_reap(f[i], 0) == 1);
		}
		ms = now_ms() - start;
	} while (ms < 1000);
	sleeps = count_sleeps() - before;
	print_message("%.2f a millisecond\n", (double)sleeps / ms);
	assert_true(sleeps > 0);
	assert_true(sleeps * 5 < ms * 7);
	for (unsigned int i = 0; i < POLLED_PORTS; i++) {
		front_free(f[i]);
		port_close(port[i]);
	}
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

#define LOG_LEN 16384u

/* The front-end wants to know from now on what is written. @return its log, where nothing is noted yet. */
static uint8_t *
front_log(struct front *f, int *fd)
{
	const struct vhostx_msg_log desc = { .size = LOG_LEN };
	uint8_t *log;

	*fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(*fd, LOG_LEN), 0);
	log = mmap(NULL, LOG_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(log != MAP_FAILED);
	front_sendmsg(f, VHOSTX_SET_LOG_BASE, &desc, sizeof(desc), fd, 1);
	assert_int_equal(front_reply(f), 0);
	front_do_u64(f, VHOSTX_SET_FEATURES, front_features(&f->conf) | RTE_BIT64(VHOSTX_F_LOG_ALL), -1);
	memset(log, 0, LOG_LEN);
	return log;
}

/* What the control thread writes into the ring is in the log, too; and nothing is lent while there is one. */
static void
check_logged(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	const struct guest_ring_conf *ring = &f->ring[1].conf;
	const uint64_t page = (conf->format == GUEST_PACKED ? ring->desc_gpa : ring->device_gpa) / 4096;
	struct rte_mbuf *m = pass_lent(f, port, 1);
	uint8_t *log;
	int fd;

	log = front_log(f, &fd);
	rte_pktmbuf_free(m);
	wait_until(front_reap(f, 0) == 1);
	/* It may be noted a moment after it is written. */
	wait_until(__atomic_load_n(&log[page / 8], __ATOMIC_RELAXED) & 1u << page % 8);
	m = pass(f, port, 2);
	assert_readable(m, 2);
	rte_pktmbuf_free(m);
	assert_int_equal(xstat(port, "rx_q0_zc_copied_logged"), 1);
	front_free(f);
	port_close(port);
	munmap(log, LOG_LEN);
	close(fd);
}

static void
test_ethdev_zc_logs_what_returns_unpolled(void **state)
{
	(void)state;
	for_each_format(check_logged);
}

/* The front-end keeps a record of what is in flight from now on. @return its view of that. */
static struct vhostx_inflight *
front_record(struct front *f)
{
	const bool packed = f->conf.format == GUEST_PACKED;
	const uint16_t size = f->ring[1].conf.size;
	const struct vhostx_msg_inflight desc = {
		.mmap_size = vhostx_inflight_size(f->nr, size, packed), .num_queues = f->nr, .queue_size = size,
	};
	const int fd = vhostx_inflight_create(desc.mmap_size);
	struct vhostx_inflight *record;
	const char *why;

	assert_true(fd >= 0);
	assert_int_equal(vhostx_inflight_open(fd, 0, desc.mmap_size, f->nr, size, &record, &why), 0);
	front_do(f, VHOSTX_SET_INFLIGHT_FD, &desc, sizeof(desc), fd);
	close(fd);
	return record;
}

/* Chains of the transmitting ring that are in flight by the record. */
static uint32_t
count_noted(const struct front *f, const struct vhostx_inflight *record)
{
	const bool packed = f->conf.format == GUEST_PACKED;
	const uint16_t size = f->ring[1].conf.size;
	const union vhostx_inflight_ring *r = vhostx_inflight_ring(record, 1, size, packed);
	uint32_t n = 0;

	for (uint16_t i = 0; i < size; i++)
		n += packed ? r->packed.desc[i].inflight : r->split.desc[i].inflight;
	return n;
}

/* What the control thread gives back is out of the record, or a back-end that is killed then would give it twice. */
static void
check_noted(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = front_open(0, conf);
	struct vhostx_inflight *record = front_record(f);
	struct rte_mbuf *m[2];

	for (uint32_t i = 0; i < RTE_DIM(m); i++)
		m[i] = pass_lent(f, port, i);
	assert_int_equal(count_noted(f, record), 2);
	rte_pktmbuf_free(m[0]);
	wait_until(front_reap(f, 0) == 1 && xstat(port, "zc_outstanding") == 1);
	assert_int_equal(count_noted(f, record), 1);
	rte_pktmbuf_free(m[1]);
	wait_until(front_reap(f, 0) == 1 && xstat(port, "zc_outstanding") == 0);
	assert_int_equal(count_noted(f, record), 0);
	front_free(f);
	port_close(port);
	vhostx_inflight_close(record);
}

static void
test_ethdev_zc_notes_what_returns_unpolled(void **state)
{
	(void)state;
	for_each_format(check_noted);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_zc_offers_no_order),
		rig_case(test_ethdev_zc_registers_nothing_of_own_front_end),
		rig_case(test_ethdev_zc_returns_at_next_burst),
		rig_case(test_ethdev_zc_returns_unpolled),
		rig_case(test_ethdev_zc_returns_long_unpolled),
		rig_case(test_ethdev_zc_lets_pollers_work),
		rig_case(test_ethdev_zc_returns_while_stopped),
		rig_case(test_ethdev_zc_logs_what_returns_unpolled),
		rig_case(test_ethdev_zc_notes_what_returns_unpolled),
		rig_case(test_ethdev_zc_lives_with_hoarder),
	};

	return rig_main(tests);
}
