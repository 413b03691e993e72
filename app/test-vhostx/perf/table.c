/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A table of drivers side by side: the figures of each, ratios slot by slot, and each beside its twin.
 */
#include <stdio.h>

#include "table.h"

void
perf_table_wiring(const struct perf_wiring *w)
{
	printf("\n%s, %smergeable, in_order=%d, %u queue%s, %u port%s%s\n", w->packed ? "packed" : "split",
		w->mergeable ? "" : "not ", w->in_order, w->queues, w->queues == 1 ? "" : "s",
		w->ports, w->ports == 1 ? "" : "s", w->jumbo ? ", the guest sends a frame in one buffer" : "");
}

void
perf_table_heading(const struct perf_table *table, bool floor)
{
	const struct perf_options *opt = table->opt;
	char text[64];

	printf("%-23s", table->unit);
	for (unsigned int i = 0; i < opt->nb_drivers; i++)
		printf(" | %-20.20s", opt->drivers[i]);
	for (unsigned int i = 1; i < opt->nb_drivers; i++) {
		const char *a = table->larger_is_better ? opt->drivers[0] : opt->drivers[i];
		const char *b = table->larger_is_better ? opt->drivers[i] : opt->drivers[0];

		snprintf(text, sizeof(text), "%s/%s", a, b);
		printf(" | %-20.20s", text);
	}
	for (unsigned int i = 0; i < opt->nb_drivers; i++) {
		snprintf(text, sizeof(text), "noise %s", opt->drivers[i]);
		printf(" | %-20.20s", text);
	}
	printf("%s\n", floor ? " | floor" : "");
}

void
perf_table_case(const struct perf_case *c, const char *unit)
{
	char size[PERF_NAME_MAX];

	perf_size_name(c->size, size);
	printf("%-4s %5s b%-4u %6s", perf_direction_name(c->direction), size, c->burst, unit);
}

void
perf_table_figure(const struct perf_table *table, const struct perf_case *c,
	const struct perf_turn *turn)
{
	const unsigned int slots = table->opt->slots;
	const struct perf_quantiles q = perf_slots_figure(turn, slots);

	perf_report_cell(&q, table->decimals);
	perf_report_csv(table->report, table->mode, c, turn->name, table->unit, &q, slots);
}

void
perf_table_ratio(const struct perf_table *table, const struct perf_case *c, const struct perf_turn *a,
	const struct perf_turn *b)
{
	const unsigned int slots = table->opt->slots;
	const struct perf_quantiles q = perf_slots_ratio(a, b, slots);
	char series[80], unit[32];

	snprintf(series, sizeof(series), "%s/%s", a->name, b->name);
	snprintf(unit, sizeof(unit), "%s ratio", table->unit);
	perf_report_cell(&q, 2);
	perf_report_csv(table->report, table->mode, c, series, unit, &q, slots);
}

void
perf_table_row(const struct perf_table *table, const struct perf_case *c,
	const struct perf_turn *turns, const struct perf_turn *floor)
{
	const unsigned int nb = table->opt->nb_drivers;

	for (unsigned int i = 0; i < nb; i++)
		perf_table_figure(table, c, &turns[i]);
	for (unsigned int i = 1; i < nb; i++) {
		if (table->larger_is_better)
			perf_table_ratio(table, c, &turns[0], &turns[i]);
		else
			perf_table_ratio(table, c, &turns[i], &turns[0]);
	}
	for (unsigned int i = 0; i < nb; i++)
		perf_table_ratio(table, c, &turns[nb + i], &turns[i]);
	if (floor != NULL)
		perf_table_figure(table, c, floor);
	printf("\n");
}
