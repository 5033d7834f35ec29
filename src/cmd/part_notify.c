/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notifications: what is in the outbox is delivered, and troubles that are no event are looked for.
 * Any number of processes may do it. A process without the role only knows whether mail is sent,
 * for its API.
 */
#include "cmd/parts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/ticker.h"
#include "core/core.h"
#include "core/notify.h"
#include "outbox/outbox.h"

#define THREADS 4
#define WATCH_MS 60000

static struct {
	struct db *db;
	struct outbox *outbox;
	struct ticker *ticker;
	struct reach *reach;
	struct secret *password;
	char *public_url, *url, *user, *ca, *from;
	uint64_t keep_us;
} post;

static const char *text(const struct config *c, const char *section, const char *name)
{
	return config_text(c, section, name);
}

static void check(const struct config *c, struct config_problems *p)
{
	const char *url = text(c, "mail", "server");

	if (text(c, "mail", "username") && !text(c, "mail", "password_file"))
		config_problem(c, "mail", "username", p, "it needs a password_file");
	if (url && strncmp(url, "smtp:", 5) == 0 && !config_bool(c, "mail", "starttls") &&
	    text(c, "mail", "username"))
		config_problem(c, "mail", "starttls", p,
			       "the password would be sent in clear: switch it on, or leave the "
			       "username out");
}

static void watch(void *arg)
{
	struct err e = {ERR_NONE};
	uint64_t now = clock_wall_us();

	(void)arg;
	if (notify_watch(post.db, now, &e) < 0)
		log_warn("notifications: %s", e.msg);
	if (outbox_prune(post.db, now - post.keep_us, &e) < 0)
		log_warn("notifications: %s", e.msg);
}

/* How people reach us: for links. */
static char *public_url(const struct config *c)
{
	const char *given = text(c, "server", "public_url");
	const char *scheme = config_bool(c, "server", "tls") ? "https" : "http";
	char host[256] = "";
	uint16_t port = 0;

	if (given)
		return xstrdup(given);
	if (config_address(config_list(c, "server", "listen")[0], host, sizeof(host), &port, NULL) <
		    0 ||
	    gethostname(host, sizeof(host) - 1) < 0)
		return xstrdup("");
	return xasprintf("%s://%s:%u", scheme, host, (unsigned)port);
}

static int read_options(const struct config *c, struct err *e)
{
	const char *from = text(c, "mail", "from");
	char host[256] = "localhost";

	gethostname(host, sizeof(host) - 1);
	post.public_url = public_url(c);
	post.url = xstrdup0(text(c, "mail", "server"));
	post.user = xstrdup0(text(c, "mail", "username"));
	post.ca = xstrdup0(text(c, "mail", "ca"));
	post.from = from ? xstrdup(from) : xasprintf("holdfast@%s", host);
	post.keep_us = config_us(c, "retention", "deliveries");
	post.reach = reach_new(config_list(c, "notifications", "networks"), e);
	return post.reach ? config_secret(c, "mail", "password_file", &post.password, e) : -1;
}

static void release(void)
{
	reach_free(post.reach);
	secret_free(post.password);
	free(post.public_url);
	free(post.url);
	free(post.user);
	free(post.ca);
	free(post.from);
	memset(&post, 0, sizeof(post));
}

static int start(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;

	d->core->sends_mail = text(c, "mail", "server") != NULL;
	if (!(d->roles & ROLE_SCHEDULER))
		return 0;
	post.db = d->db;
	if (read_options(c, e) == 0)
		post.outbox = outbox_start(
			d->db, d->auth,
			&(const struct outbox_options){
				.public_url = post.public_url,
				.ca = text(c, "notifications", "ca"),
				.reach = post.reach,
				.mail = {.url = post.url,
					 .starttls = config_bool(c, "mail", "starttls"),
					 .user = post.user,
					 .password = post.password,
					 .ca = post.ca},
				.mail_from = post.from,
				.threads = THREADS},
			e);
	if (post.outbox)
		post.ticker = ticker_start(watch, NULL, WATCH_MS, e);
	if (post.ticker)
		return 0;
	outbox_stop(post.outbox);
	release();
	return -1;
}

static void stop(struct daemon *d, unsigned timeout_ms)
{
	(void)d;
	(void)timeout_ms;
	ticker_stop(steal(&post.ticker));
	outbox_stop(steal(&post.outbox));
	release();
}

const struct daemon_part part_notify = {
	.name = "notifications",
	.check = check,
	.start = start,
	.stop = stop,
};
