/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /login, /logout, /identity: sessions, and who one is.
 *
 * A login at the OpenID provider is three visits of the browser: to us, who send it to the provider
 * with a state that is also its cookie; to the provider; and back to us, where it gets a session
 * and goes to the page that it came from. That page is told what went wrong by a word in its query,
 * never by a text, which a link could bring along.
 */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "auth/account.h"
#include "auth/oidc.h"
#include "auth/rules.h"
#include "base/log.h"

#define PAGE 1000
#define OIDC_COOKIE "holdfast_login"
#define OIDC_PATH "/v1/login/oidc"
#define BACK_MAX 512

/* ---- what there is ---- */

static json_t *method(struct api_call *c, const char *kind, const char *name, const char *path)
{
	AUTO_FREE char *url = xasprintf("%s%s", api_prefix(c), path);

	return json_pack("{s:s, s:s, s:s}", "kind", kind, "name", name, "url", url);
}

static int list_methods(struct api_call *c, struct err *e)
{
	json_t *a = json_array();
	struct auth_methods m;

	(void)e;
	auth_methods(c->core->auth, &m);
	json_array_append_new(a, method(c, "password", "Holdfast", "/v1/login"));
	if (m.oidc)
		json_array_append_new(a, method(c, "oidc", m.oidc, OIDC_PATH));
	if (m.keystone)
		json_array_append_new(a, method(c, "keystone", "OpenStack", "/v1/login"));
	api_reply(c, 200, "methods", a);
	return 0;
}

/* ---- name and password ---- */

/* No answer to a login is for anybody else. */
static void begin_session(struct api_call *c, const char *token)
{
	api_set_cookie(c, API_COOKIE, token, "/", "Strict");
	httpd_set_header(c->http, "Cache-Control", "no-store");
}

/* Domain and name of a project are words of Keystone. */
static void take_keystone(struct input *in, struct login *l)
{
	static const char *const kinds[] = {"password", "keystone", NULL};
	const char *name = input_text(in, "project", OPTIONAL, 255);

	l->keystone = input_word(in, "method", OPTIONAL, kinds) == 1;
	l->domain = input_text(in, "domain", OPTIONAL, 255);
	if (!l->keystone && (name || l->domain))
		input_wrong(in, name ? "project" : "domain",
			    "It goes with method 'keystone' only.");
	if (name && l->project)
		input_wrong(in, "project", "Give this or project_id.");
	if (name)
		l->project = name;
}

static int login(struct api_call *c, struct err *e)
{
	struct login l = {.address = httpd_address(c->http)};
	char token[TOKEN_TEXT];
	uint64_t expires;
	struct input in;
	unsigned retry;

	/* Else a page could log its visitor in as somebody else. */
	if (api_is_foreign(c))
		return err_set(e, ERR_DENIED, "A page of another site cannot log in here.");
	api_input(c, "login", &in);
	l.name = input_text(&in, "name", REQUIRED, 255);
	l.password = input_text(&in, "password", REQUIRED, 1024);
	l.project = input_text(&in, "project_id", OPTIONAL, 64);
	take_keystone(&in, &l);
	if (input_done(&in, e) < 0)
		return -1;
	if (auth_login(c->core->auth, &l, token, &expires, &retry, e) < 0) {
		c->status = e->kind == ERR_DENIED ? 401 : e->kind == ERR_BUSY ? 429 : 503;
		return -1;
	}
	begin_session(c, token);
	api_reply(c, 201, "session",
		  json_pack("{s:s, s:o}", "token", token, "expires_at", json_time(expires)));
	secret_wipe(token, sizeof(token));
	return 0;
}

/* ---- OpenID Connect ---- */

/*
 * A path of this server that a login may go back to: what else is in it cannot lead elsewhere.
 * Neither "//host" nor what a browser takes for it, nor up and out of our prefix.
 */
static bool is_own_path(const char *path)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789/-_.~?=&#%:,@+!";

	return path[0] == '/' && path[1] != '/' && strlen(path) < BACK_MAX &&
	       strspn(path, allowed) == strlen(path) && !strstr(path, "..") &&
	       !strcasestr(path, "%2e") && !strcasestr(path, "%5c");
}

/* Redirect to a page of ours; `failure` (NULL: none) goes into its query. */
static void go_back(struct api_call *c, const char *path, const char *failure)
{
	size_t n = strcspn(path, "#");
	AUTO_FREE char *url = xasprintf("%s%.*s%s%s%s", api_prefix(c), (int)n, path,
					!failure	       ? ""
					: memchr(path, '?', n) ? "&login_error="
							       : "?login_error=",
					failure ? failure : "", path + n);

	httpd_set_header(c->http, "Location", url);
	httpd_set_header(c->http, "Cache-Control", "no-store");
	httpd_set_header(c->http, "Referrer-Policy", "no-referrer");
	c->status = 302;
}

static const char *failure_of(const struct err *why)
{
	switch (why->kind) {
	case ERR_DENIED:
		return "denied";
	case ERR_UNREACHABLE:
	case ERR_TIMEOUT:
	case ERR_BUSY:
		return "unavailable";
	default:
		return "failed";
	}
}

static int begin_oidc(struct api_call *c, struct err *e)
{
	const char *back = httpd_query(c->http, "return");
	AUTO_FREE char *redirect = NULL;
	AUTO_FREE char *url = NULL;
	char state[OIDC_STATE], base[512];
	struct auth_methods m;
	struct err why = {0};

	auth_methods(c->core->auth, &m);
	if (!m.oidc)
		return err_set(e, ERR_NOENT, "This server knows no OpenID provider.");
	if (!back)
		back = "/";
	if (!is_own_path(back))
		return err_set(e, ERR_INVALID,
			       "return '%.80s': it has to be a path of this server, such as "
			       "/ui/#plans",
			       back);
	redirect = xasprintf("%s" OIDC_PATH "/callback", api_base(c, base, sizeof(base)));
	if (auth_oidc_begin(c->core->auth, redirect, back, &url, state, &why) < 0) {
		log_error("a login by OpenID Connect cannot begin: %s", why.msg);
		go_back(c, back, failure_of(&why));
		return 0;
	}
	/* The browser comes back from another site: with Strict, it would not bring this one. */
	api_set_cookie(c, OIDC_COOKIE, state, OIDC_PATH, "Lax");
	httpd_set_header(c->http, "Location", url);
	httpd_set_header(c->http, "Cache-Control", "no-store");
	c->status = 302;
	return 0;
}

static int end_oidc(struct api_call *c, struct err *e)
{
	const struct oidc_return r = {.state = httpd_query(c->http, "state"),
				      .code = httpd_query(c->http, "code"),
				      .cookie = httpd_cookie(c->http, OIDC_COOKIE),
				      .address = httpd_address(c->http)};
	const char *refused = httpd_query(c->http, "error");
	AUTO_FREE char *back = auth_oidc_back(c->core->auth, r.state);
	char token[TOKEN_TEXT];
	struct err why = {0};
	uint64_t expires;
	int rc;

	(void)e;
	api_set_cookie(c, OIDC_COOKIE, "", OIDC_PATH, "Lax");
	if (refused)
		rc = err_set(&why, ERR_DENIED, "the provider says '%.80s'", refused);
	else
		rc = auth_oidc_finish(c->core->auth, &r, token, &expires, &why);
	if (rc < 0) {
		log_warn("a login by OpenID Connect from %s failed: %s", r.address, why.msg);
		go_back(c, back ? back : "/", failure_of(&why));
		return 0;
	}
	begin_session(c, token);
	secret_wipe(token, sizeof(token));
	go_back(c, back ? back : "/", NULL);
	return 0;
}

/* ---- the end ---- */

struct ending {
	struct api_call *call;
	bool by_provider;
};

static int end_session(struct db_tx *t, void *arg, struct err *e)
{
	struct ending *x = arg;
	struct api_call *c = x->call;
	AUTO(users) u = users_get(t, c->who->user_id, NULL);

	x->by_provider = u && strcmp(u->v[0].source, "oidc") == 0;
	c->t = t;
	return tokens_revoke(t, c->who->token_id, e) < 0 ? -1 : api_audit(c, c->route, e);
}

static int logout(struct api_call *c, struct err *e)
{
	struct ending x = {.call = c};
	AUTO_FREE char *back = NULL;
	AUTO_FREE char *url = NULL;
	char base[512];
	int rc;

	if (!*c->who->token_id)
		return err_set(e, ERR_INVALID,
			       "You came with a password: there is no session to end.");
	rc = db_write(c->core->db, end_session, &x, e);
	c->t = NULL;
	if (rc < 0)
		return -1;
	auth_session_ended(c->core->auth, c->who->token_id);
	api_set_cookie(c, API_COOKIE, "", "/", "Strict");
	if (!x.by_provider)
		return 0;
	back = xasprintf("%s/", api_base(c, base, sizeof(base)));
	url = auth_oidc_end(c->core->auth, back);
	if (url)
		api_reply(c, 200, "logout", json_pack("{s:s}", "end_session_url", url));
	return 0;
}

/* ---- who am I ---- */

/* What this one's roles are in a project, by what is granted; never more than the token allows. */
static unsigned roles_in(const struct identity *w, const struct grants *g, const char *project)
{
	unsigned roles = 0;

	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->v[i].project_id, project) == 0 ||
		    strcmp(g->v[i].project_id, AUTH_EVERYWHERE) == 0)
			roles |= g->v[i].role;
	return w->most ? roles & w->most : roles;
}

static void add_project(json_t *a, const char *id, const char *name, json_t *roles)
{
	json_array_append_new(a,
			      json_pack("{s:s, s:s, s:o}", "id", id, "name", name, "roles", roles));
}

struct places {
	struct api_call *call;
	json_t *list;
};

/* Where this one may be. */
static int list_places(struct db_tx *t, void *arg, struct err *e)
{
	struct places *x = arg;
	const struct identity *w = x->call->who;
	AUTO(projects) p = projects_list(t, w->admin ? NULL : w->user_id, NULL, PAGE, e);
	AUTO(grants) g = p ? grants_list(t, w->user_id, NULL, e) : NULL;

	if (!g)
		return -1;
	json_array_clear(x->list);
	for (size_t i = 0; i < p->n; i++) {
		const struct project *v = &p->v[i];

		if (v->enabled || w->admin)
			add_project(x->list, v->id, v->name,
				    api_roles(w->everywhere | roles_in(w, g, v->id)));
	}
	return 0;
}

/* What is for one project is in no other; of the others, Keystone tells roles one by one. */
static int own_projects(struct api_call *c, json_t *list, struct err *e)
{
	struct places x = {c, list};
	const struct identity *w = c->who;
	AUTO(projects) p = NULL;

	if (w->only && *w->project_id && !w->admin) {
		add_project(list, w->project_id, w->project_name, api_roles(w->roles));
		return 0;
	}
	if (auth_keystone_projects(c->core->auth, w, &p, e) < 0)
		return -1;
	if (!p)
		return db_read(c->core->db, list_places, &x, e);
	for (size_t i = 0; i < p->n; i++)
		add_project(list, p->v[i].id, p->v[i].name,
			    strcmp(p->v[i].id, w->project_id) == 0 ? api_roles(w->roles)
								   : json_null());
	return 0;
}

/* What may be done in the project that was asked for, or to what belongs to none. */
static json_t *allowed(const struct api_call *c)
{
	json_t *a = json_array();
	const struct rule *r;
	size_t n;

	r = rules_table(&n);
	for (size_t i = 0; i < n; i++)
		if (auth_allow(c->core->auth, c->who, r[i].action, c->project, NULL) == 0)
			json_array_append_new(a, json_string(r[i].action));
	return a;
}

static int show_identity(struct api_call *c, struct err *e)
{
	const struct identity *w = c->who;
	json_t *projects = json_array();

	if (own_projects(c, projects, e) < 0) {
		json_decref(projects);
		return -1;
	}
	api_reply(c, 200, "identity",
		  json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:s, s:o, s:o, s:o}", "user_id",
			    w->user_id, "user_name", w->user_name, "project_id", w->project_id,
			    "admin", w->admin, "roles", api_roles(w->roles), "everywhere",
			    api_roles(w->everywhere), "how", auth_how_name(w->how), "expires_at",
			    json_time(w->expires_us), "projects", projects, "allowed", allowed(c)));
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/v1/login/methods", NULL, list_methods, API_OPEN | API_OUTSIDE},
	{"POST", "/v1/login", NULL, login, API_OPEN | API_OUTSIDE},
	{"GET", OIDC_PATH, NULL, begin_oidc, API_OPEN | API_OUTSIDE},
	{"GET", OIDC_PATH "/callback", NULL, end_oidc, API_OPEN | API_OUTSIDE},
	{"POST", "/v1/logout", API_SELF, logout, API_WRITES | API_OUTSIDE},
	{"GET", "/v1/identity", API_SELF, show_identity, API_ASKS | API_OUTSIDE},
};
const struct api_resource api_login = {routes, ARRAY_LEN(routes)};
