/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who waits for what: one thread for steps that become ready, one for steps that are to stop, one
 * for changes of movers and what is due now and then. Each looks at the database when it is woken,
 * and every few seconds in any case, and then tells the movers that it concerns.
 */
#include "link/conductor_priv.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/flow_query.h"

#define LOOK_MS 5000
#define PAUSE_MS 50 /* between two looks, so that many wakes are one */
#define SEEN_US ((uint64_t)10 * 1000000)
#define REVOKED_US ((uint64_t)600 * 1000000)
#define TIDY_US ((uint64_t)3600 * 1000000)

static bool stopping(const struct conductor *c)
{
	return atomic_load(&c->stopping);
}

/* ---- steps that are ready ---- */

static int find_ready(struct db_tx *t, void *arg, struct err *e)
{
	return flow_ready(t, arg, e);
}

/* Movers that have something to take. */
static void tell_of_steps(struct conductor *c)
{
	struct flow_ready_list l = {0};
	struct err e = {0};

	if (db_read(c->o.db, find_ready, &l, &e) < 0)
		log_debug("look for steps of movers: %s", e.msg);
	for (size_t i = 0; i < l.n; i++) {
		const char *mover = mover_at(l.v[i].place);

		if (mover)
			streams_send(c->streams, mover, "steps");
		else if (strcmp(l.v[i].place, FLOW_ANY_MOVER) == 0)
			streams_send_some(c->streams, "steps", l.v[i].n);
	}
	flow_ready_done(&l);
}

static void *watch_steps(void *arg)
{
	struct conductor *c = arg;
	uint64_t woken = db_woken(c->o.db, FLOW_WAKE_STEPS);

	while (!stopping(c)) {
		tell_of_steps(c);
		clock_sleep_ms(PAUSE_MS);
		woken = db_wait(c->o.db, FLOW_WAKE_STEPS, woken, LOOK_MS);
	}
	return NULL;
}

/* ---- steps that are to stop ---- */

/* Who runs something reports on it, and so learns whether it is to stop. */
static void *watch_stops(void *arg)
{
	struct conductor *c = arg;
	uint64_t woken = db_woken(c->o.db, FLOW_WAKE_STOPS), now;

	while (!stopping(c)) {
		now = db_wait(c->o.db, FLOW_WAKE_STOPS, woken, LOOK_MS);
		if (now != woken)
			streams_send_running(c->streams, "stops");
		woken = now;
		clock_sleep_ms(PAUSE_MS);
	}
	return NULL;
}

/* ---- movers ---- */

static int tell_one(void *arg, const struct mover_row *m, struct err *e)
{
	struct conductor *c = arg;

	(void)e;
	streams_end(c->streams, m->id, "revoked");
	return 0;
}

static int tell_of_movers(struct db_tx *t, void *arg, struct err *e)
{
	return mover_each_revoked(t, clock_wall_us() - REVOKED_US, tell_one, arg, e);
}

struct seen_list {
	struct seen_entry *v;
	size_t n;
};

static int store_seen(struct db_tx *t, void *arg, struct err *e)
{
	const struct seen_list *l = arg;

	for (size_t i = 0; i < l->n; i++) {
		if (mover_seen(t, l->v[i].id, NULL, l->v[i].when_us, e) < 0)
			return -1;
	}
	return 0;
}

static void flush_seen(struct conductor *c)
{
	struct err e = {0};
	struct seen_list l;

	l.v = seen_take(c->seen, &l.n);
	if (l.n && db_write(c->o.db, store_seen, &l, &e) < 0)
		log_debug("note which movers were seen: %s", e.msg);
	free(l.v);
}

static int tidy_invitations(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return mover_tidy(t, clock_wall_us(), e);
}

static void *watch_movers(void *arg)
{
	struct conductor *c = arg;
	uint64_t woken = db_woken(c->o.db, MOVERS_WAKE), seen_us = clock_mono_us(), tidy_us = 0;
	struct err e = {0};

	while (!stopping(c)) {
		if (db_read(c->o.db, tell_of_movers, c, &e) < 0)
			log_debug("look at movers: %s", e.msg);
		streams_tidy(c->streams);
		if (clock_mono_us() - seen_us >= SEEN_US) {
			flush_seen(c);
			seen_us = clock_mono_us();
		}
		if (!tidy_us || clock_mono_us() - tidy_us >= TIDY_US) {
			db_write(c->o.db, tidy_invitations, NULL, NULL);
			tidy_us = clock_mono_us();
		}
		clock_sleep_ms(PAUSE_MS);
		woken = db_wait(c->o.db, MOVERS_WAKE, woken, LOOK_MS);
	}
	flush_seen(c);
	return NULL;
}

/* ---- life ---- */

static int start_threads(struct conductor *c, struct err *e)
{
	void *(*const runs[])(void *) = {watch_steps, watch_stops, watch_movers};

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		int rc = pthread_create(&c->threads[i], NULL, runs[i], c);

		if (rc)
			return err_sys(e, rc, "start a thread");
		c->n_threads++;
	}
	return 0;
}

struct conductor *conductor_new(const struct conductor_options *o, struct err *e)
{
	AUTO(conductor) c = xcalloc(1, sizeof(*c));

	c->o = *o;
	if (!c->o.heartbeat_s)
		c->o.heartbeat_s = 30;
	c->streams = streams_new();
	c->seen = seen_new();
	atomic_init(&c->stopping, false);
	conductor_make_routes(c);
	return start_threads(c, e) < 0 ? NULL : steal(&c);
}

const struct httpd_route *conductor_routes(const struct conductor *c, size_t *ret_n)
{
	*ret_n = CONDUCTOR_ROUTES;
	return c->routes;
}

size_t conductor_connected(struct conductor *c)
{
	return streams_count(c->streams);
}

void conductor_free(struct conductor *c)
{
	if (!c)
		return;
	atomic_store(&c->stopping, true);
	db_wake_here(c->o.db, FLOW_WAKE_STEPS);
	db_wake_here(c->o.db, FLOW_WAKE_STOPS);
	db_wake_here(c->o.db, MOVERS_WAKE);
	for (unsigned i = 0; i < c->n_threads; i++)
		pthread_join(c->threads[i], NULL);
	streams_free(c->streams);
	seen_free(c->seen);
	free(c);
}
