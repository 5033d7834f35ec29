/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread listens and raises a flag; who waits looks at the operation and is the only one to say
 * that it has ended. So an event that is lost, or comes twice, costs a second and nothing else.
 */
#include "client/watch.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "net/sse.h"

#define LOOK_MS 1000
#define AGAIN_MS 1000
#define EVENT_MAX ((size_t)1 << 20)

struct listener {
	struct client *client;
	const char *id;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool look; /* something happened since it was looked at */
	struct cancel hang_up;
};

bool watch_ended(const json_t *operation)
{
	const char *state = client_text(operation, "state");

	return strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 ||
	       strcmp(state, "cancelled") == 0;
}

/* ---- listening ---- */

static void poke(struct listener *l)
{
	pthread_mutex_lock(&l->lock);
	l->look = true;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

static int on_event(void *arg, const struct sse_event *event, struct err *e)
{
	struct listener *l = arg;
	json_t *o = strcmp(event->type, "operation") == 0
			    ? json_loadb(event->data, event->len, 0, NULL)
			    : NULL;
	const json_t *operation = json_object_get(o, "operation");
	bool ours = strcmp(client_text(operation, "id"), l->id) == 0;
	bool ended = ours && watch_ended(operation);

	json_decref(o);
	if (ours)
		poke(l);
	/* Nothing comes after its end: so nobody has to wait for us, either. */
	return ended ? err_set(e, ERR_CANCELLED, "it has ended") : 0;
}

static int on_chunk(void *arg, const void *data, size_t n, struct err *e)
{
	return sse_feed(arg, data, n, e);
}

static void *listen_to(void *arg)
{
	struct listener *l = arg;

	while (!cancel_asked(&l->hang_up)) {
		AUTO(sse) parser = sse_new(EVENT_MAX, on_event, l);
		struct err why = {0};

		/* A server without a stream, or one that may not be listened to, is polled. */
		if (client_stream(l->client, "events", NULL, on_chunk, parser, &l->hang_up, &why) <
			    0 &&
		    (why.kind == ERR_CANCELLED || why.kind == ERR_DENIED || why.kind == ERR_NOENT))
			break;
		log_debug("listen to the server: %s", why.kind ? why.msg : "it has ended");
		poke(l);
		for (unsigned ms = 0; ms < AGAIN_MS && !cancel_asked(&l->hang_up); ms += 50)
			clock_sleep_ms(50);
	}
	return NULL;
}

static void listener_start(struct listener *l)
{
	pthread_mutex_init(&l->lock, NULL);
	cond_init(&l->changed);
	l->running = pthread_create(&l->thread, NULL, listen_to, l) == 0;
}

static void listener_stop(struct listener *l)
{
	cancel_set(&l->hang_up);
	if (l->running)
		pthread_join(l->thread, NULL);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
}

/* Until something happens, for a second at most. */
static void rest(struct listener *l, const struct cancel *cancel)
{
	uint64_t until = clock_mono_us() + LOOK_MS * UINT64_C(1000);

	pthread_mutex_lock(&l->lock);
	while (!l->look && !cancel_asked(cancel) && clock_mono_us() < until) {
		/* In short pieces: a signal raises a flag and wakes nobody. */
		struct timespec t = cond_in_ms(100);

		pthread_cond_timedwait(&l->changed, &l->lock, &t);
	}
	l->look = false;
	pthread_mutex_unlock(&l->lock);
}

/* ---- looking ---- */

static void tell_lines(struct client *c, const char *id, const struct watch *w, json_int_t *seq)
{
	AUTO_BUF path = BUF_INIT;
	json_t *lines = NULL, *line;
	char after[32];
	size_t i;

	snprintf(after, sizeof(after), "%lld", (long long)*seq);
	buf_fmt(&path, "operations/%s/log", id);
	client_query(&path, "after", after);
	if (!w->line || client_get(c, buf_str(&path), "log", &lines, NULL) < 0)
		return; /* the next time */
	json_array_foreach(lines, i, line)
	{
		w->line(w->arg, line);
		*seq = json_integer_value(json_object_get(line, "seq"));
	}
	json_decref(lines);
}

/* The operation as it is now. A server that is away is waited for. */
static int look(struct listener *l, const struct watch *w, const char *path, json_t **ret,
		struct err *e)
{
	uint64_t until = clock_mono_us() + WATCH_AWAY_S * UINT64_C(1000000);
	bool away = false;
	struct err why;

	while (client_get(l->client, path, "operation", ret, &why) < 0) {
		bool passes = why.kind == ERR_UNREACHABLE || why.kind == ERR_TIMEOUT ||
			      why.kind == ERR_BUSY || why.kind == ERR_IO;

		if (!passes || clock_mono_us() > until) {
			if (e)
				*e = why;
			return -1;
		}
		if (!away && w->away)
			w->away(w->arg, why.msg);
		away = true;
		rest(l, w->cancel);
		if (cancel_check(w->cancel, e) < 0)
			return -1;
	}
	if (away && w->away)
		w->away(w->arg, NULL);
	return 0;
}

static int look_until_end(struct listener *l, const struct watch *w, json_t **ret, struct err *e)
{
	AUTO_FREE char *path = xasprintf("operations/%s", l->id);
	json_int_t revision = -1, seq = 0, now;
	json_t *o = NULL;

	for (;;) {
		if (look(l, w, path, &o, e) < 0)
			return -1;
		now = json_integer_value(json_object_get(o, "revision"));
		if (now != revision)
			tell_lines(l->client, l->id, w, &seq);
		revision = now;
		if (w->seen)
			w->seen(w->arg, o);
		if (watch_ended(o)) {
			*ret = o;
			return 0;
		}
		json_decref(o);
		rest(l, w->cancel);
		if (cancel_check(w->cancel, e) < 0)
			return -1;
	}
}

int watch_operation(struct client *c, const char *id, const struct watch *w, json_t **ret,
		    struct err *e)
{
	struct listener l = {.client = c, .id = id};
	int rc;

	listener_start(&l);
	rc = look_until_end(&l, w, ret, e);
	listener_stop(&l);
	return rc;
}
