/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring from far away, where every request is a round trip.
 */
#include "mover/restore.h"

#include <string.h>

#include "mem_sink.h"
#include "repo/store_hook.h"
#include "writer.h"

#define BLOCKS ((size_t)2000)
#define HOLE ((size_t)300)

static int count_packs(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)e;
	if (call == HOOK_GET && !after && strncmp(key, "packs/", 6) == 0)
		atomic_fetch_add((atomic_uint *)arg, 1);
	return 0;
}

static struct tree store_disk(struct repo *r, const struct disk *disk)
{
	AUTO(point) p = point_new();
	struct writer w;
	struct tree tree;

	OK(writer_begin(&w, r, NULL, e));
	OK(writer_disk(&w, disk, NULL, NULL, &tree, NULL, e));
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	return tree;
}

/* Noise with a hole; then every tenth block is another, in the hole too. */
static struct tree store_by_turns(struct repo *r, struct disk *disk, struct random *rnd)
{
	random_fill(rnd, disk->data, disk->size, true);
	memset(disk->data + 700 * BLOCK, 0, HOLE * BLOCK);
	store_disk(r, disk);
	for (size_t i = 3; i < BLOCKS; i += 10)
		random_fill(rnd, disk->data + i * BLOCK, BLOCK, true);
	return store_disk(r, disk);
}

/* 125 MiB in 3 packs: heads, nodes, and two requests for each 8 MiB; in order, two for each 4 MiB,
 * and those that lie alone in the hole. */
static void test_by_turns(void **state)
{
	static const unsigned most[2] = {40, 95};
	struct random rnd = {random_seed()};
	struct store *store, *hooked;
	atomic_uint gets = 0;
	struct repo *r, *far;
	struct disk disk;
	struct tree tree;

	(void)state;
	r = test_repo(&store);
	disk_make(&disk, &rnd, BLOCKS);
	tree = store_by_turns(r, &disk, &rnd);
	hooked = store_hook_new(store, count_packs, &gets, false);
	hooked->distant = true;
	far = test_reopen(hooked);
	for (int ordered = 0; ordered < 2; ordered++) {
		struct progress progress = {0};
		struct mem_sink m;
		const struct restore job = {
			.repo = far, .tree = &tree, .sink = &m.s, .progress = &progress};

		mem_sink_init(&m, disk.size, ordered, true);
		gets = 0;
		OK(restore_run(&job, e));
		assert_int_equal(m.wrong, 0);
		assert_true(m.highest < restore_threads(far));
		assert_true(memcmp(m.data, disk.data, disk.size) == 0);
		assert_true(gets <= most[ordered]);
		/* Little in vain. */
		assert_true(progress_get(&progress.read) < disk.size);
		mem_sink_done(&m);
	}
	repo_free(far);
	store_free(hooked);
	disk_done(&disk);
	repo_free(r);
	store_free(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
