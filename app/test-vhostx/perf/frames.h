/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The frames that are sent: made from a sequence number, and checked against it byte by byte.
 */
#ifndef PERF_FRAMES_H
#define PERF_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

/** Frame size that stands for IMIX: 64, 594 and 1518 bytes, 7:4:1. */
#define PERF_IMIX 0u
/** Longest frame, bytes. */
#define PERF_FRAME_MAX 9600u
/** Most frames in a burst. */
#define PERF_BURST_MAX 256u

/** Fill the tables that frames are made from; once, before any other function of this file. */
void perf_frames_init(void);

/** Bytes of the frame number @a seq of a stream of frames of @a size (or PERF_IMIX). */
uint32_t perf_frame_len(uint32_t size, uint32_t seq);

/**
 * Make @a n frames of @a size (or PERF_IMIX) numbered from @a seq on; long ones are chained mbufs.
 * @return frames made, 0 if the pool has too few mbufs.
 */
uint16_t perf_frames_make(struct rte_mempool *pool, struct rte_mbuf **pkts, uint16_t n,
	uint32_t size, uint32_t seq);

/** Is this frame number @a seq, with the right length and bytes? */
bool perf_frame_is(const struct rte_mbuf *m, uint32_t size, uint32_t seq);

/** The sequence number that the frame carries; 0 if it is too short for one. */
uint32_t perf_frame_seq(const struct rte_mbuf *m);

/** Write into a frame when it was sent, in place of bytes that follow the number. It no longer passes
 * perf_frame_is(). */
void perf_frame_stamp(struct rte_mbuf *m, uint64_t tsc);

/** What perf_frame_stamp() wrote. */
uint64_t perf_frame_stamp_of(const struct rte_mbuf *m);

#endif /* PERF_FRAMES_H */
