/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the ring tests share: a hostile guest that writes its ring at random, the same for the same seed.
 */
#ifndef TEST_RING_SCRIBBLER_H
#define TEST_RING_SCRIBBLER_H

#include "test_ring_hostile.h"

/* A guest that writes at random; its own generator, so that a seed repeats the run. */
struct scribbler {
	struct rig *rig;
	uint64_t state;
	bool done; /* atomic */
	uint16_t idx;
};

static inline uint32_t
random32(struct scribbler *s)
{
	/* xorshift64* */
	s->state ^= s->state >> 12;
	s->state ^= s->state << 25;
	s->state ^= s->state >> 27;
	return (uint32_t)(s->state * 0x2545f4914f6cdd1dull >> 32);
}

static inline uint64_t
random_gpa(struct scribbler *s)
{
	static const uint64_t gpa[] = { RIG_DATA, RIG_DATA, RIG_DATA, RIG_DATA, RIG_DATA + RIG_DATA_LEN,
		RIG_HIGH, RIG_HIGH, RIG_LOW, RIG_HIGH + RIG_HIGH_LEN, RIG_TABLES, RIG_TABLES,
		RIG_DESC, RIG_DRIVER, RIG_NOWHERE, 0, UINT64_MAX - 100,
		RIG_HIGH + (UINT64_C(1) << 63) };

	return gpa[random32(s) % RIG_NR(gpa)] + (random32(s) % 2 ? random32(s) % 4096 :
		-(uint64_t)(random32(s) % 256));
}

static inline struct guest_desc
random_desc(struct scribbler *s)
{
	static const uint32_t len[] = { 0, 1, 9, 10, 11, 12, 13, 60, 64, 1500, 3000, 70000, 1 << 20,
		16, 32, 160, UINT32_MAX, UINT32_MAX - 15 };
	const uint32_t r = random32(s);

	return (struct guest_desc){
		.addr = random_gpa(s),
		.len = r % 8 == 0 ? random32(s) % 5000 : len[r / 8 % RIG_NR(len)],
		/* Rather plain buffers, or all ends after one or two descriptors. */
		.flags = (r >> 8) % 4 == 0 ? (r >> 16) & 7 : (r >> 16) & GUEST_DESC_WRITE,
		.id_next = (r >> 20) % (s->rig->v.size + 2u),
	};
}

/* Mostly the entries that the device looks at next, mostly available. */
static inline void
scribble_packed(struct scribbler *s, struct guest_desc *d)
{
	const struct vhostx_ring *at = &s->rig->cursors;
	const uint32_t r = random32(s), size = s->rig->v.size;
	uint32_t slot = __atomic_load_n(&at->last_avail, __ATOMIC_RELAXED) + r % 8;
	bool wrap = __atomic_load_n(&at->avail_wrap, __ATOMIC_RELAXED);

	if (slot >= size)
		wrap = !wrap;
	if (r >> 8 & 7) {
		d->flags |= wrap ? GUEST_DESC_AVAIL : GUEST_DESC_USED;
	} else {
		d->flags |= r >> 16 & (GUEST_DESC_AVAIL | GUEST_DESC_USED);
		slot = r >> 12;
	}
	guest_ring_poke(&s->rig->ring, slot % size, d);
}

/* One change: a table entry, a descriptor, an index, a wish for calls. */
static inline void
scribble(struct scribbler *s)
{
	struct guest_ring *ring = &s->rig->ring;
	struct guest_desc d = random_desc(s);
	const uint32_t r = random32(s);
	const uint16_t slot = (r >> 8) % s->rig->v.size;

	if (r % 16 == 0)
		guest_ring_poke_event(ring, random32(s), random32(s) % 5);
	else if (r % 4 == 0)
		guest_ring_poke_table(ring, RIG_TABLES, r >> 8 & 127, &d);
	if (s->rig->v.format == GUEST_PACKED) {
		scribble_packed(s, &d);
		return;
	}
	guest_ring_poke(ring, slot, &d);
	guest_ring_poke_avail(ring, slot, (r >> 4) % 4096 == 0 ? random32(s) : d.id_next % ring->conf.size);
	if (r % 8 == 1) {
		/* Mostly a little on from where the device is, so that it has something to do. */
		s->idx = __atomic_load_n((uint16_t *)ring->device + 1, __ATOMIC_RELAXED) + random32(s) % 32;
		guest_ring_poke_avail_idx(ring, r >> 4 & 4095 ? s->idx : random32(s));
	}
}

#endif /* TEST_RING_SCRIBBLER_H */
