/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of a checkpoint as a source: what is stored of it is data, and what an older checkpoint
 * has likewise, block by block, is unchanged.
 *
 * Threads of its own read, because most of a read is waiting for a store, or opening what came.
 * They put what they finished aside; the owner's thread marks it done.
 */
#include <errno.h>
#include <pthread.h>

#include "base/cond.h"
#include "base/crew.h"
#include "base/queue.h"
#include "mover/source.h"
#include "repo/view.h"

#define READERS 8
#define CACHE ((size_t)16 << 20) /* the blocks of all reads in flight, several times */

struct range {
	uint64_t from, to;
};

struct point_source {
	struct source s;
	struct view *view;
	struct range *changed; /* ascending */
	size_t n_changed, cap_changed, at;
	struct queue *todo;
	struct crew *crew;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t changed_state;
	struct source_read *finished[READERS];
	unsigned n_finished;
	struct err why; /* the first read that failed */
};

static struct point_source *of(struct source *s)
{
	return (struct point_source *)s;
}

static void stop(void *arg)
{
	queue_close(((struct point_source *)arg)->todo);
}

static void point_drop(struct source *s)
{
	stop(of(s));
	crew_join(of(s)->crew, NULL);
}

static void point_source_free(struct source *s)
{
	struct point_source *p = of(s);

	stop(p);
	crew_free(p->crew);
	queue_free(p->todo);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed_state);
	view_free(p->view);
	free(p->changed);
	free(p->s.name);
	free(p);
}

/* ---- reads ---- */

static void put_aside(struct point_source *p, struct source_read *r, const struct err *why)
{
	pthread_mutex_lock(&p->lock);
	if (why->kind != ERR_NONE && p->why.kind == ERR_NONE)
		p->why = *why;
	p->finished[p->n_finished++] = r;
	pthread_cond_signal(&p->changed_state);
	pthread_mutex_unlock(&p->lock);
}

static int read_loop(void *arg, struct err *e)
{
	struct point_source *p = arg;
	struct source_read *r;

	(void)e;
	while ((r = queue_take(p->todo)) != NULL) {
		struct err why = {0};

		view_read(p->view, r->buf, r->len, r->off, &why);
		put_aside(p, r, &why);
	}
	return 0;
}

static int point_start(struct source *s, struct source_read *r, struct err *e)
{
	return queue_give(of(s)->todo, r)
		       ? 0
		       : err_set(e, ERR_CANCELLED, "%s: reading was stopped", s->name);
}

static int point_wait(struct source *s, int timeout_ms, struct err *e)
{
	struct point_source *p = of(s);
	struct timespec until = cond_in_ms(timeout_ms);
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	while (!p->n_finished && rc == 0)
		rc = pthread_cond_timedwait(&p->changed_state, &p->lock, &until);
	while (p->n_finished)
		p->finished[--p->n_finished]->done = true;
	rc = p->why.kind == ERR_NONE ? 0 : -1;
	if (rc < 0 && e)
		*e = p->why;
	pthread_mutex_unlock(&p->lock);
	return rc < 0 ? err_wrap(e, "%s", s->name) : 0;
}

/* ---- the map ---- */

static int note_change(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct point_source *p = arg;

	(void)e;
	if (p->n_changed == p->cap_changed) {
		p->cap_changed = p->cap_changed ? p->cap_changed * 2 : 256;
		p->changed = xreallocarray(p->changed, p->cap_changed, sizeof(*p->changed));
	}
	p->changed[p->n_changed++] = (struct range){offset, offset + len};
	return 0;
}

/* How far from `off` all is changed, or all is not. */
static uint64_t same_until(struct point_source *p, uint64_t off, bool *ret_changed)
{
	if (!p->s.tracks) {
		*ret_changed = true;
		return p->s.size;
	}
	while (p->at && p->changed[p->at - 1].to > off)
		p->at--;
	while (p->at < p->n_changed && p->changed[p->at].to <= off)
		p->at++;
	*ret_changed = p->at < p->n_changed && p->changed[p->at].from <= off;
	if (p->at == p->n_changed)
		return p->s.size;
	return *ret_changed ? p->changed[p->at].to : p->changed[p->at].from;
}

static int point_map(struct source *s, uint64_t off, uint64_t len, struct extent_list *out,
		     struct err *e)
{
	struct point_source *p = of(s);
	uint64_t end = off + len;

	while (off < end) {
		bool changed, hole;
		uint64_t n = MIN(same_until(p, off, &changed), end) - off;

		if (view_extent(p->view, off, n, &hole, &n, e) < 0)
			return err_wrap(e, "%s", s->name);
		extent_add(out, n,
			   changed ? (hole ? EXTENT_ZERO : EXTENT_DATA)
				   : (hole ? EXTENT_CLEAN_ZERO : EXTENT_CLEAN));
		off += n;
	}
	return 0;
}

static const struct source_ops ops = {
	.free = point_source_free,
	.map = point_map,
	.start = point_start,
	.wait = point_wait,
	.drop = point_drop,
};

/* ---- opening ---- */

static struct point_source *make(struct view *view, const char *name)
{
	struct point_source *p = xcalloc(1, sizeof(*p));

	p->s.ops = &ops;
	p->s.name = xstrdup(name);
	p->s.size = view_size(view);
	p->s.in_flight = READERS;
	p->view = view;
	p->todo = queue_new(READERS);
	p->crew = crew_new(stop, p);
	pthread_mutex_init(&p->lock, NULL);
	cond_init(&p->changed_state);
	return p;
}

static int start(struct point_source *p, struct repo *r, const struct tree *t,
		 const struct tree *parent, struct err *e)
{
	AUTO(fetch) fetch = fetch_new(r);

	p->s.tracks = parent != NULL;
	if (parent && tree_diff(parent, t, fetch, note_change, p, e) < 0)
		return -1;
	for (int i = 0; i < READERS; i++) {
		if (crew_add(p->crew, read_loop, p, e) < 0)
			return -1;
	}
	return 0;
}

struct source *source_point_open(struct repo *r, const struct tree *t, const struct tree *parent,
				 const char *name, struct err *e)
{
	struct view *view = view_open(r, t, CACHE, e);
	struct point_source *p = view ? make(view, name) : NULL;

	if (!p)
		return NULL;
	if (start(p, r, t, parent, e) == 0)
		return &p->s;
	point_source_free(&p->s);
	return NULL;
}
