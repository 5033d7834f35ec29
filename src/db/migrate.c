/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each step looks at what is recorded again, behind a lock that keeps other processes out
 * (migrate_begin): whoever waited finds the step done. If interrupted here: the steps before the
 * one that was under way are recorded, and it left nothing.
 */
#include "db/migrate.h"

#include <string.h>

#include "base/clock.h"
#include "db/db_priv.h"

struct work {
	const struct migration *list;
	size_t n;
	bool applied; /* one was; there may be more */
};

/* ---- the text ---- */

static bool line_is(const char *line, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(line, text, len) == 0;
}

/* A marker "-- only: NAME" opens a block: 1 it is for us, 0 for the other, -1 no marker. */
static int opens(const char *line, size_t len, const char *database)
{
	static const char mark[] = "-- only: ";
	size_t skip = sizeof(mark) - 1;

	if (len < skip || memcmp(line, mark, skip) != 0)
		return -1;
	return line_is(line + skip, len - skip, database);
}

static bool known_database(const char *line, size_t len)
{
	return opens(line, len, "sqlite") != 0 || opens(line, len, "postgresql") != 0;
}

char *migrate_text(const char *sql, const char *database, struct err *e)
{
	bool inside = false, keep = true;
	AUTO_BUF out = BUF_INIT;
	unsigned number = 1;

	for (const char *line = sql; *line; number++) {
		size_t len = strcspn(line, "\n");
		int mark = opens(line, len, database);

		if ((mark >= 0 && inside) || !known_database(line, len)) {
			err_set(e, ERR_INVALID, "line %u: '%.*s' in a block, or of no database",
				number, (int)len, line);
			return NULL;
		}
		if (mark >= 0) {
			inside = true;
			keep = mark;
		} else if (inside && line_is(line, len, "-- end")) {
			inside = false;
			keep = true;
		} else if (keep) {
			buf_add(&out, line, len);
		}
		buf_u8(&out, '\n'); /* so that a database's line numbers are those of the file */
		line += len + (line[len] == '\n');
	}
	if (inside) {
		err_set(e, ERR_INVALID, "a block is not ended");
		return NULL;
	}
	return xstrdup(buf_str(&out));
}

/* ---- what is recorded ---- */

static const struct migration *by_number(const struct work *w, int64_t number)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->list[i].number == number)
			return &w->list[i];
	}
	return NULL;
}

static int check_row(const struct work *w, const struct db_rows *r, struct err *e)
{
	const struct migration *m = by_number(w, db_int(r, 0));

	if (!m)
		return err_set(
			e, ERR_VERSION,
			"a newer holdfast has been at this database (its step %lld, '%s', is "
			"not known here): run that one, or restore the database",
			(long long)db_int(r, 0), db_text(r, 1));
	if (strcmp(m->sha256, db_text(r, 2)) != 0)
		return err_set(
			e, ERR_CORRUPT,
			"step %04u of the database, '%s', was applied with another text than "
			"this program has (SHA-256 %.12s…, here %.12s…): this database is of "
			"another build of holdfast",
			m->number, m->name, db_text(r, 2), m->sha256);
	return 0;
}

/* Mark in `done` those of the list that are recorded. */
static int read_recorded(struct db_tx *t, const struct work *w, bool *done, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT number, name, sha256 FROM schema_migrations ORDER BY number");
	int more = r ? 1 : -1;

	while (more > 0 && (more = db_next(r, e)) > 0) {
		if (check_row(w, r, e) < 0)
			return -1;
		done[by_number(w, db_int(r, 0)) - w->list] = true;
	}
	return more;
}

static int apply(struct db_tx *t, const struct migration *m, struct err *e)
{
	AUTO_FREE char *sql = migrate_text(m->sql, t->db->ops->name, e);

	if (!sql || t->db->ops->script(t, sql, e) < 0 || t->db->ops->migrate_end(t, e) < 0)
		return err_wrap(e, "step %04u of the database, '%s'", m->number, m->name);
	return db_exec(t, NULL, e,
		       "INSERT INTO schema_migrations (number, name, sha256, applied_at) "
		       "VALUES ($1, $2, $3, $4)",
		       db_i(m->number), db_t(m->name), db_t(m->sha256), db_i(clock_wall_us()));
}

static int apply_next(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;
	AUTO_FREE bool *done = xcalloc(w->n + 1, sizeof(*done));

	w->applied = false;
	if (t->db->ops->migrate_begin(t, e) < 0 ||
	    t->db->ops->script(t,
			       "CREATE TABLE IF NOT EXISTS schema_migrations ("
			       "number BIGINT PRIMARY KEY, name TEXT NOT NULL, "
			       "sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)",
			       e) < 0 ||
	    read_recorded(t, w, done, e) < 0)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		if (!done[i]) {
			w->applied = true;
			return apply(t, &w->list[i], e);
		}
	}
	return 0;
}

int migrate(struct db *d, const struct migration *list, size_t n, struct err *e)
{
	struct work w = {.list = list, .n = n};

	do {
		if (db_claim(d, apply_next, &w, e) < 0)
			return -1;
	} while (w.applied);
	return 0;
}
