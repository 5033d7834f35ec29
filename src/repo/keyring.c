/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/keyring_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repo/box.h"
#include "repo/lock.h"

static struct keyring *new_ring(void)
{
	struct keyring *k = xcalloc(1, sizeof(*k));

	k->secret = secret_new(sizeof(struct ring_keys));
	return k;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->n_slots; i++)
		free(k->slots[i].label);
	secret_free(k->secret);
	free(k);
}

/* A copy to change: the ring in use must not get ahead of what is stored, or it would seal with a
 * key that nobody else ever gets. */
static struct keyring *copy_ring(const struct keyring *k)
{
	struct keyring *copy = new_ring();
	struct secret *secret = copy->secret;

	*copy = *k;
	copy->secret = secret;
	memcpy(secret->data, k->secret->data, sizeof(struct ring_keys));
	for (size_t i = 0; i < k->n_slots; i++)
		copy->slots[i].label = xstrdup(k->slots[i].label);
	return copy;
}

static void add_generation(struct keyring *k)
{
	struct ring_keys *keys = ring_keys(k);
	struct generation *g = &keys->gens[k->n_gens];

	g->number = k->n_gens ? g[-1].number + 1 : 1;
	g->time_us = clock_wall_us();
	random_bytes(g->key, SEAL_KEY);
	k->n_gens++;
}

/* Fill slot `i` for this credential. On failure the slot keeps what it had. */
static int fill_slot(struct keyring *k, size_t i, const struct credential *c, const char *label,
		     const struct keyring_cost *cost, struct err *e)
{
	struct keyring_slot was = k->slots[i];

	if (label && strlen(label) > KEYRING_LABEL_MAX)
		return err_set(e, ERR_INVALID, "the label has %zu bytes; at most %d are allowed",
			       strlen(label), KEYRING_LABEL_MAX);
	k->slots[i] = (struct keyring_slot){.id = uuid_random(), .added_us = clock_wall_us()};
	if (keyring_wrap(k, i, c, cost, e) < 0) {
		k->slots[i] = was;
		return -1;
	}
	k->slots[i].label = xstrdup(label ? label : "");
	return 0;
}

struct keyring *keyring_new(const struct uuid *id, const struct credential *c, const char *label,
			    const struct keyring_cost *cost, struct err *e)
{
	AUTO(keyring) k = new_ring();

	k->repo_id = *id;
	k->version = 1;
	random_bytes(ring_keys(k)->root, SEAL_KEY);
	random_bytes(ring_keys(k)->id_key, SEAL_KEY);
	add_generation(k);
	if (fill_slot(k, 0, c, label, cost, e) < 0)
		return NULL;
	k->n_slots = 1;
	k->opened_by = k->slots[0].id;
	return steal(&k);
}

/* ---- versions in the store ---- */

static void ring_name(uint32_t version, bool copy, char out[STORE_KEY_MAX])
{
	snprintf(out, STORE_KEY_MAX, "keys/%u%s", version, copy ? ".copy" : "");
}

uint32_t keyring_key_parse(const char *key)
{
	unsigned long n;
	char *end;

	if (strncmp(key, "keys/", 5) != 0 || key[5] < '1' || key[5] > '9')
		return 0;
	n = strtoul(key + 5, &end, 10);
	if (n > UINT32_MAX || (*end && strcmp(end, ".copy") != 0))
		return 0;
	return (uint32_t)n;
}

static int note_newest(void *arg, const char *key, uint64_t size, struct err *e)
{
	uint32_t *below = arg, n = keyring_key_parse(key);

	(void)size;
	(void)e;
	/* below[0]: look under this; below[1]: the highest found there. */
	if (n < below[0] && n > below[1])
		below[1] = n;
	return 0;
}

/* The highest version under `below`, 0 when there is none. */
static int newest_below(struct store *s, uint32_t below, uint32_t *ret_n, struct err *e)
{
	uint32_t pair[2] = {below, 0};

	if (store_list(s, "keys/", note_newest, pair, e) < 0)
		return -1;
	*ret_n = pair[1];
	return 0;
}

struct old_versions {
	struct store *store;
	uint32_t below;
};

static int remove_old(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct old_versions *old = arg;
	uint32_t n = keyring_key_parse(key);

	(void)size;
	return n && n < old->below ? store_remove(old->store, key, e) : 0;
}

/*
 * Store version k->version. ERR_CONFLICT: somebody else stored that version, or a higher one.
 *
 * If interrupted after keys/N: that version counts, its copy is missing, older ones are still
 * there. If interrupted later: as complete; the next change removes what is left of old versions.
 */
static int store_version(struct keyring *k, struct store *s, struct err *e)
{
	struct old_versions old = {s, k->version};
	char name[STORE_KEY_MAX], copy[STORE_KEY_MAX];
	AUTO_BUF bytes = BUF_INIT;
	struct err why = {0};
	uint32_t newest;

	keyring_encode(k, &bytes);
	ring_name(k->version, false, name);
	ring_name(k->version, true, copy);
	if (store_put_new(s, name, bytes.data, bytes.len, &why) < 0) {
		if (e)
			*e = why;
		if (why.kind == ERR_EXISTS)
			err_set(e, ERR_CONFLICT, "somebody else changed the keys at the same time");
		return -1;
	}
	if (newest_below(s, UINT32_MAX, &newest, e) < 0)
		return -1;
	if (newest > k->version) {
		store_remove(s, name, NULL);
		return err_set(e, ERR_CONFLICT, "somebody else changed the keys at the same time");
	}
	if (store_put_new(s, copy, bytes.data, bytes.len, e) < 0)
		return -1;
	/* Locked checkpoints need the new ring as they did the old ones, which go. */
	if (s->locks && lock_keys(s, e) < 0)
		return -1;
	return store_list(s, "keys/", remove_old, &old, e);
}

int keyring_store(struct keyring *k, struct store *s, struct err *e)
{
	uint32_t newest;

	if (newest_below(s, UINT32_MAX, &newest, e) < 0)
		return -1;
	if (newest)
		return err_set(e, ERR_EXISTS, "%s has keys already", s->url);
	return store_version(k, s, e);
}

/* Read version n, from its copy when the first is damaged. */
static int load_version(struct store *s, uint32_t n, struct buf *ret_bytes, struct keyring *k,
			struct err *e)
{
	char name[STORE_KEY_MAX];
	struct err first = {0};

	for (int copy = 0; copy < 2; copy++) {
		struct err *err = copy ? e : &first;
		AUTO_BUF bytes = BUF_INIT;

		ring_name(n, copy, name);
		if (store_slurp(s, name, KEYRING_OBJECT_MAX, &bytes, err) == 0 &&
		    keyring_decode_slots(k, bytes.data, bytes.len, err) == 0) {
			*ret_bytes = bytes;
			bytes = BUF_INIT;
			return 0;
		}
	}
	if (e && first.kind != ERR_NOENT)
		*e = first; /* what is wrong with the object itself says more */
	return err_wrap(e, "%s/keys/%u", s->url, n);
}

/* Try every slot that fits; one that cannot be tried does not stop the others. */
static int try_slots(struct keyring *k, const struct credential *c, size_t *ret_slot, struct err *e)
{
	struct err why = {0};

	*ret_slot = 0;
	for (size_t i = 0; i < k->n_slots; i++) {
		if (keyring_unwrap(k, i, c, ring_keys(k)->root, &why) > 0) {
			*ret_slot = i;
			return 0;
		}
	}
	if (why.kind != ERR_NONE) {
		if (e)
			*e = why;
		return -1;
	}
	return err_set(
		e, ERR_KEY,
		"this %s opens none of the repository's %zu key slot%s: try another key, see "
		"'holdfast help target key'",
		credential_kind_name(c->kind), k->n_slots, k->n_slots == 1 ? "" : "s");
}

/* Open one version, or fail. */
static struct keyring *open_version(struct store *s, uint32_t n, const struct credential *c,
				    struct err *e)
{
	AUTO(keyring) k = new_ring();
	AUTO_BUF bytes = BUF_INIT;
	size_t slot;

	if (load_version(s, n, &bytes, k, e) < 0)
		return NULL;
	if (k->version != n) {
		err_set(e, ERR_CORRUPT, "%s/keys/%u says that it is version %u", s->url, n,
			k->version);
		return NULL;
	}
	if (try_slots(k, c, &slot, e) < 0)
		return NULL;
	k->opened_by = k->slots[slot].id;
	if (keyring_decode_body(k, bytes.data, bytes.len, e) < 0) {
		err_wrap(e, "%s/keys/%u", s->url, n);
		return NULL;
	}
	return steal(&k);
}

/*
 * The highest version under `below` that is whole. A damaged one is passed over for an older one
 * only if such a one is still there, which is the case when its writer died half-way. *ret_first:
 * the highest that was there, 0: none.
 */
static struct keyring *open_newest(struct store *s, const struct credential *c, uint32_t *ret_first,
				   struct err *e)
{
	uint32_t below = UINT32_MAX, n;
	struct err first = {0};

	*ret_first = 0;
	for (;;) {
		struct keyring *k;
		struct err why = {0};

		if (newest_below(s, below, &n, e) < 0)
			return NULL;
		if (n == 0)
			break;
		k = open_version(s, n, c, &why);
		if (k)
			return k;
		if (*ret_first == 0) {
			*ret_first = n;
			first = why;
		}
		if (why.kind != ERR_CORRUPT && why.kind != ERR_NOENT)
			break;
		below = n;
	}
	if (*ret_first == 0)
		err_set(&first, ERR_NOENT,
			"%s holds no repository: create one with 'holdfast target init'", s->url);
	if (e)
		*e = first;
	return NULL;
}

/* Whoever changes the keys meanwhile removes old versions under our eyes: look again as long as
 * there is a newer one. */
struct keyring *keyring_open(struct store *s, const struct credential *c, struct err *e)
{
	for (;;) {
		uint32_t first, newest;
		struct keyring *k = open_newest(s, c, &first, e);

		if (k)
			return k;
		if (first == 0 || newest_below(s, UINT32_MAX, &newest, NULL) < 0 || newest <= first)
			return NULL;
	}
}

/* ---- what is in it ---- */

const struct uuid *keyring_repo_id(const struct keyring *k)
{
	return &k->repo_id;
}

const struct keyring_slot *keyring_slots(const struct keyring *k, size_t *ret_n)
{
	*ret_n = k->n_slots;
	return k->slots;
}

const struct uuid *keyring_opened_by(const struct keyring *k)
{
	return &k->opened_by;
}

uint32_t keyring_generation(const struct keyring *k)
{
	return ring_keys(k)->gens[k->n_gens - 1].number;
}

uint64_t keyring_generation_time_us(const struct keyring *k)
{
	return ring_keys(k)->gens[k->n_gens - 1].time_us;
}

const uint8_t *keyring_key(const struct keyring *k, uint32_t generation, struct err *e)
{
	for (size_t i = 0; i < k->n_gens; i++) {
		if (ring_keys(k)->gens[i].number == generation)
			return ring_keys(k)->gens[i].key;
	}
	err_set(e, ERR_CORRUPT, "sealed with key generation %u, which the key ring does not hold",
		generation);
	return NULL;
}

void keyring_derive(const struct keyring *k, const char *info, uint8_t *out, size_t n)
{
	hkdf(ring_keys(k)->id_key, SEAL_KEY, NULL, 0, info, out, n);
}

void keyring_id_key(const struct keyring *k, enum key_use use, uint8_t out[SEAL_KEY])
{
	static const char *const infos[] = {
		[KEY_DATA] = "holdfast id data",
		[KEY_NODE] = "holdfast id node",
		[KEY_PRINT] = "holdfast print",
	};

	keyring_derive(k, infos[use], out, SEAL_KEY);
}

/* ---- changing it ---- */

/* Store `next` as the version after `k`; only if that was done is it the ring in use. */
static int replace_ring(struct keyring *k, struct keyring *next, struct store *s, struct err *e)
{
	struct keyring was = *k;

	next->version++;
	if (store_version(next, s, e) < 0)
		return -1;
	*k = *next;
	*next = was;
	return 0;
}

int keyring_add_slot(struct keyring *k, struct store *s, const struct credential *c,
		     const char *label, const struct keyring_cost *cost, struct err *e)
{
	AUTO(keyring) next = copy_ring(k);

	if (next->n_slots == SLOTS_MAX)
		return err_set(e, ERR_LIMIT, "all %d key slots are taken: remove one first",
			       SLOTS_MAX);
	if (fill_slot(next, next->n_slots, c, label, cost, e) < 0)
		return -1;
	next->n_slots++;
	return replace_ring(k, next, s, e);
}

static void drop_slot(struct keyring *k, size_t i)
{
	free(k->slots[i].label);
	k->n_slots--;
	memmove(&k->slots[i], &k->slots[i + 1], (k->n_slots - i) * sizeof(k->slots[0]));
	memmove(k->raw[i], k->raw[i + 1], (k->n_slots - i) * SLOT_BYTES);
}

int keyring_remove_slot(struct keyring *k, struct store *s, const struct uuid *slot, struct err *e)
{
	AUTO(keyring) next = copy_ring(k);
	char text[UUID_TEXT];
	size_t i = 0;

	while (i < k->n_slots && !uuid_equal(&k->slots[i].id, slot))
		i++;
	if (i == k->n_slots)
		return err_set(e, ERR_NOENT, "there is no key slot %s", uuid_text(slot, text));
	if (k->n_slots == 1)
		return err_set(e, ERR_INVALID,
			       "this is the last key slot: without it nobody could open the "
			       "repository; add another one first");
	drop_slot(next, i);
	return replace_ring(k, next, s, e);
}

/* Which credential opens which slot; -1 in `of_slot` for a slot that none opens. */
static int match_slots(const struct keyring *k, const struct credential *const *keep, size_t n,
		       int of_slot[SLOTS_MAX], struct err *e)
{
	uint8_t root[SEAL_KEY];
	bool used[SLOTS_MAX] = {false};

	for (size_t i = 0; i < k->n_slots; i++) {
		of_slot[i] = -1;
		for (size_t j = 0; j < n && of_slot[i] < 0; j++) {
			int rc = keyring_unwrap(k, i, keep[j], root, e);

			if (rc < 0)
				return -1;
			if (rc) {
				of_slot[i] = (int)j;
				used[j] = true;
			}
		}
	}
	secret_wipe(root, sizeof(root));
	for (size_t j = 0; j < n; j++) {
		if (!used[j])
			return err_set(e, ERR_KEY, "key number %zu of those to keep opens no slot",
				       j + 1);
	}
	return 0;
}

int keyring_rotate(struct keyring *k, struct store *s, const struct credential *const *keep,
		   size_t n, bool drop_others, const struct keyring_cost *cost, struct err *e)
{
	AUTO(keyring) next = copy_ring(k);
	int of_slot[SLOTS_MAX];
	char text[UUID_TEXT];

	if (n == 0)
		return err_set(e, ERR_INVALID, "no key to keep: nobody could open the repository");
	if (n > SLOTS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d keys to keep", SLOTS_MAX);
	if (k->n_gens == GENERATIONS_MAX)
		return err_set(e, ERR_LIMIT, "the keys were rotated %d times: no more room",
			       GENERATIONS_MAX - 1);
	if (match_slots(k, keep, n, of_slot, e) < 0)
		return -1;
	for (size_t i = 0; i < k->n_slots; i++) {
		if (of_slot[i] < 0 && !drop_others)
			return err_set(e, ERR_INVALID,
				       "slot %s (%s) would be lost: give its key with --keep-key, "
				       "or drop such slots with --drop-others",
				       uuid_text(&k->slots[i].id, text), k->slots[i].label);
	}
	random_bytes(ring_keys(next)->root, SEAL_KEY);
	add_generation(next);
	for (size_t i = next->n_slots; i-- > 0;) {
		if (of_slot[i] < 0)
			drop_slot(next, i);
		else if (keyring_wrap(next, i, keep[of_slot[i]], cost, e) < 0)
			return -1;
	}
	return replace_ring(k, next, s, e);
}
