/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What differs between DPDK releases, and nothing else.
 */
#ifndef VHOSTX_COMPAT_H
#define VHOSTX_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_version.h>

/**
 * Driver structs are not covered by the ABI promise, but they are kept within a release and its stable
 * updates: is @a running, as rte_version() tells it ("DPDK 22.11.4"), of the release that this was
 * compiled for?
 */
static inline bool
vhostx_same_release(const char *running)
{
	unsigned int year, month;

	return sscanf(running, "%*s %u.%u", &year, &month) == 2 && year == RTE_VER_YEAR &&
		month == RTE_VER_MONTH;
}

/**
 * Write data_off, refcnt, nb_segs and port of a mbuf at once. rearm_data is a marker up to 24.07 and an
 * array after that; data_off is its first byte in all of them.
 */
static __rte_always_inline void
vhostx_mbuf_rearm(struct rte_mbuf *m, uint64_t rearm)
{
	memcpy(RTE_PTR_ADD(m, offsetof(struct rte_mbuf, data_off)), &rearm, sizeof(rearm));
}

/** The word that vhostx_mbuf_rearm() writes. */
static __rte_always_inline uint64_t
vhostx_mbuf_armed(const struct rte_mbuf *m)
{
	uint64_t word;

	memcpy(&word, RTE_PTR_ADD(m, offsetof(struct rte_mbuf, data_off)), sizeof(word));
	return word;
}

/** Two words, stored at once. */
typedef uint64_t vhostx_pair __attribute__((vector_size(16), aligned(8), may_alias));

/**
 * All that a mbuf out of a pool lacks for a packet of one segment of @a len bytes, in two stores: as above,
 * and ol_flags; packet_type, pkt_len, data_len, vlan_tci and the hash, which no flag announces.
 */
static __rte_always_inline void
vhostx_mbuf_fresh(struct rte_mbuf *m, uint64_t rearm, uint32_t len)
{
	const vhostx_pair lens = { UINT64_C(0xffffffff00000000), UINT16_MAX };
	const uint64_t twice = (uint64_t)len << 32 | len;

	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, ol_flags) != offsetof(struct rte_mbuf, data_off) + 8);
	RTE_BUILD_BUG_ON(offsetof(struct rte_mbuf, data_len) != offsetof(struct rte_mbuf, packet_type) + 8);
	*(vhostx_pair *)(void *)&m->data_off = (vhostx_pair){ rearm, 0 };
	*(vhostx_pair *)(void *)&m->packet_type = (vhostx_pair){ twice, twice } & lens;
}

/** The same for the first segment of a packet: @a len bytes of @a total. */
static __rte_always_inline void
vhostx_mbuf_first(struct rte_mbuf *m, uint64_t rearm, uint32_t total, uint16_t len)
{
	*(vhostx_pair *)(void *)&m->data_off = (vhostx_pair){ rearm, 0 };
	*(vhostx_pair *)(void *)&m->packet_type = (vhostx_pair){ (uint64_t)total << 32, len };
}

/**
 * As rte_pktmbuf_attach_extbuf() and vhostx_mbuf_fresh() for a mbuf out of a pool whose @a len bytes are all of the
 * buffer at @a va: nothing is written twice. @a rearm has a data_off of 0.
 */
static __rte_always_inline void
vhostx_mbuf_lend(struct rte_mbuf *m, uint64_t rearm, void *va, rte_iova_t iova, uint16_t len,
	struct rte_mbuf_ext_shared_info *shinfo)
{
	const vhostx_pair lens = { UINT64_C(0xffffffff00000000), UINT16_MAX };
	const uint64_t twice = (uint64_t)len << 32 | len;

	m->buf_addr = va;
	rte_mbuf_iova_set(m, iova);
	*(vhostx_pair *)(void *)&m->data_off = (vhostx_pair){ rearm, RTE_MBUF_F_EXTERNAL };
	*(vhostx_pair *)(void *)&m->packet_type = (vhostx_pair){ twice, twice } & lens;
	m->buf_len = len;
	m->shinfo = shinfo;
}

#endif /* VHOSTX_COMPAT_H */
