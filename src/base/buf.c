/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void buf_done(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	if (b->cap - b->len < n) {
		size_t cap = b->cap ? b->cap : 64;

		while (cap - b->len < n)
			cap = cap <= SIZE_MAX / 2 ? cap * 2 : SIZE_MAX;
		b->data = xrealloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_add(struct buf *b, const void *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), data, n);
	b->len += n;
}

void buf_fill(struct buf *b, uint8_t byte, size_t n)
{
	if (n == 0)
		return; /* memset must not be given the NULL of an empty buf */
	memset(buf_reserve(b, n), byte, n);
	b->len += n;
}

void buf_text(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n <= 0)
		return;
	va_start(ap, fmt);
	vsnprintf((char *)buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_add(b, &v, 1);
}

void buf_u16(struct buf *b, uint16_t v)
{
	put_le16(buf_reserve(b, 2), v);
	b->len += 2;
}

void buf_u32(struct buf *b, uint32_t v)
{
	put_le32(buf_reserve(b, 4), v);
	b->len += 4;
}

void buf_u64(struct buf *b, uint64_t v)
{
	put_le64(buf_reserve(b, 8), v);
	b->len += 8;
}

char *buf_str(struct buf *b)
{
	*buf_reserve(b, 1) = 0;
	return (char *)b->data;
}

const uint8_t *cur_bytes(struct cur *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || c->left < n) {
		c->bad = true;
		return NULL;
	}
	if (n) {
		c->p += n;
		c->left -= n;
	}
	return p ? p : (const uint8_t *)"";
}

uint8_t cur_u8(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, 1);

	return p ? *p : 0;
}

uint16_t cur_u16(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, 2);

	return p ? get_le16(p) : 0;
}

uint32_t cur_u32(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, 4);

	return p ? get_le32(p) : 0;
}

uint64_t cur_u64(struct cur *c)
{
	const uint8_t *p = cur_bytes(c, 8);

	return p ? get_le64(p) : 0;
}

void cur_copy(struct cur *c, void *out, size_t n)
{
	const uint8_t *p = cur_bytes(c, n);

	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}
