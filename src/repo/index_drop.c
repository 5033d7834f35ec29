/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index after a collector: runs without the packs that go (format section 11, steps 6 and 8).
 */
#include "repo/index_priv.h"

/* ---- a run without some packs as an input of a merge ---- */

struct kept_input {
	struct run_input in;
	struct run_input *all;
	uint32_t *number; /* by number in the run: the one in here, from 1; 0: dropped */
	uint8_t (*packs)[HASH_BYTES];
};

static int kept_next(struct run_input *in, struct run_entry *ret_r, struct err *e)
{
	struct kept_input *k = (struct kept_input *)in;
	int rc;

	while ((rc = k->all->next(k->all, ret_r, e)) > 0) {
		if (!k->number[ret_r->pack])
			continue;
		ret_r->pack = k->number[ret_r->pack] - 1;
		return 1;
	}
	return rc;
}

static void kept_rewind(struct run_input *in)
{
	struct kept_input *k = (struct kept_input *)in;

	k->all->rewind(k->all);
}

static void kept_free(struct run_input *in)
{
	struct kept_input *k = (struct kept_input *)in;

	k->all->free(k->all);
	free(k->number);
	free(k->packs);
	free(k);
}

static struct run_input *kept_of(const struct run *run, const struct pack_set *drop)
{
	struct kept_input *k = xcalloc(1, sizeof(*k));

	k->all = run_input_run(run);
	k->number = xcalloc(run->n_packs, sizeof(*k->number));
	k->packs = xcalloc(run->n_packs, HASH_BYTES);
	k->in = (struct run_input){(const uint8_t(*)[HASH_BYTES])k->packs, 0, kept_next,
				   kept_rewind, kept_free};
	for (size_t i = 0; i < run->n_packs; i++) {
		if (pack_set_has(drop, run->packs[i]))
			continue;
		memcpy(k->packs[k->in.n_packs++], run->packs[i], HASH_BYTES);
		k->number[i] = (uint32_t)k->in.n_packs;
	}
	return &k->in;
}

/* ---- dropping ---- */

/* What is written anew, and what that supersedes: the runs, and what they supersede that is still
 * there, because it would count again once they are gone. */
struct drop {
	struct run_input **inputs;
	size_t n;
	struct name_list replaced;
};

static void drop_run(struct drop *d, const struct run *run, const struct pack_set *drop,
		     const struct name_list *there)
{
	d->inputs[d->n++] = kept_of(run, drop);
	name_list_add(&d->replaced, run->name);
	for (size_t i = 0; i < run->n_superseded; i++) {
		if (name_list_has(there, run->superseded[i]) &&
		    !name_list_has(&d->replaced, run->superseded[i]))
			name_list_add(&d->replaced, run->superseded[i]);
	}
}

static void drop_done(struct drop *d)
{
	for (size_t i = 0; i < d->n; i++)
		d->inputs[i]->free(d->inputs[i]);
	free(d->inputs);
	name_list_done(&d->replaced);
}

static void choose(struct index *ix, const struct run_set *set, const struct pack_set *drop,
		   const struct pack_set *leave, struct drop *ret)
{
	*ret = (struct drop){.inputs = xcalloc(set->n, sizeof(struct run_input *))};
	pthread_mutex_lock(&ix->refresh);
	for (size_t i = 0; i < set->n; i++) {
		const struct run *run = set->runs[i]->run;

		if (run_names_any(run, drop) && !run_names_any(run, leave))
			drop_run(ret, run, drop, &ix->replaced);
	}
	pthread_mutex_unlock(&ix->refresh);
}

/*
 * Where nothing is kept there is no run to supersede the old ones, and no need: they go.
 *
 * A run that may arrive when its session is long revoked must not make others count no more: it
 * knows nothing of what happened since. There it supersedes nothing, and the old ones go once it is
 * known that it came in time.
 */
int index_drop(struct index *ix, struct store_session *ss, const struct pack_set *drop,
	       const struct pack_set *leave, struct err *e)
{
	uint8_t name[HASH_BYTES];
	struct run_set *set;
	bool written = false;
	struct drop d;
	int rc = 0;

	if (index_refresh(ix, e) < 0)
		return -1;
	set = index_hold(ix);
	choose(ix, set, drop, leave, &d);
	if (d.n)
		rc = run_write(ix->keys, ss, d.inputs, d.n,
			       (const uint8_t(*)[HASH_BYTES])d.replaced.names,
			       ix->store->late ? 0 : d.replaced.n, name, &written, e);
	/* What they superseded goes first: it must not count again. */
	if (rc == 0 && ix->store->late)
		rc = index_prune(ix, e);
	if (rc == 0)
		rc = index_remove_runs(ix, &d.replaced, e);
	drop_done(&d);
	index_release(ix, set);
	return rc < 0 ? -1 : index_refresh(ix, e);
}

int index_prune(struct index *ix, struct err *e)
{
	struct name_list l = {0};
	int rc;

	if (index_refresh(ix, e) < 0)
		return -1;
	pthread_mutex_lock(&ix->refresh);
	for (size_t i = 0; i < ix->replaced.n; i++)
		name_list_add(&l, ix->replaced.names[i]);
	pthread_mutex_unlock(&ix->refresh);
	rc = index_remove_runs(ix, &l, e);
	name_list_done(&l);
	return rc < 0 ? -1 : index_refresh(ix, e);
}

int index_names(struct index *ix, const struct pack_set *packs, struct err *e)
{
	struct run_set *set;
	bool names;

	if (index_refresh(ix, e) < 0)
		return -1;
	pthread_mutex_lock(&ix->refresh);
	names = ix->damaged.n || ix->replaced.n;
	pthread_mutex_unlock(&ix->refresh);
	set = index_hold(ix);
	for (size_t i = 0; i < set->n && !names; i++)
		names = run_names_any(set->runs[i]->run, packs);
	index_release(ix, set);
	return names;
}
