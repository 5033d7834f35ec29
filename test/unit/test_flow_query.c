/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "flow_fixture.h"

#define S INT64_C(1000000)

/* What a function below reads with, and what it found. */
struct asking {
	struct flow_fixture *x;
	const char *id;
	struct flow_filter filter;
	uint64_t since;
	json_t *got;
	char *marker;
};

static int get(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;

	json_decref(steal(&a->got));
	return flow_get(t, a->filter.project, a->id, &a->got, e);
}

static int list(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;

	json_decref(steal(&a->got));
	free(steal(&a->marker));
	return flow_list(t, &a->filter, &a->got, &a->marker, e);
}

static int lines(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;

	json_decref(steal(&a->got));
	return flow_log_lines(t, a->id, a->since, a->filter.limit, &a->got, e);
}

static int changes(struct db_tx *t, void *arg, struct err *e)
{
	struct asking *a = arg;
	uint64_t next;

	json_decref(steal(&a->got));
	if (flow_changes(t, a->since, &a->got, &next, e) < 0)
		return -1;
	a->since = next;
	return 0;
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static json_int_t number(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static void done(struct asking *a)
{
	json_decref(a->got);
	free(a->marker);
}

static void test_get(void **state)
{
	struct flow_fixture *x = *state;
	json_t *progress = json_pack("{s:i, s:s}", "bytes_done", 7, "message", "half");
	struct flow_step *s;
	struct asking a = {.x = x};
	char op[UUID_TEXT];
	bool stop;

	flow_fixture_start(x, "a b<a c<a", op);
	flow_fixture_do(x, "a", ERR_NONE);
	s = flow_fixture_take(x, FLOW_WORKER, "b");
	OK(flow_renew(x->f, s->id, s->fence, progress, &stop, e));
	json_decref(progress);
	a.id = op;
	OK(db_read(x->db.db, get, &a, e));
	assert_string_equal(text(a.got, "state"), "running");
	assert_string_equal(text(a.got, "project"), "p");
	assert_int_equal(number(a.got, "created_at"), x->now);
	assert_null(json_object_get(a.got, "ended_at"));
	assert_int_equal(number(json_object_get(a.got, "progress"), "bytes_done"), 7);
	assert_int_equal(number(json_object_get(a.got, "progress"), "steps"), 3);
	assert_int_equal(number(json_object_get(a.got, "progress"), "steps_done"), 1);
	a.filter.project = "p";
	OK(db_read(x->db.db, get, &a, e));
	{
		const json_t *steps = json_object_get(a.got, "steps");
		const json_t *b = json_array_get(steps, 1);

		assert_int_equal(json_array_size(steps), 3);
		assert_string_equal(text(b, "state"), "running");
		assert_string_equal(text(b, "taken_by"), "somebody");
		assert_string_equal(text(json_object_get(b, "progress"), "message"), "half");
		assert_int_equal(number(b, "attempt"), 1);
		assert_string_equal(
			json_string_value(json_array_get(json_object_get(b, "needs"), 0)),
			text(json_array_get(steps, 0), "id"));
	}
	a.filter.project = "stranger";
	FAILS(ERR_NOENT, db_read(x->db.db, get, &a, e));
	a = (struct asking){.id = "nothing", .got = a.got};
	FAILS(ERR_NOENT, db_read(x->db.db, get, &a, e));
	flow_step_free(s);
	done(&a);
}

static void start_for(struct flow_fixture *x, const char *project, const char *subject,
		      char ret_id[UUID_TEXT])
{
	struct flow_operation_new o = {.kind = "op", .project = project, .subject = subject};

	flow_fixture_start_as(x, &o, "a", ret_id);
}

/* How many there are, page by page; none twice, the newest first. */
static size_t count(struct asking *a)
{
	AUTO_FREE char *marker = NULL;
	json_int_t last = INT64_MAX;
	size_t n = 0;

	do {
		const json_t *o;
		size_t i;

		a->filter.marker = marker;
		OK(db_read(a->x->db.db, list, a, e));
		assert_true(json_array_size(a->got) <= a->filter.limit);
		json_array_foreach(a->got, i, o)
		{
			assert_true(number(o, "created_at") <= last);
			last = number(o, "created_at");
			n++;
		}
		free(marker);
		marker = steal(&a->marker);
	} while (marker);
	return n;
}

static void test_list(void **state)
{
	struct flow_fixture *x = *state;
	struct asking a = {.x = x};
	uint64_t from = x->now;
	char op[UUID_TEXT];

	for (int i = 0; i < 25; i++) {
		/* Some at the same moment. */
		x->now += i % 3 == 0;
		start_for(x, i % 5 ? "p" : "q", i == 7 ? "seven" : "subject", op);
	}
	a.filter = (struct flow_filter){.limit = 4};
	assert_int_equal(count(&a), 25);
	a.filter = (struct flow_filter){.limit = 25, .project = "q"};
	assert_int_equal(count(&a), 5);
	a.filter = (struct flow_filter){.limit = 1000, .subject = "seven", .kind = "op"};
	assert_int_equal(count(&a), 1);
	a.filter = (struct flow_filter){.limit = 3, .kind = "other"};
	assert_int_equal(count(&a), 0);
	flow_fixture_cancel(x, op);
	flow_fixture_later(x, 0);
	a.filter = (struct flow_filter){.limit = 5, .state = "cancelled"};
	assert_int_equal(count(&a), 1);
	a.filter = (struct flow_filter){.limit = 5, .state = "live"};
	assert_int_equal(count(&a), 24);
	a.filter = (struct flow_filter){
		.limit = 5, .created_from_us = from + 2, .created_until_us = from + 3};
	assert_int_equal(count(&a), 3);
	a.filter = (struct flow_filter){.limit = 0};
	FAILS(ERR_INVALID, db_read(x->db.db, list, &a, e));
	a.filter = (struct flow_filter){.limit = 1001};
	FAILS(ERR_INVALID, db_read(x->db.db, list, &a, e));
	for (const char *const *m = (const char *const[]){"", "7", "x:y", "7:", "7:abc", NULL}; *m;
	     m++) {
		a.filter = (struct flow_filter){.limit = 5, .marker = *m};
		FAILS(ERR_INVALID, db_read(x->db.db, list, &a, e));
	}
	done(&a);
}

static void test_log(void **state)
{
	struct flow_fixture *x = *state;
	struct asking a = {.x = x, .filter = {.limit = 2}};
	char op[UUID_TEXT];

	flow_fixture_start(x, "a b<a", op);
	flow_fixture_do(x, "a", ERR_NONE);
	flow_fixture_do(x, "b", ERR_DENIED);
	a.id = op;
	OK(db_read(x->db.db, lines, &a, e));
	assert_int_equal(json_array_size(a.got), 2);
	assert_string_equal(text(json_array_get(a.got, 0), "text"), "settle a");
	assert_int_equal(number(json_array_get(a.got, 1), "seq"), 2);
	a.since = 2;
	a.filter.limit = 100;
	OK(db_read(x->db.db, lines, &a, e));
	assert_string_equal(text(json_array_get(a.got, 1), "text"),
			    "Ended: failed: b: it went wrong");
	assert_string_equal(text(json_array_get(a.got, 1), "level"), "error");
	done(&a);
}

/* The one with this id. Others may be told again while transactions of anybody else are open. */
static const json_t *told(const json_t *list, const char *id)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (strcmp(text(v, "id"), id) == 0)
			return v;
	}
	return NULL;
}

static void test_changes(void **state)
{
	struct flow_fixture *x = *state;
	struct asking a = {.x = x};
	json_int_t revision;
	char one[UUID_TEXT], two[UUID_TEXT];

	flow_fixture_start(x, "a", one);
	OK(db_read(x->db.db, changes, &a, e));
	assert_int_equal(json_array_size(a.got), 0);
	flow_fixture_start(x, "a", two);
	OK(db_read(x->db.db, changes, &a, e));
	assert_non_null(told(a.got, two));
	revision = number(told(a.got, two), "revision");
	OK(db_read(x->db.db, changes, &a, e));
	if (told(a.got, two))
		assert_int_equal(number(told(a.got, two), "revision"), revision);
	flow_fixture_cancel(x, one);
	flow_fixture_cancel(x, two);
	flow_fixture_later(x, 0);
	OK(db_read(x->db.db, changes, &a, e));
	assert_int_equal(json_array_size(a.got), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(text(json_array_get(a.got, i), "state"), "cancelled");
		assert_true(number(json_array_get(a.got, i), "revision") > revision);
	}
	done(&a);
}

static int left(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows)
	r = db_query(t, e,
		     "SELECT (SELECT count(*) FROM operations) + (SELECT count(*) "
		     "FROM steps) + (SELECT count(*) FROM step_needs) + (SELECT "
		     "count(*) FROM step_limits) + (SELECT count(*) FROM "
		     "operation_log) + (SELECT count(*) FROM step_holds)");

	if (!r || db_next(r, e) <= 0)
		return -1;
	*(int64_t *)arg = db_int(r, 0);
	return 0;
}

static void test_prune(void **state)
{
	struct flow_fixture *x = *state;
	int64_t n;
	char op[UUID_TEXT];
	unsigned gone;

	for (int i = 0; i < 5; i++) {
		flow_fixture_start(x, "a#host:1 b<a", op);
		flow_fixture_do(x, "a", ERR_NONE);
		flow_fixture_do(x, "b", ERR_NONE);
		x->now += (uint64_t)S;
	}
	flow_fixture_start(x, "a", op);
	/* What ended three seconds ago or earlier; what lives stays. */
	OK(flow_prune(x->f, x->now - (uint64_t)(3 * S) + 1, 1000, &gone, e));
	assert_int_equal(gone, 3);
	OK(flow_prune(x->f, x->now + 1, 1, &gone, e));
	assert_int_equal(gone, 1);
	OK(flow_prune(x->f, UINT64_C(1) << 60, 1000, &gone, e));
	assert_int_equal(gone, 1);
	OK(db_read(x->db.db, left, &n, e));
	assert_int_equal(n, 2);
	STATES(x, op, "queued: a=ready");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_get),	 FLOW_TEST(test_list),	FLOW_TEST(test_log),
		FLOW_TEST(test_changes), FLOW_TEST(test_prune),
	};

	return flow_fixture_run(tests, ARRAY_LEN(tests));
}
