/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The journal of a packed ring that gives chains back in order: what a process that follows a killed one needs to
 * go on. Written here for bursts, read by journal.c.
 */
#ifndef VHOSTX_RING_JOURNAL_H
#define VHOSTX_RING_JOURNAL_H

#include <assert.h>

#include "../mem/state.h"
#include "vq.h"

/*
 * Steps of a batch, and what a kill between them leaves:
 *
 * 1. word[] = second words of the entries after the first.   The batch of before counts, and was given back.
 * 2. batch = where it begins, how long it is.                The first entry is available still: not given back.
 *                                                            word[] takes the place of what step 3 overwrote.
 * 3. used elements, from the second chain on.                As after 2.
 * 4. the first used element, letter E.                       It is used: the batch was given back.
 *
 * Where one used element stands for the batch, 1 and 3 are left out: nothing but the first entry changes. Such a
 * batch has its first entry as the last head too, as a batch of one chain has.
 *
 * A kill stops one thread between two of its instructions, and the kernel sees to it that all before it is in
 * memory: only the compiler could change the order, so its barriers are enough. A machine that stops takes the
 * guest with it.
 */
static_assert(sizeof(struct vhostx_journal_batch) == sizeof(uint64_t), "one store replaces it");

/** A position in the form of struct vhostx_journal_batch. */
static __rte_always_inline uint16_t
vhostx_journal_at(uint16_t slot, bool wrap)
{
	return slot | (uint16_t)wrap << 15;
}

/** The slot of such a position. */
static __rte_always_inline uint16_t
vhostx_journal_slot(uint16_t at)
{
	return at & 0x7fff;
}

/** Its wrap counter. */
static __rte_always_inline bool
vhostx_journal_wrap(uint16_t at)
{
	return at >> 15 != 0;
}

/** Put a batch in the place of the last one. */
static __rte_always_inline void
vhostx_journal_put(struct vhostx_journal *journal, struct vhostx_journal_batch batch)
{
	uint64_t word;

	memcpy(&word, &batch, sizeof(word));
	rte_compiler_barrier();
	__atomic_store_n(&journal->batch, word, __ATOMIC_RELAXED);
	rte_compiler_barrier();
}

/** The last batch. */
static __rte_always_inline struct vhostx_journal_batch
vhostx_journal_get(const struct vhostx_journal *journal)
{
	const uint64_t word = __atomic_load_n(&journal->batch, __ATOMIC_RELAXED);
	struct vhostx_journal_batch batch;

	memcpy(&batch, &word, sizeof(batch));
	return batch;
}

/* Copy the second words of @a n entries; n may be 0. The guest may change them meanwhile: they are its own. */
static __rte_always_inline void
journal_copy(uint64_t *to, const struct vring_packed_desc *from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		memcpy(&to[i], &from[i].len, sizeof(*to));
}

/** Entries that were taken and not given back. */
static __rte_always_inline uint32_t
vhostx_journal_slots(const struct vhostx_snapshot *s)
{
	const struct vhostx_ring *ring = s->ring;
	const bool lap = ring->avail_wrap != ring->used_wrap;

	return ring->last_avail + (lap ? s->size : 0u) - ring->last_used;
}

/** Step 1 for the @a slots entries that were taken: the words of all but the first. */
static __rte_always_inline void
vhostx_journal_keep(const struct vhostx_snapshot *s, uint32_t slots, uint64_t *to)
{
	const uint16_t first = s->ring->last_used;
	const uint32_t ahead = RTE_MIN(slots, (uint32_t)s->size - first);

	journal_copy(to, &s->packed.desc[first + 1], ahead - 1);
	journal_copy(&to[ahead - 1], s->packed.desc, slots - ahead);
}

/** Step 2 for the chains that were taken, all of them, if one used element is to stand for them. */
static __rte_always_inline void
vhostx_journal_open_one(const struct vhostx_snapshot *s)
{
	const uint16_t start = vhostx_journal_at(s->ring->last_used, s->ring->used_wrap);

	vhostx_journal_put(s->journal, (struct vhostx_journal_batch) {
		.start = start,
		.slots = vhostx_journal_slots(s),
		.last = start,
		.prev = vhostx_journal_get(s->journal).last,
	});
}

/**
 * Steps 1 and 2 for the chains that were taken and that complete is about to give back, all of them.
 * @param ndesc  entries of the last one.
 */
static __rte_always_inline void
vhostx_journal_open(const struct vhostx_snapshot *s, uint16_t ndesc)
{
	const struct vhostx_ring *ring = s->ring;
	struct vhostx_journal *journal = s->journal;
	const uint32_t slots = vhostx_journal_slots(s);
	const bool back = ring->last_avail < ndesc;

	vhostx_journal_keep(s, slots, journal->word);
	vhostx_journal_put(journal, (struct vhostx_journal_batch) {
		.start = vhostx_journal_at(ring->last_used, ring->used_wrap),
		.slots = slots,
		.last = vhostx_journal_at(ring->last_avail + (back ? s->size : 0) - ndesc,
			ring->avail_wrap != back),
		.prev = vhostx_journal_get(journal).last,
	});
}

/**
 * Can a packed ring stand there? Told by its entries alone, of which the guest may be adding some just now.
 *
 * @param undo   entries from there on that may be half given back.
 * @param proof  the last head that was given back, slot and wrap counter, or VHOSTX_JOURNAL_NONE.
 */
bool vhostx_journal_agrees(const struct vhostx_snapshot *snap, uint16_t slot, bool wrap, uint16_t undo,
	uint16_t proof);

/** Where a ring with this journal goes on, slot and wrap counter; negative if the journal is not sound. */
int32_t vhostx_journal_position(const struct vhostx_snapshot *snap);

/**
 * Give the entries after slot @a slot the words that they had: each store may be the last one, and is repeated then.
 *
 * @param slots  as many as vhostx_journal_keep() was told, or 0.
 * @param word   what it kept.
 */
void vhostx_journal_undo(const struct vhostx_snapshot *snap, uint16_t slot, uint16_t slots, const uint64_t *word);

/** Begin the journal of a ring that stands at its last_used, with what evidence it has. */
void vhostx_journal_begin(const struct vhostx_snapshot *snap);

/**
 * Set the cursors of a ring to where its journal says that they were, and put its entries back in the state that
 * they had then. Changes nothing unless it returns true.
 *
 * @return false if the ring contradicts the journal: it is another one, or was begun anew.
 */
bool vhostx_journal_resume(const struct vhostx_snapshot *snap);

#endif /* VHOSTX_RING_JOURNAL_H */
