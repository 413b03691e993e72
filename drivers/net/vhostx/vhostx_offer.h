/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Which virtio features a port offers.
 */
#ifndef VHOSTX_OFFER_H
#define VHOSTX_OFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "vhostx_args.h"

/** What a port with these arguments offers; @a tso: guests may send packets that are to be segmented. */
uint64_t vhostx_offer(const struct vhostx_args *args, bool tso);

#endif /* VHOSTX_OFFER_H */
