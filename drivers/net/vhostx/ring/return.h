/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Giving back on a ring of either format what was taken before, and whether the guest is to be told: by a burst, and
 * without one. Included by give.c and, through format.h, by burst.c.
 */
#ifndef VHOSTX_RING_RETURN_H
#define VHOSTX_RING_RETURN_H

#include "dirty.h"
#include "inflight.h"
#include "packed.h"
#include "split.h"

/* Give chains back that were taken before, at least one, in any order; plain: each takes one entry. Not noted. */
static __rte_always_inline void
ring_write(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n, bool plain)
{
	switch (s->format) {
	case VHOSTX_SPLIT:
		split_complete(s, c, n);
		break;
	default:
		packed_complete(s, c, n, plain);
		break;
	}
}

/* The same, noted. */
static __rte_always_inline void
ring_put(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n, bool plain)
{
	if (unlikely(s->inflight != NULL))
		vhostx_inflight_give(s, c, n);
	ring_write(s, c, n, plain);
	if (unlikely(s->inflight != NULL))
		vhostx_inflight_given(s, c, n);
}

/* The same for chains with nothing written into them, and with a line in the log of what changes in guest memory. */
static __rte_always_inline void
ring_return(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n, bool plain)
{
	const uint16_t before = s->ring->last_used;

	ring_put(s, c, n, plain);
	if (unlikely(s->log != NULL))
		vhostx_dirty_used(s, before);
}

/* Does the guest want an interrupt for what was given back? */
static __rte_always_inline bool
ring_wants_call(const struct vhostx_snapshot *s)
{
	/* F: what was completed before what the guest says it wants. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	switch (s->format) {
	case VHOSTX_SPLIT:
		return split_wants_call(s);
	default:
		return packed_wants_call(s);
	}
}

#endif /* VHOSTX_RING_RETURN_H */
