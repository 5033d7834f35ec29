/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uploads that are written behind: the object is what was made, whatever the pieces; a write that
 * fails is told, at the latest at the end, and no object appears.
 */
#include "repo/write_behind.h"

#include <stdatomic.h>
#include <string.h>

#include "repo/store_hook.h"
#include "testing.h"

#define KEY "packs/aa/aa"

struct bench {
	struct store *mem, *s;
	struct store_session *ss;
	uint64_t fail_at; /* the write that fails; 0: none */
	atomic_ullong writes;
	uint8_t *data;
};

#define DATA ((size_t)12 << 20)

static int watch(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct bench *b = arg;

	(void)key;
	if (call != HOOK_WRITE || after)
		return 0;
	if (++b->writes == b->fail_at)
		return err_set(e, ERR_NOSPACE, "no space left");
	return 0;
}

static struct bench *up(uint64_t fail_at)
{
	struct bench *b = xcalloc(1, sizeof(*b));
	struct random rnd = {random_seed()};

	b->fail_at = fail_at;
	b->mem = store_mem_new();
	b->s = store_hook_new(b->mem, watch, b, false);
	b->ss = OK_PTR(
		store_session_begin(b->s, "5d1f3c0e-8f3a-4c4e-9a53-0e6f5b3b7a11", "x", 1, e));
	b->data = xmalloc(DATA);
	random_fill(&rnd, b->data, DATA, true);
	return b;
}

static void down(struct bench *b)
{
	store_session_end(b->ss);
	store_free(b->s);
	store_free(b->mem);
	free(b->data);
	free(b);
}

static struct write_behind *begin(struct bench *b)
{
	return write_behind_new(OK_PTR(b->ss->ops->upload(b->ss, e)), NULL);
}

/* One piece, made in place where it fits, and added otherwise. */
static int put(struct write_behind *w, const uint8_t *data, size_t n, bool in_place, struct err *e)
{
	uint8_t *to;

	if (!in_place || n > WRITE_BEHIND_ROOM)
		return write_behind_add(w, data, n, e);
	to = write_behind_room(w, n, e);
	if (!to)
		return -1;
	memcpy(to, data, n);
	write_behind_made(w, n);
	return 0;
}

static void test_object_is_what_was_made(void **state)
{
	struct random rnd = {random_seed()};

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct bench *b = up(0);
		AUTO(write_behind) w = begin(b);
		AUTO_FREE uint8_t *got = xmalloc(DATA);
		size_t total = round ? random_below(&rnd, DATA) : 0,
		       most = round % 2 ? 100000 : DATA;
		uint64_t size;

		for (size_t at = 0; at < total;) {
			size_t n = 1 + random_below(&rnd, MIN(most, total - at));

			OK(put(w, b->data + at, n, random_below(&rnd, 2), e));
			at += n;
		}
		OK(write_behind_finish(w, KEY, e));
		OK(store_size(b->mem, KEY, &size, e));
		assert_int_equal(size, total);
		if (total)
			OK(store_get_all(b->mem, KEY, 0, got, total, e));
		assert_true(memcmp(got, b->data, total) == 0);
		write_behind_free(steal(&w));
		down(b);
	}
}

/* Whichever write fails. */
static void test_failed_write_is_told(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (uint64_t at = 1;; at++) {
		struct bench *b = up(at);
		AUTO(write_behind) w = begin(b);
		struct err why = {0};
		uint64_t size;
		int rc = put(w, b->data, DATA, false, &why);

		if (rc == 0)
			rc = write_behind_finish(w, KEY, &why);
		if (rc == 0) {
			assert_true(b->writes == at - 1);
			write_behind_free(steal(&w));
			down(b);
			break;
		}
		failed++;
		assert_int_equal(why.kind, ERR_NOSPACE);
		assert_string_equal(why.msg, "no space left");
		write_behind_free(steal(&w));
		FAILS(ERR_NOENT, store_size(b->mem, KEY, &size, e));
		down(b);
	}
	assert_true(failed >= DATA / WRITE_BEHIND_BYTES);
}

/* What is small is written by nobody before its end, and what is given up never. */
static void test_given_up(void **state)
{
	struct bench *b = up(0);
	struct write_behind *w = begin(b);
	uint64_t size;

	(void)state;
	OK(put(w, b->data, 1000, true, e));
	assert_true(b->writes == 0);
	write_behind_free(w);
	w = begin(b);
	OK(put(w, b->data, DATA, false, e));
	write_behind_free(w);
	write_behind_free(NULL);
	FAILS(ERR_NOENT, store_size(b->mem, KEY, &size, e));
	down(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_object_is_what_was_made),
		cmocka_unit_test(test_failed_write_is_told),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
