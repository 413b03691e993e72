/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A process is killed between any two stores of a burst; the next one goes on with the same ring. The guest gets
 * every buffer back once.
 */
#include "test_ring_crash.h"

#define CRASH_RECORDED 7 /* cases that are for records too: the first ones */
#define CRASH_LAPS 3   /* bursts of a test that are stepped through */

/* --- rx -------------------------------------------------------------------------------------------- */

/* Of n frames either all were given back before the kill, or all are received again. */
static void
crash_check_rx(struct rig *rig, uint32_t n)
{
	uint32_t before;

	crash_resume(rig);
	before = crash_reap(rig);
	assert_true(before == 0 || before == n);
	assert_int_equal(crash_receive(rig, before), n - before);
	assert_int_equal(crash_reap(rig), n - before);
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	/* And the ring goes on, more than a lap. */
	for (uint32_t lap = 0; lap < 4; lap++) {
		for (uint32_t i = 0; i < n; i++)
			rig_send(rig, i, 60 + i);
		guest_ring_publish(&rig->ring);
		assert_int_equal(crash_receive(rig, 0), n);
		assert_int_equal(crash_reap(rig), n);
	}
}

/* As before, but the guest has used what it got back for new frames before the next process comes. */
static void
crash_check_rx_reposted(struct rig *rig, uint32_t n)
{
	const uint32_t before = crash_reap(rig);

	for (uint32_t i = 0; i < before; i++)
		rig_send(rig, n + i, 60 + n + i);
	if (before != 0)
		guest_ring_publish(&rig->ring);
	crash_resume(rig);
	assert_int_equal(crash_receive(rig, before), n);
	assert_int_equal(crash_reap(rig), n);
}

static void
crash_rx(struct rig *rig, bool many, void (*check)(struct rig *rig, uint32_t n))
{
	const uint32_t n = crash_frames(rig, many);
	struct rte_mbuf *pkts[RIG_BURST];
	uint16_t got;

	crash_setup(rig);
	/* Laps of which each begins elsewhere, so that batches begin and end everywhere. */
	for (uint32_t lap = 0; lap < CRASH_LAPS; lap++) {
		for (uint32_t i = 0; i < n; i++)
			rig_send(rig, i, 60 + i);
		guest_ring_publish(&rig->ring);
		crash_begin();
		got = rig_rx(&rig->queue, pkts, RIG_BURST);
		crash_end();
		assert_int_equal(got, n);
		rte_pktmbuf_free_bulk(pkts, n);
		if (CRASH_CAN_STEP)
			assert_true(crash.nr > 1);
		crash_each(rig, check, n);
		assert_int_equal(crash_reap(rig), n);
	}
	crash_forget();
}

static void
test_ring_crash_rx_part_of_ring(void **state)
{
	crash_rx(*state, false, crash_check_rx);
}

static void
test_ring_crash_rx_whole_ring(void **state)
{
	crash_rx(*state, true, crash_check_rx);
}

static void
test_ring_crash_rx_reposted(void **state)
{
	crash_rx(*state, true, crash_check_rx_reposted);
}

/* --- tx -------------------------------------------------------------------------------------------- */

/* Buffers that a frame of crash_send() takes. */
static uint32_t
crash_chains(const struct rig *rig)
{
	return rig->v.mergeable ? 2 : 1;
}

static uint32_t
crash_len(const struct rig *rig, uint32_t seed)
{
	return rig->v.mergeable ? 120 + seed % 32 : 60 + seed % 32;
}

static void
crash_post(struct rig *rig, uint32_t frames)
{
	for (uint32_t i = 0; i < frames * crash_chains(rig); i++)
		rig_post(rig, i, 100);
	guest_ring_publish(&rig->ring);
}

static void
crash_send(struct rig *rig, uint32_t seed, uint32_t n)
{
	struct rte_mbuf *pkts[RIG_BURST];

	for (uint32_t i = 0; i < n; i++)
		pkts[i] = rig_mbuf(crash_len(rig, seed + i), seed + i);
	assert_int_equal(rig_tx(&rig->queue, pkts, n), n);
}

/* Guest: receive what there is, whole frames with seeds in order. Returns how many. */
static uint32_t
crash_frames_in(struct rig *rig, uint32_t seed)
{
	struct guest_net_frame f;
	uint8_t buf[4096];
	uint32_t n = 0;
	int ret;

	while ((ret = guest_net_receive(&rig->ring, rig->v.hdr_len, rig->v.mergeable, buf, sizeof(buf),
			&f)) == 1) {
		assert_int_equal(f.nr, crash_chains(rig));
		assert_int_equal(f.len, crash_len(rig, seed + n));
		assert_true(guest_net_matches(buf, f.len, seed + n, 0));
		n++;
	}
	assert_int_equal(ret, 0);
	return n;
}

/* The guest got the frames of whole batches; the other buffers serve for those that come now. */
static void
crash_check_tx(struct rig *rig, uint32_t n)
{
	uint32_t before;

	crash_resume(rig);
	before = crash_frames_in(rig, 0);
	/* Frames of several buffers take several batches. */
	assert_true(before == 0 || before == n || (rig->v.mergeable && before < n));
	crash_send(rig, 1000, n - before);
	assert_int_equal(crash_frames_in(rig, 1000), n - before);
	assert_int_equal(guest_ring_free(&rig->ring), rig->v.size);
	for (uint32_t lap = 0; lap < 4; lap++) {
		crash_post(rig, n);
		crash_send(rig, lap, n);
		assert_int_equal(crash_frames_in(rig, lap), n);
	}
}

static void
crash_check_tx_reposted(struct rig *rig, uint32_t n)
{
	const uint32_t before = crash_frames_in(rig, 0);

	if (before != 0)
		crash_post(rig, before);
	crash_resume(rig);
	crash_send(rig, 1000, n);
	assert_int_equal(crash_frames_in(rig, 1000), n);
}

static void
crash_tx(struct rig *rig, bool many, void (*check)(struct rig *rig, uint32_t n))
{
	const uint32_t n = crash_frames(rig, many) / crash_chains(rig);

	if (n == 0)
		return;
	crash_setup(rig);
	for (uint32_t lap = 0; lap < CRASH_LAPS; lap++) {
		crash_post(rig, n);
		crash_begin();
		crash_send(rig, 0, n);
		crash_end();
		if (CRASH_CAN_STEP)
			assert_true(crash.nr > 1);
		crash_each(rig, check, n);
		assert_int_equal(crash_frames_in(rig, 0), n);
	}
	crash_forget();
}

static void
test_ring_crash_tx_part_of_ring(void **state)
{
	crash_tx(*state, false, crash_check_tx);
}

static void
test_ring_crash_tx_whole_ring(void **state)
{
	crash_tx(*state, true, crash_check_tx);
}

static void
test_ring_crash_tx_reposted(void **state)
{
	crash_tx(*state, true, crash_check_tx_reposted);
}

/* --- a process that is killed while it resumes ------------------------------------------------------ */

/* The last kill before the batch is given back leaves the most to put right. */
static size_t
crash_last_before(struct rig *rig)
{
	size_t i = crash.nr;
	uint32_t used;

	do {
		struct guest_ring ring = rig->ring;

		crash_restore(--i);
		rig->ring = crash_clone(&ring);
		used = crash_reap(rig);
		guest_ring_fini(&rig->ring);
		rig->ring = ring;
	} while (used != 0 && i > 0);
	return i;
}

static void
test_ring_crash_resume(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = crash_frames(rig, true);
	struct rte_mbuf *pkts[RIG_BURST];

	crash_setup(rig);
	for (uint32_t i = 0; i < n; i++)
		rig_send(rig, i, 60 + i);
	guest_ring_publish(&rig->ring);
	crash_begin();
	assert_int_equal(rig_rx(&rig->queue, pkts, RIG_BURST), n);
	crash_end();
	rte_pktmbuf_free_bulk(pkts, n);
	crash_restore(crash_last_before(rig));
	vhostx_queue_retire(&rig->queue);
	vhostx_ring_set_base(&rig->cursors, rig->v.base);
	crash_begin();
	assert_true(crash_resume_kept(rig));
	crash_end();
	crash_each(rig, crash_check_rx, n);
	assert_int_equal(crash_receive(rig, 0), n);
	assert_int_equal(crash_reap(rig), n);
	crash_forget();
}

/* --- what is not believed ---------------------------------------------------------------------------- */

/* The guest begins its ring anew, as a driver does when it is loaded again, and offers n buffers. */
static void
crash_begin_anew(struct rig *rig, uint32_t n)
{
	const struct guest_ring_conf conf = rig->ring.conf;
	const struct guest_region *region = rig->mem.region;

	guest_ring_fini(&rig->ring);
	for (unsigned int i = RIG_R_DESC; i <= RIG_R_DEVICE; i++)
		memset(region[i].va, 0, region[i].size);
	assert_int_equal(guest_ring_init(&rig->ring, &rig->mem, &conf), 0);
	for (uint32_t i = 0; i < n; i++)
		rig_post(rig, i, 100);
	guest_ring_publish(&rig->ring);
}

/* Wherever the ring was, a new one in its place is not taken for it, however much of it is offered. */
static void
test_ring_crash_new_ring_is_not_resumed(void **state)
{
	struct rig *rig = *state;
	const uint32_t cap = rig_capacity(rig);
	const uint32_t step = cap < 3 ? 1 : cap / 3;
	const struct guest_region *desc = &rig->mem.region[RIG_R_DESC];
	struct rig_variant fresh = rig->v;
	uint32_t wrongly = 0, times = 0;
	uint8_t before[1024];

	fresh.base = GUEST_PACKED_BASE;
	for (uint32_t laps = 1; laps < 4 * rig->v.size; laps++) {
		const uint32_t offered = laps % (cap + 1);

		rig->ring.conf.base = fresh.base;
		crash_begin_anew(rig, 0);
		crash_setup(rig);
		rig_start(rig, fresh.base);
		vhostx_journal_begin(&rig->snap);
		for (uint32_t i = 0; i < laps; i++) {
			for (uint32_t k = 0; k < step; k++)
				rig_send(rig, k, 60 + k);
			guest_ring_publish(&rig->ring);
			assert_int_equal(crash_receive(rig, 0), step);
			assert_int_equal(crash_reap(rig), step);
		}
		vhostx_queue_retire(&rig->queue);
		crash_begin_anew(rig, offered);
		times++;
		assert_true(desc->size <= sizeof(before));
		memcpy(before, desc->va, desc->size);
		wrongly += vhostx_journal_resume(&rig->snap);
		/* Nor is a batch that began where the new ring does taken back. */
		assert_memory_equal(before, desc->va, desc->size);
	}
	rig_start(rig, fresh.base);
	crash_forget();
	assert_true(times > 0);
	assert_int_equal(wrongly, 0);
}

/* A file is not trusted: whatever it says, the cursors stay within the ring. */
static void
test_ring_crash_garbage_is_not_resumed(void **state)
{
	struct rig *rig = *state;
	uint64_t word = 1;

	crash_setup(rig);
	vhostx_queue_retire(&rig->queue);
	for (uint32_t i = 0; i < 20000; i++) {
		word = word * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		crash_journal.batch = word >> (i % 48);
		if (vhostx_journal_resume(&rig->snap))
			assert_true(rig->cursors.last_avail < rig->v.size);
	}
	rig_start(rig, rig->v.base);
	crash_forget();
}

/* Where a chain crosses the ring's end, what is left of it can be taken for chains of a new ring. */
static bool
crash_is_telling(const struct rig_variant *v)
{
	return v->format == GUEST_PACKED && v->layout != RIG_CHAINED;
}

int
main(void)
{
	static const struct rig_case cases[] = {
		RIG_CASE(test_ring_crash_rx_part_of_ring, NULL),
		RIG_CASE(test_ring_crash_rx_whole_ring, NULL),
		RIG_CASE(test_ring_crash_rx_reposted, NULL),
		RIG_CASE(test_ring_crash_tx_part_of_ring, NULL),
		RIG_CASE(test_ring_crash_tx_whole_ring, NULL),
		RIG_CASE(test_ring_crash_tx_reposted, NULL),
		RIG_CASE(test_ring_crash_resume, rig_is_packed),
		/* Of the journal alone. */
		RIG_CASE(test_ring_crash_new_ring_is_not_resumed, crash_is_telling),
		RIG_CASE(test_ring_crash_garbage_is_not_resumed, rig_is_packed),
	};
	static struct rig_variant v[2 * 4 * 2];
	int failed;

	rig_eal();
	for (size_t k = 0; k < RIG_NR(v); k++) {
		static const enum rig_layout layouts[] = { RIG_DIRECT, RIG_CHAINED, RIG_INDIRECT, RIG_DIRECT };
		const bool packed = k % 2 != 0, late = k / 2 % 2 != 0, in_order = k >= RIG_NR(v) / 2;
		const uint16_t size = packed ? 7 : 8;

		v[k] = (struct rig_variant){
			.format = packed ? GUEST_PACKED : GUEST_SPLIT,
			.size = size,
			.mergeable = k / 4 % 2 != 0,
			.hdr_len = 12,
			.in_order = in_order,
			.layout = layouts[k / 2 % RIG_NR(layouts)],
			.base = packed ? GUEST_PACKED_BASE : 0,
		};
		/* The last slot but one and the second wrap counter; an index that is about to wrap. */
		if (late)
			v[k].base = packed ? (size - 2u) | (size - 2u) << 16 : 0xfffe;
	}
	failed = rig_run("test_ring_crash", cases, RIG_NR(cases), v, RIG_NR(v));
	crash_recorded = true;
	failed += rig_run("test_ring_crash record", cases, CRASH_RECORDED, v, RIG_NR(v));
	crash_doubted = true;
	failed += rig_run("test_ring_crash own record", cases, CRASH_RECORDED, v, RIG_NR(v));
	rte_eal_cleanup();
	return failed;
}
