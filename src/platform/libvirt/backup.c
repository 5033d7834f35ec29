/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of a backup.
 *
 *   1. plan             which disks, from which base
 *   2. session          writer at work in the repository
 *   3. take             the domain's lock; left-overs of dead runs go
 *   4. freeze, begin, thaw        one instant for all disks; a new libvirt checkpoint starts there
 *   5. read             only what changed, straight from QEMU
 *   6. end              the job in QEMU; its scratch files go
 *   7. commit           the point: from here on the checkpoint exists
 *   8. drop             our older libvirt checkpoints
 *
 * If interrupted before 7: no checkpoint; the new libvirt checkpoint is dropped, now or by the next
 * run, and the old one still says what changed. If interrupted between 7 and 8: the next run drops
 * the old.
 */
#include <string.h>

#include "base/clock.h"
#include "mover/backup.h"
#include "platform/libvirt/priv.h"

#define BEGIN_TRIES 16
#define STOP_WAIT_US 5000000
#define SHUTDOWN_WAIT_US 60000000

/* ---- one disk ---- */

int lv_read_disk(const struct protect *job, struct session *s, const struct lv_read *r,
		 const struct cancel *cancel, struct point_resource *res, struct err *e)
{
	const struct lv_plan_disk *d = r->plan;
	struct backup_disk b = {
		.source = r->source,
		.incremental = r->incremental,
		.pace = job->pace,
		.progress = job->watch.progress,
		.cancel = cancel,
	};
	const struct point_disk *was = r->incremental ? d->base : d->parent;
	struct point_stats stats;
	struct point_disk *out;
	struct tree tree;

	if (was) {
		b.parent = &was->tree;
		b.parent_point = &was->point;
	}
	if (backup_disk(s, &b, &tree, &stats, e) < 0)
		return -1;
	out = point_add_disk(res, d->disk->name);
	out->tree = tree;
	out->stats = stats;
	out->source = xstrdup(d->disk->source);
	out->format = xstrdup(d->disk->format);
	out->tracking = r->tracking && d->bitmap_able ? xstrdup(r->tracking) : NULL;
	out->mode = xstrdup(r->incremental ? "incremental" : "full");
	out->reason = d->reason && !r->incremental ? xstrdup(d->reason) : NULL;
	return 0;
}

/* ---- a running domain ---- */

struct live {
	struct lv *lv;
	const struct protect *job;
	const struct lv_domain_info *info;
	struct lv_plan *plan;
	struct session *s;
	struct point_resource *res;
	struct lv_job *j;
};

/* Freeze if that is wanted. 1: frozen; 0: not, and that is fine; -1. */
static int freeze(struct live *l, struct lv_freeze *f, struct err *e)
{
	struct err why = {0};

	*f = (struct lv_freeze){.guard_in = -1};
	if (l->job->consistency == CONSISTENCY_OFF)
		return 0;
	if (!l->info->agent)
		err_set(&why, ERR_UNSUPPORTED,
			"the domain has no guest-agent channel (org.qemu.guest_agent.0)");
	else if (lv_freeze_begin(f, l->j->dom, l->lv, l->job, &why) == 0)
		return 1;
	if (l->job->consistency == CONSISTENCY_REQUIRED) {
		if (e)
			*e = why;
		return err_wrap(e, "a consistent backup is required and not possible");
	}
	free(l->res->why_less);
	l->res->why_less = xstrdup(why.msg);
	return 0;
}

/* One try to start the job at one instant: freeze, begin, thaw. 1: try again. */
static int try_begin(struct live *l, struct err *e)
{
	struct lv_freeze f;
	struct err thaw = {0};
	int frozen, rc;

	frozen = freeze(l, &f, e);
	if (frozen < 0)
		return -1;
	l->job->point->instant_us = clock_wall_us();
	rc = lv_job_begin(l->j, l->plan, l->info, session_id(l->s), e);
	l->res->achieved = frozen ? ACHIEVED_QUIESCED : ACHIEVED_CRASH;
	if (lv_freeze_end(&f, &l->res->frozen_us, &thaw) == 0 || rc != 0)
		return rc;
	if (l->job->consistency == CONSISTENCY_REQUIRED) {
		if (e)
			*e = thaw;
		return -1;
	}
	l->res->achieved = ACHIEVED_CRASH;
	free(l->res->why_less);
	l->res->why_less = xstrdup(thaw.msg);
	return 0;
}

static int begin(struct live *l, struct err *e)
{
	int rc = 1;

	if (lv_job_check_scratch(l->j, e) < 0)
		return -1;
	for (int i = 0; i < BEGIN_TRIES && rc > 0; i++)
		rc = try_begin(l, e);
	if (rc != 0)
		return -1;
	if (l->res->why_less)
		platform_note(&l->job->watch, LOG_LEVEL_WARN,
			      "the backup is not consistent beyond what a power cut leaves: %s",
			      l->res->why_less);
	return lv_job_watch(l->j, e);
}

static struct source *open_live(struct live *l, const struct lv_plan_disk *d, struct err *e)
{
	AUTO_FREE char *context =
		d->base ? xasprintf("qemu:dirty-bitmap:backup-%s", d->disk->name) : NULL;
	AUTO_FREE char *name = xasprintf("disk %s of domain %s", d->disk->name, l->info->name);

	return source_nbd_open(l->j->socket, d->disk->name, context, name, e);
}

static int read_live(struct live *l, struct lv_plan_disk *d, bool incremental, struct err *e)
{
	AUTO(source) source = open_live(l, d, e);
	struct lv_read r = {source, d, incremental, l->j->checkpoint};

	if (!source)
		return -1;
	if (!l->j->has_checkpoint)
		r.tracking = NULL;
	return lv_read_disk(l->job, l->s, &r, lv_job_cancel(l->j), l->res, e);
}

/* The job exports all of the disk, so a bitmap that lies costs a second reading, not a second job.
 */
static int read_one(struct live *l, struct lv_plan_disk *d, struct err *e)
{
	struct err why = {0};

	if (read_live(l, d, d->base != NULL, &why) == 0)
		return 0;
	if (why.kind != ERR_CONFLICT || !d->base) {
		if (e)
			*e = why;
		return -1;
	}
	lv_plan_widen(d, &l->job->watch, "%s", why.msg);
	return read_live(l, d, false, e);
}

static void count_total(struct live *l)
{
	uint64_t total = 0;

	for (size_t i = 0; i < l->plan->n; i++) {
		virDomainBlockInfo bi;

		if (virDomainGetBlockInfo(l->j->dom, l->plan->v[i].disk->name, &bi, 0) == 0)
			total += bi.capacity;
	}
	atomic_store(&l->job->watch.progress->total, total);
}

static int protect_live(struct live *l, struct err *e)
{
	struct err why = {0};

	if (begin(l, e) < 0)
		return -1;
	count_total(l);
	for (size_t i = 0; i < l->plan->n; i++) {
		if (read_one(l, &l->plan->v[i], &why) == 0)
			continue;
		/* The reason behind the reason: scratch space, or the user. */
		if (lv_job_check(l->j, e) < 0 || cancel_check(l->job->watch.cancel, e) < 0)
			return -1;
		if (e)
			*e = why;
		return -1;
	}
	return lv_job_end(l->j, e);
}

/* ---- either ---- */

/* How the domain stopped, if its disks are as after a power cut; else NULL. */
static const char *power_cut(virDomainPtr dom)
{
	int state = 0, reason = 0;

	if (virDomainGetState(dom, &state, &reason, 0) < 0 || state != VIR_DOMAIN_SHUTOFF)
		return NULL;
	return reason == VIR_DOMAIN_SHUTOFF_CRASHED
		       ? "the domain did not shut down, its QEMU crashed"
	       : reason == VIR_DOMAIN_SHUTOFF_DESTROYED
		       ? "the domain did not shut down, it was switched off"
		       : NULL;
}

/* What the disks of a stopped domain are worth. -1 when that is not enough. */
static int check_stop(struct live *l, virDomainPtr dom, struct err *e)
{
	const char *why = power_cut(dom);

	l->res->achieved = ACHIEVED_SHUT_OFF;
	free(l->res->why_less);
	l->res->why_less = NULL;
	if (!why)
		return 0;
	if (l->job->consistency == CONSISTENCY_REQUIRED)
		return err_set(e, ERR_UNSUPPORTED,
			       "a consistent backup of domain %s is required and not possible: %s: "
			       "start it first",
			       l->info->name, why);
	l->res->achieved = ACHIEVED_CRASH;
	l->res->why_less = xstrdup(why);
	return 0;
}

/* The domain is not running, or stopped under a backup: its disks can be read as they are. */
static int protect_stopped(struct live *l, virDomainPtr dom, struct err *e)
{
	const struct protect *job = l->job;

	lv_plan_done(l->plan);
	if (lv_plan_make(job, l->info, dom, false, l->plan, e) < 0)
		return -1;
	if (check_stop(l, dom, e) < 0)
		return -1;
	point_drop_disks(l->res);
	job->point->instant_us = clock_wall_us();
	l->res->frozen_us = 0;
	return lv_read_offline(job, l->plan, l->s, l->res, e);
}

/*
 * Has the domain stopped? Its connections break before libvirt knows; and when a guest shuts itself
 * down during a backup, libvirt first waits half a minute for a lock that the backup has.
 */
static bool has_stopped(const struct live *l)
{
	uint64_t start = clock_mono_us(), limit = STOP_WAIT_US;
	int state, reason;

	while (virDomainIsActive(l->j->dom) == 1 && clock_mono_us() - start < limit &&
	       !cancel_asked(l->job->watch.cancel)) {
		if (virDomainGetState(l->j->dom, &state, &reason, 0) == 0 &&
		    state == VIR_DOMAIN_SHUTDOWN)
			limit = SHUTDOWN_WAIT_US;
		clock_sleep_ms(100);
	}
	return virDomainIsActive(l->j->dom) == 0;
}

static int read_domain(struct live *l, struct err *e)
{
	struct err why = {0};

	if (virDomainIsActive(l->j->dom) != 1)
		return protect_stopped(l, l->j->dom, e);
	if (protect_live(l, &why) == 0)
		return 0;
	if (e)
		*e = why;
	if (why.kind == ERR_NOSPACE || why.kind == ERR_CANCELLED || why.kind == ERR_BUSY ||
	    lv_revive(l->lv, &l->j->dom, NULL) < 0 || !has_stopped(l) ||
	    virDomainIsPersistent(l->j->dom) != 1)
		return -1;
	platform_note(
		&l->job->watch, LOG_LEVEL_WARN,
		"the domain stopped during the backup (%s): reading its disks as they are now",
		why.msg);
	if (lv_job_end(l->j, NULL) < 0)
		return -1;
	/* The checkpoint that was begun is not where this point starts; the next backup drops it.
	 */
	lv_job_keep(l->j);
	return protect_stopped(l, l->j->dom, e);
}

static void add_up(struct point *p, struct point_resource *res, uint64_t started_us)
{
	struct point_stats sum = {0};

	for (size_t i = 0; i < res->n_disks; i++) {
		sum.content += res->disks[i].stats.content;
		sum.read += res->disks[i].stats.read;
		sum.fresh += res->disks[i].stats.fresh;
	}
	sum.spent_us = clock_mono_us() - started_us;
	p->stats = sum;
}

static void name_parent(struct point *p, const struct lv_plan *plan)
{
	if (!plan->parent)
		return;
	p->parent = plan->parent->id;
	memcpy(p->parent_hash, plan->parent->hash, HASH_BYTES);
}

/* From the session on: what is done here is undone by the callers' clean-up until the commit. */
static int run(struct live *l, uint64_t started_us, struct err *e)
{
	struct point *p = l->job->point;

	if (lv_items_store(l->lv, l->j->dom, l->info, l->s, l->res, l->job, e) < 0 ||
	    read_domain(l, e) < 0)
		return -1;
	/* The mover may have been done before it noticed. */
	if (cancel_check(l->job->watch.cancel, e) < 0)
		return -1;
	add_up(p, l->res, started_us);
	name_parent(p, l->plan);
	if (session_commit(l->s, p, e) < 0)
		return -1;
	if (l->j->has_checkpoint) {
		lv_job_keep(l->j);
		if (lv_revive(l->lv, &l->j->dom, NULL) == 0)
			lv_checkpoints_drop(l->j->dom, l->job->repo, l->j->checkpoint,
					    &l->job->watch);
	}
	return 0;
}

static int with_plan(struct live *l, virDomainPtr dom, struct err *e)
{
	uint64_t started_us = clock_mono_us();
	AUTO_FREE char *platform = xasprintf("%s %s", l->lv->host, l->lv->uri);

	l->j = lv_job_take(l->lv, dom, l->info, l->job, e);
	if (!l->j)
		return -1;
	if (lv_plan_make(l->job, l->info, dom, virDomainIsActive(dom) == 1, l->plan, e) < 0)
		return -1;
	l->s = session_begin(l->job->repo, &l->job->packing, e);
	if (!l->s)
		return -1;
	l->res =
		point_add_resource(l->job->point, "domain", l->info->uuid, l->info->name, platform);
	l->res->asked = l->job->consistency;
	return run(l, started_us, e);
}

int lv_protect(struct platform *p, const struct protect *job, struct err *e)
{
	struct lv *lv = (struct lv *)p;
	AUTO_DOMAIN dom = lv_domain(lv, job->resource, e);
	AUTO_FREE char *xml = NULL;
	struct lv_domain_info info = {0};
	struct lv_plan plan = {0};
	struct live l = {.lv = lv, .job = job, .info = &info, .plan = &plan};
	int rc;

	if (!dom || lv_check_local(lv, job->resource, e) < 0)
		return -1;
	xml = virDomainGetXMLDesc(dom, 0);
	if (!xml)
		return lv_fail(e, "ask for the definition of domain %s", job->resource);
	if (lv_domain_info(xml, &info, e) < 0)
		return -1;
	rc = with_plan(&l, dom, e);
	session_free(l.s);
	lv_job_free(l.j);
	lv_plan_done(&plan);
	lv_domain_info_done(&info);
	return rc;
}
