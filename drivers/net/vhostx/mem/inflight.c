/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The in-flight buffer: make, map, find a ring's region.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "inflight.h"

/* Regions begin at cache lines, as those of QEMU's and DPDK's libraries do. */
#define INFLIGHT_ALIGN 64u

static_assert(offsetof(struct vhostx_inflight_split, desc) == 16, "QueueRegionSplit");
static_assert(sizeof(struct vhostx_inflight_split_desc) == 16, "DescStateSplit");
static_assert(offsetof(struct vhostx_inflight_packed, desc) == 32, "QueueRegionPacked");
static_assert(sizeof(struct vhostx_inflight_packed_desc) == 32, "DescStatePacked");

static uint64_t
inflight_stride(uint16_t nr_desc, bool packed)
{
	const uint64_t bytes = packed ?
		offsetof(struct vhostx_inflight_packed, desc) +
			nr_desc * sizeof(struct vhostx_inflight_packed_desc) :
		offsetof(struct vhostx_inflight_split, desc) +
			nr_desc * sizeof(struct vhostx_inflight_split_desc);

	return RTE_ALIGN_CEIL(bytes, (uint64_t)INFLIGHT_ALIGN);
}

uint64_t
vhostx_inflight_size(uint16_t nr_queues, uint16_t nr_desc, bool packed)
{
	return nr_queues * inflight_stride(nr_desc, packed);
}

int
vhostx_inflight_create(uint64_t size)
{
	const int fd = memfd_create("vhostx-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int
vhostx_inflight_open(int fd, uint64_t offset, uint64_t size, uint16_t nr_queues, uint16_t nr_desc,
	struct vhostx_inflight **out, const char **why)
{
	struct vhostx_inflight *inflight;
	int ret;

	if (nr_queues == 0 || nr_desc == 0) {
		*why = "an in-flight buffer for no rings";
		return -EINVAL;
	}
	inflight = calloc(1, sizeof(*inflight));
	if (inflight == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	ret = vhostx_map_file(fd, offset, size, &inflight->map, why);
	if (ret != 0) {
		free(inflight);
		return ret;
	}
	inflight->size = size;
	inflight->nr_queues = nr_queues;
	inflight->nr_desc = nr_desc;
	*out = inflight;
	return 0;
}

void
vhostx_inflight_close(struct vhostx_inflight *inflight)
{
	if (inflight == NULL)
		return;
	vhostx_map_put(inflight->map);
	free(inflight);
}

union vhostx_inflight_ring *
vhostx_inflight_ring(const struct vhostx_inflight *inflight, uint16_t idx, uint32_t size, bool packed)
{
	const uint64_t stride = inflight_stride(inflight->nr_desc, packed);

	if (idx >= inflight->nr_queues || size != inflight->nr_desc ||
			vhostx_inflight_size(inflight->nr_queues, inflight->nr_desc, packed) > inflight->size ||
			(uintptr_t)vhostx_map_va(inflight->map) % sizeof(uint64_t) != 0)
		return NULL;
	return RTE_PTR_ADD(vhostx_map_va(inflight->map), idx * stride);
}
