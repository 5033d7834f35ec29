/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring.
 *
 *   planner ──tasks──> workers (one per core): read a range of a pack, open, check, write
 *                                    └──(ordered sinks only)──> in order ──> writer
 *
 * The planner walks the tree, looks up where blocks lie, and joins blocks that follow each other in
 * the content and in a pack into one task, which is one read of the store and few writes. Tasks
 * have fixed buffers and go round, as in the pipeline of a backup.
 */
#include "mover/restore.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/crew.h"
#include "base/queue.h"

#define TASK_BYTES ((size_t)2 << 20) /* fewer and larger writes cost the kernel less */
#define TASK_PIECES 64
#define TASKS_MAX 40 /* two buffers of TASK_BYTES each */
#define ITEM_MAX ((size_t)64 << 20)

struct piece {
	uint64_t offset; /* in the content */
	size_t len;	 /* of content */
	struct location at;
};

enum task_kind { TASK_DATA, TASK_ZERO };

struct task {
	uint64_t number;
	enum task_kind kind;
	uint64_t offset, len; /* of content, from the first piece to the last */
	size_t n;
	struct piece pieces[TASK_PIECES];
	uint32_t from, to; /* in the pack */
	struct buf in, out;
};

struct restoring {
	const struct restore *job;
	unsigned threads;
	atomic_uint next_thread, working;
	struct task *tasks;
	size_t n_tasks;
	uint64_t next_number;
	struct queue *free_tasks, *planned;
	struct seq *done; /* ordered sinks */
	struct crew *crew;
	pthread_mutex_t damage_lock;
};

/* Some wait for the store or the disk while the others have all cores. */
unsigned restore_threads(void)
{
	return crew_cores() + 2;
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

static struct task *new_task(struct planner *p, enum task_kind kind, uint64_t offset, struct err *e)
{
	struct task *t = queue_take(p->r->free_tasks);

	if (!t) {
		check(p->r, e);
		return NULL;
	}
	t->number = p->r->next_number++;
	t->kind = kind;
	t->offset = offset;
	t->len = 0;
	t->n = 0;
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
	if (flush_task(p, e) < 0)
		return -1;
	t = new_task(p, TASK_ZERO, from, e);
	if (!t)
		return -1;
	t->len = offset - from;
	return give_task(p, t, e);
}

/* Does the block follow in the task's range of its pack? */
static bool joins(const struct task *t, const struct piece *x)
{
	const struct location *last = &t->pieces[t->n - 1].at;

	return t->n < TASK_PIECES && t->offset + t->len == x->offset &&
	       t->len + x->len <= TASK_BYTES && memcmp(last->pack, x->at.pack, HASH_BYTES) == 0 &&
	       x->at.at.offset >= t->to && x->at.at.offset - t->to <= FETCH_GAP_MAX &&
	       x->at.at.offset + x->at.at.stored - t->from <= TASK_BYTES;
}

static int plan_piece(struct planner *p, const struct piece *x, struct err *e)
{
	struct task *t;

	if (p->task && !joins(p->task, x) && flush_task(p, e) < 0)
		return -1;
	if (!p->task) {
		p->task = new_task(p, TASK_DATA, x->offset, e);
		if (!p->task)
			return -1;
		p->task->from = x->at.at.offset;
	}
	t = p->task;
	t->pieces[t->n++] = *x;
	t->to = x->at.at.offset + x->at.at.stored;
	t->len += x->len;
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
	return flush_task(p, e);
}

static int plan_block(struct planner *p, const struct tree_piece *tp, struct err *e)
{
	struct piece x = {.offset = tp->offset, .len = (size_t)tp->len};
	struct err why = {0};

	if (tp->len > BLOCK_MAX)
		return err_set(e, ERR_LIMIT, "a block of %llu bytes", (unsigned long long)tp->len);
	if (plan_zeros(p, tp->offset, e) < 0)
		return -1;
	if (fetch_locate(p->fetch, &tp->id, &x.at, &why) < 0)
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
};

static int open_piece(struct worker *w, struct task *t, const struct piece *x, bool have,
		      struct err *e)
{
	uint8_t *out = buf_reserve(&t->out, x->len);
	size_t len;

	/* From another place if this one is damaged. */
	if (!have || fetch_decode(w->fetch, &x->at, t->in.data + (x->at.at.offset - t->from), out,
				  x->len, &len, NULL) < 0) {
		if (fetch_block(w->fetch, BLOCK_DATA, &x->at.at.id, out, x->len, &len, e) < 0) {
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

/* Write what is in t->out, which starts at `offset` of the content. */
static int write_out(struct worker *w, struct task *t, uint64_t offset, struct err *e)
{
	const struct restore *job = w->r->job;
	uint64_t size = job->tree->size;
	size_t n = t->out.len;

	if (n == 0)
		return 0;
	n = (size_t)MIN((uint64_t)n, size - offset);
	progress_add(&job->progress->passed, n);
	progress_add(&job->progress->stored, n);
	t->out.len = 0;
	return job->sink->ops->write(job->sink, w->thread, t->out.data, n, offset, e);
}

/* Read the range and open its blocks into t->out; what cannot be opened ends a stretch of output.
 */
static int work_data(struct worker *w, struct task *t, struct err *e)
{
	size_t n = t->to - t->from;
	uint64_t start = t->offset;
	bool have;

	t->out.len = t->in.len = 0;
	if (w->r->job->pace && pace_keep(w->r->job->pace, n, w->r->job->cancel, e) < 0)
		return -1;
	have = fetch_range(w->fetch, t->pieces[0].at.pack, t->from, buf_reserve(&t->in, n), n,
			   NULL) == 0;
	progress_add(&w->r->job->progress->read, n);
	for (size_t i = 0; i < t->n; i++) {
		const struct piece *x = &t->pieces[i];
		struct err why = {0};

		if (open_piece(w, t, x, have, &why) == 0) {
			t->out.len += x->len;
			continue;
		}
		if (damaged(w->r, &x->at.at.id, x->offset, x->len, &why) < 0) {
			if (e)
				*e = why;
			return -1;
		}
		if (write_out(w, t, start, e) < 0)
			return -1;
		start = x->offset + x->len;
	}
	if (w->r->job->sink->ordered)
		return 0;
	return write_out(w, t, start, e);
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

static int worker(void *arg, struct err *e)
{
	struct restoring *r = arg;
	struct worker w = {r, fetch_new(r->job->repo), atomic_fetch_add(&r->next_thread, 1)};
	int rc = work_loop(&w, e);

	fetch_free(w.fetch);
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
		int rc =
			t->kind == TASK_DATA ? write_out(&w, t, t->offset, e) : work_zero(&w, t, e);

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
	r->threads = restore_threads();
	r->n_tasks = MIN(3 * r->threads + 2, (unsigned)TASKS_MAX);
	r->tasks = xcalloc(r->n_tasks, sizeof(*r->tasks));
	r->free_tasks = queue_new(r->n_tasks);
	r->planned = queue_new(r->n_tasks);
	r->done = seq_new(r->n_tasks);
	r->crew = crew_new(stop, r);
	pthread_mutex_init(&r->damage_lock, NULL);
	for (size_t i = 0; i < r->n_tasks; i++) {
		r->tasks[i].in = (struct buf){xmalloc_pages(TASK_BYTES), 0, TASK_BYTES};
		r->tasks[i].out = (struct buf){xmalloc_pages(TASK_BYTES), 0, TASK_BYTES};
		queue_give(r->free_tasks, &r->tasks[i]);
	}
}

static void tear_down(struct restoring *r)
{
	crew_free(r->crew);
	for (size_t i = 0; i < r->n_tasks; i++) {
		buf_done(&r->tasks[i].in);
		buf_done(&r->tasks[i].out);
	}
	pthread_mutex_destroy(&r->damage_lock);
	queue_free(r->free_tasks);
	queue_free(r->planned);
	seq_free(r->done);
	free(r->tasks);
}

static int start(struct restoring *r, struct err *e)
{
	atomic_store(&r->working, r->threads);
	for (unsigned i = 0; i < r->threads; i++) {
		if (crew_add(r->crew, worker, r, e) < 0)
			return -1;
	}
	return crew_add(r->crew, planner, r, e);
}

int restore_run(const struct restore *job, struct err *e)
{
	struct restoring r = {.job = job};
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
