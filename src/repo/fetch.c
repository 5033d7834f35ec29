/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading blocks. Every fetch keeps the keys of the packs that it read last; a pack's key takes one
 * small read, for all fetches of a repository, and a derivation to make.
 *
 * Nodes lie together at the end of a pack, in the order in which a tree is read. So where the store
 * is distant, what lies around one is read with it, and kept for the next ones.
 */
#include <stdlib.h>

#include "base/hex.h"
#include "repo/repo.h"

#define KEYS 64
#define VICINITIES 4 /* a tree that was changed lies in several packs */
#define VICINITY ((size_t)192 << 10)
#define BEFORE ((uint32_t)64 << 10) /* of that: the root comes last, and is read first */
#define GAP ((uint32_t)64 << 10)
#define GAP_DISTANT ((uint32_t)512 << 10) /* what comes in the time of another request */

struct pack_key {
	uint8_t name[HASH_BYTES];
	uint8_t key[SEAL_KEY];
	uint64_t used; /* 0: empty */
};

/* Bytes of a pack that were read because nodes lie there. */
struct vicinity {
	uint8_t name[HASH_BYTES];
	uint32_t from;
	struct buf bytes;
	uint64_t used;
};

struct fetch {
	struct repo *repo;
	struct codec *codec;
	struct aead *aead;
	uint8_t aead_name[HASH_BYTES]; /* whose key `aead` has */
	struct pack_key keys[KEYS];
	uint64_t tick;
	uint8_t *sealed; /* one record, grown as needed */
	size_t sealed_cap;
	struct vicinity nodes[VICINITIES];
	struct fetch *bases; /* reads the bases of deltas; made when it is needed */
	uint8_t *base;	     /* BLOCK_MAX bytes, for the content of one */
	bool reads_bases;    /* this is such a one: a base is never a delta */
};

struct fetch *fetch_new(struct repo *r)
{
	struct fetch *f = xcalloc(1, sizeof(*f));

	f->repo = r;
	f->codec = codec_new(repo_keys(r), CODEC_LEVEL);
	return f;
}

void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	codec_free(f->codec);
	aead_free(f->aead);
	fetch_free(f->bases);
	secret_wipe(f->keys, sizeof(f->keys));
	for (int i = 0; i < VICINITIES; i++)
		buf_done(&f->nodes[i].bytes);
	free(f->sealed);
	free(f->base);
	free(f);
}

static int load_key(struct fetch *f, const uint8_t name[HASH_BYTES], struct pack_key *k,
		    struct err *e)
{
	uint8_t head[PACK_HEAD];
	char key[STORE_KEY_MAX];

	if (pack_heads_get(repo_heads(f->repo), name, head, e) < 0)
		return -1;
	k->used = 0;
	if (pack_key(repo_keys(f->repo), head, k->key, e) < 0) {
		pack_heads_forget(repo_heads(f->repo), name);
		pack_key_name(name, key);
		return err_wrap(e, "%s/%s", repo_store(f->repo)->url, key);
	}
	memcpy(k->name, name, HASH_BYTES);
	return 0;
}

/* Have the pack's key in f->aead. */
static int use_key(struct fetch *f, const uint8_t name[HASH_BYTES], struct err *e)
{
	struct pack_key *k = &f->keys[0];

	if (f->aead && memcmp(f->aead_name, name, HASH_BYTES) == 0)
		return 0;
	for (int i = 0; i < KEYS; i++) {
		struct pack_key *at = &f->keys[i];

		if (at->used && memcmp(at->name, name, HASH_BYTES) == 0) {
			k = at;
			break;
		}
		if (at->used < k->used)
			k = at;
	}
	if ((!k->used || memcmp(k->name, name, HASH_BYTES) != 0) && load_key(f, name, k, e) < 0)
		return -1;
	k->used = ++f->tick;
	if (f->aead)
		aead_rekey(f->aead, k->key);
	else
		f->aead = aead_new(k->key);
	memcpy(f->aead_name, name, HASH_BYTES);
	return 0;
}

/* The key came from bytes that may have been misread as well: the next try reads them again. */
static void forget_key(struct fetch *f, const uint8_t name[HASH_BYTES])
{
	for (int i = 0; i < KEYS; i++) {
		if (memcmp(f->keys[i].name, name, HASH_BYTES) == 0)
			f->keys[i].used = 0;
	}
	pack_heads_forget(repo_heads(f->repo), name);
	aead_free(f->aead);
	f->aead = NULL;
}

static int fetch_range(struct fetch *f, const uint8_t pack[HASH_BYTES], uint32_t offset, void *out,
		       size_t len, struct err *e)
{
	char key[STORE_KEY_MAX];

	pack_key_name(pack, key);
	return store_get_all(repo_store(f->repo), key, offset, out, len, e);
}

static int by_place(const void *a, const void *b)
{
	const struct location *x = &(*(struct record_read *const *)a)->at;
	const struct location *y = &(*(struct record_read *const *)b)->at;
	int rc = memcmp(x->pack, y->pack, HASH_BYTES);

	return rc ? rc : (x->at.offset > y->at.offset) - (x->at.offset < y->at.offset);
}

/* How many of these, the first among them, are one read, and how long that is. */
static size_t one_read(const struct fetch *f, struct record_read *const *r, size_t n, size_t *spare,
		       size_t *ret_len)
{
	const struct location *first = &r[0]->at;
	uint32_t gap_max = repo_store(f->repo)->distant ? GAP_DISTANT : GAP;
	uint64_t end = (uint64_t)first->at.offset + first->at.stored;
	size_t k = 1;

	for (; k < n && memcmp(r[k]->at.pack, first->pack, HASH_BYTES) == 0; k++) {
		const struct pack_entry *at = &r[k]->at.at;

		if (at->offset < end || at->offset - end > MIN((size_t)gap_max, *spare))
			break;
		*spare -= (size_t)(at->offset - end);
		end = (uint64_t)at->offset + at->stored;
	}
	*ret_len = (size_t)(end - first->at.offset);
	return k;
}

void fetch_records(struct fetch *f, struct record_read **r, size_t n, size_t max, struct buf *in)
{
	size_t wanted = 0, spare, len;

	for (size_t i = 0; i < n; i++)
		wanted += r[i]->at.at.stored;
	spare = max - MIN(max, wanted);
	qsort(r, n, sizeof(*r), by_place);
	for (size_t i = 0, k; i < n; i += k) {
		const struct location *first = &r[i]->at;
		bool have;

		k = one_read(f, r + i, n - i, &spare, &len);
		have = fetch_range(f, first->pack, first->at.offset, buf_reserve(in, len), len,
				   NULL) == 0;
		for (size_t j = i; j < i + k; j++) {
			r[j]->in = in->len + (r[j]->at.at.offset - first->at.offset);
			r[j]->have = have;
		}
		in->len += len;
	}
}

/* "block 0a1b2c3d at 64 of dir:/x/packs/ab/…" */
static int damaged(struct fetch *f, const struct location *l, const char *what, struct err *e)
{
	char key[STORE_KEY_MAX], id[HASH_TEXT];

	pack_key_name(l->pack, key);
	hex_encode(l->at.id.b, 8, id);
	return err_set(e, ERR_CORRUPT, "block %s at offset %u of %s/%s %s", id, l->at.offset,
		       repo_store(f->repo)->url, key, what);
}

/* The content of the base that a delta's payload names first. */
static int fetch_base(struct fetch *f, const struct location *l, const uint8_t *payload,
		      size_t *ret_len, struct err *e)
{
	struct block_id id;

	if (f->reads_bases || l->at.stored < SEAL_TAG + HASH_BYTES)
		return damaged(f, l, "is a delta of a delta, or cut short", e);
	if (!f->bases) {
		f->bases = fetch_new(f->repo);
		f->bases->reads_bases = true;
		f->base = xmalloc(BLOCK_MAX);
	}
	memcpy(id.b, payload, HASH_BYTES);
	return fetch_block(f->bases, l->at.kind, &id, f->base, BLOCK_MAX, ret_len, e);
}

static int decode_payload(struct fetch *f, const struct location *l, const uint8_t *payload,
			  void *out, size_t cap, size_t *ret_len, struct err *e)
{
	size_t n = l->at.stored - SEAL_TAG, base_len;

	if (l->at.encoding != BLOCK_DELTA)
		return codec_decode(f->codec, l->at.encoding, payload, n, NULL, 0, out, cap,
				    ret_len, e);
	if (fetch_base(f, l, payload, &base_len, e) < 0)
		return -1;
	return codec_decode(f->codec, BLOCK_DELTA, payload + HASH_BYTES, n - HASH_BYTES, f->base,
			    base_len, out, cap, ret_len, e);
}

/* Open a record in place: its payload is l->at.stored - SEAL_TAG bytes then. */
static int open_record(struct fetch *f, const struct location *l, void *sealed, struct err *e)
{
	if (l->at.stored < SEAL_TAG)
		return damaged(f, l, "has an impossible length", e);
	if (use_key(f, l->pack, e) < 0)
		return -1;
	if (pack_open_record(f->aead, &l->at, sealed, sealed))
		return 0;
	forget_key(f, l->pack);
	return damaged(f, l, "is damaged", e);
}

int fetch_decode(struct fetch *f, const struct location *l, void *sealed, void *out, size_t cap,
		 size_t *ret_len, struct err *e)
{
	struct block_id id;
	size_t len;

	if (open_record(f, l, sealed, e) < 0)
		return -1;
	if (decode_payload(f, l, sealed, out, cap, &len, e) < 0)
		return -1;
	codec_id(f->codec, l->at.kind, out, len, &id);
	if (!block_id_equal(&id, &l->at.id))
		return damaged(f, l, "is not what was backed up", e);
	*ret_len = len;
	return 0;
}

int fetch_payload(struct fetch *f, const struct location *l, void *out, size_t *ret_len,
		  struct err *e)
{
	if (fetch_range(f, l->pack, l->at.offset, out, l->at.stored, e) < 0 ||
	    open_record(f, l, out, e) < 0)
		return -1;
	*ret_len = l->at.stored - SEAL_TAG;
	return 0;
}

static bool lies_in(const struct vicinity *v, const struct location *l)
{
	return v->used && memcmp(v->name, l->pack, HASH_BYTES) == 0 && l->at.offset >= v->from &&
	       (size_t)(l->at.offset - v->from) + l->at.stored <= v->bytes.len;
}

/* What was read around a node, in the place of what was used least recently; NULL: it cannot be. */
static struct vicinity *read_vicinity(struct fetch *f, const struct location *l)
{
	struct vicinity *v = &f->nodes[0];
	char key[STORE_KEY_MAX];
	ssize_t n;

	for (int i = 1; i < VICINITIES; i++) {
		if (f->nodes[i].used < v->used)
			v = &f->nodes[i];
	}
	pack_key_name(l->pack, key);
	memcpy(v->name, l->pack, HASH_BYTES);
	v->from = l->at.offset - MIN(l->at.offset, BEFORE);
	v->bytes.len = 0;
	n = store_get(repo_store(f->repo), key, v->from, buf_reserve(&v->bytes, VICINITY), VICINITY,
		      NULL);
	v->bytes.len = (size_t)MAX(n, 0);
	v->used = ++f->tick;
	return lies_in(v, l) ? v : NULL;
}

/* Copy a node out of what was read with others. False: it has to be read alone. */
static bool read_near(struct fetch *f, const struct location *l, uint8_t *out)
{
	struct vicinity *v = NULL;

	if (!repo_store(f->repo)->distant || l->at.kind != BLOCK_NODE || l->at.stored > BEFORE)
		return false;
	for (int i = 0; i < VICINITIES && !v; i++) {
		if (lies_in(&f->nodes[i], l))
			v = &f->nodes[i];
	}
	if (!v)
		v = read_vicinity(f, l);
	if (!v)
		return false;
	v->used = ++f->tick;
	memcpy(out, v->bytes.data + (l->at.offset - v->from), l->at.stored);
	return true;
}

/* What was read near others came damaged, perhaps, when it is not. */
static void forget_near(struct fetch *f)
{
	for (int i = 0; i < VICINITIES; i++)
		f->nodes[i].used = 0;
}

static int fetch_from(struct fetch *f, const struct location *l, void *out, size_t cap,
		      size_t *ret_len, struct err *e)
{
	if (f->sealed_cap < l->at.stored) {
		free(f->sealed);
		f->sealed = xmalloc(l->at.stored);
		f->sealed_cap = l->at.stored;
	}
	if (read_near(f, l, f->sealed)) {
		if (fetch_decode(f, l, f->sealed, out, cap, ret_len, NULL) == 0)
			return 0;
		forget_near(f);
	}
	if (fetch_range(f, l->pack, l->at.offset, f->sealed, l->at.stored, e) < 0)
		return -1;
	return fetch_decode(f, l, f->sealed, out, cap, ret_len, e);
}

/* Try every place that the index knows now. *ret_tried is false when it knows none. */
static int try_places(struct fetch *f, enum block_kind kind, const struct block_id *id, void *out,
		      size_t cap, bool all, size_t *ret_len, bool *ret_tried, struct err *e)
{
	struct location places[INDEX_PLACES];
	size_t n;

	*ret_tried = false;
	if (index_find(repo_index(f->repo), id, NULL, all, places, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (places[i].at.kind != kind)
			continue;
		*ret_tried = true;
		if (fetch_from(f, &places[i], out, cap, ret_len, e) == 0)
			return 0;
	}
	return -1;
}

static int unknown(const struct block_id *id, struct err *e)
{
	char hex[HASH_TEXT];

	return err_set(e, ERR_CORRUPT, "block %s is missing: no pack in the repository has it",
		       hex_encode(id->b, 8, hex));
}

/* What an index that is read anew, or the packs themselves, know of it. */
static int look_harder(struct fetch *f, enum block_kind kind, const struct block_id *id, void *out,
		       size_t cap, size_t *ret_len, bool *ret_tried, struct err *e)
{
	struct index *ix = repo_index(f->repo);

	/* It may lie in a second place, or a collector have moved it since the index was read. */
	if (index_refresh(ix, e) < 0)
		return -1;
	if (try_places(f, kind, id, out, cap, true, ret_len, ret_tried, e) == 0)
		return 0;
	/* Or a run is lost, and with it the knowledge of packs that are there. */
	if (*ret_tried || index_search_packs(ix, e) < 0)
		return -1;
	return try_places(f, kind, id, out, cap, true, ret_len, ret_tried, e);
}

int fetch_block(struct fetch *f, enum block_kind kind, const struct block_id *id, void *out,
		size_t cap, size_t *ret_len, struct err *e)
{
	struct err why = {0};
	bool tried;

	if (try_places(f, kind, id, out, cap, false, ret_len, &tried, &why) == 0 ||
	    look_harder(f, kind, id, out, cap, ret_len, &tried, &why) == 0)
		return 0;
	if (!tried && why.kind == ERR_NONE)
		return unknown(id, e);
	if (why.kind == ERR_NOENT)
		why.kind = ERR_CORRUPT; /* a pack that should be there is not */
	if (e)
		*e = why;
	return -1;
}

int fetch_any(struct fetch *f, const struct block_id *id, enum block_kind *ret_kind, void *out,
	      size_t cap, size_t *ret_len, struct err *e)
{
	struct location places[INDEX_PLACES];
	size_t n;

	if (index_find(repo_index(f->repo), id, NULL, false, places, &n, e) < 0)
		return -1;
	if (n == 0)
		return 0;
	*ret_kind = places[0].at.kind;
	return fetch_block(f, *ret_kind, id, out, cap, ret_len, NULL) == 0;
}

struct locating {
	struct fetch *f;
	const struct block_id *id;
	struct location *ret_l;
};

/* 1: found, 0: not known, -1. */
static int locate(void *arg, struct err *e)
{
	struct locating *l = arg;
	struct location places[INDEX_PLACES];
	size_t n;

	if (index_find(repo_index(l->f->repo), l->id, NULL, false, places, &n, e) < 0)
		return -1;
	if (n)
		*l->ret_l = places[0];
	return n > 0;
}

int fetch_locate(struct fetch *f, const struct block_id *id, struct location *ret_l, struct err *e)
{
	struct locating l = {f, id, ret_l};
	int rc = locate(&l, e);

	if (rc == 0)
		rc = index_look_harder(repo_index(f->repo), locate, &l, e);
	if (rc == 0)
		return unknown(id, e);
	return rc < 0 ? -1 : 0;
}
