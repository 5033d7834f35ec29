/* SPDX-License-Identifier: Apache-2.0 */
#include "core/keeper.h"

#include <string.h>

#include "core/policy_store.h"
#include "db_fixture.h"

#define SECOND_US 1000000ULL
#define DAY_US (86400 * SECOND_US)
#define HOUR_US (DAY_US / 24)
#define NOW (1795341600 * SECOND_US) /* 2026-11-22 10:00 UTC */
#define PROVIDER "10000000-0000-4000-8000-000000000001"
#define OTHER "10000000-0000-4000-8000-000000000002" /* of project q */

static struct zones *zones;

/* ---- what is there ---- */

static int base(struct db_tx *t, void *arg, struct err *e)
{
	static const char *const rows[] = {
		"INSERT INTO targets (id, name, description, url, options, status, created_at, "
		"updated_at) VALUES ('t', 't', '', 'dir:/t', '{}', 'available', 1, 1)",
		"INSERT INTO providers (id, name, description, target_id, created_at, updated_at) "
		"VALUES ('" PROVIDER "', 'p', '', 't', 1, 1)",
		"INSERT INTO triggers (id, project_id, name, type, properties, enabled, last_at, "
		"claim_until, created_by, created_at, updated_at) VALUES ('t', 'p', 't', 'time', "
		"'{}', 1, 1, 0, 'a', 1, 1)",
		"INSERT INTO providers (id, project_id, name, description, target_id, created_at, "
		"updated_at) VALUES ('" OTHER "', 'q', 'p', '', 't', 1, 1)",
	};

	(void)arg;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (db_exec_v(t, rows[i], NULL, 0, NULL, e) < 0)
			return -1;
	return 0;
}

static int up(void **state)
{
	struct db_fixture *f;

	db_fixture_up(state);
	f = *state;
	zones = zones_new(NULL);
	OK(db_write(f->db, base, NULL, e));
	return 0;
}

static int down(void **state)
{
	zones_free(zones);
	return db_fixture_down(state);
}

#define KEEPER_TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

struct statement {
	const char *sql;
	struct db_value v[8];
	size_t n;
	json_t *rows; /* of a query: each an array of texts */
};

static int execute(struct db_tx *t, void *arg, struct err *e)
{
	struct statement *s = arg;

	return db_exec_v(t, s->sql, s->v, s->n, NULL, e);
}

#define EXEC(f, text, ...)                                                                         \
	do {                                                                                       \
		const struct db_value v_[] = {__VA_ARGS__ __VA_OPT__(, ) db_null()};               \
		struct statement s_ = {.sql = (text), .n = ARRAY_LEN(v_) - 1};                     \
		memcpy(s_.v, v_, sizeof(v_));                                                      \
		OK(db_write((f)->db, execute, &s_, e));                                            \
	} while (0)

static void add_plan(struct db_fixture *f, const char *id, const char *policy)
{
	EXEC(f,
	     "INSERT INTO plans (id, project_id, name, status, provider_id, policy_id, resources, "
	     "selectors, parameters, created_by, created_at, updated_at) VALUES ($1, 'p', $1, "
	     "'started', '" PROVIDER "', $2, '[]', '[]', '{}', 'a', 1, 1)",
	     db_t(id), db_t(policy));
}

static void add_checkpoint(struct db_fixture *f, const char *plan, const char *id,
			   const char *status, const char *maker, uint64_t instant_us)
{
	EXEC(f,
	     "INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, "
	     "extra_info, made_by, hold, instant_at, created_at, ended_at, bytes_total, "
	     "bytes_read, bytes_new, bytes_stored) VALUES ($1, 'p', '" PROVIDER
	     "', $2, '{}', $3, '{}', $4, 0, $5, $5, $5, 0, 0, 0, 0)",
	     db_t(id), db_t(plan), db_t(status), db_t(maker), db_i(instant_us));
}

/* "PREFIX0" … of the last days, the newest has the highest number. */
static void add_days(struct db_fixture *f, const char *plan, const char *maker, unsigned days)
{
	for (unsigned i = 0; i < days; i++) {
		AUTO_FREE char *id = xasprintf("%s%u", plan, i);

		add_checkpoint(f, plan, id, "available", maker, NOW - (days - i) * DAY_US);
	}
}

struct policy_call {
	struct policy_new n;
	struct policy_change change;
	char id[UUID_TEXT];
};

static int insert_policy(struct db_tx *t, void *arg, struct err *e)
{
	struct policy_call *c = arg;

	return policy_insert(t, zones, &c->n, c->id, e);
}

static int update_policy(struct db_tx *t, void *arg, struct err *e)
{
	struct policy_call *c = arg;

	return policy_update(t, zones, c->id, &c->change, e);
}

static int remove_policy(struct db_tx *t, void *arg, struct err *e)
{
	struct policy_call *c = arg;

	return policy_remove(t, c->id, e);
}

static int add_policy_as(struct db_fixture *f, const char *project, const char *spec,
			 bool mandatory, char id[UUID_TEXT], struct err *e)
{
	json_t *document = json_loads(spec, 0, NULL);
	struct policy_call c = {.n = {.project = project,
				      .name = "name",
				      .spec = document,
				      .mandatory = mandatory,
				      .created_by = "user a"}};
	int done = db_write(f->db, insert_policy, &c, e);

	json_decref(document);
	memcpy(id, c.id, sizeof(c.id));
	return done;
}

static void add_policy(struct db_fixture *f, const char *spec, bool mandatory, char id[UUID_TEXT])
{
	OK(add_policy_as(f, "p", spec, mandatory, id, e));
}

static int read_text(struct db_tx *t, void *arg, struct err *e)
{
	struct statement *s = arg;
	AUTO(db_rows) r = db_query_v(t, s->sql, s->v, s->n, e);
	int have = -1;

	json_array_clear(s->rows);
	while (r && (have = db_next(r, e)) > 0)
		json_array_append_new(s->rows, json_string(db_text(r, 0)));
	return r && have == 0 ? 0 : -1;
}

/* The first column of a query, "a b c"; static. */
static const char *texts(struct db_fixture *f, const char *sql)
{
	static char out[4096];
	struct statement s = {.sql = sql, .rows = json_array()};
	json_t *v;
	size_t i;

	OK(db_read(f->db, read_text, &s, e));
	out[0] = 0;
	json_array_foreach(s.rows, i, v)
	{
		size_t len = strlen(out);

		snprintf(out + len, sizeof(out) - len, "%s%s", i ? " " : "", json_string_value(v));
	}
	json_decref(s.rows);
	return out;
}

static const char *deleting(struct db_fixture *f)
{
	return texts(f, "SELECT id FROM checkpoints WHERE status = 'deleting' ORDER BY id");
}

/* ---- a deletion that only says so ---- */

static int say_deleting(void *arg, struct db_tx *t, const char *project, const char *checkpoint,
			struct err *e)
{
	const char *busy = arg;
	uint64_t n;

	assert_string_equal(project, "p");
	if (busy && strcmp(busy, checkpoint) == 0)
		return 1;
	if (db_exec(t, &n, e,
		    "UPDATE checkpoints SET status = 'deleting' WHERE id = $1 AND status IN "
		    "('available', 'error', 'error-deleting')",
		    db_t(checkpoint)) < 0)
		return -1;
	if (n != 1)
		return err_set(e, ERR_INTERNAL, "%s is deleted twice", checkpoint);
	/* How often it was committed: the second would be a conflict of keys. */
	return db_exec(t, NULL, e,
		       "INSERT INTO operation_links (operation_id, kind, id) VALUES ($1, "
		       "'deleted', $1)",
		       db_t(checkpoint));
}

struct keep_call {
	struct keeper k;
	const char *plan;
	size_t started;
	bool more;
};

static int keep_plan(struct db_tx *t, void *arg, struct err *e)
{
	struct keep_call *c = arg;

	return keeper_plan(t, &c->k, c->plan, NOW, &c->started, &c->more, e);
}

/* How many deletions looking after a plan starts. */
static size_t keep(struct db_fixture *f, const char *plan)
{
	struct keep_call c = {.k = {zones, say_deleting, NULL, 0}, .plan = plan};

	OK(db_write(f->db, keep_plan, &c, e));
	assert_false(c.more);
	return c.started;
}

static struct keeper_report run_all(struct db_fixture *f)
{
	struct keeper k = {zones, say_deleting, NULL, 0};
	struct keeper_report report;

	OK(keeper_run(f->db, &k, NOW, &report, e));
	return report;
}

/* ---- tests ---- */

#define LAST(n) "{\"schedules\":[{\"name\":\"s\",\"retention\":{\"last\":" #n "}}]}"

static void test_policies(void **state)
{
	struct db_fixture *f = *state;
	struct policy_call c = {0};
	json_t *spec = json_loads("{\"minimum\":2}", 0, NULL);
	char other[UUID_TEXT];
	bool yes = true;

	add_policy(f, LAST(3), false, c.id);
	assert_string_equal(texts(f, "SELECT spec FROM policies"),
			    "{\"schedules\":[{\"name\":\"s\",\"retention\":{\"last\":3}}]}");
	c.change = (struct policy_change){.name = "new", .spec = spec, .mandatory = &yes};
	OK(db_write(f->db, update_policy, &c, e));
	assert_string_equal(texts(f, "SELECT spec || name || mandatory FROM policies"),
			    "{\"minimum\":2}new1");
	c.change = (struct policy_change){.description = "d"};
	OK(db_write(f->db, update_policy, &c, e));
	assert_string_equal(texts(f, "SELECT spec || name || description || mandatory FROM "
				     "policies"),
			    "{\"minimum\":2}newd1");
	json_object_set_new(spec, "minimun", json_integer(2));
	c.change = (struct policy_change){.spec = spec};
	FAILS(ERR_INVALID, db_write(f->db, update_policy, &c, e));
	/* Copies go where the project can go. */
	FAILS(ERR_INVALID,
	      add_policy_as(f, "p", "{\"copy\":{\"provider_id\":\"" OTHER "\"}}", false, other, e));
	FAILS(ERR_INVALID, add_policy_as(f, NULL, "{\"copy\":{\"provider_id\":\"" OTHER "\"}}",
					 false, other, e));
	OK(add_policy_as(f, "q", "{\"copy\":{\"provider_id\":\"" OTHER "\"}}", false, other, e));
	add_plan(f, "a", c.id);
	FAILS(ERR_BUSY, db_write(f->db, remove_policy, &c, e));
	EXEC(f, "DELETE FROM plans");
	OK(db_write(f->db, remove_policy, &c, e));
	FAILS(ERR_NOENT, db_write(f->db, remove_policy, &c, e));
	FAILS(ERR_NOENT, db_write(f->db, update_policy, &c, e));
	json_decref(spec);
}

static void test_a_plan(void **state)
{
	struct db_fixture *f = *state;
	char id[UUID_TEXT];

	add_policy(f, LAST(2), false, id);
	add_plan(f, "a", id);
	add_days(f, "a", "s", 9);
	EXEC(f, "UPDATE checkpoints SET hold = 1 WHERE id = 'a0'");
	EXEC(f, "UPDATE checkpoints SET status = 'protecting' WHERE id = 'a1'");
	EXEC(f, "UPDATE checkpoints SET status = 'deleted' WHERE id = 'a2'");
	EXEC(f, "UPDATE checkpoints SET made_by = 'manual' WHERE id = 'a3'");
	EXEC(f, "UPDATE checkpoints SET verified_ok = 0 WHERE id = 'a8'");
	EXEC(f, "UPDATE checkpoints SET verified_ok = 1 WHERE id = 'a7'");
	/* a8 is damaged: it does not count, and waits. */
	assert_int_equal(keep(f, "a"), 2);
	assert_string_equal(deleting(f), "a4 a5");
	assert_int_equal(keep(f, "a"), 0);
	assert_string_equal(deleting(f), "a4 a5");
}

static void test_without_rules(void **state)
{
	struct db_fixture *f = *state;
	char id[UUID_TEXT];

	add_plan(f, "a", NULL);
	add_days(f, "a", "manual", 9);
	assert_int_equal(keep(f, "a"), 0);
	/* A policy of another project's, or one of all that is not mandatory, is no matter. */
	OK(add_policy_as(f, "q", "{\"manual\":{\"last\":1}}", true, id, e));
	OK(add_policy_as(f, NULL, "{\"manual\":{\"last\":1}}", false, id, e));
	assert_int_equal(keep(f, "a"), 0);
	OK(add_policy_as(f, NULL, "{\"manual\":{\"last\":8}}", true, id, e));
	assert_int_equal(keep(f, "a"), 1);
	assert_string_equal(deleting(f), "a0");
}

static void test_failures(void **state)
{
	struct db_fixture *f = *state;

	add_plan(f, "a", NULL);
	add_days(f, "a", "s", 12);
	EXEC(f, "UPDATE checkpoints SET status = 'error' WHERE id <> 'a11' AND id <> 'a1'");
	EXEC(f, "UPDATE checkpoints SET status = 'error-deleting' WHERE id = 'a1'");
	assert_int_equal(keep(f, "a"), 6);
	assert_string_equal(deleting(f), "a0 a1 a2 a3 a4 a5");
}

static void test_copies_by_themselves(void **state)
{
	struct db_fixture *f = *state;
	char id[UUID_TEXT];

	add_policy(f,
		   "{\"schedules\":[{\"name\":\"s\",\"retention\":{\"last\":2}}],"
		   "\"copy\":{\"provider_id\":\"" PROVIDER "\",\"retention\":{\"last\":3}}}",
		   false, id);
	add_plan(f, "a", id);
	add_days(f, "a", "s", 10);
	EXEC(f, "UPDATE checkpoints SET copy_of = 'a1' WHERE id IN ('a0', 'a2', 'a4', 'a6', 'a8')");
	assert_int_equal(keep(f, "a"), 5);
	assert_string_equal(deleting(f), "a0 a1 a2 a3 a5");
}

static void test_mandatory(void **state)
{
	struct db_fixture *f = *state;
	char own[UUID_TEXT], law[UUID_TEXT];
	AUTO_FREE char *maker = NULL;

	add_policy(f, LAST(1), false, own);
	add_policy(f, LAST(4), true, law);
	add_plan(f, "a", own);
	add_days(f, "a", "s", 6);
	maker = xasprintf("%s/s", law);
	EXEC(f, "UPDATE checkpoints SET made_by = $1 WHERE id < 'a5'", db_t(maker));
	assert_int_equal(keep(f, "a"), 1);
	assert_string_equal(deleting(f), "a0");
	/* Whose own policy it is, too, has it once. */
	add_plan(f, "b", law);
	add_days(f, "b", maker, 6);
	assert_int_equal(keep(f, "b"), 2);
}

static void test_scheduled_rules(void **state)
{
	struct db_fixture *f = *state;
	struct keep_call c = {.k = {zones, say_deleting, NULL, 2}, .plan = "a"};

	add_plan(f, "a", NULL);
	add_days(f, "a", "manual", 8);
	EXEC(f,
	     "INSERT INTO scheduled_operations (id, project_id, name, operation_type, trigger_id, "
	     "plan_id, operation_definition, enabled, created_by, created_at, updated_at) VALUES "
	     "('o', 'p', 'o', 'retention_protect', 't', 'a', $1, 0, 'a', 1, 1)",
	     db_t("{\"max_backups\": \"3\", \"retention_duration\": 0}"));
	assert_int_equal(keep(f, "a"), 0);
	EXEC(f, "UPDATE scheduled_operations SET enabled = 1");
	OK(db_write(f->db, keep_plan, &c, e));
	assert_true(c.more && c.started == 2);
	assert_string_equal(deleting(f), "a0 a1");
	OK(db_write(f->db, keep_plan, &c, e));
	/* One that is in use waits; nothing else is taken for it. */
	c.k.arg = (void *)"a4";
	OK(db_write(f->db, keep_plan, &c, e));
	assert_true(!c.more && c.started == 0);
	assert_string_equal(deleting(f), "a0 a1 a2 a3");
	c.k.arg = NULL;
	OK(db_write(f->db, keep_plan, &c, e));
	assert_string_equal(deleting(f), "a0 a1 a2 a3 a4");
	c.plan = "none";
	FAILS(ERR_NOENT, db_write(f->db, keep_plan, &c, e));
}

static void test_all_plans(void **state)
{
	struct db_fixture *f = *state;
	struct keeper_report report;
	char id[UUID_TEXT], bad[UUID_TEXT];

	add_policy(f, LAST(1), false, id);
	add_policy(f, LAST(1), false, bad);
	EXEC(f, "UPDATE policies SET spec = '{\"dayly\":1}' WHERE id = $1", db_t(bad));
	for (unsigned i = 0; i < 103; i++) {
		char plan[8];

		snprintf(plan, sizeof(plan), "%03u-", i);
		add_plan(f, plan, i == 50 ? bad : id);
		if (i % 2 == 0)
			add_days(f, plan, "s", 3);
	}
	report = run_all(f);
	assert_int_equal(report.plans, 51);
	assert_int_equal(report.started, 102);
	/* What cannot be read keeps everything, and is told. */
	assert_int_equal(report.walk.failed, 1);
	assert_string_equal(report.walk.plan, "050-");
	assert_non_null(strstr(report.walk.first.msg, "dayly: there is no such field"));
	assert_int_equal(run_all(f).started, 0);
}

static void keep_all(void *arg, unsigned number)
{
	struct db_fixture *f = arg;
	struct keeper k = {zones, say_deleting, NULL, 2};
	struct keeper_report report;
	struct err e = {0};

	(void)number;
	if (keeper_run(f->db, &k, NOW, &report, &e) < 0 || report.walk.failed > 0)
		print_error("%s %s\n", e.msg, report.walk.first.msg);
}

static void test_several_schedulers(void **state)
{
	struct db_fixture *f = *state;
	char id[UUID_TEXT];

	add_policy(f, LAST(2), false, id);
	for (unsigned i = 0; i < 8; i++) {
		char plan[8];

		snprintf(plan, sizeof(plan), "%u-", i);
		add_plan(f, plan, id);
		add_days(f, plan, "s", 9);
	}
	test_threads(4, keep_all, f);
	assert_int_equal(run_all(f).started, 0);
	assert_string_equal(texts(f, "SELECT CAST(count(*) AS TEXT) FROM operation_links"), "56");
	assert_string_equal(texts(f, "SELECT CAST(count(*) AS TEXT) FROM checkpoints WHERE status "
				     "= 'available'"),
			    "16");
}

struct show_call {
	const char *project, *checkpoint;
	const struct policy_draft *draft;
	size_t most;
	json_t *got;
};

static int explain(struct db_tx *t, void *arg, struct err *e)
{
	struct show_call *c = arg;

	json_decref(c->got);
	c->got = keeper_explain(t, zones, c->project, "a", c->checkpoint, c->most, NOW, e);
	return c->got ? 0 : -1;
}

static int simulate(struct db_tx *t, void *arg, struct err *e)
{
	struct show_call *c = arg;

	json_decref(c->got);
	c->got = keeper_simulate(t, zones, c->project, "a", c->draft, NOW, NOW + 48 * DAY_US, e);
	return c->got ? 0 : -1;
}

#define NIGHTLY                                                                                    \
	"{\"schedules\":[{\"name\":\"s\",\"trigger\":{\"format\":\"crontab\",\"pattern\":"         \
	"\"0 2 * * *\"},\"retention\":{\"daily\":3}}]}"

/* A text of what was got, without the spaces. */
static const char *text_of(const json_t *v)
{
	static char out[4096];
	AUTO_FREE char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

	snprintf(out, sizeof(out), "%s", text);
	return out;
}

static void test_explain(void **state)
{
	struct db_fixture *f = *state;
	struct show_call c = {.project = "p", .most = 2};
	char id[UUID_TEXT];
	json_t *list;

	add_policy(f, NIGHTLY, false, id);
	add_plan(f, "a", id);
	add_days(f, "a", "s", 5);
	OK(db_read(f->db, explain, &c, e));
	list = json_object_get(c.got, "checkpoints");
	assert_int_equal(json_array_size(list), 2);
	assert_true(json_is_true(json_object_get(c.got, "more")));
	assert_int_equal(json_integer_value(json_object_get(c.got, "kept")), 3);
	assert_int_equal(json_integer_value(json_object_get(c.got, "going")), 2);
	assert_string_equal(
		text_of(json_array_get(list, 1)),
		"{\"id\":\"a3\",\"status\":\"available\",\"provider_id\":\"" PROVIDER
		"\",\"copy_of\":null,\"made_by\":\"s\",\"instant_at\":\"2026-11-20T10:00:00Z\","
		"\"keep\":true,\"reasons\":[{\"rule\":\"daily\",\"text\":\"s: daily 2 of 3, the "
		"last of 2026-11-20\",\"until\":\"2026-11-24T02:00:00Z\"}],"
		"\"goes_at\":\"2026-11-24T02:00:00Z\"}");
	c.checkpoint = "a0";
	OK(db_read(f->db, explain, &c, e));
	assert_string_equal(
		text_of(json_object_get(json_array_get(json_object_get(c.got, "checkpoints"), 0),
					"reasons")),
		"[{\"rule\":\"daily\",\"text\":\"s: daily 5 of 3, the last of 2026-11-17\","
		"\"until\":null}]");
	c.checkpoint = "b0";
	FAILS(ERR_NOENT, db_read(f->db, explain, &c, e));
	c.project = "q";
	FAILS(ERR_NOENT, db_read(f->db, explain, &c, e));
	json_decref(c.got);
}

static void test_simulate(void **state)
{
	struct db_fixture *f = *state;
	AUTO(policy) one = OK_PTR(policy_parse_text(LAST(1), strlen(LAST(1)), zones, NOW, e));
	AUTO(policy) eight = OK_PTR(policy_parse_text(NIGHTLY, strlen(NIGHTLY), zones, NOW, e));
	struct policy_draft draft = {.policy = one};
	struct show_call c = {.project = "p", .draft = &draft};
	char id[UUID_TEXT];
	json_t *list;

	add_policy(f, NIGHTLY, false, id);
	add_plan(f, "a", id);
	add_days(f, "a", "s", 5);
	OK(db_read(f->db, simulate, &c, e));
	list = json_object_get(c.got, "going_now");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "id")),
			    "a2");
	assert_string_equal(text_of(json_object_get(c.got, "staying_now")), "[]");
	list = json_object_get(c.got, "timeline");
	assert_int_equal(json_array_size(list), 25);
	assert_string_equal(text_of(json_array_get(list, 24)),
			    "{\"at\":\"2027-01-09T10:00:00Z\",\"checkpoints\":1}");
	/* In place of the plan's own, but the mandatory one holds as well. */
	add_policy(f, LAST(1), true, id);
	draft = (struct policy_draft){.id = id, .policy = eight, .mandatory = true};
	OK(db_read(f->db, simulate, &c, e));
	assert_string_equal(text_of(json_object_get(c.got, "going_now")), "[]");
	assert_string_equal(text_of(json_array_get(json_object_get(c.got, "timeline"), 24)),
			    "{\"at\":\"2027-01-09T10:00:00Z\",\"checkpoints\":6}");
	json_decref(c.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KEEPER_TEST(test_policies),
		KEEPER_TEST(test_a_plan),
		KEEPER_TEST(test_without_rules),
		KEEPER_TEST(test_failures),
		KEEPER_TEST(test_copies_by_themselves),
		KEEPER_TEST(test_mandatory),
		KEEPER_TEST(test_scheduled_rules),
		KEEPER_TEST(test_all_plans),
		KEEPER_TEST(test_several_schedulers),
		KEEPER_TEST(test_explain),
		KEEPER_TEST(test_simulate),
	};

	return db_fixture_run_of(tests, ARRAY_LEN(tests), down);
}
