/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TZif (RFC 8536): a header and a table with times of 32 bits, the same with 64 bits, and a line of
 * text with the rule for later years. The first table is only skipped. Of the second: the times of
 * the changes, an index of a type for each, and the types, of which only the offset counts here.
 */
#include "sched/zone_priv.h"

#include <stdio.h>
#include <string.h>

#define HEADER 44
#define TYPE 6
#define CHANGES_MAX 4000
#define OFFSET_MAX (26 * 3600)

struct counts {
	uint32_t isutc, isstd, leap, times, types, chars;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int64_t be64(const uint8_t *p)
{
	return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

static bool read_header(const uint8_t *p, size_t len, struct counts *ret_c)
{
	if (len < HEADER || memcmp(p, "TZif", 4) != 0)
		return false;
	*ret_c = (struct counts){be32(p + 20), be32(p + 24), be32(p + 28),
				 be32(p + 32), be32(p + 36), be32(p + 40)};
	return ret_c->times <= CHANGES_MAX && ret_c->types >= 1 && ret_c->types <= 256 &&
	       ret_c->leap <= CHANGES_MAX && ret_c->chars <= 4096 && ret_c->isutc <= 256 &&
	       ret_c->isstd <= 256;
}

/* The length of what follows a header, with times of `width` bytes. */
static size_t body_length(const struct counts *c, size_t width)
{
	return c->times * (width + 1) + c->types * TYPE + c->chars + c->leap * (width + 4) +
	       c->isstd + c->isutc;
}

static bool read_table(struct zone *z, const uint8_t *p, const struct counts *c)
{
	const uint8_t *kinds = p + (size_t)c->times * 8, *types = kinds + c->times;
	int64_t last = INT64_MIN;

	for (uint32_t i = 0; i < c->types; i++)
		if (llabs((int32_t)be32(types + i * TYPE)) > OFFSET_MAX)
			return false;
	z->first = (int32_t)be32(types);
	for (uint32_t i = 0; i < c->times; i++) {
		int64_t at = be64(p + (size_t)i * 8);

		/* Nothing that is older than the universe, so that sums do not overflow. */
		if (kinds[i] >= c->types || at < last || llabs(at) > INT64_C(1) << 60)
			return false;
		zone_add(z, at, (int32_t)be32(types + kinds[i] * TYPE));
		last = at;
	}
	return true;
}

static int read_footer(struct zone *z, const uint8_t *p, size_t len, struct err *e)
{
	const uint8_t *end = len > 1 && p[0] == '\n' ? memchr(p + 1, '\n', len - 1) : NULL;
	AUTO_FREE char *rule = NULL;

	if (!end)
		return err_set(e, ERR_CORRUPT,
			       "time zone %s: its file is cut off; reinstall tzdata", z->name);
	rule = xstrndup((const char *)p + 1, (size_t)(end - p - 1));
	return rule[0] ? zone_add_rule(z, rule, e) : 0;
}

struct zone *zone_parse(const char *name, const void *data, size_t len, struct err *e)
{
	AUTO(zone) z = zone_new(name);
	const uint8_t *p = data;
	struct counts c;

	for (size_t width = 4; width <= 8; width += 4) {
		/* Version 1, which has 32 bits only, is of before 2005. */
		if (!read_header(p, len, &c) || p[4] < '2' ||
		    len - HEADER < body_length(&c, width)) {
			err_set(e, ERR_CORRUPT,
				"time zone %s: its file is not in the format TZif, version 2 or "
				"later; reinstall tzdata",
				name);
			return NULL;
		}
		if (width == 4) {
			p += HEADER + body_length(&c, width);
			len -= HEADER + body_length(&c, width);
		}
	}
	/* Leap seconds ("right/") are not what clocks show. */
	if (c.leap > 0 || !read_table(z, p + HEADER, &c)) {
		err_set(e, ERR_CORRUPT, "time zone %s: its file has a table that cannot be used",
			name);
		return NULL;
	}
	if (read_footer(z, p + HEADER + body_length(&c, 8), len - HEADER - body_length(&c, 8), e) <
	    0)
		return NULL;
	return steal(&z);
}
