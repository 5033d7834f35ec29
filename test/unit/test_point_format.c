/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of points: everything comes back; wrong sizes, too many members and tags that must be
 * understood are refused at every depth.
 */
#include "testing.h"

#include <string.h>

#include "repo/point.h"
#include "repo/record.h"

#define MEMBERS_MAX 4096

static const struct uuid some_id = {{1, 2, 3}};

static void set_stats(struct point_stats *s, uint64_t from)
{
	*s = (struct point_stats){from, from + 1, from + 2, from + 3, from + 4};
}

static struct point *full_point(void)
{
	struct point *p = point_new();
	struct point_resource *r;
	struct point_disk *d;

	p->id = some_id;
	p->instant_us = 11;
	p->complete_us = 22;
	p->window_us = 44;
	p->writer = xstrdup("holdfast 1");
	p->parent = (struct uuid){{9, 9}};
	memset(p->parent_hash, 0x77, HASH_BYTES);
	p->lock = (struct point_lock){LOCK_COMPLIANCE, 33, 44};
	point_add_tag(p, "a=b");
	point_add_tag(p, "c=d");
	point_add_warning(p, "disk %d was slow", 3);
	set_stats(&p->stats, 100);
	for (int i = 0; i < 2; i++) {
		r = point_add_resource(p, "domain", "uuid", i ? "two" : "one", "host");
		r->asked = CONSISTENCY_REQUIRED;
		r->achieved = ACHIEVED_QUIESCED;
		r->frozen_us = 333;
		r->why_less = xstrdup("no agent");
		d = point_add_disk(r, "vda");
		d->tree = (struct tree){TREE_MAP, 16, 8, 1, 65536, {{5}}};
		d->source = xstrdup("/images/vda");
		d->format = xstrdup("qcow2");
		d->tracking = xstrdup("checkpoint-1");
		d->mode = xstrdup("incremental");
		d->reason = xstrdup("a bitmap was lost");
		set_stats(&d->stats, 200);
		point_add_disk(r, "vdb")->tree = (struct tree){TREE_MAP, 16, 8, 1, 0, {{0}}};
		point_add_item(r, "domain.xml")->tree = (struct tree){.type = TREE_SEQUENCE};
	}
	return p;
}

static struct point *decode(const struct buf *b, struct err *e)
{
	/* A copy of its own, so that a sanitizer sees a read past the end. */
	AUTO_FREE uint8_t *copy = xmalloc(b->len);

	if (b->len)
		memcpy(copy, b->data, b->len);
	return point_decode(copy, b->len, e);
}

static void assert_stats(const struct point_stats *s, uint64_t from)
{
	struct point_stats want;

	set_stats(&want, from);
	assert_memory_equal(s, &want, sizeof(want));
}

static void assert_resource(const struct point_resource *r, const char *name)
{
	const struct point_disk *d = &r->disks[0];

	assert_string_equal(r->type, "domain");
	assert_string_equal(r->id, "uuid");
	assert_string_equal(r->name, name);
	assert_string_equal(r->platform, "host");
	assert_int_equal(r->asked, CONSISTENCY_REQUIRED);
	assert_int_equal(r->achieved, ACHIEVED_QUIESCED);
	assert_int_equal(r->frozen_us, 333);
	assert_string_equal(r->why_less, "no agent");
	assert_int_equal(r->n_disks, 2);
	assert_string_equal(d->name, "vda");
	assert_string_equal(d->source, "/images/vda");
	assert_string_equal(d->format, "qcow2");
	assert_string_equal(d->tracking, "checkpoint-1");
	assert_string_equal(d->mode, "incremental");
	assert_string_equal(d->reason, "a bitmap was lost");
	assert_int_equal(d->tree.size, 65536);
	assert_int_equal(d->tree.root.b[0], 5);
	assert_stats(&d->stats, 200);
	assert_string_equal(r->disks[1].name, "vdb");
	assert_null(r->disks[1].source);
	assert_int_equal(r->n_items, 1);
	assert_string_equal(r->items[0].name, "domain.xml");
	assert_int_equal(r->items[0].tree.type, TREE_SEQUENCE);
}

static void test_round_trip(void **state)
{
	AUTO(point) p = full_point();
	AUTO(point) q = NULL;
	AUTO_BUF b = BUF_INIT;
	AUTO_BUF again = BUF_INIT;

	(void)state;
	point_encode(p, &b);
	q = OK_PTR(decode(&b, e));
	assert_true(uuid_equal(&q->id, &some_id));
	assert_int_equal(q->instant_us, 11);
	assert_int_equal(q->complete_us, 22);
	assert_int_equal(q->window_us, 44);
	assert_string_equal(q->writer, "holdfast 1");
	assert_int_equal(q->parent.b[1], 9);
	assert_int_equal(q->parent_hash[31], 0x77);
	assert_int_equal(q->lock.mode, LOCK_COMPLIANCE);
	assert_int_equal(q->lock.until_us, 33);
	assert_int_equal(q->lock.covered_us, 44);
	assert_int_equal(q->n_tags, 2);
	assert_string_equal(q->tags[0], "a=b");
	assert_string_equal(q->tags[1], "c=d");
	assert_int_equal(q->n_warnings, 1);
	assert_string_equal(q->warnings[0], "disk 3 was slow");
	assert_stats(&q->stats, 100);
	assert_int_equal(q->n_resources, 2);
	assert_resource(&q->resources[0], "one");
	assert_resource(&q->resources[1], "two");
	point_encode(q, &again);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.data, b.data, b.len);
}

static void test_least_point(void **state)
{
	AUTO(point) p = point_new();
	AUTO(point) q = NULL;
	AUTO_BUF b = BUF_INIT;

	(void)state;
	p->id = some_id;
	point_encode(p, &b);
	q = OK_PTR(decode(&b, e));
	assert_true(uuid_is_zero(&q->parent));
	assert_int_equal(q->lock.mode, LOCK_NONE);
	assert_null(q->writer);
	assert_int_equal(q->n_resources + q->n_tags + q->n_warnings, 0);
}

/* The length of a body says little. */
static void test_padding(void **state)
{
	char tag[1100];

	(void)state;
	for (size_t n = 1; n < sizeof(tag); n++) {
		AUTO(point) p = point_new();
		AUTO(point) q = NULL;
		AUTO_BUF b = BUF_INIT;

		p->id = some_id;
		memset(tag, 't', n);
		tag[n] = 0;
		point_add_tag(p, tag);
		point_encode(p, &b);
		assert_int_equal(b.len % 1024, 0);
		q = OK_PTR(decode(&b, e));
		assert_int_equal(strlen(q->tags[0]), n);
		if (n == sizeof(tag) - 1)
			break;
	}
}

/* Cut anywhere, a body is damaged, or one that ends between two records of the first level. */
static void test_every_cut(void **state)
{
	AUTO(point) p = full_point();
	AUTO_BUF b = BUF_INIT;
	unsigned whole = 0;

	(void)state;
	point_encode(p, &b);
	while (b.len) {
		struct err why = {0};
		AUTO(point) q = NULL;

		b.len--;
		q = decode(&b, &why);
		if (!q)
			assert_int_equal(why.kind, ERR_CORRUPT);
		whole += q != NULL;
	}
	/* id, two times, writer, parent, two tags, warning, statistics, lock, window, two resources
	 */
	assert_int_equal(whole, 13);
}

/* Flipped bytes give an error or another point, and never more than they may hold. */
static void test_every_flipped_byte(void **state)
{
	AUTO(point) p = full_point();
	AUTO_BUF b = BUF_INIT;

	(void)state;
	point_encode(p, &b);
	for (size_t i = 0; i < b.len; i++) {
		for (int bit = 0; bit < 8; bit += 7) {
			struct err why = {0};
			AUTO(point) q = NULL;

			b.data[i] ^= (uint8_t)(1 << bit);
			q = decode(&b, &why);
			if (!q)
				assert_true(why.kind == ERR_CORRUPT || why.kind == ERR_VERSION);
			b.data[i] ^= (uint8_t)(1 << bit);
		}
	}
}

/* ---- bodies made by hand ---- */

enum level { IN_POINT, IN_RESOURCE, IN_ITEM, IN_DISK, LEVELS };

/* A good body, but for one more record at a level. */
static void make_body(struct buf *b, enum level level, uint16_t tag, const void *data, size_t n)
{
	static const uint8_t tree[TREE_DESC] = {TREE_SEQUENCE};
	size_t resource, member;

	b->len = 0;
	record_add(b, 1, some_id.b, 16);
	resource = record_open(b, 16);
	for (enum level m = IN_ITEM; m <= IN_DISK; m++) {
		member = record_open(b, m == IN_ITEM ? 16 : 17);
		record_text(b, 1, "name");
		record_add(b, 2, tree, TREE_DESC);
		if (level == m)
			record_add(b, tag, data, n);
		record_close(b, member);
	}
	if (level == IN_RESOURCE)
		record_add(b, tag, data, n);
	record_close(b, resource);
	if (level == IN_POINT)
		record_add(b, tag, data, n);
}

static int decode_with(enum level level, uint16_t tag, const void *data, size_t n, struct err *e)
{
	AUTO_BUF b = BUF_INIT;
	AUTO(point) p = NULL;

	make_body(&b, level, tag, data, n);
	p = decode(&b, e);
	return p ? 0 : -1;
}

static void test_unknown_tags(void **state)
{
	(void)state;
	for (enum level level = IN_POINT; level < LEVELS; level++) {
		OK(decode_with(level, 0, "padding", 7, e));
		OK(decode_with(level, 99, "newer", 5, e));
		OK(decode_with(level, 0x7fff, "newer", 5, e));
		FAILS(ERR_VERSION, decode_with(level, 0x8000, "newer", 5, e));
		FAILS(ERR_VERSION, decode_with(level, 0x8001, "newer", 5, e));
	}
}

/* Every value of fixed layout has exactly its size. */
static void test_sizes(void **state)
{
	static const struct {
		enum level level;
		uint16_t tag;
		size_t size;
	} rows[] = {
		{IN_POINT, 1, 16}, {IN_POINT, 2, 8},  {IN_POINT, 3, 8},
		{IN_POINT, 5, 48}, {IN_POINT, 8, 40}, {IN_RESOURCE, 5, 16},
		{IN_ITEM, 2, 48},  {IN_DISK, 2, 48},  {IN_DISK, 8, 40},
	};
	static const uint8_t value[64] = {TREE_SEQUENCE};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t n = 0; n <= sizeof(value); n++) {
			if (n == rows[i].size)
				OK(decode_with(rows[i].level, rows[i].tag, value, n, e));
			else
				FAILS(ERR_CORRUPT,
				      decode_with(rows[i].level, rows[i].tag, value, n, e));
		}
	}
}

static void test_texts(void **state)
{
	static const struct {
		enum level level;
		uint16_t tags[8];
	} rows[] = {
		{IN_POINT, {4, 6, 7}},
		{IN_RESOURCE, {1, 2, 3, 4, 6}},
		{IN_ITEM, {1}},
		{IN_DISK, {1, 3, 4, 5, 6, 7}},
	};
	AUTO_FREE char *text = xmalloc(RECORD_TEXT_MAX + 1);

	(void)state;
	memset(text, 'x', RECORD_TEXT_MAX + 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (const uint16_t *tag = rows[i].tags; *tag; tag++) {
			OK(decode_with(rows[i].level, *tag, text, RECORD_TEXT_MAX, e));
			FAILS(ERR_LIMIT,
			      decode_with(rows[i].level, *tag, text, RECORD_TEXT_MAX + 1, e));
			FAILS(ERR_CORRUPT, decode_with(rows[i].level, *tag, "a\0b", 3, e));
		}
	}
}

/* A record inside another one that is cut short. */
static void test_cut_inside(void **state)
{
	static const uint8_t cut[] = {1, 0, 9, 0, 0, 0, 'x'};

	(void)state;
	FAILS(ERR_CORRUPT, decode_with(IN_POINT, 16, cut, sizeof(cut), e));
	FAILS(ERR_CORRUPT, decode_with(IN_RESOURCE, 16, cut, sizeof(cut), e));
	FAILS(ERR_CORRUPT, decode_with(IN_RESOURCE, 17, cut, sizeof(cut), e));
}

static void test_what_must_be_there(void **state)
{
	static const uint8_t tree[TREE_DESC] = {TREE_SEQUENCE};
	AUTO_BUF name = BUF_INIT;
	AUTO_BUF desc = BUF_INIT;

	(void)state;
	FAILS_PTR(ERR_CORRUPT, point_decode("", 0, e));
	FAILS(ERR_CORRUPT, decode_with(IN_POINT, 1, tree + 16, 16, e)); /* a zero id */
	record_text(&name, 1, "name");
	record_add(&desc, 2, tree, TREE_DESC);
	for (uint16_t member = 16; member <= 17; member++) {
		FAILS(ERR_CORRUPT, decode_with(IN_RESOURCE, member, name.data, name.len, e));
		FAILS(ERR_CORRUPT, decode_with(IN_RESOURCE, member, desc.data, desc.len, e));
		FAILS(ERR_CORRUPT, decode_with(IN_RESOURCE, member, "", 0, e));
	}
	OK(decode_with(IN_POINT, 16, "", 0, e)); /* a resource of which nothing is known */
}

/* As many members as allowed, and one more. */
static void test_counts(void **state)
{
	static const struct {
		enum level level;
		uint16_t tag;
		int there; /* in every body */
	} rows[] = {
		{IN_POINT, 6, 0},     {IN_POINT, 7, 0},	    {IN_POINT, 16, 1},
		{IN_RESOURCE, 16, 1}, {IN_RESOURCE, 17, 1},
	};
	static const uint8_t tree[TREE_DESC] = {TREE_SEQUENCE};
	AUTO_BUF member = BUF_INIT;

	(void)state;
	record_text(&member, 1, "name");
	record_add(&member, 2, tree, TREE_DESC);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool text = rows[i].tag < 16;

		/* Longer lists are slow under a sanitizer: as many as allowed, of texts only. */
		for (int extra = !text; extra <= 1; extra++) {
			AUTO_BUF b = BUF_INIT;
			AUTO_BUF list = BUF_INIT;
			AUTO(point) p = NULL;
			struct err why = {0};

			for (int n = rows[i].there; n < MEMBERS_MAX + extra; n++) {
				if (text)
					record_text(&list, rows[i].tag, "t");
				else if (rows[i].level == IN_POINT)
					record_add(&list, rows[i].tag, NULL, 0);
				else
					record_add(&list, rows[i].tag, member.data, member.len);
			}
			make_body(&b, rows[i].level, 99, list.data, list.len);
			/* Take the records out of the one that holds them. */
			memset(b.data + b.len - list.len - 6, 0, 6);
			p = decode(&b, &why);
			assert_int_equal(why.kind, extra ? ERR_LIMIT : ERR_NONE);
		}
	}
}

static void test_unknown_consistency_is_kept(void **state)
{
	static const uint8_t raw[16] = {77, 88};
	AUTO_BUF b = BUF_INIT;
	AUTO(point) p = NULL;

	(void)state;
	make_body(&b, IN_RESOURCE, 5, raw, sizeof(raw));
	p = OK_PTR(decode(&b, e));
	assert_string_equal(consistency_name(p->resources[0].asked), "unknown");
	assert_string_equal(achieved_name(p->resources[0].achieved), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_least_point),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_flipped_byte),
		cmocka_unit_test(test_unknown_tags),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_cut_inside),
		cmocka_unit_test(test_what_must_be_there),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_unknown_consistency_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
