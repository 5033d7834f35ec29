/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "mover/copy.h"

struct copy_run {
	struct cli *c;
	struct other to;
	struct point_list source, there;
	const struct point **chosen;
	size_t n_chosen, n_present, n_damaged;
	json_t *copied, *failed;
};

static void told(struct copy_run *r, const struct point *p, const struct point *copy)
{
	char id[UUID_TEXT], from[UUID_TEXT], when[CLOCK_TEXT], read[HUMAN_TEXT], fresh[HUMAN_TEXT];
	char stored[HUMAN_TEXT], took[HUMAN_TEXT];
	AUTO_FREE char *names = point_resource_names(p);

	json_array_append_new(r->copied, point_json(copy));
	if (r->c->json)
		return;
	uuid_text(&p->id, from);
	uuid_text(&copy->id, id);
	from[8] = id[8] = 0;
	printf("copied %s of %s, %s, as %s: %s read, %s new, %s stored, %s\n", from, names,
	       clock_local(p->instant_us, when), id, human_bytes(copy->stats.read, read),
	       human_bytes(copy->stats.fresh, fresh), human_bytes(copy->stats.stored, stored),
	       human_duration(copy->stats.spent_us, took));
	fflush(stdout);
}

static void failed(struct copy_run *r, const struct point *p, struct err *why)
{
	char id[UUID_TEXT];

	uuid_text(&p->id, id);
	r->n_damaged++;
	json_array_append_new(r->failed,
			      json_pack("{s:s,s:s}", "checkpoint", id, "message", why->msg));
	id[8] = 0;
	err_wrap(why, "checkpoint %s", id);
	cli_note(r->c, LOG_LEVEL_ERROR, why->msg);
}

/* What is damaged is told, and the others are copied. */
static int copy_one(struct copy_run *r, const struct copying *job, const struct point *p,
		    struct err *e)
{
	struct err why = {0};
	struct point *copy = copy_point(job, p, &why);

	if (copy) {
		told(r, p, copy);
		point_list_add(&r->there, copy);
	} else if (why.kind == ERR_CORRUPT) {
		failed(r, p, &why);
	} else {
		if (e)
			*e = why;
		return -1;
	}
	return 0;
}

static void leave_out_present(struct copy_run *r)
{
	size_t due = 0;

	for (size_t i = 0; i < r->n_chosen; i++) {
		if (!copy_find(&r->there, r->chosen[i]))
			r->chosen[due++] = r->chosen[i];
	}
	r->n_present = r->n_chosen - due;
	r->n_chosen = due;
}

static int copy_all(struct copy_run *r, struct err *e)
{
	struct copying job = {.from = r->c->repo,
			      .to = r->to.repo,
			      .source = &r->source,
			      .there = &r->there,
			      .progress = &r->c->progress,
			      .cancel = &r->c->cancel};
	struct progress_bar *bar;
	uint64_t total = 0;
	int rc = 0;

	if (cli_lock(r->c, &job.options.lock, e) < 0)
		return -1;
	leave_out_present(r);
	for (size_t i = 0; i < r->n_chosen; i++)
		total += copy_size(r->chosen[i]);
	atomic_store(&r->c->progress.total, total);
	bar = progress_begin(r->c, "copy", true);
	/* Oldest first: each is the ground for the next. */
	for (size_t i = 0; i < r->n_chosen && rc == 0; i++)
		rc = copy_one(r, &job, r->chosen[i], e);
	progress_end(bar);
	return rc;
}

static int summary(struct copy_run *r, struct err *e)
{
	size_t n = json_array_size(r->copied);

	if (parsed_flag(&r->c->p, "all"))
		r->n_damaged += r->source.n_damaged;
	if (r->c->json)
		cli_json(json_pack("{s:O,s:I,s:O}", "copied", r->copied, "present",
				   (json_int_t)r->n_present, "failed", r->failed));
	else
		printf("%zu checkpoint%s copied, %zu %s there already\n", n, n == 1 ? "" : "s",
		       r->n_present, r->n_present == 1 ? "was" : "were");
	if (r->n_damaged)
		return err_set(e, ERR_CORRUPT,
			       "%zu checkpoint%s could not be copied: 'holdfast checkpoint verify' "
			       "tells what is damaged",
			       r->n_damaged, r->n_damaged == 1 ? "" : "s");
	return 0;
}

static int run(struct copy_run *r, struct err *e)
{
	const char *to = parsed_text(&r->c->p, "to");

	if (!to)
		return err_set(e, ERR_INVALID,
			       "where to? Give another target with --to dir:PATH or "
			       "s3:BUCKET/PREFIX");
	if (cli_load_points(r->c, &r->source, e) < 0 ||
	    cli_choose_points(r->c, &r->source, &r->chosen, &r->n_chosen, e) < 0 ||
	    cli_open_other(r->c, to, parsed_text(&r->c->p, "to-key-file"), &r->to, e) < 0 ||
	    repo_check_writable(r->to.repo, e) < 0 || point_list_load(r->to.repo, &r->there, e) < 0)
		return -1;
	return copy_all(r, e) < 0 ? -1 : summary(r, e);
}

int cmd_checkpoint_copy(struct cli *c, struct err *e)
{
	struct copy_run r = {.c = c, .copied = json_array(), .failed = json_array()};
	int rc = run(&r, e);

	json_decref(r.copied);
	json_decref(r.failed);
	free(r.chosen);
	point_list_done(&r.source);
	point_list_done(&r.there);
	other_done(&r.to);
	return rc;
}
