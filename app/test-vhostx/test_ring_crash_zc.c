/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A process is killed while buffers of the guest are lent out, at any store of bursts that take some and give others
 * back, out of order. The next process knows the record alone; the guest gets every buffer back once.
 */
#include "test_ring_crash.h"

#include "ring/lend.h"

#define LONG 1500u /* bytes of a packet that is lent */

/* What the guest has sent, in this order. */
static struct {
	uint32_t nr;
	uint32_t len[CRASH_SLOTS];
	int id[CRASH_SLOTS];
	bool back[CRASH_SLOTS]; /* by id: the guest has it again */
} sent;

/* As many as there is room for: those from @a from to before @a to are copied, of the others every third is. */
static void
send_all(struct rig *rig, uint32_t from, uint32_t to)
{
	sent.nr = RTE_MIN(rig_capacity(rig), (uint32_t)CRASH_SLOTS);
	for (uint32_t i = 0; i < sent.nr; i++) {
		sent.len[i] = (i >= from && i < to) || i % 3 == 2 ? 60 : LONG;
		sent.id[i] = rig_send(rig, i, sent.len[i]);
	}
	guest_ring_publish(&rig->ring);
}

/* Guest: take back what is used, nothing twice. Returns how many. */
static uint32_t
take_back(struct rig *rig)
{
	uint32_t n = 0, len;
	uint16_t id;
	int ret;

	while ((ret = guest_ring_get_used(&rig->ring, &id, &len)) == 1) {
		assert_true(id < CRASH_SLOTS && !sent.back[id]);
		sent.back[id] = true;
		n++;
	}
	assert_int_equal(ret, 0);
	return n;
}

/* The next process copies. It receives what the guest has not got back, in the order in which it was sent. */
static void
check_next_process(struct rig *rig, uint32_t arg)
{
	struct rte_mbuf *pkts[RIG_BURST];
	uint32_t back, got, k = 0;

	(void)arg;
	memset(sent.back, 0, sizeof(sent.back));
	crash_resume(rig);
	back = take_back(rig);
	got = rig_rx(&rig->queue, pkts, RIG_BURST);
	assert_int_equal(back + got, sent.nr);
	for (uint32_t i = 0; i < sent.nr; i++) {
		if (!sent.back[sent.id[i]])
			rig_assert_mbuf(pkts[k++], sent.len[i], i);
	}
	assert_int_equal(take_back(rig), got);
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	for (uint32_t lap = 0; lap < 4; lap++) {
		for (uint32_t i = 0; i < sent.nr; i++)
			rig_send(rig, i, 60 + i);
		guest_ring_publish(&rig->ring);
		assert_int_equal(crash_receive(rig, 0), sent.nr);
		assert_int_equal(crash_reap(rig), sent.nr);
	}
}

static void
begin_lending(struct rig *rig)
{
	const struct vhostx_zc_conf conf = { .size = rig->v.size, .threshold = 512, .inflight = 100 };

	rig->snap.zc = vhostx_zc_create(&conf);
	assert_non_null(rig->snap.zc);
	assert_int_equal(vhostx_zc_adopt(rig->snap.zc, rig->table), 0);
}

static void
end_lending(struct rig *rig)
{
	struct rte_mbuf *m;

	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_int_equal(rig->snap.zc->out, 0);
	vhostx_zc_free(rig->snap.zc);
	rig->snap.zc = NULL;
}

/* Look at each kill with the eyes of a process that has no table. */
static void
check_each(struct rig *rig)
{
	struct vhostx_zc *zc = rig->snap.zc;

	rig->snap.zc = NULL;
	crash_each(rig, check_next_process, 0);
	rig->snap.zc = zc;
}

/* Free the packets from the last on, those whose number has this remainder. */
static void
free_some(struct rte_mbuf **pkts, uint32_t n, uint32_t remainder)
{
	while (n-- > 0) {
		if (n % 2 == remainder)
			rte_pktmbuf_free(pkts[n]);
	}
}

/*
 * The record knows where the ring is, without a mark of what came; our own of a split ring does not even know that:
 * the used index tells.
 */
static void
check_passed(const struct rig *rig, uint64_t counter)
{
	const union vhostx_inflight_ring *r = &crash_record.ring;
	const uint16_t used = rig->cursors.last_used;

	if (rig->snap.format == VHOSTX_PACKED) {
		assert_int_equal(r->packed.used_idx, used);
		assert_int_equal(r->packed.old_used_idx, used);
	} else if (!crash_doubted) {
		assert_int_equal(r->split.used_idx, used);
		assert_int_equal(r->split.last_batch_head, rig->snap.split.used->ring[(used - 1) % rig->v.size].id);
	}
	if (rig->snap.format == VHOSTX_SPLIT || crash_doubted)
		assert_int_equal(rig->cursors.counter, counter);
}

/* Packets that come and go while nothing is out. */
static void
pass(struct rig *rig, uint32_t n)
{
	const bool is_silent = rig->snap.format == VHOSTX_SPLIT && crash_doubted;
	const union vhostx_inflight_ring before = crash_record.ring;
	const uint64_t counter = rig->cursors.counter;

	for (uint32_t i = 0; i < n && i < rig_capacity(rig); i++)
		rig_send(rig, i, 60 + i);
	guest_ring_publish(&rig->ring);
	n = crash_receive(rig, 0);
	assert_int_equal(crash_reap(rig), n);
	if (n != 0)
		check_passed(rig, counter);
	if (is_silent)
		assert_memory_equal(&crash_record.ring, &before, sizeof(before));
}

/* Half of the packets is out when the bursts begin that are stepped through; half of those is free. */
static void
lend_and_kill(struct rig *rig)
{
	struct rte_mbuf *pkts[2 * CRASH_SLOTS], *none;
	uint32_t half;

	send_all(rig, 0, 0);
	half = (sent.nr + 1) / 2;
	assert_int_equal(rig_rx(&rig->queue, pkts, half), half);
	free_some(pkts, half, 1);
	crash_begin();
	assert_int_equal(rig_rx(&rig->queue, &pkts[half], sent.nr), sent.nr - half);
	free_some(pkts, half, 0);
	free_some(&pkts[half], sent.nr - half, 0);
	assert_int_equal(rig_rx(&rig->queue, &none, 1), 0);
	crash_end();
	if (CRASH_CAN_STEP)
		assert_true(crash.nr > 1);
	check_each(rig);
	free_some(&pkts[half], sent.nr - half, 1);
	assert_int_equal(rig_rx(&rig->queue, &none, 1), 0);
	assert_int_equal(crash_reap(rig), sent.nr);
}

static void
test_ring_crash_zc_any_store(void **state)
{
	struct rig *rig = *state;

	crash_setup(rig);
	begin_lending(rig);
	for (uint32_t lap = 0; lap < 3; lap++) {
		pass(rig, 3 * lap);
		lend_and_kill(rig);
	}
	end_lending(rig);
	crash_forget();
}

/* The bursts that are stepped through copy packets while nothing is out, then lend some. */
static void
test_ring_crash_zc_copies_then_lends(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[2 * CRASH_SLOTS], *none;
	uint32_t shorts;

	crash_setup(rig);
	begin_lending(rig);
	for (uint32_t lap = 0; lap < 3; lap++) {
		pass(rig, 3 * lap);
		shorts = rig_capacity(rig) / 2;
		send_all(rig, 0, shorts);
		crash_begin();
		assert_int_equal(rig_rx(&rig->queue, pkts, shorts), shorts);
		assert_int_equal(rig_rx(&rig->queue, &pkts[shorts], sent.nr), sent.nr - shorts);
		free_some(pkts, sent.nr, 0);
		assert_int_equal(rig_rx(&rig->queue, &none, 1), 0);
		crash_end();
		check_each(rig);
		free_some(pkts, sent.nr, 1);
		assert_int_equal(rig_rx(&rig->queue, &none, 1), 0);
		assert_int_equal(crash_reap(rig), sent.nr);
	}
	end_lending(rig);
	crash_forget();
}

/* The bursts that are stepped through lend some packets and copy others while those are out, or are back. */
static void
lend_then_copy(struct rig *rig, bool out)
{
	const uint32_t first = rig_capacity(rig) / 2;
	struct rte_mbuf *lent[CRASH_SLOTS], *copied[2 * CRASH_SLOTS], *none;
	uint64_t counter;

	send_all(rig, first, UINT32_MAX);
	crash_begin();
	assert_int_equal(rig_rx(&rig->queue, lent, first), first);
	if (!out)
		rte_pktmbuf_free_bulk(lent, first);
	counter = rig->cursors.counter;
	assert_int_equal(rig_rx(&rig->queue, copied, sent.nr), sent.nr - first);
	crash_end();
	if (!out)
		check_passed(rig, counter);
	rte_pktmbuf_free_bulk(copied, sent.nr - first);
	check_each(rig);
	if (out)
		rte_pktmbuf_free_bulk(lent, first);
	assert_int_equal(rig_rx(&rig->queue, &none, 1), 0);
	assert_int_equal(crash_reap(rig), sent.nr);
}

static void
test_ring_crash_zc_lends_then_copies(void **state)
{
	struct rig *rig = *state;

	crash_setup(rig);
	begin_lending(rig);
	for (uint32_t lap = 0; lap < 4; lap++) {
		pass(rig, 2 * lap);
		lend_then_copy(rig, lap % 2 == 0);
	}
	end_lending(rig);
	crash_forget();
}

/* The guest has used what it got back for new packets before the next process comes. */
static void
test_ring_crash_zc_reposted(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *kept, *m;
	uint32_t laps = 3u * rig->v.size;

	crash_setup(rig);
	begin_lending(rig);
	rig_send(rig, 0, LONG);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &kept, 1), 1);
	/* Its place in the ring is overwritten long since. */
	for (uint32_t i = 1; i < laps && rig_capacity(rig) > 1; i++) {
		rig_send(rig, 1 + i % 2, LONG);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rig_assert_mbuf(m, LONG, 1 + i % 2);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
		assert_int_equal(crash_reap(rig), 1);
	}
	rte_pktmbuf_free(kept);
	vhostx_zc_free(rig->snap.zc);
	rig->snap.zc = NULL;
	crash_resume(rig);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, LONG, 0);
	assert_int_equal(crash_reap(rig), 1);
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	crash_forget();
}

/* Whoever shares the record may write what he likes: neither resuming nor bursts leave the ring for that. */
static void
test_ring_crash_zc_garbage(void **state)
{
	struct rig *rig = *state;
	uint64_t word = 1;

	crash_setup(rig);
	for (uint32_t i = 0; i < 3000; i++) {
		struct rte_mbuf *m;

		for (size_t k = i % 2; k < sizeof(crash_record) / 8; k += 1 + i % 3) {
			word = word * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			((uint64_t *)&crash_record)[k] = word >> (i % 60);
		}
		vhostx_queue_retire(&rig->queue);
		/* Both formats have them in the same place. */
		crash_record.ring.split.version = 1;
		crash_record.ring.split.desc_num = rig->v.size;
		if (vhostx_inflight_resume(&rig->snap, i % 4 == 0)) {
			assert_true(rig->snap.format == VHOSTX_SPLIT || rig->cursors.last_avail < rig->v.size);
			assert_true(rig->cursors.last_avail == rig->cursors.last_used);
		}
		rig->cursors.fault = VHOSTX_NO_CAUSE;
		vhostx_queue_publish(&rig->queue, &rig->snap);
		if (rig_rx(&rig->queue, &m, 1) == 1)
			rte_pktmbuf_free(m);
	}
	crash_forget();
}

int
main(void)
{
	static const struct rig_case cases[] = {
		RIG_CASE(test_ring_crash_zc_any_store, NULL),
		RIG_CASE(test_ring_crash_zc_copies_then_lends, NULL),
		RIG_CASE(test_ring_crash_zc_lends_then_copies, NULL),
		RIG_CASE(test_ring_crash_zc_reposted, NULL),
		RIG_CASE(test_ring_crash_zc_garbage, NULL),
	};
	static struct rig_variant v[2 * 3 * 2];
	int failed = 0;

	rig_eal();
	crash_recorded = true;
	for (size_t k = 0; k < RIG_NR(v); k++) {
		const bool packed = k % 2 != 0, late = k / 6 != 0;
		const uint16_t size = packed ? 15 : 16;

		v[k] = (struct rig_variant){
			.format = packed ? GUEST_PACKED : GUEST_SPLIT,
			.size = size,
			.mergeable = true,
			.hdr_len = 12,
			.layout = (enum rig_layout)(k / 2 % 3),
			.base = packed ? GUEST_PACKED_BASE : 0,
		};
		if (late)
			v[k].base = packed ? (size - 2u) | (size - 2u) << 16 : 0xfffe;
	}
	for (unsigned int doubted = 0; doubted < 2; doubted++) {
		crash_doubted = doubted;
		failed += rig_run(doubted ? "test_ring_crash_zc own record" : "test_ring_crash_zc record", cases,
			RIG_NR(cases), v, RIG_NR(v));
	}
	rte_eal_cleanup();
	return failed;
}
