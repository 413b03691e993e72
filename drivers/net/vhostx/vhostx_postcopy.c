/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A guest's pages come from its old host while it runs here already. Pollers sleep in their faults; the control
 * thread, which serves all ports, must not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem/thread.h"
#include "vhostx_log.h"
#include "vhostx_port.h"
#include "vhostx_serve.h"

/* How often it is looked whether pollers have left. */
#define LEAVE_US 1000u
/* Looks until tx bursts do not wait for the rings to come back any more. */
#define LEAVE_LOOKS 50u

/* Areas of a ring. */
#define AREAS 3

/* What one thread brings in. */
struct fetch {
	struct vhostx_port *port;      /* a reference */
	uint16_t idx;                  /* the ring */
	const uint8_t *va[AREAS];      /* its areas */
	uint64_t len[AREAS];           /* bytes */
	struct vhostx_map *map[AREAS]; /* a reference to the mapping behind each */
};

/* The areas by format: descriptors, what the driver writes, what we write. */
static void
fetch_areas(struct fetch *f, const struct vhostx_snapshot *s)
{
	const bool split = s->format == VHOSTX_SPLIT;
	const uint64_t n = s->size;

	f->va[0] = split ? (const uint8_t *)s->split.desc : (const uint8_t *)s->packed.desc;
	f->va[1] = split ? (const uint8_t *)s->split.avail : (const uint8_t *)s->packed.driver;
	f->va[2] = split ? (const uint8_t *)s->split.used : (const uint8_t *)s->packed.device;
	f->len[0] = n * sizeof(struct vring_desc);
	f->len[1] = split ? sizeof(struct vring_avail) + n * sizeof(uint16_t) :
		sizeof(struct vring_packed_desc_event);
	f->len[2] = split ? sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) :
		sizeof(struct vring_packed_desc_event);
}

static void
fetch_free(struct fetch *f)
{
	for (unsigned int i = 0; i < AREAS; i++)
		vhostx_map_put(f->map[i]);
	vhostx_port_put(f->port);
	free(f);
}

/* One byte of each page. The front-end's end wakes this thread as well. */
static void *
fetch_thread(void *arg)
{
	struct fetch *f = arg;
	struct vhostx_port *port = f->port;

	for (unsigned int i = 0; i < AREAS; i++) {
		for (uint64_t off = 0; off < f->len[i]; off += VHOSTX_PAGE)
			(void)*(const volatile uint8_t *)(f->va[i] + off);
		(void)*(const volatile uint8_t *)(f->va[i] + f->len[i] - 1);
	}
	vhostx_postcopy_lock(port);
	port->ring[f->idx].fetching = false;
	if (!port->closed)
		vhostx_port_resume(port, f->idx);
	pthread_mutex_unlock(&port->lock);
	fetch_free(f);
	return NULL;
}

static int
fetch_start(struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_snapshot *s = &port->ring[idx].snap;
	struct fetch *f = calloc(1, sizeof(*f));
	int ret;

	if (f == NULL)
		return -ENOMEM;
	f->port = port;
	f->idx = idx;
	vhostx_port_get(port);
	fetch_areas(f, s);
	for (unsigned int i = 0; i < AREAS; i++)
		f->map[i] = vhostx_mem_hold(s->mem, f->va[i]);
	ret = vhostx_thread_start("vhostx-fetch", fetch_thread, f, NULL);
	if (ret != 0)
		fetch_free(f);
	return ret;
}

static bool
ring_is_here(const struct vhostx_snapshot *s)
{
	struct fetch f;
	bool here = true;

	fetch_areas(&f, s);
	for (unsigned int i = 0; i < AREAS; i++)
		here = here && vhostx_mem_is_here(f.va[i], f.len[i]);
	return here;
}

bool
vhostx_postcopy_ready(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	int ret;

	if (!port->be.listening || ring_is_here(&r->snap))
		return true;
	if (r->fetching)
		return false;
	ret = fetch_start(port, idx);
	r->fetching = ret == 0;
	if (ret != 0)
		VHOSTX_LOG(WARNING, port->name, "no thread to fetch the pages of ring %u (%s): it stays down until the "
			"front-end says more of it", idx, strerror(-ret));
	return false;
}

/* --- pollers asleep in faults ------------------------------------------------------------------------ */

/* May the rings be taken from their pollers without a wait? They are taken; if not, a look will follow. */
static bool
postcopy_leave(struct vhostx_port *port)
{
	struct vhostx_postcopy_port *p = &port->postcopy;

	if (!port->be.listening || vhostx_serve_leave(port)) {
		p->looks = 0;
		return true;
	}
	if (++p->looks == LEAVE_LOOKS)
		vhostx_serve_settle(port);
	if (p->timer != NULL)
		vhostx_loop_arm(p->timer, LEAVE_US);
	return false;
}

static void
postcopy_again(void *arg)
{
	struct vhostx_port *port = arg;
	struct vhostx_postcopy_port *p = &port->postcopy;
	int ret;

	pthread_mutex_lock(&port->lock);
	if (p->timer == NULL || (!p->waits && !p->woken) || !postcopy_leave(port))
		goto unlock;
	if (p->woken) {
		p->woken = false;
		vhostx_port_woken(port);
	}
	if (p->waits) {
		p->waits = false;
		ret = vhostx_port_handle(port, &p->msg);
		vhostx_msg_close_fds(&p->msg);
		vhostx_sock_go_on(port->sock, ret);
	}
unlock:
	pthread_mutex_unlock(&port->lock);
}

int
vhostx_postcopy_open(struct vhostx_port *port)
{
	return port->args.postcopy ? vhostx_port_add_timer(port, postcopy_again, &port->postcopy.timer) : 0;
}

void
vhostx_postcopy_gone(struct vhostx_port *port)
{
	if (port->postcopy.waits)
		vhostx_msg_close_fds(&port->postcopy.msg);
	port->postcopy.waits = false;
}

void
vhostx_postcopy_close(struct vhostx_port *port)
{
	vhostx_postcopy_gone(port);
	vhostx_loop_del(port->postcopy.timer);
	port->postcopy.timer = NULL;
}

void
vhostx_postcopy_lock(struct vhostx_port *port)
{
	pthread_mutex_lock(&port->lock);
	while (!postcopy_leave(port)) {
		pthread_mutex_unlock(&port->lock);
		usleep(LEAVE_US);
		pthread_mutex_lock(&port->lock);
	}
}

/* POSTCOPY_END wakes them by itself. */
bool
vhostx_postcopy_defer(struct vhostx_port *port, struct vhostx_msg *msg)
{
	if (msg->header.request == VHOSTX_POSTCOPY_END || postcopy_leave(port))
		return false;
	port->postcopy.msg = *msg;
	port->postcopy.waits = true;
	msg->nr_fds = 0;
	vhostx_sock_hold(port->sock);
	return true;
}

bool
vhostx_postcopy_defer_wake(struct vhostx_port *port)
{
	port->postcopy.woken = !postcopy_leave(port);
	return port->postcopy.woken;
}

/* --- messages ---------------------------------------------------------------------------------------- */

void
vhostx_postcopy_said(struct vhostx_port *port, const struct vhostx_msg *msg)
{
	int ret;

	if (msg->header.request == VHOSTX_POSTCOPY_LISTEN && port->be.listening)
		VHOSTX_LOG(INFO, port->name, "post-copy: the guest runs here before its memory is");
	if (msg->header.request == VHOSTX_POSTCOPY_END)
		VHOSTX_LOG(INFO, port->name, "post-copy: all of the guest's memory is here");
	if (msg->header.request != VHOSTX_POSTCOPY_ADVISE || port->be.uffd == NULL)
		return;
	ret = vhostx_sock_dup(port->sock);
	if (ret >= 0)
		ret = vhostx_uffd_watch(port->be.uffd, ret);
	if (ret != 0)
		VHOSTX_LOG(WARNING, port->name, "post-copy: the end of the front-end cannot be watched (%s): a poller "
			"may sleep for ever if it dies", strerror(-ret));
}
