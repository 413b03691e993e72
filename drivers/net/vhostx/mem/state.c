/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The state file: open, lock, lay out, remove.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <rte_atomic.h>

#include "inflight.h"
#include "state.h"

/* Rings of a port at most, and the entries of each. */
#define STATE_RINGS 256u
#define STATE_RING_MAX 32768u
#define STATE_MAGIC UINT64_C(0x3465746174737876) /* "vxstate4": the layout is in the name */
#define STATE_PAGE 4096u

/* The file begins with this. */
struct state_header {
	uint64_t magic;          /* last to be written: 0 while the file is laid out */
	char path[PATH_MAX / 2]; /* of the socket: names are hashes, and could be equal */
	struct vhostx_state_guest guest;
};

/* One store binds a ring: a process is killed before it or after it. */
struct state_ring {
	uint32_t bound;                     /* 1, 2: by ident[bound - 1]; 0: unbound */
	struct vhostx_state_ident ident[2];
};

/* The file: what is always there, then each ring's room. Pages that nobody touches take no memory. */
struct state_file {
	struct state_header header;
	struct state_ring ring[STATE_RINGS];
};

#define STATE_BEGIN RTE_ALIGN_CEIL(sizeof(struct state_file), STATE_PAGE)
/* A journal and our own packed record have a word for each entry. */
#define STATE_WORDS(size) ((size) * sizeof(uint64_t))
#define STATE_JOURNAL RTE_ALIGN_CEIL(sizeof(struct vhostx_journal) + STATE_WORDS(STATE_RING_MAX), STATE_PAGE)
#define STATE_RECORD RTE_ALIGN_CEIL(sizeof(union vhostx_inflight_ring) + \
	STATE_RING_MAX * sizeof(struct vhostx_inflight_packed_desc) + STATE_WORDS(STATE_RING_MAX), STATE_PAGE)
#define STATE_STRIDE (STATE_JOURNAL + STATE_RECORD)
#define STATE_SIZE (STATE_BEGIN + STATE_RINGS * STATE_STRIDE)

struct vhostx_state {
	int fd;                  /* holds the lock */
	struct vhostx_map *map;
	struct state_file *file; /* in this process */
	char name[PATH_MAX];     /* of the file */
};

/* FNV-1a, 64 bits: nothing more is asked of it than to differ for different sockets. */
static uint64_t
state_hash(const char *path)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *path != '\0'; path++)
		hash = (hash ^ (uint8_t)*path) * UINT64_C(0x100000001b3);
	return hash;
}

/* The socket's path, from the root. @return false if that is too long. */
static bool
state_absolute(const char *path, char *out, size_t len)
{
	char cwd[PATH_MAX] = "";

	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
		return false;
	return (size_t)snprintf(out, len, "%s%s%s", cwd, path[0] != '/' ? "/" : "", path) < len;
}

/* Is the open file the one behind the name, and nobody else's? */
static int
state_check(int fd, const char *name, const char **why)
{
	struct stat file, named;

	if (fstat(fd, &file) != 0 || stat(name, &named) != 0)
		return -errno;
	if (file.st_dev != named.st_dev || file.st_ino != named.st_ino)
		return -ENOENT;
	if (S_ISREG(file.st_mode) && file.st_nlink == 1 && file.st_uid == geteuid() && (file.st_mode & 077) == 0)
		return 0;
	*why = "the state file is not this user's alone; remove it, or give another state-dir";
	return -EPERM;
}

/* Open and lock. The last process may remove the file between the two: then there is a new one. */
static int
state_lock(const char *name, bool make, int *out, const char **why)
{
	int fd, ret;

	do {
		fd = open(name, O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == ENOENT && !make)
			return -ENOENT;
		if (fd < 0) {
			*why = "the state file cannot be opened; give a state-dir that this user may write to";
			return -errno;
		}
		ret = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno;
		if (ret == -EWOULDBLOCK) {
			*why = "another process has the state file; two ports cannot have one socket";
			ret = -EBUSY;
		}
		if (ret == 0)
			ret = state_check(fd, name, why);
		if (ret != 0)
			close(fd);
	} while (ret == -ENOENT);
	*out = fd;
	return ret;
}

/* Lay a new file out, or one that was left half laid out or that is another socket's. */
static int
state_layout(int fd, const char *path, struct vhostx_map **map, const char **why)
{
	struct state_header *header;
	struct state_file *file;
	struct stat st;
	int ret;

	*why = "the state file cannot be laid out";
	if (fstat(fd, &st) != 0)
		return -errno;
	if ((uint64_t)st.st_size != STATE_SIZE &&
			(ftruncate(fd, 0) != 0 || ftruncate(fd, STATE_SIZE) != 0))
		return -errno;
	/* A page that the file system cannot give would raise SIGBUS when it is touched. */
	if (posix_fallocate(fd, 0, STATE_BEGIN) != 0) {
		*why = "there is no room for the state file; give another state-dir";
		return -ENOSPC;
	}
	ret = vhostx_map_file(fd, 0, STATE_SIZE, map, why);
	if (ret != 0)
		return ret;
	file = vhostx_map_va(*map);
	header = &file->header;
	if (header->magic == STATE_MAGIC && strncmp(header->path, path, sizeof(header->path)) == 0)
		return 0;
	header->magic = 0;
	rte_compiler_barrier();
	memset(file->ring, 0, sizeof(file->ring));
	memset(&header->guest, 0, sizeof(header->guest));
	snprintf(header->path, sizeof(header->path), "%s", path);
	rte_compiler_barrier();
	header->magic = STATE_MAGIC;
	return 0;
}

bool
vhostx_state_is_memory(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int
vhostx_state_open(const char *dir, const char *path, bool make, struct vhostx_state **out, const char **why)
{
	char absolute[sizeof(((struct state_header *)0)->path)];
	struct vhostx_state *state;
	int ret;

	if (!vhostx_state_is_memory(dir)) {
		*why = "state-dir is not a folder on a memory file system; give one on tmpfs, like /dev/shm";
		return -ENOTSUP;
	}
	*why = "the name of the socket or of the state file is too long";
	if (!state_absolute(path, absolute, sizeof(absolute)))
		return -ENAMETOOLONG;
	state = calloc(1, sizeof(*state));
	if (state == NULL) {
		*why = "out of memory";
		return -ENOMEM;
	}
	ret = snprintf(state->name, sizeof(state->name), "%s/vhostx-%016llx", dir,
		(unsigned long long)state_hash(absolute)) < (int)sizeof(state->name) ? 0 : -ENAMETOOLONG;
	if (ret == 0)
		ret = state_lock(state->name, make, &state->fd, why);
	if (ret != 0)
		goto free_state;
	ret = state_layout(state->fd, absolute, &state->map, why);
	if (ret != 0)
		goto close_file;
	state->file = vhostx_map_va(state->map);
	*out = state;
	return 0;

close_file:
	if (state->map != NULL)
		vhostx_map_put(state->map);
	close(state->fd);
free_state:
	free(state);
	return ret;
}

/* Bytes of what is kept of a ring: all that is ever written of it, for which memory is set aside. */
static uint64_t
state_bytes(enum vhostx_state_kind kind, uint32_t size)
{
	if (kind == VHOSTX_STATE_JOURNAL)
		return sizeof(struct vhostx_journal) + STATE_WORDS(size);
	if (kind == VHOSTX_STATE_RECORD_PACKED)
		return vhostx_inflight_size(1, size, true) + STATE_WORDS(size);
	return vhostx_inflight_size(1, size, false);
}

void *
vhostx_state_room(struct vhostx_state *state, uint16_t idx, enum vhostx_state_kind kind, uint32_t size)
{
	const bool journal = kind == VHOSTX_STATE_JOURNAL;
	const uint64_t at = STATE_BEGIN + idx * STATE_STRIDE + (journal ? 0 : STATE_JOURNAL);

	if (posix_fallocate(state->fd, at, state_bytes(kind, size)) != 0)
		return NULL;
	return RTE_PTR_ADD(state->file, at);
}

/* The same ring in the same memory? */
static bool
ident_equal(const struct vhostx_state_ident *a, const struct vhostx_state_ident *b)
{
	return vhostx_place_equal(&a->desc, &b->desc) && vhostx_place_equal(&a->driver, &b->driver) &&
		vhostx_place_equal(&a->device, &b->device) && a->size == b->size && a->kind == b->kind;
}

bool
vhostx_state_is_bound_at(const struct vhostx_state *state, uint16_t idx,
	const struct vhostx_state_ident *ident, uint32_t *base)
{
	const struct state_ring *ring = &state->file->ring[idx];
	const uint32_t bound = ring->bound;

	if ((bound != 1 && bound != 2) || !ident_equal(&ring->ident[bound - 1], ident))
		return false;
	*base = ring->ident[bound - 1].base;
	return true;
}

bool
vhostx_state_is_bound(const struct vhostx_state *state, uint16_t idx,
	const struct vhostx_state_ident *ident)
{
	uint32_t base;

	return vhostx_state_is_bound_at(state, idx, ident, &base) && base == ident->base;
}

void
vhostx_state_bind(struct vhostx_state *state, uint16_t idx, const struct vhostx_state_ident *ident)
{
	struct state_ring *ring = &state->file->ring[idx];
	const uint32_t next = ring->bound == 1 ? 2 : 1;

	ring->ident[next - 1] = *ident;
	rte_compiler_barrier();
	__atomic_store_n(&ring->bound, next, __ATOMIC_RELAXED);
	rte_compiler_barrier();
}

void
vhostx_state_unbind(struct vhostx_state *state, uint16_t idx)
{
	__atomic_store_n(&state->file->ring[idx].bound, 0, __ATOMIC_RELAXED);
	rte_compiler_barrier();
}

struct vhostx_state_guest
vhostx_state_guest(const struct vhostx_state *state)
{
	return state->file->header.guest;
}

/* A process that is killed in between leaves no guest. */
void
vhostx_state_set_guest(struct vhostx_state *state, const struct vhostx_state_guest *guest)
{
	struct vhostx_state_guest *kept = &state->file->header.guest;

	__atomic_store_n(&kept->features, 0, __ATOMIC_RELAXED);
	rte_compiler_barrier();
	kept->pid = guest->pid;
	kept->since = guest->since;
	rte_compiler_barrier();
	__atomic_store_n(&kept->features, guest->features, __ATOMIC_RELAXED);
}

void
vhostx_state_close(struct vhostx_state *state)
{
	const char *why;
	bool bound;

	if (state == NULL)
		return;
	bound = vhostx_state_guest(state).features != 0;
	for (uint16_t i = 0; i < STATE_RINGS; i++)
		bound = bound || state->file->ring[i].bound != 0;
	if (!bound && state_check(state->fd, state->name, &why) == 0)
		unlink(state->name);
	vhostx_map_put(state->map);
	close(state->fd);
	free(state);
}
