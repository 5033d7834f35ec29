/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/object.h"

#include <string.h>

#define PIECE ((size_t)1 << 20)

void object_seal(const struct keyring *k, enum box_type type, const struct buf *body,
		 struct buf *out)
{
	uint32_t generation = keyring_generation(k);
	uint8_t hash[HASH_BYTES];
	size_t start = out->len;

	box_seal(keyring_key(k, generation, NULL), generation, type, body->data, body->len, out);
	sha256(out->data + start, out->len - start, hash);
	buf_add(out, hash, HASH_BYTES);
}

int object_open(const struct keyring *k, enum box_type type, const struct buf *bytes,
		struct buf *ret_body, uint8_t ret_hash[HASH_BYTES], struct err *e)
{
	uint8_t hash[HASH_BYTES];
	struct box_head h;
	const uint8_t *key;
	size_t n;

	if (bytes->len < BOX_HEAD + SEAL_TAG + HASH_BYTES)
		return err_set(e, ERR_CORRUPT, "only %zu bytes long", bytes->len);
	n = bytes->len - HASH_BYTES;
	sha256(bytes->data, n, hash);
	if (memcmp(hash, bytes->data + n, HASH_BYTES) != 0)
		return err_set(e, ERR_CORRUPT, "damaged: its checksum is wrong");
	if (box_head_parse(bytes->data, n, type, &h, e) < 0)
		return -1;
	key = keyring_key(k, h.generation, e);
	if (!key || box_open(key, &h, bytes->data, n, ret_body, e) < 0)
		return -1;
	if (ret_hash)
		sha256(bytes->data, bytes->len, ret_hash);
	return 0;
}

int object_get(struct store *s, const struct keyring *k, const char *key, enum box_type type,
	       struct buf *ret_body, uint8_t ret_hash[HASH_BYTES], struct err *e)
{
	AUTO_BUF bytes = BUF_INIT;

	if (store_slurp(s, key, OBJECT_MAX, &bytes, e) < 0)
		return -1;
	if (object_open(k, type, &bytes, ret_body, ret_hash, e) < 0)
		return err_wrap(e, "%s/%s", s->url, key);
	return 0;
}

static bool is_named(struct store *s, const char *key, const uint8_t name[HASH_BYTES])
{
	AUTO_FREE uint8_t *piece = xmalloc(PIECE);
	AUTO(digest) d = digest_new();
	uint8_t hash[HASH_BYTES];
	uint64_t at = 0;
	ssize_t n;

	while ((n = store_get(s, key, at, piece, PIECE, NULL)) > 0) {
		digest_add(d, piece, (size_t)n);
		at += (uint64_t)n;
	}
	digest_take(d, hash);
	return n < 0 || memcmp(hash, name, HASH_BYTES) == 0;
}

void object_judge(struct store *s, const char *key, const uint8_t name[HASH_BYTES], struct err *e)
{
	if (e && e->kind == ERR_VERSION && !is_named(s, key, name))
		err_set(e, ERR_CORRUPT, "damaged: its bytes are not those that were written");
}
