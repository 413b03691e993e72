/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Four common chains at a time, where there is AVX2: their descriptors, the regions that they are in, their records.
 */
#ifndef VHOSTX_RING_FOUR_H
#define VHOSTX_RING_FOUR_H
#ifdef __AVX2__

#include <rte_vect.h>

#include "vq.h"

/** Four descriptors, two in each register; a descriptor of 16 bytes is loaded at once (letter D). */
struct vhostx_four {
	__m256i d01, d23;
};

/**
 * The four that were loaded. The compiler, which believes that nobody else writes, must not take them from guest memory
 * again after they have been checked: for all that it knows they are others now.
 */
static __rte_always_inline struct vhostx_four
vhostx_four_of(__m256i d01, __m256i d23)
{
	asm volatile("" : "+x"(d01), "+x"(d23));
	return (struct vhostx_four){ .d01 = d01, .d23 = d23 };
}

/** Four ranges, one for each descriptor; lanes hold those of the descriptors 0, 2, 1, 3. */
struct vhostx_four_ranges {
	__m256i gpa, size, va;
};

/** Ones for those of the four that are of another kind: @a mask of the flags at bit @a shift is not @a good. */
static __rte_always_inline __m256i
vhostx_four_others(const struct vhostx_four *f, int shift, uint64_t mask, uint64_t good)
{
	const __m256i rest = _mm256_unpackhi_epi64(f->d01, f->d23);
	const __m256i kind = _mm256_and_si256(rest, _mm256_set1_epi64x(mask << shift));

	return _mm256_xor_si256(_mm256_cmpeq_epi64(kind, _mm256_set1_epi64x(good << shift)), _mm256_set1_epi64x(-1));
}

/** One range for all four. */
static __rte_always_inline struct vhostx_four_ranges
vhostx_four_hint(const struct vhostx_snapshot *s, uint16_t dir)
{
	const struct vhostx_range range = vhostx_range_hint(s, dir);

	return (struct vhostx_four_ranges){
		.gpa = _mm256_set1_epi64x(range.gpa),
		.size = _mm256_set1_epi64x(range.size),
		.va = _mm256_set1_epi64x((uintptr_t)range.va),
	};
}

/** A range and 8 bytes behind it: of the next one, the last of which no address is in. */
static __rte_always_inline __m256i
vhostx_four_range(const struct vhostx_mem *mem, uint32_t at)
{
	return _mm256_loadu_si256((const __m256i *)&mem->range[at]);
}

/** The ranges that may have the four, one by one; the hint becomes the last one's. */
static __rte_always_inline struct vhostx_four_ranges
vhostx_four_seek(const struct vhostx_snapshot *s, const struct vhostx_four *f)
{
	const struct vhostx_mem *mem = s->mem;
	const uint32_t at0 = vhostx_mem_find(mem, _mm256_extract_epi64(f->d01, 0));
	const uint32_t at1 = vhostx_mem_find(mem, _mm256_extract_epi64(f->d01, 2));
	const uint32_t at2 = vhostx_mem_find(mem, _mm256_extract_epi64(f->d23, 0));
	const uint32_t at3 = vhostx_mem_find(mem, _mm256_extract_epi64(f->d23, 2));
	const __m256i r0 = vhostx_four_range(mem, at0), r1 = vhostx_four_range(mem, at1);
	const __m256i r2 = vhostx_four_range(mem, at2), r3 = vhostx_four_range(mem, at3);
	const __m256i even = _mm256_unpacklo_epi64(r0, r2), odd = _mm256_unpacklo_epi64(r1, r3);

	s->ring->hint = at3;
	return (struct vhostx_four_ranges){
		.gpa = _mm256_permute2x128_si256(even, odd, 0x20),
		.size = _mm256_permute2x128_si256(_mm256_unpackhi_epi64(r0, r2), _mm256_unpackhi_epi64(r1, r3),
			0x20),
		.va = _mm256_permute2x128_si256(even, odd, 0x31),
	};
}

/** One range for all four: the last one's. */
static __rte_always_inline struct vhostx_four_ranges
vhostx_four_last(const struct vhostx_four_ranges *r)
{
	return (struct vhostx_four_ranges){
		.gpa = _mm256_permute4x64_epi64(r->gpa, 0xff),
		.size = _mm256_permute4x64_epi64(r->size, 0xff),
		.va = _mm256_permute4x64_epi64(r->va, 0xff),
	};
}

/**
 * Four common chains at a time: their buffers as vhostx_chain_single() has them, with one branch.
 * @return false if any of them is in @a others, or not in its range.
 */
static __rte_always_inline bool
vhostx_chain_four(const struct vhostx_four_ranges *range, struct vhostx_chain *c, const struct vhostx_four *f,
	__m256i others)
{
	/* Lanes hold the descriptors 0, 2, 1, 3. */
	const __m256i addr = _mm256_unpacklo_epi64(f->d01, f->d23);
	const __m256i rest = _mm256_unpackhi_epi64(f->d01, f->d23);
	const __m256i len = _mm256_and_si256(rest, _mm256_set1_epi64x(UINT32_MAX));
	const __m256i off = _mm256_sub_epi64(addr, range->gpa);
	const __m256i run = _mm256_sub_epi64(range->size, off);
	const __m256i left = _mm256_sub_epi64(run, len);
	const __m256i bad = _mm256_or_si256(_mm256_or_si256(off, run), _mm256_or_si256(left, others));
	__m256i va, lens, lo, hi;

	/*
	 * A range is shorter than 2^63: what is outside has the top bit set in the first of the differences that is
	 * below 0. Not in those after it: from almost -2^63 the length may lead round to the other side.
	 */
	if (unlikely(_mm256_movemask_pd(_mm256_castsi256_pd(bad)) != 0))
		return false;
	va = _mm256_add_epi64(off, range->va);
	lens = _mm256_or_si256(len, _mm256_slli_epi64(len, 32));
	lo = _mm256_unpacklo_epi64(va, lens);
	hi = _mm256_unpackhi_epi64(va, lens);
	_mm_storeu_si128((__m128i *)&c[0].va, _mm256_castsi256_si128(lo));
	_mm_storeu_si128((__m128i *)&c[1].va, _mm256_extracti128_si256(lo, 1));
	_mm_storeu_si128((__m128i *)&c[2].va, _mm256_castsi256_si128(hi));
	_mm_storeu_si128((__m128i *)&c[3].va, _mm256_extracti128_si256(hi, 1));
	return true;
}

/**
 * The same with the range that was right for the last one, or with those that a search finds.
 * @return false if the general walk has to look at any of them.
 */
static __rte_always_inline bool
vhostx_chain_four_seek(const struct vhostx_snapshot *s, struct vhostx_four_ranges *hint, struct vhostx_chain *c,
	const struct vhostx_four *f, __m256i others)
{
	struct vhostx_four_ranges found;

	if (likely(vhostx_chain_four(hint, c, f, others)))
		return true;
	if (s->iotlb != NULL || _mm256_movemask_epi8(others) != 0)
		return false;
	found = vhostx_four_seek(s, f);
	*hint = vhostx_four_last(&found);
	return vhostx_chain_four(&found, c, f, others);
}

/** Begin to load the buffers of four chains. */
static __rte_always_inline void
vhostx_chain_load_four(const struct vhostx_chain *c, uint16_t dir)
{
	for (unsigned int k = 0; k < 4; k++)
		vhostx_chain_load(&c[k], dir);
}

/** The records of four common chains, as vhostx_chain_init() has them; @a ids in the lanes 0, 2, 1, 3. */
static __rte_always_inline void
vhostx_chain_init_four(struct vhostx_chain *c, __m256i ids)
{
	const __m256i shape = _mm256_set1_epi64x(VHOSTX_SINGLE);
	const __m256i lo = _mm256_unpacklo_epi64(ids, shape);
	const __m256i hi = _mm256_unpackhi_epi64(ids, shape);

	_mm_storeu_si128((__m128i *)&c[0].elem, _mm256_castsi256_si128(lo));
	_mm_storeu_si128((__m128i *)&c[1].elem, _mm256_extracti128_si256(lo, 1));
	_mm_storeu_si128((__m128i *)&c[2].elem, _mm256_castsi256_si128(hi));
	_mm_storeu_si128((__m128i *)&c[3].elem, _mm256_extracti128_si256(hi, 1));
}

#endif /* __AVX2__ */
#endif /* VHOSTX_RING_FOUR_H */
