/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * From device state to snapshot: what is complete, what is refused, and what is in it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include <cmocka.h>
#include <rte_atomic.h>
#include <rte_bitops.h>

#include "user/build.h"

#define UVA 0x7f0000000000ull
#define SIZE 0x200000ull

/* A device with one region of 2 MiB and one ring in it that is right in every way. */
struct rig {
	struct vhostx_vring vring[2];
	struct vhostx_backend be;
	struct vhostx_snapshot snap;
	const char *why;
	uint64_t miss[VHOSTX_VRING_MISSES + 1];
	int fd;
};

static int
setup(void **state)
{
	static struct rig rig;
	const struct vhostx_region_desc desc = { .gpa = 0, .size = SIZE, .uva = UVA };

	memset(&rig, 0, sizeof(rig));
	rig.fd = memfd_create("build", MFD_CLOEXEC);
	if (rig.fd < 0 || ftruncate(rig.fd, SIZE) != 0)
		return -1;
	rig.be = (struct vhostx_backend){
		.name = "test", .vring = rig.vring, .nr_vrings = 2, .has_features = true,
		.features = RTE_BIT64(VIRTIO_F_VERSION_1),
	};
	if (vhostx_mem_build(&desc, &rig.fd, 1, NULL, VHOSTX_MAP_ALL, &rig.be.mem, &rig.why) != 0)
		return -1;
	rig.vring[1] = (struct vhostx_vring){
		.desc_uva = UVA, .avail_uva = UVA + 0x80000, .used_uva = UVA + 0xa0000, .num = 256,
		.kickfd = -1, .callfd = 5, .errfd = -1,
		.has_addr = true, .started = true, .enabled = true,
	};
	*state = &rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	vhostx_build_end(&rig->snap);
	vhostx_iotlb_free(rig->be.iotlb);
	vhostx_mem_free(rig->be.mem);
	return close(rig->fd);
}

static int
build(struct rig *rig)
{
	rig->why = NULL;
	vhostx_build_end(&rig->snap);
	return vhostx_build(&rig->be, 1, &rig->snap, &rig->why, rig->miss);
}

static void
assert_refused(struct rig *rig)
{
	assert_int_equal(build(rig), -EINVAL);
	assert_non_null(rig->why);
}

static void
test_build_split(void **state)
{
	struct rig *rig = *state;
	const uint8_t *base = rig->be.mem->range[0].va;

	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.format, VHOSTX_SPLIT);
	assert_ptr_equal(rig->snap.split.desc, base);
	assert_ptr_equal(rig->snap.split.avail, base + 0x80000);
	assert_ptr_equal(rig->snap.split.used, base + 0xa0000);
	assert_int_equal(rig->snap.size, 256);
	assert_int_equal(rig->snap.callfd, 5);
	assert_true(rig->snap.enabled);
	assert_false(rig->snap.mergeable || rig->snap.event_idx || rig->snap.indirect);
}

/* Nothing that lacks what it stands on (virtio 1.3, 5.1.3.1). */
static void
test_build_offloads(void **state)
{
	const uint64_t host = 0x7801, guest = 0x0782; /* CSUM and HOST_*, GUEST_CSUM and GUEST_* */
	struct rig *rig = *state;

	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.offloads, 0);
	assert_int_equal(rig->snap.hdr_mask, 0);
	rig->be.features |= host;
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.offloads, host);
	assert_int_equal(rig->snap.hdr_mask, 0xffff);
	rig->be.features ^= 1 | guest;
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.offloads, guest);
	assert_int_equal(rig->snap.hdr_mask, 0);
	rig->be.features ^= 3;
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.offloads, host);
}

static void
test_build_packed_of_any_size(void **state)
{
	struct rig *rig = *state;

	rig->be.features |= RTE_BIT64(VIRTIO_F_RING_PACKED);
	for (uint32_t num = 1; num <= VHOSTX_RING_MAX; num = num * 2 + 1) {
		rig->vring[1].num = num;
		assert_int_equal(build(rig), 0);
		assert_int_equal(rig->snap.format, VHOSTX_PACKED);
		assert_int_equal(rig->snap.size, num);
	}
	rig->vring[1].num = VHOSTX_RING_MAX;
	assert_int_equal(build(rig), 0);
	rig->vring[1].num = VHOSTX_RING_MAX + 1;
	assert_refused(rig);
}

static void
test_build_header_length(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.hdr_len, 12);
	rig->be.features = 0;
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.hdr_len, 10);
	rig->be.features = RTE_BIT64(VIRTIO_NET_F_MRG_RXBUF);
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.hdr_len, 12);
	assert_true(rig->snap.mergeable);
}

static void
test_build_switches(void **state)
{
	struct rig *rig = *state;

	rig->be.features |= RTE_BIT64(VIRTIO_RING_F_EVENT_IDX) |
		RTE_BIT64(VIRTIO_RING_F_INDIRECT_DESC);
	rig->vring[1].enabled = false;
	assert_int_equal(build(rig), 0);
	assert_true(rig->snap.event_idx && rig->snap.indirect);
	assert_false(rig->snap.enabled);
}

static void
test_build_waits_for_all(void **state)
{
	struct rig *rig = *state;
	struct vhostx_vring *vring = &rig->vring[1];
	const struct vhostx_vring whole = *vring;

	vring->started = false;
	assert_int_equal(build(rig), -EAGAIN);
	*vring = whole;
	vring->has_addr = false;
	assert_int_equal(build(rig), -EAGAIN);
	*vring = whole;
	vring->num = 0;
	assert_int_equal(build(rig), -EAGAIN);
	*vring = whole;
	rig->be.has_features = false;
	assert_int_equal(build(rig), -EAGAIN);
	rig->be.has_features = true;
	assert_int_equal(build(rig), 0);
}

/* A guest whose memory is not shared: QEMU leaves the memory out and goes on. */
static void
test_build_refuses_ring_without_memory(void **state)
{
	struct rig *rig = *state;
	struct vhostx_mem *mem = rig->be.mem;

	rig->be.mem = NULL;
	assert_int_equal(build(rig), -EINVAL);
	assert_non_null(strstr(rig->why, "no guest memory"));
	rig->vring[1].started = false;
	assert_int_equal(build(rig), -EAGAIN);
	rig->vring[1].started = true;
	rig->be.mem = mem;
	assert_int_equal(build(rig), 0);
}

static void
test_build_refuses_split_sizes(void **state)
{
	static const uint32_t sizes[] = { 3, 255, 65536, UINT32_MAX };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < RTE_DIM(sizes); i++) {
		rig->vring[1].num = sizes[i];
		assert_refused(rig);
	}
}

static void
test_build_refuses_alignment(void **state)
{
	struct rig *rig = *state;
	const struct vhostx_vring whole = rig->vring[1];

	for (int packed = 0; packed < 2; packed++) {
		if (packed)
			rig->be.features |= RTE_BIT64(VIRTIO_F_RING_PACKED);
		rig->vring[1].desc_uva += 8;
		assert_refused(rig);
		rig->vring[1] = whole;
		rig->vring[1].avail_uva += packed ? 2 : 1;
		assert_refused(rig);
		rig->vring[1] = whole;
		rig->vring[1].used_uva += 2;
		assert_refused(rig);
		rig->vring[1] = whole;
	}
}

/* CVE-2018-1059: the whole of each area has to be in guest memory, not just its first byte. */
static void
test_build_regress_cve_2018_1059(void **state)
{
	struct rig *rig = *state;
	struct vhostx_vring *vring = &rig->vring[1];
	uint64_t *areas[] = { &vring->desc_uva, &vring->avail_uva, &vring->used_uva };
	const uint64_t bytes[2][3] = { { 256 * 16, 4 + 256 * 2, 4 + 256 * 8 }, { 256 * 16, 4, 4 } };

	for (int packed = 0; packed < 2; packed++) {
		if (packed)
			rig->be.features |= RTE_BIT64(VIRTIO_F_RING_PACKED);
		for (int i = 0; i < 3; i++) {
			const uint64_t right = *areas[i];

			*areas[i] = UVA + SIZE - bytes[packed][i];
			assert_int_equal(build(rig), 0);
			*areas[i] += 16;
			assert_refused(rig);
			*areas[i] = UVA - 16;
			assert_refused(rig);
			*areas[i] = UINT64_MAX - 15;
			assert_refused(rig);
			*areas[i] = right;
		}
	}
}

/* With event-idx both split areas have one more field, of 2 bytes. */
static void
test_build_event_fields_are_inside(void **state)
{
	struct rig *rig = *state;

	rig->be.features |= RTE_BIT64(VIRTIO_RING_F_EVENT_IDX);
	rig->vring[1].avail_uva = UVA + SIZE - (4 + 256 * 2 + 2);
	assert_int_equal(build(rig), 0);
	rig->vring[1].avail_uva += 2;
	assert_refused(rig);
	rig->vring[1].avail_uva = UVA + 0x80000;
	rig->vring[1].used_uva = UVA + SIZE - (4 + 256 * 8);
	assert_refused(rig);
}

/* Either of the two switches that QEMU turns one after the other is enough, but not without a bitmap. */
static void
test_build_log(void **state)
{
	struct rig *rig = *state;
	struct vhostx_log log = { 0 };

	rig->be.logfd = 6;
	rig->be.features |= RTE_BIT64(VHOSTX_F_LOG_ALL);
	rig->vring[1].log = true;
	rig->vring[1].log_addr = 0x123456;
	assert_int_equal(build(rig), 0);
	assert_null(rig->snap.log);
	assert_int_equal(rig->snap.logfd, -1);
	rig->be.log = &log;
	assert_int_equal(build(rig), 0);
	assert_ptr_equal(rig->snap.log, &log);
	assert_int_equal(rig->snap.logfd, 6);
	assert_int_equal(rig->snap.log_used, 0x123456);
	rig->vring[1].log = false;
	assert_int_equal(build(rig), 0);
	assert_ptr_equal(rig->snap.log, &log);
	assert_true(rig->snap.log_used == UINT64_MAX);
	rig->vring[1].log = true;
	rig->be.features &= ~RTE_BIT64(VHOSTX_F_LOG_ALL);
	assert_int_equal(build(rig), 0);
	assert_ptr_equal(rig->snap.log, &log);
	rig->vring[1].log = false;
	assert_int_equal(build(rig), 0);
	assert_null(rig->snap.log);
}

/* --- behind an IOMMU ------------------------------------------------------------------------------- */

#define IOVA 0xfffff0000000ull
#define PAGE 4096ull

/* The ring's addresses are the device's own from now on, and nothing is known of them. */
static void
use_iommu(struct rig *rig)
{
	struct vhostx_vring *vring = &rig->vring[1];

	rig->be.features |= RTE_BIT64(VHOSTX_F_ACCESS_PLATFORM);
	rig->be.iotlb = vhostx_iotlb_create(200);
	assert_non_null(rig->be.iotlb);
	vring->desc_uva = IOVA;
	vring->avail_uva = IOVA + 0x10000;
	vring->used_uva = IOVA + 0x20000;
	vring->num = 1024;
}

/* The page at iova is the one at offset off of guest memory. */
static void
map_page(struct rig *rig, uint64_t iova, uint64_t off, uint8_t perm)
{
	vhostx_iotlb_add(rig->be.iotlb, iova, PAGE, rig->be.mem->range[0].va + off, perm);
}

/* Offset from IOVA of the page that is the i-th missing, which has to be asked for with the area's permission. */
static uint64_t
missing_page(const struct rig *rig, unsigned int i, const uint8_t *perm)
{
	const uint64_t off = vhostx_miss_iova(rig->miss[i]) - IOVA;

	assert_int_equal(vhostx_miss_access(rig->miss[i]), perm[off / 0x10000]);
	return off;
}

/* Whatever is missing is told at once, and mapped as far apart as pages of another ring may be. */
static void
test_build_iommu_asks_for_all(void **state)
{
	const uint8_t perm[] = { VHOSTX_ACCESS_R, VHOSTX_ACCESS_R, VHOSTX_ACCESS_RW };
	struct rig *rig = *state;
	uint32_t asked;

	use_iommu(rig);
	assert_int_equal(build(rig), -EAGAIN);
	for (asked = 0; rig->miss[asked] != 0; asked++) {
		const uint64_t off = missing_page(rig, asked, perm);

		map_page(rig, IOVA + off, 0x40000 + off, perm[off / 0x10000]);
	}
	/* 16 KiB of descriptors, 2 KiB available, 8 KiB used and four bytes. */
	assert_int_equal(asked, 4 + 1 + 3);
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->miss[0], 0);
	assert_ptr_equal(rig->snap.split.desc, rig->be.mem->range[0].va + 0x40000);
	assert_ptr_equal(rig->snap.split.used, rig->be.mem->range[0].va + 0x60000);
	assert_ptr_equal(rig->snap.iotlb, rig->be.iotlb);
}

static void
test_build_iommu_packed_asks_for_writing(void **state)
{
	const uint8_t perm[] = { VHOSTX_ACCESS_RW, VHOSTX_ACCESS_R, VHOSTX_ACCESS_RW };
	struct rig *rig = *state;

	use_iommu(rig);
	rig->be.features |= RTE_BIT64(VIRTIO_F_RING_PACKED);
	rig->vring[1].num = 300;
	for (uint64_t off = 0; build(rig) == -EAGAIN; ) {
		off = missing_page(rig, 0, perm);
		map_page(rig, IOVA + off, off, VHOSTX_ACCESS_RW);
	}
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->snap.format, VHOSTX_PACKED);
}

/* A permission that does not do is a page that is missing. */
static void
test_build_iommu_read_only_ring_is_missing(void **state)
{
	struct rig *rig = *state;

	use_iommu(rig);
	for (uint64_t off = 0; off < 0x30000; off += PAGE)
		map_page(rig, IOVA + off, off, VHOSTX_ACCESS_R);
	assert_int_equal(build(rig), -EAGAIN);
	assert_true(vhostx_miss_iova(rig->miss[0]) >= IOVA + 0x20000);
	assert_int_equal(vhostx_miss_access(rig->miss[0]), VHOSTX_ACCESS_RW);
}

/* A page that two areas share is one question, for all that either wants; a huge ring asks in turns. */
static void
test_build_iommu_asks_for_each_page_once(void **state)
{
	struct rig *rig = *state;

	use_iommu(rig);
	rig->vring[1].num = 16;
	rig->vring[1].avail_uva = IOVA + 0x100;
	rig->vring[1].used_uva = IOVA + 0x200;
	assert_int_equal(build(rig), -EAGAIN);
	assert_int_equal(rig->miss[0], vhostx_miss_word(IOVA, VHOSTX_ACCESS_RW));
	assert_int_equal(rig->miss[1], 0);
	rig->vring[1].num = 32768;
	assert_int_equal(build(rig), -EAGAIN);
	for (unsigned int i = 0; i < VHOSTX_VRING_MISSES; i++)
		assert_int_equal(vhostx_miss_iova(rig->miss[i]), IOVA + i * PAGE);
	assert_int_equal(rig->miss[VHOSTX_VRING_MISSES], 0);
}

/* Map all pages of the ring, those of the descriptors backwards. */
static void
map_scattered(struct rig *rig)
{
	for (uint64_t off = 0; off < 0x30000; off += PAGE)
		map_page(rig, IOVA + off, off < 0x10000 ? 0x100000 - off : off, VHOSTX_ACCESS_RW);
}

/* Pages that do not follow one another are put in a row, and can be told from those of their region. */
static void
test_build_iommu_joins_scattered_ring(void **state)
{
	struct rig *rig = *state;
	uint8_t *base = rig->be.mem->range[0].va;
	uint64_t run;

	use_iommu(rig);
	rig->vring[1].desc_uva = IOVA + 0x40;
	map_scattered(rig);
	assert_int_equal(build(rig), 0);
	assert_null(rig->snap.view[1]);
	assert_ptr_equal(rig->snap.split.avail, base + 0x10000);
	for (uint32_t i = 0; i < 1024; i++) {
		const uint64_t off = 0x40 + i * sizeof(struct vring_desc);
		uint8_t *there = base + 0x100000 - (off & ~(PAGE - 1)) + off % PAGE;
		struct vring_desc *desc = &rig->snap.split.desc[i];

		memset(there, i, sizeof(*desc));
		rte_compiler_barrier();
		assert_int_equal(desc->addr, (i & 0xff) * UINT64_C(0x0101010101010101));
		desc->flags = i + 5000;
		rte_compiler_barrier();
		assert_memory_equal(there + offsetof(struct vring_desc, flags), &(uint16_t){ i + 5000 }, sizeof(uint16_t));
		assert_ptr_equal(vhostx_view_origin(rig->snap.view, desc, &run), there);
		assert_int_equal(run, PAGE - off % PAGE);
	}
	assert_ptr_equal(vhostx_view_origin(rig->snap.view, rig->snap.split.avail, &run), rig->snap.split.avail);
	assert_true(run == UINT64_MAX);
}

/* What stays in use of a region that goes. */
static void
test_build_iommu_view_outlives_region(void **state)
{
	struct rig *rig = *state;

	use_iommu(rig);
	map_scattered(rig);
	assert_int_equal(build(rig), 0);
	rig->snap.split.desc[0].addr = 77;
	vhostx_mem_free(rig->be.mem);
	rig->be.mem = NULL;
	assert_int_equal(rig->snap.split.desc[0].addr, 77);
}

/* Pages that are none of ours, and more of them than a ring may cost. */
static void
test_build_iommu_refuses_what_cannot_be_joined(void **state)
{
	struct rig *rig = *state;

	use_iommu(rig);
	map_scattered(rig);
	map_page(rig, IOVA + PAGE, 0x1000 + 16, VHOSTX_ACCESS_RW);
	assert_refused(rig);
	assert_non_null(strstr(rig->why, "iommu=pt"));
	map_scattered(rig);
	assert_int_equal(build(rig), 0);
	rig->be.listening = true;
	assert_refused(rig);
	rig->be.listening = false;
	for (uint64_t off = 0; off < 20 * PAGE; off += PAGE)
		map_page(rig, IOVA + off, 0x100000 - off, VHOSTX_ACCESS_RW);
	rig->vring[1].num = 4096;
	rig->vring[1].avail_uva = IOVA + 0x100000;
	for (uint64_t off = 0; off < 0x30000; off += PAGE)
		map_page(rig, IOVA + 0x100000 + off, off, VHOSTX_ACCESS_RW);
	rig->vring[1].used_uva = IOVA + 0x110000;
	assert_int_equal(build(rig), 0);
	rig->vring[1].num = 8192;
	rig->vring[1].avail_uva = IOVA + 0x100000;
	for (uint64_t off = 0; off < 32 * PAGE; off += PAGE)
		map_page(rig, IOVA + off, 0x100000 - off, VHOSTX_ACCESS_RW);
	assert_refused(rig);
}

/* A page that the guest lets the device see in part: the view would have all of it. */
static void
test_build_iommu_refuses_part_of_a_page(void **state)
{
	const uint64_t end = 0x40 + 1024 * sizeof(struct vring_desc);
	struct rig *rig = *state;

	use_iommu(rig);
	rig->vring[1].desc_uva = IOVA + 0x40;
	map_scattered(rig);
	assert_int_equal(build(rig), 0);
	vhostx_iotlb_remove(rig->be.iotlb, IOVA + end, IOVA + RTE_ALIGN_CEIL(end, PAGE) - 1);
	assert_refused(rig);
	assert_int_equal(rig->miss[0], 0);
}

/* What is taken back of it behind the last address would not be found to be a ring's. */
static void
test_build_iommu_refuses_area_that_wraps(void **state)
{
	struct rig *rig = *state;

	use_iommu(rig);
	map_scattered(rig);
	for (uint64_t off = 0; off < 8 * PAGE; off += PAGE)
		map_page(rig, off - PAGE, 0x40000 + off, VHOSTX_ACCESS_RW);
	rig->vring[1].desc_uva = 0;
	assert_int_equal(build(rig), 0);
	rig->vring[1].desc_uva = -(uint64_t)sizeof(struct vring_desc);
	assert_refused(rig);
}

/* What the driver logs at the ring's address it would log again at an address of another kind. */
static void
test_build_iommu_logs_ring_once(void **state)
{
	struct vhostx_log log = { .pages = 8 };
	struct rig *rig = *state;

	use_iommu(rig);
	for (uint64_t off = 0; off < 0x30000; off += PAGE)
		map_page(rig, IOVA + off, off, VHOSTX_ACCESS_RW);
	rig->be.log = &log;
	rig->vring[1].log = true;
	rig->vring[1].log_addr = rig->vring[1].used_uva;
	assert_int_equal(build(rig), 0);
	assert_ptr_equal(rig->snap.log, &log);
	assert_true(rig->snap.log_used == UINT64_MAX);
	rig->be.log = NULL;
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_build_split),
		CASE(test_build_offloads),
		CASE(test_build_packed_of_any_size),
		CASE(test_build_header_length),
		CASE(test_build_switches),
		CASE(test_build_waits_for_all),
		CASE(test_build_refuses_ring_without_memory),
		CASE(test_build_refuses_split_sizes),
		CASE(test_build_refuses_alignment),
		CASE(test_build_regress_cve_2018_1059),
		CASE(test_build_event_fields_are_inside),
		CASE(test_build_log),
		CASE(test_build_iommu_asks_for_all),
		CASE(test_build_iommu_packed_asks_for_writing),
		CASE(test_build_iommu_read_only_ring_is_missing),
		CASE(test_build_iommu_asks_for_each_page_once),
		CASE(test_build_iommu_joins_scattered_ring),
		CASE(test_build_iommu_view_outlives_region),
		CASE(test_build_iommu_refuses_what_cannot_be_joined),
		CASE(test_build_iommu_refuses_part_of_a_page),
		CASE(test_build_iommu_refuses_area_that_wraps),
		CASE(test_build_iommu_logs_ring_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
