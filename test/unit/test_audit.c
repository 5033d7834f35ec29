/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/audit.h"

#include <string.h>

#include "auth_fixture.h"
#include "base/clock.h"

static struct audit_check verify(struct auth_fixture *x)
{
	struct audit_check c;

	OK(audit_verify(x->a, &c, e));
	return c;
}

static void add(struct auth_fixture *x, const char *action, const char *project)
{
	OK(in_audit(x,
		    (struct audit_entry){.action = action,
					 .project = project,
					 .subject = "plan 1",
					 .outcome = "done",
					 .address = "192.0.2.1"},
		    e));
}

static void test_chain(void **state)
{
	struct db_fixture *f = *state;
	struct audit_check c;
	struct auth_fixture x;
	char head[65];
	size_t n;

	auth_fixture_open(&x, f->db);
	c = verify(&x);
	assert_int_equal(c.lines + c.waiting + c.broken, 0);
	for (int i = 0; i < 5; i++)
		add(&x, "plan:create", "p");
	c = verify(&x);
	assert_int_equal(c.lines, 0);
	assert_int_equal(c.waiting, 5);
	OK(audit_link(x.a, 3, &n, e));
	assert_int_equal(n, 3);
	OK(audit_link(x.a, 100, &n, e));
	assert_int_equal(n, 2);
	OK(audit_link(x.a, 100, &n, e));
	assert_int_equal(n, 0);
	c = verify(&x);
	assert_int_equal(c.lines, 5);
	assert_int_equal(c.waiting, 0);
	assert_int_equal(c.broken, 0);
	memcpy(head, c.head, sizeof(head));
	assert_int_equal(strlen(head), 64);
	add(&x, "plan:delete", "p");
	OK(auth_look_after(x.a, clock_wall_us(), true, e));
	c = verify(&x);
	assert_int_equal(c.lines, 6);
	assert_string_not_equal(head, c.head);
	auth_fixture_close(&x);
}

/* Texts that could be mistaken for others when they are put one after the other. */
static void test_any_text(void **state)
{
	struct db_fixture *f = *state;
	AUTO(identity) who = identity_new();
	AUTO_FREE char *longest = xcalloc(1, 9002);
	struct auth_fixture x;

	auth_fixture_open(&x, f->db);
	memset(longest, 'a', 3999);
	for (int i = 0; i < 2500; i++)
		memcpy(longest + 3999 + 2 * i, "\xc3\xa4", 2);
	memcpy(who->user_id, "u1", 3);
	OK(in_audit(&x,
		    (struct audit_entry){.who = who,
					 .action = "a",
					 .outcome = "failed",
					 .detail = longest,
					 .subject = "'; DROP TABLE audit; --"},
		    e));
	OK(auth_look_after(x.a, clock_wall_us(), true, e));
	assert_int_equal(verify(&x).broken, 0);
	assert_int_equal(in_int(f->db, "SELECT MAX(LENGTH(detail)) FROM audit"), 3999);
	auth_fixture_close(&x);
}

/* ---- everything that can be done to it is found ---- */

struct attack {
	const char *sql;
	uint64_t broken; /* 0: any line */
};

static void try_attack(struct db_fixture *f, const struct attack *t)
{
	struct auth_fixture x;
	struct audit_check c;

	auth_fixture_open(&x, f->db);
	for (int i = 0; i < 6; i++)
		add(&x, i == 3 ? "plan:delete" : "plan:get", "p");
	OK(auth_look_after(x.a, clock_wall_us(), true, e));
	assert_int_equal(verify(&x).broken, 0);
	OK(in_exec(f->db, t->sql, e));
	c = verify(&x);
	if (!c.broken || (t->broken && c.broken != t->broken))
		fail_msg("%s: broken %d, \"%s\"", t->sql, (int)c.broken, c.why);
	assert_true(c.why[0] != 0);
	auth_fixture_close(&x);
	OK(in_exec(f->db, "DELETE FROM audit", e));
	OK(in_exec(f->db, "DELETE FROM audit_head", e));
	OK(in_exec(f->db, "DELETE FROM secrets", e));
	OK(in_exec(f->db, "DELETE FROM settings", e));
}

static void test_attacks(void **state)
{
	static const struct attack t[] = {
		{"UPDATE audit SET detail = 'x' WHERE seq = 3", 3},
		{"UPDATE audit SET action = 'plan:get' WHERE action = 'plan:delete'", 0},
		{"UPDATE audit SET user_id = 'eve' WHERE seq = 1", 1},
		{"UPDATE audit SET address = '::1' WHERE seq = 6", 6},
		{"UPDATE audit SET subject = 'plan 2' WHERE seq = 6", 6},
		{"UPDATE audit SET outcome = 'denied' WHERE seq = 5", 5},
		{"UPDATE audit SET user_name = 'eve' WHERE seq = 5", 5},
		{"UPDATE audit SET project_id = 'q' WHERE seq = 2", 2},
		{"UPDATE audit SET at = at + 1 WHERE seq = 2", 2},
		{"UPDATE audit SET id = 'x' WHERE seq = 2", 2},
		/* From one field to the next. */
		{"UPDATE audit SET subject = 'plan ', outcome = '1done' WHERE seq = 2", 2},
		{"DELETE FROM audit WHERE seq = 4", 4},
		{"DELETE FROM audit WHERE seq = 6", 6},
		{"DELETE FROM audit WHERE seq = 1", 1},
		{"DELETE FROM audit", 1},
		{"UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 6", 6},
		{"UPDATE audit SET seq = NULL WHERE seq = 2", 2},
		{"UPDATE audit SET seq = 9 WHERE seq = 6", 6},
		{"UPDATE audit SET seq = 0 WHERE seq = 6", 6},
		{"UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 2) WHERE seq = 3", 3},
		{"UPDATE audit SET hash = NULL WHERE seq = 3", 3},
		{"UPDATE audit SET mac = (SELECT mac FROM audit WHERE seq = 2) WHERE seq = 3", 3},
		{"INSERT INTO audit SELECT 'x', 7, at, project_id, user_id, user_name, address, "
		 "action, subject, outcome, detail, mac, hash FROM audit WHERE seq = 6",
		 7},
		{"INSERT INTO audit SELECT 'x', NULL, at, project_id, user_id, user_name, address, "
		 "action, subject, outcome, detail, mac, NULL FROM audit WHERE seq = 6",
		 7},
		{"UPDATE audit_head SET seq = 5", 0},
		{"UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit WHERE seq = 5)", 0},
		{"UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE seq = 5)", 0},
		{"DELETE FROM audit_head", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		try_attack(*state, &t[i]);
}

/* Two lines that are exchanged. */
static void test_exchanged(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;

	auth_fixture_open(&x, f->db);
	for (int i = 0; i < 6; i++)
		add(&x, "plan:get", "p");
	OK(auth_look_after(x.a, clock_wall_us(), true, e));
	OK(in_exec(f->db, "UPDATE audit SET seq = 100 WHERE seq = 2", e));
	OK(in_exec(f->db, "UPDATE audit SET seq = 2 WHERE seq = 3", e));
	OK(in_exec(f->db, "UPDATE audit SET seq = 3 WHERE seq = 100", e));
	assert_int_equal(verify(&x).broken, 2);
	auth_fixture_close(&x);
}

/* After the end was spoiled, nothing is linked, and adding goes on. */
static void test_broken_end(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;

	auth_fixture_open(&x, f->db);
	add(&x, "a", NULL);
	OK(in_exec(f->db, "UPDATE audit_head SET seq = 7", e));
	FAILS(ERR_CORRUPT, audit_link(x.a, 10, NULL, e));
	add(&x, "a", NULL);
	assert_int_equal(verify(&x).waiting, 2);
	auth_fixture_close(&x);
}

/* ---- many processes ---- */

struct crowd {
	struct auth_fixture *x;
	_Atomic unsigned bad;
};

static void crowd(void *arg, unsigned number)
{
	struct crowd *c = arg;
	AUTO_FREE char *project = xasprintf("p%u", number);

	for (int i = 0; i < 60; i++) {
		const struct audit_entry entry = {
			.action = "a", .outcome = "done", .project = project};

		c->bad += in_audit(c->x, entry, NULL) != 0;
		if (i % 5 == 0)
			c->bad += audit_link(c->x->a, 20, NULL, NULL) != 0;
	}
}

static void test_many_link(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	struct crowd c = {.x = &x};
	struct audit_check check;

	auth_fixture_open(&x, f->db);
	test_threads(4, crowd, &c);
	assert_int_equal(c.bad, 0);
	OK(audit_link(x.a, 1000, NULL, e));
	check = verify(&x);
	assert_int_equal(check.lines, 240);
	assert_int_equal(check.broken, 0);
	auth_fixture_close(&x);
}

/* ---- lists ---- */

struct listing {
	struct audit_filter f;
	struct audit_lines *ret;
};

static int list(struct db_tx *t, void *arg, struct err *e)
{
	struct listing *l = arg;

	l->ret = audit_list(t, &l->f, e);
	return l->ret ? 0 : -1;
}

static struct audit_lines *in_list(struct db *d, struct audit_filter f)
{
	struct listing l = {.f = f};

	OK(db_read(d, list, &l, e));
	return l.ret;
}

static size_t count(struct db *d, struct audit_filter f)
{
	AUTO(audit_lines) l = in_list(d, f);

	return l->n;
}

static void test_list(void **state)
{
	struct db_fixture *f = *state;
	struct auth_fixture x;
	struct audit_filter page = {.limit = 2};
	uint64_t middle = 0;
	size_t seen = 0;
	char marker[AUTH_ID];

	auth_fixture_open(&x, f->db);
	for (int i = 0; i < 7; i++) {
		if (i == 4) {
			clock_sleep_ms(2);
			middle = clock_wall_us();
		}
		add(&x, i % 2 ? "plan:get" : "restore:create", i < 3 ? "p" : "q");
	}
	assert_int_equal(count(f->db, (struct audit_filter){.project = "p"}), 3);
	assert_int_equal(count(f->db, (struct audit_filter){.action = "plan:"}), 3);
	assert_int_equal(count(f->db, (struct audit_filter){.action = "plan"}), 0);
	assert_int_equal(
		count(f->db, (struct audit_filter){.action = "restore:create", .project = "q"}), 2);
	assert_int_equal(count(f->db, (struct audit_filter){.since_us = middle}), 3);
	assert_int_equal(count(f->db, (struct audit_filter){.until_us = middle,
							    .outcome = "done",
							    .subject = "plan 1"}),
			 4);
	assert_int_equal(count(f->db, (struct audit_filter){.user_id = "nobody"}), 0);
	for (;;) {
		AUTO(audit_lines) l = in_list(f->db, page);

		if (!l->n)
			break;
		if (!seen)
			assert_string_equal(l->v[0].hash, "");
		seen += l->n;
		memcpy(marker, l->v[l->n - 1].id, sizeof(marker));
		page.marker = marker;
	}
	assert_int_equal(seen, 7);
	struct listing l = {.f = {.marker = "none"}};
	FAILS(ERR_NOENT, db_read(f->db, list, &l, e));
	OK(auth_look_after(x.a, clock_wall_us(), true, e));
	AUTO(audit_lines) all = in_list(f->db, (struct audit_filter){.project = "q"});
	assert_int_equal(all->v[0].seq, 7);
	assert_int_equal(strlen(all->v[0].hash), 64);
	auth_fixture_close(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_chain),	 DB_TEST(test_any_text),   DB_TEST(test_attacks),
		DB_TEST(test_exchanged), DB_TEST(test_broken_end), DB_TEST(test_many_link),
		DB_TEST(test_list),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
