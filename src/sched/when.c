/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/when.h"

#include <string.h>

#include "sched/civil.h"

/* "0000-00-00": digits for zeros, else the same characters. False at the end of the text, too. */
static bool looks_like(const char *text, const char *form)
{
	for (; *form; form++, text++)
		if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return true;
}

static int number(const char *p, int digits)
{
	int v = 0;

	while (digits-- > 0)
		v = v * 10 + *p++ - '0';
	return v;
}

/* What follows the seconds; the offset from UTC, or none. */
static bool read_offset(const char *p, bool *ret_given, int *ret_s)
{
	if (*p == '.' && looks_like(p + 1, "0")) {
		p += 1 + strspn(p + 1, "0123456789");
	}
	*ret_given = *p != 0;
	*ret_s = 0;
	if (!*p)
		return true;
	if (*p == 'Z' && !p[1])
		return true;
	if ((*p != '+' && *p != '-') || !looks_like(p + 1, "00:00") || p[6])
		return false;
	if (number(p + 1, 2) > 23 || number(p + 4, 2) > 59)
		return false;
	*ret_s = (*p == '-' ? -1 : 1) * (number(p + 1, 2) * 3600 + number(p + 4, 2) * 60);
	return true;
}

bool when_parse(const char *text, const struct zone *zone, int64_t *ret_utc_s)
{
	bool iso = looks_like(text, "0000-00-00T00:00:00"), given = true;
	int offset = 0;
	struct civil c;

	if (!iso && !looks_like(text, "0000-00-00 00:00:00"))
		return false;
	c = (struct civil){number(text, 4),	 number(text + 5, 2),  number(text + 8, 2),
			   number(text + 11, 2), number(text + 14, 2), number(text + 17, 2)};
	if (!civil_valid(&c) || (iso ? !read_offset(text + 19, &given, &offset) : text[19] != 0))
		return false;
	*ret_utc_s = given ? civil_seconds(&c) - offset : zone_to_utc(zone, civil_seconds(&c));
	return true;
}
