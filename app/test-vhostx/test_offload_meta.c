/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 net_vhostx developers
 *
 * What a packet was received with becomes its virtio-net header, or checksums, when it is sent on;
 * guest/guest_ip.c is the judge.
 */
#include "test_offload_send.h"

/* A packet as another port's guest sent it, received by an application that looks at no flag. */
static struct rte_mbuf *
received(const struct vhostx_offload_conf *conf, const struct guest_ip *ip, uint16_t gso_size,
	struct virtio_net_hdr *h, const uint32_t *cut)
{
	const uint32_t len = guest_ip_build(buf, ip);
	struct guest_net_hdr hdr;
	struct rte_mbuf *m;

	guest_ip_leave(buf, len, gso_size, &hdr);
	*h = rig_hdr(&hdr);
	m = rig_mbuf_of(buf, len, cut);
	assert_int_equal(vhostx_offload_receive(conf, h, m), VHOSTX_NO_CAUSE);
	return m;
}

static void
test_offload_meta_is_passed_on(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip) * 2 * RIG_NR(rig_ip_cuts); i++) {
		struct guest_ip ip = rig_ip[i % RIG_NR(rig_ip)];
		const uint16_t gso_size = i / RIG_NR(rig_ip) % 2 * 500;
		struct virtio_net_hdr in, out;
		struct rte_mbuf *m;

		ip.payload += gso_size * 3;
		m = received(&conf, &ip, gso_size, &in, rig_ip_cuts[i / RIG_NR(rig_ip) / 2]);
		m->tx_offload = 0;
		send_whole(&conf, m, RIG_OFFLOADS, &out);
		if (gso_size == 0)
			in.hdr_len = 0;
		assert_memory_equal(&in, &out, sizeof(in));
		assert_memory_equal(sent, buf, m->pkt_len);
		rte_pktmbuf_free(m);
	}
}

static void
test_offload_meta_is_finished_for_plain_guests(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct virtio_net_hdr hdr;
	struct rte_mbuf *m;

	(void)state;
	for (size_t i = 0; i < RIG_NR(rig_ip); i++) {
		m = received(&conf, &rig_ip[i], 0, &hdr, rig_ip_cuts[i % 4]);
		send_whole(&conf, m, NONE_OF_THEM, &hdr);
		assert_no_offload(&hdr);
		assert_true(guest_ip_is_right(sent, m->pkt_len));
		rte_pktmbuf_free(m);
	}
}

/* What applications do to packets. */
enum change { MACS, TTL, ADDRESSES_SWAPPED, PORTS, ADDRESS, FINISHED, PAYLOAD, PUSH, PREPEND,
	TRIM, ADJUST, APPEND, COPY, CHANGES };

/* Those after which the header that came with the packet is still right. */
static const bool harmless[CHANGES] = { [MACS] = true, [TTL] = true, [ADDRESSES_SWAPPED] = true,
	[PORTS] = true, [PAYLOAD] = true };

static void
change_bytes(uint8_t *p, enum change change)
{
	uint8_t swap[4];

	switch (change) {
	case MACS:
		memset(p, 0x42, 12);
		break;
	case TTL: /* and the checksum, RFC 1141 */
		p[22]--;
		guest_ip_put16(&p[24], guest_ip_get16(&p[24]) + 0x100);
		break;
	case ADDRESSES_SWAPPED:
		memcpy(swap, &p[26], 4);
		memmove(&p[26], &p[30], 4);
		memcpy(&p[30], swap, 4);
		break;
	case PORTS:
		p[35]++;
		break;
	case ADDRESS:
		p[29]++;
		break;
	case FINISHED:
		guest_ip_build(p, &rig_ip[0]);
		break;
	case PAYLOAD:
		p[60]++;
		break;
	default:
		break;
	}
}

static struct rte_mbuf *
change(struct rte_mbuf *m, enum change change)
{
	struct rte_mbuf *copy;

	change_bytes(rte_pktmbuf_mtod(m, uint8_t *), change);
	switch (change) {
	case PUSH:
		m->vlan_tci = 3;
		assert_int_equal(rte_vlan_insert(&m), 0);
		break;
	case PREPEND:
		memset(rte_pktmbuf_prepend(m, 8), 0x11, 8);
		break;
	case TRIM:
		assert_int_equal(rte_pktmbuf_trim(m, 4), 0);
		break;
	case ADJUST:
		assert_non_null(rte_pktmbuf_adj(m, 14));
		break;
	case APPEND:
		memset(rte_pktmbuf_append(m, 9), 0x11, 9);
		break;
	case COPY:
		copy = rte_pktmbuf_copy(m, rig_pool, 0, UINT32_MAX);
		assert_non_null(copy);
		rte_pktmbuf_free(m);
		return copy;
	default:
		break;
	}
	return m;
}

/* An application that changed the packet gets its bytes sent as they are, or a header that fits them. */
static void
test_offload_meta_and_changed_packets(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();

	(void)state;
	for (uint32_t i = 0; i < CHANGES * 2; i++) {
		const uint16_t gso_size = i % 2 * 30;
		struct virtio_net_hdr in, out;
		struct rte_mbuf *m = received(&conf, &rig_ip[0], gso_size, &in, rig_ip_cuts[0]);

		m = change(m, i / 2);
		send_whole(&conf, m, RIG_OFFLOADS, &out);
		assert_memory_equal(sent, rig_bytes(m), m->pkt_len);
		if (harmless[i / 2]) {
			assert_int_equal(out.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
			assert_int_equal(out.gso_size, gso_size);
			assert_true(guest_ip_is_begun(sent, m->pkt_len));
		} else {
			assert_no_offload(&out);
		}
		rte_pktmbuf_free(m);
	}
}

/* A clone is the same packet; its header may be used as well. */
static void
test_offload_meta_of_clones(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct virtio_net_hdr in, out;
	struct rte_mbuf *m = received(&conf, &rig_ip[0], 30, &in, rig_ip_cuts[1]);
	struct rte_mbuf *clone = rte_pktmbuf_clone(m, rig_pool);

	(void)state;
	assert_non_null(clone);
	send_whole(&conf, clone, RIG_OFFLOADS, &out);
	assert_memory_equal(&in, &out, sizeof(in));
	rte_pktmbuf_free(clone);
	rte_pktmbuf_free(m);
}

/* Flags of the application count more than what was received. */
static void
test_offload_flags_before_meta(void **state)
{
	const struct vhostx_offload_conf conf = rig_conf();
	struct virtio_net_hdr in, out;
	struct rte_mbuf *m = received(&conf, &rig_ip[0], 30, &in, rig_ip_cuts[0]);

	(void)state;
	m->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_TCP_SEG;
	m->tso_segsz = 40;
	send_whole(&conf, m, RIG_OFFLOADS, &out);
	assert_int_equal(out.gso_size, 40);
	m->ol_flags &= ~RTE_MBUF_F_TX_TCP_SEG;
	m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
	send_whole(&conf, m, RIG_OFFLOADS, &out);
	assert_int_equal(out.gso_size, 0);
	/* A router makes the checksum of IP and leaves the rest alone. */
	m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
	m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
	rte_pktmbuf_mtod(m, uint8_t *)[22]--;
	send_whole(&conf, m, RIG_OFFLOADS, &out);
	assert_memory_equal(&in, &out, sizeof(in));
	assert_true(guest_ip_is_begun(sent, m->pkt_len));
	rte_pktmbuf_free(m);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offload_meta_is_passed_on),
		cmocka_unit_test(test_offload_meta_is_finished_for_plain_guests),
		cmocka_unit_test(test_offload_meta_and_changed_packets),
		cmocka_unit_test(test_offload_meta_of_clones),
		cmocka_unit_test(test_offload_flags_before_meta),
	};

	rig_eal();
	return rig_end(cmocka_run_group_tests_name("test_offload_meta", tests, NULL, NULL));
}
