/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sched_cases: answers questions on its input, a line for each, so that test_sched.py can compare
 * thousands of answers with those of other programs. Words are separated by tabs; times are
 * seconds.
 *
 *	cron PATTERN AFTER N		the next N local times
 *	rule RRULE START AFTER N	the same for a recurrence rule that starts at START
 *	calendar TEXT ZONE START AFTER N	instants; \n in TEXT are line ends
 *	schedule ZONE CRONTAB AFTER N	instants
 *	offset ZONE UTC			the offset
 *	utc ZONE LOCAL			zone_to_utc
 *
 * The answer is numbers, or "error" and a message.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sched/calendar.h"
#include "sched/cron.h"
#include "sched/rrule.h"
#include "sched/schedule.h"

#define WORDS 6

static struct zones *zones;

static int64_t number(const char *text)
{
	return strtoll(text, NULL, 10);
}

static void cron(char **w, struct err *e)
{
	int64_t s = number(w[2]);
	struct cron c;

	if (cron_parse(w[1], &c, e) < 0)
		return;
	for (int64_t n = number(w[3]); n > 0 && cron_next(&c, s, &s); n--)
		printf("%" PRId64 " ", s);
}

static void rule(char **w, struct err *e)
{
	int64_t s = number(w[3]);
	struct rrule r;

	if (rrule_parse(w[1], number(w[2]), &r, e) < 0)
		return;
	for (int64_t n = number(w[4]); n > 0 && rrule_next(&r, s, &s); n--)
		printf("%" PRId64 " ", s);
}

static void calendar(char **w, struct err *e)
{
	AUTO(zone) z = zones_get(zones, w[2], e);
	AUTO(calendar) c = z ? calendar_parse(w[1], zones, z, number(w[3]), e) : NULL;
	int64_t s = number(w[4]);

	for (int64_t n = number(w[5]); c && n > 0 && calendar_next(c, s, &s); n--)
		printf("%" PRId64 " ", s);
}

static void schedule(char **w, struct err *e)
{
	json_t *p = json_pack("{s:s, s:s, s:s, s:s}", "format", "crontab", "pattern", w[2],
			      "timezone", w[1], "start_time", "1970-01-01 00:00:00");
	AUTO(schedule) s = schedule_parse(p, zones, 0, e);
	uint64_t at = (uint64_t)number(w[3]) * 1000000;

	json_decref(p);
	for (int64_t n = number(w[4]); s && n > 0 && schedule_next(s, at, &at); n--)
		printf("%" PRIu64 " ", at / 1000000);
}

static void zone(char **w, struct err *e)
{
	AUTO(zone) z = zones_get(zones, w[1], e);

	if (!z)
		return;
	if (strcmp(w[0], "utc") == 0)
		printf("%" PRId64, zone_to_utc(z, number(w[2])));
	else
		printf("%d", zone_period(z, number(w[2])).offset);
}

int main(void)
{
	static const struct {
		const char *name;
		size_t words;
		void (*answer)(char **w, struct err *e);
	} questions[] = {
		{"cron", 4, cron},	   {"rule", 5, rule},	{"calendar", 6, calendar},
		{"schedule", 5, schedule}, {"offset", 3, zone}, {"utc", 3, zone},
	};
	AUTO_FREE char *line = NULL;
	size_t room = 0;

	zones = zones_new(NULL);
	while (getline(&line, &room, stdin) > 0) {
		char *w[WORDS] = {NULL}, *save;
		size_t n = 0, q = 0;
		struct err e = {0};

		for (char *p = strtok_r(line, "\t\n", &save); p && n < WORDS;
		     p = strtok_r(NULL, "\t\n", &save))
			w[n++] = p;
		while (q < ARRAY_LEN(questions) && n > 0 && strcmp(w[0], questions[q].name) != 0)
			q++;
		if (n == 0 || q == ARRAY_LEN(questions) || questions[q].words != n)
			return 2;
		questions[q].answer(w, &e);
		printf("%s%s\n", e.kind ? "error " : "", e.kind ? e.msg : "");
	}
	zones_free(zones);
	return 0;
}
