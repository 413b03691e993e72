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
	OPT_TWO_CORES,
	OPT_LATENCY,
	OPT_PEER,
	OPT_PEER_EAL,
	OPT_SLOT_MS,
	OPT_SEEDS,
	OPT_REGIONS,
	OPT_FOOTPRINT,
	OPT_COLD,
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
	{ "two-cores", no_argument, NULL, OPT_TWO_CORES },
	{ "latency", no_argument, NULL, OPT_LATENCY },
	{ "peer", no_argument, NULL, OPT_PEER },
	{ "peer-eal", required_argument, NULL, OPT_PEER_EAL },
	{ "slot-ms", required_argument, NULL, OPT_SLOT_MS },
	{ "seeds", required_argument, NULL, OPT_SEEDS },
	{ "regions", required_argument, NULL, OPT_REGIONS },
	{ "footprint", no_argument, NULL, OPT_FOOTPRINT },
	{ "cold", no_argument, NULL, OPT_COLD },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

void
perf_usage(void)
{
	printf("dpdk-test-vhostx perf [EAL options] -- [options]\n"
		"                      cycles per packet, both ends in this process on one core; or\n"
		"  --two-cores         packets per second, the virtio side in a second process; or\n"
		"  --latency           round-trip times and the highest rate without loss, likewise; or\n"
		"  --footprint         memory of an idle port of each driver; or\n"
		"  --regions N         cycles per packet with guest memory in one region and in N, 2 to 508;\n"
		"                      no ports, the driver's bursts alone\n"
		"  --peer-eal OPTIONS  EAL options of the second process, separated by blanks\n"
		"  --quick             a telling part of the cases, within a minute\n"
		"  --list              print the cases and end\n"
		"  --filter TERMS      cases that satisfy every comma-separated term, which is a word of\n"
		"                      the case's name or several, separated by |: split,rx|tx,64\n"
		"  --drivers A,B       drivers that take turns (net_vhostx,net_vhost); the cycles of each\n"
		"                      are divided by those of the first; a name may have devargs of its own\n"
		"                      behind it: net_vhostx,net_vhostx+state-dir=none+mtu=9000; or offloads that\n"
		"                      are enabled and not used: net_vhostx,net_vhostx/vlan,net_vhostx/cksum\n"
		"  --csv FILE          append the figures\n"
		"  --label TEXT        first column of the CSV (default)\n"
		"  --ring N            entries of a ring (1024)\n"
		"  --slots N           turns of each driver in a case (41; 21 if --quick; half of that on two cores)\n"
		"  --slot-frames N     frames in a turn (6400); one core\n"
		"  --cold              with the guest's frames out of the cache when they are received, as if\n"
		"                      another core had written them; one core, x86\n"
		"  --slot-ms N         length of a turn (100; 50 if --quick); two cores\n"
		"  --seeds N           frames that go round (512); two cores, fwd\n"
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
parse_number_from(const char *what, const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	*value = strtoul(text, &end, 10);
	if (*text != '\0' && *end == '\0' && *value >= min && *value <= max)
		return 0;
	printf("--%s %s: not a number from %lu to %lu\n", what, text, min, max);
	return -EINVAL;
}

static int
parse_number(const char *what, const char *text, unsigned long max, unsigned long *value)
{
	return parse_number_from(what, text, 1, max, value);
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
	case OPT_SLOT_MS:
		if (parse_number("slot-ms", optarg, 10000, &value) != 0)
			return -EINVAL;
		opt->slot_ms = value;
		return 0;
	case OPT_SEEDS:
		if (parse_number("seeds", optarg, 32768, &value) != 0)
			return -EINVAL;
		opt->seeds = value;
		return 0;
	case OPT_REGIONS:
		if (parse_number_from("regions", optarg, 2, PERF_REGIONS_MAX, &value) != 0)
			return -EINVAL;
		opt->regions = value;
		opt->mode = PERF_REGIONS;
		return 0;
	default:
		if (parse_number("slot-frames", optarg, 1000000, &value) != 0)
			return -EINVAL;
		opt->slot_frames = value;
		return 0;
	}
}

bool
perf_offloads_add(const char *name, size_t len, uint64_t *rx, uint64_t *tx)
{
	if (len == 4 && strncmp(name, "vlan", len) == 0) {
		*rx |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		*tx |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	} else if (len == 5 && strncmp(name, "cksum", len) == 0) {
		*rx |= RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
		*tx |= RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	} else {
		return false;
	}
	return true;
}

static int
parse_flag(struct perf_options *opt, int option)
{
	switch (option) {
	case OPT_QUICK:
		opt->quick = true;
		return 0;
	case OPT_LIST:
		opt->list = true;
		return 0;
	case OPT_HELP:
		opt->help = true;
		return 0;
	case OPT_TWO_CORES:
		opt->mode = PERF_TWO_CORES;
		return 0;
	case OPT_LATENCY:
		opt->mode = PERF_LATENCY;
		return 0;
	case OPT_PEER:
		opt->mode = PERF_PEER;
		return 0;
	case OPT_FOOTPRINT:
		opt->mode = PERF_FOOTPRINT;
		return 0;
	case OPT_COLD:
		opt->cold = true;
		return 0;
	case OPT_VLAN:
		perf_offloads_add("vlan", 4, &opt->rx_offloads, &opt->tx_offloads);
		return 0;
	case OPT_CKSUM:
		perf_offloads_add("cksum", 5, &opt->rx_offloads, &opt->tx_offloads);
		return 0;
	default:
		return -EINVAL;
	}
}

static int
parse_option(struct perf_options *opt, int option)
{
	switch (option) {
	case OPT_DRIVERS:
		return parse_drivers(opt, optarg);
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
	case OPT_PEER_EAL:
		opt->peer_eal = optarg;
		return 0;
	case OPT_RING:
	case OPT_SLOTS:
	case OPT_SLOT_FRAMES:
	case OPT_SLOT_MS:
	case OPT_SEEDS:
	case OPT_REGIONS:
		return parse_numeric(opt, option);
	default:
		return parse_flag(opt, option);
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
		.seeds = 512,
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
		opt->slots = opt->mode == PERF_ONE_CORE || opt->mode == PERF_REGIONS ? (opt->quick ? 21 : 41) : (opt->quick ? 11 : 21);
	if (opt->slot_ms == 0)
		opt->slot_ms = opt->quick ? 50 : 100;
	if (opt->cold && opt->mode != PERF_ONE_CORE) {
		printf("--cold: on one core only, without --two-cores, --latency, --footprint and --regions\n");
		return -EINVAL;
	}
	if (opt->peer_eal == NULL && (opt->mode == PERF_TWO_CORES || opt->mode == PERF_LATENCY)) {
		printf("the second process needs EAL options, at least a core: "
			"--peer-eal \"-l 1 --file-prefix peer\"\n");
		return -EINVAL;
	}
	return 0;
}
