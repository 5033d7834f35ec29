/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NOTIFY is sent after the commit, by this thread and in a transaction of its own: within a
 * transaction it would make all commits of all processes wait for each other while they are
 * flushed, for PostgreSQL keeps notifications in order with one lock. A notification is
 * "SCHEMA CHANNEL", since those of all schemas of a database arrive together.
 *
 * After a connection was lost all channels are woken: something may have been missed meanwhile.
 * What was to be told is kept.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "db/postgres_priv.h"

#define CONNECT_US 5000000
#define RETRY_MS_MAX 5000

struct pg_listener {
	const struct postgres_url *url;
	struct wakes *wakes;
	pthread_t thread;
	int event; /* something to tell, or to stop */
	atomic_bool stop;
	_Atomic uint64_t tell;
	char schema[64];
	struct pg_conn *first; /* that start made, for the thread */
};

static void ring(struct pg_listener *l)
{
	uint64_t one = 1;

	/* It cannot fail but by being full, and then it rings. */
	if (write(l->event, &one, sizeof(one)) < 0)
		return;
}

void pg_listener_tell(struct pg_listener *l, uint64_t channels)
{
	if (channels && (atomic_fetch_or(&l->tell, channels) & channels) != channels)
		ring(l);
}

static int listen_to(struct pg_listener *l, struct pg_conn *c, struct err *e)
{
	enum pg_fate fate;
	PGresult *r = pg_do(c, "LISTEN holdfast; SELECT current_schema()", &fate, e);

	if (!r)
		return -1;
	snprintf(l->schema, sizeof(l->schema), "%s", PQgetvalue(r, 0, 0));
	PQclear(r);
	return 0;
}

/* Another process's, of this schema. */
static void hear(struct pg_listener *l, PGconn *c)
{
	size_t skip = strlen(l->schema);
	PGnotify *n;
	int number;

	while ((n = PQnotifies(c)) != NULL) {
		if (n->be_pid != PQbackendPID(c) && strncmp(n->extra, l->schema, skip) == 0 &&
		    n->extra[skip] == ' ') {
			number = wakes_number(l->wakes, n->extra + skip + 1);
			if (number >= 0)
				wakes_bump(l->wakes, UINT64_C(1) << number);
		}
		PQfreemem(n);
	}
}

static int tell_one(struct pg_listener *l, struct pg_conn *c, unsigned number)
{
	const char *name = wakes_name(l->wakes, number);
	const struct db_value v[] = {db_t(name)};
	enum pg_fate fate;
	PGresult *r = pg_statement(c, "SELECT pg_notify('holdfast', current_schema() || ' ' || $1)",
				   v, 1, &fate, NULL);

	PQclear(r);
	return r ? 0 : -1;
}

static int tell_all(struct pg_listener *l, struct pg_conn *c)
{
	uint64_t set = atomic_exchange(&l->tell, 0);

	for (unsigned i = 0; set; i++) {
		if (!(set >> i & 1))
			continue;
		if (tell_one(l, c, i) < 0) {
			atomic_fetch_or(&l->tell, set);
			return -1;
		}
		set &= ~(UINT64_C(1) << i);
	}
	return 0;
}

/* Until it is to stop or the connection is lost. */
static void serve(struct pg_listener *l, struct pg_conn *c)
{
	uint64_t rung;

	while (!atomic_load(&l->stop)) {
		struct pollfd p[] = {{PQsocket(pg_handle(c)), POLLIN, 0}, {l->event, POLLIN, 0}};

		if (tell_all(l, c) < 0)
			return;
		/* Also what came in between with an answer. */
		hear(l, pg_handle(c));
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[1].revents && read(l->event, &rung, sizeof(rung)) < 0 && errno != EAGAIN)
			return;
		if (p[0].revents && !PQconsumeInput(pg_handle(c)))
			return;
		hear(l, pg_handle(c));
	}
	tell_all(l, c);
}

static void pause_a_while(struct pg_listener *l, unsigned ms)
{
	uint64_t until = clock_mono_us() + (uint64_t)ms * 1000, now;

	/* What is to be told rings, too: only stopping ends it. */
	while (!atomic_load(&l->stop) && (now = clock_mono_us()) < until)
		clock_sleep_ms((unsigned)MIN((until - now) / 1000 + 1, 50));
}

static void *run(void *arg)
{
	struct pg_listener *l = arg;
	unsigned pause_ms = 100;

	serve(l, l->first);
	pg_disconnect(steal(&l->first));
	while (!atomic_load(&l->stop)) {
		AUTO(pg_conn) c = pg_connect(l->url, clock_mono_us() + CONNECT_US, NULL);

		if (c && listen_to(l, c, NULL) == 0) {
			wakes_bump(l->wakes, UINT64_MAX);
			pause_ms = 100;
			serve(l, c);
		}
		pause_a_while(l, pause_ms);
		pause_ms = MIN(pause_ms * 2, RETRY_MS_MAX);
	}
	return NULL;
}

static int start(struct pg_listener *l, struct err *e)
{
	int r;

	if (l->event < 0)
		return err_sys(e, errno, "eventfd");
	l->first = pg_connect(l->url, clock_mono_us() + (uint64_t)l->url->patience_ms * 1000, e);
	if (!l->first || listen_to(l, l->first, e) < 0)
		return -1;
	r = pthread_create(&l->thread, NULL, run, l);
	return r ? err_sys(e, r, "start a thread") : 0;
}

static void free_listener(struct pg_listener *l)
{
	pg_disconnect(l->first);
	if (l->event >= 0)
		close(l->event);
	free(l);
}

struct pg_listener *pg_listener_start(const struct postgres_url *u, struct wakes *w, struct err *e)
{
	struct pg_listener *l = xcalloc(1, sizeof(*l));

	l->url = u;
	l->wakes = w;
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (start(l, e) < 0) {
		free_listener(l);
		return NULL;
	}
	return l;
}

void pg_listener_stop(struct pg_listener *l)
{
	if (!l)
		return;
	atomic_store(&l->stop, true);
	ring(l);
	pthread_join(l->thread, NULL);
	free_listener(l);
}
