/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A small vhost-user front-end: a guest of its own memory and rings, which does only what a test tells it.
 * For what virtio-user does not have: event-idx, exact buffers, rings that are off, files that can be asked.
 */
#ifndef TEST_ETHDEV_FRONT_H
#define TEST_ETHDEV_FRONT_H

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "test_ethdev_rig.h"
#include "user/msg.h"

#define FRONT_RINGS 8
#define FRONT_SLOTS 256
#define FRONT_SLOT_LEN 4096u
#define FRONT_GPA 0x10000000ull
#define FRONT_UVA 0x7000000000ull

/* What is negotiated. */
struct front_conf {
	enum guest_format format;
	uint16_t pairs;  /* 0: 1 */
	uint16_t size;   /* entries of a ring; 0: 64 */
	bool event_idx;
	bool plain;      /* no mergeable buffers */
	bool disabled;   /* rings start without being enabled */
	uint64_t more;   /* features beside those */
};

struct front {
	struct front_conf conf;
	struct guest_mem mem;
	struct guest_ring ring[FRONT_RINGS]; /* 2n receives, 2n + 1 transmits, as the guest sees it */
	uint64_t slots[FRONT_RINGS];         /* gpa of FRONT_SLOTS buffers */
	uint32_t next[FRONT_RINGS];          /* slot */
	int kickfd[FRONT_RINGS], callfd[FRONT_RINGS];
	uint16_t nr;                         /* rings */
	int sock;
};

#define FRONT_HDR 12u

static inline void
front_sendmsg(struct front *f, uint32_t request, const void *payload, uint32_t size, const int *fds,
	unsigned int nr_fds)
{
	struct vhostx_msg_header header = { request, VHOSTX_MSG_VERSION | VHOSTX_MSG_NEED_REPLY, size };
	struct iovec iov[2] = { { &header, sizeof(header) }, { (void *)(uintptr_t)payload, size } };
	char control[CMSG_SPACE(sizeof(int) * VHOSTX_MSG_FDS)] = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (nr_fds != 0) {
		struct cmsghdr *cmsg;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nr_fds);
	}
	assert_int_equal(sendmsg(f->sock, &msg, MSG_NOSIGNAL), (ssize_t)(sizeof(header) + size));
}

/* The reply's payload, 64 bits of it. */
static inline uint64_t
front_reply(struct front *f)
{
	struct {
		struct vhostx_msg_header header;
		uint64_t u64;
	} __attribute__((packed)) reply;

	assert_int_equal(recv(f->sock, &reply, sizeof(reply), MSG_WAITALL), sizeof(reply));
	return reply.u64;
}

/* What GET_FEATURES answers. */
static inline uint64_t
front_offered(struct front *f)
{
	front_sendmsg(f, VHOSTX_GET_FEATURES, NULL, 0, NULL, 0);
	return front_reply(f);
}

/* A request whose acknowledgement must be 0: on return the driver has done it. */
static inline void
front_do(struct front *f, uint32_t request, const void *payload, uint32_t size, int fd)
{
	front_sendmsg(f, request, payload, size, &fd, fd >= 0);
	assert_int_equal(front_reply(f), 0);
}

static inline void
front_do_u64(struct front *f, uint32_t request, uint64_t value, int fd)
{
	front_do(f, request, &value, sizeof(value), fd);
}

static inline void
front_do_state(struct front *f, uint32_t request, uint32_t ring, uint32_t num)
{
	const struct vhostx_msg_vring_state state = { ring, num };

	front_do(f, request, &state, sizeof(state), -1);
}

static inline uint64_t
front_features(const struct front_conf *conf)
{
	return RTE_BIT64(VIRTIO_F_VERSION_1) | RTE_BIT64(VHOSTX_F_PROTOCOL_FEATURES) |
		RTE_BIT64(VIRTIO_NET_F_MQ) | conf->more |
		(conf->plain ? 0 : RTE_BIT64(VIRTIO_NET_F_MRG_RXBUF)) |
		(conf->event_idx ? RTE_BIT64(VIRTIO_RING_F_EVENT_IDX) : 0) |
		(conf->format == GUEST_PACKED ? RTE_BIT64(VIRTIO_F_RING_PACKED) : 0);
}

static inline void
front_memory(struct front *f)
{
	struct vhostx_msg_memory table = { .nr = f->mem.nr };
	int fds[VHOSTX_MSG_FDS];

	for (uint32_t i = 0; i < f->mem.nr; i++) {
		const struct guest_region *r = &f->mem.region[i];

		table.region[i] = (struct vhostx_msg_region){ r->gpa, r->size, r->uva, r->mmap_offset };
		fds[i] = r->fd;
	}
	front_sendmsg(f, VHOSTX_SET_MEM_TABLE, &table, 8 + f->mem.nr * sizeof(table.region[0]), fds,
		f->mem.nr);
	assert_int_equal(front_reply(f), 0);
}

/* The driver has a ring in the state that it is in now. */
static inline void
front_start_ring(struct front *f, uint16_t i)
{
	const struct guest_ring_conf *r = &f->ring[i].conf;
	const struct vhostx_msg_vring_addr addr = {
		.index = i,
		.desc = guest_mem_uva(&f->mem, r->desc_gpa),
		.avail = guest_mem_uva(&f->mem, r->driver_gpa),
		.used = guest_mem_uva(&f->mem, r->device_gpa),
	};

	front_do_state(f, VHOSTX_SET_VRING_NUM, i, r->size);
	front_do_state(f, VHOSTX_SET_VRING_BASE, i, guest_ring_base(&f->ring[i]));
	front_do(f, VHOSTX_SET_VRING_ADDR, &addr, sizeof(addr), -1);
	front_do_u64(f, VHOSTX_SET_VRING_CALL, i, f->callfd[i]);
	front_do_u64(f, VHOSTX_SET_VRING_KICK, i, f->kickfd[i]);
}

static inline void
front_enable(struct front *f, uint16_t pair, bool on)
{
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, pair * 2, on);
	front_do_state(f, VHOSTX_SET_VRING_ENABLE, pair * 2 + 1, on);
}

static inline void
front_init_ring(struct front *f, uint16_t i)
{
	const struct guest_ring_conf conf = {
		.format = f->conf.format, .size = f->conf.size == 0 ? 64 : f->conf.size,
		.event_idx = f->conf.event_idx,
		.in_order = (f->conf.more & RTE_BIT64(VIRTIO_F_IN_ORDER)) != 0,
		.base = f->conf.format == GUEST_PACKED ? GUEST_PACKED_BASE : 0,
	};

	assert_int_equal(guest_ring_init(&f->ring[i], &f->mem, &conf), 0);
	f->slots[i] = guest_mem_alloc(&f->mem, 0, FRONT_SLOTS * FRONT_SLOT_LEN, 64);
	assert_true(f->slots[i] != UINT64_MAX);
	f->kickfd[i] = eventfd(0, EFD_NONBLOCK);
	f->callfd[i] = eventfd(0, EFD_NONBLOCK);
}

/* A guest in memory; it is not connected. */
static inline struct front *
front_new(const struct front_conf *conf)
{
	struct front *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->conf = *conf;
	f->nr = conf->pairs == 0 ? 2 : conf->pairs * 2;
	f->sock = -1;
	assert_true(f->nr <= FRONT_RINGS);
	assert_int_equal(guest_mem_add(&f->mem, FRONT_GPA,
		f->nr * (FRONT_SLOTS * FRONT_SLOT_LEN + (64u << 10)), FRONT_UVA, GUEST_PLACE_START), 0);
	for (uint16_t i = 0; i < f->nr; i++)
		front_init_ring(f, i);
	return f;
}

/* Connect to socket n. */
static inline void
front_dial(struct front *f, unsigned int n)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	assert_true(strlen(port_path(n)) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, port_path(n));
	f->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(f->sock, (struct sockaddr *)&addr, sizeof(addr)), 0);
}

/* Say what the driver has to know, and start the rings where they are. */
static inline void
front_introduce(struct front *f)
{
	front_sendmsg(f, VHOSTX_GET_PROTOCOL_FEATURES, NULL, 0, NULL, 0);
	front_do_u64(f, VHOSTX_SET_PROTOCOL_FEATURES, front_reply(f), -1);
	front_do(f, VHOSTX_SET_OWNER, NULL, 0, -1);
	front_do_u64(f, VHOSTX_SET_FEATURES, front_features(&f->conf), -1);
	front_memory(f);
	for (uint16_t i = 0; i < f->nr; i++)
		front_start_ring(f, i);
	for (uint16_t i = 0; i < f->nr / 2 && !f->conf.disabled; i++)
		front_enable(f, i, true);
}

static inline void
front_connect(struct front *f, unsigned int n)
{
	front_dial(f, n);
	front_introduce(f);
}

static inline struct front *
front_open(unsigned int n, const struct front_conf *conf)
{
	struct front *f = front_new(conf);

	front_connect(f, n);
	return f;
}

/* The guest is gone for the driver; its memory stays. */
static inline void
front_disconnect(struct front *f)
{
	close(f->sock);
	f->sock = -1;
}

static inline void
front_free(struct front *f)
{
	if (f->sock >= 0)
		front_disconnect(f);
	for (uint16_t i = 0; i < f->nr; i++) {
		guest_ring_fini(&f->ring[i]);
		close(f->kickfd[i]);
		close(f->callfd[i]);
	}
	guest_mem_fini(&f->mem);
	free(f);
}

/* --- traffic ---------------------------------------------------------------------------------------- */

static inline uint64_t
front_slot(struct front *f, uint16_t ring)
{
	return f->slots[ring] + f->next[ring]++ % FRONT_SLOTS * FRONT_SLOT_LEN;
}

/* Show what was added, and kick if the driver asks for it. @return whether it did. */
static inline bool
front_publish(struct front *f, uint16_t ring)
{
	const uint64_t one = 1;
	const bool wanted = guest_ring_publish(&f->ring[ring]);

	if (wanted)
		assert_int_equal(write(f->kickfd[ring], &one, sizeof(one)), sizeof(one));
	return wanted;
}

/* Transmit bytes on a pair. @return whether the driver wanted a kick. */
static inline bool
front_send_bytes(struct front *f, uint16_t pair, const void *bytes, uint32_t len)
{
	const uint16_t ring = pair * 2 + 1;
	const struct guest_seg seg = { front_slot(f, ring), FRONT_HDR + len, false };

	assert_int_equal(guest_mem_set(&f->mem, seg.gpa, 0, FRONT_HDR), 0);
	assert_int_equal(guest_mem_write(&f->mem, seg.gpa + FRONT_HDR, bytes, len), 0);
	assert_true(guest_ring_add(&f->ring[ring], &seg, 1) >= 0);
	return front_publish(f, ring);
}

/* Transmit @a len bytes of a pattern. */
static inline bool
front_send(struct front *f, uint16_t pair, uint32_t len, uint32_t seed)
{
	uint8_t bytes[FRONT_SLOT_LEN];

	guest_net_pattern(bytes, len, seed, 0);
	return front_send_bytes(f, pair, bytes, len);
}

/* Supply @a n receive buffers of @a len bytes. */
static inline void
front_post(struct front *f, uint16_t pair, uint32_t n, uint32_t len)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct guest_seg seg = { front_slot(f, pair * 2), len, true };

		assert_true(guest_ring_add(&f->ring[pair * 2], &seg, 1) >= 0);
	}
	front_publish(f, pair * 2);
}

/* Take the next received frame into @a buf. @return its length, 0 if there is none. */
static inline uint32_t
front_receive(struct front *f, uint16_t pair, uint8_t *buf, uint32_t cap)
{
	struct guest_net_frame frame;
	const int ret = guest_net_receive(&f->ring[pair * 2], FRONT_HDR, !f->conf.plain, buf, cap,
		&frame);

	assert_true(ret >= 0);
	return ret == 0 ? 0 : frame.len;
}

/* Take back buffers of the transmitting ring that the driver is through with. @return how many. */
static inline uint32_t
front_reap(struct front *f, uint16_t pair)
{
	uint32_t n = 0, len;
	uint16_t id;
	int ret;

	while ((ret = guest_ring_get_used(&f->ring[pair * 2 + 1], &id, &len)) == 1)
		n++;
	assert_int_equal(ret, 0);
	return n;
}

/* Interrupts that the guest got on a ring since last asked. */
static inline uint64_t
front_calls(struct front *f, uint16_t ring)
{
	uint64_t n = 0;

	return read(f->callfd[ring], &n, sizeof(n)) == sizeof(n) ? n : 0;
}

#endif /* TEST_ETHDEV_FRONT_H */
