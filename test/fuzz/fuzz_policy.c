/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy's document. What is accepted has one form that reads back as the same, foretells its
 * firings, and can be merged with itself.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "core/policy.h"

#define NOW 1795341600000000ULL
#define DAY_US 86400000000ULL

static char *form_of(const struct policy *p)
{
	json_t *o = policy_json(p);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	return text;
}

static void use(const struct policy *p)
{
	struct policy_mandatory m[] = {{"1", p}, {"2", p}};
	AUTO(policy) merged = policy_merge(p, m, 2);
	struct retention_firing *f;
	struct retention_zone zone = policy_zone(merged);
	struct retention r = policy_retention(merged, "x");
	struct retention_timeline t;
	size_t n;

	policy_window_opens(merged, NOW);
	f = policy_foretell(merged, NOW, NOW + 40 * DAY_US, 300, &n);
	retention_simulate(&r, NULL, 0, f, n, NOW, NOW + 40 * DAY_US, &zone, &t);
	retention_timeline_done(&t);
	free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct zones *zones; /* kept: it reads files */
	AUTO(policy) p = NULL;
	AUTO(policy) again = NULL;
	AUTO_FREE char *once = NULL;
	AUTO_FREE char *twice = NULL;
	struct err e = {0};
	json_t *form;

	if (!zones)
		zones = zones_new(NULL);
	p = policy_parse_text((const char *)data, size, zones, NOW, &e);
	if (!p)
		return 0;
	once = form_of(p);
	form = json_loads(once, 0, NULL); /* it may be longer than what is read */
	again = policy_parse(form, zones, NOW, &e);
	json_decref(form);
	if (!again)
		abort();
	twice = form_of(again);
	if (strcmp(once, twice) != 0)
		abort();
	use(p);
	return 0;
}
