/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * From addresses of this process back to the guest's, and into the dirty log. Nothing of it is needed while the
 * log is off, so chains carry no guest addresses for it.
 */
#include "dirty.h"
#include "notify.h"

/* What one call has under way. */
struct dirty {
	const struct vhostx_snapshot *snap;
	struct vhostx_log_batch batch;
	uint32_t hint; /* region of the last address */
};

static struct dirty
dirty_begin(const struct vhostx_snapshot *s)
{
	/* J: what was written before the bits; the front-end clears bits before it copies pages. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (struct dirty){ .snap = s };
}

static void
dirty_end(struct dirty *d)
{
	vhostx_log_flush(d->snap->log, &d->batch);
}

/* What is in one piece here may be in several there, behind an IOMMU. */
static void
dirty_mark(struct dirty *d, const void *va, uint64_t len)
{
	const uint8_t *at = va;

	while (len != 0) {
		uint64_t run, part;
		const uint8_t *there = vhostx_view_origin(d->snap->view, at, &part);
		const uint64_t gpa = vhostx_mem_gpa(d->snap->mem, &d->hint, there, &run);

		if (gpa == UINT64_MAX)
			return;
		run = RTE_MIN(RTE_MIN(len, part), run);
		vhostx_log_mark(d->snap->log, &d->batch, gpa, run);
		at += run;
		len -= run;
	}
}

/* Bytes of the used ring or device area, which begins at @a area and may be logged at a second place. */
static void
dirty_mark_used(struct dirty *d, const void *area, const volatile void *va, uint64_t len)
{
	const struct vhostx_snapshot *s = d->snap;
	const uint64_t off = (uintptr_t)va - (uintptr_t)area;

	dirty_mark(d, (const uint8_t *)area + off, len);
	if (s->log_used != UINT64_MAX)
		vhostx_log_mark(s->log, &d->batch, s->log_used + off, len);
}

static void
dirty_mark_chain(struct dirty *d, const struct vhostx_batch *b, const struct vhostx_chain *c)
{
	uint32_t left = c->used_len;
	uint32_t part = RTE_MIN(left, c->len);

	dirty_mark(d, c->va, part);
	left -= part;
	for (uint16_t i = 0; left != 0 && i < c->nspill; i++) {
		const struct vhostx_seg *seg = &b->spill[c->spill + i];

		part = RTE_MIN(left, seg->len);
		dirty_mark(d, seg->va, part);
		left -= part;
	}
}

void
vhostx_dirty_data(const struct vhostx_snapshot *s, const struct vhostx_batch *b,
	const struct vhostx_chain *c, uint16_t n)
{
	struct dirty d = dirty_begin(s);

	for (uint16_t i = 0; i < n; i++) {
		if (c[i].used_len != 0)
			dirty_mark_chain(&d, b, &c[i]);
	}
	dirty_end(&d);
}

static void
dirty_split(struct dirty *d, uint16_t before)
{
	const struct vhostx_snapshot *s = d->snap;
	struct vring_used *used = s->split.used;
	const uint16_t n = s->ring->last_used - before;
	const uint16_t first = before & (s->size - 1);
	const uint16_t part = RTE_MIN(n, s->size - first);

	dirty_mark_used(d, used, &used->ring[first], part * sizeof(used->ring[0]));
	dirty_mark_used(d, used, &used->ring[0], (n - part) * sizeof(used->ring[0]));
	dirty_mark_used(d, used, &used->idx, sizeof(used->idx));
}

/* Of a chain of several slots the first one alone was written; the others are logged with it. */
static void
dirty_packed(struct dirty *d, uint16_t before)
{
	const struct vhostx_snapshot *s = d->snap;
	struct vring_packed_desc *desc = s->packed.desc;
	const uint16_t after = s->ring->last_used;

	if (after > before) {
		dirty_mark(d, &desc[before], (after - before) * sizeof(desc[0]));
		return;
	}
	dirty_mark(d, &desc[before], (s->size - before) * sizeof(desc[0]));
	dirty_mark(d, &desc[0], after * sizeof(desc[0]));
}

void
vhostx_dirty_used(const struct vhostx_snapshot *s, uint16_t before)
{
	struct dirty d = dirty_begin(s);

	if (s->format == VHOSTX_PACKED)
		dirty_packed(&d, before);
	else
		dirty_split(&d, before);
	dirty_end(&d);
	if (s->logfd >= 0)
		vhostx_eventfd_signal(s->logfd, s->log_blocks);
}

void
vhostx_dirty_ring(const struct vhostx_snapshot *s)
{
	struct vring_used *used = s->split.used;
	struct dirty d = dirty_begin(s);

	if (s->format == VHOSTX_PACKED) {
		dirty_mark(&d, s->packed.desc, s->size * sizeof(s->packed.desc[0]));
	} else {
		dirty_mark(&d, s->split.avail, sizeof(*s->split.avail) + s->size * sizeof(uint16_t));
		dirty_mark_used(&d, used, used, sizeof(*used) + s->size * sizeof(used->ring[0]));
	}
	dirty_end(&d);
}

void
vhostx_dirty_wish(const struct vhostx_snapshot *s)
{
	struct vring_used *used = s->split.used;
	struct dirty d = dirty_begin(s);

	if (s->format == VHOSTX_PACKED) {
		dirty_mark_used(&d, s->packed.device, s->packed.device, sizeof(*s->packed.device));
	} else {
		dirty_mark_used(&d, used, &used->flags, sizeof(used->flags));
		if (s->event_idx)
			dirty_mark_used(&d, used, &used->ring[s->size], sizeof(uint16_t));
	}
	dirty_end(&d);
}
