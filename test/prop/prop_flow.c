/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of operations: graphs, kinds, takers that die, come back or lie, cancels,
 * retries and a clock that jumps, over several flows on one database, checked after every event.
 * One thread, a clock that stands still: HF_SEED repeats a history.
 */
#include <string.h>

#include "flow_check.h"

#define FLOWS 3
#define TAKERS 8
#define OPERATIONS 14
#define EVENTS 1200
#define S INT64_C(1000000)
#define YEARS_10 (INT64_C(315576000) * S)
#define MOST 2 /* of "host:h" */

struct world {
	struct flow_fixture *x;
	struct random rnd;
	struct flow *flows[FLOWS];
	struct flow_step *held[TAKERS];
	char ids[OPERATIONS][UUID_TEXT];
	unsigned n;
	char *graph; /* of the operation that is being made */
};

static struct flow *any_flow(struct world *w)
{
	return w->flows[random_below(&w->rnd, FLOWS)];
}

/* ---- events ---- */

/* "a/undo b@mover<a …" as flow_fixture.h reads it. */
static char *random_graph(struct random *rnd)
{
	static const char *const kinds[] = {
		"", "", "/undo", "/undo", "/once", "/moved@mover", "/moved@mover:7", "/adds"};
	unsigned n = 1 + (unsigned)random_below(rnd, 8);
	char *text = xstrdup("");

	for (unsigned i = 0; i < n; i++) {
		char needs[32] = "";
		size_t len = 0;
		char *longer;

		for (unsigned j = 0; j < i; j++)
			if (random_below(rnd, 3) == 0) {
				needs[len] = len ? ',' : '<';
				needs[len + 1] = (char)('a' + j);
				len += 2;
			}
		longer = xasprintf("%s %c%s%s%s", text, 'a' + i,
				   kinds[random_below(rnd, ARRAY_LEN(kinds))],
				   random_below(rnd, 3) ? "" : "#host:h", needs);
		free(text);
		text = longer;
	}
	return text;
}

static void start(struct world *w)
{
	static const char *const projects[] = {"p", "q", "r"};
	AUTO_FREE char *graph = random_graph(&w->rnd);
	struct flow_operation_new o = {.kind = "op",
				       .project = projects[random_below(&w->rnd, 3)],
				       .subject = "subject",
				       .priority = (int)random_below(&w->rnd, 3) - 1};

	if (w->n == OPERATIONS)
		return;
	if (random_below(&w->rnd, 8) == 0)
		o.deadline_us = w->x->now + (uint64_t)(100 * S);
	w->x->f = any_flow(w);
	flow_fixture_start_as(w->x, &o, graph, w->ids[w->n++]);
}

/* A taker that has a step, or that has none; NULL if there is none such. */
static struct flow_step **any_taker(struct world *w, bool has)
{
	size_t first = random_below(&w->rnd, TAKERS);

	for (size_t i = 0; i < TAKERS; i++) {
		struct flow_step **held = &w->held[(first + i) % TAKERS];

		if ((*held != NULL) == has)
			return held;
	}
	return NULL;
}

static void take(struct world *w)
{
	static const char *const places[] = {FLOW_WORKER, FLOW_ANY_MOVER, "mover:7"};
	struct flow_step **held = any_taker(w, false);
	unsigned first = (unsigned)random_below(&w->rnd, 3);

	if (!held)
		return;
	OK(flow_take(any_flow(w), "taker", places + first, 1 + random_below(&w->rnd, 3 - first),
		     held, e));
}

/* Whether the step is running under this fence: then, and only then, a report counts. */
struct current {
	const struct flow_step *s;
	bool is;
};

static int read_current(struct db_tx *t, void *arg, struct err *e)
{
	struct current *c = arg;
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT 1 FROM steps WHERE id = $1 AND fence = $2 AND state = "
		     "'running'",
		     db_t(c->s->id), db_i(c->s->fence));
	int rc = r ? db_next(r, e) : -1;

	c->is = rc > 0;
	return MIN(rc, 0);
}

static bool is_current(struct world *w, const struct flow_step *s)
{
	struct current c = {.s = s};

	OK(db_read(w->x->db.db, read_current, &c, e));
	return c.is;
}

/* A report of somebody who has a step, or had it once. */
static void report(struct world *w)
{
	static const enum err_kind kinds[] = {ERR_NONE, ERR_NONE,   ERR_NONE,
					      ERR_NONE, ERR_NONE,   ERR_NONE,
					      ERR_IO,	ERR_DENIED, ERR_CANCELLED};
	struct flow_step **held = any_taker(w, true);
	enum err_kind kind = kinds[random_below(&w->rnd, ARRAY_LEN(kinds))];
	struct err why = {.kind = kind, .msg = "it went wrong"};
	struct err e = {0};
	json_t *result;
	bool current;

	if (!held)
		return;
	result = json_pack("{s:i}", "n", 1);
	current = is_current(w, *held);
	if (flow_finish(any_flow(w), (*held)->id, (*held)->fence, result, kind ? &why : NULL, &e) <
	    0)
		assert_int_equal(e.kind, ERR_CONFLICT);
	assert_int_equal(e.kind == ERR_NONE, current);
	json_decref(result);
	/* Some say it twice; some come back with it much later. */
	if (random_below(&w->rnd, 4)) {
		flow_step_free(*held);
		*held = NULL;
	}
}

static void renew(struct world *w)
{
	struct flow_step **held = any_taker(w, true);
	struct err e = {0};
	bool stop, current = held && is_current(w, *held);

	if (held && flow_renew(any_flow(w), (*held)->id, (*held)->fence, NULL, &stop, &e) < 0)
		assert_int_equal(e.kind, ERR_CONFLICT);
	if (held)
		assert_int_equal(e.kind == ERR_NONE, current);
}

static void die(struct world *w)
{
	struct flow_step **held = &w->held[random_below(&w->rnd, TAKERS)];

	flow_step_free(*held);
	*held = NULL;
}

struct asking {
	struct world *w;
	int (*fn)(struct flow *f, struct db_tx *t, const char *operation, struct err *e);
	const char *id;
};

static int ask(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;

	return a->fn(a->w->x->f, t, a->id, e);
}

static void ask_one(struct world *w, const char *id,
		    int (*fn)(struct flow *, struct db_tx *, const char *, struct err *))
{
	struct asking a = {.w = w, .fn = fn, .id = id};
	struct err e = {0};

	if (db_write(w->x->db.db, ask, &a, &e) < 0)
		assert_int_equal(e.kind, ERR_CONFLICT);
}

static void look(struct world *w)
{
	static const int64_t passes[] = {1, 1, S, S, 3 * S, 10 * S, 30 * S, 61 * S};
	uint64_t now;

	w->x->now += (uint64_t)passes[random_below(&w->rnd, ARRAY_LEN(passes))];
	now = w->x->now;
	/* Somebody's clock has jumped, for this once. */
	if (random_below(&w->rnd, 20) == 0)
		now += (uint64_t)(random_below(&w->rnd, 2) ? YEARS_10 : -YEARS_10);
	OK(flow_look_after(any_flow(w), now, e));
}

static void event(struct world *w)
{
	const char *id = w->n ? w->ids[random_below(&w->rnd, w->n)] : NULL;

	switch (random_below(&w->rnd, 24)) {
	case 0:
		start(w);
		break;
	case 1:
		die(w);
		break;
	case 2:
		if (id && random_below(&w->rnd, 4) == 0)
			ask_one(w, id, flow_cancel);
		break;
	case 3:
		if (id)
			ask_one(w, id, flow_retry);
		break;
	case 4:
	case 5:
		renew(w);
		break;
	case 6:
	case 7:
	case 8:
		look(w);
		break;
	default:
		if (random_below(&w->rnd, 2))
			take(w);
		else
			report(w);
	}
}

/* ---- histories ---- */

static void open_world(struct world *w, struct flow_fixture *x, uint64_t seed)
{
	*w = (struct world){.x = x, .rnd = {seed}};
	for (int i = 0; i < FLOWS; i++) {
		w->flows[i] = OK_PTR(
			flow_new(x->db.db, "flow", flow_fixture_kinds, flow_fixture_operations, e));
		w->flows[i]->now = x->f->now;
		w->flows[i]->now_arg = x;
	}
}

static void close_world(struct world *w, struct flow *first)
{
	for (int i = 0; i < TAKERS; i++)
		flow_step_free(w->held[i]);
	for (int i = 0; i < FLOWS; i++)
		flow_free(w->flows[i]);
	w->x->f = first;
}

/* Nobody works any more: what is asked to stop must stop by itself, whatever it was in. */
static void everything_ends(struct world *w)
{
	for (int round = 0; round < 4; round++) {
		for (unsigned i = 0; i < w->n; i++)
			ask_one(w, w->ids[i], flow_cancel);
		flow_fixture_later(w->x, 61 * S);
		flow_fixture_later(w->x, 61 * S);
	}
	for (int round = 0; flow_check_live(w->x->db.db) > 0; round++) {
		assert_true(round < 40);
		flow_fixture_later(w->x, 61 * S);
	}
}

static void test_histories(void **state)
{
	struct flow_fixture *x = *state;
	struct flow *first = x->f;
	unsigned histories = strcmp(x->db.kind, "sqlite") == 0 ? 8 : 3;

	for (unsigned h = 0; h < histories; h++) {
		uint64_t seed = random_seed() + h;
		struct world w;

		print_message("# history with HF_SEED=%llu\n", (unsigned long long)seed);
		open_world(&w, x, seed);
		flow_fixture_limit(x, "host:h", MOST);
		flow_fixture_limit(x, "project", 3);
		for (int i = 0; i < EVENTS; i++) {
			event(&w);
			flow_check_tables(x->db.db, i % 2 ? "host:h" : "project:p",
					  i % 2 ? MOST : 3);
		}
		flow_check_logs(x->db.db);
		everything_ends(&w);
		flow_check_logs(x->db.db);
		flow_check_tables(x->db.db, "host:h", 0);
		close_world(&w, first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {FLOW_TEST(test_histories)};

	return flow_fixture_run(tests, ARRAY_LEN(tests));
}
