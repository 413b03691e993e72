/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Publish and retire snapshots.
 */
#include <errno.h>
#include <sched.h>
#include <unistd.h>
#include <sys/syscall.h>

#include <linux/membarrier.h>

#include <rte_pause.h>

#include "dirty.h"
#include "notify.h"
#include "queue.h"
#include "snapshot.h"
#include "vq.h"

/* Looks at a running burst before the processor is given away: a burst takes some microseconds. */
#define RETIRE_SPINS 1000

static int
membarrier(int cmd)
{
	return syscall(SYS_membarrier, cmd, 0, 0);
}

/*
 * Everything before the used index was given back, so a split ring goes on there, wherever the front-end
 * thinks that it was: one that lost its back-end (virtio-user as a server) says 0.
 */
static int
split_settle(const struct vhostx_snapshot *snap)
{
	struct vhostx_ring *ring = snap->ring;
	const uint16_t used = __atomic_load_n(&snap->split.used->idx, __ATOMIC_RELAXED);
	const bool differs = ring->base >= 0 && (uint16_t)ring->base != used;

	ring->last_avail = used;
	ring->last_used = used;
	return differs;
}

/*
 * Nothing in a packed ring tells where it was, so the front-end's word counts. Everything that was
 * taken was given back, in order: the used position is the available one, whatever the upper half of
 * the payload says (virtio-user leaves it 0).
 */
static void
packed_settle(const struct vhostx_snapshot *snap)
{
	struct vhostx_ring *ring = snap->ring;
	const uint16_t slot = ring->base < 0 ? 0 : ring->base & 0x7fff;
	const bool wrap = ring->base < 0 || (ring->base & 0x8000) != 0;

	ring->last_avail = slot;
	ring->last_used = slot;
	ring->avail_wrap = wrap;
	ring->used_wrap = wrap;
}

/*
 * Positions of a packed ring are slots. Those of a split ring are masked when they are used, so whoever runs on as
 * a packed ring, or as one of fewer entries, may stand behind the end.
 */
static bool
ring_stands_inside(const struct vhostx_snapshot *snap)
{
	const struct vhostx_ring *ring = snap->ring;

	return snap->format == VHOSTX_SPLIT || (ring->last_avail < snap->size && ring->last_used < snap->size);
}

bool
vhostx_membarrier_register(void)
{
	return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

void
vhostx_barrier_all(void)
{
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
vhostx_queue_publish(struct vhostx_queue *queue, const struct vhostx_snapshot *snap)
{
	/* B: pairs with the acquire in vhostx_queue_enter(). */
	__atomic_store_n(&queue->snap, snap, __ATOMIC_RELEASE);
	/* G: snap before intr; the other half is in vhostx_queue_intr_on(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	/* It asked for kicks on a ring that was not there: let it ask again. */
	if (__atomic_load_n(&queue->intr, __ATOMIC_RELAXED))
		vhostx_eventfd_signal(queue->evfd, false);
}

/* Wait a little, and after a while longer. */
static void
retire_wait(unsigned int *spins)
{
	if (++*spins < RETIRE_SPINS)
		rte_pause();
	else
		sched_yield();
}

void
vhostx_queue_await(const struct vhostx_queue *queue)
{
	/* C: pairs with the release in vhostx_queue_leave(). */
	const uint32_t now = __atomic_load_n(&queue->bursts, __ATOMIC_ACQUIRE);
	unsigned int spins = 0;

	/*
	 * A burst that runs has to end. The ones after it see what has changed: waiting for an even number instead
	 * could take for ever, a poller of an idle queue is hardly ever seen outside of a burst.
	 */
	while (now % 2 != 0 && __atomic_load_n(&queue->bursts, __ATOMIC_ACQUIRE) == now)
		retire_wait(&spins);
}

void
vhostx_queue_unpublish(struct vhostx_queue *queue)
{
	__atomic_store_n(&queue->changing, true, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->snap, NULL, __ATOMIC_RELAXED);
	/* A, I: after this, a burst or visitor that still saw the snapshot has counted itself here. */
	if (queue->fence)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	else
		vhostx_barrier_all();
	/* C: pairs with the release in vhostx_queue_leave(). */
	queue->leaving = __atomic_load_n(&queue->bursts, __ATOMIC_ACQUIRE);
	queue->asked = true;
}

bool
vhostx_queue_is_left(struct vhostx_queue *queue)
{
	if (!queue->asked)
		return true;
	/* As in vhostx_queue_await(): the bursts after that one see that there is nothing. */
	if (queue->leaving % 2 != 0 && __atomic_load_n(&queue->bursts, __ATOMIC_ACQUIRE) == queue->leaving)
		return false;
	/* I: pairs with the release in vhostx_queue_unvisit(). Visits are short and far between. */
	queue->asked = __atomic_load_n(&queue->visitors, __ATOMIC_ACQUIRE) != 0;
	return !queue->asked;
}

void
vhostx_queue_await_left(struct vhostx_queue *queue)
{
	unsigned int spins = 0;

	while (!vhostx_queue_is_left(queue))
		retire_wait(&spins);
}

void
vhostx_queue_retire(struct vhostx_queue *queue)
{
	vhostx_queue_unpublish(queue);
	vhostx_queue_await_left(queue);
}

void
vhostx_queue_settle(struct vhostx_queue *queue)
{
	__atomic_store_n(&queue->changing, false, __ATOMIC_RELEASE);
}

void
vhostx_ring_reset(struct vhostx_ring *ring)
{
	*ring = (struct vhostx_ring){ .fresh = true, .base = -1 };
}

void
vhostx_ring_set_base(struct vhostx_ring *ring, uint32_t base)
{
	vhostx_ring_reset(ring);
	ring->base = base;
}

uint32_t
vhostx_ring_get_base(const struct vhostx_ring *ring, enum vhostx_format format)
{
	const uint32_t avail = ring->last_avail | (uint32_t)ring->avail_wrap << 15;
	const uint32_t used = ring->last_used | (uint32_t)ring->used_wrap << 15;

	if (ring->fresh && ring->base >= 0)
		return ring->base;
	if (format == VHOSTX_SPLIT)
		return ring->last_avail;
	/* A packed ring begins with both wrap counters 1 (virtio 1.3, 2.8.1). */
	return ring->fresh ? 0x80008000u : avail | used << 16;
}

void
vhostx_ring_suppress_kicks(const struct vhostx_snapshot *snap)
{
	/* With event-idx and split the last event asked for stays behind, which is as good. */
	if (snap->format == VHOSTX_PACKED)
		__atomic_store_n(&snap->packed.device->flags, VRING_PACKED_EVENT_FLAG_DISABLE,
			__ATOMIC_RELAXED);
	else if (!snap->event_idx)
		__atomic_store_n(&snap->split.used->flags, VRING_USED_F_NO_NOTIFY,
			__ATOMIC_RELAXED);
	if (snap->log != NULL)
		vhostx_dirty_wish(snap);
}

int
vhostx_ring_prepare(const struct vhostx_snapshot *snap, const char **why)
{
	struct vhostx_ring *ring = snap->ring;
	int ret = 0;

	if (ring->fresh && snap->format == VHOSTX_SPLIT)
		ret = split_settle(snap);
	else if (ring->fresh)
		packed_settle(snap);
	if (!ring_stands_inside(snap)) {
		*why = "its position is past its size";
		return -EINVAL;
	}
	ring->fresh = false;
	ring->seen = ring->last_avail;
	/* A new table may be shorter than the one that the hint was found in. */
	ring->hint = 0;
	ring->iommu = (struct vhostx_iommu_ring){ 0 };
	ring->signalled_valid = false;
	if (snap->log != NULL)
		vhostx_dirty_ring(snap);
	vhostx_ring_suppress_kicks(snap);
	return ret;
}
