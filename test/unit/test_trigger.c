/* SPDX-License-Identifier: Apache-2.0 */
/* Triggers and scheduled operations as things: checks, changes, events. */
#include <string.h>

#include "trigger_fixture.h"

#define HOUR (3600 * S)

static void test_what_is_wrong_is_named(void **state)
{
	static const struct {
		const char *type, *properties, *named;
	} rows[] = {
		{"time", "{'format': 'crontab'}", "pattern"},
		{"time", "{'pattern': '* * * * *'}", "format"},
		{"time", "{'format': 'cron', 'pattern': '* * * * *'}", "format"},
		{"time", "{'format': 'crontab', 'pattern': '61 * * * *'}", "minute"},
		{"time", "{'format': 'crontab', 'pattern': '0 0 30 2 *'}", "never"},
		{"time", "{'format': 'calendar', 'pattern': 'FREQ=DAILY'}", "RRULE:"},
		{"time", "{'format': 'calendar', 'pattern': 'RRULE:FREQ=MINUTELY'}", "MINUTELY"},
		{"time", "{'format': 'crontab', 'pattern': '@daily', 'timezone': 'Berlin'}",
		 "timezone"},
		{"time", "{'format': 'crontab', 'pattern': '@daily', 'window': 5}", "window"},
		{"time", "{'format': 'crontab', 'pattern': '@daily', 'start_time': 'now'}",
		 "start_time"},
		{"time", "{'format': 'crontab', 'pattern': '@daily', 'colour': 'red'}", "colour"},
		{"time", "[]", "properties"},
		{"space", "{}", "Invalid trigger type:space"},
		{"event", "{}", "event"},
		{"event", "{'event': 'sunrise'}", "event"},
		{"event", "{'event': 'webhook', 'kind': 'protect'}", "kind"},
		{"event", "{'event': 'operation'}", "kind"},
		{"event", "{'event': 'operation', 'kind': 'protect', 'state': 'dull'}", "state"},
		{"event", "{'event': 'operation', 'kind': 5}", "kind"},
	};
	struct trigger_fixture *x = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};

		if (try_trigger(x, rows[i].type, rows[i].properties, NULL, NULL, &e) == 0)
			fail_msg("%s was taken", rows[i].properties);
		if (e.kind != ERR_INVALID || !strstr(e.msg, rows[i].named))
			fail_msg("%s: %s", rows[i].properties, e.msg);
	}
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM triggers"), 0);
}

struct change {
	struct trigger_fixture *x;
	const char *id, *project, *name, *properties;
	int enabled; /* -1: as it is */
	bool remove;
	struct trigger *now;
};

static int change(struct db_tx *t, void *arg, struct err *e)
{
	struct change *c = arg;
	AUTO(trigger) g = NULL;

	if (c->remove)
		return trigger_remove(t, c->project, c->id, e);
	g = trigger_load(t, c->project, c->id, e);
	if (!g)
		return -1;
	if (c->enabled >= 0)
		g->enabled = c->enabled;
	if (c->properties) {
		json_decref(g->properties);
		g->properties = json_loads(c->properties, 0, NULL);
	}
	if (trigger_store(t, c->x->zones, g, c->x->now_us, e) < 0)
		return -1;
	trigger_free(c->now);
	c->now = trigger_load(t, c->project, c->id, e);
	return c->now ? 0 : -1;
}

static void test_enabled_counts_from_now(void **state)
{
	struct trigger_fixture *x = *state;
	struct change c = {.x = x, .project = "p", .enabled = 0};
	char id[UUID_TEXT];

	new_trigger(x, "{'format': 'crontab', 'pattern': '0 * * * *'}", id);
	new_scheduled(x, id, "a", NULL);
	c.id = id;
	OK(db_write(x->db.db, change, &c, e));
	/* What it would do stays known. */
	assert_true(c.now->next_at_us == NOW + HOUR);
	x->now_us = NOW + 3 * HOUR + S;
	assert_int_equal(run_scheduler(x, NULL).fired, 0);
	c.enabled = 1;
	OK(db_write(x->db.db, change, &c, e));
	assert_true(c.now->next_at_us == NOW + 4 * HOUR);
	assert_int_equal(run_scheduler(x, NULL).fired, 0);
	x->now_us = NOW + 4 * HOUR;
	assert_int_equal(run_scheduler(x, NULL).fired, 1);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM firings"), 1);
	/* Another schedule, too, counts from now on; what was dealt with is not done again. */
	x->now_us = NOW + HOUR;
	c.properties = "{\"format\": \"crontab\", \"pattern\": \"*/30 * * * *\"}";
	OK(db_write(x->db.db, change, &c, e));
	assert_true(c.now->next_at_us == NOW + 4 * HOUR + HOUR / 2);
	assert_non_null(json_object_get(c.now->properties, "start_time"));
	trigger_free(c.now);
}

static void test_in_use_and_strangers(void **state)
{
	struct trigger_fixture *x = *state;
	struct change c = {.x = x, .project = "other", .enabled = -1, .remove = true};
	char id[UUID_TEXT];

	new_trigger(x, "{'format': 'crontab', 'pattern': '@daily'}", id);
	new_scheduled(x, id, "a", NULL);
	c.id = id;
	FAILS(ERR_NOENT, db_write(x->db.db, change, &c, e));
	c.project = "p";
	FAILS(ERR_BUSY, db_write(x->db.db, change, &c, e));
	c.remove = false;
	c.properties = "{\"event\": \"webhook\"}";
	FAILS(ERR_INVALID, db_write(x->db.db, change, &c, e));
	tell_db(x->db.db, "DELETE FROM scheduled_operations");
	x->now_us = NOW + 30 * HOUR;
	assert_int_equal(run_scheduler(x, NULL).skipped, 1);
	c.remove = true;
	OK(db_write(x->db.db, change, &c, e));
	/* Its firings go with it. */
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM firings"), 0);
	FAILS(ERR_NOENT, db_write(x->db.db, change, &c, e));
}

/* ---- scheduled operations ---- */

struct scheduling {
	const char *definition, *type, *trigger, *project;
};

static int schedule(struct db_tx *t, void *arg, struct err *e)
{
	struct scheduling *k = arg;
	AUTO(scheduled_operation) s = xcalloc(1, sizeof(*s));

	snprintf(s->project, sizeof(s->project), "%s", k->project);
	snprintf(s->trigger, sizeof(s->trigger), "%s", k->trigger);
	s->name = xstrdup("a");
	s->operation_type = xstrdup(k->type);
	s->created_by = xstrdup("me");
	s->definition = json_loads(k->definition, 0, NULL);
	return scheduled_insert(t, s, 0, e);
}

static void test_scheduled_operations_are_checked(void **state)
{
#define IDS "\"plan_id\": \"" PLAN "\", \"provider_id\": \"" PROVIDER "\""
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT];
	const struct {
		struct scheduling k;
		const char *named; /* NULL: good */
	} rows[] = {
		{{"{" IDS "}", "protect", id, "p"}, NULL},
		{{"{" IDS ", \"max_backups\": 3, \"retention_duration\": \"14\"}",
		  "retention_protect", id, "p"},
		 NULL},
		{{"{" IDS ", \"max_backups\": -1}", "retention_protect", id, "p"}, NULL},
		{{"{" IDS ", \"max_backups\": 0}", "retention_protect", id, "p"}, "max_backups"},
		{{"{" IDS ", \"max_backups\": \"many\"}", "protect", id, "p"}, "max_backups"},
		{{"{" IDS "}", "destroy", id, "p"}, "operation_type"},
		{{"{" IDS "}", "protect", PLAN, "p"}, "trigger_id"},
		{{"{" IDS "}", "protect", id, "other"}, "trigger_id"},
		{{"{\"plan_id\": \"" PLAN "\"}", "protect", id, "p"}, "provider_id"},
		{{"{\"plan_id\": \"" PLAN "\", \"provider_id\": \"x\"}", "protect", id, "p"},
		 "provider_id"},
		{{"{\"plan_id\": \"x\", \"provider_id\": \"" PROVIDER "\"}", "protect", id, "p"},
		 "plan_id"},
	};

	new_trigger(x, "{'format': 'crontab', 'pattern': '@daily'}", id);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err e = {0};
		int status = db_write(x->db.db, schedule, (void *)&rows[i].k, &e);

		if (rows[i].named ? status == 0 || !strstr(e.msg, rows[i].named) : status < 0)
			fail_msg("%zu: %s", i, e.msg);
	}
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM scheduled_operations"), 3);
}

static int disable(struct db_tx *t, void *arg, struct err *e)
{
	return scheduled_set_enabled(t, "p", arg, false, 7, e);
}

static int remove_scheduled(struct db_tx *t, void *arg, struct err *e)
{
	if (scheduled_uses_plan(t, PLAN, e) != 1)
		return err_set(e, ERR_INTERNAL, "the plan is not used");
	return scheduled_remove(t, "p", arg, e) < 0 ? -1 : scheduled_uses_plan(t, PLAN, e);
}

static void test_disabled_ones_do_nothing(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT], a[UUID_TEXT];

	new_trigger(x, "{'format': 'crontab', 'pattern': '0 * * * *'}", id);
	new_scheduled(x, id, "a", a);
	OK(db_write(x->db.db, disable, a, e));
	x->now_us = NOW + HOUR;
	assert_int_equal(run_scheduler(x, NULL).skipped, 1);
	OK(db_write(x->db.db, remove_scheduled, a, e));
	FAILS(ERR_NOENT, db_write(x->db.db, disable, a, e));
}

struct listing {
	const struct table *table;
	struct list_query q;
	json_t *items;
};

static int list(struct db_tx *t, void *arg, struct err *e)
{
	struct listing *l = arg;
	bool more;

	json_decref(l->items);
	l->items = NULL;
	return table_list(t, l->table, &l->q, &l->items, &more, e);
}

static void test_lists(void **state)
{
	struct trigger_fixture *x = *state;
	struct listing l = {.q = {.project = "p", .limit = 10}};
	char id[UUID_TEXT];

	new_trigger(x, "{'format': 'crontab', 'pattern': '0 * * * *'}", id);
	new_scheduled(x, id, "a", NULL);
	x->now_us = NOW + HOUR;
	run_scheduler(x, NULL);
	const struct table *tables[] = {&trigger_table, &firing_table, &scheduled_table};

	for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
		l.table = tables[i];
		l.q.project = "p";
		OK(db_read(x->db.db, list, &l, e));
		assert_int_equal(json_array_size(l.items), 1);
		l.q.project = "other";
		OK(db_read(x->db.db, list, &l, e));
		assert_int_equal(json_array_size(l.items), 0);
	}
	json_decref(l.items);
}

/* ---- events ---- */

struct call {
	const char *id, *token, *event;
	bool fresh;
	struct trigger_event ev;
	unsigned fired;
};

static int call(struct db_tx *t, void *arg, struct err *e)
{
	struct call *c = arg;

	return trigger_call(t, c->id, c->token, c->event, NOW, &c->fresh, e);
}

static int new_token(struct db_tx *t, void *arg, struct err *e)
{
	struct call *c = arg;

	return trigger_new_token(t, "p", c->id, (char *)c->token, e);
}

static void test_webhooks(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT], token[TRIGGER_TOKEN] = "", other[TRIGGER_TOKEN] = "";
	struct call c = {id, token, "1", false, {0}, 0};

	OK(try_trigger(x, "event", "{'event': 'webhook'}", id, token, e));
	new_scheduled(x, id, "a", NULL);
	assert_int_equal(strlen(token), 64);
	assert_int_equal(
		ask_number(x->db.db, "SELECT count(*) FROM triggers WHERE token_hash IS NULL"), 0);
	/* Twice the same event, at the same time another one, and one without a name. */
	for (int i = 0; i < 4; i++) {
		c.event = i < 2 ? "1" : i == 2 ? "2" : NULL;
		OK(db_write(x->db.db, call, &c, e));
		assert_true(c.fresh == (i != 1));
	}
	assert_int_equal(run_scheduler(x, NULL).fired, 3);
	assert_int_equal(run_scheduler(x, NULL).fired, 0);
	c.event = "1";
	OK(db_write(x->db.db, call, &c, e));
	assert_false(c.fresh);
	assert_int_equal(ask_number(x->db.db, "SELECT count(*) FROM started"), 3);
	c.token = "0123";
	FAILS(ERR_DENIED, db_write(x->db.db, call, &c, e));
	c.id = PLAN;
	FAILS(ERR_DENIED, db_write(x->db.db, call, &c, e));
	c = (struct call){id, other, "", false, {0}, 0};
	OK(db_write(x->db.db, new_token, &c, e));
	FAILS(ERR_INVALID, db_write(x->db.db, call, &c, e));
	c.token = token;
	c.event = "9";
	FAILS(ERR_DENIED, db_write(x->db.db, call, &c, e));
}

static void test_a_flood_of_calls_is_held_back(void **state)
{
	struct trigger_fixture *x = *state;
	char id[UUID_TEXT], token[TRIGGER_TOKEN];
	struct call c = {id, token, NULL, false, {0}, 0};
	struct change g = {.x = x, .id = id, .project = "p", .enabled = 0};

	OK(try_trigger(x, "event", "{'event': 'webhook'}", id, token, e));
	new_scheduled(x, id, "a", NULL);
	for (int i = 0; i < TRIGGER_PENDING_MAX; i++)
		OK(db_write(x->db.db, call, &c, e));
	FAILS(ERR_LIMIT, db_write(x->db.db, call, &c, e));
	assert_int_equal(run_scheduler(x, NULL).fired, TRIGGER_PENDING_MAX);
	OK(db_write(x->db.db, call, &c, e));
	/* What waits when it is disabled does not happen later. */
	OK(db_write(x->db.db, change, &g, e));
	FAILS(ERR_DENIED, db_write(x->db.db, call, &c, e));
	g.enabled = 1;
	OK(db_write(x->db.db, change, &g, e));
	assert_int_equal(run_scheduler(x, NULL).fired, 0);
	OK(db_write(x->db.db, call, &c, e));
	assert_int_equal(run_scheduler(x, NULL).fired, 1);
	trigger_free(g.now);
}

static int tell(struct db_tx *t, void *arg, struct err *e)
{
	struct call *c = arg;

	return trigger_tell(t, &c->ev, NOW, &c->fired, e);
}

static void test_operations_fire_triggers(void **state)
{
	struct trigger_fixture *x = *state;
	char any[UUID_TEXT], of_plan[UUID_TEXT], failed[UUID_TEXT];
	struct call c = {.ev = {"op1", "p", "protect", "succeeded", PLAN, NULL}};

	new_trigger(x, "{'event': 'operation', 'kind': 'protect'}", any);
	new_trigger(x, "{'event': 'operation', 'kind': 'protect', 'plan_id': '" PLAN "'}", of_plan);
	new_trigger(x, "{'event': 'operation', 'kind': 'protect', 'state': 'failed'}", failed);
	OK(db_write(x->db.db, tell, &c, e));
	assert_int_equal(c.fired, 2);
	OK(db_write(x->db.db, tell, &c, e));
	assert_int_equal(c.fired, 0);
	c.ev = (struct trigger_event){"op2", "p", "protect", "failed", NULL, NULL};
	OK(db_write(x->db.db, tell, &c, e));
	assert_int_equal(c.fired, 1);
	c.ev = (struct trigger_event){"op3", "p", "restore", "succeeded", PLAN, NULL};
	OK(db_write(x->db.db, tell, &c, e));
	assert_int_equal(c.fired, 0);
	c.ev = (struct trigger_event){"op4", "other", "protect", "succeeded", PLAN, NULL};
	OK(db_write(x->db.db, tell, &c, e));
	assert_int_equal(c.fired, 0);
	/* What it had started itself does not fire it again. */
	c.ev = (struct trigger_event){"op5", "p", "protect", "succeeded", PLAN, any};
	OK(db_write(x->db.db, tell, &c, e));
	assert_int_equal(c.fired, 1);
	new_scheduled(x, any, "a", NULL);
	new_scheduled(x, of_plan, "b", NULL);
	assert_int_equal(run_scheduler(x, NULL).fired, 3);
	assert_int_equal(
		ask_number(x->db.db, "SELECT count(*) FROM firings WHERE state = 'skipped'"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRIGGER_TEST(test_what_is_wrong_is_named),
		TRIGGER_TEST(test_enabled_counts_from_now),
		TRIGGER_TEST(test_in_use_and_strangers),
		TRIGGER_TEST(test_scheduled_operations_are_checked),
		TRIGGER_TEST(test_disabled_ones_do_nothing),
		TRIGGER_TEST(test_lists),
		TRIGGER_TEST(test_webhooks),
		TRIGGER_TEST(test_a_flood_of_calls_is_held_back),
		TRIGGER_TEST(test_operations_fire_triggers),
	};

	return trigger_fixture_run(tests, ARRAY_LEN(tests));
}
