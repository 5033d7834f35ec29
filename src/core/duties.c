/* SPDX-License-Identifier: Apache-2.0 */
#include "core/duties.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/copy.h"
#include "core/policy_store.h"
#include "core/protectable.h"
#include "core/restore.h"

#define CANDIDATES 500 /* looked at for one that is not in a pause */
#define DAY_US UINT64_C(86400000000)
#define BY "policy" /* window.c knows by it that it began by itself */

/* A plan that is looked after. */
struct duty {
	struct core *c;
	struct db_tx *t;
	const char *plan;
	const char *project;
	const struct policy *policy;
	uint64_t now_us;
	size_t started;
};

/* May what failed `n` times, the last time at `last_us`, be tried again? A time in the future is of
 * a clock that was wrong. */
static bool is_over(const struct duty *d, int64_t n, uint64_t last_us)
{
	uint64_t pause = DUTIES_PAUSE_US;

	for (int64_t i = 1; i < n && pause < DUTIES_PAUSE_MOST_US; i++)
		pause *= 2;
	return n == 0 || last_us > d->now_us ||
	       d->now_us - last_us >= MIN(pause, DUTIES_PAUSE_MOST_US);
}

/* ---- copies ---- */

/* Whole, without a copy that is there, or was until its own retention removed it: with how often
 * and when it failed. */
#define UNCOPIED                                                                                   \
	"SELECT k.id, k.provider_id, (SELECT count(*) FROM checkpoints o WHERE o.copy_of = k.id "  \
	"AND o.provider_id = $2), (SELECT max(coalesce(o.ended_at, o.created_at)) FROM "           \
	"checkpoints o WHERE o.copy_of = k.id AND o.provider_id = $2) FROM checkpoints k WHERE "   \
	"k.plan_id = $1 AND k.copy_of IS NULL AND k.status = 'available' AND k.provider_id <> $2 " \
	"AND coalesce(k.verified_ok, 1) = 1 AND NOT EXISTS (SELECT 1 FROM checkpoints o WHERE "    \
	"o.copy_of = k.id AND o.provider_id = $2 AND (o.good_at IS NOT NULL OR o.status IN "       \
	"('copying', 'available'))) ORDER BY k.created_at, k.id LIMIT $3"

/* 1: a copy to there is under way. */
static int is_copying(const struct duty *d, const char *to, struct err *e)
{
	AUTO(db_rows)
	r = db_query(d->t, e,
		     "SELECT 1 FROM checkpoints WHERE plan_id = $1 AND provider_id = $2 AND status "
		     "= 'copying' LIMIT 1",
		     db_t(d->plan), db_t(to));

	return r ? db_next(r, e) : -1;
}

static int start_copy(struct duty *d, const char *checkpoint, const char *from, const char *to,
		      struct err *e)
{
	const struct copy_new n = {.project = d->project,
				   .provider = from,
				   .plan = d->plan,
				   .to = to,
				   .checkpoint = checkpoint,
				   .created_by = BY};
	json_t *pairs;

	if (copy_start(d->c, d->t, &n, &pairs, e) < 0)
		return -1;
	json_decref(pairs);
	d->started++;
	return 0;
}

static int copy_next(struct duty *d, const char *to, struct err *e)
{
	AUTO(db_rows) r = NULL;
	int have = is_copying(d, to, e);

	if (have)
		return MIN(have, 0);
	r = db_query(d->t, e, UNCOPIED, db_t(d->plan), db_t(to), db_i(CANDIDATES));
	have = r ? 1 : -1;
	while (have > 0 && (have = db_next(r, e)) > 0)
		if (is_over(d, db_int(r, 2), (uint64_t)db_int(r, 3)))
			return start_copy(d, db_text(r, 0), db_text(r, 1), to, e);
	return have;
}

/* ---- verifications ---- */

/* How often, and when, a verification of it did not come to an end since the last that did. */
#define TRIES                                                                                      \
	"(SELECT count(*) FROM verifications v WHERE v.checkpoint_id = k.id AND v.created_at > "   \
	"coalesce(k.verified_at, 0)), (SELECT max(coalesce(v.ended_at, v.created_at)) FROM "       \
	"verifications v WHERE v.checkpoint_id = k.id AND v.created_at > coalesce(k.verified_at, " \
	"0))"
#define SEEN_AT "coalesce(k.verified_at, k.ended_at, k.created_at)"

static const char too_old_sql[] =
	"SELECT k.id, k.provider_id, " TRIES
	" FROM checkpoints k WHERE k.plan_id = $1 AND k.status "
	"= 'available' AND " SEEN_AT " <= $2 ORDER BY " SEEN_AT ", k.id LIMIT $3";

/* Those after the newest that was verified, the oldest first: the last of $3 is the one. */
static const char new_sql[] =
	"SELECT k.id, k.provider_id, " TRIES " FROM checkpoints k WHERE k.plan_id = $1 AND "
	"k.copy_of IS NULL AND k.status = 'available' AND k.verified_at IS NULL AND k.created_at "
	">= $2 AND k.created_at > coalesce((SELECT max(o.created_at) FROM checkpoints o WHERE "
	"o.plan_id = $1 AND o.copy_of IS NULL AND o.verified_at IS NOT NULL), 0) ORDER BY "
	"k.created_at, k.id LIMIT $3";

static int is_verifying(const struct duty *d, struct err *e)
{
	AUTO(db_rows)
	r = db_query(d->t, e,
		     "SELECT 1 FROM checkpoints k JOIN verifications v ON v.checkpoint_id = k.id "
		     "WHERE k.plan_id = $1 AND v.status = 'in_progress' LIMIT 1",
		     db_t(d->plan));

	return r ? db_next(r, e) : -1;
}

static int start_verification(struct duty *d, const char *checkpoint, const char *provider,
			      struct err *e)
{
	char id[UUID_TEXT], operation[UUID_TEXT];
	json_t *parameters = json_pack("{s:{s:s}}", PROTECTABLE_SERVER, "depth",
				       d->policy->verify_structure ? "structure" : "content");
	const struct restore_new n = {.project = d->project,
				      .provider = provider,
				      .checkpoint = checkpoint,
				      .parameters = parameters,
				      .created_by = BY};
	int done = verification_start(d->c, d->t, &n, id, operation, e);

	json_decref(parameters);
	d->started += done == 0;
	return done;
}

/* Of the rows, the first that is not in a pause; or, with `nth`, only the n-th. 1: started. */
static int verify_one(struct duty *d, const char *sql, uint64_t bound_us, uint32_t nth,
		      struct err *e)
{
	AUTO(db_rows)
	r = db_query(d->t, e, sql, db_t(d->plan), db_i(bound_us),
		     db_i(nth ? nth : (uint32_t)CANDIDATES));
	int have = r ? 1 : -1;

	for (uint32_t i = 1; have > 0 && (have = db_next(r, e)) > 0; i++)
		if (i >= nth && is_over(d, db_int(r, 2), (uint64_t)db_int(r, 3)))
			return start_verification(d, db_text(r, 0), db_text(r, 1), e) < 0 ? -1 : 1;
	return have;
}

/*
 * Before the days have gone by, so that it has ended when they have: by a quarter of them, a day at
 * most. A clock that is wrong costs a verification too many or too late, no more.
 */
static uint64_t too_old(const struct duty *d)
{
	uint64_t age = d->policy->verify_days * DAY_US;

	age -= MIN(age / 4, DAY_US);
	return d->now_us > age ? d->now_us - age : 0;
}

static int verify_next(struct duty *d, struct err *e)
{
	int have = d->policy->verify_days || d->policy->verify_after ? is_verifying(d, e) : 1;

	if (have)
		return MIN(have, 0);
	if (d->policy->verify_after)
		have = verify_one(d, new_sql, 0, d->policy->verify_after, e);
	if (have == 0 && d->policy->verify_days)
		have = verify_one(d, too_old_sql, too_old(d), 0, e);
	return MIN(have, 0);
}

/* ---- a plan ---- */

int duties_plan(struct core *c, struct db_tx *t, const char *plan, uint64_t now_us, size_t *ret_n,
		struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT project_id FROM plans WHERE id = $1", db_t(plan));
	AUTO(plan_policy) p = NULL;
	struct duty d = {.c = c, .t = t, .plan = plan, .now_us = now_us};
	int have = r ? db_next(r, e) : -1;

	*ret_n = 0;
	if (have <= 0 || plan_policy_of(t, c->zones, plan, &p, e) < 0)
		return have <= 0 ? have : -1;
	d.project = db_text(r, 0);
	d.policy = p->merged;
	for (size_t i = 0; i < d.policy->n_copies; i++)
		if (copy_next(&d, d.policy->copies[i].provider, e) < 0)
			return -1;
	if (verify_next(&d, e) < 0)
		return -1;
	*ret_n = d.started;
	return 0;
}

int duties_after(struct core *c, struct db_tx *t, const char *operation, const char *plan,
		 struct err *e)
{
	struct err why = {ERR_NONE};
	size_t n;

	if (duties_plan(c, t, plan, clock_wall_us(), &n, &why) == 0)
		return 0;
	/* A provider that is gone, a quota that is used up: no matter for the operation. What is of
	 * the database is. */
	if (why.kind == ERR_INVALID || why.kind == ERR_NOENT || why.kind == ERR_LIMIT ||
	    why.kind == ERR_UNSUPPORTED || why.kind == ERR_CONFLICT || why.kind == ERR_CORRUPT)
		return flow_log(t, operation, NULL, "warning", why.msg, e);
	if (e)
		*e = why;
	return -1;
}

/* ---- all plans ---- */

/* Plans with checkpoints whose policies may ask for something. */
static const char plans_sql[] =
	"SELECT p.id FROM plans p WHERE p.id > $1 AND EXISTS (SELECT 1 FROM policies y WHERE (y.id "
	"= p.policy_id OR (y.mandatory = 1 AND (y.project_id IS NULL OR y.project_id = "
	"p.project_id))) AND (y.spec LIKE '%\"copy\"%' OR y.spec LIKE '%\"verify\"%')) AND EXISTS "
	"(SELECT 1 FROM checkpoints k WHERE k.plan_id = p.id AND k.status = 'available') ORDER BY "
	"p.id LIMIT $2";

struct turn {
	struct core *c;
	const char *plan;
	uint64_t now_us;
	size_t started, all;
};

static int look_after(struct db_tx *t, void *arg, struct err *e)
{
	struct turn *x = arg;

	return duties_plan(x->c, t, x->plan, x->now_us, &x->started, e);
}

static int look_after_plan(void *arg, const char *plan, struct err *e)
{
	struct turn *x = arg;

	x->plan = plan;
	if (db_write(x->c->db, look_after, x, e) < 0)
		return -1;
	x->all += x->started;
	return 0;
}

int duties_run(struct core *c, uint64_t now_us, struct duties_report *ret_report, struct err *e)
{
	struct turn x = {.c = c, .now_us = now_us};
	struct plan_walk walk;

	if (plan_walk(c->db, plans_sql, look_after_plan, &x, &walk, e) < 0)
		return -1;
	*ret_report = (struct duties_report){.started = x.all, .walk = walk};
	return 0;
}
