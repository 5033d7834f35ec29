/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /events: what changes, as it changes: a stream of server-sent events. One thread waits for
 * changes of operations and hands each to those who may see it. An event is {"operation": …} under
 * the name "operation", and says that it is worth looking at; a stream is never the only place
 * where something is told.
 *
 * That somebody changed something else (a plan, a policy) is in the audit log, whichever server
 * took the request; it becomes {"kinds": ["plans"]} under the name "changed". Lines are written by
 * other servers' clocks, so the last seconds are read each time, and what was told is remembered.
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
#include "auth/audit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "flow/flow_query.h"
#include "net/sse.h"

#define QUEUE_MAX ((size_t)256 << 10)
#define STREAMS_MAX 2000
#define LIFE_US UINT64_C(3600000000)
#define PULSE_MS 10000
#define HEAR_US UINT64_C(500000)    /* so often at most */
#define HEARD_US UINT64_C(10000000) /* so far back */
#define HEARD_MAX 256
#define KIND_MAX 64

struct watcher {
	struct watcher *next;
	struct httpd_stream *stream;
	char project[AUTH_ID]; /* "": all */
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
	/* Of the feeding thread: lines of the audit log that were told, the oldest overwritten. */
	char heard[HEARD_MAX][AUTH_ID];
	size_t n_heard;
	uint64_t heard_at_us; /* by the clock that only goes on; 0: never */
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

static bool was_heard(struct api_events *v, const char *id)
{
	size_t n = v->n_heard < HEARD_MAX ? v->n_heard : HEARD_MAX;

	for (size_t i = 0; i < n; i++)
		if (strcmp(v->heard[i], id) == 0)
			return true;
	snprintf(v->heard[v->n_heard++ % HEARD_MAX], AUTH_ID, "%s", id);
	return false;
}

/* "/v1/PROJECT/providers/ID/checkpoints" to ["providers", "checkpoints"]: what no id is. */
static json_t *kinds_of(const char *path)
{
	json_t *kinds = json_array();
	char part[KIND_MAX];

	for (int i = 0; *path; i++) {
		size_t len = strcspn(path += *path == '/', "/");

		if (i > 1 && len > 0 && len < sizeof(part) &&
		    strspn(path, "abcdefghijklmnopqrstuvwxyz_-") == len) {
			snprintf(part, sizeof(part), "%.*s", (int)len, path);
			json_array_append_new(kinds, json_string(part));
		}
		path += len;
	}
	return kinds;
}

struct hearing {
	uint64_t since_us;
	struct audit_lines *lines;
};

static int hear(struct db_tx *t, void *arg, struct err *e)
{
	struct hearing *h = arg;
	const struct audit_filter f = {
		.outcome = "done", .since_us = h->since_us, .limit = HEARD_MAX};

	audit_lines_free(h->lines);
	h->lines = audit_list(t, &f, e);
	return h->lines ? 0 : -1;
}

static void tell_line(struct api_events *v, const struct audit_line *l)
{
	AUTO_FREE char *text = NULL;
	AUTO_BUF b = BUF_INIT;
	json_t *event;

	if (!l->project_id || !l->subject || was_heard(v, l->id))
		return;
	event = json_pack("{s:o}", "kinds", kinds_of(l->subject));
	text = json_dumps(event, JSON_COMPACT);
	sse_write(&b, "changed", NULL, text, strlen(text));
	json_decref(event);
	tell(v, l->project_id, b.data, b.len);
}

static void tell_writes(struct api_events *v)
{
	struct hearing h = {.since_us = clock_wall_us() - HEARD_US};
	uint64_t now = clock_mono_us();
	struct err e = {ERR_NONE};

	if (v->heard_at_us && now - v->heard_at_us < HEAR_US)
		return;
	v->heard_at_us = now;
	if (db_read(v->core->db, hear, &h, &e) < 0)
		log_debug("events: %s", e.msg);
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; h.lines && i < h.lines->n; i++)
		tell_line(v, &h.lines->v[i]);
	pthread_mutex_unlock(&v->lock);
	audit_lines_free(h.lines);
}

static void *feed(void *arg)
{
	static const char pulse[] = ":\n\n"; /* shows proxies and clients that we are there */
	struct api_events *v = arg;
	uint64_t pulsed = clock_mono_us();

	while (!atomic_load(&v->stop)) {
		uint64_t seen = db_woken(v->core->db, FLOW_WAKE_OPERATIONS);

		tell_changes(v);
		tell_writes(v);
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
	const char *project;
	struct watcher *w;

	if (api_scope(c, &project, e) < 0)
		return -1;
	w = xcalloc(1, sizeof(*w));
	snprintf(w->project, sizeof(w->project), "%s", project ? project : "");
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
	pthread_mutex_init(&v->lock, NULL);
	if (pthread_create(&v->thread, NULL, feed, v) == 0)
		return v;
	pthread_mutex_destroy(&v->lock);
	free(v);
	err_set(e, ERR_BUSY, "there are no more threads");
	return NULL;
}

void api_events_free(struct api_events *v)
{
	if (!v)
		return;
	atomic_store(&v->stop, true);
	pthread_join(v->thread, NULL);
	for (struct watcher *w = v->watchers; w; w = w->next)
		w->until_us = 0;
	sweep(v);
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/events", "event:get", open_stream, API_OUTSIDE},
};
const struct api_resource api_events = {routes, ARRAY_LEN(routes)};
