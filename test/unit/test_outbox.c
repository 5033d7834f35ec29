/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox in the database: who hears of what, troubles that are told once, leases and fences of
 * deliveries, what is looked for by itself; and the forms that receivers get.
 */
#include <string.h>

#include "base/clock.h"
#include "core/notify.h"
#include "core/notify_channel.h"
#include "db_fixture.h"
#include "outbox/body.h"
#include "outbox/outbox.h"
#include "outbox/outbox_priv.h"

#define T0 UINT64_C(1700000000000000)
#define SECOND UINT64_C(1000000)
#define HOUR (3600 * SECOND)

static int64_t number; /* of do_number */

static int do_sql(struct db_tx *t, void *arg, struct err *e)
{
	return db_exec(t, NULL, e, arg);
}

static int do_number(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, arg);

	if (!r || db_next(r, e) < 0)
		return -1;
	number = db_int(r, 0);
	return 0;
}

static void sql(struct db_fixture *f, const char *text)
{
	struct err e = {ERR_NONE};

	if (db_write(f->db, do_sql, (void *)(uintptr_t)text, &e) < 0)
		fail_msg("%s: %s", text, e.msg);
}

static int64_t count(struct db_fixture *f, const char *text)
{
	assert_int_equal(db_read(f->db, do_number, (void *)(uintptr_t)text, NULL), 0);
	return number;
}

/* A notification of project `project` ('NULL': the server's). */
static void add(struct db_fixture *f, const char *id, const char *project, const char *events,
		const char *severity, const char *plans, int remind)
{
	AUTO_FREE char *text = xasprintf(
		"INSERT INTO notifications (id, project_id, name, description, kind, enabled, url, "
		"recipients, events, severity, plan_ids, remind_hours, status, busy_until, "
		"created_by, created_at, updated_at) VALUES ('%s', %s, 'n', '', 'webhook', 1, 'u', "
		"'[]', '%s', '%s', '%s', %d, 'unknown', 0, 'x', 1, 1)",
		id, project, events, severity, plans, remind);

	sql(f, text);
}

struct telling {
	struct notify_event ev;
	uint64_t now;
};

static int do_tell(struct db_tx *t, void *arg, struct err *e)
{
	const struct telling *x = arg;

	return x->ev.title ? notify_tell(t, &x->ev, x->now, e)
			   : notify_end(t, x->ev.trouble, "Fine.", NULL, x->now, e);
}

static void tell(struct db_fixture *f, const char *event, const char *trouble, const char *plan,
		 bool lasts, uint64_t now)
{
	struct telling x = {.ev = {.event = event,
				   .trouble = trouble,
				   .lasts = lasts,
				   .project = "p1",
				   .plan = plan,
				   .title = "it \xff broke",
				   .text = "why"},
			    .now = now};
	struct err e = {ERR_NONE};

	if (db_write(f->db, do_tell, &x, &e) < 0)
		fail_msg("%s", e.msg);
}

static void end(struct db_fixture *f, const char *trouble, uint64_t now)
{
	struct telling x = {.ev = {.trouble = trouble}, .now = now};

	assert_int_equal(db_write(f->db, do_tell, &x, NULL), 0);
}

#define SENT(id) "SELECT count(*) FROM deliveries WHERE notification_id = '" id "'"

static void test_who_hears(void **state)
{
	struct db_fixture *f = *state;

	add(f, "all", "NULL", "[]", "info", "[]", 0);
	add(f, "own", "'p1'", "[]", "info", "[]", 0);
	add(f, "other", "'p2'", "[]", "info", "[]", 0);
	add(f, "asked", "'p1'", "[\"operation.succeeded\",\"plan.late\"]", "info", "[]", 0);
	add(f, "worse", "'p1'", "[]", "critical", "[]", 0);
	add(f, "plan", "'p1'", "[]", "info", "[\"web\"]", 0);
	tell(f, "operation.failed", NULL, "web", false, T0);
	tell(f, "operation.succeeded", NULL, "web", false, T0);
	tell(f, "plan.late", NULL, "db", false, T0);
	tell(f, "checkpoint.damaged", NULL, NULL, false, T0);
	assert_int_equal(count(f, SENT("all")), 3);
	assert_int_equal(count(f, SENT("own")), 3);
	assert_int_equal(count(f, SENT("other")), 0);
	assert_int_equal(count(f, SENT("asked")), 2);
	assert_int_equal(count(f, SENT("worse")), 1);
	assert_int_equal(count(f, SENT("plan")), 1);
}

static void test_told_once(void **state)
{
	struct db_fixture *f = *state;

	add(f, "a", "'p1'", "[]", "info", "[]", 0);
	tell(f, "operation.failed", "t", NULL, false, T0);
	tell(f, "operation.failed", "t", NULL, false, T0 + HOUR);
	add(f, "b", "'p1'", "[]", "info", "[]", 24);
	tell(f, "operation.failed", "t", NULL, false, T0 + 2 * HOUR);
	assert_int_equal(count(f, SENT("a")), 1);
	assert_int_equal(count(f, SENT("b")), 1); /* new to it */
	assert_int_equal(count(f, "SELECT times FROM notification_troubles WHERE notification_id = "
				  "'a'"),
			 3);
	tell(f, "operation.failed", "t", NULL, true, T0 + 25 * HOUR);
	assert_int_equal(count(f, SENT("b")), 1);
	tell(f, "operation.failed", "t", NULL, true, T0 + 26 * HOUR);
	assert_int_equal(count(f, SENT("b")), 2); /* reminded */
	tell(f, "operation.failed", "t", NULL, true, T0 + 27 * HOUR);
	assert_int_equal(count(f, SENT("b")), 2);
	assert_int_equal(count(f, SENT("a")), 1);
	end(f, "t", T0 + 28 * HOUR);
	end(f, "t", T0 + 28 * HOUR);
	end(f, "never begun", T0 + 28 * HOUR);
	assert_int_equal(count(f, SENT("a")), 2);
	assert_int_equal(count(f, "SELECT count(*) FROM deliveries WHERE event = "
				  "'operation.recovered' AND severity = 'info'"),
			 2);
	assert_int_equal(count(f, "SELECT count(*) FROM notification_troubles"), 0);
	tell(f, "operation.failed", "t", NULL, false, T0 + 29 * HOUR);
	assert_int_equal(count(f, SENT("a")), 3);
}

static int take(struct db_fixture *f, struct parcel *p, uint64_t now)
{
	struct err e = {ERR_NONE};
	uint64_t next;
	int have = outbox_take(f->db, now, p, &next, &e);

	if (have < 0)
		fail_msg("%s", e.msg);
	return have;
}

#define STATE(s) count(f, "SELECT count(*) FROM deliveries WHERE state = '" s "'")

/* Who takes one has it until its lease ends; what he says later does not count. */
static void test_leases(void **state)
{
	struct db_fixture *f = *state;
	struct parcel dead = {.kind = NULL}, p = {.kind = NULL};
	struct outcome no = {.code = 503, .text = "no"}, yes = {.delivered = true, .code = 204};

	add(f, "a", "'p1'", "[]", "info", "[]", 0);
	tell(f, "operation.failed", NULL, NULL, false, T0);
	tell(f, "operation.failed", NULL, NULL, false, T0 + 1);
	assert_int_equal(take(f, &dead, T0 - 1), 0);
	assert_int_equal(take(f, &dead, T0 + 2), 1);
	assert_int_equal(dead.attempt, 1);
	assert_int_equal(take(f, &p, T0 + 3), 0); /* one at a time for a notification */
	assert_int_equal(take(f, &p, T0 + 2 + OUTBOX_LEASE_US), 1);
	assert_string_not_equal(p.id, dead.id); /* the other one was due before */
	assert_int_equal(outbox_settle(f->db, &p, &yes, T0 + 3 + OUTBOX_LEASE_US, NULL), 0);
	assert_int_equal(take(f, &p, T0 + 4 + OUTBOX_LEASE_US), 1);
	assert_string_equal(p.id, dead.id);
	assert_int_equal(p.attempt, 2);
	assert_int_equal(outbox_settle(f->db, &dead, &no, T0 + 5 + OUTBOX_LEASE_US, NULL), 0);
	assert_int_equal(count(f, "SELECT count(*) FROM notifications WHERE busy_until = 0"), 0);
	assert_int_equal(outbox_settle(f->db, &p, &yes, T0 + 6 + OUTBOX_LEASE_US, NULL), 0);
	assert_int_equal(outbox_settle(f->db, &dead, &no, T0 + 7 + OUTBOX_LEASE_US, NULL), 0);
	assert_int_equal(STATE("delivered"), 2);
	assert_int_equal(take(f, &p, T0 + HOUR), 0);
	parcel_done(&p);
	parcel_done(&dead);
}

static void test_given_up(void **state)
{
	struct db_fixture *f = *state;
	struct parcel p = {.kind = NULL};
	struct outcome no = {.code = 503, .text = "no"};
	struct outcome back = {.given_back = true};
	uint64_t now = T0, next;

	add(f, "a", "'p1'", "[]", "info", "[]", 0);
	tell(f, "operation.failed", NULL, NULL, false, T0);
	assert_int_equal(take(f, &p, now), 1);
	assert_int_equal(outbox_settle(f->db, &p, &back, now, NULL), 0);
	for (int i = 1; i <= NOTIFY_TRIES; i++) {
		assert_int_equal(take(f, &p, now), 1);
		assert_int_equal(p.attempt, i);
		assert_int_equal(outbox_settle(f->db, &p, &no, now, NULL), 0);
		assert_int_equal(outbox_take(f->db, now, &p, &next, NULL), 0);
		if (i < NOTIFY_TRIES) {
			assert_true(next >= now + outbox_pause_us(i));
			assert_true(next <= now + outbox_pause_us(i) * 5 / 4);
			now = next;
		}
	}
	assert_int_equal(STATE("failed"), 1);
	assert_int_equal(count(f, "SELECT count(*) FROM notifications WHERE status = 'failing' AND "
				  "reason = 'no' AND busy_until = 0"),
			 1);
	assert_int_equal(outbox_prune(f->db, now, NULL), 0);
	assert_int_equal(STATE("failed"), 1);
	assert_int_equal(outbox_prune(f->db, now + 1, NULL), 0);
	assert_int_equal(STATE("failed"), 0);
	parcel_done(&p);
}

/* A project whose receivers hang does not take all hands. */
static void test_per_project(void **state)
{
	struct db_fixture *f = *state;
	struct parcel p[4] = {{.kind = NULL}};

	add(f, "a", "'p1'", "[]", "info", "[]", 0);
	add(f, "b", "'p1'", "[]", "info", "[]", 0);
	add(f, "c", "'p1'", "[]", "info", "[]", 0);
	add(f, "s", "NULL", "[]", "info", "[]", 0);
	tell(f, "operation.failed", NULL, NULL, false, T0);
	assert_int_equal(take(f, &p[0], T0) + take(f, &p[1], T0) + take(f, &p[2], T0), 3);
	assert_int_equal(take(f, &p[3], T0), 0);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		parcel_done(&p[i]);
}

static void watch(struct db_fixture *f, uint64_t now)
{
	struct err e = {ERR_NONE};

	if (notify_watch(f->db, now, &e) < 0)
		fail_msg("%s", e.msg);
}

#define EVENTS(name) count(f, "SELECT count(*) FROM deliveries WHERE event = '" name "'")

static void test_watch(void **state)
{
	struct db_fixture *f = *state;
	uint64_t lost = T0 + 200 * SECOND;

	sql(f, "INSERT INTO projects VALUES ('p1', 'one', '', 'default', 'local', 1, 1)");
	sql(f, "INSERT INTO targets (id, name, description, url, options, status, created_at, "
	       "updated_at) VALUES ('t', 't', '', 'u', '{}', 'unknown', 1, 1)");
	sql(f, "INSERT INTO providers (id, name, description, target_id, created_at, updated_at) "
	       "VALUES ('v', 'v', '', 't', 1, 1)");
	sql(f, "INSERT INTO plans (id, project_id, name, status, provider_id, resources, "
	       "selectors, parameters, created_by, created_at, updated_at) VALUES ('web', 'p1', "
	       "'web', 'started', 'v', '[]', '[]', '{}', 'x', 1, 1)");
	sql(f, "INSERT INTO movers (id, name, host, version, kinds, capacity, token_hash, drain, "
	       "created_by, created_at, last_seen_at) VALUES ('m', 'm1', 'h', '1', '[]', 1, 'x', "
	       "0, 'x', 1, 1700000000000000)");
	watch(f, lost);
	assert_int_equal(count(f, "SELECT count(*) FROM deliveries"), 0);

	add(f, "own", "'p1'", "[]", "info", "[]", 0);
	add(f, "all", "NULL", "[]", "info", "[]", 0);
	watch(f, lost);
	watch(f, lost);
	assert_int_equal(EVENTS("mover.lost"), 1); /* it belongs to no project */
	assert_int_equal(EVENTS("plan.late"), 0);

	sql(f, "UPDATE plans SET due_at = 1700000300000000");
	watch(f, lost);
	assert_int_equal(EVENTS("plan.late"), 0);
	sql(f, "UPDATE plans SET due_at = 1700000100000000");
	sql(f, "UPDATE movers SET last_seen_at = 1700000190000000");
	watch(f, lost);
	watch(f, lost);
	assert_int_equal(EVENTS("plan.late"), 2);
	assert_int_equal(EVENTS("mover.recovered"), 1);
	sql(f, "UPDATE plans SET due_at = 1700001000000000, good_at = 1700000100000000");
	watch(f, lost);
	assert_int_equal(EVENTS("plan.recovered"), 2);

	sql(f, "INSERT INTO quotas VALUES ('p1', 'plans', 1)");
	watch(f, lost);
	assert_int_equal(EVENTS("quota.reached"), 2);
	sql(f, "UPDATE quotas SET most = 2");
	watch(f, lost);
	watch(f, lost);
	assert_int_equal(EVENTS("quota.recovered"), 2);
	assert_int_equal(count(f, "SELECT count(*) FROM notification_troubles"), 0);
}

/* The example of the Standard Webhooks libraries. */
static void test_signature(void **state)
{
	uint8_t key[NOTIFY_SECRET_MAX];
	char out[BODY_SIGNATURE];
	size_t n;

	(void)state;
	assert_int_equal(
		notify_secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", key, &n, NULL), 0);
	assert_int_equal(n, 24);
	body_sign(key, n, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, "{\"test\": 2432232314}",
		  out);
	assert_string_equal(out, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_secrets(void **state)
{
	static const char *const bad[] = {"",
					  "whsec_",
					  "whsec_AAAA",
					  "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
					  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
					  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
					  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La====",
					  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!"};
	uint8_t key[NOTIFY_SECRET_MAX];
	struct err e = {ERR_NONE};
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (notify_secret_bytes(bad[i], key, &n, &e) == 0)
			fail_msg("%s", bad[i]);
	assert_false(strstr(e.msg, "MfKQ"));
}

static void test_forms(void **state)
{
	json_t *m = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "event", "plan.late",
			      "severity", "error", "at", "2026-11-22T00:00:00Z", "title",
			      "a <b> & c", "text", "why", "action", "do", "project_name", "<p>",
			      "operation_id", "17");
	AUTO_FREE char *link = body_link(m, "https://h.example//");
	AUTO_FREE char *slack = body_slack(m, link);
	AUTO_FREE char *hook = body_webhook(m, link);
	AUTO_FREE char *none = body_link(m, "");

	(void)state;
	assert_string_equal(link, "https://h.example/#/operations/17");
	assert_string_equal(none, "");
	assert_string_equal(slack, "{\"text\":\":x: *a &lt;b&gt; &amp; c* (project &lt;p&gt;)\\nwhy"
				   "\\ndo\\n<https://h.example/#/operations/17|Open in "
				   "Holdfast>\"}");
	assert_non_null(strstr(hook, "\"type\":\"plan.late\""));
	assert_non_null(strstr(hook, "\"timestamp\":\"2026-11-22T00:00:00Z\""));
	assert_non_null(strstr(hook, "\"url\":\"https://h.example/#/operations/17\""));
	assert_null(json_object_get(m, "url"));
	json_decref(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_who_hears),
		DB_TEST(test_told_once),
		DB_TEST(test_leases),
		DB_TEST(test_given_up),
		DB_TEST(test_per_project),
		DB_TEST(test_watch),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_forms),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
