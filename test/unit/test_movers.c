/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of movers: invitations are good once and for a while, a token that was revoked is
 * nobody's, and a registration whose answer was lost may be made again.
 */
#include <string.h>

#include "db_fixture.h"
#include "link/movers.h"
#include "link/seen.h"

#define NOW ((uint64_t)1000000000)
#define WHILE ((uint64_t)1000)

struct work {
	const char *invitation, *token, *id;
	uint64_t now;
	char word[TOKEN_TEXT], made[UUID_TEXT];
	struct mover_row row;
	unsigned n;
	char names[200];
};

static const struct mover_hello hello = {.host = "h", .version = "1", .capacity = 2};

static int do_invite(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_invite(t, w->id ? w->id : "m", "test", NOW, WHILE, w->word, e);
}

static int do_register(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_register(t, w->invitation, w->token, &hello, w->now, w->made, e);
}

static int do_identify(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	mover_row_done(&w->row);
	return mover_identify(t, w->token, &w->row, e);
}

static int do_revoke(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_revoke(t, w->id, w->now, e);
}

static int do_forget(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_forget(t, w->id, e);
}

static int do_drain(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_set_drain(t, w->id, w->n != 0, e);
}

static int do_tidy(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_tidy(t, w->now, e);
}

static int do_seen(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	return mover_seen(t, w->id, NULL, w->now, e);
}

static int add_name(void *arg, const struct mover_row *m, struct err *e)
{
	struct work *w = arg;

	(void)e;
	strncat(w->names, m->name, 20);
	strncat(w->names, " ", 2);
	return 0;
}

static int do_each(struct db_tx *t, void *arg, struct err *e)
{
	struct work *w = arg;

	w->names[0] = 0;
	return mover_each(t, w->row.name, w->row.id, 2, add_name, w, e);
}

static void invited(struct db_fixture *f, struct work *w)
{

	OK(db_write(f->db, do_invite, w, e));
	w->invitation = w->word;
}

static void registers(struct db_fixture *f, struct work *w, enum err_kind kind)
{
	struct err e = {0};
	int rc = db_write(f->db, do_register, w, &e);

	assert_int_equal(e.kind, kind);
	assert_int_equal(rc, kind == ERR_NONE ? 0 : -1);
}

static void test_invitation(void **state)
{
	char one[TOKEN_TEXT], two[TOKEN_TEXT], first[UUID_TEXT];
	struct work w = {.now = NOW};

	token_new(one);
	token_new(two);
	invited(*state, &w);
	w.token = "hfm_0";
	registers(*state, &w, ERR_INVALID);
	w.token = one;
	w.now = NOW + WHILE + 1;
	registers(*state, &w, ERR_DENIED);
	w.now = NOW + WHILE;
	registers(*state, &w, ERR_NONE);
	memcpy(first, w.made, sizeof(first));
	/* Again, even when it has expired: the answer may have been lost. */
	w.now = NOW + 10 * WHILE;
	registers(*state, &w, ERR_NONE);
	assert_string_equal(first, w.made);
	w.token = two;
	registers(*state, &w, ERR_DENIED);
	/* A token that is taken does not become a second mover's. */
	invited(*state, &w);
	w.now = NOW;
	w.token = one;
	registers(*state, &w, ERR_DENIED);
	w.invitation = two;
	registers(*state, &w, ERR_DENIED);
	w.invitation = "";
	registers(*state, &w, ERR_DENIED);
}

static void test_life(void **state)
{
	struct db_fixture *f = *state;
	struct work w = {.now = NOW};
	char token[TOKEN_TEXT];

	token_new(token);
	w.token = token;
	FAILS(ERR_DENIED, db_read(f->db, do_identify, &w, e));
	invited(f, &w);
	registers(f, &w, ERR_NONE);
	OK(db_read(f->db, do_identify, &w, e));
	assert_string_equal(w.row.name, "m");
	assert_string_equal(mover_state(&w.row, NOW), "online");
	assert_string_equal(mover_state(&w.row, NOW + MOVER_SILENT_US + 1), "offline");
	w.id = w.made;
	w.now = NOW + 5;
	OK(db_write(f->db, do_seen, &w, e));
	w.now = NOW + 4; /* told late */
	OK(db_write(f->db, do_seen, &w, e));
	w.n = 1;
	OK(db_write(f->db, do_drain, &w, e));
	OK(db_read(f->db, do_identify, &w, e));
	assert_int_equal(w.row.last_seen_at, NOW + 5);
	assert_string_equal(mover_state(&w.row, NOW), "draining");
	FAILS(ERR_CONFLICT, db_write(f->db, do_forget, &w, e));
	OK(db_write(f->db, do_revoke, &w, e));
	OK(db_write(f->db, do_revoke, &w, e));
	FAILS(ERR_DENIED, db_read(f->db, do_identify, &w, e));
	registers(f, &w, ERR_DENIED);
	OK(db_write(f->db, do_forget, &w, e));
	FAILS(ERR_NOENT, db_write(f->db, do_revoke, &w, e));
	FAILS(ERR_NOENT, db_write(f->db, do_drain, &w, e));
	mover_row_done(&w.row);
}

static void test_list_and_tidy(void **state)
{
	static const char *const names[] = {"b", "a", "c"};
	struct db_fixture *f = *state;
	struct work w = {.now = NOW};
	char token[TOKEN_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		token_new(token);
		w.id = names[i];
		invited(f, &w);
		w.token = token;
		registers(f, &w, ERR_NONE);
	}
	OK(db_read(f->db, do_each, &w, e));
	assert_string_equal(w.names, "a b ");
	w.row.name = xstrdup("b");
	memcpy(w.row.id, "z", 2);
	OK(db_read(f->db, do_each, &w, e));
	assert_string_equal(w.names, "c ");
	mover_row_done(&w.row);
	w.id = "late";
	invited(f, &w);
	w.now = NOW + WHILE + 1;
	OK(db_write(f->db, do_tidy, &w, e));
	w.now = NOW;
	token_new(token);
	registers(f, &w, ERR_DENIED);
	w.id = "";
	FAILS(ERR_INVALID, db_write(f->db, do_invite, &w, e));
}

static void test_seen(void **state)
{
	AUTO(seen) s = seen_new();
	struct seen_entry *v;
	char id[UUID_TEXT];
	size_t n;

	(void)state;
	v = seen_take(s, &n);
	assert_int_equal(n, 0);
	free(v);
	for (uint64_t i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "%03u", (unsigned)(i * 7 % 10));
		seen_note(s, id, i);
	}
	v = seen_take(s, &n);
	assert_int_equal(n, 10);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(strtoul(v[i].id, NULL, 10), i);
		assert_true(v[i].when_us >= 990);
	}
	free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DB_TEST(test_invitation),
		DB_TEST(test_life),
		DB_TEST(test_list_and_tidy),
		cmocka_unit_test(test_seen),
	};

	return db_fixture_run(tests, ARRAY_LEN(tests));
}
