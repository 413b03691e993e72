/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The state file: whose it is, what it keeps, when it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <dirent.h>
#include <unistd.h>

#include <cmocka.h>

#include "crash_step.h"
#include "mem/state.h"

#define STATE_SOCKET "/run/test-state.sock"

static const struct vhostx_state_ident state_ident = {
	.desc = { .dev = 1, .ino = 2, .offset = 4096 },
	.driver = { .dev = 1, .ino = 2, .offset = 8192 },
	.device = { .dev = 1, .ino = 2, .offset = 12288 },
	.size = 256,
	.base = 0x80008000,
	.kind = VHOSTX_STATE_JOURNAL,
};

/* *state: a folder in memory, empty. */
static int
state_setup(void **state)
{
	char *dir = strdup("/dev/shm/test-state-XXXXXX");

	*state = dir;
	return dir == NULL || mkdtemp(dir) == NULL ? -1 : 0;
}

/* The name of the one file in the folder, or "". */
static const char *
state_file(const char *dir)
{
	static char name[512];
	struct dirent *entry;
	DIR *d = opendir(dir);

	name[0] = '\0';
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] != '.')
			snprintf(name, sizeof(name), "%s/%s", dir, entry->d_name);
	}
	closedir(d);
	return name;
}

static int
state_teardown(void **state)
{
	if (state_file(*state)[0] != '\0')
		unlink(state_file(*state));
	rmdir(*state);
	free(*state);
	return 0;
}

static struct vhostx_state *
state_open(const char *dir, const char *path)
{
	struct vhostx_state *state = NULL;
	const char *why = "";

	assert_int_equal(vhostx_state_open(dir, path, true, &state, &why), 0);
	return state;
}

static struct vhostx_journal *
state_journal(struct vhostx_state *state, uint16_t idx)
{
	return vhostx_state_room(state, idx, VHOSTX_STATE_JOURNAL, 256);
}

/* Leave the file as a killed process does: what the kernel closes is closed, nothing more. */
static void
state_die(struct vhostx_state *state, const char *dir)
{
	char keep[600];

	snprintf(keep, sizeof(keep), "%s.keep", state_file(dir));
	assert_int_equal(rename(state_file(dir), keep), 0);
	vhostx_state_close(state);
	keep[strlen(keep) - strlen(".keep")] = '\0';
	assert_int_equal(rename(state_file(dir), keep), 0);
}

static void
test_state_goes_with_the_last_ring(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);

	assert_string_not_equal(state_file(*state), "");
	vhostx_state_bind(st, 3, &state_ident);
	vhostx_state_unbind(st, 3);
	vhostx_state_close(st);
	assert_string_equal(state_file(*state), "");
}

/* Somebody has tidied up, and another process has made the file anew: that one is not ours to remove. */
static void
test_state_regress_another_file_of_the_name(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET), *other;

	assert_int_equal(unlink(state_file(*state)), 0);
	other = state_open(*state, STATE_SOCKET);
	vhostx_state_close(st);
	assert_string_not_equal(state_file(*state), "");
	vhostx_state_close(other);
	assert_string_equal(state_file(*state), "");
}

static void
test_state_stays_with_a_bound_ring(void **state)
{
	struct vhostx_state_ident other = state_ident;
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);

	assert_false(vhostx_state_is_bound(st, 255, &state_ident));
	state_journal(st, 255)->batch = 42;
	vhostx_state_bind(st, 255, &state_ident);
	vhostx_state_close(st);
	st = state_open(*state, STATE_SOCKET);
	assert_true(vhostx_state_is_bound(st, 255, &state_ident));
	assert_int_equal(state_journal(st, 255)->batch, 42);
	assert_false(vhostx_state_is_bound(st, 254, &state_ident));
	other.base++;
	assert_false(vhostx_state_is_bound(st, 255, &other));
	other = state_ident;
	other.desc.ino++;
	assert_false(vhostx_state_is_bound(st, 255, &other));
	other = state_ident;
	other.device.offset++;
	assert_false(vhostx_state_is_bound(st, 255, &other));
	other = state_ident;
	other.size = 128;
	assert_false(vhostx_state_is_bound(st, 255, &other));
	other = state_ident;
	other.kind = VHOSTX_STATE_RECORD_PACKED;
	assert_false(vhostx_state_is_bound(st, 255, &other));
	vhostx_state_unbind(st, 255);
	vhostx_state_close(st);
}

/* The guest keeps the file, and goes with it. */
static void
test_state_keeps_a_guest(void **state)
{
	const struct vhostx_state_guest guest = { .features = 1ull << 35, .pid = 4711, .since = 12345 };
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);
	struct vhostx_state_guest kept = vhostx_state_guest(st);

	assert_int_equal(kept.features, 0);
	vhostx_state_set_guest(st, &guest);
	vhostx_state_close(st);
	assert_string_not_equal(state_file(*state), "");
	st = state_open(*state, STATE_SOCKET);
	kept = vhostx_state_guest(st);
	assert_memory_equal(&kept, &guest, sizeof(guest));
	vhostx_state_set_guest(st, &(struct vhostx_state_guest){ 0 });
	vhostx_state_close(st);
	assert_string_equal(state_file(*state), "");
}

/* What is kept of neighbours, and of one ring in other ways, lies in other bytes; the longest rings have room. */
static void
test_state_rooms_are_apart(void **state)
{
	static const enum vhostx_state_kind kinds[] = { VHOSTX_STATE_JOURNAL, VHOSTX_STATE_RECORD_SPLIT };
	static const size_t bytes[] = { 8 + 32768 * 8, 32 + 32768 * (32 + 8) };
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);
	uint8_t *room[2][2];

	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			room[i][k] = vhostx_state_room(st, 254 + i, kinds[k], 32768);
			assert_non_null(room[i][k]);
			memset(room[i][k], 1 + 2 * i + k, k == 0 ? bytes[0] : 16 + 32768 * 16);
		}
	}
	assert_ptr_equal(vhostx_state_room(st, 255, VHOSTX_STATE_RECORD_PACKED, 32768), room[1][1]);
	memset(room[1][1], 4, bytes[1]);
	for (unsigned int i = 0; i < 2; i++) {
		for (unsigned int k = 0; k < 2; k++) {
			assert_int_equal(room[i][k][0], 1 + 2 * i + k);
			assert_int_equal(room[i][k][16 + 32768 * (k == 0 ? 7 : 16) - 1], 1 + 2 * i + k);
		}
	}
	vhostx_state_close(st);
}

/* A page that is not there when a burst writes it would end the process, if the file system is full by then. */
static void
test_state_rooms_are_reserved(void **state)
{
	static const size_t bytes[] = {
		[VHOSTX_STATE_JOURNAL] = 8 + 2048 * 8, [VHOSTX_STATE_RECORD_SPLIT] = 16 + 2048 * 16,
		[VHOSTX_STATE_RECORD_PACKED] = 32 + 2048 * (32 + 8),
	};
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);

	for (unsigned int kind = VHOSTX_STATE_JOURNAL; kind <= VHOSTX_STATE_RECORD_PACKED; kind++) {
		struct stat before, after;

		assert_int_equal(stat(state_file(*state), &before), 0);
		assert_non_null(vhostx_state_room(st, kind, kind, 2048));
		assert_int_equal(stat(state_file(*state), &after), 0);
		assert_true((size_t)(after.st_blocks - before.st_blocks) * 512 >= bytes[kind]);
	}
	vhostx_state_close(st);
}

static void
test_state_can_be_looked_for(void **state)
{
	struct vhostx_state *st = NULL;
	const char *why;

	assert_int_equal(vhostx_state_open(*state, STATE_SOCKET, false, &st, &why), -ENOENT);
	assert_string_equal(state_file(*state), "");
	st = state_open(*state, STATE_SOCKET);
	vhostx_state_bind(st, 0, &state_ident);
	vhostx_state_close(st);
	assert_int_equal(vhostx_state_open(*state, STATE_SOCKET, false, &st, &why), 0);
	vhostx_state_unbind(st, 0);
	vhostx_state_close(st);
}

static void
test_state_is_bound_to_the_last_identity(void **state)
{
	struct vhostx_state_ident ident = state_ident;
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);

	for (uint32_t i = 0; i < 5; i++) {
		ident.desc.offset = i * 4096;
		vhostx_state_bind(st, 0, &ident);
		state_die(st, *state);
		st = state_open(*state, STATE_SOCKET);
		assert_true(vhostx_state_is_bound(st, 0, &ident));
	}
	vhostx_state_unbind(st, 0);
	vhostx_state_close(st);
}

static void
test_state_of_another_socket_is_empty(void **state)
{
	struct vhostx_state *a = state_open(*state, STATE_SOCKET);
	struct vhostx_state *b = state_open(*state, "/run/other.sock");

	vhostx_state_bind(a, 0, &state_ident);
	assert_false(vhostx_state_is_bound(b, 0, &state_ident));
	vhostx_state_unbind(a, 0);
	vhostx_state_close(a);
	vhostx_state_close(b);
}

static void
test_state_has_one_process(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET), *again = NULL;
	const char *why = NULL;

	assert_int_equal(vhostx_state_open(*state, STATE_SOCKET, true, &again, &why), -EBUSY);
	assert_non_null(strstr(why, "another process"));
	vhostx_state_close(st);
}

static void
test_state_must_be_this_users_alone(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);
	const char *why = NULL;

	vhostx_state_bind(st, 0, &state_ident);
	vhostx_state_close(st);
	assert_int_equal(chmod(state_file(*state), 0666), 0);
	assert_int_equal(vhostx_state_open(*state, STATE_SOCKET, true, &st, &why), -EPERM);
	assert_non_null(strstr(why, "not this user's alone"));
}

/* Whoever may write to the folder may link another file of ours under this name, and have us lay it out anew. */
static void
test_state_regress_link_to_another_file(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);
	char other[600], name[512];
	const char *why = NULL;

	snprintf(name, sizeof(name), "%s", state_file(*state));
	snprintf(other, sizeof(other), "%s.other", name);
	vhostx_state_bind(st, 3, &state_ident);
	vhostx_state_close(st);
	assert_int_equal(rename(name, other), 0);
	assert_int_equal(link(other, name), 0);
	assert_int_equal(vhostx_state_open(*state, STATE_SOCKET, true, &st, &why), -EPERM);
	assert_non_null(why);
	assert_int_equal(unlink(other), 0);
}

static void
test_state_must_be_in_memory(void **state)
{
	struct vhostx_state *st = NULL;
	const char *why = NULL;

	(void)state;
	assert_int_equal(vhostx_state_open("/proc", STATE_SOCKET, true, &st, &why), -ENOTSUP);
	assert_non_null(strstr(why, "memory file system"));
	assert_int_equal(vhostx_state_open("/nonexistent", STATE_SOCKET, true, &st, &why), -ENOTSUP);
	assert_false(vhostx_state_is_memory("/proc"));
	assert_true(vhostx_state_is_memory("/dev/shm"));
}

/* Cut off, or full of something else: it is laid out anew, and binds nothing. */
static void
test_state_that_is_broken_is_empty(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);
	char name[512];
	FILE *f;

	vhostx_state_bind(st, 0, &state_ident);
	vhostx_state_close(st);
	snprintf(name, sizeof(name), "%s", state_file(*state));
	assert_int_equal(truncate(name, 100), 0);
	st = state_open(*state, STATE_SOCKET);
	assert_false(vhostx_state_is_bound(st, 0, &state_ident));
	vhostx_state_bind(st, 0, &state_ident);
	vhostx_state_set_guest(st, &(struct vhostx_state_guest){ .features = 1 });
	vhostx_state_close(st);
	f = fopen(name, "r+");
	assert_non_null(f);
	assert_int_equal(fwrite("????????", 1, 8, f), 8);
	fclose(f);
	st = state_open(*state, STATE_SOCKET);
	assert_false(vhostx_state_is_bound(st, 0, &state_ident));
	assert_int_equal(vhostx_state_guest(st).features, 0);
	vhostx_state_close(st);
}

/* --- a kill at every store ------------------------------------------------------------------------- */

/* Watch what the file begins with, up to the room of the first ring. */
static void
state_watch(struct vhostx_state *state, const char *dir)
{
	uint8_t *const end = (uint8_t *)state_journal(state, 0);
	FILE *maps = fopen("/proc/self/maps", "re");
	uintptr_t begin = 0;
	char line[1024];

	assert_non_null(maps);
	while (begin == 0 && fgets(line, sizeof(line), maps) != NULL) {
		if (strstr(line, state_file(dir)) != NULL)
			begin = strtoull(line, NULL, 16);
	}
	fclose(maps);
	assert_true(begin != 0 && begin < (uintptr_t)end);
	crash_watch((void *)begin, (uintptr_t)end - begin);
}

/* The guest of before, the new one, or none: never one's features with another's process. */
static void
test_state_crash_keeps_no_mixture_of_guests(void **state)
{
	static const struct vhostx_state_guest guest[2] = {
		{ .features = 1ull << 35, .pid = 4711, .since = 12345 },
		{ .features = 1ull << 36, .pid = 815, .since = 54321 },
	};
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);

	vhostx_state_set_guest(st, &guest[0]);
	state_watch(st, *state);
	crash_begin();
	vhostx_state_set_guest(st, &guest[1]);
	crash_end();
	assert_true(crash.nr > 2 || !CRASH_CAN_STEP);
	for (size_t i = 0; i < crash.nr; i++) {
		struct vhostx_state_guest kept;

		crash_restore(i);
		kept = vhostx_state_guest(st);
		if (kept.features != 0)
			assert_memory_equal(&kept, &guest[kept.features == guest[1].features], sizeof(kept));
	}
	crash_forget();
	vhostx_state_set_guest(st, &(struct vhostx_state_guest){ 0 });
	vhostx_state_close(st);
}

/* The ring is one or the other in all its parts, and always one of them. */
static void
test_state_crash_binds_to_one_identity(void **state)
{
	struct vhostx_state *st = state_open(*state, STATE_SOCKET);
	struct vhostx_state_ident next = state_ident;

	next.desc.offset += 4096;
	next.driver.ino++;
	next.device.dev++;
	next.base = 0x00010001;
	/* From either half of the entry to the other, and with other bytes each time: a store of the same is none. */
	for (unsigned int lap = 0; lap < 3; lap++) {
		next.size = 100 + lap;
		vhostx_state_bind(st, 0, &state_ident);
		state_watch(st, *state);
		crash_begin();
		vhostx_state_bind(st, 0, &next);
		crash_end();
		assert_true(crash.nr > 2 || !CRASH_CAN_STEP);
		for (size_t i = 0; i < crash.nr; i++) {
			crash_restore(i);
			assert_true(vhostx_state_is_bound(st, 0, &state_ident) != vhostx_state_is_bound(st, 0, &next));
		}
		crash_forget();
	}
	vhostx_state_unbind(st, 0);
	vhostx_state_close(st);
}

#define STATE_TEST(f) cmocka_unit_test_setup_teardown(f, state_setup, state_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_state_goes_with_the_last_ring),
		STATE_TEST(test_state_regress_another_file_of_the_name),
		STATE_TEST(test_state_stays_with_a_bound_ring),
		STATE_TEST(test_state_keeps_a_guest),
		STATE_TEST(test_state_rooms_are_apart),
		STATE_TEST(test_state_rooms_are_reserved),
		STATE_TEST(test_state_can_be_looked_for),
		STATE_TEST(test_state_is_bound_to_the_last_identity),
		STATE_TEST(test_state_of_another_socket_is_empty),
		STATE_TEST(test_state_has_one_process),
		STATE_TEST(test_state_must_be_this_users_alone),
		STATE_TEST(test_state_regress_link_to_another_file),
		STATE_TEST(test_state_must_be_in_memory),
		STATE_TEST(test_state_that_is_broken_is_empty),
		STATE_TEST(test_state_crash_keeps_no_mixture_of_guests),
		STATE_TEST(test_state_crash_binds_to_one_identity),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
