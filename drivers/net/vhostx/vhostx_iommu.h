/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port's part in a guest's IOMMU: what rings miss is asked for, and asked for again while no answer comes.
 */
#ifndef VHOSTX_IOMMU_H
#define VHOSTX_IOMMU_H

#include <stdbool.h>
#include <stdint.h>

struct vhostx_port;
struct vhostx_source;

/** What a port has of it, under the port mutex unless told otherwise. */
struct vhostx_iommu_port {
	struct vhostx_source *timer; /**< to ask again; NULL: iommu-support=0 */
	uint32_t wait_us;            /**< how long the timer runs; 0: it does not */
	uint64_t misses;             /**< requests that were sent; atomic */
	uint64_t misses_base;        /**< of those, at the last reset of the statistics */
	bool deaf;                   /**< the log has that this front-end cannot be asked */
	bool silent;                 /**< the log has that this front-end does not answer */
};

/** Begin: @return 0, or -errno of the control thread. A port without iommu-support needs nothing. */
int vhostx_iommu_open(struct vhostx_port *port);

/** The port is closed. */
void vhostx_iommu_close(struct vhostx_port *port);

/** A front-end came. */
void vhostx_iommu_connected(struct vhostx_port *port);

/** As vhostx_ask_fn, of the port @a port: for pollers, as long as a snapshot of it is published. */
bool vhostx_iommu_ask(void *port, const uint64_t *miss, uint32_t n);

/** Ask for what rings miss and was not asked for yet. */
void vhostx_iommu_update(struct vhostx_port *port);

/** The front-end has told of the addresses from @a first to @a last: rings that waited for them may go on. */
void vhostx_iommu_mapped(struct vhostx_port *port, uint64_t first, uint64_t last, uint8_t perm);

#endif /* VHOSTX_IOMMU_H */
