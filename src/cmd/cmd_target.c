/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/cli.h"
#include "repo/parity.h"
#include "repo/store_arbiter.h"

/* ---- target init ---- */

/* The first key: a new one to a file, one from a file, or a passphrase. */
static struct credential *first_key(struct cli *c, struct err *e)
{
	const char *path = parsed_text(&c->p, "new-key-file");

	if (path && parsed_given(&c->p, "key-file")) {
		err_set(e, ERR_INVALID,
			"--new-key-file makes a key, --key-file uses one that is there: give one "
			"of "
			"them");
		return NULL;
	}
	if (path)
		return credential_make_file(path, e);
	path = parsed_text(&c->p, "key-file");
	return path ? credential_load(path, e)
		    : cli_ask_new("passphrase for the new repository", e);
}

static int is_empty(struct store *s, struct err *e)
{
	if (store_has(s, "holdfast", NULL) > 0)
		return err_set(e, ERR_EXISTS,
			       "%s holds a repository already: look at it with 'holdfast target "
			       "show'",
			       s->url);
	return 0;
}

int cmd_target_init(struct cli *c, struct err *e)
{
	const char *label = parsed_text(&c->p, "label");
	struct repo_options o = {0};
	AUTO(credential) key = NULL;
	char id[UUID_TEXT];

	if (cli_percent(c, "parity", PARITY_PERCENT_MAX, &o.parity, e) < 0 ||
	    cli_open_target(c, true, e) < 0 || is_empty(c->store, e) < 0)
		return -1;
	key = first_key(c, e);
	if (!key)
		return -1;
	if (repo_create(c->store, key, label ? label : "first key", &o, e) < 0) {
		const char *made = parsed_text(&c->p, "new-key-file");

		if (made)
			unlink(made); /* it opens nothing */
		return -1;
	}
	c->repo = repo_open(c->store, key, e);
	if (!c->repo)
		return -1;
	uuid_text(keyring_repo_id(repo_keys(c->repo)), id);
	if (c->json)
		cli_json(json_pack("{s:s,s:s}", "id", id, "target", c->store->url));
	else
		printf("created repository %s in %s\n"
		       "keep its key apart from it, and add a second one: 'holdfast target key "
		       "add'\n",
		       id, c->store->url);
	return 0;
}

/* ---- target arbiter ---- */

int cmd_target_arbiter(struct cli *c, struct err *e)
{
	struct repo *r;

	if (cli_open_target(c, true, e) < 0 || cli_open_repo(c, e) < 0 ||
	    cli_confirm(c, "is every backup and collection of this target ended?", e) < 0)
		return -1;
	r = c->repo;
	if (store_arbiter_take(c->store, keyring_repo_id(repo_keys(r)), repo_parity(r), e) < 0)
		return -1;
	if (c->json)
		cli_json(json_pack("{s:s}", "target", c->store->url));
	else
		printf("from now on %s decides what is written to %s: name it wherever this "
		       "target is written to\n",
		       c->store->arbiter, c->store->url);
	return 0;
}

/* ---- target show ---- */

struct usage {
	uint64_t packs, pack_bytes, index_bytes, points, sessions, parity_bytes;
};

static int count(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct usage *u = arg;

	(void)e;
	if (strncmp(key, "packs/", 6) == 0) {
		u->packs++;
		u->pack_bytes += size;
	} else if (strncmp(key, "index/", 6) == 0) {
		u->index_bytes += size;
	} else if (strncmp(key, "parity/", 7) == 0) {
		u->parity_bytes += size;
	} else if (strncmp(key, "points/", 7) == 0) {
		u->points++;
	} else {
		u->sessions++;
	}
	return 0;
}

static int measure(struct store *s, struct usage *u, struct err *e)
{
	static const char *const prefixes[] = {"packs/", "index/", "points/", "parity/",
					       "sessions/"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (store_list(s, prefixes[i], count, u, e) < 0)
			return -1;
	}
	return 0;
}

int cmd_target_show(struct cli *c, struct err *e)
{
	char id[UUID_TEXT], packs[HUMAN_TEXT], index[HUMAN_TEXT];
	size_t slots, runs, damaged;
	struct usage u = {0};
	struct keyring *k;
	uint64_t entries;

	if (cli_nameless(c, e) < 0 || cli_open(c, e) < 0 || measure(c->store, &u, e) < 0)
		return -1;
	k = repo_keys(c->repo);
	keyring_slots(k, &slots);
	index_state(repo_index(c->repo), &runs, &entries, &damaged);
	uuid_text(keyring_repo_id(k), id);
	if (c->json) {
		cli_json(json_pack(
			"{s:s,s:s,s:s?,s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:i,s:I}", "id", id,
			"target", c->store->url, "arbiter", c->store->arbiter, "format", 1,
			"key_slots", (json_int_t)slots, "key_generation",
			(json_int_t)keyring_generation(k), "checkpoints", (json_int_t)u.points,
			"packs", (json_int_t)u.packs, "pack_bytes", (json_int_t)u.pack_bytes,
			"index_bytes", (json_int_t)u.index_bytes, "blocks", (json_int_t)entries,
			"damaged_runs", (json_int_t)damaged, "sessions", (json_int_t)u.sessions,
			"parity_percent", (int)repo_parity(c->repo), "parity_bytes",
			(json_int_t)u.parity_bytes));
		return 0;
	}
	cli_field("repository", "%s", id);
	cli_field("target", "%s", c->store->url);
	if (c->store->arbiter)
		cli_field("arbiter", "%s", c->store->arbiter);
	cli_field("format", "version 1");
	cli_field("keys", "%zu slot%s, generation %u", slots, slots == 1 ? "" : "s",
		  keyring_generation(k));
	cli_field("checkpoints", "%llu", (unsigned long long)u.points);
	cli_field("stored", "%s in %llu packs, %llu blocks", human_bytes(u.pack_bytes, packs),
		  (unsigned long long)u.packs, (unsigned long long)entries);
	cli_field("index", "%s in %zu runs%s", human_bytes(u.index_bytes, index), runs,
		  damaged ? ", some damaged: the next backup repairs them" : "");
	if (repo_parity(c->repo) || u.parity_bytes)
		cli_field("parity", "%s%s", human_bytes(u.parity_bytes, packs),
			  repo_parity(c->repo) ? "" : " of some packs; new ones get none");
	cli_field("writers", "%llu at work or dead", (unsigned long long)u.sessions);
	return 0;
}

/* ---- keys ---- */

static json_t *slot_json(const struct keyring *k, const struct keyring_slot *s)
{
	char id[UUID_TEXT], added[CLOCK_TEXT];

	return json_pack("{s:s,s:s,s:s,s:s,s:b}", "id", uuid_text(&s->id, id), "kind",
			 credential_kind_name(s->kind), "label", s->label, "added",
			 clock_rfc3339(s->added_us, added), "in_use",
			 uuid_equal(&s->id, keyring_opened_by(k)));
}

int cmd_key_list(struct cli *c, struct err *e)
{
	static const char *const titles[] = {"slot", "kind", "added", "name", ""};
	const struct keyring_slot *slots;
	struct table *t;
	json_t *list;
	size_t n;

	if (cli_open(c, e) < 0)
		return -1;
	slots = keyring_slots(repo_keys(c->repo), &n);
	if (c->json) {
		list = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, slot_json(repo_keys(c->repo), &slots[i]));
		cli_json(list);
		return 0;
	}
	t = table_new(titles, "lllll");
	for (size_t i = 0; i < n; i++) {
		bool used = uuid_equal(&slots[i].id, keyring_opened_by(repo_keys(c->repo)));
		char id[UUID_TEXT], added[CLOCK_TEXT];
		const char *const cells[] = {uuid_text(&slots[i].id, id),
					     credential_kind_name(slots[i].kind),
					     clock_local(slots[i].added_us, added), slots[i].label,
					     used ? "(this one)" : ""};

		table_row(t, cells);
	}
	table_print(t);
	return 0;
}

static struct credential *added_key(struct cli *c, struct err *e)
{
	const char *make = parsed_text(&c->p, "new-key-file");
	const char *from = parsed_text(&c->p, "from-file");

	if (make && from) {
		err_set(e, ERR_INVALID, "give one of --new-key-file and --from-file");
		return NULL;
	}
	if (make)
		return credential_make_file(make, e);
	return from ? credential_load(from, e) : cli_ask_new("new passphrase", e);
}

int cmd_key_add(struct cli *c, struct err *e)
{
	const char *label = parsed_text(&c->p, "label");
	const char *made = parsed_text(&c->p, "new-key-file");
	AUTO(credential) key = NULL;
	const struct keyring_slot *slots;
	char id[UUID_TEXT];
	size_t n;

	if (cli_open(c, e) < 0 || repo_check_writable(c->repo, e) < 0)
		return -1;
	key = added_key(c, e);
	if (!key)
		return -1;
	if (keyring_add_slot(repo_keys(c->repo), c->store, key, label, NULL, e) < 0) {
		if (made)
			unlink(made);
		return -1;
	}
	slots = keyring_slots(repo_keys(c->repo), &n);
	if (c->json)
		cli_json(slot_json(repo_keys(c->repo), &slots[n - 1]));
	else
		printf("added key slot %s\n", uuid_text(&slots[n - 1].id, id));
	return 0;
}

/* The slot whose id starts with these digits. */
static const struct keyring_slot *find_slot(const struct keyring *k, const char *prefix,
					    struct err *e)
{
	const struct keyring_slot *slots, *found = NULL;
	char id[UUID_TEXT];
	size_t n;

	slots = keyring_slots(k, &n);
	for (size_t i = 0; i < n; i++) {
		uuid_text(&slots[i].id, id);
		if (strncmp(id, prefix, strlen(prefix)) != 0)
			continue;
		if (found) {
			err_set(e, ERR_INVALID, "slot '%s' means more than one: give more digits",
				prefix);
			return NULL;
		}
		found = &slots[i];
	}
	if (!found)
		err_set(e, ERR_NOENT, "there is no key slot '%s': see 'holdfast target key list'",
			prefix);
	return found;
}

int cmd_key_remove(struct cli *c, struct err *e)
{
	const struct keyring_slot *slot;
	char question[512], id[UUID_TEXT];
	struct uuid which;

	if (cli_open(c, e) < 0 || repo_check_writable(c->repo, e) < 0)
		return -1;
	slot = find_slot(repo_keys(c->repo), c->p.args[0], e);
	if (!slot)
		return -1;
	which = slot->id;
	snprintf(question, sizeof(question), "remove key slot %s (%s)?", uuid_text(&which, id),
		 slot->label);
	if (cli_confirm(c, question, e) < 0 ||
	    keyring_remove_slot(repo_keys(c->repo), c->store, &which, e) < 0)
		return -1;
	if (c->json)
		cli_json(json_pack("{s:s}", "removed", id));
	else
		printf("removed key slot %s\n", id);
	return 0;
}

#define KEEP_MAX 64

static int rotate(struct cli *c, struct credential **keep, struct err *e)
{
	const char **files = parsed_list(&c->p, "keep-key");
	size_t n = 1;
	int rc = 0;

	keep[0] = c->credential;
	for (size_t i = 0; files && files[i] && rc == 0; i++) {
		if (n == KEEP_MAX) {
			rc = err_set(e, ERR_LIMIT, "more than %d keys", KEEP_MAX);
			break;
		}
		keep[n] = credential_load(files[i], e);
		rc = keep[n] ? 0 : -1;
		n += rc == 0;
	}
	if (rc == 0)
		rc = keyring_rotate(repo_keys(c->repo), c->store,
				    (const struct credential *const *)keep, n,
				    parsed_flag(&c->p, "drop-others"), NULL, e);
	for (size_t i = 1; i < n; i++)
		credential_free(keep[i]);
	free(files);
	return rc;
}

int cmd_key_rotate(struct cli *c, struct err *e)
{
	struct credential *keep[KEEP_MAX];
	uint32_t generation;

	if (cli_open(c, e) < 0 || repo_check_writable(c->repo, e) < 0 || rotate(c, keep, e) < 0)
		return -1;
	generation = keyring_generation(repo_keys(c->repo));
	if (c->json)
		cli_json(json_pack("{s:I}", "key_generation", (json_int_t)generation));
	else
		printf("new data is written under key generation %u\n", generation);
	return 0;
}
