/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The control thread waits in epoll; one timerfd is both the earliest timer and the way to wake it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "../mem/thread.h"
#include "../vhostx_log.h"
#include "loop.h"

#define LOOP_THREAD_NAME "vhostx-ctrl"
/** Events taken per round; the others wait for the next. */
#define LOOP_EVENTS 64
#define LOOP_NS_PER_S 1000000000u
#define LOOP_NS_PER_US 1000u

struct vhostx_source {
	TAILQ_ENTRY(vhostx_source) link; /**< in loop.timers while armed, in loop.dead when deleted */
	vhostx_loop_cb cb;               /**< called by the control thread with no lock held */
	vhostx_loop_cb release;          /**< the same, at the end; may be NULL */
	void *arg;                       /**< handed to both */
	uint64_t deadline;               /**< timer: CLOCK_MONOTONIC in ns, while armed */
	int fd;                          /**< what epoll watches, -1 for a timer */
	bool armed;                      /**< timer: is in loop.timers */
	bool deleted;                    /**< is in loop.dead */
};

TAILQ_HEAD(source_list, vhostx_source);

/** The one control thread. */
static struct {
	pthread_mutex_t lock;      /**< over everything below, and over the sources' fields */
	bool started;              /**< both files and the thread exist; never taken back */
	int epoll_fd;              /**< the sources' files and timer_fd (with a NULL pointer) */
	int timer_fd;              /**< expires when the thread is wanted next */
	uint64_t alarm;            /**< when that is, CLOCK_MONOTONIC in ns; 0: never */
	struct source_list timers; /**< armed, earliest first */
	struct source_list dead;   /**< to be released at the end of the round, in order of deletion */
} loop = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.timers = TAILQ_HEAD_INITIALIZER(loop.timers),
	.dead = TAILQ_HEAD_INITIALIZER(loop.dead),
};

static uint64_t
loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * LOOP_NS_PER_S + now.tv_nsec;
}

/** Set when the thread wakes up: at once if something is to be released. The lock is held. */
static void
loop_set_alarm(void)
{
	const struct vhostx_source *first = TAILQ_FIRST(&loop.timers);
	struct itimerspec alarm = { 0 };
	uint64_t when = 0; /* never */

	if (!TAILQ_EMPTY(&loop.dead))
		when = 1; /* long past */
	else if (first != NULL)
		when = first->deadline;
	/* One that has expired goes on to wake the thread until another time is set. */
	if (when == loop.alarm)
		return;
	loop.alarm = when;
	alarm.it_value.tv_sec = when / LOOP_NS_PER_S;
	alarm.it_value.tv_nsec = when % LOOP_NS_PER_S;
	timerfd_settime(loop.timer_fd, TFD_TIMER_ABSTIME, &alarm, NULL);
}

/** Call back for an event, unless the source was deleted after epoll reported it. */
static void
loop_call(struct vhostx_source *source)
{
	bool deleted;

	pthread_mutex_lock(&loop.lock);
	deleted = source->deleted;
	pthread_mutex_unlock(&loop.lock);
	if (!deleted)
		source->cb(source->arg);
}

/** Take the first timer that is due at @a now from the list; NULL if there is none. */
static struct vhostx_source *
loop_pop_due(uint64_t now)
{
	struct vhostx_source *first;

	pthread_mutex_lock(&loop.lock);
	first = TAILQ_FIRST(&loop.timers);
	if (first != NULL && first->deadline <= now) {
		TAILQ_REMOVE(&loop.timers, first, link);
		first->armed = false;
	} else {
		first = NULL;
	}
	pthread_mutex_unlock(&loop.lock);
	return first;
}

/** Run what was due when the round came here; a callback that arms its timer anew waits a round. */
static void
loop_run_timers(void)
{
	const uint64_t now = loop_now();
	struct vhostx_source *timer;

	while ((timer = loop_pop_due(now)) != NULL)
		timer->cb(timer->arg);
}

/** End the round: what was deleted is referred to by nobody any more. */
static void
loop_release_dead(void)
{
	struct source_list dead = TAILQ_HEAD_INITIALIZER(dead);
	struct vhostx_source *source;

	pthread_mutex_lock(&loop.lock);
	TAILQ_CONCAT(&dead, &loop.dead, link);
	loop_set_alarm();
	pthread_mutex_unlock(&loop.lock);

	while ((source = TAILQ_FIRST(&dead)) != NULL) {
		TAILQ_REMOVE(&dead, source, link);
		if (source->release != NULL)
			source->release(source->arg);
		free(source);
	}
}

static void
loop_run(void)
{
	struct epoll_event events[LOOP_EVENTS];
	int nr, i;

	for (;;) {
		nr = epoll_wait(loop.epoll_fd, events, LOOP_EVENTS, -1);
		if (nr < 0 && errno != EINTR)
			break;
		for (i = 0; i < nr; i++)
			if (events[i].data.ptr != NULL)
				loop_call(events[i].data.ptr);
		loop_run_timers();
		loop_release_dead();
	}
	/* Somebody closed files that are not his; to try again would only burn the core. */
	VHOSTX_LOG(ERR, "net_vhostx", "the control thread ends, no port works on: epoll: %s",
		strerror(errno));
}

static void *
loop_thread(void *arg)
{
	loop_run();
	return arg;
}

/** Create files and thread if this is the first source. The lock is held. @return 0 or an errno. */
static int
loop_start(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ret;

	if (loop.started)
		return 0;
	loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop.epoll_fd < 0)
		return errno;
	loop.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop.timer_fd < 0) {
		ret = errno;
		goto close_epoll;
	}
	ret = epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, loop.timer_fd, &event) < 0 ? errno : 0;
	if (ret == 0)
		ret = -vhostx_thread_start(LOOP_THREAD_NAME, loop_thread, NULL, NULL);
	if (ret != 0)
		goto close_timer;
	loop.started = true;
	return 0;

close_timer:
	close(loop.timer_fd);
close_epoll:
	close(loop.epoll_fd);
	return ret;
}

/** Let epoll watch the source's file; a timer has none. The lock is held. @return 0 or an errno. */
static int
loop_watch(struct vhostx_source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (source->fd < 0)
		return 0;
	return epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? errno : 0;
}

/** Make a source of a file, or of a timer if @a fd is -1. @return NULL with errno set on error. */
static struct vhostx_source *
loop_add(int fd, vhostx_loop_cb cb, vhostx_loop_cb release, void *arg)
{
	struct vhostx_source *source = calloc(1, sizeof(*source));
	int ret;

	if (source == NULL)
		return NULL;
	source->fd = fd;
	source->cb = cb;
	source->release = release;
	source->arg = arg;

	pthread_mutex_lock(&loop.lock);
	ret = loop_start();
	if (ret == 0)
		ret = loop_watch(source);
	pthread_mutex_unlock(&loop.lock);
	if (ret != 0) {
		free(source);
		errno = ret;
		return NULL;
	}
	return source;
}

/** Take a timer out of the list if it is there. The lock is held. */
static void
loop_disarm(struct vhostx_source *timer)
{
	if (timer->armed)
		TAILQ_REMOVE(&loop.timers, timer, link);
	timer->armed = false;
}

struct vhostx_source *
vhostx_loop_add_fd(int fd, vhostx_loop_cb cb, vhostx_loop_cb release, void *arg)
{
	if (fd < 0) {
		errno = EBADF;
		return NULL;
	}
	return loop_add(fd, cb, release, arg);
}

struct vhostx_source *
vhostx_loop_add_timer(vhostx_loop_cb cb, vhostx_loop_cb release, void *arg)
{
	return loop_add(-1, cb, release, arg);
}

/** The timer is due at @a deadline. */
static void
loop_arm(struct vhostx_source *timer, uint64_t deadline)
{
	struct vhostx_source *later;

	pthread_mutex_lock(&loop.lock);
	loop_disarm(timer);
	timer->deadline = deadline;
	timer->armed = true;
	TAILQ_FOREACH(later, &loop.timers, link)
		if (later->deadline > timer->deadline)
			break;
	if (later != NULL)
		TAILQ_INSERT_BEFORE(later, timer, link);
	else
		TAILQ_INSERT_TAIL(&loop.timers, timer, link);
	loop_set_alarm();
	pthread_mutex_unlock(&loop.lock);
}

void
vhostx_loop_arm(struct vhostx_source *timer, uint64_t us)
{
	loop_arm(timer, loop_now() + us * LOOP_NS_PER_US);
}

void
vhostx_loop_arm_together(struct vhostx_source *timer, uint64_t us)
{
	const uint64_t pause = us * LOOP_NS_PER_US, deadline = loop_now() + pause;

	loop_arm(timer, deadline - deadline % pause);
}

void
vhostx_loop_del(struct vhostx_source *source)
{
	if (source == NULL)
		return;
	pthread_mutex_lock(&loop.lock);
	if (source->fd >= 0)
		epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	loop_disarm(source);
	source->deleted = true;
	TAILQ_INSERT_TAIL(&loop.dead, source, link);
	loop_set_alarm();
	pthread_mutex_unlock(&loop.lock);
}
