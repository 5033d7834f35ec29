/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coverage against a plain model: random plans, machines, attempts, deletions, copies, damage. What
 * is kept in the columns must always be what a walk over everything says, at any moment.
 *
 * HF_SEED gives another seed, HF_STEPS a longer history.
 */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "core/coverage.h"
#include "core/json.h"
#include "db_fixture.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US (86400 * SECOND_US)
#define PLANS 4
#define MACHINES 5
#define POINTS 200
#define STEPS 300
#define TYPE "OS::Nova::Server"

struct machine {
	bool there;
	int name; /* "web" or "db", and its number */
};

struct plan {
	bool there, scheduled;
	unsigned named;	      /* bits of machines */
	const char *selector; /* of names; NULL: none */
};

struct taken {
	bool there; /* its row is in the database */
	int plan;
	unsigned machines; /* bits */
	const char *status;
	bool copy, damaged;
	int64_t instant, created, ended;
};

struct world {
	struct random rnd;
	struct db *db;
	struct zones *zones;
	int64_t start;
	struct machine machines[MACHINES];
	struct plan plans[PLANS];
	struct taken points[POINTS];
	int n_points;
};

static const char *const patterns[] = {"web*", "*", "db?", "none"};

static int below(struct world *w, uint64_t n)
{
	return (int)random_below(&w->rnd, n);
}

static bool takes_in(const struct world *w, int plan, int machine)
{
	const struct plan *p = &w->plans[plan];
	char name[20];

	snprintf(name, sizeof(name), "%s%d", w->machines[machine].name ? "web" : "db", machine);
	return p->there &&
	       ((p->named & (1u << machine)) ||
		(p->selector && w->machines[machine].there && fnmatch(p->selector, name, 0) == 0));
}

/* ---- the model ---- */

static bool is_good(const struct taken *k)
{
	return k->there && strcmp(k->status, "available") == 0 && !k->damaged;
}

static int64_t begun(const struct taken *k)
{
	return k->copy ? k->instant : k->created;
}

/* The newest good point of a plan with this machine (-1: any). */
static const struct taken *newest(const struct world *w, int plan, int machine)
{
	const struct taken *best = NULL;

	for (int i = 0; i < w->n_points; i++) {
		const struct taken *k = &w->points[i];

		if (k->plan == plan && is_good(k) &&
		    (machine < 0 || (k->machines & (1u << machine))) &&
		    (!best || k->instant > best->instant))
			best = k;
	}
	return best;
}

/* When the newest attempt failed; -1: it did not. */
static int64_t failed(const struct world *w, int plan)
{
	const struct taken *good = newest(w, plan, -1);
	int64_t at = -1;

	for (int i = 0; i < w->n_points; i++) {
		const struct taken *k = &w->points[i];

		if (k->there && k->plan == plan && !k->copy && strcmp(k->status, "error") == 0 &&
		    k->created > (good ? begun(good) : -1) && k->created > at)
			at = k->created;
	}
	return at;
}

/* Its schedule fires at midnight, UTC. */
static int64_t due(const struct world *w, int plan, int machine, int64_t since)
{
	const struct taken *good = newest(w, plan, machine), *last = newest(w, plan, -1);
	const struct taken *took = good ? good : last;
	int64_t from = good ? begun(good) : since;

	return (from / DAY_US + 1) * DAY_US + 900 * SECOND_US +
	       (took ? 2 * (took->ended - took->created) : 0);
}

static const char *model(const struct world *w, int machine, const int64_t since[PLANS],
			 int64_t now)
{
	int64_t fail = -1, good = -1;
	bool late = false, any = false;

	for (int p = 0; p < PLANS; p++) {
		const struct taken *k = newest(w, p, machine);

		if (!takes_in(w, p, machine))
			continue;
		any = true;
		fail = MAX(fail, failed(w, p));
		if (k)
			good = MAX(good, begun(k));
		late |= w->plans[p].scheduled && due(w, p, machine, since[p]) <= now;
	}
	return !any	     ? "unprotected"
	       : fail > good ? "failing"
	       : late	     ? "late"
	       : good >= 0   ? "protected"
			     : "unprotected";
}

/* ---- looking ---- */

struct look {
	struct world *w;
	int64_t now;
};

static int look(struct db_tx *t, void *arg, struct err *e)
{
	struct look *l = arg;

	for (int m = 0; m < MACHINES; m++) {
		int64_t since[PLANS] = {0};
		char id[10];

		snprintf(id, sizeof(id), "m%d", m);
		for (int p = 0; p < PLANS; p++) {
			char plan[10];
			AUTO(db_rows) s = NULL;

			snprintf(plan, sizeof(plan), "p%d", p);
			s = db_query(t, e,
				     "SELECT since FROM plan_resources WHERE plan_id = $1 AND "
				     "resource_id = $2",
				     db_t(plan), db_t(id));
			assert_int_equal(db_next(s, e), takes_in(l->w, p, m));
			since[p] = takes_in(l->w, p, m) ? db_int(s, 0) : 0;
		}
		AUTO(db_rows)
		r = db_query(
			t, e,
			"SELECT " COVERAGE_SQL("$2") " FROM resources WHERE id = $1 AND gone_at "
						     "IS NULL",
			db_t(id), db_i(l->now));
		assert_int_equal(db_next(r, e), l->w->machines[m].there);
		if (l->w->machines[m].there)
			assert_string_equal(db_text(r, 0), model(l->w, m, since, l->now));
	}
	return 0;
}

/* ---- doing ---- */

struct act {
	struct world *w;
	int what; /* index of a machine, plan or point */
};

static int put_machine(struct db_tx *t, void *arg, struct err *e)
{
	struct act *a = arg;
	const struct machine *m = &a->w->machines[a->what];
	struct coverage_things things = {NULL};
	char id[10], name[20];
	int done;

	snprintf(id, sizeof(id), "m%d", a->what);
	snprintf(name, sizeof(name), "%s%d", m->name ? "web" : "db", a->what);
	if (db_exec(t, NULL, e,
		    "INSERT INTO resources (platform_id, type, id, project_id, name, state, "
		    "extra_info, first_seen_at, seen_at) VALUES ('f', '" TYPE "', $1, 'p', $2, "
		    "'running', '{}', 1, 1) ON CONFLICT (platform_id, type, id) DO UPDATE SET name "
		    "= excluded.name",
		    db_t(id), db_t(name)) < 0 ||
	    db_exec(t, NULL, e, "UPDATE resources SET gone_at = $2 WHERE id = $1", db_t(id),
		    m->there ? db_null() : db_i(1)) < 0)
		return -1;
	coverage_add(&things, TYPE, id);
	done = coverage_found(t, a->w->zones, "p", &things, e);
	coverage_things_done(&things);
	return done;
}

static int put_plan(struct db_tx *t, void *arg, struct err *e)
{
	struct act *a = arg;
	const struct plan *p = &a->w->plans[a->what];
	json_t *resources, *selectors;
	AUTO_FREE char *r = NULL;
	AUTO_FREE char *s = NULL;
	char id[10], name[10];

	snprintf(id, sizeof(id), "p%d", a->what);
	if (!p->there)
		return coverage_plan_gone(t, id, e) < 0
			       ? -1
			       : db_exec(t, NULL, e, "DELETE FROM plans WHERE id = $1", db_t(id));
	resources = json_array();
	selectors = json_array();
	for (int m = 0; m < MACHINES; m++) {
		snprintf(name, sizeof(name), "m%d", m);
		if (p->named & (1u << m))
			json_array_append_new(resources, json_pack("{s:s, s:s, s:s}", "type", TYPE,
								   "id", name, "name", name));
	}
	if (p->selector)
		json_array_append_new(selectors,
				      json_pack("{s:s, s:s}", "type", TYPE, "name", p->selector));
	r = json_dumps(resources, 0);
	s = json_dumps(selectors, 0);
	json_decref(resources);
	json_decref(selectors);
	if (db_exec(t, NULL, e,
		    "INSERT INTO plans (id, project_id, name, status, provider_id, resources, "
		    "selectors, parameters, created_by, created_at, updated_at) VALUES ($1, 'p', "
		    "$1, 'started', 'v', $2, $3, '{}', 'x', 1, 1) ON CONFLICT (id) DO UPDATE SET "
		    "resources = excluded.resources, selectors = excluded.selectors",
		    db_t(id), db_t(r), db_t(s)) < 0 ||
	    db_exec(t, NULL, e, "DELETE FROM scheduled_operations WHERE id = $1", db_t(id)) < 0)
		return -1;
	if (p->scheduled &&
	    db_exec(t, NULL, e,
		    "INSERT INTO scheduled_operations (id, project_id, name, operation_type, "
		    "trigger_id, plan_id, operation_definition, enabled, created_by, created_at, "
		    "updated_at) VALUES ($1, 'p', 'x', 'protect', 't', $1, '{}', 1, 'x', 1, 1)",
		    db_t(id)) < 0)
		return -1;
	return coverage_plan(t, a->w->zones, id, e);
}

static int put_point(struct db_tx *t, void *arg, struct err *e)
{
	struct act *a = arg;
	const struct taken *k = &a->w->points[a->what];
	char id[10], plan[10], machine[10];

	snprintf(id, sizeof(id), "k%d", a->what);
	snprintf(plan, sizeof(plan), "p%d", k->plan);
	if (db_exec(t, NULL, e,
		    "INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, "
		    "extra_info, made_by, copy_of, hold, instant_at, created_at, ended_at, "
		    "bytes_total, bytes_read, bytes_new, bytes_stored) VALUES ($1, 'p', 'v', $2, "
		    "'{}', $3, '{}', 'x', $4, 0, $5, $6, $7, 1, 1, 1, 1) ON CONFLICT (id) DO "
		    "UPDATE SET status = excluded.status",
		    db_t(id), db_t(plan), db_t(k->status), db_t(k->copy ? "k" : NULL),
		    db_i(k->instant), db_i(k->created), db_i(k->ended)) < 0 ||
	    db_exec(t, NULL, e, "UPDATE checkpoints SET verified_ok = $2 WHERE id = $1", db_t(id),
		    k->damaged ? db_i(0) : db_null()) < 0)
		return -1;
	for (int m = 0; m < MACHINES; m++) {
		snprintf(machine, sizeof(machine), "m%d", m);
		if ((k->machines & (1u << m)) &&
		    db_exec(t, NULL, e,
			    "INSERT INTO checkpoint_resources (checkpoint_id, platform_id, type, "
			    "id, name, extra_info, repository_id, status, bytes_total, bytes_read, "
			    "bytes_new, bytes_stored) VALUES ($1, 'f', '" TYPE "', $2, $2, '{}', "
			    "'r', 'available', 1, 1, 1, 1) ON CONFLICT DO NOTHING",
			    db_t(id), db_t(machine)) < 0)
			return -1;
	}
	return coverage_checkpoint(t, a->w->zones, id, e);
}

static int put_base(struct db_tx *t, void *arg, struct err *e)
{
	static const char *const rows[] = {
		"INSERT INTO targets (id, name, description, url, options, status, created_at, "
		"updated_at) VALUES ('g', 'g', '', 'dir:/t', '{}', 'available', 1, 1)",
		"INSERT INTO repositories (id, target_id, project_id, url, created_at) VALUES "
		"('r', 'g', 'p', 'dir:/t/p', 1)",
		"INSERT INTO providers (id, name, description, target_id, created_at, updated_at) "
		"VALUES ('v', 'v', '', 'g', 1, 1)",
		"INSERT INTO platforms (id, name, description, kind, uri, status, created_at, "
		"updated_at) VALUES ('f', 'f', '', 'libvirt', 'x', 'available', 1, 1)",
		"INSERT INTO triggers (id, project_id, name, type, properties, enabled, last_at, "
		"claim_until, created_by, created_at, updated_at) VALUES ('t', 'p', 't', 'time', "
		"'{\"format\": \"crontab\", \"pattern\": \"0 0 * * *\", \"start_time\": "
		"\"1970-01-01 00:00:00\"}', 1, 1, 0, 'a', 1, 1)",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (db_exec_v(t, rows[i], NULL, 0, NULL, e) < 0)
			return -1;
	return 0;
}

/* ---- histories ---- */

static void change_plan(struct world *w, int i)
{
	struct plan *p = &w->plans[i];
	bool was = p->there;

	p->there = below(w, 5) != 0;
	p->scheduled = below(w, 2);
	p->named = (unsigned)below(w, 1u << MACHINES);
	p->selector = below(w, 2) ? patterns[below(w, ARRAY_LEN(patterns))] : NULL;
	if (!p->there && was) { /* as plan_schedules_clear does */
		p->there = true;
		p->scheduled = false;
		OK(db_write(w->db, put_plan, &((struct act){w, i}), e));
		p->there = false;
	}
	if (p->there || was)
		OK(db_write(w->db, put_plan, &((struct act){w, i}), e));
}

static void new_point(struct world *w)
{
	struct taken *k = &w->points[w->n_points];
	int64_t took = (1 + below(w, 3600)) * SECOND_US;

	*k = (struct taken){.there = true,
			    .plan = below(w, PLANS),
			    .machines = (unsigned)below(w, 1u << MACHINES),
			    .status = below(w, 3) ? "available" : "error",
			    .copy = below(w, 5) == 0};
	/* Each has its own moment: two of one moment would be a matter of ids. */
	k->instant = w->start + w->n_points * 37 * SECOND_US + below(w, 10) * DAY_US;
	k->created = k->copy ? k->instant + below(w, 5) * DAY_US : k->instant - SECOND_US;
	k->ended = k->created + took;
	OK(db_write(w->db, put_point, &((struct act){w, w->n_points++}), e));
}

static void change_point(struct world *w, int i)
{
	static const char *const statuses[] = {"available", "error", "deleting", "deleted"};

	w->points[i].status = statuses[below(w, ARRAY_LEN(statuses))];
	w->points[i].damaged = below(w, 3) == 0;
	OK(db_write(w->db, put_point, &((struct act){w, i}), e));
}

static void change_machine(struct world *w, int i)
{
	w->machines[i] = (struct machine){below(w, 4) != 0, below(w, 2)};
	OK(db_write(w->db, put_machine, &((struct act){w, i}), e));
}

static void one_step(struct world *w)
{
	struct look l = {.w = w};
	int what = below(w, 10);

	if (what < 2)
		change_plan(w, below(w, PLANS));
	else if (what < 4)
		change_machine(w, below(w, MACHINES));
	else if (what < 8 && w->n_points < POINTS)
		new_point(w);
	else if (w->n_points)
		change_point(w, below(w, (uint64_t)w->n_points));
	l.now = w->start + (int64_t)random_below(&w->rnd, 25) * DAY_US;
	OK(db_read(w->db, look, &l, e));
}

static void is_what_the_model_says(void **state)
{
	const char *text = getenv("HF_STEPS");
	struct db_fixture *f = *state;
	struct world w = {.db = f->db, .zones = zones_new(NULL)};

	w.rnd.state = random_seed();
	w.start = (int64_t)clock_wall_us() - 12 * DAY_US;
	OK(db_write(f->db, put_base, NULL, e));
	for (int i = 0; i < MACHINES; i++)
		change_machine(&w, i);
	for (long i = text ? strtol(text, NULL, 10) : STEPS; i > 0; i--)
		one_step(&w);
	zones_free(w.zones);
}

int main(void)
{
	const struct CMUnitTest tests[] = {DB_TEST(is_what_the_model_says)};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
