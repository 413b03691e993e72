/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Catches what the driver logs, so that a test can ask for it.
 */
#ifndef LOGCAP_H
#define LOGCAP_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <rte_log.h>

#include "vhostx_log.h"

/** The log's file; read by pread(), so that threads may write meanwhile. */
static int logcap_fd = -1;

/** From now on keep every line, of whatever level. @return 0, for cmocka's set-up. */
static inline int
logcap_start(void **state)
{
	FILE *stream;

	(void)state;
	logcap_fd = memfd_create("log", MFD_CLOEXEC);
	if (logcap_fd < 0 || fcntl(logcap_fd, F_SETFL, O_APPEND) < 0)
		return -1;
	stream = fdopen(logcap_fd, "a");
	if (stream == NULL || rte_openlog_stream(stream) < 0)
		return -1;
	return rte_log_set_level(vhostx_logtype, RTE_LOG_DEBUG);
}

/** Forget the lines so far. @return 0, for cmocka's set-up. */
static inline int
logcap_clear(void **state)
{
	(void)state;
	return ftruncate(logcap_fd, 0);
}

/** How often @a text stands in the log. */
static inline unsigned int
logcap_count(const char *text)
{
	static char log[1 << 16];
	ssize_t len = pread(logcap_fd, log, sizeof(log) - 1, 0);
	const char *at = log;
	unsigned int count = 0;

	log[len > 0 ? len : 0] = '\0';
	while ((at = strstr(at, text)) != NULL) {
		count++;
		at += strlen(text);
	}
	return count;
}

/** Is @a text in the log? */
static inline bool
logcap_has(const char *text)
{
	return logcap_count(text) != 0;
}

#endif /* LOGCAP_H */
