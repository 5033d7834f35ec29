/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "db/postgres_priv.h"

#define RETRY_MS_MAX 2000

struct pg_pool {
	const struct postgres_url *url;
	pthread_mutex_t mutex;
	pthread_cond_t given;
	unsigned open; /* used, idle or being made */
	unsigned n_idle;
	struct pg_conn **idle;
};

struct pg_pool *pg_pool_new(const struct postgres_url *u)
{
	struct pg_pool *p = xcalloc(1, sizeof(*p));
	pthread_condattr_t attr;

	p->url = u;
	p->idle = xcalloc(u->connections, sizeof(*p->idle));
	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->given, &attr);
	pthread_condattr_destroy(&attr);
	return p;
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
			pthread_cond_signal(&p->given);
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
	pthread_cond_destroy(&p->given);
	pthread_mutex_destroy(&p->mutex);
	free(p->idle);
	free(p);
}

/* Leave to make one, or one that is there: true. */
static bool wait_for_one(struct pg_pool *p, uint64_t until_us, struct pg_conn **ret)
{
	struct timespec until = {(time_t)(until_us / 1000000), (long)(until_us % 1000000) * 1000};
	bool got = true;

	pthread_mutex_lock(&p->mutex);
	while (p->n_idle == 0 && p->open == p->url->connections && clock_mono_us() < until_us)
		pthread_cond_timedwait(&p->given, &p->mutex, &until);
	if (p->n_idle)
		*ret = p->idle[--p->n_idle];
	else if (p->open < p->url->connections)
		p->open++;
	else
		got = false;
	pthread_mutex_unlock(&p->mutex);
	return got;
}

static void leave(struct pg_pool *p)
{
	pthread_mutex_lock(&p->mutex);
	p->open--;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->mutex);
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
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->mutex);
}
