/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/flow_priv.h"

/* Between two attempts, doubled each time, and less or more by up to a quarter. */
#define PAUSE_FIRST_US UINT64_C(2000000)
#define PAUSE_MOST_US UINT64_C(300000000)
#define TEXT_MOST 65536 /* of input and detail, as JSON */
#define PROJECT_MOST 255

struct flow *flow_new(struct db *d, const char *name, const struct flow_kind *const *kinds,
		      const struct flow_operation_kind *const *operations, struct err *e)
{
	struct flow *f;

	if (!name || !*name || strlen(name) > 200) {
		err_set(e, ERR_INVALID, "a flow needs a name of at most 200 bytes");
		return NULL;
	}
	f = xcalloc(1, sizeof(*f));
	f->db = d;
	f->name = xstrdup(name);
	f->kinds = kinds;
	f->operations = operations;
	f->crowd = crowd_new();
	f->pause_first_us = PAUSE_FIRST_US;
	f->pause_most_us = PAUSE_MOST_US;
	return f;
}

void flow_free(struct flow *f)
{
	if (!f)
		return;
	flow_stop(f, 0);
	crowd_free(f->crowd);
	free(f->name);
	free(f);
}

void flow_set_gate(struct flow *f, bool (*may)(void *arg), void *arg)
{
	f->may = may;
	f->may_arg = arg;
}

void flow_set_user(struct flow *f, void *user)
{
	f->user = user;
}

void *flow_user(const struct flow *f)
{
	return f->user;
}

uint64_t flow_now(const struct flow *f)
{
	return f->now ? f->now(f->now_arg) : clock_wall_us();
}

const struct flow_kind *flow_kind_find(const struct flow *f, const char *name)
{
	for (size_t i = 0; f->kinds && f->kinds[i]; i++)
		if (strcmp(f->kinds[i]->name, name) == 0)
			return f->kinds[i];
	return NULL;
}

const struct flow_operation_kind *flow_operation_find(const struct flow *f, const char *name)
{
	for (size_t i = 0; f->operations && f->operations[i]; i++)
		if (strcmp(f->operations[i]->name, name) == 0)
			return f->operations[i];
	return NULL;
}

bool flow_has_undo(const struct flow_kind *k)
{
	return k && (k->undo || k->undone || k->mover_undoes);
}

uint64_t flow_lease_us(const struct flow_kind *k)
{
	return UINT64_C(1000000) * (k && k->lease_s ? k->lease_s : FLOW_LEASE_S);
}

/*
 * Version 7 of RFC 9562 for SQLite: 48 bits of milliseconds, the rest random, so that new rows are
 * neighbours in the index. In PostgreSQL they must not be: it takes two transactions that touch the
 * same page of an index for such that have seen each other's rows, and makes one of them begin
 * anew.
 */
char *flow_new_id(const struct db_tx *t, uint64_t now_us, char out[UUID_TEXT])
{
	struct uuid u = uuid_random();
	uint64_t ms = now_us / 1000;

	if (*db_skip_locked(t))
		return uuid_text(&u, out);
	for (int i = 0; i < 6; i++)
		u.b[i] = (uint8_t)(ms >> (40 - 8 * i));
	u.b[6] = (uint8_t)((u.b[6] & 0x0f) | 0x70);
	return uuid_text(&u, out);
}

int flow_load_json(const char *text, json_t **ret, struct err *e)
{
	json_error_t why;

	*ret = NULL;
	if (!text)
		return 0;
	*ret = json_loads(text, 0, &why);
	if (!*ret)
		return err_set(e, ERR_CORRUPT, "JSON in the database cannot be read: %s", why.text);
	return 0;
}

char *flow_dump_json(const json_t *j)
{
	return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

/* As flow_dump_json, with a limit. */
static int dump(const json_t *j, const char *what, char **ret, struct err *e)
{
	AUTO_FREE char *text = flow_dump_json(j);

	if (j && (!text || !json_is_object(j)))
		return err_set(e, ERR_INVALID, "%s is not a JSON object", what);
	if (text && strlen(text) > TEXT_MOST)
		return err_set(e, ERR_LIMIT, "%s has %zu bytes; %d are allowed", what, strlen(text),
			       TEXT_MOST);
	*ret = steal(&text);
	return 0;
}

void flow_step_free(struct flow_step *s)
{
	if (!s)
		return;
	free(s->kind);
	free(s->place);
	free(s->project);
	free(s->subject);
	json_decref(s->input);
	json_decref(s->result);
	free(s);
}

struct flow_step *flow_step_load(const struct db_rows *r, struct err *e)
{
	AUTO(flow_step) s = xcalloc(1, sizeof(*s));

	snprintf(s->id, sizeof(s->id), "%s", db_text(r, 0));
	snprintf(s->operation, sizeof(s->operation), "%s", db_text(r, 1));
	s->kind = xstrdup(db_text(r, 2));
	s->place = xstrdup(db_text(r, 3));
	s->project = xstrdup(db_text(r, 4));
	s->subject = xstrdup(db_text(r, 5));
	if (flow_load_json(db_text_or_null(r, 6), &s->input, e) < 0 ||
	    flow_load_json(db_text_or_null(r, 7), &s->result, e) < 0)
		return NULL;
	s->fence = (uint64_t)db_int(r, 8);
	s->attempt = (unsigned)db_int(r, 9);
	s->undo = db_int(r, 10) != 0;
	return steal(&s);
}

/* ---- new operations and steps ---- */

static int check_new(struct flow *f, const struct flow_operation_new *o, struct err *e)
{
	if (!o->kind || !o->project || !o->subject)
		return err_set(e, ERR_INVALID, "an operation needs kind, project and subject");
	if (strlen(o->project) > PROJECT_MOST)
		return err_set(e, ERR_INVALID, "the id of a project has at most %d bytes",
			       PROJECT_MOST);
	if (!flow_operation_find(f, o->kind))
		return err_set(e, ERR_INVALID, "no kind of operation is called \"%s\"", o->kind);
	if (o->priority < -100 || o->priority > 100)
		return err_set(e, ERR_INVALID, "priority %d is not within -100 and 100",
			       o->priority);
	return 0;
}

int flow_start(struct flow *f, struct db_tx *t, const struct flow_operation_new *o,
	       char ret_id[UUID_TEXT], struct err *e)
{
	struct turn x = {.f = f, .t = t, .now = flow_now(f)};
	AUTO_FREE char *detail = NULL;
	char id[UUID_TEXT];
	int64_t change;

	if (check_new(f, o, e) < 0 || dump(o->detail, "detail", &detail, e) < 0)
		return -1;
	flow_new_id(t, x.now, id);
	if (turn_change(&x, &change, e) < 0 ||
	    db_exec(t, NULL, e,
		    "INSERT INTO operations (id, project_id, kind, subject, name, created_by, "
		    "priority, state, ending, undo_begun, cancel_asked, give_up, detail, "
		    "created_at, not_before, deadline_at, steps_added, log_lines, revision, "
		    "changed) VALUES ($1, $2, $3, $4, $5, $6, $7, 'queued', '', 0, 0, 0, $8, $9, "
		    "$10, $11, 0, 0, 1, $12)",
		    db_t(id), db_t(o->project), db_t(o->kind), db_t(o->subject),
		    db_t(o->name ? o->name : o->kind), db_t(o->created_by ? o->created_by : ""),
		    db_i(o->priority), db_t(detail), db_i(x.now), db_i(o->not_before_us),
		    o->deadline_us ? db_i(o->deadline_us) : db_null(), db_i(change)) < 0 ||
	    db_wake(t, WAKE_OPERATIONS, e) < 0)
		return -1;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

/* The operation that steps are added to. */
struct parent {
	int64_t position, priority, created_at, not_before;
	char project[PROJECT_MOST + 1];
};

static int enter(struct db_tx *t, const char *operation, struct parent *ret_p, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "UPDATE operations SET steps_added = steps_added + 1 WHERE "
		     "id = $1 AND ended_at IS NULL AND undo_begun = 0 RETURNING "
		     "steps_added, priority, created_at, not_before, project_id",
		     db_t(operation));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_CONFLICT,
			       "operation %s does not exist, has ended, or is being undone: no "
			       "step can be added",
			       operation);
	*ret_p = (struct parent){.position = db_int(r, 0),
				 .priority = db_int(r, 1),
				 .created_at = db_int(r, 2),
				 .not_before = db_int(r, 3)};
	snprintf(ret_p->project, sizeof(ret_p->project), "%s", db_text(r, 4));
	if (ret_p->position > FLOW_STEPS_MOST)
		return err_set(e, ERR_LIMIT, "operation %s has %d steps; more are not allowed",
			       operation, FLOW_STEPS_MOST);
	return 0;
}

/* Record that `step` needs `needs`; count it if that is not done. */
static int add_need(struct db_tx *t, const char *operation, const char *step, const char *needs,
		    unsigned *unmet, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT state FROM steps WHERE id = $1 AND "
		     "operation_id = $2",
		     db_t(needs), db_t(operation));
	int rc = r ? db_next(r, e) : -1;
	uint64_t n;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_INVALID, "a step needs %s, which is no step of operation %s",
			       needs, operation);
	if (db_exec(t, &n, e,
		    "INSERT INTO step_needs (step_id, needs_id) VALUES ($1, $2) "
		    "ON CONFLICT DO NOTHING",
		    db_t(step), db_t(needs)) < 0)
		return -1;
	if (n && strcmp(db_text(r, 0), STEP_DONE) != 0)
		++*unmet;
	return 0;
}

/* The step whose function is running, in this thread, and its flow. */
static _Thread_local struct flow *current;
static _Thread_local const struct flow_step *current_step;

struct flow *flow_current(void)
{
	return current;
}

void flow_enter(struct flow *f, const struct flow_step *s)
{
	current = f;
	current_step = s;
}

static int add_rows(struct db_tx *t, const char *id, const char *operation,
		    const struct flow_step_new *s, unsigned *ret_unmet, struct err *e)
{
	*ret_unmet = 0;
	for (size_t i = 0; i < s->n_needs; i++)
		if (add_need(t, operation, id, s->needs[i], ret_unmet, e) < 0)
			return -1;
	for (size_t i = 0; i < s->n_limits; i++)
		if (db_exec(t, NULL, e,
			    "INSERT INTO step_limits (step_id, limit_key) VALUES ($1, $2) "
			    "ON CONFLICT DO NOTHING",
			    db_t(id), db_t(s->limits[i])) < 0)
			return -1;
	return 0;
}

static int insert_step(struct db_tx *t, const char *id, const char *operation,
		       const struct flow_step_new *s, const struct parent *p, const char *input,
		       unsigned unmet, uint64_t now, struct err *e)
{
	bool by_step = current_step && strcmp(current_step->operation, operation) == 0;

	return db_exec(
		t, NULL, e,
		"INSERT INTO steps (id, operation_id, position, project_id, priority, queued_at, "
		"kind, name, place, queue, state, undoing, undo_wave, unmet, attempt, given_back, "
		"fence, not_before, ready_at, input, added_by) VALUES ($1, $2, $3, $4, $5, $6, $7, "
		"$8, $9, $9, $10, 0, 0, $11, 0, 0, 0, $12, $13, $14, $15)",
		db_t(id), db_t(operation), db_i(p->position), db_t(p->project), db_i(p->priority),
		db_i(p->created_at), db_t(s->kind), db_t(s->name ? s->name : s->kind),
		db_t(s->place ? s->place : FLOW_WORKER), db_t(unmet ? STEP_WAITING : STEP_READY),
		db_i(unmet), db_i(p->not_before), db_i(now), db_t(input),
		db_t(by_step ? current_step->id : NULL));
}

int flow_add(struct flow *f, struct db_tx *t, const char *operation, const struct flow_step_new *s,
	     char ret_id[UUID_TEXT], struct err *e)
{
	uint64_t now = flow_now(f);
	AUTO_FREE char *input = NULL;
	char id[UUID_TEXT];
	struct parent p;
	unsigned unmet;

	if (!s->kind || !flow_kind_find(f, s->kind))
		return err_set(e, ERR_INVALID, "no kind of step is called \"%s\"",
			       s->kind ? s->kind : "");
	flow_new_id(t, now, id);
	if (dump(s->input, "input", &input, e) < 0 || enter(t, operation, &p, e) < 0 ||
	    add_rows(t, id, operation, s, &unmet, e) < 0 ||
	    insert_step(t, id, operation, s, &p, input, unmet, now, e) < 0)
		return -1;
	if (!unmet && db_wake(t, WAKE_STEPS, e) < 0)
		return -1;
	if (ret_id)
		memcpy(ret_id, id, sizeof(id));
	return 0;
}

int flow_set_limit(struct db_tx *t, const char *key, unsigned most, struct err *e)
{
	if (!*key || strlen(key) > 300)
		return err_set(e, ERR_INVALID, "the key of a limit has 1 to 300 bytes");
	if (db_exec(t, NULL, e,
		    "INSERT INTO flow_limits (limit_key, most) VALUES ($1, $2) ON CONFLICT "
		    "(limit_key) DO UPDATE SET most = excluded.most",
		    db_t(key), db_i(most)) < 0)
		return -1;
	return db_wake(t, WAKE_STEPS, e);
}

/* ---- what people ask for ---- */

int flow_cancel(struct flow *f, struct db_tx *t, const char *operation, struct err *e)
{
	struct turn x = {.f = f, .t = t, .now = flow_now(f)};
	AUTO_OPERATION o = {0};

	if (turn_lock(&x, operation, &o, e) < 0)
		return -1;
	if (o.ended)
		return err_set(e, ERR_CONFLICT, "operation %s has ended already: it is %s",
			       operation, o.state);
	if (turn_log(&x, operation, NULL, "info", e, "Cancelling was asked for") < 0 ||
	    db_exec(t, NULL, e,
		    "UPDATE operations SET cancel_asked = 1, give_up = CASE WHEN state = "
		    "'undoing' THEN 1 ELSE 0 END WHERE id = $1",
		    db_t(operation)) < 0)
		return -1;
	if (strcmp(o.state, FLOW_UNDOING) == 0)
		return db_wake(t, WAKE_STOPS, e);
	return turn_stop(&x, &o, FLOW_CANCELLED, "cancelled on request", e);
}

int flow_log(struct db_tx *t, const char *operation, const char *step, const char *level,
	     const char *text, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "UPDATE operations SET log_lines = log_lines + 1 WHERE id = $1 "
		     "RETURNING log_lines",
		     db_t(operation));
	int rc = r ? db_next(r, e) : -1;

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_NOENT, "there is no operation %s", operation);
	return db_exec(t, NULL, e,
		       "INSERT INTO operation_log (operation_id, seq, at, step_id, level, text) "
		       "VALUES ($1, $2, $3, $4, $5, $6)",
		       db_t(operation), db_i(db_int(r, 0)), db_i(clock_wall_us()), db_t(step),
		       db_t(level), db_t(text));
}
