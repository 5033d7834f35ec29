/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/idset.h"

#include <assert.h>

#include "base/buf.h"

/* The slot that has the id, or the free one where it would go. */
static struct block_id *find(const struct idset *s, const struct block_id *id)
{
	size_t mask = s->cap - 1, i = get_le64(id->b + 16) & mask;

	while (!block_id_is_zero(&s->slots[i]) && !block_id_equal(&s->slots[i], id))
		i = (i + 1) & mask;
	return &s->slots[i];
}

static void grow(struct idset *s)
{
	struct idset bigger = {.cap = s->cap ? s->cap * 2 : 1024, .n = s->n};

	bigger.slots = xcalloc(bigger.cap, sizeof(*bigger.slots));
	for (size_t i = 0; i < s->cap; i++) {
		if (!block_id_is_zero(&s->slots[i]))
			*find(&bigger, &s->slots[i]) = s->slots[i];
	}
	free(s->slots);
	*s = bigger;
}

bool idset_has(const struct idset *s, const struct block_id *id)
{
	return s->n && !block_id_is_zero(find(s, id));
}

bool idset_add(struct idset *s, const struct block_id *id)
{
	struct block_id *slot;

	assert(!block_id_is_zero(id));
	if (s->n * 2 >= s->cap)
		grow(s);
	slot = find(s, id);
	if (!block_id_is_zero(slot))
		return false;
	*slot = *id;
	s->n++;
	return true;
}

void idset_clear(struct idset *s)
{
	if (s->n)
		memset(s->slots, 0, s->cap * sizeof(*s->slots));
	s->n = 0;
}

void idset_done(struct idset *s)
{
	free(s->slots);
	*s = (struct idset){0};
}
