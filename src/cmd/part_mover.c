/* SPDX-License-Identifier: Apache-2.0 */
/* The mover on this machine, where the configuration wants one. */
#include "cmd/parts.h"

#include <string.h>
#include <unistd.h>

#include "link/local_mover.h"

static struct local_mover *mover; /* there is one in the process */

static void check(const struct config *c, struct config_problems *p)
{
	const char *program = config_text(c, "mover", "program");

	if (config_bool(c, "mover", "local") && access(program, X_OK) < 0)
		config_problem(
			c, "mover", "program", p,
			"it cannot be run: install the package holdfast-mover, or set [mover] "
			"local = no");
}

/* How this process is reached from this machine. */
static char *own_url(struct daemon *d)
{
	const char *scheme = config_bool(d->config, "server", "tls") ? "https" : "http";
	const char *const *listen = config_list(d->config, "server", "listen");
	const char *host = "127.0.0.1";

	/* An address of its own; "*" is any. */
	if (strncmp(listen[0], "[::1]", 5) == 0)
		host = "[::1]";
	return xasprintf("%s://%s:%u", scheme, host, (unsigned)httpd_port(d->httpds[0]));
}

static int start(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	const char *state = config_text(c, "state", "directory");
	const char *public_url = config_text(c, "server", "public_url");
	bool own_authority =
		config_bool(c, "server", "tls") && !config_text(c, "server", "certificate");
	AUTO_FREE char *ca = own_authority ? xasprintf("%s/ca.pem", state) : NULL;
	AUTO_FREE char *folder = xasprintf("%s/mover", state);
	AUTO_FREE char *url = NULL;

	if (!config_bool(c, "mover", "local"))
		return 0;
	/* A certificate that was given is for the name that clients use. */
	url = config_text(c, "server", "certificate") && public_url ? xstrdup(public_url)
								    : own_url(d);
	mover = local_mover_start(
		&(const struct local_mover_options){
			.db = d->db,
			.program = config_text(c, "mover", "program"),
			.server = url,
			.ca = ca,
			.state = folder,
			.slots = (unsigned)config_int(c, "mover", "slots"),
			.drain_us = config_us(c, "server", "drain") / 2},
		e);
	return mover ? 0 : -1;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	local_mover_stop(mover, timeout_ms);
	mover = NULL;
}

const struct daemon_part part_mover = {
	.name = "local mover",
	.roles = ROLE_CONDUCTOR,
	.check = check,
	.start = start,
	.stop = stop,
};
