/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * One table of keys; each value is checked by its kind. Also home of the driver's log type.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>
#include <rte_kvargs.h>
#include <rte_lcore.h>

#include "mem/state.h"
#include "mem/uffd.h"
#include "vhostx_args.h"
#include "vhostx_log.h"

RTE_LOG_REGISTER_DEFAULT(vhostx_logtype, NOTICE)

/** Where the kernel keeps VDUSE devices, which librte_vhost serves behind the same argument. */
#define ARGS_VDUSE "/dev/vduse"

/** What a key's value must be. */
enum args_kind {
	ARGS_PATH,    /**< the socket's path */
	ARGS_PAIRS,   /**< a number of queue pairs */
	ARGS_FLAG,    /**< 0 or 1, into the bool at the key's offset */
	ARGS_ZC,      /**< a number of one of zero-copy's keys */
	ARGS_MAC,     /**< a unicast Ethernet address */
	ARGS_MTU,     /**< bytes */
	ARGS_NUMA,    /**< a NUMA node */
	ARGS_OWNER,   /**< a user by name or number */
	ARGS_GROUP,   /**< a group by name or number */
	ARGS_STATE,   /**< a folder, or "none" */
	ARGS_MODE,    /**< permission bits in octal */
};

/** One key. */
struct args_key {
	const char *key;     /**< as on the command line */
	enum args_kind kind; /**< how its value is checked */
	size_t offset;       /**< ARGS_FLAG: bytes into struct vhostx_args */
};

static const struct args_key args_keys[] = {
	{ "iface", ARGS_PATH, 0 },
	{ "queues", ARGS_PAIRS, 0 },
	{ "client", ARGS_FLAG, offsetof(struct vhostx_args, client) },
	{ "linear-buffer", ARGS_FLAG, offsetof(struct vhostx_args, linear_buffer) },
	{ "ext-buffer", ARGS_FLAG, offsetof(struct vhostx_args, ext_buffer) },
	{ "tso", ARGS_FLAG, offsetof(struct vhostx_args, tso) },
	{ "legacy-ol-flags", ARGS_FLAG, offsetof(struct vhostx_args, legacy_ol_flags) },
	{ "postcopy-support", ARGS_FLAG, offsetof(struct vhostx_args, postcopy) },
	{ "iommu-support", ARGS_FLAG, offsetof(struct vhostx_args, iommu_support) },
	{ "dequeue-zero-copy", ARGS_FLAG, offsetof(struct vhostx_args, dequeue_zero_copy) },
	{ "zc-threshold", ARGS_ZC, 0 },
	{ "zc-inflight", ARGS_ZC, 0 },
	{ "zc-deadline", ARGS_ZC, 0 },
	{ "zc-dma", ARGS_FLAG, offsetof(struct vhostx_args, zc_dma) },
	{ "mac", ARGS_MAC, 0 },
	{ "mtu", ARGS_MTU, 0 },
	{ "numa", ARGS_NUMA, 0 },
	{ "owner", ARGS_OWNER, 0 },
	{ "group", ARGS_GROUP, 0 },
	{ "mode", ARGS_MODE, 0 },
	{ "state-dir", ARGS_STATE, 0 },
};

static const struct args_key *
args_key_find(const char *key)
{
	unsigned int i;

	for (i = 0; i < RTE_DIM(args_keys); i++)
		if (strcmp(args_keys[i].key, key) == 0)
			return &args_keys[i];
	return NULL;
}

/** Write one line that names the unknown @a key and every key that there is. */
static void
args_log_unknown(const char *name, const char *key)
{
	char known[512] = "";
	size_t len = 0;
	unsigned int i;

	for (i = 0; i < RTE_DIM(args_keys) && len < sizeof(known); i++)
		len += snprintf(known + len, sizeof(known) - len, " %s", args_keys[i].key);
	VHOSTX_LOG(ERR, name, "unknown argument \"%s\"; allowed are:%s", key, known);
}

/**
 * Read @a value as strtoul(..., 0) does, which net_vhost uses: decimal, 0x or leading 0; but nothing
 * before or after the digits.
 * @return 0, or -EINVAL if it is no such number or above @a max.
 */
static int
args_number(const char *value, unsigned long max, unsigned long *number)
{
	char *end;

	/* strtoul would take blanks and a sign. */
	if (!isdigit((unsigned char)value[0]))
		return -EINVAL;
	errno = 0;
	*number = strtoul(value, &end, 0);
	if (errno != 0 || *end != '\0' || *number > max)
		return -EINVAL;
	return 0;
}

static int
args_set_path(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	const size_t vduse = strlen(ARGS_VDUSE);
	const size_t len = strlen(value);

	if (value[0] == '\0') {
		VHOSTX_LOG(ERR, name, "%s= is empty; give the path of a UNIX socket", key);
		return -EINVAL;
	}
	if (strncmp(value, ARGS_VDUSE, vduse) == 0 &&
			(value[vduse] == '/' || value[vduse] == '\0')) {
		VHOSTX_LOG(ERR, name, "%s=%s is a VDUSE device, not a vhost-user socket; "
			"give a path outside " ARGS_VDUSE, key, value);
		return -EINVAL;
	}
	if (len >= sizeof(args->iface)) {
		VHOSTX_LOG(ERR, name, "%s=%s has %zu characters; "
			"the path of a UNIX socket has at most %zu",
			key, value, len, sizeof(args->iface) - 1);
		return -ENAMETOOLONG;
	}
	memcpy(args->iface, value, len + 1);
	return 0;
}

static int
args_set_pairs(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	unsigned long pairs;

	if (args_number(value, VHOSTX_MAX_PAIRS, &pairs) < 0 || pairs == 0) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a number from 1 to %u",
			key, value, VHOSTX_MAX_PAIRS);
		return -EINVAL;
	}
	args->queues = pairs;
	return 0;
}

static int
args_set_flag(bool *flag, const char *name, const char *key, const char *value)
{
	unsigned long number;

	if (args_number(value, 1, &number) < 0) {
		VHOSTX_LOG(ERR, name, "%s=%s is neither 0 nor 1", key, value);
		return -EINVAL;
	}
	*flag = number;
	return 0;
}

/* Together with dequeue-zero-copy=1 alone, which args_check_whole() sees to. */
static int
args_set_zc(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	const bool inflight = strcmp(key, "zc-inflight") == 0;
	const unsigned long max = inflight ? 100 : strcmp(key, "zc-deadline") == 0 ?
		VHOSTX_ZC_DEADLINE_MAX : UINT16_MAX;
	unsigned long number;

	if (args_number(value, max, &number) < 0 || (inflight && number == 0)) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a number from %u to %lu", key, value, inflight, max);
		return -EINVAL;
	}
	if (inflight)
		args->zc_inflight = number;
	else if (max == VHOSTX_ZC_DEADLINE_MAX)
		args->zc_deadline = number;
	else
		args->zc_threshold = number;
	args->zc_tuned = true;
	return 0;
}

static int
args_set_mac(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	if (rte_ether_unformat_addr(value, &args->mac) != 0 ||
			!rte_is_valid_assigned_ether_addr(&args->mac)) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a unicast address like 52:54:00:12:34:56",
			key, value);
		return -EINVAL;
	}
	args->has_mac = true;
	return 0;
}

static int
args_set_mtu(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	unsigned long mtu;

	if (args_number(value, UINT16_MAX, &mtu) < 0 || mtu < RTE_ETHER_MIN_MTU) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a number of bytes from %u to %u",
			key, value, RTE_ETHER_MIN_MTU, UINT16_MAX);
		return -EINVAL;
	}
	args->mtu = mtu;
	return 0;
}

/* Whether memory can be had there, as far as the EAL knows; where there is no EAL, any may be. */
static bool
args_has_node(unsigned long node)
{
	const unsigned int nr = rte_socket_count();

	for (unsigned int i = 0; i < nr; i++)
		if (rte_socket_id_by_idx(i) == (int)node)
			return true;
	return nr == 0;
}

/* The first node is told as an example of one that is there. */
static int
args_set_numa(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	unsigned long node;

	if (args_number(value, RTE_MAX_NUMA_NODES - 1, &node) < 0) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a NUMA node from 0 to %u",
			key, value, RTE_MAX_NUMA_NODES - 1);
		return -EINVAL;
	}
	if (!args_has_node(node)) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a NUMA node of this machine, which has %u, the first of them %d",
			key, value, rte_socket_count(), rte_socket_id_by_idx(0));
		return -EINVAL;
	}
	args->numa = node;
	return 0;
}

/* The database is asked first: a name may consist of digits. */
static int
args_set_owner(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	const struct passwd *user = getpwnam(value);
	unsigned long id;

	if (user != NULL) {
		args->perm.owner = user->pw_uid;
	} else if (args_number(value, INT32_MAX, &id) == 0) {
		args->perm.owner = id;
	} else {
		VHOSTX_LOG(ERR, name, "%s=%s is neither a user of this machine nor a user id",
			key, value);
		return -EINVAL;
	}
	return 0;
}

static int
args_set_group(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	const struct group *group = getgrnam(value);
	unsigned long id;

	if (group != NULL) {
		args->perm.group = group->gr_gid;
	} else if (args_number(value, INT32_MAX, &id) == 0) {
		args->perm.group = id;
	} else {
		VHOSTX_LOG(ERR, name, "%s=%s is neither a group of this machine nor a group id",
			key, value);
		return -EINVAL;
	}
	return 0;
}

/* Octal with or without a leading 0, as chmod takes it. */
static int
args_set_mode(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	const size_t len = strspn(value, "01234567");
	const long mode = strtol(value, NULL, 8);

	if (len == 0 || len > 4 || value[len] != '\0' || mode > 0777) {
		VHOSTX_LOG(ERR, name, "%s=%s is not an octal number from 0 to 777, like 660",
			key, value);
		return -EINVAL;
	}
	args->perm.mode = mode;
	return 0;
}

/* A relative folder would be another one for a process that is started elsewhere. */
static int
args_set_state(struct vhostx_args *args, const char *name, const char *key, const char *value)
{
	const size_t len = strlen(value);

	args->no_state = strcmp(value, "none") == 0;
	args->state_dir[0] = '\0';
	if (args->no_state)
		return 0;
	if (value[0] != '/' || len >= sizeof(args->state_dir)) {
		VHOSTX_LOG(ERR, name, "%s=%s is neither \"none\" nor a path that begins with / and has at most "
			"%zu characters", key, value, sizeof(args->state_dir) - 1);
		return -EINVAL;
	}
	if (!vhostx_state_is_memory(value)) {
		VHOSTX_LOG(ERR, name, "%s=%s is not a folder on a memory file system; give one on tmpfs, like "
			"/dev/shm, or \"none\"", key, value);
		return -EINVAL;
	}
	memcpy(args->state_dir, value, len + 1);
	return 0;
}

static int
args_set(struct vhostx_args *args, const char *name, const struct rte_kvargs_pair *pair)
{
	const struct args_key *known = args_key_find(pair->key);
	/* A key without '=' has no value at all. */
	const char *value = pair->value != NULL ? pair->value : "";

	if (known == NULL) {
		args_log_unknown(name, pair->key);
		return -EINVAL;
	}
	switch (known->kind) {
	case ARGS_PATH:
		return args_set_path(args, name, pair->key, value);
	case ARGS_PAIRS:
		return args_set_pairs(args, name, pair->key, value);
	case ARGS_FLAG:
		return args_set_flag(RTE_PTR_ADD(args, known->offset), name, pair->key, value);
	case ARGS_ZC:
		return args_set_zc(args, name, pair->key, value);
	case ARGS_MAC:
		return args_set_mac(args, name, pair->key, value);
	case ARGS_MTU:
		return args_set_mtu(args, name, pair->key, value);
	case ARGS_NUMA:
		return args_set_numa(args, name, pair->key, value);
	case ARGS_OWNER:
		return args_set_owner(args, name, pair->key, value);
	case ARGS_GROUP:
		return args_set_group(args, name, pair->key, value);
	case ARGS_MODE:
		return args_set_mode(args, name, pair->key, value);
	case ARGS_STATE:
		break;
	}
	return args_set_state(args, name, pair->key, value);
}

/* Told now, and not to the guest that comes one day. */
static int
args_check_postcopy(const struct vhostx_args *args, const char *name)
{
	struct vhostx_uffd *uffd;
	const char *why = NULL;
	int ret;

	if (!args->postcopy)
		return 0;
	ret = vhostx_uffd_open(&uffd, &why);
	if (ret != 0) {
		VHOSTX_LOG(ERR, name, "postcopy-support=1: %s (%s); or remove it", why, strerror(-ret));
		return ret;
	}
	vhostx_uffd_close(uffd);
	return 0;
}

/* What the arguments say together. */
static int
args_check_whole(const struct vhostx_args *args, const char *name)
{
	const struct vhostx_sock_perm *perm = &args->perm;

	if (args->iface[0] == '\0') {
		VHOSTX_LOG(ERR, name, "iface is missing; give iface=<path of a UNIX socket>");
		return -EINVAL;
	}
	if (args->client && (perm->owner >= 0 || perm->group >= 0 || perm->mode >= 0)) {
		VHOSTX_LOG(ERR, name, "owner, group and mode are for a port that listens: with client=1 "
			"the socket is the front-end's");
		return -EINVAL;
	}
	/* A lent buffer would have to come back before the guest may unmap it, and whoever has it lets it wait. */
	if (args->iommu_support && args->dequeue_zero_copy) {
		VHOSTX_LOG(ERR, name, "iommu-support=1 and dequeue-zero-copy=1 exclude each other: a guest behind an "
			"IOMMU takes its buffers back at any time; remove one of them");
		return -EINVAL;
	}
	if (args->zc_tuned && !args->dequeue_zero_copy) {
		VHOSTX_LOG(ERR, name, "zc-threshold, zc-inflight and zc-deadline are for zero-copy: "
			"give dequeue-zero-copy=1 too, or remove them");
		return -EINVAL;
	}
	/* A NIC that reads what was lent cannot wait for a page. */
	if (args->postcopy && args->dequeue_zero_copy) {
		VHOSTX_LOG(ERR, name, "postcopy-support=1 and dequeue-zero-copy=1 exclude each other: "
			"memory that is lent out must be here; remove one of them");
		return -EINVAL;
	}
	if (args->tso && vhostx_args_one_mbuf(args))
		VHOSTX_LOG(WARNING, name, "tso=1 has no effect with linear-buffer=1, for long packets fit no mbuf; "
			"give ext-buffer=1 too");
	return args_check_postcopy(args, name);
}

/* The pairs are walked in order, so the last of equal keys wins. */
int
vhostx_args_parse(struct vhostx_args *args, const char *name, const char *str)
{
	struct rte_kvargs *kvargs;
	unsigned int i;
	int ret = 0;

	memset(args, 0, sizeof(*args));
	args->queues = 1;
	args->numa = -1;
	args->zc_threshold = VHOSTX_ZC_THRESHOLD;
	args->zc_inflight = VHOSTX_ZC_INFLIGHT_PERCENT;
	args->zc_deadline = VHOSTX_ZC_DEADLINE;
	args->zc_dma = true;
	args->perm = (struct vhostx_sock_perm){ .owner = -1, .group = -1, .mode = -1 };

	/* No list of keys is given: rte_kvargs_parse() would not tell which key is wrong. */
	errno = 0;
	kvargs = rte_kvargs_parse(str != NULL ? str : "", NULL);
	if (kvargs == NULL) {
		ret = errno == ENOMEM ? -ENOMEM : -EINVAL;
		VHOSTX_LOG(ERR, name, "cannot read the arguments \"%s\"; allowed are: %s",
			str != NULL ? str : "", VHOSTX_PARAM_STRING);
		return ret;
	}
	for (i = 0; i < kvargs->count && ret == 0; i++)
		ret = args_set(args, name, &kvargs->pairs[i]);
	if (ret == 0)
		ret = args_check_whole(args, name);
	rte_kvargs_free(kvargs);
	return ret;
}
