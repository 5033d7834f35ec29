/* SPDX-License-Identifier: Apache-2.0 */
/* Operations: what makes them, and, with the role worker, the threads that run their steps. */
#include "cmd/parts.h"

#include "core/jobs.h"

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

static int start(struct daemon *d, struct err *e)
{
	struct core *c = xcalloc(1, sizeof(*c));

	c->db = d->db;
	c->auth = d->auth;
	c->zones = zones_new(NULL);
	c->flow = flow_new(d->db, d->name, core_kinds, core_operations, e);
	if (c->flow && db_write(d->db, set_limits, d, e) < 0) {
		flow_free(c->flow);
		c->flow = NULL;
	}
	if (!c->flow) {
		zones_free(c->zones);
		free(c);
		return -1;
	}
	flow_set_user(c->flow, c);
	if ((d->roles & ROLE_WORKER) &&
	    flow_workers(c->flow, (unsigned)config_int(d->config, "worker", "threads"), e) < 0) {
		flow_free(c->flow);
		zones_free(c->zones);
		free(c);
		return -1;
	}
	d->core = c;
	return 0;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	flow_stop(d->core->flow, timeout_ms);
	flow_free(d->core->flow);
	zones_free(d->core->zones);
	free(d->core);
	d->core = NULL;
}

const struct daemon_part part_flow = {
	.name = "operations",
	.start = start,
	.stop = stop,
};
