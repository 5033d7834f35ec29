/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/epoch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repo/object.h"
#include "repo/record.h"

enum tag { TAG_NUMBER = 1, TAG_PACK = 2 };

void epoch_encode(uint64_t number, const struct pack_set *packs, struct buf *out)
{
	record_u64(out, TAG_NUMBER, number);
	for (size_t i = 0; i < packs->n; i++)
		record_add(out, TAG_PACK, packs->names[i], HASH_BYTES);
}

int epoch_decode(const void *body, size_t n, struct pack_set *add_to, struct err *e)
{
	struct cur list = cur_of(body, n);
	uint8_t name[HASH_BYTES];
	struct record r;
	uint64_t number;
	int rc;

	while ((rc = record_next(&list, &r, e)) > 0) {
		if (r.tag == TAG_NUMBER) {
			rc = record_get_u64(&r, &number, e);
		} else if (r.tag == TAG_PACK) {
			rc = record_get_bytes(&r, name, HASH_BYTES, e);
			if (rc == 0)
				pack_set_add(add_to, name);
		} else {
			rc = record_unknown(&r, "an epoch", e);
		}
		if (rc < 0)
			return -1;
	}
	return rc;
}

void epoch_key_name(uint64_t number, char out[STORE_KEY_MAX])
{
	snprintf(out, STORE_KEY_MAX, "epochs/%llu", (unsigned long long)number);
}

uint64_t epoch_key_parse(const char *key)
{
	const char *n = key + strlen("epochs/");

	if (strncmp(key, "epochs/", strlen("epochs/")) != 0 || n[0] < '1' || n[0] > '9' ||
	    n[strspn(n, "0123456789")])
		return 0;
	return strtoull(n, NULL, 10);
}

int epoch_publish(struct repo *r, const struct pack_set *packs, struct err *e)
{
	AUTO_BUF body = BUF_INIT;
	AUTO_BUF object = BUF_INIT;
	char key[STORE_KEY_MAX];
	uint64_t number = 0;

	while (number == 0)
		random_bytes(&number, sizeof(number));
	epoch_encode(number, packs, &body);
	object_seal(repo_keys(r), BOX_EPOCH, &body, &object);
	epoch_key_name(number, key);
	return store_put_new(repo_store(r), key, object.data, object.len, e);
}

struct reading {
	struct repo *repo;
	struct pack_set set;
};

static int read_epoch(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct reading *rd = arg;
	struct store *s = repo_store(rd->repo);
	AUTO_BUF body = BUF_INIT;
	struct err why = {0};

	(void)size;
	if (!epoch_key_parse(key))
		return 0;
	if (object_get(s, repo_keys(rd->repo), key, BOX_EPOCH, &body, NULL, &why) == 0)
		return epoch_decode(body.data, body.len, &rd->set, e) < 0
			       ? err_wrap(e, "%s/%s", s->url, key)
			       : 0;
	if (why.kind == ERR_NOENT)
		return 0; /* its collector is done */
	if (e)
		*e = why;
	return -1;
}

int epoch_condemned(struct repo *r, struct pack_set *ret_set, struct err *e)
{
	struct reading rd = {.repo = r};

	if (store_list(repo_store(r), "epochs/", read_epoch, &rd, e) < 0) {
		pack_set_done(&rd.set);
		return -1;
	}
	pack_set_sort(&rd.set);
	*ret_set = rd.set;
	return 0;
}

/* ---- the end ---- */

/* What is there when the epochs are known: names of packs, and of epochs. */
struct ending {
	struct repo *repo;
	struct pack_set left;
	char (*epochs)[STORE_KEY_MAX];
	size_t n;
};

static int note_left(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct ending *g = arg;
	uint8_t name[HASH_BYTES];

	(void)size;
	(void)e;
	if (pack_key_parse(key, name))
		pack_set_add(&g->left, name);
	return 0;
}

static int note_epoch(void *arg, const char *key, uint64_t size, struct err *e)
{
	struct ending *g = arg;

	(void)size;
	(void)e;
	g->epochs = xreallocarray(g->epochs, g->n + 1, STORE_KEY_MAX);
	snprintf(g->epochs[g->n++], STORE_KEY_MAX, "%s", key);
	return 0;
}

static bool any_left(const struct ending *g, const struct pack_set *set)
{
	for (size_t i = 0; i < set->n; i++) {
		if (pack_set_has(&g->left, set->names[i]))
			return true;
	}
	return false;
}

static int end_epoch(struct ending *g, const char *key, struct err *e)
{
	struct store *s = repo_store(g->repo);
	AUTO_BUF body = BUF_INIT;
	struct pack_set set = {0};
	struct err why = {0};
	int rc;

	/* One that cannot be read stays; writers refuse to begin, and say why. */
	if (object_get(s, repo_keys(g->repo), key, BOX_EPOCH, &body, NULL, &why) < 0)
		return 0;
	rc = epoch_decode(body.data, body.len, &set, e);
	pack_set_sort(&set);
	if (rc == 0 && !any_left(g, &set)) {
		rc = index_names(repo_index(g->repo), &set, e);
		if (rc == 0)
			rc = store_remove(s, key, e);
	}
	pack_set_done(&set);
	return rc < 0 ? -1 : 0;
}

/* The epochs are listed first: a pack was there before the epoch that names it, so one that the
 * second listing does not show is gone. That one listing stands for a question for each pack. */
int epoch_end_all(struct repo *r, struct err *e)
{
	struct ending g = {.repo = r};
	int rc = store_list(repo_store(r), "epochs/", note_epoch, &g, e);

	if (rc == 0 && g.n)
		rc = store_list(repo_store(r), "packs/", note_left, &g, e);
	pack_set_sort(&g.left);
	for (size_t i = 0; i < g.n && rc == 0; i++)
		rc = end_epoch(&g, g.epochs[i], e);
	pack_set_done(&g.left);
	free(g.epochs);
	return rc;
}
