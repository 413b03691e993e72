/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy ports and the end of memory, connections and ports while packets are out.
 */
#include <sys/mman.h>

#include "test_ethdev_zc_patient.h"

#define SECOND_GPA (FRONT_GPA + (1u << 30))

/* A guest with a second region. */
static struct front *
open_with_second(const struct front_conf *conf)
{
	struct front *f = front_new(conf);

	assert_int_equal(guest_mem_add(&f->mem, SECOND_GPA, 65536, FRONT_UVA + (1u << 30), GUEST_PLACE_START), 1);
	front_connect(f, 0);
	return f;
}

/* It transmits a packet from there. */
static struct rte_mbuf *
pass_second(struct front *f, uint16_t port, uint32_t seed)
{
	const struct guest_seg seg = { SECOND_GPA, FRONT_HDR + LONG, false };
	uint8_t bytes[FRONT_HDR + LONG] = { 0 };
	struct rte_mbuf *m = NULL;

	guest_net_pattern(bytes + FRONT_HDR, LONG, seed, 0);
	assert_int_equal(guest_mem_write(&f->mem, SECOND_GPA, bytes, sizeof(bytes)), 0);
	assert_true(guest_ring_add(&f->ring[1], &seg, 1) >= 0);
	front_publish(f, 1);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
	assert_int_equal(m->nb_segs, 2);
	return m;
}

/* The guest has one region less: by a table without it. */
static void
leave_by_table(struct front *f)
{
	f->mem.nr = 1;
	front_memory(f);
	f->mem.nr = 2;
}

/* By name. */
static void
leave_by_name(struct front *f)
{
	const struct guest_region *r = &f->mem.region[1];
	const struct vhostx_msg_mem_reg reg = { .region = { r->gpa, r->size, r->uva, r->mmap_offset } };

	front_do(f, VHOSTX_REM_MEM_REG, &reg, sizeof(reg), -1);
}

/* By a table where another file is in its place. */
static void
leave_by_file(struct front *f)
{
	struct guest_region *r = &f->mem.region[1];
	const int fd = memfd_create("other", MFD_CLOEXEC), old = r->fd;

	assert_int_equal(ftruncate(fd, r->mmap_offset + r->size), 0);
	r->fd = fd;
	front_memory(f);
	r->fd = old;
	close(fd);
}

/*
 * A region that is removed: that is acknowledged after the deadline, and it stays as long as it is read. There are
 * @a left others then.
 */
static void
check_leaves(const struct front_conf *conf, void (*leave)(struct front *f), unsigned int left)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = open_with_second(conf);
	struct rte_mbuf *m = pass_second(f, port, 3);
	const uint64_t start = now_ms();

	assert_int_equal(vhostx_map_count(), 2);
	leave(f);
	assert_true(now_ms() - start >= 399);
	assert_int_equal(vhostx_map_count(), left + 1);
	assert_readable(m, 3);
	/* The ring has gone on. */
	rte_pktmbuf_free(pass_lent(f, port, 4));
	rte_pktmbuf_free(m);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && xstat(port, "zc_outstanding") == 0);
	wait_until(vhostx_map_count() == left);
	assert_int_equal(front_reap(f, 0), 2);
	front_free(f);
	port_close(port);
}

static void
check_memory(const struct front_conf *conf)
{
	check_leaves(conf, leave_by_table, 1);
	check_leaves(conf, leave_by_name, 1);
	check_leaves(conf, leave_by_file, 2);
}

static void
test_ethdev_zc_memory_leaves(void **state)
{
	(void)state;
	for_each_format(check_memory);
}

/* A region that is not there is refused; none is lent from less for that. */
static void
check_no_such_region(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = open_with_second(conf);
	struct rte_mbuf *m = pass_second(f, port, 3);
	const struct guest_region *r = &f->mem.region[1];
	const struct vhostx_msg_mem_reg reg = { .region = { r->gpa, r->size, r->uva + 4096, r->mmap_offset } };
	const uint64_t start = now_ms();

	front_sendmsg(f, VHOSTX_REM_MEM_REG, &reg, sizeof(reg), NULL, 0);
	assert_int_equal(front_reply(f), 1);
	assert_true(now_ms() - start < 399);
	rte_pktmbuf_free(m);
	rte_pktmbuf_free(pass_second(f, port, 4));
	front_free(f);
	port_close(port);
}

static void
test_ethdev_zc_regress_no_such_region(void **state)
{
	(void)state;
	for_each_format(check_no_such_region);
}

/* What may happen while a message with files waits. */
enum meanwhile { NOTHING, GONE, CLOSED };

/* They are closed then, as those of every message. */
static void
check_files_closed(const struct front_conf *conf, enum meanwhile what)
{
	struct front *f = front_new(conf);
	const unsigned int files = count_files();
	const uint16_t port = vhost_open(0, &lender);
	struct vhostx_msg_memory table = { .nr = 1 };
	struct rte_mbuf *m;

	assert_int_equal(guest_mem_add(&f->mem, SECOND_GPA, 65536, FRONT_UVA + (1u << 30), GUEST_PLACE_START), 1);
	front_connect(f, 0);
	m = pass_second(f, port, 3);
	table.region[0] = (struct vhostx_msg_region){ f->mem.region[0].gpa, f->mem.region[0].size,
		f->mem.region[0].uva, f->mem.region[0].mmap_offset };
	front_sendmsg(f, VHOSTX_SET_MEM_TABLE, &table, 8 + sizeof(table.region[0]), &f->mem.region[0].fd, 1);
	if (what == NOTHING)
		assert_int_equal(front_reply(f), 0);
	if (what != CLOSED)
		front_disconnect(f);
	wait_until(what == CLOSED || front_reap(f, 0) == 1);
	port_close(port);
	rte_pktmbuf_free(m);
	if (f->sock >= 0)
		front_disconnect(f);
	/* The second region's file is the guest's. */
	wait_until(count_files() <= files + 1);
	front_free(f);
}

static void
check_files(const struct front_conf *conf)
{
	check_files_closed(conf, NOTHING);
	check_files_closed(conf, GONE);
	check_files_closed(conf, CLOSED);
}

static void
test_ethdev_zc_closes_files_that_waited(void **state)
{
	(void)state;
	for_each_format(check_files);
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

/* A front-end that is back before the deadline is over is not heard until the last life of its ring has ended. */
static void
check_reconnect(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, conf);
	struct rte_mbuf *m = pass_lent(f, port, 1), *next;
	const uint64_t start = now_ms();

	front_disconnect(f);
	front_dial(f, 0);
	front_offered(f);
	assert_true(now_ms() - start >= 399);
	assert_int_equal(front_reap(f, 0), 1);
	front_introduce(f);
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

/* One of two regions is all that a packet needs: the other one goes with the port. */
static void
check_close_of_two(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &lender);
	struct front *f = open_with_second(conf);
	struct rte_mbuf *m = pass_second(f, port, 3);

	assert_int_equal(vhostx_map_count(), 2);
	port_close(port);
	wait_until(vhostx_map_count() == 1);
	assert_readable(m, 3);
	rte_pktmbuf_free(m);
	wait_until(vhostx_map_count() == 0);
	front_free(f);
}

static void
test_ethdev_zc_regress_close_lets_other_memory_go(void **state)
{
	(void)state;
	for_each_format(check_close_of_two);
}

/* Closing a port waits for the deadline, but not if the packet is freed before. */
static void
check_close_waits(const struct front_conf *conf)
{
	uint16_t port = vhost_open(0, &patient);
	struct front *f = front_open(0, conf);
	struct later later = { .m = pass_lent(f, port, 1) };
	uint64_t start = now_ms();

	port_close(port);
	assert_true(now_ms() - start >= 399);
	rte_pktmbuf_free(later.m);
	front_free(f);
	port = vhost_open(0, &very_patient);
	f = front_open(0, conf);
	later.m = pass_lent(f, port, 1);
	start = now_ms();
	assert_int_equal(pthread_create(&later.thread, NULL, free_later, &later), 0);
	port_close(port);
	assert_true(now_ms() - start < 9000);
	pthread_join(later.thread, NULL);
	assert_int_equal(front_reap(f, 0), 1);
	front_free(f);
}

static void
test_ethdev_zc_close_waits_for_deadline(void **state)
{
	(void)state;
	for_each_format(check_close_waits);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_zc_memory_leaves),
		rig_case(test_ethdev_zc_regress_no_such_region),
		rig_case(test_ethdev_zc_closes_files_that_waited),
		rig_case(test_ethdev_zc_outlives_connection),
		rig_case(test_ethdev_zc_reconnects_within_deadline),
		rig_case(test_ethdev_zc_front_end_goes_while_it_waits),
		rig_case(test_ethdev_zc_outlives_port),
		rig_case(test_ethdev_zc_regress_close_lets_other_memory_go),
		rig_case(test_ethdev_zc_close_waits_for_deadline),
		rig_case(test_ethdev_zc_close_while_front_end_waits),
	};

	return rig_main(tests);
}
