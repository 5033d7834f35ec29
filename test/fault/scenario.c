/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "mover/copy.h"
#include "repo/collect.h"
#include "scenario_priv.h"

const struct session_options in_pieces = {.pack_bytes = 300, .run_entries = 1};

void make_content(struct disk *d, uint32_t number)
{
	struct random rnd = {1};

	disk_make_small(d, 0, CONTENT_BLOCKS);
	for (size_t i = 0; i < CONTENT_BLOCKS; i++)
		random_fill(&rnd, d->data + i * BLOCK, 200, true);
	memset(d->data + BLOCK, 0, BLOCK);
	for (size_t i = 0; i < CONTENT_BLOCKS; i += 3)
		put_le32(d->data + i * BLOCK, number);
}

struct repo *open_repo(struct store *s, struct err *e)
{
	AUTO(credential) c = test_credential(1);

	return repo_open(s, c, e);
}

/* ---- steps ---- */

static int step_create(struct store *s, struct ledger *l, struct err *e)
{
	AUTO(credential) c = test_credential(1);

	if (repo_create(s, c, "first", NULL, e) < 0)
		return -1;
	l->created = true;
	return 0;
}

/* The newest of our own that should be there; NULL: none. */
static const struct uuid *newest(const struct ledger *l)
{
	for (size_t i = l->n; i-- > 0;) {
		const struct ledger_point *p = &l->points[i];

		if (p->committed && !p->deleting && !p->copy)
			return &p->id;
	}
	return NULL;
}

static int backup(struct store *s, struct ledger *l, const struct session_options *o, struct err *e)
{
	AUTO(repo) r = open_repo(s, e);
	const struct uuid *before = newest(l);
	struct ledger_point *p = &l->points[l->n];
	struct disk d;
	int rc;

	if (!r)
		return -1;
	p->content = (uint32_t)l->n + 1;
	make_content(&d, p->content);
	l->n++;
	rc = before ? protect_after(r, o, &d, before, &p->id, e)
		    : protect(r, o, &d, &p->id, NULL, e);
	p->committed = rc == 0;
	disk_done(&d);
	return rc;
}

static int step_backup(struct store *s, struct ledger *l, struct err *e)
{
	return backup(s, l, NULL, e);
}

/* Many small packs and runs. */
static int step_backup_in_pieces(struct store *s, struct ledger *l, struct err *e)
{
	return backup(s, l, &in_pieces, e);
}

static int step_delete(struct store *s, struct ledger *l, struct err *e)
{
	AUTO(repo) r = open_repo(s, e);

	for (size_t i = 0; r && i < l->n; i++) {
		struct ledger_point *p = &l->points[i];

		if (!p->committed || p->deleting)
			continue;
		p->deleting = true;
		p->deleted = point_delete(r, &p->id, e) == 0;
		return p->deleted ? 0 : -1;
	}
	return -1;
}

static int step_key_add(struct store *s, struct ledger *l, struct err *e)
{
	AUTO(credential) two = test_credential(2);
	AUTO(repo) r = open_repo(s, e);

	if (!r || keyring_add_slot(repo_keys(r), s, two, "second", NULL, e) < 0)
		return -1;
	l->key_added = true;
	return 0;
}

static int step_rotate(struct store *s, struct ledger *l, struct err *e)
{
	AUTO(credential) one = test_credential(1);
	AUTO(credential) two = test_credential(2);
	const struct credential *keep[] = {one, two};
	AUTO(repo) r = open_repo(s, e);
	size_t n;

	if (!r)
		return -1;
	keyring_slots(repo_keys(r), &n);
	if (keyring_rotate(repo_keys(r), s, keep, n, false, NULL, e) < 0)
		return -1;
	l->rotated = true;
	return 0;
}

/* A writer that leaves blocks behind and is declared dead. */
static int step_dead_writer(struct store *s, struct ledger *l, struct err *e)
{
	AUTO(repo) r = open_repo(s, e);
	struct block_id id;
	char text[UUID_TEXT];
	struct writer w;
	int rc;

	(void)l;
	if (!r)
		return -1;
	rc = writer_begin(&w, r, NULL, e);
	if (rc == 0 && writer_put(&w, "lost", 4, &id, e) < 0)
		rc = -1;
	if (rc == 0)
		rc = store_session_revoke(s, uuid_text(session_id(w.s), text), e);
	writer_end(&w);
	return rc;
}

/* Nobody else is there: whatever session is found is a dead writer's. */
static int collect(struct repo *r, struct collect_result *ret, struct err *e)
{
	static const struct collect_options o = {.waste_percent = 1};

	return collect_run(r, &o, ret, e);
}

static int step_collect(struct store *s, struct ledger *l, struct err *e)
{
	AUTO(repo) r = open_repo(s, e);
	struct collect_result result;

	(void)l;
	return r ? collect(r, &result, e) : -1;
}

typedef int step_fn(struct store *s, struct ledger *l, struct err *e);

static step_fn *const steps[] = {
	step_create,  step_backup,	     step_backup_in_pieces, step_delete,
	step_key_add, step_backup_in_pieces, step_rotate,	    step_backup_in_pieces,
	step_copy,    step_damage,	     step_repair,	    step_dead_writer,
	step_collect, step_backup_in_pieces, step_delete,	    step_backup,
	step_delete,  step_collect,
};

void scenario_run(struct store *s, bool go_on, struct ledger *l)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		l->steps++;
		if (steps[i](s, l, NULL) == 0)
			continue;
		l->failed++;
		if (!go_on)
			return;
	}
}

/* ---- the check ---- */

static const struct ledger_point *in_ledger(const struct ledger *l, const struct uuid *id)
{
	for (size_t i = 0; i < l->n; i++) {
		if (uuid_equal(&l->points[i].id, id))
			return &l->points[i];
	}
	return NULL;
}

static bool listed(const struct point_list *list, const struct uuid *id)
{
	for (size_t i = 0; i < list->n; i++) {
		if (uuid_equal(copy_origin(list->points[i]), id))
			return true;
	}
	return false;
}

static bool reads_back(struct repo *r, const struct uuid *id, const struct disk *d)
{
	AUTO_BUF b = BUF_INIT;

	return read_point(r, id, &b, NULL) == 0 && b.len == d->size &&
	       memcmp(b.data, d->data, d->size) == 0;
}

/* `later` (may be NULL) was made after the ledger. */
static const char *check_points(struct repo *r, const struct ledger *l, const struct uuid *later,
				const struct point_list *list)
{
	if (list->n_damaged)
		return "a checkpoint is damaged";
	for (size_t i = 0; i < list->n; i++) {
		const struct uuid *id = &list->points[i]->id;
		const struct ledger_point *p = in_ledger(l, copy_origin(list->points[i]));
		struct disk d;
		bool good;

		if (!p && later && uuid_equal(id, later))
			continue;
		if (!p)
			return "a checkpoint that nobody made";
		if (p->deleted)
			return "a deleted checkpoint is there";
		make_content(&d, p->content);
		good = reads_back(r, id, &d);
		disk_done(&d);
		if (!good)
			return p->committed ? "an acknowledged checkpoint does not restore"
					    : "a checkpoint that is listed does not restore";
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct ledger_point *p = &l->points[i];

		if (p->committed && !p->deleting && !listed(list, &p->id))
			return "an acknowledged checkpoint is gone";
	}
	return NULL;
}

/* Everything that ever was. */
static void make_all(struct disk *all)
{
	enum { ALL = (COPIED_CONTENT + 1) * CONTENT_BLOCKS };

	*all = (struct disk){xcalloc(ALL, BLOCK), ALL * BLOCK};
	for (uint32_t n = 0; n <= COPIED_CONTENT; n++) {
		struct disk d;

		make_content(&d, n);
		memcpy(all->data + n * d.size, d.data, d.size);
		disk_done(&d);
	}
}

/* A new backup of it: blocks that count as known must be there. */
static const char *check_new_backup(struct repo *r, struct uuid *ret_id)
{
	const char *wrong = NULL;
	struct disk all;

	make_all(&all);
	if (protect(r, NULL, &all, ret_id, NULL, NULL) < 0)
		wrong = "a later backup fails";
	else if (!reads_back(r, ret_id, &all))
		wrong = "a later backup does not restore";
	disk_done(&all);
	return wrong;
}

static const char *check_keys(struct store *s, const struct ledger *l)
{
	AUTO(credential) one = test_credential(1);
	AUTO(credential) two = test_credential(2);
	AUTO(keyring) k = keyring_open(s, one, NULL);
	AUTO(keyring) second = keyring_open(s, two, NULL);

	if (!k)
		return "the first key does not open it";
	if (l->key_added && !second)
		return "an acknowledged key does not open it";
	if (l->rotated && keyring_generation(k) < 2)
		return "an acknowledged rotation is gone";
	return NULL;
}

/* Whatever a collector, or anybody, left half done: one more gives back all that is not needed. */
static const char *check_collected(struct repo *r, struct store *s)
{
	struct collect_result first, second;

	if (collect(r, &first, NULL) < 0)
		return "a later collector fails";
	if (first.kept)
		return "a collector finds packs that cannot be read";
	if (test_count(s, "epochs/"))
		return "an epoch does not end";
	if (test_count(s, "tmp/"))
		return "a temporary file stays";
	if (collect(r, &second, NULL) < 0 || second.dropped || second.unfinished)
		return "a collector left something for the next one";
	return NULL;
}

static int revoke_one(void *arg, const char *key, uint64_t size, struct err *e)
{
	(void)size;
	return store_session_revoke(arg, key + strlen("sessions/"), e);
}

static const char *check_listed(struct repo *r, const struct ledger *l, const struct uuid *later)
{
	struct point_list list = {0};
	const char *wrong;

	if (point_list_load(r, &list, NULL) < 0)
		return "the checkpoints cannot be listed";
	wrong = check_points(r, l, later, &list);
	point_list_done(&list);
	return wrong;
}

static const char *check_repo(struct repo *r, struct store *s, const struct ledger *l)
{
	size_t runs, damaged;
	const char *wrong;
	uint64_t entries;
	struct uuid later;
	struct disk all;

	wrong = check_listed(r, l, NULL);
	index_state(repo_index(r), &runs, &entries, &damaged);
	if (!wrong && damaged)
		wrong = "an index run is damaged";
	if (!wrong)
		wrong = check_new_backup(r, &later);
	if (!wrong && store_list(s, "sessions/", revoke_one, s, NULL) < 0)
		wrong = "what is left of dead sessions cannot be ended";
	if (!wrong)
		wrong = check_collected(r, s);
	if (wrong)
		return wrong;
	make_all(&all);
	if (!reads_back(r, &later, &all))
		wrong = "what is collected does not restore";
	disk_done(&all);
	return wrong ? wrong : check_listed(r, l, &later);
}

/* Whoever is interrupted while he repairs begins again. */
static const char *check_repair(struct store *s, const struct ledger *l)
{
	if (l->damaging && !l->repaired && repair_copy(s, NULL) < 0)
		return "what is damaged cannot be repaired";
	return NULL;
}

const char *scenario_check(struct store *s, const struct ledger *l)
{
	AUTO(credential) one = test_credential(1);
	struct err why = {0};
	const char *wrong;
	struct repo *r;

	/* An interrupted creation is finished by the next one. */
	if (!l->created && repo_create(s, one, "again", NULL, &why) < 0 && why.kind != ERR_EXISTS)
		return "it cannot be created again";
	wrong = check_keys(s, l);
	if (!wrong)
		wrong = check_repair(s, l);
	if (wrong)
		return wrong;
	r = repo_open(s, one, NULL);
	if (!r)
		return "the repository cannot be opened";
	wrong = check_repo(r, s, l);
	repo_free(r);
	/* And a new process sees the same. */
	r = wrong ? NULL : repo_open(s, one, NULL);
	if (r) {
		struct point_list list = {0};

		if (point_list_load(r, &list, NULL) < 0 || list.n == 0)
			wrong = "a later backup is gone";
		point_list_done(&list);
		repo_free(r);
	}
	return wrong;
}
