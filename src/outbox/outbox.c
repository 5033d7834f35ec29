/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox/outbox.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "auth/sealed.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/json.h"
#include "core/notify_channel.h"
#include "net/http.h"
#include "outbox/body.h"
#include "outbox/outbox_priv.h"

#define THREADS_MOST 16
#define LOOK_MS 5000 /* a wake may be lost */
#define REST_MS 500  /* something is due, and its notification is busy */
#define ERROR_MS 5000
#define REPLY_MOST 200
#define GONE 410 /* Standard Webhooks: never send there again */

struct outbox {
	struct db *db;
	struct auth *auth;
	char *public_url, *host, *mail_from;
	struct mail_server mail;
	struct http *guarded, *open;
	struct cancel stop;
	pthread_t threads[THREADS_MOST];
	unsigned n;
};

/* ---- secrets ---- */

struct unsealing {
	struct outbox *o;
	const char *id, *name;
	struct secret *s;
};

static int read_secret(struct db_tx *t, void *arg, struct err *e)
{
	struct unsealing *u = arg;

	secret_free(steal(&u->s));
	u->s = sealed_get(u->o->auth, t, "notifications", u->id, u->name, e);
	return u->s ? 0 : -1;
}

/* The text; the caller frees it, after wiping it. */
static char *unseal(struct outbox *o, const char *id, const char *name, struct err *e)
{
	struct unsealing u = {.o = o, .id = id, .name = name};
	char *text = NULL;

	if (db_read(o->db, read_secret, &u, e) == 0)
		text = xstrndup((char *)u.s->data, u.s->len);
	secret_free(u.s);
	return text;
}

static void forget(char **text)
{
	if (*text)
		secret_wipe(*text, strlen(*text));
	free(*text);
}

/* ---- what came of it ---- */

static void say(struct outcome *r, const char *text)
{
	snprintf(r->text, sizeof(r->text), "%s", text);
	text_clean(r->text);
	for (char *p = r->text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

static void say_err(struct outcome *r, const struct err *e)
{
	say(r, e->msg);
	r->given_back = e->kind == ERR_CANCELLED;
}

static void read_reply(struct outcome *r, struct http_reply *reply)
{
	AUTO_FREE char *text = NULL;
	int shown = (int)MIN(reply->body.len, (size_t)REPLY_MOST);

	r->code = reply->status;
	r->delivered = reply->status >= 200 && reply->status < 300;
	r->final = reply->status == GONE;
	r->retry_after_s = reply->retry_after;
	if (reply->status >= 300 && reply->status < 400)
		text = xasprintf("HTTP status %d: it points elsewhere, which is not followed; set "
				 "the URL to that place.",
				 reply->status);
	else
		text = xasprintf("HTTP status %d%s%.*s", reply->status, shown ? ": " : "", shown,
				 shown ? buf_str(&reply->body) : "");
	say(r, text);
}

/* ---- HTTP ---- */

static void post(struct outbox *o, const struct parcel *p, const char *url, const char *body,
		 const char *const *headers, size_t n, struct outcome *r)
{
	AUTO_FREE char *name = xstrndup(url, strcspn(url, "?"));
	char *host = strstr(name, "://");
	struct http_reply reply;
	char into[REPLY_MOST + 1] = "";
	struct err e = {ERR_NONE};
	const struct http_request q = {
		.method = "POST",
		.url = url,
		/* Of Slack's, the path is the secret. */
		.name = name,
		.headers = headers,
		.n_headers = n,
		.data = body,
		.len = strlen(body),
		.into = into,
		.into_len = REPLY_MOST,
		.timeout_ms = OUTBOX_TIMEOUT_MS,
		.cancel = &o->stop,
	};

	if (host)
		host[3 + strcspn(host + 3, "/")] = 0;
	if (http_do(p->shared ? o->open : o->guarded, &q, &reply, &e) < 0) {
		say_err(r, &e);
		return;
	}
	if (reply.n_into)
		buf_add(&reply.body, into, reply.n_into);
	read_reply(r, &reply);
	buf_done(&reply.body);
}

static void send_slack(struct outbox *o, const struct parcel *p, const char *link,
		       struct outcome *r)
{
	static const char *const headers[] = {"Content-Type: application/json",
					      "User-Agent: Holdfast"};
	AUTO_FREE char *body = body_slack(p->message, link);
	CLEANUP(forget) char *url = NULL;
	struct err e = {ERR_NONE};

	url = unseal(o, p->notification, "url", &e);
	if (url)
		post(o, p, url, body, headers, ARRAY_LEN(headers), r);
	else
		say_err(r, &e);
}

/* Adds to `line`; each key makes one more signature, for receivers that know one of them. */
static int add_signature(struct outbox *o, const struct parcel *p, const char *name, uint64_t now_s,
			 const char *body, char *line, size_t size, struct err *e)
{
	CLEANUP(forget) char *secret = unseal(o, p->notification, name, e);
	uint8_t key[NOTIFY_SECRET_MAX];
	char signature[BODY_SIGNATURE];
	size_t n, len = strlen(line);

	if (!secret || notify_secret_bytes(secret, key, &n, e) < 0)
		return -1;
	body_sign(key, n, p->id, now_s, body, signature);
	secret_wipe(key, sizeof(key));
	snprintf(line + len, size - len, " %s", signature);
	return 0;
}

static void send_webhook(struct outbox *o, const struct parcel *p, const char *link,
			 struct outcome *r)
{
	AUTO_FREE char *body = body_webhook(p->message, link);
	CLEANUP(forget) char *url = NULL;
	char lines[3][128] = {"", "", "webhook-signature:"};
	const char *const headers[] = {"Content-Type: application/json", "User-Agent: Holdfast",
				       lines[0], lines[1], lines[2]};
	uint64_t now_s = clock_wall_us() / 1000000;
	struct err e = {ERR_NONE};

	url = unseal(o, p->notification, "url", &e);
	if (!url ||
	    add_signature(o, p, "secret", now_s, body, lines[2], sizeof(lines[2]), &e) < 0 ||
	    (p->two_secrets && add_signature(o, p, NOTIFY_OLD_SECRET, now_s, body, lines[2],
					     sizeof(lines[2]), &e) < 0)) {
		say_err(r, &e);
		return;
	}
	snprintf(lines[0], sizeof(lines[0]), "webhook-id: %s", p->id);
	snprintf(lines[1], sizeof(lines[1]), "webhook-timestamp: %llu", (unsigned long long)now_s);
	post(o, p, url, body, headers, ARRAY_LEN(headers), r);
}

/* ---- mail ---- */

static void send_mail(struct outbox *o, const struct parcel *p, const char *link, struct outcome *r)
{
	AUTO_FREE char *subject = body_mail_subject(p->message);
	AUTO_FREE char *text = body_mail(p->message, link, p->name);
	AUTO_FREE char *id = xasprintf("%s@%s", p->id, o->host);
	const char *to[NOTIFY_RECIPIENTS];
	struct mail m = {.id = id,
			 .from = o->mail_from,
			 .to = to,
			 .subject = subject,
			 .text = text,
			 .date_us = clock_wall_us()};
	char reply[MAIL_REPLY];
	struct err e = {ERR_NONE};
	AUTO_FREE char *all = NULL;

	for (; m.n_to < MIN(json_array_size(p->recipients), (size_t)NOTIFY_RECIPIENTS); m.n_to++)
		to[m.n_to] = json_string_value(json_array_get(p->recipients, m.n_to));
	if (!o->mail.url) {
		say(r, "This server sends no mail any more: [mail] server is not set.");
		return;
	}
	r->delivered = mail_send(&o->mail, &m, &r->code, reply, &e) == 0;
	if (!r->delivered) {
		say_err(r, &e);
		return;
	}
	all = xasprintf("SMTP %d %s", r->code, reply);
	say(r, all);
}

/* ---- one after the other ---- */

static void send_one(struct outbox *o, const struct parcel *p, struct outcome *r)
{
	AUTO_FREE char *link = body_link(p->message, o->public_url);
	bool test = strcmp(json_text_in(p->message, "event"), "test") == 0;
	uint64_t since = clock_mono_us();

	if (!p->enabled && !test) {
		r->final = true;
		say(r, "The notification was disabled.");
	} else if (strcmp(p->kind, "mail") == 0) {
		send_mail(o, p, link, r);
	} else if (strcmp(p->kind, "slack") == 0) {
		send_slack(o, p, link, r);
	} else {
		send_webhook(o, p, link, r);
	}
	r->took_us = clock_mono_us() - since;
}

/* How long to rest before the next look; 0: none. */
static unsigned deliver(struct outbox *o, struct parcel *p)
{
	struct outcome r = {.delivered = false};
	struct err e = {ERR_NONE};
	uint64_t now = clock_wall_us(), next;
	int have = outbox_take(o->db, now, p, &next, &e);

	if (have > 0) {
		send_one(o, p, &r);
		if (outbox_settle(o->db, p, &r, clock_wall_us(), &e) == 0) {
			if (!r.delivered && !r.given_back)
				log_warn("notification %s (%s): attempt %lld: %s", p->name,
					 p->notification, (long long)p->attempt, r.text);
			return 0;
		}
		have = -1;
	}
	if (have < 0) {
		log_warn("notifications: %s", e.msg);
		return ERROR_MS;
	}
	if (next <= now)
		return REST_MS;
	return next == UINT64_MAX ? LOOK_MS : (unsigned)MIN((next - now) / 1000 + 1, LOOK_MS);
}

static void *run(void *arg)
{
	struct outbox *o = arg;
	struct parcel p = {.kind = NULL};

	for (;;) {
		/* Before it looks whether it is to stop: who stops it wakes it after he said so. */
		uint64_t seen = db_woken(o->db, NOTIFY_WAKE);
		unsigned rest;

		if (cancel_asked(&o->stop))
			break;
		rest = deliver(o, &p);
		if (rest)
			db_wait(o->db, NOTIFY_WAKE, seen, rest);
	}
	parcel_done(&p);
	return NULL;
}

/* "host" of "https://host:1/"; for Message-IDs. The caller frees it. */
static char *host_of(const char *url)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	return *host && *host != '[' ? xstrndup(host, strcspn(host, ":/")) : xstrdup("holdfast");
}

struct outbox *outbox_start(struct db *d, struct auth *a, const struct outbox_options *opt,
			    struct err *e)
{
	struct outbox *o = xcalloc(1, sizeof(*o));
	int failed = 0;

	o->db = d;
	o->auth = a;
	o->public_url = xstrdup(opt->public_url);
	o->host = host_of(opt->public_url);
	o->mail_from = xstrdup0(opt->mail_from);
	o->mail = opt->mail;
	o->mail.timeout_ms = OUTBOX_TIMEOUT_MS;
	o->mail.cancel = &o->stop;
	o->guarded = http_new(opt->ca);
	o->open = http_new(opt->ca);
	http_set_reach(o->guarded, opt->reach);
	for (; o->n < MIN(opt->threads, (unsigned)THREADS_MOST) && !failed; o->n += !failed)
		failed = pthread_create(&o->threads[o->n], NULL, run, o);
	if (!failed)
		return o;
	err_sys(e, failed, "start a thread");
	outbox_stop(o);
	return NULL;
}

void outbox_stop(struct outbox *o)
{
	if (!o)
		return;
	cancel_set(&o->stop);
	db_wake_here(o->db, NOTIFY_WAKE);
	while (o->n)
		pthread_join(o->threads[--o->n], NULL);
	http_free(o->guarded);
	http_free(o->open);
	free(o->public_url);
	free(o->host);
	free(o->mail_from);
	free(o);
}
