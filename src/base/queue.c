/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <assert.h>
#include <pthread.h>

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t room;
	pthread_cond_t filled;
	void **items;
	size_t bound, head, count;
	bool closed;
};

struct queue *queue_new(size_t bound)
{
	struct queue *q = xcalloc(1, sizeof(*q));

	assert(bound > 0);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->room, NULL);
	pthread_cond_init(&q->filled, NULL);
	q->items = xcalloc(bound, sizeof(*q->items));
	q->bound = bound;
	return q;
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	pthread_cond_destroy(&q->filled);
	pthread_cond_destroy(&q->room);
	pthread_mutex_destroy(&q->lock);
	free(q->items);
	free(q);
}

bool queue_give(struct queue *q, void *item)
{
	bool given = false;

	pthread_mutex_lock(&q->lock);
	while (q->count == q->bound && !q->closed)
		pthread_cond_wait(&q->room, &q->lock);
	if (!q->closed) {
		q->items[(q->head + q->count++) % q->bound] = item;
		given = true;
		pthread_cond_signal(&q->filled);
	}
	pthread_mutex_unlock(&q->lock);
	return given;
}

static void *take_locked(struct queue *q)
{
	void *item;

	if (q->count == 0)
		return NULL;
	item = q->items[q->head];
	q->head = (q->head + 1) % q->bound;
	q->count--;
	pthread_cond_signal(&q->room);
	return item;
}

void *queue_take(struct queue *q)
{
	void *item;

	pthread_mutex_lock(&q->lock);
	while (q->count == 0 && !q->closed)
		pthread_cond_wait(&q->filled, &q->lock);
	item = take_locked(q);
	pthread_mutex_unlock(&q->lock);
	return item;
}

void *queue_try(struct queue *q)
{
	void *item;

	pthread_mutex_lock(&q->lock);
	item = take_locked(q);
	pthread_mutex_unlock(&q->lock);
	return item;
}

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->room);
	pthread_cond_broadcast(&q->filled);
	pthread_mutex_unlock(&q->lock);
}

struct seq {
	pthread_mutex_t lock;
	pthread_cond_t next_filled;
	void **items;
	size_t span;
	uint64_t next;
	bool closed;
};

struct seq *seq_new(size_t span)
{
	struct seq *s = xcalloc(1, sizeof(*s));

	assert(span > 0);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->next_filled, NULL);
	s->items = xcalloc(span, sizeof(*s->items));
	s->span = span;
	return s;
}

void seq_free(struct seq *s)
{
	if (!s)
		return;
	pthread_cond_destroy(&s->next_filled);
	pthread_mutex_destroy(&s->lock);
	free(s->items);
	free(s);
}

bool seq_give(struct seq *s, uint64_t number, void *item)
{
	bool given = false;

	pthread_mutex_lock(&s->lock);
	if (!s->closed) {
		assert(number >= s->next && number - s->next < s->span);
		s->items[number % s->span] = item;
		given = true;
		if (number == s->next)
			pthread_cond_signal(&s->next_filled);
	}
	pthread_mutex_unlock(&s->lock);
	return given;
}

void *seq_take(struct seq *s)
{
	void *item;

	pthread_mutex_lock(&s->lock);
	while (!s->items[s->next % s->span] && !s->closed)
		pthread_cond_wait(&s->next_filled, &s->lock);
	item = s->items[s->next % s->span];
	if (item) {
		s->items[s->next % s->span] = NULL;
		s->next++;
	}
	pthread_mutex_unlock(&s->lock);
	return item;
}

void seq_close(struct seq *s)
{
	pthread_mutex_lock(&s->lock);
	s->closed = true;
	pthread_cond_broadcast(&s->next_filled);
	pthread_mutex_unlock(&s->lock);
}
