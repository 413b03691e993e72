/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A second mapping of pages of guest memory, in an order of its own: for a ring that is in one piece for the
 * guest's device only.
 */
#ifndef VHOSTX_MEM_VIEW_H
#define VHOSTX_MEM_VIEW_H

#include <stdint.h>

#include "region.h"

/** Most views that belong together: one for each area of a ring. */
#define VHOSTX_VIEWS 3
/**
 * Most pages of one: an area of 64 KiB, the descriptors of 4096 entries, wherever it begins. Each may be a mapping
 * of its own, of which a process has a limited number.
 */
#define VHOSTX_VIEW_PAGES 17u

/** Pages, one after the other. Unmapped when it is freed, whatever becomes of the mappings that they are of. */
struct vhostx_view {
	uint8_t *va;     /**< where the first one is; NULL: not mapped yet */
	uint32_t nr;     /**< pages of VHOSTX_PAGE bytes */
	uint8_t *page[]; /**< [nr] where each is in the mapping of its region; at borders of pages */
};

/** Room for @a nr pages, which the caller fills in. @return NULL: out of memory, or more than VHOSTX_VIEW_PAGES. */
struct vhostx_view *vhostx_view_alloc(uint64_t nr);

/** Map the pages. @return 0 or -errno: -EINVAL if the kernel has larger pages there. */
int vhostx_view_map(struct vhostx_view *view);

/** Unmap, if it is mapped, and free. NULL is allowed. */
void vhostx_view_free(struct vhostx_view *view);

/**
 * Where @a va is in the mapping of its region.
 *
 * @param views  [VHOSTX_VIEWS], each may be NULL.
 * @param run    set to how many bytes follow there; UINT64_MAX if @a va is in none of the views.
 */
const uint8_t *vhostx_view_origin(struct vhostx_view *const *views, const void *va, uint64_t *run);

#endif /* VHOSTX_MEM_VIEW_H */
