/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings with the dirty log on: a copy of guest memory from before a burst tells which pages it changed, and each of
 * them must be in the log.
 */
#include <sys/mman.h>

#include "ring/inflight.h"
#include "ring/inspect.h"
#include "ring/zerocopy.h"
#include "test_ring_offload.h"

#define LOG_PAGE 4096u
/* RIG_NOWHERE is past every region, wherever those are. */
#define LOG_SIZE ((RIG_NOWHERE + RIG_SHIFT) / LOG_PAGE / 8)

/* The log of the case that runs, and guest memory as it was. */
static struct {
	struct vhostx_log *log;
	uint8_t *copy[RIG_R_TABLES + 3]; /* by region */
	int fd, eventfd;
} watch;

/* Bytes of a region that a guest may have lent out. */
static uint64_t
watch_size(const struct rig *rig, uint32_t i)
{
	return i == RIG_R_DATA ? rig->mem.region[i].used : rig->mem.region[i].size;
}

static void
watch_start(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->mem.nr; i++)
		memcpy(watch.copy[i], rig->mem.region[i].va, watch_size(rig, i));
	memset(watch.log->word, 0, LOG_SIZE);
}

/* A ring that is logged from now on, on the same position. */
static void
watch_on(struct rig *rig)
{
	const char *why;

	watch.fd = memfd_create("log", MFD_CLOEXEC);
	watch.eventfd = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(ftruncate(watch.fd, LOG_SIZE), 0);
	assert_int_equal(vhostx_log_open(watch.fd, 0, LOG_SIZE, &watch.log, &why), 0);
	/* Not malloc(): meson has it write to all of these megabytes, of which few are used. */
	for (uint32_t i = 0; i < rig->mem.nr; i++) {
		watch.copy[i] = mmap(NULL, rig->mem.region[i].size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(watch.copy[i], MAP_FAILED);
	}
	vhostx_queue_retire(&rig->queue);
	rig->snap.log = watch.log;
	rig->snap.log_used = UINT64_MAX;
	rig->snap.logfd = watch.eventfd;
	vhostx_queue_publish(&rig->queue, &rig->snap);
	watch_start(rig);
}

static void
watch_off(struct rig *rig)
{
	vhostx_queue_retire(&rig->queue);
	rig->snap.log = NULL;
	vhostx_queue_publish(&rig->queue, &rig->snap);
	vhostx_log_close(watch.log);
	close(watch.fd);
	close(watch.eventfd);
	for (uint32_t i = 0; i < rig->mem.nr; i++)
		munmap(watch.copy[i], rig->mem.region[i].size);
}

static bool
is_logged(uint64_t page)
{
	return (watch.log->word[page / 64] >> page % 64 & 1) != 0;
}

/* Is a page in the log that the guest's device knows by this number? */
static bool
is_logged_for(const struct rig *rig, uint64_t page)
{
	return is_logged(page + (rig->v.iommu ? RIG_SHIFT / LOG_PAGE : 0));
}

/* The bytes of one page of a region. */
static bool
has_changed(const struct rig *rig, uint32_t i, uint64_t page)
{
	const struct guest_region *r = &rig->mem.region[i];
	const uint64_t from = RTE_MAX(page * LOG_PAGE, r->gpa) - r->gpa;
	const uint64_t to = RTE_MIN((page + 1) * LOG_PAGE, r->gpa + watch_size(rig, i)) - r->gpa;

	return memcmp(r->va + from, watch.copy[i] + from, to - from) != 0;
}

/* Pages that were changed since watch_start(), all of them in the log; begins anew. */
static uint32_t
watch_check(struct rig *rig)
{
	uint32_t changed = 0;

	for (uint32_t i = 0; i < rig->mem.nr; i++) {
		const uint64_t gpa = rig->mem.region[i].gpa;

		for (uint64_t page = gpa / LOG_PAGE; page * LOG_PAGE < gpa + watch_size(rig, i); page++) {
			if (!has_changed(rig, i, page))
				continue;
			changed++;
			if (!is_logged_for(rig, page))
				fail_msg("page 0x%jx of region %u is not in the log",
					(uintmax_t)page, i);
		}
	}
	watch_start(rig);
	return changed;
}

/* Pages in the log. */
static uint32_t
watch_count(void)
{
	uint32_t n = 0;

	for (uint64_t i = 0; i < LOG_SIZE / 8; i++)
		n += __builtin_popcountll(watch.log->word[i]);
	return n;
}

static void
test_ring_dirty_tx_of_every_length(void **state)
{
	struct rig *rig = *state;

	watch_on(rig);
	for (uint32_t i = 0; i < 4 * RIG_NR(rig_lengths); i++) {
		const uint32_t len = rig_lengths[i % RIG_NR(rig_lengths)];

		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_true(rig_tx_one(rig, rig_mbuf(len, i)));
		/* A buffer, of 3 pieces in 2 pages at most; the used ring's entry and index. */
		assert_in_range(watch_count(), 2, 4);
		assert_true(watch_check(rig) >= 2);
		assert_int_equal(rig_signals(watch.eventfd), 1);
		rig_assert_frame(rig, len, i, 1);
	}
	watch_off(rig);
}

static void
test_ring_dirty_tx_bursts(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[RIG_BURST];

	watch_on(rig);
	for (uint32_t k = 0; k < RIG_NR(rig_bursts) && rig_bursts[k] <= rig_capacity(rig); k++) {
		const uint32_t n = rig_bursts[k];

		for (uint32_t i = 0; i < n; i++) {
			rig_post(rig, i, RIG_SLOT_LEN);
			pkts[i] = rig_mbuf(60 + i, i + k);
		}
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_int_equal(rig_tx(&rig->queue, pkts, n), n);
		watch_check(rig);
		for (uint32_t i = 0; i < n; i++)
			rig_assert_frame(rig, 60 + i, i + k, 1);
	}
	watch_off(rig);
}

/* A jumbo frame over many buffers. */
static void
test_ring_dirty_tx_merged(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig_capacity(rig), 30u);
	const uint32_t len = n * 300 - rig->v.hdr_len - 7;

	watch_on(rig);
	for (uint32_t i = 0; i < n; i++)
		rig_post(rig, i, 300);
	guest_ring_publish(&rig->ring);
	watch_start(rig);
	assert_true(rig_tx_one(rig, rig_mbuf(len, 1)));
	watch_check(rig);
	rig_assert_frame(rig, len, 1, n);
	watch_off(rig);
}

/* A jumbo frame in one buffer of 17 pages. */
static void
test_ring_dirty_tx_long(void **state)
{
	struct rig *rig = *state;
	const uint64_t gpa = guest_mem_alloc_guarded(&rig->mem, RIG_R_DATA, 65562);

	watch_on(rig);
	for (uint32_t i = 0; i < 4; i++) {
		const uint32_t len = 9000 + 18000 * i;

		rig_post_at(rig, i, gpa, 65562);
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_true(rig_tx_one(rig, rig_mbuf(len, i)));
		assert_true(watch_check(rig) > len / LOG_PAGE);
		rig_assert_frame(rig, len, i, 1);
	}
	watch_off(rig);
}

static void
test_ring_dirty_tx_over_two_regions(void **state)
{
	struct rig *rig = *state;

	watch_on(rig);
	for (uint32_t in_low = 1; in_low < 80; in_low++) {
		rig_post_at(rig, in_low, RIG_HIGH - in_low, 90);
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_true(rig_tx_one(rig, rig_mbuf(70, in_low)));
		watch_check(rig);
		rig_assert_frame(rig, 70, in_low, 1);
	}
	watch_off(rig);
}

/* Guest: take all that was received. Frames are not looked at: test_ring_offload.c does that. */
static void
take_all(struct rig *rig)
{
	static uint8_t bytes[VHOSTX_PACKET_MAX];
	struct guest_net_frame f;

	while (guest_net_receive(&rig->ring, rig->v.hdr_len, rig->v.mergeable, bytes, sizeof(bytes), &f) == 1)
		continue;
}

/* Headers that are made here: tags, and checksums that are finished or handed on. */
static void
test_ring_dirty_tx_headers(void **state)
{
	static uint8_t bytes[VHOSTX_PACKET_MAX];
	struct rig *rig = *state;

	watch_on(rig);
	for (uint32_t i = 0; i < 4 * RIG_NR(rig_ip); i++) {
		struct rte_mbuf *m = rig_ask(bytes, &rig_ip[i % RIG_NR(rig_ip)], 0);

		if (i % RIG_NR(rig_ip) == 0)
			rig_negotiate(rig, i % 2 == 0 ? RIG_OFFLOADS : 0);
		if (i >= 2 * RIG_NR(rig_ip))
			m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		rig_post(rig, i, RIG_SLOT_LEN);
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_true(rig_tx_one(rig, m));
		assert_true(watch_check(rig) >= 2);
		take_all(rig);
	}
	watch_off(rig);
}

/* A packet that is cut here into packets of one or, where they merge, many buffers. */
static void
test_ring_dirty_tx_segments(void **state)
{
	static uint8_t bytes[VHOSTX_PACKET_MAX];
	const struct guest_ip ip = { .payload = 4300, .seq = 5, .seed = 1 };
	struct rig *rig = *state;
	const uint32_t n = rig->v.mergeable && rig_capacity(rig) >= 20 ? 20 : 5;

	if (rig_capacity(rig) < n)
		return;
	watch_on(rig);
	rig_negotiate(rig, 0);
	for (uint32_t k = 0; k < 5; k++) {
		for (uint32_t i = 0; i < n; i++)
			rig_post(rig, i, n == 20 ? 300 : 1100);
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_true(rig_tx_one(rig, rig_ask(bytes, &ip, 900)));
		assert_true(watch_check(rig) >= 2);
		assert_true(rig->queue.count.packets == 5 * (k + 1));
		take_all(rig);
	}
	watch_off(rig);
}

/* What the guest sends is read: the ring's own pages are all that changes. */
static void
test_ring_dirty_rx(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[RIG_BURST];

	watch_on(rig);
	for (uint32_t k = 0; k < RIG_NR(rig_bursts) && rig_bursts[k] <= rig_capacity(rig); k++) {
		const uint32_t n = rig_bursts[k];
		uint16_t id;
		uint32_t len;

		for (uint32_t i = 0; i < n; i++)
			rig_send(rig, i, 60 + i);
		guest_ring_publish(&rig->ring);
		watch_start(rig);
		assert_int_equal(rig_rx(&rig->queue, pkts, n), n);
		assert_in_range(watch_count(), 1, 2 + n * rig_ndesc(rig) * 16 / LOG_PAGE + 2);
		assert_true(watch_check(rig) >= 1);
		assert_true(rig_signals(watch.eventfd) >= 1);
		for (uint32_t i = 0; i < n; i++) {
			rig_assert_mbuf(pkts[i], 60 + i, i);
			assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
		}
	}
	watch_off(rig);
}

/* Discarding gives chains back as well. */
static void
test_ring_dirty_rx_discards(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *pkts[4];
	uint16_t id;
	uint32_t len;

	watch_on(rig);
	rig->snap.enabled = false;
	rig_send(rig, 0, 60);
	guest_ring_publish(&rig->ring);
	watch_start(rig);
	assert_int_equal(rig_rx(&rig->queue, pkts, 4), 0);
	assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
	assert_true(watch_check(rig) >= 1);
	watch_off(rig);
}

static void
test_ring_dirty_wish_for_kicks(void **state)
{
	struct rig *rig = *state;

	rig->queue.evfd = eventfd(0, EFD_NONBLOCK);
	watch_on(rig);
	/* Somewhere else than at the wish that is written already. */
	rig_send(rig, 0, 60);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf *m;

		watch_start(rig);
		vhostx_queue_intr_on(&rig->queue);
		watch_check(rig);
		vhostx_queue_intr_off(&rig->queue);
		watch_check(rig);
		if (i == 0) {
			assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
			rte_pktmbuf_free(m);
		}
	}
	watch_start(rig);
	vhostx_queue_intr_on(&rig->queue);
	assert_true(watch_count() >= 1);
	watch_off(rig);
	close(rig->queue.evfd);
}

/* "The write to first byte of the used ring is logged at this offset", wherever that is. */
static void
test_ring_dirty_used_at_second_place(void **state)
{
	struct rig *rig = *state;
	const uint64_t page = (RIG_NOWHERE - 65536) / LOG_PAGE;
	const uint32_t n = RTE_MIN(rig_capacity(rig), 20u);
	struct rte_mbuf *pkts[20];

	watch_on(rig);
	/* The index is the last thing in a page, and the entry after it the first in the next. */
	rig->snap.log_used = (page + 1) * LOG_PAGE - sizeof(struct vring_used);
	for (uint32_t i = 0; i < n; i++) {
		rig_post(rig, i, RIG_SLOT_LEN);
		pkts[i] = rig_mbuf(60, i);
	}
	guest_ring_publish(&rig->ring);
	watch_start(rig);
	assert_int_equal(rig_tx(&rig->queue, pkts, n), n);
	if (rig->v.format == GUEST_SPLIT) {
		assert_true(is_logged(page));
		assert_true(is_logged(page + 1));
	}
	watch_check(rig);
	vhostx_ring_suppress_kicks(&rig->snap);
	assert_true(is_logged(page));
	for (uint32_t i = 0; i < n; i++)
		rig_assert_frame(rig, 60, i, 1);
	watch_off(rig);
}

/* A record in which the first two entries of the ring are in flight, the second one taken before the first. */
static union vhostx_inflight_ring *
record_of_two(struct rig *rig)
{
	const bool packed = rig->v.format == GUEST_PACKED;
	union vhostx_inflight_ring *r = calloc(1, vhostx_inflight_size(1, rig->v.size, packed));

	assert_non_null(r);
	rig->snap.inflight = r;
	vhostx_inflight_begin(&rig->snap);
	if (packed)
		r->packed.free_head = r->packed.old_free_head = rig->v.size; /* none is free */
	for (uint16_t i = 0; i < 2; i++) {
		const struct vring_packed_desc *d = rig->ring.desc;

		if (packed)
			r->packed.desc[i] = (struct vhostx_inflight_packed_desc){ .inflight = 1, .next = i, .last = i,
				.num = 1, .counter = 2 - i, .id = d[i].id, .flags = d[i].flags, .len = d[i].len,
				.addr = d[i].addr };
		else
			r->split.desc[i] = (struct vhostx_inflight_split_desc){ .inflight = 1, .counter = 2 - i };
	}
	return r;
}

/* What the process before had no time to log counts as written, and so does what is put back into the ring. */
static void
test_ring_dirty_regress_ring_that_is_resumed(void **state)
{
	struct rig *rig = *state;
	union vhostx_inflight_ring *record;
	const char *why = NULL;

	watch_on(rig);
	rig_post(rig, 0, RIG_SLOT_LEN);
	rig_post(rig, 1, 100);
	guest_ring_publish(&rig->ring);
	vhostx_queue_retire(&rig->queue);
	record = record_of_two(rig);
	watch_start(rig);
	assert_true(vhostx_inflight_resume(&rig->snap, false));
	rig->snap.inflight = NULL;
	assert_true(vhostx_ring_prepare(&rig->snap, &why) >= 0);
	assert_true(watch_check(rig) >= 1);
	vhostx_queue_publish(&rig->queue, &rig->snap);
	assert_true(rig_tx_one(rig, rig_mbuf(60, 1)));
	rig_assert_frame(rig, 60, 1, 1);
	watch_off(rig);
	free(record);
}

/*
 * A zero-copy ring: what somebody writes into a lent buffer would not be in the log, so packets are copied from now
 * on. What was lent before comes back, and that is logged.
 */
static void
test_ring_dirty_zero_copy_copies(void **state)
{
	struct rig *rig = *state;
	const struct vhostx_zc_conf conf = { .size = rig->v.size, .threshold = 512, .inflight = 100 };
	struct rte_mbuf *before, *m;
	uint32_t len;
	uint16_t id;

	rig->snap.zc = vhostx_zc_create(&conf);
	assert_int_equal(vhostx_zc_adopt(rig->snap.zc, rig->table), 0);
	rig_send(rig, 0, 1500);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_rx(&rig->queue, &before, 1), 1);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_LENT], 1);
	watch_on(rig);
	rig_send(rig, 1, 1500);
	guest_ring_publish(&rig->ring);
	watch_start(rig);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	assert_int_equal(rig->queue.count.zc[VHOSTX_ZC_LOGGED], 1);
	memset(rte_pktmbuf_mtod(m, void *), 0, m->data_len);
	assert_true(watch_check(rig) >= 1);
	assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
	rte_pktmbuf_free(m);
	rig_assert_mbuf(before, 1500, 0);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 0);
	assert_true(watch_check(rig) >= 1);
	assert_int_equal(guest_ring_get_used(&rig->ring, &id, &len), 1);
	watch_off(rig);
	vhostx_zc_free(rig->snap.zc);
	rig->snap.zc = NULL;
}

/* A zero-copy port does not offer IN_ORDER, and one buffer has to be left beside that which is out. */
static bool
lends_two(const struct rig_variant *v)
{
	return !v->in_order && !v->iommu && v->size >= 8;
}

/* The first entries of the ring are those of record_of_two(). */
static bool
is_flat_direct(const struct rig_variant *v)
{
	return v->layout == RIG_DIRECT && !v->iommu && !v->in_order &&
		v->base == (v->format == GUEST_SPLIT ? 0 : GUEST_PACKED_BASE);
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_dirty_tx_of_every_length, NULL),
	RIG_CASE(test_ring_dirty_tx_bursts, NULL),
	RIG_CASE(test_ring_dirty_tx_merged, rig_is_mergeable),
	RIG_CASE(test_ring_dirty_tx_long, NULL),
	RIG_CASE(test_ring_dirty_tx_over_two_regions, NULL),
	RIG_CASE(test_ring_dirty_tx_headers, NULL),
	RIG_CASE(test_ring_dirty_tx_segments, NULL),
	RIG_CASE(test_ring_dirty_rx, NULL),
	RIG_CASE(test_ring_dirty_rx_discards, NULL),
	RIG_CASE(test_ring_dirty_wish_for_kicks, NULL),
	RIG_CASE(test_ring_dirty_regress_ring_that_is_resumed, is_flat_direct),
	RIG_CASE(test_ring_dirty_used_at_second_place, rig_is_flat),
	RIG_CASE(test_ring_dirty_zero_copy_copies, lends_two),
};

int
main(void)
{
	static const uint16_t sizes[][2] = { { 8, 7 }, { 256, 100 } };
	static const uint16_t late_sizes[][2] = { { 8, 7 }, { 4096, 1000 } };
	static struct rig_variant v[36 * 2];
	int failed;
	size_t n;

	rig_eal();
	n = rig_variants(v, sizes, RIG_NR(sizes));
	failed = rig_run("test_ring_dirty", cases, RIG_NR(cases), v, n);
	for (size_t i = 0; i < n; i++)
		v[i].iommu = true;
	failed += rig_run("test_ring_dirty, iommu", cases, RIG_NR(cases), v, n);
	/* So close to the end that bursts wrap round: rings of several pages change their last and their first. */
	n = rig_variants(v, late_sizes, RIG_NR(late_sizes));
	for (size_t i = 0; i < n; i++) {
		const uint32_t slot = v[i].size - RTE_MIN(v[i].size / 2u, 10u);
		const uint32_t late = slot | 0x8000;

		v[i].base = v[i].format == GUEST_SPLIT ? slot : late | late << 16;
	}
	failed += rig_run("test_ring_dirty, late", cases, RIG_NR(cases), v, n);
	rte_eal_cleanup();
	return failed;
}
