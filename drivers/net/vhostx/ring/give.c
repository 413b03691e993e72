/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Give lent buffers back without a burst.
 */
#include "dirty.h"
#include "give.h"
#include "inflight.h"
#include "lend.h"
#include "notify.h"
#include "packed.h"
#include "split.h"

static void
give(const struct vhostx_snapshot *s, const struct vhostx_chain *rec, uint16_t n)
{
	const uint16_t before = s->ring->last_used;

	if (n == 0)
		return;
	if (s->inflight != NULL)
		vhostx_inflight_give(s, rec, n);
	if (s->format == VHOSTX_SPLIT)
		split_complete(s, rec, n);
	else
		packed_complete(s, rec, n, false);
	if (s->inflight != NULL)
		vhostx_inflight_given(s, rec, n);
	if (s->log != NULL)
		vhostx_dirty_used(s, before);
}

static void
give_call(const struct vhostx_snapshot *s)
{
	bool wanted;

	if (s->callfd < 0)
		return;
	/* F: what was completed before what the guest says it wants. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	wanted = s->format == VHOSTX_SPLIT ? split_wants_call(s) : packed_wants_call(s);
	if (wanted)
		vhostx_eventfd_signal(s->callfd, s->call_blocks);
}

uint32_t
vhostx_give_done(const struct vhostx_snapshot *s, struct vhostx_zc *zc)
{
	struct vhostx_chain rec[VHOSTX_ZC_GROUP];
	uint32_t given = 0;

	for (uint16_t g = 0; g < zc->nr_groups; g++) {
		const uint16_t n = zc->out_in[g] == 0 ? 0 :
			vhostx_zc_reap(zc, g, rec, vhostx_zc_now());

		give(s, rec, n);
		given += n;
	}
	if (given != 0)
		give_call(s);
	return given;
}

uint32_t
vhostx_give_early(const struct vhostx_snapshot *s, struct vhostx_zc *zc)
{
	uint32_t given = 0;

	for (uint32_t id = 0; id < zc->size; id++) {
		struct vhostx_chain rec = {
			.id = id, .ndesc = zc->slot[id].ndesc, .entry = zc->slot[id].entry,
		};

		/* One that comes back just now is given back here as well: reaping it gives nobody anything. */
		if (!vhostx_zc_is_out(zc, id))
			continue;
		give(s, &rec, 1);
		given++;
	}
	if (given != 0)
		give_call(s);
	return given;
}
