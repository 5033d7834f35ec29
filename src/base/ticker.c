/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ticker.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/cond.h"
#include "base/mem.h"

struct ticker {
	void (*fn)(void *arg);
	void *arg;
	unsigned rest_ms;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stopped;
	bool stop;
};

/* false: it is to stop. */
static bool rest(struct ticker *t)
{
	struct timespec until = cond_in_ms(t->rest_ms);
	bool stop;

	pthread_mutex_lock(&t->lock);
	while (!t->stop && pthread_cond_timedwait(&t->stopped, &t->lock, &until) == 0)
		;
	stop = t->stop;
	pthread_mutex_unlock(&t->lock);
	return !stop;
}

static void *run(void *arg)
{
	struct ticker *t = arg;

	do
		t->fn(t->arg);
	while (rest(t));
	return NULL;
}

static void release(struct ticker *t)
{
	pthread_cond_destroy(&t->stopped);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct ticker *ticker_start(void (*fn)(void *arg), void *arg, unsigned rest_ms, struct err *e)
{
	struct ticker *t = xcalloc(1, sizeof(*t));
	int failed;

	t->fn = fn;
	t->arg = arg;
	t->rest_ms = rest_ms;
	pthread_mutex_init(&t->lock, NULL);
	cond_init(&t->stopped);
	failed = pthread_create(&t->thread, NULL, run, t);
	if (!failed)
		return t;
	err_sys(e, failed, "start a thread");
	release(t);
	return NULL;
}

void ticker_stop(struct ticker *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->stopped);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	release(t);
}
