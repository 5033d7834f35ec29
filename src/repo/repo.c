/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/repo.h"

#include <stdio.h>

struct repo {
	struct store *store;
	struct keyring *keys;
	struct index *index;
	struct pack_heads *heads;
	unsigned parity;
	bool read_only, arbitrated; /* as the header says */
	char *warning;
};

/* Can there be writers in this place? Better found out before there is anything in it. */
static int try_session(struct store *s, struct err *e)
{
	struct uuid id = uuid_random();
	char text[UUID_TEXT];
	struct store_session *ss = store_session_begin(s, uuid_text(&id, text), "", 0, e);

	store_session_end(ss);
	return ss ? 0 : -1;
}

/*
 * If interrupted before the header: keys without a header, which repo_create finishes when it is
 * called again with a key that opens them, and which repo_open accepts.
 */
int repo_create(struct store *s, const struct credential *c, const char *label,
		const struct repo_options *o, struct err *e)
{
	struct header h = {.id = uuid_random(),
			   .parity = o ? o->parity : 0,
			   .arbiter = s->arbiter ? uuid_random() : (struct uuid){{0}}};
	AUTO(keyring) k = keyring_new(&h.id, c, label, o ? o->cost : NULL, e);
	AUTO_BUF header = BUF_INIT;
	struct err why = {0};

	if (!k || try_session(s, e) < 0)
		return -1;
	if (keyring_store(k, s, &why) < 0) {
		AUTO(keyring) there = NULL;

		if (why.kind != ERR_EXISTS || store_has(s, HEADER_KEY, NULL) > 0) {
			if (e)
				*e = why;
			return -1;
		}
		there = keyring_open(s, c, e);
		if (!there)
			return -1;
		h.id = *keyring_repo_id(there);
	}
	header_encode(&h, &header);
	return store_put_new(s, HEADER_KEY, header.data, header.len, e);
}

int repo_header(struct store *s, struct header *ret_h, struct err *e)
{
	AUTO_BUF text = BUF_INIT;

	if (store_slurp(s, HEADER_KEY, HEADER_MAX, &text, e) < 0)
		return -1;
	return header_decode(text.data, text.len, ret_h, e);
}

/* What became of the header: it agrees with the keys, or it is damaged, which does no harm. */
static int judge_header(struct repo *r, const struct header *h, const struct err *why,
			struct err *e)
{
	if (why->kind != ERR_NONE) {
		r->warning =
			xasprintf("the repository's header is missing or damaged, which does no "
				  "harm as long as its keys are whole (%s)",
				  why->msg);
		return 0;
	}
	if (!uuid_equal(&h->id, keyring_repo_id(r->keys)))
		return err_set(e, ERR_CORRUPT,
			       "%s: the header and the keys belong to different repositories",
			       r->store->url);
	r->read_only = h->read_only;
	r->arbitrated = !uuid_is_zero(&h->arbiter);
	r->parity = h->parity;
	return 0;
}

struct repo *repo_open(struct store *s, const struct credential *c, struct err *e)
{
	AUTO(repo) r = xcalloc(1, sizeof(*r));
	struct header h = {0};
	struct err why = {0};

	r->store = s;
	if (repo_header(s, &h, &why) < 0 && why.kind != ERR_CORRUPT && why.kind != ERR_NOENT &&
	    why.kind != ERR_LIMIT) {
		if (e)
			*e = why;
		return NULL;
	}
	r->keys = keyring_open(s, c, e);
	if (!r->keys || judge_header(r, &h, &why, e) < 0)
		return NULL;
	r->index = index_new(s, r->keys);
	r->heads = pack_heads_new(s);
	if (index_refresh(r->index, e) < 0)
		return NULL;
	return steal(&r);
}

void repo_free(struct repo *r)
{
	if (!r)
		return;
	index_free(r->index);
	pack_heads_free(r->heads);
	keyring_free(r->keys);
	free(r->warning);
	free(r);
}

struct store *repo_store(const struct repo *r)
{
	return r->store;
}

struct keyring *repo_keys(const struct repo *r)
{
	return r->keys;
}

struct index *repo_index(const struct repo *r)
{
	return r->index;
}

struct pack_heads *repo_heads(const struct repo *r)
{
	return r->heads;
}

const char *repo_warning(const struct repo *r)
{
	return r->warning;
}

unsigned repo_parity(const struct repo *r)
{
	return r->parity;
}

int repo_check_writable(const struct repo *r, struct err *e)
{
	if (r->read_only)
		return err_set(e, ERR_VERSION,
			       "%s uses features for writing that this version does not know: use "
			       "a newer version of holdfast",
			       r->store->url);
	if (r->arbitrated && !r->store->arbiter)
		return err_set(e, ERR_UNSUPPORTED,
			       "an arbiter decides what is written to %s, and the target does not "
			       "name it: add it, as in %s?arbiter=dir:PATH",
			       r->store->url, r->store->url);
	if (!r->arbitrated && r->store->arbiter && !r->warning)
		return err_set(e, ERR_UNSUPPORTED,
			       "%s was made without an arbiter: leave it out of the target, or let "
			       "it decide from now on by 'holdfast target arbiter'",
			       r->store->url);
	return 0;
}
