/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "repo/box.h"
#include "repo/run.h"

#define HEAD 64
#define LAYOUT 1

uint64_t run_filter_part = (uint64_t)16 << 20;

/* ---- entries in memory as an input ---- */

struct array_input {
	struct run_input in;
	const struct run_entry *entries;
	size_t n, at;
};

static int array_next(struct run_input *in, struct run_entry *ret_r, struct err *e)
{
	struct array_input *a = (struct array_input *)in;

	(void)e;
	if (a->at == a->n)
		return 0;
	*ret_r = a->entries[a->at++];
	return 1;
}

static void array_rewind(struct run_input *in)
{
	((struct array_input *)in)->at = 0;
}

static void array_free(struct run_input *in)
{
	free(in);
}

struct run_input *run_input_array(const struct run_entry *entries, size_t n,
				  const uint8_t (*packs)[HASH_BYTES], size_t n_packs)
{
	struct array_input *a = xcalloc(1, sizeof(*a));

	a->in = (struct run_input){packs, n_packs, array_next, array_rewind, array_free};
	a->entries = entries;
	a->n = n;
	return &a->in;
}

/* By id, and one id's places by pack and offset. */
static int by_place(const void *a, const void *b)
{
	const struct run_entry *x = a, *y = b;
	int rc = memcmp(x->id.b, y->id.b, HASH_BYTES);

	if (rc == 0)
		rc = x->pack < y->pack ? -1 : x->pack > y->pack;
	if (rc == 0)
		rc = x->offset < y->offset ? -1 : x->offset > y->offset;
	return rc;
}

void run_sort(struct run_entry *entries, size_t n)
{
	if (n)
		qsort(entries, n, sizeof(*entries), by_place);
}

/* ---- merging ---- */

struct lane {
	struct run_input *in;
	struct run_entry head;
	bool has;
	uint32_t *pack_map; /* the input's pack numbers in the new run */
};

struct merge {
	struct lane *lanes;
	size_t n;
	uint8_t (*packs)[HASH_BYTES]; /* of the new run, sorted */
	size_t n_packs;
	struct run_entry last;
	bool any;
};

static int by_name(const void *a, const void *b)
{
	return memcmp(a, b, HASH_BYTES);
}

/* The packs of all inputs, once each, and every input's numbers in that list. */
static void map_packs(struct merge *m)
{
	size_t total = 0, n = 0;

	for (size_t i = 0; i < m->n; i++)
		total += m->lanes[i].in->n_packs;
	m->packs = xcalloc(total, HASH_BYTES);
	for (size_t i = 0; i < m->n; i++) {
		const struct run_input *in = m->lanes[i].in;

		if (in->n_packs)
			memcpy(m->packs[n], in->packs, in->n_packs * HASH_BYTES);
		n += in->n_packs;
	}
	if (total)
		qsort(m->packs, total, HASH_BYTES, by_name);
	n = 0;
	for (size_t i = 0; i < total; i++) {
		if (n == 0 || memcmp(m->packs[n - 1], m->packs[i], HASH_BYTES) != 0)
			memmove(m->packs[n++], m->packs[i], HASH_BYTES);
	}
	m->n_packs = n;
	for (size_t i = 0; i < m->n; i++) {
		struct lane *l = &m->lanes[i];

		l->pack_map = xcalloc(l->in->n_packs, sizeof(*l->pack_map));
		for (size_t j = 0; j < l->in->n_packs; j++) {
			uint8_t(*at)[HASH_BYTES] =
				bsearch(l->in->packs[j], m->packs, n, HASH_BYTES, by_name);

			l->pack_map[j] = (uint32_t)(at - m->packs);
		}
	}
}

static int advance(struct lane *l, struct err *e)
{
	int rc = l->in->next(l->in, &l->head, e);

	if (rc < 0)
		return -1;
	l->has = rc > 0;
	if (l->has)
		l->head.pack = l->pack_map[l->head.pack];
	return 0;
}

static int start_pass(struct merge *m, struct err *e)
{
	m->any = false;
	for (size_t i = 0; i < m->n; i++) {
		m->lanes[i].in->rewind(m->lanes[i].in);
		if (advance(&m->lanes[i], e) < 0)
			return -1;
	}
	return 0;
}

static bool same_place(const struct run_entry *a, const struct run_entry *b)
{
	return block_id_equal(&a->id, &b->id) && a->pack == b->pack && a->offset == b->offset;
}

/* The next entry of the merged stream; the same place named twice comes once. */
static int merge_next(struct merge *m, struct run_entry *ret_r, struct err *e)
{
	for (;;) {
		struct lane *low = NULL;
		struct run_entry r;

		for (size_t i = 0; i < m->n; i++) {
			struct lane *l = &m->lanes[i];

			if (l->has && (!low || by_place(&l->head, &low->head) < 0))
				low = l;
		}
		if (!low)
			return 0;
		r = low->head;
		if (advance(low, e) < 0)
			return -1;
		if (m->any && same_place(&r, &m->last))
			continue;
		m->any = true;
		m->last = r;
		*ret_r = r;
		return 1;
	}
}

/* ---- writing ---- */

/* A box written as it comes: the body's length must be known before. */
struct box_writer {
	struct store_upload *upload;
	struct digest *digest;
	struct aead *aead;
	struct box_head head;
	uint8_t *segment; /* plain bytes, then sealed in place */
	size_t used;
	uint64_t number;
};

static int put_bytes(struct box_writer *w, const void *data, size_t n, struct err *e)
{
	digest_add(w->digest, data, n);
	return w->upload->ops->write(w->upload, data, n, e);
}

static int put_segment(struct box_writer *w, struct err *e)
{
	size_t n = w->used;

	aead_seal(w->aead, w->number++, w->head.raw, BOX_HEAD, w->segment, n, w->segment);
	w->used = 0;
	return put_bytes(w, w->segment, n + SEAL_TAG, e);
}

static int put_body(struct box_writer *w, const void *data, size_t n, struct err *e)
{
	const size_t seg = (size_t)1 << w->head.segment_log;
	const uint8_t *p = data;

	while (n) {
		size_t take = MIN(n, seg - w->used);

		memcpy(w->segment + w->used, p, take);
		w->used += take;
		p += take;
		n -= take;
		if (w->used == seg && put_segment(w, e) < 0)
			return -1;
	}
	return 0;
}

struct shape {
	uint64_t n, n_bases, groups, cap, filter_bytes;
	uint8_t *fences, *bases_before;
};

static void begin_group(struct shape *s, const struct block_id *first)
{
	if (s->groups == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->fences = xreallocarray(s->fences, s->cap, 8);
		s->bases_before = xreallocarray(s->bases_before, s->cap, 8);
	}
	memcpy(s->fences + s->groups * 8, first->b, 8);
	put_le64(s->bases_before + s->groups * 8, s->n_bases);
	s->groups++;
}

/* How many entries there are, and where groups start. */
static int measure(struct merge *m, struct shape *s, struct err *e)
{
	struct run_entry r;
	int rc;

	if (start_pass(m, e) < 0)
		return -1;
	for (; (rc = merge_next(m, &r, e)) > 0; s->n++) {
		if (s->n % RUN_GROUP == 0)
			begin_group(s, &r.id);
		s->n_bases += r.encoding == BLOCK_DELTA;
	}
	s->filter_bytes = run_filter_bytes(s->n);
	return rc;
}

/* Of the filter, what is in memory at one time: a part, or all of it. */
struct filter_part {
	uint8_t *bits;
	uint64_t from, len;
};

/* In any order: a filter does not need the entries merged. */
static int fill_part(const struct merge *m, uint64_t filter_bytes, const struct filter_part *f,
		     struct err *e)
{
	struct run_entry r;
	int rc = 0;

	for (size_t i = 0; i < m->n && rc == 0; i++) {
		struct run_input *in = m->lanes[i].in;

		in->rewind(in);
		while ((rc = in->next(in, &r, e)) > 0) {
			uint64_t at = run_filter_at(filter_bytes, &r.id);

			if (at >= f->from && at - f->from < f->len)
				run_filter_add(f->bits + (at - f->from), &r.id);
		}
	}
	return rc;
}

static int write_filter(struct box_writer *w, const struct merge *m, uint64_t filter_bytes,
			struct err *e)
{
	AUTO_FREE uint8_t *bits = xmalloc(MIN(filter_bytes, run_filter_part));
	struct filter_part f = {bits, 0, 0};

	for (; f.from < filter_bytes; f.from += f.len) {
		f.len = MIN(filter_bytes - f.from, run_filter_part);
		memset(bits, 0, f.len);
		if (fill_part(m, filter_bytes, &f, e) < 0 || put_body(w, bits, f.len, e) < 0)
			return -1;
	}
	return 0;
}

static int write_lists(struct box_writer *w, const struct merge *m, const struct shape *s,
		       const uint8_t (*superseded)[HASH_BYTES], size_t n_superseded, struct err *e)
{
	uint8_t head[HEAD] = {0};

	put_le32(head, LAYOUT);
	put_le32(head + 4, RUN_GROUP);
	put_le64(head + 8, s->n);
	put_le32(head + 16, (uint32_t)m->n_packs);
	put_le32(head + 20, (uint32_t)n_superseded);
	put_le64(head + 24, s->filter_bytes);
	put_le64(head + 32, s->n_bases);
	if (put_body(w, head, HEAD, e) < 0 ||
	    put_body(w, superseded, n_superseded * HASH_BYTES, e) < 0 ||
	    put_body(w, m->packs, m->n_packs * HASH_BYTES, e) < 0 ||
	    put_body(w, s->fences, s->groups * 8, e) < 0 ||
	    put_body(w, s->bases_before, s->n_bases ? s->groups * 8 : 0, e) < 0)
		return -1;
	return write_filter(w, m, s->filter_bytes, e);
}

static int write_entries(struct box_writer *w, struct merge *m, struct err *e)
{
	uint8_t raw[RUN_ENTRY];
	struct run_entry r;
	int rc;

	if (start_pass(m, e) < 0)
		return -1;
	while ((rc = merge_next(m, &r, e)) > 0) {
		run_entry_encode(&r, raw);
		if (put_body(w, raw, RUN_ENTRY, e) < 0)
			return -1;
	}
	return rc;
}

static int write_bases(struct box_writer *w, struct merge *m, struct err *e)
{
	uint8_t raw[RUN_BASE];
	struct run_entry r;
	int rc;

	if (start_pass(m, e) < 0)
		return -1;
	for (uint64_t i = 0; (rc = merge_next(m, &r, e)) > 0; i++) {
		if (r.encoding != BLOCK_DELTA)
			continue;
		put_le16(raw, (uint16_t)(i % RUN_GROUP));
		memcpy(raw + 2, r.base.b, HASH_BYTES);
		if (put_body(w, raw, RUN_BASE, e) < 0)
			return -1;
	}
	return rc;
}

static void start_box(struct box_writer *w, const struct keyring *k, uint64_t body_len)
{
	uint8_t key[SEAL_KEY];

	box_make_head(keyring_generation(k), BOX_RUN, body_len, &w->head);
	box_key(keyring_key(k, keyring_generation(k), NULL), &w->head, key);
	w->aead = aead_new(key);
	secret_wipe(key, sizeof(key));
	w->digest = digest_new();
	w->segment = xmalloc(((size_t)1 << w->head.segment_log) + SEAL_TAG);
}

static int write_box(struct box_writer *w, struct merge *m, const struct shape *s,
		     const uint8_t (*superseded)[HASH_BYTES], size_t n_superseded,
		     uint8_t ret_name[HASH_BYTES], struct err *e)
{
	struct store_upload *up;
	char key[STORE_KEY_MAX];

	if (put_bytes(w, w->head.raw, BOX_HEAD, e) < 0 ||
	    write_lists(w, m, s, superseded, n_superseded, e) < 0 || write_entries(w, m, e) < 0 ||
	    (s->n_bases && write_bases(w, m, e) < 0) || (w->used && put_segment(w, e) < 0))
		return -1;
	digest_take(w->digest, ret_name);
	run_key_name(ret_name, key);
	up = steal(&w->upload);
	return up->ops->finish(up, key, e);
}

static int write_run(const struct keyring *k, struct store_session *ss, struct merge *m,
		     const struct shape *s, const uint8_t (*superseded)[HASH_BYTES],
		     size_t n_superseded, uint8_t ret_name[HASH_BYTES], struct err *e)
{
	uint64_t body_len = HEAD + HASH_BYTES * (n_superseded + m->n_packs) + 8 * s->groups +
			    s->filter_bytes + RUN_ENTRY * s->n + RUN_BASE * s->n_bases +
			    (s->n_bases ? 8 * s->groups : 0);
	struct box_writer w = {0};
	int rc;

	w.upload = ss->ops->upload(ss, e);
	if (!w.upload)
		return -1;
	start_box(&w, k, body_len);
	rc = write_box(&w, m, s, superseded, n_superseded, ret_name, e);
	if (w.upload)
		w.upload->ops->abort(w.upload);
	aead_free(w.aead);
	digest_free(w.digest);
	free(w.segment);
	return rc;
}

int run_write(const struct keyring *k, struct store_session *ss, struct run_input *const *inputs,
	      size_t n_inputs, const uint8_t (*superseded)[HASH_BYTES], size_t n_superseded,
	      uint8_t ret_name[HASH_BYTES], bool *ret_written, struct err *e)
{
	struct merge m = {.lanes = xcalloc(n_inputs, sizeof(*m.lanes)), .n = n_inputs};
	struct shape s = {0};
	int rc;

	for (size_t i = 0; i < n_inputs; i++)
		m.lanes[i].in = inputs[i];
	map_packs(&m);
	rc = measure(&m, &s, e);
	*ret_written = rc == 0 && s.n > 0;
	if (*ret_written)
		rc = write_run(k, ss, &m, &s, superseded, n_superseded, ret_name, e);
	for (size_t i = 0; i < n_inputs; i++)
		free(m.lanes[i].pack_map);
	free(m.lanes);
	free(m.packs);
	free(s.fences);
	free(s.bases_before);
	return rc;
}
