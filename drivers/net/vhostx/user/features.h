/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Names of feature bits, for people.
 */
#ifndef VHOSTX_USER_FEATURES_H
#define VHOSTX_USER_FEATURES_H

#include <stddef.h>
#include <stdint.h>

/** Name of virtio feature @a bit of a network device ("VIRTIO_NET_F_MRG_RXBUF"), or NULL. */
const char *vhostx_feature_name(unsigned int bit);

/** Names of all virtio features in @a bits, for a sentence; cut off where @a len bytes are full. @return @a text. */
const char *vhostx_feature_names(uint64_t bits, char *text, size_t len);

/** Name of vhost-user protocol feature @a bit ("REPLY_ACK"), or NULL. */
const char *vhostx_protocol_feature_name(unsigned int bit);

#endif /* VHOSTX_USER_FEATURES_H */
