/* SPDX-License-Identifier: Apache-2.0 */
/* The properties of a trigger, and what is due then; zoneinfo files. */
#include "fuzz.h"

#include <stdlib.h>

#include "sched/words.h"

#define NOW UINT64_C(1795305600000000)

static void zone(const uint8_t *data, size_t size)
{
	AUTO(zone) z = zone_parse("fuzz", data, size, NULL);

	for (int64_t s = -4000000000; z && s < 9000000000; s += 987654321) {
		struct zone_period p = zone_period(z, s);

		if (p.from > s || p.until <= s || zone_to_local(z, s) != s + p.offset)
			abort();
		zone_to_utc(z, s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zones *zones;
	json_t *o = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
	AUTO(schedule) s = NULL;
	AUTO_FREE char *words = NULL;
	struct schedule_due d;

	if (!zones)
		zones = zones_new(NULL);
	zone(data, size);
	s = o ? schedule_parse(o, zones, NOW, NULL) : NULL;
	json_decref(o);
	if (!s)
		return 0;
	words = schedule_words(s, "pattern");
	if (!*words)
		abort();
	schedule_due(s, "id", NOW, NOW + UINT64_C(86400000000) * 40, &d);
	for (size_t i = 0; i < d.n; i++)
		if (d.list[i].at_us <= NOW || (i > 0 && d.list[i].at_us <= d.list[i - 1].at_us))
			abort();
	schedule_due_done(&d);
	return 0;
}
