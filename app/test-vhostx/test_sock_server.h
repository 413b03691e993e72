/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the tests of a port's socket as a server share: the server, and how it hangs up. No case may leave a
 * file open: rig_teardown() counts them.
 */
#ifndef TEST_SOCK_SERVER_H
#define TEST_SOCK_SERVER_H

#include "sock_rig.h"

static struct owner * const o = &owners[0];

/** Open the server and connect a front-end. */
static inline int
serve(void)
{
	int fd;

	assert_int_equal(owner_open(o, false), 0);
	fd = front_connect(o->path);
	owner_wait(o, &o->connected, 1);
	return fd;
}

/** The connection on @a fd is closed by the driver with @a text in the log. */
static inline void
assert_closed(int fd, const char *text)
{
	owner_wait(o, &o->disconnected, 1);
	assert_true(front_is_closed(fd));
	assert_int_equal(owner_get(o, &o->messages), 0);
	if (!logcap_has(text))
		fail_msg("\"%s\" is not in the log", text);
	close(fd);
	/* Closed at once, not when the socket is: all that is left is what listens. */
	assert_int_equal(files_open(), rig_fds + 1);
}

#endif /* TEST_SOCK_SERVER_H */
