/* SPDX-License-Identifier: Apache-2.0 */
#include "auth_fixture.h"

#include <string.h>

int auth_fixture_reopen(struct auth_fixture *x, struct err *e)
{
	const struct auth_options o = {.key_file = x->key_file,
				       .policy_file =
					       access(x->policy_file, F_OK) ? NULL : x->policy_file,
				       .password_kib = 64,
				       .password_passes = 1};

	auth_close(steal(&x->a));
	x->a = auth_open(x->f.db, &o, e);
	return x->a ? 0 : -1;
}

void auth_fixture_open(struct auth_fixture *x, struct db *d)
{
	*x = (struct auth_fixture){.folder = test_folder()};
	x->f.db = d;
	x->key_file = test_path(x->folder, "server.key");
	x->policy_file = test_path(x->folder, "policy.conf");
	OK(auth_fixture_reopen(x, e));
}

void auth_fixture_close(struct auth_fixture *x)
{
	auth_close(x->a);
	test_folder_done(x->folder);
	free(x->key_file);
	free(x->policy_file);
}

enum op {
	ADD_PROJECT,
	CHANGE_PROJECT,
	REMOVE_PROJECT,
	ADD_USER,
	CHANGE_USER,
	REMOVE_USER,
	GRANT,
	REVOKE_GRANT,
	ADD_TOKEN,
	REVOKE_TOKEN,
	REVOKE_TOKENS,
	USE_UP,
	AUDIT,
	EXEC,
	INT,
	SEAL,
	UNSEAL,
};

struct work {
	enum op op;
	struct auth *a;
	const char *id, *project;
	unsigned role;
	struct project_new np;
	struct project_change cp;
	struct user_new nu;
	struct user_change cu;
	struct token_new nk;
	struct audit_entry entry;
	const char *table, *row, *name;
	struct secret *value;
	char *ret_id, *ret_text;
	int64_t ret_int;
};

static int more_work(struct db_tx *t, struct work *w, struct err *e)
{
	int rc;

	switch (w->op) {
	case USE_UP:
		return tokens_use_up(t, w->id, w->ret_id, e);
	case AUDIT:
		return audit_add(w->a, t, &w->entry, e);
	case EXEC:
		return db_exec_v(t, w->id, NULL, 0, NULL, e);
	case INT: {
		AUTO(db_rows) r = db_query_v(t, w->id, NULL, 0, e);
		rc = r ? db_next(r, e) : -1;
		if (rc > 0)
			w->ret_int = db_int(r, 0);
		return rc < 0 ? -1 : 0;
	}
	case SEAL:
		return sealed_set(w->a, t, w->table, w->row, w->name, w->value, e);
	default:
		secret_free(w->value);
		w->value = sealed_get(w->a, t, w->table, w->row, w->name, e);
		return w->value ? 0 : -1;
	}
}

static int work(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	switch (w->op) {
	case ADD_PROJECT:
		return projects_add(t, &w->np, w->ret_id, e);
	case CHANGE_PROJECT:
		return projects_change(t, w->id, &w->cp, e);
	case REMOVE_PROJECT:
		return projects_remove(t, w->id, e);
	case ADD_USER:
		return users_add(t, &w->nu, w->ret_id, e);
	case CHANGE_USER:
		return users_change(t, w->id, &w->cu, e);
	case REMOVE_USER:
		return users_remove(t, w->id, e);
	case GRANT:
		return grants_add(t, w->id, w->project, w->role, e);
	case REVOKE_GRANT:
		return grants_remove(t, w->id, w->project, w->role, e);
	case ADD_TOKEN:
		return tokens_add(t, &w->nk, w->ret_id, w->ret_text, e);
	case REVOKE_TOKEN:
		return tokens_revoke(t, w->id, e);
	case REVOKE_TOKENS:
		return tokens_revoke_all(t, w->id, e);
	default:
		return more_work(t, w, e);
	}
}

int in_add_project(struct db *d, const char *name, char id[AUTH_ID], struct err *e)
{
	struct work w = {.op = ADD_PROJECT, .np.name = name, .ret_id = id};

	return db_write(d, work, &w, e);
}

int in_change_project(struct db *d, const char *id, struct project_change c, struct err *e)
{
	struct work w = {.op = CHANGE_PROJECT, .id = id, .cp = c};

	return db_write(d, work, &w, e);
}

int in_remove_project(struct db *d, const char *id, struct err *e)
{
	struct work w = {.op = REMOVE_PROJECT, .id = id};

	return db_write(d, work, &w, e);
}

int in_add_user(struct auth_fixture *x, const char *name, char id[AUTH_ID], struct err *e)
{
	AUTO_FREE char *password = xasprintf("password of %s", name);
	AUTO_FREE char *hash = auth_password_hash(x->a, password, e);
	struct work w = {.op = ADD_USER, .nu = {.name = name, .password_hash = hash}, .ret_id = id};

	return hash ? db_write(x->f.db, work, &w, e) : -1;
}

int in_change_user(struct db *d, const char *id, struct user_change c, struct err *e)
{
	struct work w = {.op = CHANGE_USER, .id = id, .cu = c};

	return db_write(d, work, &w, e);
}

int in_remove_user(struct db *d, const char *id, struct err *e)
{
	struct work w = {.op = REMOVE_USER, .id = id};

	return db_write(d, work, &w, e);
}

int in_grant(struct db *d, const char *user, const char *project, unsigned role, struct err *e)
{
	struct work w = {.op = GRANT, .id = user, .project = project, .role = role};

	return db_write(d, work, &w, e);
}

int in_revoke_grant(struct db *d, const char *user, const char *project, unsigned role,
		    struct err *e)
{
	struct work w = {.op = REVOKE_GRANT, .id = user, .project = project, .role = role};

	return db_write(d, work, &w, e);
}

int in_add_token(struct db *d, struct token_new k, char id[AUTH_ID], char text[TOKEN_TEXT],
		 struct err *e)
{
	struct work w = {.op = ADD_TOKEN, .nk = k, .ret_id = id, .ret_text = text};

	return db_write(d, work, &w, e);
}

int in_revoke_token(struct db *d, const char *id, struct err *e)
{
	struct work w = {.op = REVOKE_TOKEN, .id = id};

	return db_write(d, work, &w, e);
}

int in_revoke_tokens(struct db *d, const char *user, struct err *e)
{
	struct work w = {.op = REVOKE_TOKENS, .id = user};

	return db_write(d, work, &w, e);
}

int in_use_up(struct db *d, const char *text, char id[AUTH_ID], struct err *e)
{
	struct work w = {.op = USE_UP, .id = text, .ret_id = id};

	return db_write(d, work, &w, e);
}

int in_audit(struct auth_fixture *x, struct audit_entry entry, struct err *e)
{
	struct work w = {.op = AUDIT, .a = x->a, .entry = entry};

	return db_write(x->f.db, work, &w, e);
}

int in_exec(struct db *d, const char *sql, struct err *e)
{
	struct work w = {.op = EXEC, .id = sql};

	return db_write(d, work, &w, e);
}

int64_t in_int(struct db *d, const char *sql)
{
	struct work w = {.op = INT, .id = sql};

	OK(db_read(d, work, &w, e));
	return w.ret_int;
}

int in_seal(struct auth_fixture *x, const char *table, const char *row, const char *name,
	    const char *value, struct err *e)
{
	AUTO(secret) s = secret_of(value, strlen(value));
	struct work w = {
		.op = SEAL, .a = x->a, .table = table, .row = row, .name = name, .value = s};

	return db_write(x->f.db, work, &w, e);
}

char *in_unseal(struct auth_fixture *x, const char *table, const char *row, const char *name,
		struct err *e)
{
	struct work w = {.op = UNSEAL, .a = x->a, .table = table, .row = row, .name = name};
	char *text;

	if (db_read(x->f.db, work, &w, e))
		return NULL;
	text = xstrndup((const char *)w.value->data, w.value->len);
	secret_free(w.value);
	return text;
}
