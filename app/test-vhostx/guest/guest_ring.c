/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The driver side of a virtqueue: what the two formats share, and the checks of what the device says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest_ring.h"

void
guest_ring_areas(enum guest_format format, uint32_t size, uint64_t *desc, uint64_t *driver,
	uint64_t *device)
{
	/* virtio 1.3, 2.7 and 2.8.10.1 */
	*desc = 16 * (uint64_t)size;
	*driver = format == GUEST_SPLIT ? 6 + 2 * (uint64_t)size : 4;
	*device = format == GUEST_SPLIT ? 6 + 8 * (uint64_t)size : 4;
}

/* Find or make room for the three areas. */
static int
ring_place(struct guest_ring *ring)
{
	struct guest_ring_conf *c = &ring->conf;
	uint64_t desc, driver, device;

	guest_ring_areas(c->format, c->size, &desc, &driver, &device);
	if (!c->placed) {
		c->desc_gpa = guest_mem_alloc(ring->mem, c->region, desc, 16);
		c->driver_gpa = guest_mem_alloc(ring->mem, c->region, driver, 4);
		c->device_gpa = guest_mem_alloc(ring->mem, c->region, device, 4);
	}
	ring->desc = guest_mem_ptr(ring->mem, c->desc_gpa, desc);
	ring->driver = guest_mem_ptr(ring->mem, c->driver_gpa, driver);
	ring->device = guest_mem_ptr(ring->mem, c->device_gpa, device);
	if (ring->desc == NULL || ring->driver == NULL || ring->device == NULL)
		return -EFAULT;
	memset(ring->desc, 0, desc);
	memset(ring->driver, 0, driver);
	memset(ring->device, 0, device);
	return 0;
}

int
guest_ring_init(struct guest_ring *ring, struct guest_mem *mem, const struct guest_ring_conf *conf)
{
	int rc;

	memset(ring, 0, sizeof(*ring));
	if (conf->size == 0 || conf->size > GUEST_RING_MAX)
		return -EINVAL;
	ring->ops = conf->format == GUEST_SPLIT ? &guest_split_ops : &guest_packed_ops;
	ring->mem = mem;
	ring->conf = *conf;
	rc = ring_place(ring);
	if (rc < 0)
		return rc;
	ring->nr_free = conf->size;
	ring->chain = calloc(conf->size, sizeof(*ring->chain));
	ring->next = calloc(conf->size, sizeof(*ring->next));
	ring->order = calloc(conf->size, sizeof(*ring->order));
	if (ring->chain == NULL || ring->next == NULL || ring->order == NULL) {
		guest_ring_fini(ring);
		return -ENOMEM;
	}
	ring->ops->init(ring);
	return 0;
}

void
guest_ring_fini(struct guest_ring *ring)
{
	for (uint32_t i = 0; ring->chain != NULL && i < ring->conf.size; i++)
		free(ring->chain[i].seg);
	free(ring->chain);
	free(ring->next);
	free(ring->order);
	memset(ring, 0, sizeof(*ring));
}

/* Remember what the buffer is made of. */
static int
ring_remember(struct guest_ring *ring, uint16_t id, const struct guest_seg *seg, uint32_t nseg,
	uint32_t ndesc)
{
	struct guest_chain *c = &ring->chain[id];
	struct guest_seg *copy = realloc(c->seg, nseg * sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, seg, nseg * sizeof(*copy));
	c->seg = copy;
	c->nseg = nseg;
	c->ndesc = ndesc;
	c->writable = 0;
	for (uint32_t i = 0; i < nseg; i++)
		c->writable += seg[i].writable ? seg[i].len : 0;
	ring->order[ring->order_tail++ % ring->conf.size] = id;
	ring->nr_added++;
	ring->desc_added += ndesc;
	ring->nr_free -= ndesc;
	return id;
}

int
guest_ring_add(struct guest_ring *ring, const struct guest_seg *seg, uint32_t nseg)
{
	struct guest_desc *desc;
	uint16_t id;

	if (nseg == 0)
		return -EINVAL;
	if (nseg > ring->nr_free)
		return -ENOSPC;
	desc = calloc(nseg, sizeof(*desc));
	if (desc == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < nseg; i++) {
		desc[i].addr = seg[i].gpa;
		desc[i].len = seg[i].len;
		desc[i].flags = (seg[i].writable ? GUEST_DESC_WRITE : 0) |
			(i + 1 < nseg ? GUEST_DESC_NEXT : 0);
	}
	id = ring->ops->add(ring, desc, nseg);
	free(desc);
	return ring_remember(ring, id, seg, nseg, nseg);
}

int
guest_ring_add_indirect(struct guest_ring *ring, const struct guest_seg *seg, uint32_t nseg,
	uint64_t table_gpa)
{
	const bool split = ring->conf.format == GUEST_SPLIT;
	const struct guest_desc head = { .addr = table_gpa, .len = 16 * nseg,
		.flags = GUEST_DESC_INDIRECT };

	if (nseg == 0)
		return -EINVAL;
	if (ring->nr_free == 0)
		return -ENOSPC;
	for (uint32_t i = 0; i < nseg; i++) {
		/* Packed tables have no links, and no flag but WRITE (virtio 1.3, 2.8.7). */
		const struct guest_desc d = {
			.addr = seg[i].gpa,
			.len = seg[i].len,
			.flags = (seg[i].writable ? GUEST_DESC_WRITE : 0) |
				(split && i + 1 < nseg ? GUEST_DESC_NEXT : 0),
			.id_next = !split ? GUEST_ID_IGNORED : i + 1 < nseg ? i + 1 : 0,
		};

		if (guest_ring_poke_table(ring, table_gpa, i, &d) < 0)
			return -EFAULT;
	}
	return ring_remember(ring, ring->ops->add(ring, &head, 1), seg, nseg, 1);
}

bool
guest_ring_publish(struct guest_ring *ring)
{
	const uint32_t n = ring->nr_added;
	bool kick;

	if (n == 0)
		return false;
	for (uint32_t i = 1; i <= n; i++)
		ring->chain[ring->order[(ring->order_tail - i) % ring->conf.size]].out = true;
	kick = ring->ops->publish(ring);
	ring->nr_out += n;
	ring->nr_added = 0;
	ring->desc_added = 0;
	return kick;
}

uint32_t
guest_ring_free(const struct guest_ring *ring)
{
	return ring->nr_free;
}

/* In order: how many buffers does an element stand for that names id? 0: it is not in the list. */
static uint32_t
ring_batch_size(const struct guest_ring *ring, uint16_t id)
{
	for (uint32_t n = 0; n < ring->nr_out; n++) {
		if (ring->order[(ring->order_head + n) % ring->conf.size] == id)
			return n + 1;
	}
	return 0;
}

/* Read and check the next used element. Returns 1, 0 or an error of guest_ring_get_used(). */
static int
ring_begin_batch(struct guest_ring *ring)
{
	uint32_t id, len, n = 1;
	const uint32_t max = ring->ops->peek_used(ring, &id, &len);

	if (max == 0)
		return 0;
	if (max > ring->nr_out)
		return -EPROTO;
	if (id >= ring->conf.size || !ring->chain[id].out)
		return -ENOENT;
	if (len > ring->chain[id].writable)
		return -EMSGSIZE;
	if (ring->conf.in_order)
		n = ring_batch_size(ring, (uint16_t)id);
	if (n == 0 || n > max)
		return -EPROTO;
	ring->batch = (struct guest_batch){ .left = n, .last = (uint16_t)id, .len = len };
	return 1;
}

int
guest_ring_get_used(struct guest_ring *ring, uint16_t *id, uint32_t *len)
{
	struct guest_chain *c;

	if (ring->batch.left == 0) {
		const int rc = ring_begin_batch(ring);

		if (rc <= 0)
			return rc;
	}
	*id = ring->conf.in_order ? ring->order[ring->order_head++ % ring->conf.size] :
		ring->batch.last;
	c = &ring->chain[*id];
	/* Only the last of a batch has a length; the others count as used completely. */
	*len = *id == ring->batch.last ? ring->batch.len : (uint32_t)c->writable;
	ring->batch.left--;
	ring->ops->retire(ring, *id);
	c->out = false;
	ring->nr_out--;
	ring->nr_free += c->ndesc;
	return 1;
}

void
guest_ring_calls(struct guest_ring *ring, bool on)
{
	ring->ops->calls(ring, on ? GUEST_CALLS_ON : GUEST_CALLS_OFF, 0);
}

void
guest_ring_call_at(struct guest_ring *ring, uint16_t ahead)
{
	ring->ops->calls(ring, GUEST_CALLS_AT, ahead);
}

uint32_t
guest_ring_base(const struct guest_ring *ring)
{
	return ring->ops->base(ring);
}

uint16_t
guest_ring_slot(const struct guest_ring *ring, uint16_t id, uint32_t k)
{
	return ring->ops->slot(ring, id, k);
}

struct guest_desc
guest_ring_peek(const struct guest_ring *ring, uint16_t slot)
{
	struct guest_desc d;

	ring->ops->read(ring->desc, slot, &d);
	return d;
}

void
guest_ring_poke(struct guest_ring *ring, uint16_t slot, const struct guest_desc *desc)
{
	ring->ops->write(ring->desc, slot, desc);
}

int
guest_ring_poke_table(struct guest_ring *ring, uint64_t table_gpa, uint32_t i,
	const struct guest_desc *desc)
{
	uint64_t bytes[2];

	/* Through a copy, because an entry may lie in two regions. */
	ring->ops->write(bytes, 0, desc);
	return guest_mem_write(ring->mem, table_gpa + 16 * (uint64_t)i, bytes, sizeof(bytes));
}

void
guest_ring_poke_avail(struct guest_ring *ring, uint16_t pos, uint16_t head)
{
	uint16_t *avail = ring->driver;

	__atomic_store_n(&avail[2 + pos % ring->conf.size], head, __ATOMIC_RELAXED);
}

void
guest_ring_poke_avail_idx(struct guest_ring *ring, uint16_t idx)
{
	uint16_t *avail = ring->driver;

	__atomic_store_n(&avail[1], idx, __ATOMIC_RELEASE);
}

void
guest_ring_poke_event(struct guest_ring *ring, uint16_t event, uint16_t flags)
{
	uint16_t *area = ring->driver;

	if (ring->conf.format == GUEST_PACKED) {
		__atomic_store_n(&area[0], event, __ATOMIC_RELAXED);
		__atomic_store_n(&area[1], flags, __ATOMIC_RELAXED);
		return;
	}
	if (ring->conf.event_idx)
		__atomic_store_n(&area[2 + ring->conf.size], event, __ATOMIC_RELAXED);
	__atomic_store_n(&area[0], flags, __ATOMIC_RELAXED);
}
