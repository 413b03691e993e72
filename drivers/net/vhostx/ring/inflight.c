/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The in-flight record, written. inflight_resume.c reads it back.
 */
#include "journal.h"
#include "record.h"

/* --- split ----------------------------------------------------------------------------------------- */

static void
split_take(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_split_desc *desc = s->inflight->split.desc;

	for (uint16_t i = 0; i < n; i++) {
		desc[c[i].id].counter = ++s->ring->counter;
		rte_compiler_barrier();
		__atomic_store_n(&desc[c[i].id].inflight, 1, __ATOMIC_RELAXED);
		rte_compiler_barrier();
	}
}

static void
split_give(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_split *r = &s->inflight->split;
	uint16_t last = r->last_batch_head;

	for (uint16_t i = 0; i < n; i++) {
		r->desc[c[i].id].next = last;
		last = c[i].id;
	}
	rte_compiler_barrier();
	r->last_batch_head = last;
	rte_compiler_barrier();
}

static void
split_given(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_split *r = &s->inflight->split;

	rte_compiler_barrier();
	for (uint16_t i = 0; i < n; i++)
		r->desc[c[i].id].inflight = 0;
	rte_compiler_barrier();
	r->used_idx = s->ring->last_used;
	rte_compiler_barrier();
}

static void
split_passed(const struct vhostx_snapshot *s, const struct vhostx_chain *last)
{
	struct vhostx_inflight_split *r = &s->inflight->split;

	rte_compiler_barrier();
	r->last_batch_head = last->id;
	rte_compiler_barrier();
	r->used_idx = s->ring->last_used;
	rte_compiler_barrier();
}

/* --- packed ---------------------------------------------------------------------------------------- */

/*
 * One chain, from free entry @a at and slot @a slot on; both move on. Past the end of the free list, which
 * only a guest that offers more than its ring has can reach, it writes somewhere.
 */
static uint16_t
packed_note(const struct vhostx_snapshot *s, uint16_t ndesc, uint16_t *at, uint16_t *slot)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;
	const uint16_t entry = vhostx_record_entry(s, *at);
	struct vhostx_inflight_packed_desc *head = &r->desc[entry];

	for (uint16_t k = 0; k < ndesc; k++) {
		const struct vring_packed_desc *from = &s->packed.desc[*slot];
		struct vhostx_inflight_packed_desc *to = &r->desc[vhostx_record_entry(s, *at)];

		to->addr = from->addr;
		to->len = from->len;
		to->id = from->id;
		to->flags = from->flags;
		head->last = *at;
		*at = __atomic_load_n(&to->next, __ATOMIC_RELAXED);
		if (++*slot == s->size)
			*slot = 0;
	}
	head->num = ndesc;
	head->counter = ++s->ring->counter;
	head->inflight = 1;
	return entry;
}

static void
packed_take(const struct vhostx_snapshot *s, struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;
	uint16_t slot = s->ring->last_avail;
	uint16_t at = r->free_head;

	for (uint16_t i = 0; i < n; i++)
		c[i].entry = packed_note(s, c[i].ndesc, &at, &slot);
	vhostx_record_set_free(r, at, at);
}

/* As many slots are about to be given back, the last @a ndesc of which are the last chain. */
static void
packed_set_batch(const struct vhostx_snapshot *s, uint32_t slots, uint16_t ndesc)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;
	const struct vhostx_ring *ring = s->ring;
	const uint32_t end = ring->last_used + slots, last = end - ndesc;

	r->old_proof = vhostx_record_get_used(r).proof;
	vhostx_record_set_used(r, (struct vhostx_record_used) {
		.used_idx = end < s->size ? end : end - s->size,
		.used_wrap = ring->used_wrap != (end >= s->size),
		.old_used_idx = ring->last_used, .old_used_wrap = ring->used_wrap,
		.proof = vhostx_journal_at(last < s->size ? last : last - s->size,
			ring->used_wrap != (last >= s->size)),
	});
}

static void
packed_give(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;
	const uint16_t old = r->old_free_head;
	uint16_t head = old;
	uint32_t slots = 0;

	for (uint16_t i = 0; i < n; i++) {
		r->desc[vhostx_record_entry(s, r->desc[c[i].entry].last)].next = head;
		head = c[i].entry;
		slots += c[i].ndesc;
	}
	vhostx_record_set_free(r, head, old);
	packed_set_batch(s, slots, c[n - 1].ndesc);
}

static void
packed_given(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;
	const uint16_t head = r->free_head;

	rte_compiler_barrier();
	for (uint16_t i = 0; i < n; i++)
		r->desc[c[i].entry].inflight = 0;
	vhostx_record_set_free(r, head, head);
	vhostx_record_rest(r, s->ring->last_used, s->ring->used_wrap, vhostx_record_get_used(r).proof);
}

static void
packed_pass(const struct vhostx_snapshot *s, const struct vhostx_chain *last)
{
	const uint32_t slots = vhostx_journal_slots(s);

	vhostx_journal_keep(s, slots, &s->inflight->packed.desc[0].addr, VHOSTX_RECORD_STRIDE);
	packed_set_batch(s, slots, last->ndesc);
}

static void
packed_passed(const struct vhostx_snapshot *s)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;

	rte_compiler_barrier();
	vhostx_record_rest(r, s->ring->last_used, s->ring->used_wrap, vhostx_record_get_used(r).proof);
}

/* --- both ------------------------------------------------------------------------------------------ */

void
vhostx_inflight_take(const struct vhostx_snapshot *s, struct vhostx_chain *c, uint16_t n)
{
	if (s->format == VHOSTX_PACKED)
		packed_take(s, c, n);
	else
		split_take(s, c, n);
}

void
vhostx_inflight_give(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	if (s->format == VHOSTX_PACKED)
		packed_give(s, c, n);
	else
		split_give(s, c, n);
}

void
vhostx_inflight_given(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	if (s->format == VHOSTX_PACKED)
		packed_given(s, c, n);
	else
		split_given(s, c, n);
}

bool
vhostx_inflight_may_pass(const struct vhostx_snapshot *s)
{
	if (s->format == VHOSTX_PACKED)
		return s->own_record && vhostx_journal_slots(s) == 0;
	return s->ring->last_avail == s->ring->last_used;
}

void
vhostx_inflight_pass(const struct vhostx_snapshot *s, const struct vhostx_chain *last)
{
	if (s->format == VHOSTX_PACKED)
		packed_pass(s, last);
}

void
vhostx_inflight_passed(const struct vhostx_snapshot *s, const struct vhostx_chain *last)
{
	if (s->format == VHOSTX_PACKED)
		packed_passed(s);
	else
		split_passed(s, last);
}
