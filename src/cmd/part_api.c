/* SPDX-License-Identifier: Apache-2.0 */
/* The REST API. */
#include "cmd/parts.h"

#include "api/api.h"

static int start(struct daemon *d, struct err *e)
{
	const struct api_options o = {
		.public_url = config_text(d->config, "server", "public_url"),
		.dashboard = config_text(d->config, "server", "dashboard"),
		.project_rate = (unsigned)config_int(d->config, "limits", "requests_per_project"),
		.address_rate = (unsigned)config_int(d->config, "limits", "requests_per_address"),
	};
	const struct httpd_route *routes;
	size_t n;

	d->api = api_new(d->core, &o, e);
	if (!d->api)
		return -1;
	routes = api_httpd_routes(d->api, &n);
	daemon_add_routes(d, routes, n);
	api_httpd_options(d->api, &d->http);
	return 0;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)timeout_ms;
	api_free(d->api);
	d->api = NULL;
}

const struct daemon_part part_api = {
	.name = "API",
	.roles = ROLE_API,
	.start = start,
	.stop = stop,
};
