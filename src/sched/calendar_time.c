/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/calendar_time.h"

#include <stddef.h>

#include "sched/civil.h"

static bool digits(const char *p, size_t n, int *ret_v)
{
	int v = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		v = v * 10 + p[i] - '0';
	}
	*ret_v = v;
	return true;
}

bool calendar_time_parse(const char *text, struct calendar_time *ret_t)
{
	struct calendar_time t = {.date_only = true};
	struct civil c = {0};

	/* Each test fails at the end of a text that is too short, so nothing is read after it. */
	if (!digits(text, 4, &c.year) || !digits(text + 4, 2, &c.month) ||
	    !digits(text + 6, 2, &c.day))
		return false;
	text += 8;
	if (*text == 'T') {
		t.date_only = false;
		if (!digits(text + 1, 2, &c.hour) || !digits(text + 3, 2, &c.minute) ||
		    !digits(text + 5, 2, &c.second))
			return false;
		text += 7;
		t.utc = *text == 'Z';
		text += t.utc;
	}
	/* A leap second is the second before. */
	if (c.second == 60)
		c.second = 59;
	if (*text || !civil_valid(&c))
		return false;
	t.local_s = civil_seconds(&c);
	*ret_t = t;
	return true;
}
