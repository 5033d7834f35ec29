/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login, logout, status. A password is used once, for a session that makes an API token and ends;
 * the token is what is kept. It comes from a prompt, a file or the environment, never from an
 * argument, where other users could read it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/env.h"
#include "base/fio.h"
#include "base/text.h"
#include "client/logins.h"
#include "client/trust.h"
#include "cmd/remote.h"

#define WORD_MAX 4000 /* of a password or a token */
#define CA_MAX 65536
#define DAYS_MAX 3650

/* ---- secrets ---- */

/* What a file holds, without the line break at its end; "-" is standard input. */
static struct secret *read_word(const char *path, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	struct secret *s = NULL;

	if (fio_slurp(strcmp(path, "-") == 0 ? "/dev/stdin" : path, WORD_MAX, &b, e) < 0)
		return NULL;
	while (b.len && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == '\r'))
		b.len--;
	if (b.len)
		s = secret_of(b.data, b.len);
	else
		err_set(e, ERR_INVALID, "%s is empty", path);
	if (b.cap)
		secret_wipe(b.data, b.cap);
	return s;
}

/* From the file of an option, an environment variable, or the terminal. */
static struct secret *take_word(struct cli *c, const char *option, const char *env,
				const char *prompt, const char *otherwise, struct err *e)
{
	const char *path = parsed_text(&c->p, option), *word = env_text(env);
	AUTO(secret) typed = NULL;
	size_t n;

	if (path)
		return read_word(path, e);
	if (word)
		return secret_of(word, strlen(word));
	typed = cli_ask(prompt, otherwise, &n, e);
	if (typed && n == 0)
		err_set(e, ERR_INVALID, "nothing was typed");
	return typed && n ? secret_of(typed->data, n) : NULL;
}

/* ---- whom to trust ---- */

/* Is the server's certificate good? ERR_DENIED: it is not. */
static int try_tls(struct cli *c, const char *url, const char *ca_file, const char *ca,
		   struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/livez", url);
	const struct http_request q = {
		.method = "GET", .url = path, .timeout_ms = 20000, .cancel = &c->cancel};
	AUTO(http) h = http_new(ca_file);
	struct http_reply r;

	if (ca)
		http_trust(h, ca);
	if (http_do(h, &q, &r, e) < 0)
		return -1;
	buf_done(&r.body);
	return 0;
}

/* The fingerprint that was given, or a person, says whether it is the right server. */
static int check_print(struct cli *c, const char *url, const char *print, struct err *e)
{
	const char *expected = parsed_text(&c->p, "fingerprint");
	struct err why = {0};

	if (expected && trust_same(expected, print))
		return 0;
	if (expected)
		return err_set(e, ERR_DENIED,
			       "%s shows an authority with the fingerprint %s, which is not the "
			       "one that was given: it may be another server",
			       url, print);
	fprintf(stderr,
		"%s has a certificate that is signed by an authority of its own. Compare its "
		"SHA-256 with the one in the server's log, or with\n"
		"'openssl x509 -in STATE/ca.pem -noout -fingerprint -sha256' there:\n  %s\n",
		url, print);
	if (cli_confirm(c, "is it the same, and do you trust it from now on?", &why) == 0)
		return 0;
	if (why.kind == ERR_INVALID)
		return err_set(e, ERR_DENIED,
			       "%s is not trusted: give --fingerprint %s if that is its, or its "
			       "certificate authority with --ca-file",
			       url, print);
	return err_set(e, why.kind, "%s", why.msg);
}

/* *ret_ca: what to trust, or NULL: what the system trusts. */
static int settle_trust(struct cli *c, const char *url, const char *known, char **ret_ca,
			struct err *e)
{
	const char *file = remote_ca_file(c);
	char print[TLS_FINGERPRINT];
	AUTO_FREE char *ca = NULL;
	AUTO_BUF text = BUF_INIT;
	struct err why = {0};

	if (file) {
		if (fio_slurp(file, CA_MAX, &text, e) < 0)
			return -1;
		ca = xstrdup(buf_str(&text));
	} else {
		ca = xstrdup0(known);
	}
	if (try_tls(c, url, NULL, ca, &why) < 0) {
		if (why.kind != ERR_DENIED || file)
			return err_set(e, why.kind, "%s", why.msg);
		free(ca);
		ca = NULL;
		if (trust_fetch(url, &ca, print, &why) < 0)
			return why.kind == ERR_NOENT ? try_tls(c, url, NULL, NULL, e)
						     : err_set(e, why.kind, "%s", why.msg);
		if (check_print(c, url, print, e) < 0 || try_tls(c, url, NULL, ca, e) < 0)
			return -1;
	}
	*ret_ca = steal(&ca);
	return 0;
}

/* ---- logging in ---- */

static struct client *client_for(struct cli *c, const char *url, const char *ca,
				 const struct secret *token)
{
	return client_new(&(const struct client_setup){
		.url = url, .ca = ca, .token = token, .cancel = &c->cancel});
}

/* JSON with the secret in it is not kept for longer than a request takes. */
static int begin_session(struct cli *c, struct client *nobody, const char *user,
			 struct secret **ret_token, struct err *e)
{
	AUTO(secret)
	password = take_word(c, "password-file", "HOLDFAST_PASSWORD", "password",
			     "no password: give one with --password-file, or set HOLDFAST_PASSWORD "
			     "(there is no terminal to ask for one)",
			     e);
	json_t *body, *answer = NULL;
	const char *token;
	int rc;

	if (!password)
		return -1;
	body = json_pack("{s:{s:s, s:s%}}", "login", "name", user, "password",
			 (const char *)password->data, password->len);
	if (!body)
		return err_set(e, ERR_INVALID, "the password is not UTF-8");
	rc = client_do(nobody, "POST", "/v1/login", body, &answer, e);
	json_decref(body);
	token = client_text(json_object_get(answer, "session"), "token");
	if (rc == 0 && *token)
		*ret_token = secret_of(token, strlen(token));
	else if (rc == 0)
		rc = err_set(e, ERR_CORRUPT, "the server gave no token");
	json_decref(answer);
	return rc;
}

/* An API token of this machine's own, which can be told from others and revoked by itself. */
static int make_token(struct cli *c, struct client *session, struct login_entry *l, struct err *e)
{
	const char *days = parsed_text(&c->p, "days");
	long n = days ? strtol(days, NULL, 10) : 0;
	char host[200] = "";
	json_t *body, *answer = NULL, *made;
	int rc;

	if (days && (n < 1 || n > DAYS_MAX))
		return err_set(e, ERR_INVALID, "--days '%s': write a number from 1 to %d", days,
			       DAYS_MAX);
	gethostname(host, sizeof(host) - 1);
	body = json_pack("{s:{s:o}}", "token", "name", json_sprintf("holdfast on %s", host));
	json_object_set_new(json_object_get(body, "token"), "days", json_integer(days ? n : 90));
	rc = client_do(session, "POST", "/v1/tokens", body, &answer, e);
	json_decref(body);
	made = json_object_get(answer, "token");
	if (rc == 0) {
		const char *word = client_text(made, "token");

		l->token = secret_of(word, strlen(word));
		l->token_id = xstrdup(client_text(made, "id"));
		l->expires_at = xstrdup(client_text(made, "expires_at"));
	}
	json_decref(answer);
	return rc;
}

/* Who it is, and which project: into the entry. */
static int settle_identity(struct cli *c, struct client *k, struct login_entry *l, struct err *e)
{
	const json_t *project;
	json_t *who = NULL;
	int rc = -1;

	if (client_get(k, "/v1/identity", "identity", &who, e) < 0)
		return -1;
	project = remote_project(who, parsed_text(&c->p, "project"), e);
	if (project) {
		l->user = xstrdup(client_text(who, "user_name"));
		l->project_id = xstrdup(client_text(project, "id"));
		l->project_name = xstrdup(client_text(project, "name"));
		if (!l->expires_at && l->token)
			l->expires_at = xstrdup(client_text(who, "expires_at"));
		rc = 0;
	}
	json_decref(who);
	return rc;
}

static int with_password(struct cli *c, struct login_entry *l, struct err *e)
{
	const char *user = parsed_text(&c->p, "user");
	AUTO(client) nobody = client_for(c, l->url, l->ca, NULL);
	AUTO(client) session = NULL;
	AUTO(secret) token = NULL;
	int rc;

	if (begin_session(c, nobody, user ? user : "admin", &token, e) < 0)
		return -1;
	session = client_for(c, l->url, l->ca, token);
	rc = settle_identity(c, session, l, e);
	if (rc == 0)
		rc = make_token(c, session, l, e);
	client_do(session, "POST", "/v1/logout", NULL, NULL, NULL);
	return rc;
}

static int with_token(struct cli *c, struct login_entry *l, struct err *e)
{
	AUTO(client) k = NULL;

	l->token = take_word(c, "token-file", "HOLDFAST_TOKEN", "API token",
			     "no token: give one with --token-file, or set HOLDFAST_TOKEN (there "
			     "is no terminal to ask for one)",
			     e);
	if (!l->token)
		return -1;
	l->token_id = xstrdup("");
	k = client_for(c, l->url, l->ca, l->token);
	return settle_identity(c, k, l, e);
}

/* A token that was made for this machine before is of no use any more. */
static void revoke_token(struct cli *c, const struct login_entry *l, const struct secret *with,
			 struct err *e)
{
	AUTO(client) k = client_for(c, l->url, l->ca, with);
	AUTO_BUF path = BUF_INIT;

	if (!l->token_id[0])
		return;
	buf_text(&path, "/v1/tokens/");
	client_part(&path, l->token_id);
	client_do(k, "DELETE", buf_str(&path), NULL, NULL, e);
}

static void show_login(struct cli *c, const struct login_entry *l)
{
	char when[CLOCK_TEXT];
	uint64_t us;

	if (c->json) {
		cli_json(json_pack("{s:s, s:s, s:{s:s, s:s}, s:s}", "server", l->url, "user",
				   l->user, "project", "id", l->project_id, "name", l->project_name,
				   "expires_at", l->expires_at));
		return;
	}
	printf("logged in to %s as %s, project %s\n", l->url, l->user, l->project_name);
	if (clock_parse_rfc3339(l->expires_at, &us))
		printf("until %s; 'holdfast logout' ends it\n", clock_local(us, when));
}

static int log_in(struct cli *c, struct logins *all, struct login_entry *l, struct err *e)
{
	const struct login_entry *was = logins_find(all, l->url);
	bool token = parsed_flag(&c->p, "token") || parsed_text(&c->p, "token-file");

	if (settle_trust(c, l->url, was ? was->ca : NULL, &l->ca, e) < 0)
		return -1;
	if ((token ? with_token(c, l, e) : with_password(c, l, e)) < 0)
		return -1;
	if (was)
		revoke_token(c, was, l->token, NULL);
	if (all->n == LOGINS_MAX && !was)
		return err_set(e, ERR_LIMIT,
			       "there are logins to %d servers: end one with 'holdfast logout'",
			       LOGINS_MAX);
	return 0;
}

int remote_login(struct cli *c, struct err *e)
{
	struct login_entry l = {.url = logins_url(c->p.args[0], e)};
	struct logins all = {0};
	int rc = -1;

	if (l.url && logins_load(&all, e) == 0)
		rc = log_in(c, &all, &l, e);
	if (rc == 0) {
		show_login(c, &l);
		logins_put_take(&all, &l);
		rc = logins_save(&all, e);
	}
	login_entry_done(&l);
	logins_done(&all);
	return rc;
}

/* ---- logging out ---- */

static int log_out(struct cli *c, struct logins *all, struct err *e)
{
	const char *named = c->p.n_args ? c->p.args[0] : parsed_text(&c->p, "server");
	AUTO_FREE char *url = named ? logins_url(named, e) : xstrdup0(all->current);
	const struct login_entry *l = logins_find(all, url);
	struct err why = {0};

	if (named && !url)
		return -1;
	if (!l)
		return err_set(e, ERR_NOENT, "nobody is logged in%s%s", url ? " to " : "",
			       url ? url : "");
	revoke_token(c, l, l->token, &why);
	if (why.kind != ERR_NONE && why.kind != ERR_DENIED && why.kind != ERR_NOENT)
		log_warn("the token could not be revoked, and is good until %s: %s",
			 l->expires_at[0] ? l->expires_at : "it is revoked", why.msg);
	logins_remove(all, url);
	if (logins_save(all, e) < 0)
		return -1;
	if (c->json)
		cli_json(json_pack("{s:s}", "logged_out", url));
	else
		printf("logged out of %s\n", url);
	return 0;
}

int remote_logout(struct cli *c, struct err *e)
{
	struct logins all;
	int rc;

	if (logins_load(&all, e) < 0)
		return -1;
	rc = log_out(c, &all, e);
	logins_done(&all);
	return rc;
}

/* ---- status ---- */

static void field_words(const char *name, const json_t *words)
{
	AUTO_BUF b = BUF_INIT;
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)words, i, v)
	{
		buf_fmt(&b, "%s%s", i ? ", " : "", json_string_value(v));
	}
	if (b.len)
		cli_field(name, "%s", buf_str(&b));
}

/* "resources      3, of which 2 protected, 1 late" */
static void field_counts(const char *name, const json_t *counts)
{
	static const char *const states[] = {"protected", "late", "failing", "unprotected"};
	AUTO_BUF b = BUF_INIT;

	buf_fmt(&b, "%lld", (long long)json_integer_value(json_object_get(counts, "total")));
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		json_int_t n = json_integer_value(json_object_get(counts, states[i]));

		if (n)
			buf_fmt(&b, ", %lld %s", (long long)n, states[i]);
	}
	cli_field(name, "%s", buf_str(&b));
}

/* What somebody has to do something about, the worst first. */
static void field_attention(const json_t *attention)
{
	json_t *a;
	size_t i;

	json_array_foreach((json_t *)attention, i, a)
	{
		cli_field(i ? "" : "attention", "%s: %s", client_text(a, "severity"),
			  client_text(a, "text"));
	}
}

static void show_status(struct cli *c, json_t *who, json_t *overview)
{
	const json_t *project = remote_project(who, client_project(c->client), NULL);
	char when[CLOCK_TEXT];
	size_t running;
	uint64_t us;

	cli_field("server", "%s", client_url(c->client));
	cli_field("user", "%s%s", client_text(who, "user_name"),
		  json_is_true(json_object_get(who, "admin")) ? ", an administrator" : "");
	cli_field("project", "%s (%s)", client_text(project, "name"), client_project(c->client));
	field_words("roles", json_object_get(who, "roles"));
	if (clock_parse_rfc3339(client_text(who, "expires_at"), &us))
		cli_field("logged in until", "%s", clock_local(us, when));
	field_counts("machines", json_object_get(overview, "resources"));
	running = json_array_size(json_object_get(overview, "running"));
	cli_field("running", "%zu operation%s", running, running == 1 ? "" : "s");
	field_attention(json_object_get(overview, "attention"));
}

int remote_status(struct cli *c, struct err *e)
{
	json_t *who = NULL, *overview = NULL;
	int rc = -1;

	if (remote_open(c, e) == 0 &&
	    client_get(c->client, "/v1/identity", "identity", &who, e) == 0 &&
	    client_get(c->client, "overview", "overview", &overview, e) == 0)
		rc = 0;
	if (rc == 0 && c->json)
		cli_json(json_pack("{s:s, s:s, s:O, s:O}", "server", client_url(c->client),
				   "project_id", client_project(c->client), "identity", who,
				   "overview", overview));
	else if (rc == 0)
		show_status(c, who, overview);
	json_decref(who);
	json_decref(overview);
	return rc;
}
