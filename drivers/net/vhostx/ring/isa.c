/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Which of the compiled variants of the bursts can run here, and which one is best.
 */
#include <stdbool.h>
#include <stddef.h>

#include <rte_common.h>
#include <rte_cpuflags.h>
#include <rte_vect.h>

#include "burst.h"

extern const struct vhostx_bursts vhostx_bursts_base;
#ifdef VHOSTX_HAVE_AVX2
extern const struct vhostx_bursts vhostx_bursts_avx2;
#endif
#ifdef VHOSTX_HAVE_AVX512
extern const struct vhostx_bursts vhostx_bursts_avx512;
#endif

#ifdef VHOSTX_HAVE_AVX512
static bool
has_avx512(void)
{
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512F) == 1 &&
		rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512BW) == 1 &&
		rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512VL) == 1;
}
#endif

#ifdef VHOSTX_HAVE_AVX2
static bool
has_avx2(void)
{
	return rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) == 1;
}
#endif

static bool
has_base(void)
{
	return true;
}

static const struct variant {
	const struct vhostx_bursts *bursts;
	bool (*usable)(void);
	uint16_t bits; /* of the widest register */
} variants[] = {
#ifdef VHOSTX_HAVE_AVX512
	{ &vhostx_bursts_avx512, has_avx512, RTE_VECT_SIMD_512 },
#endif
#ifdef VHOSTX_HAVE_AVX2
	{ &vhostx_bursts_avx2, has_avx2, RTE_VECT_SIMD_256 },
#endif
	{ &vhostx_bursts_base, has_base, 0 },
};

/* The i-th variant that can run here with registers of at most @a bits. */
static const struct vhostx_bursts *
variant_at(unsigned int i, uint16_t bits)
{
	for (unsigned int v = 0; v < RTE_DIM(variants); v++) {
		if (variants[v].bits > bits || !variants[v].usable())
			continue;
		if (i-- == 0)
			return variants[v].bursts;
	}
	return NULL;
}

const struct vhostx_bursts *
vhostx_bursts_at(unsigned int i)
{
	return variant_at(i, RTE_VECT_SIMD_512);
}

const struct vhostx_bursts *
vhostx_bursts_best(void)
{
	return variant_at(0, rte_vect_get_max_simd_bitwidth());
}
