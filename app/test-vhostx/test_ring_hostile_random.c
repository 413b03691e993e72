/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings that a hostile guest writes at random, between the bursts and during them.
 */
#include <pthread.h>
#include <sched.h>

#include "test_ring_hostile.h"

/* A guest that writes at random; its own generator, so that a seed repeats the run. */
struct scribbler {
	struct rig *rig;
	uint64_t state;
	bool done; /* atomic */
	uint16_t idx;
};

static uint32_t
random32(struct scribbler *s)
{
	/* xorshift64* */
	s->state ^= s->state >> 12;
	s->state ^= s->state << 25;
	s->state ^= s->state >> 27;
	return (uint32_t)(s->state * 0x2545f4914f6cdd1dull >> 32);
}

static uint64_t
random_gpa(struct scribbler *s)
{
	static const uint64_t gpa[] = { RIG_DATA, RIG_DATA, RIG_DATA, RIG_DATA, RIG_DATA + RIG_DATA_LEN,
		RIG_HIGH, RIG_HIGH, RIG_LOW, RIG_HIGH + RIG_HIGH_LEN, RIG_TABLES, RIG_TABLES,
		RIG_DESC, RIG_DRIVER, RIG_NOWHERE, 0, UINT64_MAX - 100 };

	return gpa[random32(s) % RIG_NR(gpa)] + (random32(s) % 2 ? random32(s) % 4096 :
		-(uint64_t)(random32(s) % 256));
}

static struct guest_desc
random_desc(struct scribbler *s)
{
	static const uint32_t len[] = { 0, 1, 9, 10, 11, 12, 13, 60, 64, 1500, 3000, 70000, 1 << 20,
		16, 32, 160, UINT32_MAX, UINT32_MAX - 15 };
	const uint32_t r = random32(s);

	return (struct guest_desc){
		.addr = random_gpa(s),
		.len = r % 8 == 0 ? random32(s) % 5000 : len[r / 8 % RIG_NR(len)],
		/* Rather plain buffers, or all ends after one or two descriptors. */
		.flags = (r >> 8) % 4 == 0 ? (r >> 16) & 7 : (r >> 16) & GUEST_DESC_WRITE,
		.id_next = (r >> 20) % (s->rig->v.size + 2u),
	};
}

/* Mostly the entries that the device looks at next, mostly available. */
static void
scribble_packed(struct scribbler *s, struct guest_desc *d)
{
	const struct vhostx_ring *at = &s->rig->cursors;
	const uint32_t r = random32(s), size = s->rig->v.size;
	uint32_t slot = __atomic_load_n(&at->last_avail, __ATOMIC_RELAXED) + r % 8;
	bool wrap = __atomic_load_n(&at->avail_wrap, __ATOMIC_RELAXED);

	if (slot >= size)
		wrap = !wrap;
	if (r >> 8 & 7) {
		d->flags |= wrap ? GUEST_DESC_AVAIL : GUEST_DESC_USED;
	} else {
		d->flags |= r >> 16 & (GUEST_DESC_AVAIL | GUEST_DESC_USED);
		slot = r >> 12;
	}
	guest_ring_poke(&s->rig->ring, slot % size, d);
}

/* One change: a table entry, a descriptor, an index, a wish for calls. */
static void
scribble(struct scribbler *s)
{
	struct guest_ring *ring = &s->rig->ring;
	struct guest_desc d = random_desc(s);
	const uint32_t r = random32(s);
	const uint16_t slot = (r >> 8) % s->rig->v.size;

	if (r % 16 == 0)
		guest_ring_poke_event(ring, random32(s), random32(s) % 5);
	else if (r % 4 == 0)
		guest_ring_poke_table(ring, RIG_TABLES, r >> 8 & 127, &d);
	if (s->rig->v.format == GUEST_PACKED) {
		scribble_packed(s, &d);
		return;
	}
	guest_ring_poke(ring, slot, &d);
	guest_ring_poke_avail(ring, slot, (r >> 4) % 4096 == 0 ? random32(s) : d.id_next % ring->conf.size);
	if (r % 8 == 1) {
		/* Mostly a little on from where the device is, so that it has something to do. */
		s->idx = __atomic_load_n((uint16_t *)ring->device + 1, __ATOMIC_RELAXED) + random32(s) % 32;
		guest_ring_poke_avail_idx(ring, r >> 4 & 4095 ? s->idx : random32(s));
	}
}

/* One burst each way; what arrives must be whole mbufs. Restarts a ring that was stopped. */
static void
burst_both_ways(struct rig *rig, uint32_t i)
{
	struct rte_mbuf *pkts[32];
	const char *why = "";
	uint16_t n;

	n = rig_rx(&rig->queue, pkts, 32);
	for (uint16_t k = 0; k < n; k++)
		assert_int_equal(rte_mbuf_check(pkts[k], 1, &why), 0);
	rte_pktmbuf_free_bulk(pkts, n);
	for (n = 0; n < 8; n++)
		pkts[n] = rig_mbuf(60 + (i * 97 + n * 301) % 3000, n);
	n = rig_tx(&rig->queue, pkts, 8);
	rte_pktmbuf_free_bulk(&pkts[n], 8 - n);
	if (rig->cursors.fault != VHOSTX_NO_CAUSE) {
		const uint32_t base = rig_stop(rig);

		rig_start(rig, base);
	}
}

/* Enough went through for the run to mean something. */
static void
expect_variety(const struct rig *rig)
{
	const struct vhostx_counters *c = &rig->queue.count;

	assert_true(c->packets > 100);
	assert_true(c->drops[VHOSTX_BAD_ADDRESS] > 10);
	assert_true(c->drops[VHOSTX_BAD_DIRECTION] > 10);
	assert_true(c->drops[VHOSTX_BAD_LENGTH] > 10);
	assert_true(c->drops[VHOSTX_BAD_CHAIN] + c->drops[VHOSTX_BAD_INDIRECT] > 10);
}

static void
test_ring_hostile_survives_random_rings(void **state)
{
	struct rig *rig = *state;
	struct scribbler s = { .rig = rig, .state = 1 };

	for (uint32_t i = 0; i < 5000; i++) {
		for (uint32_t k = 0; k < 12; k++)
			scribble(&s);
		burst_both_ways(rig, i);
	}
	expect_variety(rig);
}

#define WRITES 20000

static void *
scribble_on(void *arg)
{
	struct scribbler *s = arg;

	for (uint32_t i = 0; i < WRITES; i++) {
		scribble(s);
		/* Where both threads share a core, bursts come between. */
		if (i % 64 == 0)
			sched_yield();
	}
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Every field changes between any two reads of it. */
static void
test_ring_hostile_survives_changes_under_burst(void **state)
{
	struct rig *rig = *state;
	struct scribbler s = { .rig = rig, .state = 2 };
	pthread_t thread;
	uint32_t i = 0;

	assert_int_equal(pthread_create(&thread, NULL, scribble_on, &s), 0);
	while (!__atomic_load_n(&s.done, __ATOMIC_ACQUIRE))
		burst_both_ways(rig, i++);
	pthread_join(thread, NULL);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_hostile_survives_random_rings, is_small),
	RIG_CASE(test_ring_hostile_survives_changes_under_burst, is_small),
};

int
main(void)
{
	return hostile_main("test_ring_hostile_random", cases, RIG_NR(cases));
}
