/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * Start a second process that holds the virtio-user ports, and tell it what to do.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peer.h"

#define WORDS_MAX 48

/* argv of the peer: "perf", the words of @a eal, "--peer" with what it has to know. */
static void
peer_argv(char **argv, char *eal, char *ring)
{
	unsigned int n = 0;
	char *save;

	argv[n++] = strdup("dpdk-test-vhostx");
	argv[n++] = strdup("perf");
	for (char *word = strtok_r(eal, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
		if (n < WORDS_MAX - 6)
			argv[n++] = word;
	}
	argv[n++] = strdup("--");
	argv[n++] = strdup("--peer");
	argv[n++] = strdup("--ring");
	argv[n++] = ring;
	argv[n] = NULL;
}

/* The child: does not return. Its files are the order socket and standard output and error. */
static void
peer_exec(int fd, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(fd, PERF_PEER_FD) == PERF_PEER_FD) {
		for (int other = PERF_PEER_FD + 1; other < 4096; other++)
			close(other);
		execv("/proc/self/exe", argv);
	}
	_exit(EXIT_FAILURE);
}

int
perf_peer_start(struct perf_peer *peer, const struct perf_options *opt, const char *eal)
{
	char *argv[WORDS_MAX];
	char words[1024], ring[16];
	struct perf_peer_reply reply;
	int fds[2];

	snprintf(words, sizeof(words), "%s", eal);
	snprintf(ring, sizeof(ring), "%u", opt->ring);
	peer_argv(argv, words, ring);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) != 0)
		return -errno;
	fflush(NULL);
	peer->pid = fork();
	if (peer->pid == 0)
		peer_exec(fds[1], argv);
	close(fds[1]);
	peer->fd = fds[0];
	/* It says when its EAL is up. */
	if (peer->pid > 0 && read(peer->fd, &reply, sizeof(reply)) == sizeof(reply))
		return 0;
	printf("the second process does not start (--peer-eal %s)\n", eal);
	perf_peer_end(peer);
	return -ECHILD;
}

int
perf_peer_tell(struct perf_peer *peer, const struct perf_peer_order *order,
	struct perf_peer_reply *reply)
{
	struct perf_peer_reply ignored;

	if (reply == NULL)
		reply = &ignored;
	if (send(peer->fd, order, sizeof(*order), MSG_NOSIGNAL) != sizeof(*order) ||
			read(peer->fd, reply, sizeof(*reply)) != sizeof(*reply)) {
		printf("the second process has gone\n");
		return -EPIPE;
	}
	return reply->status;
}

void
perf_peer_end(struct perf_peer *peer)
{
	const struct perf_peer_order quit = { .order = PERF_PEER_QUIT };

	if (peer->fd < 0)
		return;
	send(peer->fd, &quit, sizeof(quit), MSG_NOSIGNAL);
	close(peer->fd);
	peer->fd = -1;
	if (peer->pid > 0)
		waitpid(peer->pid, NULL, 0);
}
