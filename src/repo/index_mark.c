/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: a bit for each entry of the runs in use, so 12 MiB for a hundred million blocks. They
 * belong to these runs, which stay open meanwhile; that one is gone from the store shows when it is
 * read.
 */
#include "repo/index_priv.h"

struct index_marks {
	struct index *ix;
	struct run_set *set;
	uint8_t **bits; /* of each run */
};

struct index_marks *index_marks_new(struct index *ix)
{
	struct index_marks *m = xcalloc(1, sizeof(*m));

	m->ix = ix;
	m->set = index_hold(ix);
	m->bits = xcalloc(m->set->n, sizeof(uint8_t *));
	for (size_t i = 0; i < m->set->n; i++)
		m->bits[i] = xcalloc(m->set->runs[i]->run->n / 8 + 1, 1);
	return m;
}

void index_marks_free(struct index_marks *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->set->n; i++)
		free(m->bits[i]);
	free(m->bits);
	index_release(m->ix, m->set);
	free(m);
}

struct mark_search {
	struct search s;
	uint8_t *bits;
	bool full;
	bool marked;
	struct index_marked *ret;
};

/* False: there is no room for it. */
static bool note_base(struct index_marked *ret, const struct block_id *base)
{
	for (size_t i = 0; i < ret->n_bases; i++) {
		if (block_id_equal(&ret->bases[i], base))
			return true;
	}
	if (ret->n_bases == INDEX_PLACES) {
		ret->more = true;
		return false;
	}
	ret->bases[ret->n_bases++] = *base;
	return true;
}

static void hit_mark(struct search *s, const struct index_run *ir, uint64_t entry,
		     const struct run_entry *r)
{
	struct mark_search *ms = (struct mark_search *)s;
	uint8_t bit = (uint8_t)(1U << entry % 8);

	(void)ir;
	if (r->encoding != BLOCK_DELTA)
		ms->ret->places++;
	else if (ms->full)
		return;
	if (ms->bits[entry / 8] & bit)
		ms->marked = true;
	else if (r->encoding != BLOCK_DELTA || note_base(ms->ret, &r->base))
		ms->bits[entry / 8] |= bit;
}

int index_mark(struct index_marks *m, const struct block_id *id, bool full,
	       struct index_marked *ret, struct err *e)
{
	struct mark_search ms = {.s = {id, hit_mark}, .full = full, .ret = ret};

	*ret = (struct index_marked){0};
	for (size_t i = 0; i < m->set->n; i++) {
		ms.bits = m->bits[i];
		if (index_search_run(m->ix, m->set->runs[i], &ms.s, e) < 0)
			return -1;
	}
	ret->first = !ms.marked;
	return 0;
}

static int each_of(const struct run *run, const uint8_t *bits, index_entry_fn *fn, void *arg,
		   struct err *e)
{
	struct run_input *in = run_input_run(run);
	struct location l;
	struct run_entry r;
	uint64_t i = 0;
	int rc;

	while ((rc = in->next(in, &r, e)) > 0) {
		l = entry_location(&r, run->packs[r.pack]);
		rc = fn(arg, &l, bits[i / 8] >> i % 8 & 1, e);
		if (rc < 0)
			break;
		i++;
	}
	in->free(in);
	return rc;
}

int index_marks_each(const struct index_marks *m, index_entry_fn *fn, void *arg, struct err *e)
{
	for (size_t i = 0; i < m->set->n; i++) {
		if (each_of(m->set->runs[i]->run, m->bits[i], fn, arg, e) < 0)
			return -1;
	}
	return 0;
}
