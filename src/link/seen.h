/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seen.h: who was seen when, gathered, so that the database is told of many at once.
 *
 * Threads: thread-safe.
 */
#ifndef HF_LINK_SEEN_H
#define HF_LINK_SEEN_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/uuid.h"

struct seen;

struct seen_entry {
	char id[UUID_TEXT];
	uint64_t when_us;
};

struct seen *seen_new(void);
void seen_free(struct seen *s);
DEFINE_AUTO(seen, seen_free);

void seen_note(struct seen *s, const char *id, uint64_t when_us);
/* Take all there are, each once; the caller frees. */
struct seen_entry *seen_take(struct seen *s, size_t *ret_n);

#endif
