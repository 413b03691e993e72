/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The control thread's sources: deletion from any thread, release.
 */
#include <stdlib.h>

#include "test_loop_rig.h"

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
		cmocka_unit_test(test_loop_del_armed_timer),
		cmocka_unit_test(test_loop_del_from_callback),
		cmocka_unit_test(test_loop_del_timer_from_callback),
		cmocka_unit_test(test_loop_del_while_callback_runs),
		cmocka_unit_test(test_loop_del_other_of_same_round),
		cmocka_unit_test(test_loop_del_null),
		cmocka_unit_test(test_loop_release_may_be_null),
		cmocka_unit_test(test_loop_release_in_order_of_deletion),
		cmocka_unit_test(test_loop_release_may_delete_another),
		cmocka_unit_test(test_loop_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
