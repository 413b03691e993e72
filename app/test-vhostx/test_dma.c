/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest memory for devices: what is asked of the EAL and of VFIO, which are played here, and what happens when
 * they refuse.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <rte_vfio.h>

#include "mem/dma.h"
#include "mem/region.h"
#include "mem/work.h"

#define PAGE 4096u
#define HUGE (2u << 20)
#define LISTS 4u /* that the EAL has */
#define MAPS 3u  /* that VFIO has */

/* A range that the EAL or VFIO knows. */
struct span {
	uint64_t addr, len, iova;
};

/* The EAL and VFIO as they are played. */
static struct {
	enum rte_iova_mode mode;
	bool vfio, device;
	bool scattered;      /* pages do not follow each other in physical memory */
	bool unknown;        /* where pages are is a secret */
	bool hold;           /* who registers is kept waiting; atomic */
	struct span list[LISTS], map[MAPS];
	unsigned int nr_lists, nr_maps;
	size_t page;         /* of the last list */
} eal;

enum rte_iova_mode __wrap_rte_eal_iova_mode(void);
int __wrap_rte_extmem_register(void *va, size_t len, rte_iova_t iova[], unsigned int n, size_t page);
int __wrap_rte_extmem_unregister(void *va, size_t len);
phys_addr_t __wrap_rte_mem_virt2phy(const void *va);
int __wrap_rte_vfio_is_enabled(const char *module);
int __wrap_rte_vfio_container_dma_map(int fd, uint64_t va, uint64_t iova, uint64_t len);
int __wrap_rte_vfio_container_dma_unmap(int fd, uint64_t va, uint64_t iova, uint64_t len);

enum rte_iova_mode
__wrap_rte_eal_iova_mode(void)
{
	return eal.mode;
}

static bool
span_remove(struct span *span, unsigned int *nr, const struct span *which)
{
	for (unsigned int i = 0; i < *nr; i++) {
		if (span[i].addr == which->addr && span[i].len == which->len) {
			assert_int_equal(span[i].iova, which->iova);
			span[i] = span[--*nr];
			return true;
		}
	}
	return false;
}

static phys_addr_t
physical(uint64_t va)
{
	return eal.scattered ? (va + 0x40000000) & ~UINT64_C(0x200000) : va + 0x40000000;
}

int
__wrap_rte_extmem_register(void *va, size_t len, rte_iova_t iova[], unsigned int n, size_t page)
{
	while (__atomic_load_n(&eal.hold, __ATOMIC_ACQUIRE))
		usleep(100);
	assert_int_equal((uintptr_t)va % page, 0);
	assert_int_equal(len, n * page);
	if (eal.nr_lists == LISTS) {
		rte_errno = ENOSPC;
		return -1;
	}
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(iova[i], eal.mode == RTE_IOVA_VA ? (uintptr_t)va + i * page :
			physical((uintptr_t)va + i * page));
	eal.list[eal.nr_lists++] = (struct span){ (uintptr_t)va, len, 0 };
	eal.page = page;
	return 0;
}

int
__wrap_rte_extmem_unregister(void *va, size_t len)
{
	const struct span which = { (uintptr_t)va, len, 0 };

	/* Still mapped, and no device may read it any more. */
	assert_int_equal(msync(va, len, MS_ASYNC), 0);
	for (unsigned int i = 0; i < eal.nr_maps; i++)
		assert_false(eal.map[i].addr >= which.addr && eal.map[i].addr < which.addr + len);
	assert_true(span_remove(eal.list, &eal.nr_lists, &which));
	return 0;
}

phys_addr_t
__wrap_rte_mem_virt2phy(const void *va)
{
	return eal.unknown ? RTE_BAD_IOVA : physical((uintptr_t)va);
}

int
__wrap_rte_vfio_is_enabled(const char *module)
{
	assert_string_equal(module, "vfio");
	return eal.vfio;
}

int
__wrap_rte_vfio_container_dma_map(int fd, uint64_t va, uint64_t iova, uint64_t len)
{
	assert_int_equal(fd, RTE_VFIO_DEFAULT_CONTAINER_FD);
	rte_errno = !eal.device ? ENODEV : ENOMEM;
	if (!eal.device || eal.nr_maps == MAPS)
		return -1;
	eal.map[eal.nr_maps++] = (struct span){ va, len, iova };
	return 0;
}

int
__wrap_rte_vfio_container_dma_unmap(int fd, uint64_t va, uint64_t iova, uint64_t len)
{
	const struct span which = { va, len, iova };

	assert_int_equal(fd, RTE_VFIO_DEFAULT_CONTAINER_FD);
	assert_true(span_remove(eal.map, &eal.nr_maps, &which));
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	memset(&eal, 0, sizeof(eal));
	eal.mode = RTE_IOVA_VA;
	return 0;
}

/* Whatever happened, nothing is left of it. */
static int
teardown(void **state)
{
	(void)state;
	vhostx_work_await(UINT64_MAX);
	return eal.nr_lists == 0 && eal.nr_maps == 0 && vhostx_map_count() == 0 ? 0 : -1;
}

/* Memory of a guest as its table has it: @a nr regions of @a size bytes, of one file. */
static struct vhostx_mem *
memory_of(unsigned int nr, uint64_t size)
{
	struct vhostx_region_desc desc[8];
	int fd = memfd_create("guest", MFD_CLOEXEC), fds[8];
	struct vhostx_mem *mem;
	const char *why;

	assert_int_equal(ftruncate(fd, nr * size), 0);
	for (unsigned int i = 0; i < nr; i++) {
		desc[i] = (struct vhostx_region_desc){ .gpa = i * size, .size = size, .uva = (1u << 30) + i * size,
			.mmap_offset = i * size };
		fds[i] = fd;
	}
	assert_int_equal(vhostx_mem_build(desc, fds, nr, NULL, VHOSTX_MAP_ALL, &mem, &why), 0);
	close(fd);
	return mem;
}

/* Register, and wait for what comes of it. */
static int
register_map(struct vhostx_map *map, const struct vhostx_dma **dma, const char **why)
{
	vhostx_map_register(map);
	assert_true(vhostx_work_await(UINT64_MAX));
	return vhostx_map_registered(map, dma, why);
}

/* A slot table's reference is the last one: only then the memory is taken from the devices. */
static void
test_dma_lasts_as_long_as_mapping(void **state)
{
	struct vhostx_mem *mem = memory_of(1, 3 * PAGE);
	uint8_t *va = mem->range[0].va;
	struct vhostx_map *map = vhostx_mem_hold(mem, va);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	eal.vfio = eal.device = true;
	for (int i = 0; i < 3; i++)
		assert_int_equal(register_map(map, &dma, &why), 0);
	assert_int_equal(eal.nr_lists, 1);
	assert_int_equal(eal.nr_maps, 1);
	assert_int_equal(eal.map[0].addr, (uintptr_t)va);
	assert_int_equal(eal.map[0].len, 3 * PAGE);
	assert_int_equal(eal.map[0].iova, (uintptr_t)va);
	assert_int_equal(vhostx_dma_iova(dma, va + 5000, 6000), (uintptr_t)va + 5000);
	vhostx_mem_free(mem);
	assert_int_equal(eal.nr_lists, 1);
	vhostx_map_put(map);
}

/* Where IOVAs are addresses, a guest of gigabytes takes few of the EAL's records. */
static void
test_dma_large_memory_is_few_pages(void **state)
{
	struct vhostx_mem *mem = memory_of(1, UINT64_C(1) << 30);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	assert_int_equal(register_map(mem->map[0], &dma, &why), 0);
	assert_true(eal.page >= HUGE);
	vhostx_mem_free(mem);
}

/* The EAL's lists are few: what they have no room for is told, and is not asked for again. */
static void
test_dma_more_regions_than_eal_has_lists(void **state)
{
	struct vhostx_mem *mem = memory_of(LISTS + 2, PAGE), *other = memory_of(1, PAGE);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	assert_int_equal(register_map(other->map[0], &dma, &why), 0);
	for (unsigned int i = 0; i < LISTS + 2; i++) {
		assert_int_equal(register_map(mem->map[i], &dma, &why) == 0, i < LISTS - 1);
		assert_int_equal(dma != NULL, i < LISTS - 1);
	}
	assert_non_null(strstr(why, "fewer and larger"));
	/* Another guest leaves: there is room. */
	vhostx_mem_free(other);
	assert_int_equal(register_map(mem->map[LISTS], &dma, &why), 0);
	vhostx_mem_free(mem);
}

/* So are VFIO's mappings. What it has no room for is no memory of the EAL's either. */
static void
test_dma_more_regions_than_vfio_maps(void **state)
{
	struct vhostx_mem *mem = memory_of(MAPS + 1, PAGE);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	eal.vfio = eal.device = true;
	for (unsigned int i = 0; i < MAPS + 1; i++)
		assert_int_equal(register_map(mem->map[i], &dma, &why) == 0, i < MAPS);
	assert_non_null(strstr(why, "DMA"));
	assert_int_equal(eal.nr_lists, MAPS);
	vhostx_mem_free(mem);
}

/* A guest that leaves while its memory is being registered: that is undone before another one's memory has its turn. */
static void
test_dma_regress_guest_leaves_meanwhile(void **state)
{
	struct vhostx_mem *mem = memory_of(LISTS - 1, PAGE), *gone = memory_of(1, PAGE), *other = memory_of(1, PAGE);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	for (unsigned int i = 0; i < LISTS - 1; i++)
		assert_int_equal(register_map(mem->map[i], &dma, &why), 0);
	__atomic_store_n(&eal.hold, true, __ATOMIC_RELEASE);
	assert_true(vhostx_map_register(gone->map[0]));
	vhostx_mem_free(gone);
	assert_true(vhostx_map_register(other->map[0]));
	__atomic_store_n(&eal.hold, false, __ATOMIC_RELEASE);
	assert_true(vhostx_work_await(UINT64_MAX));
	assert_int_equal(vhostx_map_registered(other->map[0], &dma, &why), 0);
	vhostx_mem_free(other);
	vhostx_mem_free(mem);
}

/* VFIO without a device is no reason to refuse; when one comes, the next start of a ring maps the memory. */
static void
test_dma_device_comes_later(void **state)
{
	struct vhostx_mem *mem = memory_of(1, PAGE);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	eal.vfio = true;
	assert_int_equal(register_map(mem->map[0], &dma, &why), 0);
	assert_int_equal(eal.nr_maps, 0);
	eal.device = true;
	assert_int_equal(register_map(mem->map[0], &dma, &why), 0);
	assert_int_equal(eal.nr_maps, 1);
	vhostx_mem_free(mem);
}

/* Small pages may move in physical memory. */
static void
test_dma_physical_addresses_of_small_pages(void **state)
{
	struct vhostx_mem *mem = memory_of(1, PAGE);
	const struct vhostx_dma *dma;
	const char *why;

	(void)state;
	eal.mode = RTE_IOVA_PA;
	assert_int_equal(register_map(mem->map[0], &dma, &why), -ENOTSUP);
	assert_null(dma);
	assert_non_null(strstr(why, "--iova-mode=va"));
	vhostx_mem_free(mem);
}

/* Large pages do not, but they need not follow each other: an area is registered as if it were on hugetlbfs. */
static void
test_dma_physical_addresses_of_huge_pages(void **state)
{
	struct vhostx_mem *mem = memory_of(1, 4 * HUGE);
	const struct vhostx_dma_area area = { .addr = mem->range[0].va, .len = 4 * HUGE, .page = HUGE,
		.hugetlbfs = true };
	uint8_t *va = area.addr;
	struct vhostx_dma *dma;
	const char *why;

	(void)state;
	eal.mode = RTE_IOVA_PA;
	eal.vfio = eal.device = true;
	assert_int_equal(vhostx_dma_register(&area, &dma, &why), 0);
	assert_int_equal(eal.nr_maps, 1);
	assert_int_equal(vhostx_dma_iova(dma, va + HUGE - 100, 200), physical((uintptr_t)va + HUGE - 100));
	vhostx_dma_unregister(dma);
	eal.scattered = true;
	/* VFIO has no room for a mapping a page, and keeps none. */
	assert_int_not_equal(vhostx_dma_register(&area, &dma, &why), 0);
	assert_int_equal(eal.nr_maps + eal.nr_lists, 0);
	eal.vfio = false;
	assert_int_equal(vhostx_dma_register(&area, &dma, &why), 0);
	assert_int_equal(vhostx_dma_iova(dma, va + HUGE - 100, 200), RTE_BAD_IOVA);
	assert_int_equal(vhostx_dma_iova(dma, va + HUGE - 100, 100), physical((uintptr_t)va + HUGE - 100));
	assert_int_equal(vhostx_dma_iova(dma, va + HUGE, 200), physical((uintptr_t)va + HUGE));
	vhostx_dma_unregister(dma);
	eal.unknown = true;
	assert_int_equal(vhostx_dma_register(&area, &dma, &why), -EPERM);
	vhostx_mem_free(mem);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dma_lasts_as_long_as_mapping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_large_memory_is_few_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_more_regions_than_eal_has_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_more_regions_than_vfio_maps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_regress_guest_leaves_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_device_comes_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_physical_addresses_of_small_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_physical_addresses_of_huge_pages, setup, teardown),
	};

	return cmocka_run_group_tests_name("test_dma", tests, NULL, NULL);
}
