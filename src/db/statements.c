/* SPDX-License-Identifier: Apache-2.0 */
#include "db/statements.h"

#include <stdint.h>
#include <string.h>

#define SLOTS (2 * STATEMENTS_MAX) /* a power of two */

struct slot {
	char *text;
	void *value;
	uint32_t hash;
};

struct statements {
	void (*done)(void *value);
	size_t n;
	struct slot slots[SLOTS];
};

struct statements *statements_new(void (*done)(void *value))
{
	struct statements *s = xcalloc(1, sizeof(*s));

	s->done = done;
	return s;
}

void statements_clear(struct statements *s)
{
	for (size_t i = 0; i < SLOTS; i++) {
		if (s->slots[i].text && s->done)
			s->done(s->slots[i].value);
		free(s->slots[i].text);
		s->slots[i] = (struct slot){0};
	}
	s->n = 0;
}

void statements_free(struct statements *s)
{
	if (!s)
		return;
	statements_clear(s);
	free(s);
}

/* FNV-1a */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261U;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619U;
	return h;
}

/* Where it is, or would be. */
static size_t place(const struct statements *s, const char *text, uint32_t h)
{
	size_t i = h % SLOTS;

	while (s->slots[i].text && (s->slots[i].hash != h || strcmp(s->slots[i].text, text) != 0))
		i = (i + 1) % SLOTS;
	return i;
}

void *statements_find(const struct statements *s, const char *text)
{
	return s->slots[place(s, text, hash(text))].value;
}

bool statements_full(const struct statements *s)
{
	return s->n >= STATEMENTS_MAX;
}

void statements_add(struct statements *s, const char *text, void *value)
{
	uint32_t h = hash(text);

	if (statements_full(s))
		statements_clear(s);
	s->slots[place(s, text, h)] = (struct slot){xstrdup(text), value, h};
	s->n++;
}
