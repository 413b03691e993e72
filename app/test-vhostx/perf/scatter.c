/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A guest with one virtqueue, whose buffers are scattered over regions of memory, and the driver's queue on
 * its other end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../guest/guest_net.h"
#include "clock.h"
#include "frames.h"
#include "ring/burst.h"
#include "ring/queue.h"
#include "ring/vq.h"
#include "scatter.h"

#define SLOT_LEN 2048u            /* bytes of a buffer */
#define HDR_LEN 12u               /* of a virtio-net header */
#define RING_GPA 0x1000000ull     /* of a region for the ring itself */
#define RING_LEN (2u << 20)
#define DATA_GPA 0x100000000ull   /* of the first region of buffers */
#define DATA_STRIDE (128ull << 20) /* from one to the next, as DIMMs are, of which the rest is not used */

struct perf_scatter {
	const struct vhostx_bursts *bursts;
	struct rte_mempool *host_pool;
	struct guest_mem mem;
	struct guest_ring ring;
	struct vhostx_mem *table;
	struct vhostx_ring cursors;
	struct vhostx_snapshot snap;
	struct vhostx_queue queue;
	uint32_t nr;              /* buffers */
	uint64_t *gpa;            /* [nr] of them, in random order */
	uint8_t **va;             /* [nr] their bytes as the guest sees them */
	uint8_t **host_va;        /* [nr] as the driver sees them */
	uint32_t at;              /* the next of them */
	uint16_t *slot;           /* [nr] by id of the ring: which buffer it has */
};

/* --- set up --------------------------------------------------------------------------------------- */

/* The table of regions as the driver would make it of the front-end's messages. */
static int
scatter_map(struct perf_scatter *s)
{
	struct vhostx_region_desc desc[GUEST_MEM_MAX];
	int fds[GUEST_MEM_MAX];
	const char *why = "";
	int ret;

	for (unsigned int i = 0; i < s->mem.nr; i++) {
		const struct guest_region *r = &s->mem.region[i];

		desc[i] = (struct vhostx_region_desc){
			.gpa = r->gpa, .size = r->size, .uva = r->gpa, .mmap_offset = r->mmap_offset,
		};
		fds[i] = r->fd;
	}
	ret = vhostx_mem_build(desc, fds, s->mem.nr, NULL, VHOSTX_MAP_ALL, &s->table, &why);
	if (ret != 0)
		printf("guest memory of %u regions: %s\n", s->mem.nr, why);
	return ret;
}

/* The buffers, as neighbours or in an order that nothing can guess. */
static int
scatter_buffers(struct perf_scatter *s, unsigned int regions, bool random)
{
	const uint32_t each = s->nr / regions;
	uint32_t seed = 1;

	for (uint32_t i = 0; i < s->nr; i++) {
		const unsigned int region = 1 + i / each;

		s->gpa[i] = s->mem.region[region].gpa + (uint64_t)(i % each) * SLOT_LEN;
	}
	for (uint32_t i = s->nr - 1; random && i > 0; i--) {
		const uint32_t k = (seed = seed * 1664525 + 1013904223) % (i + 1);
		const uint64_t gpa = s->gpa[i];

		s->gpa[i] = s->gpa[k];
		s->gpa[k] = gpa;
	}
	for (uint32_t i = 0; i < s->nr; i++) {
		uint32_t hint = 0;
		uint64_t run;

		s->va[i] = guest_mem_ptr(&s->mem, s->gpa[i], SLOT_LEN);
		s->host_va[i] = vhostx_mem_va(s->table, &hint, s->gpa[i], &run);
		if (s->va[i] == NULL || s->host_va[i] == NULL || run < SLOT_LEN)
			return -1;
		memset(s->va[i], 0, SLOT_LEN);
	}
	return 0;
}

/* Regions of equal size, and one for the ring. */
static int
scatter_memory(struct perf_scatter *s, unsigned int regions, bool random)
{
	const uint64_t size = (uint64_t)s->nr / regions * SLOT_LEN;
	int ret = guest_mem_add(&s->mem, RING_GPA, RING_LEN, RING_GPA, GUEST_PLACE_START);

	for (unsigned int i = 0; ret >= 0 && i < regions; i++) {
		const uint64_t gpa = DATA_GPA + i * DATA_STRIDE;

		ret = guest_mem_add(&s->mem, gpa, size, gpa, GUEST_PLACE_START);
	}
	if (ret < 0)
		return ret;
	ret = scatter_map(s);
	return ret == 0 ? scatter_buffers(s, regions, random) : ret;
}

static void
scatter_queue(struct perf_scatter *s)
{
	struct rte_mbuf fresh = { .data_off = RTE_PKTMBUF_HEADROOM, .nb_segs = 1 };
	struct vhostx_queue *q = &s->queue;

	rte_mbuf_refcnt_set(&fresh, 1);
	memcpy(&q->rearm, RTE_PTR_ADD(&fresh, offsetof(struct rte_mbuf, data_off)), sizeof(q->rearm));
	q->pool = s->host_pool;
	q->room = rte_pktmbuf_data_room_size(s->host_pool) - RTE_PKTMBUF_HEADROOM;
	q->wakefd = eventfd(0, EFD_NONBLOCK);
	q->fence = !vhostx_membarrier_register();
}

static int
scatter_ring(struct perf_scatter *s, const struct perf_case *c, uint16_t size)
{
	const struct guest_ring_conf conf = {
		.format = c->wiring.packed ? GUEST_PACKED : GUEST_SPLIT,
		.size = size,
		.in_order = c->wiring.in_order,
		.base = c->wiring.packed ? GUEST_PACKED_BASE : 0,
	};
	const char *why = "";
	uint32_t hint = 0;
	uint64_t run;
	int ret = guest_ring_init(&s->ring, &s->mem, &conf);

	if (ret != 0)
		return ret;
	s->snap = (struct vhostx_snapshot){
		.ring = &s->cursors,
		.mem = s->table,
		.size = size,
		.format = c->wiring.packed ? VHOSTX_PACKED : VHOSTX_SPLIT,
		.hdr_len = HDR_LEN,
		.mergeable = c->wiring.mergeable,
		.in_order = c->wiring.in_order,
		.enabled = true,
		.callfd = -1,
	};
	/* The first field of either format is the descriptors, then come the driver's and the device's area. */
	s->snap.split.desc = (void *)vhostx_mem_va(s->table, &hint, s->ring.conf.desc_gpa, &run);
	s->snap.split.avail = (void *)vhostx_mem_va(s->table, &hint, s->ring.conf.driver_gpa, &run);
	s->snap.split.used = (void *)vhostx_mem_va(s->table, &hint, s->ring.conf.device_gpa, &run);
	vhostx_ring_set_base(&s->cursors, conf.base);
	ret = vhostx_ring_prepare(&s->snap, &why);
	if (ret < 0)
		return ret;
	vhostx_queue_publish(&s->queue, &s->snap);
	return 0;
}

struct perf_scatter *
perf_scatter_create(const struct perf_bench *bench, const struct perf_case *c, unsigned int regions, bool random)
{
	const uint32_t nr = bench->opt->ring / regions * regions;
	struct perf_scatter *s = aligned_alloc(RTE_CACHE_LINE_SIZE,
		RTE_ALIGN_CEIL(sizeof(*s), RTE_CACHE_LINE_SIZE));

	if (s == NULL)
		return NULL;
	memset(s, 0, sizeof(*s));
	guest_mem_init(&s->mem);
	s->bursts = vhostx_bursts_best();
	s->host_pool = bench->host_pool;
	s->nr = nr;
	s->gpa = calloc(nr, sizeof(*s->gpa));
	s->va = calloc(nr, sizeof(*s->va));
	s->host_va = calloc(nr, sizeof(*s->host_va));
	s->slot = calloc(bench->opt->ring, sizeof(*s->slot));
	scatter_queue(s);
	if (s->gpa != NULL && s->va != NULL && s->host_va != NULL && s->slot != NULL && nr != 0 &&
			scatter_memory(s, regions, random) == 0 && scatter_ring(s, c, bench->opt->ring) == 0)
		return s;
	printf("a guest of %u regions and %u buffers cannot be made\n", regions, nr);
	perf_scatter_free(s);
	return NULL;
}

void
perf_scatter_free(struct perf_scatter *s)
{
	if (s == NULL)
		return;
	vhostx_queue_retire(&s->queue);
	guest_ring_fini(&s->ring);
	vhostx_mem_free(s->table);
	guest_mem_fini(&s->mem);
	close(s->queue.wakefd);
	free(s->slot);
	free(s->host_va);
	free(s->va);
	free(s->gpa);
	free(s);
}

/* --- bursts --------------------------------------------------------------------------------------- */

/* Guest: offer the next buffer. */
static void
scatter_post(struct perf_scatter *s, uint32_t len, bool writable)
{
	const uint32_t k = s->at++ % s->nr;
	const struct guest_seg seg = { .gpa = s->gpa[k], .len = len, .writable = writable };
	const int id = guest_ring_add(&s->ring, &seg, 1);

	if (id >= 0)
		s->slot[id] = k;
}

/* Guest: take @a n buffers back, with frames from number @a seq on if the host has written them. */
static void
scatter_reap(struct perf_lane *lane, const struct perf_case *c, uint16_t n, uint32_t seq, bool written)
{
	struct perf_scatter *s = lane->scatter;
	uint16_t id;
	uint32_t len;

	for (uint16_t i = 0; i < n; i++) {
		if (guest_ring_get_used(&s->ring, &id, &len) != 1) {
			lane->faults->lost++;
		} else if (written) {
			const uint8_t *frame = s->va[s->slot[id]] + HDR_LEN;

			if (len != HDR_LEN + c->size || frame[0] != 0 || frame[c->size - 1] != (uint8_t)(seq + i))
				lane->faults->wrong++;
		}
	}
}

static uint32_t
scatter_rx(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct perf_scatter *s = lane->scatter;
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	uint64_t begin, end;
	uint16_t n;

	for (uint16_t i = 0; i < c->burst; i++) {
		s->va[s->at % s->nr][HDR_LEN + c->size - 1] = (uint8_t)(lane->seq + i);
		scatter_post(s, HDR_LEN + c->size, false);
	}
	guest_ring_publish(&s->ring);
	begin = perf_clock_begin();
	n = s->bursts->rx(&s->queue, pkts, c->burst);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(pkts[i], const uint8_t *);

		if (pkts[i]->pkt_len != c->size || frame[c->size - 1] != (uint8_t)(lane->seq + i))
			lane->faults->wrong++;
	}
	rte_pktmbuf_free_bulk(pkts, n);
	lane->faults->lost += c->burst - n;
	scatter_reap(lane, c, n, lane->seq, false);
	lane->seq += c->burst;
	return n;
}

/* Mbufs with a frame in each. */
static bool
scatter_make(const struct perf_lane *lane, const struct perf_case *c, struct rte_mbuf **pkts)
{
	if (rte_pktmbuf_alloc_bulk(lane->scatter->host_pool, pkts, c->burst) != 0)
		return false;
	for (uint16_t i = 0; i < c->burst; i++) {
		uint8_t *frame = (uint8_t *)rte_pktmbuf_append(pkts[i], c->size);

		memset(frame, 0, c->size);
		frame[c->size - 1] = (uint8_t)(lane->seq + i);
	}
	return true;
}

static uint32_t
scatter_tx(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct perf_scatter *s = lane->scatter;
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	uint64_t begin, end;
	uint16_t n;

	if (!scatter_make(lane, c, pkts))
		return 0;
	for (uint16_t i = 0; i < c->burst; i++)
		scatter_post(s, SLOT_LEN, true);
	guest_ring_publish(&s->ring);
	begin = perf_clock_begin();
	n = s->bursts->tx(&s->queue, pkts, c->burst);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	rte_pktmbuf_free_bulk(&pkts[n], c->burst - n);
	lane->faults->lost += c->burst - n;
	scatter_reap(lane, c, n, lane->seq, true);
	lane->seq += c->burst;
	return n;
}

/* The guest's bytes are where they are for a driver: written, or read again, by the guest, through its own mapping. */
uint32_t
perf_scatter_floor(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct perf_scatter *s = lane->scatter;
	struct rte_mbuf *pkts[PERF_BURST_MAX];
	uint64_t begin, end;
	int ret;

	for (uint16_t i = 0; c->direction == PERF_RX && i < c->burst; i++)
		s->va[(s->at + i) % s->nr][HDR_LEN + c->size - 1] = i;
	begin = perf_clock_begin();
	ret = rte_mempool_get_bulk(s->host_pool, (void **)pkts, c->burst);
	for (uint16_t i = 0; ret == 0 && i < c->burst; i++) {
		uint8_t *guest = s->host_va[(s->at + i) % s->nr] + HDR_LEN;
		uint8_t *host = (uint8_t *)pkts[i]->buf_addr + RTE_PKTMBUF_HEADROOM;

		if (c->direction == PERF_RX)
			memcpy(host, guest, c->size);
		else
			memcpy(guest, host, c->size);
	}
	if (ret == 0)
		rte_mempool_put_bulk(s->host_pool, (void **)pkts, c->burst);
	end = perf_clock_end();
	for (uint16_t i = 0; c->direction == PERF_TX && i < c->burst; i++)
		(void)*(volatile uint8_t *)(s->va[(s->at + i) % s->nr] + HDR_LEN + c->size - 1);
	s->at += c->burst;
	*cycles = perf_lane_cycles(lane, begin, end);
	return ret == 0 ? c->burst : 0;
}

perf_burst_fn
perf_scatter_burst(enum perf_direction direction)
{
	return direction == PERF_RX ? scatter_rx : scatter_tx;
}
