/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The floor: copy the same bytes from, or to, as many buffers as a ring has, with a mempool get and a
 * put. No driver that copies can be cheaper. The guest's buffers come from its pool and go back to it as
 * those of its driver do, so they lie as scattered.
 */
#include <stdlib.h>
#include <string.h>

#include <rte_cpuflags.h>
#include <rte_mbuf.h>
#include <rte_vect.h>

#include "clock.h"
#include "floor.h"
#include "frames.h"

/* Bytes of a frame in one buffer, and buffers that a burst takes at most. */
#define PIECE_LEN 2048u
#define PIECES_MAX (PERF_BURST_MAX * ((PERF_FRAME_MAX + PIECE_LEN - 1) / PIECE_LEN))

/* Bytes of the guest that one mbuf takes. */
struct floor_piece {
	struct rte_mbuf *guest; /* the buffer as the guest sees it */
	uint8_t *va;            /* its bytes as a vhost port would see them */
	uint32_t len;
};

typedef void (*floor_copy_fn)(struct rte_mbuf **pkts, const struct floor_piece *pieces, uint32_t n);

struct perf_floor {
	struct rte_mempool *host_pool;
	struct rte_mbuf **ring; /* [size] buffers of the guest */
	uint8_t **va;           /* [size] their bytes, as a vhost port would see them */
	uint32_t size;
	uint32_t at;            /* next of them */
	uint32_t held;          /* entries of host that are taken */
	uint32_t read;          /* what the guest has read, so that it is read */
	floor_copy_fn in;       /* guest to host */
	floor_copy_fn out;      /* host to guest */
	struct rte_mbuf *host[PIECES_MAX];
	struct floor_piece pieces[PIECES_MAX];
};

/* Copy in steps of a vector; the last one overlaps. The barrier keeps it from becoming a call of memcpy. */
#define DEFINE_COPY(isa, width, attribute) \
typedef uint8_t floor_##isa __attribute__((vector_size(width), aligned(1), may_alias)); \
attribute static inline void \
floor_copy_##isa(uint8_t *dst, const uint8_t *src, uint32_t len) \
{ \
	if (len < (width)) { \
		memcpy(dst, src, len); \
		return; \
	} \
	for (uint32_t at = 0; at + (width) <= len; at += (width)) { \
		*(floor_##isa *)(dst + at) = *(const floor_##isa *)(src + at); \
		__asm__ volatile ("" : : : "memory"); \
	} \
	*(floor_##isa *)(dst + len - (width)) = *(const floor_##isa *)(src + len - (width)); \
} \
attribute static void \
floor_in_##isa(struct rte_mbuf **pkts, const struct floor_piece *pieces, uint32_t n) \
{ \
	for (uint32_t i = 0; i < n; i++) \
		floor_copy_##isa(rte_pktmbuf_mtod(pkts[i], uint8_t *), pieces[i].va, pieces[i].len); \
} \
attribute static void \
floor_out_##isa(struct rte_mbuf **pkts, const struct floor_piece *pieces, uint32_t n) \
{ \
	for (uint32_t i = 0; i < n; i++) \
		floor_copy_##isa(pieces[i].va, rte_pktmbuf_mtod(pkts[i], uint8_t *), pieces[i].len); \
}

DEFINE_COPY(base, 16,)
#ifdef RTE_ARCH_X86
DEFINE_COPY(avx2, 32, __attribute__((target("avx2"))))
DEFINE_COPY(avx512, 64, __attribute__((target("avx512f"))))
#endif

static uint32_t
floor_width(void)
{
#ifdef RTE_ARCH_X86
	const uint16_t max = rte_vect_get_max_simd_bitwidth();

	if (max >= RTE_VECT_SIMD_512 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX512F) > 0)
		return 512;
	if (max >= RTE_VECT_SIMD_256 && rte_cpu_get_flag_enabled(RTE_CPUFLAG_AVX2) > 0)
		return 256;
#endif
	return 128;
}

const char *
perf_floor_isa(void)
{
	switch (floor_width()) {
	case 512:
		return "512 bits";
	case 256:
		return "256 bits";
	default:
		return "128 bits";
	}
}

static void
floor_choose(struct perf_floor *floor)
{
	floor->in = floor_in_base;
	floor->out = floor_out_base;
#ifdef RTE_ARCH_X86
	if (floor_width() == 512) {
		floor->in = floor_in_avx512;
		floor->out = floor_out_avx512;
	} else if (floor_width() == 256) {
		floor->in = floor_in_avx2;
		floor->out = floor_out_avx2;
	}
#endif
}

struct perf_floor *
perf_floor_create(const struct perf_bench *bench)
{
	struct perf_floor *floor = calloc(1, sizeof(*floor));

	if (floor == NULL)
		return NULL;
	floor->host_pool = bench->host_pool;
	floor->size = bench->opt->ring;
	floor->ring = calloc(floor->size, sizeof(*floor->ring));
	floor->va = calloc(floor->size, sizeof(*floor->va));
	if (floor->ring == NULL || floor->va == NULL ||
			rte_pktmbuf_alloc_bulk(bench->guest_pool, floor->ring, floor->size) != 0) {
		free(floor->va);
		free(floor->ring);
		free(floor);
		return NULL;
	}
	for (uint32_t i = 0; i < floor->size; i++)
		floor->va[i] = perf_alias_of(&bench->alias,
			rte_pktmbuf_mtod(floor->ring[i], uint8_t *));
	floor_choose(floor);
	return floor;
}

void
perf_floor_free(struct perf_floor *floor)
{
	if (floor == NULL)
		return;
	rte_pktmbuf_free_bulk(floor->host, floor->held);
	rte_pktmbuf_free_bulk(floor->ring, floor->size);
	free(floor->va);
	free(floor->ring);
	free(floor);
}

/* Lay a burst out in the next buffers of the guest; returns how many it takes. */
static uint32_t
floor_plan(struct perf_floor *floor, const struct perf_case *c, uint32_t seq)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < c->burst; i++) {
		uint32_t left = perf_frame_len(c->size, seq + i);

		while (left != 0) {
			const uint32_t part = RTE_MIN(left, PIECE_LEN);

			floor->pieces[n].guest = floor->ring[floor->at % floor->size];
			floor->pieces[n].va = floor->va[floor->at++ % floor->size];
			floor->pieces[n].len = part;
			left -= part;
			n++;
		}
	}
	return n;
}

/* Other buffers take the place of those since @a first: the guest's driver frees what the host is done with. */
static void
floor_recycle(struct perf_lane *lane, uint32_t first)
{
	struct perf_floor *floor = lane->floor;
	struct rte_mbuf *fresh[PIECES_MAX];
	const uint32_t n = RTE_MIN(floor->at - first, RTE_MIN(floor->size, PIECES_MAX));

	if (rte_pktmbuf_alloc_bulk(lane->bench->guest_pool, fresh, n) != 0)
		return;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t k = (first + i) % floor->size;
		struct rte_mbuf *old = floor->ring[k];

		floor->ring[k] = fresh[i];
		floor->va[k] = perf_alias_of(&lane->bench->alias, rte_pktmbuf_mtod(fresh[i], uint8_t *));
		fresh[i] = old;
	}
	rte_pktmbuf_free_bulk(fresh, n);
}

/* The guest makes its frames. */
static void
floor_guest_write(struct perf_floor *floor, uint32_t n, uint32_t seq)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct floor_piece *piece = &floor->pieces[i];

		memset(rte_pktmbuf_mtod(piece->guest, void *), seq + i, piece->len);
	}
}

/* The guest reads the frames that it got; returns something that depends on all. */
static uint32_t
floor_guest_read(const struct perf_floor *floor, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *data = rte_pktmbuf_mtod(floor->pieces[i].guest, const uint8_t *);

		for (uint32_t at = 0; at < floor->pieces[i].len; at += RTE_CACHE_LINE_SIZE)
			sum += data[at];
	}
	return sum;
}

/* Hold exactly @a n mbufs of the host. */
static bool
floor_hold(struct perf_floor *floor, uint32_t n)
{
	rte_pktmbuf_free_bulk(&floor->host[RTE_MIN(n, floor->held)],
		floor->held - RTE_MIN(n, floor->held));
	floor->held = RTE_MIN(n, floor->held);
	if (rte_pktmbuf_alloc_bulk(floor->host_pool, &floor->host[floor->held], n - floor->held) != 0)
		return false;
	floor->held = n;
	return true;
}

static uint32_t
floor_rx(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct perf_floor *floor = lane->floor;
	const uint32_t first = floor->at;
	const uint32_t n = floor_plan(floor, c, lane->seq);
	uint64_t begin, end;
	int ret;

	/* What was held for another direction: the array is used for what comes and goes here. */
	floor_hold(floor, 0);
	floor_guest_write(floor, n, lane->seq);
	begin = perf_clock_begin();
	ret = rte_mempool_get_bulk(floor->host_pool, (void **)floor->host, n);
	if (likely(ret == 0)) {
		floor->in(floor->host, floor->pieces, n);
		rte_mempool_put_bulk(floor->host_pool, (void **)floor->host, n);
	}
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	floor_recycle(lane, first);
	lane->seq += c->burst;
	return ret == 0 ? c->burst : 0;
}

static uint32_t
floor_tx(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct perf_floor *floor = lane->floor;
	const uint32_t first = floor->at;
	const uint32_t n = floor_plan(floor, c, lane->seq);
	uint64_t begin, end;
	int ret;

	if (!floor_hold(floor, n))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		memset(rte_pktmbuf_mtod(floor->host[i], void *), lane->seq + i, floor->pieces[i].len);
	begin = perf_clock_begin();
	floor->out(floor->host, floor->pieces, n);
	rte_mempool_put_bulk(floor->host_pool, (void **)floor->host, n);
	ret = rte_mempool_get_bulk(floor->host_pool, (void **)floor->host, n);
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	floor->held = ret == 0 ? n : 0;
	floor->read += floor_guest_read(floor, n);
	floor_recycle(lane, first);
	lane->seq += c->burst;
	return c->burst;
}

static uint32_t
floor_fwd(struct perf_lane *lane, const struct perf_case *c, uint64_t *cycles)
{
	struct perf_floor *floor = lane->floor;
	const uint32_t first = floor->at;
	const uint32_t n = floor_plan(floor, c, lane->seq);
	uint64_t begin, end;
	int ret;

	floor_hold(floor, 0);
	floor_guest_write(floor, n, lane->seq);
	begin = perf_clock_begin();
	ret = rte_mempool_get_bulk(floor->host_pool, (void **)floor->host, n);
	if (likely(ret == 0)) {
		floor->in(floor->host, floor->pieces, n);
		floor_plan(floor, c, lane->seq);
		floor->out(floor->host, floor->pieces, n);
		rte_mempool_put_bulk(floor->host_pool, (void **)floor->host, n);
	}
	end = perf_clock_end();
	*cycles = perf_lane_cycles(lane, begin, end);
	floor->read += floor_guest_read(floor, n);
	floor_recycle(lane, first);
	lane->seq += c->burst;
	return ret == 0 ? c->burst : 0;
}

perf_burst_fn
perf_floor_burst(enum perf_direction direction)
{
	static const perf_burst_fn bursts[] = {
		[PERF_RX] = floor_rx,
		[PERF_TX] = floor_tx,
		[PERF_FWD] = floor_fwd,
		[PERF_IDLE] = NULL,
	};

	return bursts[direction];
}
