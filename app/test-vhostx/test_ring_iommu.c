/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings behind an IOMMU: what they ask for, what they do when it is denied or taken back. That they move packets
 * like others is for the tests of the others to see.
 */
#include "test_ring_cases.h"
#include "test_ring_packets.h"

/* One burst, and no more. */
static uint16_t
rx_once(struct rig *rig, struct rte_mbuf **pkts, uint16_t nb)
{
	return rig_isa->rx(&rig->queue, pkts, nb);
}

static uint64_t
wakes(const struct rig *rig)
{
	uint64_t n = 0;

	return read(rig->wakefd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

/* How often the front-end was asked since the last look; nobody woke the control thread for it. */
static uint32_t
asks(struct rig *rig)
{
	const uint32_t n = rig->asks;

	rig->asks = 0;
	assert_int_equal(wakes(rig), 0);
	return n;
}

static void
test_ring_iommu_asks_once(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig_send(rig, 0, 60);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asks(rig), 1);
	assert_int_equal(vhostx_miss_access(rig->cursors.iommu.miss), VHOSTX_ACCESS_R);
	rig_assert_nothing_used(rig);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 60, 0);
}

static void
test_ring_iommu_asks_to_write(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m = rig_mbuf(60, 3);

	rig_post(rig, 0, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rig_isa->tx(&rig->queue, &m, 1), 0);
	if (rig->v.layout == RIG_INDIRECT) {
		assert_int_equal(rig->cursors.iommu.miss, vhostx_miss_word(RIG_TABLES, VHOSTX_ACCESS_R));
		assert_true(rig_answer(rig));
		assert_int_equal(rig_isa->tx(&rig->queue, &m, 1), 0);
	}
	assert_int_equal(vhostx_miss_access(rig->cursors.iommu.miss), VHOSTX_ACCESS_W);
	assert_true(rig_tx_one(rig, m));
	rig_assert_frame(rig, 60, 3, 1);
}

/* Pages that the ring has asked for ahead, or 0xffff if any of them is not one of its data. */
static unsigned int
asked_ahead(const struct rig *rig)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < VHOSTX_AHEAD; i++) {
		const uint64_t page = vhostx_miss_iova(rig->cursors.iommu.ahead[i]);

		if (rig->cursors.iommu.ahead[i] == 0)
			continue;
		if (page < RIG_DATA || page >= RIG_TABLES + RIG_SLOTS * RIG_TABLE_LEN)
			return 0xffff;
		n++;
	}
	return n;
}

/* Was the page of every byte of a buffer asked for? */
static bool
is_asked(struct rig *rig, uint64_t iova, uint32_t len)
{
	for (uint64_t at = iova & ~(RIG_PAGE - 1); at < iova + len; at += RIG_PAGE) {
		if (vhostx_miss_iova(*vhostx_iommu_ahead(&rig->cursors.iommu, at)) != at)
			return false;
	}
	return true;
}

/* A buffer in pages of its own: two if its number is odd. */
static uint64_t
far_slot(uint32_t i)
{
	return RIG_DATA + (16 + 2 * i) * RIG_PAGE + (i % 2 != 0 ? RIG_PAGE - 50 : 100);
}

/* A burst that is short of many pages asks for all of them, and for those of the next chains, at once. */
static void
test_ring_iommu_asks_for_all_that_is_offered(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig_capacity(rig), 20u);
	struct rte_mbuf *pkts[20];
	uint32_t pages = 0;

	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_map_page(rig, RIG_TABLES + RIG_PAGE, VHOSTX_ACCESS_R);
	for (uint32_t i = 0; i < n; i++)
		rig_send_from(rig, i, far_slot(i), 100);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rx_once(rig, pkts, 1), 0);
	assert_int_equal(asks(rig), 1);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(is_asked(rig, far_slot(i), rig->v.hdr_len + 100));
		pages += 1 + i % 2;
	}
	assert_int_equal(asked_ahead(rig), pages);
	/* And so one answer is enough. */
	assert_true(rig_answer(rig));
	assert_int_equal(rx_once(rig, pkts, 20), n);
	for (uint32_t i = 0; i < n; i++)
		rig_assert_mbuf(pkts[i], 100, i);
}

/* While pages are missing, what the guest offers is looked at when it comes, not when it is its turn. */
static void
test_ring_iommu_asks_before_the_turn(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_send_from(rig, 0, far_slot(0), 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asks(rig), 1);
	rig_send_from(rig, 1, far_slot(1), 100);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asks(rig), 1);
	assert_true(is_asked(rig, far_slot(1), rig->v.hdr_len + 100));
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 100, 0);
	/* The second has its answer already. */
	assert_int_equal(rx_once(rig, &m, 1), 1);
	rig_assert_mbuf(m, 100, 1);
	assert_int_equal(asks(rig), 0);
}

/* A table that is not there hides what is in it; when it is, all that it names is asked for. */
static void
test_ring_iommu_looks_into_tables(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig_capacity(rig), 16u);
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < n; i++)
		rig_send_from(rig, i, far_slot(i), 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asked_ahead(rig), (n * RIG_TABLE_LEN + RIG_PAGE - 1) / RIG_PAGE);
	assert_true(rig_answer(rig));
	assert_int_equal(rx_once(rig, &m, 1), 0);
	for (uint32_t i = 0; i < n; i++)
		assert_true(is_asked(rig, far_slot(i), rig->v.hdr_len + 100));
}

/* A buffer that never ends takes all places, and not more; the chain that waits is asked for all the same. */
static void
test_ring_iommu_look_is_bounded(void **state)
{
	struct rig *rig = *state;
	const struct guest_seg seg[] = { { RIG_DATA + 100, 90, false }, { RIG_DATA + RIG_PAGE, UINT32_MAX - 200, false } };
	struct rte_mbuf *m;

	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_add_segs(rig, 0, seg, 2);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asked_ahead(rig), VHOSTX_AHEAD);
	assert_int_equal(rig->cursors.iommu.miss, vhostx_miss_word(RIG_DATA, VHOSTX_ACCESS_R));
	assert_int_equal(asks(rig), 1);
	/* Nothing more while nobody answers. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asks(rig), 0);
}

/* Buffers of 0 bytes need no page, and cost a look all the same: the chain behind so many is not its turn's yet. */
static void
test_ring_iommu_regress_look_at_nothing_is_bounded(void **state)
{
	struct rig *rig = *state;
	const uint64_t table = RIG_DATA + RIG_DATA_LEN / 2;
	const struct guest_seg seg = { table, 1024 * sizeof(struct vring_desc), false };
	struct rte_mbuf *pkts[4];
	struct guest_desc d;
	uint16_t slot, n = 0;

	assert_int_equal(guest_mem_set(&rig->mem, table, 0, seg.len), 0);
	for (uint64_t at = table; at < table + seg.len; at += RIG_PAGE)
		rig_map_page(rig, at, VHOSTX_ACCESS_R);
	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_send_from(rig, 0, far_slot(0), 100);
	slot = guest_ring_slot(&rig->ring, guest_ring_add(&rig->ring, &seg, 1), 0);
	d = guest_ring_peek(&rig->ring, slot);
	d.flags |= GUEST_DESC_INDIRECT;
	guest_ring_poke(&rig->ring, slot, &d);
	rig_send_from(rig, 2, far_slot(2), 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rx_once(rig, pkts, 1), 0);
	assert_int_equal(asked_ahead(rig), 1);
	assert_true(is_asked(rig, far_slot(0), 100));
	/* It holds up nobody. */
	for (uint32_t i = 0; i < 4; i++)
		n += rig_rx(&rig->queue, &pkts[n], 4 - n);
	assert_int_equal(n, 2);
	rig_assert_mbuf(pkts[0], 100, 0);
	rig_assert_mbuf(pkts[1], 100, 2);
}

/* What the front-end does not take now is for the control thread, in its own time. */
static void
test_ring_iommu_leaves_what_cannot_be_asked(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig->deaf = true;
	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_send_from(rig, 0, far_slot(0), 100);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(rig->asks, 1);
	assert_int_equal(wakes(rig), 1);
	assert_true(rig->cursors.iommu.fresh);
	assert_int_equal(*vhostx_iommu_ahead(&rig->cursors.iommu, far_slot(0)),
		vhostx_miss_word(far_slot(0), VHOSTX_ACCESS_R));
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 100, 0);
}

/* Another page, which nobody has answered for, is where this one would be noted. */
static void
test_ring_iommu_leaves_what_has_no_place(void **state)
{
	struct rig *rig = *state;
	uint64_t *slot = vhostx_iommu_ahead(&rig->cursors.iommu, far_slot(0));
	struct rte_mbuf *m;

	*slot = vhostx_miss_word(far_slot(0) + VHOSTX_AHEAD * RIG_PAGE, VHOSTX_ACCESS_R) | VHOSTX_MISS_ASKED;
	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_send_from(rig, 0, far_slot(0), 100);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(wakes(rig), 1);
	assert_int_equal(rig->cursors.iommu.miss, vhostx_miss_word(far_slot(0), VHOSTX_ACCESS_R));
}

/* No answer comes: the control thread is told, and again after a while. */
static void
test_ring_iommu_wakes_when_nobody_answers(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig_send(rig, 0, 60);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asks(rig), 1);
	for (int i = 0; i < 3; i++) {
		rig->cursors.iommu.since -= rte_get_tsc_hz();
		assert_int_equal(rx_once(rig, &m, 1), 0);
		assert_int_equal(wakes(rig), 1);
		assert_int_equal(rig->asks, 0);
	}
}

/* Where nothing is missing for long, chains are looked at in their turn alone. */
static void
test_ring_iommu_stops_to_look(void **state)
{
	struct rig *rig = *state;
	struct rte_mbuf *m;

	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	for (uint32_t i = 0; i < 1200; i++) {
		rig_send_from(rig, 0, far_slot(0), 100);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
		rig_assert_mbuf(m, 100, 0);
		while (guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }) == 1)
			;
	}
	assert_int_equal(rig->cursors.iommu.keen, 0);
	/* Until something is missing again. */
	rig_send_from(rig, 0, far_slot(1), 100);
	guest_ring_publish(&rig->ring);
	assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_true(rig->cursors.iommu.keen != 0);
}

/* A page in the middle of a chain: what comes before it stays on the ring as well, and is read once. */
static void
test_ring_iommu_waits_in_the_middle(void **state)
{
	struct rig *rig = *state;
	const uint64_t far = RTE_ALIGN_CEIL(rig_slot(rig, 0), RIG_PAGE) + 16 * RIG_PAGE;
	const struct guest_seg seg[3] = {
		{ rig_slot(rig, 0), 20, false }, { far, 30, false }, { rig_slot(rig, 0) + 20, 40, false },
	};
	struct rte_mbuf *m;

	guest_net_fill(&rig->mem, seg, 3, NULL, rig->v.hdr_len, 90 - rig->v.hdr_len, 5);
	rig_map_page(rig, rig_slot(rig, 0) & ~(RIG_PAGE - 1), VHOSTX_ACCESS_R);
	rig_map_page(rig, (rig_slot(rig, 0) & ~(RIG_PAGE - 1)) + RIG_PAGE, VHOSTX_ACCESS_R);
	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_add_segs(rig, 0, seg, 3);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rx_once(rig, &m, 1), 0);
	assert_int_equal(asks(rig), 1);
	assert_int_equal(rig->cursors.iommu.miss, vhostx_miss_word(far, VHOSTX_ACCESS_R));
	rig_assert_nothing_used(rig);
	assert_int_equal(rig_rx(&rig->queue, &m, 1), 1);
	rig_assert_mbuf(m, 90 - rig->v.hdr_len, 5);
}

/* What would be in guest memory if there were no IOMMU is not for a device to see: not even many at once. */
static void
test_ring_iommu_denies_guest_physical_addresses(void **state)
{
	struct rig *rig = *state;
	const uint32_t n = RTE_MIN(rig->v.size, 8u);
	struct rte_mbuf *pkts[8], *got[8];
	int id[8];

	for (uint32_t lap = 0; lap < 2; lap++) {
		for (uint32_t i = 0; i < n; i++) {
			const struct guest_seg seg = { RIG_DATA + RIG_SHIFT + i * 128, 128, lap == 1 };

			id[i] = guest_ring_add(&rig->ring, &seg, 1);
			pkts[i] = rig_mbuf(60, i);
		}
		guest_ring_publish(&rig->ring);
		for (uint32_t k = 0; k < 2 * n && lap == 0; k++)
			assert_int_equal(rig_rx(&rig->queue, got, n), 0);
		for (uint32_t k = 0; k < 2 * n && lap == 1; k++)
			assert_int_equal(rig_tx(&rig->queue, pkts, n), 0);
		for (uint32_t i = 0; i < n; i++) {
			rig_assert_returned(rig, id[i]);
			rte_pktmbuf_free(pkts[i]);
		}
	}
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_ADDRESS], 2 * n);
}

/* The guest gave an address that its IOMMU does not know: that chain goes back, the next one goes on. */
static void
test_ring_iommu_denied_chain_goes_back(void **state)
{
	struct rig *rig = *state;
	const struct guest_seg seg = { RIG_NOWHERE, 100, false };
	const int bad = guest_ring_add(&rig->ring, &seg, 1);
	struct rte_mbuf *pkts[4];
	uint16_t n = 0;

	rig_send(rig, 1, 60);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 4; i++)
		n += rig_rx(&rig->queue, &pkts[n], 4 - n);
	assert_int_equal(n, 1);
	rig_assert_mbuf(pkts[0], 60, 1);
	rig_assert_returned(rig, bad);
	assert_int_equal(rig->queue.count.drops[VHOSTX_BAD_ADDRESS], 1);
}

/* A page to read only is no page to write into, however often it is found. */
static void
test_ring_iommu_keeps_permissions(void **state)
{
	struct rig *rig = *state;
	const uint64_t page = rig_slot(rig, 0) & ~(RIG_PAGE - 1);
	struct rte_mbuf *m = rig_mbuf(60, 3);

	for (int i = 0; i < 2; i++)
		vhostx_iotlb_add(rig->iotlb, page + i * RIG_PAGE, RIG_PAGE,
			guest_mem_ptr(&rig->mem, page + i * RIG_PAGE, 1), VHOSTX_ACCESS_R);
	rig_map_page(rig, RIG_TABLES, VHOSTX_ACCESS_R);
	rig_post(rig, 0, RIG_SLOT_LEN);
	guest_ring_publish(&rig->ring);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_isa->tx(&rig->queue, &m, 1), 0);
	assert_int_equal(vhostx_miss_access(rig->cursors.iommu.miss), VHOSTX_ACCESS_W);
	assert_true(rig_tx_one(rig, m));
	rig_assert_frame(rig, 60, 3, 1);
}

/* The guest maps another page at the address that the ring remembers. */
static void
test_ring_iommu_forgets_what_is_taken_out(void **state)
{
	struct rig *rig = *state;
	const uint64_t page = RTE_ALIGN_CEIL(rig_slot(rig, 0), RIG_PAGE) + 16 * RIG_PAGE;
	uint8_t *there = guest_mem_ptr(&rig->mem, page, 2 * RIG_PAGE);
	struct rte_mbuf *m;

	for (uint32_t i = 0; i < 20; i++) {
		const uint64_t off = i % 2 * RIG_PAGE;
		const struct guest_seg seg = { page + off, 100, false };

		guest_net_fill(&rig->mem, &seg, 1, NULL, rig->v.hdr_len, 100 - rig->v.hdr_len, i);
		vhostx_iotlb_add(rig->iotlb, page, RIG_PAGE, there + off, VHOSTX_ACCESS_RW);
		assert_true(guest_ring_add(&rig->ring, &(struct guest_seg){ page, 100, false }, 1) >= 0);
		guest_ring_publish(&rig->ring);
		assert_int_equal(rx_once(rig, &m, 1), 1);
		rig_assert_mbuf(m, 100 - rig->v.hdr_len, i);
		if (i % 3 == 0)
			vhostx_iotlb_remove(rig->iotlb, page, page + RIG_PAGE - 1);
		rig_signals(rig->callfd);
		while (guest_ring_get_used(&rig->ring, &(uint16_t){ 0 }, &(uint32_t){ 0 }) == 1)
			;
	}
}

static const struct rig_case cases[] = {
	RIG_CASE(test_ring_iommu_asks_once, NULL),
	RIG_CASE(test_ring_iommu_asks_to_write, NULL),
	RIG_CASE(test_ring_iommu_asks_for_all_that_is_offered, NULL),
	RIG_CASE(test_ring_iommu_asks_before_the_turn, NULL),
	RIG_CASE(test_ring_iommu_looks_into_tables, rig_is_indirect),
	RIG_CASE(test_ring_iommu_look_is_bounded, NULL),
	RIG_CASE(test_ring_iommu_regress_look_at_nothing_is_bounded, NULL),
	RIG_CASE(test_ring_iommu_leaves_what_cannot_be_asked, NULL),
	RIG_CASE(test_ring_iommu_leaves_what_has_no_place, NULL),
	RIG_CASE(test_ring_iommu_wakes_when_nobody_answers, NULL),
	RIG_CASE(test_ring_iommu_stops_to_look, NULL),
	RIG_CASE(test_ring_iommu_waits_in_the_middle, NULL),
	RIG_CASE(test_ring_iommu_denies_guest_physical_addresses, rig_is_no_event),
	RIG_CASE(test_ring_iommu_denied_chain_goes_back, NULL),
	RIG_CASE(test_ring_iommu_keeps_permissions, NULL),
	RIG_CASE(test_ring_iommu_forgets_what_is_taken_out, NULL),
};

int
main(void)
{
	static const uint16_t sizes[][2] = { { 8, 7 }, { 256, 100 } };
	static struct rig_variant v[36 * 2];
	int failed;
	size_t n;

	rig_eal();
	n = rig_variants(v, sizes, RIG_NR(sizes));
	for (size_t i = 0; i < n; i++)
		v[i].iommu = true;
	failed = rig_run("test_ring_iommu", cases, RIG_NR(cases), v, n);
	rte_eal_cleanup();
	return failed;
}
