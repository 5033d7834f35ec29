/* SPDX-License-Identifier: Apache-2.0 */
#include "base/intern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Open addressing, at most half full. */
struct intern {
	char **slots;
	size_t n, cap;
};

struct intern *intern_new(void)
{
	return xcalloc(1, sizeof(struct intern));
}

void intern_free(struct intern *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cap; i++)
		free(t->slots[i]);
	free(t->slots);
	free(t);
}

size_t intern_count(const struct intern *t)
{
	return t->n;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325U;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3U;
	return h;
}

/* The slot that has the text, or the free one where it would go. */
static char **find(const struct intern *t, const char *text)
{
	size_t i = hash(text) & (t->cap - 1);

	while (t->slots[i] && strcmp(t->slots[i], text) != 0)
		i = (i + 1) & (t->cap - 1);
	return &t->slots[i];
}

static void grow(struct intern *t)
{
	struct intern bigger = {.n = t->n, .cap = t->cap ? t->cap * 2 : 64};

	bigger.slots = xcalloc(bigger.cap, sizeof(char *));
	for (size_t i = 0; i < t->cap; i++) {
		if (t->slots[i])
			*find(&bigger, t->slots[i]) = t->slots[i];
	}
	free(t->slots);
	*t = bigger;
}

char *intern(struct intern *t, const char *text)
{
	char **slot;

	if (t->n * 2 >= t->cap)
		grow(t);
	slot = find(t, text);
	if (!*slot) {
		*slot = xstrdup(text);
		t->n++;
	}
	return *slot;
}
