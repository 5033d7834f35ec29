/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder in which the server keeps its keys, certificates and, unless told otherwise, database.
 */
#include "cmd/parts.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *folder_of(const struct config *c)
{
	return config_text(c, "state", "directory");
}

static int look(const char *folder, struct err *e)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		return err_sys(e, errno, "it cannot be looked at");
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID, "it is no folder");
	if (st.st_mode & S_IRWXO)
		return err_set(e, ERR_INVALID,
			       "everybody on this machine may look into it: chmod o-rwx '%s'",
			       folder);
	if (access(folder, R_OK | W_OK | X_OK) < 0)
		return err_sys(e, errno, "it cannot be written to");
	return 0;
}

static void check(const struct config *c, struct config_problems *p)
{
	const char *folder = folder_of(c);
	struct err e = {0};

	/* One that is not there is made. */
	if (look(folder, &e) < 0 && e.sys != ENOENT)
		config_problem(c, "state", "directory", p, "%s", e.msg);
}

static int start(struct daemon *d, struct err *e)
{
	const char *folder = folder_of(d->config);

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "make the folder '%s'", folder);
	return look(folder, e) < 0 ? err_wrap(e, "'%s'", folder) : 0;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	(void)timeout_ms;
}

const struct daemon_part part_state = {
	.name = "state",
	.check = check,
	.start = start,
	.stop = stop,
};
