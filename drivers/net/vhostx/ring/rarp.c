/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The request is one word, the address in it: nothing has to be ordered with it.
 */
#include <string.h>

#include <rte_arp.h>

#include "notify.h"
#include "rarp.h"

/* Above the six bytes of the address: tells a request from none. */
#define RARP_ASKED (UINT64_C(1) << 63)

void
vhostx_rarp_ask(struct vhostx_queue *q, const struct rte_ether_addr *mac)
{
	uint64_t word = 0;

	for (int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		word = word << 8 | mac->addr_bytes[i];
	__atomic_store_n(&q->rarp, word | RARP_ASKED, __ATOMIC_SEQ_CST);
	/* Whoever sleeps on the queue has something to receive. */
	if (__atomic_load_n(&q->intr, __ATOMIC_SEQ_CST))
		vhostx_eventfd_signal(q->evfd, false);
}

uint16_t
vhostx_rarp_take(struct vhostx_queue *q, struct rte_mbuf **pkt)
{
	uint64_t word = __atomic_load_n(&q->rarp, __ATOMIC_RELAXED);
	const uint64_t asked = word;
	struct rte_ether_addr mac;

	for (int i = RTE_ETHER_ADDR_LEN - 1; i >= 0; i--, word >>= 8)
		mac.addr_bytes[i] = word;
	*pkt = rte_net_make_rarp_packet(q->pool, &mac);
	if (*pkt == NULL)
		return 0;
	/* Another one that was asked for meanwhile is the next burst's. */
	word = asked;
	__atomic_compare_exchange_n(&q->rarp, &word, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	(*pkt)->port = q->port_id;
	q->count.packets++;
	q->count.bytes += (*pkt)->pkt_len;
	q->count.sizes[vhostx_size_class((*pkt)->pkt_len)]++;
	q->count.broadcast++;
	return 1;
}
