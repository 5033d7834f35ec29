/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log under random histories: lines are added and linked in any order, and at the end one
 * random bit, of a random field of a random row, is flipped, or a random row is removed. Whole
 * histories verify; spoiled ones never do, and it is the spoiled line that is named.
 */
#include <string.h>

#include "auth_fixture.h"
#include "base/clock.h"

#define ROUNDS 60

static const char *const columns[] = {"id",	   "seq",     "at",	"project_id", "user_id",
				      "user_name", "address", "action", "subject",    "outcome",
				      "detail",	   "mac",     "hash"};

struct spoil {
	int64_t seq;
	size_t column;
	uint64_t bit;
	uint8_t bytes[600]; /* the field as it was */
	size_t len;
	int64_t number;
	enum { TEXT, NUMBER, BYTES } kind;
};

static int read_field(struct db_tx *t, struct spoil *s, struct err *e)
{
	AUTO_FREE char *sql = xasprintf("SELECT %s FROM audit WHERE seq = $1", columns[s->column]);
	AUTO(db_rows) r = db_query(t, e, sql, db_i(s->seq));
	const void *p;

	if (!r || db_next(r, e) <= 0)
		return -1;
	s->kind = s->column == 1 || s->column == 2 ? NUMBER : s->column >= 11 ? BYTES : TEXT;
	if (s->kind == NUMBER) {
		s->number = db_int(r, 0);
		return 0;
	}
	if (s->kind == BYTES) {
		p = db_bytes(r, 0, &s->len);
	} else {
		p = db_text(r, 0);
		s->len = strlen(p);
	}
	assert_true(s->len < sizeof(s->bytes) - 1);
	memcpy(s->bytes, p, s->len);
	s->bytes[s->len] = 0;
	return 0;
}

static int write_field(struct db_tx *t, struct spoil *s, struct err *e)
{
	AUTO_FREE char *sql = xasprintf(
		"UPDATE audit SET %s = $1 WHERE id = (SELECT id FROM audit WHERE seq = $2)",
		columns[s->column]);
	uint8_t bytes[600];
	size_t len = s->len;
	struct db_value v;

	memcpy(bytes, s->bytes, s->len + 1);
	if (s->kind == NUMBER) {
		v = db_i(s->number ^ (int64_t)(UINT64_C(1) << s->bit % 40));
	} else if (s->kind == BYTES) {
		bytes[s->bit / 8 % len] ^= (uint8_t)(1u << s->bit % 8);
		v = db_b(bytes, len);
	} else {
		/* Still a text: a digit more, or another one. */
		if (len)
			bytes[s->bit % len] = bytes[s->bit % len] == 'x' ? 'y' : 'x';
		else
			memcpy(bytes, "x", 2);
		v = db_t((char *)bytes);
	}
	return db_exec(t, NULL, e, sql, v, db_i(s->seq));
}

static int spoil(struct db_tx *t, void *arg, struct err *e)
{
	struct spoil *s = arg;

	return read_field(t, s, e) || write_field(t, s, e) ? -1 : 0;
}

static char *random_text(struct random *r)
{
	static const char *const some[] = {
		"", "a", "plan 1", "done", "'\\\"", "\xc3\xa4\xe2\x82\xac", "00", "{\"a\": [1]}"};

	return xasprintf("%s%s", some[random_below(r, ARRAY_LEN(some))],
			 some[random_below(r, ARRAY_LEN(some))]);
}

static void add_line(struct auth_fixture *x, struct random *r)
{
	AUTO(identity) who = identity_new();
	char *t[6];

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		t[i] = random_text(r);
	snprintf(who->user_id, sizeof(who->user_id), "u%d", (int)random_below(r, 9));
	OK(in_audit(x,
		    (struct audit_entry){.who = random_below(r, 4) ? who : NULL,
					 .address = t[0],
					 .project = t[1],
					 .action = t[2],
					 .subject = t[3],
					 .outcome = t[4],
					 .detail = t[5]},
		    e));
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		free(t[i]);
}

static struct audit_check verify(struct auth_fixture *x)
{
	struct audit_check c;

	OK(audit_verify(x->a, &c, e));
	return c;
}

/* One that breaks no constraint of the table: else the database has refused it, which is as good.
 */
static void flip_one(struct auth_fixture *x, struct random *r, uint64_t lines)
{
	struct spoil s = {.seq = 0};
	struct audit_check c;

	s.seq = (int64_t)random_below(r, lines) + 1;
	s.column = random_below(r, ARRAY_LEN(columns));
	s.bit = random_below(r, 4096);
	if (db_write(x->f.db, spoil, &s, NULL))
		return;
	c = verify(x);
	if (!c.broken)
		fail_msg("line %d, %s, bit %d: not found", (int)s.seq, columns[s.column],
			 (int)s.bit);
	/* Where the number itself was changed, another line is missing, or there is one too many.
	 */
	if (s.column != 1)
		assert_int_equal(c.broken, s.seq);
}

static void remove_one(struct auth_fixture *x, struct random *r, uint64_t lines)
{
	uint64_t seq = random_below(r, lines) + 1;
	AUTO_FREE char *sql = xasprintf("DELETE FROM audit WHERE seq = %d", (int)seq);

	OK(in_exec(x->f.db, sql, e));
	assert_int_equal(verify(x).broken, seq);
}

static void round_of(struct db *d, struct random *r)
{
	struct auth_fixture x;
	struct audit_check c;
	unsigned steps = (unsigned)random_below(r, 40) + 2;

	auth_fixture_open(&x, d);
	for (unsigned i = 0; i < steps; i++) {
		if (i && !random_below(r, 4))
			OK(audit_link(x.a, random_below(r, 9) + 1, NULL, e));
		else
			add_line(&x, r);
		assert_int_equal(verify(&x).broken, 0);
	}
	OK(audit_link(x.a, 1000, NULL, e));
	c = verify(&x);
	assert_int_equal(c.broken, 0);
	assert_int_equal(c.waiting, 0);
	if (random_below(r, 5))
		flip_one(&x, r, c.lines);
	else
		remove_one(&x, r, c.lines);
	auth_fixture_close(&x);
	OK(in_exec(d, "DELETE FROM audit", e));
	OK(in_exec(d, "DELETE FROM audit_head", e));
	OK(in_exec(d, "DELETE FROM secrets", e));
	OK(in_exec(d, "DELETE FROM settings", e));
}

static void test_histories(void **state)
{
	struct db_fixture *f = *state;
	struct random r = {random_seed()};

	print_message("# HF_SEED=%llu\n", (unsigned long long)r.state);
	for (int i = 0; i < ROUNDS; i++)
		round_of(f->db, &r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_histories),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
