/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The thread that works, and those who wait for it.
 */
#include <pthread.h>
#include <unistd.h>

#include "clock.h"
#include "thread.h"
#include "work.h"

/* How often a waiting caller looks. */
#define WORK_LOOK_US 50u

/* State of the process: what ports of several guests have to be done is done in one order. */
static struct {
	pthread_mutex_t lock;
	STAILQ_HEAD(, vhostx_work) list; /* under lock, in order */
	bool running;                    /* under lock: somebody takes from the list until it is empty */
	uint64_t given;                  /* under lock: how many were handed over */
	uint64_t done;                   /* of those; atomic */
} works = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.list = STAILQ_HEAD_INITIALIZER(works.list),
};

/* The next one; NULL: none, and nobody works any more. */
static struct vhostx_work *
work_take(void)
{
	struct vhostx_work *work;

	pthread_mutex_lock(&works.lock);
	work = STAILQ_FIRST(&works.list);
	if (work != NULL)
		STAILQ_REMOVE_HEAD(&works.list, next);
	else
		works.running = false;
	pthread_mutex_unlock(&works.lock);
	return work;
}

static void *
work_thread(void *arg)
{
	struct vhostx_work *work;

	while ((work = work_take()) != NULL) {
		work->run(work);
		/* Release: who sees it sees what was done. */
		__atomic_fetch_add(&works.done, 1, __ATOMIC_RELEASE);
	}
	return arg;
}

void
vhostx_work_give(struct vhostx_work *work)
{
	bool start;

	pthread_mutex_lock(&works.lock);
	STAILQ_INSERT_TAIL(&works.list, work, next);
	works.given++;
	start = !works.running;
	works.running = true;
	pthread_mutex_unlock(&works.lock);
	if (start && vhostx_thread_start("vhostx-work", work_thread, NULL, NULL) != 0)
		work_thread(NULL);
}

bool
vhostx_work_await(uint64_t us)
{
	const uint64_t start = vhostx_now_us();
	uint64_t given;

	pthread_mutex_lock(&works.lock);
	given = works.given;
	pthread_mutex_unlock(&works.lock);
	while (__atomic_load_n(&works.done, __ATOMIC_ACQUIRE) < given) {
		if (vhostx_now_us() - start >= us)
			return false;
		usleep(WORK_LOOK_US);
	}
	return true;
}
