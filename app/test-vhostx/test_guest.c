/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Self test of the guest side: every ring case runs over both formats against a device of a few lines
 * that reads the rings as bytes, as the virtio 1.3 specification lays them out.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest/guest_net.h"
#include "test_guest_device.h"

/* A kind of ring to run a case on. */
struct variant {
	const char *name;
	struct guest_ring_conf conf;
	bool indirect;
};

static const struct variant variants[] = {
	{ "split", { .format = GUEST_SPLIT, .size = 8 }, false },
	{ "split wrapping", { .format = GUEST_SPLIT, .size = 8, .base = 65533 }, false },
	{ "split in-order", { .format = GUEST_SPLIT, .size = 16, .in_order = true }, false },
	{ "split event", { .format = GUEST_SPLIT, .size = 8, .event_idx = true }, false },
	{ "split indirect", { .format = GUEST_SPLIT, .size = 8 }, true },
	{ "packed", { .format = GUEST_PACKED, .size = 8, .base = GUEST_PACKED_BASE }, false },
	{ "packed 7", { .format = GUEST_PACKED, .size = 7, .base = GUEST_PACKED_BASE }, false },
	{ "packed from 5", { .format = GUEST_PACKED, .size = 7, .base = 0x00050005 }, false },
	{ "packed in-order", { .format = GUEST_PACKED, .size = 13, .base = GUEST_PACKED_BASE,
		.in_order = true }, false },
	{ "packed event", { .format = GUEST_PACKED, .size = 7, .base = GUEST_PACKED_BASE,
		.event_idx = true }, false },
	{ "packed indirect", { .format = GUEST_PACKED, .size = 7, .base = GUEST_PACKED_BASE },
		true },
};

struct fixture {
	struct guest_mem mem;
	struct guest_ring ring;
	struct device dev;
	bool indirect;
	uint64_t table;    /* room for 64 indirect tables of 4 entries */
	uint32_t nr_table; /* how many were written */
};

static int
setup(void **state)
{
	const struct variant *v = *state;
	struct fixture *f = calloc(1, sizeof(*f));

	guest_mem_init(&f->mem);
	assert_int_equal(guest_mem_add(&f->mem, 0x100000, 0x10000, 0x7f0000000000,
		GUEST_PLACE_END), 0);
	assert_int_equal(guest_ring_init(&f->ring, &f->mem, &v->conf), 0);
	device_init(&f->dev, &f->ring, v->conf.base);
	f->indirect = v->indirect;
	f->table = guest_mem_alloc(&f->mem, 0, 64 * 64, 16);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	guest_ring_fini(&f->ring);
	guest_mem_fini(&f->mem);
	free(f);
	return 0;
}

/* Add a buffer of nseg pieces of which the last is writable and 100 bytes longer than the others. */
static int
add(struct fixture *f, uint32_t nseg, uint32_t tag)
{
	struct guest_seg seg[8];

	for (uint32_t i = 0; i < nseg; i++)
		seg[i] = (struct guest_seg){ 0x200000 + 0x10000 * tag + 0x1000 * i, 64, false };
	seg[nseg - 1].len += 100;
	seg[nseg - 1].writable = true;
	if (f->indirect)
		return guest_ring_add_indirect(&f->ring, seg, nseg,
			f->table + 64 * (f->nr_table++ % 64));
	return guest_ring_add(&f->ring, seg, nseg);
}

static void
assert_found(const struct found *f, int id, uint32_t nseg, uint32_t tag)
{
	assert_int_equal(f->id, id);
	assert_int_equal(f->nseg, nseg);
	for (uint32_t i = 0; i < nseg; i++) {
		const bool last = i == nseg - 1;

		assert_int_equal(f->seg[i].gpa, 0x200000 + 0x10000 * tag + 0x1000 * i);
		assert_int_equal(f->seg[i].len, last ? 164 : 64);
		assert_int_equal(f->seg[i].writable, last);
	}
}

static void
assert_used(struct fixture *f, int id, uint32_t len)
{
	uint16_t got_id;
	uint32_t got_len;

	assert_int_equal(guest_ring_get_used(&f->ring, &got_id, &got_len), 1);
	assert_int_equal(got_id, id);
	assert_int_equal(got_len, len);
}

static void
assert_used_error(struct fixture *f, int error)
{
	uint16_t id;
	uint32_t len;

	assert_int_equal(guest_ring_get_used(&f->ring, &id, &len), error);
}

static void
test_guest_ring_carries_buffers(void **state)
{
	struct fixture *f = *state;
	struct found found;

	for (uint32_t i = 0; i < 200; i++) {
		const uint32_t nseg = 1 + i % 4;
		const int id = add(f, nseg, i);

		assert_true(id >= 0);
		assert_false(device_pop(&f->dev, &found));
		guest_ring_publish(&f->ring);
		assert_true(device_pop(&f->dev, &found));
		assert_found(&found, id, nseg, i);
		assert_used_error(f, 0);
		device_push(&f->dev, &found, i % 165);
		assert_used(f, id, i % 165);
	}
	assert_int_equal(guest_ring_free(&f->ring), f->ring.conf.size);
}

static void
test_guest_ring_carries_batches(void **state)
{
	struct fixture *f = *state;
	struct found found;
	int id[3];

	for (uint32_t i = 0; i < 100; i++) {
		for (uint32_t k = 0; k < 3; k++)
			id[k] = add(f, 1 + k % 2, i);
		guest_ring_publish(&f->ring);
		for (uint32_t k = 0; k < 3; k++) {
			assert_true(device_pop(&f->dev, &found));
			assert_found(&found, id[k], 1 + k % 2, i);
			device_push(&f->dev, &found, k);
		}
		assert_false(device_pop(&f->dev, &found));
		for (uint32_t k = 0; k < 3; k++)
			assert_used(f, id[k], k);
	}
}

static void
test_guest_ring_takes_any_order(void **state)
{
	struct fixture *f = *state;
	struct found found[3];
	int id[3];

	if (f->ring.conf.in_order)
		skip();
	for (uint32_t i = 0; i < 50; i++) {
		for (uint32_t k = 0; k < 3; k++)
			id[k] = add(f, 1 + k % 2, i);
		guest_ring_publish(&f->ring);
		for (uint32_t k = 0; k < 3; k++)
			assert_true(device_pop(&f->dev, &found[k]));
		for (uint32_t k = 0; k < 3; k++)
			device_push(&f->dev, &found[(i + 2 * k) % 3], k);
		for (uint32_t k = 0; k < 3; k++)
			assert_used(f, id[(i + 2 * k) % 3], k);
	}
	assert_int_equal(guest_ring_free(&f->ring), f->ring.conf.size);
}

static void
test_guest_ring_refuses_when_full(void **state)
{
	struct fixture *f = *state;
	const uint32_t size = f->ring.conf.size;
	struct found found;
	int id;

	for (uint32_t lap = 0; lap < 3; lap++) {
		for (uint32_t i = 0; i < size; i++)
			assert_true(add(f, 1, i) >= 0);
		assert_int_equal(guest_ring_free(&f->ring), 0);
		assert_int_equal(add(f, 1, 0), -ENOSPC);
		guest_ring_publish(&f->ring);
		for (uint32_t i = 0; i < size; i++) {
			assert_true(device_pop(&f->dev, &found));
			device_push(&f->dev, &found, 0);
			assert_used(f, found.id, 0);
		}
	}
	id = guest_ring_add(&f->ring, NULL, 0);
	assert_int_equal(id, -EINVAL);
}

static void
test_guest_ring_unfolds_in_order_batch(void **state)
{
	struct fixture *f = *state;
	struct found found[3];
	int id[3];

	if (!f->ring.conf.in_order)
		skip();
	for (uint32_t i = 0; i < 50; i++) {
		uint32_t ndesc = 0;

		for (uint32_t k = 0; k < 3; k++)
			id[k] = add(f, 1 + k % 2, i);
		guest_ring_publish(&f->ring);
		for (uint32_t k = 0; k < 3; k++) {
			assert_true(device_pop(&f->dev, &found[k]));
			ndesc += found[k].ndesc;
		}
		device_push_batch(&f->dev, found[2].id, 7, 3, ndesc);
		assert_used(f, id[0], 164);
		assert_used(f, id[1], 164);
		assert_used(f, id[2], 7);
		assert_used_error(f, 0);
	}
}

static void
test_guest_ring_notices_wrong_id(void **state)
{
	struct fixture *f = *state;
	struct found found;
	const int id = add(f, 1, 0);

	guest_ring_publish(&f->ring);
	assert_true(device_pop(&f->dev, &found));
	found.id = (id + 1) % f->ring.conf.size;
	device_push(&f->dev, &found, 0);
	assert_used_error(f, -ENOENT);
	f->dev.used--;
	found.id = f->ring.conf.size;
	device_push(&f->dev, &found, 0);
	assert_used_error(f, -ENOENT);
	assert_int_equal(guest_ring_free(&f->ring), f->ring.conf.size - 1);
}

static void
test_guest_ring_notices_excess_length(void **state)
{
	struct fixture *f = *state;
	struct found found;

	add(f, 2, 0);
	guest_ring_publish(&f->ring);
	assert_true(device_pop(&f->dev, &found));
	device_push(&f->dev, &found, 165);
	assert_used_error(f, -EMSGSIZE);
}

static void
test_guest_ring_notices_use_of_nothing(void **state)
{
	struct fixture *f = *state;

	device_push_batch(&f->dev, 0, 0, 1, 1);
	assert_used_error(f, -EPROTO);
}

static void
test_guest_ring_notices_second_use(void **state)
{
	struct fixture *f = *state;
	struct found found;
	const int id = add(f, 1, 0);

	add(f, 1, 1);
	guest_ring_publish(&f->ring);
	assert_true(device_pop(&f->dev, &found));
	device_push(&f->dev, &found, 1);
	device_push(&f->dev, &found, 1);
	assert_used(f, id, 1);
	assert_used_error(f, -ENOENT);
}

/* Write the device's wish for kicks; at: descriptors or entries from its next available one. */
static void
device_kicks(struct fixture *f, enum guest_calls mode, uint16_t at)
{
	struct device *d = &f->dev;
	uint32_t pos = d->avail + at;
	bool wrap = d->avail_wrap;

	if (!d->packed) {
		put16(d->dev, mode == GUEST_CALLS_OFF);
		put16(d->dev + 4 + 8 * d->size, pos);
		return;
	}
	if (pos >= d->size) {
		pos -= d->size;
		wrap = !wrap;
	}
	put16(d->dev, pos | (wrap ? 0x8000 : 0));
	put16(d->dev + 2, mode == GUEST_CALLS_OFF ? 1 : mode == GUEST_CALLS_ON ? 0 : 2);
}

static void
test_guest_ring_kicks_as_asked(void **state)
{
	struct fixture *f = *state;
	const bool event = f->ring.conf.event_idx;
	struct found found;

	for (uint32_t i = 0; i < 60; i++) {
		const uint16_t at = i % 4;

		if (event)
			device_kicks(f, GUEST_CALLS_AT, at);
		else
			device_kicks(f, i % 2 ? GUEST_CALLS_ON : GUEST_CALLS_OFF, 0);
		for (uint32_t k = 0; k < 3; k++)
			add(f, 1, k);
		assert_int_equal(guest_ring_publish(&f->ring), event ? at < 3 : i % 2);
		for (uint32_t k = 0; k < 3; k++) {
			assert_true(device_pop(&f->dev, &found));
			device_push(&f->dev, &found, 0);
			assert_used(f, found.id, 0);
		}
	}
}

/* What the driver's wish for calls is when n more entries of one descriptor are used: to be called? */
static bool
device_wants_call(const struct fixture *f, uint32_t n)
{
	const struct device *d = &f->dev;
	const uint16_t word = get16(d->driver), flags = get16(d->driver + 2);
	uint32_t pos = d->used;
	bool wrap = d->used_wrap;

	if (!d->packed && !f->ring.conf.event_idx)
		return word == 0;
	if (d->packed && flags != 2)
		return flags == 0;
	for (; n > 0; n--) {
		if (!d->packed && get16(d->driver + 4 + 2 * d->size) == (uint16_t)pos)
			return true;
		if (d->packed && word == (pos | (wrap ? 0x8000 : 0)))
			return true;
		if (++pos == d->size && d->packed) {
			pos = 0;
			wrap = !wrap;
		}
	}
	return false;
}

static void
test_guest_ring_asks_for_calls(void **state)
{
	struct fixture *f = *state;
	struct found found;

	for (uint32_t i = 0; i < 50; i++) {
		guest_ring_calls(&f->ring, false);
		assert_false(device_wants_call(f, 6));
		guest_ring_calls(&f->ring, true);
		assert_true(device_wants_call(f, 1));
		for (uint16_t at = 0; f->ring.conf.event_idx && at < 5; at++) {
			guest_ring_call_at(&f->ring, at);
			assert_false(device_wants_call(f, at));
			assert_true(device_wants_call(f, at + 1));
		}
		add(f, 1, 0);
		guest_ring_publish(&f->ring);
		assert_true(device_pop(&f->dev, &found));
		device_push(&f->dev, &found, 0);
		assert_used(f, found.id, 0);
	}
}

static void
test_guest_ring_tells_base(void **state)
{
	struct fixture *f = *state;
	struct found found;

	for (uint32_t i = 0; i < 40; i++) {
		struct device other = { 0 };

		add(f, 1 + i % 3, 0);
		assert_int_equal(guest_ring_base(&f->ring) & 0x7fff, f->dev.avail & 0x7fff);
		guest_ring_publish(&f->ring);
		assert_true(device_pop(&f->dev, &found));
		device_push(&f->dev, &found, 0);
		assert_used(f, found.id, 0);
		device_init(&other, &f->ring, guest_ring_base(&f->ring));
		assert_int_equal(other.avail, f->dev.avail);
		assert_int_equal(other.used, f->dev.used);
		if (other.packed)
			assert_int_equal(other.used_wrap, f->dev.used_wrap);
	}
}

static void
test_guest_ring_pokes_raw(void **state)
{
	struct fixture *f = *state;
	const int id = add(f, 1, 0);
	const uint16_t slot = guest_ring_slot(&f->ring, id, 0);
	struct guest_desc d = guest_ring_peek(&f->ring, slot);
	struct found found;

	if (f->indirect)
		skip();
	assert_int_equal(d.len, 164);
	d.addr = 0x1234;
	d.len = 5;
	d.flags &= ~GUEST_DESC_WRITE;
	guest_ring_poke(&f->ring, slot, &d);
	guest_ring_publish(&f->ring);
	assert_true(device_pop(&f->dev, &found));
	assert_int_equal(found.seg[0].gpa, 0x1234);
	assert_int_equal(found.seg[0].len, 5);
	assert_false(found.seg[0].writable);
}

static void
test_guest_net_joins_merged_buffers(void **state)
{
	struct fixture *f = *state;
	const struct guest_net_hdr hdr = { .num_buffers = 3 };
	struct guest_net_frame frame;
	struct found found;
	uint8_t buf[256];

	for (uint32_t i = 0; i < 3; i++) {
		struct guest_seg seg = { 0x108000 + 100 * i, 64, true };
		const uint32_t skip = i == 0 ? sizeof(hdr) : 0;
		uint8_t *va = guest_mem_ptr(&f->mem, seg.gpa, 64);

		if (f->indirect)
			guest_ring_add_indirect(&f->ring, &seg, 1, f->table + 64 * i);
		else
			guest_ring_add(&f->ring, &seg, 1);
		guest_ring_publish(&f->ring);
		assert_true(device_pop(&f->dev, &found));
		memcpy(va, &hdr, skip);
		guest_net_pattern(va + skip, 64 - skip, 9, i == 0 ? 0 : 64 * i - 12);
		device_push(&f->dev, &found, i == 2 ? 10 : 64);
	}
	assert_int_equal(guest_net_receive(&f->ring, 12, true, buf, sizeof(buf), &frame), 1);
	assert_int_equal(frame.len, 64 - 12 + 64 + 10);
	assert_int_equal(frame.nr, 3);
	assert_true(guest_net_matches(buf, frame.len, 9, 0));
	assert_int_equal(guest_net_receive(&f->ring, 12, true, buf, sizeof(buf), &frame), 0);
}

static void
test_guest_net_notices_bad_num_buffers(void **state)
{
	static const uint16_t bad[] = { 0, 2, 300 };
	struct fixture *f = *state;
	struct guest_net_frame frame;
	struct found found;
	uint8_t buf[256];

	for (uint32_t i = 0; i < 3; i++) {
		const struct guest_net_hdr hdr = { .num_buffers = bad[i] };
		const struct guest_seg seg = { 0x108000, 64, true };

		guest_ring_add(&f->ring, &seg, 1);
		guest_ring_publish(&f->ring);
		assert_true(device_pop(&f->dev, &found));
		guest_mem_write(&f->mem, seg.gpa, &hdr, sizeof(hdr));
		device_push(&f->dev, &found, 64);
		assert_int_equal(guest_net_receive(&f->ring, 12, true, buf, sizeof(buf), &frame),
			-EBADMSG);
	}
}

/* Cases that run on every variant. */
static const struct CMUnitTest ring_cases[] = {
	cmocka_unit_test(test_guest_ring_carries_buffers),
	cmocka_unit_test(test_guest_ring_carries_batches),
	cmocka_unit_test(test_guest_ring_takes_any_order),
	cmocka_unit_test(test_guest_ring_refuses_when_full),
	cmocka_unit_test(test_guest_ring_unfolds_in_order_batch),
	cmocka_unit_test(test_guest_ring_notices_wrong_id),
	cmocka_unit_test(test_guest_ring_notices_excess_length),
	cmocka_unit_test(test_guest_ring_notices_use_of_nothing),
	cmocka_unit_test(test_guest_ring_notices_second_use),
	cmocka_unit_test(test_guest_ring_kicks_as_asked),
	cmocka_unit_test(test_guest_ring_asks_for_calls),
	cmocka_unit_test(test_guest_ring_tells_base),
	cmocka_unit_test(test_guest_ring_pokes_raw),
	cmocka_unit_test(test_guest_net_joins_merged_buffers),
	cmocka_unit_test(test_guest_net_notices_bad_num_buffers),
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	static struct CMUnitTest tests[NR(ring_cases) * NR(variants)];
	static char names[NR(tests)][96];
	size_t n = 0;

	for (size_t v = 0; v < NR(variants); v++) {
		for (size_t c = 0; c < NR(ring_cases); c++, n++) {
			snprintf(names[n], sizeof(names[n]), "%s[%s]", ring_cases[c].name,
				variants[v].name);
			tests[n] = (struct CMUnitTest){ names[n], ring_cases[c].test_func, setup,
				teardown, (void *)(uintptr_t)&variants[v] };
		}
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
