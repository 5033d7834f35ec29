/* SPDX-License-Identifier: Apache-2.0 */
#include "trigger_fixture.h"

#include <string.h>

const char *trigger_fixture_bad;
enum err_kind trigger_fixture_kind;

struct question {
	const char *sql;
	int64_t number;
	struct buf text;
};

static int ask(struct db_tx *x, void *arg, struct err *e)
{
	struct question *q = arg;
	AUTO(db_rows) r = db_query(x, e, q->sql);
	int have = r ? 1 : -1;

	q->text.len = 0;
	q->number = -1;
	while (have > 0 && (have = db_next(r, e)) > 0) {
		if (q->text.len > 0)
			buf_text(&q->text, "|");
		else
			q->number = db_int(r, 0);
		buf_text(&q->text, db_text(r, 0));
	}
	return have;
}

int64_t ask_number(struct db *d, const char *sql)
{
	struct question q = {.sql = sql};

	OK(db_read(d, ask, &q, e));
	buf_done(&q.text);
	return q.number;
}

char *ask_texts(struct db *d, const char *sql)
{
	struct question q = {.sql = sql};

	OK(db_read(d, ask, &q, e));
	buf_text(&q.text, "");
	return buf_str(&q.text);
}

static int tell(struct db_tx *x, void *arg, struct err *e)
{
	return db_exec(x, NULL, e, arg);
}

void tell_db(struct db *d, const char *sql)
{
	OK(db_write(d, tell, (void *)sql, e));
}

int trigger_fixture_start(struct db_tx *x, const struct scheduled_operation *s, uint64_t at_us,
			  void *arg, struct err *e)
{
	if (trigger_fixture_bad && strcmp(s->name, trigger_fixture_bad) == 0)
		return err_set(e, trigger_fixture_kind, "it will not start");
	return db_exec(x, NULL, e, "INSERT INTO started (scheduled, at, who) VALUES ($1, $2, $3)",
		       db_t(s->name), db_i(at_us), db_t(arg ? arg : ""));
}

void trigger_fixture_fill(struct db *d)
{
	tell_db(d, "INSERT INTO targets (id, project_id, name, description, url, options, status, "
		   "created_at, updated_at) VALUES ('t', 'p', 't', '', 'dir:/t', '{}', 'unknown', "
		   "0, 0)");
	tell_db(d,
		"INSERT INTO providers (id, project_id, name, description, target_id, created_at, "
		"updated_at) VALUES ('" PROVIDER "', 'p', 'x', '', 't', 0, 0)");
	tell_db(d, "INSERT INTO plans (id, project_id, name, status, provider_id, resources, "
		   "selectors, parameters, created_by, created_at, updated_at) VALUES ('" PLAN
		   "', 'p', 'x', 'started', '" PROVIDER "', '[]', '[]', '{}', 'me', 0, 0)");
	tell_db(d, "CREATE TABLE started (scheduled TEXT, at BIGINT, who TEXT)");
}

int trigger_fixture_up(void **state)
{
	struct trigger_fixture *x = xcalloc(1, sizeof(*x));

	assert_true(db_fixture_new(&x->db, *state ? *state : "sqlite"));
	db_fixture_reopen(&x->db);
	trigger_fixture_fill(x->db.db);
	x->zones = zones_new(NULL);
	x->scheduler = scheduler_new(x->db.db, x->zones, trigger_fixture_start, NULL);
	x->now_us = NOW;
	trigger_fixture_bad = NULL;
	trigger_fixture_kind = ERR_INVALID;
	*state = x;
	return 0;
}

int trigger_fixture_down(void **state)
{
	struct trigger_fixture *x = *state;

	scheduler_free(x->scheduler);
	zones_free(x->zones);
	db_fixture_done(&x->db);
	free(x);
	return 0;
}

int trigger_fixture_run(const struct CMUnitTest *tests, size_t n)
{
	return db_fixture_run_of(tests, n, trigger_fixture_down);
}

struct making {
	struct trigger_fixture *x;
	struct trigger *t;
	struct scheduled_operation *s;
	char *token;
};

static int make_trigger(struct db_tx *x, void *arg, struct err *e)
{
	struct making *m = arg;

	return trigger_insert(x, m->x->zones, m->t, "user me", m->x->now_us, m->token, e);
}

static json_t *json_quoted(const char *text)
{
	AUTO_FREE char *copy = xstrdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	return json_loads(copy, JSON_DECODE_ANY, NULL);
}

int try_trigger(struct trigger_fixture *x, const char *type, const char *properties,
		char ret_id[UUID_TEXT], char ret_token[TRIGGER_TOKEN], struct err *e)
{
	AUTO(trigger) t = xcalloc(1, sizeof(*t));
	struct making m = {.x = x, .t = t, .token = ret_token};

	memcpy(t->project, "p", 2);
	t->name = xstrdup("nightly");
	t->type = xstrdup(type);
	t->properties = json_quoted(properties);
	t->enabled = true;
	if (db_write(x->db.db, make_trigger, &m, e) < 0)
		return -1;
	if (ret_id)
		memcpy(ret_id, t->id, UUID_TEXT);
	return 0;
}

void new_trigger(struct trigger_fixture *x, const char *properties, char ret_id[UUID_TEXT])
{
	OK(try_trigger(x, strstr(properties, "event") ? "event" : "time", properties, ret_id, NULL,
		       e));
}

static int make_scheduled(struct db_tx *x, void *arg, struct err *e)
{
	struct making *m = arg;

	return scheduled_insert(x, m->s, m->x->now_us, e);
}

void new_scheduled(struct trigger_fixture *x, const char *trigger, const char *name,
		   char ret_id[UUID_TEXT])
{
	AUTO(scheduled_operation) s = xcalloc(1, sizeof(*s));
	struct making m = {.x = x, .s = s};

	memcpy(s->project, "p", 2);
	memcpy(s->trigger, trigger, UUID_TEXT);
	s->name = xstrdup(name);
	s->operation_type = xstrdup("protect");
	s->created_by = xstrdup("user me");
	s->definition = json_pack("{s:s, s:s}", "plan_id", PLAN, "provider_id", PROVIDER);
	s->enabled = true;
	OK(db_write(x->db.db, make_scheduled, &m, e));
	if (ret_id)
		memcpy(ret_id, s->id, UUID_TEXT);
}

struct scheduler_counts run_scheduler(struct trigger_fixture *x, uint64_t *ret_next_us)
{
	struct scheduler_counts c = {0};
	uint64_t next_us;

	OK(scheduler_run(x->scheduler, x->now_us, &c, &next_us, e));
	if (ret_next_us)
		*ret_next_us = next_us;
	return c;
}
