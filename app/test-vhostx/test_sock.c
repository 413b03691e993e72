/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port's socket as a server: one front-end at a time, files that run out, closing.
 */
#include <sys/resource.h>

#include "test_sock_server.h"
#include "user/loop.h"

static void
test_sock_open_makes_file(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	assert_int_equal(lstat(o->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	owner_close(o);
	assert_int_equal(lstat(o->path, &st), -1);
}

static void
test_sock_front_ends_come_and_go(void **state)
{
	unsigned int i;
	int fd;

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	assert_false(owner_is_connected(o));
	for (i = 1; i <= 3; i++) {
		fd = front_connect(o->path);
		owner_wait(o, &o->connected, i);
		assert_true(owner_is_connected(o));
		close(fd);
		owner_wait(o, &o->disconnected, i);
		assert_false(owner_is_connected(o));
	}
	assert_int_equal(logcap_count("is connected"), 3);
	assert_int_equal(logcap_count("is disconnected"), 3);
}

static void
test_sock_second_front_end(void **state)
{
	const int fd = serve(), second = front_connect(o->path);

	(void)state;
	assert_true(front_is_closed(second));
	assert_true(logcap_has("net_vhostx0: a second front-end on "));
	assert_true(logcap_has("was closed: the port serves one at a time"));
	front_message(fd, VHOSTX_GET_FEATURES, 0, 0);
	owner_wait(o, &o->messages, 1);
	assert_int_equal(owner_get(o, &o->connected), 1);
	assert_int_equal(owner_get(o, &o->disconnected), 0);
	close(second);
	close(fd);
}

/*
 * The control thread waits for the lock on behalf of the new connection alone when the old one closes.
 */
static void
test_sock_quick_restart_new_first(void **state)
{
	const int old = serve();
	int new;

	(void)state;
	pthread_mutex_lock(&o->lock);
	new = front_connect(o->path);
	front_message(old, VHOSTX_GET_FEATURES, 0, 1);
	close(old);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->connected, 2);
	assert_int_equal(owner_get(o, &o->disconnected), 1);
	front_message(new, VHOSTX_SET_OWNER, 0, 0);
	owner_wait(o, &o->messages, 1);
	assert_false(logcap_has("second"));
	close(new);
}

static void
test_sock_quick_restart_old_first(void **state)
{
	const int old = serve();
	int new;

	(void)state;
	pthread_mutex_lock(&o->lock);
	close(old);
	new = front_connect(o->path);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->connected, 2);
	assert_int_equal(owner_get(o, &o->disconnected), 1);
	assert_false(logcap_has("second"));
	close(new);
}

/* A front-end that fails and tries again at once, for ever, while another port works. */
static void
test_sock_regress_tight_loop_is_slowed(void **state)
{
	struct owner *other = &owners[1];
	const uint64_t end = now_ms() + 1000;
	unsigned int nr = 0, answers = 0;
	struct pollfd pfd = { .events = POLLIN };
	int fd, second;

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	assert_int_equal(owner_open(other, false), 0);
	second = front_connect(other->path);
	OWNER_SET(o, verdict, -1);
	while (now_ms() < end) {
		fd = front_connect(o->path);
		front_message(fd, VHOSTX_GET_FEATURES, 0, 1);
		for (pfd.fd = fd; poll(&pfd, 1, 1) == 0; answers++) {
			front_message(second, VHOSTX_GET_FEATURES, 0, 0);
			owner_wait(other, &other->messages, answers + 1);
		}
		assert_true(front_is_closed(fd));
		close(fd);
		nr++;
	}
	/* Those that come without a wait, then ten a second. */
	assert_in_range(nr, 200, 212);
	assert_true(answers > 20);
	assert_int_equal(logcap_count("come and go too fast"), 1);
	assert_true(logcap_count("a front-end is connected") <= 201);
	close(second);
}

static void
test_sock_probe_is_not_noticed(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	pthread_mutex_lock(&o->lock);
	close(front_connect(o->path));
	fd = front_connect(o->path);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->connected, 1);
	assert_int_equal(owner_get(o, &o->disconnected), 0);
	close(fd);
}

static void
test_sock_talker_cannot_starve_others(void **state)
{
	struct owner *other = &owners[1];
	const int fd = serve();
	int second;
	unsigned int i;

	(void)state;
	assert_int_equal(owner_open(other, false), 0);
	second = front_connect(other->path);
	owner_wait(other, &other->connected, 1);
	/* Both are queued before the control thread, which waits for the lock, reads any. */
	pthread_mutex_lock(&other->lock);
	pthread_mutex_lock(&o->lock);
	for (i = 0; i < 150; i++)
		front_message(fd, VHOSTX_SET_OWNER, 0, 0);
	front_message(second, VHOSTX_SET_OWNER, 0, 0);
	pthread_mutex_unlock(&o->lock);
	/* It comes to the other port's message, and so to its lock, before the first is through. */
	owner_wait(o, &o->messages, 1);
	assert_true(owner_get(o, &o->messages) < 150);
	pthread_mutex_unlock(&other->lock);
	owner_wait(other, &other->messages, 1);
	owner_wait(o, &o->messages, 150);
	close(second);
	close(fd);
}

/** Let the process open no file more; @a old takes the limit to restore. */
static void
forbid_files(struct rlimit *old)
{
	const int next = dup(STDERR_FILENO);
	struct rlimit limit;

	close(next);
	getrlimit(RLIMIT_NOFILE, old);
	limit = *old;
	limit.rlim_cur = next;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/** A timer that notes the control thread's processor time. */
static void
note_cpu(void *arg)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	pthread_mutex_lock(&owners[1].lock);
	*(uint64_t *)arg = (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	owners[1].messages++;
	pthread_cond_broadcast(&owners[1].changed);
	pthread_mutex_unlock(&owners[1].lock);
}

static void
test_sock_no_file_for_accept(void **state)
{
	const struct sockaddr_un addr = address(o->path);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint64_t cpu_ms = 0, first;
	struct vhostx_source *timer = vhostx_loop_add_timer(note_cpu, NULL, &cpu_ms);
	struct rlimit limit;

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	forbid_files(&limit);
	assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	vhostx_loop_arm(timer, 0);
	owner_wait(&owners[1], &owners[1].messages, 1);
	first = cpu_ms;
	vhostx_loop_arm(timer, 350000);
	owner_wait(&owners[1], &owners[1].messages, 2);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_true(cpu_ms - first < 50);
	vhostx_loop_del(timer);
	owner_wait(o, &o->connected, 1);
	assert_int_equal(logcap_count("net_vhostx0: cannot accept a front-end"), 1);
	close(fd);
}

static void
test_sock_no_file_for_message(void **state)
{
	const int fd = serve();
	struct rlimit limit;

	(void)state;
	pthread_mutex_lock(&o->lock);
	front_message(fd, VHOSTX_SET_MEM_TABLE, 8, 3);
	forbid_files(&limit);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->disconnected, 1);
	setrlimit(RLIMIT_NOFILE, &limit);
	assert_closed(fd, "its files cannot be taken (too many open files?)");
}

static void
test_sock_close_while_connected(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 8);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, 15, 4);
	owner_close(o);
	assert_true(front_is_closed(fd));
	assert_int_equal(owner_get(o, &o->disconnected), 0);
	assert_int_equal(owner_get(o, &o->released), 1);
	close(fd);
}

static void
test_sock_close_from_callback(void **state)
{
	const int fd = serve();

	(void)state;
	OWNER_SET(o, close, true);
	pthread_mutex_lock(&o->lock);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 3);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 3);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->released, 1);
	assert_true(front_is_closed(fd));
	assert_int_equal(owner_get(o, &o->messages), 1);
	assert_int_equal(owner_get(o, &o->disconnected), 0);
	/* Nothing was read from what was closed. */
	assert_false(logcap_has("cannot receive"));
	close(fd);
}

static void
test_sock_close_from_refusing_callback(void **state)
{
	const int fd = serve();

	(void)state;
	OWNER_SET(o, close, true);
	OWNER_SET(o, verdict, -1);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 3);
	owner_wait(o, &o->released, 1);
	assert_int_equal(owner_get(o, &o->disconnected), 0);
	close(fd);
}

static void
test_sock_close_null(void **state)
{
	(void)state;
	vhostx_sock_close(NULL);
}

static void
test_sock_release_waits_for_closer(void **state)
{
	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	pthread_mutex_lock(&o->lock);
	owner_close_locked(o);
	/* release() must not come before this thread has let the lock go: time for it to do wrong. */
	poll(NULL, 0, 20);
	assert_int_equal(__atomic_load_n(&o->releasing, __ATOMIC_RELAXED), 0);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->released, 1);
}

/** A front-end that talks until it is told to stop. */
static void *
talk(void *arg)
{
	const struct sockaddr_un addr = address(o->path);
	const bool *stop = arg;
	const struct wire w = wire(VHOSTX_SET_OWNER, 0);

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0)
			while (send(fd, &w, sizeof(w.header), MSG_NOSIGNAL) > 0)
				if (__atomic_load_n(stop, __ATOMIC_RELAXED))
					break;
		close(fd);
	}
	return NULL;
}

static void
test_sock_close_under_traffic(void **state)
{
	pthread_t thread[2];
	bool stop = false;
	unsigned int i;

	(void)state;
	pthread_create(&thread[0], NULL, talk, &stop);
	pthread_create(&thread[1], NULL, talk, &stop);
	for (i = 1; i <= 100; i++) {
		assert_int_equal(owner_open(o, false), 0);
		owner_wait(o, &o->messages, owner_get(o, &o->messages) + 1);
		owner_close(o);
		assert_int_equal(owner_get(o, &o->released), 1);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread[0], NULL);
	pthread_join(thread[1], NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SOCK_TEST(test_sock_open_makes_file),
		SOCK_TEST(test_sock_front_ends_come_and_go),
		SOCK_TEST(test_sock_second_front_end),
		SOCK_TEST(test_sock_quick_restart_new_first),
		SOCK_TEST(test_sock_quick_restart_old_first),
		SOCK_TEST(test_sock_regress_tight_loop_is_slowed),
		SOCK_TEST(test_sock_probe_is_not_noticed),
		SOCK_TEST(test_sock_talker_cannot_starve_others),
		SOCK_TEST(test_sock_no_file_for_accept),
		SOCK_TEST(test_sock_no_file_for_message),
		SOCK_TEST(test_sock_close_while_connected),
		SOCK_TEST(test_sock_close_from_callback),
		SOCK_TEST(test_sock_close_from_refusing_callback),
		SOCK_TEST(test_sock_close_null),
		SOCK_TEST(test_sock_release_waits_for_closer),
		SOCK_TEST(test_sock_close_under_traffic),
	};

	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
