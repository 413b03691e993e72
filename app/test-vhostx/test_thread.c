/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Threads of the driver: where they run, which signals they take, without and with an EAL.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <rte_common.h>
#include <rte_eal.h>

#include "mem/thread.h"

/* What a thread saw of itself. */
struct seen {
	cpu_set_t cpus;
	sigset_t blocked;
	char name[16];        /* what the caller saw */
	pthread_mutex_t lock; /* held until it has */
};

static void *
look(void *arg)
{
	struct seen *seen = arg;

	pthread_getaffinity_np(pthread_self(), sizeof(seen->cpus), &seen->cpus);
	pthread_sigmask(SIG_SETMASK, NULL, &seen->blocked);
	pthread_mutex_lock(&seen->lock);
	pthread_mutex_unlock(&seen->lock);
	return arg;
}

/* Run one, and see that it has left the caller's signals alone. */
static void
run(struct seen *seen)
{
	sigset_t before, after;
	pthread_t thread;

	pthread_mutex_init(&seen->lock, NULL);
	pthread_mutex_lock(&seen->lock);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	assert_int_equal(vhostx_thread_start("vhostx-test", look, seen, &thread), 0);
	assert_int_equal(pthread_getname_np(thread, seen->name, sizeof(seen->name)), 0);
	pthread_mutex_unlock(&seen->lock);
	assert_int_equal(pthread_join(thread, NULL), 0);
	pthread_mutex_destroy(&seen->lock);
	assert_string_equal(seen->name, "vhostx-test");
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
	assert_int_equal(sigismember(&seen->blocked, SIGTERM), 1);
	assert_int_equal(sigismember(&seen->blocked, SIGUSR1), 1);
	assert_int_equal(sigismember(&seen->blocked, SIGSEGV), 0);
	assert_int_equal(sigismember(&seen->blocked, SIGBUS), 0);
}

static void
test_thread_runs_without_eal(void **state)
{
	struct seen seen;

	(void)state;
	run(&seen);
}

/* The caller polls its CPU: the thread is not created onto it, as long as there is another one. */
static void
test_thread_leaves_lcores_alone(void **state)
{
	static char arg[][20] = { "test_thread", "--no-huge", "--no-shconf", "--no-pci", "-m32", "--no-telemetry",
		"--log-level=error", "" };
	char *argv[RTE_DIM(arg)];
	struct seen seen;
	cpu_set_t cpus;
	int first = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
	while (!CPU_ISSET(first, &cpus))
		first++;
	snprintf(arg[RTE_DIM(arg) - 1], sizeof(arg[0]), "-l%d", first);
	for (size_t i = 0; i < RTE_DIM(arg); i++)
		argv[i] = arg[i];
	assert_true(rte_eal_init(RTE_DIM(argv), argv) >= 0);
	run(&seen);
	if (CPU_COUNT(&cpus) == 1)
		skip();
	assert_false(CPU_ISSET(first, &seen.cpus));
	assert_int_equal(CPU_COUNT(&seen.cpus), CPU_COUNT(&cpus) - 1);
}

int
main(void)
{
	/* In this order: there is one EAL for the process, for good. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_runs_without_eal),
		cmocka_unit_test(test_thread_leaves_lcores_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
