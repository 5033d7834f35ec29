/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "mover/verify.h"

/* ---- list, show ---- */

static bool concerns(const struct point *p, const char *resource)
{
	if (!resource)
		return true;
	for (size_t i = 0; i < p->n_resources; i++) {
		if (strcmp(p->resources[i].name, resource) == 0 ||
		    strcmp(p->resources[i].id, resource) == 0)
			return true;
	}
	return false;
}

/* The least of its resources' consistency. */
static const char *worst(const struct point *p)
{
	const struct point_resource *least = &p->resources[0];

	for (size_t i = 1; i < p->n_resources; i++)
		if (p->resources[i].achieved < least->achieved)
			least = &p->resources[i];
	return achieved_name(least->achieved);
}

static void add_row(struct table *t, const struct point *p)
{
	const struct point_resource *r = p->n_resources ? &p->resources[0] : NULL;
	AUTO_FREE char *names = point_resource_names(p);
	char id[UUID_TEXT], when[CLOCK_TEXT], size[HUMAN_TEXT], read[HUMAN_TEXT];
	char fresh[HUMAN_TEXT], stored[HUMAN_TEXT], took[HUMAN_TEXT], until[CLOCK_TEXT] = "";
	const char *const cells[] = {
		uuid_text(&p->id, id),
		clock_local(p->instant_us, when),
		r ? r->type : "",
		names,
		r && strcmp(r->type, "domain") == 0 ? worst(p) : "",
		human_bytes(p->stats.content, size),
		human_bytes(p->stats.read, read),
		human_bytes(p->stats.fresh, fresh),
		human_bytes(p->stats.stored, stored),
		human_duration(p->stats.spent_us, took),
		until,
	};

	if (p->lock.mode)
		clock_local(p->lock.until_us, until);
	id[8] = 0; /* enough to name it by */
	table_row(t, cells);
}

static bool any_lock(const struct point_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->points[i]->lock.mode)
			return true;
	}
	return false;
}

int cmd_checkpoint_list(struct cli *c, struct err *e)
{
	static const char *const titles[] = {"id",	    "time", "type",	   "name",
					     "consistency", "size", "read",	   "new",
					     "stored",	    "took", "locked until"};
	const char *resource = parsed_text(&c->p, "resource");
	struct table *t = NULL;
	struct point_list l;
	size_t n = 0;

	if (cli_load_points(c, &l, e) < 0)
		return -1;
	if (!c->json)
		t = table_new(titles, any_lock(&l) ? "lllllrrrrrl" : "lllllrrrrr");
	for (size_t i = 0; i < l.n; i++) {
		if (!concerns(l.points[i], resource))
			continue;
		if (t)
			add_row(t, l.points[i]);
		else
			cli_json_item(n++, point_json(l.points[i]));
	}
	if (t)
		table_print(t);
	else
		cli_json_end(n);
	point_list_done(&l);
	return 0;
}

static int show_one(struct cli *c, const struct point *p, struct err *e)
{
	struct store_lock lock;
	json_t *j;

	if (cli_lock_of(c, p, &lock, e) < 0)
		return -1;
	if (c->json) {
		j = point_json(p);
		json_object_set_new(j, "held", json_boolean(lock.held));
		cli_json(j);
		return 0;
	}
	point_show(p);
	if (lock.held)
		cli_field("legal hold", "yes");
	return 0;
}

int cmd_checkpoint_show(struct cli *c, struct err *e)
{
	const struct point *p;
	struct point_list l;
	int rc;

	if (cli_load_points(c, &l, e) < 0)
		return -1;
	p = point_list_find(&l, c->p.args[0], e);
	rc = p ? show_one(c, p, e) : -1;
	point_list_done(&l);
	return rc;
}

/* ---- diff ---- */

struct diffing {
	struct cli *c;
	bool ranges;
	const char *disk;
	uint64_t bytes, n;
	json_t *list; /* of ranges, or NULL */
};

static int on_range(void *arg, uint64_t offset, uint64_t len, struct err *e)
{
	struct diffing *d = arg;

	d->bytes += len;
	d->n++;
	if (d->list)
		json_array_append_new(d->list, json_pack("{s:I,s:I}", "offset", (json_int_t)offset,
							 "length", (json_int_t)len));
	else if (d->ranges)
		printf("%s  %llu  %llu\n", d->disk, (unsigned long long)offset,
		       (unsigned long long)len);
	return cancel_check(&d->c->cancel, e);
}

/* One disk of the two checkpoints; either may lack it. */
static int diff_disk(struct cli *c, const char *name, const struct tree *a, const struct tree *b,
		     json_t *disks, struct table *t, struct err *e)
{
	struct diffing d = {.c = c, .ranges = parsed_flag(&c->p, "ranges"), .disk = name};
	AUTO(fetch) fetch = fetch_new(c->repo);
	char bytes[HUMAN_TEXT], old[HUMAN_TEXT], new[HUMAN_TEXT], n[32];
	const char *cells[5];

	if (c->json && d.ranges)
		d.list = json_array();
	if (tree_diff(a, b, fetch, on_range, &d, e) < 0) {
		json_decref(d.list);
		return err_wrap(e, "disk %s", name);
	}
	if (disks) {
		json_array_append_new(disks, json_pack("{s:s,s:I,s:I,s:I,s:I,s:o*}", "name", name,
						       "old_bytes", (json_int_t)(a ? a->size : 0),
						       "new_bytes", (json_int_t)(b ? b->size : 0),
						       "changed_bytes", (json_int_t)d.bytes,
						       "changed_ranges", (json_int_t)d.n, "ranges",
						       d.list));
		return 0;
	}
	snprintf(n, sizeof(n), "%llu", (unsigned long long)d.n);
	cells[0] = name;
	cells[1] = a ? human_bytes(a->size, old) : "-";
	cells[2] = b ? human_bytes(b->size, new) : "-";
	cells[3] = human_bytes(d.bytes, bytes);
	cells[4] = n;
	table_row(t, cells);
	return 0;
}

struct diff_side {
	const struct point *p;
	const struct point_resource *r; /* NULL: it has not got this one */
};

/* The disks of `a`, compared with those of `b`; or, with `new`, only those that `a` has not. */
static int diff_resources(struct cli *c, struct diff_side a, struct diff_side b, bool fresh,
			  json_t *disks, struct table *t, struct err *e)
{
	const char *only = parsed_text(&c->p, "disk");
	int any = 0;

	for (size_t i = 0; a.r && i < a.r->n_disks; i++) {
		const struct point_disk *d = &a.r->disks[i];
		const struct point_disk *o = b.r ? point_find_disk(b.r, d->name) : NULL;
		AUTO_FREE char *label = point_label(a.p, a.r, d->name);

		if ((only && strcmp(only, label) != 0) || (fresh && o))
			continue;
		any = 1;
		if (diff_disk(c, label, fresh ? NULL : &d->tree,
			      fresh ? &d->tree
			      : o   ? &o->tree
				    : NULL,
			      disks, t, e) < 0)
			return -1;
	}
	return any;
}

/* The other's resource that this is to be compared with. */
static struct diff_side counterpart(const struct point *p, const struct point *other,
				    const struct point_resource *r)
{
	if (p->n_resources == 1 && other->n_resources == 1)
		return (struct diff_side){other, &other->resources[0]};
	for (size_t i = 0; i < other->n_resources; i++)
		if (strcmp(other->resources[i].id, r->id) == 0)
			return (struct diff_side){other, &other->resources[i]};
	return (struct diff_side){other, NULL};
}

static int diff_side(struct cli *c, const struct point *p, const struct point *other, bool fresh,
		     json_t *disks, struct table *t, struct err *e)
{
	int any = 0;

	for (size_t i = 0; i < p->n_resources && any >= 0; i++) {
		struct diff_side mine = {p, &p->resources[i]};
		int rc = diff_resources(c, mine, counterpart(p, other, mine.r), fresh, disks, t, e);

		any = rc < 0 ? -1 : any | rc;
	}
	return any;
}

static int diff_all(struct cli *c, const struct point *a, const struct point *b, json_t *disks,
		    struct table *t, struct err *e)
{
	const char *only = parsed_text(&c->p, "disk");
	int old = diff_side(c, a, b, false, disks, t, e);
	int new = old < 0 ? -1 : diff_side(c, b, a, true, disks, t, e);

	if (new < 0)
		return -1;
	if (!old && !new)
		return err_set(e, ERR_NOENT, "neither checkpoint has a disk '%s'",
			       only ? only : "");
	return 0;
}

static int diff_points(struct cli *c, const struct point *a, const struct point *b, struct err *e)
{
	static const char *const titles[] = {"disk", "old size", "new size", "changed", "ranges"};
	struct table *t = c->json ? NULL : table_new(titles, "lrrrr");
	json_t *disks = c->json ? json_array() : NULL;
	char old[UUID_TEXT], new[UUID_TEXT];
	int rc;

	if (a->n_resources == 0 || b->n_resources == 0)
		rc = err_set(e, ERR_INVALID, "one of the checkpoints is empty");
	else
		rc = diff_all(c, a, b, disks, t, e);
	if (rc == 0 && c->json)
		cli_json(json_pack("{s:s,s:s,s:O}", "old", uuid_text(&a->id, old), "new",
				   uuid_text(&b->id, new), "disks", disks));
	if (t)
		table_print(t);
	json_decref(disks);
	return rc;
}

int cmd_checkpoint_diff(struct cli *c, struct err *e)
{
	const struct point *a, *b;
	struct point_list l;
	int rc = -1;

	if (cli_load_points(c, &l, e) < 0)
		return -1;
	a = point_list_find(&l, c->p.args[0], e);
	b = a ? point_list_find(&l, c->p.args[1], e) : NULL;
	if (b)
		rc = diff_points(c, a, b, e);
	point_list_done(&l);
	return rc;
}

/* ---- verify ---- */

struct verifying {
	struct cli *c;
	const struct point **v;
	size_t n;
	struct presence *packs; /* --structure; else NULL */
	json_t *findings;
	const struct point *last; /* that was found damaged */
	uint64_t damaged, hurt;	  /* ranges, and checkpoints with any */
};

static void on_damage(void *arg, const struct point *p, const struct point_resource *r,
		      const char *what, uint64_t offset, uint64_t len, const char *why)
{
	struct verifying *v = arg;
	char id[UUID_TEXT], text[1024];

	v->hurt += v->last != p;
	v->last = p;
	v->damaged++;
	uuid_text(&p->id, id);
	json_array_append_new(v->findings,
			      json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}", "checkpoint", id, "resource",
					r->name, "disk", what, "offset", (json_int_t)offset,
					"length", (json_int_t)len, "message", why));
	id[8] = 0;
	snprintf(text, sizeof(text), "checkpoint %s, %s, %s: %llu bytes at %llu are damaged: %s",
		 id, r->name, what, (unsigned long long)len, (unsigned long long)offset, why);
	cli_note(v->c, LOG_LEVEL_ERROR, text);
}

static int verify_all(struct verifying *v, struct err *e)
{
	const struct verify job = {.repo = v->c->repo,
				   .points = v->v,
				   .n = v->n,
				   .packs = v->packs,
				   .progress = &v->c->progress,
				   .cancel = &v->c->cancel,
				   .damage = on_damage,
				   .arg = v};
	struct progress_bar *bar;
	uint64_t total = 0;
	int rc;

	for (size_t i = 0; i < v->n; i++)
		total += v->v[i]->stats.content;
	atomic_store(&v->c->progress.total, total);
	bar = progress_begin(v->c, "verify", false);
	rc = verify_run(&job, e);
	progress_end(bar);
	return rc;
}

static void report(const struct verifying *v)
{
	char read[HUMAN_TEXT];
	uint64_t bytes = progress_get(&v->c->progress.read);

	if (v->c->json)
		cli_json(json_pack("{s:I,s:I,s:I,s:I,s:O}", "checkpoints", (json_int_t)v->n,
				   "damaged_checkpoints", (json_int_t)v->hurt, "damaged_ranges",
				   (json_int_t)v->damaged, "read_bytes", (json_int_t)bytes,
				   "findings", v->findings));
	else if (!v->hurt && v->packs)
		printf("%zu checkpoint%s verified: every block is in a pack that is there\n", v->n,
		       v->n == 1 ? "" : "s");
	else if (!v->hurt)
		printf("%zu checkpoint%s verified, %s read: every block is what was backed up\n",
		       v->n, v->n == 1 ? "" : "s", human_bytes(bytes, read));
}

static int verify_chosen(struct verifying *v, const struct point_list *l, struct err *e)
{
	if (cli_choose_points(v->c, l, &v->v, &v->n, e) < 0)
		return -1;
	if (parsed_flag(&v->c->p, "structure"))
		v->packs = presence_new(v->c->store);
	if (verify_all(v, e) < 0)
		return -1;
	if (parsed_flag(&v->c->p, "all"))
		v->hurt += l->n_damaged;
	report(v);
	if (v->hurt)
		return err_set(
			e, ERR_CORRUPT,
			"%llu checkpoint%s cannot be restored completely: 'holdfast target "
			"repair' mends what can be mended, from copies or from the next backup",
			(unsigned long long)v->hurt, v->hurt == 1 ? "" : "s");
	return 0;
}

int cmd_checkpoint_verify(struct cli *c, struct err *e)
{
	struct verifying v = {.c = c, .findings = json_array()};
	struct point_list l = {0};
	int rc = cli_load_points(c, &l, e);

	if (rc == 0)
		rc = verify_chosen(&v, &l, e);
	presence_free(v.packs);
	free(v.v);
	json_decref(v.findings);
	point_list_done(&l);
	return rc;
}

/* ---- delete ---- */

static int delete_one(struct cli *c, const struct point *p, json_t *deleted, struct err *e)
{
	char id[UUID_TEXT];

	if (cli_delete_point(c, p, e) < 0)
		return -1;
	uuid_text(&p->id, id);
	json_array_append_new(deleted, json_string(id));
	if (!c->json)
		printf("deleted checkpoint %s\n", id);
	return 0;
}

static int delete_chosen(struct cli *c, const struct point_list *l, struct err *e)
{
	AUTO_FREE const struct point **v = NULL;
	json_t *deleted = json_array();
	char question[128];
	size_t n;
	int rc = 0;

	if (cli_choose_points(c, l, &v, &n, e) < 0) {
		json_decref(deleted);
		return -1;
	}
	snprintf(question, sizeof(question), "delete %zu checkpoint%s for ever?", n,
		 n == 1 ? "" : "s");
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = cli_may_delete(c, v[i], e);
	if (rc == 0)
		rc = cli_confirm(c, question, e);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = delete_one(c, v[i], deleted, e);
	if (rc == 0 && c->json)
		cli_json(json_pack("{s:O}", "deleted", deleted));
	json_decref(deleted);
	return rc;
}

int cmd_checkpoint_delete(struct cli *c, struct err *e)
{
	struct point_list l;
	int rc;

	if (cli_load_points(c, &l, e) < 0)
		return -1;
	rc = repo_check_writable(c->repo, e);
	if (rc == 0)
		rc = delete_chosen(c, &l, e);
	point_list_done(&l);
	return rc;
}

/* ---- cat ---- */

static const struct tree *find_tree(const struct point *p, const char *name, struct err *e)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		for (size_t k = 0; k < r->n_disks; k++)
			if (point_is_called(p, r, r->disks[k].name, name))
				return &r->disks[k].tree;
		for (size_t k = 0; k < r->n_items; k++)
			if (point_is_called(p, r, r->items[k].name, name))
				return &r->items[k].tree;
	}
	err_set(e, ERR_NOENT,
		"the checkpoint has no disk or item '%s': see 'holdfast checkpoint show'", name);
	return NULL;
}

int cmd_checkpoint_cat(struct cli *c, struct err *e)
{
	AUTO(sink) sink = sink_pipe_open(STDOUT_FILENO, "standard output");
	const struct tree *t = NULL;
	const struct point *p;
	struct point_list l;
	int rc = -1;

	if (cli_load_points(c, &l, e) < 0)
		return -1;
	p = point_list_find(&l, c->p.args[0], e);
	if (p)
		t = find_tree(p, c->p.args[1], e);
	if (t) {
		struct restore r = {c->repo, t, sink, &c->progress, &c->cancel, NULL, NULL};

		rc = restore_run(&r, e);
	}
	point_list_done(&l);
	return rc;
}
