/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /events: what changes, as it changes: a stream of server-sent events. One thread waits for
 * changes of operations and hands each to those who may see it. An event is {"operation": …} under
 * the name "operation", and says that it is worth looking at; a stream is never the only place
 * where something is told.
 *
 * That something else changed (a plan, a policy, a mover) is {"kinds": ["plans"]} under the name
 * "changed" (changes.c). What belongs to no project is told to those who may see it in any.
 *
 * A stream ends after an hour, so that who was locked out does not listen for ever; clients connect
 * again by themselves, and get what runs at first.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/flow_query.h"
#include "net/sse.h"

#define QUEUE_MAX ((size_t)256 << 10)
#define STREAMS_MAX 2000
#define LIFE_US UINT64_C(3600000000)
#define PULSE_MS 10000

struct watcher {
	struct watcher *next;
	struct httpd_stream *stream;
	char project[AUTH_ID]; /* "": all */
	char user[AUTH_ID];
	bool sees_all; /* also what belongs to no project */
	uint64_t until_us;
	atomic_bool closed;
	atomic_int refs; /* ours, and the stream's until it is closed */
};

struct api_events {
	struct core *core;
	pthread_t thread;
	pthread_mutex_t lock;
	struct watcher *watchers;
	size_t n;
	uint64_t since;
	struct api_changes *changes; /* of the feeding thread */
	atomic_bool stop;
};

static void unref(struct watcher *w)
{
	if (atomic_fetch_sub(&w->refs, 1) == 1)
		free(w);
}

static void was_closed(void *arg)
{
	struct watcher *w = arg;

	atomic_store(&w->closed, true);
	unref(w);
}

static void drop(struct watcher *w)
{
	httpd_stream_end(w->stream);
	unref(w);
}

/* ---- telling ---- */

/* With the lock held. */
static void tell(struct api_events *v, const char *project, const void *data, size_t len)
{
	uint64_t now = clock_mono_us();

	for (struct watcher *w = v->watchers; w; w = w->next) {
		if (now > w->until_us)
			continue;
		if (!*w->project || !project || strcmp(w->project, project) == 0)
			httpd_stream_send(w->stream, data, len);
	}
}

/* Take out those that have ended; they are ended outside of the lock. */
static struct watcher *take_ended(struct api_events *v)
{
	struct watcher *ended = NULL, **at = &v->watchers;
	uint64_t now = clock_mono_us();

	while (*at) {
		struct watcher *w = *at;

		if (!atomic_load(&w->closed) && now <= w->until_us) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = ended;
		ended = w;
		v->n--;
	}
	return ended;
}

static void sweep(struct api_events *v)
{
	struct watcher *ended;

	pthread_mutex_lock(&v->lock);
	ended = take_ended(v);
	pthread_mutex_unlock(&v->lock);
	while (ended) {
		struct watcher *next = ended->next;

		drop(ended);
		ended = next;
	}
}

struct looking {
	uint64_t since, next;
	json_t *changes;
};

static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct looking *l = arg;

	json_decref(l->changes);
	l->changes = NULL;
	return flow_changes(t, l->since, &l->changes, &l->next, e);
}

static void tell_change(struct api_events *v, json_t *o)
{
	const char *project = json_string_value(json_object_get(o, "project"));
	AUTO_FREE char *text = NULL;
	AUTO_BUF b = BUF_INIT;
	json_t *event;

	api_operation_json(o);
	event = json_pack("{s:O}", "operation", o);
	text = json_dumps(event, JSON_COMPACT);
	sse_write(&b, "operation", NULL, text, strlen(text));
	json_decref(event);
	tell(v, project && *project ? project : NULL, b.data, b.len);
}

static void tell_changes(struct api_events *v)
{
	struct looking l = {.since = v->since};
	struct err e = {ERR_NONE};
	json_t *o;
	size_t i;

	if (db_read(v->core->db, look, &l, &e) < 0) {
		log_debug("events: %s", e.msg);
		json_decref(l.changes);
		return;
	}
	pthread_mutex_lock(&v->lock);
	json_array_foreach(l.changes, i, o)
	{
		tell_change(v, o);
	}
	pthread_mutex_unlock(&v->lock);
	v->since = l.next;
	json_decref(l.changes);
}

/* ---- what is no operation ---- */

static bool hears(const struct watcher *w, const struct api_change *c)
{
	if (c->project)
		return !*w->project || strcmp(w->project, c->project) == 0;
	return c->is_of_all || w->sees_all || (c->user && strcmp(w->user, c->user) == 0);
}

/* An api_changes_fn. */
static void tell_kinds(void *arg, const struct api_change *c)
{
	json_t *event = json_pack("{s:O}", "kinds", c->kinds);
	AUTO_FREE char *text = json_dumps(event, JSON_COMPACT);
	struct api_events *v = arg;
	AUTO_BUF b = BUF_INIT;

	sse_write(&b, "changed", NULL, text, strlen(text));
	json_decref(event);
	pthread_mutex_lock(&v->lock);
	for (struct watcher *w = v->watchers; w; w = w->next)
		if (clock_mono_us() <= w->until_us && hears(w, c))
			httpd_stream_send(w->stream, b.data, b.len);
	pthread_mutex_unlock(&v->lock);
}

static void *feed(void *arg)
{
	static const char pulse[] = ":\n\n"; /* shows proxies and clients that we are there */
	struct api_events *v = arg;
	uint64_t pulsed = clock_mono_us();
	struct err e = {ERR_NONE};

	for (;;) {
		/* Before it looks whether it is to stop: who stops it wakes it after he said so. */
		uint64_t seen = db_woken(v->core->db, FLOW_WAKE_OPERATIONS);

		if (atomic_load(&v->stop))
			break;
		tell_changes(v);
		if (api_changes_look(v->changes, v->core->db, tell_kinds, v, &e) < 0)
			log_debug("events: %s", e.msg);
		sweep(v);
		if (clock_mono_us() - pulsed > PULSE_MS * UINT64_C(1000)) {
			pulsed = clock_mono_us();
			pthread_mutex_lock(&v->lock);
			tell(v, NULL, pulse, sizeof(pulse) - 1);
			pthread_mutex_unlock(&v->lock);
		}
		db_wait(v->core->db, FLOW_WAKE_OPERATIONS, seen, 1000);
	}
	return NULL;
}

/* ---- listening ---- */

static int open_stream(struct api_call *c, struct err *e)
{
	static const char hello[] = "retry: 2000\n\n";
	struct api_events *v = api_events_of(c->api);
	struct err ignored = {ERR_NONE};
	const char *project;
	struct watcher *w;

	if (api_scope(c, &project, e) < 0)
		return -1;
	w = xcalloc(1, sizeof(*w));
	snprintf(w->project, sizeof(w->project), "%s", project ? project : "");
	snprintf(w->user, sizeof(w->user), "%s", c->who->user_id);
	w->sees_all = auth_allow(c->core->auth, c->who, "mover:get", NULL, &ignored) == 0;
	w->until_us = clock_mono_us() + LIFE_US;
	atomic_init(&w->refs, 2);
	pthread_mutex_lock(&v->lock);
	if (v->n == STREAMS_MAX) {
		pthread_mutex_unlock(&v->lock);
		free(w);
		c->status = 503;
		return err_set(e, ERR_BUSY, "Too many are listening: try again later.");
	}
	httpd_set_header(c->http, "Cache-Control", "no-store");
	httpd_set_header(c->http, "X-Accel-Buffering", "no");
	w->stream = httpd_stream(c->http, "text/event-stream", QUEUE_MAX, was_closed, w);
	w->next = v->watchers;
	v->watchers = w;
	v->n++;
	httpd_stream_send(w->stream, hello, sizeof(hello) - 1);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

struct api_events *api_events_new(struct core *core, struct err *e)
{
	struct api_events *v = xcalloc(1, sizeof(*v));

	v->core = core;
	v->changes = api_changes_new();
	pthread_mutex_init(&v->lock, NULL);
	if (pthread_create(&v->thread, NULL, feed, v) == 0)
		return v;
	pthread_mutex_destroy(&v->lock);
	api_changes_free(v->changes);
	free(v);
	err_set(e, ERR_BUSY, "there are no more threads");
	return NULL;
}

void api_events_free(struct api_events *v)
{
	if (!v)
		return;
	atomic_store(&v->stop, true);
	db_wake_here(v->core->db, FLOW_WAKE_OPERATIONS);
	pthread_join(v->thread, NULL);
	for (struct watcher *w = v->watchers; w; w = w->next)
		w->until_us = 0;
	sweep(v);
	pthread_mutex_destroy(&v->lock);
	api_changes_free(v->changes);
	free(v);
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/events", "event:get", open_stream, API_OUTSIDE},
};
const struct api_resource api_events = {routes, ARRAY_LEN(routes)};
