/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of killed processes share: a ring with what is kept of it, the kill between any two stores, and the
 * next process.
 */
#ifndef TEST_RING_CRASH_H
#define TEST_RING_CRASH_H

#include "test_ring_cases.h"
#include "test_ring_packets.h"

#include "crash_step.h"
#include "ring/inflight.h"
#include "ring/journal.h"

#define CRASH_SLOTS 16 /* buffers of the rig that are watched */

/* A journal in memory of its own, as the state file's is; of one test at a time. */
static struct {
	uint64_t batch;
	uint64_t word[511];
} crash_journal __rte_aligned(4096);

/* The front-end's record; of one test at a time. */
static union {
	union vhostx_inflight_ring ring;
	uint8_t bytes[4096];
} crash_record __rte_aligned(4096);

/* Is a record kept? Else nothing, or the journal of a packed ring. */
static bool crash_recorded;

/* Is the record the driver's own, which may be another ring's? */
static bool crash_doubted;

/* The store after which the process was killed, for whoever looks at a failure; SIZE_MAX: none. */
static size_t crash_at = SIZE_MAX;

/* How many frames a burst of the rig's variant moves: half of the ring, or nearly all of it. */
static inline uint32_t
crash_frames(const struct rig *rig, bool many)
{
	const uint32_t n = rig_capacity(rig);

	return many || n < 3 ? n : n / 2;
}

/* Begin what is kept of the ring: a record, or of a packed ring a journal. */
static inline void
crash_begin_kept(struct rig *rig)
{
	if (crash_recorded) {
		memset(&crash_record, 0, sizeof(crash_record));
		rig->snap.inflight = &crash_record.ring;
		rig->snap.own_record = crash_doubted;
		vhostx_inflight_begin(&rig->snap);
	} else if (rig->snap.format == VHOSTX_PACKED) {
		rig->snap.journal = (struct vhostx_journal *)&crash_journal;
		vhostx_journal_begin(&rig->snap);
	}
}

static inline bool
crash_resume_kept(struct rig *rig)
{
	if (crash_recorded)
		return vhostx_inflight_resume(&rig->snap, crash_doubted);
	return rig->snap.format == VHOSTX_SPLIT || vhostx_journal_resume(&rig->snap);
}

static inline void
crash_setup(struct rig *rig)
{
	const struct guest_region *region = rig->mem.region;
	uint8_t *data = guest_mem_ptr(&rig->mem, rig_slot(rig, 0), 1);

	for (uint32_t i = 1; i < CRASH_SLOTS; i++)
		rig_slot(rig, i);
	crash_forget();
	crash_watch(region[RIG_R_DESC].va, region[RIG_R_DESC].size);
	crash_watch(region[RIG_R_DRIVER].va, region[RIG_R_DRIVER].size);
	crash_watch(region[RIG_R_DEVICE].va, region[RIG_R_DEVICE].size);
	crash_watch(&crash_journal, sizeof(crash_journal));
	crash_watch(&crash_record, sizeof(crash_record));
	crash_carry(region[RIG_R_TABLES].va, CRASH_SLOTS * RIG_TABLE_LEN);
	crash_carry(data, (uint8_t *)guest_mem_ptr(&rig->mem, rig_slot(rig, CRASH_SLOTS - 1), 1) - data);
	crash_begin_kept(rig);
}

/* What the next process does: it knows nothing but what it is told, and that is what it was told before. */
static inline void
crash_resume(struct rig *rig)
{
	const char *why = "";

	vhostx_queue_retire(&rig->queue);
	vhostx_ring_set_base(&rig->cursors, rig->v.base);
	assert_true(crash_resume_kept(rig));
	assert_true(vhostx_ring_prepare(&rig->snap, &why) >= 0);
	vhostx_queue_publish(&rig->queue, &rig->snap);
}

/* The guest's side once more: what a check does to it concerns no other check. */
static inline struct guest_ring
crash_clone(const struct guest_ring *ring)
{
	const uint32_t size = ring->conf.size;
	struct guest_ring clone = *ring;

	clone.chain = malloc(size * sizeof(*clone.chain));
	clone.next = malloc(size * sizeof(*clone.next));
	clone.order = malloc(size * sizeof(*clone.order));
	assert_true(clone.chain != NULL && clone.next != NULL && clone.order != NULL);
	memcpy(clone.chain, ring->chain, size * sizeof(*clone.chain));
	memcpy(clone.next, ring->next, size * sizeof(*clone.next));
	memcpy(clone.order, ring->order, size * sizeof(*clone.order));
	for (uint32_t i = 0; i < size; i++) {
		const size_t bytes = ring->chain[i].nseg * sizeof(struct guest_seg);

		if (ring->chain[i].seg == NULL)
			continue;
		clone.chain[i].seg = malloc(bytes);
		assert_non_null(clone.chain[i].seg);
		memcpy(clone.chain[i].seg, ring->chain[i].seg, bytes);
	}
	return clone;
}

/* Run a check on the memory as it was at each kill. What it was in the end is there again afterwards. */
static inline void
crash_each(struct rig *rig, void (*check)(struct rig *rig, uint32_t arg), uint32_t arg)
{
	const struct guest_ring ring = rig->ring;
	const struct vhostx_ring cursors = rig->cursors;

	for (size_t i = 0; i < crash.nr; i++) {
		rig->ring = crash_clone(&ring);
		crash_restore(i);
		crash_at = i;
		check(rig, arg);
		guest_ring_fini(&rig->ring);
	}
	crash_at = SIZE_MAX;
	crash_restore(crash.nr - 1);
	vhostx_queue_retire(&rig->queue);
	rig->ring = ring;
	rig->cursors = cursors;
	vhostx_queue_publish(&rig->queue, &rig->snap);
}

/* Guest: take back what is used. Returns how many. */
static inline uint32_t
crash_reap(struct rig *rig)
{
	uint32_t n = 0, len;
	uint16_t id;
	int ret;

	while ((ret = guest_ring_get_used(&rig->ring, &id, &len)) == 1)
		n++;
	assert_int_equal(ret, 0);
	return n;
}

static inline uint32_t
crash_receive(struct rig *rig, uint32_t seed)
{
	struct rte_mbuf *pkts[RIG_BURST];
	uint32_t total = 0;
	uint16_t n;

	while ((n = rig_rx(&rig->queue, pkts, RIG_BURST)) != 0) {
		for (uint16_t i = 0; i < n; i++, total++)
			rig_assert_mbuf(pkts[i], 60 + seed + total, seed + total);
	}
	return total;
}

#endif /* TEST_RING_CRASH_H */
