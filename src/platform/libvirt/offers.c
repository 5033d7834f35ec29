/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a restore can name on a host: networks and storage pools, those that are active. A host
 * without libvirt's driver for one of them has none.
 */
#include <string.h>

#include "platform/libvirt/priv.h"

/* -1 from libvirt: none, where there is no driver for them. */
static int none(const struct lv *lv, const char *what, struct err *e)
{
	if (lv_code() == VIR_ERR_NO_SUPPORT)
		return 0;
	return lv_fail(e, "list the %s of %s", what, lv->uri);
}

static int list_networks(const struct lv *lv, struct platform_offers *o, struct err *e)
{
	virNetworkPtr *networks = NULL;
	int n = virConnectListAllNetworks(lv->conn, &networks, VIR_CONNECT_LIST_NETWORKS_ACTIVE);

	if (n < 0)
		return none(lv, "networks", e);
	o->networks = xcalloc((size_t)n, sizeof(*o->networks));
	for (int i = 0; i < n; i++) {
		o->networks[o->n_networks++] = xstrdup(virNetworkGetName(networks[i]));
		virNetworkFree(networks[i]);
	}
	free(networks);
	return 0;
}

/* False where it has just gone. */
static bool describe_pool(virStoragePoolPtr pool, struct platform_pool *ret)
{
	AUTO_FREE char *xml = virStoragePoolGetXMLDesc(pool, 0);
	AUTO_XML doc = xml ? lv_xml_parse(xml, "the pool's definition", NULL) : NULL;
	AUTO_FREE char *path = doc ? lv_xml_text(doc, NULL, "target/path") : NULL;
	virStoragePoolInfo info;

	if (!doc || virStoragePoolGetInfo(pool, &info) < 0)
		return false;
	*ret = (struct platform_pool){xstrdup(virStoragePoolGetName(pool)),
				      xstrdup(path ? path : ""), info.capacity, info.available};
	return true;
}

static int list_pools(const struct lv *lv, struct platform_offers *o, struct err *e)
{
	virStoragePoolPtr *pools = NULL;
	int n = virConnectListAllStoragePools(lv->conn, &pools,
					      VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

	if (n < 0)
		return none(lv, "storage pools", e);
	o->pools = xcalloc((size_t)n, sizeof(*o->pools));
	for (int i = 0; i < n; i++) {
		if (describe_pool(pools[i], &o->pools[o->n_pools]))
			o->n_pools++;
		virStoragePoolFree(pools[i]);
	}
	free(pools);
	return 0;
}

int lv_offers(struct platform *p, struct platform_offers *ret, struct err *e)
{
	const struct lv *lv = (const struct lv *)p;
	struct platform_offers o = {0};

	if (list_networks(lv, &o, e) < 0 || list_pools(lv, &o, e) < 0) {
		platform_offers_done(&o);
		return -1;
	}
	*ret = o;
	return 0;
}
