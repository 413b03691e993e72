/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A sorted array under a sequence counter. Entries are words that are loaded and stored one by one: a reader
 * may see any mixture of old and new ones, and finds by the counter that it did.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <rte_branch_prediction.h>
#include <rte_pause.h>

#include "iotlb.h"

/* Looks at a cache that is being changed before the reader gives up: a change takes some microseconds. */
#define IOTLB_TRIES 100u

struct vhostx_iotlb *
vhostx_iotlb_create(uint32_t max)
{
	struct vhostx_iotlb *tlb = calloc(1, sizeof(*tlb) + max * sizeof(tlb->entry[0]));

	if (tlb != NULL)
		tlb->max = max;
	return tlb;
}

void
vhostx_iotlb_free(struct vhostx_iotlb *tlb)
{
	free(tlb);
}

/* --- change ----------------------------------------------------------------------------------- */

static void
iotlb_begin(struct vhostx_iotlb *tlb)
{
	/* M: odd before any entry changes. */
	__atomic_store_n(&tlb->seq, tlb->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void
iotlb_end(struct vhostx_iotlb *tlb)
{
	/* M: even after all have; pairs with the acquire in vhostx_iotlb_find(). */
	__atomic_store_n(&tlb->seq, tlb->seq + 1, __ATOMIC_RELEASE);
}

static void
iotlb_put(struct vhostx_iotlb *tlb, uint32_t i, const struct vhostx_iotlb_entry *e)
{
	__atomic_store_n(&tlb->entry[i].first, e->first, __ATOMIC_RELAXED);
	__atomic_store_n(&tlb->entry[i].last, e->last, __ATOMIC_RELAXED);
	__atomic_store_n(&tlb->entry[i].va, e->va, __ATOMIC_RELAXED);
	__atomic_store_n(&tlb->entry[i].perm, e->perm, __ATOMIC_RELAXED);
}

static void
iotlb_resize(struct vhostx_iotlb *tlb, uint32_t nr)
{
	__atomic_store_n(&tlb->nr, nr, __ATOMIC_RELAXED);
}

/* Take @a n entries from the i-th on out. */
static void
iotlb_close_gap(struct vhostx_iotlb *tlb, uint32_t i, uint32_t n)
{
	for (; n != 0 && i + n < tlb->nr; i++)
		iotlb_put(tlb, i, &tlb->entry[i + n]);
	iotlb_resize(tlb, tlb->nr - n);
}

/* Make room at @a i for one entry of a cache that is not full. */
static void
iotlb_open_gap(struct vhostx_iotlb *tlb, uint32_t i)
{
	for (uint32_t k = tlb->nr; k > i; k--)
		iotlb_put(tlb, k, &tlb->entry[k - 1]);
	iotlb_resize(tlb, tlb->nr + 1);
}

/* How many entries begin at or before @a iova? */
static uint32_t
iotlb_upper(const struct vhostx_iotlb *tlb, uint32_t nr, uint64_t iova)
{
	uint32_t low = 0;

	while (low < nr) {
		const uint32_t mid = low + (nr - low) / 2;

		if (__atomic_load_n(&tlb->entry[mid].first, __ATOMIC_RELAXED) <= iova)
			low = mid + 1;
		else
			nr = mid;
	}
	return low;
}

static void
iotlb_count_removal(struct vhostx_iotlb *tlb)
{
	__atomic_store_n(&tlb->gen, tlb->gen + 1, __ATOMIC_RELAXED);
}

/* The part of an entry from @a first on. */
static struct vhostx_iotlb_entry
iotlb_tail(const struct vhostx_iotlb_entry *e, uint64_t first)
{
	return (struct vhostx_iotlb_entry) {
		.first = first, .last = e->last, .va = e->va + (first - e->first), .perm = e->perm,
	};
}

/* An entry begins before the hole and may go on behind it. What a full cache has no room for is lost. */
static void
iotlb_cut(struct vhostx_iotlb *tlb, uint32_t i, uint64_t first, uint64_t last)
{
	const struct vhostx_iotlb_entry e = tlb->entry[i];

	__atomic_store_n(&tlb->entry[i].last, first - 1, __ATOMIC_RELAXED);
	if (e.last > last && tlb->nr < tlb->max) {
		const struct vhostx_iotlb_entry tail = iotlb_tail(&e, last + 1);

		iotlb_open_gap(tlb, i + 1);
		iotlb_put(tlb, i + 1, &tail);
	}
}

/* Take a span out, between begin and end. */
static void
iotlb_punch(struct vhostx_iotlb *tlb, uint64_t first, uint64_t last)
{
	uint32_t i = iotlb_upper(tlb, tlb->nr, first);
	uint32_t end = i;
	bool changed = false;

	if (i > 0 && tlb->entry[i - 1].first == first) {
		i--;
	} else if (i > 0 && tlb->entry[i - 1].last >= first) {
		iotlb_cut(tlb, i - 1, first, last);
		changed = true;
	}
	/* Entries that lie in the hole as a whole, and one that goes on behind it. */
	for (end = i; end < tlb->nr && tlb->entry[end].last <= last; end++)
		;
	if (end < tlb->nr && tlb->entry[end].first <= last) {
		const struct vhostx_iotlb_entry tail = iotlb_tail(&tlb->entry[end], last + 1);

		iotlb_put(tlb, end, &tail);
		changed = true;
	}
	if (end != i || changed)
		iotlb_count_removal(tlb);
	iotlb_close_gap(tlb, i, end - i);
}

/* Does @a b go on where @a a ends, on both sides? */
static bool
iotlb_continues(const struct vhostx_iotlb_entry *a, const struct vhostx_iotlb_entry *b)
{
	return a->last + 1 == b->first && a->va + (b->first - a->first) == b->va && a->perm == b->perm;
}

/* Any entry may go, it can be asked for again. By chance: no order of use, however unlucky, hits it each time. */
static void
iotlb_evict(struct vhostx_iotlb *tlb)
{
	tlb->dice = tlb->dice * 1664525u + 1013904223u;
	iotlb_close_gap(tlb, ((uint64_t)tlb->dice * tlb->nr) >> 32, 1);
	iotlb_count_removal(tlb);
}

/* Put an entry where nothing is, joined to its neighbours if it continues them. */
static void
iotlb_insert(struct vhostx_iotlb *tlb, struct vhostx_iotlb_entry e)
{
	uint32_t i = iotlb_upper(tlb, tlb->nr, e.first);
	const bool before = i > 0 && iotlb_continues(&tlb->entry[i - 1], &e);
	const bool after = i < tlb->nr && iotlb_continues(&e, &tlb->entry[i]);

	if (after)
		e.last = tlb->entry[i].last;
	if (before) {
		__atomic_store_n(&tlb->entry[i - 1].last, e.last, __ATOMIC_RELAXED);
		iotlb_close_gap(tlb, i, after);
		return;
	}
	if (!after && tlb->nr == tlb->max) {
		iotlb_evict(tlb);
		i = iotlb_upper(tlb, tlb->nr, e.first);
	}
	if (!after)
		iotlb_open_gap(tlb, i);
	iotlb_put(tlb, i, &e);
}

void
vhostx_iotlb_add(struct vhostx_iotlb *tlb, uint64_t iova, uint64_t size, void *va, uint8_t perm)
{
	const struct vhostx_iotlb_entry e = {
		.first = iova, .last = iova + (size - 1), .va = (uintptr_t)va, .perm = perm,
	};
	const uint32_t i = iotlb_upper(tlb, tlb->nr, iova);
	const struct vhostx_iotlb_entry *has = i > 0 ? &tlb->entry[i - 1] : NULL;

	/* Front-ends repeat themselves, and readers need not be disturbed. */
	if (has != NULL && has->last >= e.last && has->va + (iova - has->first) == e.va && has->perm == perm)
		return;
	iotlb_begin(tlb);
	iotlb_punch(tlb, e.first, e.last);
	iotlb_insert(tlb, e);
	iotlb_end(tlb);
}

void
vhostx_iotlb_remove(struct vhostx_iotlb *tlb, uint64_t first, uint64_t last)
{
	iotlb_begin(tlb);
	iotlb_punch(tlb, first, last);
	iotlb_end(tlb);
}

/* --- look up ---------------------------------------------------------------------------------- */

/* The entry that begins last before @a iova. @return false if there is none, or the cache changed meanwhile. */
static bool
iotlb_look(const struct vhostx_iotlb *tlb, uint64_t iova, struct vhostx_iotlb_entry *e)
{
	const uint32_t i = iotlb_upper(tlb, __atomic_load_n(&tlb->nr, __ATOMIC_RELAXED), iova);

	if (i == 0)
		return false;
	e->first = __atomic_load_n(&tlb->entry[i - 1].first, __ATOMIC_RELAXED);
	e->last = __atomic_load_n(&tlb->entry[i - 1].last, __ATOMIC_RELAXED);
	e->va = __atomic_load_n(&tlb->entry[i - 1].va, __ATOMIC_RELAXED);
	e->perm = __atomic_load_n(&tlb->entry[i - 1].perm, __ATOMIC_RELAXED);
	return e->last >= iova;
}

int
vhostx_iotlb_find(const struct vhostx_iotlb *tlb, uint64_t iova, uint8_t access,
	struct vhostx_iotlb_entry *entry)
{
	for (uint32_t tries = 0; tries < IOTLB_TRIES; tries++) {
		/* M: pairs with the release in iotlb_end(). */
		const uint32_t seq = __atomic_load_n(&tlb->seq, __ATOMIC_ACQUIRE);
		bool found;

		if (unlikely(seq % 2 != 0)) {
			rte_pause();
			continue;
		}
		found = iotlb_look(tlb, iova, entry);
		/* M: entries before the second look; pairs with the fence in iotlb_begin(). */
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (unlikely(__atomic_load_n(&tlb->seq, __ATOMIC_RELAXED) != seq))
			continue;
		if (!found)
			return -ENOENT;
		return (entry->perm & access) == access ? 0 : -EACCES;
	}
	return -EAGAIN;
}
