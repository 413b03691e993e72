/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Messages about the device's configuration space, for front-ends that leave it to the back-end.
 */
#include <string.h>

#include <linux/virtio_net.h>

#include <rte_byteorder.h>

#include "../vhostx_log.h"
#include "backend_call.h"

/* The space as virtio 1.3, 5.1.4 has it, little-endian; what nobody can negotiate here is 0. */
static struct virtio_net_config
config_space(const struct vhostx_backend *be)
{
	struct vhostx_net_config own = { .mtu = 0 };
	struct virtio_net_config space;

	be->ops->get_config(be->ctx, &own);
	memset(&space, 0, sizeof(space));
	memcpy(space.mac, own.mac, sizeof(space.mac));
	space.status = rte_cpu_to_le_16(own.link ? VIRTIO_NET_S_LINK_UP : 0);
	space.max_virtqueue_pairs = rte_cpu_to_le_16(be->nr_vrings / 2);
	space.mtu = rte_cpu_to_le_16(own.mtu);
	return space;
}

static bool
config_inside(const struct vhostx_msg_config *config)
{
	const uint32_t size = sizeof(struct virtio_net_config);

	return config->offset <= size && config->size <= size - config->offset;
}

/* "Uses zero length of payload to indicate an error." */
int
vhostx_handle_get_config(struct backend_call *call)
{
	const struct vhostx_msg_config *asked = &call->msg->payload.config;
	struct vhostx_msg_config *answer = &call->reply->payload.config;
	const struct virtio_net_config space = config_space(call->be);

	if (!config_inside(asked)) {
		VHOSTX_LOG(ERR, call->be->name, "GET_CONFIG: %u bytes at %u are past the %zu of a network device; "
			"an empty answer is sent", asked->size, asked->offset, sizeof(space));
		return 0;
	}
	answer->offset = asked->offset;
	answer->size = asked->size;
	answer->flags = asked->flags;
	memcpy(answer->bytes, (const uint8_t *)&space + asked->offset, asked->size);
	call->reply->header.size = call->msg->header.size;
	return 0;
}

/*
 * "Back-ends MUST NOT accept SET_CONFIG for read-only configuration space fields unless the live migration bit
 * is set": all are read-only (virtio 1.3, 5.1.4). A guest that moves here brings what it saw; the port stays what
 * it is.
 */
int
vhostx_handle_set_config(struct backend_call *call)
{
	const struct vhostx_msg_config *config = &call->msg->payload.config;

	if (!config_inside(config))
		return backend_fail(call, -EINVAL, "%u bytes at %u are past the configuration of a network device",
			config->size, config->offset);
	if (config->flags != VHOSTX_CONFIG_F_MIGRATION)
		return backend_fail(call, -EINVAL, "a guest cannot write the configuration of a network device");
	return 0;
}
