/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Device arguments: what is taken, what is refused, and what the log says of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_common.h>

#include "logcap.h"
#include "vhostx_args.h"

#define PORT "net_vhostx7"

static int
parse(struct vhostx_args *args, const char *str)
{
	return vhostx_args_parse(args, PORT, str);
}

/** @a str is refused with @a err and one line that names the port and has @a text. */
static void
assert_refused(const char *str, int err, const char *text)
{
	struct vhostx_args args;

	logcap_clear(NULL);
	assert_int_equal(parse(&args, str), err);
	assert_int_equal(logcap_count("\n"), 1);
	assert_true(logcap_has(PORT ": "));
	if (!logcap_has(text))
		fail_msg("\"%s\" is not in the log for \"%s\"", text, str);
}

static void
test_args_defaults(void **state)
{
	struct vhostx_args args;

	(void)state;
	memset(&args, 0xff, sizeof(args));
	assert_int_equal(parse(&args, "iface=/run/vx0.sock"), 0);
	assert_string_equal(args.iface, "/run/vx0.sock");
	assert_int_equal(args.queues, 1);
	assert_false(args.client);
	assert_false(args.linear_buffer);
	assert_false(args.ext_buffer);
	assert_false(args.tso);
	assert_false(args.legacy_ol_flags);
	assert_int_equal(logcap_count("\n"), 0);
}

static void
test_args_all_keys(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args,
		"iface=s,queues=128,client=1,linear-buffer=1,ext-buffer=1,tso=1,legacy-ol-flags=1"), 0);
	assert_string_equal(args.iface, "s");
	assert_int_equal(args.queues, 128);
	assert_true(args.client);
	assert_true(args.linear_buffer);
	assert_true(args.ext_buffer);
	assert_true(args.tso);
	assert_true(args.legacy_ol_flags);
}

/* What is taken and has no effect is told. */
static void
test_args_tso_needs_room(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=s,linear-buffer=1"), 0);
	assert_int_equal(parse(&args, "iface=s,tso=1,linear-buffer=1,ext-buffer=1"), 0);
	assert_int_equal(logcap_count("\n"), 0);
	assert_int_equal(parse(&args, "iface=s,tso=1,linear-buffer=1"), 0);
	assert_int_equal(logcap_count("\n"), 1);
	assert_true(logcap_has("tso=1") && logcap_has("ext-buffer=1"));
}

static void
test_args_flags_do_not_mix(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=s,client=0,linear-buffer=1,ext-buffer=0"), 0);
	assert_false(args.client);
	assert_true(args.linear_buffer);
	assert_false(args.ext_buffer);
}

static void
test_args_last_of_equal_keys_wins(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=a,queues=2,client=1,iface=bc,queues=3,client=0"), 0);
	assert_string_equal(args.iface, "bc");
	assert_int_equal(args.queues, 3);
	assert_false(args.client);
}

static void
test_args_longer_path_before_shorter(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=/a/longer/path,iface=/b"), 0);
	assert_string_equal(args.iface, "/b");
}

static void
test_args_numbers_as_strtoul(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=s,queues=0x10"), 0);
	assert_int_equal(args.queues, 16);
	assert_int_equal(parse(&args, "iface=s,queues=010"), 0);
	assert_int_equal(args.queues, 8);
}

static void
test_args_wrong_queues(void **state)
{
	static const char * const values[] = {
		"", "0", "129", "65537", "-1", "+1", " 1", "1x", "0x", "x", "1.5",
		"4294967297", "18446744073709551617", "99999999999999999999999",
	};
	char str[64], text[96];
	unsigned int i;

	(void)state;
	for (i = 0; i < RTE_DIM(values); i++) {
		snprintf(str, sizeof(str), "iface=s,queues=%s", values[i]);
		snprintf(text, sizeof(text), "queues=%s is not a number from 1 to 128",
			values[i]);
		assert_refused(str, -EINVAL, text);
	}
	assert_refused("iface=s,queues", -EINVAL, "queues= is not a number from 1 to 128");
}

static void
test_args_wrong_flags(void **state)
{
	static const char * const keys[] = { "client", "linear-buffer", "ext-buffer", "tso",
		"legacy-ol-flags" };
	static const char * const values[] = { "", "2", "-1", "yes", "1 ", "0x2" };
	char str[64], text[96];
	unsigned int i, j;

	(void)state;
	for (i = 0; i < RTE_DIM(keys); i++) {
		for (j = 0; j < RTE_DIM(values); j++) {
			snprintf(str, sizeof(str), "iface=s,%s=%s", keys[i], values[j]);
			snprintf(text, sizeof(text), "%s=%s is neither 0 nor 1",
				keys[i], values[j]);
			assert_refused(str, -EINVAL, text);
		}
	}
}

static void
test_args_port_keys(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=s"), 0);
	assert_false(args.has_mac);
	assert_int_equal(args.mtu, 0);
	assert_int_equal(args.numa, -1);
	assert_int_equal(parse(&args, "iface=s,mac=52:54:00:12:34:56,mtu=9000,numa=1"), 0);
	assert_true(args.has_mac);
	assert_int_equal(args.mac.addr_bytes[5], 0x56);
	assert_int_equal(args.mtu, 9000);
	assert_int_equal(args.numa, 1);
	assert_refused("iface=s,mac=52:54:00:12:34", -EINVAL, "mac=52:54:00:12:34 is not a unicast");
	assert_refused("iface=s,mac=01:00:00:00:00:00", -EINVAL, "is not a unicast");
	assert_refused("iface=s,mac=00:00:00:00:00:00", -EINVAL, "is not a unicast");
	assert_refused("iface=s,mtu=67", -EINVAL, "mtu=67 is not a number of bytes from 68 to 65535");
	assert_refused("iface=s,mtu=65536", -EINVAL, "mtu=65536 is not a number");
	assert_refused("iface=s,numa=-1", -EINVAL, "numa=-1 is not a NUMA node from 0 to");
	assert_refused("iface=s,numa=9999", -EINVAL, "numa=9999 is not");
}

static void
test_args_permissions(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=s"), 0);
	assert_int_equal(args.perm.owner, -1);
	assert_int_equal(args.perm.group, -1);
	assert_int_equal(args.perm.mode, -1);
	assert_int_equal(parse(&args, "iface=s,owner=root,group=root,mode=0660"), 0);
	assert_int_equal(args.perm.owner, 0);
	assert_int_equal(args.perm.group, 0);
	assert_int_equal(args.perm.mode, 0660);
	assert_int_equal(parse(&args, "iface=s,owner=1234,group=5678,mode=777"), 0);
	assert_int_equal(args.perm.owner, 1234);
	assert_int_equal(args.perm.group, 5678);
	assert_int_equal(args.perm.mode, 0777);
	assert_refused("iface=s,owner=no-such-user", -EINVAL, "owner=no-such-user is neither");
	assert_refused("iface=s,group=no-such-group", -EINVAL, "group=no-such-group is neither");
	assert_refused("iface=s,mode=888", -EINVAL, "mode=888 is not an octal number");
	assert_refused("iface=s,mode=1777", -EINVAL, "mode=1777 is not an octal number");
	assert_refused("iface=s,mode=", -EINVAL, "mode= is not an octal number");
	assert_refused("iface=s,client=1,mode=660", -EINVAL, "with client=1 the socket is the front-end's");
	assert_refused("iface=s,client=1,owner=root", -EINVAL, "owner, group and mode are for a port");
}

static void
test_args_state_dir(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(parse(&args, "iface=s"), 0);
	assert_false(args.no_state);
	assert_string_equal(args.state_dir, "");
	assert_int_equal(parse(&args, "iface=s,state-dir=/dev/shm"), 0);
	assert_false(args.no_state);
	assert_string_equal(args.state_dir, "/dev/shm");
	assert_int_equal(parse(&args, "iface=s,state-dir=none"), 0);
	assert_true(args.no_state);
	assert_refused("iface=s,state-dir=", -EINVAL, "state-dir= is neither");
	assert_refused("iface=s,state-dir=dev/shm", -EINVAL, "path that begins with /");
	assert_refused("iface=s,state-dir=/proc", -EINVAL, "not a folder on a memory file system");
	assert_refused("iface=s,state-dir=/nonexistent", -EINVAL, "not a folder on a memory file system");
}

/* Post-copy needs a kernel and a user that may; where not, the reason and the remedy are told. */
static void
test_args_postcopy(void **state)
{
	struct vhostx_args args;
	int ret;

	(void)state;
	assert_int_equal(parse(&args, "iface=s,postcopy-support=0"), 0);
	assert_false(args.postcopy);
	ret = parse(&args, "iface=s,postcopy-support=1");
	if (ret == 0)
		assert_true(args.postcopy);
	else
		assert_refused("iface=s,postcopy-support=1", ret, "postcopy-support=1: ");
	assert_refused("iface=s,postcopy-support=1,dequeue-zero-copy=1", -EINVAL,
		"postcopy-support=1 and dequeue-zero-copy=1 exclude each other");
	assert_refused("iface=s,postcopy-support=2", -EINVAL, "neither 0 nor 1");
}

static void
test_args_iommu(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(vhostx_args_parse(&args, "p", "iface=s"), 0);
	assert_false(args.iommu_support);
	assert_int_equal(vhostx_args_parse(&args, "p", "iface=s,iommu-support=1"), 0);
	assert_true(args.iommu_support);
	assert_refused("iface=s,iommu-support=2", -EINVAL, "iommu-support=2 is neither 0 nor 1");
	assert_refused("iface=s,iommu-support=1,dequeue-zero-copy=1", -EINVAL,
		"iommu-support=1 and dequeue-zero-copy=1 exclude each other");
	assert_int_equal(vhostx_args_parse(&args, "p", "iface=s,iommu-support=1,dequeue-zero-copy=0"), 0);
}

static void
test_args_zero_copy(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_int_equal(vhostx_args_parse(&args, "p", "iface=s"), 0);
	assert_false(args.dequeue_zero_copy);
	assert_int_equal(vhostx_args_parse(&args, "p", "iface=s,dequeue-zero-copy=1"), 0);
	assert_true(args.dequeue_zero_copy);
	assert_int_equal(args.zc_threshold, VHOSTX_ZC_THRESHOLD);
	assert_int_equal(args.zc_inflight, 50);
	assert_int_equal(args.zc_deadline, 50);
	assert_int_equal(vhostx_args_parse(&args, "p",
		"iface=s,zc-threshold=0,zc-inflight=100,zc-deadline=10000,dequeue-zero-copy=1"), 0);
	assert_int_equal(args.zc_threshold, 0);
	assert_int_equal(args.zc_inflight, 100);
	assert_int_equal(args.zc_deadline, 10000);
	assert_refused("iface=s,dequeue-zero-copy=1,zc-inflight=0", -EINVAL,
		"zc-inflight=0 is not a number from 1 to 100");
	assert_refused("iface=s,dequeue-zero-copy=1,zc-threshold=65536", -EINVAL,
		"zc-threshold=65536 is not a number from 0 to 65535");
	assert_refused("iface=s,dequeue-zero-copy=1,zc-deadline=10001", -EINVAL,
		"zc-deadline=10001 is not a number from 0 to 10000");
	assert_refused("iface=s,zc-threshold=1", -EINVAL, "give dequeue-zero-copy=1 too");
}

static void
test_args_unknown_key(void **state)
{
	(void)state;
	assert_refused("iface=s,queue=2", -EINVAL, "unknown argument \"queue\"; "
		"allowed are: iface queues client linear-buffer ext-buffer tso legacy-ol-flags postcopy-support "
		"iommu-support dequeue-zero-copy zc-threshold zc-inflight zc-deadline zc-dma mac mtu numa owner group mode "
		"state-dir\n");
	assert_refused("iface=s,IFACE=t", -EINVAL, "unknown argument \"IFACE\"");
}

static void
test_args_iface_missing(void **state)
{
	(void)state;
	assert_refused("", -EINVAL, "iface is missing");
	assert_refused(NULL, -EINVAL, "iface is missing");
	assert_refused("queues=2", -EINVAL, "iface is missing");
	assert_refused("iface=", -EINVAL, "iface= is empty");
	assert_refused("iface", -EINVAL, "iface= is empty");
}

static void
test_args_iface_length(void **state)
{
	struct vhostx_args args;
	char str[128] = "iface=";
	const size_t key = strlen(str);

	(void)state;
	memset(str + key, 'p', 107);
	assert_int_equal(parse(&args, str), 0);
	assert_int_equal(strlen(args.iface), 107);
	str[key + 107] = 'p';
	assert_refused(str, -ENAMETOOLONG, "has 108 characters; "
		"the path of a UNIX socket has at most 107");
}

static void
test_args_iface_vduse(void **state)
{
	struct vhostx_args args;

	(void)state;
	assert_refused("iface=/dev/vduse/net0", -EINVAL, "is a VDUSE device");
	assert_refused("iface=/dev/vduse", -EINVAL, "is a VDUSE device");
	assert_int_equal(parse(&args, "iface=/dev/vduse0"), 0);
}

static void
test_args_too_many(void **state)
{
	char str[512] = "iface=s";
	unsigned int i;

	(void)state;
	for (i = 0; i < 40; i++)
		strcat(str, ",queues=2");
	assert_refused(str, -EINVAL, "cannot read the arguments");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_args_defaults, logcap_clear),
		cmocka_unit_test(test_args_state_dir),
		cmocka_unit_test(test_args_all_keys),
		cmocka_unit_test_setup(test_args_tso_needs_room, logcap_clear),
		cmocka_unit_test(test_args_flags_do_not_mix),
		cmocka_unit_test(test_args_last_of_equal_keys_wins),
		cmocka_unit_test(test_args_longer_path_before_shorter),
		cmocka_unit_test(test_args_numbers_as_strtoul),
		cmocka_unit_test(test_args_wrong_queues),
		cmocka_unit_test(test_args_wrong_flags),
		cmocka_unit_test(test_args_port_keys),
		cmocka_unit_test(test_args_permissions),
		cmocka_unit_test(test_args_postcopy),
		cmocka_unit_test(test_args_iommu),
		cmocka_unit_test(test_args_zero_copy),
		cmocka_unit_test(test_args_unknown_key),
		cmocka_unit_test(test_args_iface_missing),
		cmocka_unit_test(test_args_iface_length),
		cmocka_unit_test(test_args_iface_vduse),
		cmocka_unit_test(test_args_too_many),
	};

	return cmocka_run_group_tests(tests, logcap_start, NULL);
}
