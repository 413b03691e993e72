/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The control thread: files, timers, and the thread itself.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bitops.h>
#include <rte_common.h>

#include "test_loop_rig.h"

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

/* Two with one pause, begun at different times, are due in one round; neither is late, nor sooner than the border. */
static void
test_loop_timers_fire_together(void **state)
{
	const uint64_t pause = 400 * US_PER_MS;
	struct probe p[2];
	uint64_t start;

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		probe_init(&p[i]);
		probe_add_timer(&p[i]);
	}
	/* Not when one could be before a border and the other one after it. */
	while ((start = clock_us(CLOCK_MONOTONIC)) % pause > pause / 4)
		usleep(US_PER_MS);
	vhostx_loop_arm_together(p[0].source, pause);
	usleep(pause / 4);
	vhostx_loop_arm_together(p[1].source, pause);
	for (unsigned int i = 0; i < 2; i++) {
		probe_wait(&p[i], &p[i].calls, 1);
		assert_true(p[i].called_us >= start - start % pause + pause);
	}
	assert_true(p[1].called_us - p[0].called_us < pause / 8);
	for (unsigned int i = 0; i < 2; i++)
		probe_fini(&p[i]);
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
		cmocka_unit_test(test_loop_timers_fire_together),
		cmocka_unit_test(test_loop_timers_fire_in_order),
		cmocka_unit_test(test_loop_timer_cannot_starve_files),
		cmocka_unit_test(test_loop_idle_takes_no_time),
		cmocka_unit_test(test_loop_thread_name_and_signals),
		cmocka_unit_test(test_loop_caller_keeps_its_signals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
