/* SPDX-License-Identifier: Apache-2.0 */
#include "link/streams.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/uuid.h"

#define QUEUE_MAX ((size_t)16 << 10) /* far more than a mover that reads will ever have waiting */
#define ALIVE_US ((uint64_t)15 * 1000000)

/* Belongs to the list until its stream was closed and the list has seen that. */
struct conn {
	char id[UUID_TEXT];
	struct httpd_stream *stream; /* NULL: given up */
	atomic_bool closed;
	unsigned room, running;
	bool current; /* the newest of this mover: in the tree */
	struct conn *next;
};

struct streams {
	pthread_mutex_t lock;
	void *tree; /* of current conns, by id */
	struct conn *all;
	size_t n; /* in the tree */
	uint64_t told_us;
};

struct streams *streams_new(void)
{
	struct streams *s = xcalloc(1, sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	s->told_us = clock_mono_us();
	return s;
}

/* ---- under the lock ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct conn *)a)->id, ((const struct conn *)b)->id);
}

static struct conn *find(struct streams *s, const char *id)
{
	struct conn key = {.current = true};
	struct conn *const *found;

	snprintf(key.id, sizeof(key.id), "%s", id);
	found = tfind(&key, &s->tree, by_id);
	return found ? *found : NULL;
}

static bool send_text(struct conn *c, const char *text)
{
	return c->stream && httpd_stream_send(c->stream, text, strlen(text));
}

static bool send_event(struct conn *c, const char *event)
{
	char text[128];

	snprintf(text, sizeof(text), "event: %s\ndata: {}\n\n", event);
	return send_text(c, text);
}

static void retire(struct streams *s, struct conn *c)
{
	if (c->current) {
		tdelete(c, &s->tree, by_id);
		s->n--;
	}
	c->current = false;
	if (c->stream)
		httpd_stream_end(c->stream);
	c->stream = NULL;
}

/* ---- one ---- */

/* By any thread of the server, perhaps while the list is locked: so only a flag. */
static void on_closed(void *arg)
{
	struct conn *c = arg;

	atomic_store(&c->closed, true);
}

void streams_open(struct streams *s, struct httpd_call *c, const char *id)
{
	struct conn *new = xcalloc(1, sizeof(*new)), *old;

	snprintf(new->id, sizeof(new->id), "%s", id);
	atomic_init(&new->closed, false);
	new->current = true;
	pthread_mutex_lock(&s->lock);
	old = find(s, id);
	if (old) {
		new->room = old->room;
		new->running = old->running;
		retire(s, old);
	}
	new->stream = httpd_stream(c, "text/event-stream", QUEUE_MAX, on_closed, new);
	new->next = s->all;
	s->all = new;
	if (tsearch(new, &s->tree, by_id))
		s->n++;
	send_event(new, "hello");
	pthread_mutex_unlock(&s->lock);
}

void streams_note(struct streams *s, const char *id, unsigned room, unsigned running)
{
	struct conn *c;

	pthread_mutex_lock(&s->lock);
	c = find(s, id);
	if (c) {
		c->room = room;
		c->running = running;
	}
	pthread_mutex_unlock(&s->lock);
}

void streams_send(struct streams *s, const char *id, const char *event)
{
	struct conn *c;

	pthread_mutex_lock(&s->lock);
	c = find(s, id);
	if (c)
		send_event(c, event);
	pthread_mutex_unlock(&s->lock);
}

void streams_end(struct streams *s, const char *id, const char *event)
{
	struct conn *c;

	pthread_mutex_lock(&s->lock);
	c = find(s, id);
	if (c) {
		send_event(c, event);
		retire(s, c);
	}
	pthread_mutex_unlock(&s->lock);
}

/* ---- many ---- */

void streams_send_running(struct streams *s, const char *event)
{
	pthread_mutex_lock(&s->lock);
	for (struct conn *c = s->all; c; c = c->next) {
		if (c->current && c->running)
			send_event(c, event);
	}
	pthread_mutex_unlock(&s->lock);
}

/* From a random one on, in the order of the list; who was told has less room until it says so. */
void streams_send_some(struct streams *s, const char *event, unsigned n)
{
	unsigned told = 0;
	size_t skip = 0;

	pthread_mutex_lock(&s->lock);
	if (s->n) {
		random_bytes(&skip, sizeof(skip));
		skip %= s->n;
	}
	for (int round = 0; round < 2; round++) {
		size_t i = 0;

		for (struct conn *c = s->all; c && told < n; c = c->next) {
			bool turn = (round == 0) == (i++ >= skip);

			if (!turn || !c->current || !c->room || !send_event(c, event))
				continue;
			c->room--;
			told++;
		}
	}
	pthread_mutex_unlock(&s->lock);
}

void streams_tidy(struct streams *s)
{
	uint64_t now = clock_mono_us();
	struct conn **at;
	bool alive;

	pthread_mutex_lock(&s->lock);
	alive = now - s->told_us >= ALIVE_US;
	if (alive)
		s->told_us = now;
	for (at = &s->all; *at;) {
		struct conn *c = *at;

		if (!atomic_load(&c->closed)) {
			if (alive && c->current)
				send_text(c, ": alive\n\n");
			at = &c->next;
			continue;
		}
		retire(s, c);
		*at = c->next;
		free(c);
	}
	pthread_mutex_unlock(&s->lock);
}

size_t streams_count(struct streams *s)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = s->n;
	pthread_mutex_unlock(&s->lock);
	return n;
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	/* The server has stopped: whatever was open is closed. */
	while (s->all) {
		struct conn *c = s->all;

		retire(s, c);
		s->all = c->next;
		free(c);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}
