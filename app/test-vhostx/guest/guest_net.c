/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Frames over a guest's virtqueue.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest_net.h"

uint8_t
guest_net_byte(uint32_t seed, uint32_t off)
{
	/* Differs between neighbours, 256 byte blocks and seeds, so that misplaced bytes show. */
	return (uint8_t)(off * 7 + (off >> 8) * 13 + seed * 31 + (seed >> 8) + 1);
}

void
guest_net_pattern(uint8_t *buf, uint32_t len, uint32_t seed, uint32_t off)
{
	for (uint32_t i = 0; i < len; i++)
		buf[i] = guest_net_byte(seed, off + i);
}

bool
guest_net_matches(const uint8_t *buf, uint32_t len, uint32_t seed, uint32_t off)
{
	for (uint32_t i = 0; i < len; i++) {
		if (buf[i] != guest_net_byte(seed, off + i))
			return false;
	}
	return true;
}

uint64_t
guest_net_seg_bytes(const struct guest_seg *seg, uint32_t nseg)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < nseg; i++)
		sum += seg[i].len;
	return sum;
}

/* The part of a piece that a copy of len bytes at offset off of the buffer begins with. */
static uint64_t
net_part(const struct guest_seg *seg, uint64_t off, uint64_t len)
{
	const uint64_t run = seg->len - off;

	return run < len ? run : len;
}

int
guest_net_scatter(const struct guest_mem *mem, const struct guest_seg *seg, uint32_t nseg,
	uint64_t off, const void *src, uint64_t len)
{
	const uint8_t *from = src;

	for (uint32_t i = 0; i < nseg && len > 0; i++) {
		if (off >= seg[i].len) {
			off -= seg[i].len;
			continue;
		}
		const uint64_t part = net_part(&seg[i], off, len);

		if (guest_mem_write(mem, seg[i].gpa + off, from, part) < 0)
			return -EFAULT;
		from += part;
		len -= part;
		off = 0;
	}
	return len == 0 ? 0 : -ENOSPC;
}

int
guest_net_gather(const struct guest_mem *mem, const struct guest_seg *seg, uint32_t nseg,
	uint64_t off, void *dst, uint64_t len)
{
	uint8_t *to = dst;

	for (uint32_t i = 0; i < nseg && len > 0; i++) {
		if (off >= seg[i].len) {
			off -= seg[i].len;
			continue;
		}
		const uint64_t part = net_part(&seg[i], off, len);

		if (guest_mem_read(mem, seg[i].gpa + off, to, part) < 0)
			return -EFAULT;
		to += part;
		len -= part;
		off = 0;
	}
	return len == 0 ? 0 : -ENOSPC;
}

uint32_t
guest_net_cut(struct guest_seg *seg, uint32_t max, uint64_t gpa, uint32_t total,
	const uint32_t *cut, uint32_t gap, bool writable)
{
	uint32_t n;

	for (n = 0; total > 0; n++) {
		const uint32_t len = *cut < total ? *cut : total;

		if (n == max)
			return 0;
		seg[n] = (struct guest_seg){ .gpa = gpa, .len = len, .writable = writable };
		gpa += len + gap;
		total -= len;
		if (cut[1] != 0)
			cut++;
	}
	return n;
}

int
guest_net_fill(const struct guest_mem *mem, const struct guest_seg *seg, uint32_t nseg,
	const struct guest_net_hdr *hdr, uint32_t hdr_len, uint32_t len, uint32_t seed)
{
	const struct guest_net_hdr none = { 0 };
	uint8_t *bytes = malloc(len + 1);
	int rc;

	if (bytes == NULL)
		return -ENOMEM;
	guest_net_pattern(bytes, len, seed, 0);
	rc = guest_net_scatter(mem, seg, nseg, 0, hdr ? hdr : &none, hdr_len);
	if (rc == 0)
		rc = guest_net_scatter(mem, seg, nseg, hdr_len, bytes, len);
	free(bytes);
	return rc;
}

/* Check what the header says of the number of buffers; gives that number or an error. */
static int
net_buffers(const struct guest_net_frame *f, uint32_t hdr_len, bool mergeable)
{
	if (hdr_len < sizeof(f->hdr))
		return 1;
	/* virtio 1.3, 5.1.6.4.1: 1 without MRG_RXBUF. */
	if (f->hdr.num_buffers == 0 || f->hdr.num_buffers > GUEST_NET_CHAINS ||
			(!mergeable && f->hdr.num_buffers != 1))
		return -EBADMSG;
	return f->hdr.num_buffers;
}

/* Take the next used buffer of a frame and append its bytes from skip on. */
static int
net_append(struct guest_ring *ring, struct guest_net_frame *f, uint32_t skip, uint8_t *buf,
	uint32_t cap)
{
	const struct guest_chain *c;
	uint32_t used;
	int rc;

	rc = guest_ring_get_used(ring, &f->id[f->nr], &used);
	if (rc <= 0)
		return rc;
	f->used[f->nr] = used;
	c = &ring->chain[f->id[f->nr++]];
	if (used < skip)
		return -EBADMSG;
	if (used - skip > cap - f->len)
		return -ENOSPC;
	if (skip > 0 && guest_net_gather(ring->mem, c->seg, c->nseg, 0, &f->hdr, skip) < 0)
		return -EFAULT;
	if (guest_net_gather(ring->mem, c->seg, c->nseg, skip, buf + f->len, used - skip) < 0)
		return -EFAULT;
	f->len += used - skip;
	return 1;
}

int
guest_net_receive(struct guest_ring *ring, uint32_t hdr_len, bool mergeable, uint8_t *buf,
	uint32_t cap, struct guest_net_frame *frame)
{
	int rc, n;

	memset(frame, 0, sizeof(*frame));
	rc = net_append(ring, frame, hdr_len, buf, cap);
	if (rc <= 0)
		return rc;
	n = net_buffers(frame, hdr_len, mergeable);
	if (n < 0)
		return n;
	while (frame->nr < (uint32_t)n) {
		/* All buffers but the last are used up (virtio 1.3, 5.1.6.4.1). */
		if (frame->used[frame->nr - 1] < ring->chain[frame->id[frame->nr - 1]].writable)
			return -EBADMSG;
		rc = net_append(ring, frame, 0, buf, cap);
		if (rc <= 0)
			return rc < 0 ? rc : -EBADMSG;
	}
	return 1;
}
