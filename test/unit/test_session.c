/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "repo/header.h"
#include "repo/object.h"
#include "repo/record.h"
#include "repo/run.h"
#include "repo/store_hook.h"
#include "writer.h"

/* ---- time ---- */

static atomic_bool fast_beats;

int __real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t);

/* Beats come every 20 s; tests have not that much time. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *t)
{
	struct timespec soon;

	if (!fast_beats)
		return __real_pthread_cond_timedwait(c, m, t);
	clock_gettime(CLOCK_MONOTONIC, &soon);
	soon.tv_nsec += 2000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	return __real_pthread_cond_timedwait(c, m, &soon);
}

static const struct session_options small = {.pack_bytes = 1 << 20, .run_entries = 100};

/* ---- what a session does ---- */

static void test_round_trip(void **state)
{
	struct random rnd = {random_seed()};
	struct uuid a, b, c;
	struct store *s;
	struct repo *r = test_repo(&s);
	struct disk d, old;
	size_t fresh;

	(void)state;
	disk_make(&d, &rnd, 700);
	OK(protect(r, &small, &d, &a, &fresh, e));
	assert_true(fresh > 350);
	assert_point(r, &a, &d);
	OK(protect(r, &small, &d, &b, &fresh, e));
	assert_int_equal(fresh, 0);
	assert_point(r, &b, &d);
	repo_free(r);
	/* A new process sees the same. */
	r = test_reopen(s);
	assert_point(r, &a, &d);
	old = (struct disk){xmalloc(d.size), d.size};
	memcpy(old.data, d.data, d.size);
	disk_write(&d, &rnd, 5, 3);
	OK(protect(r, &small, &d, &c, &fresh, e));
	assert_int_equal(fresh, 3);
	assert_point(r, &c, &d);
	/* Each restores without the others. */
	OK(point_delete(r, &a, e));
	OK(point_delete(r, &c, e));
	assert_point(r, &b, &old);
	disk_done(&d);
	disk_done(&old);
	repo_free(r);
	store_free(s);
}

static void test_abort_leaves_no_point(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	struct block_id id;
	struct writer w;

	(void)state;
	OK(writer_begin(&w, r, NULL, e));
	assert_int_equal(test_count(s, "sessions/"), 1);
	assert_int_equal(writer_put(&w, "some content", 12, &id, NULL), 1);
	writer_end(&w);
	assert_int_equal(test_count(s, "points/"), 0);
	assert_int_equal(test_count(s, "sessions/"), 0);
	session_free(NULL);
	repo_free(r);
	store_free(s);
}

static void test_commit_fills_in(void **state)
{
	uint64_t before = clock_wall_us();
	AUTO(point) p = point_new();
	AUTO(point) back = NULL;
	struct store *s;
	struct repo *r = test_repo(&s);
	struct block_id id;
	struct writer w;

	(void)state;
	OK(writer_begin(&w, r, NULL, e));
	assert_ptr_equal(session_repo(w.s), r);
	assert_int_equal(session_level(w.s), CODEC_LEVEL);
	assert_int_equal(session_stored(w.s), 0);
	assert_int_equal(writer_put(&w, "some content", 12, &id, NULL), 1);
	OK(session_commit(w.s, p, e));
	assert_true(uuid_equal(&p->id, session_id(w.s)));
	assert_true(p->complete_us >= before && p->complete_us <= clock_wall_us());
	assert_true(p->stats.stored > 12);
	assert_true(session_stored(w.s) > p->stats.stored);
	back = OK_PTR(point_load(r, &p->id, e));
	assert_memory_equal(back->hash, p->hash, HASH_BYTES);
	assert_string_equal(back->writer, "holdfast " HF_VERSION);
	assert_true(back->complete_us == p->complete_us);
	writer_end(&w);
	repo_free(r);
	store_free(s);
}

/* What no reader takes is not acknowledged. */
static void test_commit_refuses_what_nobody_reads(void **state)
{
	AUTO(point) p = point_new();
	struct store *s;
	struct repo *r = test_repo(&s);
	struct writer w;
	char tag[16];

	(void)state;
	OK(writer_begin(&w, r, NULL, e));
	for (int i = 0; i < 4097; i++) {
		snprintf(tag, sizeof(tag), "tag%d=", i);
		point_add_tag(p, tag);
	}
	FAILS(ERR_LIMIT, session_commit(w.s, p, e));
	writer_end(&w);
	assert_int_equal(test_count(s, "points/"), 0);
	repo_free(r);
	store_free(s);
}

static void test_block_is_stored_once(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	struct block_id id, zero = {0};
	size_t stored;
	struct writer w;

	(void)state;
	OK(writer_begin(&w, r, NULL, e));
	codec_id(w.codec, BLOCK_DATA, "abc", 3, &id);
	assert_int_equal(session_knows(w.s, &id, NULL), 0);
	assert_int_equal(session_knows(w.s, &zero, NULL), 0);
	OK(session_put(w.s, BLOCK_DATA, &id, BLOCK_RAW, "abc", 3, &stored, e));
	assert_int_equal(stored, 3 + SEAL_TAG + PACK_ENTRY);
	assert_int_equal(session_knows(w.s, &id, NULL), 1);
	OK(session_put(w.s, BLOCK_DATA, &id, BLOCK_RAW, "abc", 3, &stored, e));
	assert_int_equal(stored, 0);
	assert_int_equal(writer_put(&w, "abc", 3, &id, NULL), 0);
	writer_end(&w);
	repo_free(r);
	store_free(s);
}

/* Blocks in packs that are written, but not named by any run yet, count as known. */
struct askers {
	struct session *s;
	struct block_id *ids;
	atomic_size_t put;
	atomic_int wrong;
	atomic_bool over;
};

static void ask(void *arg, unsigned number)
{
	struct askers *a = arg;
	struct random rnd = {number + 1};

	while (number && !a->over) {
		size_t n = a->put;

		if (n && session_knows(a->s, &a->ids[random_below(&rnd, n)], NULL) != 1)
			atomic_fetch_add(&a->wrong, 1);
	}
	for (uint32_t i = 0; number == 0 && i < 2000; i++) {
		uint8_t noise[2000];

		random_fill(&rnd, noise, sizeof(noise), true);
		memcpy(a->ids[i].b, noise, HASH_BYTES);
		if (session_put(a->s, BLOCK_DATA, &a->ids[i], BLOCK_RAW, noise, sizeof(noise), NULL,
				NULL) < 0)
			atomic_fetch_add(&a->wrong, 1);
		a->put = i + 1;
	}
	if (number == 0)
		a->over = true;
}

static void test_many_threads_ask(void **state)
{
	struct session_options o = {.pack_bytes = 100000, .run_entries = 300};
	AUTO_FREE struct block_id *ids = xcalloc(2000, sizeof(*ids));
	struct askers a = {.ids = ids};
	struct store *s;
	struct repo *r = test_repo(&s);

	(void)state;
	a.s = OK_PTR(session_begin(r, &o, e));
	test_threads(4, ask, &a);
	assert_int_equal(a.wrong, 0);
	session_free(a.s);
	repo_free(r);
	store_free(s);
}

/* By number, and by time. */
static void runs_are_published(struct session_options o)
{
	struct store *s;
	struct repo *r = test_repo(&s), *other;
	struct block_id id;
	struct writer w;
	int known = 0;

	OK(writer_begin(&w, r, &o, e));
	for (uint8_t i = 0; i < 100; i++) {
		struct random rnd = {i + 1U};
		uint8_t noise[5000];

		random_fill(&rnd, noise, sizeof(noise), true);
		assert_int_equal(writer_put(&w, noise, sizeof(noise), &id, NULL), 1);
		if (o.publish_ms)
			clock_sleep_ms(o.publish_ms);
	}
	assert_true(test_count(s, "index/") >= 4);
	/* This writer dies; what it published is not stored again. */
	writer_end(&w);
	other = test_reopen(s);
	OK(writer_begin(&w, other, NULL, e));
	for (uint8_t i = 0; i < 100; i++) {
		struct random rnd = {i + 1U};
		uint8_t noise[5000];

		random_fill(&rnd, noise, sizeof(noise), true);
		known += writer_put(&w, noise, sizeof(noise), &id, NULL) == 0;
	}
	assert_in_range(known, 80, 100);
	writer_end(&w);
	repo_free(other);
	repo_free(r);
	store_free(s);
}

static void test_runs_are_published(void **state)
{
	(void)state;
	runs_are_published((struct session_options){.pack_bytes = 20000, .run_entries = 20});
	runs_are_published((struct session_options){.pack_bytes = 20000, .publish_ms = 1});
}

static void test_two_sessions_at_once(void **state)
{
	struct random rnd = {random_seed()};
	AUTO(point) p = point_new();
	AUTO(point) q = point_new();
	struct store *s;
	struct repo *r = test_repo(&s), *t = test_reopen(s);
	struct writer a, b;
	struct disk d;

	(void)state;
	disk_make(&d, &rnd, 60);
	OK(writer_begin(&a, r, &small, e));
	OK(writer_begin(&b, t, &small, e));
	OK(writer_disk(&a, &d, NULL, NULL,
		       &point_add_disk(point_add_resource(p, "disk", "", "a", ""), "a")->tree, NULL,
		       e));
	OK(writer_disk(&b, &d, NULL, NULL,
		       &point_add_disk(point_add_resource(q, "disk", "", "b", ""), "b")->tree, NULL,
		       e));
	OK(session_commit(b.s, q, e));
	OK(session_commit(a.s, p, e));
	writer_end(&a);
	writer_end(&b);
	assert_point(r, &p->id, &d);
	assert_point(r, &q->id, &d);
	OK(point_delete(t, &p->id, e));
	assert_point(t, &q->id, &d);
	disk_done(&d);
	repo_free(t);
	repo_free(r);
	store_free(s);
}

/* ---- beats and revocation ---- */

static uint64_t read_beats(struct repo *r, const struct uuid *id)
{
	char text[UUID_TEXT], key[STORE_KEY_MAX];
	uint64_t beats = UINT64_MAX;
	AUTO_BUF body = BUF_INIT;
	uint32_t pid = 0;
	struct record rec;
	struct cur list;

	snprintf(key, sizeof(key), "sessions/%s", uuid_text(id, text));
	OK(object_get(repo_store(r), repo_keys(r), key, BOX_SESSION, &body, NULL, e));
	list = cur_of(body.data, body.len);
	while (record_next(&list, &rec, NULL) > 0) {
		if (rec.tag == 5)
			OK(record_get_u64(&rec, &beats, e));
		if (rec.tag == 3)
			OK(record_get_u32(&rec, &pid, e));
	}
	assert_int_equal(pid, getpid());
	return beats;
}

static void test_beats(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	uint64_t last = 0;
	struct writer w;

	(void)state;
	fast_beats = true;
	OK(writer_begin(&w, r, NULL, e));
	for (int seen = 0; seen < 5;) {
		uint64_t now = read_beats(r, session_id(w.s));

		assert_true(now >= last);
		seen += now > last;
		last = now;
		clock_sleep_ms(1);
	}
	fast_beats = false;
	writer_end(&w);
	repo_free(r);
	store_free(s);
}

static void declare_dead(struct store *s, const struct session *ses)
{
	char text[UUID_TEXT];

	OK(store_session_revoke(s, uuid_text(session_id(ses), text), e));
}

static void test_revoked_cannot_commit(void **state)
{
	AUTO(point) p = point_new();
	struct store *s;
	struct repo *r = test_repo(&s);
	struct writer w;

	(void)state;
	OK(writer_begin(&w, r, NULL, e));
	declare_dead(s, w.s);
	FAILS(ERR_CONFLICT, session_commit(w.s, p, e));
	writer_end(&w);
	assert_int_equal(test_count(s, "points/"), 0);
	repo_free(r);
	store_free(s);
}

/* A writer that was revoked hears of it with the next beat, not only at its end. */
static void test_revoked_hears_of_it(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	struct err why = {0};
	struct writer w;

	(void)state;
	fast_beats = true;
	OK(writer_begin(&w, r, NULL, e));
	declare_dead(s, w.s);
	for (uint32_t i = 0; i < 5000 && why.kind == ERR_NONE; i++) {
		struct block_id id;

		writer_put(&w, &i, sizeof(i), &id, &why);
		clock_sleep_ms(1);
	}
	fast_beats = false;
	assert_int_equal(why.kind, ERR_CONFLICT);
	writer_end(&w);
	repo_free(r);
	store_free(s);
}

/* ---- others at work ---- */

struct merger {
	struct store *inner;
	bool armed;
};

/* Right after our run is there, another process's session merges all runs and removes them. */
static int merge_at_once(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct merger *m = arg;
	AUTO(point) p = NULL;
	AUTO(repo) other = NULL;
	struct block_id id;
	struct writer w;
	int rc;

	if (!m->armed || !after || call != HOOK_FINISH || strncmp(key, "index/", 6) != 0)
		return 0;
	m->armed = false;
	other = test_reopen(m->inner);
	p = point_new();
	rc = writer_begin(&w, other, NULL, e);
	if (rc == 0 && writer_put(&w, "the other's block", 17, &id, e) < 0)
		rc = -1;
	if (rc == 0)
		rc = session_commit(w.s, p, e);
	writer_end(&w);
	return rc;
}

static void test_run_is_merged_away(void **state)
{
	AUTO(credential) c = test_credential(1);
	AUTO(store) inner = store_mem_new();
	struct merger m = {inner, false};
	AUTO(store) hooked = store_hook_new(inner, merge_at_once, &m, false);
	struct repo *r;
	struct uuid id;
	struct disk d;

	(void)state;
	OK(repo_create(inner, c, "", NULL, e));
	r = OK_PTR(repo_open(hooked, c, e));
	for (uint32_t i = 0; i < 7; i++) {
		disk_make_small(&d, i, 3);
		OK(protect(r, NULL, &d, &id, NULL, e));
		disk_done(&d);
	}
	assert_int_equal(test_count(inner, "index/"), 7);
	m.armed = true;
	disk_make_small(&d, 99, 3);
	OK(protect(r, NULL, &d, &id, NULL, e));
	assert_false(m.armed);
	assert_point(r, &id, &d);
	disk_done(&d);
	repo_free(r);
}

/* A repository that needs a feature for writing which we do not know. */
static void test_read_only_repository(void **state)
{
	AUTO(store) s = store_mem_new();
	AUTO(credential) c = test_credential(1);
	struct uuid id = uuid_random();
	AUTO(keyring) k = OK_PTR(keyring_new(&id, c, "", NULL, e));
	AUTO_BUF text = BUF_INIT;
	AUTO(repo) r = NULL;
	uint8_t hash[HASH_BYTES];
	char hex[HASH_TEXT], uuid[UUID_TEXT];

	(void)state;
	OK(keyring_store(k, s, e));
	buf_fmt(&text, "holdfast repository\nversion: 1\nid: %s\nneeds-to-write: magic\n",
		uuid_text(&id, uuid));
	sha256(text.data, text.len, hash);
	buf_fmt(&text, "sha256: %s\n", hex_encode(hash, HASH_BYTES, hex));
	OK(store_put_new(s, HEADER_KEY, text.data, text.len, e));
	r = OK_PTR(repo_open(s, c, e));
	FAILS_PTR(ERR_VERSION, session_begin(r, NULL, e));
	assert_int_equal(test_count(s, "sessions/"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_abort_leaves_no_point),
		cmocka_unit_test(test_commit_fills_in),
		cmocka_unit_test(test_commit_refuses_what_nobody_reads),
		cmocka_unit_test(test_block_is_stored_once),
		cmocka_unit_test(test_many_threads_ask),
		cmocka_unit_test(test_runs_are_published),
		cmocka_unit_test(test_two_sessions_at_once),
		cmocka_unit_test(test_beats),
		cmocka_unit_test(test_revoked_cannot_commit),
		cmocka_unit_test(test_revoked_hears_of_it),
		cmocka_unit_test(test_run_is_merged_away),
		cmocka_unit_test(test_read_only_repository),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
