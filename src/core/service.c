/* SPDX-License-Identifier: Apache-2.0 */
#include "core/service.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/ids.h"
#include "core/trigger.h"
#include "flow/flow.h"

#define LOOK_US 5000000 /* without a wake, which may be lost */

static const char *const names[] = {"api", "scheduler", "worker", "conductor"};

struct services {
	struct db *db;
	char *host;
	unsigned roles;
	pthread_mutex_t lock; /* of what follows; not held while the database is asked */
	unsigned disabled;
	uint64_t seen, looked_us; /* what was woken by then, and when, by clock_mono_us() */
	bool looking;
};

/* ---- saying hello ---- */

static int say_hello(struct db_tx *t, void *arg, struct err *e)
{
	const struct services *s = arg;
	char id[UUID_TEXT];

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if ((s->roles & (1u << i)) &&
		    db_exec(t, NULL, e,
			    "INSERT INTO services (id, host, role, status, updated_at) VALUES ($1, "
			    "$2, $3, 'enabled', $4) ON CONFLICT (host, role) DO UPDATE SET "
			    "updated_at = excluded.updated_at",
			    db_t(new_id(id)), db_t(s->host), db_t(names[i]),
			    db_i(clock_wall_us())) < 0)
			return -1;
	return 0;
}

int services_hello(struct services *s, struct err *e)
{
	return db_write(s->db, say_hello, s, e);
}

struct services *services_new(struct db *d, const char *host, unsigned roles, struct err *e)
{
	AUTO(services) s = xcalloc(1, sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	s->db = d;
	s->host = xstrdup(host);
	s->roles = roles;
	return services_hello(s, e) < 0 ? NULL : steal(&s);
}

void services_free(struct services *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->host);
	free(s);
}

/* ---- whether they may ---- */

struct look {
	const struct services *s;
	unsigned disabled;
	char *reasons[ARRAY_LEN(names)];
};

static void look_done(struct look *l)
{
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		free(steal(&l->reasons[i]));
	l->disabled = 0;
}

static int read_disabled(struct db_tx *t, void *arg, struct err *e)
{
	struct look *l = arg;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT role, disabled_reason FROM services WHERE host = $1 AND status = "
		     "'disabled'",
		     db_t(l->s->host));
	int have = r ? 1 : -1;

	look_done(l);
	while (have > 0 && (have = db_next(r, e)) > 0)
		for (unsigned i = 0; i < ARRAY_LEN(names); i++)
			if (strcmp(names[i], db_text(r, 0)) == 0) {
				l->disabled |= 1u << i;
				l->reasons[i] = xstrdup0(db_text_or_null(r, 1));
			}
	return have;
}

static void tell(const struct services *s, unsigned was, const struct look *l)
{
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		unsigned bit = 1u << i;

		if (!(s->roles & bit) || !((was ^ l->disabled) & bit))
			continue;
		if (l->disabled & bit)
			log_warn("the %s of this host is disabled and takes no new work: %s",
				 names[i], l->reasons[i] ? l->reasons[i] : "no reason was given");
		else
			log_info("the %s of this host is enabled again", names[i]);
	}
}

/* One thread looks, the others go by what was. */
static void look(struct services *s, uint64_t seen)
{
	struct look l = {.s = s};
	struct err e = {0};
	unsigned was;
	int rc = db_read(s->db, read_disabled, &l, &e);

	pthread_mutex_lock(&s->lock);
	was = s->disabled;
	if (rc == 0) {
		s->disabled = l.disabled;
		s->seen = seen;
	}
	s->looked_us = clock_mono_us();
	s->looking = false;
	pthread_mutex_unlock(&s->lock);
	if (rc == 0)
		tell(s, was, &l);
	else
		log_debug("services: %s", e.msg);
	look_done(&l);
}

bool services_may(struct services *s, enum service_role role)
{
	uint64_t seen = db_woken(s->db, SERVICE_CHANNEL);
	bool due, may;

	pthread_mutex_lock(&s->lock);
	due = !s->looking &&
	      (!s->looked_us || s->seen != seen || clock_mono_us() - s->looked_us > LOOK_US);
	s->looking |= due;
	pthread_mutex_unlock(&s->lock);
	if (due)
		look(s, seen);
	pthread_mutex_lock(&s->lock);
	may = !(s->disabled & role);
	pthread_mutex_unlock(&s->lock);
	return may;
}

bool services_worker_may(void *arg)
{
	return services_may(arg, SERVICE_WORKER);
}

bool services_conductor_may(void *arg)
{
	return services_may(arg, SERVICE_CONDUCTOR);
}

/* ---- all ---- */

/* Whoever waits for work looks again. */
static int wake(struct db_tx *t, struct err *e)
{
	return db_wake(t, SERVICE_CHANNEL, e) < 0 || db_wake(t, FLOW_WAKE_STEPS, e) < 0
		       ? -1
		       : db_wake(t, TRIGGER_CHANNEL, e);
}

int service_set(struct db_tx *t, const char *id, bool enabled, const char *reason, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT role FROM services WHERE id = $1", db_t(id));
	int have = r ? db_next(r, e) : -1;

	if (have < 0)
		return -1;
	if (!have)
		return err_set(e, ERR_NOENT, "There is no service '%s'.", id);
	if (!enabled && strcmp(db_text(r, 0), "api") == 0)
		return err_set(e, ERR_INVALID,
			       "An API cannot be disabled, for it could not be enabled again: end "
			       "the process, or leave 'api' out of its roles.");
	if (db_exec(t, NULL, e,
		    "UPDATE services SET status = $2, disabled_reason = $3 WHERE id = $1", db_t(id),
		    db_t(enabled ? "enabled" : "disabled"), db_t(reason)) < 0)
		return -1;
	return wake(t, e);
}
