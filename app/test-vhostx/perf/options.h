/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The command line behind the EAL's "--".
 */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Most drivers that are compared. */
#define PERF_DRIVERS_MAX 4

/** Most regions of guest memory: one of the driver's 509 is for the ring. */
#define PERF_REGIONS_MAX 508

/** What the program does. */
enum perf_mode {
	PERF_ONE_CORE,  /**< cycles per packet, both ends in this process */
	PERF_TWO_CORES, /**< packets per second, the virtio side in a second process */
	PERF_LATENCY,   /**< round trips and rate without loss, likewise */
	PERF_FOOTPRINT, /**< memory of an idle port */
	PERF_REGIONS,   /**< cycles per packet with one memory region and with many */
	PERF_PEER,      /**< be that second process */
};

/** What the command line asks for. */
struct perf_options {
	enum perf_mode mode;
	const char *peer_eal;     /**< EAL options of the second process; NULL: none given */
	const char *drivers[PERF_DRIVERS_MAX]; /**< the first is what the others are divided by */
	unsigned int nb_drivers;
	bool quick;               /**< end within a minute */
	bool list;                /**< print the cases and end */
	bool help;                /**< print the options and end */
	const char *filter;       /**< see perf_cases_make(); NULL: all */
	const char *csv;          /**< file to append to; NULL: none */
	const char *label;        /**< first column of the CSV */
	const char *vhost_args;   /**< devargs added to every vhost port; NULL: none */
	const char *virtio_args;  /**< devargs added to every virtio-user port; NULL: none */
	uint16_t ring;            /**< entries of every ring */
	unsigned int slots;       /**< turns that each driver has in a case */
	bool cold;                /**< the guest's frames are in no cache when they are received; one core */
	uint32_t slot_frames;     /**< frames in a turn, about; one core */
	unsigned int slot_ms;     /**< how long a turn takes; two cores */
	unsigned int regions;     /**< of guest memory, 2 to PERF_REGIONS_MAX; regions */
	uint32_t seeds;           /**< frames that go round; two cores, forward */
	uint64_t rx_offloads;     /**< of the vhost ports */
	uint64_t tx_offloads;     /**< of the vhost ports */
};

/**
 * Parse @a argv, whose [0] is skipped.
 * @return 0, or -EINVAL after saying what is wrong.
 */
int perf_options_parse(struct perf_options *opt, int argc, char **argv);

/** Add the offloads that go by a name of @a len bytes, "vlan" or "cksum". @return false if there are none. */
bool perf_offloads_add(const char *name, size_t len, uint64_t *rx, uint64_t *tx);

/** Print how to use the program. */
void perf_usage(void);

#endif /* PERF_OPTIONS_H */
