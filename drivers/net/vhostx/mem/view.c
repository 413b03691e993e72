/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Views of guest memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "view.h"

struct vhostx_view *
vhostx_view_alloc(uint64_t nr)
{
	struct vhostx_view *view = NULL;

	if (nr <= VHOSTX_VIEW_PAGES)
		view = calloc(1, sizeof(*view) + nr * sizeof(view->page[0]));
	if (view != NULL)
		view->nr = nr;
	return view;
}

/* "If the value of old_size is zero [...] then mremap() will create a new mapping of the same pages". */
static int
view_map_page(uint8_t *page, uint8_t *to)
{
	return mremap(page, 0, VHOSTX_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED ? -errno : 0;
}

int
vhostx_view_map(struct vhostx_view *view)
{
	const size_t len = (size_t)view->nr * VHOSTX_PAGE;
	uint8_t *va = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int ret = 0;

	if (va == MAP_FAILED)
		return -errno;
	for (uint32_t i = 0; ret == 0 && i < view->nr; i++)
		ret = view_map_page(view->page[i], va + (size_t)i * VHOSTX_PAGE);
	if (ret != 0)
		munmap(va, len);
	else
		view->va = va;
	return ret;
}

void
vhostx_view_free(struct vhostx_view *view)
{
	if (view != NULL && view->va != NULL)
		munmap(view->va, (size_t)view->nr * VHOSTX_PAGE);
	free(view);
}

const uint8_t *
vhostx_view_origin(struct vhostx_view *const *views, const void *va, uint64_t *run)
{
	for (unsigned int i = 0; i < VHOSTX_VIEWS; i++) {
		const struct vhostx_view *view = views[i];
		uint64_t off;

		if (view == NULL)
			continue;
		off = (uintptr_t)va - (uintptr_t)view->va;
		if (off / VHOSTX_PAGE < view->nr) {
			*run = VHOSTX_PAGE - off % VHOSTX_PAGE;
			return view->page[off / VHOSTX_PAGE] + off % VHOSTX_PAGE;
		}
	}
	*run = UINT64_MAX;
	return va;
}
