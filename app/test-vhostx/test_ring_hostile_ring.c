/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings of a hostile guest: indices, wrap counters, ids, wishes for calls.
 */
#include "test_ring_hostile.h"

/* The ring is reported once, moves nothing, and works again once the front-end starts it anew. */
static void
expect_stopped(struct rig *rig, enum vhostx_cause cause)
{
	struct rte_mbuf *m;

	assert_int_equal(rig->cursors.fault, cause);
	assert_int_equal(rig->queue.count.drops[cause], 1);
	assert_int_equal(rig_signals(rig->wakefd), 1);
	for (int k = 0; k < 3; k++) {
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
		assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	}
	assert_int_equal(rig->queue.count.drops[cause], 1);
	assert_int_equal(rig_signals(rig->wakefd), 0);
}

/* Begin with a fresh ring, as after a reset of the guest's driver. */
static void
expect_works_when_restarted(struct rig *rig)
{
	struct guest_ring_conf conf = rig->ring.conf;
	struct rte_mbuf *m;

	rig_stop(rig);
	guest_ring_fini(&rig->ring);
	assert_int_equal(guest_ring_init(&rig->ring, &rig->mem, &conf), 0);
	rig_start(rig, conf.base);
	rig_send(rig, 1, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 60, 1);
}

static void
test_ring_hostile_rx_head_past_table(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[4];

	rig_send(rig, 0, 60);
	rig_send(rig, 1, 60);
	rig_send(rig, 2, 60);
	guest_ring_poke_avail(&rig->ring, 1, rig->v.size);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 1);
	rig_assert_mbuf(pkts[0], 60, 0);
	if (rig->cursors.fault == VHOSTX_NO_CAUSE)
		assert_int_equal(rig_rx(&rig->queue, pkts, 4), 0);
	expect_stopped(rig, VHOSTX_BAD_HEAD);
	expect_works_when_restarted(rig);
}

static void
test_ring_hostile_tx_head_past_table(void **state)
{
	struct rig *rig = *state;

	rig_post(rig, 0, RIG_SLOT_LEN);
	guest_ring_poke_avail(&rig->ring, 0, UINT16_MAX);
	guest_ring_publish(&rig->ring);
	assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	expect_stopped(rig, VHOSTX_BAD_HEAD);
	expect_works_when_restarted(rig);
}

static void
test_ring_hostile_rx_index_jumps(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	guest_ring_poke_avail_idx(&rig->ring, rig->v.size + 1);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	expect_stopped(rig, VHOSTX_BAD_INDEX);
	expect_works_when_restarted(rig);
}

static void
test_ring_hostile_tx_index_jumps(void **state)
{
	struct rig *rig = *state;

	/* One back is 65535 on. */
	guest_ring_poke_avail_idx(&rig->ring, UINT16_MAX);
	assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	expect_stopped(rig, VHOSTX_BAD_INDEX);
	expect_works_when_restarted(rig);
}

/* The same head again and again is legal to look at: it is the same buffer. */
static void
test_ring_hostile_rx_repeats_head(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[3];
	const int id = rig_send(rig, 7, 60);
	uint16_t n;

	for (uint16_t i = 0; i < 3; i++)
		guest_ring_poke_avail(&rig->ring, i, id);
	guest_ring_poke_avail_idx(&rig->ring, 3);
	n = rig_rx(&rig->queue, pkts, 3);
	assert_int_equal(n, 3);
	for (uint16_t i = 0; i < n; i++)
		rig_assert_mbuf(pkts[i], 60, 7);
}

/* Make all of a packed ring one chain; the last descriptor ends it or not. */
static void
link_all(struct rig *rig, bool writable, bool end)
{
	for (uint16_t i = 0; i < rig->v.size; i++) {
		const bool last = i + 1 == rig->v.size;
		const struct guest_desc d = { rig_slot(rig, 0) + i, 1, GUEST_DESC_AVAIL |
			(writable ? GUEST_DESC_WRITE : 0) | (last && end ? 0 : GUEST_DESC_NEXT), 0 };

		guest_ring_poke(&rig->ring, i, &d);
	}
}

static void
test_ring_hostile_rx_chain_without_end(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	link_all(rig, false, false);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	expect_stopped(rig, VHOSTX_BAD_HEAD);
	expect_works_when_restarted(rig);
}

static void
test_ring_hostile_tx_chain_without_end(void **state)
{
	struct rig *rig = *state;

	link_all(rig, true, false);
	assert_false(rig_tx_one(rig, rig_mbuf(10, 0)));
	expect_stopped(rig, VHOSTX_BAD_HEAD);
	expect_works_when_restarted(rig);
}

static void
test_ring_hostile_rx_chain_of_whole_ring(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	link_all(rig, false, true);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(m->pkt_len, rig->v.size - rig->v.hdr_len);
	rte_pktmbuf_free(m);
	assert_int_equal(rig->cursors.fault, VHOSTX_NO_CAUSE);
}

/* A chain of one, and behind it one that comes round to it: more descriptors than the ring has. */
static void
test_ring_hostile_rx_chains_overlap(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[4];
	const struct guest_desc first = { rig_slot(rig, 0), 70, GUEST_DESC_AVAIL, 0 };
	uint16_t n;

	link_all(rig, false, false);
	guest_ring_poke(&rig->ring, 0, &first);
	n = rig_rx(&rig->queue, pkts, 4);
	if (rig->cursors.fault == VHOSTX_NO_CAUSE)
		n += rig_rx(&rig->queue, &pkts[n], 4 - n);
	assert_int_equal(n, 1);
	rte_pktmbuf_free(pkts[0]);
	expect_stopped(rig, VHOSTX_BAD_INDEX);
	expect_works_when_restarted(rig);
}

/* The wrap counter of another lap: not available. */
static void
test_ring_hostile_wrong_wrap_is_not_available(void **state)
{
	static const uint16_t flags[] = { 0, GUEST_DESC_USED, GUEST_DESC_USED | GUEST_DESC_AVAIL };
	struct rig *rig = *state;
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < RIG_NR(flags); i++) {
		const struct guest_desc d = { rig_slot(rig, 0), 70, flags[i], 0 };

		guest_ring_poke(&rig->ring, 0, &d);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
		assert_false(rig_tx_one(rig, rig_mbuf(60, 0)));
	}
	assert_int_equal(rig->cursors.fault, VHOSTX_NO_CAUSE);
}

/* Ids are the driver's own: whatever they are, each comes back with its buffer. */
static void
test_ring_hostile_ids_come_back_as_given(void **state)
{
	static const uint16_t ids[] = { 3, 3, UINT16_MAX, 0x8000, 3, 61 };
	struct rig *rig = *state;
	struct rte_mbuf *pkts[RIG_NR(ids)];

	for (uint16_t i = 0; i < RIG_NR(ids); i++) {
		const struct guest_desc d = { rig_slot(rig, i), 72, GUEST_DESC_AVAIL, ids[i] };

		guest_ring_poke(&rig->ring, i, &d);
	}
	assert_int_equal(rig_rx(&rig->queue, pkts, RIG_NR(ids)), RIG_NR(ids));
	rte_pktmbuf_free_bulk(pkts, RIG_NR(ids));
	for (uint16_t i = 0; i < RIG_NR(ids); i++) {
		const struct guest_desc d = guest_ring_peek(&rig->ring, i);

		assert_int_equal(d.id_next, ids[i]);
		assert_int_equal(d.flags, GUEST_DESC_AVAIL | GUEST_DESC_USED);
	}
}

/* The head is available, what it is linked to is not: taken or left, nothing else. */
static void
test_ring_hostile_rest_of_chain_not_available(void **state)
{
	struct rig *rig = *state;
	const struct guest_desc head = { rig_slot(rig, 0), 70, GUEST_DESC_AVAIL | GUEST_DESC_NEXT, 0 };
	const struct guest_desc rest = { rig_slot(rig, 1), 70, GUEST_DESC_USED, 5 };
	struct rte_mbuf *m;

	guest_ring_poke(&rig->ring, 1, &rest);
	guest_ring_poke(&rig->ring, 0, &head);
	if (rig_rx(&rig->queue, &m, 1) == 1) {
		assert_int_equal(m->pkt_len, 140 - rig->v.hdr_len);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(rig->cursors.fault, VHOSTX_NO_CAUSE);
}


static void
test_ring_hostile_header_garbage(void **state)
{
	struct rig *rig = *state;

	for (uint32_t i = 0; i < 256; i++) {
		const uint64_t gpa = rig_slot(rig, i);
		struct rte_mbuf *m;

		rig_send(rig, i, 60);
		guest_mem_set(&rig->mem, gpa, i, rig->v.hdr_len);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rig_assert_mbuf(m, 60, i);
		while (guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }) == 1)
			;
	}
}

static void
test_ring_hostile_event_garbage(void **state)
{
	static const uint16_t words[] = { 0, 1, 2, 3, 6, 0x7fff, 0x8000, 0x8001, 0xfffe, 0xffff };
	struct rig *rig = *state;

	for (uint32_t i = 0; i < RIG_NR(words) * RIG_NR(words); i++) {
		struct rte_mbuf *m;
		const int id = rig_send(rig, i, 60);

		guest_ring_poke_event(&rig->ring, words[i % RIG_NR(words)],
			words[i / RIG_NR(words)]);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rig_assert_mbuf(m, 60, i);
		rig_assert_returned(rig, id);
	}
}

/* A call file that nobody empties, and that would wait: net_vhost's core stands still there. */
static void
test_ring_hostile_call_file_is_full(void **state)
{
	const uint64_t most = UINT64_MAX - 1;
	struct rig *rig = *state;
	const int fd = eventfd(0, 0);
	struct rte_mbuf *m;

	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	rig->snap.callfd = fd;
	rig->snap.call_blocks = true;
	alarm(20);
	for (uint32_t i = 0; i < 3; i++) {
		rig_send(rig, i, 60);
		guest_ring_calls(&rig->ring, true);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rte_pktmbuf_free(m);
	}
	alarm(0);
	close(fd);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_hostile_rx_head_past_table, is_small_split),
	RIG_CASE(test_ring_hostile_tx_head_past_table, is_small_split),
	RIG_CASE(test_ring_hostile_rx_index_jumps, is_small_split),
	RIG_CASE(test_ring_hostile_tx_index_jumps, is_small_split),
	RIG_CASE(test_ring_hostile_rx_repeats_head, is_small_split),
	RIG_CASE(test_ring_hostile_rx_chain_without_end, rig_is_packed),
	RIG_CASE(test_ring_hostile_tx_chain_without_end, rig_is_packed),
	RIG_CASE(test_ring_hostile_rx_chain_of_whole_ring, is_small_packed),
	RIG_CASE(test_ring_hostile_rx_chains_overlap, is_small_packed),
	RIG_CASE(test_ring_hostile_wrong_wrap_is_not_available, is_small_packed),
	RIG_CASE(test_ring_hostile_ids_come_back_as_given, is_small_packed),
	RIG_CASE(test_ring_hostile_rest_of_chain_not_available, is_small_packed),
	RIG_CASE(test_ring_hostile_header_garbage, is_small),
	RIG_CASE(test_ring_hostile_event_garbage, is_small),
	RIG_CASE(test_ring_hostile_call_file_is_full, is_small),
};

int
main(void)
{
	return hostile_main("test_ring_hostile_ring", cases, RIG_NR(cases));
}
