/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h: a growing byte buffer for writing, a bounded cursor for reading, both little-endian.
 *
 * Invariant of a buf: data is NULL or holds cap bytes, of which len are used. A buf that only ever
 * received text is not NUL-terminated until buf_str() is called.
 *
 * A cursor never reads past its end: the first read that would marks it bad, and every later read
 * gives zeros. A parser reads a whole structure and asks cur_ok() once.
 *
 * Threads: each value belongs to one thread.
 */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

#define BUF_INIT ((struct buf){NULL, 0, 0})
#define AUTO_BUF __attribute__((cleanup(buf_done))) struct buf

/* Free the bytes and make it empty. */
void buf_done(struct buf *b);
/* Make room for `n` more bytes and return where they go; len stays. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *data, size_t n);
void buf_fill(struct buf *b, uint8_t byte, size_t n);
void buf_text(struct buf *b, const char *s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* The bytes as a NUL-terminated string, owned by `b`, valid until it changes. */
char *buf_str(struct buf *b);

static inline void put_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}
static inline void put_le32(uint8_t *p, uint32_t v)
{
	put_le16(p, (uint16_t)v);
	put_le16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_le64(uint8_t *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t get_le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)get_le16(p) | (uint32_t)get_le16(p + 2) << 16;
}
static inline uint64_t get_le64(const uint8_t *p)
{
	return (uint64_t)get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}
/* Big-endian: the order in which ids are compared. */
static inline uint64_t get_be64(const uint8_t *p)
{
	return __builtin_bswap64(get_le64(p));
}

struct cur {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct cur cur_of(const void *p, size_t n)
{
	return (struct cur){p, n, false};
}
/* The next `n` bytes, borrowed; NULL and bad when there are not that many. */
const uint8_t *cur_bytes(struct cur *c, size_t n);
uint8_t cur_u8(struct cur *c);
uint16_t cur_u16(struct cur *c);
uint32_t cur_u32(struct cur *c);
uint64_t cur_u64(struct cur *c);
/* Copy the next `n` bytes to `out`; zeros when there are not that many. */
void cur_copy(struct cur *c, void *out, size_t n);
/* Nothing was read past the end. */
static inline bool cur_ok(const struct cur *c)
{
	return !c->bad;
}
/* Everything was read, and nothing past the end. */
static inline bool cur_done(const struct cur *c)
{
	return !c->bad && c->left == 0;
}

#endif
