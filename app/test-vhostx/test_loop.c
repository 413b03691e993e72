/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The control thread: files, timers, deletion from any thread, release.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <rte_bitops.h>
#include <rte_common.h>

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

static uint64_t
clock_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
probe_init(struct probe *p)
{
	*p = (struct probe){ .fd = -1, .drain = true };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->changed, NULL);
}

static void
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

static void
probe_on_release(void *arg)
{
	struct probe *p = arg;

	pthread_mutex_lock(&p->lock);
	p->released++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/** Wait until *@a field, of @a p, is at least @a value. */
static void
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

static void
probe_wait_holding(struct probe *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->holding)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static void
probe_let_go(struct probe *p)
{
	pthread_mutex_lock(&p->lock);
	p->hold = false;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static unsigned int
probe_get(struct probe *p, const unsigned int *field)
{
	unsigned int value;

	pthread_mutex_lock(&p->lock);
	value = *field;
	pthread_mutex_unlock(&p->lock);
	return value;
}

static void
probe_add_timer(struct probe *p)
{
	struct vhostx_source *source;

	pthread_mutex_lock(&p->lock);
	p->source = source = vhostx_loop_add_timer(probe_on_call, probe_on_release, p);
	pthread_mutex_unlock(&p->lock);
	assert_non_null(source);
}

/** A source on an eventfd that reads ready @a count times. */
static void
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

static void
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
static void
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
static void
probe_fini(struct probe *p)
{
	probe_del(p);
	probe_wait(p, &p->released, 1);
	pass_rounds();
	assert_int_equal(probe_get(p, &p->released), 1);
	if (p->fd >= 0)
		close(p->fd);
}

static void
test_loop_fd_calls_back(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	probe_add_fd(&p, 0);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 0);
	eventfd_write(p.fd, 1);
	probe_wait(&p, &p.calls, 1);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 1);
	probe_fini(&p);
}

static void
test_loop_fd_is_level_triggered(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	/* Each callback takes one of three. */
	probe_add_fd(&p, 3);
	probe_wait(&p, &p.calls, 3);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 3);
	probe_fini(&p);
}

static void
test_loop_fd_refused(void **state)
{
	struct probe p;
	FILE *file = tmpfile();

	(void)state;
	probe_init(&p);
	assert_null(vhostx_loop_add_fd(-1, probe_on_call, probe_on_release, &p));
	assert_int_equal(errno, EBADF);
	/* epoll does not watch regular files. */
	assert_null(vhostx_loop_add_fd(fileno(file), probe_on_call, probe_on_release, &p));
	assert_int_equal(errno, EPERM);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.released), 0);
	fclose(file);
}

static void
test_loop_fd_number_used_again(void **state)
{
	struct probe old, new;

	(void)state;
	probe_init(&old);
	probe_init(&new);
	probe_add_fd(&old, 0);
	probe_del(&old);
	close(old.fd);
	probe_add_fd(&new, 1);
	assert_int_equal(new.fd, old.fd);
	probe_wait(&new, &new.calls, 1);
	probe_wait(&old, &old.released, 1);
	assert_int_equal(probe_get(&old, &old.calls), 0);
	probe_fini(&new);
}

static void
test_loop_timer_unarmed_is_silent(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	probe_add_timer(&p);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 0);
	probe_fini(&p);
}

static void
test_loop_timer_fires_once_in_time(void **state)
{
	const uint64_t start = clock_us(CLOCK_MONOTONIC);
	struct probe p;

	(void)state;
	probe_init(&p);
	probe_add_timer(&p);
	vhostx_loop_arm(p.source, 1500);
	probe_wait(&p, &p.calls, 1);
	assert_true(p.called_us - start >= 1500);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 1);
	probe_fini(&p);
}

static void
test_loop_timer_rearm_sooner(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	probe_add_timer(&p);
	vhostx_loop_arm(p.source, 3600u * 1000 * US_PER_MS);
	vhostx_loop_arm(p.source, 0);
	probe_wait(&p, &p.calls, 1);
	probe_fini(&p);
}

static void
test_loop_timer_rearm_later(void **state)
{
	struct probe p, early;

	(void)state;
	probe_init(&p);
	probe_init(&early);
	probe_add_timer(&p);
	probe_add_timer(&early);
	vhostx_loop_arm(p.source, 2 * US_PER_MS);
	vhostx_loop_arm(p.source, 3600u * 1000 * US_PER_MS);
	vhostx_loop_arm(early.source, 4 * US_PER_MS);
	probe_wait(&early, &early.calls, 1);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 0);
	probe_fini(&p);
	probe_fini(&early);
}

static void
test_loop_timer_rearm_after_firing(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	probe_add_timer(&p);
	vhostx_loop_arm(p.source, 0);
	probe_wait(&p, &p.calls, 1);
	vhostx_loop_arm(p.source, 0);
	probe_wait(&p, &p.calls, 2);
	probe_fini(&p);
}

static void
test_loop_timers_fire_in_order(void **state)
{
	static const unsigned int delay_ms[] = { 6, 2, 8, 4 };
	struct probe p[RTE_DIM(delay_ms)];
	unsigned int i, j;

	(void)state;
	for (i = 0; i < RTE_DIM(p); i++) {
		probe_init(&p[i]);
		probe_add_timer(&p[i]);
		vhostx_loop_arm(p[i].source, delay_ms[i] * US_PER_MS);
	}
	for (i = 0; i < RTE_DIM(p); i++)
		probe_wait(&p[i], &p[i].calls, 1);
	for (i = 0; i < RTE_DIM(p); i++)
		for (j = 0; j < RTE_DIM(p); j++)
			if (delay_ms[i] < delay_ms[j])
				assert_true(p[i].called_us <= p[j].called_us);
	for (i = 0; i < RTE_DIM(p); i++)
		probe_fini(&p[i]);
}

static void
test_loop_timer_cannot_starve_files(void **state)
{
	struct probe timer, file;

	(void)state;
	probe_init(&timer);
	probe_init(&file);
	timer.rearm = UINT32_MAX;
	probe_add_timer(&timer);
	vhostx_loop_arm(timer.source, 0);
	probe_wait(&timer, &timer.calls, 10);
	probe_add_fd(&file, 1);
	probe_wait(&file, &file.calls, 1);
	probe_fini(&timer);
	probe_fini(&file);
}

static void
test_loop_del_armed_timer(void **state)
{
	struct probe p, later;

	(void)state;
	probe_init(&p);
	probe_init(&later);
	probe_add_timer(&p);
	probe_add_timer(&later);
	vhostx_loop_arm(p.source, 2 * US_PER_MS);
	vhostx_loop_arm(later.source, 4 * US_PER_MS);
	probe_del(&p);
	probe_wait(&later, &later.calls, 1);
	assert_int_equal(probe_get(&p, &p.calls), 0);
	assert_int_equal(probe_get(&p, &p.released), 1);
	probe_fini(&later);
}

static void
test_loop_del_from_callback(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	/* The file stays readable, but nobody watches it any more. */
	p.delete = true;
	p.drain = false;
	probe_add_fd(&p, 5);
	probe_wait(&p, &p.released, 1);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.calls), 1);
	probe_fini(&p);
}

static void
test_loop_del_timer_from_callback(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	p.delete = true;
	probe_add_timer(&p);
	vhostx_loop_arm(p.source, 0);
	probe_wait(&p, &p.released, 1);
	assert_int_equal(probe_get(&p, &p.calls), 1);
	probe_fini(&p);
}

static void
test_loop_del_while_callback_runs(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	p.hold = true;
	probe_add_fd(&p, 1);
	probe_wait_holding(&p);
	/* The callback is inside: this must not wait for it, nor release under its feet. */
	probe_del(&p);
	assert_int_equal(probe_get(&p, &p.released), 0);
	assert_true(p.holding);
	probe_let_go(&p);
	probe_wait(&p, &p.released, 1);
	probe_fini(&p);
}

/*
 * Both files are ready in one round, and the callback that comes first deletes the other's source: the
 * event that epoll has already reported must not be delivered.
 */
static struct probe *pair[2];

static void
pair_on_call(void *arg)
{
	struct probe *p = arg;
	struct probe *other = p == pair[0] ? pair[1] : pair[0];

	probe_on_call(p);
	if (probe_get(other, &other->calls) == 0)
		probe_del(other);
}

static void
test_loop_del_other_of_same_round(void **state)
{
	struct probe gate, a, b;

	(void)state;
	probe_init(&gate);
	probe_init(&a);
	probe_init(&b);
	pair[0] = &a;
	pair[1] = &b;
	gate.hold = true;
	probe_add_fd(&gate, 1);
	probe_wait_holding(&gate);
	a.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	b.fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
	a.source = vhostx_loop_add_fd(a.fd, pair_on_call, probe_on_release, &a);
	b.source = vhostx_loop_add_fd(b.fd, pair_on_call, probe_on_release, &b);
	probe_let_go(&gate);
	pass_rounds();
	assert_int_equal(probe_get(&a, &a.calls) + probe_get(&b, &b.calls), 1);
	probe_fini(&a);
	probe_fini(&b);
	probe_fini(&gate);
}

static void
test_loop_del_null(void **state)
{
	(void)state;
	vhostx_loop_del(NULL);
}

static void
test_loop_release_may_be_null(void **state)
{
	struct probe p;

	(void)state;
	probe_init(&p);
	p.source = vhostx_loop_add_timer(probe_on_call, NULL, &p);
	probe_del(&p);
	pass_rounds();
	assert_int_equal(probe_get(&p, &p.released), 0);
}

static struct probe *order[3];
static unsigned int nr_order;

static void
order_on_release(void *arg)
{
	order[nr_order++] = arg;
	probe_on_release(arg);
}

static void
test_loop_release_in_order_of_deletion(void **state)
{
	struct probe p[3];
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		probe_init(&p[i]);
		p[i].source = vhostx_loop_add_timer(probe_on_call, order_on_release, &p[i]);
	}
	probe_del(&p[1]);
	probe_del(&p[0]);
	probe_del(&p[2]);
	for (i = 0; i < 3; i++)
		probe_wait(&p[i], &p[i].released, 1);
	assert_ptr_equal(order[0], &p[1]);
	assert_ptr_equal(order[1], &p[0]);
	assert_ptr_equal(order[2], &p[2]);
}

static void
delete_on_release(void *arg)
{
	struct probe *other = arg;

	probe_del(other);
}

static void
test_loop_release_may_delete_another(void **state)
{
	struct vhostx_source *first;
	struct probe other;

	(void)state;
	probe_init(&other);
	probe_add_timer(&other);
	first = vhostx_loop_add_timer(probe_on_call, delete_on_release, &other);
	vhostx_loop_del(first);
	probe_wait(&other, &other.released, 1);
}

static void
test_loop_idle_takes_no_time(void **state)
{
	struct probe timer, file;

	(void)state;
	probe_init(&timer);
	probe_init(&file);
	probe_add_timer(&timer);
	probe_add_fd(&file, 0);
	vhostx_loop_arm(timer.source, 0);
	probe_wait(&timer, &timer.calls, 1);
	/* An interval to measure, in which nothing is due. */
	poll(NULL, 0, 200);
	eventfd_write(file.fd, 1);
	probe_wait(&file, &file.calls, 1);
	assert_true(file.cpu_us - timer.cpu_us < 20 * US_PER_MS);
	probe_fini(&timer);
	probe_fini(&file);
}

/** Read the line of the control thread's file @a file in /proc that begins with @a key. */
static void
thread_line(long tid, const char *file, const char *key, char *line, int size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/%s", tid, file);
	f = fopen(path, "r");
	assert_non_null(f);
	do
		assert_non_null(fgets(line, size, f));
	while (strncmp(line, key, strlen(key)) != 0);
	fclose(f);
}

static void
test_loop_thread_name_and_signals(void **state)
{
	char line[128];
	struct probe p;
	uint64_t blocked;

	(void)state;
	probe_init(&p);
	probe_add_timer(&p);
	vhostx_loop_arm(p.source, 0);
	probe_wait(&p, &p.calls, 1);
	thread_line(p.tid, "comm", "", line, sizeof(line));
	assert_string_equal(line, "vhostx-ctrl\n");
	thread_line(p.tid, "status", "SigBlk:", line, sizeof(line));
	blocked = strtoull(line + strlen("SigBlk:"), NULL, 16);
	assert_true(blocked & RTE_BIT64(SIGTERM - 1));
	assert_true(blocked & RTE_BIT64(SIGINT - 1));
	assert_true(blocked & RTE_BIT64(SIGALRM - 1));
	assert_false(blocked & RTE_BIT64(SIGBUS - 1));
	assert_false(blocked & RTE_BIT64(SIGSEGV - 1));
	probe_fini(&p);
}

static void
test_loop_caller_keeps_its_signals(void **state)
{
	sigset_t now;

	(void)state;
	pass_rounds();
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	assert_int_equal(sigismember(&now, SIGTERM), 0);
}

#define STRESS_THREADS 4
#define STRESS_ROUNDS 300

static void *
stress(void *arg)
{
	unsigned int *seed = arg;
	unsigned int i;

	for (i = 0; i < STRESS_ROUNDS; i++) {
		struct probe timer, file;

		probe_init(&timer);
		probe_init(&file);
		probe_add_timer(&timer);
		probe_add_fd(&file, 1);
		vhostx_loop_arm(timer.source, rand_r(seed) % 50);
		if (rand_r(seed) % 2 == 0)
			probe_wait(&timer, &timer.calls, 1);
		vhostx_loop_arm(timer.source, rand_r(seed) % 50);
		probe_del(&file);
		probe_del(&timer);
		close(file.fd);
		probe_wait(&timer, &timer.released, 1);
		probe_wait(&file, &file.released, 1);
		/* Deleted first, so released: the last callback has gone. */
		pthread_mutex_destroy(&file.lock);
	}
	return NULL;
}

static void
test_loop_many_threads(void **state)
{
	unsigned int seed[STRESS_THREADS] = { 1, 2, 3, 4 };
	pthread_t thread[STRESS_THREADS];
	unsigned int i;

	(void)state;
	for (i = 0; i < STRESS_THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, stress, &seed[i]), 0);
	for (i = 0; i < STRESS_THREADS; i++)
		pthread_join(thread[i], NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loop_fd_calls_back),
		cmocka_unit_test(test_loop_fd_is_level_triggered),
		cmocka_unit_test(test_loop_fd_refused),
		cmocka_unit_test(test_loop_fd_number_used_again),
		cmocka_unit_test(test_loop_timer_unarmed_is_silent),
		cmocka_unit_test(test_loop_timer_fires_once_in_time),
		cmocka_unit_test(test_loop_timer_rearm_sooner),
		cmocka_unit_test(test_loop_timer_rearm_later),
		cmocka_unit_test(test_loop_timer_rearm_after_firing),
		cmocka_unit_test(test_loop_timers_fire_in_order),
		cmocka_unit_test(test_loop_timer_cannot_starve_files),
		cmocka_unit_test(test_loop_del_armed_timer),
		cmocka_unit_test(test_loop_del_from_callback),
		cmocka_unit_test(test_loop_del_timer_from_callback),
		cmocka_unit_test(test_loop_del_while_callback_runs),
		cmocka_unit_test(test_loop_del_other_of_same_round),
		cmocka_unit_test(test_loop_del_null),
		cmocka_unit_test(test_loop_release_may_be_null),
		cmocka_unit_test(test_loop_release_in_order_of_deletion),
		cmocka_unit_test(test_loop_release_may_delete_another),
		cmocka_unit_test(test_loop_idle_takes_no_time),
		cmocka_unit_test(test_loop_thread_name_and_signals),
		cmocka_unit_test(test_loop_caller_keeps_its_signals),
		cmocka_unit_test(test_loop_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
