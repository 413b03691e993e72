/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The in-flight record, written. inflight_resume.c reads it back.
 */
#include <rte_vect.h>

#include "journal.h"
#include "record.h"

/* --- split ----------------------------------------------------------------------------------------- */

/*
 * The counter, then the mark; or both by one instruction, which a kill does not divide. That overwrites next, which
 * counts while a batch that has the head is given back, and is written then.
 */
static __rte_always_inline void
split_mark(struct vhostx_inflight_split_desc *desc, uint64_t counter)
{
#ifdef __SSE2__
	_mm_storeu_si128((__m128i *)(void *)desc, _mm_set_epi64x(counter, 1));
#else
	desc->counter = counter;
	rte_compiler_barrier();
	__atomic_store_n(&desc->inflight, 1, __ATOMIC_RELAXED);
#endif
	rte_compiler_barrier();
}

/* Our own record may not know yet what was given back without it. It has no marks: the order is of no account. */
static __rte_always_inline void
split_catch_up(const struct vhostx_snapshot *s)
{
	struct vhostx_inflight_split *r = &s->inflight->split;

	r->last_batch_head = vhostx_record_last_head(s, s->ring->last_used);
	r->used_idx = s->ring->last_used;
	rte_compiler_barrier();
}

static void
split_take(const struct vhostx_snapshot *s, const struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_split_desc *const desc = s->inflight->split.desc;
	const uint64_t counter = s->ring->counter;

	if (vhostx_inflight_is_silent(s))
		split_catch_up(s);
	for (uint16_t i = 0; i < n; i++)
		split_mark(&desc[c[i].id], counter + i + 1);
	s->ring->counter = counter + n;
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
	struct vhostx_inflight_split *const r = &s->inflight->split;

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
static __rte_noinline void
packed_note(const struct vhostx_snapshot *s, uint16_t ndesc, uint64_t counter, uint16_t *at, uint16_t *slot)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;
	struct vhostx_inflight_packed_desc *head = &r->desc[vhostx_record_entry(s, *at)];

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
	head->counter = counter;
	head->inflight = 1;
}

/*
 * The same for a chain of the one entry @a from, in four words: all of it is free still, so they go in any order.
 * @return where the free list goes on.
 */
static __rte_always_inline uint16_t
packed_note_single(struct vhostx_inflight_packed_desc *to, const struct vring_packed_desc *from, uint16_t at,
	uint64_t counter)
{
	const uint16_t next = __atomic_load_n(&to->next, __ATOMIC_RELAXED);
	/* The length is in front of id and flags in the ring, and behind them here. */
	const uint64_t rest = vhostx_load64(&from->len);

	/* inflight, next, last, num */
	vhostx_store64(to, 1 | (uint64_t)next << 16 | (uint64_t)at << 32 | UINT64_C(1) << 48);
	to->counter = counter;
	vhostx_store64(&to->id, rest << 32 | rest >> 32);
	to->addr = vhostx_load64(&from->addr);
	return next;
}

static_assert(offsetof(struct vhostx_inflight_packed_desc, next) == 2 &&
	offsetof(struct vhostx_inflight_packed_desc, last) == 4 &&
	offsetof(struct vhostx_inflight_packed_desc, num) == 6 &&
	offsetof(struct vhostx_inflight_packed_desc, counter) == 8 &&
	offsetof(struct vhostx_inflight_packed_desc, id) == 16 &&
	offsetof(struct vhostx_inflight_packed_desc, len) == 20, "packed_note_single() writes words");

static void
packed_take(const struct vhostx_snapshot *s, struct vhostx_chain *c, uint16_t n)
{
	struct vhostx_inflight_packed *const r = &s->inflight->packed;
	const struct vring_packed_desc *const ring = s->packed.desc;
	const uint64_t counter = s->ring->counter;
	const uint16_t size = s->size;
	uint16_t slot = s->ring->last_avail;
	uint16_t at = r->free_head;

	for (uint16_t i = 0; i < n; i++) {
		const uint16_t entry = at < size ? at : 0;

		c[i].entry = entry;
		if (unlikely(c[i].ndesc != 1)) {
			/* The cursors are in registers but here. */
			uint16_t at_now = at, slot_now = slot;

			packed_note(s, c[i].ndesc, counter + i + 1, &at_now, &slot_now);
			at = at_now;
			slot = slot_now;
			continue;
		}
		at = packed_note_single(&r->desc[entry], &ring[slot], at, counter + i + 1);
		if (++slot == size)
			slot = 0;
	}
	s->ring->counter = counter + n;
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

	vhostx_journal_keep(s, slots, vhostx_record_words(s));
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
