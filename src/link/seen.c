/* SPDX-License-Identifier: Apache-2.0 */
#include "link/seen.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct seen {
	pthread_mutex_t lock;
	struct seen_entry *v; /* in order of arrival; one may be there twice */
	size_t n, cap;
};

struct seen *seen_new(void)
{
	struct seen *s = xcalloc(1, sizeof(*s));

	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void seen_free(struct seen *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s->v);
	free(s);
}

static int by_id(const void *a, const void *b)
{
	const struct seen_entry *x = a, *y = b;
	int order = strcmp(x->id, y->id);

	return order ? order : (x->when_us > y->when_us) - (x->when_us < y->when_us);
}

/* Sorted, and of each id the last. */
static size_t tidy(struct seen_entry *v, size_t n)
{
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(v, n, sizeof(*v), by_id);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(v[kept].id, v[i].id) != 0)
			kept++;
		v[kept] = v[i];
	}
	return kept + 1;
}

void seen_note(struct seen *s, const char *id, uint64_t when_us)
{
	struct seen_entry *x;

	pthread_mutex_lock(&s->lock);
	if (s->n == s->cap) {
		/* Nobody may take them for a while: there are not more than movers. */
		s->n = tidy(s->v, s->n);
		if (2 * s->n >= s->cap) {
			s->cap = 2 * s->cap + 64;
			s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
		}
	}
	x = &s->v[s->n++];
	snprintf(x->id, sizeof(x->id), "%s", id);
	x->when_us = when_us;
	pthread_mutex_unlock(&s->lock);
}

struct seen_entry *seen_take(struct seen *s, size_t *ret_n)
{
	struct seen_entry *v;

	pthread_mutex_lock(&s->lock);
	v = s->v;
	*ret_n = s->n;
	s->v = NULL;
	s->n = s->cap = 0;
	pthread_mutex_unlock(&s->lock);
	*ret_n = tidy(v, *ret_n);
	return v;
}
