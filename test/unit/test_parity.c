/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code of parity: that it is what the format says, by arithmetic of our own; and that whatever
 * can be lost comes back, cell by cell.
 */
#include "repo/parity.h"

#include <string.h>

#include "testing.h"

#define CELL PARITY_CELL

/* ---- arithmetic, the slow way ---- */

static uint8_t times(uint8_t a, uint8_t b)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < 8; i++)
		sum ^= b & 1u << i ? (unsigned)a << i : 0;
	for (unsigned i = 15; i >= 8; i--)
		sum ^= sum & 1u << i ? 0x11du << (i - 8) : 0;
	return (uint8_t)sum;
}

static uint8_t inverse(uint8_t a)
{
	for (unsigned b = 1; b < 256; b++) {
		if (times(a, (uint8_t)b) == 1)
			return (uint8_t)b;
	}
	fail_msg("%u has no inverse", a);
	return 0;
}

/* ---- a pack and its parity ---- */

struct made {
	uint8_t *bytes; /* padded to whole columns */
	uint8_t name[HASH_BYTES];
	struct buf object;
	struct parity_head h;
	uint8_t *spares;
};

/* In pieces of any length. */
static struct made make(struct random *rnd, unsigned percent, uint64_t expected, size_t size)
{
	AUTO(parity) p = parity_new(percent, expected);
	AUTO_FREE uint8_t *bytes = xmalloc(size + 1);
	struct made m = {0};

	random_fill(rnd, bytes, size, true);
	sha256(bytes, size, m.name);
	for (size_t at = 0, n; at < size; at += n) {
		n = 1 + (size_t)random_below(rnd, 1 + size / 3);
		n = MIN(n, size - at);
		parity_add(p, bytes + at, n);
	}
	assert_true(parity_end(p, m.name, &m.object));
	OK(parity_head_decode(m.object.data, m.object.len, &m.h, e));
	assert_int_equal(m.h.size, size);
	assert_memory_equal(m.h.pack, m.name, HASH_BYTES);
	m.bytes = xcalloc((size_t)m.h.columns * m.h.rows, CELL);
	memcpy(m.bytes, bytes, size);
	m.spares = m.object.data + m.h.bytes;
	return m;
}

static void made_done(struct made *m)
{
	free(m->bytes);
	buf_done(&m->object);
	parity_head_done(&m->h);
}

/* One byte of each parity cell of a few rows, by the formula. */
static void assert_code(struct random *rnd, const struct made *m)
{
	const struct parity_head *h = &m->h;

	for (unsigned p = 0; p < h->spare; p++) {
		size_t row = random_below(rnd, h->rows), at = random_below(rnd, CELL);
		uint8_t sum = 0;

		for (unsigned j = 0; j < h->columns; j++)
			sum ^= times(m->bytes[(j * (size_t)h->rows + row) * CELL + at],
				     inverse((uint8_t)((255 - p) ^ j)));
		assert_int_equal(m->spares[(p * (size_t)h->rows + row) * CELL + at], sum);
	}
}

static void assert_layout(const struct made *m)
{
	const struct parity_head *h = &m->h;
	const uint8_t *end = m->object.data + m->object.len;
	uint8_t hash[HASH_BYTES];

	assert_int_equal(m->object.len, 2 * h->bytes + h->spare_cells * CELL + PARITY_END);
	assert_int_equal(h->bytes, 64 + 4 * (h->cells + h->spare_cells) + HASH_BYTES);
	assert_memory_equal(m->object.data, end - PARITY_END - h->bytes, h->bytes);
	assert_int_equal(get_le32(end - PARITY_END), h->bytes);
	sha256(m->object.data, m->object.len - HASH_BYTES, hash);
	assert_memory_equal(hash, end - HASH_BYTES, HASH_BYTES);
	for (size_t i = 0; i < h->cells; i++)
		assert_int_equal(parity_sum(m->bytes + i * CELL), h->sums[i]);
	for (size_t i = 0; i < h->spare_cells; i++)
		assert_int_equal(parity_sum(m->spares + i * CELL), h->sums[h->cells + i]);
}

static void test_what_the_format_says(void **state)
{
	static const struct {
		uint64_t expected;
		size_t size;
		unsigned percent, columns, spare, rows;
	} rows[] = {
		{0, 1, 5, 1, 1, 1},
		{0, CELL - 1, 5, 1, 1, 1},
		{0, CELL, 5, 1, 1, 1},
		{0, CELL + 1, 5, 2, 1, 1},
		{0, 20 * CELL, 5, 20, 1, 1},
		{0, 20 * CELL + 1, 5, 21, 2, 1},
		{0, 100 * CELL, 5, 100, 5, 1},
		{0, 100 * CELL + 1, 5, 51, 3, 2},
		{0, 1000003, 1, 82, 1, 3},
		{0, 1000003, 25, 82, 21, 3},
		{60 << 20, 1000003, 5, 82, 5, 3},
		/* From 8 MiB on it is one of the expected size. */
		{60 << 20, 8 << 20, 5, 98, 5, 21},
		{60 << 20, (8 << 20) + 1, 5, 14, 1, 154},
		{0, (8 << 20) + 1, 5, 98, 5, 21},
	};
	struct random rnd = {random_seed()};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct made m = make(&rnd, rows[i].percent, rows[i].expected, rows[i].size);

		assert_int_equal(m.h.columns, rows[i].columns);
		assert_int_equal(m.h.spare, rows[i].spare);
		assert_int_equal(m.h.rows, rows[i].rows);
		assert_layout(&m);
		assert_code(&rnd, &m);
		made_done(&m);
	}
}

/* A pack as large as backups make them costs what was asked for, and little more. */
static void test_cost(void **state)
{
	struct random rnd = {random_seed()};
	struct made m = make(&rnd, 5, 60 << 20, (61 << 20) + 12345);

	(void)state;
	assert_true(m.h.columns >= 100 && m.h.columns < 104);
	assert_int_equal(m.h.spare, 5);
	assert_true(m.object.len < (size_t)61 * ((1 << 20) / 100 * 5.4));
	assert_code(&rnd, &m);
	made_done(&m);
}

static void test_too_large(void **state)
{
	AUTO(parity) p = parity_new(5, 0);
	AUTO_FREE uint8_t *bytes = xcalloc(1, 1 << 20);
	uint8_t name[HASH_BYTES] = {1};
	AUTO_BUF object = BUF_INIT;

	(void)state;
	for (int i = 0; i < 11; i++)
		parity_add(p, bytes, 1 << 20);
	/* 21 rows of 128 columns are not 11 MiB. */
	assert_false(parity_end(p, name, &object));
	assert_int_equal(object.len, 0);
	parity_add(p, bytes, 1);
}

static void test_names(void **state)
{
	uint8_t name[HASH_BYTES] = {0xab, 0xcd}, back[HASH_BYTES];
	char key[STORE_KEY_MAX];

	(void)state;
	parity_key_name(name, key);
	assert_int_equal(strncmp(key, "parity/ab/abcd0000", 18), 0);
	assert_true(parity_key_parse(key, back));
	assert_memory_equal(name, back, HASH_BYTES);
	key[8] = 'c';
	assert_false(parity_key_parse(key, back));
	assert_false(parity_key_parse("parity/ab/x", back));
	memcpy(key, "packs/", 6);
	assert_false(parity_key_parse(key, back));
}

/* ---- solving ---- */

struct row {
	struct parity_head h;
	uint8_t bytes[PARITY_COLUMNS_MAX][CELL], spare_bytes[PARITY_COLUMNS_MAX][CELL];
	uint8_t *cells[PARITY_COLUMNS_MAX], *spares[PARITY_COLUMNS_MAX];
	bool lost[PARITY_COLUMNS_MAX], lost_spare[PARITY_COLUMNS_MAX];
};

static struct row *row_of(const struct made *m, unsigned row)
{
	struct row *r = xcalloc(1, sizeof(*r));

	r->h = m->h;
	for (unsigned j = 0; j < m->h.columns; j++) {
		r->cells[j] = r->bytes[j];
		memcpy(r->bytes[j], m->bytes + (j * (size_t)m->h.rows + row) * CELL, CELL);
	}
	for (unsigned p = 0; p < m->h.spare; p++) {
		r->spares[p] = r->spare_bytes[p];
		memcpy(r->spare_bytes[p], m->spares + (p * (size_t)m->h.rows + row) * CELL, CELL);
	}
	return r;
}

static void lose(struct row *r, unsigned number)
{
	if (number < r->h.columns) {
		r->lost[number] = true;
		memset(r->bytes[number], 0x55, CELL);
	} else {
		r->lost_spare[number - r->h.columns] = true;
		memset(r->spare_bytes[number - r->h.columns], 0x55, CELL);
	}
}

static bool comes_back(const struct made *m, unsigned row, struct row *r)
{
	if (!parity_solve(&r->h, r->cells, r->spares, r->lost, r->lost_spare))
		return false;
	for (unsigned j = 0; j < m->h.columns; j++)
		assert_memory_equal(r->bytes[j], m->bytes + (j * (size_t)m->h.rows + row) * CELL,
				    CELL);
	return true;
}

static void test_each_cell(void **state)
{
	struct random rnd = {random_seed()};
	struct made m = make(&rnd, 5, 0, 120 * CELL + 77);

	(void)state;
	for (unsigned row = 0; row < m.h.rows; row++) {
		for (unsigned i = 0; i < m.h.columns + m.h.spare; i++) {
			AUTO_FREE struct row *r = row_of(&m, row);

			lose(r, i);
			assert_true(comes_back(&m, row, r));
		}
	}
	made_done(&m);
}

/* As many as there are parity cells, anywhere; one more never. */
static void lose_many(struct random *rnd, const struct made *m, unsigned n, bool want)
{
	unsigned row = (unsigned)random_below(rnd, m->h.rows), left = n, lost_columns = 0;
	AUTO_FREE struct row *r = row_of(m, row);

	while (left) {
		unsigned i = (unsigned)random_below(rnd, m->h.columns + m->h.spare);

		if (i < m->h.columns ? r->lost[i] : r->lost_spare[i - m->h.columns])
			continue;
		lose(r, i);
		lost_columns += i < m->h.columns;
		left--;
	}
	/* If only parity is lost, nothing is. */
	assert_int_equal(comes_back(m, row, r), want || !lost_columns);
}

static void test_many_cells(void **state)
{
	static const unsigned percents[] = {1, 5, 25};
	struct random rnd = {random_seed()};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(percents); i++) {
		struct made m = make(&rnd, percents[i], 0, 200 * CELL);

		for (int k = 0; k < 200; k++) {
			lose_many(&rnd, &m, m.h.spare, true);
			lose_many(&rnd, &m, m.h.spare + 1, false);
		}
		made_done(&m);
	}
}

/* The largest code that the format allows: every square part of it can be inverted. */
static void test_largest_code(void **state)
{
	struct random rnd = {random_seed()};
	struct made m = {.h = {.columns = 128, .spare = 128, .rows = 1}};

	(void)state;
	m.bytes = xcalloc(128, CELL);
	m.spares = xcalloc(128, CELL);
	random_fill(&rnd, m.bytes, 128 * CELL, true);
	for (unsigned p = 0; p < 128; p++) {
		for (unsigned j = 0; j < 128; j++) {
			uint8_t by = inverse((uint8_t)((255 - p) ^ j));

			/* A few bytes of each cell are enough. */
			for (size_t i = 0; i < CELL; i += 512)
				m.spares[p * CELL + i] ^= times(m.bytes[j * CELL + i], by);
		}
	}
	for (size_t i = 0; i < 128 * CELL; i++) {
		if (i % 512)
			m.bytes[i] = 0;
	}
	lose_many(&rnd, &m, 128, true);
	lose_many(&rnd, &m, 129, false);
	free(m.spares);
	made_done(&m);
}

/* ---- a head that is not one ---- */

static void test_damaged_heads(void **state)
{
	struct random rnd = {random_seed()};
	struct made m = make(&rnd, 5, 0, 30 * CELL);
	struct parity_head h;

	(void)state;
	for (size_t i = 0; i < m.h.bytes; i++) {
		/* Reserved bytes are under the checksum, too. */
		m.object.data[i] ^= 0x11;
		FAILS(ERR_CORRUPT, parity_head_decode(m.object.data, m.object.len, &h, e));
		m.object.data[i] ^= 0x11;
		FAILS(ERR_CORRUPT, parity_head_decode(m.object.data, i, &h, e));
	}
	made_done(&m);
}

static void test_limits(void **state)
{
	static const struct {
		uint32_t columns, spare, rows;
		uint64_t size;
		bool good;
	} rows[] = {
		{1, 1, 1, 1, true},
		{128, 128, 1, 128 * CELL, true},
		{128, 4, 256, 128 << 20, true},
		{0, 1, 1, 1, false},
		{1, 0, 1, 1, false},
		{1, 1, 0, 1, false},
		{1, 1, 1, 0, false},
		{129, 1, 1, 129 * CELL, false},
		{128, 129, 1, 128 * CELL, false},
		{128, 1, 256, (128 << 20) + 1, false},
		{2, 1, 1, CELL, false}, /* as many columns as it takes */
		{1, 1, 1, CELL + 1, false},
		{1, 2, 32768, 128 << 20, false}, /* more parity than the largest pack */
		{1, 1, 32769, 1, false},
		{1, 1, UINT32_MAX, 1, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t fixed[PARITY_FIXED] = {'H', 'F', 'P', 'R', 1, 1};

		put_le32(fixed + 8, rows[i].columns);
		put_le32(fixed + 12, rows[i].spare);
		put_le32(fixed + 16, rows[i].rows);
		put_le64(fixed + 24, rows[i].size);
		if ((parity_head_bytes(fixed) != 0) != rows[i].good)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_format_says),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_each_cell),
		cmocka_unit_test(test_many_cells),
		cmocka_unit_test(test_largest_code),
		cmocka_unit_test(test_damaged_heads),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
