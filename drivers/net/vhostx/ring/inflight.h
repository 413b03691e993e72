/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What whoever has a ring notes in its in-flight record (vhost-user, "Inflight I/O tracking"), and how a ring is
 * resumed by it. For copied and lent buffers alike: those are noted when they are taken, in the order of the ring,
 * and given back in any.
 */
#ifndef VHOSTX_RING_INFLIGHT_H
#define VHOSTX_RING_INFLIGHT_H

#include "../mem/inflight.h"
#include "vq.h"

/*
 * Take, then give, as the specification has them; a kill between any two steps leaves:
 *
 * Split; where one instruction writes 16 bytes, a chain's counter and inflight are written at once.
 * 1. take: counter, then inflight = 1, chain by chain.   So many chains are in flight more; the next one comes next.
 * 2. give: next of each, last_batch_head.                As before.
 * 3. used elements; idx, letter E.                       Given back: used_idx differs, the list says which.
 * 4. inflight = 0 of each; used_idx = idx.               As 3.
 * Where nothing is in flight and what is taken is given at once, no chain needs a mark:
 * 1. used elements; idx, letter E.                       As before, then given back: there is no mark to remove.
 * 2. last_batch_head; used_idx = idx.                    The same.
 * In our own record step 2 is left out until there is something to mark, and goes in front of that: without marks the
 * used index tells all.
 *
 * Packed. Entries of the record are taken from its free list, and come back to its front.
 * 1. take: entries = descriptors; num, last, counter and inflight = 1 of each head.   All are free entries still.
 * 2. free_head and old_free_head.                        In flight. The ring is as it was.
 * 3. give: next of each last entry, free_head, used_idx, used_wrap_counter.
 *                                                        In flight: the old ones count while old_used_idx's
 *                                                        entry is available.
 * 4. used elements; the first one last, letter E.        Given back: that entry is used.
 * 5. inflight = 0 of each; old_* = the new ones, those of the free list first.   As 4.
 * Where nothing is in flight and what is taken is given at once, our own record has no marks either, but words as a
 * journal has (journal.h):
 * 1. words = second words of the ring's entries after the first.  As before: nothing is in flight.
 * 2. used_idx, used_wrap_counter.                        The same, at the old ones, while old_used_idx's entry is
 *                                                        available; without marks the words go back to where they were.
 * 3. used elements; the first one last, letter E.        Given back: that entry is used.
 * 4. old_used_idx, old_used_wrap_counter = the new ones. As 3.
 *
 * As in journal.h barriers of the compiler are enough: a kill is between two instructions of one thread.
 */

/**
 * Note that the first @a n chains of a batch are taken, before the ring's cursors say so; each gets its entry.
 * All calls are for rings that have a record.
 */
void vhostx_inflight_take(const struct vhostx_snapshot *snap, struct vhostx_chain *chain, uint16_t n);

/** Chains that were taken are about to be given back: at least one, in this order, with their entries. */
void vhostx_inflight_give(const struct vhostx_snapshot *snap, const struct vhostx_chain *chain, uint16_t n);

/** They were given back; the cursors say so. */
void vhostx_inflight_given(const struct vhostx_snapshot *snap, const struct vhostx_chain *chain, uint16_t n);

/** Is nothing at all noted of chains that are taken now and given back at once? */
static __rte_always_inline bool
vhostx_inflight_is_silent(const struct vhostx_snapshot *s)
{
	return s->own_record && s->format == VHOSTX_SPLIT && s->ring->last_avail == s->ring->last_used;
}

/** Else: does the record need no entry for them? */
bool vhostx_inflight_may_pass(const struct vhostx_snapshot *snap);

/** Such chains, the last of which is @a last, were taken, the cursors say so, and are about to be given back. */
void vhostx_inflight_pass(const struct vhostx_snapshot *snap, const struct vhostx_chain *last);

/** They were given back; the cursors say so. */
void vhostx_inflight_passed(const struct vhostx_snapshot *snap, const struct vhostx_chain *last);

/** Begin the record of a ring that stands at its last_used, with nothing in flight. */
void vhostx_inflight_begin(const struct vhostx_snapshot *snap);

/** Where a packed ring with this record goes on, slot and wrap counter; negative if the record is not sound. */
int32_t vhostx_inflight_position(const struct vhostx_snapshot *snap);

/**
 * Resume a ring by the record: finish or roll back what was under way, make all that is in flight available again in
 * the order in which it was taken, and set the cursors.
 *
 * @param doubt  the record may be of another ring in the same place: hold it against the ring first.
 * @return false if there is no record of this ring yet, or it cannot be one; nothing is changed then.
 */
bool vhostx_inflight_resume(const struct vhostx_snapshot *snap, bool doubt);

#endif /* VHOSTX_RING_INFLIGHT_H */
