/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The virtio features that a port offers, and to whom more of them.
 */
#include <stdio.h>
#include <string.h>

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "user/features.h"
#include "vhostx_log.h"
#include "vhostx_offer.h"
#include "vhostx_resume.h"

/* Virtio features that are offered: what the rings can do, and what front-ends do by themselves. */
#define OFFER_ALWAYS ( \
	RTE_BIT64(VIRTIO_NET_F_CSUM) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_CSUM) | \
	RTE_BIT64(VIRTIO_NET_F_MTU) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_TSO4) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_TSO6) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_ECN) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_UFO) | \
	RTE_BIT64(VIRTIO_NET_F_MRG_RXBUF) | \
	RTE_BIT64(VIRTIO_NET_F_CTRL_VQ) | \
	RTE_BIT64(VIRTIO_NET_F_CTRL_RX) | \
	RTE_BIT64(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	RTE_BIT64(VIRTIO_NET_F_MQ) | \
	RTE_BIT64(VHOSTX_F_LOG_ALL) | \
	RTE_BIT64(VIRTIO_F_ANY_LAYOUT) | \
	RTE_BIT64(VIRTIO_RING_F_INDIRECT_DESC) | \
	RTE_BIT64(VIRTIO_RING_F_EVENT_IDX) | \
	RTE_BIT64(VHOSTX_F_PROTOCOL_FEATURES) | \
	RTE_BIT64(VIRTIO_F_VERSION_1) | \
	RTE_BIT64(VIRTIO_F_RING_PACKED) | \
	RTE_BIT64(VIRTIO_F_IN_ORDER))

/* Those beside that let the guest send packets which somebody has to cut. */
#define OFFER_TSO ( \
	RTE_BIT64(VIRTIO_NET_F_HOST_TSO4) | \
	RTE_BIT64(VIRTIO_NET_F_HOST_TSO6) | \
	RTE_BIT64(VIRTIO_NET_F_HOST_ECN) | \
	RTE_BIT64(VIRTIO_NET_F_HOST_UFO))

/* Those that not every port offers, and of them those that every port can serve. */
#define OFFER_BY_ARGS (OFFER_SERVED | RTE_BIT64(VHOSTX_F_ACCESS_PLATFORM))
#define OFFER_SERVED (OFFER_TSO | RTE_BIT64(VIRTIO_F_IN_ORDER))

/*
 * A packet that somebody keeps must not delay those after it: buffers of a zero-copy port come back in any
 * order. A long packet that has to fit one mbuf would be lost each time that it is sent.
 */
uint64_t
vhostx_offer(const struct vhostx_args *args, bool tso)
{
	uint64_t features = OFFER_ALWAYS;

	if (tso && !vhostx_args_one_mbuf(args))
		features |= OFFER_TSO;
	if (args->iommu_support)
		features |= RTE_BIT64(VHOSTX_F_ACCESS_PLATFORM);
	return args->dequeue_zero_copy ? features & ~RTE_BIT64(VIRTIO_F_IN_ORDER) : features;
}

/* --- guests that run --------------------------------------------------------------------------------- */

/*
 * When a process began, field 22 of /proc/PID/stat: with it a number that is given again is not taken for the same
 * process. The name in the second field may have blanks and brackets. @return 0 if that cannot be seen.
 */
static uint64_t
offer_since(pid_t pid)
{
	unsigned long long since = 0;
	char path[32], text[1024] = "";
	const char *after;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	after = strrchr(text, ')');
	if (after == NULL || sscanf(after, ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			"%*s %*s %llu", &since) != 1)
		return 0;
	return since;
}

/* The front-end that is connected, as a guest with these features; none if it cannot be known again. */
static struct vhostx_state_guest
offer_guest(const struct vhostx_port *port, uint64_t features)
{
	const pid_t pid = vhostx_sock_peer(port->sock);
	const uint64_t since = pid == 0 || features == 0 ? 0 : offer_since(pid);

	if (since == 0)
		return (struct vhostx_state_guest){ 0 };
	return (struct vhostx_state_guest){ .features = features, .pid = pid, .since = since };
}

static void
offer_remember(struct vhostx_port *port, const struct vhostx_state_guest *guest)
{
	if (memcmp(&port->guest, guest, sizeof(*guest)) == 0)
		return;
	port->guest = *guest;
	if (vhostx_resume_open(port, guest->features != 0))
		vhostx_state_set_guest(port->state, guest);
}

/* What the front-end's guest has from before, with this start of the port or another one. */
static uint64_t
offer_before(struct vhostx_port *port)
{
	struct vhostx_state_guest now;

	if (port->guest.features == 0 && vhostx_resume_open(port, false))
		port->guest = vhostx_state_guest(port->state);
	now = offer_guest(port, port->guest.features);
	/* Another front-end brings another guest, who is to have what the arguments say. */
	if (memcmp(&now, &port->guest, sizeof(now)) != 0)
		offer_remember(port, &(struct vhostx_state_guest){ 0 });
	return port->guest.features & OFFER_BY_ARGS;
}

void
vhostx_offer_connected(struct vhostx_port *port)
{
	const uint64_t more = offer_before(port) & ~port->offered;
	char names[256];

	port->be.offered = port->offered | (more & OFFER_SERVED);
	if ((more & OFFER_SERVED) != 0)
		VHOSTX_LOG(NOTICE, port->name, "the guest has %s from before: offered again, until its front-end is "
			"started anew", vhostx_feature_names(more & OFFER_SERVED, names, sizeof(names)));
	if ((more & ~OFFER_SERVED) != 0)
		VHOSTX_LOG(NOTICE, port->name, "the guest has %s from before, which is not offered any more: give the "
			"port the arguments that it had, or restart the guest",
			vhostx_feature_names(more & ~OFFER_SERVED, names, sizeof(names)));
}

void
vhostx_offer_said(struct vhostx_port *port, const struct vhostx_msg *msg)
{
	struct vhostx_state_guest guest;

	if (msg->header.request != VHOSTX_SET_FEATURES || !port->be.has_features)
		return;
	guest = offer_guest(port, port->be.features & OFFER_BY_ARGS);
	offer_remember(port, &guest);
}

void
vhostx_offer_close(struct vhostx_port *port)
{
	if (port->sock == NULL || !vhostx_sock_connected(port->sock))
		offer_remember(port, &(struct vhostx_state_guest){ 0 });
}
