/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Give lent buffers back without a burst.
 */
#include "give.h"
#include "lend.h"
#include "notify.h"
#include "return.h"

static void
give_call(const struct vhostx_snapshot *s)
{
	if (s->callfd >= 0 && ring_wants_call(s))
		vhostx_eventfd_signal(s->callfd, s->call_blocks);
}

uint32_t
vhostx_give_done(const struct vhostx_snapshot *s, struct vhostx_zc *zc)
{
	struct vhostx_chain rec[VHOSTX_ZC_GROUP];
	uint32_t given = 0;

	for (uint16_t g = 0; g < zc->nr_groups; g++) {
		const uint16_t n = zc->out_in[g] == 0 ? 0 :
			vhostx_zc_reap(zc, g, rec, vhostx_zc_now(), NULL);

		if (n != 0)
			ring_return(s, rec, n, false);
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
		ring_return(s, &rec, 1, false);
		given++;
	}
	if (given != 0)
		give_call(s);
	return given;
}
