/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a repository: disks and streams change and are backed up, as a whole or what
 * changed; checkpoints are deleted, space is collected, keys rotated, sessions aborted or
 * interleaved, processes begin anew; objects are damaged or lost, and mended from a second
 * repository. Whatever happens, every checkpoint that is there holds what was backed up then.
 *
 * HF_SEED gives another seed, HF_HISTORIES how many histories.
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#include "mover/mend.h"
#include "repo/collect.h"
#include "repo/epoch.h"
#include "repo/store_mem.h"
#include "writer.h"

enum { MACHINES = 3 /* two disks and a stream */ };
enum { KEPT_MAX = 12, STEPS = 30, RUNS = 4 };

/* A checkpoint and what it must hold. */
struct kept {
	struct uuid id;
	struct tree tree;
	uint8_t *data;
	uint64_t size;
};

/* An index run that is there, or once was. */
struct once {
	char key[STORE_KEY_MAX];
	struct buf bytes;
};

struct history {
	struct random rnd;
	struct store *store;
	struct repo *repo;
	uint8_t key;
	struct machine machines[MACHINES];
	struct kept kept[KEPT_MAX];
	size_t n_kept;
	struct once runs[RUNS];
	unsigned late_runs;
	struct store *second_store; /* of copies; made with the first of them */
	struct repo *second;
	struct progress progress;
	unsigned copies, damages, mended;
	unsigned backups, increments, aborts, deletions, rotations, collections;
	uint64_t given_back, deltas;
};

static uint64_t below(struct history *h, uint64_t n)
{
	return random_below(&h->rnd, n);
}

static struct repo *open_repo(struct history *h)
{
	AUTO(credential) c = test_credential(h->key);

	return OK_PTR(repo_open(h->store, c, e));
}

static void begin(struct history *h, uint64_t seed)
{
	*h = (struct history){.rnd = {seed | 1}, .key = 1};
	h->repo = test_repo_parity(&h->store, seed % 3 ? 5 : 0);
	h->store->late = below(h, 2);
	for (int i = 0; i < MACHINES; i++)
		machine_init(&h->machines[i], &h->rnd, i == 2);
}

static void end(struct history *h)
{
	for (size_t i = 0; i < h->n_kept; i++)
		free(h->kept[i].data);
	for (int i = 0; i < MACHINES; i++)
		machine_done(&h->machines[i]);
	for (int i = 0; i < RUNS; i++)
		buf_done(&h->runs[i].bytes);
	repo_free(h->repo);
	store_free(h->store);
	repo_free(h->second);
	store_free(h->second_store);
}

/* ---- checkpoints ---- */

static struct kept *find(struct history *h, const struct uuid *id)
{
	for (size_t i = 0; i < h->n_kept; i++) {
		if (uuid_equal(&h->kept[i].id, id))
			return &h->kept[i];
	}
	return NULL;
}

static void drop_kept(struct history *h, struct kept *k)
{
	free(k->data);
	*k = h->kept[--h->n_kept];
}

static void do_delete(struct history *h)
{
	struct kept *k;

	if (h->n_kept == 0)
		return;
	k = &h->kept[below(h, h->n_kept)];
	OK(point_delete(h->repo, &k->id, e));
	drop_kept(h, k);
	h->deletions++;
}

/* ---- what happens to disks and streams ---- */

static struct machine *any_machine(struct history *h)
{
	return &h->machines[below(h, MACHINES)];
}

static void do_write(struct history *h)
{
	struct machine *m = any_machine(h);

	machine_write(m, any_machine(h), &h->rnd);
}

static void do_sprinkle(struct history *h)
{
	machine_sprinkle(any_machine(h), &h->rnd);
}

static void do_shift(struct history *h)
{
	machine_shift(any_machine(h), &h->rnd);
}

static void do_resize(struct history *h)
{
	machine_resize(any_machine(h), &h->rnd);
}

/* ---- backups ---- */

/* One machine's backup in an open session. */
struct attempt {
	struct session *s;
	struct machine *m;
	struct point *p;
	struct kept kept;
};

static void attempt_begin(struct history *h, struct attempt *a, struct machine *m)
{
	struct session_options o = {.pack_bytes = 20000 + below(h, 3000000),
				    .run_entries = 1 + below(h, 40)};

	*a = (struct attempt){.m = m, .p = point_new()};
	a->s = OK_PTR(session_begin(h->repo, &o, e));
}

static void attempt_read(struct history *h, struct attempt *a)
{
	const struct kept *parent = find(h, &a->m->parent);
	const char *type = a->m->stream ? "stream" : "disk";

	if (below(h, 3) == 0)
		parent = NULL;
	h->increments += machine_back_up(a->m, a->s, &h->rnd, parent ? &parent->tree : NULL,
					 parent ? &parent->id : NULL, &a->kept.tree);
	point_add_disk(point_add_resource(a->p, type, "", "d", ""), "d")->tree = a->kept.tree;
}

static void attempt_commit(struct history *h, struct attempt *a)
{
	struct kept *k;

	OK(session_commit(a->s, a->p, e));
	if (h->n_kept == KEPT_MAX) {
		k = &h->kept[below(h, KEPT_MAX)];
		OK(point_delete(h->repo, &k->id, e));
		drop_kept(h, k);
	}
	k = &h->kept[h->n_kept++];
	*k = a->kept;
	k->id = a->p->id;
	k->size = a->m->size;
	k->data = xmalloc(k->size + 1);
	memcpy(k->data, a->m->data, k->size);
	a->m->parent = k->id;
	memset(a->m->dirty, 0, sizeof(a->m->dirty));
	h->backups++;
}

static void attempt_end(struct attempt *a)
{
	session_free(a->s);
	point_free(a->p);
}

static void do_backup(struct history *h)
{
	struct attempt a;

	attempt_begin(h, &a, any_machine(h));
	attempt_read(h, &a);
	if (below(h, 5))
		attempt_commit(h, &a);
	else
		h->aborts++;
	attempt_end(&a);
}

/* A collector of another process takes both for dead. */
static void collect_both(struct history *h, struct attempt *a, struct attempt *b)
{
	AUTO(repo) other = open_repo(h);
	struct collect_options o = {.waste_percent = 1};
	struct collect_result result;

	OK(collect_run(other, &o, &result, e));
	FAILS(ERR_CONFLICT, session_commit(a->s, a->p, e));
	FAILS(ERR_CONFLICT, session_commit(b->s, b->p, e));
	h->aborts += 2;
}

/* Two writers at once, one of which may be declared dead, or both. */
static void do_two_backups(struct history *h)
{
	struct attempt a, b;
	char id[UUID_TEXT];
	uint64_t first = below(h, MACHINES);

	attempt_begin(h, &a, &h->machines[first]);
	attempt_begin(h, &b, &h->machines[(first + 1) % MACHINES]);
	attempt_read(h, &b);
	attempt_read(h, &a);
	if (below(h, 4) == 0) {
		collect_both(h, &a, &b);
	} else if (below(h, 4) == 0) {
		OK(store_session_revoke(h->store, uuid_text(session_id(b.s), id), e));
		FAILS(ERR_CONFLICT, session_commit(b.s, b.p, e));
		attempt_commit(h, &a);
		h->aborts++;
	} else {
		attempt_commit(h, &b);
		attempt_commit(h, &a);
	}
	attempt_end(&a);
	attempt_end(&b);
}

/* ---- everything else ---- */

/* A collector that died when it had made up its mind: some packs are not to be counted on. */
static void do_condemn(struct history *h)
{
	struct pack_set set = {0};
	char key[STORE_KEY_MAX];
	uint8_t name[HASH_BYTES];

	for (size_t i = test_count(h->store, "packs/"); i-- > 0;) {
		test_nth(h->store, "packs/", i, key);
		if (below(h, 2) && pack_key_parse(key, name))
			pack_set_add(&set, name);
	}
	OK(epoch_publish(h->repo, &set, e));
	pack_set_done(&set);
}

/* Nobody else is there, so whatever session is found is dead. */
static void do_collect(struct history *h)
{
	struct collect_options o = {.waste_percent = 1 + (unsigned)below(h, 100)};
	struct collect_result result;
	size_t left;

	OK(collect_run(h->repo, &o, &result, e));
	assert_int_equal(result.checkpoints, h->n_kept);
	assert_int_equal(result.kept + result.unfinished, 0);
	assert_int_equal(test_count(h->store, "epochs/"), 0);
	left = result.packs - result.dropped + (result.copied > 0);
	assert_int_equal(test_count(h->store, "packs/"), left);
	h->collections++;
	h->given_back += result.dropped_bytes;
}

static void do_reopen(struct history *h)
{
	repo_free(h->repo);
	h->repo = open_repo(h);
}

/* ---- a second repository ---- */

static void do_copy(struct history *h)
{
	struct point_list source, there;
	struct copying job = {
		.from = h->repo, .source = &source, .there = &there, .progress = &h->progress};

	if (!h->second)
		h->second = test_repo(&h->second_store);
	job.to = h->second;
	OK(point_list_load(h->repo, &source, e));
	OK(point_list_load(h->second, &there, e));
	for (size_t i = 0; i < source.n; i++) {
		struct point *copy;

		if (copy_find(&there, source.points[i]))
			continue;
		copy = OK_PTR(copy_point(&job, source.points[i], e));
		assert_point(h->second, &copy->id,
			     &(struct disk){find(h, &source.points[i]->id)->data,
					    find(h, &source.points[i]->id)->size});
		point_list_add(&there, copy);
		h->copies++;
	}
	point_list_done(&source);
	point_list_done(&there);
}

static void damage_something(struct history *h)
{
	const char *prefix = below(h, 3) ? "packs/" : "index/";
	size_t n = test_count(h->store, prefix), len;
	char key[STORE_KEY_MAX];

	if (!n)
		return;
	test_nth(h->store, prefix, below(h, n), key);
	if (below(h, 3)) {
		uint8_t *bytes = store_mem_bytes(h->store, key, &len);

		bytes[below(h, len)] ^= (uint8_t)(1 << below(h, 8));
	} else {
		OK(store_remove(h->store, key, e));
	}
	h->damages++;
}

static void ignore_object(void *arg, const struct scrub_finding *f)
{
	(void)arg;
	(void)f;
}

static void must_be_mended(void *arg, const struct point *p, bool mended, const char *why)
{
	(void)arg;
	(void)p;
	if (!mended)
		fail_msg("not mended: %s", why);
}

/* Some objects are damaged or lost; all that was copied comes back. */
static void do_damage(struct history *h)
{
	struct point_list points, there;
	struct mend_result result;
	struct mend job = {.points = &points,
			   .there = &there,
			   .progress = &h->progress,
			   .bad = ignore_object,
			   .tell = must_be_mended};

	do_copy(h);
	for (uint64_t i = 1 + below(h, 4); i; i--)
		damage_something(h);
	do_reopen(h);
	job.repo = h->repo;
	job.other = h->second;
	OK(point_list_load(h->repo, &points, e));
	OK(point_list_load(h->second, &there, e));
	OK(mend_run(&job, &result, e));
	h->mended += (unsigned)(result.mended + result.rebuilt);
	point_list_done(&points);
	point_list_done(&there);
	do_collect(h);
}

/* ---- keys, late requests ---- */

/* In a store where requests arrive late: one that wrote a run, perhaps long gone, is carried out
 * again. */
static void do_late_run(struct history *h)
{
	struct once *o = &h->runs[below(h, RUNS)];
	size_t runs = test_count(h->store, "index/");

	if (!h->store->late)
		return;
	if (o->bytes.len && store_has(h->store, o->key, NULL) == 0) {
		OK(store_put_new(h->store, o->key, o->bytes.data, o->bytes.len, e));
		h->late_runs++;
	} else if (runs && (!o->bytes.len || below(h, 8) == 0)) {
		buf_done(&o->bytes);
		test_nth(h->store, "index/", below(h, runs), o->key);
		OK(store_slurp(h->store, o->key, 1 << 20, &o->bytes, e));
	}
}

static void do_rotate(struct history *h)
{
	AUTO(credential) old = test_credential(h->key);
	AUTO(credential) new = test_credential(h->key + 1);
	const struct credential *keep[] = {old, new};
	bool other = below(h, 2);

	if (other)
		OK(keyring_add_slot(repo_keys(h->repo), h->store, new, "new", NULL, e));
	OK(keyring_rotate(repo_keys(h->repo), h->store, keep + other, 1, true, NULL, e));
	h->key += other;
	h->rotations++;
}

static void check_kept(struct history *h, const struct kept *k)
{
	struct disk d = {k->data, k->size};

	assert_point(h->repo, &k->id, &d);
}

static void do_check(struct history *h)
{
	if (h->n_kept)
		check_kept(h, &h->kept[below(h, h->n_kept)]);
}

/* The list is exactly what is kept, nothing is damaged, and all of it reads back. */
static void check_all(struct history *h)
{
	struct point_list list;
	size_t runs, damaged;
	uint64_t entries;

	do_reopen(h);
	OK(point_list_load(h->repo, &list, e));
	assert_int_equal(list.n_damaged, 0);
	assert_int_equal(list.n, h->n_kept);
	for (size_t i = 0; i < list.n; i++) {
		assert_non_null(find(h, &list.points[i]->id));
		check_kept(h, find(h, &list.points[i]->id));
	}
	point_list_done(&list);
	h->deltas += test_count_deltas(h->repo);
	index_state(repo_index(h->repo), &runs, &entries, &damaged);
	assert_int_equal(damaged, 0);
	assert_int_equal(test_count(h->store, "sessions/"), 0);
	assert_int_equal(test_count(h->store, "keys/"), 2);
}

typedef void act(struct history *h);

static act *const acts[] = {
	do_write,   do_write,	 do_write,    do_sprinkle, do_sprinkle, do_sprinkle, do_shift,
	do_resize,  do_backup,	 do_backup,   do_backup,   do_backup,	do_backup,   do_two_backups,
	do_delete,  do_rotate,	 do_reopen,   do_check,	   do_collect,	do_collect,  do_delete,
	do_condemn, do_late_run, do_late_run, do_late_run, do_copy,	do_damage};

static uint64_t histories(void)
{
	const char *s = getenv("HF_HISTORIES");

	return s ? strtoull(s, NULL, 10) : 150;
}

static void test_histories(void **state)
{
	uint64_t n = histories(), seed = random_seed();
	struct history sum = {0};

	(void)state;
	printf("# seed %#llx, %llu histories\n", (unsigned long long)seed, (unsigned long long)n);
	for (uint64_t i = 0; i < n; i++) {
		struct history h;

		/* Where it fails, this is the last line. */
		printf("# HF_SEED=%#llx HF_HISTORIES=1\n", (unsigned long long)seed);
		fflush(stdout);
		begin(&h, seed);
		for (int step = 0; step < STEPS; step++)
			acts[below(&h, ARRAY_LEN(acts))](&h);
		check_all(&h);
		while (h.n_kept > 2)
			do_delete(&h);
		do_collect(&h);
		check_all(&h);
		sum.backups += h.backups;
		sum.increments += h.increments;
		sum.aborts += h.aborts;
		sum.late_runs += h.late_runs;
		sum.deletions += h.deletions;
		sum.rotations += h.rotations;
		sum.collections += h.collections;
		sum.given_back += h.given_back;
		sum.deltas += h.deltas;
		sum.copies += h.copies;
		sum.damages += h.damages;
		sum.mended += h.mended;
		end(&h);
		seed = (seed * 6364136223846793005U + 1442695040888963407U) | 1;
	}
	printf("# %u checkpoints, %u increments, %u aborted, %u deleted, %u rotations, "
	       "%u collections, %llu MiB given back, %u late runs\n",
	       sum.backups, sum.increments, sum.aborts, sum.deletions, sum.rotations,
	       sum.collections, (unsigned long long)(sum.given_back >> 20), sum.late_runs);
	printf("# %u copies, %u objects damaged, %u checkpoints mended, %llu deltas at the end\n",
	       sum.copies, sum.damages, sum.mended, (unsigned long long)sum.deltas);
	assert_true(n < 100 || sum.deltas > n / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
