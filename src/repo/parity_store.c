/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cell that cannot be read, that is not what its checksum says, or that is beyond the end of what
 * is left, is lost. Which cells these are is found by reading all of the pack and of its parity;
 * then each row is solved for itself.
 */
#include "repo/parity_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "repo/pack.h"

#define PIECE_CELLS ((size_t)256)
#define PIECE (PIECE_CELLS * PARITY_CELL)

int parity_put(struct store *s, struct parity *p, const uint8_t pack[HASH_BYTES], struct err *e)
{
	AUTO_BUF object = BUF_INIT;
	char key[STORE_KEY_MAX];
	struct err why = {0};

	if (!parity_end(p, pack, &object))
		return 0;
	parity_key_name(pack, key);
	if (store_put_new(s, key, object.data, object.len, &why) == 0 || why.kind == ERR_EXISTS)
		return 0;
	if (e)
		*e = why;
	return -1;
}

/* ---- reading what is left ---- */

static int head_at(struct store *s, const char *key, uint64_t at, struct parity_head *ret_h,
		   struct err *e)
{
	AUTO_BUF head = BUF_INIT;
	uint8_t fixed[PARITY_FIXED];
	size_t n;

	if (store_get_all(s, key, at, fixed, PARITY_FIXED, e) < 0)
		return -1;
	n = parity_head_bytes(fixed);
	if (n && store_get_all(s, key, at, buf_reserve(&head, n), n, e) < 0)
		return -1;
	return parity_head_decode(head.data, n, ret_h, e);
}

static int second_head(struct store *s, const char *key, struct parity_head *ret_h, struct err *e)
{
	uint8_t length[4];
	uint64_t size, n;

	if (store_size(s, key, &size, e) < 0)
		return -1;
	if (size < PARITY_END)
		return err_set(e, ERR_CORRUPT, "this is no parity of a pack");
	if (store_get_all(s, key, size - PARITY_END, length, sizeof(length), e) < 0)
		return -1;
	n = get_le32(length);
	if (n > size - PARITY_END)
		return err_set(e, ERR_CORRUPT, "this is no parity of a pack");
	return head_at(s, key, size - PARITY_END - n, ret_h, e);
}

/* From whichever place it is whole. */
static int read_head(struct store *s, const uint8_t pack[HASH_BYTES], struct parity_head *ret_h,
		     struct err *e)
{
	struct parity_head h;
	char key[STORE_KEY_MAX];
	struct err why = {0};

	parity_key_name(pack, key);
	if (head_at(s, key, 0, &h, &why) < 0) {
		if (why.kind != ERR_CORRUPT && why.kind != ERR_IO) {
			if (e)
				*e = why;
			return -1;
		}
		if (second_head(s, key, &h, e) < 0)
			return err_wrap(e, "%s/%s", s->url, key);
	}
	if (memcmp(h.pack, pack, HASH_BYTES) != 0) {
		parity_head_done(&h);
		return err_set(e, ERR_CORRUPT, "%s/%s is the parity of another pack", s->url, key);
	}
	*ret_h = h;
	return 0;
}

/* Cells that lie one after the other in an object. */
struct stretch {
	struct store *store;
	const char *key;
	uint64_t at, end; /* in the object; what is beyond is zeros */
	size_t n;
	const uint32_t *sums;
	bool *lost;
};

/* Some cells of it. What cannot be read of them is left as zeros. */
static int read_cells(const struct stretch *t, size_t first, size_t n, uint8_t *out, struct err *e)
{
	uint64_t at = t->at + (uint64_t)first * PARITY_CELL;
	size_t want = at < t->end ? (size_t)MIN(t->end - at, (uint64_t)n * PARITY_CELL) : 0;
	struct err why = {0};

	memset(out, 0, n * PARITY_CELL);
	if (!want || store_get(t->store, t->key, at, out, want, &why) >= 0 || why.kind == ERR_NOENT)
		return 0;
	/* A sector that cannot be read takes only its own cells with it; where every read takes
	 * long, and there are no sectors, it is rather the network. */
	if (why.kind != ERR_IO || t->store->distant) {
		if (e)
			*e = why;
		return -1;
	}
	memset(out, 0, n * PARITY_CELL);
	for (size_t i = 0; i < n && n > 1; i++) {
		if (read_cells(t, first + i, 1, out + i * PARITY_CELL, e) < 0)
			return -1;
	}
	return 0;
}

/* Which of them are lost; `into`, unless it is NULL, gets their bytes. */
static int look(const struct stretch *t, uint8_t *into, struct err *e)
{
	AUTO_FREE uint8_t *piece = into ? NULL : xmalloc_pages(PIECE);

	for (size_t i = 0; i < t->n; i += PIECE_CELLS) {
		uint8_t *to = into ? into + i * PARITY_CELL : piece;
		size_t n = MIN(PIECE_CELLS, t->n - i);

		if (read_cells(t, i, n, to, e) < 0)
			return -1;
		for (size_t k = 0; k < n; k++)
			t->lost[i + k] = parity_sum(to + k * PARITY_CELL) != t->sums[i + k];
	}
	return 0;
}

/* A pack and its parity, as far as they are left. */
struct remains {
	struct parity_head h;
	bool *lost, *lost_spare;
	uint8_t *cells, *spares; /* NULL: only what is lost is known */
};

static void remains_done(struct remains *r)
{
	parity_head_done(&r->h);
	free(r->lost);
	free(r->lost_spare);
	free(r->cells);
	free(r->spares);
}

static int read_remains(struct store *s, const uint8_t pack[HASH_BYTES], bool bytes,
			struct remains *r, struct err *e)
{
	char key[STORE_KEY_MAX], parity_key[STORE_KEY_MAX];
	struct stretch cells = {.store = s, .key = key}, spares = {.store = s, .key = parity_key};
	struct parity_head *h = &r->h;
	size_t room;

	*r = (struct remains){0};
	if (read_head(s, pack, h, e) < 0)
		return -1;
	room = (size_t)h->columns * h->rows;
	r->lost = xcalloc(room, sizeof(bool)); /* beyond the last cell nothing is lost */
	r->lost_spare = xcalloc(h->spare_cells, sizeof(bool));
	if (bytes) {
		r->cells = xcalloc(room, PARITY_CELL);
		r->spares = xmalloc_pages(h->spare_cells * PARITY_CELL);
	}
	pack_key_name(pack, key);
	parity_key_name(pack, parity_key);
	cells.end = h->size;
	cells.n = h->cells;
	cells.sums = h->sums;
	cells.lost = r->lost;
	spares.at = h->bytes;
	spares.end = spares.at + h->spare_cells * PARITY_CELL;
	spares.n = h->spare_cells;
	spares.sums = h->sums + h->cells;
	spares.lost = r->lost_spare;
	return look(&cells, r->cells, e) < 0 || look(&spares, r->spares, e) < 0 ? -1 : 0;
}

/* Rows that have lost more than can be computed. */
static size_t hopeless(const struct remains *r)
{
	const struct parity_head *h = &r->h;
	size_t n = 0;

	for (size_t row = 0; row < h->rows; row++) {
		unsigned lost = 0, left = 0;

		for (unsigned j = 0; j < h->columns; j++)
			lost += r->lost[(size_t)j * h->rows + row];
		for (unsigned p = 0; p < h->spare; p++)
			left += !r->lost_spare[(size_t)p * h->rows + row];
		n += lost > left;
	}
	return n;
}

int parity_mends(struct store *s, const uint8_t pack[HASH_BYTES], struct err *e)
{
	struct err why = {0};
	struct remains r;
	int rc = read_remains(s, pack, false, &r, &why);

	if (rc == 0)
		rc = hopeless(&r) == 0;
	else if (why.kind == ERR_NOENT || why.kind == ERR_CORRUPT || why.kind == ERR_IO)
		rc = 0;
	else if (e)
		*e = why;
	remains_done(&r);
	return rc;
}

static void solve(struct remains *r)
{
	const struct parity_head *h = &r->h;
	uint8_t *cells[PARITY_COLUMNS_MAX], *spares[PARITY_COLUMNS_MAX];
	bool lost[PARITY_COLUMNS_MAX], lost_spare[PARITY_COLUMNS_MAX];

	for (size_t row = 0; row < h->rows; row++) {
		for (unsigned j = 0; j < h->columns; j++) {
			cells[j] = r->cells + ((size_t)j * h->rows + row) * PARITY_CELL;
			lost[j] = r->lost[(size_t)j * h->rows + row];
		}
		for (unsigned p = 0; p < h->spare; p++) {
			spares[p] = r->spares + ((size_t)p * h->rows + row) * PARITY_CELL;
			lost_spare[p] = r->lost_spare[(size_t)p * h->rows + row];
		}
		parity_solve(h, cells, spares, lost, lost_spare);
	}
}

static int rebuild(struct store *s, struct remains *r, struct buf *ret_bytes, struct err *e)
{
	size_t rows = hopeless(r);
	uint8_t hash[HASH_BYTES];

	if (rows)
		return err_set(e, ERR_CORRUPT,
			       "its parity cannot mend it: that brings back %u of %u parts, and "
			       "in %zu of %u places more are lost",
			       r->h.spare, r->h.columns, rows, r->h.rows);
	solve(r);
	sha256(r->cells, (size_t)r->h.size, hash);
	if (memcmp(hash, r->h.pack, HASH_BYTES) != 0)
		return err_set(e, ERR_CORRUPT,
			       "its parity cannot mend it: what comes out is not the pack (%s)",
			       s->url);
	buf_done(ret_bytes);
	*ret_bytes = (struct buf){steal(&r->cells), (size_t)r->h.size, (size_t)r->h.size};
	return 0;
}

int parity_rebuild(struct store *s, const uint8_t pack[HASH_BYTES], struct buf *ret_bytes,
		   struct err *e)
{
	struct remains r;
	int rc = read_remains(s, pack, true, &r, e);

	if (rc == 0)
		rc = rebuild(s, &r, ret_bytes, e);
	remains_done(&r);
	return rc;
}

/* ---- which packs have it ---- */

/* A name, and the size of the object. */
struct name {
	uint8_t b[HASH_BYTES];
	uint64_t size;
};

struct names {
	struct name *v;
	size_t n, cap;
	bool (*parse)(const char *key, uint8_t ret_name[HASH_BYTES]);
};

static int note_name(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct names *l = arg;
	struct name name = {.size = size};

	(void)e;
	if (!l->parse(key, name.b))
		return 0;
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 256;
		l->v = xreallocarray(l->v, l->cap, sizeof(*l->v));
	}
	l->v[l->n++] = name;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

static bool has(const struct names *l, const struct name *name)
{
	return l->n && bsearch(name, l->v, l->n, sizeof(*name), by_name);
}

struct both {
	struct names packs, parity;
};

static void both_done(struct both *b)
{
	free(b->packs.v);
	free(b->parity.v);
}

/* Parity first: what is put is put after its pack, so that of a pack which is not in the second
 * list is of one that was removed. */
static int list_both(struct store *s, struct both *b, struct err *e)
{
	*b = (struct both){.packs.parse = pack_key_parse, .parity.parse = parity_key_parse};
	if (store_list(s, "parity/", note_name, &b->parity, e) < 0 ||
	    store_list(s, "packs/", note_name, &b->packs, e) < 0)
		return -1;
	if (b->packs.n)
		qsort(b->packs.v, b->packs.n, sizeof(*b->packs.v), by_name);
	if (b->parity.n)
		qsort(b->parity.v, b->parity.n, sizeof(*b->parity.v), by_name);
	return 0;
}

int parity_sweep(struct store *s, struct err *e)
{
	char key[STORE_KEY_MAX];
	struct both b;
	int rc = list_both(s, &b, e);

	for (size_t i = 0; i < b.parity.n && rc == 0; i++) {
		parity_key_name(b.parity.v[i].b, key);
		if (!has(&b.packs, &b.parity.v[i]))
			rc = store_remove(s, key, e);
	}
	both_done(&b);
	return rc;
}

/* ---- for packs that have none ---- */

struct filling {
	const struct parity_fill *f;
	struct parity_filled *result;
	struct pace pace;
	uint64_t start_us;
};

/* Read the pack, which must be whole. */
static int encode(struct filling *g, const char *key, const uint8_t pack[HASH_BYTES],
		  struct parity *p, struct err *e)
{
	AUTO_FREE uint8_t *piece = xmalloc_pages(PIECE);
	AUTO(digest) d = digest_new();
	uint8_t hash[HASH_BYTES];
	uint64_t at = 0;
	ssize_t n;

	do {
		if (cancel_check(g->f->cancel, e) < 0)
			return -1;
		n = store_get(g->f->store, key, at, piece, PIECE, e);
		if (n < 0)
			return -1;
		digest_add(d, piece, (size_t)n);
		parity_add(p, piece, (size_t)n);
		at += (uint64_t)n;
		progress_add(&g->f->progress->read, (uint64_t)n);
		progress_add(&g->f->progress->passed, (uint64_t)n);
		if (pace_keep(&g->pace, (size_t)n, g->f->cancel, e) < 0)
			return -1;
	} while ((size_t)n == PIECE);
	digest_take(d, hash);
	return memcmp(hash, pack, HASH_BYTES) == 0
		       ? 0
		       : err_set(e, ERR_CORRUPT, "%s/%s: its bytes are not those that were written",
				 g->f->store->url, key);
}

static int make(struct filling *g, const uint8_t pack[HASH_BYTES], uint64_t size, struct err *e)
{
	AUTO(parity) p = parity_new(g->f->percent, size);
	char key[STORE_KEY_MAX];

	pack_key_name(pack, key);
	return encode(g, key, pack, p, e) < 0 ? -1 : parity_put(g->f->store, p, pack, e);
}

/* What is wrong with one pack keeps nobody from the others. */
static int make_one(struct filling *g, const struct name *pack, struct err *e)
{
	struct err why = {0};
	char key[STORE_KEY_MAX];

	if (make(g, pack->b, pack->size, &why) == 0) {
		g->result->made++;
		g->result->bytes += pack->size;
		return 0;
	}
	if (why.kind == ERR_NOENT) /* collected meanwhile */
		return 0;
	if (why.kind == ERR_CORRUPT || why.kind == ERR_IO) {
		pack_key_name(pack->b, key);
		g->result->damaged++;
		g->f->bad(g->f->arg, key, &why);
		return 0;
	}
	if (e)
		*e = why;
	return -1;
}

static bool enough(const struct filling *g, const struct name *next)
{
	const struct parity_fill *f = g->f;

	return (f->bytes && g->result->made && g->result->bytes + next->size > f->bytes) ||
	       (f->time_us && clock_mono_us() - g->start_us >= f->time_us);
}

static int make_all(struct filling *g, const struct both *b, struct err *e)
{
	for (size_t i = 0; i < b->packs.n; i++) {
		const struct name *pack = &b->packs.v[i];

		if (has(&b->parity, pack))
			continue;
		if (pack->size > PARITY_PACK_MAX)
			g->result->too_large++;
		else if (g->result->left || enough(g, pack))
			g->result->left++;
		else if (make_one(g, pack, e) < 0)
			return -1;
	}
	return 0;
}

static uint64_t missing_bytes(const struct both *b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < b->packs.n; i++) {
		if (!has(&b->parity, &b->packs.v[i]))
			sum += b->packs.v[i].size;
	}
	return sum;
}

int parity_fill(const struct parity_fill *f, struct parity_filled *ret, struct err *e)
{
	struct filling g = {.f = f, .result = ret, .start_us = clock_mono_us()};
	struct both b;
	int rc;

	*ret = (struct parity_filled){0};
	pace_init(&g.pace, f->bytes_per_s);
	rc = list_both(f->store, &b, e);
	if (rc == 0) {
		uint64_t bytes = missing_bytes(&b);

		ret->packs = b.packs.n;
		atomic_store(&f->progress->total, f->bytes ? MIN(f->bytes, bytes) : bytes);
		rc = make_all(&g, &b, e);
	}
	both_done(&b);
	pace_done(&g.pace);
	return rc;
}

int parity_renew(const struct parity_fill *f, const uint8_t pack[HASH_BYTES], struct err *e)
{
	struct filling g = {.f = f};
	AUTO(parity) p = NULL;
	char key[STORE_KEY_MAX];
	uint64_t size;
	int rc = -1;

	pack_key_name(pack, key);
	if (store_size(f->store, key, &size, e) < 0)
		return -1;
	p = parity_new(f->percent, size);
	pace_init(&g.pace, f->bytes_per_s);
	if (encode(&g, key, pack, p, e) == 0) {
		parity_key_name(pack, key);
		/* If interrupted between: a pack without parity. */
		rc = store_remove(f->store, key, e) < 0 ? -1 : parity_put(f->store, p, pack, e);
	}
	pace_done(&g.pace);
	return rc;
}
