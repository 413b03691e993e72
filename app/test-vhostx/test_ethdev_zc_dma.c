/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy ports whose guest's memory takes long to be registered for devices, or cannot be: what others notice of
 * it. The EAL is the real one; here it is held up, or refuses.
 */
#include <pthread.h>

#include <rte_errno.h>
#include <rte_memory.h>

#include "test_ethdev_zc.h"

#include "user/sock.h"

static const struct port_conf for_devices = { .devargs = ",dequeue-zero-copy=1,zc-threshold=512" };

/* What happens to who registers; all atomic. */
static struct {
	bool hold;             /* he is kept waiting */
	bool refuse;           /* he is refused */
	uint32_t in, out;      /* regions that were registered, and that are not any more */
} eal;

int __real_rte_extmem_register(void *va, size_t len, rte_iova_t iova[], unsigned int n, size_t page);
int __real_rte_extmem_unregister(void *va, size_t len);
int __wrap_rte_extmem_register(void *va, size_t len, rte_iova_t iova[], unsigned int n, size_t page);
int __wrap_rte_extmem_unregister(void *va, size_t len);
pid_t __wrap_vhostx_sock_peer(const struct vhostx_sock *sock);

int
__wrap_rte_extmem_register(void *va, size_t len, rte_iova_t iova[], unsigned int n, size_t page)
{
	int ret;

	while (__atomic_load_n(&eal.hold, __ATOMIC_ACQUIRE))
		rte_delay_us_sleep(100);
	if (__atomic_load_n(&eal.refuse, __ATOMIC_ACQUIRE)) {
		rte_errno = ENOSPC;
		return -1;
	}
	ret = __real_rte_extmem_register(va, len, iova, n, page);
	if (ret == 0)
		__atomic_fetch_add(&eal.in, 1, __ATOMIC_RELEASE);
	return ret;
}

int
__wrap_rte_extmem_unregister(void *va, size_t len)
{
	int ret;

	/* As long as VFIO takes: who does not wait for it is seen. */
	rte_delay_us_sleep(2000);
	ret = __real_rte_extmem_unregister(va, len);
	__atomic_fetch_add(&eal.out, 1, __ATOMIC_RELEASE);
	return ret;
}

/* The front-end is in another process, for whose memory alone the EAL is asked. */
pid_t
__wrap_vhostx_sock_peer(const struct vhostx_sock *sock)
{
	(void)sock;
	return 1;
}

static void
set(bool *what, bool on)
{
	__atomic_store_n(what, on, __ATOMIC_RELEASE);
}

/* A packet passes, and is one mbuf: it was copied. */
static void
pass_copied(struct front *f, uint16_t port, uint32_t seed)
{
	struct rte_mbuf *m = pass(f, port, seed);

	assert_int_equal(m->nb_segs, 1);
	assert_readable(m, seed);
	rte_pktmbuf_free(m);
}

/* Packets pass until one is lent. */
static struct rte_mbuf *
pass_until_lent(struct front *f, uint16_t port)
{
	const uint64_t end = now_ms() + 5000;
	struct rte_mbuf *m;
	uint32_t seed = 100;

	while ((m = pass(f, port, ++seed))->nb_segs == 1 && now_ms() < end) {
		rte_pktmbuf_free(m);
		front_reap(f, 0);
		rte_delay_us_sleep(500);
	}
	assert_int_equal(m->nb_segs, 2);
	assert_readable(m, seed);
	return m;
}

/* All that was registered is not any more when the last port has been closed. */
static void
assert_nothing_registered(void)
{
	assert_int_equal(__atomic_load_n(&eal.in, __ATOMIC_ACQUIRE), __atomic_load_n(&eal.out, __ATOMIC_ACQUIRE));
}

/* While one guest's memory is being registered its packets are copied, and all ports are served. */
static void
check_slow(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &for_devices), other = vhost_open(1, &lender);
	const uint32_t before = eal.in;
	struct front *f, *g;
	struct rte_mbuf *m;

	set(&eal.hold, true);
	f = front_open(0, conf);
	g = front_open(1, conf);
	pass_copied(f, port, 1);
	rte_pktmbuf_free(pass_lent(g, other, 2));
	assert_int_equal(xstat(port, "rx_q0_zc_copied_no_dma"), 1);
	assert_int_equal(eal.in, before);
	set(&eal.hold, false);
	m = pass_until_lent(f, port);
	assert_int_equal(eal.in, before + 1);
	assert_true(rte_mbuf_iova_get(m->next) != RTE_BAD_IOVA);
	rte_pktmbuf_free(m);
	front_free(f);
	front_free(g);
	port_close(port);
	port_close(other);
	assert_nothing_registered();
}

static void
test_ethdev_zc_dma_holds_nobody_up(void **state)
{
	(void)state;
	for_each_format(check_slow);
}

/* A front-end that leaves meanwhile: what becomes registered is given back. */
static void
check_leaves(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &for_devices);
	struct front *f;

	set(&eal.hold, true);
	f = front_open(0, conf);
	pass_copied(f, port, 1);
	front_free(f);
	wait_until(!port_is_up(port));
	set(&eal.hold, false);
	f = front_open(0, conf);
	rte_pktmbuf_free(pass_until_lent(f, port));
	front_free(f);
	port_close(port);
	assert_nothing_registered();
}

static void
test_ethdev_zc_dma_front_end_leaves(void **state)
{
	(void)state;
	for_each_format(check_leaves);
}

/* What is refused late is copied for good, until the guest's driver starts again and there is room. */
static void
check_refused(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &for_devices);
	const struct vhostx_msg_vring_state ask = { .index = 1 };
	struct front *f;

	set(&eal.hold, true);
	f = front_open(0, conf);
	set(&eal.refuse, true);
	set(&eal.hold, false);
	for (uint32_t i = 0; i < 20; i++) {
		pass_copied(f, port, i);
		rte_delay_us_sleep(1000);
	}
	set(&eal.refuse, false);
	front_sendmsg(f, VHOSTX_GET_VRING_BASE, &ask, sizeof(ask), NULL, 0);
	front_reply(f);
	front_start_ring(f, 1);
	front_enable(f, 0, true);
	rte_pktmbuf_free(pass_until_lent(f, port));
	front_free(f);
	port_close(port);
	assert_nothing_registered();
}

static void
test_ethdev_zc_dma_refused_late(void **state)
{
	(void)state;
	for_each_format(check_refused);
}

/* Who lets the EAL go on, after two seconds. */
static void *
let_go(void *arg)
{
	rte_delay_us_sleep(2000000);
	set(&eal.hold, false);
	return arg;
}

/* A port is closed while another one's memory is being registered: it does not wait for that. */
static void
check_close(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &for_devices), other = vhost_open(1, &lender);
	struct front *f;
	pthread_t thread;

	set(&eal.hold, true);
	assert_int_equal(pthread_create(&thread, NULL, let_go, NULL), 0);
	f = front_open(0, conf);
	pass_copied(f, port, 1);
	port_close(other);
	assert_true(__atomic_load_n(&eal.hold, __ATOMIC_ACQUIRE));
	pthread_join(thread, NULL);
	front_free(f);
	port_close(port);
	assert_nothing_registered();
}

static void
test_ethdev_zc_dma_close_of_another_port(void **state)
{
	(void)state;
	for_each_format(check_close);
}

/*
 * Packets are out when the last port is closed, and freed before the EAL ends, as a NIC does that is closed later: when
 * the device is removed their memory is not registered any more. One that is never freed holds that up, but not long.
 */
static void
check_eal_ends(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &for_devices), other = vhost_open(1, &for_devices);
	struct front *f = front_open(0, conf), *g = front_open(1, conf);
	struct rte_mbuf *m = pass_until_lent(f, port), *kept = pass_until_lent(g, other);
	uint64_t start;

	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_stop(other), 0);
	assert_int_equal(rte_eth_dev_close(port), 0);
	assert_int_equal(rte_eth_dev_close(other), 0);
	/* By now they are looked at rarely. */
	rte_delay_us_sleep(300000);
	rte_pktmbuf_free(m);
	start = now_ms();
	assert_int_equal(rte_vdev_uninit("net_vhostx0"), 0);
	assert_int_equal(rte_vdev_uninit("net_vhostx1"), 0);
	assert_true(now_ms() - start < 400);
	assert_int_equal(eal.in, eal.out + 1);
	rte_pktmbuf_free(kept);
	front_free(f);
	front_free(g);
}

static void
test_ethdev_zc_dma_eal_ends(void **state)
{
	(void)state;
	for_each_format(check_eal_ends);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_zc_dma_holds_nobody_up),
		rig_case(test_ethdev_zc_dma_front_end_leaves),
		rig_case(test_ethdev_zc_dma_refused_late),
		rig_case(test_ethdev_zc_dma_close_of_another_port),
		rig_case(test_ethdev_zc_dma_eal_ends),
	};

	return rig_main(tests);
}
