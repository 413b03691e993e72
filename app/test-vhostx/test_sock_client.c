/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port's socket as a client: it connects and reconnects for ever, soon but not in a frenzy.
 */
#include "sock_rig.h"

static struct owner * const o = &owners[0];

/** Open the client and take its connection on @a listener. */
static int
be_served(int listener)
{
	int fd;

	assert_int_equal(owner_open(o, true), 0);
	fd = front_accept(listener, DEADLINE_MS);
	assert_true(fd >= 0);
	return fd;
}

static void
test_sock_client_connects(void **state)
{
	const int listener = front_listen(o->path), fd = be_served(listener);

	(void)state;
	owner_wait(o, &o->connected, 1);
	front_message(fd, VHOSTX_GET_FEATURES, 8, 2);
	owner_wait(o, &o->messages, 1);
	assert_int_equal(o->last.nr_fds, 2);
	close(fd);
	close(listener);
}

static void
test_sock_client_waits_for_listener(void **state)
{
	uint64_t start;
	int listener, fd;

	(void)state;
	assert_int_equal(owner_open(o, true), 0);
	/* Without its limit the next wait would now be from 255 to 511 ms. */
	poll(NULL, 0, 300);
	start = now_ms();
	listener = front_listen(o->path);
	fd = front_accept(listener, DEADLINE_MS);
	assert_true(fd >= 0);
	assert_true(now_ms() - start < 150);
	/* One line for all attempts of the same kind; bound but not listening yet is another. */
	assert_int_equal(logcap_count("yet, trying on: No such file"), 1);
	assert_true(logcap_count("yet, trying on: ") <= 2);
	close(fd);
	close(listener);
}

static void
test_sock_client_reconnects_at_once(void **state)
{
	const int listener = front_listen(o->path);
	int fd = be_served(listener);
	uint64_t start;

	(void)state;
	owner_wait(o, &o->connected, 1);
	start = now_ms();
	close(fd);
	fd = front_accept(listener, DEADLINE_MS);
	assert_true(now_ms() - start < 50);
	owner_wait(o, &o->connected, 2);
	assert_int_equal(owner_get(o, &o->disconnected), 1);
	close(fd);
	close(listener);
}

static void
test_sock_client_long_connection_ends_back_off(void **state)
{
	const int listener = front_listen(o->path);
	int fd = be_served(listener);
	unsigned int i;
	uint64_t start;

	(void)state;
	/* Lost at once, until the wait is at its longest. */
	for (i = 0; i < 12; i++) {
		close(fd);
		fd = front_accept(listener, DEADLINE_MS);
	}
	owner_wait(o, &o->connected, 13);
	poll(NULL, 0, 150);
	start = now_ms();
	close(fd);
	fd = front_accept(listener, DEADLINE_MS);
	assert_true(now_ms() - start < 60);
	close(fd);
	close(listener);
}

static void
test_sock_client_lost_at_once_does_not_spin(void **state)
{
	const int listener = front_listen(o->path);
	const uint64_t start = now_ms();
	unsigned int nr = 0;
	int fd = be_served(listener);

	(void)state;
	/* At 0, 0, 1, 3, 7, 15, 31, 51, 71 ms and so on, every 20 ms. */
	while (now_ms() - start < 500) {
		if (fd >= 0)
			close(fd);
		nr += fd >= 0;
		fd = front_accept(listener, 100);
	}
	if (fd >= 0)
		close(fd);
	assert_in_range(nr, 14, 31);
	close(listener);
}

static void
test_sock_client_refusing_owner_does_not_spin(void **state)
{
	const int listener = front_listen(o->path);
	const uint64_t start = now_ms();
	unsigned int nr = 0;
	int fd;

	(void)state;
	OWNER_SET(o, verdict, -1);
	fd = be_served(listener);
	while (now_ms() - start < 500) {
		if (fd >= 0) {
			front_message(fd, VHOSTX_GET_FEATURES, 0, 1);
			assert_true(front_is_closed(fd));
			close(fd);
			nr++;
		}
		fd = front_accept(listener, 100);
	}
	if (fd >= 0)
		close(fd);
	assert_in_range(nr, 14, 31);
	close(listener);
}

static void
test_sock_client_leaves_the_file(void **state)
{
	const int listener = front_listen(o->path), fd = be_served(listener);
	struct stat st;

	(void)state;
	owner_wait(o, &o->connected, 1);
	owner_close(o);
	assert_true(front_is_closed(fd));
	assert_int_equal(lstat(o->path, &st), 0);
	assert_int_equal(owner_get(o, &o->disconnected), 0);
	close(fd);
	close(listener);
}

static void
test_sock_client_close_while_retrying(void **state)
{
	int listener;

	(void)state;
	assert_int_equal(owner_open(o, true), 0);
	owner_close(o);
	/* Nobody tries any more. */
	listener = front_listen(o->path);
	assert_int_equal(front_accept(listener, 150), -1);
	assert_int_equal(owner_get(o, &o->connected), 0);
	assert_int_equal(owner_get(o, &o->released), 1);
	close(listener);
}

static void
test_sock_client_close_before_first_attempt(void **state)
{
	const int listener = front_listen(o->path);
	const struct vhostx_sock_conf conf = {
		.name = o->name, .path = o->path, .client = true,
		.lock = &o->lock, .ops = &owner_ops, .ctx = o,
	};

	(void)state;
	pthread_mutex_lock(&o->lock);
	assert_int_equal(vhostx_sock_open(&conf, &o->sock), 0);
	/* Time for the control thread to come as far as the lock. */
	poll(NULL, 0, 20);
	owner_close_locked(o);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->released, 1);
	assert_int_equal(front_accept(listener, 50), -1);
	assert_int_equal(owner_get(o, &o->connected), 0);
	close(listener);
}

static void
test_sock_client_closed_on_message(void **state)
{
	const int listener = front_listen(o->path), fd = be_served(listener);

	(void)state;
	OWNER_SET(o, close, true);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 0);
	owner_wait(o, &o->released, 1);
	assert_int_equal(front_accept(listener, 150), -1);
	close(fd);
	close(listener);
}

static void
test_sock_client_does_not_delay_others(void **state)
{
	const struct sockaddr_un addr = address(o->path);
	const int full = front_bind(o->path, SOCK_STREAM);
	const int blocker = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct owner *other = &owners[1];
	int fd;

	(void)state;
	/* A connect() that waits for room in the queue would wait for ever. */
	listen(full, 0);
	assert_int_equal(connect(blocker, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(owner_open(o, true), 0);
	assert_int_equal(owner_open(other, false), 0);
	fd = front_connect(other->path);
	owner_wait(other, &other->connected, 1);
	assert_int_equal(owner_get(o, &o->connected), 0);
	close(fd);
	close(blocker);
	close(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SOCK_TEST(test_sock_client_connects),
		SOCK_TEST(test_sock_client_waits_for_listener),
		SOCK_TEST(test_sock_client_reconnects_at_once),
		SOCK_TEST(test_sock_client_long_connection_ends_back_off),
		SOCK_TEST(test_sock_client_lost_at_once_does_not_spin),
		SOCK_TEST(test_sock_client_refusing_owner_does_not_spin),
		SOCK_TEST(test_sock_client_leaves_the_file),
		SOCK_TEST(test_sock_client_close_while_retrying),
		SOCK_TEST(test_sock_client_close_before_first_attempt),
		SOCK_TEST(test_sock_client_closed_on_message),
		SOCK_TEST(test_sock_client_does_not_delay_others),
	};

	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
