/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/record.h"

#include <string.h>

#include "base/mem.h"

void record_add(struct buf *b, uint16_t tag, const void *data, size_t n)
{
	buf_u16(b, tag);
	buf_u32(b, (uint32_t)n);
	buf_add(b, data, n);
}

void record_u64(struct buf *b, uint16_t tag, uint64_t v)
{
	uint8_t bytes[8];

	put_le64(bytes, v);
	record_add(b, tag, bytes, sizeof(bytes));
}

void record_u32(struct buf *b, uint16_t tag, uint32_t v)
{
	uint8_t bytes[4];

	put_le32(bytes, v);
	record_add(b, tag, bytes, sizeof(bytes));
}

void record_text(struct buf *b, uint16_t tag, const char *s)
{
	if (s && s[0])
		record_add(b, tag, s, MIN(strlen(s), (size_t)RECORD_TEXT_MAX));
}

size_t record_open(struct buf *b, uint16_t tag)
{
	buf_u16(b, tag);
	buf_u32(b, 0);
	return b->len;
}

void record_close(struct buf *b, size_t open)
{
	put_le32(b->data + open - 4, (uint32_t)(b->len - open));
}

int record_next(struct cur *list, struct record *ret_r, struct err *e)
{
	while (list->left) {
		uint16_t tag = cur_u16(list);
		uint32_t len = cur_u32(list);
		const uint8_t *p = cur_bytes(list, len);

		if (!p)
			return err_set(e, ERR_CORRUPT, "a record of %u bytes is cut short", len);
		if (tag == 0)
			continue;
		*ret_r = (struct record){tag, cur_of(p, len)};
		return 1;
	}
	return 0;
}

int record_unknown(const struct record *r, const char *where, struct err *e)
{
	if (!(r->tag & RECORD_CRITICAL))
		return 0;
	return err_set(e, ERR_VERSION,
		       "%s holds something that this version does not know (tag %u): use a newer "
		       "version of holdfast",
		       where, r->tag);
}

static int wrong_size(const struct record *r, size_t want, struct err *e)
{
	return err_set(e, ERR_CORRUPT, "record %u has %zu bytes instead of %zu", r->tag,
		       r->value.left, want);
}

int record_get_u64(const struct record *r, uint64_t *ret_v, struct err *e)
{
	if (r->value.left != 8)
		return wrong_size(r, 8, e);
	*ret_v = get_le64(r->value.p);
	return 0;
}

int record_get_u32(const struct record *r, uint32_t *ret_v, struct err *e)
{
	if (r->value.left != 4)
		return wrong_size(r, 4, e);
	*ret_v = get_le32(r->value.p);
	return 0;
}

int record_get_bytes(const struct record *r, void *out, size_t n, struct err *e)
{
	if (r->value.left != n)
		return wrong_size(r, n, e);
	memcpy(out, r->value.p, n);
	return 0;
}

int record_get_text(const struct record *r, char **ret_s, struct err *e)
{
	size_t n = r->value.left;

	if (n > RECORD_TEXT_MAX)
		return err_set(e, ERR_LIMIT, "text of %zu bytes in record %u", n, r->tag);
	if (memchr(r->value.p, 0, n))
		return err_set(e, ERR_CORRUPT, "record %u is not text", r->tag);
	free(*ret_s);
	*ret_s = xstrndup((const char *)r->value.p, n);
	return 0;
}
