/* SPDX-License-Identifier: Apache-2.0 */
#include "core/notify_channel.h"

#include <openssl/evp.h>
#include <string.h>

#include "auth/sealed.h"
#include "base/clock.h"
#include "base/text.h"
#include "core/ids.h"
#include "core/json.h"

#define SECRET_PREFIX "whsec_"
#define SECRET_BYTES 32 /* of one that we make */
#define URL_MOST 1000
#define PLANS_MOST 100
#define EVENTS_MOST 20

#define WRONG "Invalid input for field/attribute notification."

/* ---- secrets ---- */

int notify_secret_bytes(const char *text, uint8_t out[NOTIFY_SECRET_MAX], size_t *ret_n,
			struct err *e)
{
	uint8_t raw[NOTIFY_SECRET_TEXT];
	const char *coded = text + strlen(SECRET_PREFIX);
	size_t len = strlen(text), pads;
	int n = -1;

	if (len < NOTIFY_SECRET_TEXT && strncmp(text, SECRET_PREFIX, strlen(SECRET_PREFIX)) == 0 &&
	    strspn(coded, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
		    strlen(coded))
		n = EVP_DecodeBlock(raw, (const unsigned char *)coded, (int)strlen(coded));
	pads = n > 0 ? strlen(coded) - strcspn(coded, "=") : 0;
	if (n < (int)(NOTIFY_SECRET_MIN + pads) || pads > 2 ||
	    (size_t)n - pads > NOTIFY_SECRET_MAX) {
		secret_wipe(raw, sizeof(raw));
		return err_set(e, ERR_INVALID,
			       WRONG "secret. Write it as whsec_ and the base64 of %d to %d bytes; "
				     "or leave it out, and one is made and shown once.",
			       NOTIFY_SECRET_MIN, NOTIFY_SECRET_MAX);
	}
	*ret_n = (size_t)n - pads;
	memcpy(out, raw, *ret_n);
	secret_wipe(raw, sizeof(raw));
	return 0;
}

static void make_secret(char out[NOTIFY_SECRET_TEXT])
{
	uint8_t raw[SECRET_BYTES];

	random_bytes(raw, sizeof(raw));
	memcpy(out, SECRET_PREFIX, strlen(SECRET_PREFIX));
	EVP_EncodeBlock((unsigned char *)out + strlen(SECRET_PREFIX), raw, sizeof(raw));
	secret_wipe(raw, sizeof(raw));
}

static int seal(struct core *c, struct db_tx *t, const char *id, const char *name, const char *text,
		struct err *e)
{
	AUTO(secret) s = secret_of(text, strlen(text));

	return sealed_set(c->auth, t, "notifications", id, name, s, e);
}

/* ---- what is given ---- */

static bool is_kind(const char *kind, const char *name)
{
	return strcmp(kind, name) == 0;
}

/* Where it goes to: host and port, no user, no fragment; the value is not told, it may be secret.
 */
static int check_url(const char *url, struct err *e)
{
	const char *host = strstr(url, "://");
	size_t n;

	if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
	    strlen(url) > URL_MOST)
		return err_set(e, ERR_INVALID,
			       WRONG "url. Write it as https://HOST/PATH, with at most %d "
				     "characters.",
			       URL_MOST);
	host += 3;
	n = strcspn(host, "/?#");
	for (const char *p = url; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > 126 || *p == '\\' || *p == '#')
			return err_set(e, ERR_INVALID,
				       WRONG "url. It has a blank, a # or a character that is no "
					     "ASCII: write that as %%XX.");
	if (n == 0 || memchr(host, '@', n))
		return err_set(e, ERR_INVALID,
			       WRONG "url. It needs a host, and a user or password does not "
				     "belong there.");
	return 0;
}

/* As much of a URL as is no secret; the caller frees it. */
static char *shown_url(const char *kind, const char *url)
{
	const char *host = strstr(url, "://") + 3;

	if (is_kind(kind, "slack"))
		return xasprintf("%.*s/...", (int)(host - url + (long)strcspn(host, "/?")), url);
	return xstrndup(url, strcspn(url, "?"));
}

static int check_recipients(const json_t *list, struct err *e)
{
	const json_t *v;
	size_t i;

	if (json_array_size(list) == 0 || json_array_size(list) > NOTIFY_RECIPIENTS)
		return err_set(e, ERR_INVALID, WRONG "recipients. It needs 1 to %d mail addresses.",
			       NOTIFY_RECIPIENTS);
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);

		if (!s || !text_is_mail_address(s))
			return err_set(e, ERR_INVALID,
				       WRONG "recipients. Value: %.100s. Write a mail address as "
					     "user@host.example.",
				       s ? s : "(no text)");
	}
	return 0;
}

static int check_events(const json_t *list, struct err *e)
{
	const json_t *v;
	size_t i;

	if (json_array_size(list) > EVENTS_MOST)
		return err_set(e, ERR_INVALID, WRONG "events. At most %d.", EVENTS_MOST);
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);

		if (!s || !notify_event_kind(s))
			return err_set(e, ERR_INVALID,
				       WRONG
				       "events. Value: %.60s. There is no such event; an empty "
				       "list means every kind of trouble.",
				       s ? s : "(no text)");
	}
	return 0;
}

static int check_plans(struct db_tx *t, const char *project, const json_t *list, struct err *e)
{
	const json_t *v;
	size_t i;

	if (json_array_size(list) > PLANS_MOST)
		return err_set(e, ERR_INVALID, WRONG "plan_ids. At most %d.", PLANS_MOST);
	json_array_foreach(list, i, v)
	{
		const char *s = json_string_value(v);
		AUTO(db_rows)
		r = db_query(t, e,
			     "SELECT 1 FROM plans WHERE id = $1 AND ($2 = '' OR project_id = $2)",
			     db_t(s ? s : ""), db_t(project ? project : ""));
		int have = r ? db_next(r, e) : -1;

		if (have < 0)
			return -1;
		if (have == 0)
			return err_set(e, ERR_INVALID,
				       WRONG "plan_ids. Value: %.60s. There is no such plan.",
				       s ? s : "(no text)");
	}
	return 0;
}

static int refuse(const char *kind, const char *field, struct err *e)
{
	return err_set(e, ERR_INVALID, WRONG "%s. It does not belong to one of kind %s.", field,
		       kind);
}

/* What is there has to be right, and to belong to the kind. */
static int check(struct db_tx *t, const char *kind, const struct notify_channel *n, struct err *e)
{
	bool mail = is_kind(kind, "mail");
	uint8_t raw[NOTIFY_SECRET_MAX];
	size_t len;

	if (n->url && mail)
		return refuse(kind, "url", e);
	if (n->secret && !is_kind(kind, "webhook"))
		return refuse(kind, "secret", e);
	if (n->recipients && !mail)
		return refuse(kind, "recipients", e);
	if ((n->url && check_url(n->url, e) < 0) ||
	    (n->secret && notify_secret_bytes(n->secret, raw, &len, e) < 0) ||
	    (n->recipients && check_recipients(n->recipients, e) < 0) ||
	    check_events(n->events, e) < 0 || check_plans(t, n->project, n->plans, e) < 0)
		return -1;
	secret_wipe(raw, sizeof(raw));
	return 0;
}

/* ---- rows ---- */

static int check_room(struct db_tx *t, const char *project, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT count(*) FROM notifications WHERE coalesce(project_id, '') = $1",
		     db_t(project ? project : ""));

	if (!r || db_next(r, e) < 0)
		return -1;
	if (db_int(r, 0) < NOTIFY_MOST)
		return 0;
	return err_set(e, ERR_LIMIT, "There are %d notifications already: remove one first.",
		       NOTIFY_MOST);
}

static int check_new(struct core *c, struct db_tx *t, const struct notify_channel *n, struct err *e)
{
	bool mail = is_kind(n->kind, "mail");

	if (mail && !c->sends_mail)
		return err_set(e, ERR_INVALID,
			       WRONG "kind. Value: mail. This server sends no mail: its "
				     "administrator has to set [mail] server in holdfastd.conf.");
	if (!mail && !n->url)
		return err_set(e, ERR_INVALID, WRONG "url. It is required.");
	if (mail && !n->recipients)
		return err_set(e, ERR_INVALID, WRONG "recipients. It is required.");
	if (check(t, n->kind, n, e) < 0)
		return -1;
	return check_room(t, n->project, e);
}

int notify_channel_insert(struct core *c, struct db_tx *t, const struct notify_channel *n,
			  char ret_id[UUID_TEXT], char ret_secret[NOTIFY_SECRET_TEXT],
			  struct err *e)
{
	AUTO_FREE char *url = NULL;
	AUTO_FREE char *recipients = n->recipients ? json_text(n->recipients) : xstrdup("[]");
	AUTO_FREE char *events = n->events ? json_text(n->events) : xstrdup("[]");
	AUTO_FREE char *plans = n->plans ? json_text(n->plans) : xstrdup("[]");

	ret_secret[0] = 0;
	if (check_new(c, t, n, e) < 0)
		return -1;
	url = n->url ? shown_url(n->kind, n->url) : NULL;
	if (db_exec(t, NULL, e,
		    "INSERT INTO notifications (id, project_id, name, description, kind, enabled, "
		    "url, recipients, events, severity, plan_ids, remind_hours, status, "
		    "busy_until, created_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, "
		    "$6, $7, $8, $9, $10, $11, $12, 'unknown', 0, $13, $14, $14)",
		    db_t(new_id(ret_id)), db_t0(n->project), db_t(n->name),
		    db_t(n->description ? n->description : ""), db_t(n->kind),
		    db_i(n->enabled != 0), db_t(url), db_t(recipients), db_t(events),
		    db_t(n->severity ? n->severity : notify_severities[NOTIFY_INFO]), db_t(plans),
		    db_i(MAX(n->remind_hours, 0)), db_t(n->created_by), db_i(clock_wall_us())) < 0)
		return -1;
	if (n->url && seal(c, t, ret_id, "url", n->url, e) < 0)
		return -1;
	if (!is_kind(n->kind, "webhook"))
		return 0;
	if (!n->secret)
		make_secret(ret_secret);
	return seal(c, t, ret_id, "secret", n->secret ? n->secret : ret_secret, e);
}

/* ---- another secret ---- */

/* What it has becomes what it had. */
static int keep_old(struct core *c, struct db_tx *t, const char *id, bool keep, struct err *e)
{
	AUTO(secret) s = NULL;

	if (!keep)
		return sealed_remove(t, "notifications", id, NOTIFY_OLD_SECRET, e);
	s = sealed_get(c->auth, t, "notifications", id, "secret", e);
	return s ? sealed_set(c->auth, t, "notifications", id, NOTIFY_OLD_SECRET, s, e) : -1;
}

int notify_channel_rotate(struct core *c, struct db_tx *t, const char *id, const char *secret,
			  uint64_t old_until_us, char ret_secret[NOTIFY_SECRET_TEXT], struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT kind FROM notifications WHERE id = $1", db_t(id));
	uint8_t raw[NOTIFY_SECRET_MAX];
	int have = r ? db_next(r, e) : -1;
	size_t len;

	ret_secret[0] = 0;
	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no notification '%s'.", id);
	if (have < 0)
		return -1;
	if (!is_kind(db_text(r, 0), "webhook"))
		return refuse(db_text(r, 0), "secret", e);
	if (secret && notify_secret_bytes(secret, raw, &len, e) < 0)
		return -1;
	secret_wipe(raw, sizeof(raw));
	if (!secret)
		make_secret(ret_secret);
	if (keep_old(c, t, id, old_until_us != 0, e) < 0 ||
	    seal(c, t, id, "secret", secret ? secret : ret_secret, e) < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "UPDATE notifications SET old_secret_until = $2, updated_at = $3 WHERE id = "
		       "$1",
		       db_t(id), old_until_us ? db_i((int64_t)old_until_us) : db_null(),
		       db_i(clock_wall_us()));
}

#define STALE "FROM notifications WHERE old_secret_until <= $1"

int notify_channel_stale(struct db_tx *t, uint64_t now_us, bool *ret_due, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT 1 " STALE " LIMIT 1", db_i(now_us));
	int have = r ? db_next(r, e) : -1;

	*ret_due = have > 0;
	return have < 0 ? -1 : 0;
}

int notify_channel_forget(struct db_tx *t, uint64_t now_us, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT id " STALE, db_i(now_us));
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0)
		if (sealed_remove(t, "notifications", db_text(r, 0), NOTIFY_OLD_SECRET, e) < 0)
			return -1;
	if (have < 0)
		return -1;
	return db_exec(t, NULL, e,
		       "UPDATE notifications SET old_secret_until = NULL WHERE old_secret_until <= "
		       "$1",
		       db_i(now_us));
}

static char *text_or_null(const json_t *v)
{
	return v ? json_text(v) : NULL;
}

int notify_channel_update(struct core *c, struct db_tx *t, const char *id,
			  const struct notify_channel *n, struct err *e)
{
	AUTO_FREE char *url = NULL;
	AUTO_FREE char *recipients = text_or_null(n->recipients);
	AUTO_FREE char *events = text_or_null(n->events);
	AUTO_FREE char *plans = text_or_null(n->plans);
	AUTO(db_rows)
	r = db_query(t, e, "SELECT kind, project_id FROM notifications WHERE id = $1", db_t(id));
	struct notify_channel all = *n;
	int have = r ? db_next(r, e) : -1;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no notification '%s'.", id);
	all.project = have > 0 ? db_text_or_null(r, 1) : NULL;
	if (have < 0 || check(t, db_text(r, 0), &all, e) < 0)
		return -1;
	url = n->url ? shown_url(db_text(r, 0), n->url) : NULL;
	if (db_exec(t, NULL, e,
		    "UPDATE notifications SET name = coalesce($2, name), description = "
		    "coalesce($3, "
		    "description), url = coalesce($4, url), recipients = coalesce($5, recipients), "
		    "events = coalesce($6, events), severity = coalesce($7, severity), plan_ids = "
		    "coalesce($8, plan_ids), remind_hours = CASE WHEN $9 < 0 THEN remind_hours "
		    "ELSE "
		    "$9 END, enabled = CASE WHEN $10 < 0 THEN enabled ELSE $10 END, updated_at = "
		    "$11 WHERE id = $1",
		    db_t(id), db_t(n->name), db_t(n->description), db_t(url), db_t(recipients),
		    db_t(events), db_t(n->severity), db_t(plans), db_i(n->remind_hours),
		    db_i(n->enabled), db_i(clock_wall_us())) < 0)
		return -1;
	if (n->url && seal(c, t, id, "url", n->url, e) < 0)
		return -1;
	return n->secret ? seal(c, t, id, "secret", n->secret, e) : 0;
}

int notify_channel_remove(struct db_tx *t, const char *id, struct err *e)
{
	uint64_t n;

	if (sealed_remove(t, "notifications", id, NULL, e) < 0 ||
	    db_exec(t, &n, e, "DELETE FROM notifications WHERE id = $1", db_t(id)) < 0)
		return -1;
	return n ? 0 : err_set(e, ERR_NOENT, "There is no notification '%s'.", id);
}

int notify_channel_test(struct db_tx *t, const char *id, const char *by,
			char ret_delivery[UUID_TEXT], struct err *e)
{
	AUTO(db_rows)
	r = db_query(
		t, e,
		"SELECT n.name, n.project_id, p.name FROM notifications n LEFT JOIN projects p "
		"ON p.id = n.project_id WHERE n.id = $1",
		db_t(id));
	AUTO_FREE char *title = NULL;
	AUTO_FREE char *text = NULL;
	uint64_t now = clock_wall_us();
	int have = r ? db_next(r, e) : -1;
	json_t *m;

	if (have == 0)
		return err_set(e, ERR_NOENT, "There is no notification '%s'.", id);
	if (have < 0)
		return -1;
	title = xasprintf("Test of notification %s", db_text(r, 0));
	text = xasprintf("This was sent by %s to see whether it arrives. It does.", by);
	m = json_pack("{s:s, s:s, s:o, s:n, s:n, s:n, s:o, s:o, s:o, s:o, s:s, s:o}", "event",
		      "test", "severity", notify_severities[NOTIFY_INFO], "at", json_time(now),
		      "trouble", "plan_id", "operation_id", "project_id",
		      json_string_of(db_text(r, 1)), "project_name", json_string_of(db_text(r, 2)),
		      "title", json_string_of(title), "text", json_string_of(text), "action",
		      "Nothing has to be done.", "subject", json_null());
	have = notify_put(t, id, m, 1, now, ret_delivery, e);
	json_decref(m);
	return have;
}
