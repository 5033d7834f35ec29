/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checkpoints that nobody can remove: locks and legal holds.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"

int cli_lock(const struct cli *c, struct lock_ask *ret, struct err *e)
{
	const char *mode = parsed_text(&c->p, "lock-mode");
	struct lock_ask ask = {.mode = LOCK_GOVERNANCE};

	if (!parsed_text(&c->p, "lock")) {
		*ret = (struct lock_ask){0};
		return mode ? err_set(e, ERR_INVALID,
				      "--lock-mode %s: for how long? Say so with --lock TIME", mode)
			    : 0;
	}
	if (mode && strcmp(mode, "compliance") == 0)
		ask.mode = LOCK_COMPLIANCE;
	if (cli_duration(c, "lock", &ask.for_us, e) < 0)
		return -1;
	*ret = ask;
	return 0;
}

int cli_locks_kept(const struct lock_kept *k, struct err *e)
{
	return k->failed ? err_set(e, ERR_DENIED,
				   "%llu objects that locked checkpoints need could not be locked "
				   "for as long: %s",
				   (unsigned long long)k->failed, k->first.msg)
			 : 0;
}

/* ---- deleting what may be locked ---- */

int cli_lock_of(struct cli *c, const struct point *p, struct store_lock *ret, struct err *e)
{
	char key[STORE_KEY_MAX];

	point_key_name(&p->id, key);
	return lock_get(c->store, key, ret, e);
}

int cli_may_delete(struct cli *c, const struct point *p, struct err *e)
{
	bool bypass = parsed_flag(&c->p, "bypass-governance");
	char id[UUID_TEXT], text[LOCK_TEXT];
	struct store_lock lock;

	if (cli_lock_of(c, p, &lock, e) < 0)
		return -1;
	if (!c->store->locks || !lock_in_force(c->store, &lock))
		return 0;
	uuid_text(&p->id, id);
	id[8] = 0;
	lock_text(&lock, text);
	if (lock.held)
		return err_set(e, ERR_DENIED,
			       "checkpoint %s is locked %s: 'holdfast checkpoint release' ends it",
			       id, text);
	if (lock.mode == LOCK_COMPLIANCE)
		return err_set(e, ERR_DENIED,
			       "checkpoint %s is locked %s: nobody can delete it before then", id,
			       text);
	return bypass ? 0
		      : err_set(e, ERR_DENIED,
				"checkpoint %s is locked %s: who has the right to can delete it "
				"with --bypass-governance",
				id, text);
}

int cli_delete_point(struct cli *c, const struct point *p, struct err *e)
{
	char key[STORE_KEY_MAX];

	if (!parsed_flag(&c->p, "bypass-governance") || !c->store->locks)
		return point_delete(c->repo, &p->id, e);
	point_key_name(&p->id, key);
	if (c->store->locks->remove(store_locker(c->store), key, e) < 0)
		return -1;
	/* What an arbiter has of it, too. */
	return c->store->arbiter ? store_remove(c->store, key, e) : 0;
}

/* ---- legal holds ---- */

/* Held now, released now. */
static void told(struct cli *c, const struct point *p, bool on, json_t *list)
{
	char id[UUID_TEXT];

	json_array_append_new(list, json_string(uuid_text(&p->id, id)));
	if (!c->json)
		printf("%s checkpoint %s\n", on ? "held" : "released", id);
}

static int change_holds(struct cli *c, const struct point_list *l, bool on, json_t *list,
			struct err *e)
{
	AUTO_FREE const struct point **v = NULL;
	size_t n;

	if (cli_choose_points(c, l, &v, &n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (on ? lock_hold(c->repo, v[i], &c->cancel, e) < 0
		       : lock_release(c->repo, l, v[i], &c->cancel, e) < 0)
			return -1;
		told(c, v[i], on, list);
	}
	if (c->json)
		cli_json(json_pack("{s:O}", on ? "held" : "released", list));
	return 0;
}

static int hold_or_release(struct cli *c, bool on, struct err *e)
{
	json_t *list = json_array();
	struct point_list l;
	int rc = cli_load_points(c, &l, e);

	if (rc == 0) {
		rc = change_holds(c, &l, on, list, e);
		point_list_done(&l);
	}
	json_decref(list);
	return rc;
}

int cmd_checkpoint_hold(struct cli *c, struct err *e)
{
	return hold_or_release(c, true, e);
}

int cmd_checkpoint_release(struct cli *c, struct err *e)
{
	return hold_or_release(c, false, e);
}

/* ---- target unhide ---- */

struct unhiding {
	struct cli *c;
	json_t *found, *left;
};

static void on_found(void *arg, const char *key, const char *why)
{
	struct unhiding *u = arg;
	char text[1024];

	json_array_append_new(why ? u->left : u->found, json_string(key));
	if (!why)
		return;
	snprintf(text, sizeof(text), "%s stays hidden: %s", key, why);
	cli_note(u->c, LOG_LEVEL_ERROR, text);
}

static int unhide(struct unhiding *u, struct err *e)
{
	struct store *s = u->c->store;
	size_t left;

	if (!s->locks)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s: what was removed from a directory is gone: nothing is locked "
			       "there",
			       s->url);
	if (s->locks->unhide(store_locker(s), on_found, u, e) < 0)
		return -1;
	left = json_array_size(u->left);
	if (u->c->json)
		cli_json(json_pack("{s:O,s:O}", "brought_back", u->found, "left", u->left));
	else
		printf("brought back %zu locked objects that were hidden or overwritten\n"
		       "'holdfast target collect' makes the index anew if that is gone\n",
		       json_array_size(u->found));
	return left ? err_set(e, ERR_DENIED,
			      "%zu locked object%s could not be brought back: the access key may "
			      "not remove what lies before, nor write there",
			      left, left == 1 ? "" : "s")
		    : 0;
}

int cmd_target_unhide(struct cli *c, struct err *e)
{
	struct unhiding u = {c, NULL, NULL};
	int rc;

	if (cli_open_target(c, false, e) < 0)
		return -1;
	u.found = json_array();
	u.left = json_array();
	rc = unhide(&u, e);
	json_decref(u.found);
	json_decref(u.left);
	return rc;
}
