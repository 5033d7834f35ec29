/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pieces in a folder: found by whoever comes later, thrown away when damaged, bounded.
 */
#include "testing.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fio.h"
#include "repo/disk_cache.h"

#define MANY ((uint64_t)1 << 30)

static int set_up(void **state)
{
	*state = test_folder();
	return 0;
}

static int tear_down(void **state)
{
	test_folder_done(*state);
	return 0;
}

static struct disk_cache *open_part(void **state, const char *part, uint64_t max)
{
	AUTO_FREE char *root = test_path(*state, "c");

	return OK_PTR(disk_cache_open(root, part, max, e));
}

static void assert_kept(struct disk_cache *c, const char *name, const char *want)
{
	AUTO_BUF b = BUF_INIT;
	bool there = disk_cache_get(c, name, &b);

	assert_int_equal(there, want != NULL);
	if (want) {
		assert_int_equal(b.len, strlen(want));
		assert_memory_equal(b.data, want, b.len);
	}
}

static void test_kept(void **state)
{
	struct disk_cache *c = open_part(state, "p", MANY), *other;

	assert_kept(c, "a", NULL);
	disk_cache_put(c, "a", "hello", 5);
	disk_cache_put(c, "empty", "", 0);
	assert_kept(c, "a", "hello");
	other = open_part(state, "q", MANY);
	assert_kept(other, "a", NULL);
	disk_cache_free(other);
	disk_cache_free(c);
	c = open_part(state, "p", MANY);
	assert_kept(c, "a", "hello");
	assert_kept(c, "empty", "");
	disk_cache_put(c, "a", "better", 6);
	assert_kept(c, "a", "better");
	disk_cache_free(c);
	disk_cache_free(NULL);
}

static void test_too_large(void **state)
{
	AUTO_FREE uint8_t *bytes = xcalloc(DISK_CACHE_PIECE_MAX + 1, 1);
	AUTO(disk_cache) c = open_part(state, "p", MANY);
	AUTO_BUF b = BUF_INIT;

	disk_cache_put(c, "a", bytes, DISK_CACHE_PIECE_MAX + 1);
	assert_kept(c, "a", NULL);
	disk_cache_put(c, "a", bytes, DISK_CACHE_PIECE_MAX);
	assert_true(disk_cache_get(c, "a", &b));
}

/* Every byte bent, every length: never wrong bytes, and gone after that. */
static void test_damaged(void **state)
{
	AUTO_FREE char *part = test_path(*state, "c/p");
	AUTO_FREE char *path = test_path(part, "a"), *moved = test_path(part, "b");
	AUTO(disk_cache) c = open_part(state, "p", MANY);
	AUTO_BUF whole = BUF_INIT;

	disk_cache_put(c, "a", "hello", 5);
	OK(fio_slurp(path, 100, &whole, e));
	assert_int_equal(whole.len, 37);
	for (size_t i = 0; i < whole.len; i++) {
		whole.data[i] ^= 4;
		OK(fio_replace(path, whole.data, whole.len, 0600, e));
		assert_kept(c, "a", NULL);
		whole.data[i] ^= 4;
		assert_int_equal(test_entries(part), 0);
		OK(fio_replace(path, whole.data, i, 0600, e));
		assert_kept(c, "a", NULL);
		assert_int_equal(test_entries(part), 0);
	}
	/* One piece in the place of another. */
	OK(fio_replace(moved, whole.data, whole.len, 0600, e));
	assert_kept(c, "b", NULL);
	OK(fio_replace(path, whole.data, whole.len, 0600, e));
	assert_kept(c, "a", "hello");
}

static void set_age(const char *part, const char *name, time_t age_s)
{
	AUTO_FREE char *path = test_path(part, name);
	struct timespec t[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void test_bounded(void **state)
{
	AUTO_FREE char *p = test_path(*state, "c/p"), *q = test_path(*state, "c/q");
	struct disk_cache *c = open_part(state, "p", 4 * 4096), *other;
	char name[8];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		disk_cache_put(c, name, name, 2);
	}
	disk_cache_free(c);
	assert_int_equal(test_entries(p), 4);
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "p%d", i);
		set_age(p, name, 90000 - i * 10000);
	}
	/* p0 is used; then p1 and p2 are the oldest, whoever needs the room. */
	other = open_part(state, "p", 4 * 4096);
	assert_kept(other, "p0", "p0");
	disk_cache_free(other);
	c = open_part(state, "q", 4 * 4096);
	disk_cache_put(c, "q0", "q", 1);
	disk_cache_put(c, "q1", "q", 1);
	assert_int_equal(test_entries(p), 4);
	disk_cache_free(c);
	assert_int_equal(test_entries(p), 2);
	assert_int_equal(test_entries(q), 2);
	c = open_part(state, "p", 4 * 4096);
	assert_kept(c, "p0", "p0");
	assert_kept(c, "p1", NULL);
	assert_kept(c, "p2", NULL);
	assert_kept(c, "p3", "p3");
	disk_cache_free(c);
}

static void test_not_ours(void **state)
{
	AUTO_FREE char *root = test_path(*state, "c"), *link = test_path(*state, "l");

	assert_int_equal(mkdir(root, 0700), 0);
	assert_int_equal(chmod(root, 0770), 0);
	FAILS_PTR(ERR_DENIED, disk_cache_open(root, "p", MANY, e));
	assert_int_equal(chmod(root, 0700), 0);
	assert_int_equal(symlink(root, link), 0);
	assert_null(disk_cache_open(link, "p", MANY, NULL));
	FAILS_PTR(ERR_NOENT, disk_cache_open("/nonexistent/at/all", "p", MANY, e));
}

static void test_where_and_how_much(void **state)
{
	uint64_t n = 0;
	char *folder;

	(void)state;
	setenv("XDG_CACHE_HOME", "/x", 1);
	folder = disk_cache_folder();
	assert_string_equal(folder, "/x/holdfast");
	free(folder);
	unsetenv("XDG_CACHE_HOME");
	setenv("HOME", "/h", 1);
	folder = disk_cache_folder();
	assert_string_equal(folder, geteuid() == 0 ? "/var/cache/holdfast" : "/h/.cache/holdfast");
	free(folder);
	unsetenv("HOLDFAST_CACHE_SIZE");
	OK(disk_cache_limit(&n, e));
	assert_int_equal(n, (uint64_t)2 << 30);
	setenv("HOLDFAST_CACHE_SIZE", "3M", 1);
	OK(disk_cache_limit(&n, e));
	assert_int_equal(n, 3 << 20);
	setenv("HOLDFAST_CACHE_SIZE", "much", 1);
	FAILS(ERR_INVALID, disk_cache_limit(&n, e));
}

struct crowd {
	char *root;
	atomic_int wrong;
};

/* Many processes, as it were: each finds nothing, or what somebody put. */
static void member(void *arg, unsigned number)
{
	struct crowd *w = arg;
	struct random rnd = {number + 5};

	for (int i = 0; i < 200; i++) {
		AUTO(disk_cache) c = disk_cache_open(w->root, "p", 8 * 4096, NULL);
		unsigned k = (unsigned)random_below(&rnd, 12);
		AUTO_BUF b = BUF_INIT;
		char name[16];

		snprintf(name, sizeof(name), "piece %u", k);
		if (!c)
			atomic_fetch_add(&w->wrong, 1);
		else if (!disk_cache_get(c, name, &b))
			disk_cache_put(c, name, name, strlen(name));
		else if (b.len != strlen(name) || memcmp(b.data, name, b.len) != 0)
			atomic_fetch_add(&w->wrong, 1);
	}
}

static void test_many_at_once(void **state)
{
	AUTO_FREE char *part = test_path(*state, "c/p");
	struct crowd w = {.root = test_path(*state, "c")};

	test_threads(8, member, &w);
	assert_int_equal(w.wrong, 0);
	assert_in_range(test_entries(part), 1, 8);
	free(w.root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_ours, set_up, tear_down),
		cmocka_unit_test(test_where_and_how_much),
		cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
