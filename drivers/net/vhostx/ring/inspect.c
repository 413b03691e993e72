/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What an application asks of a ring apart from bursts.
 */
#include <errno.h>

#include "dirty.h"
#include "inspect.h"
#include "notify.h"
#include "vq.h"

#define PACKED_BITS (1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED)

/* The avail and used bits of an entry that is available at this wrap counter. */
static uint16_t
packed_avail_bits(bool wrap)
{
	return 1u << (wrap ? VRING_PACKED_DESC_F_AVAIL : VRING_PACKED_DESC_F_USED);
}

static uint32_t
split_pending(const struct vhostx_snapshot *s)
{
	/* D: pairs with the guest's release of its index. */
	const uint16_t idx = __atomic_load_n(&s->split.avail->idx, __ATOMIC_ACQUIRE);
	const uint16_t n = idx - __atomic_load_n(&s->ring->last_avail, __ATOMIC_RELAXED);

	return RTE_MIN(n, s->size);
}

static uint32_t
packed_pending(const struct vhostx_snapshot *s)
{
	uint16_t slot = __atomic_load_n(&s->ring->last_avail, __ATOMIC_RELAXED);
	bool wrap = __atomic_load_n(&s->ring->avail_wrap, __ATOMIC_RELAXED);
	uint32_t n;

	for (n = 0; n < s->size; n++) {
		/* D: pairs with the guest's release of the flags. */
		const uint16_t flags = __atomic_load_n(&s->packed.desc[slot].flags, __ATOMIC_ACQUIRE);

		if ((flags & PACKED_BITS) != packed_avail_bits(wrap))
			break;
		if (++slot == s->size) {
			slot = 0;
			wrap = !wrap;
		}
	}
	return n;
}

uint32_t
vhostx_ring_pending(const struct vhostx_snapshot *s)
{
	if (__atomic_load_n(&s->ring->fault, __ATOMIC_RELAXED) != VHOSTX_NO_CAUSE)
		return 0;
	return s->format == VHOSTX_PACKED ? packed_pending(s) : split_pending(s);
}

/* Ask for a kick at the next entry (virtio 1.3, 2.7.10 and 2.8.14). */
static void
split_kicks_on(const struct vhostx_snapshot *s)
{
	struct vring_used *used = s->split.used;

	if (s->event_idx)
		__atomic_store_n((uint16_t *)&used->ring[s->size], s->ring->last_avail,
			__ATOMIC_RELAXED);
	else
		__atomic_store_n(&used->flags, 0, __ATOMIC_RELAXED);
}

static void
packed_kicks_on(const struct vhostx_snapshot *s)
{
	const uint16_t at = s->ring->last_avail | (uint16_t)s->ring->avail_wrap << 15;
	struct vring_packed_desc_event *event = s->packed.device;

	/* Of no meaning without event-idx, but not 0: see ring_is_ours() in journal.c. */
	__atomic_store_n(&event->off_wrap, s->event_idx ? at : UINT16_MAX, __ATOMIC_RELAXED);
	__atomic_store_n(&event->flags, s->event_idx ? VRING_PACKED_EVENT_FLAG_DESC :
		VRING_PACKED_EVENT_FLAG_ENABLE, __ATOMIC_RELEASE);
}

/* Does the queue have a ring that packets pass? What is offered on a disabled one is discarded. */
static bool
ring_passes(const struct vhostx_snapshot *s)
{
	return s != NULL && s->enabled &&
		__atomic_load_n(&s->ring->fault, __ATOMIC_RELAXED) == VHOSTX_NO_CAUSE;
}

uint32_t
vhostx_queue_pending(struct vhostx_queue *queue)
{
	const struct vhostx_snapshot *s = vhostx_queue_visit(queue);
	const uint32_t n = ring_passes(s) ? vhostx_ring_pending(s) : 0;

	vhostx_queue_unvisit(queue);
	return n;
}

int
vhostx_queue_offers(struct vhostx_queue *queue, uint16_t offset)
{
	const struct vhostx_snapshot *s = vhostx_queue_visit(queue);
	int ret = -ENODEV;

	if (ring_passes(s))
		ret = offset >= s->size ? -EINVAL : offset < vhostx_ring_pending(s);
	vhostx_queue_unvisit(queue);
	return ret;
}

void
vhostx_queue_intr_on(struct vhostx_queue *queue)
{
	const struct vhostx_snapshot *s;

	__atomic_store_n(&queue->intr, true, __ATOMIC_RELAXED);
	/* G: intr before snap; the other half is in vhostx_queue_publish(). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&queue->rarp, __ATOMIC_RELAXED) != 0)
		vhostx_eventfd_signal(queue->evfd, false);
	s = vhostx_queue_visit(queue);
	if (s != NULL) {
		if (s->format == VHOSTX_PACKED)
			packed_kicks_on(s);
		else
			split_kicks_on(s);
		if (s->log != NULL)
			vhostx_dirty_wish(s);
		/* H: the wish before the look; the guest publishes before it looks for the wish. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (vhostx_ring_pending(s) != 0)
			vhostx_eventfd_signal(queue->evfd, false);
	}
	vhostx_queue_unvisit(queue);
}

void
vhostx_queue_intr_off(struct vhostx_queue *queue)
{
	const struct vhostx_snapshot *s;
	uint64_t count;

	__atomic_store_n(&queue->intr, false, __ATOMIC_RELAXED);
	s = vhostx_queue_visit(queue);
	if (s != NULL) {
		vhostx_ring_suppress_kicks(s);
		/* Who looks at the file by itself would find it readable for ever. What it told is seen by polling. */
		vhostx_eventfd_empty(s->kickfd);
	}
	vhostx_queue_unvisit(queue);
	if (queue->evfd >= 0 && read(queue->evfd, &count, sizeof(count)) < 0)
		return;
}

static void
ring_watch(const struct vhostx_snapshot *s, struct vhostx_watch *w)
{
	uint64_t run;

	w->size = sizeof(uint16_t);
	if (s->format == VHOSTX_PACKED) {
		w->addr = &s->packed.desc[s->ring->last_avail].flags;
		w->mask = PACKED_BITS;
		w->match = packed_avail_bits(s->ring->avail_wrap);
		w->until_differs = false;
	} else {
		w->addr = &s->split.avail->idx;
		w->mask = UINT16_MAX;
		w->match = s->ring->last_avail;
		w->until_differs = true;
	}
	/* The memory of a view goes when the ring does; that of the region is kept. */
	w->addr = vhostx_view_origin(s->view, (const void *)(uintptr_t)w->addr, &run);
	w->map = vhostx_mem_hold(s->mem, (const void *)(uintptr_t)w->addr);
}

int
vhostx_queue_watch(struct vhostx_queue *queue, struct vhostx_watch *watch)
{
	const struct vhostx_snapshot *s = vhostx_queue_visit(queue);
	const bool up = s != NULL;

	if (up)
		ring_watch(s, watch);
	vhostx_queue_unvisit(queue);
	return up ? 0 : -ENODEV;
}
