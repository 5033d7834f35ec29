/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code is a Cauchy matrix over GF(2^8): parity cell p of a row is the sum of its columns j,
 * each times 1 / ((255 - p) xor j). Every square part of such a matrix can be inverted, whatever
 * the number of columns turns out to be, so encoding can begin before the pack's size is known:
 * each piece is added to the parity cells of its rows and forgotten.
 *
 * How tall a column is has to be known first, though. So the beginning of a pack is kept until it
 * is clear whether it will be a large one, whose columns are as tall as those of a pack of the
 * expected size, or a small one, whose columns are made to measure when it ends.
 */
#include "repo/parity.h"

#include <isa-l/crc.h>
#include <isa-l/erasure_code.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"

#define MAGIC "HFPR"
#define LAYOUT 1
#define CODE_CAUCHY 1
#define COLUMNS 100 /* about */
#define SMALL ((size_t)8 << 20)
#define TABLE 32 /* bytes of a table that multiplies by one number */

void parity_key_name(const uint8_t pack[HASH_BYTES], char out[STORE_KEY_MAX])
{
	char hex[HASH_TEXT];

	hex_encode(pack, HASH_BYTES, hex);
	snprintf(out, STORE_KEY_MAX, "parity/%.2s/%s", hex, hex);
}

bool parity_key_parse(const char *key, uint8_t ret_pack[HASH_BYTES])
{
	char same[STORE_KEY_MAX];
	size_t n = strlen(key);

	if (n < 2 * HASH_BYTES || !hex_decode(key + n - 2 * HASH_BYTES, HASH_BYTES, ret_pack))
		return false;
	parity_key_name(ret_pack, same);
	return strcmp(key, same) == 0;
}

uint32_t parity_sum(const uint8_t cell[PARITY_CELL])
{
	return crc32_gzip_refl(0, cell, PARITY_CELL);
}

/* What column `column` is multiplied by in parity cell `p`. */
static uint8_t factor(unsigned p, unsigned column)
{
	return gf_inv((uint8_t)((255 - p) ^ column));
}

/* ---- making ---- */

struct parity {
	unsigned percent;
	uint64_t expected;
	uint64_t size;	  /* so far */
	struct buf small; /* all of it, as long as `rows` is not known */
	uint32_t rows;
	unsigned spare;
	uint8_t *tables, *cells; /* `spare` columns of parity */
	uint32_t *sums;		 /* of the pack's cells */
	bool too_large;
};

static size_t div_up(uint64_t n, uint64_t by)
{
	return (size_t)((n + by - 1) / by);
}

struct parity *parity_new(unsigned percent, uint64_t expected)
{
	struct parity *p = xcalloc(1, sizeof(*p));

	p->percent = percent;
	p->expected = MAX(expected, (uint64_t)SMALL);
	buf_reserve(&p->small, SMALL); /* at once: growing would take twice as much */
	return p;
}

void parity_free(struct parity *p)
{
	if (!p)
		return;
	buf_done(&p->small);
	free(p->tables);
	free(p->cells);
	free(p->sums);
	free(p);
}

/* From now on cells are in columns as tall as a pack of `size` bytes needs. */
static void shape(struct parity *p, uint64_t size)
{
	uint8_t factors[PARITY_PERCENT_MAX * PARITY_COLUMNS_MAX];

	p->rows = (uint32_t)div_up(MAX(size, (uint64_t)1), COLUMNS * PARITY_CELL);
	p->spare = p->percent * COLUMNS / 100;
	for (unsigned i = 0; i < p->spare; i++) {
		for (unsigned j = 0; j < PARITY_COLUMNS_MAX; j++)
			factors[i * PARITY_COLUMNS_MAX + j] = factor(i, j);
	}
	p->sums = xcalloc((size_t)PARITY_COLUMNS_MAX * p->rows, sizeof(*p->sums));
	p->tables = xmalloc((size_t)p->spare * PARITY_COLUMNS_MAX * TABLE);
	ec_init_tables(PARITY_COLUMNS_MAX, (int)p->spare, factors, p->tables);
	p->cells = xmalloc_pages((size_t)p->spare * p->rows * PARITY_CELL);
	memset(p->cells, 0, (size_t)p->spare * p->rows * PARITY_CELL);
}

/* A part of one cell: into the cell's checksum, and times something into the row's parity. */
static void add_part(struct parity *p, const uint8_t *data, size_t n)
{
	size_t cell = (size_t)(p->size / PARITY_CELL), within = (size_t)(p->size % PARITY_CELL);
	uint8_t *to[PARITY_PERCENT_MAX];

	p->sums[cell] = crc32_gzip_refl(within ? p->sums[cell] : 0, data, n);
	for (unsigned i = 0; i < p->spare; i++)
		to[i] = p->cells + ((size_t)i * p->rows + cell % p->rows) * PARITY_CELL + within;
	ec_encode_data_update((int)n, (int)PARITY_COLUMNS_MAX, (int)p->spare, (int)(cell / p->rows),
			      p->tables, (uint8_t *)data, to);
	p->size += n;
}

static void add_shaped(struct parity *p, const uint8_t *data, size_t n)
{
	const uint64_t most = (uint64_t)p->rows * PARITY_COLUMNS_MAX * PARITY_CELL;

	p->too_large = p->too_large || p->size + n > MIN(most, PARITY_PACK_MAX);
	while (n && !p->too_large) {
		size_t part = MIN(n, PARITY_CELL - (size_t)(p->size % PARITY_CELL));

		add_part(p, data, part);
		data += part;
		n -= part;
	}
}

static void add_small(struct parity *p, uint64_t size)
{
	struct buf b = p->small;

	p->small = BUF_INIT;
	shape(p, size);
	add_shaped(p, b.data, b.len);
	buf_done(&b);
}

void parity_add(struct parity *p, const void *data, size_t n)
{
	if (!p->rows && p->small.len + n > SMALL)
		add_small(p, p->expected);
	if (p->rows)
		add_shaped(p, data, n);
	else
		buf_add(&p->small, data, n);
}

static void pad_last_cell(struct parity *p)
{
	static const uint8_t zeros[PARITY_CELL];
	uint64_t size = p->size;

	if (size % PARITY_CELL)
		add_part(p, zeros, PARITY_CELL - (size_t)(size % PARITY_CELL));
	p->size = size;
}

static void add_head(const struct parity *p, const uint8_t pack[HASH_BYTES], uint32_t columns,
		     uint32_t spare, struct buf *out)
{
	size_t start = out->len, cells = div_up(p->size, PARITY_CELL);
	uint8_t hash[HASH_BYTES];

	buf_add(out, MAGIC, 4);
	buf_u8(out, LAYOUT);
	buf_u8(out, CODE_CAUCHY);
	buf_u16(out, 0);
	buf_u32(out, columns);
	buf_u32(out, spare);
	buf_u32(out, p->rows);
	buf_u32(out, 0);
	buf_u64(out, p->size);
	buf_add(out, pack, HASH_BYTES);
	for (size_t i = 0; i < cells; i++)
		buf_u32(out, p->sums[i]);
	for (size_t i = 0; i < (size_t)spare * p->rows; i++)
		buf_u32(out, parity_sum(p->cells + i * PARITY_CELL));
	sha256(out->data + start, out->len - start, hash);
	buf_add(out, hash, HASH_BYTES);
}

static size_t object_bytes(const struct parity *p, uint32_t spare)
{
	size_t cells = (size_t)spare * p->rows;
	size_t head = PARITY_FIXED + 4 * (div_up(p->size, PARITY_CELL) + cells) + HASH_BYTES;

	return 2 * head + cells * PARITY_CELL + PARITY_END;
}

bool parity_end(struct parity *p, const uint8_t pack[HASH_BYTES], struct buf *out)
{
	size_t start = out->len;
	uint32_t columns, spare, head;
	uint8_t hash[HASH_BYTES];

	if (!p->rows)
		add_small(p, p->small.len);
	if (p->too_large || !p->size)
		return false;
	pad_last_cell(p);
	columns = (uint32_t)div_up(p->size, p->rows * PARITY_CELL);
	spare = (uint32_t)MIN((size_t)p->spare, div_up((uint64_t)columns * p->percent, 100));
	buf_reserve(out, object_bytes(p, spare));
	add_head(p, pack, columns, spare, out);
	buf_add(out, p->cells, (size_t)spare * p->rows * PARITY_CELL);
	head = (uint32_t)(out->len - start - (size_t)spare * p->rows * PARITY_CELL);
	add_head(p, pack, columns, spare, out);
	buf_u32(out, head);
	sha256(out->data + start, out->len - start, hash);
	buf_add(out, hash, HASH_BYTES);
	return true;
}

/* ---- reading ---- */

static bool parse_fixed(const uint8_t fixed[PARITY_FIXED], struct parity_head *h)
{
	struct cur c = cur_of(fixed + 8, PARITY_FIXED - 8);
	uint64_t row;

	h->columns = cur_u32(&c);
	h->spare = cur_u32(&c);
	h->rows = cur_u32(&c);
	cur_u32(&c);
	h->size = cur_u64(&c);
	cur_copy(&c, h->pack, HASH_BYTES);
	if (memcmp(fixed, MAGIC, 4) != 0 || fixed[4] != LAYOUT || fixed[5] != CODE_CAUCHY ||
	    h->columns < 1 || h->columns > PARITY_COLUMNS_MAX || h->spare < 1 ||
	    h->spare > PARITY_COLUMNS_MAX || h->size < 1 || h->size > PARITY_PACK_MAX ||
	    h->rows < 1 || h->rows > PARITY_PACK_MAX / PARITY_CELL)
		return false;
	row = h->rows * PARITY_CELL;
	h->cells = div_up(h->size, PARITY_CELL);
	h->spare_cells = (size_t)h->spare * h->rows;
	h->bytes = PARITY_FIXED + 4 * (h->cells + h->spare_cells) + HASH_BYTES;
	return div_up(h->size, row) == h->columns &&
	       h->spare_cells <= PARITY_PACK_MAX / PARITY_CELL;
}

size_t parity_head_bytes(const uint8_t fixed[PARITY_FIXED])
{
	struct parity_head h;

	return parse_fixed(fixed, &h) ? h.bytes : 0;
}

int parity_head_decode(const void *bytes, size_t n, struct parity_head *ret_h, struct err *e)
{
	struct parity_head h = {0};
	uint8_t hash[HASH_BYTES];
	struct cur c;

	if (n < PARITY_FIXED || !parse_fixed(bytes, &h) || n < h.bytes)
		return err_set(e, ERR_CORRUPT, "this is no parity of a pack");
	sha256(bytes, h.bytes - HASH_BYTES, hash);
	if (memcmp(hash, (const uint8_t *)bytes + h.bytes - HASH_BYTES, HASH_BYTES) != 0)
		return err_set(e, ERR_CORRUPT, "damaged: its checksum is wrong");
	c = cur_of((const uint8_t *)bytes + PARITY_FIXED, h.bytes - PARITY_FIXED);
	h.sums = xcalloc(h.cells + h.spare_cells, sizeof(*h.sums));
	for (size_t i = 0; i < h.cells + h.spare_cells; i++)
		h.sums[i] = cur_u32(&c);
	*ret_h = h;
	return 0;
}

void parity_head_done(struct parity_head *h)
{
	free(h->sums);
	h->sums = NULL;
}

/* ---- solving ---- */

/* The equations that are used: as many parity cells as columns are lost. */
struct equations {
	unsigned n;
	unsigned columns[PARITY_COLUMNS_MAX]; /* the lost */
	unsigned spares[PARITY_COLUMNS_MAX];
};

static bool choose(const struct parity_head *h, const bool *lost, const bool *lost_spare,
		   struct equations *q)
{
	unsigned n = 0;

	q->n = 0;
	for (unsigned j = 0; j < h->columns; j++) {
		if (lost[j])
			q->columns[q->n++] = j;
	}
	for (unsigned p = 0; p < h->spare && n < q->n; p++) {
		if (!lost_spare[p])
			q->spares[n++] = p;
	}
	return n == q->n;
}

/*
 * With A the factors of the lost columns: lost = inverse(A) * (spares + factors * known). So a lost
 * cell is a sum of spares, each times an element of the inverse, and of known columns, each times a
 * row of the inverse times its factors. `out` gets a row for each lost one; its columns are the
 * spares, then the known.
 */
static void coefficients(const struct parity_head *h, const struct equations *q, const bool *lost,
			 uint8_t *a, uint8_t *inverse, uint8_t *out)
{
	const unsigned n = q->n, width = h->columns;

	for (unsigned i = 0; i < n; i++) {
		for (unsigned j = 0; j < n; j++)
			a[i * n + j] = factor(q->spares[i], q->columns[j]);
	}
	gf_invert_matrix(a, inverse, (int)n); /* no square part of the code is singular */
	for (unsigned i = 0; i < n; i++) {
		unsigned at = n;

		memcpy(out + (size_t)i * width, inverse + (size_t)i * n, n);
		for (unsigned j = 0; j < h->columns; j++) {
			uint8_t sum = 0;

			for (unsigned p = 0; p < n && !lost[j]; p++)
				sum ^= gf_mul(inverse[i * n + p], factor(q->spares[p], j));
			if (!lost[j])
				out[(size_t)i * width + at++] = sum;
		}
	}
}

bool parity_solve(const struct parity_head *h, uint8_t *const *cells, uint8_t *const *spares,
		  const bool *lost, const bool *lost_spare)
{
	uint8_t *from[PARITY_COLUMNS_MAX], *to[PARITY_COLUMNS_MAX];
	AUTO_FREE uint8_t *work = NULL;
	struct equations q;
	size_t square, wide;
	unsigned at = 0;

	if (!choose(h, lost, lost_spare, &q))
		return false;
	if (!q.n)
		return true;
	square = (size_t)q.n * q.n;
	wide = (size_t)q.n * h->columns;
	work = xmalloc(2 * square + wide + wide * TABLE);
	coefficients(h, &q, lost, work, work + square, work + 2 * square);
	for (unsigned i = 0; i < q.n; i++) {
		from[at++] = spares[q.spares[i]];
		to[i] = cells[q.columns[i]];
	}
	for (unsigned j = 0; j < h->columns; j++) {
		if (!lost[j])
			from[at++] = cells[j];
	}
	ec_init_tables((int)h->columns, (int)q.n, work + 2 * square, work + 2 * square + wide);
	ec_encode_data((int)PARITY_CELL, (int)h->columns, (int)q.n, work + 2 * square + wide, from,
		       to);
	return true;
}
