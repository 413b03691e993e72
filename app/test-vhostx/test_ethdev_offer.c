/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What a port keeps of a guest that runs. It meets one that offers less: what it has is offered again.
 */
#include <sys/stat.h>

#include "test_ethdev_front.h"

#define HOST_TSO 0x7800u /* VIRTIO_NET_F_HOST_TSO4, _TSO6, _ECN, _UFO */
#define IN_ORDER RTE_BIT64(VIRTIO_F_IN_ORDER)

static char offer_dir[32];

/* A port whose state outlives it. */
static uint16_t
open_port(const char *devargs)
{
	char args[128];

	snprintf(args, sizeof(args), ",state-dir=%s%s", offer_dir, devargs);
	return vhost_open(0, &(struct port_conf){ .devargs = args });
}

/* The port closes and is opened with other arguments; its guest runs on. Returns the new port. */
static uint16_t
offer_restart(uint16_t port, struct front *f, const char *devargs)
{
	port_close(port);
	port = open_port(devargs);
	front_disconnect(f);
	front_connect(f, 0);
	return port;
}

static int
offer_setup(void **state)
{
	snprintf(offer_dir, sizeof(offer_dir), "/dev/shm/test-offer-XXXXXX");
	return mkdtemp(offer_dir) == NULL ? -1 : rig_setup(state);
}

/* The last port has closed without a guest: no file may be left. */
static int
offer_teardown(void **state)
{
	const int left = rig_teardown(state);

	return rmdir(offer_dir) != 0 || left != 0;
}

static void
test_ethdev_offer_again_after_restart(void **state)
{
	uint16_t port = open_port(",tso=1");
	struct front *f = front_open(0, &(struct front_conf){ .more = HOST_TSO });

	(void)state;
	port = offer_restart(port, f, "");
	assert_int_equal(front_offered(f) & HOST_TSO, HOST_TSO);
	/* A driver that starts anew may take less: then that is what it has. */
	f->conf.more = 0;
	front_do_u64(f, VHOSTX_SET_FEATURES, front_features(&f->conf), -1);
	port = offer_restart(port, f, "");
	assert_int_equal(front_offered(f) & HOST_TSO, 0);
	front_free(f);
}

/* A part of them, and not more: the port itself would offer none. */
static void
test_ethdev_offer_again_what_it_has(void **state)
{
	uint16_t port = open_port(",tso=1");
	struct front *f = front_open(0, &(struct front_conf){ .more = 1 << VIRTIO_NET_F_HOST_TSO6 });

	(void)state;
	port = offer_restart(port, f, "");
	assert_int_equal(front_offered(f) & HOST_TSO, 1 << VIRTIO_NET_F_HOST_TSO6);
	front_free(f);
}

/* Without a file too, as long as the process lives. */
static void
test_ethdev_offer_again_after_reconnect(void **state)
{
	const uint16_t port = vhost_open(0, &(struct port_conf){ .rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_LRO });
	struct front *f = front_open(0, &(struct front_conf){ .more = HOST_TSO });

	(void)state;
	assert_int_equal(rte_eth_dev_stop(port), 0);
	port_configure(port, &(struct port_conf){ 0 });
	assert_int_equal(rte_eth_dev_start(port), 0);
	front_disconnect(f);
	front_connect(f, 0);
	assert_int_equal(front_offered(f) & HOST_TSO, HOST_TSO);
	front_free(f);
}

/* It gets its buffers back in order, so they are not lent. */
static void
test_ethdev_offer_order_on_a_zero_copy_port(void **state)
{
	struct rte_mbuf *m[2] = { NULL };
	uint16_t port = open_port("");
	struct front *f = front_open(0, &(struct front_conf){ .more = IN_ORDER });

	(void)state;
	port = offer_restart(port, f, ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=0");
	assert_true((front_offered(f) & IN_ORDER) != 0);
	for (uint32_t i = 0; i < 2; i++) {
		front_send(f, 0, 1500, i);
		m[i] = port_receive(port, 0);
	}
	assert_int_equal(front_reap(f, 0), 2);
	for (uint32_t i = 0; i < 2; i++)
		packet_check(m[i], 1500, i);
	front_free(f);
}

/* Whose positions nobody wants any more, even if the control thread has not come to see that the guest is gone. */
static void
test_ethdev_rings_go_with_the_guest(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		const uint16_t port = open_port("");
		struct front *f = front_open(0, &(struct front_conf){ .format = GUEST_PACKED });

		assert_int_not_equal(rmdir(offer_dir), 0); /* the file is there */
		front_free(f);
		port_close(port);
		assert_int_equal(rmdir(offer_dir), 0);
		assert_int_equal(mkdir(offer_dir, 0700), 0);
	}
}

#define OFFER_CASE(f) cmocka_unit_test_setup_teardown(f, offer_setup, offer_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		OFFER_CASE(test_ethdev_offer_again_after_restart),
		OFFER_CASE(test_ethdev_offer_again_what_it_has),
		OFFER_CASE(test_ethdev_offer_again_after_reconnect),
		OFFER_CASE(test_ethdev_offer_order_on_a_zero_copy_port),
		OFFER_CASE(test_ethdev_rings_go_with_the_guest),
	};

	return rig_main(tests);
}
