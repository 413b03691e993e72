/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory for devices: registered with the EAL, mapped for DMA.
 */
#include <errno.h>
#include <stdlib.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_vfio.h>

#include "dma.h"

/* The IOVAs of the pages: where they are in physical memory. Each is read, so that it is there. */
static rte_iova_t *
dma_find_pages(const struct vhostx_dma_area *area)
{
	const size_t n = area->len / area->page;
	rte_iova_t *page = calloc(n, sizeof(*page));

	for (size_t i = 0; page != NULL && i < n; i++) {
		const volatile char *at = (const char *)area->addr + i * area->page;

		(void)*at;
		page[i] = rte_mem_virt2phy((const void *)(uintptr_t)at);
		if (page[i] == RTE_BAD_IOVA) {
			free(page);
			return NULL;
		}
	}
	return page;
}

/* --- the EAL's list of memory ---------------------------------------------------------------------- */

/*
 * The EAL keeps a record for each page. Where IOVAs are addresses it does not matter what a page is: the largest that
 * the area has borders for makes the fewest records.
 */
static size_t
dma_largest_page(const struct vhostx_dma_area *area)
{
	const uintptr_t borders = (uintptr_t)area->addr | area->len;

	return borders & -borders;
}

static int
dma_list(const struct vhostx_dma *dma)
{
	const struct vhostx_dma_area *area = &dma->area;
	const size_t page = dma->page == NULL ? dma_largest_page(area) : area->page;
	const size_t n = area->len / page;
	rte_iova_t *iova = dma->page;
	int ret;

	if (n > UINT32_MAX)
		return -ENOSPC;
	if (iova == NULL) {
		iova = calloc(n, sizeof(*iova));
		if (iova == NULL)
			return -ENOMEM;
		for (size_t i = 0; i < n; i++)
			iova[i] = (uintptr_t)area->addr + i * page;
	}
	ret = rte_extmem_register(area->addr, area->len, iova, n, page) == 0 ? 0 : -rte_errno;
	if (iova != dma->page)
		free(iova);
	return ret;
}

/* --- VFIO ------------------------------------------------------------------------------------------ */

/* The bytes from @a at on whose IOVAs follow each other. */
static size_t
dma_run(const struct vhostx_dma *dma, size_t at)
{
	size_t i = at / dma->area.page;

	if (dma->page == NULL)
		return dma->area.len;
	while ((i + 1) * dma->area.page < dma->area.len &&
			dma->page[i + 1] == dma->page[i] + dma->area.page)
		i++;
	return (i + 1) * dma->area.page - at;
}

static rte_iova_t
dma_at(const struct vhostx_dma *dma, size_t at)
{
	return dma->page == NULL ? (uintptr_t)dma->area.addr + at : dma->page[at / dma->area.page];
}

/* Undo the mappings of the first @a len bytes. */
static void
dma_unmap(const struct vhostx_dma *dma, size_t len)
{
	size_t run;

	for (size_t at = 0; at < len; at += run) {
		run = dma_run(dma, at);
		rte_vfio_container_dma_unmap(RTE_VFIO_DEFAULT_CONTAINER_FD, (uintptr_t)dma->area.addr + at,
			dma_at(dma, at), run);
	}
}

bool
vhostx_dma_is_whole(const struct vhostx_dma *dma)
{
	return dma->mapped || !rte_vfio_is_enabled("vfio");
}

int
vhostx_dma_map(struct vhostx_dma *dma, const char **why)
{
	size_t run;
	int ret;

	if (vhostx_dma_is_whole(dma))
		return 0;
	for (size_t at = 0; at < dma->area.len; at += run) {
		run = dma_run(dma, at);
		if (rte_vfio_container_dma_map(RTE_VFIO_DEFAULT_CONTAINER_FD, (uintptr_t)dma->area.addr + at,
				dma_at(dma, at), run) == 0)
			continue;
		ret = -rte_errno;
		dma_unmap(dma, at);
		/* No device is bound to VFIO: there is nobody to map it for. */
		if (ret == -ENODEV)
			return 0;
		*why = "it cannot be mapped for DMA: VFIO has no room for more regions, or may not lock as much memory; "
			"give the guest fewer and larger ones, raise ulimit -l";
		return ret == 0 ? -EIO : ret;
	}
	dma->mapped = true;
	return 0;
}

/* --- both ------------------------------------------------------------------------------------------ */

int
vhostx_dma_register(const struct vhostx_dma_area *area, struct vhostx_dma **out, const char **why)
{
	struct vhostx_dma *dma;
	int ret;

	*why = "its pages may move while a device reads them; run with --iova-mode=va, or put it on hugetlbfs";
	if (rte_eal_iova_mode() == RTE_IOVA_PA && !area->hugetlbfs)
		return -ENOTSUP;
	dma = calloc(1, sizeof(*dma));
	if (dma == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	dma->area = *area;
	if (rte_eal_iova_mode() == RTE_IOVA_PA) {
		dma->page = dma_find_pages(area);
		*why = "its physical addresses cannot be read; run as root, or with --iova-mode=va";
		ret = -EPERM;
		if (dma->page == NULL)
			goto free_dma;
	}
	*why = "the EAL has no room for more regions; give the guest fewer and larger ones";
	ret = dma_list(dma);
	if (ret != 0)
		goto free_dma;
	ret = vhostx_dma_map(dma, why);
	if (ret != 0) {
		rte_extmem_unregister(area->addr, area->len);
		goto free_dma;
	}
	*out = dma;
	return 0;

free_dma:
	free(dma->page);
	free(dma);
	return ret;
}

void
vhostx_dma_unregister(struct vhostx_dma *dma)
{
	if (dma == NULL)
		return;
	if (dma->mapped)
		dma_unmap(dma, dma->area.len);
	rte_extmem_unregister(dma->area.addr, dma->area.len);
	free(dma->page);
	free(dma);
}
