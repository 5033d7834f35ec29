/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statements.h: the prepared statements of one connection, by their text. Programs have some
 * hundreds; when there are too many (their text was put together), all go and it starts anew.
 * Threads: belongs to its connection.
 */
#ifndef HF_DB_STATEMENTS_H
#define HF_DB_STATEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"

#define STATEMENTS_MAX 512

struct statements;

/* `done` ends a value; NULL: there is nothing to end. */
struct statements *statements_new(void (*done)(void *value));
void statements_free(struct statements *s);
DEFINE_AUTO(statements, statements_free);

/* NULL: not there. */
void *statements_find(const struct statements *s, const char *text);
/* The text is copied, the value taken over. */
void statements_add(struct statements *s, const char *text, void *value);
bool statements_full(const struct statements *s);
void statements_clear(struct statements *s);

#endif
