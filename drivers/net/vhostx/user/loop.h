/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * The control thread: one per process, an epoll set of file descriptors and timers. It starts with the
 * first source and stays for the life of the process.
 */
#ifndef VHOSTX_USER_LOOP_H
#define VHOSTX_USER_LOOP_H

#include <stdint.h>

/**
 * A source: one file descriptor or timer and its callback.
 *
 * | state   | who may touch it                            | what moves it on                        |
 * |---------|---------------------------------------------|-----------------------------------------|
 * | armed   | the control thread calls back               | vhostx_loop_del(), from any thread      |
 * | deleted | the control thread alone, no more callbacks | the end of the thread's current round   |
 * | freed   | nobody; release(arg) was called             |                                         |
 *
 * A callback may be running while another thread deletes its source: it takes the lock of the object
 * that @a arg is and looks there whether it is still wanted. release() is called when no callback
 * can run any more, on the control thread with no lock held; so the source can own a reference to arg.
 * Sources are released in the order of their deletion. release may be NULL.
 */
struct vhostx_source;

typedef void (*vhostx_loop_cb)(void *arg);

/**
 * Watch @a fd for reading, level-triggered. The fd stays the caller's and must not be closed before
 * vhostx_loop_del().
 * @return the source, or NULL with errno set (the thread or epoll refused); release is not called then.
 */
struct vhostx_source *vhostx_loop_add_fd(int fd, vhostx_loop_cb cb, vhostx_loop_cb release, void *arg);

/** A timer that is not armed yet. @return as vhostx_loop_add_fd(). */
struct vhostx_source *vhostx_loop_add_timer(vhostx_loop_cb cb, vhostx_loop_cb release, void *arg);

/** Call back once, @a us microseconds from now (0: at once); re-arming moves the time. */
void vhostx_loop_arm(struct vhostx_source *timer, uint64_t us);

/**
 * As vhostx_loop_arm(), but at the last multiple of @a us, not 0, that is no later: timers of one pause are due together,
 * and the thread wakes once for all of them.
 */
void vhostx_loop_arm_together(struct vhostx_source *timer, uint64_t us);

/** Stop watching; never blocks on a callback; the pointer is dead for the caller. NULL is allowed. */
void vhostx_loop_del(struct vhostx_source *source);

#endif /* VHOSTX_USER_LOOP_H */
