/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "mover/restore.h"
#include "platform/driver.h"

static struct point *find(struct cli *c, struct point_list *l, const char *ref, struct err *e)
{
	if (cli_open(c, e) < 0 || point_list_load(c->repo, l, e) < 0)
		return NULL;
	return point_list_find(l, ref, e);
}

static void show_done(struct cli *c, const char *what, uint64_t bytes, uint64_t took_us)
{
	char size[HUMAN_TEXT], took[HUMAN_TEXT];

	if (c->json)
		cli_json(json_pack("{s:s,s:I,s:I,s:f}", "restored", what, "content_bytes",
				   (json_int_t)bytes, "written_bytes",
				   (json_int_t)progress_get(&c->progress.stored), "seconds",
				   (double)took_us / 1e6));
	else
		printf("restored %s: %s in %s\n", what, human_bytes(bytes, size),
		       human_duration(took_us, took));
}

/* ---- restore disk ---- */

static struct sink *open_sink(struct cli *c, const char *to, uint64_t size, struct err *e)
{
	const char *format = parsed_text(&c->p, "format");
	bool overwrite = parsed_flag(&c->p, "overwrite");

	if (strcmp(to, "-") == 0)
		return sink_pipe_open(STDOUT_FILENO, "standard output");
	if (strncmp(to, "nbd", 3) == 0 && strstr(to, "://"))
		return sink_nbd_open(to, size, restore_threads(c->repo), e);
	if (format && strcmp(format, "qcow2") == 0)
		return sink_qcow2_open(to, size, overwrite, restore_threads(c->repo), e);
	return sink_file_open(to, size, overwrite, e);
}

static const struct point_disk *find_disk(const struct point *p, const char *name, struct err *e)
{
	char all[POINT_NAMES];

	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		for (size_t k = 0; k < r->n_disks; k++)
			if (point_is_called(p, r, r->disks[k].name, name))
				return &r->disks[k];
	}
	err_set(e, ERR_NOENT, "the checkpoint has no disk '%s': it has %s", name,
		point_disk_names(p, all));
	return NULL;
}

static int write_disk(struct cli *c, const struct point_disk *d, const char *to, struct err *e)
{
	AUTO(sink) sink = open_sink(c, to, d->tree.size, e);
	struct restore r = {c->repo, &d->tree, sink, &c->progress, &c->cancel, NULL, NULL};
	uint64_t start = clock_mono_us();
	struct progress_bar *bar;
	int rc;

	if (!sink)
		return -1;
	atomic_store(&c->progress.total, d->tree.size);
	bar = progress_begin(c, d->name, false);
	rc = restore_run(&r, e);
	progress_end(bar);
	if (rc == 0 && strcmp(to, "-") != 0)
		show_done(c, to, d->tree.size, clock_mono_us() - start);
	return rc;
}

int cmd_restore_disk(struct cli *c, struct err *e)
{
	struct point_list l = {0};
	const struct point *p = find(c, &l, c->p.args[0], e);
	const struct point_disk *d = p ? find_disk(p, c->p.args[1], e) : NULL;
	int rc = d ? write_disk(c, d, c->p.args[2], e) : -1;

	point_list_done(&l);
	return rc;
}

/* ---- restore domain ---- */

/* FROM=TO pairs; the strings are freed with `copies`. */
static int take_networks(struct cli *c, struct rename_pair **ret_v, char ***ret_copies,
			 size_t *ret_n, struct err *e)
{
	AUTO_FREE const char **list = parsed_list(&c->p, "network");
	size_t n = 0;

	while (list && list[n])
		n++;
	*ret_v = xcalloc(n, sizeof(**ret_v));
	*ret_copies = xcalloc(n + 1, sizeof(char *));
	*ret_n = n;
	for (size_t i = 0; i < n; i++) {
		char *copy = xstrdup(list[i]), *equals = strchr(copy, '=');

		(*ret_copies)[i] = copy;
		if (!equals || equals == copy || !equals[1])
			return err_set(e, ERR_INVALID, "--network '%s': write it as FROM=TO",
				       list[i]);
		*equals = 0;
		(*ret_v)[i] = (struct rename_pair){copy, equals + 1};
	}
	return 0;
}

static int check_options(const struct platform_restore *j, struct err *e)
{
	if (j->in_place && (j->name || j->directory || j->pool || j->definition_only))
		return err_set(e, ERR_INVALID,
			       "--in-place replaces the domain itself: it does not go with --name, "
			       "--to, --pool or --definition-only");
	if (j->directory && j->pool)
		return err_set(e, ERR_INVALID, "give one of --to and --pool");
	if (!j->in_place && (j->stop || j->keep_old))
		return err_set(e, ERR_INVALID, "--stop and --keep-old go with --in-place only");
	return 0;
}

static void take_options(struct cli *c, struct platform_restore *j)
{
	j->in_place = parsed_flag(&c->p, "in-place");
	j->definition_only = parsed_flag(&c->p, "definition-only");
	j->keep_identity = parsed_flag(&c->p, "keep-identity");
	j->start = parsed_flag(&c->p, "start");
	j->stop = parsed_flag(&c->p, "stop");
	j->keep_old = parsed_flag(&c->p, "keep-old");
	j->name = parsed_text(&c->p, "name");
	j->directory = parsed_text(&c->p, "to");
	j->pool = parsed_text(&c->p, "pool");
	j->watch = (struct platform_watch){cli_note, c, &c->progress, &c->cancel};
}

static int run_restore(struct cli *c, struct platform_restore *j, struct err *e)
{
	AUTO(platform) platform = platform_open(parsed_text(&c->p, "connect"), e);
	uint64_t start = clock_mono_us();
	struct platform_restored made = {0};
	struct progress_bar *bar;
	int rc;

	if (!platform)
		return -1;
	bar = progress_begin(c, j->resource->name, false);
	rc = platform->ops->restore(platform, j, &made, e);
	progress_end(bar);
	if (rc == 0)
		show_done(c, made.name, progress_get(&c->progress.total), clock_mono_us() - start);
	platform_restored_done(&made);
	return rc;
}

static bool is_named(const struct point_resource *r, const char *name, size_t n)
{
	return (strlen(r->name) == n && memcmp(r->name, name, n) == 0) ||
	       (strlen(r->id) == n && memcmp(r->id, name, n) == 0);
}

/* The domain that --resource names, or NAME@latest; else the only one. */
static const struct point_resource *find_domain(struct cli *c, const struct point *p, struct err *e)
{
	const char *name = parsed_text(&c->p, "resource"), *ref = c->p.args[0];
	const char *at = strrchr(ref, '@');
	const struct point_resource *found = NULL;
	size_t n = 0;

	if (!name && at && p->n_resources > 1)
		name = ref;
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		if (strcmp(r->type, "domain") != 0 ||
		    (name && !is_named(r, name, name == ref ? (size_t)(at - ref) : strlen(name))))
			continue;
		found = r;
		n++;
	}
	if (n == 1)
		return found;
	if (n)
		err_set(e, ERR_INVALID,
			"the checkpoint holds %zu domains: choose one with --resource; see "
			"'holdfast checkpoint show'",
			n);
	else if (name)
		err_set(e, ERR_NOENT,
			"the checkpoint holds no domain '%s': see 'holdfast checkpoint show'",
			name);
	else
		err_set(e, ERR_INVALID,
			"the checkpoint holds no domain: bring it back with 'holdfast restore "
			"disk' or 'holdfast checkpoint cat'");
	return NULL;
}

int cmd_restore_domain(struct cli *c, struct err *e)
{
	AUTO_FREE const char **only = parsed_list(&c->p, "disk");
	struct platform_restore j = {.only = only};
	struct rename_pair *networks = NULL;
	struct point_list l = {0};
	char **copies = NULL;
	int rc;

	take_options(c, &j);
	rc = check_options(&j, e);
	if (rc == 0)
		rc = take_networks(c, &networks, &copies, &j.n_networks, e);
	if (rc == 0) {
		j.networks = networks;
		j.point = find(c, &l, c->p.args[0], e);
		j.resource = j.point ? find_domain(c, j.point, e) : NULL;
		j.repo = c->repo;
		rc = j.resource ? run_restore(c, &j, e) : -1;
	}
	for (size_t i = 0; copies && i < j.n_networks; i++)
		free(copies[i]);
	free(copies);
	free(networks);
	point_list_done(&l);
	return rc;
}
