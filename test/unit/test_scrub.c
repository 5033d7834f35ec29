/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every stored byte is looked at without keys: damage anywhere is found where it is, and nothing
 * else is called damaged.
 */
#include "repo/scrub.h"

#include <string.h>

#include "base/clock.h"
#include "repo/epoch.h"
#include "repo/store_hook.h"
#include "repo/store_mem.h"
#include "writer.h"

static const char *const prefixes[] = {"keys/",	 "points/", "epochs/",
				       "index/", "packs/",  "parity/"};

struct seen {
	struct progress progress;
	unsigned bad; /* the calls are one at a time */
	char key[STORE_KEY_MAX];
	struct err why;
	enum scrub_parity parity;
};

static void on_bad(void *arg, const struct scrub_finding *f)
{
	struct seen *seen = arg;

	seen->bad++;
	snprintf(seen->key, sizeof(seen->key), "%s", f->key);
	seen->why = *f->why;
	seen->parity = f->parity;
}

static int scrub(struct store *s, const struct cancel *cancel, struct seen *seen,
		 struct scrub_result *ret, struct err *e)
{
	struct scrub job = {s, cancel, &seen->progress, on_bad, seen};

	*seen = (struct seen){0};
	return scrub_run(&job, ret, e);
}

/* Two checkpoints and an epoch. */
static int fill_with(void **state, unsigned parity)
{
	struct session_options o = {.pack_bytes = 100 << 10};
	struct repo_fixture *f;
	struct pack_set none = {0};
	struct random rnd = {random_seed()};

	f = xcalloc(1, sizeof(*f));
	f->r = test_repo_parity(&f->s, parity);
	*state = f;
	for (int i = 0; i < 2; i++) {
		struct disk d;
		struct uuid id;

		disk_make(&d, &rnd, 12);
		OK(protect(f->r, &o, &d, &id, NULL, e));
		disk_done(&d);
	}
	OK(epoch_publish(f->r, &none, e));
	return 0;
}

static int fill(void **state)
{
	return fill_with(state, 0);
}

static int fill_with_parity(void **state)
{
	return fill_with(state, 5);
}

static void assert_whole(struct store *s)
{
	struct scrub_result result;
	struct seen seen;

	OK(scrub(s, NULL, &seen, &result, e));
	assert_int_equal(result.damaged, 0);
	assert_int_equal(seen.bad, 0);
}

static void test_all_is_read(void **state)
{
	struct repo_fixture *f = *state;
	uint64_t objects = 1, bytes, size;
	struct scrub_result result;
	struct seen seen;

	OK(store_size(f->s, "holdfast", &bytes, e));
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = test_count(f->s, prefixes[i]);
		char key[STORE_KEY_MAX];

		assert_true(n > 0);
		objects += n;
		for (size_t k = 0; k < n; k++) {
			test_nth(f->s, prefixes[i], k, key);
			OK(store_size(f->s, key, &size, e));
			bytes += size;
		}
	}
	assert_true(test_count(f->s, "packs/") > 2);
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(result.objects, objects);
	assert_int_equal(result.bytes, bytes);
	assert_int_equal(result.damaged + result.strange, 0);
	assert_int_equal(seen.bad, 0);
	assert_int_equal(progress_get(&seen.progress.total), bytes);
	assert_int_equal(progress_get(&seen.progress.read), bytes);
}

/* One byte of one object is wrong: that object is named, once, and no other. */
static void assert_found(struct store *s, const char *key, size_t at, struct random *rnd)
{
	struct scrub_result result;
	struct seen seen;
	size_t len;
	uint8_t *byte = store_mem_bytes(s, key, &len) + at, was = *byte;

	assert_true(at < len);
	*byte ^= (uint8_t)(1 + random_below(rnd, 255));
	OK(scrub(s, NULL, &seen, &result, e));
	*byte = was;
	if (result.damaged != 1 || strcmp(seen.key, key) != 0)
		fail_msg("byte %zu of %s: %u findings, %s", at, key, (unsigned)result.damaged,
			 seen.key);
	assert_int_equal(seen.bad, 1);
	assert_int_equal(seen.why.kind, ERR_CORRUPT);
	assert_non_null(strstr(seen.why.msg, key));
}

static void test_every_damaged_byte_is_found(void **state)
{
	struct random rnd = {random_seed()};
	struct repo_fixture *f = *state;
	char key[STORE_KEY_MAX];
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		for (size_t k = test_count(f->s, prefixes[i]); k-- > 0;) {
			test_nth(f->s, prefixes[i], k, key);
			store_mem_bytes(f->s, key, &len);
			assert_found(f->s, key, 0, &rnd);
			assert_found(f->s, key, len - 1, &rnd);
			for (int n = 0; n < 5; n++)
				assert_found(f->s, key, random_below(&rnd, len), &rnd);
		}
	}
	assert_whole(f->s);
}

static void test_header(void **state)
{
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct seen seen;
	size_t len;
	uint8_t *text = store_mem_bytes(f->s, "holdfast", &len);

	text[len / 2] ^= 1;
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(result.damaged, 1);
	assert_string_equal(seen.key, "holdfast");
	OK(store_remove(f->s, "holdfast", e));
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(result.damaged, 1);
	assert_string_equal(seen.key, "holdfast");
	assert_non_null(strstr(seen.why.msg, "missing"));
}

static void test_objects_cut_short_or_longer(void **state)
{
	struct repo_fixture *f = *state;
	struct scrub_result result;
	char key[STORE_KEY_MAX];
	struct seen seen;
	unsigned n = 0;
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		test_nth(f->s, prefixes[i], 0, key);
		store_mem_bytes(f->s, key, &len);
		store_mem_resize(f->s, key, i % 2 ? len - 1 : len + 1);
		OK(scrub(f->s, NULL, &seen, &result, e));
		assert_int_equal(result.damaged, ++n);
		store_mem_resize(f->s, key, 0);
		OK(scrub(f->s, NULL, &seen, &result, e));
		assert_int_equal(result.damaged, n);
	}
}

static void test_no_repository(void **state)
{
	AUTO(store) s = store_mem_new();
	struct scrub_result result;
	struct seen seen;

	(void)state;
	FAILS(ERR_NOENT, scrub(s, NULL, &seen, &result, e));
	OK(store_put_new(s, "points/notes.txt", "x", 1, e));
	FAILS(ERR_NOENT, scrub(s, NULL, &seen, &result, e));
}

/* What does not have one of our names is none of ours, whatever it holds. */
static void test_strange_names(void **state)
{
	static const char *const names[] = {"keys/01",	     "keys/x",	   "keys/1.copy2",
					    "keys/.copy",    "epochs/0",   "epochs/1x",
					    "points/readme", "index/00ff", "packs/ab/cd"};
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct seen seen;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		OK(store_put_new(f->s, names[i], "strange", 7, e));
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(result.strange, ARRAY_LEN(names));
	assert_int_equal(result.damaged, 0);
}

/* ---- a store that has its troubles ---- */

struct trouble {
	char key[STORE_KEY_MAX];
	enum err_kind kind;
	enum hook_call call;
	struct cancel *cancel;
};

static int trouble(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct trouble *t = arg;

	if (call != t->call || after || strcmp(key, t->key) != 0)
		return 0;
	if (t->cancel) {
		cancel_set(t->cancel);
		return 0;
	}
	return err_set(e, t->kind, "%s: on purpose", key);
}

static void with_trouble(struct repo_fixture *f, struct trouble *t, int want, enum err_kind kind,
			 struct scrub_result *ret, struct seen *seen)
{
	AUTO(store) s = store_hook_new(f->s, trouble, t, false);

	if (want == 0)
		OK(scrub(s, t->cancel, seen, ret, e));
	else
		FAILS(kind, scrub(s, t->cancel, seen, ret, e));
}

static void test_gone_meanwhile(void **state)
{
	struct trouble t = {.kind = ERR_NOENT, .call = HOOK_GET};
	struct scrub_result whole, result;
	struct seen seen;

	OK(scrub(((struct repo_fixture *)*state)->s, NULL, &seen, &whole, e));
	test_nth(((struct repo_fixture *)*state)->s, "packs/", 1, t.key);
	with_trouble(*state, &t, 0, ERR_NONE, &result, &seen);
	assert_int_equal(result.damaged, 0);
	assert_int_equal(result.objects, whole.objects - 1);
}

/* The disk cannot read one object: that is a finding, and the others are read. */
static void test_unreadable(void **state)
{
	struct trouble t = {.kind = ERR_IO, .call = HOOK_GET};
	struct repo_fixture *f = *state;
	struct scrub_result whole, result;
	struct seen seen;

	OK(scrub(f->s, NULL, &seen, &whole, e));
	test_nth(f->s, "packs/", 0, t.key);
	with_trouble(f, &t, 0, ERR_NONE, &result, &seen);
	assert_int_equal(result.damaged, 1);
	assert_int_equal(seen.why.kind, ERR_IO);
	assert_string_equal(seen.key, t.key);
	assert_int_equal(result.objects, whole.objects);
}

static void test_list_fails(void **state)
{
	struct trouble t = {.key = "packs/", .kind = ERR_IO, .call = HOOK_LIST};
	struct scrub_result result;
	struct seen seen;

	with_trouble(*state, &t, -1, ERR_IO, &result, &seen);
	snprintf(t.key, sizeof(t.key), "holdfast");
	t.call = HOOK_SIZE;
	with_trouble(*state, &t, -1, ERR_IO, &result, &seen);
}

static void test_stopped(void **state)
{
	struct cancel cancel = {0};
	struct trouble t = {.call = HOOK_GET, .cancel = &cancel};
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct seen seen;

	test_nth(f->s, "points/", 0, t.key);
	with_trouble(f, &t, -1, ERR_CANCELLED, &result, &seen);
	assert_int_equal(result.damaged, 0);
	assert_whole(f->s);
}

/* ---- a part at a time ---- */

static void scrub_part(struct store *s, struct verified *v, const struct scrub_bounds *bounds,
		       struct scrub_result *ret)
{
	struct seen seen = {0};
	struct scrub job = {s, NULL, &seen.progress, on_bad, &seen, *bounds, v};

	OK(scrub_run(&job, ret, e));
	assert_int_equal(seen.bad, ret->damaged);
}

/* One pack after the other, the longest unread first, until all were read once; then none. */
static void test_a_part_at_a_time(void **state)
{
	static const struct scrub_bounds one = {.bytes = 1, .max_age_us = UINT64_MAX / 2};
	struct repo_fixture *f = *state;
	size_t named = test_count(f->s, "packs/") + test_count(f->s, "index/");
	size_t small = test_count(f->s, "points/") + test_count(f->s, "keys/") +
		       test_count(f->s, "epochs/") + 1;
	struct scrub_result result;
	struct verified v = {0};

	for (size_t i = 1; i <= named; i++) {
		scrub_part(f->s, &v, &one, &result);
		assert_int_equal(result.objects, small + 1);
		assert_int_equal(result.passed, i - 1);
		assert_int_equal(result.due, named - i);
		assert_int_equal(result.oldest_us == 0, i < named);
		assert_int_equal(v.n, i);
	}
	scrub_part(f->s, &v, &one, &result);
	assert_int_equal(result.objects, small);
	assert_int_equal(result.passed, named);
	/* Without an age all of it is due again, and the oldest comes first. */
	scrub_part(f->s, &v, &(struct scrub_bounds){.bytes = 1}, &result);
	assert_int_equal(result.objects, small + 1);
	assert_int_equal(result.due, named - 1);
	verified_done(&v);
}

/* What is damaged is told each time, and what is gone is forgotten. */
static void test_damage_is_never_passed_over(void **state)
{
	static const struct scrub_bounds month = {.max_age_us = UINT64_MAX / 2};
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct verified v = {0};
	char key[STORE_KEY_MAX];
	size_t len, known;

	scrub_part(f->s, &v, &month, &result);
	known = v.n;
	test_nth(f->s, "packs/", 1, key);
	store_mem_bytes(f->s, key, &len)[7] ^= 1;
	scrub_part(f->s, &v, &month, &result);
	assert_int_equal(result.damaged, 0); /* it was read a moment ago */
	scrub_part(f->s, &v, &(struct scrub_bounds){0}, &result);
	assert_int_equal(result.damaged, 1);
	assert_int_equal(v.n, known - 1);
	for (int i = 0; i < 2; i++) {
		scrub_part(f->s, &v, &month, &result);
		assert_int_equal(result.damaged, 1);
		assert_int_equal(result.oldest_us, 0);
	}
	OK(store_remove(f->s, key, e));
	scrub_part(f->s, &v, &month, &result);
	assert_int_equal(result.damaged, 0);
	assert_int_equal(result.passed, known - 1);
	assert_int_equal(v.n, known - 1);
	verified_done(&v);
}

static void test_out_of_time(void **state)
{
	static const struct scrub_bounds none = {.time_us = 1};
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct verified v = {0};

	scrub_part(f->s, &v, &none, &result);
	assert_int_equal(result.due, test_count(f->s, "packs/") + test_count(f->s, "index/"));
	assert_int_equal(v.n, 0);
	verified_done(&v);
}

static void test_rate(void **state)
{
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct verified v = {0};
	uint64_t start = clock_mono_us(), bytes;

	scrub_part(f->s, &v, &(struct scrub_bounds){0}, &result);
	bytes = result.bytes;
	start = clock_mono_us();
	/* Half a second for the packs, if not for all of it. */
	scrub_part(f->s, &v, &(struct scrub_bounds){.bytes_per_s = 2 * bytes}, &result);
	assert_true(clock_mono_us() - start >= 250000);
	verified_done(&v);
}

/* What parity can do about a damaged pack is found out; what has no parity is counted. */
static void test_parity(void **state)
{
	struct repo_fixture *f = *state;
	char key[STORE_KEY_MAX], parity[STORE_KEY_MAX];
	struct scrub_result result;
	struct seen seen;
	uint8_t *bytes;
	size_t len;

	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(result.parity, 5);
	assert_int_equal(result.bare, 0);
	test_nth(f->s, "packs/", 0, key);
	bytes = store_mem_bytes(f->s, key, &len);
	bytes[len / 2] ^= 1;
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(result.damaged, 1);
	assert_int_equal(seen.parity, PARITY_MENDS);
	for (size_t i = 0; i < len; i += 1000)
		bytes[i] ^= 1;
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(seen.parity, PARITY_LOST);
	snprintf(parity, sizeof(parity), "parity/%s", key + strlen("packs/"));
	OK(store_remove(f->s, parity, e));
	OK(scrub(f->s, NULL, &seen, &result, e));
	assert_int_equal(seen.parity, PARITY_NONE);
	assert_int_equal(result.bare, 1);
}

/* A pack and its parity have one age: where the parity is damaged, both are read each time. */
static void test_age_of_parity(void **state)
{
	static const struct scrub_bounds month = {.max_age_us = UINT64_MAX / 2};
	struct repo_fixture *f = *state;
	struct scrub_result result;
	struct verified v = {0};
	struct pack_set bad = {0};
	struct seen seen = {0};
	struct scrub job = {f->s,  NULL,	   &seen.progress,    on_bad,
			    &seen, .verified = &v, .bad_parity = &bad};
	size_t packs = test_count(f->s, "packs/"), runs = test_count(f->s, "index/"), len;
	char key[STORE_KEY_MAX];

	test_nth(f->s, "parity/", 0, key);
	store_mem_bytes(f->s, key, &len)[len / 2] ^= 1;
	OK(scrub_run(&job, &result, e));
	assert_int_equal(result.damaged, 1);
	assert_int_equal(v.n, packs + runs - 1);
	assert_int_equal(bad.n, 1);
	job.bounds = month;
	OK(scrub_run(&job, &result, e));
	assert_int_equal(result.damaged, 1);
	assert_int_equal(result.passed, packs + runs - 1);
	store_mem_bytes(f->s, key, &len)[len / 2] ^= 1;
	OK(scrub_run(&job, &result, e));
	OK(scrub_run(&job, &result, e));
	assert_int_equal(result.passed, packs + runs);
	pack_set_done(&bad);
	verified_done(&v);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fill, repo_fixture_down)
#define P(name) cmocka_unit_test_setup_teardown(name, fill_with_parity, repo_fixture_down)
	const struct CMUnitTest tests[] = {
		P(test_all_is_read),
		P(test_every_damaged_byte_is_found),
		P(test_parity),
		P(test_age_of_parity),
		T(test_header),
		P(test_objects_cut_short_or_longer),
		cmocka_unit_test(test_no_repository),
		T(test_strange_names),
		T(test_gone_meanwhile),
		T(test_unreadable),
		T(test_list_fails),
		T(test_stopped),
		T(test_a_part_at_a_time),
		T(test_damage_is_never_passed_over),
		T(test_out_of_time),
		T(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
