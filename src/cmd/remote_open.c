/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Target or server, and which: what is typed counts before the environment, and that before a
 * login; a target before a server. Where a command knows only one of the two, there is nothing to
 * choose.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/env.h"
#include "base/fio.h"
#include "client/logins.h"
#include "cmd/remote.h"

#define NONE "none"

/* ---- target or server ---- */

static bool says_none(const char *server)
{
	return server && strcmp(server, NONE) == 0;
}

static int choose(struct cli *c, enum side *ret, struct err *e)
{
	const char *target = parsed_given(&c->p, "target");
	const char *server = parsed_given(&c->p, "server");
	struct logins l;
	bool in;

	if (target && server && !says_none(server))
		return err_set(e, ERR_INVALID, "give one of --target and --server");
	*ret = SIDE_TARGET;
	if (target || says_none(server))
		return 0;
	if (!server && parsed_text(&c->p, "target"))
		return 0;
	server = parsed_text(&c->p, "server");
	if (server) {
		*ret = says_none(server) ? SIDE_TARGET : SIDE_SERVER;
		return 0;
	}
	/* Without anything to be found, nobody is logged in. */
	in = logins_load(&l, NULL) == 0;
	if (in && l.current)
		*ret = SIDE_SERVER;
	if (in)
		logins_done(&l);
	return 0;
}

/* Options that are of no use here are refused: they would be passed over in silence. */
static int check_options(const struct cli *c, enum side side, struct err *e)
{
	for (size_t i = 0; i < c->p.n_values; i++) {
		const struct opt *o = c->p.values[i].opt;

		if (o->side == SIDE_BOTH || o->side == side)
			continue;
		if (strcmp(o->name, "server") == 0 && says_none(c->p.values[i].text))
			continue;
		if (side == SIDE_SERVER)
			return err_set(e, ERR_INVALID,
				       "--%s is of use straight against a target, and this is "
				       "asked of a server: leave it out, or give --server none",
				       o->name);
		return err_set(e, ERR_INVALID,
			       "--%s is of use against a server, and this works straight on a "
			       "target: leave it out, or log in with 'holdfast login URL'",
			       o->name);
	}
	return 0;
}

int remote_side(struct cli *c, enum side *ret, struct err *e)
{
	enum side side = command_side(c->p.command);

	if (side == SIDE_BOTH && choose(c, &side, e) < 0)
		return -1;
	if (check_options(c, side, e) < 0)
		return -1;
	*ret = side;
	return 0;
}

/* ---- projects ---- */

/* "a (…), b (…)" */
static void project_names(const json_t *projects, char *out, size_t n)
{
	json_t *p;
	size_t i;

	out[0] = 0;
	json_array_foreach((json_t *)projects, i, p)
	{
		size_t len = strlen(out);

		snprintf(out + len, n - len, "%s%s", i ? ", " : "", client_text(p, "name"));
	}
}

const json_t *remote_project(const json_t *identity, const char *ref, struct err *e)
{
	const json_t *projects = json_object_get(identity, "projects");
	const char *own = client_text(identity, "project_id");
	const json_t *only = NULL;
	char all[256];
	size_t i, n = 0;
	json_t *p;

	json_array_foreach((json_t *)projects, i, p)
	{
		const char *id = client_text(p, "id"), *name = client_text(p, "name");

		if (ref && (strcmp(id, ref) == 0 || strcmp(name, ref) == 0))
			return p;
		if (!ref && strcmp(id, own) == 0)
			return p;
		only = p;
		n++;
	}
	if (!ref && n == 1)
		return only;
	project_names(projects, all, sizeof(all));
	if (ref)
		err_set(e, ERR_NOENT, "there is no project '%.80s' for you: there is %s", ref,
			n ? all : "none");
	else
		err_set(e, ERR_INVALID, "choose a project with --project: there is %s",
			n ? all : "none for you, an administrator has to let you into one");
	return NULL;
}

/* The project that the command names, or that of the login. */
static int use_project(struct cli *c, const struct login_entry *login, struct err *e)
{
	const char *ref = parsed_text(&c->p, "project");
	json_t *identity = NULL;
	const json_t *p;

	if (!ref && login && login->project_id[0]) {
		client_set_project(c->client, login->project_id);
		return 0;
	}
	if (client_get(c->client, "/v1/identity", "identity", &identity, e) < 0)
		return -1;
	p = remote_project(identity, ref, e);
	if (p)
		client_set_project(c->client, client_text(p, "id"));
	json_decref(identity);
	return p ? 0 : -1;
}

/* ---- the client ---- */

const char *remote_ca_file(const struct cli *c)
{
	return parsed_text(&c->p, "ca-file");
}

static int no_server(struct err *e)
{
	return err_set(e, ERR_INVALID,
		       "no server: log in to one with 'holdfast login URL', or name one with "
		       "--server");
}

static int open_with(struct cli *c, const struct logins *l, struct err *e)
{
	const char *named = parsed_text(&c->p, "server"), *word = env_text("HOLDFAST_TOKEN");
	AUTO_FREE char *url = NULL;
	AUTO(secret) token = word ? secret_of(word, strlen(word)) : NULL;
	const struct login_entry *login;
	struct client_setup s = {.ca_file = remote_ca_file(c), .cancel = &c->cancel};

	if (!named || says_none(named))
		named = l->current;
	if (!named)
		return no_server(e);
	url = logins_url(named, e);
	if (!url)
		return -1;
	login = logins_find(l, url);
	if (!token && !login)
		return err_set(e, ERR_DENIED,
			       "nobody is logged in to %s: log in with 'holdfast login %s'", url,
			       url);
	s.url = url;
	s.token = token ? token : login->token;
	if (!s.ca_file && login)
		s.ca = login->ca;
	c->client = client_new(&s);
	return use_project(c, token ? NULL : login, e);
}

int remote_open(struct cli *c, struct err *e)
{
	struct logins l;
	int rc;

	if (logins_load(&l, e) < 0)
		return -1;
	rc = open_with(c, &l, e);
	logins_done(&l);
	return rc;
}
