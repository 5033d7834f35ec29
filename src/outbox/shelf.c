/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf.c: the outbox in the database.
 *
 * Taking: `busy_until` of the notification is the lease; whoever moves it on from a time that has
 * passed has it. The attempt is counted at the same time, and its number is the fence: settling
 * changes the delivery only if that is still the last attempt.
 *
 * If interrupted here: after taking, the lease runs out and it is taken again; settling is one
 * transaction.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/json.h"
#include "core/notify.h"
#include "outbox/outbox.h"
#include "outbox/outbox_priv.h"

#define REASON_MOST 400
#define RETRY_AFTER_MOST_S 3600
#define PRUNE_MOST 1000

void parcel_done(struct parcel *p)
{
	free(p->kind);
	free(p->name);
	json_decref(p->message);
	json_decref(p->recipients);
	*p = (struct parcel){.kind = NULL};
}

/* ---- taking ---- */

struct taking {
	uint64_t now_us, next_us;
	struct parcel *p;
	bool found;
};

static const char due[] =
	"SELECT d.id, d.notification_id, n.kind, n.name, n.project_id, n.enabled, d.message, "
	"n.recipients, d.attempts, d.attempts_most, CASE WHEN n.old_secret_until > $1 THEN 1 ELSE "
	"0 "
	"END FROM deliveries d JOIN notifications n ON n.id "
	"= "
	"d.notification_id WHERE d.state = 'pending' AND d.next_at <= $1 AND n.busy_until <= $1 "
	"AND "
	"(SELECT count(*) FROM notifications b WHERE b.busy_until > $1 AND coalesce(b.project_id, "
	"'') = coalesce(n.project_id, '')) < $2 ORDER BY d.next_at, d.created_at LIMIT 1";

static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct taking *k = arg;
	AUTO(db_rows)
	r = db_query(t, e, "SELECT min(next_at) FROM deliveries WHERE state = 'pending'");

	if (!r || db_next(r, e) < 0)
		return -1;
	k->next_us = db_is_null(r, 0) ? UINT64_MAX : (uint64_t)db_int(r, 0);
	return 0;
}

static void read_parcel(const struct db_rows *r, struct parcel *p)
{
	parcel_done(p);
	snprintf(p->id, sizeof(p->id), "%s", db_text(r, 0));
	snprintf(p->notification, sizeof(p->notification), "%s", db_text(r, 1));
	p->kind = xstrdup(db_text(r, 2));
	p->name = xstrdup(db_text(r, 3));
	p->shared = db_is_null(r, 4);
	p->enabled = db_int(r, 5) != 0;
	p->message = json_of(db_text(r, 6), "{}");
	p->recipients = json_of(db_text(r, 7), "[]");
	p->attempt = db_int(r, 8) + 1;
	p->attempts_most = db_int(r, 9);
	p->two_secrets = db_int(r, 10) != 0;
}

static int take(struct db_tx *t, void *arg, struct err *e)
{
	struct taking *k = arg;
	struct parcel *p = k->p;
	uint64_t lease = k->now_us + OUTBOX_LEASE_US, n;
	AUTO(db_rows)
	r = db_query(t, e, due, db_i(k->now_us), db_i(OUTBOX_PER_PROJECT));
	int have = r ? db_next(r, e) : -1;

	k->found = false;
	if (have <= 0)
		return have;
	read_parcel(r, p);
	if (db_exec(t, &n, e,
		    "UPDATE notifications SET busy_until = $2 WHERE id = $1 AND busy_until <= $3",
		    db_t(p->notification), db_i(lease), db_i(k->now_us)) < 0)
		return -1;
	if (n == 0)
		return 0; /* another process was faster */
	if (db_exec(t, &n, e,
		    "UPDATE deliveries SET attempts = $2, next_at = $3 WHERE id = $1 AND state = "
		    "'pending' AND attempts = $4",
		    db_t(p->id), db_i(p->attempt), db_i(lease), db_i(p->attempt - 1)) < 0)
		return -1;
	k->found = n > 0;
	if (k->found)
		return 0;
	/* It was delivered since it was looked for. */
	return db_exec(t, NULL, e, "UPDATE notifications SET busy_until = 0 WHERE id = $1",
		       db_t(p->notification));
}

int outbox_take(struct db *d, uint64_t now_us, struct parcel *ret, uint64_t *ret_next_us,
		struct err *e)
{
	struct taking k = {.now_us = now_us, .p = ret};

	if (db_read(d, look, &k, e) < 0)
		return -1;
	*ret_next_us = k.next_us;
	if (k.next_us > now_us)
		return 0;
	if (db_claim(d, take, &k, e) < 0)
		return -1;
	return k.found;
}

/* ---- settling ---- */

uint64_t outbox_pause_us(int64_t attempts)
{
	static const unsigned seconds[] = {2, 15, 60, 300, 1800, 7200, 18000, 36000};
	size_t i = attempts < 1 ? 0 : (size_t)attempts - 1;

	return (uint64_t)seconds[MIN(i, ARRAY_LEN(seconds) - 1)] * 1000000;
}

struct settling {
	const struct parcel *p;
	const struct outcome *o;
	uint64_t now_us, next_us; /* 0: it is over */
};

/* Receivers that failed together do not come back together. */
static uint64_t next_try(const struct parcel *p, const struct outcome *o, uint64_t now_us)
{
	uint64_t pause = outbox_pause_us(p->attempt);
	uint64_t asked = (uint64_t)MIN(o->retry_after_s, RETRY_AFTER_MOST_S) * 1000000;
	uint32_t dice;

	random_bytes(&dice, sizeof(dice));
	return now_us + MAX(pause, asked) + pause / 1000 * (dice % 250);
}

static int add_attempt(struct db_tx *t, const struct settling *s, char **ret_log, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e, "SELECT log FROM deliveries WHERE id = $1", db_t(s->p->id));
	int have = r ? db_next(r, e) : -1;
	json_t *log;

	if (have < 0)
		return -1;
	log = json_of(have ? db_text(r, 0) : NULL, "[]");
	json_array_append_new(log, json_pack("{s:o, s:I, s:o, s:o}", "at",
					     json_time(s->now_us - s->o->took_us), "ms",
					     (json_int_t)(s->o->took_us / 1000), "code",
					     s->o->code ? json_integer(s->o->code) : json_null(),
					     "text", json_string_of(s->o->text)));
	*ret_log = json_text(log);
	json_decref(log);
	return 0;
}

static int give_back(struct db_tx *t, const struct settling *s, struct err *e)
{
	uint64_t n;

	if (db_exec(t, &n, e,
		    "UPDATE deliveries SET attempts = attempts - 1, next_at = $3 WHERE id = $1 AND "
		    "attempts = $2 AND state = 'pending'",
		    db_t(s->p->id), db_i(s->p->attempt), db_i(s->now_us)) < 0)
		return -1;
	return n ? db_exec(t, NULL, e, "UPDATE notifications SET busy_until = 0 WHERE id = $1",
			   db_t(s->p->notification))
		 : 0;
}

static int settle(struct db_tx *t, void *arg, struct err *e)
{
	const struct settling *s = arg;
	const struct outcome *o = s->o;
	const char *state = o->delivered ? "delivered" : s->next_us ? "pending" : "failed";
	AUTO_FREE char *log = NULL;
	uint64_t n;

	if (o->given_back)
		return give_back(t, s, e);
	if (add_attempt(t, s, &log, e) < 0 ||
	    db_exec(t, &n, e,
		    "UPDATE deliveries SET state = $3, code = $4, reason = $5, log = $6, next_at = "
		    "$7, ended_at = $8 WHERE id = $1 AND attempts = $2 AND state = 'pending'",
		    db_t(s->p->id), db_i(s->p->attempt), db_t(state),
		    o->code ? db_i(o->code) : db_null(), db_t(o->delivered ? NULL : o->text),
		    db_t(log), s->next_us ? db_i(s->next_us) : db_null(),
		    s->next_us ? db_null() : db_i(s->now_us)) < 0)
		return -1;
	if (n == 0)
		return 0;
	return db_exec(t, NULL, e,
		       "UPDATE notifications SET busy_until = 0, status = $2, reason = $3, sent_at "
		       "= coalesce($4, sent_at) WHERE id = $1",
		       db_t(s->p->notification), db_t(o->delivered ? "working" : "failing"),
		       db_t(o->delivered ? NULL : o->text),
		       o->delivered ? db_i(s->now_us) : db_null());
}

int outbox_settle(struct db *d, const struct parcel *p, const struct outcome *o, uint64_t now_us,
		  struct err *e)
{
	struct settling s = {.p = p, .o = o, .now_us = now_us};

	if (!o->delivered && !o->final && p->attempt < p->attempts_most)
		s.next_us = next_try(p, o, now_us);
	return db_claim(d, settle, &s, e);
}

/* ---- forgetting ---- */

static int prune(struct db_tx *t, void *arg, struct err *e)
{
	const uint64_t *before = arg;

	return db_exec(t, NULL, e,
		       "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE "
		       "ended_at < $1 ORDER BY ended_at LIMIT $2)",
		       db_i(*before), db_i(PRUNE_MOST));
}

int outbox_prune(struct db *d, uint64_t before_us, struct err *e)
{
	return db_write(d, prune, &before_us, e);
}
