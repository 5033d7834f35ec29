/* SPDX-License-Identifier: Apache-2.0 */
#include "link/movers.h"

#include <stdio.h>
#include <string.h>

#include "flow/flow.h"

#define PLACE_PREFIX "mover:"
#define COLUMNS                                                                                    \
	"id, name, host, version, kinds, capacity, drain, created_by, created_at, last_seen_at, "  \
	"revoked_at"

void mover_row_done(struct mover_row *m)
{
	free(m->name);
	free(m->host);
	free(m->version);
	free(m->created_by);
	json_decref(m->kinds);
	*m = (struct mover_row){0};
}

char *mover_place(const char *id, char out[MOVER_PLACE])
{
	snprintf(out, MOVER_PLACE, PLACE_PREFIX "%s", id);
	return out;
}

const char *mover_at(const char *place)
{
	size_t n = strlen(PLACE_PREFIX);

	return strncmp(place, PLACE_PREFIX, n) == 0 ? place + n : NULL;
}

const char *mover_state(const struct mover_row *m, uint64_t now_us)
{
	if (m->revoked_at)
		return "revoked";
	if (m->last_seen_at + MOVER_SILENT_US < now_us)
		return "offline";
	return m->drain ? "draining" : "online";
}

/* ---- rows ---- */

static void read_row(const struct db_rows *r, struct mover_row *ret)
{
	struct mover_row m = {.name = xstrdup(db_text(r, 1)),
			      .host = xstrdup(db_text(r, 2)),
			      .version = xstrdup(db_text(r, 3)),
			      .kinds = json_loads(db_text(r, 4), 0, NULL),
			      .capacity = db_int(r, 5),
			      .drain = db_int(r, 6) != 0,
			      .created_by = xstrdup(db_text(r, 7)),
			      .created_at = (uint64_t)db_int(r, 8),
			      .last_seen_at = (uint64_t)db_int(r, 9),
			      .revoked_at = (uint64_t)db_int(r, 10)};

	snprintf(m.id, sizeof(m.id), "%s", db_text(r, 0));
	if (!m.kinds)
		m.kinds = json_array();
	*ret = m;
}

/* 1, 0: there is none, -1. Takes the rows. */
static int one_row(struct db_rows *take, struct mover_row *ret, struct err *e)
{
	AUTO(db_rows) r = take;
	int rc = r ? db_next(r, e) : -1;

	if (rc > 0)
		read_row(r, ret);
	return rc;
}

int mover_get(struct db_tx *t, const char *id, struct mover_row *ret, struct err *e)
{
	int rc = one_row(db_query(t, e, "SELECT " COLUMNS " FROM movers WHERE id = $1", db_t(id)),
			 ret, e);

	if (rc == 0)
		return err_set(e, ERR_NOENT, "there is no mover %s", id);
	return rc < 0 ? -1 : 0;
}

/* Takes the rows. */
static int each(struct db_rows *take, mover_each_fn *fn, void *arg, struct err *e)
{
	AUTO(db_rows) r = take;
	int rc = r ? 1 : -1;

	while (rc > 0 && (rc = db_next(r, e)) > 0) {
		struct mover_row m;

		read_row(r, &m);
		rc = fn(arg, &m, e) < 0 ? -1 : 1;
		mover_row_done(&m);
	}
	return rc;
}

int mover_each_revoked(struct db_tx *t, uint64_t since_us, mover_each_fn *fn, void *arg,
		       struct err *e)
{
	return each(db_query(t, e, "SELECT " COLUMNS " FROM movers WHERE revoked_at >= $1",
			     db_i(since_us)),
		    fn, arg, e);
}

int mover_each(struct db_tx *t, const char *after_name, const char *after_id, unsigned most,
	       mover_each_fn *fn, void *arg, struct err *e)
{
	return each(db_query(t, e,
			     "SELECT " COLUMNS
			     " FROM movers WHERE name > $1 OR (name = $1 AND id > "
			     "$2) ORDER BY name, id LIMIT $3",
			     db_t(after_name ? after_name : ""), db_t(after_id ? after_id : ""),
			     db_i(most)),
		    fn, arg, e);
}

/* ---- invitations ---- */

int mover_invite(struct db_tx *t, const char *name, const char *created_by, uint64_t now_us,
		 uint64_t good_for_us, char ret_word[TOKEN_TEXT], struct err *e)
{
	uint8_t hash[TOKEN_HASH];
	char word[TOKEN_TEXT];

	if (!*name || strlen(name) > MOVER_NAME_MAX)
		return err_set(e, ERR_INVALID, "name '%.100s': it has 1 to %d bytes", name,
			       MOVER_NAME_MAX);
	token_new(word);
	token_hash(word, hash);
	if (db_exec(t, NULL, e,
		    "INSERT INTO mover_invitations (token_hash, name, created_by, created_at, "
		    "expires_at) VALUES ($1, $2, $3, $4, $5)",
		    db_b(hash, sizeof(hash)), db_t(name), db_t(created_by), db_i(now_us),
		    db_i(now_us + good_for_us)) < 0)
		return -1;
	memcpy(ret_word, word, sizeof(word));
	return 0;
}

int mover_tidy(struct db_tx *t, uint64_t now_us, struct err *e)
{
	return db_exec(t, NULL, e, "DELETE FROM mover_invitations WHERE expires_at < $1",
		       db_i(now_us));
}

/* ---- registration ---- */

static char *kinds_text(const json_t *kinds)
{
	char *text = kinds ? json_dumps(kinds, JSON_COMPACT) : NULL;

	return text ? text : xstrdup("[]");
}

static int add_mover(struct db_tx *t, const char *id, const char *name, const char *created_by,
		     const uint8_t hash[TOKEN_HASH], const struct mover_hello *h, uint64_t now_us,
		     struct err *e)
{
	AUTO_FREE char *kinds = kinds_text(h->kinds);

	return db_exec(t, NULL, e,
		       "INSERT INTO movers (id, name, host, version, kinds, capacity, token_hash, "
		       "drain, created_by, created_at, last_seen_at) "
		       "VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $9)",
		       db_t(id), db_t(name), db_t(h->host), db_t(h->version), db_t(kinds),
		       db_i(h->capacity), db_b(hash, TOKEN_HASH), db_t(created_by), db_i(now_us));
}

/* The mover with this token; 1, 0, -1. */
static int find_by_token(struct db_tx *t, const uint8_t hash[TOKEN_HASH], struct mover_row *ret,
			 struct err *e)
{
	return one_row(db_query(t, e, "SELECT " COLUMNS " FROM movers WHERE token_hash = $1",
				db_b(hash, TOKEN_HASH)),
		       ret, e);
}

struct invitation {
	char *name, *created_by, *mover;
	uint64_t expires_at;
};

static void invitation_done(struct invitation *i)
{
	free(i->name);
	free(i->created_by);
	free(i->mover);
}

/* 1, 0, -1. */
static int find_invitation(struct db_tx *t, const uint8_t hash[TOKEN_HASH], struct invitation *ret,
			   struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT name, created_by, expires_at, mover_id FROM "
		     "mover_invitations WHERE token_hash = $1",
		     db_b(hash, TOKEN_HASH));
	int rc = r ? db_next(r, e) : -1;

	if (rc > 0)
		*ret = (struct invitation){.name = xstrdup(db_text(r, 0)),
					   .created_by = xstrdup(db_text(r, 1)),
					   .expires_at = (uint64_t)db_int(r, 2),
					   .mover = xstrdup0(db_text_or_null(r, 3))};
	return rc;
}

/* The first time, or again because the answer was lost: then it is its token that was noted. */
static int use_invitation(struct db_tx *t, const struct invitation *i,
			  const uint8_t invitation[TOKEN_HASH], const uint8_t token[TOKEN_HASH],
			  const struct mover_hello *hello, uint64_t now_us, char ret_id[UUID_TEXT],
			  struct err *e)
{
	struct uuid u = uuid_random();
	struct mover_row m = {0};
	int rc = find_by_token(t, token, &m, e);

	if (rc > 0) {
		bool same = i->mover && strcmp(i->mover, m.id) == 0 && !m.revoked_at;

		memcpy(ret_id, m.id, UUID_TEXT);
		mover_row_done(&m);
		return same ? 0 : err_set(e, ERR_DENIED, "this token is another mover's");
	}
	if (rc < 0)
		return -1;
	if (i->mover || i->expires_at < now_us)
		return err_set(e, ERR_DENIED, "this invitation %s: ask for a new one",
			       i->mover ? "was used by another mover" : "has expired");
	uuid_text(&u, ret_id);
	if (add_mover(t, ret_id, i->name, i->created_by, token, hello, now_us, e) < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "UPDATE mover_invitations SET mover_id = $2 WHERE token_hash = $1",
		       db_b(invitation, TOKEN_HASH), db_t(ret_id));
}

int mover_register(struct db_tx *t, const char *invitation, const char *token,
		   const struct mover_hello *hello, uint64_t now_us, char ret_id[UUID_TEXT],
		   struct err *e)
{
	uint8_t word[TOKEN_HASH], hash[TOKEN_HASH];
	struct invitation i = {0};
	int rc;

	if (!token_hash(token, hash))
		return err_set(e, ERR_INVALID,
			       "token: write " TOKEN_PREFIX " and 64 hexadecimal digits");
	rc = token_hash(invitation, word) ? find_invitation(t, word, &i, e) : 0;
	if (rc == 0)
		return err_set(e, ERR_DENIED, "there is no such invitation: ask for a new one");
	if (rc > 0)
		rc = use_invitation(t, &i, word, hash, hello, now_us, ret_id, e);
	invitation_done(&i);
	return rc;
}

int mover_identify(struct db_tx *t, const char *token, struct mover_row *ret, struct err *e)
{
	uint8_t hash[TOKEN_HASH];
	struct mover_row m = {0};
	int rc = token_hash(token, hash) ? find_by_token(t, hash, &m, e) : 0;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_DENIED, "this token is no mover's");
	if (m.revoked_at) {
		mover_row_done(&m);
		return err_set(e, ERR_DENIED, "this mover was revoked");
	}
	*ret = m;
	return 0;
}

int mover_seen(struct db_tx *t, const char *id, const struct mover_hello *hello, uint64_t now_us,
	       struct err *e)
{
	AUTO_FREE char *kinds = hello ? kinds_text(hello->kinds) : NULL;

	if (!hello)
		return db_exec(t, NULL, e,
			       "UPDATE movers SET last_seen_at = $2 WHERE id = $1 AND last_seen_at "
			       "< $2",
			       db_t(id), db_i(now_us));
	return db_exec(t, NULL, e,
		       "UPDATE movers SET last_seen_at = $2, host = $3, version = $4, kinds = $5, "
		       "capacity = $6 WHERE id = $1",
		       db_t(id), db_i(now_us), db_t(hello->host), db_t(hello->version), db_t(kinds),
		       db_i(hello->capacity));
}

/* ---- administration ---- */

/* A statement about one mover; ERR_NOENT if that is not there. */
static int changed(struct db_tx *t, const char *id, uint64_t n, struct err *e)
{
	if (n == 0)
		return err_set(e, ERR_NOENT, "there is no mover %s", id);
	return db_wake(t, MOVERS_WAKE, e);
}

int mover_set_drain(struct db_tx *t, const char *id, bool drain, struct err *e)
{
	uint64_t n;

	if (db_exec(t, &n, e, "UPDATE movers SET drain = $2 WHERE id = $1", db_t(id),
		    db_i(drain ? 1 : 0)) < 0)
		return -1;
	/* Steps may wait for it. */
	return changed(t, id, n, e) < 0 ? -1 : db_wake(t, FLOW_WAKE_STEPS, e);
}

int mover_revoke(struct db_tx *t, const char *id, uint64_t now_us, struct err *e)
{
	uint64_t n;

	if (db_exec(t, &n, e,
		    "UPDATE movers SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1",
		    db_t(id), db_i(now_us)) < 0)
		return -1;
	return changed(t, id, n, e);
}

int mover_forget(struct db_tx *t, const char *id, struct err *e)
{
	struct mover_row m;
	bool revoked;

	if (mover_get(t, id, &m, e) < 0)
		return -1;
	revoked = m.revoked_at != 0;
	mover_row_done(&m);
	if (!revoked)
		return err_set(e, ERR_CONFLICT, "mover %s is not revoked: revoke it first", id);
	return db_exec(t, NULL, e, "DELETE FROM movers WHERE id = $1", db_t(id));
}
