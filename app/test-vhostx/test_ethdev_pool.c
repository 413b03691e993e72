/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Pools for received packets: which of them a port takes.
 */
#include <rte_malloc.h>

#include "test_ethdev_front.h"
#include "ring/burst.h"
#include "ring/zerocopy.h"

#define LONG 1500u

/* May a port with these arguments have this pool? */
static bool
is_taken(const char *devargs, struct rte_mempool *mbufs)
{
	const struct port_conf conf = { .devargs = devargs };
	const struct rte_eth_conf dev = { 0 };
	const uint16_t port = vhost_probe(0, &conf);
	int ret;

	assert_int_equal(rte_eth_dev_configure(port, 1, 0, &dev), 0);
	ret = rte_eth_rx_queue_setup(port, 0, RIG_RING, SOCKET_ID_ANY, NULL, mbufs);
	port_close(port);
	return ret == 0;
}

static struct rte_mempool *
pool_of(uint16_t room)
{
	struct rte_mempool *mbufs = rte_pktmbuf_pool_create("room", 255, 0, 0, RTE_PKTMBUF_HEADROOM + room, 0);

	assert_non_null(mbufs);
	return mbufs;
}

static bool
has_room(const char *devargs, uint16_t room)
{
	struct rte_mempool *mbufs = pool_of(room);
	const bool taken = is_taken(devargs, mbufs);

	rte_mempool_free(mbufs);
	return taken;
}

static void
test_ethdev_pool_needs_room(void **state)
{
	(void)state;
	assert_false(has_room("", 0));
	assert_false(has_room("", VHOSTX_ROOM_MIN - 1));
	assert_true(has_room("", VHOSTX_ROOM_MIN));
}

/* What is copied of a lent packet goes into one mbuf; a packet that is lent as a whole needs no more than others. */
static void
test_ethdev_pool_regress_no_room_for_copied_header(void **state)
{
	(void)state;
	assert_false(has_room(",dequeue-zero-copy=1", VHOSTX_ZC_HEADER - 1));
	assert_true(has_room(",dequeue-zero-copy=1", VHOSTX_ZC_HEADER));
	assert_true(has_room(",dequeue-zero-copy=1,linear-buffer=1", VHOSTX_ROOM_MIN));
}

/* The smallest mbufs that are taken: nothing is written behind them. */
static void
test_ethdev_pool_smallest_room_that_lends(void **state)
{
	struct rte_mempool *mbufs = pool_of(VHOSTX_ZC_HEADER);
	const struct port_conf conf = { .pool = mbufs, .devargs = ",dequeue-zero-copy=1,zc-dma=0,zc-threshold=512" };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ .format = GUEST_SPLIT });
	struct rte_mbuf *m = NULL;

	(void)state;
	front_send(f, 0, LONG, 1);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
	assert_int_equal(m->nb_segs, 2);
	assert_int_equal(m->pkt_len, LONG);
	rte_pktmbuf_free(m);
	rte_mempool_audit(mbufs);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 0 && front_reap(f, 0) == 1);
	front_free(f);
	port_close(port);
	assert_int_equal(rte_mempool_avail_count(mbufs), 255);
	rte_mempool_free(mbufs);
}

/* From rooms of a few bytes a bound wrapped round: packets were written behind the mbufs of a pool that was taken. */
static void
test_ethdev_pool_regress_smallest_room_that_copies(void **state)
{
	struct rte_mempool *mbufs = pool_of(VHOSTX_ROOM_MIN);
	const struct port_conf conf = { .pool = mbufs };
	const uint16_t port = vhost_open(0, &conf);
	struct front *f = front_open(0, &(struct front_conf){ .format = GUEST_SPLIT });
	struct rte_mbuf *m = NULL;

	(void)state;
	front_send(f, 0, 60, 1);
	wait_until(rte_eth_rx_burst(port, 0, &m, 1) == 1);
	assert_int_equal(m->pkt_len, 60);
	for (const struct rte_mbuf *seg = m; seg != NULL; seg = seg->next)
		assert_true(seg->data_off + seg->data_len <= seg->buf_len);
	rte_pktmbuf_free(m);
	front_free(f);
	port_close(port);
	rte_mempool_free(mbufs);
}

/* Such mbufs keep the buffer that they have: another one, of a guest, would never come back. */
static void
test_ethdev_pool_regress_pinned_buffers(void **state)
{
	const size_t len = 256 * (RTE_PKTMBUF_HEADROOM + RIG_ROOM);
	struct rte_pktmbuf_extmem ext = { .buf_len = len, .elt_size = RTE_PKTMBUF_HEADROOM + RIG_ROOM };
	struct rte_mempool *mbufs;

	(void)state;
	ext.buf_ptr = rte_malloc(NULL, len, RTE_CACHE_LINE_SIZE);
	ext.buf_iova = rte_malloc_virt2iova(ext.buf_ptr);
	mbufs = rte_pktmbuf_pool_create_extbuf("pinned", 255, 0, 0, RTE_PKTMBUF_HEADROOM + RIG_ROOM, SOCKET_ID_ANY,
		&ext, 1);
	assert_non_null(mbufs);
	assert_false(is_taken(",dequeue-zero-copy=1", mbufs));
	assert_false(is_taken(",ext-buffer=1", mbufs));
	assert_false(is_taken("", mbufs));
	rte_mempool_free(mbufs);
	rte_free(ext.buf_ptr);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_pool_needs_room),
		rig_case(test_ethdev_pool_regress_no_room_for_copied_header),
		rig_case(test_ethdev_pool_smallest_room_that_lends),
		rig_case(test_ethdev_pool_regress_smallest_room_that_copies),
		rig_case(test_ethdev_pool_regress_pinned_buffers),
	};

	return rig_main(tests);
}
