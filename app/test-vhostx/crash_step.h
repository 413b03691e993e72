/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A kill at every step: each store of the code under test to memory that others can see is made alone, and that
 * memory is kept as it was then. A SIGKILL can leave nothing else.
 */
#ifndef TEST_CRASH_STEP_H
#define TEST_CRASH_STEP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

/* Single steps need the trap flag of x86, and signals that nobody holds back. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define CRASH_CAN_STEP 1
#else
#define CRASH_CAN_STEP 0
#endif

#define CRASH_AREAS 8
#define CRASH_ROOM (512u << 20) /* bytes of all images; touched as needed */

struct crash_area {
	uint8_t *at;
	size_t len;
};

/* What is watched, and how it was after each store: images lie one after the other. */
static struct {
	struct crash_area area[CRASH_AREAS];
	size_t nr_areas;
	size_t nr_watched; /* of these: a store there makes an image */
	size_t bytes;      /* of one image */
	uint8_t *image;
	size_t nr;         /* images */
	bool stepping;     /* a store was let through */
	struct sigaction before; /* what a fault did before */
} crash;

/* Memory that images carry: what is written there counts once other memory says so. */
static inline void
crash_carry(void *at, size_t len)
{
	crash.area[crash.nr_areas++] = (struct crash_area){ at, len };
	crash.bytes += len;
}

/* Memory in which each store makes an image, in pages of its own; before any that is carried only. */
static inline void
crash_watch(void *at, size_t len)
{
	crash_carry(at, len);
	crash.nr_watched = crash.nr_areas;
}

static inline void
crash_keep(void)
{
	uint8_t *to = crash.image + crash.nr * crash.bytes;

	if ((crash.nr + 1) * crash.bytes > CRASH_ROOM)
		abort();
	for (size_t i = 0; i < crash.nr_areas; to += crash.area[i++].len)
		memcpy(to, crash.area[i].at, crash.area[i].len);
	crash.nr++;
}

static inline bool
crash_changed(void)
{
	const uint8_t *was = crash.image + (crash.nr - 1) * crash.bytes;

	for (size_t i = 0; i < crash.nr_watched; was += crash.area[i++].len) {
		if (memcmp(was, crash.area[i].at, crash.area[i].len) != 0)
			return true;
	}
	return false;
}

/* Put memory back to what it was at a kill. */
static inline void
crash_restore(size_t nr)
{
	const uint8_t *from = crash.image + nr * crash.bytes;

	for (size_t i = 0; i < crash.nr_areas; from += crash.area[i++].len)
		memcpy(crash.area[i].at, from, crash.area[i].len);
}

static inline void
crash_forget(void)
{
	if (crash.image != NULL)
		munmap(crash.image, CRASH_ROOM);
	memset(&crash, 0, sizeof(crash));
}

#if CRASH_CAN_STEP
#define CRASH_TRAP_FLAG 0x100

/* Watched pages can be written, or not: then a store to them is caught before it is made. */
static inline void
crash_protect(int prot)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (size_t i = 0; i < crash.nr_watched; i++) {
		const uintptr_t from = (uintptr_t)crash.area[i].at & ~(page - 1);
		const uintptr_t to = ((uintptr_t)crash.area[i].at + crash.area[i].len + page - 1) & ~(page - 1);

		if (mprotect((void *)from, to - from, prot) != 0)
			abort();
	}
}

/* A store is about to be made: let that one instruction through. A real fault comes again, to its own handler. */
static void
crash_store(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)info;
	crash_protect(PROT_READ | PROT_WRITE);
	if (crash.stepping)
		sigaction(sig, &crash.before, NULL);
	crash.stepping = true;
	uc->uc_mcontext.gregs[REG_EFL] |= CRASH_TRAP_FLAG;
}

/* The store was made. */
static void
crash_stored(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)sig;
	(void)info;
	uc->uc_mcontext.gregs[REG_EFL] &= ~CRASH_TRAP_FLAG;
	crash.stepping = false;
	if (crash_changed())
		crash_keep();
	crash_protect(PROT_READ);
}

/* From here on every store is a place to be killed at. The memory as it is now is the first image. */
static inline void
crash_begin(void)
{
	struct sigaction store = { .sa_sigaction = crash_store, .sa_flags = SA_SIGINFO };
	struct sigaction stored = { .sa_sigaction = crash_stored, .sa_flags = SA_SIGINFO };

	if (crash.image == NULL)
		crash.image = mmap(NULL, CRASH_ROOM, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (crash.image == MAP_FAILED)
		abort();
	crash.nr = 0;
	crash_keep();
	sigaction(SIGTRAP, &stored, NULL);
	sigaction(SIGSEGV, &store, &crash.before);
	crash_protect(PROT_READ);
}

static inline void
crash_end(void)
{
	crash_protect(PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &crash.before, NULL);
}
#else
static inline void
crash_begin(void)
{
}

static inline void
crash_end(void)
{
}
#endif

#endif /* TEST_CRASH_STEP_H */
