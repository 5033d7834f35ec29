/* SPDX-License-Identifier: Apache-2.0 */
/* iCalendar texts and their rules; the firings of those that are taken are strictly ascending. */
#include "fuzz.h"

#include <stdlib.h>

#include "sched/calendar.h"
#include "sched/rrule.h"

static void rule(const char *text)
{
	int64_t s = 1795305600, next;
	struct rrule r;

	if (rrule_parse(text, s, &r, NULL) < 0)
		return;
	for (int i = 0; i < 10 && rrule_next(&r, s, &next); i++) {
		if (next <= s)
			abort();
		s = next;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zones *zones;
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	AUTO(zone) z = NULL;
	AUTO(calendar) c = NULL;
	int64_t s = 1795305600, next;

	if (!zones)
		zones = zones_new(NULL);
	z = zones_get(zones, "Europe/Berlin", NULL);
	rule(text);
	c = z ? calendar_parse(text, zones, z, s, NULL) : NULL;
	for (int i = 0; c && i < 10 && calendar_next(c, s, &next); i++) {
		if (next <= s)
			abort();
		s = next;
	}
	return 0;
}
