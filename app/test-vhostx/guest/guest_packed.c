/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The driver side of a packed virtqueue (virtio 1.3, 2.8).
 */
#include "guest_ring.h"

/** An entry of the descriptor ring (virtio 1.3, 2.8.13). */
struct packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id;
	uint16_t flags;
};

_Static_assert(sizeof(struct packed_desc) == 16, "virtio 1.3, 2.8.13");

#define PACKED_BOTH (GUEST_DESC_AVAIL | GUEST_DESC_USED)

static struct packed_desc *
packed_at(const struct guest_ring *ring, uint16_t slot)
{
	return (struct packed_desc *)ring->desc + slot;
}

/* AVAIL is the wrap counter, USED its inverse (virtio 1.3, 2.8.1). */
static uint16_t
packed_avail_bits(bool wrap)
{
	return wrap ? GUEST_DESC_AVAIL : GUEST_DESC_USED;
}

static uint16_t
packed_used_bits(bool wrap)
{
	return wrap ? PACKED_BOTH : 0;
}

/* Step a position by n descriptors. */
static void
packed_step(const struct guest_ring *ring, uint16_t *pos, bool *wrap, uint32_t n)
{
	uint32_t to = *pos + n;

	if (to >= ring->conf.size) {
		to -= ring->conf.size;
		*wrap = !*wrap;
	}
	*pos = (uint16_t)to;
}

static void
packed_read(const void *table, uint32_t i, struct guest_desc *desc)
{
	const struct packed_desc *d = (const struct packed_desc *)table + i;

	desc->addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
	desc->len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	desc->id_next = __atomic_load_n(&d->id, __ATOMIC_RELAXED);
	desc->flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
}

static void
packed_write(void *table, uint32_t i, const struct guest_desc *desc)
{
	struct packed_desc *d = (struct packed_desc *)table + i;

	__atomic_store_n(&d->addr, desc->addr, __ATOMIC_RELAXED);
	__atomic_store_n(&d->len, desc->len, __ATOMIC_RELAXED);
	__atomic_store_n(&d->id, desc->id_next, __ATOMIC_RELAXED);
	__atomic_store_n(&d->flags, desc->flags, __ATOMIC_RELEASE);
}

static void
packed_init(struct guest_ring *ring)
{
	ring->avail = ring->conf.base & 0x7fff;
	ring->avail_wrap = ring->conf.base >> 15 & 1;
	ring->used = ring->conf.base >> 16 & 0x7fff;
	ring->used_wrap = ring->conf.base >> 31;
	for (uint32_t i = 0; i < ring->conf.size; i++) {
		/* A ring that goes on: all used, in this lap before the position, else in the last. */
		const bool wrap = i < ring->used ? ring->used_wrap : !ring->used_wrap;

		packed_at(ring, (uint16_t)i)->flags = packed_used_bits(wrap);
		/* Ids are handed out from a stack, so that they differ from slots. */
		ring->next[i] = (uint16_t)i;
	}
	ring->free_head = ring->conf.size;
}

static uint16_t
packed_add(struct guest_ring *ring, const struct guest_desc *desc, uint32_t ndesc)
{
	const uint16_t id = ring->next[--ring->free_head];

	ring->chain[id].head = ring->avail;
	if (ring->nr_added == 0)
		ring->pending = ring->avail;
	for (uint32_t i = 0; i < ndesc; i++) {
		struct guest_desc d = desc[i];

		/* The id counts in the last descriptor only (virtio 1.3, 2.8.6). */
		d.id_next = d.flags & GUEST_DESC_NEXT ? GUEST_ID_IGNORED : id;
		/* The first head stays unavailable, and with it all that follows, until publish. */
		if (ring->nr_added == 0 && i == 0)
			d.flags |= packed_used_bits(!ring->avail_wrap);
		else
			d.flags |= packed_avail_bits(ring->avail_wrap);
		packed_write(ring->desc, ring->avail, &d);
		packed_step(ring, &ring->avail, &ring->avail_wrap, 1);
	}
	return id;
}

/* Does the device want to hear of the last `added` descriptors (virtio 1.3, 2.8.14)? */
static bool
packed_wants_kick(const struct guest_ring *ring, uint32_t added)
{
	const uint32_t area = __atomic_load_n((const uint32_t *)ring->device, __ATOMIC_RELAXED);
	const uint16_t flags = area >> 16 & 3;
	const uint32_t event = area & 0x7fff;
	const bool wrap = area >> 15 & 1;
	uint32_t ago;

	if (flags != GUEST_EVENT_DESC || !ring->conf.event_idx)
		return flags != GUEST_EVENT_DISABLE;
	/* How many descriptors ago was the one that the device named published? */
	ago = ring->avail + (wrap == ring->avail_wrap ? 0 : ring->conf.size) - event;
	return ago >= 1 && ago <= added;
}

static bool
packed_publish(struct guest_ring *ring)
{
	struct packed_desc *first = packed_at(ring, ring->pending);
	const bool wrap = ring->pending < ring->avail ? ring->avail_wrap : !ring->avail_wrap;
	const uint16_t flags = first->flags & ~PACKED_BOTH;

	__atomic_store_n(&first->flags, flags | packed_avail_bits(wrap), __ATOMIC_RELEASE);
	/* The flags before the device's wish (virtio 1.3, 2.8.21.3). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return packed_wants_kick(ring, ring->desc_added);
}

static uint32_t
packed_peek_used(struct guest_ring *ring, uint32_t *id, uint32_t *len)
{
	const struct packed_desc *d = packed_at(ring, ring->used);
	const uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

	if ((flags & PACKED_BOTH) != packed_used_bits(ring->used_wrap))
		return 0;
	*id = __atomic_load_n(&d->id, __ATOMIC_RELAXED);
	/* The length says nothing unless something was written (virtio 1.3, 2.8.4). */
	*len = flags & GUEST_DESC_WRITE ? __atomic_load_n(&d->len, __ATOMIC_RELAXED) : 0;
	return ring->conf.in_order && ring->nr_out > 0 ? ring->nr_out : 1;
}

static void
packed_retire(struct guest_ring *ring, uint16_t id)
{
	packed_step(ring, &ring->used, &ring->used_wrap, ring->chain[id].ndesc);
	ring->next[ring->free_head++] = id;
}

static void
packed_calls(struct guest_ring *ring, enum guest_calls mode, uint16_t ahead)
{
	uint16_t at = ring->used;
	bool wrap = ring->used_wrap;

	packed_step(ring, &at, &wrap, ahead);
	guest_ring_poke_event(ring, (uint16_t)(at | (wrap ? 0x8000 : 0)),
		mode == GUEST_CALLS_OFF ? GUEST_EVENT_DISABLE :
		mode == GUEST_CALLS_ON ? GUEST_EVENT_ENABLE : GUEST_EVENT_DESC);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint16_t
packed_slot(const struct guest_ring *ring, uint16_t id, uint32_t k)
{
	return (uint16_t)((ring->chain[id].head + k) % ring->conf.size);
}

static uint32_t
packed_base(const struct guest_ring *ring)
{
	const uint32_t at = ring->nr_added ? ring->pending : ring->avail;
	/* An unpublished chain that reaches its own start again fills the ring. */
	const bool back = ring->nr_added && ring->pending >= ring->avail;
	const bool wrap = back ? !ring->avail_wrap : ring->avail_wrap;
	const uint32_t half = at | (wrap ? 0x8000u : 0);

	return half | half << 16;
}

const struct guest_ring_ops guest_packed_ops = {
	.init = packed_init,
	.add = packed_add,
	.publish = packed_publish,
	.peek_used = packed_peek_used,
	.retire = packed_retire,
	.calls = packed_calls,
	.slot = packed_slot,
	.read = packed_read,
	.write = packed_write,
	.base = packed_base,
};
