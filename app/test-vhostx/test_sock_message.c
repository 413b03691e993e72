/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port's socket as a server: messages with files, refusals, replies.
 */
#include <fcntl.h>

#include "test_sock_server.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
