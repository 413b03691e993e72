/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What the control thread's tests share: an object with a source, whose callbacks note what they see.
 */
#ifndef TEST_LOOP_RIG_H
#define TEST_LOOP_RIG_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/loop.h"

/** No test waits longer for what must come. */
#define DEADLINE_S 20
#define US_PER_MS 1000u

/** What a source's callbacks note; the object that the sources of these tests belong to. */
struct probe {
	pthread_mutex_t lock;         /**< over all below */
	pthread_cond_t changed;       /**< signalled after every change */
	struct vhostx_source *source; /**< NULL once deleted */
	int fd;                       /**< an eventfd, or -1 */
	unsigned int calls;           /**< callbacks that began */
	unsigned int released;        /**< calls of release */
	unsigned int rearm;           /**< callbacks that arm the timer again, at once */
	bool drain;                   /**< the callback reads the eventfd */
	bool delete;                  /**< the callback deletes its source */
	bool hold;                    /**< the callback does not return while this is set */
	bool holding;                 /**< a callback is in there */
	uint64_t called_us;           /**< when the last callback began */
	uint64_t cpu_us;              /**< the control thread's processor time then */
	long tid;                     /**< the control thread */
};

static inline uint64_t
clock_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline void
probe_init(struct probe *p)
{
	*p = (struct probe){ .fd = -1, .drain = true };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
}

static inline void
probe_on_call(void *arg)
{
	struct probe *p = arg;
	eventfd_t value;

	pthread_mutex_lock(&p->lock);
	p->calls++;
	p->called_us = clock_us(CLOCK_MONOTONIC);
	p->cpu_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
	p->tid = syscall(SYS_gettid);
	/* Deleted meanwhile: the file may be closed. */
	if (p->fd >= 0 && p->drain && p->source != NULL)
		eventfd_read(p->fd, &value);
	if (p->delete && p->source != NULL) {
		vhostx_loop_del(p->source);
		p->source = NULL;
	}
	if (p->rearm > 0 && p->source != NULL) {
		p->rearm--;
		vhostx_loop_arm(p->source, 0);
	}
	p->holding = p->hold;
	pthread_cond_broadcast(&p->changed);
	while (p->hold)
		pthread_cond_wait(&p->changed, &p->lock);
	p->holding = false;
	pthread_mutex_unlock(&p->lock);
}

static inline void
probe_on_release(void *arg)
{
	struct probe *p = arg;

	pthread_mutex_lock(&p->lock);
	p->released++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/** Wait until *@a field, of @a p, is at least @a value. */
static inline void
probe_wait(struct probe *p, const unsigned int *field, unsigned int value)
{
	struct timespec end;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += DEADLINE_S;
	pthread_mutex_lock(&p->lock);
	while (*field < value && ret == 0)
		ret = pthread_cond_timedwait(&p->changed, &p->lock, &end);
	pthread_mutex_unlock(&p->lock);
	assert_int_equal(ret, 0);
}

static inline void
probe_wait_holding(struct probe *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->holding)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static inline void
probe_let_go(struct probe *p)
{
	pthread_mutex_lock(&p->lock);
	p->hold = false;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static inline unsigned int
probe_get(struct probe *p, const unsigned int *field)
{
	unsigned int value;

	pthread_mutex_lock(&p->lock);
	value = *field;
	pthread_mutex_unlock(&p->lock);
	return value;
}

static inline void
probe_add_timer(struct probe *p)
{
	struct vhostx_source *source;

	pthread_mutex_lock(&p->lock);
	p->source = source = vhostx_loop_add_timer(probe_on_call, probe_on_release, p);
	pthread_mutex_unlock(&p->lock);
	assert_non_null(source);
}

/** A source on an eventfd that reads ready @a count times. */
static inline void
probe_add_fd(struct probe *p, unsigned int count)
{
	struct vhostx_source *source;

	p->fd = eventfd(count, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
	assert_true(p->fd >= 0);
	pthread_mutex_lock(&p->lock);
	p->source = source = vhostx_loop_add_fd(p->fd, probe_on_call, probe_on_release, p);
	pthread_mutex_unlock(&p->lock);
	assert_non_null(source);
}

static inline void
probe_del(struct probe *p)
{
	struct vhostx_source *source;

	pthread_mutex_lock(&p->lock);
	source = p->source;
	p->source = NULL;
	vhostx_loop_del(source);
	pthread_mutex_unlock(&p->lock);
}

/** Two rounds of the control thread: whatever was due before has happened on return. */
static inline void
pass_rounds(void)
{
	struct probe p;

	probe_init(&p);
	p.rearm = 1;
	probe_add_timer(&p);
	vhostx_loop_arm(p.source, 0);
	probe_wait(&p, &p.calls, 2);
	probe_del(&p);
	probe_wait(&p, &p.released, 1);
}

/** Delete the source and see that it is released, once. */
static inline void
probe_fini(struct probe *p)
{
	probe_del(p);
	probe_wait(p, &p->released, 1);
	pass_rounds();
	assert_int_equal(probe_get(p, &p->released), 1);
	if (p->fd >= 0)
		close(p->fd);
}

#endif /* TEST_LOOP_RIG_H */
