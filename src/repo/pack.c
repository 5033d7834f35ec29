/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/pack.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/uuid.h"
#include "repo/record.h"

#define LAYOUT 1
#define RECORD_AAD (2 + HASH_BYTES)
#define BASES 1 /* tag of what comes behind the entries */

void pack_key_name(const uint8_t name[HASH_BYTES], char out[STORE_KEY_MAX])
{
	char hex[HASH_TEXT];

	hex_encode(name, HASH_BYTES, hex);
	snprintf(out, STORE_KEY_MAX, "packs/%.2s/%s", hex, hex);
}

bool pack_key_parse(const char *key, uint8_t ret_name[HASH_BYTES])
{
	char same[STORE_KEY_MAX];
	size_t n = strlen(key);

	if (n < 2 * HASH_BYTES || !hex_decode(key + n - 2 * HASH_BYTES, HASH_BYTES, ret_name))
		return false;
	pack_key_name(ret_name, same);
	return strcmp(key, same) == 0;
}

static void record_aad(const struct pack_entry *at, uint8_t aad[RECORD_AAD])
{
	aad[0] = at->kind;
	aad[1] = at->encoding;
	memcpy(aad + 2, at->id.b, HASH_BYTES);
}

/* ---- writing ---- */

struct pack_writer {
	struct write_behind *out; /* sealed bytes on their way to the store */
	struct parity *parity;	  /* of them, or NULL */
	struct digest *digest;	  /* of them */
	struct aead *aead;
	uint8_t head[PACK_HEAD];
	uint64_t offset; /* in the pack, of the next record */
	struct pack_entry *entries;
	size_t n, cap;
	struct buf nodes; /* payloads of nodes, one after the other */
	struct pack_entry *node_entries;
	size_t node_n, node_cap;
	size_t deltas;
};

static void start_head(struct pack_writer *p, const struct keyring *k)
{
	uint8_t key[SEAL_KEY];

	memcpy(p->head, "HFPK", 4);
	p->head[4] = LAYOUT;
	p->head[5] = SEAL_AES_256_GCM;
	put_le32(p->head + 8, keyring_generation(k));
	random_bytes(p->head + 32, SEAL_SALT);
	pack_key(k, p->head, key, NULL);
	p->aead = aead_new(key);
	secret_wipe(key, sizeof(key));
}

static int put_bytes(struct pack_writer *p, const void *data, size_t n, struct err *e)
{
	digest_add(p->digest, data, n);
	p->offset += n;
	return write_behind_add(p->out, data, n, e);
}

struct pack_writer *pack_writer_new(const struct keyring *k, struct store_session *ss,
				    struct parity *parity, struct err *e)
{
	AUTO(pack_writer) p = xcalloc(1, sizeof(*p));
	struct store_upload *up = ss->ops->upload(ss, e);

	p->parity = parity;
	if (!up)
		return NULL;
	p->out = write_behind_new(up, parity);
	p->digest = digest_new();
	start_head(p, k);
	return put_bytes(p, p->head, PACK_HEAD, e) < 0 ? NULL : steal(&p);
}

void pack_writer_free(struct pack_writer *p)
{
	if (!p)
		return;
	write_behind_free(p->out);
	parity_free(p->parity);
	digest_free(p->digest);
	aead_free(p->aead);
	buf_done(&p->nodes);
	free(p->entries);
	free(p->node_entries);
	free(p);
}

static size_t directory_size(const struct pack_writer *p)
{
	size_t bases = p->deltas ? RECORD_HEAD + PACK_BASE * p->deltas : 0;

	return PACK_ENTRY * (p->n + p->node_n) + bases + SEAL_TAG;
}

static void remember(struct pack_entry **list, size_t *n, size_t *cap, const struct pack_entry *at)
{
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 256;
		*list = xreallocarray(*list, *cap, sizeof(**list));
	}
	(*list)[(*n)++] = *at;
}

/* Seal one payload at the end of the pack. */
static int seal_record(struct pack_writer *p, struct pack_entry *at, const void *payload, size_t n,
		       struct err *e)
{
	uint8_t aad[RECORD_AAD], *to;

	at->offset = (uint32_t)p->offset;
	at->stored = (uint32_t)(n + SEAL_TAG);
	record_aad(at, aad);
	if (n + SEAL_TAG > WRITE_BEHIND_ROOM) {
		/* A single large record goes through a buffer of its own. */
		AUTO_FREE uint8_t *big = xmalloc(n + SEAL_TAG);

		aead_seal(p->aead, at->offset, aad, sizeof(aad), payload, n, big);
		if (put_bytes(p, big, n + SEAL_TAG, e) < 0)
			return -1;
	} else {
		to = write_behind_room(p->out, n + SEAL_TAG, e);
		if (!to)
			return -1;
		aead_seal(p->aead, at->offset, aad, sizeof(aad), payload, n, to);
		digest_add(p->digest, to, n + SEAL_TAG);
		write_behind_made(p->out, n + SEAL_TAG);
		p->offset += n + SEAL_TAG;
	}
	remember(&p->entries, &p->n, &p->cap, at);
	return 0;
}

uint64_t pack_writer_size(const struct pack_writer *p)
{
	return p->offset + p->nodes.len + p->node_n * SEAL_TAG + directory_size(p) + PACK_TRAILER;
}

int pack_add(struct pack_writer *p, enum block_kind kind, enum block_encoding encoding,
	     const struct block_id *id, const void *payload, size_t n, struct err *e)
{
	struct pack_entry at = {.id = *id, .kind = (uint8_t)kind, .encoding = (uint8_t)encoding};
	size_t entry = PACK_ENTRY;

	if (n + SEAL_TAG > RECORD_STORED_MAX)
		return err_set(e, ERR_LIMIT, "a block of %zu bytes is too large", n);
	/* What is more than this, no reader takes. */
	if (encoding == BLOCK_DELTA) {
		memcpy(at.base.b, payload, MIN(n, (size_t)HASH_BYTES));
		entry += RECORD_HEAD + PACK_BASE;
	}
	if (pack_writer_size(p) + n + SEAL_TAG + entry > PACK_MAX ||
	    directory_size(p) + entry > PACK_DIRECTORY_MAX)
		return err_set(e, ERR_LIMIT, "a pack would be too large");
	p->deltas += encoding == BLOCK_DELTA;
	if (kind == BLOCK_DATA)
		return seal_record(p, &at, payload, n, e);
	at.stored = (uint32_t)(n + SEAL_TAG);
	buf_add(&p->nodes, payload, n);
	remember(&p->node_entries, &p->node_n, &p->node_cap, &at);
	return 0;
}

static int write_nodes(struct pack_writer *p, struct err *e)
{
	const uint8_t *payload = p->nodes.data;

	for (size_t i = 0; i < p->node_n; i++) {
		size_t n = p->node_entries[i].stored - SEAL_TAG;

		if (seal_record(p, &p->node_entries[i], payload, n, e) < 0)
			return -1;
		payload += n;
	}
	return 0;
}

static void add_bases(const struct pack_writer *p, struct buf *dir)
{
	size_t open;

	if (!p->deltas)
		return;
	open = record_open(dir, BASES);
	for (size_t i = 0; i < p->n; i++) {
		if (p->entries[i].encoding != BLOCK_DELTA)
			continue;
		buf_u32(dir, (uint32_t)i);
		buf_add(dir, p->entries[i].base.b, HASH_BYTES);
	}
	record_close(dir, open);
}

/* The sealed directory and the trailer. */
static int write_end(struct pack_writer *p, struct err *e)
{
	uint8_t aad[PACK_HEAD + PACK_TRAILER] = {0}, *trailer = aad + PACK_HEAD;
	AUTO_BUF dir = BUF_INIT;
	size_t len;

	buf_reserve(&dir, directory_size(p) + PACK_TRAILER);
	for (size_t i = 0; i < p->n; i++) {
		buf_add(&dir, p->entries[i].id.b, HASH_BYTES);
		buf_u8(&dir, p->entries[i].kind);
		buf_u8(&dir, p->entries[i].encoding);
		buf_u16(&dir, 0);
		buf_u32(&dir, p->entries[i].stored);
	}
	add_bases(p, &dir);
	len = dir.len;
	buf_reserve(&dir, SEAL_TAG + PACK_TRAILER);
	memcpy(trailer, "HFPE", 4);
	put_le32(trailer + 4, (uint32_t)p->n);
	put_le64(trailer + 8, p->offset);
	put_le32(trailer + 16, (uint32_t)(len + SEAL_TAG));
	memcpy(aad, p->head, PACK_HEAD);
	aead_seal(p->aead, p->offset, aad, sizeof(aad), dir.data, len, dir.data);
	dir.len += SEAL_TAG;
	buf_add(&dir, trailer, PACK_TRAILER);
	return put_bytes(p, dir.data, dir.len, e);
}

struct pack_done *pack_close(struct pack_writer *p, struct err *e)
{
	struct pack_done *d = NULL;

	if (write_nodes(p, e) == 0 && write_end(p, e) == 0) {
		d = xcalloc(1, sizeof(*d));
		d->out = steal(&p->out);
		d->parity = steal(&p->parity);
		d->entries = steal(&p->entries);
		d->n = p->n;
		d->size = p->offset;
		digest_take(p->digest, d->name);
	}
	pack_writer_free(p);
	return d;
}

int pack_finish(struct pack_done *d, struct err *e)
{
	char key[STORE_KEY_MAX];

	pack_key_name(d->name, key);
	return write_behind_finish(d->out, key, e);
}

void pack_done_free(struct pack_done *d)
{
	if (!d)
		return;
	write_behind_free(d->out);
	parity_free(d->parity);
	free(d->entries);
	free(d);
}

/* ---- reading ---- */

int pack_key(const struct keyring *k, const uint8_t head[PACK_HEAD], uint8_t ret_key[SEAL_KEY],
	     struct err *e)
{
	const uint8_t *key;

	if (memcmp(head, "HFPK", 4) != 0)
		return err_set(e, ERR_CORRUPT, "this is not a pack");
	if (head[4] != LAYOUT || head[5] != SEAL_AES_256_GCM)
		return err_set(e, ERR_CORRUPT,
			       "a pack has layout %u and cipher %u, which this version does not "
			       "know: it is damaged, or of a newer version of holdfast",
			       head[4], head[5]);
	key = keyring_key(k, get_le32(head + 8), e);
	if (!key)
		return -1;
	hkdf(key, SEAL_KEY, head + 32, SEAL_SALT, "holdfast pack v1", ret_key, SEAL_KEY);
	return 0;
}

bool pack_open_record(struct aead *a, const struct pack_entry *at, const void *sealed,
		      uint8_t *payload)
{
	uint8_t aad[RECORD_AAD];

	record_aad(at, aad);
	return aead_open(a, at->offset, aad, sizeof(aad), sealed, at->stored, payload);
}

struct trailer {
	uint8_t raw[PACK_TRAILER];
	uint32_t count, stored;
	uint64_t offset;
};

static int read_trailer(struct store *s, const char *key, struct trailer *t, struct err *e)
{
	uint64_t size;

	if (store_size(s, key, &size, e) < 0)
		return -1;
	if (size < PACK_HEAD + SEAL_TAG + PACK_TRAILER || size > PACK_MAX)
		return err_set(e, ERR_CORRUPT, "a pack of %llu bytes", (unsigned long long)size);
	if (store_get_all(s, key, size - PACK_TRAILER, t->raw, PACK_TRAILER, e) < 0)
		return -1;
	t->count = get_le32(t->raw + 4);
	t->offset = get_le64(t->raw + 8);
	t->stored = get_le32(t->raw + 16);
	if (memcmp(t->raw, "HFPE", 4) != 0 || t->offset < PACK_HEAD || t->offset > size ||
	    t->offset + t->stored + PACK_TRAILER != size || t->stored > PACK_DIRECTORY_MAX ||
	    t->stored < SEAL_TAG || (t->stored - SEAL_TAG) / PACK_ENTRY < t->count)
		return err_set(e, ERR_CORRUPT, "the end of the pack is damaged");
	return 0;
}

static int read_bases(struct cur list, struct pack_entry *entries, uint32_t n, struct err *e)
{
	while (list.left) {
		uint32_t i = cur_u32(&list);
		const uint8_t *base = cur_bytes(&list, HASH_BYTES);

		if (!base || i >= n || entries[i].encoding != BLOCK_DELTA)
			return err_set(e, ERR_CORRUPT, "a base in the pack's directory is wrong");
		memcpy(entries[i].base.b, base, HASH_BYTES);
	}
	return 0;
}

/* What comes behind the entries. */
static int read_records(struct cur list, struct pack_entry *entries, uint32_t n, struct err *e)
{
	struct record r;
	int rc;

	while ((rc = record_next(&list, &r, e)) > 0) {
		if (r.tag == BASES ? read_bases(r.value, entries, n, e) < 0
				   : record_unknown(&r, "a pack's directory", e) < 0)
			return -1;
	}
	return rc;
}

static int parse_entries(const struct buf *dir, const struct trailer *t, struct pack_entry *out,
			 struct err *e)
{
	struct cur c = cur_of(dir->data, dir->len);
	uint64_t offset = PACK_HEAD;

	for (uint32_t i = 0; i < t->count; i++) {
		cur_copy(&c, out[i].id.b, HASH_BYTES);
		out[i].kind = cur_u8(&c);
		out[i].encoding = cur_u8(&c);
		cur_u16(&c);
		out[i].stored = cur_u32(&c);
		out[i].offset = (uint32_t)offset;
		offset += out[i].stored;
		if (out[i].stored < SEAL_TAG || out[i].stored > RECORD_STORED_MAX)
			return err_set(e, ERR_CORRUPT, "an entry of the pack's directory is wrong");
	}
	if (!cur_ok(&c) || offset != t->offset)
		return err_set(e, ERR_CORRUPT, "the pack's directory does not fill the pack");
	return read_records(c, out, t->count, e);
}

static int read_directory(struct store *s, const struct keyring *k, const char *key,
			  struct pack_entry **ret_entries, size_t *ret_n, struct err *e)
{
	uint8_t aad[PACK_HEAD + PACK_TRAILER], own[SEAL_KEY];
	AUTO_FREE struct pack_entry *entries = NULL;
	AUTO_BUF dir = BUF_INIT;
	AUTO(aead) a = NULL;
	struct trailer t;

	if (store_get_all(s, key, 0, aad, PACK_HEAD, e) < 0 || read_trailer(s, key, &t, e) < 0 ||
	    pack_key(k, aad, own, e) < 0)
		return -1;
	memcpy(aad + PACK_HEAD, t.raw, PACK_TRAILER);
	if (store_get_all(s, key, t.offset, buf_reserve(&dir, t.stored), t.stored, e) < 0)
		return -1;
	a = aead_new(own);
	secret_wipe(own, sizeof(own));
	if (!aead_open(a, t.offset, aad, sizeof(aad), dir.data, t.stored, dir.data))
		return err_set(e, ERR_CORRUPT, "the pack's directory is damaged");
	dir.len = t.stored - SEAL_TAG;
	entries = xcalloc(t.count, sizeof(*entries));
	if (parse_entries(&dir, &t, entries, e) < 0)
		return -1;
	*ret_entries = steal(&entries);
	*ret_n = t.count;
	return 0;
}

int pack_directory(struct store *s, const struct keyring *k, const uint8_t name[HASH_BYTES],
		   struct pack_entry **ret_entries, size_t *ret_n, struct err *e)
{
	char key[STORE_KEY_MAX];

	pack_key_name(name, key);
	if (read_directory(s, k, key, ret_entries, ret_n, e) < 0)
		return err_wrap(e, "%s/%s", s->url, key);
	return 0;
}
