/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to an identity: what is presented, whether it is remembered, else looking it up.
 *
 * Our tokens are known by how they begin, so what is somebody else's never reaches our database,
 * and ours never leave for another service.
 */
#include "auth/auth_priv.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

#define PRESENTED_MAX ((size_t)16 << 10)
#define BASIC_MAX ((size_t)3 << 10)
#define REFUSED "authentication is required: a valid token, or name and password"

enum kind { NOTHING, LOCAL, FOREIGN, BEARER, PASSWORD };

struct presented {
	enum kind kind;
	const char *token;	/* of the request */
	const char *user, *key; /* of the request, or in `plain` */
	char plain[BASIC_MAX + 4];
};

/* ---- what is presented ---- */

static bool is_ours(const char *token)
{
	return !strncmp(token, "hf_", 3) || !strncmp(token, "hfs_", 4) ||
	       !strncmp(token, "hfm_", 4);
}

/* "Basic" and base 64 of "user:password". */
static bool read_basic(struct presented *p, const char *text)
{
	size_t n = strlen(text);
	char *colon;
	int len;

	if (!n || n % 4 || n / 4 * 3 > BASIC_MAX)
		return false;
	len = EVP_DecodeBlock((unsigned char *)p->plain, (const unsigned char *)text, (int)n);
	if (len < 0)
		return false;
	len -= (text[n - 1] == '=') + (text[n - 2] == '=');
	p->plain[len] = 0;
	if (strlen(p->plain) != (size_t)len)
		return false;
	colon = strchr(p->plain, ':');
	if (!colon)
		return false;
	*colon = 0;
	p->user = p->plain;
	p->key = colon + 1;
	p->kind = PASSWORD;
	return true;
}

static const char *after_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	if (strncasecmp(text, word, n) != 0 || text[n] != ' ')
		return NULL;
	text += n;
	return text + strspn(text, " ");
}

static int read_authorization(struct presented *p, const char *text, struct err *e)
{
	const char *rest = after_word(text, "Bearer");

	if (rest) {
		p->token = rest;
		p->kind = is_ours(rest) ? LOCAL : BEARER;
		return 0;
	}
	rest = after_word(text, "Basic");
	if (rest && read_basic(p, rest))
		return 0;
	return err_set(e, ERR_DENIED,
		       "the header Authorization is neither \"Bearer TOKEN\" nor \"Basic …\"");
}

static int read_presented(struct presented *p, const struct auth_request *q, struct err *e)
{
	const char *all[] = {q->token, q->authorization, q->user, q->key, q->cookie, q->project};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i] && strnlen(all[i], PRESENTED_MAX + 1) > PRESENTED_MAX)
			return err_set(e, ERR_DENIED, "a token has at most %zu bytes",
				       PRESENTED_MAX);
	if (q->token && *q->token) {
		p->token = q->token;
		p->kind = is_ours(q->token) ? LOCAL : FOREIGN;
	} else if (q->authorization) {
		return read_authorization(p, q->authorization, e);
	} else if (q->user && q->key) {
		p->user = q->user;
		p->key = q->key;
		p->kind = PASSWORD;
	} else if (auth_is_cookie(q)) {
		p->token = q->cookie;
		p->kind = LOCAL;
	}
	return p->kind == NOTHING ? err_set(e, ERR_DENIED, REFUSED) : 0;
}

bool auth_is_cookie(const struct auth_request *q)
{
	return !(q->token && *q->token) && !q->authorization && !(q->user && q->key) && q->cookie &&
	       *q->cookie;
}

/* ---- what somebody may in a project ---- */

struct place {
	char id[AUTH_ID];
	char *name;
};

static int find_project(struct db_tx *t, const char *project, struct identity *id, bool *ret_there,
			struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT name FROM projects WHERE id = $1 AND enabled = 1",
		     db_t(project));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	*ret_there = rc;
	if (rc) {
		free(id->project_name);
		id->project_name = auth_column(r, 0);
	}
	return 0;
}

static int find_roles(struct db_tx *t, const char *user, const char *project, unsigned *ret_here,
		      unsigned *ret_everywhere, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT project_id, role FROM grants WHERE user_id = $1 AND "
		     "project_id IN ('*', $2)",
		     db_t(user), db_t(project ? project : AUTH_EVERYWHERE));
	int rc;

	if (!r)
		return -1;
	while ((rc = db_next(r, e)) > 0) {
		unsigned role = auth_role_of(db_text(r, 1));

		if (!strcmp(db_text(r, 0), AUTH_EVERYWHERE))
			*ret_everywhere |= role;
		else
			*ret_here |= role;
	}
	return rc;
}

int auth_place(struct db_tx *t, struct identity *id, const char *project, bool only, unsigned most,
	       struct err *e)
{
	unsigned everywhere = 0;
	unsigned here = 0;
	bool there = false;

	if (strlen(project ? project : "") >= AUTH_ID)
		project = NULL;
	if (find_roles(t, id->user_id, project, &here, &everywhere, e) ||
	    (project && find_project(t, project, id, &there, e)))
		return -1;
	here |= everywhere;
	id->most = most;
	id->only = only;
	if (most) {
		here &= most;
		everywhere &= most;
	}
	id->everywhere = only ? 0 : everywhere;
	id->admin = id->everywhere & AUTH_ADMIN;
	id->roles = id->everywhere;
	id->project_id[0] = 0;
	if (there && here) {
		memcpy(id->project_id, project, strlen(project) + 1);
		id->roles = here;
	}
	return 0;
}

/* ---- our tokens ---- */

struct lookup {
	struct auth *auth;
	const char *token, *project;
	struct identity *id; /* made anew in each run */
	bool found;
	struct secret *door; /* of a session of Keystone's user; NULL: it is none */
	char home[AUTH_ID];
};

struct token_row {
	char project[AUTH_ID];
	bool has_project;
	bool has_door;
	unsigned roles;
};

static int is_usable(const struct db_rows *r, uint64_t now_us)
{
	uint64_t expires = auth_column_us(r, 5);

	if (expires && expires <= now_us)
		return 0;
	/* Neither a mover nor a user of Keystone has a row among the users. */
	return !strcmp(db_text(r, 1), TOKEN_MOVER) || !strcmp(db_text(r, 1), TOKEN_KEYSTONE) ||
	       (!db_is_null(r, 7) && db_int(r, 7) == 1);
}

static int read_token(struct db_tx *t, struct lookup *l, struct token_row *ret, struct err *e)
{
	uint8_t hash[HASH_BYTES];
	struct identity *id = l->id;
	int rc;

	auth_token_hash(l->token, hash);
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT t.id, t.kind, t.user_id, t.project_id, t.roles, t.expires_at, "
		     "COALESCE(u.name, t.name), u.enabled FROM tokens t "
		     "LEFT JOIN users u ON u.id = t.user_id "
		     "WHERE t.hash = $1 AND t.revoked_at IS NULL AND t.kind <> 'join'",
		     db_b(hash, sizeof(hash)));
	rc = r ? db_next(r, e) : -1;
	if (rc <= 0 || !is_usable(r, clock_wall_us()))
		return rc < 0 ? -1 : 0;
	l->found = true;
	auth_column_id(r, 0, id->token_id);
	id->how = !strcmp(db_text(r, 1), TOKEN_MOVER) ? AUTH_HOW_MOVER
		  : !strcmp(db_text(r, 1), TOKEN_API) ? AUTH_HOW_TOKEN
						      : AUTH_HOW_SESSION;
	ret->has_door = !strcmp(db_text(r, 1), TOKEN_KEYSTONE);
	auth_column_id(r, 2, id->user_id);
	ret->has_project = !db_is_null(r, 3);
	auth_column_id(r, 3, ret->project);
	ret->roles = (unsigned)db_int(r, 4);
	id->expires_us = auth_column_us(r, 5);
	free(id->user_name);
	id->user_name = auth_column(r, 6);
	return 0;
}

/* Where it was removed, the session has ended. */
static int look_up_door(struct db_tx *t, struct lookup *l, const char *home, struct err *e)
{
	struct err why = {0};

	memcpy(l->home, home, sizeof(l->home));
	l->door = sealed_get(l->auth, t, "tokens", l->id->token_id, AUTH_DOOR, &why);
	l->found = l->door;
	if (!l->door && why.kind != ERR_NOENT && e)
		*e = why;
	return l->door || why.kind == ERR_NOENT ? 0 : -1;
}

static int look_up_token(struct db_tx *t, void *arg, struct err *e)
{
	struct token_row row = {.has_project = false};
	struct lookup *l = arg;

	identity_free(l->id);
	secret_free(steal(&l->door));
	l->id = identity_new();
	l->found = false;
	if (read_token(t, l, &row, e))
		return -1;
	if (!l->found)
		return 0;
	if (l->id->how == AUTH_HOW_MOVER) {
		l->id->roles = l->id->everywhere = AUTH_MOVER;
		return 0;
	}
	if (row.has_door)
		return look_up_door(t, l, row.project, e);
	return auth_place(t, l->id, row.has_project ? row.project : l->project, row.has_project,
			  row.roles, e);
}

static int by_token(struct auth *a, const char *token, const char *project,
		    struct identity **ret_id, struct err *e)
{
	struct lookup l = {.auth = a, .token = token, .project = project};
	int rc = db_read(a->db, look_up_token, &l, e);

	if (!rc && !l.found)
		rc = err_set(e, ERR_DENIED, REFUSED);
	if (!rc)
		auth_touch(a, l.id->token_id);
	if (!rc && l.door)
		rc = auth_by_door(a, l.door, project, l.home, l.id, ret_id, e);
	else if (!rc)
		*ret_id = steal(&l.id);
	secret_free(l.door);
	identity_free(l.id);
	return rc;
}

/* ---- names and passwords ---- */

struct account {
	const char *name;
	char id[AUTH_ID];
	char *stored;
};

static int look_up_name(struct db_tx *t, void *arg, struct err *e)
{
	struct account *x = arg;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT id, password FROM users WHERE name = $1 AND enabled = 1",
		     db_t(x->name));
	int rc = r ? db_next(r, e) : -1;

	free(steal(&x->stored));
	x->id[0] = 0;
	if (rc > 0) {
		auth_column_id(r, 0, x->id);
		x->stored = xstrdup0(db_text_or_null(r, 1));
	}
	return rc < 0 ? -1 : 0;
}

int auth_by_password(struct auth *a, const char *name, const char *password, const char *address,
		     struct identity *id, unsigned *ret_retry_s, struct err *e)
{
	struct account x = {.name = name};
	int rc;

	/* What is no name cannot be one of a user, and some databases refuse to look for it. */
	if (auth_check_name("name", name, NULL))
		x.name = "";
	rc = db_read(a->db, look_up_name, &x, e);
	if (!rc)
		rc = passwords_check(a->passwords, name, address, x.stored, password, ret_retry_s,
				     e);
	if (!rc) {
		memcpy(id->user_id, x.id, sizeof(x.id));
		free(id->user_name);
		id->user_name = xstrdup(name);
	}
	free(x.stored);
	return rc;
}

struct placing {
	struct identity *id;
	const char *project;
};

static int place_in(struct db_tx *t, void *arg, struct err *e)
{
	const struct placing *p = arg;

	return auth_place(t, p->id, p->project, false, 0, e);
}

static int by_password(struct auth *a, const struct presented *p, const struct auth_request *q,
		       struct identity **ret_id, unsigned *ret_retry_s, struct err *e)
{
	AUTO(identity) id = identity_new();
	struct placing at = {id, q->project};

	id->how = AUTH_HOW_PASSWORD;
	if (auth_by_password(a, p->user, p->key, q->address, id, ret_retry_s, e) ||
	    db_read(a->db, place_in, &at, e))
		return -1;
	*ret_id = steal(&id);
	return 0;
}

/* ---- all of it ---- */

static int find_out(struct auth *a, const struct presented *p, const struct auth_request *q,
		    struct identity **ret_id, unsigned *ret_retry_s, struct err *e)
{
	switch (p->kind) {
	case LOCAL:
		return by_token(a, p->token, q->project, ret_id, e);
	case PASSWORD:
		return by_password(a, p, q, ret_id, ret_retry_s, e);
	case FOREIGN:
		if (a->keystone)
			return auth_by_keystone(a, p->token, ret_id, e);
		break;
	case BEARER:
		if (a->oidc)
			return auth_by_oidc(a, p->token, q->project, ret_id, e);
		break;
	default:
		break;
	}
	return err_set(e, ERR_DENIED, REFUSED);
}

static bool has_expired(const struct identity *id)
{
	return id->expires_us && id->expires_us <= clock_wall_us();
}

static int identify(struct auth *a, const struct presented *p, const struct auth_request *q,
		    struct identity **ret_id, unsigned *ret_retry_s, struct err *e)
{
	uint64_t epoch = db_woken(a->db, AUTH_CHANNEL);
	AUTO(identity) id = NULL;
	uint8_t key[IDCACHE_KEY];
	AUTO_FREE char *what = NULL;
	uint64_t age;

	if (p->kind == PASSWORD)
		what = xasprintf("%s\n%s", p->user, q->project ? q->project : "");
	idcache_key(a->cache, (int)p->kind, what ? what : q->project,
		    p->kind == PASSWORD ? p->key : p->token, key);
	if (idcache_get(a->cache, key, epoch, clock_mono_us(), &id, &age)) {
		if (age < AUTH_CACHE_S * 1000000ull && !has_expired(id)) {
			*ret_id = steal(&id);
			return 0;
		}
		identity_free(steal(&id));
	}
	if (find_out(a, p, q, &id, ret_retry_s, e))
		return -1;
	idcache_put(a->cache, key, epoch, clock_mono_us(), id);
	*ret_id = steal(&id);
	return 0;
}

int auth_identify(struct auth *a, const struct auth_request *q, struct identity **ret_id,
		  unsigned *ret_retry_s, struct err *e)
{
	struct presented p;
	int rc;

	p.kind = NOTHING;
	p.token = p.user = p.key = NULL;
	p.plain[0] = 0;
	rc = read_presented(&p, q, e);
	if (!rc)
		rc = identify(a, &p, q, ret_id, ret_retry_s, e);
	if (p.plain[0] || p.user == p.plain)
		secret_wipe(p.plain, sizeof(p.plain));
	return rc;
}
