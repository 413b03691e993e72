/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The driver's log type and the one way to write a line: every line names its port.
 */
#ifndef VHOSTX_LOG_H
#define VHOSTX_LOG_H

#include <rte_log.h>

/** The log type "pmd.net.vhostx"; registered in vhostx_args.c, which every binary links. */
extern int vhostx_logtype;

/** Write one line about port @a port (its device name); @a fmt carries no newline. */
#define VHOSTX_LOG(level, port, fmt, ...) \
	rte_log(RTE_LOG_##level, vhostx_logtype, "%s: " fmt "\n", port, ##__VA_ARGS__)

#endif /* VHOSTX_LOG_H */
