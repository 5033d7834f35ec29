/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids are made with a repository's own keys, so what one has cannot be looked up in another: blocks
 * are opened, and stored like those of any disk. For what is unchanged since a checkpoint that was
 * copied before, that copy's tree is taken over instead.
 */
#include "mover/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crew.h"
#include "mover/backup.h"
#include "mover/restore.h"

const struct uuid *copy_origin(const struct point *p)
{
	return uuid_is_zero(&p->origin) ? &p->id : &p->origin;
}

const struct point *copy_find(const struct point_list *l, const struct point *p)
{
	for (size_t i = 0; i < l->n; i++) {
		if (uuid_equal(copy_origin(l->points[i]), copy_origin(p)))
			return l->points[i];
	}
	return NULL;
}

uint64_t copy_size(const struct point *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->n_resources; i++) {
		for (size_t k = 0; k < p->resources[i].n_disks; k++)
			sum += p->resources[i].disks[k].tree.size;
	}
	return sum;
}

/* ---- what was copied before ---- */

static const struct point_resource *same_resource(const struct point *p,
						  const struct point_resource *r)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *x = &p->resources[i];

		if (strcmp(x->type, r->type) == 0 && strcmp(x->id, r->id) == 0 &&
		    strcmp(x->name, r->name) == 0)
			return x;
	}
	return NULL;
}

/* A disk as an older checkpoint has it, and as the copy of that has it. */
struct base {
	const struct point *copy;
	const struct point_disk *source, *there; /* NULL: none */
};

static bool can_compare(const struct point_disk *a, const struct point_disk *b)
{
	return a && b && a->tree.type == b->tree.type && a->tree.block_log == b->tree.block_log &&
	       a->tree.fanout_log == b->tree.fanout_log;
}

/* Does this older checkpoint do for the disk? */
static bool is_base(const struct copying *c, const struct point *older,
		    const struct point_resource *r, const struct point_disk *d, struct base *ret_b)
{
	const struct point *copy = copy_find(c->there, older);
	const struct point_resource *was = same_resource(older, r);
	const struct point_resource *there = copy ? same_resource(copy, r) : NULL;

	if (!was || !there)
		return false;
	*ret_b =
		(struct base){copy, point_find_disk(was, d->name), point_find_disk(there, d->name)};
	return can_compare(d, ret_b->source) && can_compare(ret_b->source, ret_b->there);
}

/* The newest before `p`; lists are sorted by time. */
static struct base find_base(const struct copying *c, const struct point *p,
			     const struct point_resource *r, const struct point_disk *d)
{
	struct base b = {0};
	size_t i = c->source ? c->source->n : 0;

	while (i > 0 && c->source->points[i - 1] != p)
		i--;
	while (i-- > 1) {
		if (is_base(c, c->source->points[i - 1], r, d, &b))
			return b;
	}
	return (struct base){0};
}

/* ---- disks ---- */

static int copy_with(const struct copying *c, struct session *s, const struct point_disk *d,
		     const struct base *b, struct point_disk *out, struct err *e)
{
	AUTO(source)
	src = source_point_open(c->from, &d->tree, b ? &b->source->tree : NULL, d->name, e);
	struct backup_disk job = {
		.source = src, .pace = c->pace, .progress = c->progress, .cancel = c->cancel};

	if (!src)
		return -1;
	if (b) {
		job.parent = &b->there->tree;
		job.parent_point = &b->copy->id;
		job.incremental = true;
	}
	out->mode = xstrdup(b ? "incremental" : "full");
	return backup_disk(s, &job, &out->tree, &out->stats, e);
}

static int copy_map(const struct copying *c, struct session *s, const struct point_disk *d,
		    const struct base *b, struct point_disk *out, struct err *e)
{
	struct err why = {0};

	if (!b->copy)
		return copy_with(c, s, d, NULL, out, e);
	if (copy_with(c, s, d, b, out, &why) == 0)
		return 0;
	/* The older one was deleted meanwhile, or its copy is not what it should be. */
	if (why.kind != ERR_CONFLICT && why.kind != ERR_CORRUPT) {
		if (e)
			*e = why;
		return -1;
	}
	free(steal(&out->mode));
	out->reason = xstrdup(why.msg);
	return copy_with(c, s, d, NULL, out, e);
}

/* ---- streams ---- */

struct pump {
	struct restore job;
	int fd;
};

static int pump(void *arg, struct err *e)
{
	struct pump *p = arg;
	int rc = restore_run(&p->job, e);

	close(p->fd);
	return rc;
}

static void nothing_to_stop(void *arg)
{
	(void)arg;
}

/* Cut anew: its blocks end where they ended before, but ids and the places of cuts are keyed. */
static int copy_stream(const struct copying *c, struct session *s, const struct point_disk *d,
		       const struct base *b, struct point_disk *out, struct err *e)
{
	AUTO(crew) crew = crew_new(nothing_to_stop, NULL);
	struct backup_stream job = {.name = d->name, .progress = c->progress, .cancel = c->cancel};
	struct progress ignored = {0};
	struct err why = {0}, early = {0};
	AUTO(sink) sink = NULL;
	struct pump p;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "make a pipe");
	sink = sink_pipe_open(fds[1], d->name);
	p = (struct pump){{.repo = c->from,
			   .tree = &d->tree,
			   .sink = sink,
			   .progress = &ignored,
			   .cancel = c->cancel,
			   .pace = c->pace},
			  fds[1]};
	if (crew_add(crew, pump, &p, e) < 0) {
		close(fds[0]);
		close(fds[1]);
		return -1;
	}
	job.fd = fds[0];
	if (b->copy) {
		job.parent = &b->there->tree;
		job.parent_point = &b->copy->id;
	}
	rc = backup_stream(s, &job, &out->tree, &out->stats, &why);
	close(fds[0]);
	/* A stream whose source failed ended early; one that nobody reads any more failed to write.
	 */
	if (crew_join(crew, &early) < 0 && (rc == 0 || early.kind != ERR_IO)) {
		why = early;
		rc = -1;
	}
	if (rc < 0 && e)
		*e = why;
	out->mode = xstrdup("full");
	return rc;
}

/* ---- checkpoints ---- */

static int copy_disk(const struct copying *c, struct session *s, const struct point *p,
		     const struct point_resource *r, const struct point_disk *d,
		     struct point *whole, struct point_disk *out, struct err *e)
{
	struct base b = find_base(c, p, r, d);

	if (b.copy && uuid_is_zero(&whole->parent)) {
		whole->parent = b.copy->id;
		memcpy(whole->parent_hash, b.copy->hash, HASH_BYTES);
	}
	out->source = xstrdup0(d->source);
	out->format = xstrdup0(d->format);
	/* Change tracking stays with the checkpoint that it was begun for. */
	return d->tree.type == TREE_MAP ? copy_map(c, s, d, &b, out, e)
					: copy_stream(c, s, d, &b, out, e);
}

static int copy_item(const struct copying *c, struct session *s, const struct point_item *it,
		     struct point_item *out, struct err *e)
{
	AUTO_BUF content = BUF_INIT;

	if (restore_item(c->from, it, &content, e) < 0)
		return err_wrap(e, "%s", it->name);
	return session_put_item(s, content.data, content.len, &out->tree, e);
}

static void add_stats(struct point_stats *sum, const struct point_stats *s)
{
	sum->content += s->content;
	sum->read += s->read;
	sum->fresh += s->fresh;
}

static int copy_resource(const struct copying *c, struct session *s, const struct point *p,
			 const struct point_resource *r, struct point *out, struct err *e)
{
	struct point_resource *to = point_add_resource(out, r->type, r->id, r->name, r->platform);

	to->asked = r->asked;
	to->achieved = r->achieved;
	to->why_less = xstrdup0(r->why_less);
	to->frozen_us = r->frozen_us;
	for (size_t i = 0; i < r->n_items; i++) {
		struct point_item *it = point_add_item(to, r->items[i].name);

		if (copy_item(c, s, &r->items[i], it, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < r->n_disks; i++) {
		struct point_disk *d = point_add_disk(to, r->disks[i].name);

		if (copy_disk(c, s, p, r, &r->disks[i], out, d, e) < 0)
			return -1;
		add_stats(&out->stats, &d->stats);
	}
	return 0;
}

static struct point *frame_of(const struct point *p)
{
	struct point *out = point_new();

	out->instant_us = p->instant_us;
	out->window_us = p->window_us;
	out->origin = *copy_origin(p);
	for (size_t i = 0; i < p->n_tags; i++)
		point_add_tag(out, p->tags[i]);
	for (size_t i = 0; i < p->n_warnings; i++)
		point_add_warning(out, "%s", p->warnings[i]);
	return out;
}

int copy_content(const struct copying *c, struct session *s, const struct point *p,
		 struct point *out, struct err *e)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		if (copy_resource(c, s, p, &p->resources[i], out, e) < 0)
			return -1;
	}
	return 0;
}

struct point *copy_point(const struct copying *c, const struct point *p, struct err *e)
{
	AUTO(session) s = session_begin(c->to, &c->options, e);
	AUTO(point) out = frame_of(p);
	uint64_t start = clock_mono_us();

	if (!s || copy_content(c, s, p, out, e) < 0)
		return NULL;
	out->stats.spent_us = clock_mono_us() - start;
	if (cancel_check(c->cancel, e) < 0 || session_commit(s, out, e) < 0)
		return NULL;
	return steal(&out);
}
