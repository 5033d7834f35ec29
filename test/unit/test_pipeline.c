/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/pipeline.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/crew.h"
#include "testing.h"

/* ---- stages that fail ---- */

static struct {
	atomic_uint threads, knows, puts;	    /* calls */
	unsigned fail_thread, fail_knows, fail_put; /* the n-th fails; 0: none */
} sys;

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
	return ++sys.threads == sys.fail_thread ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

int __real_session_knows(struct session *s, const struct block_id *id, struct err *e);
int __wrap_session_knows(struct session *s, const struct block_id *id, struct err *e);
int __wrap_session_knows(struct session *s, const struct block_id *id, struct err *e)
{
	if (++sys.knows == sys.fail_knows)
		return err_set(e, ERR_UNREACHABLE, "the index cannot be read (injected)");
	return __real_session_knows(s, id, e);
}

int __real_session_put(struct session *s, enum block_kind kind, const struct block_id *id,
		       enum block_encoding encoding, const void *payload, size_t n,
		       size_t *ret_stored, struct err *e);
int __wrap_session_put(struct session *s, enum block_kind kind, const struct block_id *id,
		       enum block_encoding encoding, const void *payload, size_t n,
		       size_t *ret_stored, struct err *e);
int __wrap_session_put(struct session *s, enum block_kind kind, const struct block_id *id,
		       enum block_encoding encoding, const void *payload, size_t n,
		       size_t *ret_stored, struct err *e)
{
	if (++sys.puts == sys.fail_put)
		return err_set(e, ERR_NOSPACE, "no room (injected)");
	return __real_session_put(s, kind, id, encoding, payload, n, ret_stored, e);
}

/* ---- a reader and a placer by script ---- */

enum { UNIT = 4096 };

struct bench {
	struct store *store;
	struct repo *r;
	struct session *s;
	struct cancel cancel;
	struct progress progress;
	struct point_stats stats;

	unsigned slots;	    /* the reader gives so many */
	unsigned shuffle;   /* so many are held, and given backwards */
	uint32_t different; /* contents repeat after so many slots; 0: never */
	unsigned fail_read; /* the n-th fails, from 1; 0: none */
	unsigned fail_place;
	unsigned cancel_at; /* the n-th raises the flag */
	bool read_forever;

	struct codec *codec; /* for audits */
	uint8_t lie;	     /* what an audit finds is not what was there */

	struct block_id before; /* what stood in every block's place */
	unsigned read, placed, most, taken;
	atomic_uint wrong;
};

static void up(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	*b = (struct bench){.slots = 100, .shuffle = 1};
	b->r = test_repo(&b->store);
	b->s = OK_PTR(session_begin(b->r, NULL, e));
	sys.threads = sys.knows = sys.puts = 0;
}

static void down(struct bench *b)
{
	memset(&sys, 0, sizeof(sys));
	session_free(b->s);
	repo_free(b->r);
	store_free(b->store);
}

/* Two items: one with the slot's number in it, one of zeros. */
static void fill(struct bench *b, struct pipe_slot *slot, unsigned number)
{
	slot->kind = SLOT_BLOCKS;
	slot->first = number;
	slot->n_items = 2;
	memset(slot->items, 0, 2 * sizeof(slot->items[0]));
	slot->items[0].len = slot->items[1].len = slot->items[1].off = UNIT;
	memset(slot->buf, 0, (size_t)2 * UNIT);
	put_le32(slot->buf, 1 + (b->different ? number % b->different : number));
}

/* What a reader meets just now. */
static int happens(struct bench *b, struct err *e)
{
	if (b->cancel_at && b->read == b->cancel_at)
		cancel_set(&b->cancel);
	if (b->fail_read && b->read == b->fail_read)
		return err_set(e, ERR_BUSY, "the disk is busy (injected)");
	return 0;
}

static int read_slots(struct pipeline *p, void *arg, struct err *e)
{
	struct bench *b = arg;
	struct pipe_slot *held[64];
	unsigned n = 0;

	while (b->read < b->slots || b->read_forever) {
		struct pipe_slot *slot = pipeline_slot(p, n == 0);

		if (!slot && n == 0)
			return pipeline_check(p, e);
		if (slot) {
			b->wrong += slot->number != b->read;
			fill(b, slot, b->read++);
			held[n++] = slot;
		}
		if (happens(b, e) < 0)
			return -1;
		if (slot && n < b->shuffle && b->read < b->slots)
			continue;
		while (n) {
			if (!pipeline_give(p, held[--n]))
				return pipeline_check(p, e);
		}
		if (pipeline_check(p, e) < 0)
			return -1;
	}
	return 0;
}

static int place(void *arg, const struct pipe_slot *slot, struct err *e)
{
	struct bench *b = arg;
	static const struct block_id zero;

	b->wrong += slot->first != b->placed;
	b->wrong += slot->items[0].state == ITEM_ZERO || block_id_is_zero(&slot->items[0].is.id);
	b->wrong +=
		slot->items[1].state != ITEM_ZERO || !block_id_equal(&slot->items[1].is.id, &zero);
	if (++b->placed == b->fail_place)
		return err_set(e, ERR_LIMIT, "it has no place (injected)");
	return 0;
}

static int run(struct bench *b, struct err *e)
{
	struct pipeline_job job = {.session = b->s,
				   .in_flight = 4,
				   .read = read_slots,
				   .place = place,
				   .arg = b,
				   .progress = &b->progress,
				   .cancel = &b->cancel};

	return pipeline_run(&job, &b->stats, e);
}

static void test_packed_in_the_readers_order(void **state)
{
	(void)state;
	for (unsigned shuffle = 1; shuffle < 8; shuffle += 3) {
		struct bench b;

		up(&b);
		b.slots = 500;
		b.shuffle = shuffle;
		OK(run(&b, e));
		assert_int_equal(b.placed, 500);
		assert_int_equal(b.wrong, 0);
		assert_int_equal(b.stats.read, 500 * 2 * UNIT);
		assert_int_equal(b.stats.fresh, 500 * UNIT);
		assert_int_equal(progress_get(&b.progress.read), b.stats.read);
		assert_int_equal(progress_get(&b.progress.fresh), b.stats.fresh);
		assert_int_equal(progress_get(&b.progress.stored), b.stats.stored);
		assert_true(b.stats.stored > 0 && b.stats.stored < b.stats.fresh);
		down(&b);
	}
}

static void test_nothing_to_read(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	b.slots = 0;
	OK(run(&b, e));
	assert_int_equal(b.placed, 0);
	down(&b);
}

/* What was stored a moment ago is known, also while it is still on its way. */
static void test_same_content_is_stored_once(void **state)
{
	struct bench b;

	(void)state;
	up(&b);
	b.slots = 300;
	b.different = 3;
	OK(run(&b, e));
	assert_int_equal(b.placed, 300);
	assert_int_equal(b.stats.fresh, 3 * UNIT);
	b.read = b.placed = 0;
	b.stats = (struct point_stats){0};
	OK(run(&b, e));
	assert_int_equal(b.stats.read, 300 * 2 * UNIT);
	assert_int_equal(b.stats.fresh, 0);
	down(&b);
}

static int take_all_slots(struct pipeline *p, void *arg, struct err *e)
{
	struct pipe_slot *held[256], *slot;
	struct bench *b = arg;

	while (b->most < ARRAY_LEN(held) && (slot = pipeline_slot(p, false)) != NULL)
		held[b->most++] = slot;
	for (unsigned i = b->most; i-- > 0;) {
		fill(b, held[i], i);
		if (!pipeline_give(p, held[i]))
			return pipeline_check(p, e);
	}
	return 0;
}

/* There is a fixed number of slots, however long the reader goes on. */
static void test_slots_are_bounded(void **state)
{
	static const unsigned in_flight[] = {0, 1, 16, 1000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in_flight); i++) {
		struct bench b;
		struct pipeline_job job = {.read = take_all_slots,
					   .place = place,
					   .in_flight = in_flight[i],
					   .arg = &b,
					   .progress = &b.progress};

		up(&b);
		job.session = b.s;
		OK(pipeline_run(&job, &b.stats, e));
		/* The reader's, two for each worker, and a few on the way. */
		assert_true(b.most >= MIN(in_flight[i], 100));
		assert_true(b.most <= MIN(in_flight[i] + 2 * crew_cores() + 4, 192));
		assert_int_equal(b.placed, b.most);
		assert_int_equal(b.wrong, 0);
		down(&b);
	}
}

/* What stood here before has the print of what is read, under an id that no content has. */
static int read_reprinted(struct pipeline *p, void *arg, struct err *e)
{
	struct bench *b = arg;

	for (unsigned i = 0; i < b->slots; i++) {
		struct pipe_slot *slot = pipeline_slot(p, true);

		if (!slot)
			return pipeline_check(p, e);
		fill(b, slot, i);
		codec_print(b->codec, slot->buf, UNIT, &slot->items[0].parent.print);
		slot->items[0].parent.print.b[0] ^= b->lie;
		slot->items[0].parent.id = b->before;
		if (!pipeline_give(p, slot))
			return pipeline_check(p, e);
	}
	return 0;
}

static int count_taken(void *arg, const struct pipe_slot *slot, struct err *e)
{
	const struct pipe_item *it = &slot->items[0];
	struct bench *b = arg;
	struct block_id id;

	(void)e;
	codec_id(b->codec, BLOCK_DATA, slot->buf, UNIT, &id);
	if (it->state == ITEM_KNOWN && block_id_equal(&it->is.id, &b->before))
		b->taken++;
	else if (it->state != ITEM_NEW)
		b->wrong++;
	return 0;
}

/*
 * Blocks with an equal fingerprint are taken for what stood there, but for some of them: what is
 * stored under a wrong fingerprint does not stay for ever.
 */
static void test_fingerprints(void **state)
{
	static const struct {
		bool before;
		uint8_t lie;
		unsigned least, most;
	} rows[] = {
		{true, 0, 700, 799},
		{true, 1, 0, 0},
		{false, 0, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pipeline_job job = {.read = read_reprinted, .place = count_taken};
		struct bench b;

		up(&b);
		b.slots = 800;
		b.lie = rows[i].lie;
		b.before.b[0] = rows[i].before;
		b.codec = codec_new(repo_keys(b.r), 1);
		job.arg = &b;
		job.session = b.s;
		job.progress = &b.progress;
		OK(pipeline_run(&job, &b.stats, e));
		codec_free(b.codec);
		assert_int_equal(b.wrong, 0);
		assert_in_range(b.taken, rows[i].least, rows[i].most);
		assert_int_equal(b.stats.fresh, (800 - b.taken) * UNIT);
		down(&b);
	}
}

static int read_audit(struct pipeline *p, void *arg, struct err *e)
{
	struct pipe_slot *slot = pipeline_slot(p, true);
	struct bench *b = arg;

	fill(b, slot, 7);
	slot->kind = SLOT_AUDIT;
	slot->n_items = 1;
	codec_id(b->codec, BLOCK_DATA, slot->buf, UNIT, &slot->items[0].parent.id);
	slot->items[0].parent.id.b[3] ^= b->lie;
	return pipeline_give(p, slot) ? 0 : pipeline_check(p, e);
}

static void test_audit(void **state)
{
	(void)state;
	for (int lie = 0; lie < 2; lie++) {
		struct bench b;
		struct pipeline_job job = {.read = read_audit, .place = place, .arg = &b};
		struct err err = {0};
		int rc;

		up(&b);
		b.lie = (uint8_t)lie;
		b.codec = codec_new(repo_keys(b.r), 1);
		job.session = b.s;
		job.progress = &b.progress;
		rc = pipeline_run(&job, &b.stats, &err);
		codec_free(b.codec);
		assert_int_equal(rc, lie ? -1 : 0);
		assert_int_equal(err.kind, lie ? ERR_CONFLICT : ERR_NONE);
		if (lie)
			assert_non_null(strstr(err.msg, "block 7 "));
		/* It is looked at, not stored nor placed. */
		assert_int_equal(b.stats.read, UNIT);
		assert_int_equal(b.placed, 0);
		assert_int_equal(sys.puts, 0);
		down(&b);
	}
}

static void test_failing_reader(void **state)
{
	static const unsigned at[] = {1, 2, 50, 100};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct bench b;

		up(&b);
		b.fail_read = at[i];
		FAILS(ERR_BUSY, run(&b, e));
		assert_true(b.placed < at[i]);
		assert_int_equal(b.wrong, 0);
		down(&b);
	}
}

/* The reader goes on and on: it is the failure that ends it, and the first that is told. */
static void test_failing_workers_and_packer(void **state)
{
	static const unsigned at[] = {1, 2, 77};

	(void)state;
	for (size_t i = 0; i < 3 * ARRAY_LEN(at); i++) {
		static const enum err_kind want[] = {ERR_UNREACHABLE, ERR_NOSPACE, ERR_LIMIT};
		struct bench b;

		up(&b);
		b.read_forever = true;
		b.shuffle = 3;
		sys.fail_knows = i % 3 == 0 ? at[i / 3] : 0;
		sys.fail_put = i % 3 == 1 ? at[i / 3] : 0;
		b.fail_place = i % 3 == 2 ? at[i / 3] : 0;
		FAILS(want[i % 3], run(&b, e));
		assert_int_equal(b.wrong, 0);
		down(&b);
	}
}

static void test_cancelled(void **state)
{
	(void)state;
	for (unsigned at = 1; at < 60; at += 9) {
		struct bench b;

		up(&b);
		b.read_forever = true;
		b.cancel_at = at;
		FAILS(ERR_CANCELLED, run(&b, e));
		assert_true(b.read <= at + 1);
		assert_int_equal(b.wrong, 0);
		down(&b);
	}
}

static void test_no_threads_to_be_had(void **state)
{
	(void)state;
	/* Workers, and the reader after them. */
	for (unsigned n = 1; n <= crew_cores() + 1; n++) {
		struct bench b;

		up(&b);
		sys.fail_thread = n;
		FAILS(ERR_IO, run(&b, e));
		assert_int_equal(b.placed, 0);
		down(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packed_in_the_readers_order),
		cmocka_unit_test(test_nothing_to_read),
		cmocka_unit_test(test_same_content_is_stored_once),
		cmocka_unit_test(test_slots_are_bounded),
		cmocka_unit_test(test_fingerprints),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_failing_reader),
		cmocka_unit_test(test_failing_workers_and_packer),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_no_threads_to_be_had),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
