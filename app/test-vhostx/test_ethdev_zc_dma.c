/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Zero-copy ports whose guest's memory takes long to be registered for devices, or cannot be: what others notice of
 * it. The EAL is the real one; here it is held up, or refuses.
 */
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
	__atomic_fetch_add(&eal.out, 1, __ATOMIC_RELEASE);
	return __real_rte_extmem_unregister(va, len);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_zc_dma_holds_nobody_up),
		rig_case(test_ethdev_zc_dma_front_end_leaves),
		rig_case(test_ethdev_zc_dma_refused_late),
	};

	return rig_main(tests);
}
