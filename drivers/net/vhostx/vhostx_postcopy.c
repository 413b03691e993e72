/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A guest's pages come from its old host while it runs here already. Pollers sleep in their faults; the control
 * thread, which serves all ports, must not.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "vhostx_log.h"
#include "vhostx_postcopy.h"

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
	pthread_mutex_lock(&port->lock);
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
	sigset_t all, old;
	pthread_t thread;
	int ret;

	if (f == NULL)
		return -ENOMEM;
	f->port = port;
	f->idx = idx;
	vhostx_port_get(port);
	fetch_areas(f, s);
	for (unsigned int i = 0; i < AREAS; i++)
		f->map[i] = vhostx_mem_hold(s->mem, f->va[i]);
	/* The signals of the process are for threads of the application. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, NULL, fetch_thread, f);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0) {
		fetch_free(f);
		return -ret;
	}
	pthread_detach(thread);
	return 0;
}

bool
vhostx_postcopy_ready(struct vhostx_port *port, uint16_t idx)
{
	struct vhostx_port_ring *r = &port->ring[idx];
	const struct vhostx_snapshot *s = &r->snap;
	const void *used = s->format == VHOSTX_SPLIT ? (const void *)s->split.used : s->packed.device;
	int ret;

	if (!port->be.listening || vhostx_mem_is_here(used, sizeof(struct vring_used)))
		return true;
	if (r->fetching)
		return false;
	ret = fetch_start(port, idx);
	r->fetching = ret == 0;
	if (ret != 0)
		VHOSTX_LOG(WARNING, port->name, "no thread to fetch the pages of ring %u (%s): the control thread "
			"waits for them", idx, strerror(-ret));
	return ret != 0;
}

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
