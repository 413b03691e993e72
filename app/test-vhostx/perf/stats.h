/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Order statistics of samples.
 */
#ifndef PERF_STATS_H
#define PERF_STATS_H

/** Three points of a distribution. */
struct perf_quantiles {
	double p10;    /**< a tenth of the samples is not larger */
	double median;
	double p90;    /**< a tenth of the samples is not smaller */
};

/** The quantile @a q, 0 to 1, of @a n samples, at least 1; sorts them. */
double perf_quantile(double *samples, unsigned int n, double q);

/** Three quantiles of @a n samples, at least 1; sorts them. */
struct perf_quantiles perf_quantiles(double *samples, unsigned int n);

/** The mean of @a n samples, at least 1, without the largest fiftieth of them; sorts them. */
double perf_mean_of_most(double *samples, unsigned int n);

#endif /* PERF_STATS_H */
