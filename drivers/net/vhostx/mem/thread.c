/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Threads: where they run, and which signals they take.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include <rte_lcore.h>
#include <rte_thread.h>
#include <rte_version.h>

#include "thread.h"

/* The EAL's interface changed in 23.11. */
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
struct thread_start {
	void *(*main)(void *);
	void *arg;
};

static uint32_t
thread_main(void *arg)
{
	const struct thread_start start = *(struct thread_start *)arg;

	free(arg);
	start.main(start.arg);
	return 0;
}

static int
thread_start_eal(const char *name, void *(*main)(void *), void *arg, pthread_t *thread)
{
	struct thread_start *start = malloc(sizeof(*start));
	rte_thread_t id;
	int ret;

	if (start == NULL)
		return -ENOMEM;
	*start = (struct thread_start){ .main = main, .arg = arg };
	ret = rte_thread_create_control(&id, name, thread_main, start);
	if (ret != 0)
		free(start);
	else
		*thread = (pthread_t)id.opaque_id;
	return ret;
}
#else
static int
thread_start_eal(const char *name, void *(*main)(void *), void *arg, pthread_t *thread)
{
	return rte_ctrl_thread_create(thread, name, NULL, main, arg);
}
#endif

int
vhostx_thread_start(const char *name, void *(*main)(void *), void *arg, pthread_t *thread)
{
	sigset_t blocked, old;
	pthread_t id;
	int ret = 0;

	sigfillset(&blocked);
	sigdelset(&blocked, SIGSEGV);
	sigdelset(&blocked, SIGBUS);
	sigdelset(&blocked, SIGFPE);
	sigdelset(&blocked, SIGILL);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	/* Without an EAL (unit tests) its function refuses, for it knows no cores. */
	if (thread_start_eal(name, main, arg, &id) != 0) {
		ret = pthread_create(&id, NULL, main, arg);
		if (ret == 0)
			pthread_setname_np(id, name);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0)
		return -ret;
	if (thread != NULL)
		*thread = id;
	else
		pthread_detach(id);
	return 0;
}
