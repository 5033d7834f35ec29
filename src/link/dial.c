/* SPDX-License-Identifier: Apache-2.0 */
#include "link/dial_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/secret.h"
#include "link/spool.h"

#define TELL_MS 10000 /* what is over is told for so long after all have stopped */
#define STOP_MS 90000 /* children that were asked to stop are waited for; then killed */
#define PAUSE_FIRST_US ((uint64_t)500000)
#define PAUSE_MOST_US ((uint64_t)30000000)
#define SILENT_US ((uint64_t)90 * 1000000)

/* ---- shared ---- */

void dial_poke(struct dial *d)
{
	uint64_t one = 1;

	if (write(d->poke, &one, sizeof(one)) < 0)
		return; /* it is awake already */
}

void dial_wait(struct dial *d, uint64_t until_us)
{
	struct timespec ts = {(time_t)(until_us / 1000000), (long)(until_us % 1000000 * 1000)};

	pthread_cond_timedwait(&d->changed, &d->lock, &ts);
}

unsigned dial_count(const struct dial *d, enum slot_state s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n_slots; i++)
		n += d->slots[i].state == s;
	return n;
}

uint64_t dial_pause_us(unsigned failures)
{
	uint64_t most = PAUSE_FIRST_US, random;

	while (failures-- > 1 && most < PAUSE_MOST_US)
		most *= 2;
	most = MIN(most, PAUSE_MOST_US);
	random_bytes(&random, sizeof(random));
	return most / 2 + random % (most / 2);
}

/* ---- what an earlier run left ---- */

struct leftovers {
	struct dial *d;
	unsigned n;
};

/* It runs no more: the server need not wait for its lease. */
static json_t *interrupted(void)
{
	return json_pack("{s:{s:s,s:s}}", "error", "kind", err_info(ERR_UNREACHABLE)->name,
			 "message", "the mover was started anew while it ran this step");
}

/* They are told in slots of their own, beside those that run. */
static void on_leftover(void *arg, const char *step, uint64_t fence, const json_t *report)
{
	struct leftovers *l = arg;
	struct dial *d = l->d;
	struct slot *s;

	d->slots = xreallocarray(d->slots, d->n_slots + l->n + 1, sizeof(*s));
	s = &d->slots[d->n_slots + l->n++];
	*s = (struct slot){.state = SLOT_OVER, .fence = fence, .left = true};
	snprintf(s->step, sizeof(s->step), "%s", step);
	s->report = json_object_size(report) ? json_deep_copy(report) : interrupted();
}

static int take_leftovers(struct dial *d, struct err *e)
{
	struct leftovers l = {.d = d};

	if (spool_prepare(d->state, e) < 0 || spool_each(d->state, on_leftover, &l, e) < 0)
		return -1;
	d->n_slots += l.n;
	return 0;
}

/* ---- life ---- */

static void dial_free(struct dial *d)
{
	for (unsigned i = 0; i < d->n_slots; i++) {
		json_decref(d->slots[i].progress);
		json_decref(d->slots[i].notes);
		json_decref(d->slots[i].report);
		child_free(d->slots[i].child);
		if (d->slots[i].job)
			secret_wipe(d->slots[i].job, strlen(d->slots[i].job));
		free(d->slots[i].job);
	}
	free(d->slots);
	json_decref(d->kinds);
	if (d->invitation)
		secret_wipe(d->invitation, strlen(d->invitation));
	secret_wipe(&d->me, sizeof(d->me));
	free(d->server);
	free(d->ca);
	free(d->state);
	free(d->invitation);
	free(d->program);
	free(d->host);
	if (d->poke >= 0)
		close(d->poke);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static struct dial *dial_new(const struct dial_options *o)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	d->server = xstrdup(o->server);
	d->ca = xstrdup0(o->ca);
	d->state = xstrdup(o->state);
	d->invitation = xstrdup0(o->invitation);
	d->program = xstrdup(o->program);
	d->host = xstrdup(o->host);
	d->kinds = json_array();
	for (const char *const *k = o->kinds; *k; k++)
		json_array_append_new(d->kinds, json_string(*k));
	d->n_slots = d->capacity = o->slots;
	d->look_s = o->look_s ? o->look_s : 30;
	d->slots = xcalloc(o->slots, sizeof(*d->slots));
	d->look = true;
	d->reached_us = clock_mono_us();
	d->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&d->lock, NULL);
	cond_init(&d->changed);
	return d;
}

static int start_threads(struct dial *d, struct err *e)
{
	int rc;

	if (d->poke < 0)
		return err_sys(e, errno, "make an event");
	rc = pthread_create(&d->children, NULL, dial_children, d);
	d->has_children = rc == 0;
	if (rc == 0)
		rc = pthread_create(&d->calls, NULL, dial_calls, d);
	d->has_calls = rc == 0;
	if (rc == 0)
		rc = pthread_create(&d->events, NULL, dial_events, d);
	d->has_events = rc == 0;
	return rc ? err_sys(e, rc, "start a thread") : 0;
}

struct dial *dial_start(const struct dial_options *o, struct err *e)
{
	struct dial *d = dial_new(o);

	if (identity_load(d->state, &d->me, e) < 0 || take_leftovers(d, e) < 0) {
		dial_free(d);
		return NULL;
	}
	if (start_threads(d, e) < 0) {
		dial_stop(d, 0);
		return NULL;
	}
	return d;
}

/* With the lock: until `done` or the time is over. */
static bool wait_for(struct dial *d, bool (*done)(const struct dial *d), unsigned ms)
{
	uint64_t until = clock_mono_us() + (uint64_t)ms * 1000;

	while (!done(d) && clock_mono_us() < until)
		dial_wait(d, until);
	return done(d);
}

static bool none_runs(const struct dial *d)
{
	return dial_count(d, SLOT_TAKEN) + dial_count(d, SLOT_RUNNING) == 0;
}

static bool all_told(const struct dial *d)
{
	return none_runs(d) && dial_count(d, SLOT_OVER) == 0;
}

void dial_stop(struct dial *d, unsigned timeout_ms)
{
	if (!d)
		return;
	pthread_mutex_lock(&d->lock);
	d->draining = true;
	if (d->has_children && d->has_calls) {
		wait_for(d, none_runs, timeout_ms);
		d->stop_children = true;
		dial_poke(d);
		wait_for(d, none_runs, STOP_MS);
		wait_for(d, all_told, d->fatal.kind == ERR_NONE ? TELL_MS : 0);
	}
	d->ending = true;
	cancel_set(&d->hang_up);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	dial_poke(d);
	if (d->has_events)
		pthread_join(d->events, NULL);
	if (d->has_calls)
		pthread_join(d->calls, NULL);
	if (d->has_children)
		pthread_join(d->children, NULL);
	dial_free(d);
}

int dial_check(struct dial *d, unsigned timeout_ms, struct err *e)
{
	uint64_t until = clock_mono_us() + (uint64_t)timeout_ms * 1000;
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	while (d->fatal.kind == ERR_NONE && clock_mono_us() < until)
		dial_wait(d, until);
	if (d->fatal.kind != ERR_NONE) {
		if (e)
			*e = d->fatal;
		rc = -1;
	}
	pthread_mutex_unlock(&d->lock);
	return rc;
}

int dial_health(struct dial *d, struct err *e)
{
	uint64_t silent;

	pthread_mutex_lock(&d->lock);
	silent = clock_mono_us() - d->reached_us;
	pthread_mutex_unlock(&d->lock);
	return silent > SILENT_US
		       ? err_set(e, ERR_UNREACHABLE, "the server has not answered for %llu s",
				 (unsigned long long)(silent / 1000000))
		       : 0;
}
