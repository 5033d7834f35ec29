/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h: lists of tagged values, the bodies of most small objects (format section 4, "Records").
 *
 * Writing appends to a buf; a nested list is opened and closed around its records. Reading walks a
 * list; what is not known is skipped unless its tag says that it must be understood.
 *
 * Pure functions over their arguments.
 */
#ifndef HF_REPO_RECORD_H
#define HF_REPO_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define RECORD_CRITICAL 0x8000
#define RECORD_HEAD 6 /* u16 tag, u32 length */
#define RECORD_TEXT_MAX 65536

void record_add(struct buf *b, uint16_t tag, const void *data, size_t n);
void record_u64(struct buf *b, uint16_t tag, uint64_t v);
void record_u32(struct buf *b, uint16_t tag, uint32_t v);
/* NULL and "" are not written. */
void record_text(struct buf *b, uint16_t tag, const char *s);
/* A nested list: what is added until record_close, which takes what record_open returned. */
size_t record_open(struct buf *b, uint16_t tag);
void record_close(struct buf *b, size_t open);

struct record {
	uint16_t tag;
	struct cur value;
};

/*
 * The next record of the list. 1: here it is; 0: the end; -1: the list is damaged (ERR_CORRUPT).
 * Padding is passed over.
 */
int record_next(struct cur *list, struct record *ret_r, struct err *e);
/* For a tag that is not known: 0 to skip it, -1 with ERR_VERSION when it must be understood. */
int record_unknown(const struct record *r, const char *where, struct err *e);

/* Values of the expected size, else -1 with ERR_CORRUPT. */
int record_get_u64(const struct record *r, uint64_t *ret_v, struct err *e);
int record_get_u32(const struct record *r, uint32_t *ret_v, struct err *e);
int record_get_bytes(const struct record *r, void *out, size_t n, struct err *e);
/* A new string that the caller frees; *ret_s is freed before. Refuses NUL, control characters that
 * would garble a terminal are kept: whoever prints them replaces them. */
int record_get_text(const struct record *r, char **ret_s, struct err *e);

#endif
