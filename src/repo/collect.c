/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of a collector; the numbers are the steps of format section 11.
 *
 *   survey    what is needed, pack by pack; from that, what to drop. Only a guess, which decides
 * how much space is won (1) condemn   the epoch (2), and the end of all who may not know of it (3)
 *   save      in a session: what is needed now and has no place elsewhere is copied, and the index
 *             written without what goes (4 to 7)
 *   remove    packs, runs, epochs (8)
 *
 * Where there is no room for copies, only packs go that need none: that makes room.
 *
 * If interrupted after `condemn`, or in `remove`, the epoch stays, and the next run takes its packs
 * into its own. If interrupted in `save`, copies that are in no run yet are packs of a dead writer.
 */
#include "repo/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "repo/collect_priv.h"
#include "repo/epoch.h"
#include "repo/lock.h"
#include "repo/parity_store.h"
#include "repo/session.h"
#include "repo/writers.h"

/* ---- survey ---- */

/* Nothing is to be dropped, so no writer has to be waited for; but dead ones may have left packs.
 * Where something is, that ends the dead, and what they left goes in the next run. */
static int survey_again(struct collector *c, struct err *e)
{
	size_t dead;

	collect_doing(c, "looking whether backups under way are alive");
	if (writers_bury(repo_store(c->repo), c->o->dead_after_us, c->o->cancel, &dead, e) < 0)
		return -1;
	return dead ? collect_survey_anew(c, e) : 0;
}

/* ---- condemn ---- */

static int condemn(struct collector *c, struct err *e)
{
	if (epoch_publish(c->repo, &c->drop, e) < 0)
		return -1;
	collect_doing(c, "waiting for writers");
	return writers_wait(repo_store(c->repo), c->o->dead_after_us, c->o->waiting, c->o->arg,
			    c->o->cancel, e);
}

/* ---- save ---- */

static void begin_copies(struct collector *c)
{
	c->n_copies = 0;
}

static int note_copy(void *arg, const struct location *l, bool marked, struct err *e)
{
	struct collector *c = arg;

	(void)e;
	if (!marked || !pack_set_has(&c->drop, l->pack))
		return 0;
	if (c->n_copies == c->cap_copies) {
		c->cap_copies = c->cap_copies ? c->cap_copies * 2 : 1024;
		c->copies = xreallocarray(c->copies, c->cap_copies, sizeof(*c->copies));
	}
	c->copies[c->n_copies++] = *l;
	return 0;
}

/* As they lie: so they are read in long ranges, and keep their order. But what is whole comes
 * before deltas: of a block that is both, the whole one may be the base of others. */
static int by_place(const void *a, const void *b)
{
	const struct location *x = a, *y = b;
	int rc = (x->at.encoding == BLOCK_DELTA) - (y->at.encoding == BLOCK_DELTA);

	if (rc == 0)
		rc = memcmp(x->pack, y->pack, HASH_BYTES);
	return rc ? rc : (x->at.offset > y->at.offset) - (x->at.offset < y->at.offset);
}

static int safe_elsewhere(struct collector *c, struct fetch *f, const struct block_id *id,
			  bool full, struct err *e);

static int is_safe_place(struct collector *c, struct fetch *f, const struct location *l, bool full,
			 struct err *e)
{
	bool delta = l->at.encoding == BLOCK_DELTA;
	AUTO_FREE uint8_t *buf = NULL;
	size_t len;

	if (delta && full)
		return 0;
	buf = xmalloc(l->at.stored);
	if (fetch_payload(f, l, buf, &len, NULL) < 0)
		return 0;
	return delta ? safe_elsewhere(c, f, &l->at.base, true, e) : 1;
}

/*
 * Has it a place elsewhere, from which it can be read, and is it whole there if it is to be `full`?
 * The index is not enough: what goes may be the last copy that is whole. 1, 0, -1.
 */
static int safe_elsewhere(struct collector *c, struct fetch *f, const struct block_id *id,
			  bool full, struct err *e)
{
	struct location places[INDEX_PLACES];
	int safe = 0;
	size_t n;

	if (index_find(repo_index(c->repo), id, session_condemned(c->session), true, places, &n,
		       e) < 0)
		return -1;
	for (size_t i = 0; i < n && safe == 0; i++)
		safe = is_safe_place(c, f, &places[i], full, e);
	return safe;
}

/* As good a place as this one. */
static int safe_without(struct collector *c, struct fetch *f, const struct location *l,
			struct err *e)
{
	return safe_elsewhere(c, f, &l->at.id, l->at.encoding != BLOCK_DELTA, e);
}

/* This place cannot be read, and no other is as good; but one where the block is stored as a change
 * of another may do. */
static int copy_from_elsewhere(struct collector *c, const struct location *l, struct err *e)
{
	size_t stored = 0;
	int found;

	if (!c->rescue)
		c->rescue = rescue_new(c->session);
	found = rescue_block(c->rescue, &l->at.id, &stored, e);
	c->result->copied += stored;
	if (found == 0) {
		c->failed = xreallocarray(c->failed, c->n_failed + 1, sizeof(*c->failed));
		c->failed[c->n_failed++] = *l;
	}
	return MIN(found, 0);
}

static int copy_one(struct collector *c, struct fetch *f, const struct location *l, uint8_t *buf,
		    struct err *e)
{
	int safe = safe_without(c, f, l, e);
	struct err why = {0};
	size_t n, stored;

	if (safe)
		return safe < 0 ? -1 : 0;
	if (fetch_payload(f, l, buf, &n, &why) < 0) {
		log_debug("copying: %s", why.msg);
		return copy_from_elsewhere(c, l, e);
	}
	if (session_put(c->session, l->at.kind, &l->at.id, l->at.encoding, buf, n, &stored, e) < 0)
		return -1;
	c->result->copied += stored;
	return 0;
}

static int copy_all(struct collector *c, struct err *e)
{
	AUTO(fetch) f = fetch_new(c->repo);
	AUTO_FREE uint8_t *buf = NULL;
	struct yielding yielding;
	size_t most = 0;

	yielding_init(&yielding, repo_store(c->repo));
	for (size_t i = 0; i < c->n_copies; i++)
		most = MAX(most, (size_t)c->copies[i].at.stored);
	buf = xmalloc(most);
	if (c->n_copies)
		qsort(c->copies, c->n_copies, sizeof(*c->copies), by_place);
	for (size_t i = 0; i < c->n_copies; i++) {
		if (yielding_pause(&yielding, c->o->cancel, e) < 0 ||
		    copy_one(c, f, &c->copies[i], buf, e) < 0)
			return -1;
	}
	return session_publish(c->session, e);
}

/* It stays; how many did. */
static size_t keep(struct collector *c, const uint8_t name[HASH_BYTES])
{
	size_t n = c->drop.n, kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (memcmp(c->drop.names[i], name, HASH_BYTES) != 0)
			memmove(c->drop.names[kept++], c->drop.names[i], HASH_BYTES);
	}
	c->drop.n = kept;
	return n - kept;
}

/* What could not be read may have had another place among the packs that go, or have been copied by
 * another collector. Else its pack stays: some day it can perhaps be read, or repaired. */
static int keep_unread(struct collector *c, struct err *e)
{
	AUTO(fetch) f = fetch_new(c->repo);

	if (c->n_failed && index_refresh(repo_index(c->repo), e) < 0)
		return -1;
	for (size_t i = 0; i < c->n_failed; i++) {
		int safe = safe_without(c, f, &c->failed[i], e);

		if (safe < 0)
			return -1;
		if (!safe)
			c->result->kept += keep(c, c->failed[i].pack);
	}
	return 0;
}

/* The packs of other epochs, and those of ours that stay. */
static void others(struct collector *c, struct pack_set *ret)
{
	const struct pack_set *all = session_condemned(c->session);

	*ret = (struct pack_set){0};
	for (size_t i = 0; i < all->n; i++) {
		if (!pack_set_has(&c->drop, all->names[i]))
			pack_set_add(ret, all->names[i]);
	}
	pack_set_sort(ret);
}

static int save_in_session(struct collector *c, struct err *e)
{
	struct pack_set leave;
	int rc;

	if (collect_tell_marks(c, collect_marks_now, begin_copies, note_copy, e) < 0)
		return -1;
	collect_doing(c, "copying what is needed");
	if (copy_all(c, e) < 0 || keep_unread(c, e) < 0)
		return -1;
	others(c, &leave);
	rc = session_drop(c->session, &c->drop, &leave, e);
	pack_set_done(&leave);
	return rc;
}

static int save(struct collector *c, struct err *e)
{
	struct err why = {0};
	int rc = -1;

	c->session = session_begin(c->repo, NULL, &why);
	if (c->session)
		rc = save_in_session(c, &why);
	rescue_free(c->rescue);
	c->rescue = NULL;
	session_free(c->session);
	c->session = NULL;
	if (rc == 0)
		return 0;
	if (why.kind == ERR_NOENT || why.kind == ERR_CONFLICT)
		return err_set(e, ERR_CONFLICT,
			       "this collector was taken for dead, or another one was faster: try "
			       "again; nothing was removed that is needed");
	if (e)
		*e = why;
	return -1;
}

/* ---- remove ---- */

static void name_of_pack(const void *arg, size_t i, char out[STORE_KEY_MAX])
{
	const struct pack_set *set = arg;

	pack_key_name(set->names[i], out);
}

/* What a writer that began before it was condemned has locked stays, and so does its epoch, until
 * the lock has ended. */
static int remove_unlocked(struct collector *c, struct err *e)
{
	for (size_t i = 0; i < c->drop.n;) {
		uint8_t name[HASH_BYTES];
		int stays;

		memcpy(name, c->drop.names[i], HASH_BYTES);
		stays = lock_remove_pack(repo_store(c->repo), name, e);
		if (stays < 0)
			return -1;
		if (stays)
			c->result->locked += keep(c, name);
		else
			i++;
	}
	return 0;
}

static int remove_packs(struct collector *c, struct err *e)
{
	struct store *s = repo_store(c->repo);

	return store_can_lock(s) ? remove_unlocked(c, e)
				 : store_remove_many(s, c->drop.n, name_of_pack, &c->drop, e);
}

static int remove_all(struct collector *c, struct err *e)
{
	collect_doing(c, "removing what is not");
	if (remove_packs(c, e) < 0 || parity_sweep(repo_store(c->repo), e) < 0)
		return -1;
	/* Every writer that was there when they were noted has ended. */
	if ((c->drop.n || !c->writers) && store_unfinished(repo_store(c->repo), true, e) < 0)
		return -1;
	/* A damaged run may have been there only for a pack that could not be read either. */
	if (index_is_damaged(repo_index(c->repo)) && session_heal_index(c->repo, e) < 0)
		return -1;
	if (index_prune(repo_index(c->repo), e) < 0)
		return -1;
	return epoch_end_all(c->repo, e);
}

/* ---- a run ---- */

static void sum_up(struct collector *c)
{
	for (size_t i = 0; i < c->drop.n; i++) {
		const struct pack_fact *f = collect_fact(c, c->drop.names[i]);

		c->result->dropped += f != NULL;
		c->result->dropped_bytes += f ? f->size : 0;
	}
}

static int condemn_and_save(struct collector *c, struct err *e)
{
	return c->drop.n && (condemn(c, e) < 0 || save(c, e) < 0) ? -1 : 0;
}

/* What was copied in vain goes with what nobody needs. */
static int save_frugally(struct collector *c, struct err *e)
{
	collect_doing(c, "there is no room for copies: first what needs none");
	c->frugal = true;
	c->n_failed = 0;
	if (collect_survey_anew(c, e) < 0)
		return -1;
	if (!c->drop.n)
		return err_set(
			e, ERR_NOSPACE,
			"there is no room to copy what is needed of the packs that could go");
	c->result->more = true;
	return condemn_and_save(c, e);
}

static int save_what_is_needed(struct collector *c, struct err *e)
{
	struct err why = {0};
	int rc = condemn_and_save(c, &why);

	if (rc < 0 && why.kind == ERR_NOSPACE) {
		why = (struct err){0};
		rc = save_frugally(c, &why);
	}
	if (rc == 0)
		return 0;
	if (why.kind == ERR_NOSPACE)
		return err_set(e, ERR_NOSPACE,
			       "%s: a collector has to write a little before it can remove "
			       "anything; make some room beside the repository, or delete further "
			       "checkpoints, and collect again",
			       why.msg);
	if (e)
		*e = why;
	return -1;
}

static int run(struct collector *c, struct err *e)
{
	if (repo_check_writable(c->repo, e) < 0)
		return -1;
	if (!c->o->dry_run && store_sweep(repo_store(c->repo), e) < 0)
		return -1;
	if (collect_survey(c, e) < 0)
		return -1;
	if (!c->o->dry_run) {
		if (!c->drop.n && c->writers && survey_again(c, e) < 0)
			return -1;
		if (save_what_is_needed(c, e) < 0)
			return -1;
		/* What was copied is locked before what it was copied from goes. */
		if (lock_keep(c->repo, c->o->cancel, &c->result->locks, e) < 0 ||
		    remove_all(c, e) < 0 ||
		    lock_clear(repo_store(c->repo), &c->result->cleared, e) < 0)
			return -1;
	}
	sum_up(c);
	return 0;
}

int collect_run(struct repo *r, const struct collect_options *o, struct collect_result *ret,
		struct err *e)
{
	struct collector c = {.repo = r, .o = o, .result = ret};
	int rc;

	*ret = (struct collect_result){0};
	rc = run(&c, e);
	free(c.packs);
	free(c.copies);
	free(c.failed);
	pack_set_done(&c.drop);
	pack_set_done(&c.old_epochs);
	return rc;
}

static void add(struct collect_result *sum, const struct collect_result *r)
{
	sum->dropped += r->dropped;
	sum->dropped_bytes += r->dropped_bytes;
	sum->copied += r->copied;
	sum->kept = r->kept;
	sum->unfinished = r->unfinished;
	sum->locked = r->locked;
	sum->locked_bytes = r->locked_bytes;
	sum->cleared += r->cleared;
	sum->locks = r->locks;
}

int collect_all(struct repo *r, const struct collect_options *o, struct collect_result *ret,
		struct err *e)
{
	struct collect_result one;

	if (collect_run(r, o, ret, e) < 0)
		return -1;
	for (one = *ret; one.more && one.dropped && !o->dry_run; add(ret, &one)) {
		if (collect_run(r, o, &one, e) < 0)
			return -1;
	}
	return 0;
}
