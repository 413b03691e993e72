/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The figures: a table for people and lines of CSV, one figure each.
 */
#include <errno.h>
#include <string.h>

#include "report.h"

int
perf_report_open(struct perf_report *report, const struct perf_options *opt)
{
	*report = (struct perf_report){ .opt = opt };
	if (opt->csv == NULL)
		return 0;
	report->csv = fopen(opt->csv, "a");
	if (report->csv == NULL) {
		const int err = errno;

		printf("--csv %s: %s\n", opt->csv, strerror(err));
		return -err;
	}
	fseek(report->csv, 0, SEEK_END);
	if (ftell(report->csv) == 0)
		fprintf(report->csv, "label,mode,format,mergeable,in_order,jumbo,queues,ports,direction,"
			"frame,burst,ring,series,unit,median,p10,p90,samples\n");
	return 0;
}

void
perf_report_close(struct perf_report *report)
{
	if (report->csv != NULL)
		fclose(report->csv);
	report->csv = NULL;
}

void
perf_report_csv(struct perf_report *report, const char *mode, const struct perf_case *c,
	const char *series, const char *unit, const struct perf_quantiles *q, unsigned int samples)
{
	const struct perf_wiring *w = &c->wiring;
	char size[PERF_NAME_MAX];

	if (report->csv == NULL)
		return;
	perf_size_name(c->size, size);
	fprintf(report->csv, "%s,%s,%s,%d,%d,%d,%u,%u,%s,%s,%u,%u,%s,%s,%.4g,%.4g,%.4g,%u\n",
		report->opt->label, mode, w->packed ? "packed" : "split", w->mergeable,
		w->in_order, w->jumbo, w->queues, w->ports, perf_direction_name(c->direction), size,
		c->burst, report->opt->ring, series, unit, q->median, q->p10, q->p90, samples);
	fflush(report->csv);
}

void
perf_report_cell(const struct perf_quantiles *q, int decimals)
{
	char range[32];

	snprintf(range, sizeof(range), "%.*f-%.*f", decimals, q->p10, decimals, q->p90);
	printf(" | %7.*f %-12s", decimals, q->median, range);
}
