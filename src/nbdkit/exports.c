/* SPDX-License-Identifier: Apache-2.0 */
#include "nbdkit/exports.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/point.h"

struct served {
	struct uuid point;
	char *disk, *description;
	struct view *view;
	unsigned users;
	struct served *next;
};

struct exports {
	struct repo *repo;
	struct exports_options o;
	pthread_mutex_t lock; /* of what follows */
	struct served *open;
};

struct exports *exports_new(struct repo *r, const struct exports_options *o)
{
	struct exports *x = xcalloc(1, sizeof(*x));

	x->repo = r;
	x->o = *o;
	pthread_mutex_init(&x->lock, NULL);
	return x;
}

void exports_free(struct exports *x)
{
	if (!x)
		return;
	pthread_mutex_destroy(&x->lock);
	free(x);
}

/* ---- names ---- */

/* The checkpoint that `ref` means. */
static struct point *find_point(struct exports *x, const char *ref, struct err *e)
{
	struct point_list l;
	struct point *p;
	struct uuid id;

	if (uuid_parse(ref, &id))
		return point_load(x->repo, &id, e);
	if (point_list_load(x->repo, &l, e) < 0)
		return NULL;
	p = point_list_find(&l, ref, e);
	if (p)
		p = point_load(x->repo, &p->id, e);
	point_list_done(&l);
	return p;
}

/* Is a point's disk called so; with NULL: can it be served? */
static bool is_it(const struct point *p, const struct point_resource *r, const struct point_disk *d,
		  const char *name)
{
	return name ? point_is_called(p, r, d->name, name) : d->tree.type == TREE_MAP;
}

/* The disk with this name, or the only one. */
static const struct point_disk *find_disk(const struct point *p, const char *name,
					  const struct point_resource **ret_r, struct err *e)
{
	const struct point_disk *found = NULL;
	char all[POINT_NAMES];
	size_t n = 0;

	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *r = &p->resources[i];

		for (size_t k = 0; k < r->n_disks; k++) {
			if (!is_it(p, r, &r->disks[k], name) || (name && found))
				continue;
			found = &r->disks[k];
			*ret_r = r;
			n++;
		}
	}
	if (n == 1)
		return found;
	point_disk_names(p, all);
	if (name)
		err_set(e, ERR_NOENT, "the checkpoint has no disk '%s'; it has: %s", name, all);
	else if (n)
		err_set(e, ERR_INVALID, "the checkpoint has %zu disks, choose one: %s", n, all);
	else
		err_set(e, ERR_NOENT, "the checkpoint has no disk");
	return NULL;
}

/* Of the default checkpoint. */
static struct point *default_point(struct exports *x, struct err *e)
{
	if (x->o.checkpoint)
		return find_point(x, x->o.checkpoint, e);
	err_set(e, ERR_INVALID,
		"no checkpoint is named: connect to the export CHECKPOINT/DISK, or give "
		"checkpoint=");
	return NULL;
}

/* Nothing but the defaults, where that was asked for. */
static int check_allowed(struct exports *x, const struct point *p, const char *disk, struct err *e)
{
	AUTO(point) allowed = NULL;

	if (!x->o.only)
		return 0;
	allowed = default_point(x, e);
	if (!allowed)
		return -1;
	if (uuid_equal(&p->id, &allowed->id) && (!x->o.disk || strcmp(disk, x->o.disk) == 0))
		return 0;
	return err_set(e, ERR_DENIED, "this server gives only %s%s%s", x->o.checkpoint,
		       x->o.disk ? "/" : "", x->o.disk ? x->o.disk : "");
}

/* The point, to be freed, and in it what the name means. */
static struct point *find(struct exports *x, const char *name, const struct point_resource **ret_r,
			  const struct point_disk **ret_d, char **ret_label, struct err *e)
{
	/* The last one: a checkpoint may be named by a path. */
	const char *slash = strrchr(name, '/'), *disk = slash ? slash + 1 : name;
	AUTO_FREE char *ref = slash ? xstrndup(name, (size_t)(slash - name)) : NULL;
	AUTO(point) p = ref ? find_point(x, ref, e) : default_point(x, e);
	AUTO_FREE char *label = NULL;

	if (!p)
		return NULL;
	if (!slash && !disk[0])
		disk = x->o.disk;
	*ret_d = find_disk(p, disk && disk[0] ? disk : NULL, ret_r, e);
	if (!*ret_d)
		return NULL;
	label = point_label(p, *ret_r, (*ret_d)->name);
	if (check_allowed(x, p, label, e) < 0)
		return NULL;
	*ret_label = steal(&label);
	return steal(&p);
}

static char *describe(const struct point *p, const struct point_resource *r,
		      const struct point_disk *d)
{
	char when[CLOCK_TEXT];

	return xasprintf("%s, %s, %s", r->name, d->name, clock_rfc3339(p->instant_us, when));
}

/* ---- open ---- */

/* The one that is open already; locked. */
static struct served *find_open(struct exports *x, const struct point *p, const char *label)
{
	struct served *sv = x->open;

	while (sv && (!uuid_equal(&sv->point, &p->id) || strcmp(sv->disk, label) != 0))
		sv = sv->next;
	return sv;
}

static void served_free(struct served *sv)
{
	view_free(sv->view);
	free(sv->disk);
	free(sv->description);
	free(sv);
}

/* Opening a view reads nothing, so that the others can wait for it. */
static struct served *add_open(struct exports *x, const struct point *p,
			       const struct point_resource *r, const struct point_disk *d,
			       const char *label, struct err *e)
{
	struct view *v = view_open(x->repo, &d->tree, x->o.cache, e);
	struct served *sv;

	if (!v)
		return NULL;
	sv = xcalloc(1, sizeof(*sv));
	sv->point = p->id;
	sv->disk = xstrdup(label);
	sv->description = describe(p, r, d);
	sv->view = v;
	sv->next = x->open;
	x->open = sv;
	return sv;
}

struct served *exports_open(struct exports *x, const char *name, struct err *e)
{
	const struct point_resource *r = NULL;
	const struct point_disk *d = NULL;
	AUTO_FREE char *label = NULL;
	AUTO(point) p = find(x, name, &r, &d, &label, e);
	struct served *sv = NULL;

	if (p) {
		pthread_mutex_lock(&x->lock);
		sv = find_open(x, p, label);
		if (!sv)
			sv = add_open(x, p, r, d, label, e);
		if (sv)
			sv->users++;
		pthread_mutex_unlock(&x->lock);
	}
	if (!sv)
		err_wrap(e, "export '%s'", name);
	return sv;
}

void exports_close(struct exports *x, struct served *sv)
{
	struct served **at = &x->open;
	bool last;

	pthread_mutex_lock(&x->lock);
	last = --sv->users == 0;
	while (last && *at != sv)
		at = &(*at)->next;
	if (last)
		*at = sv->next;
	pthread_mutex_unlock(&x->lock);
	if (last)
		served_free(sv);
}

struct view *served_view(const struct served *sv)
{
	return sv->view;
}

const char *served_description(const struct served *sv)
{
	return sv->description;
}

/* ---- listing ---- */

char *exports_default(struct exports *x)
{
	const struct point_resource *r;
	const struct point_disk *d;
	AUTO_FREE char *label = NULL;
	AUTO(point) p = x->o.checkpoint ? find(x, "", &r, &d, &label, NULL) : NULL;

	return steal(&label);
}

struct listing {
	struct exports *x;
	exports_list_fn *fn;
	void *arg;
	size_t n;
	bool of_all;
};

static int list_disks(struct listing *l, const struct point *p, const struct point_resource *r,
		      struct err *e)
{
	char id[UUID_TEXT];

	uuid_text(&p->id, id);
	for (size_t i = 0; i < r->n_disks && l->n < EXPORTS_LISTED; i++) {
		const struct point_disk *d = &r->disks[i];
		AUTO_FREE char *about = describe(p, r, d);
		AUTO_FREE char *label = point_label(p, r, d->name);
		AUTO_FREE char *name = l->of_all ? xasprintf("%s/%s", id, label) : xstrdup(label);

		if (d->tree.type != TREE_MAP || check_allowed(l->x, p, label, NULL) < 0)
			continue;
		if (l->fn(l->arg, name, about, e) < 0)
			return -1;
		l->n++;
	}
	return 0;
}

static int list_point(struct listing *l, const struct point *p, struct err *e)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		if (list_disks(l, p, &p->resources[i], e) < 0)
			return -1;
	}
	return 0;
}

int exports_list(struct exports *x, exports_list_fn *fn, void *arg, struct err *e)
{
	struct listing l = {x, fn, arg, .of_all = !x->o.checkpoint};
	struct point_list points;
	AUTO(point) p = NULL;
	int rc = 0;

	if (x->o.checkpoint) {
		p = default_point(x, e);
		return p ? list_point(&l, p, e) : -1;
	}
	if (point_list_load(x->repo, &points, e) < 0)
		return -1;
	for (size_t i = points.n; i-- > 0 && rc == 0;)
		rc = list_point(&l, points.points[i], e);
	point_list_done(&points);
	return rc;
}
