/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections are given in the order in which they were asked for: with more threads than
 * connections some would else wait very long.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/cond.h"
#include "db/postgres_priv.h"

#define RETRY_MS_MAX 2000

/* Somebody in the line for a connection. */
struct waiter {
	struct pg_conn *conn;
	bool may_open; /* or leave to make one */
	pthread_cond_t given;
	struct waiter *next;
};

struct pg_pool {
	const struct postgres_url *url;
	pthread_mutex_t mutex;
	unsigned open; /* used, idle or being made */
	unsigned n_idle;
	struct pg_conn **idle;
	struct waiter *first, **last;
};

struct pg_pool *pg_pool_new(const struct postgres_url *u)
{
	struct pg_pool *p = xcalloc(1, sizeof(*p));

	p->url = u;
	p->idle = xcalloc(u->connections, sizeof(*p->idle));
	p->last = &p->first;
	pthread_mutex_init(&p->mutex, NULL);
	return p;
}

/* Give what there is now to those who were first in the line; the mutex is held. */
static void serve(struct pg_pool *p)
{
	for (struct waiter *w; (w = p->first) != NULL;) {
		if (p->n_idle)
			w->conn = p->idle[--p->n_idle];
		else if (p->open < p->url->connections)
			w->may_open = ++p->open;
		else
			return;
		p->first = w->next;
		if (!p->first)
			p->last = &p->first;
		pthread_cond_signal(&w->given);
	}
}

static void leave(struct pg_pool *p)
{
	pthread_mutex_lock(&p->mutex);
	p->open--;
	serve(p);
	pthread_mutex_unlock(&p->mutex);
}

void pg_pool_flush(struct pg_pool *p)
{
	struct pg_conn *c;

	do {
		c = NULL;
		pthread_mutex_lock(&p->mutex);
		if (p->n_idle) {
			c = p->idle[--p->n_idle];
			p->open--;
		}
		pthread_mutex_unlock(&p->mutex);
		pg_disconnect(c);
	} while (c);
}

void pg_pool_free(struct pg_pool *p)
{
	if (!p)
		return;
	pg_pool_flush(p);
	pthread_mutex_destroy(&p->mutex);
	free(p->idle);
	free(p);
}

static void give_up(struct pg_pool *p, struct waiter *w)
{
	struct waiter **at = &p->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (p->last == &w->next)
		p->last = at;
}

/* True: one that is there, or leave to make one. */
static bool wait_for_one(struct pg_pool *p, uint64_t until_us, struct pg_conn **ret)
{
	struct timespec until = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};
	struct waiter w = {0};

	cond_init(&w.given);
	pthread_mutex_lock(&p->mutex);
	*p->last = &w;
	p->last = &w.next;
	serve(p);
	while (!w.conn && !w.may_open &&
	       pthread_cond_timedwait(&w.given, &p->mutex, &until) != ETIMEDOUT)
		;
	if (!w.conn && !w.may_open)
		give_up(p, &w);
	pthread_mutex_unlock(&p->mutex);
	pthread_cond_destroy(&w.given);
	*ret = w.conn;
	return w.conn || w.may_open;
}

/* The database may be starting, or moving to another machine. */
static struct pg_conn *connect_patiently(struct pg_pool *p, uint64_t until_us, struct err *e)
{
	unsigned pause_ms = 50;
	struct pg_conn *c;
	struct err why;

	for (;;) {
		why = (struct err){0};
		c = pg_connect(p->url, until_us, &why);
		if (c)
			return c;
		if (why.kind != ERR_UNREACHABLE || clock_mono_us() + pause_ms * 1000 >= until_us)
			break;
		clock_sleep_ms(pause_ms);
		pause_ms = MIN(pause_ms * 2, RETRY_MS_MAX);
	}
	if (e)
		*e = why;
	return NULL;
}

struct pg_conn *pg_pool_take(struct pg_pool *p, uint64_t until_us, struct err *e)
{
	struct pg_conn *c = NULL;

	if (!wait_for_one(p, until_us, &c)) {
		err_set(e, ERR_BUSY,
			"all %u connections to the database are in use; give it more with pool=N "
			"in "
			"its URL",
			p->url->connections);
		return NULL;
	}
	if (!c)
		c = connect_patiently(p, until_us, e);
	if (!c)
		leave(p);
	return c;
}

void pg_pool_give(struct pg_pool *p, struct pg_conn *c)
{
	if (!pg_usable(c)) {
		pg_disconnect(c);
		leave(p);
		return;
	}
	pthread_mutex_lock(&p->mutex);
	p->idle[p->n_idle++] = c;
	serve(p);
	pthread_mutex_unlock(&p->mutex);
}
