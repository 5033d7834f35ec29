/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch_fixture.h: what tests of reading blocks share: a repository whose store is watched, and
 * payloads stored as they are given.
 */
#ifndef HF_TEST_FETCH_FIXTURE_H
#define HF_TEST_FETCH_FIXTURE_H

#include "repo/store_hook.h"
#include "writer.h"

struct fetch_fixture {
	struct store *inner, *s;
	struct repo *r;
	struct fetch *f;
	struct codec *c;
	struct random rnd;
	uint8_t *data, *out; /* BLOCK bytes each */
	hook_fn *hook;
	unsigned gets;
};

int fetch_set_up(void **state);
int fetch_tear_down(void **state);

/* A payload to be stored as it is. */
struct put {
	enum block_kind kind;
	enum block_encoding encoding;
	struct block_id id;
	const void *payload;
	size_t n;
};

/* Store payloads in one session of `r`. */
void store_payloads(struct repo *r, const struct put *puts, size_t n);
/* Fetch a block of BLOCK bytes into f->out. */
int fetch(struct fetch_fixture *f, const struct block_id *id, struct err *e);
/* The pack's name in the store, where the index says the block is. */
void pack_of(struct fetch_fixture *f, const struct block_id *id, char key[STORE_KEY_MAX],
	     struct location *ret_l);
/* The fetch must fail and name this object. */
void assert_blames(struct fetch_fixture *f, const struct block_id *id, const char *key);

#endif
