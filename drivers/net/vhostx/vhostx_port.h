/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The port: what the cold side owns, and where socket, device state, snapshots and queues meet.
 */
#ifndef VHOSTX_PORT_H
#define VHOSTX_PORT_H

#include <pthread.h>

#include "mem/state.h"
#include "ring/vq.h"
#include "user/backend.h"
#include "user/loop.h"
#include "user/sock.h"
#include "vhostx_args.h"
#include "vhostx_iommu.h"
#include "vhostx_postcopy.h"
#include "vhostx_zerocopy.h"

struct rte_eth_dev;
struct rte_eth_dev_info;

/** A ring of the guest as the port holds it. Ring 2n feeds tx queue n, ring 2n + 1 rx queue n. */
struct vhostx_port_ring {
	struct vhostx_ring ring;      /**< cursors */
	struct vhostx_snapshot snap;  /**< valid while built */
	struct vhostx_queue *queue;   /**< the ethdev queue of this number and direction, NULL: none */
	struct vhostx_zc_ring zc;     /**< rx: what it has lent */
	uint64_t asked;               /**< what it waits for, and was asked for, a vhostx_miss_word(); 0: nothing */
	uint64_t asked_at;            /**< since when, TSC cycles */
	const char *why;              /**< last reason in the log why it was not built or stopped, or NULL */
	enum vhostx_state_kind kept;  /**< what the state file has of this ring */
	union vhostx_inflight_ring *noted; /**< the in-flight record that is this ring's, or NULL */
	bool fetching;                /**< post-copy: a thread brings its pages in */
	bool built;                   /**< the front-end has said all, and it is right */
	bool told;                    /**< the guest was signalled since the ring started */
	bool seen;                    /**< state that rte_eth_vhostx_get_queue_event() told last */
	bool announced;               /**< state when an event was last scheduled for it */
};

/**
 * | state     | meaning                                             | what moves it on           |
 * |-----------|-----------------------------------------------------|----------------------------|
 * | probed    | no socket                                           | vhostx_port_open()         |
 * | open      | front-ends come and go, rings are built             | start                      |
 * | started   | additionally snapshots are published to the queues  | stop, or close             |
 * | closed    | only references of the control thread are left      | the last one               |
 *
 * Everything but the name is protected by the port mutex. The queues are kept here as well as in ethdev's
 * arrays, for ethdev changes those, and frees them, without asking.
 */
struct vhostx_port {
	pthread_mutex_t lock;
	unsigned int refs;             /**< atomic: the ethdev's, and one of each source and alarm */
	uint16_t port_id;
	bool started;                  /**< between dev_start and dev_stop */
	bool closed;
	bool leaving;                  /**< queues were asked to leave their rings, and not all were seen to have left */
	bool event;                    /**< an alarm for events is set */
	bool telling;                  /**< callbacks of the application are called */
	bool link_event;               /**< the link changed and that was not told yet */
	bool warned;                   /**< of rings that nobody polls, since the front-end came */
	uint16_t unpolled;             /**< rings that the guest transmits on and nobody polls */
	uint32_t node_of;              /**< be.mem_changes when the NUMA node was read */
	uint64_t since;                /**< when the front-end came, TSC cycles; 0: none is there */
	uint64_t offered;              /**< virtio features that the next front-end is offered */
	uint64_t connects;             /**< how many front-ends came */
	uint64_t connects_base;        /**< connects at the last reset of the statistics */
	char name[64];                 /**< of the device, for the log; RTE_ETH_NAME_MAX_LEN */
	struct vhostx_args args;
	struct vhostx_sock *sock;      /**< NULL: not open */
	struct vhostx_backend be;
	struct vhostx_state *state;    /**< what outlives the process; NULL: not open */
	struct vhostx_state_guest guest; /**< the same as there, or what would be there */
	bool stateless;                /**< it could not be opened, and that was told */
	int wakefd;                    /**< pollers write it when a ring was stopped by a fault */
	struct vhostx_source *wake;    /**< watches wakefd */
	struct vhostx_port_ring *ring; /**< [be.nr_vrings] */
	struct vhostx_zc_port zc;
	struct vhostx_iommu_port iommu;
	struct vhostx_postcopy_port postcopy;
};

/**
 * Make a port for @a dev, which has a name and a port id; takes a copy of @a args.
 * @return 0, -ENOMEM, or the -errno of eventfd or the control thread.
 */
int vhostx_port_create(struct rte_eth_dev *dev, const struct vhostx_args *args,
	struct vhostx_port **port);

/**
 * Say whether guests may send packets that are to be segmented. The front-end that is connected, if any,
 * keeps what it was offered.
 */
void vhostx_port_offer(struct vhostx_port *port, bool tso);

/** Open the socket unless it is open. @return 0 or -errno; the reason is in the log. */
int vhostx_port_open(struct vhostx_port *port);

/** Publish what is built to the queues of the ethdev, from now on. */
void vhostx_port_start(struct vhostx_port *port);

/** Take all queues out of use; the front-end stays connected. */
void vhostx_port_stop(struct vhostx_port *port);

/** Take one queue out of use, or put it to use again: rte_eth_dev_rx_queue_stop() and the like. */
void vhostx_port_stop_queue(struct vhostx_port *port, struct vhostx_queue *queue, bool stop);

/**
 * Make @a queue (or NULL) the queue of ring @a idx; the one that was it is taken out of use first.
 * @return that one, or NULL: the caller's to free.
 */
struct vhostx_queue *vhostx_port_swap_queue(struct vhostx_port *port, uint16_t idx,
	struct vhostx_queue *queue);

/** Entries of ring @a idx, 0 until the front-end has said it. */
uint16_t vhostx_port_ring_size(struct vhostx_port *port, uint16_t idx);

/** End it all: socket, rings, guest memory; gives the ethdev's reference back. */
void vhostx_port_close(struct vhostx_port *port);

/** Take a ring out of use until the front-end says more of it. Port mutex held, as for the next three. */
void vhostx_port_pause(struct vhostx_port *port, uint16_t idx);

/** Try once more to run a ring that the front-end has started. */
void vhostx_port_resume(struct vhostx_port *port, uint16_t idx);

/** A poller found a ring that cannot be trusted, or misses an address. Port mutex held. */
void vhostx_port_woken(struct vhostx_port *port);

/** Handle a message of the front-end. @return 0, or -errno: close the connection. */
int vhostx_port_handle(struct vhostx_port *port, struct vhostx_msg *msg);

/** The front-end is gone: forget all that it said. */
void vhostx_port_forget(struct vhostx_port *port);

/** Take a reference. */
void vhostx_port_get(struct vhostx_port *port);

/** Give a reference back: struct vhostx_port *. The last one frees. */
void vhostx_port_put(void *port);

/**
 * Have the control thread call @a cb with the port when the timer runs out; the timer has a reference to the port.
 * @return 0 or -errno, with @a timer NULL.
 */
int vhostx_port_add_timer(struct vhostx_port *port, vhostx_loop_cb cb, struct vhostx_source **timer);

#endif /* VHOSTX_PORT_H */
