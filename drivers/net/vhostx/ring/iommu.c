/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Addresses of a guest behind a virtual IOMMU. Apart from the bursts, which are not to pay for it.
 */
#include <errno.h>

#include <rte_cycles.h>

#include "notify.h"
#include "packed.h"
#include "split.h"

/* Entries that are looked at ahead after the last one that missed something. */
#define IOMMU_KEEN 1024u
/* Lookups and descriptors of one look, at most: a guest must not be able to hold the poller. */
#define IOMMU_STEPS 512u
/* How long an answer may take before the control thread is told that a ring waits. */
#define IOMMU_PATIENCE_US 10000u

static uint8_t
iommu_access(uint16_t dir)
{
	return dir != 0 ? VHOSTX_ACCESS_W : VHOSTX_ACCESS_R;
}

/* --- look ahead ------------------------------------------------------------------------------- */

/* A look at what is offered. All that comes of it are questions: what is wrong is for the fetch to find. */
struct look {
	const struct vhostx_snapshot *s;
	uint32_t steps;   /* left */
	uint32_t missing; /* pages, asked for before or not */
	uint32_t n;       /* pages that nobody has asked for */
	uint64_t word[VHOSTX_AHEAD]; /* [n] */
};

/* Note a page that is to be asked for. Returns false if its place is taken, or there are enough. */
static bool
look_note(struct look *l, uint64_t word)
{
	uint64_t *slot = vhostx_iommu_ahead(&l->s->ring->iommu, word);
	const uint64_t there = __atomic_load_n(slot, __ATOMIC_RELAXED);

	l->missing++;
	if (there != 0)
		return vhostx_miss_covers(there, word);
	if (l->n == VHOSTX_AHEAD)
		return false;
	/* Now: whoever sees the answer, which may come at once, finds what it answers. */
	__atomic_store_n(slot, word | VHOSTX_MISS_ASKED, __ATOMIC_RELAXED);
	l->word[l->n++] = word;
	return true;
}

/* This function and the next ones return false if the look has to end, to begin there the next time. */
static bool
look_step(struct look *l)
{
	if (l->steps == 0)
		return false;
	l->steps--;
	return true;
}

static bool
look_buffer(struct look *l, uint64_t addr, uint32_t len, uint16_t dir)
{
	while (len != 0) {
		struct vhostx_iotlb_entry e;
		uint64_t run;
		int ret;

		if (!look_step(l))
			return false;
		ret = vhostx_iotlb_find(l->s->iotlb, addr, iommu_access(dir), &e);
		if (ret == -EAGAIN || (ret != 0 && !look_note(l, vhostx_miss_word(addr, iommu_access(dir)))))
			return false;
		run = ret == 0 ? e.last - addr + 1 : VHOSTX_MISS_PAGE - addr % VHOSTX_MISS_PAGE;
		run = RTE_MIN(run, (uint64_t)len);
		addr += run;
		len -= run;
	}
	return true;
}

/* An indirect table, entry by entry, however they are linked; when it is there. */
static bool
look_table(struct look *l, const struct vhostx_desc *t, uint16_t dir)
{
	const uint32_t missing = l->missing;

	if (!look_buffer(l, t->addr, t->len, 0))
		return false;
	if (l->missing != missing)
		return true;
	for (uint32_t off = 0; t->len - off >= sizeof(struct vring_desc); off += sizeof(struct vring_desc)) {
		struct vhostx_iotlb_entry e;
		const uint8_t *va;
		uint64_t first;
		uint32_t len;

		if (vhostx_iotlb_find(l->s->iotlb, t->addr + off, VHOSTX_ACCESS_R, &e) != 0)
			return true;
		first = t->addr + off - e.first;
		if (e.last - e.first - first < sizeof(struct vring_desc) - 1)
			continue;
		va = (const uint8_t *)(uintptr_t)(e.va + first);
		len = vhostx_load64(va + 8);
		/* An entry of no bytes takes time as well: there may be millions. */
		if (len == 0 ? !look_step(l) : !look_buffer(l, vhostx_load64(va), len, dir))
			return false;
	}
	return true;
}

static bool
look_desc(struct look *l, const struct vhostx_desc *d, uint16_t dir)
{
	if (!look_step(l))
		return false;
	if (d->flags & VRING_DESC_F_INDIRECT)
		return look_table(l, d, dir);
	return (d->flags & VRING_DESC_F_WRITE) != dir || look_buffer(l, d->addr, d->len, dir);
}

static bool
look_split_chain(struct look *l, uint16_t head, uint16_t dir)
{
	for (uint32_t n = 0; n < l->s->size && head < l->s->size; n++) {
		const struct vhostx_desc d = split_desc(l->s, head);

		if (!look_desc(l, &d, dir))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
		head = d.tag;
	}
	return true;
}

/* Returns how many entries were looked at. */
static uint16_t
look_split(struct look *l, uint16_t dir)
{
	const struct vhostx_snapshot *s = l->s;
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	/* D: pairs with the guest's release of its index. */
	uint16_t n = __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE) - s->ring->last_avail;
	uint16_t at = r->looked - s->ring->last_avail;
	uint16_t first;

	if (n > s->size)
		return 0;
	n = RTE_MIN(n, VHOSTX_AHEAD_ENTRIES);
	if (at > n)
		at = 0;
	for (first = at; at < n; at++) {
		const uint16_t slot = (s->ring->last_avail + at) & (s->size - 1);

		if (!look_split_chain(l, __atomic_load_n(&s->split.avail->ring[slot], __ATOMIC_RELAXED), dir))
			break;
	}
	r->looked = s->ring->last_avail + at;
	return at - first;
}

/* Slots from where the next fetch begins to where the last look ended; more than a ring's: it has passed that. */
static uint32_t
look_packed_from(const struct vhostx_snapshot *s)
{
	const struct vhostx_iommu_ring *r = &s->ring->iommu;

	const uint32_t lap = r->looked_wrap != s->ring->avail_wrap ? s->size : 0;

	return lap + r->looked - s->ring->last_avail;
}

/* Returns the slots of the chain at @a p; 0: the look has to end. */
static uint32_t
look_packed_chain(struct look *l, struct packed_pos p, uint16_t dir)
{
	for (uint32_t n = 1; n <= l->s->size; n++) {
		const struct vhostx_desc d = packed_desc(&l->s->packed.desc[p.slot]);

		if ((n == 1 && !packed_is_avail(&d, p.wrap)) || !look_desc(l, &d, dir))
			return 0;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return n;
		p = packed_step(l->s, p, 1);
	}
	return 0;
}

static uint16_t
look_packed(struct look *l, uint16_t dir)
{
	const struct vhostx_snapshot *s = l->s;
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	struct packed_pos p = { .slot = s->ring->last_avail, .wrap = s->ring->avail_wrap };
	const uint32_t end = RTE_MIN(VHOSTX_AHEAD_ENTRIES, (uint32_t)s->size);
	uint32_t at = look_packed_from(s);
	uint32_t first, slots;

	if (at > s->size)
		at = 0;
	p = packed_step(s, p, at);
	for (first = at; at < end; at += slots) {
		slots = look_packed_chain(l, p, dir);
		if (slots == 0)
			break;
		p = packed_step(s, p, slots);
	}
	r->looked = p.slot;
	r->looked_wrap = p.wrap;
	return at - first;
}

/* The front-end cannot be asked now: the control thread does it when it can. */
static void
look_leave(const struct look *l)
{
	struct vhostx_iommu_ring *r = &l->s->ring->iommu;

	for (uint32_t i = 0; i < l->n; i++) {
		uint64_t asked = l->word[i] | VHOSTX_MISS_ASKED;

		__atomic_compare_exchange_n(vhostx_iommu_ahead(r, asked), &asked, l->word[i], false, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED);
	}
	/* O: the words before the flag; pairs with the acquire in iommu_ask_ahead(). */
	__atomic_store_n(&r->fresh, true, __ATOMIC_RELEASE);
	vhostx_eventfd_signal(l->s->wakefd, false);
}

/* Look on from where the last look ended, and ask for what is missing. */
static void
iommu_look(const struct vhostx_snapshot *s)
{
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	uint16_t entries;
	struct look l;

	/* Not the words: there is seldom one. */
	l.s = s;
	l.steps = IOMMU_STEPS;
	l.missing = 0;
	l.n = 0;
	entries = s->format == VHOSTX_SPLIT ? look_split(&l, r->dir) : look_packed(&l, r->dir);
	if (l.missing != 0)
		r->keen = IOMMU_KEEN;
	else
		r->keen -= RTE_MIN(r->keen, entries);
	if (l.n != 0 && !s->ask(s->ask_arg, l.word, l.n))
		look_leave(&l);
}

/* --- find ------------------------------------------------------------------------------------- */

/* Let the next look begin with the next fetch. */
static void
iommu_rewind(const struct vhostx_snapshot *s)
{
	struct vhostx_iommu_ring *r = &s->ring->iommu;

	r->looked = s->ring->last_avail;
	r->looked_wrap = s->ring->avail_wrap;
	r->keen = IOMMU_KEEN;
}

/* Is somebody asked for it, or about to be? */
static bool
iommu_is_asked(struct vhostx_iommu_ring *r, uint64_t word)
{
	return vhostx_miss_covers(__atomic_load_n(vhostx_iommu_ahead(r, word), __ATOMIC_RELAXED), word);
}

/* The ring waits for it still. After a while the control thread looks after it: it may ask again. */
static void
iommu_wait(const struct vhostx_snapshot *s)
{
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	const uint64_t now = rte_rdtsc();

	if (now - r->since < IOMMU_PATIENCE_US * (rte_get_tsc_hz() / 1000000))
		return;
	r->since = now;
	vhostx_eventfd_signal(s->wakefd, false);
}

/* Have it asked for, once. What is denied is told once as well: the guest may use the page again, and rightly. */
static enum vhostx_cause
iommu_ask(const struct vhostx_snapshot *s, uint64_t word)
{
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	const uint64_t asked = __atomic_load_n(&r->miss, __ATOMIC_RELAXED);

	if (asked == (word | VHOSTX_MISS_DENIED)) {
		__atomic_store_n(&r->miss, 0, __ATOMIC_RELAXED);
		return VHOSTX_BAD_ADDRESS;
	}
	if (asked == word) {
		iommu_wait(s);
		return VHOSTX_MISS;
	}
	/* What was asked for ahead is on its way, and so is what comes after it. */
	if (!iommu_is_asked(r, word)) {
		iommu_rewind(s);
		iommu_look(s);
	}
	/* After the question, or the control thread could ask as well. */
	__atomic_store_n(&r->miss, word, __ATOMIC_RELAXED);
	r->since = rte_rdtsc();
	if (!iommu_is_asked(r, word))
		vhostx_eventfd_signal(s->wakefd, false);
	return VHOSTX_MISS;
}

enum vhostx_cause
vhostx_iommu_va(const struct vhostx_snapshot *s, uint64_t iova, uint16_t dir, uint8_t **va, uint64_t *run)
{
	/* Before the entry: one that goes meanwhile is then out of date. */
	const uint32_t gen = __atomic_load_n(&s->iotlb->gen, __ATOMIC_ACQUIRE);
	const uint8_t access = iommu_access(dir);
	struct vhostx_iommu_ring *r = &s->ring->iommu;
	struct vhostx_iotlb_entry e;
	int ret = vhostx_iotlb_find(s->iotlb, iova, access, &e);

	if (ret == -EAGAIN)
		return VHOSTX_MISS;
	if (ret != 0)
		return iommu_ask(s, vhostx_miss_word(iova, access));
	/* The answer came between the look at the IOTLB and the question. */
	if (unlikely(__atomic_load_n(&r->miss, __ATOMIC_RELAXED) == vhostx_miss_word(iova, access)))
		__atomic_store_n(&r->miss, 0, __ATOMIC_RELAXED);
	r->last = (struct vhostx_range) {
		.gpa = e.first, .size = e.last - e.first + 1, .va = (uint8_t *)(uintptr_t)e.va,
	};
	r->gen = gen;
	r->perm = e.perm;
	*va = r->last.va + (iova - e.first);
	*run = e.last - iova + 1;
	return VHOSTX_NO_CAUSE;
}

struct vhostx_range
vhostx_iommu_range(const struct vhostx_snapshot *s, uint16_t dir)
{
	struct vhostx_iommu_ring *r = &s->ring->iommu;

	r->dir = dir;
	if (r->keen != 0)
		iommu_look(s);
	if ((r->perm & iommu_access(dir)) != 0 && r->gen == __atomic_load_n(&s->iotlb->gen, __ATOMIC_RELAXED))
		return r->last;
	return (struct vhostx_range){ 0 };
}
