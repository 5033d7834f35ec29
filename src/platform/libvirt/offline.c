/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains that do not run. Their disks are read through qemu-nbd, which locks the images: the
 * domain cannot be started while they are read. All images are opened before the first is read, so
 * that they are of one instant.
 *
 * A shut-off domain gets no new libvirt checkpoint; the bitmaps it has go on recording, so the next
 * increment still starts from the point that they belong to.
 */
#include <string.h>

#include "platform/libvirt/priv.h"

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

int lv_read_offline(const struct protect *job, struct lv_plan *plan, struct session *s,
		    struct point_resource *res, struct err *e)
{
	struct source **sources = xcalloc(plan->n, sizeof(struct source *));
	uint64_t total = 0;
	int rc = 0;

	for (size_t i = 0; i < plan->n && rc == 0; i++) {
		sources[i] = open_disk(job, &plan->v[i], e);
		rc = sources[i] ? 0 : -1;
		total += sources[i] ? sources[i]->size : 0;
	}
	atomic_store(&job->watch.progress->total, total);
	for (size_t i = 0; i < plan->n && rc == 0; i++)
		rc = read_one(job, s, &sources[i], &plan->v[i], res, e);
	for (size_t i = 0; i < plan->n; i++)
		source_free(sources[i]);
	free(sources);
	return rc;
}
