/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The driver (guest) side of a virtqueue, split and packed behind one interface, written from the
 * virtio 1.3 specification for tests: strict about what the device answers, and with raw access for
 * tests that play a hostile guest.
 */
#ifndef GUEST_RING_H
#define GUEST_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest_mem.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "virtio is little-endian, and so must be the machine that runs these tests"
#endif

/** Descriptor flags (virtio 1.3, 2.7.5 and 2.8.1). */
#define GUEST_DESC_NEXT     0x0001
#define GUEST_DESC_WRITE    0x0002
#define GUEST_DESC_INDIRECT 0x0004
#define GUEST_DESC_AVAIL    0x0080 /**< packed only */
#define GUEST_DESC_USED     0x8000 /**< packed only */

/** Flags of a packed event suppression area (virtio 1.3, 2.8.10). */
#define GUEST_EVENT_ENABLE  0
#define GUEST_EVENT_DISABLE 1
#define GUEST_EVENT_DESC    2

/** What a packed driver puts into id fields that the device must ignore. */
#define GUEST_ID_IGNORED 0xdead

/** Largest queue of either format (virtio 1.3, 2.7 and 2.8.10.1). */
#define GUEST_RING_MAX 32768

/** The two layouts. */
enum guest_format {
	GUEST_SPLIT,
	GUEST_PACKED,
};

/** One descriptor in neither format's order. */
struct guest_desc {
	uint64_t addr;    /**< gpa */
	uint32_t len;     /**< bytes */
	uint16_t flags;   /**< GUEST_DESC_*, AVAIL and USED as they stand in memory */
	uint16_t id_next; /**< split: next; packed: buffer id */
};

/** One piece of a buffer. */
struct guest_seg {
	uint64_t gpa;  /**< first byte */
	uint32_t len;  /**< bytes */
	bool writable; /**< by the device */
};

/** What the driver remembers of a buffer, by id. */
struct guest_chain {
	struct guest_seg *seg; /**< [nseg] as given; kept until the id is used again */
	uint32_t nseg;         /**< pieces */
	uint32_t ndesc;        /**< descriptors taken from the ring: nseg, or 1 if indirect */
	uint16_t head;         /**< ring slot of its first descriptor */
	uint64_t writable;     /**< bytes of all writable pieces */
	bool out;              /**< made available (or about to be) and not yet used */
};

/** How to set a ring up. */
struct guest_ring_conf {
	enum guest_format format;
	uint16_t size;       /**< entries; the caller sees to a power of two for split */
	bool event_idx;      /**< VIRTIO_F_EVENT_IDX negotiated */
	bool in_order;       /**< VIRTIO_F_IN_ORDER negotiated */
	/**
	 * Where to start, as in vhost-user SET_VRING_BASE: split, the index; packed, bits 0-14
	 * available index, 15 its wrap counter, 16-30 used index, 31 its wrap counter.
	 */
	uint32_t base;
	unsigned int region; /**< where the areas are allocated, unless desc_gpa etc. are given */
	bool placed;         /**< the three addresses are given */
	uint64_t desc_gpa;   /**< descriptor table or ring, 16-aligned */
	uint64_t driver_gpa; /**< available ring, or driver event suppression */
	uint64_t device_gpa; /**< used ring, or device event suppression */
};

/** A fresh packed ring: both indices 0, both wrap counters 1 (virtio 1.3, 2.8.1). */
#define GUEST_PACKED_BASE 0x80008000u

/** How often the device is to signal. */
enum guest_calls {
	GUEST_CALLS_OFF,
	GUEST_CALLS_ON,
	GUEST_CALLS_AT, /**< when a position is passed, with event_idx only */
};

struct guest_ring;

/** What differs between the formats; called by guest_ring.c only. */
struct guest_ring_ops {
	/** Write first positions and flags into zeroed areas. */
	void (*init)(struct guest_ring *ring);
	/** Write the descriptors of @a chain, its id chosen. @return id. */
	uint16_t (*add)(struct guest_ring *ring, const struct guest_desc *desc, uint32_t ndesc);
	/** Show everything added to the device. @return whether it wants a kick. */
	bool (*publish)(struct guest_ring *ring);
	/** Look at the next used element. @return how many buffers are used at most, 0: none. */
	uint32_t (*peek_used)(struct guest_ring *ring, uint32_t *id, uint32_t *len);
	/** Step over the used buffer @a id and take its descriptors and id back. */
	void (*retire)(struct guest_ring *ring, uint16_t id);
	/** Ask for calls, see guest_ring_calls() and guest_ring_call_at(). */
	void (*calls)(struct guest_ring *ring, enum guest_calls mode, uint16_t ahead);
	/** The ring slot of descriptor @a k of a buffer. */
	uint16_t (*slot)(const struct guest_ring *ring, uint16_t id, uint32_t k);
	/** Read entry @a i of a table at @a table. */
	void (*read)(const void *table, uint32_t i, struct guest_desc *desc);
	/** Write entry @a i of a table at @a table. */
	void (*write)(void *table, uint32_t i, const struct guest_desc *desc);
	/** The position for guest_ring_base(). */
	uint32_t (*base)(const struct guest_ring *ring);
};

/** A batch of in-order buffers that one used element stands for. */
struct guest_batch {
	uint32_t left; /**< buffers not yet handed out */
	uint16_t last; /**< id that the element named */
	uint32_t len;  /**< length that the element said, for the last one */
};

/** One virtqueue. */
struct guest_ring {
	const struct guest_ring_ops *ops;
	struct guest_mem *mem;
	struct guest_ring_conf conf;  /**< as given, addresses filled in */
	void *desc;                   /**< the three areas in this process */
	void *driver;
	void *device;
	struct guest_chain *chain;    /**< [size] by id */
	uint16_t *next;               /**< [size] split: private links; packed: stack of free ids */
	uint16_t *order;              /**< [size] ids in the order of guest_ring_add(), a ring */
	uint32_t order_head;          /**< next to leave order, free running */
	uint32_t order_tail;          /**< next to enter order, free running */
	uint32_t nr_free;             /**< descriptors */
	uint32_t nr_out;              /**< buffers published and not yet used */
	uint32_t nr_added;            /**< buffers added and not yet published */
	uint32_t desc_added;          /**< descriptors of those */
	uint16_t free_head;           /**< split: first free descriptor; packed: free ids */
	uint16_t avail;               /**< next available position */
	uint16_t used;                /**< next used position */
	bool avail_wrap;              /**< packed: the driver's ring wrap counter */
	bool used_wrap;               /**< packed: the wrap counter of the used position */
	uint16_t pending;             /**< packed: first slot whose flags publish will set */
	struct guest_batch batch;     /**< in order: see struct */
};

/**
 * Set a ring up in zeroed guest memory.
 * @return 0, -EINVAL (size), -EFAULT (an area is not in one region), -ENOMEM.
 */
int guest_ring_init(struct guest_ring *ring, struct guest_mem *mem,
	const struct guest_ring_conf *conf);

/** Free what the driver side allocated; the guest memory stays. */
void guest_ring_fini(struct guest_ring *ring);

/** Bytes of the three areas for a format and size. */
void guest_ring_areas(enum guest_format format, uint32_t size, uint64_t *desc, uint64_t *driver,
	uint64_t *device);

/**
 * Add a buffer of @a nseg pieces, written as given (a good driver puts writable pieces last), each a
 * descriptor of the ring. The device sees it after guest_ring_publish().
 * @return its id, -ENOSPC, -EINVAL (no piece), -ENOMEM.
 */
int guest_ring_add(struct guest_ring *ring, const struct guest_seg *seg, uint32_t nseg);

/**
 * As guest_ring_add(), through one indirect descriptor and a table at @a table_gpa, which may cross
 * regions. @return also -EFAULT if the table is not in guest memory.
 */
int guest_ring_add_indirect(struct guest_ring *ring, const struct guest_seg *seg, uint32_t nseg,
	uint64_t table_gpa);

/** Make all that was added available. @return whether the device asks for a kick (2.7.10, 2.8.21). */
bool guest_ring_publish(struct guest_ring *ring);

/** @return descriptors that can be added now. */
uint32_t guest_ring_free(const struct guest_ring *ring);

/**
 * Take one used buffer back. With in_order one element may stand for a batch; the buffers before the
 * last are reported as used completely (virtio 1.3, 2.7.9 and 2.8.9).
 *
 * @return 1; 0 if there is none; -ENOENT: the id is not out; -EMSGSIZE: @a len is more than the
 *   buffer's writable bytes; -EPROTO: more used than made available, or out of order. After an error
 *   nothing moves.
 */
int guest_ring_get_used(struct guest_ring *ring, uint16_t *id, uint32_t *len);

/**
 * Ask the device to signal used buffers, or not to. A split ring with event_idx can ask for the next one
 * only, so ask again after each; "not" is then a position that is 65535 buffers away.
 */
void guest_ring_calls(struct guest_ring *ring, bool on);

/**
 * With event_idx: ask for a call when @a ahead further elements (split) or descriptors (packed, less
 * than the size) were used and then one more; 0 is the very next.
 */
void guest_ring_call_at(struct guest_ring *ring, uint16_t ahead);

/** The position in the form of guest_ring_conf.base; that of a device that has used all. */
uint32_t guest_ring_base(const struct guest_ring *ring);

/** Raw: the ring slot of descriptor @a k of buffer @a id. */
uint16_t guest_ring_slot(const struct guest_ring *ring, uint16_t id, uint32_t k);

/** Raw: read a descriptor of the ring. */
struct guest_desc guest_ring_peek(const struct guest_ring *ring, uint16_t slot);

/**
 * Raw: write a descriptor of the ring, all fields. A packed ring's publish sets AVAIL and USED of the
 * first descriptor added since the last publish, and leaves its other flags.
 */
void guest_ring_poke(struct guest_ring *ring, uint16_t slot, const struct guest_desc *desc);

/** Raw: write entry @a i of an indirect table in the ring's format. @return 0, or -EFAULT. */
int guest_ring_poke_table(struct guest_ring *ring, uint64_t table_gpa, uint32_t i,
	const struct guest_desc *desc);

/** Raw, split: entry @a pos (modulo size) of the available ring. */
void guest_ring_poke_avail(struct guest_ring *ring, uint16_t pos, uint16_t head);

/** Raw, split: the available index; the driver's own stays. */
void guest_ring_poke_avail_idx(struct guest_ring *ring, uint16_t idx);

/**
 * Raw: what the driver says on calls. Split: used_event (if event_idx) and the available ring's flags;
 * packed: the offset with wrap bit, and the flags.
 */
void guest_ring_poke_event(struct guest_ring *ring, uint16_t event, uint16_t flags);

/** The operations of split rings. */
extern const struct guest_ring_ops guest_split_ops;

/** The operations of packed rings. */
extern const struct guest_ring_ops guest_packed_ops;

/** @return whether moving an index from @a old to @a now passes @a event (virtio 1.3, 2.7.10.1). */
static inline bool
guest_need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

#endif /* GUEST_RING_H */
