/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schedule_parse.c: the properties of a trigger.
 */
#include "sched/schedule_priv.h"

#include <string.h>

#include "sched/civil.h"
#include "sched/when.h"

static const char *const known[] = {
	"format", "pattern", "timezone", "start_time",	  "end_time",
	"window", "jitter",  "misfire",	 "misfire_limit",
};

/* NULL: not given. */
static int get_text(const json_t *o, const char *key, const char **ret_text, struct err *e)
{
	const json_t *v = json_object_get(o, key);

	*ret_text = NULL;
	if (!v || json_is_null(v))
		return 0;
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
		return err_set(e, ERR_INVALID, "%s: give a text", key);
	*ret_text = json_string_value(v);
	return 0;
}

/* A number, or a text of digits, which clients of Karbor's send. */
static int get_number(const json_t *o, const char *key, unsigned low, unsigned high,
		      unsigned *number, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = -1;

	if (!v || json_is_null(v))
		return 0;
	if (json_is_integer(v))
		n = json_integer_value(v);
	else if (json_is_string(v) && json_string_length(v) > 0 && json_string_length(v) < 10 &&
		 strspn(json_string_value(v), "0123456789") == json_string_length(v))
		n = strtol(json_string_value(v), NULL, 10);
	else
		return err_set(e, ERR_INVALID, "%s: give a whole number", key);
	if (n < low || n > high)
		return err_set(e, ERR_INVALID, "%s: %" JSON_INTEGER_FORMAT " is not in %u to %u",
			       key, n, low, high);
	*number = (unsigned)n;
	return 0;
}

static int get_time(const json_t *o, const char *key, const struct zone *zone, int64_t *time_s,
		    struct err *e)
{
	const char *text;

	if (get_text(o, key, &text, e) < 0)
		return -1;
	if (text && !when_parse(text, zone, time_s))
		return err_set(e, ERR_INVALID,
			       "%s: \"%.40s\" is not a time like \"2026-11-21 05:30:00\" (UTC) or "
			       "2026-11-21T05:30:00+01:00",
			       key, text);
	return 0;
}

static int check_names(const json_t *o, struct err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)o, key, value)
	{
		size_t i = 0;

		while (i < ARRAY_LEN(known) && strcmp(key, known[i]) != 0)
			i++;
		if (i == ARRAY_LEN(known))
			return err_set(e, ERR_INVALID,
				       "%.40s: there is no such property of a trigger of type time",
				       key);
	}
	return 0;
}

static int read_misfire(struct schedule *s, const json_t *o, struct err *e)
{
	static const char *const names[] = {"skip", "once", "all"};
	const char *text;

	s->misfire = MISFIRE_ONCE;
	s->misfire_limit = SCHEDULE_MISFIRE_LIMIT;
	if (get_text(o, "misfire", &text, e) < 0 ||
	    get_number(o, "misfire_limit", 1, SCHEDULE_MISFIRE_LIMIT_MAX, &s->misfire_limit, e) < 0)
		return -1;
	if (!text)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(text, names[i]) == 0) {
			s->misfire = (enum misfire)i;
			return 0;
		}
	return err_set(e, ERR_INVALID, "misfire: \"%.40s\" is none of skip, once, all", text);
}

static int read_times(struct schedule *s, const json_t *o, struct zones *zones, uint64_t now_us,
		      struct err *e)
{
	const char *name;

	s->start_s = (int64_t)(now_us / SECOND_US);
	s->end_s = INT64_MAX;
	s->window_s = SCHEDULE_WINDOW_S;
	if (get_text(o, "timezone", &name, e) < 0)
		return -1;
	s->zone = zones_get(zones, name ? name : "UTC", e);
	if (!s->zone)
		return err_wrap(e, "timezone");
	if (get_time(o, "start_time", s->zone, &s->start_s, e) < 0 ||
	    get_time(o, "end_time", s->zone, &s->end_s, e) < 0 ||
	    get_number(o, "window", SCHEDULE_WINDOW_MIN_S, SCHEDULE_WINDOW_MAX_S, &s->window_s, e) <
		    0 ||
	    get_number(o, "jitter", 0, SCHEDULE_JITTER_MAX_S, &s->jitter_s, e) < 0)
		return -1;
	if (s->end_s <= s->start_s)
		return err_set(e, ERR_INVALID, "end_time: it is not after the start_time");
	return 0;
}

static int read_pattern(struct schedule *s, const json_t *o, struct zones *zones, struct err *e)
{
	const char *format, *pattern;
	int64_t first_s;

	if (get_text(o, "format", &format, e) < 0 || get_text(o, "pattern", &pattern, e) < 0)
		return -1;
	if (!format)
		return err_set(e, ERR_INVALID, "format: it is missing: give crontab or calendar");
	if (!pattern)
		return err_set(e, ERR_INVALID, "pattern: it is missing");
	if (strcmp(format, "calendar") == 0) {
		s->calendar = calendar_parse(pattern, zones, s->zone, s->start_s, e);
		return s->calendar ? 0 : err_wrap(e, "pattern");
	}
	if (strcmp(format, "crontab") != 0)
		return err_set(e, ERR_INVALID, "format: \"%.40s\" is neither crontab nor calendar",
			       format);
	if (cron_parse(pattern, &s->cron, e) < 0)
		return err_wrap(e, "pattern");
	if (!cron_next(&s->cron, s->start_s, &first_s))
		return err_set(e, ERR_INVALID, "pattern: crontab \"%.60s\": this never fires",
			       pattern);
	return 0;
}

struct schedule *schedule_parse(const json_t *properties, struct zones *zones, uint64_t now_us,
				struct err *e)
{
	AUTO(schedule) s = xcalloc(1, sizeof(*s));

	if (!json_is_object(properties)) {
		err_set(e, ERR_INVALID, "properties: give an object with format and pattern");
		return NULL;
	}
	if (check_names(properties, e) < 0 || read_times(s, properties, zones, now_us, e) < 0 ||
	    read_misfire(s, properties, e) < 0 || read_pattern(s, properties, zones, e) < 0)
		return NULL;
	return steal(&s);
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	zone_unref(s->zone);
	calendar_free(s->calendar);
	free(s);
}

json_t *schedule_with_start(const json_t *properties, uint64_t now_us)
{
	json_t *o = json_deep_copy(properties);
	const json_t *start = json_object_get(o, "start_time");
	char text[CIVIL_TEXT];

	if (!start || json_is_null(start))
		json_object_set_new(o, "start_time",
				    json_string(civil_text((int64_t)(now_us / SECOND_US), text)));
	return o;
}
