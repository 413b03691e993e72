/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What both ring formats share: the cursors, the arrays of fetched chains, the walk over a chain's
 * buffers, and the contract that split.h and packed.h keep.
 */
#ifndef VHOSTX_RING_VQ_H
#define VHOSTX_RING_VQ_H

#include <linux/virtio_net.h>

#include <rte_common.h>
#include <rte_prefetch.h>
#include <rte_spinlock.h>

#include "iommu.h"
#include "queue.h"

/*
 * Memory orderings. Cold: the holder of the port mutex. Guest: the driver of the ring.
 *
 * |   | written                       | read                           | without it                     |
 * |---|-------------------------------|--------------------------------|--------------------------------|
 * | A | bursts odd (burst), then snap | snap = NULL (cold), then       | both miss each other: memory   |
 * |   | is read; compiler barrier     | bursts; membarrier between     | is unmapped under a burst      |
 * | B | snap (cold), release          | snap (burst), acquire          | a snapshot is read half built  |
 * | C | bursts even (burst), release  | bursts (cold), acquire         | cursors are read too early     |
 * | D | avail idx or flags (guest),   | the same (fetch), acquire      | a descriptor is read before    |
 * |   | release                       |                                | the guest has written it       |
 * | E | used idx or flags (complete), | the same (guest), acquire      | the guest reads a buffer that  |
 * |   | release                       |                                | is not written yet             |
 * | F | used idx or flags (complete), | used_event or flags (notify);  | both sides sleep: the guest    |
 * |   | full fence                    | the guest does the reverse     | waits for a call nobody sends  |
 * | G | intr (poller), full fence,    | snap published (cold), full    | a poller sleeps on a ring that |
 * |   | then snap is read             | fence, then intr is read       | came up while it fell asleep   |
 * | H | our wish for kicks (poller),  | avail idx or flags;            | both sides sleep: the host     |
 * |   | full fence                    | the guest does the reverse     | waits for a kick nobody sends  |
 * | I | visitors (visit), then snap   | snap = NULL (cold), then       | as A, for threads that look at |
 * |   | is read; full fence. Release  | visitors, acquire; membarrier  | a queue that another one polls |
 * |   | at the end                    | between                        |                                |
 * | J | guest memory (burst), full    | the log's bits (burst); the    | a page that changes while it   |
 * |   | fence                         | front-end does the reverse     | is copied is not copied again  |
 * | K | state of a zero-copy slot     | the same (reap), acquire       | the guest gets a buffer back   |
 * |   | (last free), release          |                                | that is still being read       |
 * | L | slots out (lend), then tell   | tell = true (cold), then slots | both miss each other: a slot   |
 * |   | is read; compiler barrier     | out; membarrier between        | is given back by nobody        |
 * | M | seq odd (cold), then entries  | seq before and after entries   | an entry of the IOTLB is read  |
 * |   | of the IOTLB, then seq even   | of the IOTLB (any thread)      | half changed                   |
 * | N | bursts odd (burst), then the  | the IOTLB less an entry (cold),| both miss each other: a page   |
 * |   | IOTLB is read; compiler       | then bursts; membarrier        | is used that the guest has     |
 * |   | barrier                       | between                        | taken back                     |
 * | O | pages that could not be asked | fresh (cold), acquire, then    | a page is not asked for ahead  |
 * |   | for (burst), then fresh,      | these pages                    | of its turn                    |
 * |   | release                       |                                |                                |
 * | P | when a slot was lent (lend),  | its state (who asks), acquire, | a slot seems to be out since   |
 * |   | then its state, release       | then when it was lent          | its last time                  |
 */

/** Chains that one fetch looks at, at most. */
#define VHOSTX_CHAINS 256u
/** Segments beyond the first that the chains of one fetch have together, at most. */
#define VHOSTX_SPILL 512u

/** The cursors of a ring: the poller's while a snapshot is published, else the cold side's. */
struct vhostx_ring {
	uint16_t last_avail;  /**< next entry to fetch: split a running index, packed a slot */
	uint16_t last_used;   /**< next entry to write back, likewise */
	bool avail_wrap;      /**< packed: wrap counter at last_avail */
	bool used_wrap;       /**< packed: wrap counter at last_used */
	bool fresh;           /**< nothing was fetched since base was set */
	bool signalled_valid; /**< signalled means something */
	uint16_t signalled;   /**< last_used when interrupts were last considered */
	uint32_t unsignalled; /**< packed: slots given back since then */
	uint16_t fault;       /**< enum vhostx_cause that stopped the ring, or VHOSTX_NO_CAUSE */
	uint16_t seen;        /**< split: the guest's index when it was last looked at */
	uint32_t hint;        /**< region where the last address was found */
	uint64_t counter;     /**< chains that were noted in the in-flight record */
	int64_t base;         /**< cold: payload of SET_VRING_BASE; -1: the ring's own beginning */
	rte_spinlock_t lock;  /**< between pollers, taken if the snapshot is shared */
	struct vhostx_iommu_ring iommu; /**< behind an IOMMU: what was found last, and what is missing */
} __rte_cache_aligned;

/** The ring cannot be trusted any more. The control thread reads this while the poller has the ring. */
static inline void
vhostx_ring_stop(struct vhostx_ring *ring, enum vhostx_cause cause)
{
	__atomic_store_n(&ring->fault, (uint16_t)cause, __ATOMIC_RELAXED);
}

/** A piece of a buffer that is contiguous in this process. */
struct vhostx_seg {
	uint8_t *va;
	uint32_t len; /**< bytes, at least 1 */
};

/** A chain as fetched: copied from the ring once, translated, bounded. Also its used record. */
struct vhostx_chain {
	uint8_t *va;         /**< first segment; undefined if total is 0 */
	uint32_t len;        /**< bytes of the first segment */
	uint32_t total;      /**< bytes of all segments */
	union {
		struct {
			uint32_t id;       /**< head (split) or buffer id (packed), 16 bits */
			uint32_t used_len; /**< what complete reports: bytes written; set by move */
		};
		uint64_t elem; /**< both, as struct vring_used_elem has them */
	};
	union {
		struct {
			uint16_t nspill; /**< segments beyond the first */
			uint16_t fault;  /**< enum vhostx_cause; the segments are unusable unless NO_CAUSE */
			union {
				uint16_t spill; /**< index of its second segment in the spill array */
				uint16_t entry; /**< once it was noted: where the in-flight record has it */
			};
			uint16_t ndesc;  /**< descriptors of the ring, or of a split ring's table, that it takes */
		};
		uint64_t shape; /**< all of these; the common chain has VHOSTX_SINGLE */
	};
};

/** One descriptor, one segment, no fault. */
#define VHOSTX_SINGLE ((uint64_t)1 << 48)

/** What one fetch found. */
struct vhostx_batch {
	uint32_t nspill; /**< entries of spill that are taken */
	bool full;       /**< the next chain did not fit in what was left of spill */
	bool plain;      /**< every chain has VHOSTX_SINGLE */
	struct vhostx_chain chain[VHOSTX_CHAINS];
	struct vhostx_seg spill[VHOSTX_SPILL];
};

/** A descriptor of either format, copied from guest memory exactly once. */
struct vhostx_desc {
	uint64_t addr;  /**< guest-physical, or behind an IOMMU of its device's own space */
	uint32_t len;   /**< bytes */
	uint16_t flags; /**< VRING_DESC_F_* */
	uint16_t tag;   /**< next (split) or buffer id (packed) */
};

/*
 * The contract of split.h and packed.h; FMT is split or packed:
 *
 * uint16_t FMT_fetch(snap, batch, want, dir, load): look at up to want chains from last_avail on, without taking
 *   them; returns how many are in batch. dir is the VRING_DESC_F_WRITE bit that each buffer must
 *   have. load: begin to load the buffers of common chains; else the caller does it, a few at a time. A chain
 *   that is wrong is returned with its fault; a ring that is wrong sets ring->fault and ends the batch before the
 *   entry that cannot be trusted. A chain of which the IOTLB misses a part ends the batch before it; the front-end
 *   is asked for it.
 * void FMT_take(snap, batch, n): the first n chains of the batch are ours: advance last_avail.
 * void FMT_complete(snap, chain, n): give n chains back, in this order, with their id, ndesc and
 *   used_len; one release store publishes all (letter E). Packed has a hint: plain, as in the batch.
 * void FMT_complete_unwritten(snap, chain, n): the same for chains that were taken in this order, all that are
 *   out, with a used_len of 0; if the ring is in order one entry, the last chain's, stands for all.
 * bool FMT_wants_call(snap): does the guest want an interrupt for what was completed since the
 *   last answer (letter F, the fence is the caller's)?
 */

/** Bytes at any address. */
struct vhostx_word {
	uint64_t v;
} __attribute__((packed, may_alias));
struct vhostx_half {
	uint32_t v;
} __attribute__((packed, may_alias));
struct vhostx_quarter {
	uint16_t v;
} __attribute__((packed, may_alias));

/** Read 8 bytes of guest memory once, whatever their alignment. */
static __rte_always_inline uint64_t
vhostx_load64(const void *p)
{
	return ((const volatile struct vhostx_word *)p)->v;
}

/** The same for 4 bytes. */
static __rte_always_inline uint32_t
vhostx_load32(const void *p)
{
	return ((const volatile struct vhostx_half *)p)->v;
}

/** Write 8, 4 or 2 bytes of guest memory once, whatever their alignment. */
static __rte_always_inline void
vhostx_store64(void *p, uint64_t v)
{
	((volatile struct vhostx_word *)p)->v = v;
}

static __rte_always_inline void
vhostx_store32(void *p, uint32_t v)
{
	((volatile struct vhostx_half *)p)->v = v;
}

static __rte_always_inline void
vhostx_store16(void *p, uint16_t v)
{
	((volatile struct vhostx_quarter *)p)->v = v;
}

/** The descriptor in two words of memory, little-endian as virtio 1 has it. */
static __rte_always_inline struct vhostx_desc
vhostx_desc_of(uint64_t addr, uint64_t rest, bool packed)
{
	struct vhostx_desc d = {
		.addr = addr,
		.len = (uint32_t)rest,
		.flags = packed ? rest >> 48 : rest >> 32,
		.tag = packed ? rest >> 32 : rest >> 48,
	};
	return d;
}

/** Begin a chain of one descriptor and no fault. Its buffers are not looked at yet. */
static __rte_always_inline void
vhostx_chain_init(struct vhostx_chain *c, uint16_t id)
{
	c->elem = id;
	c->shape = VHOSTX_SINGLE;
}

/** Begin the general walk over the buffers of a chain. */
static __rte_always_inline void
vhostx_chain_walk(const struct vhostx_batch *b, struct vhostx_chain *c)
{
	c->len = 0;
	c->total = 0;
	c->spill = b->nspill;
}

/**
 * Where the guest's address @a addr is, and how many bytes follow there.
 * @param dir  VRING_DESC_F_WRITE if the device is to write there, else 0.
 * @return the fault, or VHOSTX_NO_CAUSE.
 */
static inline enum vhostx_cause
vhostx_guest_va(const struct vhostx_snapshot *s, uint64_t addr, uint16_t dir, uint8_t **va, uint64_t *run)
{
	if (unlikely(s->iotlb != NULL))
		return vhostx_iommu_va(s, addr, dir, va, run);
	*va = vhostx_mem_va(s->mem, &s->ring->hint, addr, run);
	return likely(*va != NULL) ? VHOSTX_NO_CAUSE : VHOSTX_BAD_ADDRESS;
}

/** Append @a len bytes at @a va. @return false if the spill array is full. */
static __rte_always_inline bool
vhostx_chain_append(struct vhostx_batch *b, struct vhostx_chain *c, uint8_t *va, uint32_t len)
{
	if (c->total == 0) {
		c->va = va;
		c->len = len;
	} else {
		if (unlikely(b->nspill == VHOSTX_SPILL))
			return false;
		b->spill[b->nspill++] = (struct vhostx_seg){ .va = va, .len = len };
		c->nspill++;
	}
	c->total += len;
	return true;
}

/**
 * Append a buffer of the guest, in as many pieces as it lies in regions.
 * @return the fault, or VHOSTX_NO_CAUSE. VHOSTX_BAD_CHAIN means that the spill array is full.
 */
static inline enum vhostx_cause
vhostx_chain_add(const struct vhostx_snapshot *s, struct vhostx_batch *b, struct vhostx_chain *c,
	const struct vhostx_desc *d, uint16_t dir)
{
	uint64_t addr = d->addr;
	uint32_t left = d->len;

	if (unlikely(left > UINT32_MAX - c->total))
		return VHOSTX_BAD_LENGTH;
	while (left != 0) {
		enum vhostx_cause fault;
		uint32_t part;
		uint64_t run;
		uint8_t *va;

		fault = vhostx_guest_va(s, addr, dir, &va, &run);
		if (unlikely(fault != VHOSTX_NO_CAUSE))
			return fault;
		part = RTE_MIN((uint64_t)left, run);
		if (unlikely(!vhostx_chain_append(b, c, va, part)))
			return VHOSTX_BAD_CHAIN;
		addr += part;
		left -= part;
	}
	return VHOSTX_NO_CAUSE;
}

/** Append the buffer of a descriptor that is not a table, if its direction is @a dir. */
static inline enum vhostx_cause
vhostx_chain_add_buffer(const struct vhostx_snapshot *s, struct vhostx_batch *b,
	struct vhostx_chain *c, const struct vhostx_desc *d, uint16_t dir)
{
	if (unlikely((d->flags & VRING_DESC_F_WRITE) != dir))
		return VHOSTX_BAD_DIRECTION;
	return vhostx_chain_add(s, b, c, d, dir);
}

/** Copy one descriptor of an indirect table, which may cross regions. @return as vhostx_guest_va(). */
static inline enum vhostx_cause
vhostx_table_read(const struct vhostx_snapshot *s, uint64_t addr, struct vhostx_desc *d)
{
	const bool packed = s->format == VHOSTX_PACKED;
	uint8_t copy[sizeof(struct vring_desc)];
	enum vhostx_cause fault;
	uint64_t run;
	uint8_t *va;

	fault = vhostx_guest_va(s, addr, 0, &va, &run);
	if (likely(fault == VHOSTX_NO_CAUSE && run >= sizeof(copy))) {
		*d = vhostx_desc_of(vhostx_load64(va), vhostx_load64(va + 8), packed);
		return VHOSTX_NO_CAUSE;
	}
	for (uint32_t i = 0; i < sizeof(copy); i++) {
		fault = vhostx_guest_va(s, addr + i, 0, &va, &run);
		if (fault != VHOSTX_NO_CAUSE)
			return fault;
		copy[i] = *(const volatile uint8_t *)va;
	}
	*d = vhostx_desc_of(vhostx_load64(copy), vhostx_load64(copy + 8), packed);
	return VHOSTX_NO_CAUSE;
}

/** Where the ring's last address was found: while the walk finds nothing else, buffers are there too. */
static __rte_always_inline struct vhostx_range
vhostx_range_hint(const struct vhostx_snapshot *s, uint16_t dir)
{
	if (unlikely(s->iotlb != NULL))
		return vhostx_iommu_range(s, dir);
	return s->mem->range[s->ring->hint];
}

/** Where @a len bytes at @a addr are, if @a range has all of them; else NULL. */
static __rte_always_inline uint8_t *
vhostx_range_va(const struct vhostx_range *range, uint64_t addr, uint32_t len)
{
	const uint64_t off = addr - range->gpa;

	if (unlikely(off >= range->size || len > range->size - off))
		return NULL;
	return range->va + off;
}

/**
 * Append a buffer that is in @a range and is not the first one: what most of a table names.
 * @return false if the general way has to look at it.
 */
static __rte_always_inline bool
vhostx_chain_add_near(const struct vhostx_range *range, struct vhostx_batch *b, struct vhostx_chain *c,
	const struct vhostx_desc *d)
{
	uint8_t *va = vhostx_range_va(range, d->addr, d->len);

	if (unlikely(va == NULL || d->len == 0 || c->total == 0 || d->len > UINT32_MAX - c->total))
		return false;
	return vhostx_chain_append(b, c, va, d->len);
}

/**
 * Append the buffers of the indirect table that @a t names (virtio 1.3, 2.7.5.3 and 2.8.7): linked by
 * next if split, one after the other if packed.
 */
static __rte_noinline enum vhostx_cause
vhostx_chain_add_table(const struct vhostx_snapshot *s, struct vhostx_batch *b,
	struct vhostx_chain *c, const struct vhostx_desc *t, uint16_t dir)
{
	/* Behind an IOMMU no range has both table and buffers. */
	const struct vhostx_range range = s->iotlb == NULL ? vhostx_range_hint(s, dir) : (struct vhostx_range){ 0 };
	const uint8_t *const near = vhostx_range_va(&range, t->addr, t->len);
	const uint32_t entries = t->len / sizeof(struct vring_desc);
	const bool packed = s->format == VHOSTX_PACKED;
	enum vhostx_cause fault;
	struct vhostx_desc d;
	uint32_t at = 0;

	if (!s->indirect || entries == 0 || t->len % sizeof(struct vring_desc) != 0 ||
			(t->flags & VRING_DESC_F_NEXT) != 0)
		return VHOSTX_BAD_INDIRECT;
	/* The number of steps is bounded by the ring's size: a driver may not build longer chains. */
	for (uint32_t steps = 0; steps < s->size; steps++) {
		if (likely(near != NULL)) {
			const uint8_t *desc = near + at * sizeof(struct vring_desc);

			d = vhostx_desc_of(vhostx_load64(desc), vhostx_load64(desc + 8), packed);
		} else {
			fault = vhostx_table_read(s, t->addr + at * sizeof(struct vring_desc), &d);
			if (fault != VHOSTX_NO_CAUSE)
				return fault;
		}
		/* A packed table knows one flag, WRITE; the others "are ignored by the device". */
		if ((d.flags & VRING_DESC_F_INDIRECT) != 0 && !packed)
			return VHOSTX_BAD_INDIRECT;
		/* DPDK's virtio driver marks what it transmits as writable here; reading it harms nobody. */
		if (packed && dir == 0)
			d.flags &= ~VRING_DESC_F_WRITE;
		if (unlikely((d.flags & VRING_DESC_F_WRITE) != dir || !vhostx_chain_add_near(&range, b, c, &d))) {
			fault = vhostx_chain_add_buffer(s, b, c, &d, dir);
			if (fault != VHOSTX_NO_CAUSE)
				return fault;
		}
		if (packed) {
			if (++at == entries)
				return VHOSTX_NO_CAUSE;
			continue;
		}
		if (!(d.flags & VRING_DESC_F_NEXT))
			return VHOSTX_NO_CAUSE;
		at = d.tag;
		if (at >= entries)
			return VHOSTX_BAD_CHAIN;
	}
	return VHOSTX_BAD_CHAIN;
}

/**
 * Append what one ring descriptor names, buffer or table.
 * @return as vhostx_chain_add().
 */
static inline enum vhostx_cause
vhostx_chain_add_desc(const struct vhostx_snapshot *s, struct vhostx_batch *b,
	struct vhostx_chain *c, const struct vhostx_desc *d, uint16_t dir)
{
	if (d->flags & VRING_DESC_F_INDIRECT)
		return vhostx_chain_add_table(s, b, c, d, dir);
	return vhostx_chain_add_buffer(s, b, c, d, dir);
}

/** Make @a range, and the hint, the range that has @a addr. @return false if there is none. */
static __rte_always_inline bool
vhostx_range_seek(const struct vhostx_snapshot *s, struct vhostx_range *range, uint64_t addr, uint16_t dir)
{
	uint64_t run;

	if (likely(addr - range->gpa < range->size))
		return true;
	/* Behind an IOMMU guest memory is not where the address says: that is for the general walk. */
	if (s->iotlb != NULL || vhostx_mem_va_slow(s->mem, &s->ring->hint, addr, &run) == NULL)
		return false;
	*range = vhostx_range_hint(s, dir);
	return true;
}

/**
 * Begin to load the first two lines of a chain's buffer: the virtio-net header, and what follows it. If it is to be
 * written the lines of the frame are asked for to be written, that of the header is not where it is one by itself.
 */
static __rte_always_inline void
vhostx_chain_load(const struct vhostx_chain *c, uint16_t dir)
{
	const uint8_t *va = c->va;

	if (dir != 0) {
		__builtin_prefetch(va + sizeof(struct virtio_net_hdr_mrg_rxbuf), 1, 3);
		__builtin_prefetch(va + RTE_CACHE_LINE_SIZE, 1, 3);
		__builtin_prefetch(va, 0, 3);
	} else {
		__builtin_prefetch(va, 0, 3);
		__builtin_prefetch(va + RTE_CACHE_LINE_SIZE, 0, 3);
	}
}

/**
 * The buffers of the common chain: one descriptor, which is in @a range.
 * @return false if the general walk has to look at it.
 */
static __rte_always_inline bool
vhostx_chain_single(const struct vhostx_range *range, struct vhostx_chain *c, const struct vhostx_desc *d)
{
	uint8_t *va = vhostx_range_va(range, d->addr, d->len);

	if (unlikely(va == NULL))
		return false;
	c->va = va;
	c->len = d->len;
	c->total = d->len;
	return true;
}

/**
 * Does the batch end before this chain, to be fetched again as the first one of the next? One that misses
 * an entry of the IOTLB does. One that did not fit the spill array does unless it had all of the array, as the
 * first chain of the batch: then it is too long for good.
 */
static inline bool
vhostx_chain_deferred(struct vhostx_batch *b, const struct vhostx_chain *c)
{
	if (c->fault == VHOSTX_MISS) {
		b->nspill = c->spill;
		return true;
	}
	if (c->fault != VHOSTX_BAD_CHAIN || b->nspill != VHOSTX_SPILL || c == &b->chain[0])
		return false;
	b->nspill = c->spill;
	b->full = true;
	return true;
}

/** "The driver asks for an event at index event": virtio 1.3, 2.7.10. */
static __rte_always_inline bool
vhostx_need_event(uint16_t event, uint16_t now, uint16_t before)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

#endif /* VHOSTX_RING_VQ_H */
