/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the ring tests share: kinds of ring, and which case runs on which of them.
 */
#ifndef TEST_RING_CASES_H
#define TEST_RING_CASES_H

#include <stdio.h>

#include "test_ring_rig.h"

/* One case and the variants it makes sense on. */
struct rig_case {
	const char *name;
	CMUnitTestFunction run;
	bool (*applies)(const struct rig_variant *v); /* NULL: all */
};

#define RIG_CASE(function, applies) { #function, function, applies }

/* Filters for struct rig_case. */
static inline bool
rig_is_mergeable(const struct rig_variant *v)
{
	return v->mergeable;
}

static inline bool
rig_is_plain(const struct rig_variant *v)
{
	return !v->mergeable;
}

static inline bool
rig_is_indirect(const struct rig_variant *v)
{
	return v->layout == RIG_INDIRECT;
}

static inline bool
rig_is_event(const struct rig_variant *v)
{
	return v->event_idx;
}

static inline bool
rig_is_no_event(const struct rig_variant *v)
{
	return !v->event_idx;
}

/* Those that count what one burst did. */
static inline bool
rig_is_flat(const struct rig_variant *v)
{
	return !v->iommu;
}

static inline bool
rig_is_in_order(const struct rig_variant *v)
{
	return v->in_order;
}

static inline bool
rig_is_split(const struct rig_variant *v)
{
	return v->format == GUEST_SPLIT;
}

static inline bool
rig_is_packed(const struct rig_variant *v)
{
	return v->format == GUEST_PACKED;
}

static inline void
rig_name(char *name, size_t len, const char *test, const struct rig_variant *v)
{
	static const char *const layout[] = { "direct", "chained", "indirect" };

	snprintf(name, len, "%s[%s %u %s%s%s%s hdr %u %s from %x]", test,
		v->format == GUEST_SPLIT ? "split" : "packed", v->size,
		v->mergeable ? "mergeable" : "plain", v->event_idx ? " event" : "",
		v->in_order ? " in-order" : "", v->iommu ? " iommu" : "", v->hdr_len,
		layout[v->layout], v->base);
}

/* Run the tests with each variant of the bursts that the CPU can run. Returns groups that failed. */
static inline int
rig_run_bursts(const char *prog, const struct CMUnitTest *tests, size_t n)
{
	char group[64];
	int failed = 0;

	for (unsigned int i = 0; (rig_isa = vhostx_bursts_at(i)) != NULL; i++) {
		snprintf(group, sizeof(group), "%s %s", prog, rig_isa->isa);
		failed += _cmocka_run_group_tests(group, tests, n, NULL, NULL) != 0;
	}
	return failed;
}

/* Run each case on each variant that it applies to. Returns failures, for main(). */
static inline int
rig_run(const char *prog, const struct rig_case *cases, size_t nr_cases,
	const struct rig_variant *variants, size_t nr_variants)
{
	struct CMUnitTest *tests = calloc(nr_cases * nr_variants, sizeof(*tests));
	char (*names)[128] = calloc(nr_cases * nr_variants, sizeof(*names));
	size_t n = 0;
	int failed;

	if (tests == NULL || names == NULL)
		return 1;
	for (size_t v = 0; v < nr_variants; v++) {
		for (size_t c = 0; c < nr_cases; c++) {
			if (cases[c].applies != NULL && !cases[c].applies(&variants[v]))
				continue;
			rig_name(names[n], sizeof(names[n]), cases[c].name, &variants[v]);
			tests[n] = (struct CMUnitTest){ names[n], cases[c].run, rig_setup,
				rig_teardown, (void *)(uintptr_t)&variants[v] };
			n++;
		}
	}
	failed = rig_run_bursts(prog, tests, n);
	free(tests);
	free(names);
	return failed;
}

/*
 * Every ring that a driver can negotiate, of the given sizes: without MRG_RXBUF the header is 10 bytes
 * for legacy drivers and 12 with VERSION_1, which packed rings imply.
 */
static inline size_t
rig_variants(struct rig_variant *out, const uint16_t (*sizes)[2], size_t nr_sizes)
{
	size_t n = 0;

	/* Bits: format, then header and mergeable (3 choices), event_idx, layout (3). */
	for (size_t k = 0; k < nr_sizes * 2 * 3 * 2 * 3; k++) {
		const enum guest_format format = k % 2 == 0 ? GUEST_SPLIT : GUEST_PACKED;
		const size_t header = k / 2 % 3;

		if (format == GUEST_PACKED && header == 2)
			continue;
		out[n++] = (struct rig_variant){
			.format = format,
			.size = sizes[k / 36][format],
			.mergeable = header == 0,
			.hdr_len = header == 2 ? 10 : 12,
			.event_idx = k / 6 % 2,
			.layout = (enum rig_layout)(k / 12 % 3),
			.base = format == GUEST_SPLIT ? 0 : GUEST_PACKED_BASE,
		};
	}
	return n;
}

/* Run the cases on all kinds of good rings: of many sizes, in order, from a late position on, behind an IOMMU or not. */
static inline int
rig_main_on(const char *prog, const struct rig_case *cases, size_t nr_cases, bool behind_iommu)
{
	static const uint16_t sizes[][2] = { { 8, 7 }, { 256, 100 }, { 32768, 1024 } };
	static const uint16_t in_order[][2] = { { 16, 13 } };
	static const uint16_t iommu[][2] = { { 8, 7 }, { 256, 100 } };
	static const uint16_t late[][2] = { { 8, 7 }, { 64, 61 } };
	static struct rig_variant v[36 * 3];
	int failed;
	size_t n;

	rig_eal();
	n = rig_variants(v, sizes, RIG_NR(sizes));
	failed = rig_run(prog, cases, nr_cases, v, n);
	n = rig_variants(v, in_order, RIG_NR(in_order));
	for (size_t i = 0; i < n; i++)
		v[i].in_order = true;
	failed += rig_run(prog, cases, nr_cases, v, n);
	n = behind_iommu ? rig_variants(v, iommu, RIG_NR(iommu)) : 0;
	for (size_t i = 0; i < n; i++)
		v[i].iommu = true;
	failed += rig_run(prog, cases, nr_cases, v, n);
	n = rig_variants(v, late, RIG_NR(late));
	for (size_t i = 0; i < n; i++) {
		/* The last slot and the second wrap counter; an index that is about to wrap. */
		const uint32_t slot = v[i].size - 1u;

		v[i].base = v[i].format == GUEST_SPLIT ? 0xfffe : slot | slot << 16;
	}
	failed += rig_run(prog, cases, nr_cases, v, n);
	rte_eal_cleanup();
	return failed;
}

static inline int
rig_main(const char *prog, const struct rig_case *cases, size_t nr_cases)
{
	return rig_main_on(prog, cases, nr_cases, true);
}

#endif /* TEST_RING_CASES_H */
