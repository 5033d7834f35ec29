/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations: what makes them, and, with the role worker, the threads that run their steps; and
 * what this process is among those of the server (core/service.h).
 */
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/ticker.h"
#include "cmd/parts.h"
#include "core/jobs.h"
#include "core/service.h"

#define HELLO_MS 5000

_Static_assert((unsigned)ROLE_API == SERVICE_API && (unsigned)ROLE_SCHEDULER == SERVICE_SCHEDULER &&
		       (unsigned)ROLE_WORKER == SERVICE_WORKER &&
		       (unsigned)ROLE_CONDUCTOR == SERVICE_CONDUCTOR,
	       "roles of a daemon and services have the same bits");

static struct ticker *hello;

static void say_hello(void *arg)
{
	struct err e = {0};

	if (services_hello(arg, &e) < 0)
		log_warn("services: %s", e.msg);
}

static int set_limits(struct db_tx *t, void *arg, struct err *e)
{
	static const struct {
		const char *key, *option;
	} limits[] = {{"project", "operations_per_project"},
		      {"platform", "operations_per_platform"},
		      {"target", "operations_per_target"}};
	const struct daemon *d = arg;

	for (size_t i = 0; i < ARRAY_LEN(limits); i++)
		if (flow_set_limit(t, limits[i].key,
				   (unsigned)config_int(d->config, "limits", limits[i].option),
				   e) < 0)
			return -1;
	return 0;
}

static void close_core(struct core *c)
{
	ticker_stop(steal(&hello));
	flow_free(c->flow);
	zones_free(c->zones);
	services_free(c->services);
	free(c);
}

static int open_core(struct daemon *d, struct core *c, struct err *e)
{
	unsigned workers = (unsigned)config_int(d->config, "worker", "threads");
	char host[256] = "";

	gethostname(host, sizeof(host) - 1);
	c->services = services_new(d->db, host, d->roles, e);
	c->flow = c->services ? flow_new(d->db, d->name, core_kinds, core_operations, e) : NULL;
	if (!c->flow || db_write(d->db, set_limits, d, e) < 0)
		return -1;
	flow_set_user(c->flow, c);
	flow_set_gate(c->flow, services_worker_may, c->services);
	if ((d->roles & ROLE_WORKER) && flow_workers(c->flow, workers, e) < 0)
		return -1;
	hello = ticker_start(say_hello, c->services, HELLO_MS, e);
	return hello ? 0 : -1;
}

static int start(struct daemon *d, struct err *e)
{
	struct core *c = xcalloc(1, sizeof(*c));

	c->db = d->db;
	c->auth = d->auth;
	c->zones = zones_new(NULL);
	if (open_core(d, c, e) < 0) {
		close_core(c);
		return -1;
	}
	d->core = c;
	return 0;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	flow_stop(d->core->flow, timeout_ms);
	close_core(d->core);
	d->core = NULL;
}

const struct daemon_part part_flow = {
	.name = "operations",
	.start = start,
	.stop = stop,
};
