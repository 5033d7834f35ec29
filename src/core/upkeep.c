/* SPDX-License-Identifier: Apache-2.0 */
#include "core/upkeep.h"

#include "core/platform.h"
#include "core/service.h"
#include "flow/flow_query.h"

#define DAY_US INT64_C(86400000000)
#define PRUNE_MOST 200 /* operations in one round */
#define PLATFORMS_MOST 20

struct round {
	struct core *core;
	const char *host;
	unsigned roles;
	uint64_t now_us;
	bool due;
};

static int say_hello(struct db_tx *t, void *arg, struct err *e)
{
	static const char *const names[] = {"api", "scheduler", "worker", "conductor"};
	const struct round *r = arg;

	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if ((r->roles & (1u << i)) && service_seen(t, r->host, names[i], e) < 0)
			return -1;
	/* Answers are kept for a day for requests that come again. */
	return db_exec(t, NULL, e, "DELETE FROM idempotency WHERE created_at < $1",
		       db_i((int64_t)r->now_us - DAY_US));
}

/* 1: some platform is to be listed anew. */
static int is_due(struct db_tx *t, void *arg, struct err *e)
{
	struct round *r = arg;
	AUTO(db_rows)
	rows = db_query(t, e, "SELECT 1 FROM platforms WHERE discover_at <= $1 LIMIT 1",
			db_i(r->now_us));
	int have = rows ? db_next(rows, e) : -1;

	r->due = have > 0;
	return have < 0 ? -1 : 0;
}

static int discover(struct db_tx *t, void *arg, struct err *e)
{
	const struct round *r = arg;
	AUTO(db_rows)
	rows = db_query(t, e,
			"SELECT id FROM platforms WHERE discover_at <= $1 ORDER BY discover_at "
			"LIMIT $2",
			db_i(r->now_us), db_i(PLATFORMS_MOST));
	char operation[UUID_TEXT];
	int have = rows ? 1 : -1;

	while (have > 0 && (have = db_next(rows, e)) > 0)
		if (platform_discover(r->core, t, db_text(rows, 0), "server", operation, e) < 0)
			return -1;
	return have;
}

int upkeep_run(struct core *c, const char *host, unsigned roles, uint64_t now_us,
	       uint64_t operations_us, struct err *e)
{
	struct round r = {c, host, roles, now_us, false};
	unsigned pruned;

	if (db_write(c->db, say_hello, &r, e) < 0 || db_read(c->db, is_due, &r, e) < 0 ||
	    (r.due && db_write(c->db, discover, &r, e) < 0))
		return -1;
	return flow_prune(c->flow, now_us - operations_us, PRUNE_MOST, &pruned, e);
}
