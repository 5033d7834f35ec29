/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring.
 *
 *   planner ──tasks──> workers: read the task's ranges of packs, open, check, write
 *                                    └──(ordered sinks only)──> in order ──> writer
 *
 * The planner walks the tree, looks up where blocks lie, and gathers blocks into tasks. What of a
 * task's blocks lies near each other in a pack is one read, in whatever order the disk has them: a
 * disk that is written to here and there lies in a few packs by turns, and each of them has its
 * part together. How much a task takes is a matter of how far away the store is: at hand, as much
 * as stays in a core's cache; in a bucket, where every request waits, more of it and by more
 * threads. Tasks go round, as in the pipeline of a backup; buffers belong to the workers.
 */
#include "mover/restore.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/crew.h"
#include "base/queue.h"

#define OUT_BYTES ((size_t)2 << 20) /* of one write: fewer and larger ones cost the kernel less */
#define TASK_PIECES 256
#define TASKS_MAX 40U	/* an ordered sink has a buffer of a task's content for each */
#define THREADS_MAX 24U /* each has two buffers, of a task's records and of a write */
#define DISTANT 8U	/* threads, where each of them waits most of the time */
#define ITEM_MAX ((size_t)64 << 20)

/* How much a task takes, and how many work at once. */
struct scale {
	unsigned threads;
	size_t n_tasks;
	size_t stored;	/* bytes of packs */
	size_t content; /* bytes of the disk */
};

struct piece {
	uint64_t offset; /* in the content */
	size_t len;	 /* of content */
	struct record_read record;
};

enum task_kind { TASK_DATA, TASK_ZERO };

struct task {
	uint64_t number;
	enum task_kind kind;
	uint64_t offset, len; /* of zeros */
	size_t n, content, stored;
	struct piece pieces[TASK_PIECES]; /* in the order of the content */
	struct buf out;			  /* ordered sinks */
};

struct restoring {
	const struct restore *job;
	struct scale scale;
	atomic_uint next_thread, working;
	struct task *tasks;
	uint64_t next_number;
	struct queue *free_tasks, *planned;
	struct seq *done; /* ordered sinks */
	struct crew *crew;
	pthread_mutex_t damage_lock;
};

static struct scale scale_of(const struct repo *r, bool ordered)
{
	/* Some wait for the store or the disk while the others have all cores. */
	unsigned threads = MIN(crew_cores() + 2, THREADS_MAX);
	size_t much = (size_t)(ordered ? 4 : 8) << 20;

	if (repo_store(r)->distant)
		return (struct scale){DISTANT, DISTANT + 4, much, ordered ? much : 2 * much};
	return (struct scale){threads, MIN(3 * threads + 2, TASKS_MAX), OUT_BYTES, OUT_BYTES};
}

unsigned restore_threads(const struct repo *r)
{
	return scale_of(r, false).threads;
}

static int check(struct restoring *r, struct err *e)
{
	if (cancel_check(r->job->cancel, e) < 0)
		return -1;
	return crew_stopping(r->crew) ? err_set(e, ERR_CANCELLED, "stopped") : 0;
}

static void stop(void *arg)
{
	struct restoring *r = arg;

	queue_close(r->free_tasks);
	queue_close(r->planned);
	seq_close(r->done);
}

/* Report damage; 0 to go on. */
static int damaged(struct restoring *r, const struct block_id *id, uint64_t offset, uint64_t len,
		   const struct err *why)
{
	int rc = -1;

	/* An ordered sink has no way to leave something out. */
	if (r->job->damage && why->kind == ERR_CORRUPT && !r->job->sink->ordered) {
		pthread_mutex_lock(&r->damage_lock);
		rc = r->job->damage(r->job->arg, id, offset, len, why);
		pthread_mutex_unlock(&r->damage_lock);
	}
	return rc;
}

/* ---- planner ---- */

struct planner {
	struct restoring *r;
	struct fetch *fetch;
	struct task *task; /* being filled */
	uint64_t at;	   /* content up to here is planned */
};

static struct task *new_task(struct planner *p, enum task_kind kind, struct err *e)
{
	struct task *t = queue_take(p->r->free_tasks);

	if (!t) {
		check(p->r, e);
		return NULL;
	}
	t->number = p->r->next_number++;
	t->kind = kind;
	t->n = t->content = t->stored = 0;
	return t;
}

static int give_task(struct planner *p, struct task *t, struct err *e)
{
	return queue_give(p->r->planned, t) ? 0 : check(p->r, e);
}

static int flush_task(struct planner *p, struct err *e)
{
	struct task *t = p->task;

	p->task = NULL;
	return t ? give_task(p, t, e) : 0;
}

/* Content from p->at up to `offset` is zeros. */
static int plan_zeros(struct planner *p, uint64_t offset, struct err *e)
{
	uint64_t from = p->at;
	struct task *t;

	if (offset <= from)
		return 0;
	p->at = offset;
	if (!p->r->job->sink->ops->zero) {
		progress_add(&p->r->job->progress->passed, offset - from);
		return 0;
	}
	if (p->r->job->sink->ordered && flush_task(p, e) < 0)
		return -1;
	t = new_task(p, TASK_ZERO, e);
	if (!t)
		return -1;
	t->offset = from;
	t->len = offset - from;
	return give_task(p, t, e);
}

static bool fits(const struct restoring *r, const struct task *t, const struct piece *x)
{
	return t->n < TASK_PIECES && t->content + x->len <= r->scale.content &&
	       t->stored + x->record.at.at.stored <= r->scale.stored;
}

static int plan_piece(struct planner *p, const struct piece *x, struct err *e)
{
	struct task *t;

	if (p->task && !fits(p->r, p->task, x) && flush_task(p, e) < 0)
		return -1;
	if (!p->task)
		p->task = new_task(p, TASK_DATA, e);
	t = p->task;
	if (!t)
		return -1;
	t->pieces[t->n++] = *x;
	t->content += x->len;
	t->stored += x->record.at.at.stored;
	p->at = x->offset + x->len;
	return 0;
}

/* What cannot be had is left out, if whoever wants it agrees; with `id` NULL it is a node. */
static int plan_without(struct planner *p, const struct block_id *id, const struct tree_piece *tp,
			const struct err *why, struct err *e)
{
	uint64_t size = p->r->job->tree->size, len = MIN(tp->len, size - MIN(tp->offset, size));

	if (damaged(p->r, id, tp->offset, len, why) < 0) {
		if (e)
			*e = *why;
		return -1;
	}
	if (plan_zeros(p, tp->offset, e) < 0)
		return -1;
	p->at = MAX(p->at, tp->offset + len);
	return 0;
}

static int plan_block(struct planner *p, const struct tree_piece *tp, struct err *e)
{
	struct piece x = {.offset = tp->offset, .len = (size_t)tp->len};
	struct err why = {0};

	if (tp->len > BLOCK_MAX)
		return err_set(e, ERR_LIMIT, "a block of %llu bytes", (unsigned long long)tp->len);
	if (plan_zeros(p, tp->offset, e) < 0)
		return -1;
	if (fetch_locate(p->fetch, &tp->id, &x.record.at, &why) < 0)
		return plan_without(p, &tp->id, tp, &why, e);
	return plan_piece(p, &x, e);
}

static int plan_next(struct planner *p, struct tree_walk *walk, bool *ret_more, struct err *e)
{
	const struct restore *job = p->r->job;
	struct tree_piece tp;
	struct err why = {0};
	int rc = tree_walk_next(walk, &tp, &why);

	*ret_more = rc != 0;
	if (rc < 0) {
		tp = tree_walk_lost(walk);
		return plan_without(p, NULL, &tp, &why, e);
	}
	if (rc == 0)
		return 0;
	rc = job->skip ? job->skip(job->arg, &tp.id, e) : 0;
	return rc ? MIN(rc, 0) : plan_block(p, &tp, e);
}

static int plan(struct planner *p, struct err *e)
{
	const struct restore *job = p->r->job;
	AUTO(fetch) walk_fetch = fetch_new(job->repo);
	AUTO(tree_walk) walk = tree_walk_new(job->tree, walk_fetch);
	bool more = true;

	tree_walk_skip(walk, job->skip, job->arg);
	while (more) {
		if (plan_next(p, walk, &more, e) < 0 || check(p->r, e) < 0)
			return -1;
	}
	return flush_task(p, e) < 0 ? -1 : plan_zeros(p, job->tree->size, e);
}

static int planner(void *arg, struct err *e)
{
	struct planner p = {.r = arg};
	AUTO(fetch) fetch = fetch_new(p.r->job->repo);
	int rc;

	p.fetch = fetch;
	rc = plan(&p, e);
	queue_close(p.r->planned);
	return rc;
}

/* ---- workers ---- */

struct worker {
	struct restoring *r;
	struct fetch *fetch;
	unsigned thread;
	struct buf in, out;
};

/* A task's records, and what is read in vain between them. */
static size_t in_bytes(const struct scale *s)
{
	return s->stored + s->stored / 4;
}

/* Read all that the task needs into w->in. */
static int read_task(struct worker *w, struct task *t, struct err *e)
{
	const struct restore *job = w->r->job;
	struct record_read *records[TASK_PIECES];

	if (job->pace && pace_keep(job->pace, t->stored, job->cancel, e) < 0)
		return -1;
	for (size_t i = 0; i < t->n; i++)
		records[i] = &t->pieces[i].record;
	w->in.len = 0;
	fetch_records(w->fetch, records, t->n, in_bytes(&w->r->scale), &w->in);
	progress_add(&job->progress->read, w->in.len);
	return 0;
}

static int open_piece(struct worker *w, const struct piece *x, struct err *e)
{
	uint8_t *out = buf_reserve(&w->out, x->len);
	const struct location *at = &x->record.at;
	size_t len;

	/* From another place if this one is damaged. */
	if (!x->record.have ||
	    fetch_decode(w->fetch, at, w->in.data + x->record.in, out, x->len, &len, NULL) < 0) {
		if (fetch_block(w->fetch, BLOCK_DATA, &at->at.id, out, x->len, &len, e) < 0) {
			/* Whole, but not what the tree says: damage to the tree. */
			if (e->kind == ERR_LIMIT)
				e->kind = ERR_CORRUPT;
			return -1;
		}
	}
	if (len != x->len)
		return err_set(e, ERR_CORRUPT, "a block has %zu bytes where %zu belong", len,
			       x->len);
	return 0;
}

/* Write what is in `out`, which starts at `offset` of the content. */
static int write_out(struct worker *w, struct buf *out, uint64_t offset, struct err *e)
{
	const struct restore *job = w->r->job;
	uint64_t size = job->tree->size;
	size_t n = out->len;

	if (n == 0)
		return 0;
	n = (size_t)MIN((uint64_t)n, size - offset);
	progress_add(&job->progress->passed, n);
	progress_add(&job->progress->stored, n);
	out->len = 0;
	return job->sink->ops->write(job->sink, w->thread, out->data, n, offset, e);
}

/* Open one more block behind what is in w->out, which starts at *start; what does not go on there
 * ends it. */
static int work_piece(struct worker *w, const struct piece *x, uint64_t *start, struct err *e)
{
	bool ordered = w->r->job->sink->ordered;
	struct err why = {0};

	if (!ordered && (x->offset != *start + w->out.len || w->out.len + x->len > OUT_BYTES) &&
	    write_out(w, &w->out, *start, e) < 0)
		return -1;
	if (w->out.len == 0)
		*start = x->offset;
	if (open_piece(w, x, &why) == 0) {
		w->out.len += x->len;
		return 0;
	}
	if (damaged(w->r, &x->record.at.at.id, x->offset, x->len, &why) == 0)
		return 0;
	if (e)
		*e = why;
	return -1;
}

static int work_data(struct worker *w, struct task *t, struct err *e)
{
	uint64_t start = t->pieces[0].offset;
	struct buf full;

	w->out.len = 0;
	if (read_task(w, t, e) < 0)
		return -1;
	for (size_t i = 0; i < t->n; i++) {
		if (work_piece(w, &t->pieces[i], &start, e) < 0)
			return -1;
	}
	if (!w->r->job->sink->ordered)
		return write_out(w, &w->out, start, e);
	full = w->out;
	w->out = t->out;
	t->out = full;
	return 0;
}

static int work_zero(struct worker *w, const struct task *t, struct err *e)
{
	struct sink *sink = w->r->job->sink;

	progress_add(&w->r->job->progress->passed, t->len);
	return sink->ops->zero(sink, w->thread, t->len, t->offset, e);
}

static int work_loop(struct worker *w, struct err *e)
{
	bool ordered = w->r->job->sink->ordered;
	struct task *t;

	while ((t = queue_take(w->r->planned)) != NULL) {
		if (t->kind == TASK_DATA && work_data(w, t, e) < 0)
			return -1;
		if (t->kind == TASK_ZERO && !ordered && work_zero(w, t, e) < 0)
			return -1;
		if (check(w->r, e) < 0)
			return -1;
		if (ordered ? !seq_give(w->r->done, t->number, t)
			    : !queue_give(w->r->free_tasks, t))
			return 0;
	}
	return 0;
}

static size_t out_bytes(const struct restoring *r)
{
	return r->job->sink->ordered ? r->scale.content : OUT_BYTES;
}

static struct buf new_buffer(size_t n)
{
	return (struct buf){xmalloc_pages(n), 0, n};
}

static int worker(void *arg, struct err *e)
{
	struct restoring *r = arg;
	struct worker w = {r, fetch_new(r->job->repo), atomic_fetch_add(&r->next_thread, 1),
			   new_buffer(in_bytes(&r->scale)), new_buffer(out_bytes(r))};
	int rc = work_loop(&w, e);

	fetch_free(w.fetch);
	buf_done(&w.in);
	buf_done(&w.out);
	if (atomic_fetch_sub(&r->working, 1) == 1)
		seq_close(r->done);
	return rc;
}

/* For ordered sinks, in the caller's thread. */
static int write_in_order(struct restoring *r, struct err *e)
{
	struct worker w = {.r = r};
	struct task *t;

	while ((t = seq_take(r->done)) != NULL) {
		int rc = t->kind == TASK_DATA ? write_out(&w, &t->out, t->pieces[0].offset, e)
					      : work_zero(&w, t, e);

		/* The workers may be done with everything already. */
		if (rc < 0 || check(r, e) < 0)
			return -1;
		if (!queue_give(r->free_tasks, t))
			return 0;
	}
	return 0;
}

/* ---- running ---- */

static void set_up(struct restoring *r)
{
	size_t n = r->scale.n_tasks;

	r->tasks = xcalloc(n, sizeof(*r->tasks));
	r->free_tasks = queue_new(n);
	r->planned = queue_new(n);
	r->done = seq_new(n);
	r->crew = crew_new(stop, r);
	pthread_mutex_init(&r->damage_lock, NULL);
	for (size_t i = 0; i < n; i++) {
		if (r->job->sink->ordered)
			r->tasks[i].out = new_buffer(out_bytes(r));
		queue_give(r->free_tasks, &r->tasks[i]);
	}
}

static void tear_down(struct restoring *r)
{
	crew_free(r->crew);
	for (size_t i = 0; i < r->scale.n_tasks; i++)
		buf_done(&r->tasks[i].out);
	pthread_mutex_destroy(&r->damage_lock);
	queue_free(r->free_tasks);
	queue_free(r->planned);
	seq_free(r->done);
	free(r->tasks);
}

static int start(struct restoring *r, struct err *e)
{
	atomic_store(&r->working, r->scale.threads);
	for (unsigned i = 0; i < r->scale.threads; i++) {
		if (crew_add(r->crew, worker, r, e) < 0)
			return -1;
	}
	return crew_add(r->crew, planner, r, e);
}

int restore_run(const struct restore *job, struct err *e)
{
	struct restoring r = {.job = job, .scale = scale_of(job->repo, job->sink->ordered)};
	struct err why = {0};
	int rc;

	set_up(&r);
	if (start(&r, &why) < 0 || (job->sink->ordered && write_in_order(&r, &why) < 0))
		crew_fail(r.crew, &why);
	rc = crew_join(r.crew, e);
	tear_down(&r);
	return rc < 0 ? -1 : job->sink->ops->finish(job->sink, e);
}

int restore_buffer(struct repo *repo, const struct tree *t, size_t max, struct buf *ret_b,
		   struct err *e)
{
	AUTO(fetch) fetch = fetch_new(repo);
	AUTO(fetch) walk_fetch = fetch_new(repo);
	AUTO(tree_walk) walk = tree_walk_new(t, walk_fetch);
	AUTO_BUF b = BUF_INIT;
	struct tree_piece tp;
	size_t len;
	int rc;

	if (t->size > max)
		return err_set(e, ERR_LIMIT, "%llu bytes where %zu are allowed",
			       (unsigned long long)t->size, max);
	buf_fill(&b, 0, t->size);
	while ((rc = tree_walk_next(walk, &tp, e)) > 0) {
		AUTO_FREE uint8_t *block = xmalloc(BLOCK_MAX);

		if (fetch_block(fetch, BLOCK_DATA, &tp.id, block, BLOCK_MAX, &len, e) < 0)
			return -1;
		memcpy(b.data + tp.offset, block, MIN(len, t->size - tp.offset));
	}
	if (rc < 0)
		return -1;
	*ret_b = b;
	b = BUF_INIT;
	return 0;
}

int restore_item(struct repo *repo, const struct point_item *it, struct buf *ret_b, struct err *e)
{
	return restore_buffer(repo, &it->tree, ITEM_MAX, ret_b, e);
}
