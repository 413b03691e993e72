/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The words of an in-flight record that are replaced at once, and what bounds the others. It is in shared memory, and
 * whoever shares it may write what he likes: an index is copied once and bounded, and wrong ones spoil the record
 * alone. Included by inflight.c and inflight_resume.c.
 */
#ifndef VHOSTX_RING_RECORD_H
#define VHOSTX_RING_RECORD_H

#include <assert.h>

#include "inflight.h"

/** An entry of the record that exists, whatever the record says. */
static inline uint16_t
vhostx_record_entry(const struct vhostx_snapshot *s, uint16_t entry)
{
	return entry < s->size ? entry : 0;
}

/** Of our own packed record: a word for each entry, what a journal has as word[]. */
static inline uint64_t *
vhostx_record_words(const struct vhostx_snapshot *s)
{
	return (uint64_t *)&s->inflight->packed.desc[s->size];
}

/** Split: the head in the used ring's last element before @a used, as evidence; what is no head counts as head 0. */
static inline uint16_t
vhostx_record_last_head(const struct vhostx_snapshot *s, uint16_t used)
{
	return vhostx_record_entry(s, s->split.used->ring[(used - 1) & (s->size - 1)].id);
}

/** Positions of used elements with their wrap counters, and the evidence: one word of the region. */
struct vhostx_record_used {
	uint16_t used_idx;     /**< after what is under way */
	uint16_t old_used_idx; /**< before it */
	uint8_t used_wrap;     /**< at used_idx */
	uint8_t old_used_wrap; /**< at old_used_idx */
	uint16_t proof;        /**< as in the region */
};

static_assert(sizeof(struct vhostx_record_used) == sizeof(uint64_t) &&
	offsetof(struct vhostx_inflight_packed, used_idx) % sizeof(uint64_t) == 0 &&
	offsetof(struct vhostx_inflight_packed, used_wrap_counter) ==
		offsetof(struct vhostx_inflight_packed, used_idx) + 4, "one store replaces them");

/** Replace the word at once: else an index would for a moment stand beside the wrap counter of another. */
static inline void
vhostx_record_set_used(struct vhostx_inflight_packed *r, struct vhostx_record_used used)
{
	uint64_t word;

	memcpy(&word, &used, sizeof(word));
	rte_compiler_barrier();
	__atomic_store_n((uint64_t *)(void *)&r->used_idx, word, __ATOMIC_RELAXED);
	rte_compiler_barrier();
}

/** The word, read once. */
static inline struct vhostx_record_used
vhostx_record_get_used(const struct vhostx_inflight_packed *r)
{
	const uint64_t word = __atomic_load_n((const uint64_t *)(const void *)&r->used_idx, __ATOMIC_RELAXED);
	struct vhostx_record_used used;

	memcpy(&used, &word, sizeof(used));
	return used;
}

/** Nothing is under way: the ring stands there. */
static inline void
vhostx_record_rest(struct vhostx_inflight_packed *r, uint16_t slot, bool wrap, uint16_t proof)
{
	vhostx_record_set_used(r, (struct vhostx_record_used) {
		.used_idx = slot, .used_wrap = wrap, .old_used_idx = slot, .old_used_wrap = wrap,
		.proof = proof,
	});
}

/** Replace both heads of the free list at once. */
static inline void
vhostx_record_set_free(struct vhostx_inflight_packed *r, uint16_t head, uint16_t old)
{
	const uint16_t heads[2] = { head, old };
	uint32_t word;

	memcpy(&word, heads, sizeof(word));
	rte_compiler_barrier();
	__atomic_store_n((uint32_t *)(void *)&r->free_head, word, __ATOMIC_RELAXED);
	rte_compiler_barrier();
}

#endif /* VHOSTX_RING_RECORD_H */
