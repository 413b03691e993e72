/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * More tx queues than the guest has enabled: they share rings, and nothing is lost or mixed up.
 */
#include "test_ethdev_front.h"

#define PAIRS 4
#define SENDERS 2
#ifdef __SANITIZE_THREAD__
#define FRAMES 2000u
#else
#define FRAMES 20000u
#endif
#define BURST 8

static const struct port_conf four = { .queues = PAIRS };

/* Marks at the beginning of a frame whose other bytes are the pattern of seq. */
struct mark {
	uint32_t sender, seq;
};

static uint32_t
frame_len(uint32_t seq)
{
	return 64 + seq * 7 % 1000;
}

/* A thread that sends frames on one queue, from a pool of its own. */
struct sender {
	uint32_t id;
	uint16_t port, queue;
	struct rte_mempool *pool;
	pthread_t thread;
};

static struct rte_mbuf *
sender_frame(const struct sender *s, uint32_t seq)
{
	const struct mark mark = { s->id, seq };
	struct rte_mbuf *m = NULL;
	uint8_t *data;

	wait_until((m = rte_pktmbuf_alloc(s->pool)) != NULL);
	data = (uint8_t *)rte_pktmbuf_append(m, frame_len(seq));
	guest_net_pattern(data, frame_len(seq), seq, 0);
	memcpy(data, &mark, sizeof(mark));
	return m;
}

static void *
sender_run(void *arg)
{
	const struct sender *s = arg;
	struct rte_mbuf *m[BURST];

	for (uint32_t seq = 0; seq < FRAMES; seq += BURST) {
		uint16_t sent = 0;

		for (uint32_t i = 0; i < BURST; i++)
			m[i] = sender_frame(s, seq + i);
		wait_until((sent += rte_eth_tx_burst(s->port, s->queue, &m[sent], BURST - sent)) == BURST);
	}
	return NULL;
}

/* The guest's look at one ring: a frame, checked, is the next of its sender unless rings change. */
static uint32_t
guest_take(struct front *f, uint16_t pair, uint32_t *got, bool in_order)
{
	uint8_t buf[FRONT_SLOT_LEN];
	struct mark mark;
	uint32_t n = 0, len;

	while ((len = front_receive(f, pair, buf, sizeof(buf))) != 0) {
		memcpy(&mark, buf, sizeof(mark));
		assert_true(mark.sender < SENDERS);
		assert_int_equal(len, frame_len(mark.seq));
		assert_true(guest_net_matches(buf + sizeof(mark), len - sizeof(mark), mark.seq,
			sizeof(mark)));
		if (in_order)
			assert_int_equal(mark.seq, got[mark.sender]);
		got[mark.sender]++;
		n++;
	}
	if (n != 0)
		front_post(f, pair, n, 2048);
	return n;
}

static void
senders_begin(struct sender *s, uint16_t port)
{
	char name[16];

	for (uint32_t i = 0; i < SENDERS; i++) {
		snprintf(name, sizeof(name), "sender%u", i);
		s[i] = (struct sender){ .id = i, .port = port, .queue = i + 1 };
		s[i].pool = rte_pktmbuf_pool_create(name, 255, 0, 0, RIG_ROOM, 0);
		assert_non_null(s[i].pool);
	}
	for (uint32_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&s[i].thread, NULL, sender_run, &s[i]), 0);
}

/* Everything that was sent was counted once, on the queue that it was sent on, and freed. */
static void
senders_end(struct sender *s, const uint32_t *got)
{
	struct rte_eth_stats stats;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < FRAMES; i++)
		bytes += frame_len(i);
	for (uint32_t i = 0; i < SENDERS; i++) {
		pthread_join(s[i].thread, NULL);
		assert_int_equal(got[i], FRAMES);
		assert_int_equal(rte_mempool_avail_count(s[i].pool), 255);
		rte_mempool_free(s[i].pool);
	}
	assert_int_equal(rte_eth_stats_get(s[0].port, &stats), 0);
	assert_int_equal(stats.opackets, SENDERS * FRAMES);
	assert_int_equal(stats.obytes, SENDERS * bytes);
	assert_int_equal(stats.oerrors, 0);
}

/* One at a time, each queue's packets are where the guest looks. */
static void
test_ethdev_share_finds_enabled_ring(void **state)
{
	const uint16_t port = vhost_open(0, &four);
	struct front *f = front_open(0, &(struct front_conf){ .pairs = PAIRS, .disabled = true });
	uint8_t buf[FRONT_SLOT_LEN];
	struct rte_mbuf *m = packet_make(100, 1);

	(void)state;
	for (uint16_t q = 0; q < PAIRS; q++) {
		front_post(f, q, 32, 2048);
		assert_int_equal(rte_eth_tx_burst(port, q, &m, 1), 0);
	}
	rte_pktmbuf_free(m);
	/* Whichever ring is the only one. */
	for (uint16_t on = 0; on < PAIRS; on++) {
		front_enable(f, on, true);
		for (uint16_t q = 0; q < PAIRS; q++) {
			port_send(port, q, packet_make(100, q));
			assert_int_equal(front_receive(f, on, buf, sizeof(buf)), 100);
			assert_true(guest_net_matches(buf, 100, q, 0));
		}
		front_enable(f, on, false);
	}
	/* Each its own as soon as it is there. */
	for (uint16_t q = 0; q < PAIRS; q++)
		front_enable(f, q, true);
	for (uint16_t q = 0; q < PAIRS; q++) {
		port_send(port, q, packet_make(100, q));
		assert_int_equal(front_receive(f, q, buf, sizeof(buf)), 100);
	}
	front_free(f);
}

static void
check_two_senders(const struct front_conf *conf)
{
	const uint16_t port = vhost_open(0, &four);
	struct front *f = front_open(0, conf);
	uint32_t got[SENDERS] = { 0 };
	struct sender s[SENDERS];

	front_post(f, 0, 32, 2048);
	front_enable(f, 0, true);
	senders_begin(s, port);
	wait_until((guest_take(f, 0, got, true), got[0] + got[1] == SENDERS * FRAMES));
	senders_end(s, got);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_share_two_senders(void **state)
{
	(void)state;
	check_two_senders(&(struct front_conf){ .pairs = PAIRS, .disabled = true });
	check_two_senders(&(struct front_conf){ .pairs = PAIRS, .disabled = true, .size = 61,
		.format = GUEST_PACKED });
}

/* Two queues share a ring, have one each, and share the other, while they are sent on. */
static void
check_changes(const struct front_conf *conf)
{
	static const uint8_t masks[] = { 1, 3, 2, 6, 4, 5 };
	const uint16_t port = vhost_open(0, &four);
	struct front *f = front_open(0, conf);
	uint32_t got[SENDERS] = { 0 };
	struct sender s[SENDERS];
	const uint64_t end = now_ms() + DEADLINE_MS;

	for (uint16_t q = 0; q < 3; q++)
		front_post(f, q, 32, 2048);
	senders_begin(s, port);
	for (uint32_t i = 0; got[0] + got[1] < SENDERS * FRAMES; i++) {
		const uint8_t mask = masks[i / 8 % RTE_DIM(masks)];

		assert_true(now_ms() < end);
		if (i % 8 == 0)
			for (uint16_t q = 0; q < 3; q++)
				front_enable(f, q, mask >> q & 1);
		for (uint16_t q = 0; q < 3; q++)
			guest_take(f, q, got, false);
	}
	senders_end(s, got);
	front_free(f);
	port_close(port);
}

static void
test_ethdev_share_changes_under_traffic(void **state)
{
	(void)state;
	check_changes(&(struct front_conf){ .pairs = PAIRS, .disabled = true });
	check_changes(&(struct front_conf){ .pairs = PAIRS, .disabled = true, .size = 61,
		.format = GUEST_PACKED });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_share_finds_enabled_ring),
		rig_case(test_ethdev_share_two_senders),
		rig_case(test_ethdev_share_changes_under_traffic),
	};

	return rig_main(tests);
}
