/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intern.h: one copy of each text, for many things that are named alike. Never forgets until it is
 * freed. Belongs to one thread.
 */
#ifndef HF_BASE_INTERN_H
#define HF_BASE_INTERN_H

#include <stddef.h>

struct intern;

struct intern *intern_new(void);
/* NULL is fine. All texts go. */
void intern_free(struct intern *t);
/* The copy of a text; not to be changed. */
char *intern(struct intern *t, const char *text);
/* How many different texts there are. */
size_t intern_count(const struct intern *t);

#endif
