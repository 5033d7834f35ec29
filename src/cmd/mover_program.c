/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holdfast-mover as a daemon: what it consists of.
 */
#include "cmd/mover.h"

#include <unistd.h>

#include "cmd/parts.h"

char *mover_path(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	return n > 0 ? xstrndup(path, (size_t)n) : xstrdup("holdfast-mover");
}

static const struct daemon_flag flags[] = {
	{"--server", "URL", "server", "url", "how the server is reached"},
	{"--invitation-file", "FILE", "server", "invitation_file",
	 "a file with the server's invitation"},
	{"--state", "DIRECTORY", "state", "directory", "where identity and results are kept"},
	{0},
};

static const struct daemon_part *const parts[] = {
	&part_state,
	&part_dial,
	NULL,
};

const struct daemon_program mover_program = {
	.name = "holdfast-mover",
	.summary = "Moves data for a server of Holdfast, next to the disks.",
	.config_file = HF_SYSCONFDIR "/holdfast/holdfast-mover.conf",
	.schema = &mover_schema,
	.flags = flags,
	.parts = parts,
};
