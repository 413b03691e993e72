/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory for devices: registered with the EAL, mapped for DMA. The only caller of rte_extmem_* and
 * rte_vfio_*; knows neither files nor guests.
 */
#ifndef VHOSTX_MEM_DMA_H
#define VHOSTX_MEM_DMA_H

#include <stdbool.h>
#include <stddef.h>

#include <rte_common.h>

/** Memory in this process that is to be registered. */
struct vhostx_dma_area {
	void *addr;     /**< first byte, on a page's border */
	size_t len;     /**< bytes, whole pages */
	size_t page;    /**< bytes of a page of the file */
	bool hugetlbfs; /**< pages stay where they are in physical memory */
};

/**
 * What devices know of an area.
 *
 * | IOVAs are  | an area's                        | so                                                    |
 * |------------|----------------------------------|-------------------------------------------------------|
 * | addresses  | follow each other: page is NULL  | one mapping for DMA                                   |
 * | physical   | are those of its pages           | hugetlbfs alone: other pages move; a mapping a run    |
 */
struct vhostx_dma {
	struct vhostx_dma_area area;
	rte_iova_t *page;   /**< [area.len / area.page] the IOVA of each page; NULL: they are the addresses */
	bool mapped;        /**< in the default VFIO container */
};

/**
 * Register an area. With VFIO that locks all its pages, with physical addresses it looks for each: for a large guest
 * that takes seconds.
 * @param why  set to a sentence for the log on error.
 * @return 0; -ENOTSUP (its pages may move); -ENOSPC (the EAL has no room for more); -ENOMEM; or another -errno of
 *   the EAL.
 */
int vhostx_dma_register(const struct vhostx_dma_area *area, struct vhostx_dma **dma, const char **why);

/** Is there nothing that vhostx_dma_map() could do for it? */
bool vhostx_dma_is_whole(const struct vhostx_dma *dma);

/** Map it for DMA if that was not possible before: there was no device. Errors as vhostx_dma_register(). */
int vhostx_dma_map(struct vhostx_dma *dma, const char **why);

/** Undo both. NULL is allowed. The memory is there still. */
void vhostx_dma_unregister(struct vhostx_dma *dma);

/** Where devices see @a len bytes at @a va, inside the area. @return RTE_BAD_IOVA: in several places. */
static inline rte_iova_t
vhostx_dma_iova(const struct vhostx_dma *dma, const void *va, size_t len)
{
	const size_t off = (const char *)va - (const char *)dma->area.addr;
	const size_t first = off / dma->area.page;
	const size_t last = (off + len - 1) / dma->area.page;

	if (dma->page == NULL)
		return (uintptr_t)va;
	for (size_t i = first; i < last; i++) {
		if (dma->page[i + 1] != dma->page[i] + dma->area.page)
			return RTE_BAD_IOVA;
	}
	return dma->page[first] + off % dma->area.page;
}

#endif /* VHOSTX_MEM_DMA_H */
