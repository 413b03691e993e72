/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Mappings that go without keeping whoever lets them go.
 */
#ifndef VHOSTX_MEM_UNMAP_H
#define VHOSTX_MEM_UNMAP_H

#include <stddef.h>

/**
 * Unmap what nobody uses any more. The kernel takes some 70 ms for 1 GiB of small pages that were used; what takes
 * more than a few milliseconds is left to a thread.
 *
 * @param live  one is taken from it, atomically, when the mapping is gone.
 */
void vhostx_unmap(void *addr, size_t len, unsigned int *live);

#endif /* VHOSTX_MEM_UNMAP_H */
