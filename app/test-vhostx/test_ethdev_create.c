/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Ports that cannot be made, for the control thread takes nothing more: nothing of them is left.
 */
#include "mem/uffd.h"
#include "test_ethdev_rig.h"

struct vhostx_source *__real_vhostx_loop_add_timer(vhostx_loop_cb cb, vhostx_loop_cb release, void *arg);
struct vhostx_source *__wrap_vhostx_loop_add_timer(vhostx_loop_cb cb, vhostx_loop_cb release, void *arg);

/* Timers that are given until one is refused. */
static unsigned int timers_left = UINT_MAX;

struct vhostx_source *
__wrap_vhostx_loop_add_timer(vhostx_loop_cb cb, vhostx_loop_cb release, void *arg)
{
	if (timers_left-- != 0)
		return __real_vhostx_loop_add_timer(cb, release, arg);
	errno = ENOMEM;
	return NULL;
}

/* As the arguments of a port are checked: without the right to have one there is no such port. */
static bool
may_have_uffd(void)
{
	struct vhostx_uffd *uffd;
	const char *why;

	if (vhostx_uffd_open(&uffd, &why) != 0)
		return false;
	vhostx_uffd_close(uffd);
	return true;
}

static void
test_ethdev_regress_create_leaves_timers(void **state)
{
	unsigned int files;
	char args[512];

	(void)state;
	if (!may_have_uffd())
		skip();
	snprintf(args, sizeof(args), "iface=%s,iommu-support=1,postcopy-support=1", port_path(0));
	/* The first port brings files that stay. */
	vhost_probe(1, &(struct port_conf){ 0 });
	files = count_files();
	for (unsigned int n = 0; n < 2; n++) {
		timers_left = n;
		assert_int_not_equal(rte_vdev_init("net_vhostx0", args), 0);
		/* The last reference to the port is given back by the control thread, and with it the port's file. */
		wait_until(count_files() == files);
	}
	timers_left = UINT_MAX;
	port_close(port_attach("net_vhostx0", args));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		rig_case(test_ethdev_regress_create_leaves_timers),
	};

	return rig_main(tests);
}
