/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sealed.h: secrets in the database, sealed with the server key: keys of targets, passwords of
 * platforms.
 *
 * A secret belongs to a place, "targets", ID, "key": it can be read only from there, because its
 * place is sealed with it. The server key is a file that the database does not have; who has one of
 * the two has nothing.
 *
 * Threads: thread-safe.
 */
#ifndef HF_AUTH_SEALED_H
#define HF_AUTH_SEALED_H

#include "auth/auth.h"
#include "base/buf.h"

#define SEALED_MAX ((size_t)64 << 10) /* bytes of one secret */

/* Set or replace. `table`, `row` and `name` without '/'; ERR_LIMIT. */
int sealed_set(struct auth *a, struct db_tx *t, const char *table, const char *row,
	       const char *name, const struct secret *value, struct err *e);
/* ERR_NOENT; ERR_KEY: sealed with a key that the key file has not; ERR_CORRUPT. */
struct secret *sealed_get(struct auth *a, struct db_tx *t, const char *table, const char *row,
			  const char *name, struct err *e);
/* 1: there is one, 0: none. */
int sealed_has(struct db_tx *t, const char *table, const char *row, const char *name,
	       struct err *e);
/* `name` NULL: all of the row. None: nothing happens. */
int sealed_remove(struct db_tx *t, const char *table, const char *row, const char *name,
		  struct err *e);

/*
 * For what lies in another table, and not for long: the sealed bytes. sealed_rotate() does not come
 * by there, so they are read with the old key, as long as it is in the file. `place` is theirs
 * alone.
 */
void sealed_wrap(struct auth *a, const char *place, const struct secret *value, struct buf *ret);
/* ERR_KEY, ERR_CORRUPT as above. */
struct secret *sealed_unwrap(struct auth *a, const char *place, const void *data, size_t n,
			     struct err *e);

/*
 * A new key becomes the first of the key file, and everything is sealed anew with it, in batches;
 * what others write meanwhile with the old key is found by the last pass. Harmless to repeat after
 * a failure. The old key stays in the file, after the new one, for backups of the database;
 * *ret_n: how many were sealed anew.
 */
int sealed_rotate(struct auth *a, uint64_t *ret_n, struct err *e);

#endif
