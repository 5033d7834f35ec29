/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/box.h"

#include <string.h>

#include "base/secret.h"
#include "base/uuid.h"

#define MAGIC "HFBX"
#define LAYOUT 1

static uint64_t segments(uint64_t body_len, unsigned segment_log)
{
	uint64_t n = (body_len >> segment_log) + ((body_len & ((1U << segment_log) - 1)) != 0);

	return n ? n : 1;
}

uint64_t box_len(uint64_t body_len, unsigned segment_log)
{
	return BOX_HEAD + body_len + SEAL_TAG * segments(body_len, segment_log);
}

void box_key(const uint8_t *key, const struct box_head *h, uint8_t out[SEAL_KEY])
{
	hkdf(key, SEAL_KEY, h->raw + 32, SEAL_SALT, "holdfast box v1", out, SEAL_KEY);
}

void box_make_head(uint32_t generation, enum box_type type, uint64_t body_len,
		   struct box_head *ret_h)
{
	*ret_h = (struct box_head){.type = type,
				   .segment_log = BOX_SEGMENT_LOG,
				   .generation = generation,
				   .body_len = body_len};
	memcpy(ret_h->raw, MAGIC, 4);
	ret_h->raw[4] = LAYOUT;
	ret_h->raw[5] = (uint8_t)type;
	ret_h->raw[6] = SEAL_AES_256_GCM;
	ret_h->raw[7] = BOX_SEGMENT_LOG;
	put_le32(ret_h->raw + 8, generation);
	put_le64(ret_h->raw + 16, body_len);
	random_bytes(ret_h->raw + 32, SEAL_SALT);
}

void box_seal(const uint8_t *key, uint32_t generation, enum box_type type, const void *body,
	      size_t n, struct buf *out)
{
	const size_t seg = (size_t)1 << BOX_SEGMENT_LOG;
	uint8_t own[SEAL_KEY];
	struct box_head h;
	AUTO(aead) a = NULL;

	box_make_head(generation, type, n, &h);
	box_key(key, &h, own);
	a = aead_new(own);
	secret_wipe(own, sizeof(own));
	buf_add(out, h.raw, BOX_HEAD);
	for (uint64_t i = 0; i < segments(n, BOX_SEGMENT_LOG); i++) {
		size_t off = i * seg, len = MIN(seg, n - off);

		aead_seal(a, i, h.raw, BOX_HEAD, (const uint8_t *)body + off, len,
			  buf_reserve(out, len + SEAL_TAG));
		out->len += len + SEAL_TAG;
	}
}

int box_head_parse(const uint8_t *p, size_t n, enum box_type type, struct box_head *ret_h,
		   struct err *e)
{
	struct box_head h = {0};

	if (n < BOX_HEAD || memcmp(p, MAGIC, 4) != 0)
		return err_set(e, ERR_CORRUPT, "this is not a sealed object of a repository");
	if (p[4] != LAYOUT || p[6] != SEAL_AES_256_GCM)
		return err_set(e, ERR_VERSION,
			       "sealed in a way that this version does not know (layout %u, cipher "
			       "%u): use a newer version of holdfast",
			       p[4], p[6]);
	if (p[5] != type)
		return err_set(e, ERR_CORRUPT,
			       "an object of type %u stands where one of type %d "
			       "belongs",
			       p[5], (int)type);
	memcpy(h.raw, p, BOX_HEAD);
	h.type = type;
	h.segment_log = p[7];
	h.generation = get_le32(p + 8);
	h.body_len = get_le64(p + 16);
	if (h.segment_log < 12 || h.segment_log > 20 || h.body_len > (uint64_t)1 << 48)
		return err_set(e, ERR_CORRUPT, "the head of a sealed object is damaged");
	*ret_h = h;
	return 0;
}

int box_open(const uint8_t *key, const struct box_head *h, const uint8_t *p, size_t n,
	     struct buf *ret_body, struct err *e)
{
	const size_t seg = (size_t)1 << h->segment_log;
	uint8_t own[SEAL_KEY];
	AUTO_BUF body = BUF_INIT;
	AUTO(aead) a = NULL;

	if (n != box_len(h->body_len, h->segment_log))
		return err_set(e, ERR_CORRUPT, "a sealed object has %zu bytes instead of %llu", n,
			       (unsigned long long)box_len(h->body_len, h->segment_log));
	box_key(key, h, own);
	a = aead_new(own);
	secret_wipe(own, sizeof(own));
	buf_reserve(&body, h->body_len + 1);
	for (uint64_t i = 0; i < segments(h->body_len, h->segment_log); i++) {
		size_t len = MIN(seg, h->body_len - body.len);

		if (!aead_open(a, i, h->raw, BOX_HEAD, p + BOX_HEAD + i * (seg + SEAL_TAG),
			       len + SEAL_TAG, body.data + body.len))
			return err_set(e, ERR_CORRUPT, "segment %llu of a sealed object is damaged",
				       (unsigned long long)i);
		body.len += len;
	}
	*ret_body = body;
	body = BUF_INIT;
	return 0;
}

static int read_sealed(const struct box_reader *r, struct store *s, struct aead *a, uint64_t i,
		       uint8_t *sealed, size_t len, struct err *e)
{
	const uint64_t seg = (uint64_t)1 << r->head.segment_log;

	if (store_get_all(s, r->name, BOX_HEAD + i * (seg + SEAL_TAG), sealed, len + SEAL_TAG, e) <
	    0)
		return -1;
	if (!aead_open(a, i, r->head.raw, BOX_HEAD, sealed, len + SEAL_TAG, sealed))
		return err_set(e, ERR_CORRUPT, "segment %llu of %s/%s is damaged",
			       (unsigned long long)i, s->url, r->name);
	return 0;
}

/* What is kept of it on this machine may be damaged when it is not. */
static int read_segment(const struct box_reader *r, struct aead *a, uint64_t i, uint8_t *sealed,
			size_t len, struct err *e)
{
	struct err why = {0};
	int rc = read_sealed(r, r->store, a, i, sealed, len, &why);

	if (rc < 0 && why.kind == ERR_CORRUPT && r->store->behind)
		rc = read_sealed(r, r->store->behind, a, i, sealed, len, &why);
	if (rc < 0 && e)
		*e = why;
	return rc;
}

int box_read(const struct box_reader *r, uint64_t off, void *out, size_t len, struct err *e)
{
	const size_t seg = (size_t)1 << r->head.segment_log;
	AUTO_FREE uint8_t *sealed = xmalloc(seg + SEAL_TAG);
	AUTO(aead) a = aead_new(r->key);
	uint8_t *to = out;

	if (off > r->head.body_len || len > r->head.body_len - off)
		return err_set(e, ERR_CORRUPT, "%s/%s is shorter than its contents say",
			       r->store->url, r->name);
	while (len) {
		uint64_t i = off / seg;
		size_t skip = off % seg;
		size_t have = MIN(seg, r->head.body_len - i * seg);
		size_t take = MIN(have - skip, len);

		if (read_segment(r, a, i, sealed, have, e) < 0)
			return -1;
		memcpy(to, sealed + skip, take);
		to += take;
		off += take;
		len -= take;
	}
	return 0;
}
