/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "mover/backup.h"
#include "platform/driver.h"

#define FREEZE_TIMEOUT_US 10000000

/* ---- what all have ---- */

static int take_tags(struct cli *c, struct point *p, struct err *e)
{
	AUTO_FREE const char **tags = parsed_list(&c->p, "tag");

	for (size_t i = 0; tags && tags[i]; i++) {
		const char *equals = strchr(tags[i], '=');

		if (!equals || equals == tags[i])
			return err_set(e, ERR_INVALID, "--tag '%s': write it as KEY=VALUE",
				       tags[i]);
		point_add_tag(p, tags[i]);
	}
	return 0;
}

static int take_level(struct cli *c, int *ret_level, struct err *e)
{
	const char *text = parsed_text(&c->p, "compression");
	char *end;
	long v;

	*ret_level = 0;
	if (!text)
		return 0;
	v = strtol(text, &end, 10);
	if (*end || v < 1 || v > 19)
		return err_set(e, ERR_INVALID, "--compression '%s': it is a level from 1 to 19",
			       text);
	*ret_level = (int)v;
	return 0;
}

static enum session_deltas take_deltas(struct cli *c)
{
	const char *text = parsed_text(&c->p, "delta");

	if (!text || strcmp(text, "auto") == 0)
		return DELTAS_AUTO;
	return strcmp(text, "on") == 0 ? DELTAS_ON : DELTAS_OFF;
}

static void show_result(struct cli *c, const struct point *p)
{
	char id[UUID_TEXT], stored[HUMAN_TEXT], took[HUMAN_TEXT];

	if (c->json) {
		cli_json(point_json(p));
		return;
	}
	printf("checkpoint %s\n", uuid_text(&p->id, id));
	point_summary(p);
	printf("stored %s in %s\n", human_bytes(p->stats.stored, stored),
	       human_duration(p->stats.spent_us, took));
}

/* Everything that a checkpoint of one disk or stream needs besides its data. */
struct single {
	struct point *point;
	struct point_list history;
	const struct point *parent;
	const struct point_disk *was; /* of the parent */
	struct session *session;
	uint64_t started_us;
};

static void single_done(struct single *s)
{
	session_free(s->session);
	point_list_done(&s->history);
	point_free(s->point);
}

/* The newest checkpoint of a resource of this type and name. */
static void find_parent(struct single *s, const char *type, const char *name)
{
	for (size_t i = s->history.n; i-- > 0 && !s->parent;) {
		const struct point *p = s->history.points[i];

		for (size_t k = 0; k < p->n_resources && !s->parent; k++) {
			const struct point_resource *r = &p->resources[k];

			if (strcmp(r->type, type) != 0 || strcmp(r->name, name) != 0 ||
			    r->n_disks != 1)
				continue;
			s->parent = p;
			s->was = &r->disks[0];
		}
	}
}

static int single_begin(struct cli *c, struct single *s, const char *type, const char *name,
			struct err *e)
{
	struct session_options o = {.deltas = take_deltas(c)};

	s->started_us = clock_mono_us();
	s->point = point_new();
	if (take_tags(c, s->point, e) < 0 || take_level(c, &o.level, e) < 0 ||
	    cli_lock(c, &o.lock, e) < 0 || cli_open(c, e) < 0 ||
	    point_list_load(c->repo, &s->history, e) < 0)
		return -1;
	find_parent(s, type, name);
	s->session = session_begin(c->repo, &o, e);
	s->point->instant_us = clock_wall_us();
	return s->session ? 0 : -1;
}

static int single_commit(struct cli *c, struct single *s, struct err *e)
{
	struct point *p = s->point;

	if (s->parent) {
		p->parent = s->parent->id;
		memcpy(p->parent_hash, s->parent->hash, HASH_BYTES);
	}
	p->stats = p->resources[0].disks[0].stats;
	p->stats.spent_us = clock_mono_us() - s->started_us;
	/* Who stopped us may have stopped what we read from: it ended early then. */
	if (cancel_check(&c->cancel, e) < 0)
		return -1;
	if (session_commit(s->session, p, e) < 0)
		return -1;
	show_result(c, p);
	return 0;
}

static const char *host_name(char out[256])
{
	if (gethostname(out, 255) < 0)
		out[0] = 0;
	out[255] = 0;
	return out;
}

/* ---- protect disk ---- */

static struct source *open_source(struct cli *c, const char *path, struct err *e)
{
	const char *format = parsed_text(&c->p, "format");

	if (!format || strcmp(format, "raw") == 0)
		return source_file_open(path, e);
	return source_image_open(path, strcmp(format, "auto") == 0 ? NULL : format, NULL, e);
}

static int read_disk(struct cli *c, struct single *s, struct source *src, const char *name,
		     const char *path, struct err *e)
{
	const char *format = parsed_text(&c->p, "format");
	struct backup_disk job = {.source = src, .progress = &c->progress, .cancel = &c->cancel};
	struct progress_bar *bar;
	struct point_resource *res;
	struct point_disk *d;
	char host[256];
	int rc;

	/* Only a map can be compared with a map. */
	if (s->was && s->was->tree.type == TREE_MAP) {
		job.parent = &s->was->tree;
		job.parent_point = &s->was->point;
	}
	res = point_add_resource(s->point, "disk", path, name, host_name(host));
	d = point_add_disk(res, "disk");
	d->source = xstrdup(path);
	d->format = xstrdup(format ? format : "raw");
	d->mode = xstrdup("full");
	atomic_store(&c->progress.total, src->size);
	bar = progress_begin(c, name, true);
	rc = backup_disk(s->session, &job, &d->tree, &d->stats, e);
	progress_end(bar);
	return rc;
}

int cmd_protect_disk(struct cli *c, struct err *e)
{
	AUTO_FREE char *path = realpath(c->p.args[0], NULL);
	const char *name = parsed_text(&c->p, "name");
	AUTO(source) src = NULL;
	struct single s = {0};
	int rc;

	if (!path)
		path = xstrdup(c->p.args[0]); /* opening it says what is wrong */
	if (!name)
		name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	src = open_source(c, path, e);
	if (!src)
		return -1;
	rc = single_begin(c, &s, "disk", name, e);
	if (rc == 0)
		rc = read_disk(c, &s, src, name, path, e);
	if (rc == 0)
		rc = single_commit(c, &s, e);
	single_done(&s);
	return rc;
}

/* ---- protect stdin ---- */

static int read_stream(struct cli *c, struct single *s, const char *name, struct err *e)
{
	struct backup_stream job = {.fd = STDIN_FILENO,
				    .name = "standard input",
				    .progress = &c->progress,
				    .cancel = &c->cancel};
	struct progress_bar *bar = progress_begin(c, name, true);
	struct point_resource *res;
	struct point_disk *d;
	char host[256];
	int rc;

	if (s->was) {
		job.parent = &s->was->tree;
		job.parent_point = &s->was->point;
	}
	res = point_add_resource(s->point, "stream", name, name, host_name(host));
	d = point_add_disk(res, "stdin");
	d->mode = xstrdup("full");
	rc = backup_stream(s->session, &job, &d->tree, &d->stats, e);
	progress_end(bar);
	return rc;
}

int cmd_protect_stdin(struct cli *c, struct err *e)
{
	const char *name = parsed_text(&c->p, "name");
	struct single s = {0};
	int rc;

	if (!name)
		return err_set(e, ERR_INVALID, "a stream needs a name: give it one with --name");
	if (isatty(STDIN_FILENO))
		return err_set(e, ERR_INVALID,
			       "standard input is the terminal: pipe something into it, as in "
			       "'pg_dumpall | holdfast protect stdin --name pg-dump'");
	rc = single_begin(c, &s, "stream", name, e);
	if (rc == 0)
		rc = read_stream(c, &s, name, e);
	if (rc == 0)
		rc = single_commit(c, &s, e);
	single_done(&s);
	return rc;
}

/* ---- protect domain ---- */

static enum consistency take_consistency(struct cli *c)
{
	const char *text = parsed_text(&c->p, "consistency");

	if (!text || strcmp(text, "best-effort") == 0)
		return CONSISTENCY_BEST_EFFORT;
	return strcmp(text, "off") == 0 ? CONSISTENCY_OFF : CONSISTENCY_REQUIRED;
}

static int take_options(struct cli *c, struct protect *job, struct err *e)
{
	job->freeze_timeout_us = FREEZE_TIMEOUT_US;
	job->scratch = parsed_text(&c->p, "scratch");
	job->self = c->self;
	job->watch = (struct platform_watch){cli_note, c, &c->progress, &c->cancel};
	if (cli_duration(c, "freeze-timeout", &job->freeze_timeout_us, e) < 0 ||
	    cli_bytes(c, "scratch-reserve", &job->scratch_reserve, e) < 0 ||
	    take_level(c, &job->packing.level, e) < 0 || cli_lock(c, &job->packing.lock, e) < 0)
		return -1;
	job->packing.deltas = take_deltas(c);
	if (job->freeze_timeout_us == 0)
		return err_set(
			e, ERR_INVALID,
			"--freeze-timeout 0: to leave the guest alone, use --consistency off");
	return take_tags(c, job->point, e);
}

static int run_protect(struct cli *c, struct protect *job, struct err *e)
{
	const char *uri = parsed_text(&c->p, "connect");
	AUTO(platform) platform = NULL;
	struct point_list history = {0};
	struct progress_bar *bar;
	int rc;

	if (take_options(c, job, e) < 0 || cli_open(c, e) < 0)
		return -1;
	platform = platform_open(uri, e);
	if (!platform || point_list_load(c->repo, &history, e) < 0)
		return -1;
	job->repo = c->repo;
	job->history = &history;
	bar = progress_begin(c, job->machines[0].resource, true);
	rc = platform->ops->protect(platform, job, e);
	progress_end(bar);
	point_list_done(&history);
	return rc;
}

/* All that are named are of one instant, and in one checkpoint. */
int cmd_protect_domain(struct cli *c, struct err *e)
{
	AUTO_FREE const char **only = parsed_list(&c->p, "disk");
	AUTO_FREE const char **except = parsed_list(&c->p, "except");
	AUTO_FREE struct protect_machine *machines =
		xcalloc((size_t)c->p.n_args, sizeof(*machines));
	AUTO(point) point = point_new();
	struct protect job = {
		.machines = machines, .n_machines = (size_t)c->p.n_args, .point = point};

	for (size_t i = 0; i < job.n_machines; i++)
		machines[i] = (struct protect_machine){.resource = c->p.args[i],
						       .only = only,
						       .except = except,
						       .consistency = take_consistency(c),
						       .full = parsed_flag(&c->p, "full")};
	if (run_protect(c, &job, e) < 0)
		return -1;
	show_result(c, point);
	return 0;
}
