/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The protocol's state machine: messages about post-copy, in the order and with the payloads of QEMU.
 */
#include "backend_rig.h"

/* A file whose pages are here already: those that look at memory when a ring runs are not kept waiting. */
static int
present_file(void)
{
	const int fd = memory_file(PAGE);

	assert_int_equal(pwrite(fd, "\x5a", 1, 0), 1);
	return fd;
}

/* A front-end that has agreed on PAGEFAULT; the case is skipped where userfaultfd is forbidden. */
static void
begin(void)
{
	const uint64_t protocol = VHOSTX_PROTOCOL_FEATURES | RTE_BIT64(VHOSTX_PROTOCOL_F_PAGEFAULT);
	struct vhostx_uffd *uffd;
	const char *why;

	if (vhostx_uffd_open(&uffd, &why) != 0)
		skip();
	vhostx_uffd_close(uffd);
	be.protocol_offered = protocol;
	assert_int_equal(say_u64(VHOSTX_SET_PROTOCOL_FEATURES, protocol), VHOSTX_SILENT);
	assert_int_equal(say_u64(VHOSTX_SET_FEATURES, PROTOCOL), VHOSTX_SILENT);
	trace[0] = '\0';
}

/* POSTCOPY_ADVISE; the front-end's copy of the file. */
static int
advise(void)
{
	struct vhostx_msg msg = {
		.header = { .request = VHOSTX_POSTCOPY_ADVISE, .flags = VHOSTX_MSG_VERSION },
	};

	assert_int_equal(vhostx_backend_handle(&be, &msg, &reply), VHOSTX_REPLY);
	assert_int_equal(reply.header.request, VHOSTX_POSTCOPY_ADVISE);
	assert_int_equal(reply.header.size, 0);
	assert_int_equal(reply.nr_fds, 1);
	return reply.fds[0];
}

static void
listen_now(void)
{
	assert_acked(say(VHOSTX_POSTCOPY_LISTEN, VHOSTX_MSG_NEED_REPLY, NULL, 0, -1), 0);
}

static enum vhostx_verdict
say_table(uint64_t gpa, int fd)
{
	const struct vhostx_msg_memory memory = { .nr = 1, .region[0] = region_at(gpa) };

	return say(VHOSTX_SET_MEM_TABLE, 0, &memory, 8 + 32, fd);
}

/* Does the kernel report faults in the mapping that begins at @a va: flag "um" in smaps? */
static bool
is_watched(uint64_t va)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	bool inside = false, found = false;
	char line[512], want[32];

	assert_non_null(smaps);
	snprintf(want, sizeof(want), "%jx-", (uintmax_t)va);
	while (fgets(line, sizeof(line), smaps) != NULL) {
		if (strncmp(line, want, strlen(want)) == 0)
			inside = true;
		if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			found = strstr(line, " um") != NULL;
			break;
		}
	}
	fclose(smaps);
	assert_true(inside);
	return found;
}

static void
test_backend_postcopy_has_its_order(void **state)
{
	int fd;

	(void)state;
	begin();
	assert_closed(say(VHOSTX_POSTCOPY_LISTEN, 0, NULL, 0, -1), "POSTCOPY_ADVISE did not come");
	fd = advise();
	listen_now();
	/* Once for each queue pair: it is one file. */
	close(fd);
	fd = advise();
	listen_now();
	assert_int_equal(ask(VHOSTX_POSTCOPY_END), 0);
	assert_int_equal(ask(VHOSTX_POSTCOPY_END), 0);
	assert_null(be.uffd);
	close(fd);
}

/* Migrated, but never switched over. */
static void
test_backend_postcopy_without_listen_changes_nothing(void **state)
{
	(void)state;
	begin();
	close(advise());
	start_ring(1);
	assert_int_equal(say_table(0, memory_file(PAGE)), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R1 ");
	assert_int_equal(ask(VHOSTX_POSTCOPY_END), 0);
	assert_trace("");
}

static void
test_backend_postcopy_wants_its_protocol_feature(void **state)
{
	(void)state;
	negotiate(PROTOCOL);
	assert_closed(say(VHOSTX_POSTCOPY_ADVISE, 0, NULL, 0, -1), "protocol feature 8 was not agreed");
	assert_closed(say(VHOSTX_POSTCOPY_LISTEN, 0, NULL, 0, -1), "protocol feature 8 was not agreed");
	assert_closed(say(VHOSTX_POSTCOPY_END, 0, NULL, 0, -1), "protocol feature 8 was not agreed");
}

static void
test_backend_postcopy_refuses_memory_from_before(void **state)
{
	(void)state;
	begin();
	close(advise());
	assert_int_equal(say_table(0, memory_file(PAGE)), VHOSTX_SILENT);
	trace[0] = '\0';
	assert_acked(say(VHOSTX_POSTCOPY_LISTEN, VHOSTX_MSG_NEED_REPLY, NULL, 0, -1), 1);
	assert_false(be.listening);
}

/* "Only upon reception of this message may the guest start accessing the memory and generating faults." */
static void
test_backend_postcopy_table_is_answered_and_acknowledged(void **state)
{
	(void)state;
	begin();
	close(advise());
	listen_now();
	start_ring(1);
	assert_int_equal(say_table(3 * PAGE, present_file()), VHOSTX_REPLY);
	assert_trace("P0 P1 P2 P3 ");
	assert_int_equal(reply.header.size, 8 + 32);
	assert_int_equal(reply.payload.memory.nr, 1);
	assert_true(reply.payload.memory.region[0].gpa == 3 * PAGE);
	assert_true(reply.payload.memory.region[0].uva == (uintptr_t)be.mem->range[0].va);
	/* Whatever is said of a ring meanwhile does not start it. */
	assert_int_equal(say_state(VHOSTX_SET_VRING_ENABLE, 1, 1), VHOSTX_SILENT);
	assert_trace("P1 ");
	assert_int_equal(say_u64(VHOSTX_SET_MEM_TABLE, 0), VHOSTX_SILENT);
	assert_trace("R1 ");
	assert_int_equal(ask(VHOSTX_POSTCOPY_END), 0);
	assert_trace("");
	assert_int_equal(say_table(3 * PAGE, present_file()), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R1 ");
}

/* QEMU's acknowledgement is named after its last message; it is none before LISTEN. */
static void
test_backend_postcopy_acknowledgements(void **state)
{
	static const uint32_t names[] = { 0, VHOSTX_SET_MEM_TABLE, VHOSTX_ADD_MEM_REG, VHOSTX_REM_MEM_REG };

	(void)state;
	begin();
	for (unsigned int i = 0; i < RTE_DIM(names); i++)
		assert_int_equal(say_u64(names[i], 0), VHOSTX_CLOSE);
	close(advise());
	listen_now();
	for (unsigned int i = 0; i < RTE_DIM(names); i++) {
		assert_int_equal(say_table(0, present_file()), VHOSTX_REPLY);
		assert_true(be.unacked);
		assert_int_equal(say_u64(names[i], 0), VHOSTX_SILENT);
		assert_false(be.unacked);
	}
	assert_int_equal(say_table(0, present_file()), VHOSTX_REPLY);
	assert_int_equal(say(VHOSTX_SET_MEM_TABLE, 0, NULL, 0, -1), VHOSTX_SILENT);
	logcap_clear(NULL);
	trace[0] = '\0';
	assert_closed(say_u64(VHOSTX_SET_MEM_TABLE, 1), "cannot bring the guest's pages");
}

/* What comes with a file is no acknowledgement, however short it is. */
static void
test_backend_postcopy_acknowledgement_has_no_file(void **state)
{
	(void)state;
	begin();
	close(advise());
	listen_now();
	assert_int_equal(say_table(0, present_file()), VHOSTX_REPLY);
	trace[0] = '\0';
	assert_closed(say(VHOSTX_SET_MEM_TABLE, 0, NULL, 0, present_file()), "the payload does not have the size");
	assert_true(be.unacked);
}

/* Nobody acknowledges any more: rings that wait for that go on. */
static void
test_backend_postcopy_end_stands_for_the_acknowledgement(void **state)
{
	(void)state;
	begin();
	close(advise());
	listen_now();
	start_ring(1);
	assert_int_equal(say_table(0, present_file()), VHOSTX_REPLY);
	assert_trace("P0 P1 P2 P3 ");
	assert_int_equal(ask(VHOSTX_POSTCOPY_END), 0);
	assert_trace("R1 ");
}

static void
test_backend_postcopy_single_regions(void **state)
{
	(void)state;
	begin();
	close(advise());
	listen_now();
	start_ring(0);
	for (uint64_t gpa = 0; gpa < 3 * PAGE; gpa += PAGE) {
		assert_int_equal(say_mem_reg(VHOSTX_ADD_MEM_REG, gpa, present_file()), VHOSTX_REPLY);
		assert_int_equal(reply.header.size, 40);
		assert_true(reply.payload.mem_reg.region.gpa == gpa);
		assert_true(reply.payload.mem_reg.region.uva == (uintptr_t)be.mem->range[gpa / PAGE].va);
		assert_trace("P0 P1 P2 P3 ");
	}
	/* Known already: QEMU up to 8.0 adds each once a queue pair. */
	assert_int_equal(say_u64(VHOSTX_ADD_MEM_REG, 0), VHOSTX_SILENT);
	assert_trace("R0 ");
	assert_int_equal(say_mem_reg(VHOSTX_REM_MEM_REG, PAGE, -1), VHOSTX_SILENT);
	assert_trace("P0 P1 P2 P3 R0 ");
}

/* A mapping that is taken over answers faults like a new one. */
static void
test_backend_postcopy_watches_all_of_a_new_table(void **state)
{
	struct vhostx_msg_memory memory = { .nr = 2, .region = { region_at(0), region_at(PAGE) } };
	struct vhostx_msg msg = {
		.header = { .request = VHOSTX_SET_MEM_TABLE, .flags = VHOSTX_MSG_VERSION, .size = 8 + 64 },
		.nr_fds = 2,
	};
	int fd;

	(void)state;
	begin();
	close(advise());
	listen_now();
	fd = memory_file(PAGE);
	assert_int_equal(say_table(0, fcntl(fd, F_DUPFD_CLOEXEC, 0)), VHOSTX_REPLY);
	assert_true(is_watched(reply.payload.memory.region[0].uva));
	msg.payload.memory = memory;
	msg.fds[0] = fd;
	msg.fds[1] = memory_file(PAGE);
	assert_int_equal(deliver(&msg), VHOSTX_REPLY);
	assert_int_equal(vhostx_map_count(), 2);
	assert_true(is_watched(reply.payload.memory.region[0].uva));
	assert_true(is_watched(reply.payload.memory.region[1].uva));
	vhostx_uffd_release(be.uffd);
	assert_false(is_watched(reply.payload.memory.region[0].uva));
	assert_false(is_watched(reply.payload.memory.region[1].uva));
}

/* A region that cannot be had ends the connection: an answer has no room for an error. */
static void
test_backend_postcopy_bad_table_closes(void **state)
{
	(void)state;
	begin();
	close(advise());
	listen_now();
	logcap_clear(NULL);
	trace[0] = '\0';
	assert_closed(say_memory(0, PAGE - 1), "guest memory is smaller");
	assert_closed(say_mem_reg(VHOSTX_ADD_MEM_REG, 0, event_file()), "not in a file that can be mapped");
	vhostx_backend_reset(&be);
	assert_false(be.unacked);
	assert_false(be.listening);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BACKEND_CASE(postcopy_has_its_order),
		BACKEND_CASE(postcopy_without_listen_changes_nothing),
		BACKEND_CASE(postcopy_wants_its_protocol_feature),
		BACKEND_CASE(postcopy_refuses_memory_from_before),
		BACKEND_CASE(postcopy_table_is_answered_and_acknowledged),
		BACKEND_CASE(postcopy_acknowledgements),
		BACKEND_CASE(postcopy_acknowledgement_has_no_file),
		BACKEND_CASE(postcopy_end_stands_for_the_acknowledgement),
		BACKEND_CASE(postcopy_single_regions),
		BACKEND_CASE(postcopy_watches_all_of_a_new_table),
		BACKEND_CASE(postcopy_bad_table_closes),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
