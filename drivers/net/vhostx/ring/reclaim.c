/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Entries of a packed ring that were used out of their turn are made available again.
 */
#include "packed.h"
#include "reclaim.h"

static uint32_t
reclaim_distance(uint16_t from, uint16_t to, uint32_t size)
{
	const uint32_t lap = vhostx_journal_wrap(from) != vhostx_journal_wrap(to) ? size : 0;
	const uint32_t ahead = vhostx_journal_slot(to) + lap - vhostx_journal_slot(from);

	/* Before it: a lap and the rest of the next one. */
	return (int32_t)ahead < 0 ? ahead + 2 * size : ahead;
}

static bool
reclaim_is_used(const struct vhostx_snapshot *s, struct packed_pos p)
{
	const struct vhostx_desc d = packed_desc(&s->packed.desc[p.slot]);

	return (d.flags & (PACKED_AVAIL | PACKED_USED)) == (p.wrap ? PACKED_AVAIL | PACKED_USED : 0);
}

/* Entries of the chain whose head is used, the first of at most @a left: only heads are marked. */
static uint32_t
reclaim_chain(const struct vhostx_snapshot *s, struct packed_pos p, uint32_t left)
{
	uint32_t n = 1;

	while (n < left && !reclaim_is_used(s, packed_step(s, p, n)))
		n++;
	return n;
}

struct vhostx_dropped
vhostx_reclaim_find(uint32_t before, uint32_t now, uint32_t size)
{
	const uint16_t from = before & UINT16_MAX, to = now & UINT16_MAX;
	uint32_t slots;

	/* Whoever drops gives back at once, so both halves of a position are equal. */
	if (before >> 16 != from || now >> 16 != to || vhostx_journal_slot(from) >= size ||
			vhostx_journal_slot(to) >= size)
		return (struct vhostx_dropped){ 0 };
	slots = reclaim_distance(from, to, size);
	return (struct vhostx_dropped){ .at = from, .slots = slots <= size ? slots : 0 };
}

bool
vhostx_reclaim(const struct vhostx_snapshot *s, const struct vhostx_dropped *dropped, uint16_t at)
{
	const uint32_t ahead = reclaim_distance(at, dropped->at, s->size);
	struct packed_pos p = { vhostx_journal_slot(dropped->at), vhostx_journal_wrap(dropped->at) };
	const struct vhostx_desc first = packed_desc(&s->packed.desc[p.slot]);
	uint32_t chain;

	/* In a chain that we gave back, of which all but the head looks available still: nobody looks there any more. */
	if (ahead >= s->size && ahead + dropped->slots <= 2u * s->size)
		return true;
	/* At the place itself: the guest sees the first of them, and goes on. */
	if (ahead == 0 || ahead + dropped->slots > s->size)
		return false;
	/* Those of an earlier attempt are available already. */
	if (!reclaim_is_used(s, p) && !packed_is_avail(&first, p.wrap))
		return false;
	for (uint32_t left = dropped->slots; left != 0; left -= chain) {
		struct vring_packed_desc *head = &s->packed.desc[p.slot];
		uint64_t flags = (p.wrap ? PACKED_AVAIL : PACKED_USED) | VRING_DESC_F_INDIRECT;

		chain = reclaim_chain(s, p, left);
		if (reclaim_is_used(s, p)) {
			flags |= chain > 1 ? VRING_DESC_F_NEXT : 0;
			/* A table of 0 bytes: a fault in either direction. */
			vhostx_store64(&head->len, (uint64_t)head->id << 32 | flags << 48);
		}
		p = packed_step(s, p, chain);
	}
	return true;
}
