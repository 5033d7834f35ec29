/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is needed, pack by pack, and what a collector chooses to drop.
 */
#include <stdlib.h>
#include <string.h>

#include "repo/collect_priv.h"
#include "repo/epoch.h"
#include "repo/lock.h"
#include "repo/mark.h"
#include "repo/writers.h"

#define WASTE_PERCENT 25
#define COPIES_MAX ((size_t)1 << 19) /* blocks in one run: 56 MiB of memory */
#define TRIES 8			     /* when runs are merged away while they are read */

void collect_doing(struct collector *c, const char *what)
{
	if (c->o->doing)
		c->o->doing(c->o->arg, what);
}

static int by_name(const void *a, const void *b)
{
	return memcmp(((const struct pack_fact *)a)->name, ((const struct pack_fact *)b)->name,
		      HASH_BYTES);
}

struct pack_fact *collect_fact(struct collector *c, const uint8_t name[HASH_BYTES])
{
	struct pack_fact key;

	memcpy(key.name, name, HASH_BYTES);
	return c->n_packs ? bsearch(&key, c->packs, c->n_packs, sizeof(key), by_name) : NULL;
}

static int note_pack(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct collector *c = arg;
	struct pack_fact f = {.size = size};

	(void)e;
	if (!pack_key_parse(key, f.name))
		return 0;
	if (c->n_packs == c->cap_packs) {
		c->cap_packs = c->cap_packs ? c->cap_packs * 2 : 256;
		c->packs = xreallocarray(c->packs, c->cap_packs, sizeof(*c->packs));
	}
	c->packs[c->n_packs++] = f;
	c->result->bytes += size;
	return 0;
}

static int list_packs(struct collector *c, struct err *e)
{
	if (store_list(repo_store(c->repo), "packs/", note_pack, c, e) < 0)
		return -1;
	if (c->n_packs)
		qsort(c->packs, c->n_packs, sizeof(*c->packs), by_name);
	c->result->packs = c->n_packs;
	return 0;
}

struct index_marks *collect_marks_now(struct collector *c, struct err *e)
{
	size_t points = 0;
	struct index_marks *m = mark_points(c->repo, c->o->cancel, &points, e);

	c->result->checkpoints = points;
	return m;
}

static struct index_marks *marks_healed(struct collector *c, struct err *e)
{
	if (!index_is_damaged(repo_index(c->repo))) {
		struct index_marks *m = collect_marks_now(c, e);

		if (m || e->kind != ERR_CORRUPT)
			return m;
	}
	return session_heal_index(c->repo, e) < 0 ? NULL : collect_marks_now(c, e);
}

int collect_tell_marks(struct collector *c,
		       struct index_marks *(*marks)(struct collector *, struct err *),
		       void (*begin)(struct collector *), index_entry_fn *tell, struct err *e)
{
	struct err why = {0};

	for (int tries = 0; tries < TRIES; tries++) {
		AUTO(index_marks) m = marks(c, &why);

		begin(c);
		if (m && index_marks_each(m, tell, c, &why) == 0)
			return 0;
		if (why.kind != ERR_NOENT)
			break;
	}
	if (e)
		*e = why;
	return -1;
}

static void begin_weighing(struct collector *c)
{
	c->result->needed = 0;
	for (size_t i = 0; i < c->n_packs; i++) {
		struct pack_fact *f = &c->packs[i];

		f->total = f->live = f->copies = 0;
		f->listed = false;
	}
}

static int weigh(void *arg, const struct location *l, bool marked, struct err *e)
{
	struct collector *c = arg;
	struct pack_fact *f = collect_fact(c, l->pack);

	if (l->at.encoding == BLOCK_DELTA && l->at.kind != BLOCK_DATA)
		return err_set(e, ERR_VERSION,
			       "the repository holds nodes that need others, which this version "
			       "cannot collect: use a newer version of holdfast");
	if (!f)
		return 0; /* it is gone, or came after the list */
	f->listed = true;
	f->total += l->at.stored;
	if (marked) {
		f->live += l->at.stored;
		f->copies++;
		c->result->needed += l->at.stored;
	}
	return 0;
}

static bool wasteful(const struct collector *c, const struct pack_fact *f)
{
	unsigned percent = c->o->waste_percent ? c->o->waste_percent : WASTE_PERCENT;

	return f->live == 0 || (f->total - f->live) * 100 >= f->total * percent;
}

/* What is needed of a pack that stays is not copied in vain. */
static int drop_unless_locked(struct collector *c, const struct pack_fact *f, size_t *copies,
			      struct err *e)
{
	int locked = lock_has(repo_store(c->repo), f->name, e);

	if (locked > 0) {
		c->result->locked++;
		c->result->locked_bytes += f->size;
	} else if (locked == 0) {
		*copies += f->copies;
		pack_set_add(&c->drop, f->name);
	}
	return locked < 0 ? -1 : 0;
}

/* What costs nothing; of packs that were condemned before, what that costs is added. */
static int choose_dead(struct collector *c, size_t *copies, struct err *e)
{
	for (size_t i = 0; i < c->n_packs; i++) {
		struct pack_fact *f = &c->packs[i];

		if (pack_set_has(&c->old_epochs, f->name)) {
			*copies += f->copies;
		} else if (!f->listed && c->writers) {
			c->result->unfinished++; /* its writer may be at it */
		} else if (f->live == 0 && drop_unless_locked(c, f, copies, e) < 0) {
			return -1;
		}
	}
	return 0;
}

/* And what has to be copied, as far as memory goes. */
static int choose_wasteful(struct collector *c, size_t *copies, struct err *e)
{
	for (size_t i = 0; i < c->n_packs; i++) {
		struct pack_fact *f = &c->packs[i];

		if (f->live == 0 || !wasteful(c, f) || pack_set_has(&c->old_epochs, f->name))
			continue;
		if (*copies + f->copies > COPIES_MAX && *copies) {
			c->result->more = true;
			continue;
		}
		if (drop_unless_locked(c, f, copies, e) < 0)
			return -1;
	}
	return 0;
}

static int choose(struct collector *c, struct err *e)
{
	size_t copies = 0;

	if (choose_dead(c, &copies, e) < 0 || (!c->frugal && choose_wasteful(c, &copies, e) < 0))
		return -1;
	for (size_t i = 0; i < c->old_epochs.n; i++) {
		const struct pack_fact *f = collect_fact(c, c->old_epochs.names[i]);

		if (!c->frugal || (f && f->live == 0))
			pack_set_add(&c->drop, c->old_epochs.names[i]);
	}
	pack_set_sort(&c->drop);
	return 0;
}

int collect_survey(struct collector *c, struct err *e)
{
	collect_doing(c, "finding what checkpoints need");
	/* Of writers that ended before the list, all packs that will ever be in a run are; and all
	 * uploads that were noted before they were counted are those of writers that are. */
	if (store_unfinished(repo_store(c->repo), false, e) < 0 ||
	    writers_count(repo_store(c->repo), &c->writers, e) < 0 || list_packs(c, e) < 0 ||
	    epoch_condemned(c->repo, &c->old_epochs, e) < 0 ||
	    collect_tell_marks(c, marks_healed, begin_weighing, weigh, e) < 0)
		return -1;
	return choose(c, e);
}

int collect_survey_anew(struct collector *c, struct err *e)
{
	free(c->packs);
	c->packs = NULL;
	c->n_packs = c->cap_packs = 0;
	pack_set_done(&c->drop);
	pack_set_done(&c->old_epochs);
	*c->result = (struct collect_result){0};
	return collect_survey(c, e);
}
