/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * A port described for people and monitors.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include <linux/virtio_config.h>

#include <ethdev_driver.h>
#include <rte_cycles.h>
#include <rte_telemetry.h>

#include "ring/inspect.h"
#include "user/features.h"
#include "vhostx_ports.h"
#include "vhostx_stats.h"
#include "vhostx_telemetry.h"

/* Entries of a list that telemetry is told: an answer of 16 KiB must hold all lists of a port. */
#define LIST_MAX 80

/* --- one description, two forms -------------------------------------------------------------------- */

/* Where a description goes: to a file, or into a telemetry dictionary. */
struct sink {
	FILE *file;                /* NULL: telemetry */
	struct rte_tel_data *dict;
	struct rte_tel_data *list; /* the list that is being filled; NULL: no memory for it */
	unsigned int listed;       /* entries in it */
};

static void
sink_string(struct sink *sink, const char *key, const char *value)
{
	if (sink->file != NULL)
		fprintf(sink->file, "  %s: %s\n", key, value);
	else
		rte_tel_data_add_dict_string(sink->dict, key, value);
}

static void
sink_number(struct sink *sink, const char *key, uint64_t value)
{
	if (sink->file != NULL)
		fprintf(sink->file, "  %s: %" PRIu64 "\n", key, value);
	else
		rte_tel_data_add_dict_u64(sink->dict, key, value);
}

static void
sink_list_begin(struct sink *sink, const char *key)
{
	sink->listed = 0;
	if (sink->file != NULL) {
		fprintf(sink->file, "  %s:\n", key);
		return;
	}
	sink->list = rte_tel_data_alloc();
	if (sink->list == NULL)
		return;
	rte_tel_data_start_array(sink->list, RTE_TEL_STRING_VAL);
	/* The dictionary owns the list from here on. */
	if (rte_tel_data_add_dict_container(sink->dict, key, sink->list, 0) != 0) {
		rte_tel_data_free(sink->list);
		sink->list = NULL;
	}
}

static __rte_format_printf(2, 3) void
sink_list_add(struct sink *sink, const char *format, ...)
{
	char text[RTE_TEL_MAX_STRING_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (sink->file != NULL)
		fprintf(sink->file, "    %s\n", text);
	else if (sink->list != NULL && sink->listed++ < LIST_MAX)
		rte_tel_data_add_array_string(sink->list, text);
}

/* --- rings ----------------------------------------------------------------------------------------- */

/* The queue whose counters belong to a ring. A tx queue whose own ring is off may serve another one. */
static const struct vhostx_queue *
ring_queue(const struct vhostx_port *port, uint16_t idx)
{
	return port->ring[idx].queue;
}

static enum vhostx_way
ring_way(uint16_t idx)
{
	return idx % 2 != 0 ? VHOSTX_WAY_RX : VHOSTX_WAY_TX;
}

/* Does any queue have the ring? */
static bool
ring_is_published(const struct vhostx_port *port, uint16_t idx)
{
	for (uint16_t i = idx % 2; i < port->be.nr_vrings; i += 2) {
		const struct vhostx_queue *queue = ring_queue(port, i);

		if (queue != NULL && queue->snap == &port->ring[idx].snap)
			return true;
	}
	return false;
}

/* What a ring that was not built lacks; in the order in which front-ends send it. */
static const char *
ring_lacks(const struct vhostx_backend *be, const struct vhostx_vring *vring)
{
	if (!be->has_features)
		return "waiting for features";
	if (be->mem == NULL)
		return "waiting for memory";
	if (vring->num == 0)
		return "waiting for a size";
	if (!vring->has_addr)
		return "waiting for addresses";
	if (vring->started && vring->miss[0] != 0)
		return "waiting for the guest's IOMMU";
	return vring->started ? "refused" : "waiting for a start";
}

/* A word for the state; @a why is set to the reason where there is one, else to "". */
static const char *
ring_state(const struct vhostx_port *port, uint16_t idx, const char **why)
{
	const struct vhostx_port_ring *r = &port->ring[idx];
	const struct vhostx_vring *vring = &port->be.vring[idx];

	*why = r->why != NULL ? r->why : "";
	if (!r->built && r->why != NULL)
		return vring->started ? "refused" : "broken";
	*why = "";
	if (port->since == 0)
		return "no front-end";
	if (!r->built)
		return ring_lacks(&port->be, vring);
	if (__atomic_load_n(&r->ring.fault, __ATOMIC_RELAXED) != VHOSTX_NO_CAUSE)
		return "broken";
	if (!r->snap.enabled)
		return "disabled";
	return ring_is_published(port, idx) ? "running" : "not polled";
}

static const char *
ring_format(const struct vhostx_port *port)
{
	if (!port->be.has_features)
		return "unknown";
	return port->be.features & RTE_BIT64(VIRTIO_F_RING_PACKED) ? "packed" : "split";
}

/* The memory behind a built ring stays mapped while the port mutex is held. */
static uint32_t
ring_fill(const struct vhostx_port *port, uint16_t idx)
{
	return port->ring[idx].built ? vhostx_ring_pending(&port->ring[idx].snap) : 0;
}

static void
describe_ring_line(struct sink *sink, const struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_queue *queue = ring_queue(port, idx);
	const enum vhostx_way way = ring_way(idx);
	const struct vhostx_stat *packets = vhostx_stat_next(NULL, way);
	const char *why;
	const char *state = ring_state(port, idx, &why);

	sink_list_add(sink, "%u %s_q%u: %u/%u offered, %" PRIu64 " packets, %" PRIu64 " lost, %s%s%s",
		idx, way == VHOSTX_WAY_RX ? "rx" : "tx", idx / 2, ring_fill(port, idx),
		port->be.vring[idx].num, vhostx_stat_value(queue, packets),
		vhostx_stats_lost(queue, way), state, *why == '\0' ? "" : ": ", why);
}

static void
describe_ring(struct sink *sink, const struct vhostx_port *port, uint16_t idx)
{
	const struct vhostx_ring *ring = &port->ring[idx].ring;
	const struct vhostx_stat *stat = NULL;
	const char *why;

	sink_number(sink, "port", port->port_id);
	sink_number(sink, "ring", idx);
	sink_string(sink, "direction", ring_way(idx) == VHOSTX_WAY_RX ? "rx" : "tx");
	sink_number(sink, "queue", idx / 2);
	sink_string(sink, "state", ring_state(port, idx, &why));
	sink_string(sink, "reason", why);
	sink_string(sink, "format", ring_format(port));
	sink_number(sink, "size", port->be.vring[idx].num);
	sink_number(sink, "offered", ring_fill(port, idx));
	sink_number(sink, "last_avail", __atomic_load_n(&ring->last_avail, __ATOMIC_RELAXED));
	sink_number(sink, "last_used", __atomic_load_n(&ring->last_used, __ATOMIC_RELAXED));
	while ((stat = vhostx_stat_next(stat, ring_way(idx))) != NULL)
		sink_number(sink, stat->name, vhostx_stat_value(ring_queue(port, idx), stat));
}

/* --- the port -------------------------------------------------------------------------------------- */

static void
describe_features(struct sink *sink, const char *key, uint64_t features,
	const char *(*name_of)(unsigned int bit))
{
	sink_list_begin(sink, key);
	for (unsigned int bit = 0; bit < 64; bit++) {
		const char *name = name_of(bit);

		if ((features & RTE_BIT64(bit)) == 0)
			continue;
		if (name != NULL)
			sink_list_add(sink, "%s", name);
		else
			sink_list_add(sink, "bit %u", bit);
	}
}

static void
describe_memory(struct sink *sink, const struct vhostx_mem *mem)
{
	const uint32_t nr = mem == NULL ? 0 : mem->nr;

	sink_number(sink, "nr_regions", nr);
	sink_list_begin(sink, "regions");
	for (uint32_t i = 0; i < nr; i++)
		sink_list_add(sink, "gpa 0x%" PRIx64 " size 0x%" PRIx64, mem->range[i].gpa,
			mem->range[i].size);
}

/* @return 0 also where there is no EAL to know the clock. */
static uint64_t
connected_seconds(const struct vhostx_port *port)
{
	const uint64_t hz = rte_get_tsc_hz();

	return port->since == 0 || hz == 0 ? 0 : (rte_get_tsc_cycles() - port->since) / hz;
}

static void
describe_port(struct sink *sink, const struct vhostx_port *port)
{
	sink_number(sink, "port", port->port_id);
	sink_string(sink, "name", port->name);
	sink_string(sink, "socket", port->args.iface);
	sink_string(sink, "mode", port->args.client ? "client" : "server");
	sink_number(sink, "connected", port->since != 0);
	sink_number(sink, "connected_seconds", connected_seconds(port));
	sink_number(sink, "connects", port->connects);
	sink_number(sink, "rx_unpolled_queues", port->unpolled);
	describe_features(sink, "features", port->be.features, vhostx_feature_name);
	describe_features(sink, "protocol_features", port->be.protocol_features,
		vhostx_protocol_feature_name);
	sink_string(sink, "format", ring_format(port));
	sink_number(sink, "nr_rings", port->be.nr_vrings);
	sink_list_begin(sink, "rings");
	for (uint16_t i = 0; i < port->be.nr_vrings; i++)
		describe_ring_line(sink, port, i);
	describe_memory(sink, port->be.mem);
}

int
vhostx_priv_dump(struct rte_eth_dev *dev, FILE *file)
{
	struct vhostx_port *port = dev->data->dev_private;
	struct sink sink = { .file = file };

	pthread_mutex_lock(&port->lock);
	describe_port(&sink, port);
	pthread_mutex_unlock(&port->lock);
	return 0;
}

/* --- telemetry commands ---------------------------------------------------------------------------- */

/* The number at @a params, which is set to what follows it. @return -1 if there is none. */
static long
params_number(const char **params)
{
	char *end;
	long number;

	if (*params == NULL || **params < '0' || **params > '9')
		return -1;
	number = strtol(*params, &end, 10);
	*params = end;
	return number;
}

/* The port that @a id, a number of any size, names. @return as vhostx_ports_lock(). */
static struct vhostx_port *
port_lock(long id)
{
	return id < 0 || id >= RTE_MAX_ETHPORTS ? NULL : vhostx_ports_lock(id);
}

static int
handle_list(const char *cmd __rte_unused, const char *params __rte_unused, struct rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_INT_VAL);
	for (uint16_t id = 0; id < RTE_MAX_ETHPORTS; id++) {
		struct vhostx_port *port = vhostx_ports_lock(id);

		if (port == NULL)
			continue;
		vhostx_ports_unlock(port);
		rte_tel_data_add_array_int(d, id);
	}
	return 0;
}

static int
handle_info(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct sink sink = { .dict = d };
	const long id = params_number(&params);
	struct vhostx_port *port;

	if (id < 0 || *params != '\0')
		return -EINVAL;
	port = port_lock(id);
	if (port == NULL)
		return -ENODEV;
	rte_tel_data_start_dict(d);
	describe_port(&sink, port);
	vhostx_ports_unlock(port);
	return 0;
}

static int
handle_ring(const char *cmd __rte_unused, const char *params, struct rte_tel_data *d)
{
	struct sink sink = { .dict = d };
	const long id = params_number(&params);
	struct vhostx_port *port;
	long idx;
	int ret = -EINVAL;

	if (id < 0 || *params++ != ',')
		return -EINVAL;
	idx = params_number(&params);
	if (idx < 0 || *params != '\0')
		return -EINVAL;
	port = port_lock(id);
	if (port == NULL)
		return -ENODEV;
	if (idx < port->be.nr_vrings) {
		rte_tel_data_start_dict(d);
		describe_ring(&sink, port, idx);
		ret = 0;
	}
	vhostx_ports_unlock(port);
	return ret;
}

RTE_INIT(vhostx_telemetry_register)
{
	rte_telemetry_register_cmd("/vhostx/list", handle_list,
		"Returns the ids of net_vhostx ports. Takes no parameters");
	rte_telemetry_register_cmd("/vhostx/info", handle_info,
		"Returns the connection, memory and rings of a port. Parameters: int port_id");
	rte_telemetry_register_cmd("/vhostx/ring", handle_ring,
		"Returns state and counters of a ring. Parameters: int port_id, int ring");
}
