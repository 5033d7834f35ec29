/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each disk is read. A disk is read as an increment when one of our bitmaps in it can be used,
 * the point that was made with that bitmap is still in the repository, and the disk is the one that
 * the point holds; what did not change is then taken from that point, and from no other. Everything
 * else is read as a whole, compared with the newest state we have, so that nothing is stored twice.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "platform/libvirt/priv.h"

static const struct point_resource *resource_of(const struct point *p, const char *uuid)
{
	for (size_t i = 0; i < p->n_resources; i++) {
		if (strcmp(p->resources[i].type, "domain") == 0 &&
		    strcmp(p->resources[i].id, uuid) == 0)
			return &p->resources[i];
	}
	return NULL;
}

static const struct point *find_point(const struct point_list *l, const struct uuid *id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (uuid_equal(&l->points[i]->id, id))
			return l->points[i];
	}
	return NULL;
}

static const struct point *newest_of(const struct point_list *l, const char *uuid)
{
	for (size_t i = l->n; i-- > 0;) {
		if (resource_of(l->points[i], uuid))
			return l->points[i];
	}
	return NULL;
}

/* The newest state of a disk; not every point holds every disk. */
static const struct point_disk *newest_disk(const struct point_list *l, const char *uuid,
					    const char *name)
{
	for (size_t i = l->n; i-- > 0;) {
		const struct point_resource *res = resource_of(l->points[i], uuid);
		const struct point_disk *d = res ? point_find_disk(res, name) : NULL;

		if (d)
			return d;
	}
	return NULL;
}

/* Is it the disk that was protected then? After an external snapshot the old file backs the new. */
static bool same_disk(const struct lv_disk *d, const struct point_disk *was)
{
	if (was->source && strcmp(was->source, d->source) == 0)
		return true;
	for (size_t i = 0; was->source && i < d->n_chain; i++) {
		if (strcmp(was->source, d->chain[i]) == 0)
			return true;
	}
	return false;
}

static void set_reason(struct lv_plan_disk *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void set_reason(struct lv_plan_disk *d, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	free(d->reason);
	d->reason = xstrdup(text);
}

void lv_plan_widen(struct lv_plan_disk *d, const struct platform_watch *w, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->base = NULL;
	set_reason(d, "%s", text);
	platform_note(w, LOG_LEVEL_WARN, "disk %s is read as a whole: %s", d->disk->name, text);
}

struct planning {
	const struct protect *job;
	const struct protect_machine *ask;
	const struct lv_domain_info *info;
	bool running;
	struct lv_checkpoint_list ours;
};

/* Can this bitmap be used for the disk? Running: libvirt knows. Shut off: the image says. */
static bool usable(const struct planning *p, const struct lv_checkpoint *c,
		   const struct lv_plan_disk *d, const struct lv_image *image)
{
	size_t found = 0;

	if (p->running)
		return lv_checkpoint_valid_for(c, d->disk->name);
	/* qemu-nbd shows one layer's bitmap; after a snapshot it is spread over several. */
	for (size_t i = 0; i < image->n_bitmaps; i++)
		found += strcmp(image->bitmaps[i], c->name) == 0;
	return found && image->layers_with_bitmaps == 1;
}

/* What was found out about bitmaps of a disk that cannot be used. */
struct refusals {
	bool known, moved, broken;
};

/* Can the increment start from this checkpoint? Sets the base, or notes why not. */
static void consider(const struct planning *p, const struct lv_checkpoint *c,
		     struct lv_plan_disk *d, const struct lv_image *image, struct refusals *no)
{
	const struct point *point = find_point(p->job->history, &c->point);
	const struct point_resource *res = point ? resource_of(point, p->info->uuid) : NULL;
	const struct point_disk *was = res ? point_find_disk(res, d->disk->name) : NULL;

	if (!was || !was->tracking || strcmp(was->tracking, c->name) != 0)
		return;
	no->known = true;
	if (!same_disk(d->disk, was)) {
		no->moved = true;
	} else if (!usable(p, c, d, image)) {
		no->broken = true;
	} else {
		d->base = was;
		snprintf(d->base_name, sizeof(d->base_name), "%s", c->name);
	}
}

/* Look for a base among our checkpoints, newest first; else say why there is none. */
static void choose_base(const struct planning *p, struct lv_plan_disk *d,
			const struct lv_image *image)
{
	struct refusals no = {0};

	for (size_t i = 0; i < p->ours.n && !d->base; i++)
		consider(p, &p->ours.v[i], d, image, &no);
	if (d->base || !d->parent)
		return;
	if (no.broken)
		set_reason(d,
			   "its change tracking is missing or broken (the hypervisor crashed, or a "
			   "snapshot was reverted)");
	else if (no.moved)
		set_reason(d, "it is another disk than before: now %s", d->disk->source);
	else if (!d->bitmap_able)
		set_reason(d, "%s images %scannot track changes", d->disk->format,
			   strcmp(d->disk->format, "qcow2") ? "" : "of version 2 (compat=0.10) ");
	else if (!no.known)
		set_reason(d, "nothing tracks its changes since a checkpoint that is still here");
}

static void plan_disk(const struct planning *p, const struct lv_disk *disk,
		      const struct point *newest, struct lv_plan_disk *d)
{
	struct lv_image image = {0};
	struct err why = {0};

	d->disk = disk;
	d->parent = newest_disk(p->job->history, p->info->uuid, disk->name);
	d->bitmap_able = strcmp(disk->format, "qcow2") == 0;
	if (d->bitmap_able && disk->path &&
	    lv_image_info(disk->source, disk->format, &image, &why) == 0)
		d->bitmap_able = image.qcow2_v3;
	if (p->ask->full)
		set_reason(d, "a full read was asked for");
	else if (newest && !d->parent)
		set_reason(d, "it is new");
	else
		choose_base(p, d, &image);
	if (d->reason && d->parent && !p->ask->full && d->bitmap_able)
		platform_note(&p->job->watch, LOG_LEVEL_WARN, "disk %s is read as a whole: %s",
			      disk->name, d->reason);
	lv_image_done(&image);
}

static bool wanted(const struct protect_machine *ask, const struct lv_disk *d)
{
	if (ask->only && !platform_listed(ask->only, d->name))
		return false;
	return !platform_listed(ask->except, d->name);
}

/* Every name that was given must be a disk. */
static int check_names(const char *const *names, const struct lv_domain_info *info, struct err *e)
{
	for (; names && *names; names++) {
		bool there = false;

		for (size_t i = 0; i < info->n_disks; i++)
			there = there || strcmp(info->disks[i].name, *names) == 0;
		if (!there)
			return err_set(e, ERR_INVALID,
				       "domain %s has no disk '%s': see 'holdfast resource list'",
				       info->name, *names);
	}
	return 0;
}

/* If the newest point's checkpoint is not among libvirt's, its bitmaps may still be in the images.
 */
static int look_again(struct planning *p, const struct point *newest, virDomainPtr dom,
		      struct err *e)
{
	const struct point_resource *res = newest ? resource_of(newest, p->info->uuid) : NULL;
	char name[80];

	if (!res || !p->running)
		return 0;
	lv_checkpoint_name(p->job->repo, &newest->id, name);
	for (size_t i = 0; i < p->ours.n; i++) {
		if (strcmp(p->ours.v[i].name, name) == 0)
			return 0;
	}
	lv_checkpoint_restore(dom, name, p->info, res);
	lv_checkpoints_done(&p->ours);
	return lv_checkpoints(dom, p->job->repo, p->job->history, &p->ours, e);
}

int lv_plan_make(const struct protect *job, const struct protect_machine *ask,
		 const struct lv_domain_info *info, virDomainPtr dom, bool running,
		 struct lv_plan *ret_p, struct err *e)
{
	struct planning p = {job, ask, info, running, {0}};
	struct lv_plan plan = {.v = xcalloc(info->n_disks, sizeof(*plan.v))};

	plan.parent = newest_of(job->history, info->uuid);
	if (check_names(ask->only, info, e) < 0 || check_names(ask->except, info, e) < 0 ||
	    lv_checkpoints(dom, job->repo, job->history, &p.ours, e) < 0 ||
	    look_again(&p, plan.parent, dom, e) < 0) {
		free(plan.v);
		return -1;
	}
	for (size_t i = 0; i < info->n_disks; i++) {
		if (wanted(ask, &info->disks[i]))
			plan_disk(&p, &info->disks[i], plan.parent, &plan.v[plan.n++]);
	}
	lv_checkpoints_done(&p.ours);
	if (plan.n == 0) {
		lv_plan_done(&plan);
		return err_set(e, ERR_INVALID, "domain %s has no disk to protect", info->name);
	}
	*ret_p = plan;
	return 0;
}

void lv_plan_done(struct lv_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].reason);
	free(p->v);
	*p = (struct lv_plan){0};
}
