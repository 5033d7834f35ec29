/* SPDX-License-Identifier: Apache-2.0 */
#include "core/storage.h"

#include <stdio.h>
#include <string.h>

#include "auth/sealed.h"
#include "base/clock.h"
#include "base/hex.h"
#include "core/ids.h"
#include "core/notify.h"
#include "core/operation.h"
#include "core/table.h"

#define KEY_BYTES 32

/* ---- targets ---- */

#define ARBITER "arbiter="

/* However it is written: what reads the URL may see less in it, not more. */
bool target_uses_directory(const char *url)
{
	return strncmp(url, "dir:", 4) == 0 || strstr(url, ARBITER "dir:") != NULL;
}

static int check_url(const char *url, struct err *e)
{
	bool bucket = strncmp(url, "s3:", 3) == 0 && url[3];

	if (bucket && strstr(url, ARBITER) && !strstr(url, ARBITER "dir:/") &&
	    !strstr(url, ARBITER "s3:"))
		return err_set(e, ERR_INVALID,
			       "Invalid input for field/attribute target.url. Value: %.100s. Its "
			       "arbiter is to be dir:/PATH or s3:BUCKET.",
			       url);
	if (bucket || strncmp(url, "dir:/", 5) == 0)
		return 0;
	return err_set(e, ERR_INVALID,
		       "Invalid input for field/attribute target.url. Value: %.100s. Write it as "
		       "dir:/PATH or s3:BUCKET/PREFIX or s3:https://HOST/BUCKET/PREFIX.",
		       url);
}

int target_set_credentials(struct core *c, struct db_tx *t, const char *id,
			   const json_t *credentials, struct err *e)
{
	AUTO_FREE char *text = json_text(credentials);
	AUTO(secret) s = secret_of(text, strlen(text));

	secret_wipe(text, strlen(text));
	return sealed_set(c->auth, t, "targets", id, "credentials", s, e);
}

int target_insert(struct core *c, struct db_tx *t, const struct target_new *n,
		  char ret_id[UUID_TEXT], struct err *e)
{
	AUTO_FREE char *options = n->options ? json_text(n->options) : xstrdup("{}");

	if (check_url(n->url, e) < 0)
		return -1;
	new_id(ret_id);
	if (db_exec(t, NULL, e,
		    "INSERT INTO targets (id, project_id, name, description, url, options, "
		    "mover_id, status, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, "
		    "'unknown', $8, $8)",
		    db_t(ret_id), db_t0(n->project), db_t(n->name), db_t(n->description),
		    db_t(n->url), db_t(options), db_t0(n->mover), db_i(clock_wall_us())) < 0) {
		if (e && e->kind == ERR_EXISTS)
			err_set(e, ERR_EXISTS, "There is a target with the url '%.200s' already.",
				n->url);
		return -1;
	}
	return n->credentials ? target_set_credentials(c, t, ret_id, n->credentials, e) : 0;
}

/* Is there a row? 1, 0, -1 */
static int any(struct db_tx *t, const char *sql, const char *id, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, sql, db_t(id));

	return r ? db_next(r, e) : -1;
}

int target_remove(struct db_tx *t, const char *id, struct err *e)
{
	int used = any(t, "SELECT 1 FROM providers WHERE target_id = $1", id, e);
	uint64_t n;

	if (used == 0)
		used = any(t,
			   "SELECT 1 FROM checkpoint_resources r JOIN repositories p ON p.id = "
			   "r.repository_id WHERE p.target_id = $1",
			   id, e);
	if (used > 0)
		return err_set(e, ERR_BUSY,
			       "Target '%s' is in use: remove the providers and checkpoints that "
			       "are in it first.",
			       id);
	if (used < 0 ||
	    db_exec(t, NULL, e, "DELETE FROM repositories WHERE target_id = $1", db_t(id)) < 0 ||
	    sealed_remove(t, "targets", id, NULL, e) < 0 ||
	    db_exec(t, &n, e, "DELETE FROM targets WHERE id = $1", db_t(id)) < 0)
		return -1;
	return n ? 0 : err_set(e, ERR_NOENT, "There is no target '%s'.", id);
}

int provider_remove(struct db_tx *t, const char *id, struct err *e)
{
	int used = any(t, "SELECT 1 FROM plans WHERE provider_id = $1", id, e);
	uint64_t n;

	if (used > 0)
		return err_set(e, ERR_BUSY, "Provider '%s' is in use: remove its plans first.", id);
	if (used < 0 || db_exec(t, &n, e, "DELETE FROM providers WHERE id = $1", db_t(id)) < 0)
		return -1;
	return n ? 0 : err_set(e, ERR_NOENT, "There is no provider '%s'.", id);
}

/* ---- repositories ---- */

static int make_repository(struct core *c, struct db_tx *t, const char *target, const char *url,
			   const char *project, char ret_id[UUID_TEXT], struct err *e)
{
	AUTO(secret) key = secret_new(KEY_BYTES);
	AUTO_FREE char *own = NULL;
	size_t n = strlen(url);

	while (n > 1 && url[n - 1] == '/')
		n--;
	own = xasprintf("%.*s/%s", (int)n, url, project);
	random_bytes(key->data, key->len);
	new_id(ret_id);
	if (db_exec(t, NULL, e,
		    "INSERT INTO repositories (id, target_id, project_id, url, created_at) VALUES "
		    "($1, $2, $3, $4, $5)",
		    db_t(ret_id), db_t(target), db_t(project), db_t(own),
		    db_i(clock_wall_us())) < 0)
		return -1;
	return sealed_set(c->auth, t, "repositories", ret_id, "key", key, e);
}

int repository_of(struct core *c, struct db_tx *t, const char *provider, const char *project,
		  char ret_id[UUID_TEXT], struct err *e)
{
	AUTO(db_rows) r = NULL;
	int have;

	r = db_query(t, e,
		     "SELECT t.id, t.url, r.id FROM providers p JOIN targets t ON t.id = "
		     "p.target_id LEFT JOIN repositories r ON r.target_id = t.id AND r.project_id "
		     "= $2 WHERE p.id = $1",
		     db_t(provider), db_t(project));
	have = r ? db_next(r, e) : -1;
	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no provider '%s'.", provider);
	if (have < 0)
		return -1;
	if (!db_is_null(r, 2)) {
		snprintf(ret_id, UUID_TEXT, "%s", db_text(r, 2));
		return 0;
	}
	return make_repository(c, t, db_text(r, 0), db_text(r, 1), project, ret_id, e);
}

static int add_credentials(struct core *c, struct db_tx *t, const char *target, json_t *o,
			   struct err *e)
{
	AUTO(secret) s = NULL;
	int has = sealed_has(t, "targets", target, "credentials", e);

	if (has <= 0)
		return has;
	s = sealed_get(c->auth, t, "targets", target, "credentials", e);
	if (!s)
		return -1;
	json_object_set_new(o, "credentials", json_loadb((char *)s->data, s->len, 0, NULL));
	return 0;
}

int repository_access(struct core *c, struct db_tx *t, const char *id, json_t **ret, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT url, target_id FROM repositories WHERE id = $1", db_t(id));
	AUTO(secret) key = NULL;
	char hex[2 * KEY_BYTES + 1];
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no repository '%s'.", id);
	if (have < 0)
		return -1;
	key = sealed_get(c->auth, t, "repositories", id, "key", e);
	if (!key || key->len != KEY_BYTES)
		return -1;
	hex_encode(key->data, KEY_BYTES, hex);
	*ret = json_pack("{s:s, s:s}", "url", db_text(r, 0), "key", hex);
	secret_wipe(hex, sizeof(hex));
	if (add_credentials(c, t, db_text(r, 1), *ret, e) < 0) {
		json_decref(*ret);
		return -1;
	}
	return 0;
}

int target_access(struct core *c, struct db_tx *t, const char *id, json_t **ret, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT url FROM targets WHERE id = $1", db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no target '%s'.", id);
	if (have < 0)
		return -1;
	*ret = json_pack("{s:s}", "url", db_text(r, 0));
	if (add_credentials(c, t, id, *ret, e) < 0) {
		json_decref(*ret);
		return -1;
	}
	return 0;
}

int repository_place(struct db_tx *t, const char *id, char ret[OPERATION_PLACE], struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT t.mover_id FROM repositories r JOIN targets t ON t.id = r.target_id "
		     "WHERE r.id = $1",
		     db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no repository '%s'.", id);
	if (have > 0)
		operation_place(db_text(r, 0), ret);
	return have < 0 ? -1 : 0;
}

int repository_add_init(struct core *c, struct db_tx *t, const char *operation, const char *id,
			char ret_step[UUID_TEXT], struct err *e)
{
	char place[OPERATION_PLACE];
	struct flow_step_new s = {
		.kind = "target.init", .place = place, .name = "open the repository"};
	int done;

	if (repository_place(t, id, place, e) < 0)
		return -1;
	s.input = json_pack("{s:s}", "repository_id", id);
	done = flow_add(c->flow, t, operation, &s, ret_step, e);
	json_decref(s.input);
	return done;
}

/* ---- looking after them ---- */

/* A number of a result; null is not known. */
static struct db_value number_in(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return json_is_integer(v) ? db_i(json_integer_value(v)) : db_null();
}

static int settle_check(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	const json_t *r = s->result;
	int64_t total = json_integer_value(json_object_get(r, "total_bytes"));
	int64_t free_bytes = json_integer_value(json_object_get(r, "free_bytes"));
	uint64_t now = clock_wall_us();

	if (db_exec(t, NULL, e,
		    "UPDATE targets SET status = 'available', reason = NULL, total_bytes = $2, "
		    "free_bytes = $3, stored_bytes = $4, checked_at = $5 WHERE id = $1",
		    db_t(s->subject), number_in(r, "total_bytes"), number_in(r, "free_bytes"),
		    number_in(r, "stored_bytes"), db_i(now)) < 0)
		return -1;
	return notify_target(t, s->subject, NULL, total, free_bytes, now, e);
}

static int failed_check(struct db_tx *t, const struct flow_step *s, const struct err *why,
			struct err *e)
{
	uint64_t now = clock_wall_us();

	if (db_exec(t, NULL, e,
		    "UPDATE targets SET status = 'error', reason = $2, checked_at = $3 WHERE id "
		    "= $1",
		    db_t(s->subject), db_t(why->msg), db_i(now)) < 0)
		return -1;
	return why->kind == ERR_CANCELLED ? 0
					  : notify_target(t, s->subject, why->msg, 0, 0, now, e);
}

/* From now on there may be something in it. Steps that store need this one. */
static int settle_init(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return db_exec(t, NULL, e,
		       "UPDATE repositories SET made_at = $2 WHERE id = $1 AND made_at IS NULL",
		       db_t(json_text_in(s->input, "repository_id")), db_i(clock_wall_us()));
}

const struct flow_kind storage_init = {.name = "target.init", .settle = settle_init};
const struct flow_kind storage_check = {
	.name = "target.measure", .settle = settle_check, .failed = failed_check, .attempts = 2};
const struct flow_operation_kind operation_target_check = {.name = "target_check"};

int target_check(struct core *c, struct db_tx *t, const char *project, const char *id,
		 const char *created_by, char ret_operation[UUID_TEXT], struct err *e)
{
	const struct operation_link link = {"target", id};
	struct flow_operation_new o = {
		.kind = "target_check", .subject = id, .created_by = created_by, .priority = 10};
	struct flow_step_new s = {.kind = "target.measure", .name = "look at the target"};
	AUTO(db_rows)
	r = db_query(t, e, "SELECT name, mover_id FROM targets WHERE id = $1", db_t(id));
	AUTO_FREE char *name = NULL;
	char place[OPERATION_PLACE];
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no target '%s'.", id);
	if (have < 0)
		return -1;
	name = xasprintf("check target %s", db_text(r, 0));
	o.name = name;
	o.project = project;
	s.place = operation_place(db_text(r, 1), place);
	s.input = json_pack("{s:s}", "target_id", id);
	have = operation_start_one(c, t, &o, &link, 1, &s, ret_operation, e);
	json_decref(s.input);
	return have;
}
