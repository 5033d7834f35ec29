/* SPDX-License-Identifier: Apache-2.0 */
#include "mover/blockmap.h"

void blockmap_init(struct blockmap *m, uint64_t block, uint64_t size)
{
	*m = (struct blockmap){.block = block, .size = size};
}

void blockmap_done(struct blockmap *m)
{
	free(m->runs);
	*m = (struct blockmap){0};
}

static void emit(struct blockmap *m, uint64_t first, uint64_t n, enum extent_kind kind)
{
	struct block_run *last = m->n > m->taken ? &m->runs[m->n - 1] : NULL;

	if (last && last->kind == kind && last->first + last->n == first) {
		last->n += n;
		return;
	}
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->runs = xreallocarray(m->runs, m->cap, sizeof(*m->runs));
	}
	m->runs[m->n++] = (struct block_run){first, n, kind};
}

/* Part of a block, up to its end or not. */
static void add_partial(struct blockmap *m, uint64_t len, enum extent_kind kind)
{
	uint64_t first = m->at / m->block;

	if (m->at % m->block == 0)
		m->partial = kind;
	else if (m->partial != kind)
		m->partial = EXTENT_DATA;
	m->at += len;
	if (m->at % m->block == 0 || m->at == m->size)
		emit(m, first, 1, m->partial);
}

void blockmap_add(struct blockmap *m, uint64_t len, enum extent_kind kind)
{
	len = MIN(len, m->size - m->at);
	while (len) {
		uint64_t inside = m->at % m->block, take;

		if (inside == 0 && len >= m->block) {
			take = len / m->block * m->block;
			emit(m, m->at / m->block, take / m->block, kind);
			m->at += take;
		} else {
			take = MIN(len, m->block - inside);
			add_partial(m, take, kind);
		}
		len -= take;
	}
}

bool blockmap_take(struct blockmap *m, struct block_run *ret_run)
{
	if (m->taken == m->n) {
		m->taken = m->n = 0;
		return false;
	}
	*ret_run = m->runs[m->taken++];
	return true;
}
