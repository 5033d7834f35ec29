/* SPDX-License-Identifier: Apache-2.0 */
/* Machines of a plan that belong together: one step for those of each platform, all or none. */
#include <string.h>

#include "core/checkpoint.h"
#include "core/copy.h"
#include "core/jobs.h"
#include "core/json.h"
#include "db_fixture.h"
#include "flow/flow_priv.h"

#define PLAN "30000000-0000-4000-8000-000000000001"
#define FROM "10000000-0000-4000-8000-000000000001"
#define TO "10000000-0000-4000-8000-000000000002"

static struct core core;

/* Machines a and b on platform h1, c on h2; a plan of all. */
static int up(void **state)
{
	struct db_fixture *f;

	db_fixture_up(state);
	f = *state;
	core = (struct core){.db = f->db, .zones = zones_new(NULL)};
	core.flow = OK_PTR(flow_new(f->db, "test", core_kinds, core_operations, e));
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
		db_fixture_do(f,
			      "INSERT INTO platforms (id, project_id, name, description, kind, "
			      "uri, status, "
			      "created_at, updated_at) VALUES ('h%d', 'p', 'h%d', '', 'libvirt', "
			      "'test:', "
			      "'available', 1, 1)",
			      i, i);
	}
	for (const char *id = "abc"; *id; id++)
		db_fixture_do(
			f,
			"INSERT INTO resources (platform_id, type, id, project_id, name, state, "
			"extra_info, first_seen_at, seen_at) VALUES ('h%d', 'OS::Nova::Server', "
			"'%c', "
			"'p', '%c', 'running', '{}', 1, 1)",
			*id == 'c' ? 2 : 1, *id, *id);
	db_fixture_do(
		f,
		"INSERT INTO plans (id, project_id, name, status, provider_id, resources, "
		"selectors, "
		"parameters, created_by, created_at, updated_at, consistency_group) VALUES ('" PLAN
		"', 'p', 'shop', 'started', '" FROM
		"', '[]', '[{\"type\":\"OS::Nova::Server\"}]', '{}', 'a', 1, 1, 1)");
	return 0;
}

static int down(void **state)
{
	flow_free(core.flow);
	zones_free(core.zones);
	return db_fixture_down(state);
}

#define GROUP_TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)

static int protect(struct db_tx *t, void *arg, struct err *e)
{
	char id[UUID_TEXT], operation[UUID_TEXT];
	const struct protect_new n = {.plan = PLAN, .made_by = "manual", .created_by = "user a"};

	(void)arg;
	return checkpoint_protect(&core, t, &n, id, operation, e);
}

static struct flow_step *take(const char *place, const char *kind)
{
	struct flow_step *s = NULL;

	OK(flow_take(core.flow, "me", &place, 1, &s, e));
	assert_non_null(s);
	assert_string_equal(s->kind, kind);
	return s;
}

static void finish(struct flow_step *s, json_t *result)
{
	OK(flow_finish(core.flow, s->id, s->fence, result, NULL, e));
	json_decref(result);
	flow_step_free(s);
}

/* Through what comes before the data: platforms are listed, the plan is looked up. */
static void prepare(struct db_fixture *f)
{
	struct flow_run r = {.flow = core.flow, .db = f->db};
	json_t *result = NULL;

	OK(db_write(f->db, protect, NULL, e));
	db_fixture_do(f, "UPDATE steps SET state = 'done' WHERE kind = 'platform.list'");
	db_fixture_do(f,
		      "UPDATE steps SET unmet = 0, state = 'ready' WHERE kind = 'protect.prepare'");
	r.step = take(FLOW_WORKER, "protect.prepare");
	OK(protect_prepare.run(&r, &result, e));
	finish((struct flow_step *)r.step, result);
}

static json_t *disk(int read)
{
	return json_pack("{s:{s:i, s:i, s:i, s:i}}", "stats", "content_bytes", 100, "read_bytes",
			 read, "new_bytes", read, "stored_bytes", read);
}

static json_t *resource(const char *id, const char *achieved, int read)
{
	return json_pack("{s:s, s:{s:s, s:f}, s:[o]}", "id", id, "consistency", "achieved",
			 achieved, "frozen_seconds", 0.25, "disks", disk(read));
}

/* As a mover tells it. */
static json_t *point(const char *id, int read, json_t *resources)
{
	return json_pack("{s:s, s:i, s:i, s:{s:i, s:i, s:i, s:i}, s:o}", "id", id, "instant_us",
			 5000, "window_us", 70, "stats", "content_bytes", 200, "read_bytes", read,
			 "new_bytes", read, "stored_bytes", read + 5, "resources", resources);
}

/* The steps after preparing run, but the group's; it is given back. */
static struct flow_step *run_the_others(void)
{
	struct flow_step *s, *group = NULL;

	finish(take("mover", "target.init"), json_object());
	for (int i = 0; i < 2; i++) {
		s = take("mover", "checkpoint.protect");
		if (json_array_size(json_object_get(s->input, "resources")) == 2)
			group = s;
		else
			finish(s, point("pc", 9, json_pack("[o]", resource("c", "crash", 9))));
	}
	assert_non_null(group);
	return group;
}

#define ROWS                                                                                       \
	"SELECT id || ':' || coalesce(point_id, '-') || ':' || status || ':' || "                  \
	"coalesce(consistency, '-') || ':' || bytes_read || ':' || bytes_stored || ':' || "        \
	"coalesce(window_us, -1) || ':' || coalesce(frozen_us, -1) FROM checkpoint_resources "

static void test_one_step_for_each_platform(void **state)
{
	struct db_fixture *f = *state;

	prepare(f);
	db_fixture_says(f, "SELECT count(*) FROM steps WHERE kind = 'checkpoint.protect'", "2");
	db_fixture_says(
		f, "SELECT name FROM steps WHERE kind = 'checkpoint.protect' ORDER BY name DESC",
		"protect c protect 2 machines together");
	db_fixture_says(
		f,
		"SELECT count(*) FROM checkpoints WHERE plan LIKE '%\"consistency_group\":true%'",
		"1");
	/* Neither machine of the group is protected by anything else meanwhile. */
	db_fixture_says(
		f,
		"SELECT limit_key FROM step_limits l JOIN steps s ON s.id = l.step_id WHERE s.name "
		"LIKE '%together' AND limit_key LIKE 'resource:%' ORDER BY limit_key",
		"resource:h1/a resource:h1/b");
	finish(run_the_others(), point("pab", 30,
				       json_pack("[o, o]", resource("b", "crash", 20),
						 resource("a", "quiesced", 10))));
	db_fixture_says(
		f, ROWS "ORDER BY id",
		"a:pab:available:quiesced:10:15:70:250000 b:pab:available:crash:20:20:70:250000 "
		"c:pc:available:crash:9:14:70:250000");
	db_fixture_says(f, "SELECT status || bytes_stored || ':' || instant_at FROM checkpoints",
			"available49:5000");
}

static void test_all_or_none(void **state)
{
	struct db_fixture *f = *state;
	struct err why = {0};
	struct flow_step *s;

	prepare(f);
	s = run_the_others();
	err_set(&why, ERR_UNSUPPORTED, "domain b has no agent");
	OK(flow_finish(core.flow, s->id, s->fence, NULL, &why, e));
	flow_step_free(s);
	db_fixture_says(f,
			"SELECT id || coalesce(point_id, '-') || status || reason FROM "
			"checkpoint_resources WHERE id <> 'c' ORDER BY id",
			"a-errordomain b has no agent b-errordomain b has no agent");
	/* What the other platform has goes, too. */
	s = take("mover", "checkpoint.protect");
	assert_true(s->undo);
	finish(s, json_object());
	db_fixture_says(f, "SELECT status FROM checkpoint_resources WHERE id = 'c'", "deleted");
	db_fixture_says(f, "SELECT status FROM checkpoints", "error");
}

static void test_without_a_group(void **state)
{
	struct db_fixture *f = *state;

	db_fixture_do(f, "UPDATE plans SET consistency_group = 0");
	prepare(f);
	db_fixture_says(f, "SELECT name FROM steps WHERE kind = 'checkpoint.protect' ORDER BY name",
			"protect a protect b protect c");
}

static int copy(struct db_tx *t, void *arg, struct err *e)
{
	struct copy_new n = {
		.plan = PLAN, .project = "p", .provider = FROM, .to = TO, .created_by = "user a"};
	json_t *pairs = NULL;
	int rc = copy_start(&core, t, &n, &pairs, e);

	(void)arg;
	json_decref(pairs);
	return rc;
}

static void test_copied_once(void **state)
{
	struct db_fixture *f = *state;
	struct flow_step *s;

	prepare(f);
	finish(run_the_others(), point("pab", 30,
				       json_pack("[o, o]", resource("a", "quiesced", 10),
						 resource("b", "quiesced", 20))));
	OK(db_write(f->db, copy, NULL, e));
	db_fixture_says(f, "SELECT count(*) FROM steps WHERE kind = 'checkpoint.copy'", "2");
	finish(take("mover", "target.init"), json_object());
	for (int i = 0; i < 2; i++) {
		s = take("mover", "checkpoint.copy");
		if (strcmp(json_text_in(s->input, "point"), "pab") == 0)
			finish(s, json_pack("{s:[{s:o}]}", "copies", "point",
					    point("qab", 3,
						  json_pack("[o, o]", resource("a", "quiesced", 1),
							    resource("b", "quiesced", 2)))));
		else
			finish(s, json_pack("{s:[{s:o}]}", "copies", "point",
					    point("qc", 4,
						  json_pack("[o]", resource("c", "crash", 4)))));
	}
	db_fixture_says(
		f, ROWS "WHERE repository_id = 'r2' ORDER BY id",
		"a:qab:available:quiesced:1:6:70:250000 b:qab:available:quiesced:2:2:70:250000 "
		"c:qc:available:crash:4:9:70:250000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GROUP_TEST(test_one_step_for_each_platform),
		GROUP_TEST(test_all_or_none),
		GROUP_TEST(test_without_a_group),
		GROUP_TEST(test_copied_once),
	};

	return db_fixture_run_of(tests, ARRAY_LEN(tests), down);
}
