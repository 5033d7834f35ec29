/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What names of exports mean, what may be read, and that connections to one disk share its view.
 */
#include "nbdkit/exports.h"

#include <string.h>

#include "repo/point.h"
#include "writer.h"

struct bench {
	struct store *store;
	struct repo *r;
	char id[2][UUID_TEXT];
};

/* Two checkpoints of "web": of vda, and of vda, vdb and a stream. */
static void protect_disks(struct bench *b, unsigned number)
{
	static const char *const names[] = {"vda", "vdb", "log"};
	struct session_options o = {0};
	AUTO(point) p = point_new();
	struct point_resource *r = point_add_resource(p, "domain", "/path/of/web", "web", "test");
	struct random rnd = {random_seed() + number};
	struct writer w;

	OK(writer_begin(&w, b->r, &o, e));
	for (size_t i = 0; i < (number ? 3 : 1); i++) {
		struct point_disk *d = point_add_disk(r, names[i]);
		struct disk content;

		disk_make(&content, &rnd, 4 + i);
		OK(writer_disk(&w, &content, NULL, NULL, &d->tree, NULL, e));
		disk_done(&content);
		if (i == 2)
			d->tree.type = TREE_SEQUENCE;
	}
	p->instant_us = number + 1;
	OK(session_commit(w.s, p, e));
	uuid_text(&p->id, b->id[number]);
	writer_end(&w);
}

static void up(struct bench *b)
{
	b->r = test_repo(&b->store);
	protect_disks(b, 0);
	protect_disks(b, 1);
}

static void down(struct bench *b)
{
	repo_free(b->r);
	store_free(b->store);
}

static struct exports *make(struct bench *b, const char *checkpoint, const char *disk, bool only)
{
	struct exports_options o = {checkpoint, disk, only, 4 * BLOCK};

	return exports_new(b->r, &o);
}

/* The size of the disk that a name means, in blocks; 0: none, and it is told why. */
static uint64_t blocks_of(struct exports *x, const char *name)
{
	struct err e = {0};
	struct served *sv = exports_open(x, name, &e);
	uint64_t n = sv ? view_size(served_view(sv)) / BLOCK : 0;

	if (sv)
		exports_close(x, sv);
	else
		assert_non_null(strstr(e.msg, name));
	return n;
}

static void test_names(void **state)
{
	AUTO(exports) x = NULL;
	char name[128];
	struct bench b;

	(void)state;
	up(&b);
	x = make(&b, NULL, NULL, false);
	snprintf(name, sizeof(name), "%s/vda", b.id[0]);
	assert_int_equal(blocks_of(x, name), 4);
	snprintf(name, sizeof(name), "%.8s/vdb", b.id[1]);
	assert_int_equal(blocks_of(x, name), 5);
	snprintf(name, sizeof(name), "%s/", b.id[0]);
	assert_int_equal(blocks_of(x, name), 4);
	assert_int_equal(blocks_of(x, "web@latest/vdb"), 5);
	assert_int_equal(blocks_of(x, "/path/of/web@latest/vda"), 4);
	assert_int_equal(blocks_of(x, "latest/vdc"), 0);
	assert_int_equal(blocks_of(x, "latest/log"), 0);
	assert_int_equal(blocks_of(x, "latest/"), 0);
	assert_int_equal(blocks_of(x, "db@latest/vda"), 0);
	assert_int_equal(blocks_of(x, "vda"), 0);
	assert_int_equal(blocks_of(x, ""), 0);
	assert_null(exports_default(x));
	down(&b);
}

static void test_defaults(void **state)
{
	AUTO_FREE char *first = NULL, *none = NULL, *second = NULL;
	AUTO(exports) one = NULL;
	AUTO(exports) several = NULL;
	AUTO(exports) disk = NULL;
	struct bench b;

	(void)state;
	up(&b);
	one = make(&b, b.id[0], NULL, false);
	several = make(&b, "latest", NULL, false);
	disk = make(&b, "latest", "vdb", false);
	first = exports_default(one);
	none = exports_default(several);
	second = exports_default(disk);
	assert_string_equal(first, "vda");
	assert_null(none);
	assert_string_equal(second, "vdb");
	assert_int_equal(blocks_of(one, ""), 4);
	assert_int_equal(blocks_of(several, ""), 0);
	assert_int_equal(blocks_of(several, "vdb"), 5);
	assert_int_equal(blocks_of(disk, ""), 5);
	assert_int_equal(blocks_of(one, "latest/vdb"), 5);
	down(&b);
}

static void test_only(void **state)
{
	AUTO(exports) point = NULL;
	AUTO(exports) disk = NULL;
	char other[128];
	struct bench b;

	(void)state;
	up(&b);
	snprintf(other, sizeof(other), "%s/vda", b.id[0]);
	point = make(&b, b.id[1], NULL, true);
	disk = make(&b, b.id[1], "vdb", true);
	assert_int_equal(blocks_of(point, "vda"), 4);
	assert_int_equal(blocks_of(point, "latest/vdb"), 5);
	FAILS_PTR(ERR_DENIED, exports_open(point, other, e));
	FAILS_PTR(ERR_DENIED, exports_open(disk, "vda", e));
	assert_int_equal(blocks_of(disk, "vdb"), 5);
	down(&b);
}

static void test_sharing(void **state)
{
	AUTO(exports) x = NULL;
	struct served *one, *two, *other;
	struct bench b;

	(void)state;
	up(&b);
	x = make(&b, b.id[1], NULL, false);
	one = OK_PTR(exports_open(x, "vda", e));
	other = OK_PTR(exports_open(x, "vdb", e));
	two = OK_PTR(exports_open(x, "latest/vda", e));
	assert_ptr_equal(served_view(one), served_view(two));
	assert_ptr_not_equal(served_view(one), served_view(other));
	assert_string_equal(served_description(one), "web, vda, 1970-01-01T00:00:00Z");
	exports_close(x, one);
	assert_int_equal(view_size(served_view(two)), 4 * BLOCK);
	exports_close(x, two);
	exports_close(x, other);
	down(&b);
}

static int note(void *arg, const char *name, const char *description, struct err *e)
{
	char *all = arg;

	(void)e;
	assert_non_null(strstr(description, "web, "));
	snprintf(all + strlen(all), 512 - strlen(all), "%s ", name);
	return 0;
}

static int stop(void *arg, const char *name, const char *description, struct err *e)
{
	(void)arg;
	(void)name;
	(void)description;
	return err_set(e, ERR_LIMIT, "enough");
}

static void test_list(void **state)
{
	AUTO(exports) all = NULL;
	AUTO(exports) point = NULL;
	AUTO(exports) disk = NULL;
	AUTO(exports) none = NULL;
	char got[512] = "", want[512];
	struct bench b;

	(void)state;
	up(&b);
	all = make(&b, NULL, NULL, false);
	point = make(&b, "latest", NULL, false);
	disk = make(&b, "latest", "vdb", true);
	none = make(&b, "db@latest", NULL, false);
	OK(exports_list(all, note, got, e));
	snprintf(want, sizeof(want), "%s/vda %s/vdb %s/vda ", b.id[1], b.id[1], b.id[0]);
	assert_string_equal(got, want);
	got[0] = 0;
	OK(exports_list(point, note, got, e));
	assert_string_equal(got, "vda vdb ");
	got[0] = 0;
	OK(exports_list(disk, note, got, e));
	assert_string_equal(got, "vdb ");
	FAILS(ERR_LIMIT, exports_list(all, stop, NULL, e));
	FAILS(ERR_NOENT, exports_list(none, note, got, e));
	exports_free(NULL);
	down(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_only),  cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
