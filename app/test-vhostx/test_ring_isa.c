/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The variants of the bursts, one per instruction set, do the same: on rings that a guest writes at random each
 * leaves what the plain one leaves, to the byte.
 */
#include "test_ring_scribbler.h"

#define SEEDS 20u
#define BURSTS 40u

/* All that a run leaves. */
struct trace {
	struct vhostx_counters count;
	uint64_t mbufs;  /* hash of what was received */
	uint64_t memory; /* hash of what the guest can see */
	uint32_t base;   /* position at the end */
	uint32_t restarts;
};

/* FNV-1a, going on from @a hash. */
static uint64_t
hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
hash_mbuf(uint64_t hash, const struct rte_mbuf *m)
{
	hash = hash_bytes(hash, &m->pkt_len, sizeof(m->pkt_len));
	hash = hash_bytes(hash, &m->nb_segs, sizeof(m->nb_segs));
	for (; m != NULL; m = m->next)
		hash = hash_bytes(hash, rte_pktmbuf_mtod(m, const void *), m->data_len);
	return hash;
}

/* Of the long region the ends alone: the scribbler goes nowhere else. */
static uint64_t
hash_memory(const struct guest_mem *mem)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct guest_region *r = &mem->region[i];
		const uint64_t end = RTE_MIN(r->size, UINT64_C(16384));

		hash = hash_bytes(hash, r->va, end);
		hash = hash_bytes(hash, r->va + r->size - end, end);
	}
	return hash;
}

static void
burst(struct rig *rig, struct scribbler *s, struct trace *t)
{
	const uint16_t nb_rx = 1 + random32(s) % 32, nb_tx = 1 + random32(s) % 24;
	struct rte_mbuf *pkts[32];
	uint16_t n = rig_rx(&rig->queue, pkts, nb_rx);

	for (uint16_t i = 0; i < n; i++)
		t->mbufs = hash_mbuf(t->mbufs, pkts[i]);
	rte_pktmbuf_free_bulk(pkts, n);
	for (n = 0; n < nb_tx; n++)
		pkts[n] = rig_mbuf(60 + random32(s) % 3000 * (random32(s) % 4 == 0), n);
	n = rig_tx(&rig->queue, pkts, nb_tx);
	rte_pktmbuf_free_bulk(&pkts[n], nb_tx - n);
	if (rig->cursors.fault == VHOSTX_NO_CAUSE)
		return;
	t->restarts++;
	rig_start(rig, rig_stop(rig));
}

static struct trace
run(const struct rig_variant *v, uint64_t seed)
{
	struct rig *rig = rig_new(v);
	struct scribbler s = { .rig = rig, .state = seed };
	struct trace t = { 0 };
	void *state = rig;

	for (uint32_t i = 0; i < BURSTS; i++) {
		const uint32_t changes = 1 + random32(&s) % (2 * v->size);

		for (uint32_t k = 0; k < changes; k++)
			scribble(&s);
		burst(rig, &s, &t);
	}
	t.memory = hash_memory(&rig->mem);
	t.count = rig->queue.count;
	t.base = rig_stop(rig);
	assert_int_equal(rig_teardown(&state), 0);
	return t;
}

static void
test_ring_isa_variants_agree(void **state)
{
	const struct rig_variant *v = *state;
	unsigned int nr = 0;

	while (vhostx_bursts_at(nr) != NULL)
		nr++;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct trace plain, wide;

		rig_isa = vhostx_bursts_at(nr - 1);
		plain = run(v, seed);
		for (unsigned int i = 0; i + 1 < nr; i++) {
			rig_isa = vhostx_bursts_at(i);
			wide = run(v, seed);
			assert_int_equal(wide.restarts, plain.restarts);
			assert_memory_equal(&wide.count, &plain.count, sizeof(plain.count));
			assert_true(wide.mbufs == plain.mbufs);
			assert_true(wide.memory == plain.memory);
			assert_int_equal(wide.base, plain.base);
		}
	}
}

int
main(void)
{
	static const uint16_t sizes[][2] = { { 4, 3 }, { 8, 7 }, { 64, 61 }, { 256, 255 } };
	static struct rig_variant all[36 * RIG_NR(sizes)];
	static struct CMUnitTest tests[RIG_NR(all)];
	static char names[RIG_NR(all)][128];
	size_t n, k = 0;
	int failed;

	rig_eal();
	n = rig_variants(all, sizes, RIG_NR(sizes));
	for (size_t i = 0; i < n; i++) {
		if (all[i].layout != RIG_DIRECT)
			continue;
		rig_name(names[k], sizeof(names[k]), "test_ring_isa_variants_agree", &all[i]);
		tests[k] = (struct CMUnitTest){ names[k], test_ring_isa_variants_agree, NULL, NULL, &all[i] };
		k++;
	}
	failed = _cmocka_run_group_tests("test_ring_isa", tests, k, NULL, NULL);
	rte_eal_cleanup();
	return failed;
}
