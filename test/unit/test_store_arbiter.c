/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bucket and its arbiter: who is killed between the two, who removes meanwhile, and an arbiter
 * that is lost, set back, or another's. That it is a store as every other is in test_store.c.
 */
#include "testing.h"

#include <string.h>

#include "repo/credential.h"
#include "repo/header.h"
#include "repo/store_arbiter.h"
#include "repo/store_hook.h"

#define ID "11111111-2222-3333-4444-555555555555"
#define POINT "points/" ID

struct fixture {
	struct store *bucket, *arbiter; /* what stays */
	struct store *s;		/* as one process has them */
	/* What happens in the bucket's next call of this kind: it fails, undone; or somebody else
	 * removes the point, before it or after it. */
	enum hook_call call;
	enum { NOTHING, FAIL, REMOVE_BEFORE, REMOVE_AFTER } what;
};

static struct store *opened(struct fixture *f, struct store *arbiter);

static int remove_as_another(struct fixture *f, struct err *e)
{
	AUTO(store) other = opened(f, f->arbiter);

	return store_remove(other, POINT, e);
}

static int in_bucket(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct fixture *f = arg;
	int what = f->what;

	(void)key;
	if (what == NOTHING || call != f->call || after != (what == REMOVE_AFTER))
		return 0;
	f->what = NOTHING;
	return what == FAIL ? err_set(e, ERR_UNREACHABLE, "gone") : remove_as_another(f, e);
}

static int let(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	(void)arg;
	(void)call;
	(void)key;
	(void)after;
	(void)e;
	return 0;
}

static struct store *opened(struct fixture *f, struct store *arbiter)
{
	return store_arbiter_new(store_hook_new(f->bucket, in_bucket, f, false),
				 store_hook_new(arbiter, let, NULL, false));
}

static void reopen(struct fixture *f, struct store *arbiter)
{
	store_free(f->s);
	f->s = opened(f, arbiter);
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->bucket = store_mem_new();
	f->arbiter = store_mem_new();
	reopen(f, f->arbiter);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	store_free(f->s);
	store_free(f->bucket);
	store_free(f->arbiter);
	free(f);
	return 0;
}

static struct store_session *begin(struct fixture *f)
{
	return OK_PTR(store_session_begin(f->s, ID, "s", 1, e));
}

static int has(struct store *s, const char *key)
{
	int there = -1;

	OK(there = store_has(s, key, e));
	return there;
}

static int count_one(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)key;
	(void)size;
	(void)e;
	++*(int *)arg;
	return 0;
}

static int listed(struct store *s, const char *prefix)
{
	int n = 0;

	OK(store_list(s, prefix, count_one, &n, e));
	return n;
}

/* ---- between the arbiter's yes and the copy ---- */

static void test_commit_cut_short(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = begin(f);
	char got[8];

	f->call = HOOK_COMMIT;
	f->what = FAIL;
	FAILS(ERR_UNREACHABLE, ss->ops->commit(ss, "point", 5, e));
	store_session_end(ss);
	/* It is there, and who reads it completes it. */
	assert_int_equal(listed(f->s, "points/"), 1);
	assert_int_equal(has(f->s, POINT), 1);
	assert_int_equal(has(f->bucket, POINT), 0);
	assert_int_equal(store_get(f->s, POINT, 1, got, sizeof(got), NULL), 4);
	assert_memory_equal(got, "oint", 4);
	assert_int_equal(has(f->bucket, POINT), 1);
	assert_int_equal(listed(f->s, "points/"), 1);
	OK(store_remove(f->s, POINT, e));
	assert_int_equal(has(f->s, POINT), 0);
	assert_int_equal(listed(f->arbiter, "points/") + listed(f->bucket, "points/"), 0);
}

/* Nothing can be copied there: it is read all the same. */
static void test_read_without_writing(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = begin(f);
	char got[8];

	OK(store_put_new(f->arbiter, POINT, "point", 5, e));
	f->call = HOOK_PUT_NEW;
	f->what = FAIL;
	assert_int_equal(store_get(f->s, POINT, 0, got, sizeof(got), NULL), 5);
	assert_int_equal(has(f->bucket, POINT), 0);
	store_session_end(ss);
}

/* A checkpoint that somebody deletes while its owner makes the copy does not come back. */
static void test_removed_meanwhile(void **state)
{
	struct fixture *f = *state;

	for (int what = REMOVE_BEFORE; what <= REMOVE_AFTER; what++) {
		struct store_session *ss = begin(f);

		f->call = HOOK_COMMIT;
		f->what = what;
		FAILS(ERR_NOENT, ss->ops->commit(ss, "point", 5, e));
		store_session_end(ss);
		assert_int_equal(listed(f->s, "points/"), 0);
		assert_int_equal(listed(f->bucket, "points/"), 0);
	}
}

/* Nor when it is a reader who makes it. */
static void test_removed_while_read(void **state)
{
	struct fixture *f = *state;
	char got[8];

	for (int what = REMOVE_BEFORE; what <= REMOVE_AFTER; what++) {
		OK(store_put_new(f->arbiter, POINT, "point", 5, e));
		f->call = HOOK_PUT_NEW;
		f->what = what;
		FAILS(ERR_NOENT, (int)store_get(f->s, POINT, 0, got, sizeof(got), e));
		assert_int_equal(listed(f->s, "points/"), 0);
		assert_int_equal(listed(f->bucket, "points/"), 0);
	}
}

static void test_removal_cut_short(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = begin(f);

	OK(ss->ops->commit(ss, "point", 5, e));
	store_session_end(ss);
	f->call = HOOK_REMOVE;
	f->what = FAIL;
	FAILS(ERR_UNREACHABLE, store_remove(f->s, POINT, e));
	assert_int_equal(has(f->s, POINT), 1);
	OK(store_remove(f->s, POINT, e));
	assert_int_equal(has(f->s, POINT), 0);
}

/* A pack may still come; its sender is told that nobody counts on it. */
static void test_upload_of_a_revoked_session(void **state)
{
	struct fixture *f = *state;
	struct store_session *ss = begin(f);
	struct store_upload *u = OK_PTR(ss->ops->upload(ss, e));

	OK(u->ops->write(u, "pack", 4, e));
	OK(store_session_revoke(f->s, ID, e));
	FAILS(ERR_NOENT, u->ops->finish(u, "packs/aa/aa", e));
	FAILS(ERR_NOENT, ss->ops->commit(ss, "point", 5, e));
	store_session_end(ss);
	assert_int_equal(listed(f->s, "points/"), 0);
	assert_int_equal(listed(f->bucket, "points/"), 0);
}

/* ---- two that belong together ---- */

static struct credential *credential(void)
{
	return OK_PTR(credential_passphrase("passphrase", 10, e));
}

static void create(struct store *s)
{
	static const struct keyring_cost quick = {1, 64, 1};
	const struct repo_options o = {.cost = &quick, .parity = 5};
	AUTO(credential) c = credential();

	OK(repo_create(s, c, "first", &o, e));
}

static void test_what_is_where(void **state)
{
	struct fixture *f = *state;

	create(f->s);
	assert_int_equal(has(f->bucket, HEADER_KEY), 1);
	assert_int_equal(listed(f->bucket, "keys/"), 2);
	OK(store_put_new(f->s, "epochs/7", "e", 1, e));
	OK(store_put_new(f->s, "verified/x", "v", 1, e));
	assert_int_equal(listed(f->arbiter, "epochs/"), 1);
	assert_int_equal(listed(f->bucket, "epochs/"), 0);
	assert_int_equal(listed(f->arbiter, "verified/"), 0);
	/* What the bucket lost of what every reader needs is there again with the next writer. */
	OK(store_remove(f->bucket, HEADER_KEY, e));
	OK(store_remove(f->bucket, "keys/1", e));
	reopen(f, f->arbiter);
	store_session_end(begin(f));
	assert_int_equal(has(f->bucket, HEADER_KEY), 1);
	assert_int_equal(listed(f->bucket, "keys/"), 2);
	store_mem_resize(f->bucket, HEADER_KEY, 30);
	reopen(f, f->arbiter);
	store_session_end(begin(f));
	{
		struct header h;

		OK(repo_header(f->bucket, &h, e));
		assert_int_equal(h.parity, 5);
		assert_false(h.read_only || uuid_is_zero(&h.arbiter));
	}
}

static void refused(struct fixture *f, enum err_kind kind)
{
	FAILS_PTR(kind, store_session_begin(f->s, ID, "s", 1, e));
	FAILS(kind, store_put_new(f->s, "epochs/1", "e", 1, e));
	FAILS(kind, store_remove(f->s, POINT, e));
	FAILS(kind, store_session_revoke(f->s, ID, e));
}

static void test_not_its_arbiter(void **state)
{
	struct fixture *f = *state;
	AUTO(store) empty = store_mem_new();
	AUTO(store) another = store_mem_new();
	AUTO(store) bucket = store_mem_new();

	create(f->s);
	{
		AUTO(store)
		s = store_arbiter_new(store_hook_new(bucket, let, NULL, false),
				      store_hook_new(another, let, NULL, false));
		create(s);
	}
	reopen(f, empty);
	refused(f, ERR_CONFLICT);
	reopen(f, another);
	refused(f, ERR_CONFLICT);
	/* It reads. */
	assert_int_equal(listed(f->s, "keys/"), 2);
}

static struct uuid id_of(struct store *s)
{
	struct header h = {0};

	OK(repo_header(s, &h, e));
	return h.id;
}

static void test_a_new_arbiter(void **state)
{
	struct fixture *f = *state;
	AUTO(store) fresh = store_mem_new();
	struct store_session *ss;
	struct uuid id, stranger = uuid_random();

	create(f->s);
	ss = begin(f);
	OK(ss->ops->commit(ss, "point", 5, e));
	store_session_end(ss);
	id = id_of(f->s);
	FAILS(ERR_INVALID, store_arbiter_take(f->bucket, &id, 5, e));
	FAILS(ERR_EXISTS, store_arbiter_take(f->s, &stranger, 5, e));
	OK(store_put_new(f->bucket, "epochs/3", "e", 1, e));
	reopen(f, fresh);
	/* Once cut short, then whole, then once more. */
	f->call = HOOK_PUT_NEW;
	f->what = FAIL;
	FAILS(ERR_UNREACHABLE, store_arbiter_take(f->s, &id, 5, e));
	OK(store_arbiter_take(f->s, &id, 5, e));
	OK(store_arbiter_take(f->s, &id, 5, e));
	assert_int_equal(listed(f->s, "points/"), 1);
	assert_int_equal(listed(f->s, "epochs/"), 1);
	store_session_end(begin(f));
	reopen(f, f->arbiter);
	refused(f, ERR_CONFLICT);
	/* Without one: it can be read. */
	{
		AUTO(credential) c = credential();
		AUTO(repo) r = OK_PTR(repo_open(f->bucket, c, e));

		FAILS(ERR_UNSUPPORTED, repo_check_writable(r, e));
		assert_int_equal(repo_parity(r), 5);
	}
}

static void test_needs_none(void **state)
{
	struct fixture *f = *state;
	AUTO(credential) c = credential();

	create(f->bucket);
	{
		AUTO(repo) r = OK_PTR(repo_open(f->s, c, e));

		FAILS(ERR_UNSUPPORTED, repo_check_writable(r, e));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_commit_cut_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_without_writing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_meanwhile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_while_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removal_cut_short, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_upload_of_a_revoked_session, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_where, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_its_arbiter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_arbiter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_needs_none, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("store_arbiter", tests, NULL, NULL);
}
