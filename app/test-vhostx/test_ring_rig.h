/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the ring tests share: a guest with one virtqueue, and the driver's queue on its other end, joined
 * by a snapshot and a table of regions that point straight at the guarded memory.
 */
#ifndef TEST_RING_RIG_H
#define TEST_RING_RIG_H

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest/guest_ring.h"
#include "ring/burst.h"
#include "ring/queue.h"
#include "ring/snapshot.h"
#include "ring/vq.h"
#include "test_mbuf_rig.h"

#define RIG_SLOTS 512      /* buffers that a rig hands out at most */
#define RIG_SLOT_LEN 2048u /* bytes of each */
#define RIG_PORT 7         /* what mbufs carry as their port */

/* Guest-physical addresses; the regions behind them, in this order, are rig.mem.region[]. */
#define RIG_DESC 0x10000000ull
#define RIG_DRIVER 0x20000000ull
#define RIG_DEVICE 0x30000000ull
#define RIG_DATA 0x40000000ull
#define RIG_DATA_LEN (32u << 20)
#define RIG_TABLES 0x50000000ull
#define RIG_TABLE_LEN 256u
#define RIG_LOW 0x60000000ull /* two regions that touch in the guest only */
#define RIG_LOW_LEN 4099u
#define RIG_HIGH (RIG_LOW + RIG_LOW_LEN)
#define RIG_HIGH_LEN 8192u
#define RIG_NOWHERE 0x70000000ull /* no region */
#define RIG_SHIFT 0x80000000ull /* behind an IOMMU: what lies between the above and guest-physical addresses */
#define RIG_PAGE 4096ull

#define RIG_ENTRIES 200u /* of the IOTLB: fewer than the guest has pages, more than one chain has */

enum rig_region { RIG_R_DESC, RIG_R_DRIVER, RIG_R_DEVICE, RIG_R_DATA, RIG_R_TABLES };

/* How a buffer is described. */
enum rig_layout {
	RIG_DIRECT,   /* one descriptor */
	RIG_CHAINED,  /* three, of which two hold the header */
	RIG_INDIRECT, /* the same three in a table */
};

/* What a case runs on. */
struct rig_variant {
	enum guest_format format;
	uint16_t size;
	bool mergeable;
	uint8_t hdr_len;
	bool event_idx;
	bool in_order;
	enum rig_layout layout;
	uint32_t base; /* as guest_ring_conf.base */
	bool iommu;    /* addresses are translated by an IOTLB, which is empty at the start */
};

struct rig {
	struct rig_variant v;
	struct guest_mem mem;
	struct guest_ring ring;
	struct vhostx_mem *table;
	struct vhostx_iotlb *iotlb; /* NULL: no IOMMU */
	struct vhostx_ring cursors;
	struct vhostx_snapshot snap;
	struct vhostx_queue queue;
	uint64_t slot[RIG_SLOTS]; /* gpa, 0: not allocated yet */
	uint32_t avail_before;    /* mbufs in the pool at the start */
	int callfd, wakefd;
	uint32_t asks; /* times that the front-end was asked for pages */
	bool deaf;     /* it cannot be asked */
};

/* The variant of the bursts that is tested now. */
static const struct vhostx_bursts *rig_isa;

/*
 * Front-end: put what the page at @a iova has of a region into the IOTLB. Every second page allows more than was
 * asked for, so that no two become one entry. Returns whether there was anything.
 */
static inline bool
rig_map_page(struct rig *rig, uint64_t iova, uint8_t access)
{
	const uint8_t perm = iova / RIG_PAGE % 2 == 0 ? VHOSTX_ACCESS_RW : access;
	bool mapped = false;

	for (uint32_t i = 0; i < rig->mem.nr; i++) {
		const struct guest_region *r = &rig->mem.region[i];
		const uint64_t first = RTE_MAX(iova, r->gpa);
		const uint64_t end = RTE_MIN(iova + RIG_PAGE, r->gpa + r->size);

		if (first >= end)
			continue;
		vhostx_iotlb_add(rig->iotlb, first, end - first, r->va + (first - r->gpa), perm);
		mapped = true;
	}
	return mapped;
}

/* Front-end: it hears what is missing, which rig_answer() finds in the ring. */
static inline bool
rig_hear(void *arg, const uint64_t *miss, uint32_t n)
{
	struct rig *rig = arg;

	assert_true(n != 0 && n <= VHOSTX_AHEAD);
	for (uint32_t i = 0; i < n; i++)
		assert_true(vhostx_miss_access(miss[i]) != 0);
	rig->asks++;
	return !rig->deaf;
}

/* Front-end: answer what the ring misses, if anything, as the control thread would pass it on. */
static inline bool
rig_answer(struct rig *rig)
{
	uint64_t *miss = &rig->cursors.iommu.miss;
	const uint64_t word = *miss;

	if (word == 0 || (word & VHOSTX_MISS_DENIED) != 0)
		return false;
	for (uint32_t i = 0; i < VHOSTX_AHEAD; i++) {
		const uint64_t ahead = rig->cursors.iommu.ahead[i];

		if (ahead != 0)
			rig_map_page(rig, vhostx_miss_iova(ahead), vhostx_miss_access(ahead));
		rig->cursors.iommu.ahead[i] = 0;
	}
	*miss = rig_map_page(rig, vhostx_miss_iova(word), vhostx_miss_access(word)) ? 0 :
		word | VHOSTX_MISS_DENIED;
	return true;
}

/* A burst, and as many more as it takes to get by what it misses. */
static inline uint16_t
rig_burst(struct vhostx_queue *queue, struct rte_mbuf **pkts, uint16_t nb,
	uint16_t (*burst)(void *, struct rte_mbuf **, uint16_t))
{
	struct rig *rig = RTE_PTR_SUB(queue, offsetof(struct rig, queue));
	uint16_t done = burst(queue, pkts, nb);

	while (queue->snap != NULL && queue->snap->iotlb != NULL && done < nb && rig_answer(rig))
		done += burst(queue, &pkts[done], nb - done);
	return done;
}

static inline uint16_t
rig_rx(struct vhostx_queue *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	return rig_burst(queue, pkts, nb, rig_isa->rx);
}

static inline uint16_t
rig_tx(struct vhostx_queue *queue, struct rte_mbuf **pkts, uint16_t nb)
{
	return rig_burst(queue, pkts, nb, rig_isa->tx);
}

static inline void
rig_map(struct rig *rig)
{
	uint64_t desc, driver, device;
	struct vhostx_mem *t;

	guest_ring_areas(rig->v.format, rig->v.size, &desc, &driver, &device);
	guest_mem_init(&rig->mem);
	guest_mem_add(&rig->mem, RIG_DESC, desc, 0, GUEST_PLACE_END);
	guest_mem_add(&rig->mem, RIG_DRIVER, RTE_ALIGN_CEIL(driver, 4), 0, GUEST_PLACE_END);
	guest_mem_add(&rig->mem, RIG_DEVICE, RTE_ALIGN_CEIL(device, 4), 0, GUEST_PLACE_END);
	guest_mem_add(&rig->mem, RIG_DATA, RIG_DATA_LEN, 0, GUEST_PLACE_END);
	guest_mem_add(&rig->mem, RIG_TABLES, RIG_SLOTS * RIG_TABLE_LEN, 0, GUEST_PLACE_END);
	guest_mem_add(&rig->mem, RIG_LOW, RIG_LOW_LEN, 0, GUEST_PLACE_END);
	guest_mem_add(&rig->mem, RIG_HIGH, RIG_HIGH_LEN, 0, GUEST_PLACE_START);
	t = vhostx_mem_alloc(rig->mem.nr);
	assert_non_null(t);
	for (t->nr = 0; t->nr < rig->mem.nr; t->nr++) {
		const struct guest_region *r = &rig->mem.region[t->nr];

		t->range[t->nr] = (struct vhostx_range){
			r->gpa + (rig->v.iommu ? RIG_SHIFT : 0), r->size, r->va,
		};
	}
	t->map = NULL; /* the ranges point at the guest's own mapping */
	vhostx_mem_index(t);
	rig->table = t;
	if (!rig->v.iommu)
		return;
	rig->iotlb = vhostx_iotlb_create(RIG_ENTRIES);
	assert_non_null(rig->iotlb);
}

/* Start the driver's side at a position, as SET_VRING_BASE would. */
static inline void
rig_start(struct rig *rig, uint32_t base)
{
	const char *why = "";

	vhostx_ring_set_base(&rig->cursors, base);
	assert_true(vhostx_ring_prepare(&rig->snap, &why) >= 0);
	vhostx_queue_publish(&rig->queue, &rig->snap);
}

/* Stop it and tell the position, as GET_VRING_BASE would. */
static inline uint32_t
rig_stop(struct rig *rig)
{
	vhostx_queue_retire(&rig->queue);
	return vhostx_ring_get_base(&rig->cursors, rig->snap.format);
}

static inline void
rig_init_queue(struct rig *rig)
{
	struct rte_mbuf mbuf = { .data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1, .port = RIG_PORT };
	struct vhostx_queue *q = &rig->queue;

	rte_mbuf_refcnt_set(&mbuf, 1);
	memcpy(&q->rearm, RTE_PTR_ADD(&mbuf, offsetof(struct rte_mbuf, data_off)), 8);
	rig->wakefd = eventfd(0, EFD_NONBLOCK);
	rig->callfd = eventfd(0, EFD_NONBLOCK);
	q->pool = rig_pool;
	q->room = RIG_ROOM;
	q->wakefd = rig->wakefd;
	q->port_id = RIG_PORT;
	q->fence = true;
}

static inline void
rig_init_snapshot(struct rig *rig)
{
	struct vhostx_snapshot *s = &rig->snap;

	*s = (struct vhostx_snapshot){
		.ring = &rig->cursors,
		.mem = rig->table,
		.size = rig->v.size,
		.format = rig->v.format == GUEST_SPLIT ? VHOSTX_SPLIT : VHOSTX_PACKED,
		.hdr_len = rig->v.hdr_len,
		.mergeable = rig->v.mergeable,
		.event_idx = rig->v.event_idx,
		.indirect = true,
		.in_order = rig->v.in_order,
		.enabled = true,
		.callfd = rig->callfd,
		.kickfd = -1,
		.wakefd = rig->wakefd,
		.ask = rig_hear,
		.ask_arg = rig,
		.iotlb = rig->iotlb,
	};
	if (rig->v.format == GUEST_SPLIT) {
		s->split.desc = rig->ring.desc;
		s->split.avail = rig->ring.driver;
		s->split.used = rig->ring.device;
	} else {
		s->packed.desc = rig->ring.desc;
		s->packed.driver = rig->ring.driver;
		s->packed.device = rig->ring.device;
	}
}

static inline struct rig *
rig_new(const struct rig_variant *v)
{
	const struct guest_ring_conf conf = {
		.format = v->format, .size = v->size, .event_idx = v->event_idx,
		.in_order = v->in_order, .base = v->base, .placed = true,
		.desc_gpa = RIG_DESC, .driver_gpa = RIG_DRIVER, .device_gpa = RIG_DEVICE,
	};
	struct rig *rig = aligned_alloc(RTE_CACHE_LINE_SIZE,
		RTE_ALIGN_CEIL(sizeof(*rig), RTE_CACHE_LINE_SIZE));

	assert_non_null(rig);
	memset(rig, 0, sizeof(*rig));
	rig->v = *v;
	rig_map(rig);
	assert_int_equal(guest_ring_init(&rig->ring, &rig->mem, &conf), 0);
	rig_init_queue(rig);
	rig_init_snapshot(rig);
	rig->avail_before = rte_mempool_avail_count(rig_pool);
	rig_start(rig, v->base);
	return rig;
}

/* cmocka set-up: *state is a struct rig_variant, and becomes a rig. */
static inline int
rig_setup(void **state)
{
	*state = rig_new(*state);
	return 0;
}

/* cmocka tear-down, with the checks that hold for every case: no stray byte, no mbuf lost. */
static inline int
rig_teardown(void **state)
{
	struct rig *rig = *state;
	const bool intact = guest_mem_intact(&rig->mem);
	const bool balanced = rte_mempool_avail_count(rig_pool) == rig->avail_before;

	guest_ring_fini(&rig->ring);
	guest_mem_fini(&rig->mem);
	vhostx_iotlb_free(rig->iotlb);
	free(rig->table);
	close(rig->callfd);
	close(rig->wakefd);
	free(rig);
	if (!intact)
		print_error("bytes outside of the guest's buffers changed\n");
	if (!balanced)
		print_error("mbufs were lost, or freed twice\n");
	return intact && balanced ? 0 : -1;
}

/* Signals of an eventfd since last asked. */
static inline uint64_t
rig_signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

#endif /* TEST_RING_RIG_H */
