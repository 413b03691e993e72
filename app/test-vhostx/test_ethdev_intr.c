/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rx interrupts as l3fwd-power uses them: sleep when idle, wake on the guest's traffic, whatever happens
 * between the last look and the sleep.
 */
#include <fcntl.h>
#include <poll.h>

#include <rte_epoll.h>

#include "test_ethdev_front.h"

static const struct port_conf with_intr = { .rx_intr = true };

/* Both formats, with and without event-idx. */
static const struct front_conf kinds[] = {
	{ .format = GUEST_SPLIT },
	{ .format = GUEST_SPLIT, .event_idx = true },
	{ .format = GUEST_PACKED, .size = 61 },
	{ .format = GUEST_PACKED, .size = 61, .event_idx = true },
};

/* This thread waits for the queue's interrupts from now on. */
static void
intr_add(uint16_t port, uint16_t queue)
{
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q(port, queue, RTE_EPOLL_PER_THREAD,
		RTE_INTR_EVENT_ADD, (void *)(uintptr_t)(queue + 1)), 0);
}

/* Sleep until one of the queues wakes us. @return the queue, or -1 after @a ms. */
static int
intr_sleep(int ms)
{
	struct rte_epoll_event event;
	const int n = rte_epoll_wait(RTE_EPOLL_PER_THREAD, &event, 1, ms);

	assert_true(n >= 0);
	return n == 0 ? -1 : (int)(uintptr_t)event.epdata.data - 1;
}

/* An application's sleep: ask for interrupts, sleep, and ask for none. */
static int
intr_doze(uint16_t port, int ms)
{
	int queue;

	assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
	queue = intr_sleep(ms);
	assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
	return queue;
}

/* An old event may be left; after it nothing wakes an idle queue. */
static void
assert_idle(uint16_t port)
{
	intr_doze(port, 0);
	assert_int_equal(intr_doze(port, 20), -1);
}

static void
receive_one(struct front *f, uint16_t port, uint32_t seed)
{
	packet_check(port_receive(port, 0), 64, seed);
	assert_int_equal(front_reap(f, 0), 1);
}

/* Run a check on each kind of ring, with a port and a guest of its own. */
static void
on_each_kind(void (*check)(uint16_t port, struct front *f))
{
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		const uint16_t port = vhost_open(0, &with_intr);
		struct front *f = front_open(0, &kinds[i]);

		intr_add(port, 0);
		check(port, f);
		front_free(f);
		port_close(port);
	}
}

static void
check_wake(uint16_t port, struct front *f)
{
	assert_idle(port);
	/* More than one lap of the ring. */
	for (uint32_t i = 0; i < 150; i++) {
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		assert_true(front_send(f, 0, 64, i));
		assert_int_equal(intr_sleep(DEADLINE_MS), 0);
		assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
		receive_one(f, port, i);
	}
	assert_idle(port);
}

/* A packet that comes while queue 0 sleeps wakes it. */
static void
assert_wakes(struct front *f, uint16_t port, uint32_t i)
{
	assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
	assert_true(front_send(f, 0, 64, i));
	assert_int_equal(intr_sleep(DEADLINE_MS), 0);
	receive_one(f, port, i);
}

static void
test_ethdev_intr_wakes(void **state)
{
	(void)state;
	on_each_kind(check_wake);
}

/* Packets that came after the last poll and before the wish for interrupts were not kicked. */
static void
check_late(uint16_t port, struct front *f)
{
	assert_idle(port);
	for (uint32_t i = 0; i < 150; i++) {
		if (!f->conf.event_idx)
			assert_false(front_send(f, 0, 64, i));
		else
			front_send(f, 0, 64, i);
		/* Whatever the kick did is over: what wakes now is the look at the ring. */
		intr_sleep(0);
		assert_int_equal(intr_doze(port, DEADLINE_MS), 0);
		receive_one(f, port, i);
	}
	assert_idle(port);
}

static void
test_ethdev_intr_wakes_for_what_is_there(void **state)
{
	(void)state;
	on_each_kind(check_late);
}

/* Who polls is not kicked; split rings with event-idx are once, for the last wish is left behind. */
static void
check_no_kicks(uint16_t port, struct front *f)
{
	uint32_t kicks = 0;

	intr_doze(port, 0);
	for (uint32_t i = 0; i < 150; i++) {
		kicks += front_send(f, 0, 64, i);
		receive_one(f, port, i);
	}
	assert_true(kicks <= (f->conf.event_idx && f->conf.format == GUEST_SPLIT));
}

static void
test_ethdev_intr_off_means_no_kicks(void **state)
{
	(void)state;
	on_each_kind(check_no_kicks);
}

/* The guest goes and comes back while the application sleeps. */
static void
check_reconnect(uint16_t port, struct front *f)
{
	assert_idle(port);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		front_disconnect(f);
		wait_until(!port_is_up(port));
		front_connect(f, 0);
		assert_int_equal(intr_sleep(DEADLINE_MS), 0);
		/* It finds nothing, and goes to sleep on the new ring. */
		assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
		assert_idle(port);
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		assert_true(front_send(f, 0, 64, i));
		assert_int_equal(intr_sleep(DEADLINE_MS), 0);
		assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
		receive_one(f, port, i);
	}
}

static void
test_ethdev_intr_survives_reconnect(void **state)
{
	(void)state;
	on_each_kind(check_reconnect);
}

/* The guest's kicks come on another file: a driver that was reset, or an irqfd that moved. */
static void
check_new_kick(uint16_t port, struct front *f)
{
	const uint64_t one = 1;

	for (uint32_t i = 0; i < 5; i++) {
		const int old = f->kickfd[1];

		f->kickfd[1] = eventfd(0, EFD_NONBLOCK);
		front_do_u64(f, VHOSTX_SET_VRING_KICK, 1, f->kickfd[1]);
		assert_idle(port);
		assert_int_equal(write(old, &one, sizeof(one)), sizeof(one));
		assert_int_equal(intr_doze(port, 20), -1);
		close(old);
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		assert_true(front_send(f, 0, 64, i));
		assert_int_equal(intr_sleep(DEADLINE_MS), 0);
		assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
		receive_one(f, port, i);
	}
}

static void
test_ethdev_intr_follows_kick_file(void **state)
{
	(void)state;
	on_each_kind(check_new_kick);
}

static void
test_ethdev_intr_before_guest(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		const uint16_t port = vhost_open(0, &with_intr);
		struct front *f = front_new(&kinds[i]);

		intr_add(port, 0);
		assert_int_equal(intr_doze(port, 20), -1);
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		front_connect(f, 0);
		/* The wish was for a ring that was not there: it has to be uttered again. */
		assert_int_equal(intr_sleep(DEADLINE_MS), 0);
		assert_wakes(f, port, 7);
		front_free(f);
		port_close(port);
	}
}

static void
test_ethdev_intr_queues_apart(void **state)
{
	const struct port_conf conf = { .queues = 4, .rx_intr = true };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ .pairs = 4 });

	(void)state;
	for (uint16_t q = 0; q < 4; q++) {
		intr_add(port, q);
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, q), 0);
	}
	while (intr_sleep(0) >= 0)
		;
	for (uint16_t i = 0; i < 20; i++) {
		const uint16_t q = i * 3 % 4;

		assert_true(front_send(f, q, 64, i));
		assert_int_equal(intr_sleep(DEADLINE_MS), q);
		packet_check(port_receive(port, q), 64, i);
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, q), 0);
	}
	front_free(f);
}

static void
test_ethdev_intr_after_restart(void **state)
{
	const uint16_t port = vhost_open(0, &with_intr);
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	const unsigned int files = count_files();

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		intr_add(port, 0);
		assert_idle(port);
		assert_wakes(f, port, i);
		assert_int_equal(rte_eth_dev_stop(port), 0);
		assert_int_equal(intr_sleep(0), -1);
		assert_int_equal(rte_eth_dev_start(port), 0);
	}
	/* The thread's own epoll file was made at the first wait, in whichever case. */
	assert_true(count_files() <= files + 1);
	front_free(f);
}

/* A port that is configured anew may keep the queues that it was set up with. */
static void
test_ethdev_regress_intr_configured_later(void **state)
{
	const struct rte_eth_conf later = { .intr_conf.rxq = 1 };
	const uint16_t port = vhost_open(0, &(struct port_conf){ .queues = 2 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	unsigned int files = 0;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(rte_eth_dev_stop(port), 0);
		assert_int_equal(rte_eth_dev_configure(port, 2, 2, &later), 0);
		assert_int_equal(rte_eth_dev_start(port), 0);
		intr_add(port, 0);
		intr_add(port, 1);
		assert_idle(port);
		assert_wakes(f, port, i);
		assert_true(i == 0 || count_files() == files);
		files = count_files();
	}
	front_free(f);
}

/* ethdev lets a port start whose queues were not all set up; net_vhost goes without those. */
static void
test_ethdev_regress_intr_of_queue_not_set_up(void **state)
{
	const struct rte_eth_conf conf = { .intr_conf.rxq = 1 };
	const uint16_t port = vhost_open(0, &(struct port_conf){ .queues = 2 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_configure(port, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_dev_configure(port, 2, 2, &conf), 0);
	assert_int_equal(rte_eth_dev_start(port), 0);
	assert_int_equal(rte_eth_dev_rx_intr_ctl_q_get_fd(port, 1), -1);
	intr_add(port, 0);
	assert_idle(port);
	assert_wakes(f, port, 5);
	front_free(f);
}

static void
test_ethdev_intr_not_configured(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });

	(void)state;
	assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), -ENOTSUP);
	assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), -ENOTSUP);
	assert_int_not_equal(rte_eth_dev_rx_intr_ctl_q(port, 0, RTE_EPOLL_PER_THREAD, RTE_INTR_EVENT_ADD,
		NULL), 0);
}

/* --- l3fwd-power's loop beside a guest -------------------------------------------------------------- */

struct sleeper {
	uint16_t port;
	uint32_t received; /* atomic */
	uint32_t sleeps;   /* atomic: times that it went to sleep */
	bool end;          /* atomic */
};

static void *
sleeper_run(void *arg)
{
	struct sleeper *s = arg;
	struct rte_mbuf *m;
	uint32_t idle = 0;

	intr_add(s->port, 0);
	while (!__atomic_load_n(&s->end, __ATOMIC_RELAXED)) {
		if (rte_eth_rx_burst(s->port, 0, &m, 1) == 1) {
			rte_pktmbuf_free(m);
			__atomic_fetch_add(&s->received, 1, __ATOMIC_RELEASE);
			idle = 0;
		} else if (++idle == 10) {
			__atomic_fetch_add(&s->sleeps, 1, __ATOMIC_RELEASE);
			intr_doze(s->port, DEADLINE_MS);
			idle = 0;
		}
	}
	return NULL;
}

/* One packet at a time: any wake-up that is lost holds the next one up. */
static void
run_sleeper(const char *devargs)
{
	struct sleeper s = { .port = vhost_open(0, &with_intr) };
	const struct port_conf guest = { .devargs = devargs };
	uint16_t virtio = virtio_open(0, &guest);
	pthread_t thread;

	pthread_create(&thread, NULL, sleeper_run, &s);
	for (uint32_t i = 1; i <= 400; i++) {
		port_send(virtio, 0, packet_make(64, i));
		wait_until(__atomic_load_n(&s.received, __ATOMIC_ACQUIRE) == i);
		if (i == 200) {
			port_close(virtio);
			virtio = virtio_open(0, &guest);
		}
	}
	assert_true(__atomic_load_n(&s.sleeps, __ATOMIC_ACQUIRE) > 0);
	__atomic_store_n(&s.end, true, __ATOMIC_RELAXED);
	port_send(virtio, 0, packet_make(64, 0));
	pthread_join(thread, NULL);
	port_close(virtio);
	port_close(s.port);
}

static void
test_ethdev_intr_no_wake_up_lost(void **state)
{
	(void)state;
	run_sleeper("");
	run_sleeper(",packed_vq=1");
}

/* Is there a count in the file that the guest kicks? */
static bool
is_kicked(const struct front *f)
{
	struct pollfd p = { .fd = f->kickfd[1], .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

/* An application that looks at the file itself, by level, finds it empty when it has taken what was told. */
static void
check_level(uint16_t port, struct front *f)
{
	struct pollfd p = { .fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port, 0), .events = POLLIN };

	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(rte_eth_dev_rx_intr_enable(port, 0), 0);
		assert_true(front_send(f, 0, 64, i));
		assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
		assert_int_equal(rte_eth_dev_rx_intr_disable(port, 0), 0);
		assert_int_equal(poll(&p, 1, 0), 0);
		receive_one(f, port, i);
	}
}

static void
test_ethdev_intr_regress_kick_file_is_emptied(void **state)
{
	(void)state;
	on_each_kind(check_level);
}

/* QEMU makes the file with a count, and looks at it when the driver is gone; a file that waits delays nobody. */
static void
test_ethdev_intr_regress_kick_file_starts_empty(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_new(&kinds[0]);
	const uint64_t one = 1;

	(void)state;
	assert_int_equal(write(f->kickfd[1], &one, sizeof(one)), sizeof(one));
	assert_int_equal(fcntl(f->kickfd[1], F_SETFL, 0), 0);
	assert_int_equal(fcntl(f->kickfd[0], F_SETFL, 0), 0);
	front_connect(f, 0);
	assert_true(port_has_rings(port, 1));
	assert_false(is_kicked(f));
	front_free(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_intr_wakes),
		rig_case(test_ethdev_intr_wakes_for_what_is_there),
		rig_case(test_ethdev_intr_off_means_no_kicks),
		rig_case(test_ethdev_intr_survives_reconnect),
		rig_case(test_ethdev_intr_follows_kick_file),
		rig_case(test_ethdev_intr_before_guest),
		rig_case(test_ethdev_intr_queues_apart),
		rig_case(test_ethdev_intr_after_restart),
		rig_case(test_ethdev_regress_intr_configured_later),
		rig_case(test_ethdev_regress_intr_of_queue_not_set_up),
		rig_case(test_ethdev_intr_not_configured),
		rig_case(test_ethdev_intr_no_wake_up_lost),
		rig_case(test_ethdev_intr_regress_kick_file_is_emptied),
		rig_case(test_ethdev_intr_regress_kick_file_starts_empty),
	};

	return rig_main(tests);
}
