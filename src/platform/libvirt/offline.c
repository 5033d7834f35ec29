/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains that do not run. Their disks are read through qemu-nbd, which locks the images: the
 * domain cannot be started while they are read. All images are opened before the first is read, so
 * that they are of one instant; those of a machine that is protected with others are open before
 * those are frozen.
 *
 * A shut-off domain gets no new libvirt checkpoint; the bitmaps it has go on recording, so the next
 * increment still starts from the point that they belong to.
 */
#include <string.h>

#include "platform/libvirt/priv.h"

struct lv_offline {
	struct source **sources;
	struct lv_plan *plan;
};

/* Open one disk, with its bitmap if the plan says so; without it if that cannot be used after all.
 */
static struct source *open_disk(const struct protect *job, struct lv_plan_disk *d, struct err *e)
{
	struct source *s;
	struct err why = {0};

	if (!d->disk->path) {
		err_set(e, ERR_UNSUPPORTED,
			"disk %s (%s) is no file or device of this host, so it can only be read "
			"while "
			"the domain runs: start it, or leave the disk out",
			d->disk->name, d->disk->source);
		return NULL;
	}
	if (d->base) {
		s = source_image_open(d->disk->source, d->disk->format, d->base_name, &why);
		if (s)
			return s;
		lv_plan_widen(d, &job->watch, "its change tracking cannot be used (%s)", why.msg);
	}
	return source_image_open(d->disk->source, d->disk->format, NULL, e);
}

static int read_one(const struct protect *job, struct session *s, struct source **source,
		    struct lv_plan_disk *d, struct point_resource *res, struct err *e)
{
	struct lv_read r = {*source, d, d->base != NULL, NULL};
	struct err why = {0};

	if (lv_read_disk(job, s, &r, job->watch.cancel, res, &why) == 0)
		return 0;
	if (why.kind != ERR_CONFLICT || !d->base) {
		if (e)
			*e = why;
		return -1;
	}
	lv_plan_widen(d, &job->watch, "%s", why.msg);
	source_free(*source);
	*source = open_disk(job, d, e);
	if (!*source)
		return -1;
	r.source = *source;
	r.incremental = false;
	return lv_read_disk(job, s, &r, job->watch.cancel, res, e);
}

struct lv_offline *lv_offline_open(const struct protect *job, struct lv_plan *plan, struct err *e)
{
	struct lv_offline *o = xcalloc(1, sizeof(*o));

	o->sources = xcalloc(plan->n, sizeof(struct source *));
	o->plan = plan;
	for (size_t i = 0; i < plan->n; i++) {
		o->sources[i] = open_disk(job, &plan->v[i], e);
		if (!o->sources[i]) {
			lv_offline_free(o);
			return NULL;
		}
		progress_add(&job->watch.progress->total, o->sources[i]->size);
	}
	return o;
}

int lv_offline_read(struct lv_offline *o, const struct protect *job, struct session *s,
		    struct point_resource *res, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < o->plan->n && rc == 0; i++)
		rc = read_one(job, s, &o->sources[i], &o->plan->v[i], res, e);
	return rc;
}

void lv_offline_free(struct lv_offline *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->plan->n; i++)
		source_free(o->sources[i]);
	free(o->sources);
	free(o);
}
