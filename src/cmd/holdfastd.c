/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfastd: the server. What it consists of.
 */
#include <string.h>

#include "cmd/parts.h"

static const struct daemon_flag flags[] = {
	{"--roles", "ROLE,...", "server", "roles",
	 "what this process does: api, scheduler, worker, conductor"},
	{"--listen", "ADDRESS:PORT", "server", "listen", "where to listen"},
	{"--database", "URL", "database", "url", "where all state is kept"},
	{"--state", "DIRECTORY", "state", "directory", "where keys and certificates are kept"},
	{0},
};

/* Each may use what those before it offer. */
static const struct daemon_part *const parts[] = {
	&part_state,	 &part_db,     &part_auth, &part_flow,
	&part_scheduler, &part_notify, &part_api,  &part_conductor,
	&part_httpd,	 &part_mover,  NULL,
};

static unsigned roles_of(const struct config *c)
{
	static const struct {
		const char *name;
		enum daemon_role role;
	} rows[] = {
		{"api", ROLE_API},
		{"scheduler", ROLE_SCHEDULER},
		{"worker", ROLE_WORKER},
		{"conductor", ROLE_CONDUCTOR},
	};
	unsigned roles = 0;

	for (const char *const *name = config_list(c, "server", "roles"); *name; name++) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			roles |= strcmp(*name, rows[i].name) == 0 ? (unsigned)rows[i].role : 0;
	}
	return roles;
}

const struct daemon_program holdfastd_program = {
	.name = "holdfastd",
	.summary = "The server of Holdfast: backup as a service for private clouds.",
	.config_file = HF_SYSCONFDIR "/holdfast/holdfastd.conf",
	.schema = &holdfastd_schema,
	.flags = flags,
	.parts = parts,
	.tasks = holdfastd_tasks,
	.roles = roles_of,
};
