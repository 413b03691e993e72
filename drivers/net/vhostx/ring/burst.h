/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * rte_eth_rx_burst and rte_eth_tx_burst of this driver, in one variant per instruction set.
 */
#ifndef VHOSTX_RING_BURST_H
#define VHOSTX_RING_BURST_H

#include <stdint.h>

struct rte_mbuf;

/** Longest packet that is taken from a guest, bytes: one hostile chain cannot empty the mbuf pool. */
#define VHOSTX_PACKET_MAX (256u * 1024)

/** Least bytes that one mbuf of a pool must hold: an Ethernet header. */
#define VHOSTX_ROOM_MIN 14u

/** The bursts, compiled for one instruction set. */
struct vhostx_bursts {
	/** "base" (what the whole driver is compiled for), "avx2" or "avx512". */
	const char *isa;

	/**
	 * Receive what the guest transmitted.
	 * @param queue  struct vhostx_queue *, polled by one lcore at a time.
	 * @param pkts   gets the packets; [nb].
	 * @return packets received, 0 to @a nb, however large @a nb is.
	 */
	uint16_t (*rx)(void *queue, struct rte_mbuf **pkts, uint16_t nb);

	/**
	 * Supply packets to the guest.
	 * @param queue  struct vhostx_queue *, polled by one lcore at a time.
	 * @return how many of the first packets were taken over (sent, or dropped because they can never
	 *   fit); the others stay the caller's: the guest has no room now.
	 */
	uint16_t (*tx)(void *queue, struct rte_mbuf **pkts, uint16_t nb);
};

/**
 * The variants that this CPU can run.
 * @param i  0: the widest, and so on.
 * @return NULL after the last, which is "base".
 */
const struct vhostx_bursts *vhostx_bursts_at(unsigned int i);

/** The widest variant that the CPU can run and the EAL's --force-max-simd-bitwidth allows. */
const struct vhostx_bursts *vhostx_bursts_best(void);

#endif /* VHOSTX_RING_BURST_H */
