/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <string.h>

#define BLOCK ((size_t)64 << 10)

struct writer {
	struct session *s;
	struct codec *codec;
	struct fetch *fetch;
};

static void writer_begin(struct writer *w, struct repo *r, const struct session_options *o)
{
	w->s = OK_PTR(session_begin(r, o, e));
	w->codec = codec_new(repo_keys(r), 1);
	w->fetch = fetch_new(r);
}

static void writer_end(struct writer *w)
{
	fetch_free(w->fetch);
	codec_free(w->codec);
	session_free(w->s);
}

/* Store one block as the mover does; 1 when it was new. */
static int put(struct writer *w, const uint8_t *data, size_t n, struct block_id *id)
{
	AUTO_FREE uint8_t *out = xmalloc(n);
	enum block_encoding encoding;
	struct err err = {0};
	size_t len;
	int known;

	codec_id(w->codec, BLOCK_DATA, data, n, id);
	known = session_knows(w->s, id, &err);
	assert_true(known >= 0);
	if (known)
		return 0;
	len = codec_encode(w->codec, data, n, out, &encoding);
	OK(session_put(w->s, BLOCK_DATA, id, encoding, encoding == BLOCK_RAW ? data : out, len,
		       NULL, e));
	return 1;
}

/* A disk of `blocks` blocks, some of them holes, as one checkpoint. */
static struct uuid protect(struct repo *r, const uint8_t *disk, size_t blocks,
			   const struct session_options *o, size_t *ret_new)
{
	struct writer w;
	struct tree_edit *te;
	struct point *p = point_new();
	struct point_disk *d;
	struct uuid id;

	writer_begin(&w, r, o);
	te = OK_PTR(
		tree_edit_new(NULL, blocks * BLOCK, w.fetch, w.codec, session_put_node, w.s, e));
	*ret_new = 0;
	for (size_t i = 0; i < blocks; i++) {
		struct block_id bid;

		if (block_all_zero(disk + i * BLOCK, BLOCK))
			continue;
		*ret_new += (size_t)put(&w, disk + i * BLOCK, BLOCK, &bid);
		OK(tree_edit_set(te, i, &bid, e));
	}
	d = point_add_disk(point_add_resource(p, "disk", "id-1", "one", "here"), "vda");
	OK(tree_edit_finish(te, &d->tree, e));
	OK(session_commit(w.s, p, e));
	id = p->id;
	tree_edit_free(te);
	writer_end(&w);
	point_free(p);
	return id;
}

static void check(struct repo *r, const struct uuid *id, const uint8_t *disk, size_t blocks)
{
	AUTO(point) p = OK_PTR(point_load(r, id, e));
	AUTO(fetch) f = fetch_new(r);
	AUTO(tree_walk) walk = tree_walk_new(&p->resources[0].disks[0].tree, f);
	AUTO_FREE uint8_t *got = xcalloc(blocks, BLOCK);
	struct tree_piece piece;
	struct err err = {0};
	size_t len;
	int rc;

	while ((rc = tree_walk_next(walk, &piece, &err)) > 0)
		OK(fetch_block(f, BLOCK_DATA, &piece.id, got + piece.offset, BLOCK, &len, e));
	if (rc < 0)
		fail_msg("%s", err.msg);
	assert_memory_equal(got, disk, blocks * BLOCK);
}

static void make_disk(struct random *rnd, uint8_t *disk, size_t blocks)
{
	for (size_t i = 0; i < blocks; i++) {
		uint64_t kind = random_below(rnd, 4);

		if (kind)
			random_fill(rnd, disk + i * BLOCK, BLOCK, kind == 1);
		else
			memset(disk + i * BLOCK, 0, BLOCK);
	}
}

static void test_round_trip(void **state)
{
	struct random rnd = {random_seed()};
	struct store *s;
	struct repo *r = test_repo(&s);
	enum { N = 700 };
	AUTO_FREE uint8_t *disk = xcalloc(N, BLOCK);
	struct session_options o = {.pack_bytes = 1 << 20, .run_entries = 100};
	struct uuid a, b;
	size_t fresh;

	(void)state;
	make_disk(&rnd, disk, N);
	a = protect(r, disk, N, &o, &fresh);
	assert_true(fresh > N / 2);
	check(r, &a, disk, N);
	b = protect(r, disk, N, &o, &fresh);
	assert_int_equal(fresh, 0);
	check(r, &b, disk, N);
	repo_free(r);

	/* A new process sees the same. */
	{
		AUTO(credential) c = test_credential(1);

		r = OK_PTR(repo_open(s, c, e));
	}
	check(r, &a, disk, N);
	random_fill(&rnd, disk + 5 * BLOCK, 3 * BLOCK, true);
	b = protect(r, disk, N, &o, &fresh);
	assert_int_equal(fresh, 3);
	check(r, &b, disk, N);
	repo_free(r);
	store_free(s);
}

static void test_abort_leaves_no_point(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	struct point_list list;
	struct writer w;
	uint8_t block[4096];
	struct block_id id;

	(void)state;
	memset(block, 7, sizeof(block));
	writer_begin(&w, r, NULL);
	put(&w, block, sizeof(block), &id);
	writer_end(&w);
	OK(point_list_load(r, &list, e));
	assert_int_equal(list.n, 0);
	point_list_done(&list);
	repo_free(r);
	store_free(s);
}

static void test_revoked_cannot_commit(void **state)
{
	struct store *s;
	struct repo *r = test_repo(&s);
	AUTO(point) p = point_new();
	char id[UUID_TEXT];
	struct writer w;

	(void)state;
	writer_begin(&w, r, NULL);
	OK(store_session_revoke(s, uuid_text(session_id(w.s), id), e));
	FAILS(ERR_CONFLICT, session_commit(w.s, p, e));
	writer_end(&w);
	repo_free(r);
	store_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_abort_leaves_no_point),
		cmocka_unit_test(test_revoked_cannot_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
