/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collection in a store that is full. With a real file system: test/it/test_collect.py.
 */
#include <string.h>

#include "repo/collect.h"
#include "repo/store_hook.h"
#include "writer.h"

enum { HALF = 12 }; /* blocks */

/* Noise: halves with these numbers, 0 for none. */
static struct disk content(uint32_t first, uint32_t second)
{
	struct disk d = {xcalloc(2 * HALF, BLOCK), 2 * HALF * BLOCK};
	struct random one = {first}, two = {second};

	random_fill(&one, d.data, HALF * BLOCK, true);
	if (second)
		random_fill(&two, d.data + HALF * BLOCK, HALF * BLOCK, true);
	return d;
}

static struct uuid backup(struct repo *r, uint32_t first, uint32_t second)
{
	struct disk d = content(first, second);
	struct uuid id;

	OK(protect(r, NULL, &d, &id, NULL, e));
	disk_done(&d);
	return id;
}

static void assert_backup(struct store *s, const struct uuid *id, uint32_t first)
{
	AUTO(repo) fresh = test_reopen(s);
	struct disk d = content(first, 0);

	assert_point(fresh, id, &d);
	disk_done(&d);
}

/* Room for everything but packs; or for nothing at all. */
static int no_room(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	const bool *but_packs = arg;
	bool writes = call == HOOK_PUT_NEW || call == HOOK_FINISH || call == HOOK_BEGIN;

	if (!writes || after || (*but_packs && strncmp(key, "packs/", 6) != 0))
		return 0;
	return err_set(e, ERR_NOSPACE, "no room for %s", key);
}

/* Where there is no room for copies, what needs none goes all the same, though it was condemned
 * together with the rest; and that goes once there is room. Without any, it is said what to do. */
static void test_without_room(void **state)
{
	static const struct collect_options o = {0};
	struct repo_fixture *f = *state;
	struct uuid both = backup(f->r, 1, 2), one = backup(f->r, 1, 0), three = backup(f->r, 3, 0);
	bool but_packs = false;
	AUTO(store) full = store_hook_new(f->s, no_room, &but_packs, false);
	AUTO(repo) r = test_reopen(full);
	struct collect_result result;

	OK(point_delete(f->r, &both, e));
	OK(point_delete(f->r, &three, e));
	FAILS(ERR_NOSPACE, collect_run(r, &o, &result, e));
	but_packs = true;
	OK(collect_run(r, &o, &result, e));
	assert_true(result.more && result.dropped == 1 && result.copied == 0);
	assert_int_equal(test_count(f->s, "packs/"), 2);
	assert_backup(f->s, &one, 1);
	FAILS(ERR_NOSPACE, collect_run(r, &o, &result, e));
	assert_backup(f->s, &one, 1);
	OK(collect_run(f->r, &o, &result, e));
	assert_true(!result.more && result.copied > HALF * BLOCK);
	assert_backup(f->s, &one, 1);
	OK(collect_run(f->r, &o, &result, e));
	assert_int_equal(result.dropped, 0);
	assert_int_equal(test_count(f->s, "epochs/"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_room, repo_fixture_up,
						repo_fixture_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
