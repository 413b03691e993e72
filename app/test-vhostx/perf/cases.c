/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What is measured: the list of cases, their names, and the filter on them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>

#include "cases.h"
#include "frames.h"

static const enum perf_direction all_directions[] = { PERF_RX, PERF_TX, PERF_FWD };
static const enum perf_direction consumers[] = { PERF_DROP, PERF_READ };
static const uint32_t all_sizes[] = { 64, 128, 256, 512, 1024, 1518, 9000, PERF_IMIX };
static const uint32_t long_sizes[] = { 9000 };
static const uint32_t some_sizes[] = { 64, 256, 1518, PERF_IMIX };
static const uint16_t all_bursts[] = { 4, 32, 64, 256 };
static const uint16_t usual_burst[] = { 32 };

/* A set of cases: all combinations on one wiring. */
struct grid {
	struct perf_wiring wiring;
	const enum perf_direction *directions;
	unsigned int nb_directions;
	const uint32_t *sizes;
	unsigned int nb_sizes;
	const uint16_t *bursts;
	unsigned int nb_bursts;
};

bool
perf_wiring_equal(const struct perf_wiring *a, const struct perf_wiring *b)
{
	return a->packed == b->packed && a->mergeable == b->mergeable &&
		a->in_order == b->in_order && a->jumbo == b->jumbo && a->queues == b->queues &&
		a->ports == b->ports;
}

const char *
perf_direction_name(enum perf_direction direction)
{
	static const char *const names[] = {
		[PERF_RX] = "rx",
		[PERF_TX] = "tx",
		[PERF_FWD] = "fwd",
		[PERF_DROP] = "drop",
		[PERF_READ] = "read",
		[PERF_IDLE] = "idle",
	};

	return names[direction];
}

void
perf_size_name(uint32_t size, char *name)
{
	if (size == PERF_IMIX)
		snprintf(name, PERF_NAME_MAX, "imix");
	else
		snprintf(name, PERF_NAME_MAX, "%" PRIu32, size);
}

void
perf_case_name(const struct perf_case *c, char *name)
{
	const struct perf_wiring *w = &c->wiring;
	char size[PERF_NAME_MAX];

	perf_size_name(c->size, size);
	snprintf(name, PERF_NAME_MAX, "%s/%s/%s/%s/q%u/p%u/%s/%.8s/b%u", w->packed ? "packed" : "split",
		w->mergeable ? "mrg" : "nomrg", w->in_order ? "inorder" : "noorder",
		w->jumbo ? "jumbo" : "nojumbo", w->queues, w->ports, perf_direction_name(c->direction),
		size, c->burst);
}

/* Is the word of @a len bytes one of those in @a name? */
static bool
name_has(const char *name, const char *word, size_t len)
{
	for (;;) {
		const size_t n = strcspn(name, "/");

		if (n == len && strncmp(name, word, n) == 0)
			return true;
		if (name[n] == '\0')
			return false;
		name += n + 1;
	}
}

/* Does the term, which ends at a comma or the end, have a word of @a name? */
static bool
term_matches(const char *name, const char *term)
{
	for (;;) {
		const size_t n = strcspn(term, "|,");

		if (name_has(name, term, n))
			return true;
		if (term[n] != '|')
			return false;
		term += n + 1;
	}
}

static bool
filter_matches(const char *name, const char *filter)
{
	while (filter != NULL) {
		if (!term_matches(name, filter))
			return false;
		filter = strchr(filter, ',');
		if (filter != NULL)
			filter++;
	}
	return true;
}

static void
add_case(struct perf_cases *cases, const struct perf_case *c, const char *filter)
{
	char name[PERF_NAME_MAX];

	/* One buffer of the guest has to hold the frame if it does not merge. */
	if (!c->wiring.mergeable && c->size > 2000)
		return;
	perf_case_name(c, name);
	if (filter_matches(name, filter) && cases->nb < PERF_CASES_MAX)
		cases->list[cases->nb++] = *c;
}

static void
add_grid(struct perf_cases *cases, const struct grid *g, const char *filter)
{
	struct perf_case c = { .wiring = g->wiring };

	for (unsigned int d = 0; d < g->nb_directions; d++)
		for (unsigned int s = 0; s < g->nb_sizes; s++)
			for (unsigned int b = 0; b < g->nb_bursts; b++) {
				c.direction = g->directions[d];
				c.size = g->sizes[s];
				c.burst = g->bursts[b];
				add_case(cases, &c, filter);
			}
	if (g->wiring.ports != 1 || g->wiring.queues != 1 || g->directions == consumers)
		return;
	c.direction = PERF_IDLE;
	c.size = 64;
	c.burst = 32;
	add_case(cases, &c, filter);
}

static struct grid
grid_of(bool packed, bool mergeable, bool in_order, uint16_t queues, uint16_t ports)
{
	return (struct grid){
		.wiring = {
			.packed = packed,
			.mergeable = mergeable,
			.in_order = in_order,
			.queues = queues,
			.ports = ports,
		},
		.directions = all_directions,
		.nb_directions = RTE_DIM(all_directions),
		.sizes = some_sizes,
		.nb_sizes = RTE_DIM(some_sizes),
		.bursts = usual_burst,
		.nb_bursts = RTE_DIM(usual_burst),
	};
}

/* Many queues or ports: one is compared with all, in one direction at a time. */
static void
add_spread(struct perf_cases *cases, bool packed, uint16_t queues, uint16_t ports, const char *filter)
{
	struct grid g = grid_of(packed, true, true, queues, ports);

	g.nb_directions = 2;
	add_grid(cases, &g, filter);
}

/* What becomes of received packets: of interest where they are not copied. */
static void
add_consumers(struct perf_cases *cases, bool packed, const char *filter)
{
	struct grid g = grid_of(packed, true, false, 1, 1);

	g.directions = consumers;
	g.nb_directions = RTE_DIM(consumers);
	g.sizes = all_sizes;
	g.nb_sizes = RTE_DIM(all_sizes);
	add_grid(cases, &g, filter);
	/* Of a Linux guest a long frame is one buffer, or a few. */
	g.wiring.jumbo = true;
	g.sizes = long_sizes;
	g.nb_sizes = RTE_DIM(long_sizes);
	add_grid(cases, &g, filter);
}

static void
add_format(struct perf_cases *cases, bool packed, bool quick, const char *filter)
{
	struct grid g = grid_of(packed, true, true, 1, 1);

	if (quick) {
		add_grid(cases, &g, filter);
		return;
	}
	g.sizes = all_sizes;
	g.nb_sizes = RTE_DIM(all_sizes);
	g.bursts = all_bursts;
	g.nb_bursts = RTE_DIM(all_bursts);
	add_grid(cases, &g, filter);
	g.wiring.mergeable = false;
	add_grid(cases, &g, filter);
	g = grid_of(packed, true, false, 1, 1);
	add_grid(cases, &g, filter);
	add_consumers(cases, packed, filter);
	add_spread(cases, packed, 8, 1, filter);
	add_spread(cases, packed, 1, 14, filter);
}

/* Two cores: no idle polls, and only what differs between one core and two. */
static void
add_two_cores(struct perf_cases *cases, bool packed, enum perf_mode mode, bool quick, const char *filter)
{
	static const enum perf_direction there_and_back[] = { PERF_RX, PERF_FWD };
	static const enum perf_direction back[] = { PERF_FWD };
	struct perf_case c;

	struct grid g = grid_of(packed, true, true, 1, 1);

	g.directions = mode == PERF_LATENCY ? back : quick ? there_and_back : all_directions;
	g.nb_directions = mode == PERF_LATENCY ? 1 : quick ? 2 : 3;
	g.nb_sizes = quick ? 1 : RTE_DIM(some_sizes);
	c.wiring = g.wiring;
	for (unsigned int d = 0; d < g.nb_directions; d++)
		for (unsigned int s = 0; s < g.nb_sizes; s++) {
			c.direction = g.directions[d];
			c.size = g.sizes[s];
			c.burst = 32;
			add_case(cases, &c, filter);
		}
}

/* Many regions: what differs is the lookup of an address. */
static void
add_regions(struct perf_cases *cases, bool packed, bool quick, const char *filter)
{
	static const uint32_t one_buffer[] = { 64, 256, 1518 };
	struct grid g = grid_of(packed, true, true, 1, 1);

	g.nb_directions = 2;
	g.sizes = one_buffer;
	g.nb_sizes = quick ? 1 : RTE_DIM(one_buffer);
	for (unsigned int d = 0; d < g.nb_directions; d++)
		for (unsigned int s = 0; s < g.nb_sizes; s++) {
			struct perf_case c = { .wiring = g.wiring, .burst = 32 };

			c.direction = g.directions[d];
			c.size = g.sizes[s];
			add_case(cases, &c, filter);
		}
}

void
perf_cases_make(struct perf_cases *cases, enum perf_mode mode, bool quick, const char *filter)
{
	cases->nb = 0;
	for (int packed = 0; packed < 2; packed++) {
		if (mode == PERF_ONE_CORE)
			add_format(cases, packed, quick, filter);
		else if (mode == PERF_REGIONS)
			add_regions(cases, packed, quick, filter);
		else
			add_two_cores(cases, packed, mode, quick, filter);
	}
}
