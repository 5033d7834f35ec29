/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The course of a backup, of one machine or of several that belong together.
 *
 *   1. take             the domain's lock; left-overs of dead runs go
 *   2. plan             which disks, from which base
 *   3. session          writer at work in the repository
 *   4. freeze, begin, thaw        one instant for all disks of all (instant.c); a new libvirt
 *                       checkpoint starts there
 *   5. read             only what changed, straight from QEMU, one machine after the other
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

static struct source *open_live(struct lv_member *m, const struct lv_plan_disk *d, struct err *e)
{
	AUTO_FREE char *context =
		d->base ? xasprintf("qemu:dirty-bitmap:backup-%s", d->disk->name) : NULL;
	AUTO_FREE char *name = xasprintf("disk %s of domain %s", d->disk->name, m->info.name);

	return source_nbd_open(m->j->socket, d->disk->name, context, name, e);
}

static int read_live(struct lv_member *m, struct lv_plan_disk *d, bool incremental, struct err *e)
{
	AUTO(source) source = open_live(m, d, e);
	struct lv_read r = {source, d, incremental, m->j->checkpoint};

	if (!source)
		return -1;
	if (!m->j->has_checkpoint)
		r.tracking = NULL;
	return lv_read_disk(&m->job, m->s, &r, lv_job_cancel(m->j), m->res, e);
}

/* The job exports all of the disk, so a bitmap that lies costs a second reading, not a second job.
 */
static int read_one(struct lv_member *m, struct lv_plan_disk *d, struct err *e)
{
	struct err why = {0};

	if (read_live(m, d, d->base != NULL, &why) == 0)
		return 0;
	if (why.kind != ERR_CONFLICT || !d->base) {
		if (e)
			*e = why;
		return -1;
	}
	lv_plan_widen(d, &m->job.watch, "%s", why.msg);
	return read_live(m, d, false, e);
}

static void count_total(struct lv_member *m)
{
	for (size_t i = 0; i < m->plan.n; i++) {
		virDomainBlockInfo bi;

		if (virDomainGetBlockInfo(m->j->dom, m->plan.v[i].disk->name, &bi, 0) == 0)
			progress_add(&m->job.watch.progress->total, bi.capacity);
	}
}

/* The job of one whose turn is yet to come may have been stopped. */
static int check_jobs(const struct lv_member *m, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (lv_job_check(m[i].j, e) < 0)
			return -1;
	return 0;
}

static int read_running(struct lv_member *m, struct err *e)
{
	struct err why = {0};

	for (size_t i = 0; i < m->plan.n; i++) {
		if (read_one(m, &m->plan.v[i], &why) == 0)
			continue;
		/* The reason behind the reason: scratch space, or the user. */
		if (lv_job_check(m->j, e) < 0 || cancel_check(m->job.watch.cancel, e) < 0)
			return -1;
		if (e)
			*e = why;
		return -1;
	}
	return lv_job_end(m->j, e);
}

/* ---- one that does not run ---- */

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
static int check_stop(struct lv_member *m, struct err *e)
{
	const char *why = power_cut(m->j->dom);

	m->res->achieved = ACHIEVED_SHUT_OFF;
	m->res->frozen_us = 0;
	free(m->res->why_less);
	m->res->why_less = NULL;
	if (!why)
		return 0;
	if (m->ask->consistency == CONSISTENCY_REQUIRED)
		return err_set(e, ERR_UNSUPPORTED,
			       "a consistent backup of domain %s is required and not possible: %s: "
			       "start it first",
			       m->info.name, why);
	m->res->achieved = ACHIEVED_CRASH;
	m->res->why_less = xstrdup(why);
	return 0;
}

/* Its disks are opened, and it cannot be started from here on. */
static int open_stopped(struct lv_member *m, struct err *e)
{
	if (check_stop(m, e) < 0)
		return -1;
	m->offline = lv_offline_open(&m->job, &m->plan, e);
	return m->offline ? 0 : -1;
}

/* ---- a running one that stops ---- */

/*
 * Has the domain stopped? Its connections break before libvirt knows; and when a guest shuts itself
 * down during a backup, libvirt first waits half a minute for a lock that the backup has.
 */
static bool has_stopped(const struct lv_member *m)
{
	uint64_t start = clock_mono_us(), limit = STOP_WAIT_US;
	int state, reason;

	while (virDomainIsActive(m->j->dom) == 1 && clock_mono_us() - start < limit &&
	       !cancel_asked(m->job.watch.cancel)) {
		if (virDomainGetState(m->j->dom, &state, &reason, 0) == 0 &&
		    state == VIR_DOMAIN_SHUTDOWN)
			limit = SHUTDOWN_WAIT_US;
		clock_sleep_ms(100);
	}
	return virDomainIsActive(m->j->dom) == 0;
}

/* Could its disks be read as they are now, in place of a backup that failed because of `why`? */
static bool stopped_under_us(struct lv_member *m, const struct err *why)
{
	return why->kind != ERR_NOSPACE && why->kind != ERR_CANCELLED && why->kind != ERR_BUSY &&
	       lv_revive(m->lv, &m->j->dom, NULL) == 0 && has_stopped(m) &&
	       virDomainIsPersistent(m->j->dom) == 1;
}

static int read_after_stop(struct lv_member *m, struct err *e)
{
	if (lv_job_end(m->j, NULL) < 0)
		return -1;
	/* The checkpoint that was begun is not where this point starts; the next backup drops it.
	 */
	lv_job_keep(m->j);
	lv_plan_done(&m->plan);
	if (lv_plan_make(&m->job, m->ask, &m->info, m->j->dom, false, &m->plan, e) < 0)
		return -1;
	point_drop_disks(m->res);
	m->job.point->instant_us = clock_wall_us();
	atomic_store(&m->job.watch.progress->total, 0);
	if (open_stopped(m, e) < 0)
		return -1;
	return lv_offline_read(m->offline, &m->job, m->s, m->res, e);
}

/* `why` is the reason that the machine was not read, or its backup not begun. */
static int give_up(struct lv_member *m, const struct err *why, struct err *e)
{
	if (e)
		*e = *why;
	if (!stopped_under_us(m, why))
		return -1;
	if (m->of > 1)
		return err_set(e, ERR_BUSY,
			       "domain %s stopped during the backup (%s), and its disks as they "
			       "are now are not of the instant of the others: try again",
			       m->info.name, why->msg);
	platform_note(
		&m->job.watch, LOG_LEVEL_WARN,
		"the domain stopped during the backup (%s): reading its disks as they are now",
		why->msg);
	return read_after_stop(m, e);
}

/* ---- all of them ---- */

static int read_all(struct lv_member *m, size_t n, struct err *e)
{
	struct err why = {0};

	if (lv_instant(m, n, m->job.point, n > 1 ? e : &why) < 0)
		return n > 1 ? -1 : give_up(m, &why, e);
	for (size_t i = 0; i < n; i++)
		if (!m[i].offline)
			count_total(&m[i]);
	for (size_t i = 0; i < n; i++) {
		if (check_jobs(m, n, e) < 0)
			return -1;
		if (m[i].offline) {
			if (lv_offline_read(m[i].offline, &m->job, m->s, m[i].res, e) < 0)
				return -1;
			continue;
		}
		if (read_running(&m[i], &why) < 0)
			return give_up(&m[i], &why, e);
	}
	return 0;
}

static void add_up(struct point *p, uint64_t started_us)
{
	struct point_stats sum = {0};

	for (size_t i = 0; i < p->n_resources; i++) {
		const struct point_resource *res = &p->resources[i];

		for (size_t k = 0; k < res->n_disks; k++) {
			sum.content += res->disks[k].stats.content;
			sum.read += res->disks[k].stats.read;
			sum.fresh += res->disks[k].stats.fresh;
		}
	}
	sum.spent_us = clock_mono_us() - started_us;
	p->stats = sum;
}

/* Machines that were not protected together before were compared with several. */
static void name_parent(struct point *p, const struct lv_member *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!m[i].plan.parent || m[i].plan.parent != m->plan.parent)
			return;
	p->parent = m->plan.parent->id;
	memcpy(p->parent_hash, m->plan.parent->hash, HASH_BYTES);
}

/* From the session on: what is done here is undone by the callers' clean-up until the commit. */
static int run(struct lv_member *m, size_t n, uint64_t started_us, struct err *e)
{
	struct point *p = m->job.point;

	for (size_t i = 0; i < n; i++) {
		m[i].s = m->s;
		m[i].res = &p->resources[i];
		m[i].res->asked = m[i].ask->consistency;
		if (lv_items_store(m->lv, m[i].j->dom, &m[i].info, m->s, m[i].res, &m[i].job, e) <
			    0 ||
		    (!m[i].runs && open_stopped(&m[i], e) < 0))
			return -1;
	}
	/* The mover may have been done before it noticed. */
	if (read_all(m, n, e) < 0 || cancel_check(m->job.watch.cancel, e) < 0)
		return -1;
	add_up(p, started_us);
	name_parent(p, m, n);
	if (session_commit(m->s, p, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct lv_job *j = m[i].j;

		if (!j->has_checkpoint)
			continue;
		lv_job_keep(j);
		if (lv_revive(m->lv, &j->dom, NULL) == 0)
			lv_checkpoints_drop(j->dom, m->job.repo, j->checkpoint, &m[i].job.watch);
	}
	return 0;
}

static void named_note(void *arg, enum log_level level, const char *text)
{
	const struct lv_member *m = arg;
	AUTO_FREE char *named = xasprintf("%s: %s", m->info.name, text);

	m->ask_watch->note(m->ask_watch->arg, level, named);
}

static int find_member(struct lv_member *m, size_t i, struct err *e)
{
	const struct protect_machine *ask = m[i].ask;
	AUTO_FREE char *xml = NULL;

	m[i].dom = lv_domain(m->lv, ask->resource, e);
	if (!m[i].dom || lv_check_local(m->lv, ask->resource, e) < 0)
		return -1;
	xml = virDomainGetXMLDesc(m[i].dom, 0);
	if (!xml)
		return lv_fail(e, "ask for the definition of domain %s", ask->resource);
	if (lv_domain_info(xml, &m[i].info, e) < 0)
		return -1;
	for (size_t k = 0; k < i; k++)
		if (strcmp(m[k].info.uuid, m[i].info.uuid) == 0)
			return err_set(e, ERR_INVALID, "domain %s is named twice", m[i].info.name);
	if (m[i].of > 1) {
		m[i].job.watch.note = named_note;
		m[i].job.watch.arg = &m[i];
	}
	return 0;
}

static int take_member(struct lv_member *m, struct err *e)
{
	m->j = lv_job_take(m->lv, m->dom, &m->info, &m->job, e);
	if (!m->j)
		return -1;
	m->runs = virDomainIsActive(m->dom) == 1;
	return lv_plan_make(&m->job, m->ask, &m->info, m->dom, m->runs, &m->plan, e);
}

static int protect_members(struct lv_member *m, size_t n, struct err *e)
{
	uint64_t started_us = clock_mono_us();
	AUTO_FREE char *platform = xasprintf("%s %s", m->lv->host, m->lv->uri);

	for (size_t i = 0; i < n; i++)
		if (find_member(m, i, e) < 0)
			return -1;
	for (size_t i = 0; i < n; i++)
		if (take_member(&m[i], e) < 0)
			return -1;
	m->s = session_begin(m->job.repo, &m->job.packing, e);
	if (!m->s)
		return -1;
	for (size_t i = 0; i < n; i++)
		point_add_resource(m->job.point, "domain", m[i].info.uuid, m[i].info.name,
				   platform);
	return run(m, n, started_us, e);
}

static void member_done(struct lv_member *m)
{
	lv_offline_free(m->offline);
	lv_job_free(m->j);
	lv_plan_done(&m->plan);
	lv_domain_info_done(&m->info);
	if (m->dom)
		virDomainFree(m->dom);
}

int lv_protect(struct platform *p, const struct protect *job, struct err *e)
{
	AUTO_FREE struct lv_member *m = xcalloc(job->n_machines, sizeof(*m));
	int rc;

	for (size_t i = 0; i < job->n_machines; i++) {
		m[i].lv = (struct lv *)p;
		m[i].job = *job;
		m[i].ask_watch = &job->watch;
		m[i].ask = &job->machines[i];
		m[i].of = job->n_machines;
	}
	rc = protect_members(m, job->n_machines, e);
	session_free(m->s);
	for (size_t i = 0; i < job->n_machines; i++)
		member_done(&m[i]);
	return rc;
}
