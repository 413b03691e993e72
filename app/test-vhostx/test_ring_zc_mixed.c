/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Many rx bursts of a zero-copy ring: packets that are lent and copied by turns, some that are kept, and long rings
 * of which a burst sees a part.
 */
#include "ring/lend.h"
#include "test_ring_zc.h"

/* One burst of packets three of which in turn are long and short; @a first: the first ones are long. */
static void
mix_with_copies(struct rig *rig, bool first)
{
	struct rte_mbuf *pkts[RIG_BURST];
	const uint32_t n = RTE_MIN(rig_capacity(rig), (uint32_t)RIG_BURST);
	const uint64_t before = rig->queue.count.zc[VHOSTX_ZC_SHORT];
	uint32_t used = 0, len;
	uint16_t id;

	for (uint32_t i = 0; i < n; i++)
		rig_send(rig, i, (i / 3 % 2 == 0) == first ? LONG : 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, RIG_BURST), n);
	for (uint32_t i = 0; i < n; i++) {
		const bool is_long = (i / 3 % 2 == 0) == first;

		assert_int_equal(is_lent(rig, pkts[i]), is_long);
		rig_assert_mbuf(pkts[i], is_long ? LONG : 60, i);
	}
	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		used++;
	assert_int_equal(used, rig->queue.count.zc[VHOSTX_ZC_SHORT] - before);
	poll_nothing(rig);
	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		used++;
	assert_int_equal(used, n);
}

/* Order among lent and copied packets of one burst, the first and after others, and after one that was all copied. */
static void
test_ring_zc_mixes_with_copies(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	int id;

	use_table(rig, 512, 100, false);
	for (uint32_t i = 0; i < 8; i++) {
		if (i % 4 >= 2) {
			id = pass_one(rig, i, 60, &m);
			rig_assert_mbuf(m, 60, i);
			rig_assert_returned(rig, id);
		}
		mix_with_copies(rig, i % 2 == 0);
	}
	drop_table(rig);
}

/* A packet that somebody keeps delays no other, for laps of the ring. */
static void
test_ring_zc_kept_packet_delays_none(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *kept, *m;
	int id, kept_id;

	use_table(rig, 512, 100, false);
	kept_id = pass_one(rig, 7, LONG, &kept);
	for (uint32_t i = 0; i < 3u * RTE_MIN(rig->v.size, 200u) && rig_capacity(rig) > 1; i++) {
		id = pass_one(rig, i % 5, LONG, &m);
		assert_true(is_lent(rig, m));
		rig_assert_mbuf(m, LONG, i % 5);
		poll_nothing(rig);
		rig_assert_returned(rig, id);
	}
	rig_assert_mbuf(kept, LONG, 7);
	poll_nothing(rig);
	rig_assert_returned(rig, kept_id);
	drop_table(rig);
}

/* Somebody who keeps all that he gets: the guest goes on with the other half of its ring. */
static void
test_ring_zc_never_starves_guest(void **state)
{
	struct rig *rig = *state;
	struct vhostx_zc *zc = use_table(rig, 512, 50, false);
	struct rte_mbuf *kept[RIG_SLOTS], *m;
	uint32_t n = 0, len;
	uint16_t id;

	for (uint32_t i = 0; i < 4u * RTE_MIN(rig->v.size, 300u); i++) {
		assert_true(guest_ring_free(&rig->ring) >= rig_ndesc(rig));
		pass_one(rig, 3, LONG, &m);
		if (is_lent(rig, m) && n < RIG_SLOTS) {
			kept[n++] = m;
			continue;
		}
		rig_assert_mbuf(m, LONG, 3);
		poll_nothing(rig);
		/* Of the largest rings a burst sees a part. */
		if (rig->v.size > VHOSTX_ZC_LOOK * VHOSTX_ZC_GROUP)
			poll_nothing(rig);
		assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
	}
	assert_true(zc->out_entries <= rig->v.size / 2u);
	/* The largest rings have more than the test can keep. */
	if (zc->out_entries + rig_ndesc(rig) > zc->limit)
		assert_true(rig->queue.count.zc[VHOSTX_ZC_INFLIGHT] != 0);
	else
		assert_true(rig->v.size > 2 * RIG_SLOTS);
	while (n > 0)
		rig_assert_mbuf(kept[--n], LONG, 3);
	drop_table(rig);
}

/* A burst sees a part of a long ring: only when all parts were seen, what was done before that is back for sure. */
static void
test_ring_zc_long_ring_is_seen_in_parts(void **state)
{
	const struct vhostx_zc_conf conf = { .size = 2 * VHOSTX_ZC_LOOK * VHOSTX_ZC_GROUP, .inflight = 100 };
	struct vhostx_zc *zc = vhostx_zc_create(&conf);
	struct rig *rig = *state;
	uint32_t begin, first;

	assert_non_null(zc);
	rig->snap.zc = zc;
	/* Something is out everywhere, and nothing of it comes back. */
	memset(zc->out_in, 1, zc->nr_groups);
	zc->out = zc->out_entries = zc->nr_groups;
	begin = vhostx_zc_now() - 1000;
	zc->polled = zc->lap = begin;
	poll_nothing(rig);
	assert_int_equal(zc->polled, begin);
	first = vhostx_zc_now();
	poll_nothing(rig);
	assert_int_equal(zc->polled, begin);
	rte_delay_us_sleep(100);
	poll_nothing(rig);
	assert_int_equal(zc->polled, begin);
	poll_nothing(rig);
	assert_true(zc->polled - first < vhostx_zc_now() - first);
	/* Of one whose few groups with something out are all seen each burst is of now. */
	memset(zc->out_in, 0, zc->nr_groups);
	zc->out_in[zc->nr_groups - 1] = 1;
	rte_delay_us_sleep(100);
	first = vhostx_zc_now();
	poll_nothing(rig);
	assert_true(zc->polled - first <= vhostx_zc_now() - first);
	vhostx_zc_free(zc);
	rig->snap.zc = NULL;
}

static uint32_t
next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Packets that are out, each with its seed. */
struct held {
	struct rte_mbuf *m;
	uint32_t len, seed;
};

static void
free_one(struct held *held, uint32_t *n, uint32_t at)
{
	rig_assert_mbuf(held[at].m, held[at].len, held[at].seed);
	held[at] = held[--*n];
}

/* Any mixture of lengths, bursts and holders: each buffer comes back once, and none while it is read. */
static void
test_ring_zc_soak(void **state)
{
	struct rig *rig = *state;
	struct held held[RIG_SLOTS + RIG_BURST];
	struct rte_mbuf *pkts[32];
	uint32_t n = 0, random = rig->v.size, sent = 0, len;
	uint16_t id, got;

	use_table(rig, 300, 60, false);
	for (uint32_t round = 0; round < 300; round++) {
		const uint32_t burst = next_random(&random) % 32 + 1;

		/* Slots of the rig are used again only when the packets in them are gone. */
		for (uint32_t i = 0; i < burst && n + i < RIG_SLOTS / 2 &&
				guest_ring_free(&rig->ring) >= rig_ndesc(rig); i++) {
			bool busy = false;

			for (uint32_t k = 0; k < n; k++)
				busy = busy || held[k].seed % RIG_SLOTS == sent % RIG_SLOTS;
			if (busy)
				break;
			rig_send(rig, sent, 60 + sent % 1900);
			sent++;
		}
		guest_ring_publish(&rig->ring);
		got = rig_rx(&rig->queue, pkts, 32);
		for (uint16_t i = 0; i < got; i++, n++) {
			held[n] = (struct held){ .m = pkts[i], .len = pkts[i]->pkt_len };
			for (held[n].seed = sent; held[n].seed-- > 0;) {
				if (60 + held[n].seed % 1900 == held[n].len)
					break;
			}
		}
		for (uint32_t k = next_random(&random) % 40; k > 0 && n > 0; k--)
			free_one(held, &n, next_random(&random) % n);
		while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
			;
	}
	while (n > 0)
		free_one(held, &n, n - 1);
	poll_nothing(rig);
	while (guest_ring_get_used(&rig->ring, &id, &len) == 1)
		;
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	assert_int_equal(rig->queue.count.packets, sent);
	assert_true(rig->queue.count.zc[VHOSTX_ZC_LENT] != 0);
	drop_table(rig);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_zc_kept_packet_delays_none, any_order),
	RIG_CASE(test_ring_zc_mixes_with_copies, any_order),
	RIG_CASE(test_ring_zc_never_starves_guest, some),
	RIG_CASE(test_ring_zc_long_ring_is_seen_in_parts, some),
	RIG_CASE(test_ring_zc_soak, some),
};

int
main(void)
{
	return rig_main_on("test_ring_zc_mixed", cases, RIG_NR(cases), false);
}
