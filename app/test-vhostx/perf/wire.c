/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Vhost ports, each with a virtio-user port of this process on its socket.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "frames.h"
#include "wire.h"

#define HOST_MBUFS 8191u
#define GUEST_MBUFS 49151u
#define JUMBO_MBUFS 12287u
#define MBUF_CACHE 256u
#define LINK_WAIT_MS 5000u
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* A folder that only we can write to: a socket's name has at most 107 bytes. */
static int
make_dir(char *dir, size_t size)
{
	const char *const bases[] = { getenv("XDG_RUNTIME_DIR"), "/run", "/tmp" };

	for (unsigned int i = 0; i < RTE_DIM(bases); i++) {
		if (bases[i] == NULL)
			continue;
		snprintf(dir, size, "%.32s/vhostx-perf.XXXXXX", bases[i]);
		if (mkdtemp(dir) != NULL)
			return 0;
	}
	dir[0] = '\0';
	return -errno;
}

int
perf_bench_init(struct perf_bench *bench, const struct perf_options *opt)
{
	int ret;

	*bench = (struct perf_bench){ .opt = opt };
	bench->host_pool = rte_pktmbuf_pool_create("host", HOST_MBUFS, MBUF_CACHE, 0,
		RTE_MBUF_DEFAULT_BUF_SIZE, rte_socket_id());
	bench->guest_pool = rte_pktmbuf_pool_create("guest", GUEST_MBUFS, MBUF_CACHE, 0,
		RTE_MBUF_DEFAULT_BUF_SIZE, rte_socket_id());
	if (bench->host_pool == NULL || bench->guest_pool == NULL) {
		printf("no memory for %u mbufs: %s\n", HOST_MBUFS + GUEST_MBUFS,
			rte_strerror(rte_errno));
		return -ENOMEM;
	}
	perf_alias_init(&bench->alias, bench->guest_pool);
	ret = make_dir(bench->dir, sizeof(bench->dir));
	if (ret != 0)
		printf("no folder for sockets: %s\n", strerror(-ret));
	return ret;
}

int
perf_bench_prepare(struct perf_bench *bench, const struct perf_wiring *wiring)
{
	if (!wiring->jumbo || bench->jumbo_pool != NULL)
		return 0;
	bench->jumbo_pool = rte_pktmbuf_pool_create("jumbo", JUMBO_MBUFS, MBUF_CACHE, 0,
		RTE_PKTMBUF_HEADROOM + PERF_FRAME_MAX, rte_socket_id());
	if (bench->jumbo_pool != NULL)
		return 0;
	printf("no memory for %u mbufs of %u bytes: %s\n", JUMBO_MBUFS, PERF_FRAME_MAX, rte_strerror(rte_errno));
	return -ENOMEM;
}

void
perf_bench_fini(struct perf_bench *bench)
{
	if (bench->dir[0] != '\0')
		rmdir(bench->dir);
	perf_alias_fini(&bench->alias);
	rte_mempool_free(bench->host_pool);
	rte_mempool_free(bench->guest_pool);
	rte_mempool_free(bench->jumbo_pool);
}

/* Probe the vdev, configure and start its port; @a txconf may be NULL. */
static int
port_open(const struct perf_bench *bench, const char *name, const char *args, uint16_t queues,
	struct rte_mempool *pool, const struct rte_eth_conf *conf, const struct rte_eth_txconf *txconf,
	uint16_t *port)
{
	int ret = rte_vdev_init(name, args);

	if (ret == 0)
		ret = rte_eth_dev_get_port_by_name(name, port);
	if (ret == 0)
		ret = rte_eth_dev_configure(*port, queues, queues, conf);
	for (uint16_t q = 0; ret == 0 && q < queues; q++)
		ret = rte_eth_rx_queue_setup(*port, q, bench->opt->ring, rte_socket_id(), NULL, pool);
	for (uint16_t q = 0; ret == 0 && q < queues; q++)
		ret = rte_eth_tx_queue_setup(*port, q, bench->opt->ring, rte_socket_id(), txconf);
	if (ret == 0)
		ret = rte_eth_dev_start(*port);
	if (ret != 0)
		printf("%s,%s: %s\n", name, args, rte_strerror(-ret));
	return ret;
}

/* net_vhostx's names begin like net_vhost's: is the port the driver's that was asked for? */
static int
check_driver(uint16_t port, const char *driver)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port, &info);

	if (ret != 0)
		return ret;
	if (strcmp(info.driver_name, driver) == 0)
		return 0;
	printf("a port for %s was made by %s: is the plugin loaded (-d)?\n", driver, info.driver_name);
	return -ENODEV;
}

/* The offloads of all vhost ports, and those that the spec of this one names behind a "/". */
static int
conf_of(const struct perf_options *opt, const char *spec, struct rte_eth_conf *conf)
{
	const char *name = spec + strcspn(spec, "/+");
	uint64_t rx = opt->rx_offloads, tx = opt->tx_offloads;

	if (*name == '/' && !perf_offloads_add(name + 1, strcspn(name + 1, "+"), &rx, &tx)) {
		printf("%s: offloads are vlan and cksum\n", spec);
		return -EINVAL;
	}
	*conf = (struct rte_eth_conf){ .rxmode.offloads = rx, .txmode.offloads = tx };
	return 0;
}

int
perf_pair_open_vhost(struct perf_pair *pair, struct perf_bench *bench, const char *spec,
	const struct perf_wiring *wiring)
{
	const struct perf_options *opt = bench->opt;
	const char *more = strchr(spec, '+');
	char args[256], driver[32];
	struct rte_eth_conf conf;
	int ret;

	memset(pair, 0, sizeof(*pair));
	ret = conf_of(opt, spec, &conf);
	if (ret != 0)
		return ret;
	snprintf(driver, sizeof(driver), "%.*s", (int)strcspn(spec, "/+"), spec);
	snprintf(pair->vhost_name, sizeof(pair->vhost_name), "%.20s%u", driver, bench->serial);
	snprintf(pair->path, sizeof(pair->path), "%s/%u", bench->dir, bench->serial);
	bench->serial++;
	snprintf(args, sizeof(args), "iface=%s,queues=%u%s%s%s%s", pair->path, wiring->queues,
		opt->vhost_args == NULL ? "" : ",", opt->vhost_args == NULL ? "" : opt->vhost_args,
		more == NULL ? "" : ",", more == NULL ? "" : more + 1);
	for (char *plus = args; (plus = strchr(plus, '+')) != NULL;)
		*plus = ',';
	ret = port_open(bench, pair->vhost_name, args, wiring->queues, bench->host_pool, &conf, NULL,
		&pair->vhost);
	return ret == 0 ? check_driver(pair->vhost, driver) : ret;
}

int
perf_pair_wait(const struct perf_pair *pair)
{
	struct rte_eth_link link = { 0 };

	for (unsigned int ms = 0; ms < LINK_WAIT_MS; ms++) {
		if (rte_eth_link_get_nowait(pair->vhost, &link) == 0 &&
				link.link_status == RTE_ETH_LINK_UP)
			return 0;
		rte_delay_us_sleep(1000);
	}
	printf("%s: the link does not come up\n", pair->vhost_name);
	return -ETIMEDOUT;
}

int
perf_pair_open_virtio(struct perf_pair *pair, struct perf_bench *bench,
	const struct perf_wiring *wiring)
{
	const struct perf_options *opt = bench->opt;
	const struct rte_eth_conf conf = { 0 };
	/*
	 * Left to itself the driver frees a whole split ring at a time, more than the pool's cache takes: its
	 * mbufs then come from all over the pool, out of the caches, and that is all that two cores would show.
	 */
	const struct rte_eth_txconf soon = { .tx_free_thresh = opt->ring - PERF_BURST_MAX / 4 };
	char args[384];

	snprintf(pair->virtio_name, sizeof(pair->virtio_name), "net_virtio_user%u", bench->serial++);
	snprintf(args, sizeof(args), "path=%s,queues=%u,queue_size=%u,"
		"packed_vq=%d,mrg_rxbuf=%d,in_order=%d,"
		"mac=02:00:00:00:00:01%s%s",
		pair->path, wiring->queues, opt->ring, wiring->packed, wiring->mergeable,
		wiring->in_order, opt->virtio_args == NULL ? "" : ",",
		opt->virtio_args == NULL ? "" : opt->virtio_args);
	return port_open(bench, pair->virtio_name, args, wiring->queues, bench->guest_pool, &conf,
		opt->mode == PERF_PEER && opt->ring > PERF_BURST_MAX ? &soon : NULL, &pair->virtio);
}

int
perf_pair_open(struct perf_pair *pair, struct perf_bench *bench, const char *driver,
	const struct perf_wiring *wiring)
{
	int ret = perf_pair_open_vhost(pair, bench, driver, wiring);

	if (ret == 0)
		ret = perf_pair_open_virtio(pair, bench, wiring);
	return ret == 0 ? perf_pair_wait(pair) : ret;
}

void
perf_wire_prefault(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long begin, end;
	char line[512], mode[5];

	if (maps == NULL)
		return;
	while (fgets(line, sizeof(line), maps) != NULL) {
		/* What a port keeps for after a crash is large, and mostly not there. */
		if (sscanf(line, "%lx-%lx %4s", &begin, &end, mode) == 3 && strcmp(mode, "rw-s") == 0 &&
				strstr(line, "/vhostx-") == NULL)
			madvise((void *)begin, end - begin, MADV_POPULATE_WRITE);
	}
	fclose(maps);
}

static void
port_close(char *name)
{
	uint16_t port;

	if (name[0] == '\0')
		return;
	if (rte_eth_dev_get_port_by_name(name, &port) == 0)
		rte_eth_dev_stop(port);
	rte_vdev_uninit(name);
	name[0] = '\0';
}

void
perf_pair_close(struct perf_pair *pair)
{
	port_close(pair->virtio_name);
	port_close(pair->vhost_name);
}
