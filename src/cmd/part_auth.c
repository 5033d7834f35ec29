/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what. At the first start there is nobody yet: an administrator is made, and the
 * password lies in a file of the state directory until somebody has read it; a log would keep it
 * for ever.
 */
#include "cmd/parts.h"

#include <stdio.h>
#include <string.h>

#include "auth/account.h"
#include "auth/auth.h"
#include "auth/keystone.h"
#include "auth/oidc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/ticker.h"

#define LOOK_AFTER_MS 1000

static struct {
	struct auth *auth;
	struct keystone *keystone; /* NULL: none is configured */
	struct oidc *oidc;
	struct ticker *ticker;
	struct clock_watch clock;
} keeper;

/* Links the audit log and forgets what has expired. */
static void look_after(void *arg)
{
	struct err e = {0};

	(void)arg;
	if (auth_look_after(keeper.auth, clock_wall_us(), clock_watch_trusted(&keeper.clock), &e) <
	    0)
		log_warn("access: %s", e.msg);
}

static const char *text(struct daemon *d, const char *section, const char *name)
{
	return config_text(d->config, section, name);
}

int part_auth_keystone(const struct config *c, const struct keystone_options *as,
		       struct keystone **ret_k, struct err *e)
{
	AUTO(secret) password = NULL;
	struct keystone_options o = {
		.url = config_text(c, "keystone", "url"),
		.ca = config_text(c, "keystone", "ca"),
		.user = config_text(c, "keystone", "username"),
		.user_domain = config_text(c, "keystone", "user_domain"),
		.project = config_text(c, "keystone", "project"),
		.project_domain = config_text(c, "keystone", "project_domain"),
		.region = config_text(c, "keystone", "region"),
		.roles = config_text(c, "keystone", "roles"),
		.keep_s = (unsigned)MAX(config_us(c, "keystone", "cache") / 1000000, 1),
	};

	*ret_k = NULL;
	if (!o.url)
		return 0;
	if (as) {
		o.user = as->user;
		o.user_domain = as->user_domain;
		o.project = as->project;
		o.project_domain = as->project_domain;
		o.password = as->password;
	} else if (config_secret(c, "keystone", "password_file", &password, e) < 0) {
		return -1;
	} else {
		o.password = password;
	}
	*ret_k = keystone_new(&o, e);
	return *ret_k ? 0 : err_wrap(e, "[keystone]");
}

static int open_oidc(struct daemon *d, struct err *e)
{
	AUTO(secret) secret = NULL;
	AUTO_BUF scopes = BUF_INIT;
	struct oidc_options o = {
		.issuer = text(d, "oidc", "issuer"),
		.ca = text(d, "oidc", "ca"),
		.client_id = text(d, "oidc", "client_id"),
		.name = text(d, "oidc", "name"),
		.audience = text(d, "oidc", "audience"),
		.user_claim = text(d, "oidc", "user_claim"),
		.groups_claim = text(d, "oidc", "groups_claim"),
		.roles = text(d, "oidc", "roles"),
	};

	if (!o.issuer)
		return 0;
	if (config_secret(d->config, "oidc", "client_secret_file", &secret, e) < 0)
		return -1;
	for (const char *const *s = config_list(d->config, "oidc", "scopes"); *s; s++)
		buf_fmt(&scopes, "%s%s", scopes.len ? " " : "", *s);
	o.scopes = buf_str(&scopes);
	o.client_secret = secret;
	keeper.oidc = oidc_new(&o, e);
	return keeper.oidc ? 0 : err_wrap(e, "[oidc]");
}

static void close_all(struct daemon *d)
{
	auth_close(d->auth);
	d->auth = NULL;
	keystone_free(steal(&keeper.keystone));
	oidc_free(steal(&keeper.oidc));
}

static int start(struct daemon *d, struct err *e)
{
	const char *folder = config_text(d->config, "state", "directory");
	const char *given = config_text(d->config, "state", "server_key_file");
	AUTO_FREE char *usual = xasprintf("%s/seal.key", folder);
	struct auth_options o = {
		.key_file = given ? given : usual,
		.policy_file = config_text(d->config, "auth", "policy_file"),
		.session_s = (unsigned)(config_us(d->config, "auth", "session") / 1000000),
	};
	AUTO_FREE char *file = xasprintf("%s/first-password", folder);
	int first;

	if (part_auth_keystone(d->config, NULL, &keeper.keystone, e) < 0 || open_oidc(d, e) < 0) {
		close_all(d);
		return -1;
	}
	o.keystone = keeper.keystone;
	o.keystone_login = config_bool(d->config, "keystone", "login");
	o.oidc = keeper.oidc;
	d->auth = auth_open(d->db, &o, e);
	if (!d->auth) {
		close_all(d);
		return -1;
	}
	keeper.auth = d->auth;
	first = auth_first_start(d->auth, file, e);
	if (first > 0)
		log_info("first start: there is an administrator 'admin' now; the password is in "
			 "'%s': read it, and remove the file",
			 file);
	if (first >= 0) {
		clock_watch_init(&keeper.clock);
		keeper.ticker = ticker_start(look_after, NULL, LOOK_AFTER_MS, e);
	}
	if (keeper.ticker)
		return 0;
	close_all(d);
	return -1;
}

static int reload(struct daemon *d, struct err *e)
{
	return auth_reload(d->auth, e);
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)timeout_ms;
	ticker_stop(steal(&keeper.ticker));
	close_all(d);
}

const struct daemon_part part_auth = {
	.name = "access",
	.start = start,
	.reload = reload,
	.stop = stop,
};
