/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/buf.h"
#include "base/hex.h"
#include "repo/box.h"
#include "repo/record.h"
#include "repo/run.h"

#define HEAD 64
#define LAYOUT 1
#define GROUP_MAX 65536
#define SPAN 8 /* groups: 176 KiB, of which whoever reads one would read 64 */
#define ENTRIES_MAX ((uint64_t)1 << 40)

void run_key_name(const uint8_t name[HASH_BYTES], char out[STORE_KEY_MAX])
{
	char hex[HASH_TEXT];

	snprintf(out, STORE_KEY_MAX, "index/%s", hex_encode(name, HASH_BYTES, hex));
}

bool run_key_parse(const char *key, uint8_t ret_name[HASH_BYTES])
{
	char same[STORE_KEY_MAX];
	size_t n = strlen(key);

	if (n < 2 * HASH_BYTES || !hex_decode(key + n - 2 * HASH_BYTES, HASH_BYTES, ret_name))
		return false;
	run_key_name(ret_name, same);
	return strcmp(key, same) == 0;
}

void run_entry_encode(const struct run_entry *r, uint8_t out[RUN_ENTRY])
{
	memcpy(out, r->id.b, HASH_BYTES);
	put_le32(out + 32, r->pack);
	put_le32(out + 36, r->offset);
	put_le32(out + 40, r->stored | (uint32_t)r->encoding << 24 | (uint32_t)r->kind << 28);
}

void run_entry_decode(const uint8_t p[RUN_ENTRY], struct run_entry *ret_r)
{
	uint32_t last = get_le32(p + 40);

	memcpy(ret_r->id.b, p, HASH_BYTES);
	ret_r->pack = get_le32(p + 32);
	ret_r->offset = get_le32(p + 36);
	ret_r->stored = last & 0xffffff;
	ret_r->encoding = last >> 24 & 15;
	ret_r->kind = (uint8_t)(last >> 28);
	memset(&ret_r->base, 0, sizeof(ret_r->base));
}

void run_free(struct run *r)
{
	if (!r)
		return;
	if (r->box)
		secret_wipe(r->box->key, SEAL_KEY);
	free(r->box);
	free(r->fences);
	free(r->bases_before);
	free(r->packs);
	free(r->superseded);
	free(r->filter);
	free(r);
}

/* Read `n` items of `size` bytes from *at of the body on. */
static void *read_list(struct run *r, uint64_t *at, uint64_t n, size_t size, struct err *e)
{
	void *list = xcalloc(n, size);

	if (box_read(r->box, *at, list, n * size, e) < 0) {
		free(list);
		return NULL;
	}
	*at += n * size;
	r->bytes += n * size;
	return list;
}

/* A number of each group. */
static uint64_t *read_numbers(struct run *r, uint64_t *at, uint64_t (*get)(const uint8_t *),
			      struct err *e)
{
	AUTO_FREE uint8_t *raw = read_list(r, at, r->n_groups, 8, e);
	uint64_t *numbers;

	if (!raw)
		return NULL;
	numbers = xcalloc(r->n_groups, sizeof(*numbers));
	for (uint64_t i = 0; i < r->n_groups; i++)
		numbers[i] = get(raw + 8 * i);
	return numbers;
}

static int read_fences(struct run *r, uint64_t *at, struct err *e)
{
	r->n_groups = DIV_UP(r->n, r->group);
	r->fences = read_numbers(r, at, get_be64, e);
	return r->fences ? 0 : -1;
}

/* How many bases there are before each group's. */
static int read_bases_before(struct run *r, uint64_t *at, struct err *e)
{
	uint64_t last = 0;

	if (r->n_bases == 0)
		return 0;
	r->bases_before = read_numbers(r, at, get_le64, e);
	if (!r->bases_before)
		return -1;
	for (uint64_t i = 0; i < r->n_groups; i++) {
		if (r->bases_before[i] < last || r->bases_before[i] > r->n_bases)
			return err_set(e, ERR_CORRUPT, "the bases of an index run are damaged");
		last = r->bases_before[i];
	}
	return 0;
}

/* The fixed head of the body, checked against the body's length before anything is allocated. */
static int read_head(struct run *r, struct err *e)
{
	uint64_t len = r->box->head.body_len;
	uint8_t head[HEAD];

	if (box_read(r->box, 0, head, HEAD, e) < 0)
		return -1;
	if (get_le32(head) != LAYOUT)
		return err_set(
			e, ERR_VERSION,
			"an index run has layout %u, which this version does not know: use a "
			"newer version of holdfast",
			get_le32(head));
	r->group = get_le32(head + 4);
	r->n = get_le64(head + 8);
	r->n_packs = get_le32(head + 16);
	r->n_superseded = get_le32(head + 20);
	r->filter_bytes = get_le64(head + 24);
	r->n_bases = get_le64(head + 32);
	if (r->group == 0 || r->group > GROUP_MAX || r->n > ENTRIES_MAX || r->n > len / RUN_ENTRY ||
	    r->n_packs > len / HASH_BYTES || r->n_superseded > len / HASH_BYTES ||
	    r->filter_bytes > len || r->filter_bytes % 32 || r->n_bases > len / RUN_BASE)
		return err_set(e, ERR_CORRUPT, "the head of an index run is damaged");
	return 0;
}

#define CHUNK ((size_t)64 << 10)

/* What comes behind all that, from `at` on. */
static int check_records(const struct run *r, uint64_t at, struct err *e)
{
	const uint64_t end = r->box->head.body_len;
	AUTO_FREE uint8_t *chunk = xmalloc(CHUNK);
	uint64_t chunk_at = at, chunk_end = at;

	while (at < end) {
		struct record rec;

		if (end - at < RECORD_HEAD)
			return err_set(e, ERR_CORRUPT, "an index run is cut short");
		if (at + RECORD_HEAD > chunk_end) {
			size_t n = (size_t)MIN((uint64_t)CHUNK, end - at);

			if (box_read(r->box, at, chunk, n, e) < 0)
				return -1;
			chunk_at = at;
			chunk_end = at + n;
		}
		rec.tag = get_le16(chunk + (at - chunk_at));
		if (record_unknown(&rec, "an index run", e) < 0)
			return -1;
		at += RECORD_HEAD + (uint64_t)get_le32(chunk + (at - chunk_at) + 2);
	}
	return at == end ? 0 : err_set(e, ERR_CORRUPT, "an index run is cut short");
}

static int read_body(struct run *r, uint64_t filter_max, struct err *e)
{
	uint64_t at = HEAD;

	if (read_head(r, e) < 0)
		return -1;
	r->superseded = read_list(r, &at, r->n_superseded, HASH_BYTES, e);
	r->packs = r->superseded ? read_list(r, &at, r->n_packs, HASH_BYTES, e) : NULL;
	if (!r->packs || read_fences(r, &at, e) < 0 || read_bases_before(r, &at, e) < 0)
		return -1;
	r->filter_at = at;
	r->entries_at = at + r->filter_bytes;
	r->bases_at = r->entries_at + r->n * RUN_ENTRY;
	if (r->bases_at + r->n_bases * RUN_BASE > r->box->head.body_len)
		return err_set(e, ERR_CORRUPT, "an index run is cut short");
	if (check_records(r, r->bases_at + r->n_bases * RUN_BASE, e) < 0)
		return -1;
	if (r->filter_bytes && r->filter_bytes <= filter_max) {
		r->filter = read_list(r, &at, r->filter_bytes, 1, e);
		if (!r->filter)
			return -1;
	}
	return 0;
}

static struct run *open_in(struct store *s, const struct keyring *k, const uint8_t name[HASH_BYTES],
			   uint64_t filter_max, struct err *e)
{
	AUTO(run) r = xcalloc(1, sizeof(*r));
	uint8_t head[BOX_HEAD];
	const uint8_t *key;
	ssize_t n;

	r->store = s;
	r->box = xcalloc(1, sizeof(*r->box));
	r->box->store = s;
	memcpy(r->name, name, HASH_BYTES);
	run_key_name(name, r->box->name);
	n = store_get(s, r->box->name, 0, head, BOX_HEAD, e);
	if (n < 0)
		return NULL;
	if (box_head_parse(head, (size_t)n, BOX_RUN, &r->box->head, e) < 0)
		goto damaged;
	key = keyring_key(k, r->box->head.generation, e);
	if (!key)
		goto damaged;
	box_key(key, &r->box->head, r->box->key);
	if (read_body(r, filter_max, e) < 0)
		goto damaged;
	return steal(&r);
damaged:
	err_wrap(e, "%s/%s", s->url, r->box->name);
	return NULL;
}

/* What is kept of it on this machine may be damaged when it is not. */
struct run *run_open(struct store *s, const struct keyring *k, const uint8_t name[HASH_BYTES],
		     uint64_t filter_max, struct err *e)
{
	struct err why = {0};
	struct run *r = open_in(s, k, name, filter_max, &why);

	if (!r && s->behind && (why.kind == ERR_CORRUPT || why.kind == ERR_VERSION))
		r = open_in(s->behind, k, name, filter_max, &why);
	if (!r && e)
		*e = why;
	return r;
}

bool run_may_hold(const struct run *r, const struct block_id *id)
{
	return r->n &&
	       (!r->filter || run_filter_test(r->filter + run_filter_at(r->filter_bytes, id), id));
}

uint64_t run_filter_page(const struct run *r, const struct block_id *id)
{
	return run_filter_at(r->filter_bytes, id) / RUN_FILTER_PAGE;
}

int run_read_filter(const struct run *r, uint64_t page, uint8_t *out, struct err *e)
{
	uint64_t from = page * RUN_FILTER_PAGE;

	return box_read(r->box, r->filter_at + from, out,
			(size_t)MIN(RUN_FILTER_PAGE, r->filter_bytes - from), e);
}

bool run_page_may_hold(const struct run *r, const uint8_t *page, const struct block_id *id)
{
	return run_filter_test(page + run_filter_at(r->filter_bytes, id) % RUN_FILTER_PAGE, id);
}

void run_groups_of(const struct run *r, const struct block_id *id, uint64_t *ret_first,
		   uint64_t *ret_end)
{
	uint64_t prefix = get_be64(id->b), lo = 0, hi = r->n_groups;

	/* lo: the first group whose fence is not below the prefix; the id may lie before it. */
	while (lo < hi) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (r->fences[mid] < prefix)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_first = lo ? lo - 1 : 0;
	while (lo < r->n_groups && r->fences[lo] == prefix)
		lo++;
	*ret_end = lo;
}

static bool is_delta(const uint8_t *entry)
{
	return (get_le32(entry + 40) >> 24 & 15) == BLOCK_DELTA;
}

/* Every delta has its base, and nothing else has one. */
static bool bases_fit(const struct run_group *g)
{
	size_t k = 0;

	for (size_t i = 0; i < g->n; i++) {
		if (!is_delta(g->entries + i * RUN_ENTRY))
			continue;
		if (k == g->n_bases || get_le16(g->bases + k * RUN_BASE) != i)
			return false;
		k++;
	}
	return k == g->n_bases;
}

/* Positions count from the first of the groups; a base's own count from its group. */
static int place_bases(const struct run *r, uint64_t number, uint64_t count, struct run_group *g,
		       struct err *e)
{
	uint64_t from = r->bases_before[number];

	for (uint64_t k = 1; k < count; k++) {
		uint64_t at = r->bases_before[number + k] - from;
		uint64_t end =
			number + k + 1 < r->n_groups ? r->bases_before[number + k + 1] : r->n_bases;

		for (; at < MIN(end - from, (uint64_t)g->n_bases); at++) {
			uint8_t *base = g->bases + at * RUN_BASE;
			uint16_t position = get_le16(base);

			if (position >= r->group)
				return err_set(e, ERR_CORRUPT,
					       "the bases of an index run are damaged");
			put_le16(base, (uint16_t)(position + k * r->group));
		}
	}
	return 0;
}

static int read_bases(const struct run *r, uint64_t number, uint64_t count, struct run_group *g,
		      struct err *e)
{
	uint64_t from, to;

	g->n_bases = 0;
	if (r->bases_before) {
		from = r->bases_before[number];
		to = number + count < r->n_groups ? r->bases_before[number + count] : r->n_bases;
		g->n_bases = (size_t)MIN(to - from, (uint64_t)g->n);
		g->bases = xreallocarray(g->bases, g->n_bases + 1, RUN_BASE);
		if (box_read(r->box, r->bases_at + from * RUN_BASE, g->bases, g->n_bases * RUN_BASE,
			     e) < 0 ||
		    place_bases(r, number, count, g, e) < 0)
			return -1;
	}
	return bases_fit(g) ? 0 : err_set(e, ERR_CORRUPT, "the bases of an index run are damaged");
}

/* Positions in a span fit into 16 bits, as those in a group do. */
uint64_t run_span(const struct run *r)
{
	return r->group <= GROUP_MAX / SPAN ? SPAN : 1;
}

int run_read_groups(const struct run *r, uint64_t number, uint64_t count, struct run_group *g,
		    struct err *e)
{
	uint64_t first = number * r->group;

	count = MIN(count, r->n_groups - number);
	g->n = (size_t)MIN(count * r->group, r->n - first);
	g->entries = xreallocarray(g->entries, g->n, RUN_ENTRY);
	if (box_read(r->box, r->entries_at + first * RUN_ENTRY, g->entries, g->n * RUN_ENTRY, e) <
		    0 ||
	    read_bases(r, number, count, g, e) < 0) {
		g->n = 0;
		return -1;
	}
	return 0;
}

int run_read_group(const struct run *r, uint64_t number, struct run_group *g, struct err *e)
{
	return run_read_groups(r, number, 1, g, e);
}

void run_group_done(struct run_group *g)
{
	free(g->entries);
	free(g->bases);
	*g = (struct run_group){0};
}

void run_group_entry(const struct run_group *g, size_t i, struct run_entry *ret_r)
{
	size_t lo = 0, hi = g->n_bases;

	run_entry_decode(g->entries + i * RUN_ENTRY, ret_r);
	if (ret_r->encoding != BLOCK_DELTA)
		return;
	while (lo + 1 < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (get_le16(g->bases + mid * RUN_BASE) <= i)
			lo = mid;
		else
			hi = mid;
	}
	memcpy(ret_r->base.b, g->bases + lo * RUN_BASE + 2, HASH_BYTES);
}

size_t run_lower_bound(const struct run_group *g, const struct block_id *id)
{
	size_t lo = 0, hi = g->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (memcmp(g->entries + mid * RUN_ENTRY, id->b, HASH_BYTES) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* ---- a run as an input of a merge ---- */

struct run_stream {
	struct run_input in;
	const struct run *run;
	struct run_group group;
	size_t at;
	uint64_t next_group;
};

static int stream_next(struct run_input *in, struct run_entry *ret_r, struct err *e)
{
	struct run_stream *st = (struct run_stream *)in;

	while (st->at == st->group.n) {
		if (st->next_group >= st->run->n_groups)
			return 0;
		if (run_read_groups(st->run, st->next_group, run_span(st->run), &st->group, e) < 0)
			return -1;
		st->next_group += run_span(st->run);
		st->at = 0;
	}
	run_group_entry(&st->group, st->at++, ret_r);
	if (ret_r->pack >= st->run->n_packs)
		return err_set(e, ERR_CORRUPT, "an index run names a pack that it does not list");
	return 1;
}

static void stream_rewind(struct run_input *in)
{
	struct run_stream *st = (struct run_stream *)in;

	st->at = st->group.n = 0;
	st->next_group = 0;
}

static void stream_free(struct run_input *in)
{
	run_group_done(&((struct run_stream *)in)->group);
	free(in);
}

struct run_input *run_input_run(const struct run *r)
{
	struct run_stream *st = xcalloc(1, sizeof(*st));

	st->in = (struct run_input){(const uint8_t(*)[HASH_BYTES])r->packs, r->n_packs, stream_next,
				    stream_rewind, stream_free};
	st->run = r;
	return &st->in;
}
