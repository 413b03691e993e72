/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Guest buffers as external buffers of mbufs: the table of slots, one per ring entry, from which buffers are
 * lent and to which they come back. Knows neither rings nor mbuf pools.
 */
#ifndef VHOSTX_RING_ZEROCOPY_H
#define VHOSTX_RING_ZEROCOPY_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>
#include <rte_mbuf_core.h>

#include "../mem/dma.h"
#include "../mem/region.h"

/** Bytes at the beginning of a packet that are copied, so that they can be read and changed in peace. */
#define VHOSTX_ZC_HEADER 128u
/** Bytes of the shortest packet that is lent as a whole: an Ethernet header. */
#define VHOSTX_ZC_SHORTEST 14u
/** Attached segments of one packet, at most. */
#define VHOSTX_ZC_PIECES 64u
/** Bytes of one attached segment, at most: its length has 16 bits. */
#define VHOSTX_ZC_PIECE_MAX UINT16_MAX
/** Regions that one packet may lie in. */
#define VHOSTX_ZC_REGIONS 2u
/** Instead of an index of a region: none. */
#define VHOSTX_ZC_NOWHERE UINT16_MAX
/** States that are looked at together. */
#define VHOSTX_ZC_GROUP 64u
/** Groups that one look for returned slots takes in, at most: rings of up to 1024 entries are seen whole. */
#define VHOSTX_ZC_LOOK 16u

/** Why a packet of a zero-copy ring is copied. */
enum vhostx_zc_reason {
	VHOSTX_ZC_LENT,     /**< it is not */
	VHOSTX_ZC_SHORT,    /**< below zc-threshold */
	VHOSTX_ZC_INFLIGHT, /**< more than zc-inflight of the ring is out */
	VHOSTX_ZC_SHAPE,    /**< too many pieces or regions, or an id past the ring */
	VHOSTX_ZC_LEAVING,  /**< its memory is about to go */
	VHOSTX_ZC_LOGGED,   /**< the dirty log is on */
	VHOSTX_ZC_OFFLOAD,  /**< an offload needs the bytes */
	VHOSTX_ZC_HELD,     /**< too much of the ring's earlier lives is still out */
	VHOSTX_ZC_NO_MBUF,  /**< no mbuf to attach it to */
	VHOSTX_ZC_NO_DMA,   /**< devices could not read it */
	VHOSTX_ZC_REASONS,
};

/**
 * | state | who may touch the slot                             | what moves it on                          |
 * |-------|----------------------------------------------------|-------------------------------------------|
 * | idle  | whoever has the ring: its poller or the cold side  | vhostx_zc_lend()                          |
 * | out   | whoever has one of its mbufs, through ethdev's and | the last mbuf's free, on any core: it     |
 * |       | mbuf's functions; the state: as above, reading     | writes the state and nothing else (K)     |
 * | done  | whoever has the ring                               | vhostx_zc_reap()                          |
 *
 * The state is a byte beside those of its neighbours, so that a look at all takes in 64 at once.
 */
enum vhostx_zc_state {
	VHOSTX_ZC_IDLE,
	VHOSTX_ZC_OUT,
	VHOSTX_ZC_DONE,
};

/** What belongs to one head (split) or buffer id (packed) while its buffers are lent. */
struct vhostx_zc_slot {
	struct rte_mbuf_ext_shared_info shinfo; /**< of its mbufs; fcb_opaque: its state */
	union {
		struct {
			uint16_t region[VHOSTX_ZC_REGIONS]; /**< where its buffers are, or VHOSTX_ZC_NOWHERE */
			uint16_t ndesc;                     /**< ring entries that its chain takes */
			uint16_t entry; /**< where the in-flight record has it, if there is one */
		};
		uint64_t use; /**< all of these */
	};
} __rte_aligned(32);

/** Guest memory that is lent from. */
struct vhostx_zc_region {
	uint8_t *va;            /**< first byte; with size what tells regions apart */
	uint64_t size;          /**< bytes */
	struct vhostx_map *map; /**< the reference that keeps it mapped; NULL: none, or given back */
	const struct vhostx_dma *dma; /**< where devices see it; NULL: nowhere */
	uint32_t out;           /**< slots with a buffer in it; atomic */
	bool current;           /**< in the memory that was adopted last; the cold side's */
	bool pending;           /**< being registered for devices, and copied from until then; the cold side's */
	const char *why;        /**< why it could not be registered, for the log; NULL: it is; the cold side's */
	uint8_t refusal;        /**< why nothing is lent from it: VHOSTX_ZC_LEAVING, VHOSTX_ZC_NO_DMA; 0: it is; atomic */
};

/**
 * A table belongs to one life of a ring, from its start to the message that ends it.
 *
 * | state   | who may touch it                                | what moves it on                          |
 * |---------|-------------------------------------------------|-------------------------------------------|
 * | in use  | whoever has the ring; freed mbufs, their states | the end of the ring's life                |
 * | old     | the holder of the port mutex; freed mbufs       | vhostx_zc_is_back()                       |
 * | freed   | nobody                                          |                                           |
 *
 * It holds a reference to each region that buffers of it are in, so neither snapshot nor ring nor port have
 * to be there when the last mbuf comes back.
 */
struct vhostx_zc {
	/* Written by the cold side while no poller has the ring, or before the table is used. */
	uint16_t size;                   /**< slots; 0: it lends nothing */
	uint16_t nr_groups;              /**< of states, the last one may be short */
	bool held;                       /**< copy all: too much of earlier lives is out; atomic */
	bool linear;                     /**< lend whole packets in one segment, copy no header */
	bool dma;                        /**< devices have to be able to read what is lent */
	const char *no_dma;              /**< why they never are; NULL: memory is registered for them */
	bool tell;                       /**< the cold side sleeps: tell it of the next slot; both sides, atomic, L */
	uint32_t threshold;              /**< bytes of a packet from which on it is lent */
	uint32_t limit;                  /**< ring entries that may be out */
	uint32_t nr_regions;
	uint8_t *state;                  /**< [size] enum vhostx_zc_state; atomic, K, P */
	uint8_t *out_in;                 /**< [nr_groups] slots out; whoever has the ring */
	uint32_t *since;                 /**< [size] when it was lent, in units of vhostx_zc_now(); atomic */
	struct vhostx_zc_slot *slot;     /**< [size] */
	struct vhostx_zc_region *region; /**< [nr_regions] */
	uint16_t *region_of;             /**< region of each range of the snapshot's memory */
	void *owner;                     /**< the cold side's */
	struct vhostx_zc *next;          /**< old: the cold side's list */

	/* Written by whoever has the ring. */
	uint32_t out __rte_cache_aligned; /**< slots; atomic */
	uint32_t out_entries;             /**< ring entries of those */
	uint32_t longest;                 /**< longest that a slot was out, vhostx_zc_now(); atomic */
	uint32_t polled;                  /**< what was done before that was taken back, vhostx_zc_now(); atomic */
	uint32_t lap;                     /**< when a look last came by the first group, likewise */
	uint16_t look;                    /**< group where the next look begins */
	bool copies;                      /**< the last step had nothing to lend */
} __rte_cache_aligned;

/** What a table is made with. */
struct vhostx_zc_conf {
	uint16_t size;      /**< entries of the ring */
	uint32_t threshold; /**< bytes of a packet from which on it is lent */
	uint8_t inflight;   /**< percent of the ring that may be out */
	bool linear;        /**< packets have one segment */
	bool dma;           /**< register memory for devices, and lend no other */
	const char *no_dma; /**< why none can be registered; NULL: it can */
};

/** Make a table that lends from no memory yet. @return NULL: no memory for it. */
struct vhostx_zc *vhostx_zc_create(const struct vhostx_zc_conf *conf);

/**
 * Lend from the regions of @a mem from now on, and from no other; if devices have to read it, from those that are
 * registered for that soon, the others are pending. Nobody has the ring.
 * @return 0, or -ENOMEM: nothing has changed.
 */
int vhostx_zc_adopt(struct vhostx_zc *zc, const struct vhostx_mem *mem);

/** Is any region pending? By the cold side. */
bool vhostx_zc_is_pending(const struct vhostx_zc *zc);

/** Is any of those registered by now, or refused, so that it is worth while to settle? By the cold side. */
bool vhostx_zc_has_news(const struct vhostx_zc *zc);

/** Lend from the pending regions that are registered by now. Nobody has the ring. */
void vhostx_zc_settle(struct vhostx_zc *zc);

/** Regions that nothing is lent from because devices could not read it. */
struct vhostx_zc_refused {
	uint32_t nr;     /**< how many */
	const char *why; /**< of the last one */
};

/** Those of the memory that was adopted last, unless they are pending. By the cold side. */
struct vhostx_zc_refused vhostx_zc_refused(const struct vhostx_zc *zc);

/** Lend no more from the region that begins at @a va. Any time; a burst that runs may lend once more. */
void vhostx_zc_leave(struct vhostx_zc *zc, const uint8_t *va);

/** The longest time that a slot was out, or is so far, vhostx_zc_now(). Any time. */
uint32_t vhostx_zc_longest(const struct vhostx_zc *zc);

/** Slots with buffers in regions that are leaving or left. Any time. */
uint32_t vhostx_zc_leaving(const struct vhostx_zc *zc);

/** Lend no more at all: hold no memory but that which slots are in. Nobody has the ring, or will again. */
void vhostx_zc_let_go(struct vhostx_zc *zc);

/** Give back references to regions that are not adopted any more and that no slot is in. Any time. */
void vhostx_zc_trim(struct vhostx_zc *zc);

/** Is there a slot to reap? Any time. */
bool vhostx_zc_has_done(const struct vhostx_zc *zc);

/** Of an old table: is nothing out any more, so that it can be freed? */
bool vhostx_zc_is_back(struct vhostx_zc *zc);

/** Free a table that nothing of is out, and give back its references. NULL is allowed. */
void vhostx_zc_free(struct vhostx_zc *zc);

/** The free callback of attached mbufs: @a state is the state of their slot. */
void vhostx_zc_done(void *addr, void *state);

#endif /* VHOSTX_RING_ZEROCOPY_H */
