/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A device of a few lines for the self test of the guest side: reads the rings as bytes, as the virtio
 * 1.3 specification lays them out (2.7 and 2.8), without a struct in common with what it tests.
 */
#ifndef TEST_GUEST_DEVICE_H
#define TEST_GUEST_DEVICE_H

#include <string.h>

#include "guest/guest_ring.h"

/* A device: the areas as bytes, and its own positions. */
struct device {
	uint8_t *desc, *driver, *dev;
	struct guest_mem *mem;
	uint32_t size;
	bool packed;
	uint16_t avail, used;
	bool avail_wrap, used_wrap;
};

/* A buffer as the device found it. */
struct found {
	uint16_t id;
	uint32_t ndesc;
	uint32_t nseg;
	struct guest_seg seg[8];
};

static inline uint16_t
get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static inline uint64_t
get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static inline void
put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void
device_init(struct device *d, struct guest_ring *r, uint32_t base)
{
	d->desc = r->desc;
	d->driver = r->driver;
	d->dev = r->device;
	d->mem = r->mem;
	d->size = r->conf.size;
	d->packed = r->conf.format == GUEST_PACKED;
	d->avail = d->packed ? base & 0x7fff : base;
	d->used = d->avail;
	d->avail_wrap = base >> 15 & 1;
	d->used_wrap = base >> 31;
}

/* Split: flags at 12, next at 14. Packed: id at 12, flags at 14. */
static inline void
device_seg(struct found *f, const uint8_t *desc, uint16_t flags)
{
	assert_true(f->nseg < 8);
	f->seg[f->nseg++] = (struct guest_seg){ get64(desc), get32(desc + 8), flags & 2 };
}

static inline void
device_table(const struct device *d, struct found *f, const uint8_t *desc)
{
	const uint8_t *table = guest_mem_ptr(d->mem, get64(desc), get32(desc + 8));
	const uint32_t n = get32(desc + 8) / 16;

	assert_non_null(table);
	for (uint32_t i = 0, k = 0; k < n; k++) {
		const uint8_t *e = table + 16 * i;

		device_seg(f, e, get16(e + (d->packed ? 14 : 12)));
		if (d->packed)
			i++;
		else if (get16(e + 12) & 1)
			i = get16(e + 14);
		else
			return;
	}
}

static inline bool
device_pop_split(struct device *d, struct found *f)
{
	uint16_t i;

	if (get16(d->driver + 2) == d->avail)
		return false;
	f->id = i = get16(d->driver + 4 + 2 * (d->avail++ % d->size));
	f->ndesc = 1;
	for (;;) {
		const uint8_t *e = d->desc + 16 * i;
		const uint16_t flags = get16(e + 12);

		if (flags & 4)
			device_table(d, f, e);
		else
			device_seg(f, e, flags);
		if (!(flags & 1))
			return true;
		i = get16(e + 14);
	}
}

static inline bool
device_pop_packed(struct device *d, struct found *f)
{
	for (;;) {
		const uint8_t *e = d->desc + 16 * d->avail;
		const uint16_t flags = get16(e + 14);

		if (!!(flags & 0x80) != d->avail_wrap || !!(flags & 0x8000) == d->avail_wrap) {
			/* All of a list is available once its first is (virtio 1.3, 2.8.6). */
			assert_int_equal(f->ndesc, 0);
			return false;
		}
		f->ndesc++;
		if (++d->avail == d->size) {
			d->avail = 0;
			d->avail_wrap = !d->avail_wrap;
		}
		if (flags & 4)
			device_table(d, f, e);
		else
			device_seg(f, e, flags);
		f->id = get16(e + 12);
		if (!(flags & 1))
			return true;
	}
}

static inline bool
device_pop(struct device *d, struct found *f)
{
	memset(f, 0, sizeof(*f));
	return d->packed ? device_pop_packed(d, f) : device_pop_split(d, f);
}

/* Write one used element for a batch of n buffers of ndesc descriptors together. */
static inline void
device_push_batch(struct device *d, uint32_t id, uint32_t len, uint32_t n, uint32_t ndesc)
{
	uint8_t *e = d->dev + 4 + 8 * (d->used % d->size);

	if (!d->packed) {
		put32(e, id);
		put32(e + 4, len);
		d->used += n;
		put16(d->dev + 2, d->used);
		return;
	}
	e = d->desc + 16 * d->used;
	put32(e + 8, len);
	put16(e + 12, id);
	put16(e + 14, (d->used_wrap ? 0x8080 : 0) | (len ? 2 : 0));
	d->used += ndesc;
	if (d->used >= d->size) {
		d->used -= d->size;
		d->used_wrap = !d->used_wrap;
	}
}

static inline void
device_push(struct device *d, const struct found *f, uint32_t len)
{
	device_push_batch(d, f->id, len, 1, f->ndesc);
}

#endif /* TEST_GUEST_DEVICE_H */
