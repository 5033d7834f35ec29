/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading blocks that are deltas: through their base, and never without it; also those that nobody
 * should have written.
 */
#include "fetch_fixture.h"

#include <string.h>

/* A delta against `base` that makes f->data, behind the base's id. */
static struct buf make_delta(struct fetch_fixture *f, const struct block_id *base_id,
			     const void *base)
{
	struct buf b = BUF_INIT;

	b.len = codec_delta(f->c, base_id, base, BLOCK, f->data, BLOCK, buf_reserve(&b, BLOCK),
			    BLOCK);
	assert_true(b.len > 0);
	return b;
}

/* A base of noise and a delta that changes a little of it, which is left in f->data. */
struct pair {
	uint8_t *base;
	struct block_id base_id, id;
	struct buf delta;
};

static void make_pair(struct fetch_fixture *f, struct pair *p)
{
	p->base = xmalloc(BLOCK);
	random_fill(&f->rnd, p->base, BLOCK, true);
	codec_id(f->c, BLOCK_DATA, p->base, BLOCK, &p->base_id);
	memcpy(f->data, p->base, BLOCK);
	memset(f->data + 5000, 7, 50);
	codec_id(f->c, BLOCK_DATA, f->data, BLOCK, &p->id);
	p->delta = make_delta(f, &p->base_id, p->base);
	assert_true(p->delta.len < 1000);
}

static void pair_done(struct pair *p)
{
	free(p->base);
	buf_done(&p->delta);
}

static void test_delta(void **state)
{
	struct fetch_fixture *f = *state;
	struct pair p;

	make_pair(f, &p);
	{
		struct put puts[2] = {{BLOCK_DATA, BLOCK_RAW, p.base_id, p.base, BLOCK},
				      {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len}};

		store_payloads(f->r, puts, 2);
	}
	for (int i = 0; i < 2; i++) {
		OK(fetch(f, &p.id, e));
		assert_int_equal(memcmp(f->out, f->data, BLOCK), 0);
		OK(fetch(f, &p.base_id, e));
		assert_int_equal(memcmp(f->out, p.base, BLOCK), 0);
	}
	pair_done(&p);
}

static void test_delta_without_its_base(void **state)
{
	struct fetch_fixture *f = *state;
	struct pair p;

	make_pair(f, &p);
	{
		struct put put = {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len};

		store_payloads(f->r, &put, 1);
	}
	FAILS(ERR_CORRUPT, fetch(f, &p.id, e));
	pair_done(&p);
}

/* A base of another kind is no base. */
static void test_delta_of_a_node(void **state)
{
	struct fetch_fixture *f = *state;
	struct pair p;

	make_pair(f, &p);
	{
		struct put puts[2] = {{BLOCK_NODE, BLOCK_RAW, p.base_id, p.base, BLOCK},
				      {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len}};

		store_payloads(f->r, puts, 2);
	}
	FAILS(ERR_CORRUPT, fetch(f, &p.id, e));
	pair_done(&p);
}

static void test_delta_of_a_delta(void **state)
{
	struct fetch_fixture *f = *state;
	struct block_id third;
	struct buf second;
	struct pair p;
	char key[STORE_KEY_MAX];
	struct location l;

	make_pair(f, &p);
	memcpy(f->out, f->data, BLOCK);
	memset(f->data + 9000, 8, 50);
	codec_id(f->c, BLOCK_DATA, f->data, BLOCK, &third);
	second = make_delta(f, &p.id, f->out);
	{
		struct put puts[3] = {{BLOCK_DATA, BLOCK_RAW, p.base_id, p.base, BLOCK},
				      {BLOCK_DATA, BLOCK_DELTA, p.id, p.delta.data, p.delta.len},
				      {BLOCK_DATA, BLOCK_DELTA, third, second.data, second.len}};

		store_payloads(f->r, puts, 3);
	}
	pack_of(f, &third, key, &l);
	OK(fetch(f, &p.id, e));
	assert_blames(f, &third, key);
	buf_done(&second);
	pair_done(&p);
}

/* A delta cut short, at every length of its head; one that makes other content. */
static void test_damaged_deltas(void **state)
{
	static const size_t lengths[] = {0, 1, 31, 32, 33, 40};
	struct fetch_fixture *f = *state;
	struct put puts[ARRAY_LEN(lengths) + 2];
	struct block_id wrong = {{0xbb}};
	char key[STORE_KEY_MAX];
	struct location l;
	struct pair p;

	make_pair(f, &p);
	puts[0] = (struct put){BLOCK_DATA, BLOCK_RAW, p.base_id, p.base, BLOCK};
	puts[1] = (struct put){BLOCK_DATA, BLOCK_DELTA, wrong, p.delta.data, p.delta.len};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct block_id id = {{0xcc, (uint8_t)i}};

		puts[i + 2] = (struct put){BLOCK_DATA, BLOCK_DELTA, id, p.delta.data, lengths[i]};
	}
	store_payloads(f->r, puts, ARRAY_LEN(puts));
	pack_of(f, &wrong, key, &l);
	assert_blames(f, &wrong, key);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		FAILS(ERR_CORRUPT, fetch(f, &puts[i + 2].id, e));
	pair_done(&p);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fetch_set_up, fetch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_delta),		 T(test_delta_without_its_base),
		T(test_delta_of_a_node), T(test_delta_of_a_delta),
		T(test_damaged_deltas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
