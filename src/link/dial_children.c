/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that starts children and hears them. */
#include "link/dial_priv.h"

#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "link/spool.h"

#define TICK_MS 1000

static json_t *error_json(const struct err *why)
{
	return json_pack("{s:{s:s,s:s}}", "error", "kind", err_info(why->kind)->name, "message",
			 why->msg);
}

/* ---- starting ---- */

/* Its end is known; it is on the disk before it counts. `take` is {"result"} or {"error"}. */
static void end_slot(struct dial *d, struct slot *s, json_t *take, json_t *notes)
{
	AUTO_FREE char *text = NULL;
	struct err why = {0};
	bool lost;

	if (json_array_size(notes))
		json_object_set(take, "notes", notes);
	text = json_dumps(take, JSON_COMPACT);
	pthread_mutex_lock(&d->lock);
	lost = s->lost;
	pthread_mutex_unlock(&d->lock);
	if (!lost && spool_put(d->state, s->step, s->fence, text, &why) < 0)
		log_warn("step %s: its result cannot be kept on disk: %s", s->step, why.msg);
	pthread_mutex_lock(&d->lock);
	s->report = take;
	s->state = SLOT_OVER;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static void start(struct dial *d, struct slot *s)
{
	const char *const argv[] = {d->program, "step", "--state", d->state, NULL};
	struct err why = {0};
	size_t n = strlen(s->job);
	struct child *c = child_start(argv, s->job, n, &why);

	secret_wipe(s->job, n);
	free(s->job);
	s->job = NULL;
	if (!c) {
		end_slot(d, s, error_json(&why), NULL);
		return;
	}
	log_debug("step %s: started as process %d", s->step, (int)c->spawn->pid);
	pthread_mutex_lock(&d->lock);
	s->child = c;
	s->state = SLOT_RUNNING;
	s->due_us = 0; /* a first report at once: it may be cancelled by now */
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

/* ---- hearing ---- */

/* What it said since goes to where the callers find it. */
static void hand_over(struct dial *d, struct slot *s)
{
	struct child *c = s->child;

	if (!c->progress && !json_array_size(c->notes))
		return;
	pthread_mutex_lock(&d->lock);
	if (c->progress) {
		json_decref(s->progress);
		s->progress = c->progress;
		c->progress = NULL;
	}
	if (json_array_size(c->notes) && json_array_size(s->notes) < CHILD_NOTES_MAX / 2) {
		if (!s->notes)
			s->notes = json_array();
		json_array_extend(s->notes, c->notes);
		json_array_clear(c->notes);
	}
	pthread_mutex_unlock(&d->lock);
}

/* What was not told before goes with the end. */
static json_t *last_notes(struct dial *d, struct slot *s)
{
	json_t *notes;

	pthread_mutex_lock(&d->lock);
	notes = s->notes ? s->notes : json_array();
	s->notes = NULL;
	json_array_extend(notes, s->child->notes);
	while (json_array_size(notes) > CHILD_NOTES_MAX)
		json_array_remove(notes, 0);
	pthread_mutex_unlock(&d->lock);
	return notes;
}

static void hear(struct dial *d, struct slot *s, bool stop)
{
	json_t *end, *notes;

	if (stop)
		child_stop(s->child);
	if (!child_hear(s->child)) {
		hand_over(d, s);
		return;
	}
	notes = last_notes(d, s);
	end = json_incref(s->child->end);
	child_free(s->child);
	s->child = NULL;
	end_slot(d, s, end, notes);
	json_decref(notes);
}

/* ---- the thread ---- */

/* What there is to do, as it is now: states that are this thread's do not change under it. */
static bool survey(struct dial *d, enum slot_state *states, bool *stops)
{
	bool ending;

	pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->n_slots; i++) {
		const struct slot *s = &d->slots[i];

		states[i] = s->state;
		stops[i] = s->stop || s->lost || d->stop_children || d->ending;
	}
	ending = d->ending;
	pthread_mutex_unlock(&d->lock);
	return ending;
}

static void wait_for_something(struct dial *d, struct pollfd *p)
{
	nfds_t n = 1;
	uint64_t count;

	p[0] = (struct pollfd){.fd = d->poke, .events = POLLIN};
	for (unsigned i = 0; i < d->n_slots; i++) {
		if (d->slots[i].child) {
			child_poll(d->slots[i].child, p + n);
			n += 2;
		}
	}
	poll(p, n, TICK_MS);
	if (read(d->poke, &count, sizeof(count)) < 0)
		return; /* it was not that */
}

void *dial_children(void *arg)
{
	struct dial *d = arg;
	AUTO_FREE struct pollfd *p = xcalloc(2 * d->n_slots + 1, sizeof(*p));
	AUTO_FREE enum slot_state *states = xcalloc(d->n_slots, sizeof(*states));
	AUTO_FREE bool *stops = xcalloc(d->n_slots, sizeof(*stops));

	while (!survey(d, states, stops)) {
		for (unsigned i = 0; i < d->n_slots; i++) {
			if (states[i] == SLOT_TAKEN)
				start(d, &d->slots[i]);
			else if (states[i] == SLOT_RUNNING)
				hear(d, &d->slots[i], stops[i]);
		}
		wait_for_something(d, p);
	}
	/* Who still runs was given its time. */
	for (unsigned i = 0; i < d->n_slots; i++) {
		child_free(d->slots[i].child);
		d->slots[i].child = NULL;
	}
	return NULL;
}
