/* SPDX-License-Identifier: Apache-2.0 */
#include "core/upkeep.h"

#include "core/coverage.h"
#include "core/notify_channel.h"
#include "core/platform.h"
#include "core/storage.h"
#include "core/target_history.h"
#include "flow/flow_query.h"

#define DAY_US INT64_C(86400000000)
#define PRUNE_MOST 200 /* operations in one round */
#define PLATFORMS_MOST 20
#define TARGETS_MOST 20
#define PLANS_MOST 200
#define CHECK_EVERY_US INT64_C(3600000000)

struct round {
	struct core *core;
	uint64_t now_us;
	bool due;
	size_t plans; /* that were caught up with */
};

static int forget_answers(struct db_tx *t, void *arg, struct err *e)
{
	const struct round *r = arg;

	/* Answers are kept for a day for requests that come again. */
	return db_exec(t, NULL, e, "DELETE FROM idempotency WHERE created_at < $1",
		       db_i((int64_t)r->now_us - DAY_US));
}

/* ---- platforms ---- */

/*
 * Things that an operation of this kind is about and has not ended with. It may wait for long, as
 * for a mover that is gone, and then it is not among those that are next, whose number is bounded.
 */
#define BUSY(link, kind)                                                                           \
	"(SELECT l.id FROM operations o JOIN operation_links l ON l.operation_id = o.id AND "      \
	"l.kind = '" link "' WHERE o.ended_at IS NULL AND o.kind = '" kind "')"

#define UNLISTED                                                                                   \
	"FROM platforms WHERE discover_at <= $1 AND id NOT IN " BUSY("platform", "discover")

/* 1: some platform is to be listed anew. */
static int is_due(struct db_tx *t, void *arg, struct err *e)
{
	struct round *r = arg;
	AUTO(db_rows) rows = db_query(t, e, "SELECT 1 " UNLISTED " LIMIT 1", db_i(r->now_us));
	int have = rows ? db_next(rows, e) : -1;

	r->due = have > 0;
	return have < 0 ? -1 : 0;
}

static int discover(struct db_tx *t, void *arg, struct err *e)
{
	const struct round *r = arg;
	AUTO(db_rows)
	rows = db_query(t, e, "SELECT id " UNLISTED " ORDER BY discover_at LIMIT $2",
			db_i(r->now_us), db_i(PLATFORMS_MOST));
	char operation[UUID_TEXT];
	int have = rows ? 1 : -1;

	while (have > 0 && (have = db_next(rows, e)) > 0)
		if (platform_discover(r->core, t, db_text(rows, 0), "server", operation, e) < 0)
			return -1;
	return have;
}

/* ---- targets ---- */

/* Those with something in them that nobody looked at for an hour. */
#define UNCHECKED                                                                                  \
	"FROM targets t WHERE (checked_at IS NULL OR checked_at < $1) AND EXISTS (SELECT 1 FROM "  \
	"repositories r WHERE r.target_id = t.id AND r.made_at IS NOT NULL) AND id NOT IN " BUSY(  \
		"target", "target_check")

static int is_any_unchecked(struct db_tx *t, void *arg, struct err *e)
{
	struct round *r = arg;
	AUTO(db_rows)
	rows = db_query(t, e, "SELECT 1 " UNCHECKED " LIMIT 1",
			db_i((int64_t)r->now_us - CHECK_EVERY_US));
	int have = rows ? db_next(rows, e) : -1;

	if (have == 0)
		have = target_history_due(t, r->now_us, e);
	r->due = have > 0;
	return have < 0 ? -1 : 0;
}

static int look_at_targets(struct db_tx *t, void *arg, struct err *e)
{
	const struct round *r = arg;
	AUTO(db_rows)
	rows = db_query(t, e,
			"SELECT id, coalesce(project_id, '') " UNCHECKED " ORDER BY id LIMIT $2",
			db_i((int64_t)r->now_us - CHECK_EVERY_US), db_i(TARGETS_MOST));
	char operation[UUID_TEXT];
	int have = rows ? 1 : -1;

	while (have > 0 && (have = db_next(rows, e)) > 0)
		if (target_check(r->core, t, db_text(rows, 1), db_text(rows, 0), "server",
				 operation, e) < 0)
			return -1;
	if (have < 0 || target_history_sample(t, r->now_us, e) < 0)
		return -1;
	return target_history_prune(t, r->now_us, e);
}

/* ---- secrets that were replaced ---- */

static int is_any_stale(struct db_tx *t, void *arg, struct err *e)
{
	struct round *r = arg;

	return notify_channel_stale(t, r->now_us, &r->due, e);
}

static int forget_secrets(struct db_tx *t, void *arg, struct err *e)
{
	const struct round *r = arg;

	return notify_channel_forget(t, r->now_us, e);
}

/* ---- plans that an older server made ---- */

static int is_any_uncovered(struct db_tx *t, void *arg, struct err *e)
{
	struct round *r = arg;
	AUTO(db_rows) rows = db_query(t, e, "SELECT 1 FROM plans WHERE covered = 0 LIMIT 1");
	int have = rows ? db_next(rows, e) : -1;

	r->due = have > 0;
	return have < 0 ? -1 : 0;
}

static int catch_up(struct db_tx *t, void *arg, struct err *e)
{
	struct round *r = arg;

	return coverage_catch_up(t, r->core->zones, PLANS_MOST, &r->plans, e);
}

/* `look` says whether `work` is needed: so that nobody waits for a writer who has nothing to do. */
static int run(struct db *d, struct round *r, db_fn *look, db_fn *work, struct err *e)
{
	if (db_read(d, look, r, e) < 0)
		return -1;
	return r->due ? db_write(d, work, r, e) : 0;
}

int upkeep_run(struct core *c, uint64_t now_us, uint64_t operations_us, struct err *e)
{
	bool forget = operations_us != UPKEEP_NOTHING;
	struct round r = {c, now_us, false, 0};
	unsigned pruned;

	if ((forget && (db_write(c->db, forget_answers, &r, e) < 0 ||
			run(c->db, &r, is_any_stale, forget_secrets, e) < 0)) ||
	    run(c->db, &r, is_due, discover, e) < 0 ||
	    run(c->db, &r, is_any_unchecked, look_at_targets, e) < 0)
		return -1;
	do {
		if (run(c->db, &r, is_any_uncovered, catch_up, e) < 0)
			return -1;
	} while (r.due && r.plans == PLANS_MOST);
	return !forget ? 0 : flow_prune(c->flow, now_us - operations_us, PRUNE_MOST, &pruned, e);
}
