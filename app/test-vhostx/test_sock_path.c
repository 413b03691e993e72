/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port's socket as a server: what stands in its place, and what it leaves behind.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "sock_rig.h"

static struct owner * const o = &owners[0];

/** Opening is refused with @a err and one line that has @a text. */
static void
assert_refused(int err, const char *text)
{
	assert_int_equal(owner_open(o, false), err);
	assert_null(o->sock);
	assert_int_equal(logcap_count("\n"), 1);
	assert_true(logcap_has("net_vhostx0: "));
	assert_true(logcap_has(o->path));
	if (!logcap_has(text))
		fail_msg("\"%s\" is not in the log", text);
}

static void
test_sock_path_stale_is_replaced(void **state)
{
	int fd;

	(void)state;
	close(front_listen(o->path));
	assert_int_equal(owner_open(o, false), 0);
	fd = front_connect(o->path);
	owner_wait(o, &o->connected, 1);
	close(fd);
}

static void
test_sock_path_live_is_left(void **state)
{
	const int fd = front_listen(o->path);
	int front, probe;

	(void)state;
	assert_refused(-EADDRINUSE, "is in use by another process or port");
	/* Who listens there sees a connection that says nothing, and goes on. */
	probe = front_accept(fd, DEADLINE_MS);
	assert_true(front_is_closed(probe));
	close(probe);
	front = front_connect(o->path);
	close(front);
	close(fd);
}

static void
test_sock_path_live_with_full_queue(void **state)
{
	const struct sockaddr_un addr = address(o->path);
	const int fd = front_bind(o->path, SOCK_STREAM);
	int front[8], ret = 0;
	unsigned int nr = 0;

	(void)state;
	listen(fd, 0);
	while (ret == 0) {
		assert_true(nr < RTE_DIM(front));
		front[nr] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		ret = connect(front[nr++], (const struct sockaddr *)&addr, sizeof(addr));
	}
	assert_int_equal(errno, EAGAIN);
	assert_refused(-EADDRINUSE, "is in use by another process or port");
	while (nr > 0)
		close(front[--nr]);
	close(fd);
}

static void
test_sock_path_live_of_other_type(void **state)
{
	const int fd = front_bind(o->path, SOCK_DGRAM);

	(void)state;
	assert_refused(-EADDRINUSE, "is in use by another process or port");
	close(fd);
}

static void
test_sock_path_of_other_port(void **state)
{
	int fd;

	(void)state;
	snprintf(owners[1].path, sizeof(owners[1].path), "%s", o->path);
	assert_int_equal(owner_open(&owners[1], false), 0);
	assert_int_equal(owner_open(o, false), -EADDRINUSE);
	assert_int_equal(logcap_count("net_vhostx0: "), 1);
	/* The first port has not suffered, though it may have seen a connection come and go. */
	fd = front_connect(o->path);
	front_message(fd, VHOSTX_GET_FEATURES, 0, 0);
	owner_wait(&owners[1], &owners[1].messages, 1);
	close(fd);
}

static void
test_sock_path_regular_file_is_left(void **state)
{
	FILE *file = fopen(o->path, "w");
	struct stat st;

	(void)state;
	fputs("precious", file);
	fclose(file);
	assert_refused(-EEXIST, "is there and is not a socket");
	assert_int_equal(lstat(o->path, &st), 0);
	assert_int_equal(st.st_size, strlen("precious"));
}

static void
test_sock_path_link_is_left(void **state)
{
	struct stat st;

	(void)state;
	/* Even if it leads to a stale socket: whoever made it wants it. */
	close(front_listen(owners[1].path));
	assert_int_equal(symlink(owners[1].path, o->path), 0);
	assert_refused(-EEXIST, "is there and is not a socket");
	assert_int_equal(lstat(owners[1].path, &st), 0);
	assert_int_equal(lstat(o->path, &st), 0);
}

static void
test_sock_path_folder_missing(void **state)
{
	(void)state;
	snprintf(o->path, sizeof(o->path), "%s/none/0.sock", rig_dir);
	assert_refused(-ENOENT, "the folder of ");
}

/* Root may do anything: be somebody else meanwhile, in this thread alone, which the system call is about. */
static void
test_sock_path_no_permission(void **state)
{
	const bool root = geteuid() == 0;
	int ret;

	(void)state;
	assert_int_equal(chmod(rig_dir, 0500), 0);
	if (root)
		assert_int_equal(syscall(SYS_setresuid, -1, 65534, -1), 0);
	ret = owner_open(o, false);
	if (root)
		assert_int_equal(syscall(SYS_setresuid, -1, 0, -1), 0);
	assert_int_equal(chmod(rig_dir, 0700), 0);
	assert_int_equal(ret, -EACCES);
	assert_true(logcap_has("net_vhostx0: no permission for "));
	assert_true(logcap_has("let this user write to the folder, and to a socket that is there"));
}

static void
test_sock_path_other_errors(void **state)
{
	(void)state;
	snprintf(o->path, sizeof(o->path), "/dev/null/0.sock");
	assert_refused(-ENOTDIR, strerror(ENOTDIR));
}

static void
test_sock_path_longest(void **state)
{
	const size_t len = strlen(rig_dir);

	(void)state;
	memset(o->path + len, 'x', sizeof(o->path) - len - 1);
	o->path[len] = '/';
	assert_int_equal(strlen(o->path), 107);
	assert_int_equal(owner_open(o, false), 0);
}

static void
test_sock_path_refusal_calls_nobody(void **state)
{
	(void)state;
	snprintf(o->path, sizeof(o->path), "%s/none/0.sock", rig_dir);
	assert_int_equal(owner_open(o, false), -ENOENT);
	/* A later socket has come and gone: so has what the refused one left. */
	snprintf(o->path, sizeof(o->path), "%s/0.sock", rig_dir);
	assert_int_equal(owner_open(&owners[1], false), 0);
	owner_close(&owners[1]);
	assert_int_equal(owner_get(o, &o->released), 0);
}

static void
test_sock_path_file_of_another_is_left(void **state)
{
	struct stat st;
	int fd;

	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	unlink(o->path);
	fd = front_listen(o->path);
	owner_close(o);
	assert_int_equal(lstat(o->path, &st), 0);
	close(fd);
}

static void
test_sock_path_file_gone(void **state)
{
	(void)state;
	assert_int_equal(owner_open(o, false), 0);
	unlink(o->path);
	owner_close(o);
	assert_int_equal(owner_open(o, false), 0);
}

static void
test_sock_path_permissions(void **state)
{
	struct vhostx_sock_perm perm = { .owner = getuid(), .group = getgid(), .mode = 0602 };
	const struct vhostx_sock_perm same = { .owner = -1, .group = -1, .mode = -1 };
	struct vhostx_sock_path file;
	struct stat before, st;

	(void)state;
	assert_int_equal(vhostx_sock_path_listen(&file, o->path, &same), 0);
	assert_int_equal(lstat(o->path, &before), 0);
	vhostx_sock_path_close(&file);
	assert_int_equal(vhostx_sock_path_listen(&file, o->path, &perm), 0);
	assert_int_equal(lstat(o->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0602);
	assert_int_not_equal(before.st_mode & 0777, 0602);
	assert_int_equal(st.st_uid, before.st_uid);
	vhostx_sock_path_close(&file);
	assert_int_equal(lstat(o->path, &st), -1);
}

/* What somebody does to the path between bind() and what follows it; NULL: nothing. */
static void (*after_bind)(const char *path);

/* Stands in for that of libc in this program. */
int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	const int ret = syscall(SYS_bind, fd, addr, len);

	if (ret == 0 && after_bind != NULL)
		after_bind(((const struct sockaddr_un *)addr)->sun_path);
	return ret;
}

static const char *
victim_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s.victim", o->path);
	return path;
}

/* The victim's file is what the path leads to. */
static void
replace_by_link(const char *path)
{
	unlink(path);
	assert_int_equal(symlink(victim_path(), path), 0);
}

static void
test_sock_path_regress_permissions_through_link(void **state)
{
	const struct vhostx_sock_perm perm = { .owner = getuid(), .group = getgid(), .mode = 0777 };
	struct vhostx_sock_path file;
	struct stat st;

	(void)state;
	close(open(victim_path(), O_CREAT | O_WRONLY, 0600));
	after_bind = replace_by_link;
	assert_int_equal(vhostx_sock_path_listen(&file, o->path, &perm), -EEXIST);
	after_bind = NULL;
	assert_int_equal(file.fd, -1);
	assert_int_equal(stat(victim_path(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Nor is the link removed: it is not ours. */
	assert_int_equal(lstat(o->path, &st), 0);
	unlink(o->path);
	unlink(victim_path());
}

/* Somebody else who wants the path. */
struct rival {
	struct vhostx_sock_path file;
	pthread_t thread;
	int ret;
	bool done; /* atomic */
};

static struct rival rival;

static void *
rival_run(void *arg)
{
	rival.ret = vhostx_sock_path_listen(&rival.file, o->path, NULL);
	__atomic_store_n(&rival.done, true, __ATOMIC_RELEASE);
	return arg;
}

/* He comes when the file is there and nobody listens yet, and has some time for what he must not do. */
static void
meet_rival(const char *path)
{
	const uint64_t end = now_ms() + 50;

	(void)path;
	after_bind = NULL;
	assert_int_equal(pthread_create(&rival.thread, NULL, rival_run, NULL), 0);
	while (!__atomic_load_n(&rival.done, __ATOMIC_ACQUIRE) && now_ms() < end)
		sched_yield();
}

static void
test_sock_path_regress_two_at_one_time(void **state)
{
	struct vhostx_sock_path file;
	struct stat st;

	(void)state;
	close(front_listen(o->path));
	after_bind = meet_rival;
	assert_int_equal(vhostx_sock_path_listen(&file, o->path, NULL), 0);
	pthread_join(rival.thread, NULL);
	assert_int_equal(rival.ret, -EADDRINUSE);
	/* Who was first is the one who is found there. */
	assert_int_equal(lstat(o->path, &st), 0);
	assert_int_equal(st.st_ino, file.ino);
	close(front_connect(o->path));
	vhostx_sock_path_close(&file);
}

/* Whoever may read the folder can lock it for as long as he likes. */
static void
test_sock_path_folder_that_another_keeps(void **state)
{
	struct vhostx_sock_path file;
	const int fd = open(rig_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(vhostx_sock_path_listen(&file, o->path, NULL), 0);
	close(front_connect(o->path));
	vhostx_sock_path_close(&file);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SOCK_TEST(test_sock_path_stale_is_replaced),
		SOCK_TEST(test_sock_path_live_is_left),
		SOCK_TEST(test_sock_path_live_with_full_queue),
		SOCK_TEST(test_sock_path_live_of_other_type),
		SOCK_TEST(test_sock_path_of_other_port),
		SOCK_TEST(test_sock_path_regular_file_is_left),
		SOCK_TEST(test_sock_path_link_is_left),
		SOCK_TEST(test_sock_path_folder_missing),
		SOCK_TEST(test_sock_path_no_permission),
		SOCK_TEST(test_sock_path_other_errors),
		SOCK_TEST(test_sock_path_longest),
		SOCK_TEST(test_sock_path_refusal_calls_nobody),
		SOCK_TEST(test_sock_path_file_of_another_is_left),
		SOCK_TEST(test_sock_path_file_gone),
		SOCK_TEST(test_sock_path_permissions),
		SOCK_TEST(test_sock_path_regress_permissions_through_link),
		SOCK_TEST(test_sock_path_regress_two_at_one_time),
		SOCK_TEST(test_sock_path_folder_that_another_keeps),
	};

	return cmocka_run_group_tests(tests, rig_start, rig_stop);
}
