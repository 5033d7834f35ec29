/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks: a bit for each entry of the runs in use, so 12 MiB for a hundred million blocks. They
 * belong to these runs, which stay open meanwhile; that one is gone from the store shows when it is
 * read.
 */
#include <stdlib.h>

#include "repo/index_priv.h"
#include "repo/presence.h"

struct index_marks {
	struct index *ix;
	struct run_set *set;
	uint8_t **bits; /* of each run */
	bool **gone;	/* of each run, its packs; NULL: that is of no interest */
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
	for (size_t i = 0; i < m->set->n; i++) {
		free(m->bits[i]);
		if (m->gone)
			free(m->gone[i]);
	}
	free(m->bits);
	free(m->gone);
	index_release(m->ix, m->set);
	free(m);
}

int index_marks_want(struct index_marks *m, struct presence *packs, struct err *e)
{
	m->gone = xcalloc(m->set->n, sizeof(bool *));
	for (size_t i = 0; i < m->set->n; i++) {
		const struct run *run = m->set->runs[i]->run;

		m->gone[i] = xcalloc(run->n_packs, sizeof(bool));
		for (size_t k = 0; k < run->n_packs; k++) {
			int there = presence_has(packs, run->packs[k], e);

			if (there < 0)
				return -1;
			m->gone[i][k] = !there;
		}
	}
	return 0;
}

bool index_marks_deltas(const struct index_marks *m)
{
	bool any = false;

	for (size_t i = 0; i < m->set->n; i++)
		any |= m->set->runs[i]->run->n_bases != 0;
	return any;
}

/* ---- one block ---- */

struct mark_search {
	struct search s;
	uint8_t *bits;
	const bool *gone;
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
	if (ms->gone && ms->gone[r->pack])
		return;
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
		ms.gone = m->gone ? m->gone[i] : NULL;
		if (index_search_run(m->ix, m->set->runs[i], &ms.s, e) < 0)
			return -1;
	}
	ret->first = !ms.marked;
	return 0;
}

/* ---- many blocks ---- */

/* Blocks to be marked in one run. */
struct mark_many {
	const struct run *run;
	uint8_t *bits;
	const bool *gone;
	const uint8_t (*ids)[INDEX_PREFIX]; /* sorted, once each */
	size_t n;
	bool full;
	uint8_t *found; /* a bit for each */
};

static int by_prefix(const void *a, const void *b)
{
	return memcmp(a, b, INDEX_PREFIX);
}

static void mark_entry(const struct mark_many *mm, uint64_t entry, const struct run_entry *r,
		       size_t i)
{
	if ((mm->full && r->encoding == BLOCK_DELTA) || r->pack >= mm->run->n_packs ||
	    (mm->gone && mm->gone[r->pack]))
		return;
	mm->bits[entry / 8] |= (uint8_t)(1U << entry % 8);
	mm->found[i / 8] |= (uint8_t)(1U << i % 8);
}

/* A short run: every entry is looked for among the blocks. */
static int mark_by_entries(const struct mark_many *mm, struct err *e)
{
	struct run_input *in = run_input_run(mm->run);
	struct run_entry r;
	int rc;

	for (uint64_t entry = 0; (rc = in->next(in, &r, e)) > 0; entry++) {
		const uint8_t(*at)[INDEX_PREFIX] =
			bsearch(r.id.b, mm->ids, mm->n, INDEX_PREFIX, by_prefix);

		if (at)
			mark_entry(mm, entry, &r, (size_t)(at - mm->ids));
	}
	in->free(in);
	return rc;
}

/* The entries of one block in what was read, which starts with number `first` of the run. */
static void mark_in(const struct mark_many *mm, uint64_t first, const struct run_group *g,
		    const struct block_id *from, size_t i)
{
	struct run_entry r;

	for (size_t k = run_lower_bound(g, from); k < g->n; k++) {
		run_group_entry(g, k, &r);
		if (by_prefix(r.id.b, mm->ids[i]) != 0)
			return;
		mark_entry(mm, first + k, &r, i);
	}
}

/* A long run: every block is looked for among the entries, some groups at a time. */
static int mark_by_blocks(const struct mark_many *mm, struct err *e)
{
	/* Where the blocks are few, what lies between them is not read. */
	const uint64_t span = mm->n > mm->run->n_groups ? run_span(mm->run) : 1;
	uint64_t have = UINT64_MAX, number, end;
	struct run_group g = {0};
	int rc = 0;

	for (size_t i = 0; i < mm->n && rc == 0; i++) {
		struct block_id from = {{0}};

		memcpy(from.b, mm->ids[i], INDEX_PREFIX);
		run_groups_of(mm->run, &from, &number, &end);
		for (number -= number % span; number < end && rc == 0; number += span) {
			if (number != have)
				rc = run_read_groups(mm->run, number, span, &g, e);
			have = number;
			if (rc == 0)
				mark_in(mm, number * mm->run->group, &g, &from, i);
		}
	}
	run_group_done(&g);
	return rc;
}

/*
 * Ids are hashes, so their first byte spreads them evenly: they are put in place by that (American
 * flag sort: McIlroy, Bostic, McIlroy, 1993), and then sorted by the rest. The C library's qsort of
 * all of them would take as much memory again.
 */
static void sort_prefixes(uint8_t (*ids)[INDEX_PREFIX], size_t n)
{
	size_t start[257] = {0}, next[256];

	for (size_t i = 0; i < n; i++)
		start[ids[i][0] + 1]++;
	for (int b = 0; b < 256; b++) {
		start[b + 1] += start[b];
		next[b] = start[b];
	}
	for (int b = 0; b < 256; b++) {
		while (next[b] < start[b + 1]) {
			uint8_t *here = ids[next[b]], *there, held[INDEX_PREFIX];

			if (here[0] == b) {
				next[b]++;
				continue;
			}
			there = ids[next[here[0]]++];
			memcpy(held, there, INDEX_PREFIX);
			memcpy(there, here, INDEX_PREFIX);
			memcpy(here, held, INDEX_PREFIX);
		}
		if (start[b + 1] > start[b])
			qsort(ids[start[b]], start[b + 1] - start[b], INDEX_PREFIX, by_prefix);
	}
}

static size_t once_each(uint8_t (*ids)[INDEX_PREFIX], size_t n)
{
	size_t kept = 0;

	sort_prefixes(ids, n);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || by_prefix(ids[kept - 1], ids[i]) != 0)
			memmove(ids[kept++], ids[i], INDEX_PREFIX);
	}
	return kept;
}

int index_mark_all(struct index_marks *m, uint8_t (*ids)[INDEX_PREFIX], size_t n, bool full,
		   size_t *ret_missing, struct err *e)
{
	AUTO_FREE uint8_t *found = NULL;

	n = once_each(ids, n);
	found = xcalloc(n / 8 + 1, 1);
	*ret_missing = 0;
	for (size_t i = 0; i < m->set->n && n; i++) {
		const struct run *run = m->set->runs[i]->run;
		const struct mark_many mm = {.run = run,
					     .bits = m->bits[i],
					     .gone = m->gone ? m->gone[i] : NULL,
					     .ids = (const uint8_t(*)[INDEX_PREFIX])ids,
					     .n = n,
					     .full = full,
					     .found = found};

		if (run->n < n ? mark_by_entries(&mm, e) < 0 : mark_by_blocks(&mm, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		*ret_missing += !(found[i / 8] >> i % 8 & 1);
	return 0;
}

/* ---- all entries ---- */

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
