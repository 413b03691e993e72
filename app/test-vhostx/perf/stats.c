/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Order statistics of samples.
 */
#include <stdlib.h>

#include "stats.h"

static int
compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a;
	const double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Linear between the two nearest samples, which are sorted. */
static double
sorted_quantile(const double *samples, unsigned int n, double q)
{
	const double at = q * (n - 1);
	const unsigned int below = (unsigned int)at;

	if (below + 1 >= n)
		return samples[n - 1];
	return samples[below] + (at - below) * (samples[below + 1] - samples[below]);
}

double
perf_quantile(double *samples, unsigned int n, double q)
{
	qsort(samples, n, sizeof(*samples), compare_doubles);
	return sorted_quantile(samples, n, q);
}

struct perf_quantiles
perf_quantiles(double *samples, unsigned int n)
{
	qsort(samples, n, sizeof(*samples), compare_doubles);
	return (struct perf_quantiles){
		.p10 = sorted_quantile(samples, n, 0.1),
		.median = sorted_quantile(samples, n, 0.5),
		.p90 = sorted_quantile(samples, n, 0.9),
	};
}

double
perf_mean_of_most(double *samples, unsigned int n)
{
	const unsigned int kept = n - n / 50;
	double sum = 0;

	qsort(samples, n, sizeof(*samples), compare_doubles);
	for (unsigned int i = 0; i < kept; i++)
		sum += samples[i];
	return sum / kept;
}
