/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The command line behind the EAL's "--".
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "options.h"

enum {
	OPT_DRIVERS = 256,
	OPT_QUICK,
	OPT_LIST,
	OPT_FILTER,
	OPT_CSV,
	OPT_LABEL,
	OPT_VHOST_ARGS,
	OPT_VIRTIO_ARGS,
	OPT_RING,
	OPT_SLOTS,
	OPT_SLOT_FRAMES,
	OPT_VLAN,
	OPT_CKSUM,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "drivers", required_argument, NULL, OPT_DRIVERS },
	{ "quick", no_argument, NULL, OPT_QUICK },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "filter", required_argument, NULL, OPT_FILTER },
	{ "csv", required_argument, NULL, OPT_CSV },
	{ "label", required_argument, NULL, OPT_LABEL },
	{ "vhost-args", required_argument, NULL, OPT_VHOST_ARGS },
	{ "virtio-args", required_argument, NULL, OPT_VIRTIO_ARGS },
	{ "ring", required_argument, NULL, OPT_RING },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "slot-frames", required_argument, NULL, OPT_SLOT_FRAMES },
	{ "vlan", no_argument, NULL, OPT_VLAN },
	{ "cksum", no_argument, NULL, OPT_CKSUM },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

void
perf_usage(void)
{
	printf("dpdk-test-vhostx perf [EAL options] -- [options]\n"
		"  --quick             a telling part of the cases, within a minute\n"
		"  --list              print the cases and end\n"
		"  --filter TERMS      cases that satisfy every comma-separated term, which is a word of\n"
		"                      the case's name or several, separated by |: split,rx|tx,64\n"
		"  --drivers A,B       drivers that take turns (net_vhostx,net_vhost); the cycles of each\n"
		"                      are divided by those of the first\n"
		"  --csv FILE          append the figures\n"
		"  --label TEXT        first column of the CSV (default)\n"
		"  --ring N            entries of a ring (1024)\n"
		"  --slots N           turns of each driver in a case (41; 21 if --quick)\n"
		"  --slot-frames N     frames in a turn (6400)\n"
		"  --vhost-args ARGS   devargs added to the vhost ports\n"
		"  --virtio-args ARGS  devargs added to the virtio-user ports\n"
		"  --vlan              with VLAN stripping and insertion enabled, and not used\n"
		"  --cksum             with checksum offloads enabled, and not used\n");
}

static int
parse_drivers(struct perf_options *opt, char *list)
{
	char *save;

	opt->nb_drivers = 0;
	for (char *name = strtok_r(list, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
		if (opt->nb_drivers == PERF_DRIVERS_MAX) {
			printf("--drivers: at most %d\n", PERF_DRIVERS_MAX);
			return -EINVAL;
		}
		opt->drivers[opt->nb_drivers++] = name;
	}
	return opt->nb_drivers == 0 ? -EINVAL : 0;
}

static int
parse_number(const char *what, const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	*value = strtoul(text, &end, 10);
	if (*text != '\0' && *end == '\0' && *value != 0 && *value <= max)
		return 0;
	printf("--%s %s: not a number from 1 to %lu\n", what, text, max);
	return -EINVAL;
}

static int
parse_numeric(struct perf_options *opt, int option)
{
	unsigned long value;

	switch (option) {
	case OPT_RING:
		if (parse_number("ring", optarg, 32768, &value) != 0)
			return -EINVAL;
		opt->ring = value;
		return 0;
	case OPT_SLOTS:
		if (parse_number("slots", optarg, 100000, &value) != 0)
			return -EINVAL;
		opt->slots = value;
		return 0;
	default:
		if (parse_number("slot-frames", optarg, 1000000, &value) != 0)
			return -EINVAL;
		opt->slot_frames = value;
		return 0;
	}
}

static int
parse_option(struct perf_options *opt, int option)
{
	switch (option) {
	case OPT_DRIVERS:
		return parse_drivers(opt, optarg);
	case OPT_QUICK:
		opt->quick = true;
		return 0;
	case OPT_LIST:
		opt->list = true;
		return 0;
	case OPT_HELP:
		opt->help = true;
		return 0;
	case OPT_FILTER:
		opt->filter = optarg;
		return 0;
	case OPT_CSV:
		opt->csv = optarg;
		return 0;
	case OPT_LABEL:
		opt->label = optarg;
		return 0;
	case OPT_VHOST_ARGS:
		opt->vhost_args = optarg;
		return 0;
	case OPT_VIRTIO_ARGS:
		opt->virtio_args = optarg;
		return 0;
	case OPT_VLAN:
		opt->rx_offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		opt->tx_offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
		return 0;
	case OPT_CKSUM:
		opt->rx_offloads |= RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
		opt->tx_offloads |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
		return 0;
	case OPT_RING:
	case OPT_SLOTS:
	case OPT_SLOT_FRAMES:
		return parse_numeric(opt, option);
	default:
		return -EINVAL;
	}
}

int
perf_options_parse(struct perf_options *opt, int argc, char **argv)
{
	int option;

	*opt = (struct perf_options){
		.drivers = { "net_vhostx", "net_vhost" },
		.nb_drivers = 2,
		.label = "default",
		.ring = 1024,
		.slot_frames = 6400,
	};
	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (parse_option(opt, option) != 0)
			return -EINVAL;
	}
	if (optind != argc) {
		printf("%s: not an option\n", argv[optind]);
		return -EINVAL;
	}
	if (opt->slots == 0)
		opt->slots = opt->quick ? 21 : 41;
	return 0;
}
