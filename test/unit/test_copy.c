/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies: of disks, streams and items, whole and of what changed, into a repository with other
 * keys; and what happens when either side is not what it was.
 */
#include "mover/copy.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fio.h"
#include "mover/backup.h"
#include "mover/restore.h"
#include "repo/collect.h"
#include "repo/pack.h"
#include "repo/store_mem.h"
#include "writer.h"

struct bench {
	struct store *from_store, *to_store;
	struct repo *from, *to;
	struct random rnd;
	struct disk disk;
	struct tree tree; /* of the last checkpoint */
	uint64_t instant;
	struct progress progress;
	struct cancel cancel;
};

static int up(void **state)
{
	struct bench *b = xcalloc(1, sizeof(*b));

	b->rnd.state = random_seed();
	b->from = test_repo(&b->from_store);
	b->to = test_repo(&b->to_store);
	*state = b;
	return 0;
}

static int down(void **state)
{
	struct bench *b = *state;

	disk_done(&b->disk);
	repo_free(b->from);
	repo_free(b->to);
	store_free(b->from_store);
	store_free(b->to_store);
	free(b);
	return 0;
}

/* A checkpoint of the disk as it is, and an item. */
static struct uuid protect_disk(struct bench *b)
{
	AUTO(point) p = point_new();
	struct point_resource *r = point_add_resource(p, "disk", "/d", "d", "host");
	struct writer w;

	p->instant_us = ++b->instant;
	point_add_tag(p, "a=b");
	point_add_warning(p, "it was %s", "late");
	r->asked = CONSISTENCY_REQUIRED;
	r->achieved = ACHIEVED_QUIESCED;
	r->frozen_us = 77;
	OK(writer_begin(&w, b->from, NULL, e));
	OK(writer_disk(&w, &b->disk, NULL, NULL, &b->tree, NULL, e));
	OK(session_put_item(w.s, "<domain/>", 9, &point_add_item(r, "domain.xml")->tree, e));
	point_add_disk(r, "vda")->tree = b->tree;
	r->disks[0].tracking = xstrdup("holdfast-1");
	r->disks[0].format = xstrdup("qcow2");
	OK(session_commit(w.s, p, e));
	writer_end(&w);
	return p->id;
}

static void up_disk(struct bench *b, size_t blocks)
{
	disk_make(&b->disk, &b->rnd, blocks);
}

struct lists {
	struct point_list source, there;
	struct copying job;
};

static void look(struct bench *b, struct lists *l)
{
	OK(point_list_load(b->from, &l->source, e));
	OK(point_list_load(b->to, &l->there, e));
	memset(&b->progress, 0, sizeof(b->progress));
	l->job = (struct copying){.from = b->from,
				  .to = b->to,
				  .source = &l->source,
				  .there = &l->there,
				  .progress = &b->progress,
				  .cancel = &b->cancel};
}

static void lists_done(struct lists *l)
{
	point_list_done(&l->source);
	point_list_done(&l->there);
}

static const struct point *by_id(const struct point_list *l, const struct uuid *id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (uuid_equal(&l->points[i]->id, id))
			return l->points[i];
	}
	fail_msg("there is no such checkpoint");
	return NULL;
}

static struct point *copy(struct bench *b, const struct uuid *id)
{
	struct lists l;
	struct point *p;

	look(b, &l);
	p = OK_PTR(copy_point(&l.job, by_id(&l.source, id), e));
	assert_int_equal(progress_get(&b->progress.passed), copy_size(p));
	lists_done(&l);
	return p;
}

static void cannot_copy(struct bench *b, const struct uuid *id, enum err_kind kind)
{
	size_t points = test_count(b->to_store, "points/");
	struct lists l;

	look(b, &l);
	FAILS_PTR(kind, copy_point(&l.job, by_id(&l.source, id), e));
	lists_done(&l);
	assert_int_equal(test_count(b->to_store, "points/"), points);
	assert_int_equal(test_count(b->to_store, "sessions/"), 0);
}

static void assert_copy(struct bench *b, const struct point *p)
{
	AUTO(repo) fresh = test_reopen(b->to_store);

	assert_point(fresh, &p->id, &b->disk);
}

/* ---- what a copy is ---- */

static void test_all_of_it(void **state)
{
	struct bench *b = *state;
	struct uuid id;
	AUTO(point) p = NULL;
	AUTO(point) loaded = NULL;
	AUTO_BUF item = BUF_INIT;
	const struct point_resource *r;

	up_disk(b, 300);
	b->disk.size -= 100;
	id = protect_disk(b);
	p = copy(b, &id);
	/* It needs nothing of the other. */
	repo_free(b->from);
	b->from = NULL;
	assert_copy(b, p);
	loaded = OK_PTR(point_load(b->to, &p->id, e));
	assert_true(uuid_equal(&loaded->origin, &id) && !uuid_equal(&loaded->id, &id));
	assert_int_equal(loaded->instant_us, 1);
	assert_string_equal(loaded->tags[0], "a=b");
	assert_string_equal(loaded->warnings[0], "it was late");
	assert_true(uuid_is_zero(&loaded->parent));
	r = &loaded->resources[0];
	assert_int_equal(r->asked, CONSISTENCY_REQUIRED);
	assert_int_equal(r->achieved, ACHIEVED_QUIESCED);
	assert_int_equal(r->frozen_us, 77);
	assert_string_equal(r->disks[0].format, "qcow2");
	assert_string_equal(r->disks[0].mode, "full");
	assert_null(r->disks[0].tracking);
	assert_int_equal(r->disks[0].stats.content, b->disk.size);
	assert_int_equal(loaded->stats.read, r->disks[0].stats.read);
	OK(restore_buffer(b->to, &r->items[0].tree, 100, &item, e));
	assert_int_equal(item.len, 9);
	assert_memory_equal(item.data, "<domain/>", 9);
}

/* Only what changed is read, but for a few blocks that are looked at all the same. */
static void assert_increment(struct bench *b, const struct point *p, size_t changed)
{
	const struct point_disk *d = &p->resources[0].disks[0];

	assert_string_equal(d->mode, "incremental");
	assert_true(d->stats.read <= (changed + 32) * BLOCK);
	assert_copy(b, p);
}

static void test_what_changed(void **state)
{
	struct bench *b = *state;
	size_t sizes[] = {1000, 1000, 1300, 700, 701};
	struct uuid id;

	up_disk(b, 1300);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		size_t grown = i && sizes[i] > sizes[i - 1] ? sizes[i] - sizes[i - 1] : 0;
		AUTO(point) p = NULL;

		b->disk.size = sizes[i] * BLOCK - (i == 4 ? 1000 : 0);
		disk_write(&b->disk, &b->rnd, 50 * i, 20);
		memset(b->disk.data + 600 * BLOCK, 0, i * 3 * BLOCK);
		id = protect_disk(b);
		p = copy(b, &id);
		if (i == 0)
			assert_copy(b, p);
		else
			assert_increment(b, p, 20 + 3 * i + grown + 1);
	}
	assert_int_equal(test_count(b->to_store, "points/"), ARRAY_LEN(sizes));
}

/* The one before was not copied: what changed since the one before that is read. */
static void test_gaps(void **state)
{
	struct bench *b = *state;
	struct uuid first, second;
	AUTO(point) one = NULL;
	AUTO(point) two = NULL;

	up_disk(b, 800);
	first = protect_disk(b);
	disk_write(&b->disk, &b->rnd, 10, 10);
	protect_disk(b);
	disk_write(&b->disk, &b->rnd, 300, 10);
	second = protect_disk(b);
	b->disk.size = 800 * BLOCK;
	one = copy(b, &first);
	two = copy(b, &second);
	assert_increment(b, two, 20);
	assert_true(uuid_equal(&two->parent, &one->id));
	assert_memory_equal(two->parent_hash, one->hash, HASH_BYTES);
}

static void test_finding_copies(void **state)
{
	struct bench *b = *state;
	struct uuid id;
	AUTO(point) p = NULL;
	AUTO(point) back = NULL;
	struct lists l;

	up_disk(b, 10);
	id = protect_disk(b);
	look(b, &l);
	assert_null(copy_find(&l.there, l.source.points[0]));
	lists_done(&l);
	p = copy(b, &id);
	look(b, &l);
	assert_true(uuid_equal(&copy_find(&l.there, l.source.points[0])->id, &p->id));
	/* And the way back: the original is what the copy is a copy of. */
	assert_true(uuid_equal(&copy_find(&l.source, l.there.points[0])->id, &id));
	/* Where the original is lost, the copy of the copy still says whose it is. */
	OK(point_delete(b->from, &id, e));
	lists_done(&l);
	OK(point_list_load(b->to, &l.source, e));
	OK(point_list_load(b->from, &l.there, e));
	l.job.from = b->to;
	l.job.to = b->from;
	back = OK_PTR(copy_point(&l.job, l.source.points[0], e));
	assert_true(uuid_equal(&back->origin, &id));
	lists_done(&l);
}

/* A checkpoint of the disk's content as a stream. */
static struct uuid protect_stream(struct bench *b)
{
	AUTO_CLOSE int fd = memfd_create("s", MFD_CLOEXEC);
	AUTO(session) s = OK_PTR(session_begin(b->from, NULL, e));
	AUTO(point) p = point_new();
	struct backup_stream job = {
		.fd = fd, .name = "s", .progress = &b->progress, .cancel = &b->cancel};
	struct point_resource *r = point_add_resource(p, "stream", "s", "s", "host");
	struct point_disk *d = point_add_disk(r, "stdin");

	p->instant_us = ++b->instant;
	OK(fio_write(fd, b->disk.data, b->disk.size, "s", e));
	lseek(fd, 0, SEEK_SET);
	OK(backup_stream(s, &job, &d->tree, &d->stats, e));
	OK(session_commit(s, p, e));
	return p->id;
}

static void test_streams(void **state)
{
	struct bench *b = *state;
	AUTO(point) copied = NULL;
	struct uuid id;

	up_disk(b, 100);
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	b->disk.size -= 12345;
	id = protect_stream(b);
	copied = copy(b, &id);
	assert_copy(b, copied);
	assert_int_equal(copied->resources[0].disks[0].tree.type, TREE_SEQUENCE);
	/* A stream that cannot be read to its end is no copy, however much came before. */
	{
		char pack[STORE_KEY_MAX];
		size_t len;
		uint8_t *bytes;

		test_nth(b->from_store, "packs/", 0, pack);
		bytes = store_mem_bytes(b->from_store, pack, &len);
		bytes[len / 2] ^= 1;
	}
	cannot_copy(b, &id, ERR_CORRUPT);
}

/* What changed a little since a stream that was copied before is stored as what changed. */
static void test_a_stream_that_changed(void **state)
{
	struct bench *b = *state;
	struct uuid one, two;
	AUTO(point) first = NULL;
	AUTO(point) second = NULL;

	up_disk(b, 100);
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	one = protect_stream(b);
	first = copy(b, &one);
	for (size_t at = 0; at < b->disk.size; at += BLOCK)
		b->disk.data[at]++;
	two = protect_stream(b);
	assert_int_equal(test_count_deltas(b->from), 0);
	second = copy(b, &two);
	assert_copy(b, second);
	assert_true(uuid_equal(&second->parent, &first->id));
	assert_true(second->stats.stored < b->disk.size / 2);
	assert_true(test_count_deltas(b->to) > 0);
}

/* ---- what goes wrong ---- */

static void damage(struct bench *b, struct store *store, struct repo *r, uint64_t block)
{
	AUTO(fetch) f = fetch_new(r);
	AUTO(tree_walk) w = tree_walk_new(&b->tree, f);
	struct tree_piece p;
	struct location l;
	char key[STORE_KEY_MAX];
	size_t len;

	OK(tree_walk_seek(w, block * BLOCK, e));
	assert_int_equal(tree_walk_next(w, &p, NULL), 1);
	OK(fetch_locate(f, &p.id, &l, e));
	pack_key_name(l.pack, key);
	store_mem_bytes(store, key, &len)[l.at.offset + 3] ^= 1;
}

static void test_damaged_source(void **state)
{
	struct bench *b = *state;
	struct uuid id;

	up_disk(b, 200);
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	id = protect_disk(b);
	damage(b, b->from_store, b->from, 100);
	cannot_copy(b, &id, ERR_CORRUPT);
}

/* The copy that an increment would stand on is damaged: all is read again. */
static void test_damaged_base(void **state)
{
	struct bench *b = *state;
	struct uuid id;
	AUTO(point) one = NULL;
	AUTO(point) two = NULL;
	char key[STORE_KEY_MAX];

	up_disk(b, 400);
	random_fill(&b->rnd, b->disk.data, b->disk.size, true);
	id = protect_disk(b);
	one = copy(b, &id);
	/* All of it is gone. */
	while (test_count(b->to_store, "packs/")) {
		test_nth(b->to_store, "packs/", 0, key);
		OK(store_remove(b->to_store, key, e));
	}
	while (test_count(b->to_store, "index/")) {
		test_nth(b->to_store, "index/", 0, key);
		OK(store_remove(b->to_store, key, e));
	}
	repo_free(b->to);
	b->to = test_reopen(b->to_store);
	disk_write(&b->disk, &b->rnd, 10, 10);
	id = protect_disk(b);
	two = copy(b, &id);
	assert_string_equal(two->resources[0].disks[0].mode, "full");
	assert_non_null(two->resources[0].disks[0].reason);
	assert_copy(b, two);
}

static void test_stopped(void **state)
{
	struct bench *b = *state;
	struct uuid id;

	up_disk(b, 100);
	id = protect_disk(b);
	cancel_set(&b->cancel);
	cannot_copy(b, &id, ERR_CANCELLED);
}

/* Where a collector is about to remove what the older copy has, increments are still right. */
static void test_beside_a_collector(void **state)
{
	static const struct collect_options o = {.waste_percent = 1};
	struct bench *b = *state;
	struct collect_result result;
	struct uuid id;
	AUTO(point) one = NULL;
	AUTO(point) two = NULL;

	up_disk(b, 300);
	id = protect_disk(b);
	one = copy(b, &id);
	disk_write(&b->disk, &b->rnd, 0, 10);
	id = protect_disk(b);
	two = copy(b, &id);
	OK(point_delete(b->to, &one->id, e));
	OK(collect_run(b->to, &o, &result, e));
	assert_copy(b, two);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
		T(test_all_of_it),	    T(test_what_changed), T(test_gaps),
		T(test_finding_copies),	    T(test_streams),	  T(test_a_stream_that_changed),
		T(test_damaged_source),	    T(test_damaged_base), T(test_stopped),
		T(test_beside_a_collector),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
