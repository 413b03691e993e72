/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port described for people and monitors: telemetry commands, and the same as text.
 *
 * /vhostx/list                 ids of the ports
 * /vhostx/info,<port>          socket, connection, features, memory, one line for each ring
 * /vhostx/ring,<port>,<ring>   one ring (by its vhost-user index) with all counters of its queue
 */
#ifndef VHOSTX_TELEMETRY_H
#define VHOSTX_TELEMETRY_H

#include <stdio.h>

struct rte_eth_dev;

/** Write what /vhostx/info tells to @a file, lists in full: rte_eth_dev_priv_dump(). @return 0. */
int vhostx_priv_dump(struct rte_eth_dev *dev, FILE *file);

#endif /* VHOSTX_TELEMETRY_H */
