/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ticker.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

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
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += t->rest_ms / 1000;
	until.tv_nsec += (long)(t->rest_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
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
	pthread_condattr_t attr;
	int failed;

	t->fn = fn;
	t->arg = arg;
	t->rest_ms = rest_ms;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->stopped, &attr);
	pthread_condattr_destroy(&attr);
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
