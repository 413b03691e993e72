/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A packed ring's journal read back, and held against the ring before it is believed.
 */
#include <errno.h>

#include <rte_pause.h>

#include "journal.h"

#define JOURNAL_BITS (1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED)

/* Looks at a ring that seems to contradict: its guest may be adding chains just now. */
#define JOURNAL_LOOKS 100

/* What an entry is, relative to the wrap counter that our position has there. */
enum journal_entry {
	ENTRY_AVAIL,  /* offered in this lap */
	ENTRY_USED,   /* used in this lap: by nobody but us */
	ENTRY_BEFORE, /* as the lap before left it */
};

/* Where a ring is to go on. */
struct journal_place {
	uint16_t slot;  /* position */
	bool wrap;
	uint16_t undo;  /* entries from the position on that may be half given back */
	uint16_t proof; /* a head that was given back, or VHOSTX_JOURNAL_NONE */
};

static uint16_t
entry_bits(const struct vhostx_snapshot *s, uint16_t slot)
{
	/* D: pairs with the guest's release of the flags. */
	return __atomic_load_n(&s->packed.desc[slot].flags, __ATOMIC_ACQUIRE) & JOURNAL_BITS;
}

static enum journal_entry
entry_look(const struct vhostx_snapshot *s, uint16_t slot, bool wrap)
{
	const uint16_t bits = entry_bits(s, slot);

	if (bits == (wrap ? JOURNAL_BITS : 0))
		return ENTRY_USED;
	if (bits == 1u << (wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED))
		return ENTRY_AVAIL;
	return ENTRY_BEFORE;
}

/*
 * Was the head that is the proof given back? It is used, or since then offered in the next lap: its used bit is the
 * wrap counter. Where a batch that was not given back has overwritten it, the journal, if there is one, has what
 * was there.
 */
static bool
proof_holds(const struct vhostx_snapshot *s, const struct journal_place *p)
{
	const uint32_t slot = vhostx_journal_slot(p->proof);
	const uint32_t ahead = slot - p->slot + (slot < p->slot ? s->size : 0);
	uint16_t bits;

	if (p->proof == VHOSTX_JOURNAL_NONE)
		return true;
	if (ahead != 0 && ahead < p->undo && s->journal == NULL)
		return true;
	if (ahead != 0 && ahead < p->undo)
		bits = s->journal->word[ahead - 1] >> 48;
	else
		bits = entry_bits(s, slot);
	return ((bits & 1u << VRING_PACKED_DESC_F_USED) != 0) == vhostx_journal_wrap(p->proof);
}

/*
 * The entries from the position on, a lap of them, backwards: the guest offers forwards. Offered ones are
 * together; before them there may be one head whose chain, or batch of chains, is not published yet. What
 * comes after is of the lap before. In none of them can there be an element that is used in this lap.
 */
static bool
ring_agrees(const struct vhostx_snapshot *s, const struct journal_place *p)
{
	uint32_t gaps = 0;
	bool offered = false;

	for (uint32_t i = s->size; i-- > p->undo;) {
		const bool lap = p->slot + i >= s->size;
		const enum journal_entry entry = entry_look(s, p->slot + i - (lap ? s->size : 0), p->wrap != lap);

		if (entry == ENTRY_USED)
			return false;
		if (entry == ENTRY_AVAIL)
			offered = true;
		else if (offered)
			gaps++;
	}
	return gaps <= 1 && proof_holds(s, p);
}

/* Does what the journal says fit a ring of this size? */
static bool
batch_is_sound(const struct vhostx_snapshot *s, const struct vhostx_journal_batch *b)
{
	return vhostx_journal_slot(b->start) < s->size && b->slots <= s->size &&
		(b->last == VHOSTX_JOURNAL_NONE || vhostx_journal_slot(b->last) < s->size) &&
		(b->prev == VHOSTX_JOURNAL_NONE || vhostx_journal_slot(b->prev) < s->size);
}

/* Before the last batch if its first head is available still, else after it. */
static struct journal_place
place_find(const struct vhostx_snapshot *s, const struct vhostx_journal_batch *b)
{
	struct journal_place p = {
		.slot = vhostx_journal_slot(b->start), .wrap = vhostx_journal_wrap(b->start), .proof = b->last,
	};
	uint32_t end;

	if (b->slots != 0 && entry_look(s, p.slot, p.wrap) == ENTRY_AVAIL) {
		/* Of one used element, nothing after the first entry was overwritten. */
		p.undo = b->last == b->start ? 1 : b->slots;
		p.proof = b->prev;
		return p;
	}
	end = (uint32_t)p.slot + b->slots;
	if (end >= s->size) {
		end -= s->size;
		p.wrap = !p.wrap;
	}
	p.slot = end;
	return p;
}

void
vhostx_journal_undo(const struct vhostx_snapshot *s, uint16_t slot, uint16_t slots, const uint64_t *word)
{
	for (uint32_t i = 0; i + 1 < slots; i++) {
		if (++slot == s->size)
			slot = 0;
		vhostx_store64(&s->packed.desc[slot].len, word[i]);
	}
}

void
vhostx_journal_begin(const struct vhostx_snapshot *s)
{
	const struct vhostx_ring *ring = s->ring;

	vhostx_journal_put(s->journal, (struct vhostx_journal_batch) {
		.start = vhostx_journal_at(ring->last_used, ring->used_wrap),
		.last = VHOSTX_JOURNAL_NONE,
		.prev = VHOSTX_JOURNAL_NONE,
	});
}

/*
 * A driver that begins a ring anew leaves our area zeroed, and we have written there since this one began. Nothing
 * else tells a ring at its very beginning from one that has just come round.
 */
static bool
ring_is_ours(const struct vhostx_snapshot *s)
{
	return __atomic_load_n((const uint32_t *)(const void *)s->packed.device, __ATOMIC_RELAXED) != 0;
}

bool
vhostx_journal_agrees(const struct vhostx_snapshot *s, uint16_t slot, bool wrap, uint16_t undo, uint16_t proof)
{
	const struct journal_place p = { .slot = slot, .wrap = wrap, .undo = undo, .proof = proof };

	if (!ring_is_ours(s) || (proof != VHOSTX_JOURNAL_NONE && vhostx_journal_slot(proof) >= s->size))
		return false;
	for (unsigned int looks = 0; looks < JOURNAL_LOOKS; looks++) {
		if (ring_agrees(s, &p))
			return true;
		rte_pause();
	}
	return false;
}

int32_t
vhostx_journal_position(const struct vhostx_snapshot *s)
{
	const struct vhostx_journal_batch batch = vhostx_journal_get(s->journal);
	struct journal_place p;

	if (!batch_is_sound(s, &batch))
		return -EINVAL;
	p = place_find(s, &batch);
	return vhostx_journal_at(p.slot, p.wrap);
}

bool
vhostx_journal_resume(const struct vhostx_snapshot *s)
{
	const struct vhostx_journal_batch batch = vhostx_journal_get(s->journal);
	struct vhostx_ring *ring = s->ring;
	struct journal_place p;

	if (!batch_is_sound(s, &batch))
		return false;
	p = place_find(s, &batch);
	if (!vhostx_journal_agrees(s, p.slot, p.wrap, p.undo, p.proof))
		return false;
	vhostx_journal_undo(s, p.slot, p.undo, s->journal->word);
	vhostx_journal_put(s->journal, (struct vhostx_journal_batch) {
		.start = vhostx_journal_at(p.slot, p.wrap), .last = p.proof, .prev = VHOSTX_JOURNAL_NONE,
	});
	ring->last_avail = p.slot;
	ring->last_used = p.slot;
	ring->avail_wrap = p.wrap;
	ring->used_wrap = p.wrap;
	ring->fresh = false;
	return true;
}
