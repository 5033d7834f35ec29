/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch_fixture.h"

#include <stdlib.h>
#include <string.h>

static int watch(void *arg, enum hook_call call, const char *key, bool after, struct err *e)
{
	struct fetch_fixture *f = arg;

	f->gets += call == HOOK_GET && !after;
	return f->hook ? f->hook(f, call, key, after, e) : 0;
}

int fetch_set_up(void **state)
{
	struct fetch_fixture *f = xcalloc(1, sizeof(*f));
	AUTO(credential) c = test_credential(1);

	f->inner = store_mem_new();
	f->s = store_hook_new(f->inner, watch, f, false);
	OK(repo_create(f->s, c, "", NULL, e));
	f->r = test_reopen(f->s);
	f->f = fetch_new(f->r);
	f->c = codec_new(repo_keys(f->r), 1);
	f->rnd.state = random_seed();
	f->data = xcalloc(1, BLOCK);
	f->out = xcalloc(1, BLOCK);
	*state = f;
	return 0;
}

int fetch_tear_down(void **state)
{
	struct fetch_fixture *f = *state;

	fetch_free(f->f);
	codec_free(f->c);
	repo_free(f->r);
	store_free(f->s);
	store_free(f->inner);
	free(f->data);
	free(f->out);
	free(f);
	return 0;
}

void store_payloads(struct repo *r, const struct put *puts, size_t n)
{
	AUTO(point) p = point_new();
	AUTO(session) s = OK_PTR(session_begin(r, NULL, e));

	for (size_t i = 0; i < n; i++)
		OK(session_put(s, puts[i].kind, &puts[i].id, puts[i].encoding, puts[i].payload,
			       puts[i].n, NULL, e));
	OK(session_commit(s, p, e));
}

int fetch(struct fetch_fixture *f, const struct block_id *id, struct err *e)
{
	size_t len = 0;

	memset(f->out, 0xee, BLOCK);
	if (fetch_block(f->f, BLOCK_DATA, id, f->out, BLOCK, &len, e) < 0)
		return -1;
	return len == BLOCK ? 0 : err_set(e, ERR_INTERNAL, "a block of %zu bytes", len);
}

void pack_of(struct fetch_fixture *f, const struct block_id *id, char key[STORE_KEY_MAX],
	     struct location *ret_l)
{
	OK(fetch_locate(f->f, id, ret_l, e));
	pack_key_name(ret_l->pack, key);
}

void assert_blames(struct fetch_fixture *f, const struct block_id *id, const char *key)
{
	struct err why = {0};

	assert_int_equal(fetch(f, id, &why), -1);
	assert_int_equal(why.kind, ERR_CORRUPT);
	if (!strstr(why.msg, key))
		fail_msg("'%s' does not name %s", why.msg, key);
}
