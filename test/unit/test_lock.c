/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks, over a store whose locks are a list in memory with a clock that the test sets: whatever is
 * needed by a locked checkpoint is locked at least as long, and nobody looks at more than he must.
 */
#include "repo/lock.h"

#include <pthread.h>
#include <string.h>

#include "repo/collect.h"
#include "repo/store_hook.h"
#include "writer.h"

#define DAY ((uint64_t)86400 * 1000000)
#define START (20000 * DAY)
#define ROWS 512
#define BLOCKS 260

static struct fake {
	pthread_mutex_t mutex; /* many threads lock */
	struct row {
		char key[STORE_KEY_MAX];
		struct store_lock lock;
		unsigned asked;
	} rows[ROWS];
	size_t n;
	uint64_t now;
	bool forgets; /* what is set */
} fake = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static struct row *row_of(const char *key)
{
	for (size_t i = 0; i < fake.n; i++) {
		if (strcmp(fake.rows[i].key, key) == 0)
			return &fake.rows[i];
	}
	assert_true(fake.n < ROWS);
	snprintf(fake.rows[fake.n].key, STORE_KEY_MAX, "%s", key);
	return &fake.rows[fake.n++];
}

static bool fake_possible(struct store *s)
{
	(void)s;
	return true;
}

static int fake_prove(struct store *s, struct err *e)
{
	(void)s;
	(void)e;
	return 0;
}

static uint64_t fake_now(struct store *s)
{
	(void)s;
	return fake.now;
}

static int fake_get(struct store *s, const char *key, struct store_lock *ret, struct err *e)
{
	struct row *row;
	uint64_t size;

	if (store_size(s, key, &size, e) < 0)
		return -1;
	pthread_mutex_lock(&fake.mutex);
	row = row_of(key);
	row->asked++;
	*ret = row->lock;
	pthread_mutex_unlock(&fake.mutex);
	return 0;
}

/* As the service does: nothing is weakened while it is in force. */
static int fake_set(struct store *s, const char *key, const struct store_lock *lock, bool bypass,
		    struct err *e)
{
	struct row *row;
	bool weaker, stricter;

	(void)s;
	pthread_mutex_lock(&fake.mutex);
	row = row_of(key);
	weaker = row->lock.until_us > MAX(fake.now, lock->until_us) || lock->mode < row->lock.mode;
	stricter = row->lock.mode && lock->mode > row->lock.mode;
	if (!weaker && (!stricter || bypass) && !fake.forgets) {
		row->lock.mode = lock->mode;
		row->lock.until_us = lock->until_us;
	}
	pthread_mutex_unlock(&fake.mutex);
	return weaker || (stricter && !bypass) ? err_set(e, ERR_DENIED, "locked") : 0;
}

static int fake_hold(struct store *s, const char *key, bool on, struct err *e)
{
	(void)s;
	(void)e;
	pthread_mutex_lock(&fake.mutex);
	row_of(key)->lock.held = on;
	pthread_mutex_unlock(&fake.mutex);
	return 0;
}

static void fake_session(struct store_session *ss, const struct store_lock *packs,
			 const struct store_lock *point)
{
	(void)ss;
	(void)packs;
	(void)point;
}

static int fake_clear(struct store *s, struct store_cleared *ret, struct err *e)
{
	(void)s;
	(void)e;
	*ret = (struct store_cleared){.removed = 3};
	return 0;
}

static const struct store_lock_ops fake_ops = {.possible = fake_possible,
					       .prove = fake_prove,
					       .now_us = fake_now,
					       .get = fake_get,
					       .set = fake_set,
					       .hold = fake_hold,
					       .session = fake_session,
					       .clear = fake_clear};

static int up(void **state)
{
	struct repo_fixture *f;

	if (repo_fixture_up(state) < 0)
		return -1;
	f = *state;
	f->s->locks = &fake_ops;
	fake.n = 0;
	fake.now = START;
	fake.forgets = false;
	memset(fake.rows, 0, sizeof(fake.rows));
	return 0;
}

/* ---- checkpoints ---- */

/* In small packs, so that there are many. */
static struct session_options options(enum lock_mode mode, unsigned days)
{
	return (struct session_options){.pack_bytes = 256 << 10, .lock = {mode, days * DAY}};
}

/* What changed since the checkpoint `before` (NULL: all), of which the rest is taken unread. */
static int backup(struct repo_fixture *f, const struct session_options *o, const struct disk *d,
		  const struct uuid *before, const bool *dirty, struct point *p, struct err *e)
{
	AUTO(point) parent = before ? point_load(f->r, before, e) : NULL;
	struct point_disk *pd;
	struct writer w;
	int rc;

	pd = point_add_disk(point_add_resource(p, "disk", "id", "one", "here"), "vda");
	rc = writer_begin(&w, f->r, o, e);
	if (rc == 0 && before)
		session_takes(w.s, before);
	if (rc == 0)
		rc = writer_disk(&w, d, parent ? &parent->resources[0].disks[0].tree : NULL, dirty,
				 &pd->tree, NULL, e);
	if (rc == 0)
		rc = session_commit(w.s, p, e);
	writer_end(&w);
	return rc;
}

static struct point *backed_up(struct repo_fixture *f, enum lock_mode mode, unsigned days,
			       const struct disk *d, const struct uuid *before, const bool *dirty)
{
	struct session_options o = options(mode, days);
	struct point *p = point_new();

	OK(backup(f, &o, d, before, dirty, p, e));
	return p;
}

static void noise(struct disk *d)
{
	struct random rnd = {7};

	*d = (struct disk){xcalloc(BLOCKS, BLOCK), BLOCKS * BLOCK};
	random_fill(&rnd, d->data, d->size, true);
}

struct looking {
	enum lock_mode mode;
	uint64_t until_us;
	size_t n, asked;
};

static int look(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct looking *l = arg;
	const struct row *row = row_of(key);

	(void)size;
	(void)e;
	l->n++;
	l->asked += row->asked > 0;
	if (row->lock.mode < l->mode || row->lock.until_us < l->until_us)
		fail_msg("%s is locked %d until day %llu", key, row->lock.mode,
			 (unsigned long long)(row->lock.until_us / DAY));
	return 0;
}

/* Is everything locked as long and as strictly? How many objects there are. */
static size_t assert_all(struct repo_fixture *f, enum lock_mode mode, uint64_t until_us)
{
	struct looking l = {mode, until_us, 0, 0};

	OK(store_list(f->s, "packs/", look, &l, e));
	OK(store_list(f->s, "keys/", look, &l, e));
	look(&l, "holdfast", 0, NULL);
	return l.n;
}

static size_t packs_asked(struct repo_fixture *f)
{
	struct looking l = {0};

	OK(store_list(f->s, "packs/", look, &l, e));
	for (size_t i = 0; i < fake.n; i++)
		fake.rows[i].asked = 0;
	return l.asked;
}

static size_t packs(struct repo_fixture *f)
{
	struct looking l = {0};

	OK(store_list(f->s, "packs/", look, &l, e));
	return l.n;
}

/* As if nothing had ever been locked. */
static void weaken(void)
{
	for (size_t i = 0; i < fake.n; i++)
		fake.rows[i].lock = (struct store_lock){0};
}

/* ---- writers ---- */

static void test_everything_is_locked(void **state)
{
	struct repo_fixture *f = *state;
	char key[STORE_KEY_MAX];
	struct point *p;
	struct disk d;

	noise(&d);
	p = backed_up(f, LOCK_COMPLIANCE, 30, &d, NULL, NULL);
	assert_int_equal(p->lock.mode, LOCK_COMPLIANCE);
	assert_int_equal(p->lock.until_us, START + 30 * DAY);
	assert_int_equal(p->lock.covered_us, START + 30 * DAY + 30 * DAY / 4);
	assert_true(assert_all(f, LOCK_COMPLIANCE, p->lock.covered_us) > 50);
	point_key_name(&p->id, key);
	assert_int_equal(row_of(key)->lock.mode, LOCK_COMPLIANCE);
	assert_int_equal(row_of(key)->lock.until_us, p->lock.until_us);
	point_free(p);
	disk_done(&d);
}

static void test_margins(void **state)
{
	static const struct {
		unsigned days, margin;
	} rows[] = {{1, 1}, {2, 2}, {4, 3}, {12, 3}, {40, 10}};
	struct repo_fixture *f = *state;
	struct disk d;

	disk_make_small(&d, 1, 3);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct point *p;

		fake.n = 0;
		memset(fake.rows, 0, sizeof(fake.rows));
		p = backed_up(f, LOCK_GOVERNANCE, rows[i].days, &d, NULL, NULL);
		assert_int_equal(p->lock.covered_us - p->lock.until_us, rows[i].margin * DAY);
		point_free(p);
	}
	disk_done(&d);
}

/* Only what is new is looked at while the parent is covered for long enough; then all of it. */
static void test_cost_follows_change(void **state)
{
	struct repo_fixture *f = *state;
	bool dirty[BLOCKS] = {[5] = true};
	struct point *first, *next, *late;
	struct disk d;

	noise(&d);
	first = backed_up(f, LOCK_GOVERNANCE, 30, &d, NULL, NULL);
	assert_int_equal(packs_asked(f), packs(f));
	fake.now += 2 * DAY;
	d.data[5 * BLOCK] ^= 1;
	next = backed_up(f, LOCK_GOVERNANCE, 30, &d, &first->id, dirty);
	assert_in_range(packs_asked(f), 1, 3);
	assert_int_equal(next->lock.until_us, START + 32 * DAY);
	assert_int_equal(next->lock.covered_us, first->lock.covered_us);
	assert_all(f, LOCK_GOVERNANCE, next->lock.until_us);
	fake.now += 20 * DAY;
	d.data[5 * BLOCK] ^= 2;
	late = backed_up(f, LOCK_GOVERNANCE, 30, &d, &next->id, dirty);
	assert_true(packs_asked(f) > 50);
	assert_int_equal(late->lock.until_us, START + 52 * DAY);
	assert_true(late->lock.covered_us > late->lock.until_us + 3 * DAY);
	point_free(first);
	point_free(next);
	point_free(late);
	disk_done(&d);
}

/* How the parent was locked: what is not enough has all of it looked at. */
static void test_parents(void **state)
{
	static const struct {
		enum lock_mode was;
		unsigned days;
		enum lock_mode mode;
		bool enough;
	} rows[] = {
		{LOCK_NONE, 0, LOCK_GOVERNANCE, false},
		{LOCK_GOVERNANCE, 9, LOCK_GOVERNANCE, false},
		{LOCK_GOVERNANCE, 30, LOCK_COMPLIANCE, false},
		{LOCK_GOVERNANCE, 30, LOCK_GOVERNANCE, true},
		{LOCK_COMPLIANCE, 30, LOCK_GOVERNANCE, true},
	};
	bool dirty[BLOCKS] = {[9] = true};
	struct disk d;

	noise(&d);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct point *first, *next;
		struct repo_fixture *f;

		repo_fixture_down(state);
		assert_int_equal(up(state), 0);
		f = *state;
		first = backed_up(f, rows[i].was, rows[i].days, &d, NULL, NULL);
		packs_asked(f);
		d.data[9 * BLOCK] ^= 1;
		next = backed_up(f, rows[i].mode, 20, &d, &first->id, dirty);
		assert_int_equal(packs_asked(f) < 5, rows[i].enough);
		if (!rows[i].enough || rows[i].was == rows[i].mode)
			assert_true(next->lock.covered_us >= START + 20 * DAY);
		point_free(first);
		point_free(next);
	}
	disk_done(&d);
}

static void test_what_is_counted_on(void **state)
{
	struct repo_fixture *f = *state;
	struct point *plain, *strict, *weak;
	struct disk d;

	noise(&d);
	plain = backed_up(f, LOCK_NONE, 0, &d, NULL, NULL);
	assert_int_equal(plain->lock.mode, LOCK_NONE);
	strict = backed_up(f, LOCK_COMPLIANCE, 40, &d, NULL, NULL);
	assert_all(f, LOCK_COMPLIANCE, strict->lock.until_us);
	weak = backed_up(f, LOCK_GOVERNANCE, 4, &d, NULL, NULL);
	assert_all(f, LOCK_COMPLIANCE, strict->lock.until_us);
	/* From governance to compliance, and from short to long. */
	point_free(weak);
	weak = backed_up(f, LOCK_GOVERNANCE, 90, &d, NULL, NULL);
	assert_all(f, LOCK_COMPLIANCE, START + 90 * DAY);
	/* Long enough, but not strict enough. */
	weaken();
	point_free(weak);
	weak = backed_up(f, LOCK_GOVERNANCE, 90, &d, NULL, NULL);
	point_free(strict);
	strict = backed_up(f, LOCK_COMPLIANCE, 4, &d, NULL, NULL);
	assert_all(f, LOCK_COMPLIANCE, weak->lock.until_us);
	point_free(plain);
	point_free(strict);
	point_free(weak);
	disk_done(&d);
}

static void test_what_cannot_be_read_back_is_no_lock(void **state)
{
	struct repo_fixture *f = *state;
	struct session_options o = options(LOCK_GOVERNANCE, 3);
	struct point_list l;
	struct disk d;

	disk_make_small(&d, 1, 3);
	fake.forgets = true;
	FAILS(ERR_UNSUPPORTED, protect(f->r, &o, &d, &(struct uuid){0}, NULL, e));
	o.lock.for_us = 1;
	FAILS(ERR_INVALID, protect(f->r, &o, &d, &(struct uuid){0}, NULL, e));
	o.lock.for_us = 3 * DAY;
	f->s->locks = NULL;
	FAILS(ERR_UNSUPPORTED, protect(f->r, &o, &d, &(struct uuid){0}, NULL, e));
	OK(point_list_load(f->r, &l, e));
	assert_int_equal(l.n, 0);
	point_list_done(&l);
	disk_done(&d);
}

/* ---- collectors ---- */

static void test_locks_are_kept(void **state)
{
	struct repo_fixture *f = *state;
	struct point *strict, *longer;
	struct lock_kept kept;
	struct disk d;

	noise(&d);
	strict = backed_up(f, LOCK_COMPLIANCE, 5, &d, NULL, NULL);
	longer = backed_up(f, LOCK_GOVERNANCE, 50, &d, NULL, NULL);
	weaken();
	OK(lock_keep(f->r, NULL, &kept, e));
	assert_int_equal(kept.points, 2);
	assert_int_equal(kept.failed, 0);
	assert_all(f, LOCK_COMPLIANCE, longer->lock.until_us);
	/* Those that have ended need nothing. */
	fake.now += 10 * DAY;
	weaken();
	OK(lock_keep(f->r, NULL, &kept, e));
	assert_int_equal(kept.points, 1);
	assert_all(f, LOCK_GOVERNANCE, longer->lock.until_us);
	fake.forgets = true;
	weaken();
	OK(lock_keep(f->r, NULL, &kept, e));
	assert_true(kept.failed > 50);
	assert_int_equal(kept.first.kind, ERR_UNSUPPORTED);
	point_free(strict);
	point_free(longer);
	disk_done(&d);
}

static struct collect_result collected(struct repo_fixture *f, bool dry)
{
	struct collect_options o = {.dead_after_us = 1, .dry_run = dry};
	struct collect_result r;

	OK(collect_run(f->r, &o, &r, e));
	return r;
}

static void test_what_is_locked_is_not_collected(void **state)
{
	struct repo_fixture *f = *state;
	struct collect_result r;
	struct point *p;
	struct disk d;
	size_t n;

	noise(&d);
	p = backed_up(f, LOCK_GOVERNANCE, 10, &d, NULL, NULL);
	n = packs(f);
	OK(point_delete(f->r, &p->id, e));
	for (int dry = 1; dry >= 0; dry--) {
		r = collected(f, dry);
		assert_int_equal(r.dropped, 0);
		assert_int_equal(r.locked, n);
		assert_true(r.locked_bytes > BLOCKS * BLOCK);
		assert_int_equal(packs(f), n);
	}
	assert_int_equal(r.cleared, 3);
	fake.now = p->lock.covered_us;
	r = collected(f, false);
	assert_int_equal(r.dropped, n);
	assert_int_equal(r.locked, 0);
	assert_int_equal(packs(f), 0);
	point_free(p);
	disk_done(&d);
}

/* ---- holds ---- */

static size_t held(void)
{
	size_t n = 0;

	for (size_t i = 0; i < fake.n; i++)
		n += fake.rows[i].lock.held;
	return n;
}

static void test_holds(void **state)
{
	struct repo_fixture *f = *state;
	struct point *a, *b;
	struct point_list l;
	struct disk d;
	size_t all;

	noise(&d);
	a = backed_up(f, LOCK_NONE, 0, &d, NULL, NULL);
	memset(d.data, 5, BLOCKS / 2 * BLOCK);
	b = backed_up(f, LOCK_NONE, 0, &d, NULL, NULL);
	OK(lock_hold(f->r, a, NULL, e));
	all = held();
	assert_true(all > 50);
	OK(lock_hold(f->r, b, NULL, e));
	OK(point_list_load(f->r, &l, e));
	for (size_t i = 0; i < l.n; i++) {
		OK(lock_release(f->r, &l, l.points[i], NULL, e));
		assert_int_equal(held() > 0, i == 0);
	}
	point_list_done(&l);
	f->s->locks = NULL;
	FAILS(ERR_UNSUPPORTED, lock_hold(f->r, a, NULL, e));
	point_free(a);
	point_free(b);
	disk_done(&d);
}

/* What the checkpoint that stays held needs, stays held. */
static void test_releasing_one(void **state)
{
	struct repo_fixture *f = *state;
	struct point *a, *b;
	struct point_list l;
	struct disk d;
	size_t of_a;

	noise(&d);
	a = backed_up(f, LOCK_NONE, 0, &d, NULL, NULL);
	memset(d.data, 5, BLOCKS / 2 * BLOCK);
	b = backed_up(f, LOCK_NONE, 0, &d, NULL, NULL);
	OK(lock_hold(f->r, a, NULL, e));
	of_a = held();
	OK(lock_hold(f->r, b, NULL, e));
	assert_true(held() > of_a);
	OK(point_list_load(f->r, &l, e));
	for (size_t i = 0; i < l.n; i++) {
		if (uuid_equal(&l.points[i]->id, &b->id))
			OK(lock_release(f->r, &l, l.points[i], NULL, e));
	}
	assert_int_equal(held(), of_a);
	point_list_done(&l);
	point_free(a);
	point_free(b);
	disk_done(&d);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, up, repo_fixture_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_everything_is_locked),
		TEST(test_margins),
		TEST(test_cost_follows_change),
		TEST(test_parents),
		TEST(test_what_is_counted_on),
		TEST(test_what_cannot_be_read_back_is_no_lock),
		TEST(test_locks_are_kept),
		TEST(test_what_is_locked_is_not_collected),
		TEST(test_holds),
		TEST(test_releasing_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
