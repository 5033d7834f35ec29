/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two caches: the ids of leaves, which say what block lies where, and the blocks' content in pages.
 * A page that is wanted and not there is claimed, loaded without the lock, and given; whoever else
 * wants it waits. Nobody waits for a page while it has claims of its own to load, so nobody waits
 * for ever; where all pages are in use, a block is read past them.
 *
 * Blocks that lie near each other in a pack are read at once.
 */
#include "repo/view.h"

#include <pthread.h>

#include "base/buf.h"

#define LEAVES 256		   /* with our fan-out: of 4 GiB, in 2 MiB of memory */
#define WINDOW 32		   /* blocks handled at once */
#define STREAMS 8		   /* of reads, each going on where it was */
#define READERS 8		   /* at work; each has some 2 MiB */
#define READ_MAX ((size_t)6 << 20) /* of packs, for one window */
#define AHEAD_MIN 4		   /* blocks; doubles from read to read, up to WINDOW */

enum page_state { PAGE_FREE, PAGE_LOADING, PAGE_READY };

struct page {
	enum page_state state;
	bool recent;
	unsigned pins; /* readers that copy from it */
	uint64_t block;
	struct page *next; /* in its bucket */
	uint8_t *data;	   /* made when it is first used */
};

struct leaf {
	uint64_t number, used; /* used 0: empty */
	struct block_id *ids;
};

struct stream {
	uint64_t next, used;
	unsigned ahead;
};

/* What one read needs for itself. */
struct reader {
	struct fetch *nodes, *data;
	struct tree_walk *walk;
	struct buf sealed;
	struct reader *next;
};

struct view {
	struct repo *repo;
	struct tree tree;
	size_t block;
	unsigned fanout;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	pthread_cond_t given; /* a reader became idle */
	struct reader *idle;
	unsigned n_readers;
	uint64_t tick;
	struct leaf leaves[LEAVES];
	struct stream streams[STREAMS];
	struct page *pages, **buckets;
	size_t n_pages, hand;
};

struct view *view_open(struct repo *r, const struct tree *t, size_t cache, struct err *e)
{
	struct view *v;

	if (t->type != TREE_MAP) {
		err_set(e, ERR_UNSUPPORTED, "a stream can only be read from its beginning");
		return NULL;
	}
	v = xcalloc(1, sizeof(*v));
	v->repo = r;
	v->tree = *t;
	v->block = (size_t)1 << t->block_log;
	v->fanout = 1U << t->fanout_log;
	v->n_pages = MAX(cache / v->block, (size_t)1);
	v->pages = xcalloc(v->n_pages, sizeof(*v->pages));
	v->buckets = xcalloc(v->n_pages, sizeof(struct page *));
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->changed, NULL);
	pthread_cond_init(&v->given, NULL);
	return v;
}

uint64_t view_size(const struct view *v)
{
	return v->tree.size;
}

/* ---- readers ---- */

/* A server may have many more threads than there is work for: then they wait. Whoever has a reader
 * waits for pages only, which others with readers are loading. */
static struct reader *reader_take(struct view *v)
{
	struct reader *r;

	pthread_mutex_lock(&v->lock);
	while (!v->idle && v->n_readers == READERS)
		pthread_cond_wait(&v->given, &v->lock);
	r = v->idle;
	if (r)
		v->idle = r->next;
	else
		v->n_readers++;
	pthread_mutex_unlock(&v->lock);
	if (r)
		return r;
	r = xcalloc(1, sizeof(*r));
	r->nodes = fetch_new(v->repo);
	r->data = fetch_new(v->repo);
	r->walk = tree_walk_new(&v->tree, r->nodes);
	return r;
}

static void reader_give(struct view *v, struct reader *r)
{
	pthread_mutex_lock(&v->lock);
	r->next = v->idle;
	v->idle = r;
	pthread_cond_signal(&v->given);
	pthread_mutex_unlock(&v->lock);
}

static void reader_free(struct reader *r)
{
	tree_walk_free(r->walk);
	fetch_free(r->nodes);
	fetch_free(r->data);
	buf_done(&r->sealed);
	free(r);
}

void view_free(struct view *v)
{
	struct reader *r;

	if (!v)
		return;
	while ((r = v->idle) != NULL) {
		v->idle = r->next;
		reader_free(r);
	}
	for (size_t i = 0; i < LEAVES; i++)
		free(v->leaves[i].ids);
	for (size_t i = 0; i < v->n_pages; i++)
		free(v->pages[i].data);
	free(v->pages);
	free(v->buckets);
	pthread_mutex_destroy(&v->lock);
	pthread_cond_destroy(&v->changed);
	pthread_cond_destroy(&v->given);
	free(v);
}

/* ---- which block lies where ---- */

/* The leaf with this number, or the one to be replaced by it. Locked. */
static struct leaf *leaf_slot(struct view *v, uint64_t number)
{
	struct leaf *oldest = &v->leaves[0];

	for (size_t i = 0; i < LEAVES; i++) {
		struct leaf *l = &v->leaves[i];

		if (l->used && l->number == number)
			return l;
		if (l->used < oldest->used)
			oldest = l;
	}
	return oldest;
}

/* `n` ids of one leaf, if it is kept. */
static bool leaf_known(struct view *v, uint64_t number, size_t from, size_t n, struct block_id *ids)
{
	struct leaf *l;
	bool known;

	pthread_mutex_lock(&v->lock);
	l = leaf_slot(v, number);
	known = l->used && l->number == number;
	if (known) {
		l->used = ++v->tick;
		memcpy(ids, l->ids + from, n * sizeof(*ids));
	}
	pthread_mutex_unlock(&v->lock);
	return known;
}

static int leaf_load(struct view *v, struct reader *r, uint64_t number, struct err *e)
{
	AUTO_FREE struct block_id *ids = xcalloc(v->fanout, sizeof(*ids));
	uint64_t start = number * v->fanout * v->block,
		 end = start + (uint64_t)v->fanout * v->block;
	struct tree_piece p = {0};
	struct leaf *l;
	int rc = tree_walk_seek(r->walk, start, e) < 0 ? -1 : 1;

	while (rc > 0) {
		rc = tree_walk_next(r->walk, &p, e);
		if (rc <= 0 || p.offset >= end)
			break;
		ids[(p.offset - start) / v->block] = p.id;
	}
	if (rc < 0)
		return -1;
	pthread_mutex_lock(&v->lock);
	l = leaf_slot(v, number);
	free(l->ids);
	*l = (struct leaf){number, ++v->tick, steal(&ids)};
	pthread_mutex_unlock(&v->lock);
	return 0;
}

static int find_ids(struct view *v, struct reader *r, uint64_t first, size_t n,
		    struct block_id *ids, struct err *e)
{
	for (size_t i = 0; i < n;) {
		uint64_t number = (first + i) / v->fanout;
		size_t from = (size_t)((first + i) % v->fanout),
		       part = MIN(n - i, v->fanout - from);

		/* It may be replaced before it is used; then again. */
		while (!leaf_known(v, number, from, part, ids + i)) {
			if (leaf_load(v, r, number, e) < 0)
				return -1;
		}
		i += part;
	}
	return 0;
}

/* ---- pages ---- */

/* Locked, like all of these. */
static struct page *page_find(struct view *v, uint64_t block)
{
	struct page *p = v->buckets[block % v->n_pages];

	while (p && p->block != block)
		p = p->next;
	return p;
}

static void page_drop(struct view *v, struct page *p)
{
	struct page **at = &v->buckets[p->block % v->n_pages];

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->state = PAGE_FREE;
}

/* A page nobody uses, preferably for a while; NULL when all are in use. */
static struct page *page_evict(struct view *v)
{
	for (size_t i = 0; i < 2 * v->n_pages; i++) {
		struct page *p = &v->pages[v->hand];

		v->hand = (v->hand + 1) % v->n_pages;
		if (p->state == PAGE_FREE)
			return p;
		if (p->state == PAGE_LOADING || p->pins)
			continue;
		if (!p->recent) {
			page_drop(v, p);
			return p;
		}
		p->recent = false;
	}
	return NULL;
}

static struct page *page_claim(struct view *v, uint64_t block)
{
	struct page *p = page_evict(v), **bucket = &v->buckets[block % v->n_pages];

	if (!p)
		return NULL;
	if (!p->data)
		p->data = xmalloc(v->block);
	p->state = PAGE_LOADING;
	p->recent = true;
	p->block = block;
	p->next = *bucket;
	*bucket = p;
	return p;
}

/* ---- loading ---- */

struct claim {
	struct page *page;
	struct record_read record;
};

struct window {
	uint64_t first;
	size_t n;	/* blocks that are wanted */
	size_t n_ahead; /* and these after them, if any of those is missing */
	struct block_id ids[2 * WINDOW];
	struct claim claims[2 * WINDOW];
	size_t n_claims;
};

static void claim_missing(struct view *v, struct window *w)
{
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < w->n + w->n_ahead; i++) {
		struct page *p;

		if (i == w->n && !w->n_claims)
			break;
		if (block_id_is_zero(&w->ids[i]) || page_find(v, w->first + i))
			continue;
		p = page_claim(v, w->first + i);
		if (!p)
			break;
		w->claims[w->n_claims++] = (struct claim){.page = p};
	}
	pthread_mutex_unlock(&v->lock);
}

static bool load_page(struct view *v, struct reader *r, const struct claim *c)
{
	const struct record_read *x = &c->record;
	size_t len;

	return x->have &&
	       fetch_decode(r->data, &x->at, r->sealed.data + x->in, c->page->data, v->block, &len,
			    NULL) == 0 &&
	       len == v->block;
}

/* What cannot be read here is read again, and told, by who wants it. */
static void load_claims(struct view *v, struct reader *r, struct window *w)
{
	struct record_read *records[2 * WINDOW];
	bool loaded[2 * WINDOW];
	size_t n = 0;

	for (size_t i = 0; i < w->n_claims; i++) {
		struct claim *c = &w->claims[i];

		if (fetch_locate(r->data, &w->ids[c->page->block - w->first], &c->record.at,
				 NULL) == 0)
			records[n++] = &c->record;
	}
	r->sealed.len = 0;
	fetch_records(r->data, records, n, READ_MAX, &r->sealed);
	for (size_t i = 0; i < w->n_claims; i++)
		loaded[i] = load_page(v, r, &w->claims[i]);
	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < w->n_claims; i++) {
		if (loaded[i])
			w->claims[i].page->state = PAGE_READY;
		else
			page_drop(v, w->claims[i].page);
	}
	if (w->n_claims)
		pthread_cond_broadcast(&v->changed);
	pthread_mutex_unlock(&v->lock);
}

/* ---- reading ---- */

/* A page with this block, pinned; NULL when there is none. */
static struct page *pin(struct view *v, uint64_t block)
{
	struct page *p;

	pthread_mutex_lock(&v->lock);
	while ((p = page_find(v, block)) != NULL && p->state == PAGE_LOADING)
		pthread_cond_wait(&v->changed, &v->lock);
	if (p) {
		p->pins++;
		p->recent = true;
	}
	pthread_mutex_unlock(&v->lock);
	return p;
}

static void unpin(struct view *v, struct page *p)
{
	pthread_mutex_lock(&v->lock);
	p->pins--;
	pthread_mutex_unlock(&v->lock);
}

/* Past the pages. */
static int copy_directly(struct view *v, struct reader *r, const struct block_id *id, size_t from,
			 size_t n, uint8_t *out, struct err *e)
{
	AUTO_FREE uint8_t *block = xmalloc(v->block);
	size_t len;

	if (fetch_block(r->data, BLOCK_DATA, id, block, v->block, &len, e) < 0)
		return -1;
	if (len != v->block)
		return err_set(e, ERR_CORRUPT, "a block has %zu bytes where %zu belong", len,
			       v->block);
	memcpy(out, block + from, n);
	return 0;
}

static int copy_block(struct view *v, struct reader *r, const struct window *w, size_t i,
		      size_t from, size_t n, uint8_t *out, struct err *e)
{
	struct page *p;

	if (block_id_is_zero(&w->ids[i])) {
		memset(out, 0, n);
		return 0;
	}
	p = pin(v, w->first + i);
	if (!p)
		return copy_directly(v, r, &w->ids[i], from, n, out, e);
	memcpy(out, p->data + from, n);
	unpin(v, p);
	return 0;
}

/* How many blocks to read ahead, where this read goes on with another one. */
static unsigned read_ahead(struct view *v, uint64_t off, size_t len)
{
	struct stream *s = &v->streams[0];
	unsigned ahead;

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < STREAMS; i++) {
		struct stream *at = &v->streams[i];

		if (at->used && at->next == off) {
			s = at;
			break;
		}
		if (at->used < s->used)
			s = at;
	}
	if (!s->used || s->next != off)
		s->ahead = 0;
	else
		s->ahead = s->ahead ? MIN(2 * s->ahead, (unsigned)WINDOW) : AHEAD_MIN;
	s->next = off + len;
	s->used = ++v->tick;
	ahead = s->ahead;
	pthread_mutex_unlock(&v->lock);
	/* What is read ahead must not drive out what was read ahead for others. */
	return (unsigned)MIN(ahead, v->n_pages / (2 * STREAMS));
}

/* At most WINDOW blocks. */
static int read_window(struct view *v, struct reader *r, uint8_t *buf, size_t len, uint64_t off,
		       unsigned ahead, struct err *e)
{
	struct window w = {.first = off / v->block};
	size_t from = (size_t)(off % v->block), done = 0;

	w.n = DIV_UP(from + len, v->block);
	w.n_ahead = (size_t)MIN(ahead, tree_blocks(&v->tree) - w.first - w.n);
	if (find_ids(v, r, w.first, w.n + w.n_ahead, w.ids, e) < 0)
		return -1;
	claim_missing(v, &w);
	load_claims(v, r, &w);
	for (size_t i = 0; i < w.n; i++) {
		size_t part = MIN(len - done, v->block - from);

		if (copy_block(v, r, &w, i, from, part, buf + done, e) < 0)
			return -1;
		done += part;
		from = 0;
	}
	return 0;
}

static int check_range(const struct view *v, uint64_t off, uint64_t len, struct err *e)
{
	if (off <= v->tree.size && len <= v->tree.size - off)
		return 0;
	return err_set(e, ERR_INVALID, "%llu bytes at %llu: the disk has %llu",
		       (unsigned long long)len, (unsigned long long)off,
		       (unsigned long long)v->tree.size);
}

int view_read(struct view *v, void *buf, size_t len, uint64_t off, struct err *e)
{
	unsigned ahead = read_ahead(v, off, len);
	uint8_t *out = buf;
	struct reader *r;
	int rc = check_range(v, off, len, e);

	if (rc < 0)
		return -1;
	r = reader_take(v);
	while (len && rc == 0) {
		size_t n = MIN(len, WINDOW * v->block - (size_t)(off % v->block));

		rc = read_window(v, r, out, n, off, n < len ? 0 : ahead, e);
		out += n;
		off += n;
		len -= n;
	}
	reader_give(v, r);
	return rc;
}

/* ---- extents ---- */

static int extent_with(struct reader *r, uint64_t off, uint64_t len, bool *ret_hole,
		       uint64_t *ret_len, struct err *e)
{
	struct tree_piece p;
	uint64_t end = off;
	int rc;

	if (tree_walk_seek(r->walk, off, e) < 0)
		return -1;
	rc = tree_walk_next(r->walk, &p, e);
	*ret_hole = rc == 0 || p.offset > off;
	if (rc > 0 && *ret_hole)
		*ret_len = MIN(p.offset - off, len);
	else
		*ret_len = len;
	if (rc <= 0 || *ret_hole)
		return rc < 0 ? -1 : 0;
	for (; rc > 0 && p.offset <= end && end - off < len; rc = tree_walk_next(r->walk, &p, e))
		end = p.offset + p.len;
	*ret_len = MIN(end - off, len);
	return rc < 0 ? -1 : 0;
}

int view_extent(struct view *v, uint64_t off, uint64_t len, bool *ret_hole, uint64_t *ret_len,
		struct err *e)
{
	struct reader *r;
	int rc;

	if (check_range(v, off, len, e) < 0)
		return -1;
	r = reader_take(v);
	rc = extent_with(r, off, len, ret_hole, ret_len, e);
	reader_give(v, r);
	return rc;
}
