/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the ring tests share: a guest with one virtqueue, and the driver's queue on its other end, joined
 * by a snapshot and a table of regions that point straight at the guarded memory.
 */
#ifndef TEST_RING_RIG_H
#define TEST_RING_RIG_H

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_mbuf.h>

#include "guest/guest_net.h"
#include "ring/burst.h"
#include "ring/queue.h"
#include "ring/snapshot.h"
#include "ring/vq.h"

#define RIG_NR(array) (sizeof(array) / sizeof((array)[0]))

#define RIG_SLOTS 512      /* buffers that a rig hands out at most */
#define RIG_SLOT_LEN 2048u /* bytes of each */
#define RIG_ROOM 2048u     /* bytes that a mbuf holds */
#define RIG_MBUFS 4095u    /* in the pool */
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

#define RIG_BURST 300 /* packets of the longest burst */
#define RIG_ENTRIES 200u /* of the IOTLB: fewer than the guest has pages, more than one chain has */

/* Frame lengths around the sizes where copying changes its ways; the longest fills a mbuf. */
static const uint32_t rig_lengths[] = { 1, 2, 14, 35, 36, 37, 60, 63, 64, 65, 127, 128, 129, 255, 256,
	257, 1000, 1500, 1514, 1518, 2035, 2036 };

static const uint32_t rig_bursts[] = { 1, 2, 3, 4, 7, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256,
	257, RIG_BURST };

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

/* One pool for all cases; each case gives back what it took. */
static struct rte_mempool *rig_pool;

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
rig_eal(void)
{
	char arg[][24] = { "test", "--no-huge", "--no-shconf", "--no-pci", "-m", "128", "-l", "0",
		"--log-level=error", "--no-telemetry" };
	char *argv[RIG_NR(arg)];
	cpu_set_t cpus;

	for (size_t i = 0; i < RIG_NR(arg); i++)
		argv[i] = arg[i];
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0 || rte_eal_init(RIG_NR(arg), argv) < 0)
		exit(1);
	/* The EAL binds its lcore to a CPU; several tests run at a time. */
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		exit(1);
	rig_pool = rte_pktmbuf_pool_create("rig", RIG_MBUFS, 64, 0,
		RIG_ROOM + RTE_PKTMBUF_HEADROOM, 0);
	if (rig_pool == NULL)
		exit(1);
}

/* Chains that fit the ring at once, as far as there are slots. */
static inline uint32_t
rig_capacity(const struct rig *rig)
{
	const uint32_t n = rig->v.layout == RIG_CHAINED ? rig->v.size / 3u : rig->v.size;

	return RTE_MIN(n, (uint32_t)RIG_SLOTS);
}

/* Ring entries that a chain of rig_add() takes. */
static inline uint32_t
rig_ndesc(const struct rig *rig)
{
	return rig->v.layout == RIG_CHAINED ? 3 : 1;
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

/* Buffer number i: RIG_SLOT_LEN bytes between canaries; the same again after RIG_SLOTS. */
static inline uint64_t
rig_slot(struct rig *rig, uint32_t i)
{
	uint64_t *slot = &rig->slot[i % RIG_SLOTS];

	if (*slot == 0)
		*slot = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, RIG_SLOT_LEN);
	assert_true(*slot != UINT64_MAX);
	return *slot;
}

/* Describe len bytes at gpa as the variant has it. Returns pieces. */
static inline uint32_t
rig_cut(const struct rig *rig, struct guest_seg *seg, uint64_t gpa, uint32_t len, bool writable)
{
	static const uint32_t whole[] = { UINT32_MAX, 0 };
	static const uint32_t three[] = { 7, 40, UINT32_MAX, 0 };

	return guest_net_cut(seg, 3, gpa, len, rig->v.layout == RIG_DIRECT ? whole : three, 0,
		writable);
}

/* Add pieces, through a table of slot i if the variant says so. Returns the id. */
static inline int
rig_add_segs(struct rig *rig, uint32_t i, const struct guest_seg *seg, uint32_t nseg)
{
	int id;

	if (rig->v.layout == RIG_INDIRECT)
		id = guest_ring_add_indirect(&rig->ring, seg, nseg,
			RIG_TABLES + (i % RIG_SLOTS) * RIG_TABLE_LEN);
	else
		id = guest_ring_add(&rig->ring, seg, nseg);
	assert_true(id >= 0);
	return id;
}

/* Guest: transmit a frame of len bytes of seed i from gpa. */
static inline int
rig_send_from(struct rig *rig, uint32_t i, uint64_t gpa, uint32_t len)
{
	struct guest_seg seg[3];
	const uint32_t n = rig_cut(rig, seg, gpa, rig->v.hdr_len + len, false);

	assert_int_equal(guest_net_fill(&rig->mem, seg, n, NULL, rig->v.hdr_len, len, i), 0);
	return rig_add_segs(rig, i, seg, n);
}

static inline int
rig_send(struct rig *rig, uint32_t i, uint32_t len)
{
	return rig_send_from(rig, i, rig_slot(rig, i), len);
}

/* Guest: supply a receive buffer of len bytes at gpa, poisoned. */
static inline int
rig_post_at(struct rig *rig, uint32_t i, uint64_t gpa, uint32_t len)
{
	struct guest_seg seg[3];
	const uint32_t n = rig_cut(rig, seg, gpa, len, true);

	assert_int_equal(guest_mem_set(&rig->mem, gpa, 0xee, len), 0);
	return rig_add_segs(rig, i, seg, n);
}

static inline int
rig_post(struct rig *rig, uint32_t i, uint32_t len)
{
	return rig_post_at(rig, i, rig_slot(rig, i), len);
}

/* Guest: the next used buffer is this one, and nothing was written. */
static inline void
rig_assert_returned(struct rig *rig, int id)
{
	uint16_t got = 0;
	uint32_t len = 0;

	assert_int_equal(guest_ring_get_used(&rig->ring, &got, &len), 1);
	assert_int_equal(got, id);
	assert_int_equal(len, 0);
}

static inline void
rig_assert_nothing_used(struct rig *rig)
{
	uint16_t id;
	uint32_t len;

	assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 0);
}

/* Host: the mbuf is a frame of len bytes of the seed; it is freed. */
static inline void
rig_assert_mbuf(struct rte_mbuf *m, uint32_t len, uint32_t seed)
{
	uint32_t off = 0, segs = 0;
	const char *why = "";

	assert_int_equal(rte_mbuf_check(m, 1, &why), 0);
	assert_int_equal(m->pkt_len, len);
	assert_int_equal(m->port, RIG_PORT);
	assert_int_equal(rte_pktmbuf_headroom(m), RTE_PKTMBUF_HEADROOM);
	assert_true((m->ol_flags & ~RTE_MBUF_F_EXTERNAL) == 0);
	for (const struct rte_mbuf *s = m; s != NULL; s = s->next, segs++) {
		assert_true(guest_net_matches(rte_pktmbuf_mtod(s, const uint8_t *), s->data_len,
			seed, off));
		off += s->data_len;
	}
	assert_int_equal(off, len);
	assert_int_equal(segs, m->nb_segs);
	rte_pktmbuf_free(m);
}

/* Host: len bytes in an mbuf, in segments of the sizes in cut (0-terminated). */
static inline struct rte_mbuf *
rig_mbuf_of(const uint8_t *buf, uint32_t len, const uint32_t *cut)
{
	struct rte_mbuf *first = NULL, **link = &first;
	uint32_t off = 0;

	do {
		struct rte_mbuf *m = rte_pktmbuf_alloc(rig_pool);

		assert_non_null(m);
		m->data_len = RTE_MIN(*cut, len - off);
		memcpy(rte_pktmbuf_mtod(m, uint8_t *), buf + off, m->data_len);
		off += m->data_len;
		*link = m;
		link = &m->next;
		if (m != first)
			first->nb_segs++;
		if (cut[1] != 0)
			cut++;
	} while (off < len);
	first->pkt_len = len;
	return first;
}

/* Host: a frame of len bytes of the seed. */
static inline struct rte_mbuf *
rig_mbuf_cut(uint32_t len, uint32_t seed, const uint32_t *cut)
{
	static uint8_t buf[300 * 1024];

	guest_net_pattern(buf, len, seed, 0);
	return rig_mbuf_of(buf, len, cut);
}

static inline struct rte_mbuf *
rig_mbuf(uint32_t len, uint32_t seed)
{
	static const uint32_t room[] = { RIG_ROOM, 0 };

	return rig_mbuf_cut(len, seed, room);
}

/* Host: transmit one frame. Returns whether it was taken; if not it is freed here. */
static inline bool
rig_tx_one(struct rig *rig, struct rte_mbuf *m)
{
	if (rig_tx(&rig->queue, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

/* Guest: the next frame is of len bytes of the seed, in nr buffers. */
static inline void
rig_assert_frame(struct rig *rig, uint32_t len, uint32_t seed, uint32_t nr)
{
	static uint8_t buf[300 * 1024];
	struct guest_net_frame f;

	assert_int_equal(guest_net_receive(&rig->ring, rig->v.hdr_len, rig->v.mergeable, buf,
		sizeof(buf), &f), 1);
	assert_int_equal(f.len, len);
	assert_int_equal(f.nr, nr);
	assert_true(guest_net_matches(buf, len, seed, 0));
	/* No offload was asked for (virtio 1.3, 5.1.6.4.1). */
	assert_int_equal(f.hdr.flags, 0);
	assert_int_equal(f.hdr.gso_type, 0);
}

/* Signals of an eventfd since last asked. */
static inline uint64_t
rig_signals(int fd)
{
	uint64_t n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* One case and the variants it makes sense on. */
struct rig_case {
	const char *name;
	CMUnitTestFunction run;
	bool (*applies)(const struct rig_variant *v); /* NULL: all */
};

#define RIG_CASE(function, applies) { #function, function, applies }

/* Filters for struct rig_case. */
static inline bool
rig_is_mergeable(const struct rig_variant *v)
{
	return v->mergeable;
}

static inline bool
rig_is_plain(const struct rig_variant *v)
{
	return !v->mergeable;
}

static inline bool
rig_is_indirect(const struct rig_variant *v)
{
	return v->layout == RIG_INDIRECT;
}

static inline bool
rig_is_event(const struct rig_variant *v)
{
	return v->event_idx;
}

static inline bool
rig_is_no_event(const struct rig_variant *v)
{
	return !v->event_idx;
}

/* Those that count what one burst did. */
static inline bool
rig_is_flat(const struct rig_variant *v)
{
	return !v->iommu;
}

static inline bool
rig_is_in_order(const struct rig_variant *v)
{
	return v->in_order;
}

static inline bool
rig_is_split(const struct rig_variant *v)
{
	return v->format == GUEST_SPLIT;
}

static inline bool
rig_is_packed(const struct rig_variant *v)
{
	return v->format == GUEST_PACKED;
}

static inline void
rig_name(char *name, size_t len, const char *test, const struct rig_variant *v)
{
	static const char *const layout[] = { "direct", "chained", "indirect" };

	snprintf(name, len, "%s[%s %u %s%s%s%s hdr %u %s from %x]", test,
		v->format == GUEST_SPLIT ? "split" : "packed", v->size,
		v->mergeable ? "mergeable" : "plain", v->event_idx ? " event" : "",
		v->in_order ? " in-order" : "", v->iommu ? " iommu" : "", v->hdr_len,
		layout[v->layout], v->base);
}

/* Run the tests with each variant of the bursts that the CPU can run. Returns groups that failed. */
static inline int
rig_run_bursts(const char *prog, const struct CMUnitTest *tests, size_t n)
{
	char group[64];
	int failed = 0;

	for (unsigned int i = 0; (rig_isa = vhostx_bursts_at(i)) != NULL; i++) {
		snprintf(group, sizeof(group), "%s %s", prog, rig_isa->isa);
		failed += _cmocka_run_group_tests(group, tests, n, NULL, NULL) != 0;
	}
	return failed;
}

/* Run each case on each variant that it applies to. Returns failures, for main(). */
static inline int
rig_run(const char *prog, const struct rig_case *cases, size_t nr_cases,
	const struct rig_variant *variants, size_t nr_variants)
{
	struct CMUnitTest *tests = calloc(nr_cases * nr_variants, sizeof(*tests));
	char (*names)[128] = calloc(nr_cases * nr_variants, sizeof(*names));
	size_t n = 0;
	int failed;

	if (tests == NULL || names == NULL)
		return 1;
	for (size_t v = 0; v < nr_variants; v++) {
		for (size_t c = 0; c < nr_cases; c++) {
			if (cases[c].applies != NULL && !cases[c].applies(&variants[v]))
				continue;
			rig_name(names[n], sizeof(names[n]), cases[c].name, &variants[v]);
			tests[n] = (struct CMUnitTest){ names[n], cases[c].run, rig_setup,
				rig_teardown, (void *)(uintptr_t)&variants[v] };
			n++;
		}
	}
	failed = rig_run_bursts(prog, tests, n);
	free(tests);
	free(names);
	return failed;
}

/*
 * Every ring that a driver can negotiate, of the given sizes: without MRG_RXBUF the header is 10 bytes
 * for legacy drivers and 12 with VERSION_1, which packed rings imply.
 */
static inline size_t
rig_variants(struct rig_variant *out, const uint16_t (*sizes)[2], size_t nr_sizes)
{
	size_t n = 0;

	/* Bits: format, then header and mergeable (3 choices), event_idx, layout (3). */
	for (size_t k = 0; k < nr_sizes * 2 * 3 * 2 * 3; k++) {
		const enum guest_format format = k % 2 == 0 ? GUEST_SPLIT : GUEST_PACKED;
		const size_t header = k / 2 % 3;

		if (format == GUEST_PACKED && header == 2)
			continue;
		out[n++] = (struct rig_variant){
			.format = format,
			.size = sizes[k / 36][format],
			.mergeable = header == 0,
			.hdr_len = header == 2 ? 10 : 12,
			.event_idx = k / 6 % 2,
			.layout = (enum rig_layout)(k / 12 % 3),
			.base = format == GUEST_SPLIT ? 0 : GUEST_PACKED_BASE,
		};
	}
	return n;
}

/* Run the cases on all kinds of good rings: of many sizes, in order, from a late position on, behind an IOMMU or not. */
static inline int
rig_main_on(const char *prog, const struct rig_case *cases, size_t nr_cases, bool behind_iommu)
{
	static const uint16_t sizes[][2] = { { 8, 7 }, { 256, 100 }, { 32768, 1024 } };
	static const uint16_t in_order[][2] = { { 16, 13 } };
	static const uint16_t iommu[][2] = { { 8, 7 }, { 256, 100 } };
	static const uint16_t late[][2] = { { 8, 7 }, { 64, 61 } };
	static struct rig_variant v[36 * 3];
	int failed;
	size_t n;

	rig_eal();
	n = rig_variants(v, sizes, RIG_NR(sizes));
	failed = rig_run(prog, cases, nr_cases, v, n);
	n = rig_variants(v, in_order, RIG_NR(in_order));
	for (size_t i = 0; i < n; i++)
		v[i].in_order = true;
	failed += rig_run(prog, cases, nr_cases, v, n);
	n = behind_iommu ? rig_variants(v, iommu, RIG_NR(iommu)) : 0;
	for (size_t i = 0; i < n; i++)
		v[i].iommu = true;
	failed += rig_run(prog, cases, nr_cases, v, n);
	n = rig_variants(v, late, RIG_NR(late));
	for (size_t i = 0; i < n; i++) {
		/* The last slot and the second wrap counter; an index that is about to wrap. */
		const uint32_t slot = v[i].size - 1u;

		v[i].base = v[i].format == GUEST_SPLIT ? 0xfffe : slot | slot << 16;
	}
	failed += rig_run(prog, cases, nr_cases, v, n);
	rte_eal_cleanup();
	return failed;
}

static inline int
rig_main(const char *prog, const struct rig_case *cases, size_t nr_cases)
{
	return rig_main_on(prog, cases, nr_cases, true);
}

#endif /* TEST_RING_RIG_H */
