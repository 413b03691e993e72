/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Threads of the driver's own: for what may sleep, or takes long.
 */
#ifndef VHOSTX_MEM_THREAD_H
#define VHOSTX_MEM_THREAD_H

#include <pthread.h>

/**
 * Start a thread where the EAL puts its control threads: on CPUs that no lcore polls, as far as there are any; one that
 * is just created would share the CPU of its creator. Without an EAL it may run anywhere that its creator may.
 * Signals are the application's threads'; faults alone are not blocked, so that its handlers see ours as well.
 *
 * @param name    of at most 15 characters.
 * @param main    what it runs.
 * @param thread  set; to be joined or detached, or NULL: it is detached.
 * @return 0, or a -errno of pthread_create().
 */
int vhostx_thread_start(const char *name, void *(*main)(void *), void *arg, pthread_t *thread);

#endif /* VHOSTX_MEM_THREAD_H */
