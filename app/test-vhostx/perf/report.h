/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The figures: a table for people and lines of CSV, one figure each.
 */
#ifndef PERF_REPORT_H
#define PERF_REPORT_H

#include <stdio.h>

#include "cases.h"
#include "options.h"
#include "stats.h"

/** Where the CSV goes. */
struct perf_report {
	const struct perf_options *opt;
	FILE *csv; /**< NULL: nowhere */
};

/** Open the CSV, with a heading if the file is new. @return 0 or -errno, after saying what is wrong. */
int perf_report_open(struct perf_report *report, const struct perf_options *opt);

/** Close the CSV. */
void perf_report_close(struct perf_report *report);

/**
 * Add a line to the CSV.
 * @param series   whose figure: a driver, "a/b" for a ratio, "floor"
 * @param unit     "cycles", "ratio", "Mpps", "us" or "bytes"
 * @param samples  how many the quantiles are made of
 */
void perf_report_csv(struct perf_report *report, const char *mode, const struct perf_case *c,
	const char *series, const char *unit, const struct perf_quantiles *q, unsigned int samples);

/** Print "median [p10-p90]" in a column of the table. */
void perf_report_cell(const struct perf_quantiles *q, int decimals);

#endif /* PERF_REPORT_H */
