/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/uuid.h"
#include "platform/libvirt/priv.h"

/* libvirt's codes that mean something to our callers; everything else is an I/O error. */
static enum err_kind kind_of(int code)
{
	switch (code) {
	case VIR_ERR_NO_DOMAIN:
	case VIR_ERR_NO_STORAGE_POOL:
	case VIR_ERR_NO_STORAGE_VOL:
	case VIR_ERR_NO_NETWORK:
	case VIR_ERR_NO_DOMAIN_CHECKPOINT:
		return ERR_NOENT;
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_AUTH_CANCELLED:
	case VIR_ERR_ACCESS_DENIED:
	case VIR_ERR_OPERATION_DENIED:
		return ERR_DENIED;
	case VIR_ERR_NO_CONNECT:
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_RPC:
		return ERR_UNREACHABLE;
	case VIR_ERR_OPERATION_TIMEOUT:
	case VIR_ERR_AGENT_UNRESPONSIVE:
		return ERR_TIMEOUT;
	case VIR_ERR_CONFIG_UNSUPPORTED:
	case VIR_ERR_OPERATION_UNSUPPORTED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED:
		return ERR_UNSUPPORTED;
	case VIR_ERR_DOM_EXIST:
		return ERR_EXISTS;
	default:
		return ERR_IO;
	}
}

int lv_code(void)
{
	const virError *v = virGetLastError();

	return v ? v->code : VIR_ERR_OK;
}

int lv_fail(struct err *e, const char *what, ...)
{
	const virError *v = virGetLastError();
	char prefix[256];
	va_list ap;

	va_start(ap, what);
	vsnprintf(prefix, sizeof(prefix), what, ap);
	va_end(ap);
	return err_set(e, kind_of(lv_code()), "%s: %s", prefix,
		       v && v->message ? v->message : "libvirt gave no reason");
}

/* libvirt prints every error unless told not to. */
static void keep_quiet(void *arg, virErrorPtr error)
{
	(void)arg;
	(void)error;
}

/* Is the connection to this machine? A URI without a host is; else the names decide. */
static bool is_local(const char *uri, const char *host)
{
	const char *authority = strstr(uri, "://");
	char here[256] = "";
	size_t n;

	if (authority && authority[3] == '/')
		return true;
	gethostname(here, sizeof(here) - 1);
	n = strlen(here);
	return strncmp(host, here, n) == 0 && (host[n] == 0 || host[n] == '.');
}

static int look_around(struct lv *lv, const char *given, struct err *e)
{
	/* What libvirt says can lack parameters that were given, like the socket. */
	lv->uri = given ? xstrdup(given) : virConnectGetURI(lv->conn);
	lv->host = virConnectGetHostname(lv->conn);
	if (!lv->uri || !lv->host)
		return lv_fail(e, "ask libvirt where it is");
	lv->local = is_local(lv->uri, lv->host);
	return 0;
}

static void lv_free(struct platform *p)
{
	struct lv *lv = (struct lv *)p;

	if (lv->conn)
		virConnectClose(lv->conn);
	free(lv->uri);
	free(lv->host);
	free(lv->p.name);
	free(lv);
}

static const char *state_name(virDomainPtr dom)
{
	static const char *const names[] = {
		[VIR_DOMAIN_RUNNING] = "running",	[VIR_DOMAIN_BLOCKED] = "running",
		[VIR_DOMAIN_PAUSED] = "paused",		[VIR_DOMAIN_SHUTDOWN] = "shutting-down",
		[VIR_DOMAIN_SHUTOFF] = "shut-off",	[VIR_DOMAIN_CRASHED] = "crashed",
		[VIR_DOMAIN_PMSUSPENDED] = "suspended",
	};
	int state, reason;

	if (virDomainGetState(dom, &state, &reason, 0) < 0 || state < 0 ||
	    (size_t)state >= ARRAY_LEN(names) || !names[state])
		return "unknown";
	return names[state];
}

static void describe_disks(virDomainPtr dom, const struct lv_domain_info *info,
			   struct platform_resource *r)
{
	r->disks = xcalloc(info->n_disks, sizeof(*r->disks));
	for (size_t i = 0; i < info->n_disks; i++) {
		const struct lv_disk *d = &info->disks[i];
		virDomainBlockInfo bi;
		uint64_t bytes = 0;

		if (virDomainGetBlockInfo(dom, d->name, &bi, 0) == 0)
			bytes = bi.capacity;
		r->disks[r->n_disks++] = (struct platform_disk){
			xstrdup(d->name), xstrdup(d->source), xstrdup(d->format), bytes};
	}
}

static int describe(virDomainPtr dom, struct platform_resource *r, struct err *e)
{
	AUTO_FREE char *xml = virDomainGetXMLDesc(dom, 0);
	struct lv_domain_info info = {0};

	if (!xml)
		return lv_fail(e, "ask for a domain's definition");
	if (lv_domain_info(xml, &info, e) < 0)
		return -1;
	*r = (struct platform_resource){.type = xstrdup("domain"),
					.id = xstrdup(info.uuid),
					.name = xstrdup(info.name),
					.state = xstrdup(state_name(dom))};
	describe_disks(dom, &info, r);
	r->networks = info.networks;
	r->n_networks = info.n_networks;
	info.networks = NULL;
	info.n_networks = 0;
	lv_domain_info_done(&info);
	return 0;
}

static int lv_list(struct platform *p, struct platform_resource_list *ret_l, struct err *e)
{
	struct lv *lv = (struct lv *)p;
	struct platform_resource_list l = {0};
	virDomainPtr *doms = NULL;
	int n = virConnectListAllDomains(lv->conn, &doms, 0), rc = 0;

	if (n < 0)
		return lv_fail(e, "list the domains of %s", lv->uri);
	l.v = xcalloc((size_t)n, sizeof(*l.v));
	for (int i = 0; i < n; i++) {
		struct err why = {0};

		if (rc == 0 && describe(doms[i], &l.v[l.n], &why) == 0)
			l.n++;
		else if (rc == 0 && why.kind != ERR_NOENT) { /* it may just have gone */
			rc = -1;
			if (e)
				*e = why;
		}
		virDomainFree(doms[i]);
	}
	free(doms);
	if (rc < 0)
		platform_resource_list_done(&l);
	else
		*ret_l = l;
	return rc;
}

static char *version_text(unsigned long v)
{
	return xasprintf("%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
}

static int lv_about(struct platform *p, struct platform_about *ret, struct err *e)
{
	struct lv *lv = (struct lv *)p;
	const char *type = virConnectGetType(lv->conn);
	unsigned long service, hypervisor;

	if (!type || virConnectGetLibVersion(lv->conn, &service) < 0 ||
	    virConnectGetVersion(lv->conn, &hypervisor) < 0)
		return lv_fail(e, "ask %s for its version", lv->uri);
	*ret = (struct platform_about){.uri = xstrdup(lv->uri),
				       .host = xstrdup(lv->host),
				       .version = version_text(service),
				       .hypervisor = xstrdup(type),
				       .hypervisor_version = version_text(hypervisor),
				       .local = lv->local};
	return 0;
}

static const struct platform_ops lv_ops = {
	.free = lv_free,
	.list = lv_list,
	.offers = lv_offers,
	.protect = lv_protect,
	.restore = lv_restore,
	.unmake = lv_unmake,
	.about = lv_about,
};

/* What libvirt calls a system error here is a daemon that is not there. */
static void no_connection(const char *uri, struct err *e)
{
	lv_fail(e, "connect to libvirt at %s", uri ? uri : "its default URI");
	if (e && e->kind == ERR_IO)
		e->kind = ERR_UNREACHABLE;
}

struct platform *libvirt_open(const char *uri, struct err *e)
{
	struct lv *lv = xcalloc(1, sizeof(*lv));

	lv->p.ops = &lv_ops;
	lv->p.name = xstrdup("libvirt");
	virSetErrorFunc(NULL, keep_quiet);
	lv->conn = virConnectOpen(uri);
	if (!lv->conn)
		no_connection(uri, e);
	if (!lv->conn || look_around(lv, uri, e) < 0) {
		lv_free(&lv->p);
		return NULL;
	}
	return &lv->p;
}

virDomainPtr lv_domain(struct lv *lv, const char *ref, struct err *e)
{
	virDomainPtr dom = NULL;
	struct uuid u;

	/* An id first: no domain is to be had in place of another by giving it that for a name. */
	if (uuid_parse(ref, &u))
		dom = virDomainLookupByUUID(lv->conn, u.b);
	if (!dom)
		dom = virDomainLookupByName(lv->conn, ref);
	if (dom)
		return dom;
	if (lv_code() == VIR_ERR_NO_DOMAIN)
		err_set(e, ERR_NOENT, "there is no domain '%s' at %s: see 'holdfast resource list'",
			ref, lv->uri);
	else
		lv_fail(e, "look for domain '%s'", ref);
	return NULL;
}

/* A connection that broke looks alive until something is asked. */
static bool answers(virConnectPtr conn)
{
	unsigned long version;

	return virConnectIsAlive(conn) == 1 && virConnectGetLibVersion(conn, &version) == 0;
}

int lv_revive(struct lv *lv, virDomainPtr *dom, struct err *e)
{
	unsigned char id[VIR_UUID_BUFLEN];
	virConnectPtr conn = NULL;
	virDomainPtr again;
	bool alive = answers(lv->conn);

	if (alive && virDomainGetConnect(*dom) == lv->conn)
		return 0;
	if (virDomainGetUUID(*dom, id) < 0)
		return lv_fail(e, "ask for a domain's UUID");
	/* For another domain we are connected again. */
	if (alive) {
		conn = lv->conn;
		virConnectRef(conn);
	}
	/* It may be starting just now. */
	for (int i = 0; i < 100 && !conn; i++) {
		conn = virConnectOpen(lv->uri);
		if (!conn)
			usleep(100000);
	}
	if (!conn)
		return lv_fail(e, "connect to libvirt at %s again", lv->uri);
	again = virDomainLookupByUUID(conn, id);
	if (!again) {
		lv_fail(e, "find the domain again after libvirt was restarted");
		virConnectClose(conn);
		return -1;
	}
	virDomainFree(*dom);
	virConnectClose(lv->conn);
	lv->conn = conn;
	*dom = again;
	return 0;
}

int lv_check_local(const struct lv *lv, const char *what, struct err *e)
{
	if (lv->local)
		return 0;
	return err_set(e, ERR_UNREACHABLE,
		       "the disks of %s are on host %s, and only a program there reaches them: run "
		       "holdfast on that host, with the same target",
		       what, lv->host);
}

char *lv_definition(virDomainPtr dom, struct err *e)
{
	char *xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE);

	/* A read-only connection does not give secrets. */
	if (!xml)
		xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
	if (!xml)
		lv_fail(e, "ask for the domain's definition");
	return xml;
}
