/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port's socket as a server: messages with files, refusals, one front-end at a time. No case may
 * leave a file open: rig_teardown() counts them.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "sock_rig.h"
#include "user/loop.h"

static struct owner * const o = &owners[0];

/** Open the server and connect a front-end. */
static int
serve(void)
{
	int fd;

	assert_int_equal(owner_open(o, false), 0);
	fd = front_connect(o->path);
	owner_wait(o, &o->connected, 1);
	return fd;
}

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
test_sock_message_whole(void **state)
{
	const struct wire w = wire(VHOSTX_GET_FEATURES, 40);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, sizeof(w.header) + 40, 0);
	owner_wait(o, &o->messages, 1);
	assert_memory_equal(&o->last.header, &w.header, sizeof(w.header));
	assert_memory_equal(o->last.payload.bytes, w.payload, 40);
	assert_int_equal(o->last.nr_fds, 0);
	close(fd);
}

static void
test_sock_message_without_payload(void **state)
{
	const int fd = serve();

	(void)state;
	front_message(fd, VHOSTX_SET_OWNER, 0, 0);
	owner_wait(o, &o->messages, 1);
	assert_int_equal(o->last.header.request, VHOSTX_SET_OWNER);
	close(fd);
}

static void
test_sock_message_byte_by_byte(void **state)
{
	const struct wire w = wire(VHOSTX_SET_FEATURES, 8);
	const uint8_t *bytes = (const uint8_t *)&w;
	const int one = 1, fd = serve();
	unsigned int i, round;

	(void)state;
	for (round = 1; round <= 2; round++) {
		for (i = 0; i < sizeof(w.header) + 8; i++) {
			assert_int_equal(owner_get(o, &o->messages), round - 1);
			/* Files may come with any of the bytes. */
			front_send(fd, bytes + i, one, i == 0 || i == 14);
		}
		owner_wait(o, &o->messages, round);
		assert_memory_equal(&o->last.header, &w.header, sizeof(w.header));
		assert_memory_equal(o->last.payload.bytes, w.payload, 8);
		assert_int_equal(o->last.nr_fds, 2);
	}
	close(fd);
}

static void
test_sock_messages_in_one_write(void **state)
{
	struct wire w[3];
	uint8_t bytes[3 * 20];
	const int fd = serve();
	unsigned int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		w[i] = wire(VHOSTX_SET_FEATURES + i, 8);
		memcpy(bytes + 20 * i, &w[i], 20);
	}
	front_send(fd, bytes, sizeof(bytes), 0);
	owner_wait(o, &o->messages, 3);
	assert_int_equal(o->last.header.request, VHOSTX_SET_FEATURES + 2);
	close(fd);
}

static void
test_sock_longest_payload(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 512);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, sizeof(w.header) + 512, 0);
	owner_wait(o, &o->messages, 1);
	assert_memory_equal(o->last.payload.bytes, w.payload, 512);
	close(fd);
}

static void
test_sock_eight_files(void **state)
{
	const int fd = serve();
	eventfd_t value;

	(void)state;
	OWNER_SET(o, keep, true);
	front_message(fd, VHOSTX_SET_MEM_TABLE, 8, 8);
	owner_wait(o, &o->messages, 1);
	assert_int_equal(o->last.nr_fds, 8);
	/* The kept one is open and belongs to this process alone. */
	assert_int_equal(eventfd_write(o->kept, 5), 0);
	assert_int_equal(eventfd_read(o->kept, &value), 0);
	assert_int_equal(fcntl(o->kept, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	/* The others were closed when the owner returned: all but the kept one, the socket's two. */
	owner_wait(o, &o->disconnected, 1);
	assert_int_equal(files_open(), rig_fds + 2);
}

static void
test_sock_files_go_with_their_message(void **state)
{
	const int fd = serve();

	(void)state;
	/* All are queued before the first is read. */
	pthread_mutex_lock(&o->lock);
	front_message(fd, VHOSTX_SET_VRING_KICK, 8, 1);
	front_message(fd, VHOSTX_SET_VRING_CALL, 0, 3);
	front_message(fd, VHOSTX_SET_VRING_ERR, 8, 0);
	front_message(fd, VHOSTX_SET_VRING_ERR, 8, 2);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->messages, 4);
	assert_int_equal(o->seen[0], 1);
	assert_int_equal(o->seen[1], 3);
	assert_int_equal(o->seen[2], 0);
	assert_int_equal(o->seen[3], 2);
	close(fd);
}

/** The connection on @a fd is closed by the driver with @a text in the log. */
static void
assert_closed(int fd, const char *text)
{
	owner_wait(o, &o->disconnected, 1);
	assert_true(front_is_closed(fd));
	assert_int_equal(owner_get(o, &o->messages), 0);
	if (!logcap_has(text))
		fail_msg("\"%s\" is not in the log", text);
	close(fd);
	/* Closed at once, not when the socket is: all that is left is what listens. */
	assert_int_equal(files_open(), rig_fds + 1);
}

static void
test_sock_nine_files(void **state)
{
	const int fd = serve();

	(void)state;
	front_message(fd, VHOSTX_SET_MEM_TABLE, 8, 9);
	assert_closed(fd, "net_vhostx0: message SET_MEM_TABLE (5) refused, "
		"it comes with more than 8 files");
}

static void
test_sock_nine_files_in_parts(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 8);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, sizeof(w.header), 5);
	front_send(fd, w.payload, 4, 4);
	assert_closed(fd, "it comes with more than 8 files");
}

static void
test_sock_many_files(void **state)
{
	const int fd = serve();

	(void)state;
	front_message(fd, VHOSTX_SET_MEM_TABLE, 8, 32);
	assert_closed(fd, "it comes with more than 8 files");
}

static void
test_sock_oversized_payload(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 513);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, sizeof(w.header), 3);
	assert_closed(fd, "net_vhostx0: message SET_MEM_TABLE (5) refused, "
		"its payload is longer than any");
}

static void
test_sock_oversized_to_the_limit(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, UINT32_MAX);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, sizeof(w.header) + 600, 0);
	assert_closed(fd, "its payload is longer than any");
}

static void
test_sock_hang_up_in_header(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 8);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, 7, 2);
	shutdown(fd, SHUT_WR);
	assert_closed(fd, "hung up in the middle");
}

static void
test_sock_hang_up_in_payload(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 8);
	const int fd = serve();

	(void)state;
	front_send(fd, &w, sizeof(w.header) + 3, 8);
	shutdown(fd, SHUT_WR);
	assert_closed(fd, "message SET_MEM_TABLE (5) refused, the front-end hung up in the middle");
}

static void
test_sock_next_connection_starts_afresh(void **state)
{
	const struct wire w = wire(VHOSTX_SET_MEM_TABLE, 8);
	int fd = serve();

	(void)state;
	front_send(fd, &w, 15, 4);
	close(fd);
	owner_wait(o, &o->disconnected, 1);
	fd = front_connect(o->path);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 1);
	owner_wait(o, &o->messages, 1);
	assert_int_equal(o->last.header.request, VHOSTX_GET_FEATURES);
	assert_int_equal(o->last.nr_fds, 1);
	close(fd);
}

static void
test_sock_owner_refuses_message(void **state)
{
	int fd = serve();

	(void)state;
	OWNER_SET(o, verdict, -1);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 2);
	owner_wait(o, &o->disconnected, 1);
	assert_true(front_is_closed(fd));
	close(fd);
	/* It listens on. */
	fd = front_connect(o->path);
	owner_wait(o, &o->connected, 2);
	close(fd);
}

static void
test_sock_messages_before_hang_up_count(void **state)
{
	const int fd = serve();

	(void)state;
	pthread_mutex_lock(&o->lock);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 0);
	front_message(fd, VHOSTX_SET_OWNER, 0, 0);
	close(fd);
	pthread_mutex_unlock(&o->lock);
	owner_wait(o, &o->disconnected, 1);
	assert_int_equal(owner_get(o, &o->messages), 2);
}

static void
test_sock_reply(void **state)
{
	const struct wire w = wire(VHOSTX_GET_FEATURES, 8);
	const int fd = serve();
	struct wire got;

	(void)state;
	OWNER_SET(o, echo, true);
	front_send(fd, &w, sizeof(w.header) + 8, 0);
	assert_int_equal(recv(fd, &got, sizeof(w.header) + 8, MSG_WAITALL),
		sizeof(w.header) + 8);
	assert_memory_equal(&got, &w, sizeof(w.header) + 8);
	close(fd);
}

/* A file goes with the reply, and stays the sender's. */
static void
test_sock_reply_with_file(void **state)
{
	const struct vhostx_msg_header header = { .request = VHOSTX_GET_FEATURES, .size = 8 };
	char control[CMSG_SPACE(2 * sizeof(int))];
	struct wire got;
	struct iovec iov = { &got, sizeof(got) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };
	const int fd = serve(), file = memfd_create("reply", MFD_CLOEXEC);
	int theirs = -1;

	(void)state;
	assert_int_equal(write(file, "reply", 5), 5);
	pthread_mutex_lock(&o->lock);
	assert_int_equal(vhostx_sock_send_fd(o->sock, &header, "12345678", file), 0);
	pthread_mutex_unlock(&o->lock);
	assert_int_equal(recvmsg(fd, &msg, 0), sizeof(header) + 8);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	assert_int_equal(CMSG_FIRSTHDR(&msg)->cmsg_len, CMSG_LEN(sizeof(int)));
	memcpy(&theirs, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(theirs));
	assert_int_equal(lseek(file, 0, SEEK_CUR), 5);
	close(file);
	assert_int_equal(lseek(theirs, 0, SEEK_CUR), 5);
	close(theirs);
	close(fd);
}

static void
test_sock_send_unconnected(void **state)
{
	const struct vhostx_msg_header header = { .size = 0 };

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	assert_int_equal(vhostx_sock_send(o->sock, &header, NULL), -ENOTCONN);
}

static void
test_sock_send_to_deaf(void **state)
{
	const struct wire w = wire(VHOSTX_GET_FEATURES, 512);
	const int fd = serve();
	int ret = 0;

	(void)state;
	pthread_mutex_lock(&o->lock);
	while (ret == 0)
		ret = vhostx_sock_send(o->sock, &w.header, w.payload);
	pthread_mutex_unlock(&o->lock);
	assert_int_equal(ret, -EAGAIN);
	close(fd);
}

static void
test_sock_send_to_gone(void **state)
{
	const struct vhostx_msg_header header = { .size = 0 };
	const int fd = serve();
	int ret;

	(void)state;
	pthread_mutex_lock(&o->lock);
	close(fd);
	ret = vhostx_sock_send(o->sock, &header, NULL); /* raises no SIGPIPE */
	pthread_mutex_unlock(&o->lock);
	assert_int_equal(ret, -EPIPE);
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
		SOCK_TEST(test_sock_message_whole),
		SOCK_TEST(test_sock_message_without_payload),
		SOCK_TEST(test_sock_message_byte_by_byte),
		SOCK_TEST(test_sock_messages_in_one_write),
		SOCK_TEST(test_sock_longest_payload),
		SOCK_TEST(test_sock_eight_files),
		SOCK_TEST(test_sock_files_go_with_their_message),
		SOCK_TEST(test_sock_nine_files),
		SOCK_TEST(test_sock_nine_files_in_parts),
		SOCK_TEST(test_sock_many_files),
		SOCK_TEST(test_sock_oversized_payload),
		SOCK_TEST(test_sock_oversized_to_the_limit),
		SOCK_TEST(test_sock_hang_up_in_header),
		SOCK_TEST(test_sock_hang_up_in_payload),
		SOCK_TEST(test_sock_next_connection_starts_afresh),
		SOCK_TEST(test_sock_owner_refuses_message),
		SOCK_TEST(test_sock_messages_before_hang_up_count),
		SOCK_TEST(test_sock_reply),
		SOCK_TEST(test_sock_reply_with_file),
		SOCK_TEST(test_sock_send_unconnected),
		SOCK_TEST(test_sock_send_to_deaf),
		SOCK_TEST(test_sock_send_to_gone),
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
