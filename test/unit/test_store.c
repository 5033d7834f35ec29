/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every store promises (store.h), run against each of them.
 */
#include "store_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct store *store_of(void **state)
{
	return ((struct store_fixture *)*state)->s;
}

/* The whole object must be these bytes. */
static void assert_object(struct store *s, const char *key, const void *want, size_t n)
{
	AUTO_BUF b = BUF_INIT;

	OK(store_slurp(s, key, 1 << 20, &b, e));
	assert_int_equal(b.len, n);
	if (n)
		assert_memory_equal(b.data, want, n);
}

/* ---- objects ---- */

static void test_put_and_get(void **state)
{
	struct store *s = store_of(state);
	uint64_t size = 99;

	OK(store_put_new(s, "points/a", "hello", 5, e));
	assert_object(s, "points/a", "hello", 5);
	OK(store_put_new(s, "top", "x", 1, e));
	assert_object(s, "top", "x", 1);
	OK(store_put_new(s, "keys/empty", NULL, 0, e));
	OK(store_size(s, "keys/empty", &size, e));
	assert_int_equal(size, 0);
	assert_object(s, "keys/empty", "", 0);
	FAILS(ERR_LIMIT, store_slurp(s, "points/a", 4, &(struct buf){0}, e));
}

static void test_ranges(void **state)
{
	static const struct {
		uint64_t off;
		size_t len;
		const char *want;
	} rows[] = {
		{0, 10, "0123456789"}, {0, 0, ""},    {0, 3, "012"},
		{7, 3, "789"},	       {7, 4, "789"}, {9, 100, "9"},
		{10, 1, ""},	       {11, 1, ""},   {(uint64_t)1 << 40, 5, ""},
		{5, 1, "5"},
	};
	struct store *s = store_of(state);
	char got[128];

	OK(store_put_new(s, "packs/ab/x", "0123456789", 10, e));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ssize_t n = store_get(s, "packs/ab/x", rows[i].off, got, rows[i].len, NULL);

		assert_int_equal(n, strlen(rows[i].want));
		assert_memory_equal(got, rows[i].want, (size_t)n);
	}
	OK(store_get_all(s, "packs/ab/x", 4, got, 6, e));
	assert_memory_equal(got, "456789", 6);
	FAILS(ERR_CORRUPT, store_get_all(s, "packs/ab/x", 4, got, 7, e));
}

static void test_absent(void **state)
{
	struct store *s = store_of(state);
	uint64_t size = 7;
	char c;

	FAILS(ERR_NOENT, (int)store_get(s, "points/none", 0, &c, 1, e));
	FAILS(ERR_NOENT, store_size(s, "points/none", &size, e));
	assert_int_equal(size, 7);
	FAILS(ERR_NOENT, store_slurp(s, "nowhere/at/all", 10, &(struct buf){0}, e));
	OK(store_remove(s, "points/none", e));
	OK(store_remove(s, "nowhere/at/all", e));
	OK(store_session_revoke(s, "none", e));
	assert_int_equal(test_count(s, "points/"), 0);
	assert_int_equal(test_count(s, "packs/"), 0);
}

static void test_put_new_keeps_what_is_there(void **state)
{
	struct store *s = store_of(state);

	OK(store_put_new(s, "keys/1", "first", 5, e));
	FAILS(ERR_EXISTS, store_put_new(s, "keys/1", "second one", 10, e));
	assert_object(s, "keys/1", "first", 5);
	OK(store_remove(s, "keys/1", e));
	FAILS(ERR_NOENT, store_size(s, "keys/1", &(uint64_t){0}, e));
	OK(store_put_new(s, "keys/1", "third", 5, e));
	assert_object(s, "keys/1", "third", 5);
}

enum { RACERS = 8, RACES = 100 };

struct put_race {
	struct store *s;
	pthread_barrier_t barrier;
	atomic_int winners[RACES], losers[RACES], odd;
};

static void put_racer(void *arg, unsigned number)
{
	struct put_race *r = arg;
	char key[32], text[32];

	snprintf(text, sizeof(text), "written by %u", number);
	for (int i = 0; i < RACES; i++) {
		struct err why = {0};

		snprintf(key, sizeof(key), "points/%d", i);
		pthread_barrier_wait(&r->barrier);
		if (store_put_new(r->s, key, text, strlen(text), &why) == 0)
			atomic_fetch_add(&r->winners[i], 1 + (int)number * 1000);
		else if (why.kind == ERR_EXISTS)
			atomic_fetch_add(&r->losers[i], 1);
		else
			atomic_fetch_add(&r->odd, 1);
	}
}

static void test_put_new_has_one_winner(void **state)
{
	struct put_race r = {.s = store_of(state)};
	char key[32], want[32];

	pthread_barrier_init(&r.barrier, NULL, RACERS);
	test_threads(RACERS, put_racer, &r);
	pthread_barrier_destroy(&r.barrier);
	assert_int_equal(r.odd, 0);
	for (int i = 0; i < RACES; i++) {
		assert_int_equal(r.winners[i] % 1000, 1);
		assert_int_equal(r.losers[i], RACERS - 1);
		snprintf(key, sizeof(key), "points/%d", i);
		snprintf(want, sizeof(want), "written by %d", r.winners[i] / 1000);
		assert_object(r.s, key, want, strlen(want));
	}
	assert_int_equal(test_count(r.s, "points/"), RACES);
}

enum { MANY = 2 * STORE_REMOVE_MAX + 5 };

/* Every second name is that of nothing. */
static void name_many(const void *arg, size_t i, char out[STORE_KEY_MAX])
{
	(void)arg;
	snprintf(out, STORE_KEY_MAX, "packs/%02zu/%s%zu", i % 7, i % 2 ? "none" : "x", i);
}

static void test_remove_many(void **state)
{
	struct store *s = store_of(state);
	char key[STORE_KEY_MAX];

	OK(store_remove_many(s, 0, name_many, NULL, e));
	OK(store_put_new(s, "packs/00/stays", "x", 1, e));
	for (size_t i = 0; i < MANY; i += i < 20 ? 2 : 198) {
		name_many(NULL, i, key);
		OK(store_put_new(s, key, "x", 1, e));
	}
	OK(store_remove_many(s, 1, name_many, NULL, e));
	FAILS(ERR_NOENT, store_size(s, "packs/00/x0", &(uint64_t){0}, e));
	OK(store_remove_many(s, MANY, name_many, NULL, e));
	assert_int_equal(test_count(s, "packs/"), 1);
	assert_object(s, "packs/00/stays", "x", 1);
}

/* ---- listing ---- */

struct seen {
	const char *want;
	uint64_t size;
	int times, all;
	struct store *remove_from;
};

static int see(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct seen *s = arg;

	s->all++;
	if (s->remove_from)
		return store_remove(s->remove_from, key, e);
	if (strcmp(key, s->want) == 0) {
		s->times++;
		s->size = size;
	}
	return 0;
}

static void test_list(void **state)
{
	static const char *const keys[] = {"packs/ab/abc", "packs/ab/abd", "packs/cd/cde",
					   "points/p1",	   "points/p2",	   "pointsx"};
	struct store *s = store_of(state);

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		OK(store_put_new(s, keys[i], "0123456", i + 1, e));
	for (size_t i = 0; i < 5; i++) {
		struct seen seen = {.want = keys[i]};

		OK(store_list(s, i < 3 ? "packs/" : "points/", see, &seen, e));
		assert_int_equal(seen.times, 1);
		assert_int_equal(seen.size, i + 1);
		assert_int_equal(seen.all, i < 3 ? 3 : 2);
	}
	assert_int_equal(test_count(s, "index/"), 0);
}

static int stop_at_second(void *arg, const char *key, uint64_t size, struct err *e)
{
	int *n = arg;

	(void)key;
	(void)size;
	return ++*n == 2 ? err_set(e, ERR_LIMIT, "two are enough") : 0;
}

static void test_list_stops_and_allows_changes(void **state)
{
	struct store *s = store_of(state);
	struct seen seen = {.want = "", .remove_from = s};
	char key[32];
	int n = 0;

	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "index/%d", i);
		OK(store_put_new(s, key, "x", 1, e));
	}
	FAILS(ERR_LIMIT, store_list(s, "index/", stop_at_second, &n, e));
	assert_int_equal(n, 2);
	OK(store_list(s, "index/", see, &seen, e));
	assert_int_equal(seen.all, 20);
	assert_int_equal(test_count(s, "index/"), 0);
}

/* ---- sessions and uploads ---- */

static void test_upload(void **state)
{
	struct store *s = store_of(state);
	struct store_session *ss = OK_PTR(store_session_begin(s, "u1", "state", 5, e));
	struct store_upload *a = OK_PTR(ss->ops->upload(ss, e));
	struct store_upload *b = OK_PTR(ss->ops->upload(ss, e));
	struct store_upload *c = OK_PTR(ss->ops->upload(ss, e));

	OK(a->ops->write(a, "one ", 4, e));
	OK(b->ops->write(b, "other", 5, e));
	OK(a->ops->write(a, "two", 3, e));
	assert_int_equal(test_count(s, "packs/"), 0);
	OK(a->ops->finish(a, "packs/aa/a", e));
	assert_object(s, "packs/aa/a", "one two", 7);
	b->ops->abort(b);
	OK(c->ops->finish(c, "packs/cc/empty", e));
	assert_object(s, "packs/cc/empty", "", 0);
	assert_int_equal(test_count(s, "packs/"), 2);
	/* An object that is there is replaced, and read anew. */
	a = OK_PTR(ss->ops->upload(ss, e));
	OK(a->ops->write(a, "three", 5, e));
	OK(a->ops->finish(a, "packs/aa/a", e));
	assert_object(s, "packs/aa/a", "three", 5);
	store_session_end(ss);
	assert_int_equal(test_count(s, "packs/"), 2);
	assert_int_equal(test_count(s, "sessions/"), 0);
}

static void test_large_upload(void **state)
{
	enum { PIECE = 1 << 20, PIECES = 20 };
	struct store *s = store_of(state);
	struct store_session *ss = OK_PTR(store_session_begin(s, "u2", "state", 5, e));
	struct store_upload *u = OK_PTR(ss->ops->upload(ss, e));
	AUTO_FREE uint8_t *piece = xmalloc(PIECE), *got = xmalloc(PIECE);
	uint64_t size;

	for (int i = 0; i < PIECES; i++) {
		memset(piece, i, PIECE);
		OK(u->ops->write(u, piece, PIECE, e));
	}
	OK(u->ops->finish(u, "packs/aa/big", e));
	store_session_end(ss);
	OK(store_size(s, "packs/aa/big", &size, e));
	assert_int_equal(size, (uint64_t)PIECE * PIECES);
	for (int i = 0; i < PIECES; i++) {
		memset(piece, i, PIECE);
		OK(store_get_all(s, "packs/aa/big", (uint64_t)i * PIECE, got, PIECE, e));
		assert_memory_equal(got, piece, PIECE);
	}
}

static void test_session(void **state)
{
	struct store *s = store_of(state);
	struct store_session *ss = OK_PTR(store_session_begin(s, "id-1", "begun", 5, e));
	struct seen seen = {.want = "sessions/id-1"};

	FAILS_PTR(ERR_EXISTS, store_session_begin(s, "id-1", "again", 5, e));
	OK(ss->ops->renew(ss, "beat one", 8, e));
	OK(ss->ops->renew(ss, "beat", 4, e));
	OK(store_list(s, "sessions/", see, &seen, e));
	assert_int_equal(seen.times, 1);
	assert_int_equal(seen.all, 1);
	OK(ss->ops->commit(ss, "the point", 9, e));
	assert_object(s, "points/id-1", "the point", 9);
	store_session_end(ss);
	assert_object(s, "points/id-1", "the point", 9);
	assert_int_equal(test_count(s, "sessions/"), 0);
	assert_int_equal(test_count(s, "points/"), 1);
}

static void test_abort_leaves_nothing(void **state)
{
	struct store *s = store_of(state);
	struct store_session *ss = OK_PTR(store_session_begin(s, "id-1", "x", 1, e));

	store_session_end(ss);
	assert_int_equal(test_count(s, "sessions/"), 0);
	assert_int_equal(test_count(s, "points/"), 0);
	/* The name is free again. */
	ss = OK_PTR(store_session_begin(s, "id-1", "x", 1, e));
	store_session_end(ss);
	store_session_end(NULL);
}

static void test_revoked_cannot_go_on(void **state)
{
	struct store *s = store_of(state);
	struct store_session *ss = OK_PTR(store_session_begin(s, "id-1", "x", 1, e));
	struct store_upload *u = OK_PTR(ss->ops->upload(ss, e));

	OK(u->ops->write(u, "abc", 3, e));
	OK(store_session_revoke(s, "id-1", e));
	assert_int_equal(test_count(s, "sessions/"), 0);
	FAILS(ERR_NOENT, ss->ops->renew(ss, "y", 1, e));
	FAILS(ERR_NOENT, ss->ops->commit(ss, "p", 1, e));
	assert_int_equal(test_count(s, "points/"), 0);
	u->ops->abort(u);
	store_session_end(ss);
	OK(store_session_revoke(s, "id-1", e));
	assert_int_equal(test_count(s, "points/"), 0);
	assert_int_equal(test_count(s, "sessions/"), 0);
}

enum { DUELS = 2000, DUELS_S3 = 100 };

struct duel {
	struct store *s;
	pthread_barrier_t begin, over;
	struct store_session *ss;
	char id[32];
	int committed, revoked;
	enum err_kind why;
	int odd, commits, n;
};

/* What is left after one duel must agree with what both were told. */
static void judge(struct duel *d)
{
	char point[64];
	uint64_t size;
	bool there;

	snprintf(point, sizeof(point), "points/%s", d->id);
	there = store_size(d->s, point, &size, NULL) == 0;
	if (d->revoked < 0 || there != (d->committed == 0) || (there && size != 5) ||
	    (!there && d->why != ERR_NOENT))
		d->odd++;
	d->commits += there;
	store_session_end(d->ss);
	store_remove(d->s, point, NULL);
}

static void duellist(void *arg, unsigned number)
{
	struct duel *d = arg;
	struct random rnd = {number + 77};

	for (int i = 0; i < d->n; i++) {
		if (number == 0) {
			snprintf(d->id, sizeof(d->id), "duel-%d", i);
			d->ss = store_session_begin(d->s, d->id, "x", 1, NULL);
		}
		pthread_barrier_wait(&d->begin);
		for (uint64_t n = random_below(&rnd, 2000); n; n--)
			__asm__ volatile("" ::: "memory");
		if (number == 0) {
			struct err why = {0};

			d->committed = d->ss->ops->commit(d->ss, "point", 5, &why);
			d->why = why.kind;
		} else {
			d->revoked = store_session_revoke(d->s, d->id, NULL);
		}
		pthread_barrier_wait(&d->over);
		if (number == 0)
			judge(d);
	}
}

static void test_commit_or_revoke(void **state)
{
	struct store_fixture *f = *state;
	struct duel d = {.s = f->s, .n = store_kind_in_bucket(f->kind) ? DUELS_S3 : DUELS};

	pthread_barrier_init(&d.begin, NULL, 2);
	pthread_barrier_init(&d.over, NULL, 2);
	test_threads(2, duellist, &d);
	pthread_barrier_destroy(&d.begin);
	pthread_barrier_destroy(&d.over);
	assert_int_equal(d.odd, 0);
	printf("# %s: %d duels, %d won by the commit\n", store_kind_names[f->kind], d.n, d.commits);
}

struct crowd {
	struct store *s;
	struct store_session *ss;
	atomic_int failures;
};

/* Uploads, reads and removals of own objects, all at once. */
static void crowd_member(void *arg, unsigned number)
{
	struct crowd *c = arg;
	char key[64], text[64], got[64];

	for (int i = 0; i < 60; i++) {
		struct store_upload *u = c->ss->ops->upload(c->ss, NULL);
		size_t n;

		snprintf(key, sizeof(key), "packs/%02u/%d", number, i);
		snprintf(text, sizeof(text), "object %d of %u", i, number);
		n = strlen(text);
		if (!u || u->ops->write(u, text, n, NULL) < 0 || u->ops->finish(u, key, NULL) < 0 ||
		    store_get_all(c->s, key, 0, got, n, NULL) < 0 || memcmp(got, text, n) != 0)
			atomic_fetch_add(&c->failures, 1);
		if (i % 2 && store_remove(c->s, key, NULL) < 0)
			atomic_fetch_add(&c->failures, 1);
		if (i % 2 && store_get(c->s, key, 0, got, 1, NULL) >= 0)
			atomic_fetch_add(&c->failures, 1);
	}
}

static void test_crowd(void **state)
{
	struct crowd c = {.s = store_of(state)};

	c.ss = OK_PTR(store_session_begin(c.s, "crowd", "x", 1, e));
	test_threads(6, crowd_member, &c);
	store_session_end(c.ss);
	assert_int_equal(c.failures, 0);
	assert_int_equal(test_count(c.s, "packs/"), 6 * 30);
}

/* ---- what only the memory store has ---- */

static void test_mem_damage(void **state)
{
	AUTO(store) s = store_mem_new();
	uint8_t *p;
	size_t n = 0;

	(void)state;
	OK(store_put_new(s, "a", "hello", 5, e));
	p = store_mem_bytes(s, "a", &n);
	assert_int_equal(n, 5);
	p[0] = 'j';
	assert_object(s, "a", "jello", 5);
	store_mem_resize(s, "a", 2);
	assert_object(s, "a", "je", 2);
	store_mem_resize(s, "a", 4);
	assert_object(s, "a", "je\0\0", 4);
	assert_null(store_mem_bytes(s, "b", &n));
	store_mem_resize(s, "b", 4);
	store_free(NULL);
}

#define EACH(fn) #fn, fn
static const struct {
	const char *name;
	CMUnitTestFunction fn;
} conformance[] = {
	{EACH(test_put_and_get)},
	{EACH(test_ranges)},
	{EACH(test_absent)},
	{EACH(test_put_new_keeps_what_is_there)},
	{EACH(test_put_new_has_one_winner)},
	{EACH(test_remove_many)},
	{EACH(test_list)},
	{EACH(test_list_stops_and_allows_changes)},
	{EACH(test_upload)},
	{EACH(test_large_upload)},
	{EACH(test_session)},
	{EACH(test_abort_leaves_nothing)},
	{EACH(test_revoked_cannot_go_on)},
	{EACH(test_commit_or_revoke)},
	{EACH(test_crowd)},
};

int main(void)
{
	struct CMUnitTest tests[STORE_KINDS * ARRAY_LEN(conformance) + 1];
	char names[ARRAY_LEN(tests)][64];
	size_t n = 0;

	for (unsigned b = 0; b < STORE_KINDS; b++) {
		if (store_kind_in_bucket(b) != (getenv("HF_TEST_S3") != NULL))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(conformance); i++, n++) {
			snprintf(names[n], sizeof(names[n]), "%s: %s", store_kind_names[b],
				 conformance[i].name);
			tests[n] = (struct CMUnitTest){names[n], conformance[i].fn, store_set_up,
						       store_tear_down, (void *)(uintptr_t)b};
		}
	}
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_mem_damage);
	return _cmocka_run_group_tests("store", tests, n, NULL, NULL);
}
