/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The driver side of a split virtqueue (virtio 1.3, 2.7).
 */
#include "guest_ring.h"

/** An entry of the descriptor table (virtio 1.3, 2.7.5). */
struct split_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/** An entry of the used ring (virtio 1.3, 2.7.8). */
struct split_used_elem {
	uint32_t id;
	uint32_t len;
};

_Static_assert(sizeof(struct split_desc) == 16, "virtio 1.3, 2.7.5");

/* Both rings begin with flags and idx; the available ring's entries follow, then used_event. */
static uint16_t *
split_avail(const struct guest_ring *ring, uint32_t word)
{
	return (uint16_t *)ring->driver + word;
}

static uint16_t *
split_used_word(const struct guest_ring *ring, uint32_t word)
{
	return (uint16_t *)ring->device + word;
}

static void
split_read(const void *table, uint32_t i, struct guest_desc *desc)
{
	const struct split_desc *d = (const struct split_desc *)table + i;

	desc->addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
	desc->len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	desc->flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
	desc->id_next = __atomic_load_n(&d->next, __ATOMIC_RELAXED);
}

static void
split_write(void *table, uint32_t i, const struct guest_desc *desc)
{
	struct split_desc *d = (struct split_desc *)table + i;

	__atomic_store_n(&d->addr, desc->addr, __ATOMIC_RELAXED);
	__atomic_store_n(&d->len, desc->len, __ATOMIC_RELAXED);
	__atomic_store_n(&d->flags, desc->flags, __ATOMIC_RELAXED);
	__atomic_store_n(&d->next, desc->id_next, __ATOMIC_RELAXED);
}

static void
split_init(struct guest_ring *ring)
{
	const uint16_t start = (uint16_t)ring->conf.base;

	ring->avail = start;
	ring->used = start;
	/* A ring that goes on: both indices stand where the last device left them. */
	*split_avail(ring, 1) = start;
	*split_used_word(ring, 1) = start;
	for (uint32_t i = 0; i < ring->conf.size; i++)
		ring->next[i] = (uint16_t)((i + 1) % ring->conf.size);
}

static uint16_t
split_add(struct guest_ring *ring, const struct guest_desc *desc, uint32_t ndesc)
{
	const uint16_t head = ring->free_head;
	uint16_t slot = head;

	for (uint32_t i = 0; i < ndesc; i++) {
		struct guest_desc d = desc[i];

		/* With IN_ORDER this is x + 1, and 0 in the last one (virtio 1.3, 2.7.5). */
		d.id_next = d.flags & GUEST_DESC_NEXT ? ring->next[slot] : 0;
		split_write(ring->desc, slot, &d);
		slot = ring->next[slot];
	}
	ring->chain[head].head = head;
	ring->free_head = slot;
	guest_ring_poke_avail(ring, ring->avail, head);
	ring->avail++;
	return head;
}

static bool
split_publish(struct guest_ring *ring)
{
	const uint16_t old = ring->avail - (uint16_t)ring->nr_added;

	__atomic_store_n(split_avail(ring, 1), ring->avail, __ATOMIC_RELEASE);
	/* The index before the device's wish (virtio 1.3, 2.7.13.4). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring->conf.event_idx) {
		const uint16_t event = __atomic_load_n(
			split_used_word(ring, 2 + 4u * ring->conf.size), __ATOMIC_RELAXED);

		return guest_need_event(event, ring->avail, old);
	}
	return !(__atomic_load_n(split_used_word(ring, 0), __ATOMIC_RELAXED) & 1);
}

static uint32_t
split_peek_used(struct guest_ring *ring, uint32_t *id, uint32_t *len)
{
	const uint16_t idx = __atomic_load_n(split_used_word(ring, 1), __ATOMIC_ACQUIRE);
	const struct split_used_elem *elem =
		(const struct split_used_elem *)split_used_word(ring, 2) +
		ring->used % ring->conf.size;

	*id = __atomic_load_n(&elem->id, __ATOMIC_RELAXED);
	*len = __atomic_load_n(&elem->len, __ATOMIC_RELAXED);
	return (uint16_t)(idx - ring->used);
}

static void
split_retire(struct guest_ring *ring, uint16_t id)
{
	const struct guest_chain *c = &ring->chain[id];
	uint16_t last = c->head;

	ring->used++;
	/* In order the table is a ring: the oldest descriptors come free first. */
	if (ring->conf.in_order)
		return;
	for (uint32_t i = 1; i < c->ndesc; i++)
		last = ring->next[last];
	/* No descriptor was free: the list's end is what free_head happens to be. */
	ring->next[last] = ring->free_head;
	ring->free_head = c->head;
}

static void
split_calls(struct guest_ring *ring, enum guest_calls mode, uint16_t ahead)
{
	if (ring->conf.event_idx) {
		const uint16_t event = mode == GUEST_CALLS_OFF ? ring->used - 1 :
			(uint16_t)(ring->used + ahead);

		/* flags MUST be 0 with EVENT_IDX (virtio 1.3, 2.7.7.1). */
		guest_ring_poke_event(ring, event, 0);
	} else {
		guest_ring_poke_event(ring, 0, mode == GUEST_CALLS_OFF);
	}
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint16_t
split_slot(const struct guest_ring *ring, uint16_t id, uint32_t k)
{
	uint16_t slot = ring->chain[id].head;

	while (k-- > 0)
		slot = ring->next[slot];
	return slot;
}

static uint32_t
split_base(const struct guest_ring *ring)
{
	return (uint16_t)(ring->avail - ring->nr_added);
}

const struct guest_ring_ops guest_split_ops = {
	.init = split_init,
	.add = split_add,
	.publish = split_publish,
	.peek_used = split_peek_used,
	.retire = split_retire,
	.calls = split_calls,
	.slot = split_slot,
	.read = split_read,
	.write = split_write,
	.base = split_base,
};
