/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate.h: the schema, brought up to date step by step.
 *
 * A step is a file src/db/migrations/NNNN_name.sql, listed in src/meson.build and built into the
 * program. Steps are applied in the order of their numbers, each in one transaction, and recorded
 * in the table schema_migrations with the SHA-256 of the file. Once released, a file never changes
 * (a database that has applied another text is refused), and nothing goes backwards: an older
 * program refuses a database that a newer one has been at. Several processes may start at once.
 *
 * One text serves SQLite 3.40 and PostgreSQL 15. What that asks for:
 *
 *	ids			TEXT (a UUID); compared and sorted by bytes in both databases
 *	times			BIGINT, microseconds since 1970, UTC
 *	flags			INTEGER 0 or 1, with CHECK
 *	numbers			BIGINT; with a fraction: DOUBLE PRECISION
 *	JSON			TEXT
 *	bytes			BYTEA
 *	numbers that grow	BIGINT that the program assigns in the transaction that inserts:
 *				INSERT … SELECT coalesce(max(seq), 0) + 1 …, with UNIQUE
 *				(SERIALIZABLE, or the one writer, makes that right), or where
 *				gaps are fine and max() would be a hot spot, the block below
 *	no			STRICT, WITHOUT ROWID, SERIAL, JSONB, ENUM, arrays, now(), triggers,
 *				"text in double quotes", tables or columns changed but for
 *				ALTER TABLE … ADD COLUMN, RENAME, DROP COLUMN
 *
 * Where the two must differ, lines between markers are for one of them only:
 *
 *	CREATE TABLE events (
 *	-- only: sqlite
 *		seq INTEGER PRIMARY KEY AUTOINCREMENT,
 *	-- end
 *	-- only: postgresql
 *		seq BIGSERIAL PRIMARY KEY,
 *	-- end
 *		at BIGINT NOT NULL);
 *
 * and the insert leaves `seq` out and ends with RETURNING seq. On PostgreSQL such numbers become
 * visible out of order: who follows them must not skip one that is committed late.
 */
#ifndef HF_DB_MIGRATE_H
#define HF_DB_MIGRATE_H

#include "db/db.h"

struct migration {
	unsigned number; /* 1 … 9999, ascending */
	const char *name;
	const char *sha256; /* 64 digits */
	const char *sql;
};

/* Those that are built in. */
const struct migration *migrate_list(size_t *ret_n);

/*
 * Apply what is missing of `list`. ERR_VERSION: a newer program has been at this database;
 * ERR_CORRUPT: it has applied something else under one of these numbers.
 */
int migrate(struct db *d, const struct migration *list, size_t n, struct err *e);

/* The lines of `sql` that are for the database of this name (db_ops), to be freed. ERR_INVALID. */
char *migrate_text(const char *sql, const char *database, struct err *e);

#endif
