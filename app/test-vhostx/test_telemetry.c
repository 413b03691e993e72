/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port described as text, in each state of a ring; the telemetry answers are made by the same code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ethdev_driver.h>

#include "mem/region.h"
#include "user/features.h"
#include "vhostx_port.h"
#include "vhostx_telemetry.h"

#define RINGS 4
#define SIZE 16

/* A port whose ring 1 is the one that cases look at. */
static struct vhostx_vring vring[RINGS];
static struct vhostx_port_ring *ring;
static struct vhostx_queue queue;
static struct vhostx_port port;
static struct rte_eth_dev_data data;
static struct vhostx_mem *mem;
static uint16_t avail[2 + SIZE]; /* flags, idx, ring */
static struct vring_packed_desc desc[SIZE];
static char text[8192];

static int
setup(void **state)
{
	(void)state;
	memset(vring, 0, sizeof(vring));
	memset(&queue, 0, sizeof(queue));
	memset(avail, 0, sizeof(avail));
	memset(desc, 0, sizeof(desc));
	ring = aligned_alloc(RTE_CACHE_LINE_SIZE, RINGS * sizeof(*ring));
	mem = calloc(1, sizeof(*mem) + sizeof(mem->range[0]));
	assert_true(ring != NULL && mem != NULL);
	memset(ring, 0, RINGS * sizeof(*ring));
	mem->nr = 1;
	mem->range[0] = (struct vhostx_range){ .gpa = 0x1000, .size = 0x2000 };
	ring[1].queue = &queue;
	port = (struct vhostx_port){ .lock = PTHREAD_MUTEX_INITIALIZER, .ring = ring };
	port.be.nr_vrings = RINGS;
	port.be.vring = vring;
	data = (struct rte_eth_dev_data){ .dev_private = &port };
	rte_eth_devices[0].data = &data;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(ring);
	free(mem);
	return 0;
}

/* The front-end is there and has said all: ring 1 is built and published. */
static void
run_ring(void)
{
	port.since = 1;
	port.be.has_features = true;
	port.be.mem = mem;
	vring[1] = (struct vhostx_vring){ .num = SIZE, .has_addr = true, .started = true };
	ring[1].built = true;
	ring[1].snap = (struct vhostx_snapshot){ .ring = &ring[1].ring, .size = SIZE, .enabled = true };
	ring[1].snap.split.avail = (struct vring_avail *)avail;
	queue.snap = &ring[1].snap;
}

static void
dump(void)
{
	FILE *file = fmemopen(text, sizeof(text), "w");

	assert_non_null(file);
	/* No EAL, no clock: how long it has been connected cannot be told. */
	assert_int_equal(vhostx_priv_dump(&rte_eth_devices[0], file), 0);
	fclose(file);
}

static void
assert_dump(const char *part)
{
	dump();
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in\n%s", part, text);
}

/* --- states of a ring ------------------------------------------------------------------------- */

static void
test_telemetry_ring_without_front_end(void **state)
{
	(void)state;
	assert_dump("connected: 0\n");
	assert_dump("1 rx_q0: 0/0 offered, 0 packets, 0 lost, no front-end\n");
	assert_dump("format: unknown\n");
}

static void
test_telemetry_ring_tells_what_it_waits_for(void **state)
{
	(void)state;
	port.since = 1;
	assert_dump("1 rx_q0: 0/0 offered, 0 packets, 0 lost, waiting for features\n");
	port.be.has_features = true;
	assert_dump("lost, waiting for memory\n");
	port.be.mem = mem;
	assert_dump("1 rx_q0: 0/0 offered, 0 packets, 0 lost, waiting for a size\n");
	vring[1].num = SIZE;
	assert_dump("1 rx_q0: 0/16 offered, 0 packets, 0 lost, waiting for addresses\n");
	vring[1].has_addr = true;
	assert_dump("1 rx_q0: 0/16 offered, 0 packets, 0 lost, waiting for a start\n");
}

static void
test_telemetry_ring_runs(void **state)
{
	(void)state;
	run_ring();
	assert_dump("1 rx_q0: 0/16 offered, 0 packets, 0 lost, running\n");
	assert_dump("format: split\n");
}

static void
test_telemetry_ring_disabled_or_not_polled(void **state)
{
	(void)state;
	run_ring();
	queue.snap = NULL;
	assert_dump("lost, not polled\n");
	ring[1].snap.enabled = false;
	assert_dump("lost, disabled\n");
}

static void
test_telemetry_ring_refused_with_reason(void **state)
{
	(void)state;
	run_ring();
	ring[1].built = false;
	ring[1].why = "it is crooked";
	assert_dump("1 rx_q0: 0/16 offered, 0 packets, 0 lost, refused: it is crooked\n");
}

static void
test_telemetry_ring_broken_with_reason(void **state)
{
	(void)state;
	run_ring();
	ring[1].ring.fault = VHOSTX_BAD_INDEX;
	assert_dump("lost, broken\n");
	ring[1].built = false;
	ring[1].why = "too far ahead";
	vring[1].started = false;
	assert_dump("lost, broken: too far ahead\n");
}

/* --- numbers ---------------------------------------------------------------------------------- */

static void
test_telemetry_ring_fill_split(void **state)
{
	(void)state;
	run_ring();
	ring[1].ring.last_avail = 65530;
	avail[1] = 3;
	assert_dump("1 rx_q0: 9/16 offered");
	avail[1] = 1000;
	assert_dump("1 rx_q0: 16/16 offered");
}

static void
test_telemetry_ring_fill_packed(void **state)
{
	(void)state;
	run_ring();
	port.be.features = RTE_BIT64(34);
	ring[1].snap.format = VHOSTX_PACKED;
	ring[1].snap.packed.desc = desc;
	ring[1].ring.last_avail = SIZE - 2;
	ring[1].ring.avail_wrap = true;
	desc[SIZE - 2].flags = desc[SIZE - 1].flags = 1 << VRING_PACKED_DESC_F_AVAIL;
	desc[0].flags = 1 << VRING_PACKED_DESC_F_USED;
	assert_dump("1 rx_q0: 3/16 offered");
	assert_dump("format: packed\n");
}

static void
test_telemetry_ring_counters_since_reset(void **state)
{
	(void)state;
	run_ring();
	queue.count.packets = 7;
	queue.base.packets = 2;
	queue.count.drops[VHOSTX_BAD_CHAIN] = 4;
	assert_dump("1 rx_q0: 0/16 offered, 5 packets, 4 lost, running\n");
}

/* --- the port --------------------------------------------------------------------------------- */

static void
test_telemetry_port_features_by_name(void **state)
{
	(void)state;
	port.be.features = RTE_BIT64(15) | RTE_BIT64(63) | RTE_BIT64(49);
	port.be.protocol_features = RTE_BIT64(3) | RTE_BIT64(40);
	assert_dump("  features:\n    VIRTIO_NET_F_MRG_RXBUF\n    bit 49\n"
		"    VIRTIO_NET_F_SPEED_DUPLEX\n");
	assert_dump("  protocol_features:\n    REPLY_ACK\n    bit 40\n");
}

static void
test_telemetry_port_memory(void **state)
{
	(void)state;
	assert_dump("nr_regions: 0\n");
	port.be.mem = mem;
	assert_dump("nr_regions: 1\n  regions:\n    gpa 0x1000 size 0x2000\n");
}

static void
test_telemetry_feature_names_are_unique(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 64; i++) {
		const char *name = vhostx_feature_name(i);

		for (unsigned int j = 0; name != NULL && j < i; j++) {
			if (vhostx_feature_name(j) != NULL)
				assert_string_not_equal(name, vhostx_feature_name(j));
		}
	}
	assert_null(vhostx_feature_name(64));
	assert_null(vhostx_protocol_feature_name(64));
}

static void
test_telemetry_feature_names_in_a_sentence(void **state)
{
	char text[64];

	(void)state;
	assert_string_equal(vhostx_feature_names(0, text, sizeof(text)), "");
	assert_string_equal(vhostx_feature_names(1ull << 63 | 1ull << 25 | 1, text, sizeof(text)),
		"VIRTIO_NET_F_CSUM, 25, VIRTIO_NET_F_SPEED_DUPLEX");
	assert_int_equal(strlen(vhostx_feature_names(UINT64_MAX, text, sizeof(text))), sizeof(text) - 1);
}

#define TELEMETRY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TELEMETRY_TEST(test_telemetry_ring_without_front_end),
		TELEMETRY_TEST(test_telemetry_ring_tells_what_it_waits_for),
		TELEMETRY_TEST(test_telemetry_ring_runs),
		TELEMETRY_TEST(test_telemetry_ring_disabled_or_not_polled),
		TELEMETRY_TEST(test_telemetry_ring_refused_with_reason),
		TELEMETRY_TEST(test_telemetry_ring_broken_with_reason),
		TELEMETRY_TEST(test_telemetry_ring_fill_split),
		TELEMETRY_TEST(test_telemetry_ring_fill_packed),
		TELEMETRY_TEST(test_telemetry_ring_counters_since_reset),
		TELEMETRY_TEST(test_telemetry_port_features_by_name),
		TELEMETRY_TEST(test_telemetry_port_memory),
		TELEMETRY_TEST(test_telemetry_feature_names_are_unique),
		TELEMETRY_TEST(test_telemetry_feature_names_in_a_sentence),
	};

	return cmocka_run_group_tests_name("telemetry", tests, NULL, NULL);
}
