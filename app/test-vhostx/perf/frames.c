/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The frames that are sent: made from a sequence number, and checked against it byte by byte.
 */
#include <errno.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_memcpy.h>
#include <rte_udp.h>

#include "frames.h"

/* Ethernet, IPv4 and UDP headers; the lengths and checksums in them are not filled in. */
#define HEADERS (sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr) + sizeof(struct rte_udp_hdr))
#define SEQ_AT HEADERS
#define STAMP_AT (SEQ_AT + sizeof(uint32_t))
#define BYTES_AT STAMP_AT

/* Where in the table of bytes a frame begins depends on its number, so a stale buffer shows. */
#define STARTS 4096u

static uint8_t headers[HEADERS];
static uint8_t bytes[STARTS + PERF_FRAME_MAX];

static const uint16_t imix[] = { 64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64 };

void
perf_frames_init(void)
{
	const struct rte_ether_hdr eth = {
		.dst_addr.addr_bytes = { 2, 0, 0, 0, 0, 2 },
		.src_addr.addr_bytes = { 2, 0, 0, 0, 0, 1 },
		.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
	};
	const struct rte_ipv4_hdr ip = {
		.version_ihl = RTE_IPV4_VHL_DEF,
		.time_to_live = 64,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(RTE_IPV4(198, 18, 0, 1)),
		.dst_addr = rte_cpu_to_be_32(RTE_IPV4(198, 18, 0, 2)),
	};
	const struct rte_udp_hdr udp = {
		.src_port = rte_cpu_to_be_16(9),
		.dst_port = rte_cpu_to_be_16(9),
	};
	uint32_t x = 1;

	memcpy(headers, &eth, sizeof(eth));
	memcpy(&headers[sizeof(eth)], &ip, sizeof(ip));
	memcpy(&headers[sizeof(eth) + sizeof(ip)], &udp, sizeof(udp));
	for (uint32_t i = 0; i < sizeof(bytes); i++) {
		x = x * 1664525u + 1013904223u;
		bytes[i] = x >> 24;
	}
}

uint32_t
perf_frame_len(uint32_t size, uint32_t seq)
{
	return size == PERF_IMIX ? imix[seq % RTE_DIM(imix)] : size;
}

static const uint8_t *
frame_bytes(uint32_t seq)
{
	return &bytes[seq * 61 % STARTS];
}

/* Fill a fresh mbuf; what it has no room for goes into more of @a pool. @return 0 or -ENOMEM. */
static int
frame_fill(struct rte_mempool *pool, struct rte_mbuf *m, uint32_t len, uint32_t seq)
{
	uint8_t *data = rte_pktmbuf_mtod(m, uint8_t *);
	const uint8_t *from = frame_bytes(seq);
	struct rte_mbuf *last = m;
	uint32_t part;

	part = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));
	memcpy(data, headers, HEADERS);
	memcpy(data + SEQ_AT, &seq, sizeof(seq));
	rte_memcpy(data + BYTES_AT, from, part - BYTES_AT);
	from += part - BYTES_AT;
	m->data_len = part;
	m->pkt_len = len;
	for (len -= part; len != 0; len -= part) {
		last->next = rte_pktmbuf_alloc(pool);
		if (last->next == NULL)
			return -ENOMEM;
		last = last->next;
		m->nb_segs++;
		part = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(last));
		memcpy(rte_pktmbuf_mtod(last, void *), from, part);
		from += part;
		last->data_len = part;
	}
	return 0;
}

uint16_t
perf_frames_make(struct rte_mempool *pool, struct rte_mbuf **pkts, uint16_t n, uint32_t size,
	uint32_t seq)
{
	int ret = rte_pktmbuf_alloc_bulk(pool, pkts, n);

	if (ret != 0)
		return 0;
	for (uint16_t i = 0; ret == 0 && i < n; i++)
		ret = frame_fill(pool, pkts[i], perf_frame_len(size, seq + i), seq + i);
	if (ret == 0)
		return n;
	rte_pktmbuf_free_bulk(pkts, n);
	return 0;
}

bool
perf_frame_is(const struct rte_mbuf *m, uint32_t size, uint32_t seq)
{
	const uint32_t len = perf_frame_len(size, seq);
	const uint8_t *data = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint8_t *from = frame_bytes(seq);
	uint32_t left = len - BYTES_AT;

	if (m->pkt_len != len || m->data_len < BYTES_AT || perf_frame_seq(m) != seq ||
			memcmp(data, headers, HEADERS) != 0 || m->data_len > len)
		return false;
	if (memcmp(data + BYTES_AT, from, m->data_len - BYTES_AT) != 0)
		return false;
	from += m->data_len - BYTES_AT;
	left -= m->data_len - BYTES_AT;
	for (m = m->next; m != NULL; m = m->next) {
		if (m->data_len > left ||
				memcmp(rte_pktmbuf_mtod(m, const void *), from, m->data_len) != 0)
			return false;
		from += m->data_len;
		left -= m->data_len;
	}
	return left == 0;
}

uint32_t
perf_frame_seq(const struct rte_mbuf *m)
{
	uint32_t seq;

	if (m->data_len < BYTES_AT)
		return 0;
	memcpy(&seq, rte_pktmbuf_mtod_offset(m, const void *, SEQ_AT), sizeof(seq));
	return seq;
}

void
perf_frame_stamp(struct rte_mbuf *m, uint64_t tsc)
{
	memcpy(rte_pktmbuf_mtod_offset(m, void *, STAMP_AT), &tsc, sizeof(tsc));
}

uint64_t
perf_frame_stamp_of(const struct rte_mbuf *m)
{
	uint64_t tsc;

	memcpy(&tsc, rte_pktmbuf_mtod_offset(m, const void *, STAMP_AT), sizeof(tsc));
	return tsc;
}
