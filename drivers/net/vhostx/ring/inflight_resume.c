/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The in-flight record begun, and read back after a crash.
 */
#include <errno.h>
#include <stdlib.h>

#include "journal.h"
#include "record.h"

#define INFLIGHT_BITS (1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED)

/* --- both ------------------------------------------------------------------------------------------ */

/* A chain that is in flight. */
struct inflight_head {
	uint64_t counter;
	uint16_t entry; /* of the record */
	uint16_t num;   /* packed: descriptors */
};

static int
head_compare(const void *a, const void *b)
{
	const struct inflight_head *x = a, *y = b;

	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

/* --- split ----------------------------------------------------------------------------------------- */

static void
split_begin(const struct vhostx_snapshot *s)
{
	struct vhostx_inflight_split *r = &s->inflight->split;
	const uint16_t last = vhostx_record_last_head(s, s->ring->last_used);

	memset(r->desc, 0, s->size * sizeof(r->desc[0]));
	r->desc[last].next = last;
	r->features = 0;
	r->last_batch_head = last;
	r->desc_num = s->size;
	r->used_idx = s->ring->last_used;
	rte_compiler_barrier();
	r->version = 1;
}

/*
 * Is the last head that was given back in the used ring's last element? In front of it there may be those of a
 * batch that was not given back.
 */
static bool
split_proof_holds(const struct vhostx_snapshot *s, uint16_t used)
{
	const struct vhostx_inflight_split *r = &s->inflight->split;
	const uint16_t id = vhostx_record_last_head(s, used);
	uint16_t head = vhostx_record_entry(s, r->last_batch_head);

	for (uint32_t i = 0; i < s->size && head != id && r->desc[head].inflight == 1; i++)
		head = vhostx_record_entry(s, __atomic_load_n(&r->desc[head].next, __ATOMIC_RELAXED));
	return head == id && (uint16_t)(used - r->used_idx) <= s->size;
}

/* The heads of the last batch were given back if the used ring says so, whatever their marks say. */
static void
split_settle_batch(const struct vhostx_snapshot *s, uint16_t used)
{
	struct vhostx_inflight_split *r = &s->inflight->split;
	uint16_t left = used - r->used_idx;
	uint16_t head = r->last_batch_head;

	for (; left != 0 && left <= s->size && head < s->size; left--) {
		r->desc[head].inflight = 0;
		head = __atomic_load_n(&r->desc[head].next, __ATOMIC_RELAXED);
	}
	rte_compiler_barrier();
	r->used_idx = used;
}

/*
 * Is the head that was taken last where it has to be in the available ring, and does that have so many? It may
 * be given back since, but the driver cannot overwrite it there. One that got its counter and no mark was not taken.
 */
static bool
split_agrees(const struct vhostx_snapshot *s, uint16_t last, uint32_t n, uint16_t used)
{
	/* D: pairs with the guest's release of its index. */
	const uint16_t offered = __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE) - used;
	const uint16_t mask = s->size - 1;

	if (n == 0)
		return true;
	if (n > offered || offered > s->size)
		return false;
	return s->split.avail->ring[(used + n - 1) & mask] == last ||
		(s->inflight->split.desc[last].inflight == 0 && s->split.avail->ring[(used + n) & mask] == last);
}

/*
 * What is in flight becomes the next entries of the available ring, which the driver has behind it. The marks go
 * from the last one on: a kill in between leaves the first ones, which are put there again.
 */
static void
split_make_available(const struct vhostx_snapshot *s, const struct inflight_head *head, uint32_t n,
	uint16_t used)
{
	struct vhostx_inflight_split *r = &s->inflight->split;

	for (uint32_t i = 0; i < n; i++)
		__atomic_store_n(&s->split.avail->ring[(used + i) & (s->size - 1)], head[i].entry,
			__ATOMIC_RELAXED);
	for (uint32_t i = n; i-- > 0;) {
		rte_compiler_barrier();
		r->desc[head[i].entry].inflight = 0;
	}
}

static bool
split_has_no_marks(const struct vhostx_snapshot *s)
{
	for (uint32_t i = 0; i < s->size; i++) {
		if (s->inflight->split.desc[i].inflight == 1)
			return false;
	}
	return true;
}

static bool
split_resume(const struct vhostx_snapshot *s, struct inflight_head *head, bool doubt)
{
	const uint16_t used = __atomic_load_n(&s->split.used->idx, __ATOMIC_RELAXED);
	struct vhostx_inflight_split *r = &s->inflight->split;
	uint64_t counter = 0;
	uint16_t last = 0;
	uint32_t n = 0;

	if (doubt && !split_proof_holds(s, used) && !split_has_no_marks(s))
		return false;
	split_settle_batch(s, used);
	for (uint32_t i = 0; i < s->size; i++) {
		const struct inflight_head h = { .counter = r->desc[i].counter, .entry = i };

		if (r->desc[i].inflight == 1)
			head[n++] = h;
		last = h.counter > counter ? i : last;
		counter = RTE_MAX(counter, h.counter);
	}
	qsort(head, n, sizeof(*head), head_compare);
	if (doubt && !split_agrees(s, last, n, used))
		return false;
	split_make_available(s, head, n, used);
	s->ring->counter = counter;
	s->ring->last_avail = used;
	s->ring->last_used = used;
	return true;
}

/* --- packed ---------------------------------------------------------------------------------------- */

/* All entries are free, one after the other. */
static void
packed_free_all(const struct vhostx_snapshot *s)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;

	for (uint32_t i = 0; i < s->size; i++)
		r->desc[i].next = i + 1;
	vhostx_record_set_free(r, 0, 0);
}

static void
packed_begin(const struct vhostx_snapshot *s)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;

	memset(r->desc, 0, s->size * sizeof(r->desc[0]));
	packed_free_all(s);
	r->features = 0;
	r->desc_num = s->size;
	vhostx_record_rest(r, s->ring->last_used, s->ring->used_wrap, VHOSTX_JOURNAL_NONE);
	rte_compiler_barrier();
	r->version = 1;
}

/* Where a ring goes on. */
struct packed_place {
	uint16_t slot;
	bool wrap;
	uint16_t free_head; /* of the record's free list */
	uint16_t undo;      /* ring entries from there on that may be half given back */
	uint16_t proof;     /* as in the journal */
};

/* After the batch that was under way if it was given back, else before it. @return false: there is no such place. */
static bool
packed_find_place(const struct vhostx_snapshot *s, struct packed_place *p)
{
	const struct vhostx_inflight_packed *r = &s->inflight->packed;
	const struct vhostx_record_used u = vhostx_record_get_used(r);
	uint16_t bits;

	if (u.used_idx >= s->size || u.old_used_idx >= s->size || u.used_wrap > 1 || u.old_used_wrap > 1)
		return false;
	*p = (struct packed_place) {
		.slot = u.used_idx, .wrap = u.used_wrap, .free_head = r->old_free_head, .proof = u.proof,
	};
	if (u.used_idx == u.old_used_idx && u.used_wrap == u.old_used_wrap)
		return true;
	/* D: pairs with the guest's release of the flags. */
	bits = __atomic_load_n(&s->packed.desc[u.old_used_idx].flags, __ATOMIC_ACQUIRE) & INFLIGHT_BITS;
	if (bits != 1u << (u.old_used_wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED)) {
		p->free_head = r->free_head;
		return true;
	}
	p->undo = u.used_idx + (u.used_wrap != u.old_used_wrap ? s->size : 0) - u.old_used_idx;
	p->slot = u.old_used_idx;
	p->wrap = u.old_used_wrap;
	p->proof = r->old_proof;
	return p->undo <= s->size;
}

/* The chains in flight, in order: marked, and not in the free list. @return how many, or -1 if that cannot be. */
static int
packed_collect(const struct vhostx_snapshot *s, uint16_t free_head, struct inflight_head *head, bool *is_free)
{
	const struct vhostx_inflight_packed *r = &s->inflight->packed;
	uint32_t slots = 0;
	int n = 0;

	for (uint32_t i = 0; i < s->size && free_head < s->size; i++) {
		is_free[free_head] = true;
		free_head = __atomic_load_n(&r->desc[free_head].next, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < s->size; i++) {
		if (r->desc[i].inflight != 1 || is_free[i])
			continue;
		head[n] = (struct inflight_head) {
			.counter = r->desc[i].counter, .entry = i,
			.num = __atomic_load_n(&r->desc[i].num, __ATOMIC_RELAXED),
		};
		slots += head[n].num;
		if (head[n++].num == 0 || slots > s->size)
			return -1;
	}
	qsort(head, n, sizeof(*head), head_compare);
	return n;
}

/*
 * Put the chains back into the ring from the place on, as their driver had them. All these entries are ours: the
 * driver looks at none of them before the first one is used.
 */
static void
packed_make_available(const struct vhostx_snapshot *s, const struct inflight_head *head, int n,
	const struct packed_place *p)
{
	const struct vhostx_inflight_packed *r = &s->inflight->packed;
	uint16_t slot = p->slot;
	bool wrap = p->wrap;

	for (int i = 0; i < n; i++) {
		uint16_t at = head[i].entry;

		for (uint16_t k = 0; k < head[i].num; k++) {
			const struct vhostx_inflight_packed_desc *from = &r->desc[vhostx_record_entry(s, at)];
			struct vring_packed_desc *to = &s->packed.desc[slot];

			to->addr = from->addr;
			to->len = from->len;
			to->id = from->id;
			__atomic_store_n(&to->flags, (from->flags & ~INFLIGHT_BITS) |
				1u << (wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED),
				__ATOMIC_RELAXED);
			at = __atomic_load_n(&from->next, __ATOMIC_RELAXED);
			if (++slot == s->size) {
				slot = 0;
				wrap = !wrap;
			}
		}
	}
}

/*
 * Nothing is in flight any more: what was under way is settled, then the marks go from the last one on, as in
 * split_make_available(), and only then the links that they need.
 */
static void
packed_clear(const struct vhostx_snapshot *s, const struct inflight_head *head, int n,
	const struct packed_place *p)
{
	struct vhostx_inflight_packed *r = &s->inflight->packed;

	vhostx_record_set_free(r, p->free_head, p->free_head);
	vhostx_record_rest(r, p->slot, p->wrap, p->proof);
	while (n-- > 0) {
		r->desc[head[n].entry].inflight = 0;
		rte_compiler_barrier();
	}
	for (uint32_t i = 0; i < s->size; i++)
		r->desc[i].inflight = 0;
	rte_compiler_barrier();
	packed_free_all(s);
}

static bool
packed_resume(const struct vhostx_snapshot *s, struct inflight_head *head, bool *is_free, bool doubt)
{
	struct vhostx_ring *ring = s->ring;
	struct packed_place p;
	int n;

	if (!packed_find_place(s, &p))
		return false;
	if (doubt && !vhostx_journal_agrees(s, p.slot, p.wrap, p.undo, p.proof))
		return false;
	n = packed_collect(s, p.free_head, head, is_free);
	if (n < 0)
		return false;
	/* A batch that nothing was noted of is taken back: it may have overwritten the words after its first one. */
	if (n == 0 && s->own_record)
		vhostx_journal_undo(s, p.slot, p.undo, vhostx_record_words(s));
	packed_make_available(s, head, n, &p);
	packed_clear(s, head, n, &p);
	ring->last_avail = p.slot;
	ring->last_used = p.slot;
	ring->avail_wrap = p.wrap;
	ring->used_wrap = p.wrap;
	return true;
}

/* --- begin and resume ------------------------------------------------------------------------------- */

void
vhostx_inflight_begin(const struct vhostx_snapshot *s)
{
	if (s->format == VHOSTX_PACKED)
		packed_begin(s);
	else
		split_begin(s);
}

int32_t
vhostx_inflight_position(const struct vhostx_snapshot *s)
{
	struct packed_place p;

	return packed_find_place(s, &p) ? vhostx_journal_at(p.slot, p.wrap) : -EINVAL;
}

bool
vhostx_inflight_resume(const struct vhostx_snapshot *s, bool doubt)
{
	const bool packed = s->format == VHOSTX_PACKED;
	const uint16_t version = packed ? s->inflight->packed.version : s->inflight->split.version;
	const uint16_t desc_num = packed ? s->inflight->packed.desc_num : s->inflight->split.desc_num;
	struct inflight_head *head;
	bool *is_free;
	bool done = false;

	if (version != 1 || desc_num != s->size)
		return false;
	head = calloc(s->size, sizeof(*head));
	is_free = calloc(s->size, sizeof(*is_free));
	if (head != NULL && is_free != NULL)
		done = packed ? packed_resume(s, head, is_free, doubt) : split_resume(s, head, doubt);
	free(head);
	free(is_free);
	if (done)
		s->ring->fresh = false;
	return done;
}
