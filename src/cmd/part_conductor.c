/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side of the link to movers. */
#include "cmd/parts.h"

#include "core/jobs.h"
#include "core/service.h"
#include "link/conductor.h"

static struct conductor *conductor; /* there is one in the process */

static int start(struct daemon *d, struct err *e)
{
	const struct httpd_route *routes;
	size_t n;

	conductor = conductor_new(&(const struct conductor_options){.db = d->db,
								    .flow = d->core->flow,
								    .fill = job_fill,
								    .arg = d->core,
								    .may = services_conductor_may,
								    .may_arg = d->core->services},
				  e);
	if (!conductor)
		return -1;
	routes = conductor_routes(conductor, &n);
	daemon_add_routes(d, routes, n);
	return 0;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	(void)timeout_ms;
	conductor_free(conductor);
	conductor = NULL;
}

const struct daemon_part part_conductor = {
	.name = "conductor",
	.roles = ROLE_CONDUCTOR,
	.start = start,
	.stop = stop,
};
