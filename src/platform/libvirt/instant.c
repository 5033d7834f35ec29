/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instant for all disks of all machines of a point.
 *
 *	all that can be are frozen ─> all jobs are begun ─> all are thawed
 *
 * Each of these three is done in all machines at once, in a thread for each, and the next begins
 * when the last of them has ended. While all are frozen nothing is written, so that what the jobs
 * begin with is the state of one moment, however far their starts are apart. Where some cannot be
 * frozen, that distance, the window, is how much of their writes may be in one point and not in
 * another that came before.
 *
 * One machine that is slow to freeze must not cost the others theirs: the agents have half of the
 * time that a machine may be frozen to answer.
 */
#include <string.h>

#include "base/clock.h"
#include "base/crew.h"
#include "platform/libvirt/priv.h"

#define BEGIN_TRIES 16

/* The reason in the words of who asked: with the machine's name, where there are several. */
static int because(const struct lv_member *m, const struct err *why, struct err *e)
{
	if (e)
		*e = *why;
	return m->of > 1 ? err_wrap(e, "domain %s", m->info.name) : -1;
}

/* Do it in all that run, each in a thread of its own; where there is no thread to be had, one after
 * the other. */
static void in_all(struct lv_member *m, size_t n, crew_work_fn *work)
{
	AUTO(crew) c = crew_new(NULL, NULL);

	for (size_t i = 0; i < n; i++)
		if (!m[i].offline && crew_add(c, work, &m[i], NULL) < 0)
			work(&m[i], NULL);
	crew_join(c, NULL);
}

static int do_freeze(void *arg, struct err *e)
{
	struct lv_member *m = arg;
	uint64_t most = m->job.freeze_timeout_us;

	(void)e;
	if (m->ask->consistency != CONSISTENCY_OFF && m->why_not.kind == ERR_NONE)
		lv_freeze_begin(&m->freeze, m->of > 1 ? most / 2 : most, &m->why_not);
	return 0;
}

static int do_begin(void *arg, struct err *e)
{
	struct lv_member *m = arg;

	(void)e;
	m->from_us = clock_mono_us();
	lv_job_begin(m->j, &m->plan, &m->info, session_id(m->s));
	m->to_us = clock_mono_us();
	return 0;
}

static int do_thaw(void *arg, struct err *e)
{
	struct lv_member *m = arg;

	(void)e;
	lv_freeze_end(&m->freeze, &m->res->frozen_us, &m->why_thawed);
	return 0;
}

/* Its guard is started, if it is to be frozen. */
static void make_ready(struct lv_member *m)
{
	m->freeze = (struct lv_freeze){.guard_in = -1};
	m->why_not = m->why_thawed = (struct err){0};
	if (m->ask->consistency == CONSISTENCY_OFF)
		return;
	if (!m->info.agent)
		err_set(&m->why_not, ERR_UNSUPPORTED,
			"the domain has no guest-agent channel (org.qemu.guest_agent.0)");
	else
		lv_freeze_ready(&m->freeze, m->j->dom, m->lv, &m->job, &m->why_not);
}

/* -1 when one is not frozen that has to be. */
static int check_frozen(const struct lv_member *m, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (m[i].offline || m[i].ask->consistency != CONSISTENCY_REQUIRED ||
		    m[i].why_not.kind == ERR_NONE)
			continue;
		because(&m[i], &m[i].why_not, e);
		return err_wrap(e, "a consistent backup is required and not possible");
	}
	return 0;
}

static void set_achieved(struct lv_member *m, enum achieved a, const struct err *why_less)
{
	m->res->achieved = a;
	free(m->res->why_less);
	m->res->why_less = why_less->kind == ERR_NONE ? NULL : xstrdup(why_less->msg);
}

/* What came of one. 1: try again; -1. */
static int judge(struct lv_member *m, struct err *e)
{
	bool frozen = m->ask->consistency != CONSISTENCY_OFF && m->why_not.kind == ERR_NONE;
	int rc = lv_job_begun(m->j, &m->plan, &m->info, e);

	set_achieved(m, frozen ? ACHIEVED_QUIESCED : ACHIEVED_CRASH, &m->why_not);
	if (m->why_thawed.kind == ERR_NONE || rc != 0)
		return rc;
	if (m->ask->consistency == CONSISTENCY_REQUIRED)
		return because(m, &m->why_thawed, e);
	set_achieved(m, ACHIEVED_CRASH, &m->why_thawed);
	return 0;
}

/* All or none: what was begun where others were not is taken back. 1: try again. */
static int judge_all(struct lv_member *m, size_t n, struct point *point, struct err *e)
{
	uint64_t from_us = UINT64_MAX, to_us = 0;
	size_t begun = 0;
	int all = 0;

	for (size_t i = 0; i < n && all >= 0; i++) {
		int rc = m[i].offline ? 0 : judge(&m[i], e);

		all = rc < 0 ? -1 : MAX(all, rc);
		if (m[i].offline)
			continue;
		begun++;
		from_us = MIN(from_us, m[i].from_us);
		to_us = MAX(to_us, m[i].to_us);
	}
	/* The disks of one machine begin at once. */
	point->window_us = begun > 1 ? to_us - from_us : 0;
	for (size_t i = 0; i < n && all > 0; i++)
		if (!m[i].offline)
			lv_job_withdraw(m[i].j);
	return all;
}

static int try_begin(struct lv_member *m, size_t n, struct point *point, struct err *e)
{
	int rc;

	for (size_t i = 0; i < n; i++)
		if (!m[i].offline)
			make_ready(&m[i]);
	in_all(m, n, do_freeze);
	rc = check_frozen(m, n, e);
	if (rc == 0) {
		point->instant_us = clock_wall_us();
		in_all(m, n, do_begin);
	}
	in_all(m, n, do_thaw);
	return rc < 0 ? -1 : judge_all(m, n, point, e);
}

int lv_instant(struct lv_member *m, size_t n, struct point *point, struct err *e)
{
	size_t running = 0;
	int rc = 1;

	point->instant_us = clock_wall_us();
	for (size_t i = 0; i < n; i++) {
		if (m[i].offline)
			continue;
		running++;
		if (lv_job_check_scratch(m[i].j, e) < 0)
			return -1;
	}
	if (!running)
		return 0;
	for (int i = 0; i < BEGIN_TRIES && rc > 0; i++)
		rc = try_begin(m, n, point, e);
	if (rc > 0)
		err_set(e, ERR_IO, "libvirt refused every way to begin the backup of domain %s",
			m->info.name);
	for (size_t i = 0; i < n && rc == 0; i++) {
		if (m[i].offline)
			continue;
		if (m[i].res->why_less)
			platform_note(&m[i].job.watch, LOG_LEVEL_WARN,
				      "the backup is not consistent beyond what a power cut "
				      "leaves: %s",
				      m[i].res->why_less);
		rc = lv_job_watch(m[i].j, e);
	}
	return rc == 0 ? 0 : -1;
}
