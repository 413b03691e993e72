/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The state file: where rings were and what their guest has negotiated, in memory that outlives the process.
 * Passive: the journal of a ring is written by whoever completes chains, the rest by the cold side.
 */
#ifndef VHOSTX_MEM_STATE_H
#define VHOSTX_MEM_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "region.h"

/** No slot: evidence that a journal does not have. */
#define VHOSTX_JOURNAL_NONE UINT16_MAX

/**
 * The last batch of a packed ring as one word, so that one store replaces it. Positions are a slot and,
 * in bit 15, the wrap counter there.
 */
struct vhostx_journal_batch {
	uint16_t start; /**< where it begins; with no slots: the ring's position */
	uint16_t slots; /**< ring entries of it; 0: nothing was given back since the ring was prepared */
	uint16_t last;  /**< head of its last chain: used once the batch is given back */
	uint16_t prev;  /**< that of the batch before */
};

/** What a packed ring can be resumed by. Written by its poller, in the state file. */
struct vhostx_journal {
	uint64_t batch;  /**< struct vhostx_journal_batch; opens the batch, atomic */
	uint64_t word[]; /**< [size] second words of its entries from the second on, as they were */
};

/** What is kept of a ring in the state file. */
enum vhostx_state_kind {
	VHOSTX_STATE_NOTHING,       /**< nothing */
	VHOSTX_STATE_JOURNAL,       /**< struct vhostx_journal: of a packed ring that gives back in order */
	VHOSTX_STATE_RECORD_SPLIT,  /**< union vhostx_inflight_ring */
	VHOSTX_STATE_RECORD_PACKED, /**< the same, and a word for each entry */
};

/** What a ring is known by: the same memory of the same front-end. */
struct vhostx_state_ident {
	struct vhostx_place desc;   /**< descriptors */
	struct vhostx_place driver; /**< driver area */
	struct vhostx_place device; /**< device area */
	uint32_t size;              /**< entries */
	uint32_t base;              /**< 0 if split; what SET_VRING_BASE said: who knows no better repeats it */
	uint32_t kind;              /**< enum vhostx_state_kind */
};

/** A guest that has features which other arguments of the port do not offer. */
struct vhostx_state_guest {
	uint64_t features; /**< those; 0: there is no such guest */
	uint64_t pid;      /**< of its front-end's process */
	uint64_t since;    /**< when that began, clock ticks since the machine did */
};

/**
 * A state file that is open, and locked against other processes.
 *
 * | state of a ring | meaning                                      | what moves it on             |
 * |-----------------|----------------------------------------------|------------------------------|
 * | unbound         | the front-end knows the position             | vhostx_state_bind()          |
 * | bound           | the file alone knows it, for the identity    | vhostx_state_unbind()        |
 */
struct vhostx_state;

/**
 * Open the state file of a socket, or make it.
 *
 * @param dir   folder, on a memory file system.
 * @param path  the socket's; with it the file's name is made.
 * @param make  if there is none.
 * @param why   set to a sentence for the log on error.
 * @return 0; -ENOENT if there is none and none is to be made; -ENOTSUP if the folder is not on a memory file
 *   system; -EBUSY if another process has the file; -EPERM if it is not this user's alone; -ENOMEM; or the -errno
 *   of a system call.
 */
int vhostx_state_open(const char *dir, const char *path, bool make, struct vhostx_state **state,
	const char **why);

/** Is @a dir on a file system that never writes to a disk? false also if there is no such folder. */
bool vhostx_state_is_memory(const char *dir);

/**
 * Room for what is kept of ring @a idx, below 256, with @a size entries: each kind has its own.
 * @return NULL if the file system is full.
 */
void *vhostx_state_room(struct vhostx_state *state, uint16_t idx, enum vhostx_state_kind kind, uint32_t size);

/** Is ring @a idx bound, and to this identity? */
bool vhostx_state_is_bound(const struct vhostx_state *state, uint16_t idx,
	const struct vhostx_state_ident *ident);

/** The same, whatever the base is: that to which it is bound comes back in @a base. */
bool vhostx_state_is_bound_at(const struct vhostx_state *state, uint16_t idx,
	const struct vhostx_state_ident *ident, uint32_t *base);

/** From now on what is kept of ring @a idx counts, for this identity alone. */
void vhostx_state_bind(struct vhostx_state *state, uint16_t idx, const struct vhostx_state_ident *ident);

/** What is kept of ring @a idx counts no more. */
void vhostx_state_unbind(struct vhostx_state *state, uint16_t idx);

/** The guest that is kept. */
struct vhostx_state_guest vhostx_state_guest(const struct vhostx_state *state);

/** Keep another one, or none. */
void vhostx_state_set_guest(struct vhostx_state *state, const struct vhostx_state_guest *guest);

/** Close the file; remove it unless a ring is bound or a guest is kept. NULL is allowed. */
void vhostx_state_close(struct vhostx_state *state);

#endif /* VHOSTX_MEM_STATE_H */
