/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of the server.
 */
#include "cmd/parts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "db/db.h"

/* The caller frees. */
static char *url_of(const struct config *c)
{
	const char *url = config_text(c, "database", "url");

	return url ? xstrdup(url)
		   : xasprintf("sqlite:%s/holdfast.db", config_text(c, "state", "directory"));
}

/* SQLite makes files beside the database's, so the folder must be writable. Where it is that of the
 * state, the part of that looks at it. */
static void check(const struct config *c, struct config_problems *p)
{
	const char *url = config_text(c, "database", "url");
	const char *path = url && strncmp(url, "sqlite:", 7) == 0 ? url + 7 : NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;
	AUTO_FREE char *folder = NULL;
	struct err e = {0};

	if (!slash)
		return;
	folder = slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
	if (access(folder, W_OK | X_OK) == 0)
		return;
	err_sys(&e, errno, "the folder '%s' cannot be written to", folder);
	config_problem(c, "database", "url", p, "%s", e.msg);
}

static int start(struct daemon *d, struct err *e)
{
	AUTO_FREE char *url = url_of(d->config);

	d->db = db_open(url, e);
	return d->db ? 0 : -1;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)timeout_ms;
	db_close(d->db);
	d->db = NULL;
}

static int look(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT 1");

	(void)arg;
	return r && db_next(r, e) == 1 ? 0 : -1;
}

static int health(struct daemon *d, struct err *e)
{
	return db_read(d->db, look, NULL, e);
}

const struct daemon_part part_db = {
	.name = "database",
	.check = check,
	.start = start,
	.stop = stop,
	.health = health,
};
