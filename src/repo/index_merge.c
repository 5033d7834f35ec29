/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing runs, and keeping their number small.
 *
 * Runs are merged in levels by size: when MERGE_MIN or more runs lie in one level (a factor of 8),
 * they become one run of a higher level. Every entry is so rewritten once for each level, and a
 * lookup asks at most MERGE_MIN - 1 runs of each. The new run is durable before the old ones are
 * removed; whoever still reads an old one finds it gone, lists again and finds the new one.
 */
#include "repo/index_priv.h"

#define MERGE_MIN 8
#define LEVEL_LOG 3
#define LEVELS 16

static unsigned level_of(uint64_t n)
{
	unsigned level = 0;

	while (n >= 1024) {
		n >>= LEVEL_LOG;
		level++;
	}
	return level;
}

int index_add(struct index *ix, struct store_session *ss, struct run_entry *entries, size_t n,
	      const uint8_t (*packs)[HASH_BYTES], size_t n_packs, struct err *e)
{
	struct run_input *in;
	uint8_t name[HASH_BYTES];
	bool written;
	int rc;

	run_sort(entries, n);
	in = run_input_array(entries, n, packs, n_packs);
	rc = run_write(ix->keys, ss, &in, 1, NULL, 0, name, &written, e);
	in->free(in);
	if (rc < 0 || !written)
		return rc;
	return index_open_run(ix, name, e);
}

struct plan {
	const struct run **runs;
	size_t n;
	struct name_list replaced;
};

static int write_plan(struct index *ix, struct store_session *ss, const struct plan *p,
		      struct run_input *extra, struct err *e)
{
	struct run_input **inputs = xcalloc(p->n + 1, sizeof(struct run_input *));
	uint8_t name[HASH_BYTES];
	size_t n = 0;
	bool written;
	int rc;

	for (size_t i = 0; i < p->n; i++)
		inputs[n++] = run_input_run(p->runs[i]);
	if (extra)
		inputs[n++] = extra;
	rc = run_write(ix->keys, ss, inputs, n, (const uint8_t(*)[HASH_BYTES])p->replaced.names,
		       p->replaced.n, name, &written, e);
	for (size_t i = 0; i < p->n; i++)
		inputs[i]->free(inputs[i]);
	free(inputs);
	/* If interrupted here: the old runs are superseded, and removed by the next merge's end. */
	return rc == 0 && written ? index_remove_runs(ix, &p->replaced, e) : rc;
}

/*
 * Merge the runs of one level if there are enough; 1 when that was done. Those that name what a
 * collector is about to remove are the collector's to replace: a copy of them could appear after
 * it, and name packs that are gone when nothing says any more that they are.
 */
static int tidy_level(struct index *ix, struct store_session *ss, const struct pack_set *without,
		      unsigned level, struct err *e)
{
	struct run_set *set = index_hold(ix);
	struct plan p = {.runs = xcalloc(set->n, sizeof(const struct run *))};
	int rc = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct run *run = set->runs[i]->run;

		if (level_of(run->n) != level || run_names_any(run, without))
			continue;
		p.runs[p.n++] = run;
		name_list_add(&p.replaced, run->name);
	}
	if (p.n >= MERGE_MIN)
		rc = write_plan(ix, ss, &p, NULL, e) < 0 ? -1 : 1;
	index_release(ix, set);
	free(p.runs);
	name_list_done(&p.replaced);
	return rc;
}

/*
 * What was recovered but for packs that a collector is about to remove. A run must not even list
 * these: their epoch would never end.
 */
static struct recovered wanted(const struct recovered *rec, const struct pack_set *without)
{
	AUTO_FREE uint32_t *number =
		xcalloc(rec->n_packs, sizeof(*number)); /* from 1; 0: left out */
	struct recovered w = {.entries = xcalloc(rec->n, sizeof(*w.entries)),
			      .packs = xcalloc(rec->n_packs, HASH_BYTES)};

	for (size_t i = 0; i < rec->n_packs; i++) {
		if (pack_set_has(without, rec->packs[i]))
			continue;
		memcpy(w.packs[w.n_packs++], rec->packs[i], HASH_BYTES);
		number[i] = (uint32_t)w.n_packs;
	}
	for (size_t i = 0; i < rec->n; i++) {
		const struct run_entry *r = &rec->entries[i];

		if (!number[r->pack])
			continue;
		w.entries[w.n] = *r;
		w.entries[w.n++].pack = number[r->pack] - 1;
	}
	return w;
}

/*
 * Write what was read from packs as a run, in place of damaged ones; 1 when that was done. Where a
 * pack could not be read either, the damaged runs stay: some day they may be put back. Where all
 * packs that there are can be read and are in other runs, they held nothing else, and go.
 */
static int heal(struct index *ix, struct store_session *ss, const struct pack_set *without,
		struct err *e)
{
	const struct recovered *rec = &ix->recovered;
	struct recovered w;
	struct plan p = {0};
	struct run_input *in;
	int rc;

	if (rec->n == 0 && (rec->incomplete || !ix->damaged.n))
		return 0;
	if (rec->n == 0)
		return index_remove_runs(ix, &ix->damaged, e) < 0 ? -1 : 1;
	w = wanted(rec, without);
	for (size_t i = 0; i < ix->damaged.n && !rec->incomplete; i++)
		name_list_add(&p.replaced, ix->damaged.names[i]);
	in = run_input_array(w.entries, w.n, (const uint8_t(*)[HASH_BYTES])w.packs, w.n_packs);
	rc = w.n || p.replaced.n ? write_plan(ix, ss, &p, in, e) < 0 ? -1 : 1 : 0;
	in->free(in);
	name_list_done(&p.replaced);
	free(w.entries);
	free(w.packs);
	return rc;
}

static int tidy(struct index *ix, struct store_session *ss, const struct pack_set *without,
		struct err *e)
{
	struct err why = {0};
	int rc;

	if (index_refresh(ix, e) < 0)
		return -1;
	/* heal() reads what only a refresh changes. */
	pthread_mutex_lock(&ix->refresh);
	rc = heal(ix, ss, without, e);
	pthread_mutex_unlock(&ix->refresh);
	if (rc > 0)
		rc = index_refresh(ix, e);
	for (unsigned level = 0; level < LEVELS && rc >= 0; level++) {
		rc = tidy_level(ix, ss, without, level, &why);
		if (rc < 0 && why.kind != ERR_NOENT) {
			if (e)
				*e = why;
			return -1;
		}
		/* Merged, or another merger took the runs away. */
		if (rc != 0)
			rc = index_refresh(ix, e);
	}
	return rc;
}

/* Read all runs to their ends, and go on without those that cannot be read. */
static int distrust_unreadable(struct index *ix, struct err *e)
{
	struct run_set *set = index_hold(ix);
	int rc = 0;

	for (size_t i = 0; i < set->n && rc == 0; i++) {
		struct run_input *in = run_input_run(set->runs[i]->run);
		struct err why = {0};
		struct run_entry r;

		while ((rc = in->next(in, &r, &why)) > 0)
			;
		in->free(in);
		if (rc < 0)
			rc = why.kind == ERR_CORRUPT
				     ? index_distrust(ix, set->runs[i]->run->name, e)
				     : 0; /* a merge will tell */
	}
	index_release(ix, set);
	return rc;
}

int index_tidy(struct index *ix, struct store_session *ss, const struct pack_set *without,
	       struct err *e)
{
	struct err why = {0};
	int rc = tidy(ix, ss, without, &why);

	/* A run that was merged turned out to be damaged: without it, and with what the packs say.
	 */
	if (rc < 0 && why.kind == ERR_CORRUPT)
		rc = distrust_unreadable(ix, &why) < 0 ? -1 : tidy(ix, ss, without, &why);
	if (rc < 0 && e)
		*e = why;
	return rc;
}
