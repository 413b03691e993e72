/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the ring tests share: packets between the host and the guest of a rig, and the proof that they are whole.
 */
#ifndef TEST_RING_PACKETS_H
#define TEST_RING_PACKETS_H

#include "guest/guest_net.h"
#include "test_ring_rig.h"

#define RIG_BURST 300 /* packets of the longest burst */

/* Frame lengths around the sizes where copying changes its ways; the longest fills a mbuf. */
static const uint32_t rig_lengths[] = { 1, 2, 14, 35, 36, 37, 60, 63, 64, 65, 127, 128, 129, 255, 256,
	257, 1000, 1500, 1514, 1518, 2035, 2036 };

static const uint32_t rig_bursts[] = { 1, 2, 3, 4, 7, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256,
	257, RIG_BURST };

/* Chains that fit the ring at once, as far as there are slots. */
static inline uint32_t
rig_capacity(const struct rig *rig)
{
	const uint32_t n = rig->v.layout == RIG_CHAINED ? rig->v.size / 3u : rig->v.size;

	return RTE_MIN(n, (uint32_t)RIG_SLOTS);
}

/* Ring entries that a chain of rig_add() takes. */
static inline uint32_t
rig_ndesc(const struct rig *rig)
{
	return rig->v.layout == RIG_CHAINED ? 3 : 1;
}

/* Buffer number i: RIG_SLOT_LEN bytes between canaries; the same again after RIG_SLOTS. */
static inline uint64_t
rig_slot(struct rig *rig, uint32_t i)
{
	uint64_t *slot = &rig->slot[i % RIG_SLOTS];

	if (*slot == 0)
		*slot = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, RIG_SLOT_LEN);
	assert_true(*slot != UINT64_MAX);
	return *slot;
}

/* Buffers for which bursts look up regions at once; each is in one of two, which one is told by the bits of @a in. */
#define RIG_MIXED 8u

static inline uint64_t
rig_mixed(struct rig *rig, uint32_t in, uint32_t i)
{
	return (in >> i & 1) != 0 ? RIG_HIGH + i * 256 : rig_slot(rig, i);
}

/* Describe len bytes at gpa as the variant has it. Returns pieces. */
static inline uint32_t
rig_cut(const struct rig *rig, struct guest_seg *seg, uint64_t gpa, uint32_t len, bool writable)
{
	static const uint32_t whole[] = { UINT32_MAX, 0 };
	static const uint32_t three[] = { 7, 40, UINT32_MAX, 0 };

	return guest_net_cut(seg, 3, gpa, len, rig->v.layout == RIG_DIRECT ? whole : three, 0,
		writable);
}

/* Add pieces, through a table of slot i if the variant says so. Returns the id. */
static inline int
rig_add_segs(struct rig *rig, uint32_t i, const struct guest_seg *seg, uint32_t nseg)
{
	int id;

	if (rig->v.layout == RIG_INDIRECT)
		id = guest_ring_add_indirect(&rig->ring, seg, nseg,
			RIG_TABLES + (i % RIG_SLOTS) * RIG_TABLE_LEN);
	else
		id = guest_ring_add(&rig->ring, seg, nseg);
	assert_true(id >= 0);
	return id;
}

/* Guest: transmit a frame of len bytes of seed i from gpa. */
static inline int
rig_send_from(struct rig *rig, uint32_t i, uint64_t gpa, uint32_t len)
{
	struct guest_seg seg[3];
	const uint32_t n = rig_cut(rig, seg, gpa, rig->v.hdr_len + len, false);

	assert_int_equal(guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, len, i), 0);
	return rig_add_segs(rig, i, seg, n);
}

static inline int
rig_send(struct rig *rig, uint32_t i, uint32_t len)
{
	return rig_send_from(rig, i, rig_slot(rig, i), len);
}

/* Guest: supply a receive buffer of len bytes at gpa, poisoned. */
static inline int
rig_post_at(struct rig *rig, uint32_t i, uint64_t gpa, uint32_t len)
{
	struct guest_seg seg[3];
	const uint32_t n = rig_cut(rig, seg, gpa, len, true);

	assert_int_equal(guest_mem_set(&rig->mem, gpa, 0xee, len), 0);
	return rig_add_segs(rig, i, seg, n);
}

static inline int
rig_post(struct rig *rig, uint32_t i, uint32_t len)
{
	return rig_post_at(rig, i, rig_slot(rig, i), len);
}

/* Guest: the next used buffer is this one, and nothing was written. */
static inline void
rig_assert_returned(struct rig *rig, int id)
{
	uint16_t got = 0;
	uint32_t len = 0;

	assert_int_equal(guest_ring_get_used(&rig->ring, &got, &len), 1);
	assert_int_equal(got, id);
	assert_int_equal(len, 0);
}

static inline void
rig_assert_nothing_used(struct rig *rig)
{
	uint16_t id;
	uint32_t len;

	assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 0);
}

/* Host: the mbuf is a frame of len bytes of the seed; it is freed. */
static inline void
rig_assert_mbuf(struct rte_mbuf *m, uint32_t len, uint32_t seed)
{
	uint32_t off = 0, segs = 0;
	const char *why = "";

	assert_int_equal(rte_mbuf_check(m, 1, &why), 0);
	assert_int_equal(m->pkt_len, len);
	assert_int_equal(m->port, RIG_PORT);
	assert_int_equal(rte_pktmbuf_headroom(m), RTE_PKTMBUF_HEADROOM);
	assert_true((m->ol_flags & ~RTE_MBUF_F_EXTERNAL) == 0);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, segs++) {
		assert_true(guest_net_matches(rte_pktmbuf_mtod(s, const uint8_t *), s->data_len,
			seed, off));
		off += s->data_len;
	}
	assert_int_equal(off, len);
	assert_int_equal(segs, m->nb_segs);
	rte_pktmbuf_free(m);
}

/* Host: a frame of len bytes of the seed. */
static inline struct rte_mbuf *
rig_mbuf_cut(uint32_t len, uint32_t seed, const uint32_t *cut)
{
	static uint8_t buf[300 * 1024];

	guest_net_pattern(buf, len, seed, 0);
	return rig_mbuf_of(buf, len, cut);
}

static inline struct rte_mbuf *
rig_mbuf(uint32_t len, uint32_t seed)
{
	static const uint32_t room[] = { RIG_ROOM, 0 };

	return rig_mbuf_cut(len, seed, room);
}

/* Host: transmit one frame. Returns whether it was taken; if not it is freed here. */
static inline bool
rig_tx_one(struct rig *rig, struct rte_mbuf *m)
{
	if (rig_tx(&rig->queue, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

/* Guest: the next frame is of len bytes of the seed, in nr buffers. */
static inline void
rig_assert_frame(struct rig *rig, uint32_t len, uint32_t seed, uint32_t nr)
{
	static uint8_t buf[300 * 1024];
	struct guest_net_frame f;

	assert_int_equal(guest_net_receive(&rig->ring, rig->v.hdr_len, rig->v.mergeable, buf,
		sizeof(buf), &f), 1);
	assert_int_equal(f.len, len);
	assert_int_equal(f.nr, nr);
	assert_true(guest_net_matches(buf, len, seed, 0));
	/* No offload was asked for (virtio 1.3, 5.1.6.4.1). */
	assert_int_equal(f.hdr.flags, 0);
	assert_int_equal(f.hdr.gso_type, 0);
}

#endif /* TEST_RING_PACKETS_H */
