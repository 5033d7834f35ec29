/* SPDX-License-Identifier: Apache-2.0 */
/* What is done by itself: copies, verifications, windows and limits of policies; upkeep. */
#include "core/duties.h"

#include <string.h>

#include "base/human.h"
#include "core/checkpoint.h"
#include "core/jobs.h"
#include "core/keeper.h"
#include "core/limits.h"
#include "core/upkeep.h"
#include "core/window.h"
#include "db_fixture.h"
#include "flow/flow_priv.h"

#define SECOND_US 1000000ULL
#define MINUTE_US (60 * SECOND_US)
#define DAY_US (86400 * SECOND_US)
#define NOW (1795341600 * SECOND_US) /* 2026-11-22 10:00 UTC, a Sunday */
#define FROM "10000000-0000-4000-8000-000000000001"
#define TO "10000000-0000-4000-8000-000000000002"

static struct core core;
static uint64_t now;

static uint64_t standing(void *arg)
{
	(void)arg;
	return now;
}

static int up(void **state)
{
	struct db_fixture *f;

	db_fixture_up(state);
	f = *state;
	now = NOW;
	core = (struct core){.db = f->db, .zones = zones_new(NULL)};
	core.flow = OK_PTR(flow_new(f->db, "test", core_kinds, core_operations, e));
	core.flow->now = standing;
	flow_set_user(core.flow, &core);
	for (int i = 1; i <= 2; i++) {
		db_fixture_do(
			f,
			"INSERT INTO targets (id, name, description, url, options, status, "
			"created_at, "
			"updated_at) VALUES ('t%d', 't', '', 'dir:/t%d', '{}', 'available', 1, 1)",
			i, i);
		db_fixture_do(
			f,
			"INSERT INTO providers (id, name, description, target_id, created_at, "
			"updated_at) VALUES ('%s', 'p', '', 't%d', 1, 1)",
			i == 1 ? FROM : TO, i);
		db_fixture_do(f,
			      "INSERT INTO repositories (id, target_id, project_id, url, "
			      "created_at, made_at) "
			      "VALUES ('r%d', 't%d', 'p', 'dir:/t%d/p', 1, 1)",
			      i, i, i);
	}
	return 0;
}

static int down(void **state)
{
	flow_free(core.flow);
	zones_free(core.zones);
	return db_fixture_down(state);
}

#define DUTIES_TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

/* The plan a with the policy y. */
static void add_plan(struct db_fixture *f, const char *spec)
{
	db_fixture_do(f,
		      "INSERT INTO policies (id, name, description, spec, mandatory, created_by, "
		      "created_at, "
		      "updated_at) VALUES ('y', 'y', '', '%s', 0, 'a', 1, 1)",
		      spec);
	db_fixture_do(
		f,
		"INSERT INTO plans (id, project_id, name, status, provider_id, policy_id, "
		"resources, "
		"selectors, parameters, created_by, created_at, updated_at) VALUES ('a', 'p', 'a', "
		"'started', '" FROM "', 'y', '[]', '[]', '{}', 'a', 1, 1)");
}

static void add_checkpoint(struct db_fixture *f, const char *id, uint64_t at_us)
{
	db_fixture_do(
		f,
		"INSERT INTO checkpoints (id, project_id, provider_id, plan_id, plan, status, "
		"extra_info, made_by, hold, instant_at, created_at, ended_at, good_at, "
		"bytes_total, "
		"bytes_read, bytes_new, bytes_stored) VALUES ('%s', 'p', '" FROM "', 'a', '{}', "
		"'available', '{}', 's', 0, %llu, %llu, %llu, %llu, 0, 0, 0, 0)",
		id, (long long)at_us, (long long)at_us, (long long)at_us, (long long)at_us);
	db_fixture_do(
		f,
		"INSERT INTO checkpoint_resources (checkpoint_id, platform_id, type, id, name, "
		"extra_info, repository_id, point_id, status, bytes_total, bytes_read, bytes_new, "
		"bytes_stored) VALUES ('%s', 'h', 'OS::Nova::Server', 'v', 'v', '{}', 'r1', 'x', "
		"'available', 0, 0, 0, 0)",
		id);
}

static int see_to(struct db_tx *t, void *arg, struct err *e)
{
	return duties_plan(&core, t, "a", now, arg, e);
}

/* How many operations looking after the plan starts. */
static size_t started(struct db_fixture *f)
{
	size_t n;

	OK(db_write(f->db, see_to, &n, e));
	return n;
}

#define COPYING "SELECT copy_of FROM checkpoints WHERE status = 'copying'"

static void end_copy(struct db_fixture *f, const char *status)
{
	db_fixture_do(
		f,
		"UPDATE checkpoints SET status = '%s', ended_at = %llu, good_at = CASE '%s' WHEN "
		"'error' "
		"THEN NULL ELSE %llu END WHERE status = 'copying'",
		status, (long long)now, status, (long long)now);
}

static void test_copies(void **state)
{
	struct db_fixture *f = *state;

	add_plan(f, "{\"copy\":{\"provider_id\":\"" TO "\"}}");
	assert_int_equal(started(f), 0);
	add_checkpoint(f, "k1", NOW - 3 * DAY_US);
	add_checkpoint(f, "k2", NOW - 2 * DAY_US);
	add_checkpoint(f, "bad", NOW - DAY_US);
	db_fixture_do(f,
		      "UPDATE checkpoints SET verified_at = 1, verified_ok = 0 WHERE id = 'bad'");
	/* One at a time, the oldest first. */
	assert_int_equal(started(f), 1);
	db_fixture_says(f, COPYING, "k1");
	db_fixture_says(f, "SELECT created_by || ' ' || kind FROM operations", "policy copy");
	assert_int_equal(started(f), 0);
	/* A failure does not hold up the next one, and is tried again after a while. */
	end_copy(f, "error");
	assert_int_equal(started(f), 1);
	db_fixture_says(f, COPYING, "k2");
	end_copy(f, "available");
	now += DUTIES_PAUSE_US - 1;
	assert_int_equal(started(f), 0);
	now += 1;
	assert_int_equal(started(f), 1);
	end_copy(f, "error");
	now += DUTIES_PAUSE_US;
	assert_int_equal(started(f), 0);
	now += DUTIES_PAUSE_US;
	assert_int_equal(started(f), 1);
	end_copy(f, "error");
	/* It failed in a future that a clock has left. */
	now -= 100 * DAY_US;
	assert_int_equal(started(f), 1);
	end_copy(f, "available");
	/* What its own retention removed stays away. */
	db_fixture_do(f, "UPDATE checkpoints SET status = 'deleted' WHERE copy_of = 'k1'");
	assert_int_equal(started(f), 0);
}

static int explain(struct db_tx *t, void *arg, struct err *e)
{
	json_t **ret = arg;

	json_decref(*ret);
	*ret = keeper_explain(t, core.zones, NULL, "a", NULL, 10, now, e);
	return *ret ? 0 : -1;
}

/* How many stay, and whether the one at `i` (the newest is the first) does because it is not
 * copied. */
static void check_kept(struct db_fixture *f, json_int_t kept, size_t i, bool awaited)
{
	json_t *told = NULL, *reason;
	bool found = false;
	size_t k;

	OK(db_read(f->db, explain, &told, e));
	assert_int_equal(json_integer_value(json_object_get(told, "kept")), kept);
	json_array_foreach(
		json_object_get(json_array_get(json_object_get(told, "checkpoints"), i), "reasons"),
		k, reason) found |= strcmp(json_text_in(reason, "rule"), "copy") == 0;
	json_decref(told);
	assert_int_equal(found, awaited);
}

static void test_kept_until_copied(void **state)
{
	struct db_fixture *f = *state;

	add_plan(f, "{\"schedules\":[{\"name\":\"s\",\"retention\":{\"last\":1}}],\"copy\":{"
		    "\"provider_id\":\"" TO "\",\"keep_until_copied\":true}}");
	add_checkpoint(f, "k1", NOW - 3 * DAY_US);
	add_checkpoint(f, "k2", NOW - 2 * DAY_US);
	check_kept(f, 2, 1, true);
	assert_int_equal(started(f), 1);
	check_kept(f, 3, 1, true); /* with the copy, which is being made */
	end_copy(f, "available");
	check_kept(f, 2, 1, false); /* k1 goes */
	db_fixture_do(f, "UPDATE checkpoints SET status = 'deleted' WHERE copy_of IS NOT NULL");
	check_kept(f, 1, 1, false);
	check_kept(f, 1, 0, true);
}

#define VERIFIED "SELECT checkpoint_id FROM verifications WHERE status = 'in_progress' ORDER BY id"

static void end_verification(struct db_fixture *f, bool ran)
{
	if (ran)
		db_fixture_do(
			f,
			"UPDATE checkpoints SET verified_at = %llu, verified_ok = 1 WHERE id IN "
			"(SELECT checkpoint_id FROM verifications WHERE status = 'in_progress')",
			(long long)now + 1);
	db_fixture_do(
		f,
		"UPDATE verifications SET status = '%s', created_at = %llu, ended_at = %llu WHERE "
		"status "
		"= 'in_progress'",
		ran ? "success" : "fail", (long long)now, (long long)now);
}

static void test_verify_new_ones(void **state)
{
	struct db_fixture *f = *state;

	add_plan(f, "{\"verify\":{\"after\":2,\"depth\":\"structure\"}}");
	add_checkpoint(f, "k1", NOW - 9 * DAY_US);
	assert_int_equal(started(f), 0);
	add_checkpoint(f, "k2", NOW - 8 * DAY_US);
	add_checkpoint(f, "k3", NOW - 7 * DAY_US);
	assert_int_equal(started(f), 1);
	db_fixture_says(f, VERIFIED, "k2");
	db_fixture_says(f, "SELECT parameters FROM verifications",
			"{\"OS::Nova::Server\":{\"depth\":\"structure\"}}");
	assert_int_equal(started(f), 0);
	/* It could not be read: that says nothing of it. */
	end_verification(f, false);
	assert_int_equal(started(f), 0);
	now += DUTIES_PAUSE_US;
	assert_int_equal(started(f), 1);
	db_fixture_says(f, VERIFIED, "k2");
	end_verification(f, true);
	assert_int_equal(started(f), 0);
	add_checkpoint(f, "k4", NOW - 6 * DAY_US);
	assert_int_equal(started(f), 1);
	db_fixture_says(f, VERIFIED, "k4");
}

static void test_verify_old_ones(void **state)
{
	struct db_fixture *f = *state;

	add_plan(f, "{\"verify\":{\"every_days\":8}}");
	add_checkpoint(f, "k1", NOW - 7 * DAY_US + 1);
	add_checkpoint(f, "k2", NOW - 2 * DAY_US);
	assert_int_equal(started(f), 0);
	now += 1;
	assert_int_equal(started(f), 1);
	db_fixture_says(f, VERIFIED, "k1");
	end_verification(f, true);
	now += 5 * DAY_US;
	assert_int_equal(started(f), 1);
	db_fixture_says(f, VERIFIED, "k2");
	end_verification(f, true);
	now += 2 * DAY_US + 1;
	assert_int_equal(started(f), 1);
	db_fixture_says(f, VERIFIED, "k1");
}

static void test_all_plans(void **state)
{
	struct db_fixture *f = *state;
	struct duties_report report;

	add_plan(f, "{\"verify\":{\"after\":1}}");
	add_checkpoint(f, "k1", NOW - DAY_US);
	db_fixture_do(f, "INSERT INTO policies (id, name, description, spec, mandatory, "
			 "created_by, created_at, "
			 "updated_at) VALUES ('z', 'z', '', '{\"verify\":7}', 0, 'a', 1, 1)");
	db_fixture_do(
		f,
		"INSERT INTO plans (id, project_id, name, status, provider_id, policy_id, "
		"resources, "
		"selectors, parameters, created_by, created_at, updated_at) SELECT 'b', 'p', 'b', "
		"'started', provider_id, 'z', '[]', '[]', '{}', 'a', 1, 1 FROM plans");
	db_fixture_do(f, "UPDATE checkpoints SET plan_id = 'b' WHERE id = 'none'");
	add_checkpoint(f, "k2", NOW - DAY_US);
	db_fixture_do(f, "UPDATE checkpoints SET plan_id = 'b' WHERE id = 'k2'");
	OK(duties_run(&core, now, &report, e));
	assert_int_equal(report.started, 1);
	assert_int_equal(report.walk.failed, 1);
	assert_string_equal(report.walk.plan, "b");
}

/* ---- windows ---- */

#define NIGHT "{\"window\":{\"start\":\"22:00\",\"end\":\"06:00\"}}"

struct admission {
	struct scheduled_operation s;
	struct err why;
};

static int admit(struct db_tx *t, void *arg, struct err *e)
{
	struct admission *a = arg;

	(void)e;
	a->why = (struct err){ERR_NONE};
	window_admit(&core, t, &a->s, now, &a->why);
	return 0;
}

static enum err_kind admitted(struct db_fixture *f)
{
	struct admission a = {.s = {.id = "s", .plan = "a", .trigger = "g"}};

	OK(db_read(f->db, admit, &a, e));
	return a.why.kind;
}

static int protect(struct db_tx *t, void *arg, struct err *e)
{
	char id[UUID_TEXT], operation[UUID_TEXT];
	const struct protect_new n = {.plan = "a",
				      .made_by = arg ? "s" : "manual",
				      .created_by = arg ? "schedule s" : "user a",
				      .scheduled = arg};

	return checkpoint_protect(&core, t, &n, id, operation, e);
}

static bool taken(void)
{
	static const char *const places[] = {FLOW_WORKER};
	AUTO(flow_step) s = NULL;

	OK(flow_take(core.flow, "me", places, 1, &s, e));
	return s != NULL;
}

static void set_misfire(struct db_fixture *f, const char *rule)
{
	db_fixture_do(
		f,
		"UPDATE triggers SET properties = '{\"format\":\"crontab\",\"pattern\":\"@hourly\","
		"\"misfire\":\"%s\",\"misfire_limit\":2}'",
		rule);
}

static void add_schedule(struct db_fixture *f)
{
	add_plan(f, NIGHT);
	db_fixture_do(
		f,
		"INSERT INTO triggers (id, project_id, name, type, properties, enabled, last_at, "
		"claim_until, created_by, created_at, updated_at) VALUES ('g', 'p', 'g', 'time', "
		"'{}', 1, 1, 0, 'a', 1, 1)");
	db_fixture_do(f, "INSERT INTO scheduled_operations (id, project_id, name, operation_type, "
			 "trigger_id, "
			 "plan_id, operation_definition, enabled, created_by, created_at, "
			 "updated_at) VALUES "
			 "('s', 'p', 's', 'protect', 'g', 'a', '{}', 1, 'a', 1, 1)");
}

static void test_window_at_firing(void **state)
{
	struct db_fixture *f = *state;

	add_schedule(f);
	set_misfire(f, "skip");
	assert_int_equal(admitted(f), ERR_EXISTS);
	set_misfire(f, "once");
	assert_int_equal(admitted(f), ERR_NONE);
	OK(db_write(f->db, protect, (void *)"s", e));
	assert_int_equal(admitted(f), ERR_EXISTS);
	set_misfire(f, "all");
	assert_int_equal(admitted(f), ERR_NONE);
	OK(db_write(f->db, protect, (void *)"s", e));
	assert_int_equal(admitted(f), ERR_EXISTS);
	/* In the window everything is admitted. */
	now = NOW + 12 * 60 * MINUTE_US;
	set_misfire(f, "skip");
	assert_int_equal(admitted(f), ERR_NONE);
}

static void test_window_of_steps(void **state)
{
	struct db_fixture *f = *state;

	add_schedule(f);
	set_misfire(f, "once");
	OK(db_write(f->db, protect, (void *)"s", e));
	assert_false(taken());
	db_fixture_says(f, "SELECT state FROM operations", "queued");
	db_fixture_says(f, "SELECT reason FROM steps",
			"it waits for the window of its policy, until 2026-11-22T22:00:00Z");
	/* It is asked again every few minutes, so that a window that was changed counts. */
	db_fixture_do(f, "UPDATE policies SET spec = '{}'");
	assert_false(taken());
	now += FLOW_PUT_OFF_MOST_US;
	assert_true(taken());
	db_fixture_says(f, "SELECT coalesce(reason, 'none') FROM steps", "none");
	db_fixture_says(f, "SELECT count(*) FROM operation_log WHERE text LIKE '%window%'", "1");
	/* A clock that jumped back does not prolong it. */
	db_fixture_do(f, "UPDATE policies SET spec = '" NIGHT "'");
	OK(db_write(f->db, protect, (void *)"s", e));
	now += 3650 * DAY_US;
	assert_false(taken());
	now -= 3650 * DAY_US;
	OK(flow_look_after(core.flow, now, e));
	now += 12 * 60 * MINUTE_US;
	assert_true(taken());
}

static void test_window_by_hand(void **state)
{
	struct db_fixture *f = *state;

	add_schedule(f);
	OK(db_write(f->db, protect, NULL, e));
	assert_true(taken());
}

static void test_window_skips(void **state)
{
	struct db_fixture *f = *state;

	add_schedule(f);
	set_misfire(f, "skip");
	/* It was admitted in the window, and did not begin before its end. */
	OK(db_write(f->db, protect, (void *)"s", e));
	assert_false(taken());
	db_fixture_says(f, "SELECT state FROM operations", "cancelled");
	db_fixture_says(f, "SELECT status FROM checkpoints", "error");
}

/* ---- limits ---- */

static int told(struct db_tx *t, void *arg, struct err *e)
{
	return limits_add_ways(&core, t, "a", "s", arg, e);
}

static void check_ways(struct db_fixture *f, const char *consistency, const char *want)
{
	json_t *o = json_object();
	AUTO_FREE char *text = NULL;

	if (consistency)
		json_object_set_new(o, "consistency", json_string(consistency));
	OK(db_read(f->db, told, o, e));
	text = json_text(o);
	assert_string_equal(text, want);
	json_decref(o);
}

static int count_under(struct db_tx *t, void *arg, struct err *e)
{
	return limits_of_plan(&core, t, "a", "r2", arg, e);
}

static void test_limits(void **state)
{
	struct db_fixture *f = *state;
	AUTO_LIMITS limits = {0};

	add_plan(f, "{\"schedules\":[{\"name\":\"s\",\"full\":true}],\"consistency\":\"required\","
		    "\"limits\":{\"bandwidth\":4096,\"concurrent\":2}}");
	check_ways(f, NULL, "{\"bytes_per_s\":4096,\"consistency\":\"required\",\"full\":true}");
	check_ways(f, "off", "{\"bytes_per_s\":4096,\"consistency\":\"required\",\"full\":true}");
	OK(db_read(f->db, count_under, &limits, e));
	assert_int_equal(limits.n, 2);
	assert_string_equal(limits.keys[0], "target:t2");
	assert_string_equal(limits.keys[1], "policy:y");
	db_fixture_do(f, "UPDATE policies SET spec = '{}'");
	check_ways(f, "off", "{\"consistency\":\"off\"}");
	limits_done(&limits);
	OK(db_read(f->db, count_under, &limits, e));
	assert_int_equal(limits.n, 1);
}

/* ---- what the server does by itself ---- */

/* Some wait for movers that are gone: the others have their turn all the same. */
static void test_upkeep(void **state)
{
	struct db_fixture *f = *state;

	for (int i = 10; i < 35; i++) {
		db_fixture_do(f,
			      "INSERT INTO platforms (id, name, description, kind, uri, mover_id, "
			      "status, "
			      "discover_at, created_at, updated_at) VALUES ('v%d', 'v', '', "
			      "'libvirt', 'x:', "
			      "'gone', 'unknown', %d, 1, 1)",
			      i, i);
		db_fixture_do(
			f,
			"INSERT INTO targets (id, name, description, url, options, status, "
			"created_at, "
			"updated_at) VALUES ('u%d', 'u', '', 'dir:/u%d', '{}', 'available', 1, 1)",
			i, i);
		db_fixture_do(f,
			      "INSERT INTO repositories (id, target_id, project_id, url, "
			      "created_at, made_at) "
			      "VALUES ('u%d', 'u%d', 'p', 'dir:/u%d/p', 1, 1)",
			      i, i, i);
	}
	for (int i = 0; i < 3; i++)
		OK(upkeep_run(&core, now, UPKEEP_NOTHING, e));
	db_fixture_says(f, "SELECT count(*) FROM operations WHERE kind = 'discover'", "25");
	db_fixture_says(f, "SELECT count(*) FROM operations WHERE kind = 'target_check'", "27");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DUTIES_TEST(test_copies),	   DUTIES_TEST(test_kept_until_copied),
		DUTIES_TEST(test_verify_new_ones), DUTIES_TEST(test_verify_old_ones),
		DUTIES_TEST(test_all_plans),	   DUTIES_TEST(test_window_at_firing),
		DUTIES_TEST(test_window_of_steps), DUTIES_TEST(test_window_by_hand),
		DUTIES_TEST(test_window_skips),	   DUTIES_TEST(test_limits),
		DUTIES_TEST(test_upkeep),
	};

	return db_fixture_run_of(tests, ARRAY_LEN(tests), down);
}
