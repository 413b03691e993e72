/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Rings that outlive the process: when the port's state file is used, and when it is believed. Called with the
 * port mutex held.
 */
#ifndef VHOSTX_RESUME_H
#define VHOSTX_RESUME_H

#include "vhostx_port.h"

/**
 * Open the port's state file, once; without it the port works, but nothing of its rings and guest outlives the
 * process.
 *
 * @param make  if there is none.
 * @return whether there is one.
 */
bool vhostx_resume_open(struct vhostx_port *port, bool make);

/**
 * Give ring @a idx, whose snapshot was built and is not prepared yet, its in-flight record or its journal. A ring
 * that just got a position goes on where that says that it was, if the front-end's word is no newer.
 */
void vhostx_resume_ring(struct vhostx_port *port, uint16_t idx);

/** The ring's position is settled: from now on what is kept of it counts. */
void vhostx_resume_keep(struct vhostx_port *port, uint16_t idx);

/** The in-flight record that ring @a idx has, the front-end's or ours; NULL: none. */
union vhostx_inflight_ring *vhostx_resume_noted(const struct vhostx_port *port, uint16_t idx);

/** Nobody will want to go on where ring @a idx was. */
void vhostx_resume_forget(struct vhostx_port *port, uint16_t idx);

/**
 * A message was handled and answered: some tell that a front-end has a ring's position, or gave the ring up. Only
 * after the answer: until then a process that is killed leaves nobody who knows.
 */
void vhostx_resume_said(struct vhostx_port *port, const struct vhostx_msg *msg);

/** Close the state file; it stays if a front-end's ring runs. Before the backend forgets the rings. */
void vhostx_resume_close(struct vhostx_port *port);

#endif /* VHOSTX_RESUME_H */
