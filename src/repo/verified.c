/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/verified.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/uuid.h"

#define PREFIX "verified/"
#define MAGIC "HFVL"
#define HEAD 8
#define ENTRY (HASH_BYTES + 8)
#define LOG_MAX ((size_t)256 << 20) /* more packs than a store lists in a day */

void verified_done(struct verified *v)
{
	for (size_t i = 0; i < v->n_keys; i++)
		free(v->keys[i]);
	free(v->keys);
	free(v->v);
	*v = (struct verified){0};
}

void verified_add(struct verified *v, const uint8_t name[HASH_BYTES], uint64_t when_us)
{
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap * 2 : 256;
		v->v = xreallocarray(v->v, v->cap, sizeof(*v->v));
	}
	memcpy(v->v[v->n].name, name, HASH_BYTES);
	v->v[v->n++].when_us = when_us;
}

static int by_name(const void *a, const void *b)
{
	return memcmp(((const struct verified_entry *)a)->name,
		      ((const struct verified_entry *)b)->name, HASH_BYTES);
}

void verified_sort(struct verified *v)
{
	size_t kept = 0;

	if (v->n)
		qsort(v->v, v->n, sizeof(*v->v), by_name);
	for (size_t i = 0; i < v->n; i++) {
		if (kept && by_name(&v->v[kept - 1], &v->v[i]) == 0)
			v->v[kept - 1].when_us = MAX(v->v[kept - 1].when_us, v->v[i].when_us);
		else
			v->v[kept++] = v->v[i];
	}
	v->n = kept;
}

uint64_t verified_when(const struct verified *v, const uint8_t name[HASH_BYTES], uint64_t now_us)
{
	struct verified_entry key, *at;

	memcpy(key.name, name, HASH_BYTES);
	at = v->n ? bsearch(&key, v->v, v->n, sizeof(key), by_name) : NULL;
	return at && at->when_us <= now_us ? at->when_us : 0;
}

/* ---- bytes ---- */

void verified_encode(const struct verified *v, struct buf *out)
{
	size_t start = out->len;
	uint8_t hash[HASH_BYTES];

	buf_add(out, MAGIC, 4);
	buf_u32(out, 1);
	for (size_t i = 0; i < v->n; i++) {
		buf_add(out, v->v[i].name, HASH_BYTES);
		buf_u64(out, v->v[i].when_us);
	}
	sha256(out->data + start, out->len - start, hash);
	buf_add(out, hash, HASH_BYTES);
}

int verified_decode(const void *bytes, size_t n, struct verified *v, struct err *e)
{
	const uint8_t *p = bytes;
	uint8_t hash[HASH_BYTES];

	if (n < HEAD + HASH_BYTES || (n - HEAD - HASH_BYTES) % ENTRY != 0 ||
	    memcmp(p, MAGIC, 4) != 0 || get_le32(p + 4) != 1)
		return err_set(e, ERR_CORRUPT, "this is no record of verifications");
	sha256(p, n - HASH_BYTES, hash);
	if (memcmp(hash, p + n - HASH_BYTES, HASH_BYTES) != 0)
		return err_set(e, ERR_CORRUPT, "damaged: its checksum is wrong");
	for (p += HEAD; p + HASH_BYTES < (const uint8_t *)bytes + n; p += ENTRY)
		verified_add(v, p, get_le64(p + HASH_BYTES));
	return 0;
}

/* ---- in a store ---- */

static int note_key(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct verified *v = arg;

	(void)size;
	(void)e;
	v->keys = xreallocarray(v->keys, v->n_keys + 1, sizeof(char *));
	v->keys[v->n_keys++] = xstrdup(key);
	return 0;
}

int verified_load(struct store *s, struct verified *ret_v, struct err *e)
{
	struct verified v = {0};
	struct err why = {0};
	int rc = store_list(s, PREFIX, note_key, &v, e);

	for (size_t i = 0; i < v.n_keys && rc == 0; i++) {
		AUTO_BUF bytes = BUF_INIT;

		/* Another verifier may have replaced it. */
		rc = store_slurp(s, v.keys[i], LOG_MAX, &bytes, &why);
		if (rc == 0)
			verified_decode(bytes.data, bytes.len, &v, NULL);
		else if (why.kind == ERR_NOENT || why.kind == ERR_LIMIT)
			rc = 0;
		else if (e)
			*e = why;
	}
	if (rc < 0) {
		verified_done(&v);
		return -1;
	}
	verified_sort(&v);
	*ret_v = v;
	return 0;
}

int verified_save(struct store *s, const struct verified *v, struct err *e)
{
	char key[STORE_KEY_MAX], text[UUID_TEXT];
	struct uuid id = uuid_random();
	AUTO_BUF bytes = BUF_INIT;

	verified_encode(v, &bytes);
	snprintf(key, sizeof(key), PREFIX "%s", uuid_text(&id, text));
	if (store_put_new(s, key, bytes.data, bytes.len, e) < 0)
		return -1;
	/* If interrupted here: both count. */
	for (size_t i = 0; i < v->n_keys; i++) {
		if (store_remove(s, v->keys[i], e) < 0)
			return -1;
	}
	return 0;
}
