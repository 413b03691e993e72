/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Link and queue-state events: told once, on the interrupt thread, with no lock held.
 */
#include <rte_interrupts.h>

#include "test_ethdev_front.h"

#define PAIRS 4

/*
 * What the callbacks saw; static, for they may outlive a case that fails. Written by the interrupt thread;
 * the numbers of events are atomic, and last.
 */
struct seen {
	uint32_t links;                /* link events */
	uint32_t ups;                  /* of those, with the link up */
	bool elsewhere;                /* one did not come on the interrupt thread */
	bool gone;                     /* one was of a port that is closed */
	bool idle;                     /* nobody asks which queues */
	uint32_t queues;               /* queue-state events; atomic */
	uint32_t changes;              /* atomic: queue events that were taken */
	bool on[PAIRS][2];             /* state of each tx [0] and rx [1] queue */
	void (*act)(struct seen *, uint16_t port); /* what a link callback does besides; NULL: nothing */
	uint16_t other;                /* port that act works on */
	uint32_t acted;                /* atomic */
	bool let_go;                   /* act waits no more; atomic */
};

static uint32_t
get(const uint32_t *number)
{
	return __atomic_load_n(number, __ATOMIC_ACQUIRE);
}

static int
on_link(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct seen *seen = arg;

	(void)type;
	(void)ret;
	if (!rte_thread_is_intr())
		seen->elsewhere = true;
	if (port_is_up(port))
		seen->ups++;
	if (seen->act != NULL)
		seen->act(seen, port);
	__atomic_fetch_add(&seen->links, 1, __ATOMIC_RELEASE);
	return 0;
}

static int
on_queue(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct rte_eth_vhostx_queue_event event;
	struct seen *seen = arg;

	(void)type;
	(void)ret;
	if (!rte_thread_is_intr())
		seen->elsewhere = true;
	if (!rte_eth_dev_is_valid_port(port))
		seen->gone = true;
	while (!seen->idle && rte_eth_vhostx_get_queue_event(port, &event) == 0) {
		__atomic_store_n(&seen->on[event.queue_id][event.rx], event.enable, __ATOMIC_RELAXED);
		__atomic_fetch_add(&seen->changes, 1, __ATOMIC_RELEASE);
	}
	__atomic_fetch_add(&seen->queues, 1, __ATOMIC_RELEASE);
	return 0;
}

/* A port whose events go to seen. */
static uint16_t
open_seen(struct seen *seen, const struct port_conf *conf)
{
	const uint16_t port = vhost_open(0, conf);

	assert_int_equal(rte_eth_dev_callback_register(port, RTE_ETH_EVENT_INTR_LSC, on_link, seen), 0);
	assert_int_equal(rte_eth_dev_callback_register(port, RTE_ETH_EVENT_QUEUE_STATE, on_queue, seen),
		0);
	return port;
}

static void
forget_seen(struct seen *seen, uint16_t port)
{
	/* Not while it runs. */
	wait_until(rte_eth_dev_callback_unregister(port, RTE_ETH_EVENT_INTR_LSC, on_link, seen) == 0);
	wait_until(rte_eth_dev_callback_unregister(port, RTE_ETH_EVENT_QUEUE_STATE, on_queue, seen) == 0);
	assert_false(seen->elsewhere);
	assert_false(seen->gone);
}

static void
test_ethdev_link_events(void **state)
{
	static struct seen seen;
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .lsc = true });
	struct rte_eth_link link;
	struct front *f;

	(void)state;
	for (uint32_t i = 1; i <= 5; i++) {
		f = front_open(0, &(struct front_conf){ 0 });
		wait_until(get(&seen.links) == 2 * i - 1);
		assert_int_equal(seen.ups, i);
		assert_int_equal(rte_eth_link_get(port, &link), 0);
		assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
		assert_int_equal(link.link_speed, RTE_ETH_SPEED_NUM_10G);
		assert_int_equal(link.link_duplex, RTE_ETH_LINK_FULL_DUPLEX);
		front_free(f);
		wait_until(get(&seen.links) == 2 * i);
		assert_int_equal(seen.ups, i);
		assert_false(port_is_up(port));
	}
	forget_seen(&seen, port);
}

/* The link needs one pair in both directions; more of them change nothing. */
static void
test_ethdev_link_follows_pairs(void **state)
{
	static struct seen seen;
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .queues = 2 });
	struct front *f = front_open(0, &(struct front_conf){ .pairs = 2, .disabled = true });

	(void)state;
	assert_false(port_is_up(port));
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 0, 1);
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 3, 1);
	assert_false(port_is_up(port));
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 1, 1);
	assert_true(port_is_up(port));
	wait_until(get(&seen.links) == 1);
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 2, 1);
	front_enable(f, 0, false);
	assert_true(port_is_up(port));
	front_enable(f, 1, false);
	assert_false(port_is_up(port));
	wait_until(get(&seen.links) == 2);
	front_free(f);
	forget_seen(&seen, port);
}

static void
act_on_own_port(struct seen *seen, uint16_t port)
{
	struct rte_eth_dev_info info;
	struct rte_eth_stats stats;
	struct rte_eth_rxq_info rxq;

	assert_int_equal(rte_eth_dev_info_get(port, &info), 0);
	assert_int_equal(rte_eth_stats_get(port, &stats), 0);
	assert_int_equal(rte_eth_rx_queue_info_get(port, 0, &rxq), 0);
	assert_int_equal(rte_eth_dev_rx_queue_stop(port, 0), 0);
	assert_int_equal(rte_eth_dev_rx_queue_start(port, 0), 0);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_start(port), 0);
	__atomic_fetch_add(&seen->acted, 1, __ATOMIC_RELEASE);
}

static void
test_ethdev_callback_may_call_ethdev(void **state)
{
	static struct seen seen = { .act = act_on_own_port };
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .lsc = true });
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	wait_until(get(&seen.acted) == 1);
	front_send(f, 0, 100, 1);
	packet_check(port_receive(port, 0), 100, 1);
	front_free(f);
	wait_until(get(&seen.acted) == 2);
	forget_seen(&seen, port);
}

static void
act_close_other(struct seen *seen, uint16_t port)
{
	(void)port;
	if (!rte_eth_dev_is_valid_port(seen->other))
		return;
	assert_int_equal(rte_eth_dev_stop(seen->other), 0);
	assert_int_equal(rte_eth_dev_close(seen->other), 0);
	__atomic_fetch_add(&seen->acted, 1, __ATOMIC_RELEASE);
}

static void
test_ethdev_callback_may_close_other_port(void **state)
{
	static struct seen seen = { .act = act_close_other };
	struct front *f, *g;
	uint16_t port;

	(void)state;
	for (uint32_t i = 1; i <= 20; i++) {
		port = open_seen(&seen, &(struct port_conf){ .lsc = true });
		seen.other = vhost_open(1, &(struct port_conf){ 0 });
		/* The other port has an event under way while it is closed. */
		g = front_open(1, &(struct front_conf){ 0 });
		f = front_open(0, &(struct front_conf){ 0 });
		wait_until(get(&seen.acted) == i);
		front_free(f);
		front_free(g);
		forget_seen(&seen, port);
		port_close(port);
		assert_int_equal(rte_vdev_uninit("net_vhostx1"), 0);
	}
}

static void
act_close_own(struct seen *seen, uint16_t port)
{
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_close(port), 0);
	__atomic_fetch_add(&seen->acted, 1, __ATOMIC_RELEASE);
}

static void
test_ethdev_callback_may_close_own_port(void **state)
{
	static struct seen seen = { .act = act_close_own };
	struct front *f;

	(void)state;
	for (uint32_t i = 1; i <= 20; i++) {
		const uint16_t port = open_seen(&seen, &(struct port_conf){ .lsc = true });

		f = front_open(0, &(struct front_conf){ 0 });
		wait_until(get(&seen.links) == i);
		assert_false(rte_eth_dev_is_valid_port(port));
		front_free(f);
		assert_int_equal(rte_vdev_uninit("net_vhostx0"), 0);
	}
	/* ethdev keeps the callbacks for the next port of this id. */
	forget_seen(&seen, vhost_open(0, &(struct port_conf){ 0 }));
}

/* What the callback of the link closed has no queues to tell of. */
static void
test_ethdev_regress_event_of_closed_port(void **state)
{
	static struct seen seen = { .act = act_close_own };
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .lsc = true });
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	wait_until(get(&seen.links) == 1);
	front_free(f);
	assert_int_equal(rte_vdev_uninit("net_vhostx0"), 0);
	/* Of the next port of this id an event comes after all those of this one. */
	seen.act = NULL;
	assert_int_equal(vhost_open(0, &(struct port_conf){ .lsc = true }), port);
	f = front_open(0, &(struct front_conf){ 0 });
	wait_until(get(&seen.links) == 2);
	front_free(f);
	forget_seen(&seen, port);
}

/* As for a lock that whoever closes the port holds; not for ever, so that a failure is seen. */
static void
act_wait(struct seen *seen, uint16_t port)
{
	const uint64_t end = now_ms() + DEADLINE_MS / 3;

	(void)port;
	__atomic_fetch_add(&seen->acted, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&seen->let_go, __ATOMIC_ACQUIRE) && now_ms() < end)
		sched_yield();
}

static void
test_ethdev_regress_close_while_callback_waits(void **state)
{
	static struct seen seen = { .act = act_wait };
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .lsc = true });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	uint32_t queues;

	(void)state;
	wait_until(get(&seen.acted) == 1);
	queues = get(&seen.queues);
	assert_int_equal(rte_eth_dev_stop(port), 0);
	assert_int_equal(rte_eth_dev_close(port), 0);
	assert_int_equal(get(&seen.links), 0);
	__atomic_store_n(&seen.let_go, true, __ATOMIC_RELEASE);
	wait_until(get(&seen.links) == 1);
	front_free(f);
	assert_int_equal(rte_vdev_uninit("net_vhostx0"), 0);
	/* Nor was it told of its queues then. */
	forget_seen(&seen, vhost_open(0, &(struct port_conf){ 0 }));
	assert_int_equal(get(&seen.queues), queues);
}

/* --- queues ----------------------------------------------------------------------------------------- */

/* Do the callbacks know of exactly these pairs? */
static bool
pairs_are(struct seen *seen, uint32_t mask)
{
	for (uint32_t i = 0; i < PAIRS; i++) {
		for (int rx = 0; rx < 2; rx++) {
			if (__atomic_load_n(&seen->on[i][rx], __ATOMIC_RELAXED) != (mask >> i & 1))
				return false;
		}
	}
	return true;
}

static void
test_ethdev_queue_events(void **state)
{
	static struct seen seen;
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .queues = PAIRS });
	struct front *f = front_open(0, &(struct front_conf){ .pairs = PAIRS });

	(void)state;
	wait_until(pairs_are(&seen, 0xf));
	front_enable(f, 2, false);
	wait_until(pairs_are(&seen, 0xb));
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 3, 0);
	wait_until(!__atomic_load_n(&seen.on[1][1], __ATOMIC_RELAXED));
	assert_true(seen.on[1][0]);
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 3, 1);
	front_enable(f, 2, true);
	wait_until(pairs_are(&seen, 0xf));
	front_free(f);
	wait_until(pairs_are(&seen, 0));
	/* Each change was told once: 8 on, 2 + 1 off, 3 on, 8 off. */
	wait_until(get(&seen.changes) == 22);
	forget_seen(&seen, port);
}

/* What nobody took yet is told as it is, not as it was. */
static void
test_ethdev_queue_events_that_cancel_out(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ 0 });
	struct front *f = front_open(0, &(struct front_conf){ 0 });
	struct rte_eth_vhostx_queue_event event;

	(void)state;
	assert_int_equal(rte_eth_vhostx_get_queue_event(port, NULL), -EINVAL);
	assert_int_equal(rte_eth_vhostx_get_queue_event(port, &event), 0);
	assert_int_equal(event.queue_id, 0);
	assert_true(!event.rx && event.enable);
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 1, 0);
	assert_int_equal(rte_eth_vhostx_get_queue_event(port, &event), -ENOENT);
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, 0, 0);
	assert_int_equal(rte_eth_vhostx_get_queue_event(port, &event), 0);
	assert_true(!event.rx && !event.enable);
	assert_int_equal(rte_eth_vhostx_get_queue_event(port, &event), -ENOENT);
	front_free(f);
	assert_int_equal(rte_eth_vhostx_get_queue_event(port + 1, &event), -EINVAL);
}

/* An application that does not ask which queues is told of each change once, not with every message. */
static void
test_ethdev_regress_queue_events_without_end(void **state)
{
	static struct seen seen = { .idle = true };
	const uint16_t port = open_seen(&seen, &(struct port_conf){ .lsc = true });
	struct front *f = front_open(0, &(struct front_conf){ 0 });

	(void)state;
	wait_until(get(&seen.links) == 1);
	for (int i = 0; i < 200; i++)
		front_do_state(f, VHOSTX_SET_VRING_ENABLE, 0, 1);
	front_free(f);
	wait_until(get(&seen.links) == 2);
	/* Two rings that come and go, each by itself at most. */
	assert_in_range(get(&seen.queues), 1, 4);
	forget_seen(&seen, port);
}

/* As DPDK's own driver does it: the number of queues that are in use changes at restart. */
static void
test_ethdev_queue_events_of_virtio_user(void **state)
{
	const uint16_t in_use[] = { 4, 1, 3, 2, 4 };
	struct port_conf conf = { .queues = PAIRS };
	static struct seen seen;
	const uint16_t port = open_seen(&seen, &conf);
	const uint16_t virtio = virtio_open(0, &conf);

	(void)state;
	for (size_t i = 0; i < RTE_DIM(in_use); i++) {
		assert_int_equal(rte_eth_dev_stop(virtio), 0);
		conf.rxq = in_use[i];
		conf.txq = in_use[i];
		port_configure(virtio, &conf);
		assert_int_equal(rte_eth_dev_start(virtio), 0);
		wait_until(pairs_are(&seen, (1u << in_use[i]) - 1));
		port_pass(virtio, port, in_use[i] - 1, i);
	}
	port_close(virtio);
	wait_until(pairs_are(&seen, 0));
	forget_seen(&seen, port);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_link_events),
		rig_case(test_ethdev_link_follows_pairs),
		rig_case(test_ethdev_callback_may_call_ethdev),
		rig_case(test_ethdev_callback_may_close_other_port),
		rig_case(test_ethdev_callback_may_close_own_port),
		rig_case(test_ethdev_regress_event_of_closed_port),
		rig_case(test_ethdev_regress_close_while_callback_waits),
		rig_case(test_ethdev_queue_events),
		rig_case(test_ethdev_queue_events_that_cancel_out),
		rig_case(test_ethdev_regress_queue_events_without_end),
		rig_case(test_ethdev_queue_events_of_virtio_user),
	};

	return rig_main(tests);
}
