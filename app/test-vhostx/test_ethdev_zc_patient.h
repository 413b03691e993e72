/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of the ends of zero-copy ports share: ports that wait, and packets that come back meanwhile.
 */
#ifndef TEST_ETHDEV_ZC_PATIENT_H
#define TEST_ETHDEV_ZC_PATIENT_H

#include "test_ethdev_zc.h"

static const struct port_conf patient = {
	.devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512,zc-deadline=400",
};

static const struct port_conf very_patient = {
	.devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512,zc-deadline=10000",
};

/* A packet that a thread frees after a while. */
struct later {
	struct rte_mbuf *m;
	pthread_t thread;
};

static inline void *
free_later(void *arg)
{
	struct later *later = arg;

	rte_delay_us_sleep(20000);
	rte_pktmbuf_free(later->m);
	return NULL;
}

#endif /* TEST_ETHDEV_ZC_PATIENT_H */
