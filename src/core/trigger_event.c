/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trigger_event.c: things that happen. An event only leaves a firing that is pending and makes its
 * trigger due: it may be told in any transaction, and what is wrong with what it starts does not
 * hurt who told it.
 *
 * A firing is named by its time; events at the same time get the next free one, which the row of
 * the trigger gives out.
 */
#include "core/trigger_priv.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#define EVENT_ID_MAX 200
#define TIES_MAX 50

/* 1: it is known, or too many wait (*ret_full); 0: it is new; -1. */
static int is_told(struct db_tx *x, const struct trigger *t, const char *event, bool *ret_full,
		   struct err *e)
{
	AUTO(db_rows) r = NULL;
	int have;

	*ret_full = false;
	r = db_query(x, e, "SELECT 1 FROM firings WHERE trigger_id = $1 AND event_id = $2",
		     db_t(t->id), db_t(event));
	have = r ? db_next(r, e) : -1;
	if (have != 0)
		return have;
	db_rows_free(r);
	r = db_query(x, e,
		     "SELECT count(*) FROM firings WHERE trigger_id = $1 AND state = 'pending'",
		     db_t(t->id));
	if (!r || db_next(r, e) < 0)
		return -1;
	*ret_full = db_int(r, 0) >= TRIGGER_PENDING_MAX;
	return *ret_full;
}

static int mark(struct db_tx *x, const struct trigger *t, const char *event, uint64_t now_us,
		struct err *e)
{
	uint64_t at_us = MAX(now_us, t->last_at_us + 1), fresh = 0;

	/* Another transaction may just have taken that time. */
	for (int tries = 0; fresh == 0 && tries < TIES_MAX; tries++, at_us++)
		if (db_exec(x, &fresh, e,
			    "INSERT INTO firings (trigger_id, at, event_id, state, reason, "
			    "operations, created_at) VALUES ($1, $2, $3, 'pending', '', '[]', $4) "
			    "ON CONFLICT DO NOTHING",
			    db_t(t->id), db_i(at_us), db_t(event), db_i(now_us)) < 0)
			return -1;
	if (db_exec(x, NULL, e, "UPDATE triggers SET last_at = $2, next_at = $3 WHERE id = $1",
		    db_t(t->id), db_i(at_us - 1), db_i(now_us)) < 0)
		return -1;
	return db_wake(x, TRIGGER_CHANNEL, e);
}

static bool is(const json_t *properties, const char *key, const char *value, const char *otherwise)
{
	const char *want = json_string_value(json_object_get(properties, key));

	if (!want)
		want = otherwise;
	return !want || (value && strcmp(want, value) == 0);
}

static bool waits_for(const struct trigger *t, const struct trigger_event *ev)
{
	return is(t->properties, "event", "operation", "") &&
	       is(t->properties, "kind", ev->kind, "") &&
	       is(t->properties, "state", ev->state, "succeeded") &&
	       is(t->properties, "plan_id", ev->plan, NULL) &&
	       (!ev->trigger || strcmp(t->id, ev->trigger) != 0);
}

int trigger_tell(struct db_tx *x, const struct trigger_event *ev, uint64_t now_us,
		 unsigned *ret_fired, struct err *e)
{
	AUTO(db_rows)
	r = db_query(x, e, TRIGGER_SELECT "type = 'event' AND project_id = $1 AND enabled = 1",
		     db_t(ev->project));
	unsigned fired = 0;
	int have = r ? 1 : -1, told;
	bool full;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		AUTO(trigger) t = trigger_from_row(r);

		if (!waits_for(t, ev))
			continue;
		told = is_told(x, t, ev->id, &full, e);
		if (told < 0 || (told == 0 && mark(x, t, ev->id, now_us, e) < 0))
			return -1;
		fired += told == 0;
	}
	if (have < 0)
		return -1;
	*ret_fired = fired;
	return 0;
}

/* The webhook that this token opens; ERR_DENIED. */
static struct trigger *open_webhook(struct db_tx *x, const char *id, const char *token,
				    struct err *e)
{
	char hash[TRIGGER_TOKEN];
	AUTO(db_rows)
	r = db_query(x, e,
		     "SELECT " TRIGGER_COLUMNS ", token_hash FROM triggers WHERE id = $1 AND "
		     "enabled = 1 AND token_hash IS NOT NULL",
		     db_t(id));
	int have = r ? db_next(r, e) : -1;

	trigger_token_hash(token, hash);
	if (have < 0)
		return NULL;
	if (!have || strlen(db_text(r, 8)) != TRIGGER_TOKEN - 1 ||
	    CRYPTO_memcmp(hash, db_text(r, 8), TRIGGER_TOKEN - 1) != 0) {
		err_set(e, ERR_DENIED, "There is no such webhook, or its token is another one.");
		return NULL;
	}
	return trigger_from_row(r);
}

int trigger_call(struct db_tx *x, const char *id, const char *token, const char *event,
		 uint64_t now_us, bool *ret_new, struct err *e)
{
	AUTO(trigger) t = open_webhook(x, id, token, e);
	AUTO_FREE char *own = NULL;
	struct uuid u = uuid_random();
	char text[UUID_TEXT];
	bool full;
	int told;

	if (!t)
		return -1;
	if (event && (!*event || strlen(event) > EVENT_ID_MAX))
		return err_set(e, ERR_INVALID, "The id of an event has 1 to %d characters.",
			       EVENT_ID_MAX);
	/* What callers choose is kept apart from what we do. */
	own = event ? xasprintf("call:%s", event) : xasprintf("any:%s", uuid_text(&u, text));
	told = is_told(x, t, own, &full, e);
	if (told < 0)
		return -1;
	if (full)
		return err_set(e, ERR_LIMIT,
			       "%d calls of this webhook wait to be dealt with: call again later.",
			       TRIGGER_PENDING_MAX);
	if (told == 0 && mark(x, t, own, now_us, e) < 0)
		return -1;
	*ret_new = told == 0;
	return 0;
}
