/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Tables of slots: make, follow the guest's memory, free.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../mem/work.h"
#include "lend.h"

static_assert(sizeof(struct vhostx_zc_slot) == 32, "two slots a cache line");

/* How long a ring's start may take for it to begin with all memory registered. */
#define ZC_REGISTER_US 2000u

/* Aligned and zeroed. */
static void *
zc_alloc(size_t size)
{
	const size_t len = RTE_ALIGN_CEIL(RTE_MAX(size, (size_t)1), RTE_CACHE_LINE_SIZE);
	void *p = aligned_alloc(RTE_CACHE_LINE_SIZE, len);

	return p == NULL ? NULL : memset(p, 0, len);
}

struct vhostx_zc *
vhostx_zc_create(const struct vhostx_zc_conf *conf)
{
	const uint16_t groups = RTE_ALIGN_CEIL((uint32_t)conf->size, VHOSTX_ZC_GROUP) / VHOSTX_ZC_GROUP;
	struct vhostx_zc *zc = zc_alloc(sizeof(*zc));

	if (zc == NULL)
		return NULL;
	zc->size = conf->size;
	zc->nr_groups = groups;
	zc->linear = conf->linear;
	zc->dma = conf->dma;
	zc->no_dma = conf->no_dma;
	zc->limit = (uint32_t)conf->size * conf->inflight / 100;
	/* Nothing is left to attach of a packet that is all header. */
	zc->threshold = RTE_MAX(conf->threshold, conf->linear ? VHOSTX_ZC_SHORTEST : VHOSTX_ZC_HEADER + 1);
	zc->state = zc_alloc((size_t)groups * VHOSTX_ZC_GROUP);
	zc->out_in = zc_alloc(groups);
	zc->since = zc_alloc(conf->size * sizeof(zc->since[0]));
	zc->slot = zc_alloc(conf->size * sizeof(zc->slot[0]));
	if (zc->state == NULL || zc->out_in == NULL || zc->since == NULL || zc->slot == NULL) {
		vhostx_zc_free(zc);
		return NULL;
	}
	for (uint32_t i = 0; i < conf->size; i++) {
		zc->slot[i].shinfo.free_cb = vhostx_zc_done;
		zc->slot[i].shinfo.fcb_opaque = &zc->state[i];
	}
	return zc;
}

/* --- regions -------------------------------------------------------------------------------------- */

/* The entry of this mapping, or of a free place, or nr_regions. */
static uint32_t
zc_find_region(const struct vhostx_zc *zc, const struct vhostx_range *range)
{
	uint32_t unused = zc->nr_regions;

	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		if (zc->region[i].va == range->va && zc->region[i].size == range->size)
			return i;
		if (zc->region[i].va == NULL)
			unused = i;
	}
	return unused;
}

/* May it be lent from? If devices have to read it, it is to be registered. @return whether that was handed over. */
static bool
zc_register(const struct vhostx_zc *zc, struct vhostx_zc_region *r)
{
	r->pending = false;
	r->why = NULL;
	r->refusal = VHOSTX_ZC_LENT;
	if (!zc->dma || r->map == NULL)
		return false;
	r->refusal = VHOSTX_ZC_NO_DMA;
	r->why = zc->no_dma;
	if (zc->no_dma != NULL)
		return false;
	r->pending = true;
	return vhostx_map_register(r->map);
}

static bool
zc_take_region(struct vhostx_zc *zc, const struct vhostx_mem *mem, uint32_t i)
{
	const uint32_t at = zc_find_region(zc, &mem->range[i]);
	struct vhostx_zc_region *r = &zc->region[at];

	if (at == zc->nr_regions)
		zc->nr_regions++;
	if (r->va == NULL) {
		*r = (struct vhostx_zc_region){
			.va = mem->range[i].va,
			.size = mem->range[i].size,
			.map = mem->map == NULL ? NULL : vhostx_mem_hold(mem, mem->range[i].va),
		};
	}
	r->current = true;
	zc->region_of[i] = at;
	return zc_register(zc, r);
}

int
vhostx_zc_adopt(struct vhostx_zc *zc, const struct vhostx_mem *mem)
{
	struct vhostx_zc_region *region;
	uint16_t *region_of;
	bool given = false;

	region = realloc(zc->region, (zc->nr_regions + mem->nr + 1) * sizeof(*region));
	if (region == NULL)
		return -ENOMEM;
	/* What is past the entries is that of no region. */
	memset(&region[zc->nr_regions], 0, (mem->nr + 1) * sizeof(*region));
	zc->region = region;
	region_of = realloc(zc->region_of, (mem->nr + 1) * sizeof(*region_of));
	if (region_of == NULL)
		return -ENOMEM;
	zc->region_of = region_of;
	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		zc->region[i].current = false;
		zc->region[i].pending = false;
		zc->region[i].refusal = VHOSTX_ZC_LEAVING;
	}
	for (uint32_t i = 0; i < mem->nr; i++)
		given = zc_take_region(zc, mem, i) || given;
	vhostx_zc_trim(zc);
	if (given)
		vhostx_work_await(ZC_REGISTER_US);
	vhostx_zc_settle(zc);
	return 0;
}

bool
vhostx_zc_is_pending(const struct vhostx_zc *zc)
{
	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		if (zc->region[i].pending)
			return true;
	}
	return false;
}

bool
vhostx_zc_has_news(const struct vhostx_zc *zc)
{
	const struct vhostx_dma *dma;
	const char *why;

	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		if (zc->region[i].pending && vhostx_map_registered(zc->region[i].map, &dma, &why) != -EINPROGRESS)
			return true;
	}
	return false;
}

void
vhostx_zc_settle(struct vhostx_zc *zc)
{
	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		struct vhostx_zc_region *r = &zc->region[i];
		int ret;

		if (!r->pending)
			continue;
		ret = vhostx_map_registered(r->map, &r->dma, &r->why);
		if (ret == -EINPROGRESS)
			continue;
		r->pending = false;
		/* It may be about to go. */
		if (ret == 0 && r->refusal == VHOSTX_ZC_NO_DMA)
			r->refusal = VHOSTX_ZC_LENT;
	}
}

struct vhostx_zc_refused
vhostx_zc_refused(const struct vhostx_zc *zc)
{
	struct vhostx_zc_refused refused = { 0 };

	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		if (!zc->region[i].current || zc->region[i].pending || zc->region[i].why == NULL)
			continue;
		refused.nr++;
		refused.why = zc->region[i].why;
	}
	return refused;
}

void
vhostx_zc_leave(struct vhostx_zc *zc, const uint8_t *va)
{
	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		if (zc->region[i].va == va)
			__atomic_store_n(&zc->region[i].refusal, VHOSTX_ZC_LEAVING, __ATOMIC_RELAXED);
	}
}

uint32_t
vhostx_zc_longest(const struct vhostx_zc *zc)
{
	/* As vhostx_zc_reap() has it, which is to come for what is done. */
	uint32_t longest = __atomic_load_n(&zc->longest, __ATOMIC_RELAXED) + VHOSTX_ZC_AHEAD, since;

	for (uint32_t id = 0; id < zc->size; id++) {
		/* P: since is of this time out, or of a later one. */
		if (__atomic_load_n(&zc->state[id], __ATOMIC_ACQUIRE) == VHOSTX_ZC_IDLE)
			continue;
		since = __atomic_load_n(&zc->since[id], __ATOMIC_RELAXED);
		/* Now, not before the first: it may have gone out meanwhile. */
		longest = RTE_MAX(longest, vhostx_zc_now() + VHOSTX_ZC_AHEAD - since);
	}
	return longest - VHOSTX_ZC_AHEAD;
}

uint32_t
vhostx_zc_leaving(const struct vhostx_zc *zc)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		if (__atomic_load_n(&zc->region[i].refusal, __ATOMIC_RELAXED) == VHOSTX_ZC_LEAVING)
			out += __atomic_load_n(&zc->region[i].out, __ATOMIC_RELAXED);
	}
	return out;
}

void
vhostx_zc_trim(struct vhostx_zc *zc)
{
	for (uint32_t i = 0; i < zc->nr_regions; i++) {
		struct vhostx_zc_region *r = &zc->region[i];

		/* Nobody lends from it any more, so 0 is the last that will be seen. Pairs with vhostx_zc_count(). */
		if (r->current || r->va == NULL || __atomic_load_n(&r->out, __ATOMIC_ACQUIRE) != 0)
			continue;
		if (r->map != NULL)
			vhostx_map_put(r->map);
		*r = (struct vhostx_zc_region){ 0 };
	}
}

void
vhostx_zc_let_go(struct vhostx_zc *zc)
{
	for (uint32_t i = 0; i < zc->nr_regions; i++)
		zc->region[i].current = false;
	vhostx_zc_trim(zc);
}

/* --- the way back --------------------------------------------------------------------------------- */

void
vhostx_zc_done(void *addr __rte_unused, void *state)
{
	/* K: the last reader of the buffer before whoever gives it to the guest. */
	__atomic_store_n((uint8_t *)state, VHOSTX_ZC_DONE, __ATOMIC_RELEASE);
}

bool
vhostx_zc_has_done(const struct vhostx_zc *zc)
{
	for (uint32_t at = 0; at < zc->nr_groups * VHOSTX_ZC_GROUP; at += sizeof(uint64_t)) {
		if (__atomic_load_n((const uint64_t *)&zc->state[at], __ATOMIC_RELAXED) & VHOSTX_ZC_DONES)
			return true;
	}
	return false;
}

bool
vhostx_zc_is_back(struct vhostx_zc *zc)
{
	for (uint16_t g = 0; g < zc->nr_groups; g++) {
		if (zc->out_in[g] != 0)
			vhostx_zc_reap(zc, g, NULL, vhostx_zc_now(), NULL);
	}
	return zc->out == 0;
}

void
vhostx_zc_free(struct vhostx_zc *zc)
{
	if (zc == NULL)
		return;
	vhostx_zc_let_go(zc);
	free(zc->state);
	free(zc->out_in);
	free(zc->since);
	free(zc->slot);
	free(zc->region);
	free(zc->region_of);
	free(zc);
}
