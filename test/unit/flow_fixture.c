/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_fixture.h"

#include <string.h>

#include "base/buf.h"

struct flow_fixture_fault flow_fixture_fault;

const char *flow_fixture_name(const struct flow_step *s)
{
	return json_string_value(json_object_get(s->input, "name"));
}

/* ---- kinds ---- */

static int note(struct db_tx *t, const struct flow_step *s, enum hook hook, const char *verb,
		struct err *e)
{
	const struct flow_fixture_fault *fault = &flow_fixture_fault;
	AUTO_FREE char *text = xasprintf("%s %s", verb, flow_fixture_name(s));

	assert_non_null(flow_current());
	if (flow_log(t, s->operation, s->id, "call", text, e) < 0)
		return -1;
	if (fault->hook == hook && strcmp(fault->name, flow_fixture_name(s)) == 0)
		return err_set(e, fault->kind, "a fault in %s", verb);
	return 0;
}

int flow_fixture_settle(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return note(t, s, HOOK_SETTLE, "settle", e);
}

int flow_fixture_failed(struct db_tx *t, const struct flow_step *s, const struct err *why,
			struct err *e)
{
	return note(t, s, HOOK_FAILED, why->kind == ERR_CANCELLED ? "cancelled" : "failed", e);
}

int flow_fixture_undone(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return note(t, s, HOOK_UNDONE, "undone", e);
}

/* Adds a step of its own when it settles. */
int flow_fixture_settle_more(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	struct flow_step_new n = {.kind = "plain", .name = "more"};
	const char *needs[] = {s->id};
	int rc;

	if (note(t, s, HOOK_SETTLE, "settle", e) < 0)
		return -1;
	n.needs = needs;
	n.n_needs = 1;
	n.input = json_pack("{s:s}", "name", "more");
	rc = flow_add(flow_current(), t, s->operation, &n, NULL, e);
	json_decref(n.input);
	return rc;
}

static const struct flow_kind plain = {
	.name = "plain", .settle = flow_fixture_settle, .failed = flow_fixture_failed};
static const struct flow_kind undo = {.name = "undo",
				      .settle = flow_fixture_settle,
				      .failed = flow_fixture_failed,
				      .undone = flow_fixture_undone};
static const struct flow_kind moved = {.name = "moved",
				       .settle = flow_fixture_settle,
				       .failed = flow_fixture_failed,
				       .undone = flow_fixture_undone,
				       .mover_undoes = true};
static const struct flow_kind once = {.name = "once",
				      .settle = flow_fixture_settle,
				      .failed = flow_fixture_failed,
				      .attempts = 1,
				      .deadline_s = 600};
static const struct flow_kind adds = {.name = "adds",
				      .settle = flow_fixture_settle_more,
				      .failed = flow_fixture_failed,
				      .undone = flow_fixture_undone};
const struct flow_kind *const flow_fixture_kinds[] = {&plain, &undo, &moved, &once, &adds, NULL};

int flow_fixture_ended(struct db_tx *t, const char *operation, const char *subject,
		       const char *state, const char *reason, struct err *e)
{
	AUTO_FREE char *text = xasprintf("ended %s", state);

	assert_string_equal(subject, "subject");
	assert_true(reason || strcmp(state, FLOW_SUCCEEDED) == 0);
	if (flow_log(t, operation, NULL, "call", text, e) < 0)
		return -1;
	return flow_fixture_fault.hook == HOOK_ENDED
		       ? err_set(e, flow_fixture_fault.kind, "a fault in ended")
		       : 0;
}

static const struct flow_operation_kind op = {.name = "op", .ended = flow_fixture_ended};
const struct flow_operation_kind *const flow_fixture_operations[] = {&op, NULL};

/* ---- up and down ---- */

static uint64_t standing(void *arg)
{
	return ((struct flow_fixture *)arg)->now;
}

int flow_fixture_up(void **state)
{
	struct flow_fixture *x = xcalloc(1, sizeof(*x));

	assert_true(db_fixture_new(&x->db, *state ? *state : "sqlite"));
	db_fixture_reopen(&x->db);
	x->f = OK_PTR(flow_new(x->db.db, "test", flow_fixture_kinds, flow_fixture_operations, e));
	x->now = UINT64_C(1800000000000000);
	x->f->now = standing;
	x->f->now_arg = x;
	flow_fixture_fault = (struct flow_fixture_fault){0};
	*state = x;
	return 0;
}

int flow_fixture_down(void **state)
{
	struct flow_fixture *x = *state;

	flow_free(x->f);
	db_fixture_done(&x->db);
	free(x);
	return 0;
}

int flow_fixture_run(const struct CMUnitTest *tests, size_t n)
{
	return db_fixture_run_of(tests, n, flow_fixture_down);
}

/* ---- new operations ---- */

struct making {
	struct flow_fixture *x;
	const struct flow_operation_new *o;
	const char *steps;
	char *id;
};

/* Ids of the steps by name: each is one letter. */
struct letters {
	char ids[128][UUID_TEXT];
};

/* "b/undo@mover#key<a,c" */
static int add_step(struct making *m, struct db_tx *t, struct letters *l, const char *word,
		    struct err *e)
{
	AUTO_FREE char *text = xstrdup(word);
	char name[2] = {word[0], 0};
	char *needs = strchr(text, '<') ? strchr(text, '<') + 1 : NULL;
	const char *ids[26];
	const char *limit = NULL;
	struct flow_step_new s = {
		.kind = "plain", .place = FLOW_WORKER, .name = name, .needs = ids};
	int rc;

	for (char *p = needs; p && *p; p += p[1] == ',' ? 2 : 1)
		ids[s.n_needs++] = l->ids[(unsigned char)*p];
	if (needs)
		needs[-1] = 0;
	for (char *p = text + strlen(text); p > text; p--) {
		if (!strchr("/@#", *p) || !*p)
			continue;
		if (*p == '/')
			s.kind = p + 1;
		else if (*p == '@')
			s.place = p + 1;
		else
			limit = p + 1;
		*p = 0;
	}
	s.limits = &limit;
	s.n_limits = limit != NULL;
	s.input = json_pack("{s:s}", "name", name);
	rc = flow_add(m->x->f, t, m->id, &s, l->ids[(unsigned char)word[0]], e);
	json_decref(s.input);
	return rc;
}

static int make(struct db_tx *t, void *arg, struct err *e)
{
	struct making *m = arg;
	AUTO_FREE char *text = xstrdup(m->steps);
	AUTO_FREE struct letters *l = xcalloc(1, sizeof(*l));
	char *rest = text;
	char *word;

	if (flow_start(m->x->f, t, m->o, m->id, e) < 0)
		return -1;
	while ((word = strtok_r(rest, " ", &rest)))
		if (add_step(m, t, l, word, e) < 0)
			return -1;
	return 0;
}

void flow_fixture_start_as(struct flow_fixture *x, const struct flow_operation_new *o,
			   const char *steps, char ret_id[UUID_TEXT])
{
	struct making m = {.x = x, .o = o, .steps = steps, .id = ret_id};

	OK(db_write(x->db.db, make, &m, e));
}

void flow_fixture_start(struct flow_fixture *x, const char *steps, char ret_id[UUID_TEXT])
{
	struct flow_operation_new o = {.kind = "op", .project = "p", .subject = "subject"};

	flow_fixture_start_as(x, &o, steps, ret_id);
}

/* ---- what is there ---- */

struct asking {
	const char *operation, *sql, *between;
	char *text;
};

static int ask(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;
	AUTO(db_rows) r = db_query(t, e, a->sql, db_t(a->operation));
	int rc = -1;

	free(steal(&a->text));
	while (r && (rc = db_next(r, e)) > 0) {
		char *longer = xasprintf("%s%s%s", a->text ? a->text : "",
					 a->text ? a->between : "", db_text(r, 0));

		free(a->text);
		a->text = longer;
	}
	return rc;
}

static char *answer(struct flow_fixture *x, const char *operation, const char *sql,
		    const char *between)
{
	struct asking a = {.operation = operation, .sql = sql, .between = between};

	OK(db_read(x->db.db, ask, &a, e));
	return a.text ? a.text : xstrdup("");
}

char *flow_fixture_states(struct flow_fixture *x, const char *operation)
{
	return answer(
		x, operation,
		"SELECT text FROM (SELECT 0 AS position, state || ':' AS text FROM operations "
		"WHERE id = $1 UNION ALL SELECT position, CASE WHEN undoing = 1 AND state IN "
		"('waiting', 'ready', 'running') THEN '-' ELSE '' END || name || '=' || state "
		"FROM steps WHERE operation_id = $1) u ORDER BY position",
		" ");
}

char *flow_fixture_calls(struct flow_fixture *x, const char *operation)
{
	return answer(x, operation,
		      "SELECT text FROM operation_log WHERE operation_id = $1 AND level = 'call' "
		      "ORDER BY seq",
		      ", ");
}

/* ---- doing ---- */

struct flow_step *flow_fixture_take(struct flow_fixture *x, const char *place, const char *name)
{
	struct flow_step *s = NULL;

	OK(flow_take(x->f, "somebody", &place, 1, &s, e));
	if (!name && s)
		fail_msg("%s was taken; nothing was to be", flow_fixture_name(s));
	if (name && !s)
		fail_msg("nothing was taken; %s was to be", name);
	if (name)
		assert_string_equal(flow_fixture_name(s), name);
	return s;
}

void flow_fixture_do(struct flow_fixture *x, const char *name, enum err_kind kind)
{
	AUTO(flow_step) s = flow_fixture_take(x, FLOW_WORKER, name);
	struct err why = {.kind = kind, .msg = "it went wrong"};

	OK(flow_finish(x->f, s->id, s->fence, NULL, kind ? &why : NULL, e));
}

struct doing {
	struct flow_fixture *x;
	const char *what;
	unsigned most;
};

static int cancel(struct db_tx *t, void *arg, struct err *e)
{
	struct doing *d = arg;

	return flow_cancel(d->x->f, t, d->what, e);
}

static int retry(struct db_tx *t, void *arg, struct err *e)
{
	struct doing *d = arg;

	return flow_retry(d->x->f, t, d->what, e);
}

static int limit(struct db_tx *t, void *arg, struct err *e)
{
	struct doing *d = arg;

	return flow_set_limit(t, d->what, d->most, e);
}

void flow_fixture_cancel(struct flow_fixture *x, const char *operation)
{
	struct doing d = {.x = x, .what = operation};

	OK(db_write(x->db.db, cancel, &d, e));
}

void flow_fixture_retry(struct flow_fixture *x, const char *operation)
{
	struct doing d = {.x = x, .what = operation};

	OK(db_write(x->db.db, retry, &d, e));
}

void flow_fixture_limit(struct flow_fixture *x, const char *key, unsigned most)
{
	struct doing d = {.x = x, .what = key, .most = most};

	OK(db_write(x->db.db, limit, &d, e));
}

void flow_fixture_later(struct flow_fixture *x, int64_t us)
{
	x->now += (uint64_t)us;
	OK(flow_look_after(x->f, x->now, e));
}
