/* SPDX-License-Identifier: Apache-2.0 */
#include "db/wakes.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/cond.h"

struct channel {
	char name[WAKES_NAME + 1];
	uint64_t count;
	pthread_cond_t woken;
};

struct wakes {
	pthread_mutex_t mutex;
	unsigned n;
	struct channel channels[WAKES_MAX];
};

struct wakes *wakes_new(void)
{
	struct wakes *w = xcalloc(1, sizeof(*w));

	pthread_mutex_init(&w->mutex, NULL);
	return w;
}

void wakes_free(struct wakes *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < w->n; i++)
		pthread_cond_destroy(&w->channels[i].woken);
	pthread_mutex_destroy(&w->mutex);
	free(w);
}

static void init_channel(struct channel *c, const char *name)
{

	memcpy(c->name, name, strlen(name) + 1);
	cond_init(&c->woken);
}

int wakes_number(struct wakes *w, const char *name)
{
	size_t len = strlen(name);
	int number = -1;

	if (len == 0 || len > WAKES_NAME || strspn(name, "abcdefghijklmnopqrstuvwxyz_") != len)
		return -1;
	pthread_mutex_lock(&w->mutex);
	for (unsigned i = 0; i < w->n && number < 0; i++) {
		if (strcmp(w->channels[i].name, name) == 0)
			number = (int)i;
	}
	if (number < 0 && w->n < WAKES_MAX) {
		init_channel(&w->channels[w->n], name);
		number = (int)w->n++;
	}
	pthread_mutex_unlock(&w->mutex);
	return number;
}

const char *wakes_name(struct wakes *w, unsigned number)
{
	return w->channels[number].name;
}

void wakes_bump(struct wakes *w, uint64_t set)
{
	if (!set)
		return;
	pthread_mutex_lock(&w->mutex);
	for (unsigned i = 0; i < w->n; i++) {
		if (set >> i & 1) {
			w->channels[i].count++;
			pthread_cond_broadcast(&w->channels[i].woken);
		}
	}
	pthread_mutex_unlock(&w->mutex);
}

uint64_t wakes_count(struct wakes *w, unsigned number)
{
	uint64_t count;

	pthread_mutex_lock(&w->mutex);
	count = w->channels[number].count;
	pthread_mutex_unlock(&w->mutex);
	return count;
}

uint64_t wakes_wait(struct wakes *w, unsigned number, uint64_t seen, unsigned timeout_ms)
{
	struct channel *c = &w->channels[number];
	struct timespec until = cond_in_ms(timeout_ms);
	uint64_t count;

	pthread_mutex_lock(&w->mutex);
	while (c->count == seen &&
	       pthread_cond_timedwait(&c->woken, &w->mutex, &until) != ETIMEDOUT)
		;
	count = c->count;
	pthread_mutex_unlock(&w->mutex);
	return count;
}
