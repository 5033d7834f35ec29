/* SPDX-License-Identifier: Apache-2.0 */
#include "writer.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

int writer_begin(struct writer *w, struct repo *r, const struct session_options *o, struct err *e)
{
	*w = (struct writer){.s = session_begin(r, o, e)};
	if (!w->s)
		return -1;
	w->encoder = encoder_new(w->s);
	w->codec = encoder_codec(w->encoder);
	w->fetch = fetch_new(r);
	return 0;
}

void writer_end(struct writer *w)
{
	fetch_free(w->fetch);
	encoder_free(w->encoder);
	session_free(w->s);
}

static int put_after(struct writer *w, const struct block_id *before, const void *data, size_t n,
		     struct block_id *ret_id, struct err *e)
{
	AUTO_FREE uint8_t *out = xmalloc(n);
	enum block_encoding encoding;
	size_t len;
	int known;

	codec_id(w->codec, BLOCK_DATA, data, n, ret_id);
	known = session_knows(w->s, ret_id, e);
	if (known)
		return known < 0 ? -1 : 0;
	len = encoder_encode(w->encoder, before, data, n, out, &encoding);
	return session_put(w->s, BLOCK_DATA, ret_id, encoding,
			   encoding == BLOCK_RAW ? data : (const void *)out, len, NULL, e) < 0
		       ? -1
		       : 1;
}

int writer_put(struct writer *w, const void *data, size_t n, struct block_id *ret_id, struct err *e)
{
	static const struct block_id none;

	return put_after(w, &none, data, n, ret_id, e);
}

struct block_id writer_put_whole(struct writer *w, const uint8_t *data)
{
	struct block_id id;

	codec_id(w->codec, BLOCK_DATA, data, BLOCK, &id);
	OK(session_put(w->s, BLOCK_DATA, &id, BLOCK_RAW, data, BLOCK, NULL, e));
	return id;
}

struct block_id writer_put_delta(struct writer *w, const struct block_id *base_id,
				 const uint8_t *base, const uint8_t *data)
{
	AUTO_FREE uint8_t *out = xmalloc(BLOCK);
	struct block_id id;
	size_t len;

	codec_id(w->codec, BLOCK_DATA, data, BLOCK, &id);
	len = codec_delta(w->codec, base_id, base, BLOCK, data, BLOCK, out, BLOCK);
	/* Noise: only the base makes it small. */
	assert_true(len > 0 && len < 1000);
	OK(session_put(w->s, BLOCK_DATA, &id, BLOCK_DELTA, out, len, NULL, e));
	return id;
}

void disk_make(struct disk *d, struct random *rnd, size_t blocks)
{
	*d = (struct disk){xcalloc(blocks, BLOCK), blocks * BLOCK};
	for (size_t i = 0; i < blocks; i++) {
		uint64_t kind = random_below(rnd, 4);

		if (kind)
			random_fill(rnd, d->data + i * BLOCK, BLOCK, kind == 1);
	}
}

void disk_make_small(struct disk *d, uint32_t number, size_t blocks)
{
	*d = (struct disk){xcalloc(blocks, BLOCK), blocks * BLOCK};
	for (size_t i = 0; i < blocks; i++) {
		uint8_t *p = d->data + i * BLOCK;

		memset(p, (int)(i + 1), BLOCK);
		put_le32(p, number);
		put_le32(p + 4, (uint32_t)i);
	}
}

void disk_done(struct disk *d)
{
	free(d->data);
	*d = (struct disk){0};
}

void disk_write(struct disk *d, struct random *rnd, size_t first, size_t blocks)
{
	for (size_t i = first; i < first + blocks; i++) {
		uint8_t *block = d->data + i * BLOCK;

		if (random_below(rnd, 2))
			random_fill(rnd, block, BLOCK, random_below(rnd, 2) != 0);
		else /* a part of it: worth a delta */
			random_fill(rnd, block + random_below(rnd, BLOCK - 500), 500, true);
	}
}

/* What the base has there; zero: nothing, or it cannot be read. */
static struct block_id block_before(struct writer *w, const struct tree *base, uint64_t i)
{
	AUTO(tree_walk) walk = base ? tree_walk_new(base, w->fetch) : NULL;
	struct tree_piece p = {0};

	if (walk && i * BLOCK < base->size && tree_walk_seek(walk, i * BLOCK, NULL) == 0 &&
	    tree_walk_next(walk, &p, NULL) > 0 && p.offset == i * BLOCK)
		return p.id;
	return (struct block_id){0};
}

struct block_ref ref_of(const struct block_id *id)
{
	struct block_ref ref = {.id = *id};

	memcpy(ref.print.b, id->b + 8, PRINT_BYTES);
	return ref;
}

int add_id(struct tree_seq *ts, const struct block_id *id, uint64_t len, struct err *e)
{
	const struct block_ref ref = ref_of(id);

	return tree_seq_add(ts, &ref, len, e);
}

int set_id(struct tree_edit *te, uint64_t block, const struct block_id *id, struct err *e)
{
	const struct block_ref ref = ref_of(id);

	return tree_edit_set(te, block, &ref, e);
}

/* One block into the tree that is being made. */
static int place(struct writer *w, struct tree_edit *te, const struct disk *d, uint64_t i,
		 const struct tree *base, size_t *ret_new, struct err *e)
{
	size_t n = (size_t)MIN((uint64_t)BLOCK, d->size - i * BLOCK);
	const uint8_t *p = d->data + i * BLOCK;
	AUTO_FREE uint8_t *padded = NULL;
	struct block_ref is = {0};
	struct block_id before;
	int fresh;

	if (block_all_zero(p, n))
		return base ? tree_edit_set(te, i, &is, e) : 0;
	if (n < BLOCK) {
		padded = xcalloc(1, BLOCK);
		memcpy(padded, p, n);
		p = padded;
	}
	codec_print(w->codec, p, BLOCK, &is.print);
	before = block_before(w, base, i);
	fresh = put_after(w, &before, p, BLOCK, &is.id, e);
	if (fresh < 0)
		return -1;
	*ret_new += (size_t)fresh;
	return tree_edit_set(te, i, &is, e);
}

int writer_disk(struct writer *w, const struct disk *d, const struct tree *base, const bool *dirty,
		struct tree *ret_tree, size_t *ret_new, struct err *e)
{
	AUTO(tree_edit)
	te = tree_edit_new(base, d->size, w->fetch, w->codec, session_put_node, w->s, e);
	size_t fresh = 0;

	if (!te)
		return -1;
	for (uint64_t i = 0; i * BLOCK < d->size; i++) {
		if (dirty && !dirty[i])
			continue;
		if (place(w, te, d, i, base, &fresh, e) < 0)
			return -1;
	}
	if (ret_new)
		*ret_new = fresh;
	return tree_edit_finish(te, ret_tree, e);
}

static int protect_on(struct repo *r, const struct session_options *o, const struct disk *d,
		      const struct tree *base, struct uuid *ret_id, size_t *ret_new, struct err *e)
{
	AUTO(point) p = point_new();
	struct point_disk *pd;
	struct writer w;
	int rc;

	p->instant_us = clock_wall_us();
	pd = point_add_disk(point_add_resource(p, "disk", "id-1", "one", "here"), "vda");
	rc = writer_begin(&w, r, o, e);
	if (rc == 0) {
		*ret_id = *session_id(w.s);
		rc = writer_disk(&w, d, base, NULL, &pd->tree, ret_new, e);
	}
	if (rc == 0)
		rc = session_commit(w.s, p, e);
	writer_end(&w);
	return rc;
}

int protect(struct repo *r, const struct session_options *o, const struct disk *d,
	    struct uuid *ret_id, size_t *ret_new, struct err *e)
{
	return protect_on(r, o, d, NULL, ret_id, ret_new, e);
}

int protect_after(struct repo *r, const struct session_options *o, const struct disk *d,
		  const struct uuid *before, struct uuid *ret_id, struct err *e)
{
	AUTO(point) p = point_load(r, before, e);

	return p ? protect_on(r, o, d, &p->resources[0].disks[0].tree, ret_id, NULL, e) : -1;
}

int read_tree(struct repo *r, const struct tree *t, struct buf *ret_b, struct err *e)
{
	AUTO(fetch) f = fetch_new(r);
	AUTO(fetch) nodes = fetch_new(r);
	AUTO(tree_walk) walk = tree_walk_new(t, nodes);
	AUTO_BUF block = BUF_INIT;
	struct tree_piece piece;
	AUTO_BUF b = BUF_INIT;
	size_t len;
	int rc;

	buf_fill(&b, 0, t->size);
	while ((rc = tree_walk_next(walk, &piece, e)) > 0) {
		size_t cap = (size_t)MIN(piece.len, (uint64_t)BLOCK_MAX);

		if (fetch_block(f, BLOCK_DATA, &piece.id, buf_reserve(&block, cap), cap, &len, e) <
		    0)
			return -1;
		memcpy(b.data + piece.offset, block.data, MIN(len, t->size - piece.offset));
	}
	if (rc < 0)
		return -1;
	*ret_b = b;
	b = BUF_INIT;
	return 0;
}

int read_point(struct repo *r, const struct uuid *id, struct buf *ret_b, struct err *e)
{
	AUTO(point) p = point_load(r, id, e);

	if (!p)
		return -1;
	if (p->n_resources != 1 || p->resources[0].n_disks != 1)
		return err_set(e, ERR_CORRUPT, "a checkpoint that is not ours");
	return read_tree(r, &p->resources[0].disks[0].tree, ret_b, e);
}

void assert_point(struct repo *r, const struct uuid *id, const struct disk *d)
{
	AUTO_BUF b = BUF_INIT;

	OK(read_point(r, id, &b, e));
	assert_int_equal(b.len, d->size);
	/* Not assert_memory_equal, which prints every byte that differs. */
	if (d->size && memcmp(b.data, d->data, d->size) != 0)
		fail_msg("a checkpoint reads back wrong");
}
