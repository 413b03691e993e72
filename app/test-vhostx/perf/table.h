/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A table of drivers side by side: the figures of each, ratios slot by slot, and each beside its twin.
 */
#ifndef PERF_TABLE_H
#define PERF_TABLE_H

#include "report.h"
#include "slots.h"

/** What a table shows. */
struct perf_table {
	struct perf_report *report;
	const struct perf_options *opt;
	const char *mode;      /**< of the CSV */
	const char *unit;      /**< of the CSV */
	int decimals;          /**< of the figures */
	bool larger_is_better; /**< ratios are first driver / other, else other / first: above 1 the first wins */
};

/** Print what the rows below have in common. */
void perf_table_wiring(const struct perf_wiring *w);

/** Print the names of the columns. */
void perf_table_heading(const struct perf_table *table, bool floor);

/**
 * Print a row and add it to the CSV.
 * @param turns  each driver, then each driver's twin, in the order of the options
 * @param floor  NULL: there is none
 */
void perf_table_row(const struct perf_table *table, const struct perf_case *c,
	const struct perf_turn *turns, const struct perf_turn *floor);

/** Print what a row begins with: the case. */
void perf_table_case(const struct perf_case *c, const char *unit);

/** A cell with the figures of one turn. */
void perf_table_figure(const struct perf_table *table, const struct perf_case *c,
	const struct perf_turn *turn);

/** A cell with the ratio @a a / @a b. */
void perf_table_ratio(const struct perf_table *table, const struct perf_case *c,
	const struct perf_turn *a, const struct perf_turn *b);

#endif /* PERF_TABLE_H */
