/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What rx and tx share, over good rings of all kinds: the position of the ring, and when the guest is
 * called.
 */
#include "test_ring_cases.h"
#include "test_ring_packets.h"

static void
test_ring_down_queue_moves_nothing(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig_send(rig, 0, 60);
	guest_ring_publish(&rig->ring);
	vhostx_queue_retire(&rig->queue);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	rig_assert_nothing_used(rig);
	vhostx_queue_publish(&rig->queue, &rig->snap);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 60, 0);
}

/* Stop anywhere, tell the position, go on from it: nothing twice, nothing lost. */
static void
test_ring_resumes_where_it_stopped(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 60; i++) {
		const int id = rig_send(rig, i, 60);
		struct rte_mbuf *m;
		uint32_t base;

		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rig_assert_mbuf(m, 60, i);
		rig_assert_returned(rig, id);
		base = rig_stop(rig);
		assert_int_equal(base, guest_ring_base(&rig->ring));
		memset(&rig->cursors, 0x55, sizeof(rig->cursors));
		rig_start(rig, base);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(70, i)));
		rig_assert_frame(rig, 70, i, 1);
	}
}

/* Send and receive n one-descriptor-chain frames in one burst each. */
static void
use_chains(struct rig *rig, uint32_t n)
{
	struct rte_mbuf *pkts[8];
	uint16_t id;
	uint32_t len;

	for (uint32_t i = 0; i < n; i++)
		rig_send(rig, i, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 8), n);
	rte_pktmbuf_free_bulk(pkts, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
}

static void
test_ring_calls_when_asked(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;
	uint64_t calls = 0;

	guest_ring_calls(&rig->ring, true);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	assert_int_equal(rig_signals(rig->callfd), 0);
	for (uint32_t i = 0; i < 50; i++) {
		guest_ring_calls(&rig->ring, true);
		use_chains(rig, 1 + i % 2);
		assert_int_equal(rig_signals(rig->callfd), 1);
		calls++;
		guest_ring_calls(&rig->ring, true);
		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(60, i)));
		rig_assert_frame(rig, 60, i, 1);
		assert_int_equal(rig_signals(rig->callfd), 1);
		calls++;
	}
	assert_int_equal(rig->queue.count.calls, calls);
}

static void
test_ring_does_not_call_unasked(void **state)
{
	struct rig *rig = *state;

	/* A ring that was just started may signal once whatever the guest says. */
	use_chains(rig, 1);
	rig_signals(rig->callfd);
	memset(&rig->queue.count, 0, sizeof(rig->queue.count));
	for (uint32_t i = 0; i < 50; i++) {
		guest_ring_calls(&rig->ring, false);
		use_chains(rig, 1 + i % 2);
		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		assert_true(rig_tx_one(rig, rig_mbuf(60, i)));
		rig_assert_frame(rig, 60, i, 1);
		assert_int_equal(rig_signals(rig->callfd), 0);
	}
	assert_true(rig->v.iommu || rig->queue.count.no_calls == 100);
	assert_int_equal(rig->queue.count.calls, 0);
}

/* Without EVENT_IDX a guest cannot name an element: whichever it names, it is called (virtio 1.3, 2.8.10). */
static void
test_ring_calls_for_event_without_event_idx(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 20; i++) {
		guest_ring_poke_event(&rig->ring, i % rig->v.size, 2);
		use_chains(rig, 1);
		assert_int_equal(rig_signals(rig->callfd), 1);
	}
}

/* Signalled exactly when the element that the guest named is among those used. */
static void
test_ring_calls_at_event(void **state)
{
	struct rig *rig = *state;
	const uint32_t unit = rig->v.format == GUEST_PACKED ? rig_ndesc(rig) : 1;
	const uint32_t most = RTE_MIN(rig_capacity(rig), 4u);

	use_chains(rig, 1);
	rig_signals(rig->callfd);
	for (uint32_t i = 0; i < 200; i++) {
		const uint32_t n = 1 + i % most;
		const uint32_t at = i / most % 6;

		guest_ring_call_at(&rig->ring, at);
		use_chains(rig, n);
		assert_int_equal(rig_signals(rig->callfd), at < n * unit);
	}
}

/* Several bursts may pass before the one that reaches the event. */
static void
test_ring_calls_once_per_event(void **state)
{
	struct rig *rig = *state;
	const uint32_t unit = rig->v.format == GUEST_PACKED ? rig_ndesc(rig) : 1;
	uint32_t chains = 0;

	use_chains(rig, 1);
	rig_signals(rig->callfd);
	guest_ring_call_at(&rig->ring, rig->v.format == GUEST_PACKED ? 5 : 20);
	/* Less than a lap: a packed event comes round again with every second one. */
	for (uint32_t used = 0; used + unit <= rig->v.size && chains < 30; used += unit, chains++) {
		const uint32_t event = rig->v.format == GUEST_PACKED ? 5 : 20;

		use_chains(rig, 1);
		assert_int_equal(rig_signals(rig->callfd), used <= event && event < used + unit);
	}
}

static void
test_ring_without_callfd_stays_silent(void **state)
{
	struct rig *rig = *state;

	rig->snap.callfd = -1;
	guest_ring_calls(&rig->ring, true);
	use_chains(rig, 2);
	assert_int_equal(rig_signals(rig->callfd), 0);
	assert_int_equal(rig->queue.count.calls, 0);
}

/* Nobody needs kicks while the driver polls; with event_idx a split ring cannot say so. */
static void
test_ring_wants_no_kicks(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 2; i++) {
		rig_send(rig, i, 60);
		assert_false(guest_ring_publish(&rig->ring));
	}
}

static bool
is_packed_without_event(const struct rig_variant *v)
{
	return rig_is_packed(v) && rig_is_no_event(v);
}

static bool
can_refuse_kicks(const struct rig_variant *v)
{
	return v->format == GUEST_PACKED || !v->event_idx;
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_down_queue_moves_nothing, NULL),
	RIG_CASE(test_ring_resumes_where_it_stopped, NULL),
	RIG_CASE(test_ring_calls_when_asked, NULL),
	RIG_CASE(test_ring_does_not_call_unasked, NULL),
	RIG_CASE(test_ring_calls_for_event_without_event_idx, is_packed_without_event),
	RIG_CASE(test_ring_calls_at_event, rig_is_event),
	RIG_CASE(test_ring_calls_once_per_event, rig_is_event),
	RIG_CASE(test_ring_without_callfd_stays_silent, NULL),
	RIG_CASE(test_ring_wants_no_kicks, can_refuse_kicks),
};

int
main(void)
{
	return rig_main("test_ring", cases, RIG_NR(cases));
}
