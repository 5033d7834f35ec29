/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a point: format section 10. Every list of records has its table of tags here;
 * decoding is one switch per list.
 */
#include "repo/point.h"
#include "repo/record.h"

#define MEMBERS_MAX 4096 /* resources, disks, items, tags, warnings: of each */
#define LOCK_RECORD 24	 /* u8 mode, 7 reserved, u64 until, u64 covered until */
#define PAD 1024	 /* bodies are a multiple of this, so that their size says little */

enum point_tag {
	P_ID = 1,
	P_INSTANT = 2,
	P_COMPLETE = 3,
	P_WRITER = 4,
	P_PARENT = 5,
	P_TAG = 6,
	P_WARNING = 7,
	P_STATS = 8,
	P_ORIGIN = 9,
	P_LOCK = 10,
	P_WINDOW = 11,
	P_RESOURCE = 16,
};

enum resource_tag {
	R_TYPE = 1,
	R_ID = 2,
	R_NAME = 3,
	R_PLATFORM = 4,
	R_CONSISTENCY = 5,
	R_WHY_LESS = 6,
	R_ITEM = 16,
	R_DISK = 17,
};

enum item_tag { I_NAME = 1, I_TREE = 2 };

enum disk_tag {
	D_NAME = 1,
	D_TREE = 2,
	D_SOURCE = 3,
	D_FORMAT = 4,
	D_TRACKING = 5,
	D_MODE = 6,
	D_REASON = 7,
	D_STATS = 8,
};

/* ---- writing ---- */

static void encode_stats(struct buf *b, uint16_t tag, const struct point_stats *s)
{
	size_t open = record_open(b, tag);

	buf_u64(b, s->content);
	buf_u64(b, s->read);
	buf_u64(b, s->fresh);
	buf_u64(b, s->stored);
	buf_u64(b, s->spent_us);
	record_close(b, open);
}

static void encode_tree(struct buf *b, uint16_t tag, const struct tree *t)
{
	uint8_t desc[TREE_DESC];

	tree_encode(t, desc);
	record_add(b, tag, desc, TREE_DESC);
}

static void encode_disk(struct buf *b, const struct point_disk *d)
{
	size_t open = record_open(b, R_DISK);

	record_text(b, D_NAME, d->name);
	encode_tree(b, D_TREE, &d->tree);
	record_text(b, D_SOURCE, d->source);
	record_text(b, D_FORMAT, d->format);
	record_text(b, D_TRACKING, d->tracking);
	record_text(b, D_MODE, d->mode);
	record_text(b, D_REASON, d->reason);
	encode_stats(b, D_STATS, &d->stats);
	record_close(b, open);
}

static void encode_item(struct buf *b, const struct point_item *it)
{
	size_t open = record_open(b, R_ITEM);

	record_text(b, I_NAME, it->name);
	encode_tree(b, I_TREE, &it->tree);
	record_close(b, open);
}

static void encode_resource(struct buf *b, const struct point_resource *r)
{
	size_t open = record_open(b, P_RESOURCE);
	uint8_t consistency[16] = {(uint8_t)r->asked, (uint8_t)r->achieved};

	put_le64(consistency + 8, r->frozen_us);
	record_text(b, R_TYPE, r->type);
	record_text(b, R_ID, r->id);
	record_text(b, R_NAME, r->name);
	record_text(b, R_PLATFORM, r->platform);
	record_add(b, R_CONSISTENCY, consistency, sizeof(consistency));
	record_text(b, R_WHY_LESS, r->why_less);
	for (size_t i = 0; i < r->n_items; i++)
		encode_item(b, &r->items[i]);
	for (size_t i = 0; i < r->n_disks; i++)
		encode_disk(b, &r->disks[i]);
	record_close(b, open);
}

static void encode_lock(struct buf *b, const struct point_lock *l)
{
	uint8_t raw[LOCK_RECORD] = {(uint8_t)l->mode};

	put_le64(raw + 8, l->until_us);
	put_le64(raw + 16, l->covered_us);
	record_add(b, P_LOCK, raw, sizeof(raw));
}

void point_encode(const struct point *p, struct buf *out)
{
	size_t open;

	record_add(out, P_ID, p->id.b, 16);
	record_u64(out, P_INSTANT, p->instant_us);
	record_u64(out, P_COMPLETE, p->complete_us);
	record_text(out, P_WRITER, p->writer);
	if (!uuid_is_zero(&p->parent)) {
		open = record_open(out, P_PARENT);
		buf_add(out, p->parent.b, 16);
		buf_add(out, p->parent_hash, HASH_BYTES);
		record_close(out, open);
	}
	if (!uuid_is_zero(&p->origin))
		record_add(out, P_ORIGIN, p->origin.b, 16);
	for (size_t i = 0; i < p->n_tags; i++)
		record_text(out, P_TAG, p->tags[i]);
	for (size_t i = 0; i < p->n_warnings; i++)
		record_text(out, P_WARNING, p->warnings[i]);
	encode_stats(out, P_STATS, &p->stats);
	if (p->lock.mode)
		encode_lock(out, &p->lock);
	if (p->window_us)
		record_u64(out, P_WINDOW, p->window_us);
	for (size_t i = 0; i < p->n_resources; i++)
		encode_resource(out, &p->resources[i]);
	open = record_open(out, 0);
	buf_fill(out, 0, (PAD - out->len % PAD) % PAD);
	record_close(out, open);
}

/* ---- reading ---- */

static int decode_stats(const struct record *r, struct point_stats *s, struct err *e)
{
	struct cur c = r->value;

	s->content = cur_u64(&c);
	s->read = cur_u64(&c);
	s->fresh = cur_u64(&c);
	s->stored = cur_u64(&c);
	s->spent_us = cur_u64(&c);
	return cur_done(&c) ? 0 : err_set(e, ERR_CORRUPT, "statistics of the wrong size");
}

static int decode_tree(const struct record *r, struct tree *t, struct err *e)
{
	return tree_decode(r->value.p, r->value.left, t, e);
}

static int too_many(size_t n, const char *what, struct err *e)
{
	return n < MEMBERS_MAX ? 0
			       : err_set(e, ERR_LIMIT, "a checkpoint with more than %d %s",
					 MEMBERS_MAX, what);
}

static int take_disk_record(struct point_disk *d, const struct record *r, struct err *e)
{
	switch (r->tag) {
	case D_NAME:
		return record_get_text(r, &d->name, e);
	case D_TREE:
		return decode_tree(r, &d->tree, e);
	case D_SOURCE:
		return record_get_text(r, &d->source, e);
	case D_FORMAT:
		return record_get_text(r, &d->format, e);
	case D_TRACKING:
		return record_get_text(r, &d->tracking, e);
	case D_MODE:
		return record_get_text(r, &d->mode, e);
	case D_REASON:
		return record_get_text(r, &d->reason, e);
	case D_STATS:
		return decode_stats(r, &d->stats, e);
	default:
		return record_unknown(r, "a disk", e);
	}
}

static int decode_disk(struct point_resource *res, struct cur list, struct err *e)
{
	struct point_disk *d;
	struct record r;
	int rc;

	if (too_many(res->n_disks, "disks", e) < 0)
		return -1;
	d = point_add_disk(res, "");
	while ((rc = record_next(&list, &r, e)) > 0) {
		if (take_disk_record(d, &r, e) < 0)
			return -1;
	}
	if (rc == 0 && (!d->name[0] || !d->tree.type))
		return err_set(e, ERR_CORRUPT, "a disk without a name or a tree");
	return rc;
}

static int decode_item(struct point_resource *res, struct cur list, struct err *e)
{
	struct point_item *it;
	struct record r;
	int rc;

	if (too_many(res->n_items, "items", e) < 0)
		return -1;
	it = point_add_item(res, "");
	while ((rc = record_next(&list, &r, e)) > 0) {
		if (r.tag == I_NAME)
			rc = record_get_text(&r, &it->name, e);
		else if (r.tag == I_TREE)
			rc = decode_tree(&r, &it->tree, e);
		else
			rc = record_unknown(&r, "an item", e);
		if (rc < 0)
			return -1;
	}
	if (rc == 0 && (!it->name[0] || !it->tree.type))
		return err_set(e, ERR_CORRUPT, "an item without a name or a tree");
	return rc;
}

static int decode_consistency(struct point_resource *res, const struct record *r, struct err *e)
{
	uint8_t raw[16];

	if (record_get_bytes(r, raw, sizeof(raw), e) < 0)
		return -1;
	res->asked = raw[0];
	res->achieved = raw[1];
	res->frozen_us = get_le64(raw + 8);
	return 0;
}

static int take_resource_record(struct point_resource *res, const struct record *r, struct err *e)
{
	switch (r->tag) {
	case R_TYPE:
		return record_get_text(r, &res->type, e);
	case R_ID:
		return record_get_text(r, &res->id, e);
	case R_NAME:
		return record_get_text(r, &res->name, e);
	case R_PLATFORM:
		return record_get_text(r, &res->platform, e);
	case R_CONSISTENCY:
		return decode_consistency(res, r, e);
	case R_WHY_LESS:
		return record_get_text(r, &res->why_less, e);
	case R_ITEM:
		return decode_item(res, r->value, e);
	case R_DISK:
		return decode_disk(res, r->value, e);
	default:
		return record_unknown(r, "a resource", e);
	}
}

static int decode_resource(struct point *p, struct cur list, struct err *e)
{
	struct point_resource *res;
	struct record r;
	int rc;

	if (too_many(p->n_resources, "resources", e) < 0)
		return -1;
	res = point_add_resource(p, "", "", "", "");
	while ((rc = record_next(&list, &r, e)) > 0) {
		if (take_resource_record(res, &r, e) < 0)
			return -1;
	}
	return rc;
}

static int decode_parent(struct point *p, const struct record *r, struct err *e)
{
	struct cur c = r->value;

	cur_copy(&c, p->parent.b, 16);
	cur_copy(&c, p->parent_hash, HASH_BYTES);
	return cur_done(&c) ? 0 : err_set(e, ERR_CORRUPT, "a parent's name of the wrong size");
}

/* A mode that is not known is taken for the weaker one. */
static int decode_lock(struct point_lock *l, const struct record *r, struct err *e)
{
	uint8_t raw[LOCK_RECORD];

	if (record_get_bytes(r, raw, sizeof(raw), e) < 0)
		return -1;
	l->mode = raw[0] == LOCK_COMPLIANCE ? LOCK_COMPLIANCE : LOCK_GOVERNANCE;
	l->until_us = get_le64(raw + 8);
	l->covered_us = get_le64(raw + 16);
	return 0;
}

static int decode_strings(const struct record *r, char ***list, size_t *n, const char *what,
			  struct err *e)
{
	char *s = NULL;

	if (too_many(*n, what, e) < 0 || record_get_text(r, &s, e) < 0)
		return -1;
	*list = xreallocarray(*list, *n + 1, sizeof(char *));
	(*list)[(*n)++] = s;
	return 0;
}

static int take_point_record(struct point *p, const struct record *r, struct err *e)
{
	switch (r->tag) {
	case P_ID:
		return record_get_bytes(r, p->id.b, 16, e);
	case P_INSTANT:
		return record_get_u64(r, &p->instant_us, e);
	case P_COMPLETE:
		return record_get_u64(r, &p->complete_us, e);
	case P_WRITER:
		return record_get_text(r, &p->writer, e);
	case P_PARENT:
		return decode_parent(p, r, e);
	case P_TAG:
		return decode_strings(r, &p->tags, &p->n_tags, "tags", e);
	case P_WARNING:
		return decode_strings(r, &p->warnings, &p->n_warnings, "warnings", e);
	case P_STATS:
		return decode_stats(r, &p->stats, e);
	case P_ORIGIN:
		return record_get_bytes(r, p->origin.b, 16, e);
	case P_LOCK:
		return decode_lock(&p->lock, r, e);
	case P_WINDOW:
		return record_get_u64(r, &p->window_us, e);
	case P_RESOURCE:
		return decode_resource(p, r->value, e);
	default:
		return record_unknown(r, "a checkpoint", e);
	}
}

struct point *point_decode(const void *body, size_t n, struct err *e)
{
	struct cur list = cur_of(body, n);
	AUTO(point) p = point_new();
	struct record r;
	int rc;

	while ((rc = record_next(&list, &r, e)) > 0) {
		if (take_point_record(p, &r, e) < 0)
			return NULL;
	}
	if (rc < 0)
		return NULL;
	if (uuid_is_zero(&p->id)) {
		err_set(e, ERR_CORRUPT, "a checkpoint without an id");
		return NULL;
	}
	return steal(&p);
}
