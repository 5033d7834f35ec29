/* SPDX-License-Identifier: Apache-2.0 */
#include "core/policy_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/human.h"
#include "core/spec.h"

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-. "
#define BANDWIDTH_MIN 1024
#define BANDWIDTH_MAX ((uint64_t)1 << 50)
#define RPO_MIN_S 60
#define RPO_MAX_S (10 * 366 * 86400)

const char *const policy_days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

/* ---- retention ---- */

static int read_level(const struct spec *s, enum retention_level level, uint32_t *keep,
		      struct err *e)
{
	const char *field = retention_level_name(level);
	const char *text = json_string_value(spec_get(s, field));

	if (text && strcmp(text, "all") == 0) {
		*keep = RETENTION_ALL;
		return 0;
	}
	if (text) {
		char path[SPEC_PATH];

		spec_path(s, field, path);
		return err_set(e, ERR_INVALID, "%s: \"%.40s\" is neither a number nor \"all\"",
			       path, text);
	}
	return spec_number(s, field, 0, POLICY_NUMBER_MAX, keep, e);
}

/* The rules in field `field` of an object; *ret_given is false when it is not there. */
static int read_retention(const struct spec *s, const char *field, uint32_t keep[RETENTION_LEVELS],
			  bool *ret_given, struct err *e)
{
	const char *fields[RETENTION_LEVELS + 1] = {0};
	const json_t *v = spec_get(s, field);
	char path[SPEC_PATH];
	bool something = false;
	struct spec o;

	*ret_given = v != NULL;
	if (!v)
		return 0;
	for (enum retention_level l = 0; l < RETENTION_LEVELS; l++)
		fields[l] = retention_level_name(l);
	spec_path(s, field, path);
	if (spec_object(v, path, fields, &o, e) < 0)
		return -1;
	for (enum retention_level l = 0; l < RETENTION_LEVELS; l++) {
		if (read_level(&o, l, &keep[l], e) < 0)
			return -1;
		something |= keep[l] > 0;
	}
	if (!something)
		return err_set(e, ERR_INVALID,
			       "%s: it keeps nothing; to keep checkpoints until they are deleted "
			       "by hand, leave it out",
			       path);
	return 0;
}

static struct retention_set *add_set(struct policy *p, enum retention_scope scope,
				     const char *maker)
{
	struct retention_set *set;

	p->sets = xreallocarray(p->sets, p->n_sets + 1, sizeof(*p->sets));
	set = &p->sets[p->n_sets++];
	*set = (struct retention_set){.scope = scope, .maker = maker};
	return set;
}

/* ---- schedules ---- */

static int read_name(const struct policy *p, const struct spec *s, struct policy_schedule *ret,
		     struct err *e)
{
	const char *name = NULL;
	char path[SPEC_PATH];

	spec_path(s, "name", path);
	if (spec_text(s, "name", POLICY_NAME_MAX, &name, e) < 0)
		return -1;
	if (!name)
		return err_set(e, ERR_INVALID, "%s: it is missing", path);
	if (strspn(name, NAME_LETTERS) != strlen(name))
		return err_set(e, ERR_INVALID,
			       "%s: only letters, digits, space, _ - and . can be in it", path);
	if (strcmp(name, RETENTION_MANUAL) == 0)
		return err_set(e, ERR_INVALID,
			       "%s: \"manual\" is what people make; choose another name", path);
	for (size_t i = 0; i < p->n_schedules; i++)
		if (strcmp(p->schedules[i].name, name) == 0)
			return err_set(e, ERR_INVALID, "%s: another schedule is called \"%s\"",
				       path, name);
	ret->name = xstrdup(name);
	return 0;
}

/* The trigger as it is kept: with a time zone, and calendars with a start. */
static int read_trigger(const struct policy *p, const struct spec *s, struct zones *zones,
			uint64_t now_us, struct policy_schedule *ret, struct err *e)
{
	const json_t *v = spec_get(s, "trigger");
	const char *format = json_string_value(json_object_get(v, "format"));
	char path[SPEC_PATH];

	if (!v)
		return 0;
	spec_path(s, "trigger", path);
	if (!json_is_object(v))
		return err_set(e, ERR_INVALID, "%s: give an object with format and pattern", path);
	ret->trigger = format && strcmp(format, "calendar") == 0 ? schedule_with_start(v, now_us)
								 : json_deep_copy(v);
	if (!json_object_get(ret->trigger, "timezone") ||
	    json_is_null(json_object_get(ret->trigger, "timezone")))
		json_object_set_new(ret->trigger, "timezone", json_string(zone_name(p->zone)));
	ret->times = schedule_parse(ret->trigger, zones, now_us, e);
	return ret->times ? 0 : err_wrap(e, "%s", path);
}

static int read_schedule(struct policy *p, const json_t *v, const char *path, struct zones *zones,
			 uint64_t now_us, struct err *e)
{
	static const char *const fields[] = {"name", "trigger", "full", "retention", NULL};
	struct policy_schedule *schedule = &p->schedules[p->n_schedules];
	struct retention_set *set;
	struct spec s;
	bool given;

	if (spec_object(v, path, fields, &s, e) < 0 || read_name(p, &s, schedule, e) < 0)
		return -1;
	p->n_schedules++;
	set = add_set(p, RETENTION_OF_MAKER, schedule->name);
	if (read_trigger(p, &s, zones, now_us, schedule, e) < 0 ||
	    spec_flag(&s, "full", &schedule->full, e) < 0 ||
	    read_retention(&s, "retention", set->keep, &given, e) < 0)
		return -1;
	set->forever = !given;
	return 0;
}

static int read_schedules(struct policy *p, const struct spec *s, struct zones *zones,
			  uint64_t now_us, struct err *e)
{
	const json_t *array = NULL, *v;
	char path[SPEC_PATH];
	size_t i;

	if (spec_array(s, "schedules", POLICY_SCHEDULES, &array, e) < 0)
		return -1;
	p->schedules = xcalloc(json_array_size(array) + 1, sizeof(*p->schedules));
	json_array_foreach((json_t *)array, i, v)
	{
		snprintf(path, sizeof(path), "schedules[%zu]", i);
		if (read_schedule(p, v, path, zones, now_us, e) < 0)
			return -1;
	}
	return 0;
}

static int read_other_sets(struct policy *p, const struct spec *s, struct err *e)
{
	struct retention_set *set = add_set(p, RETENTION_OF_MAKER, RETENTION_MANUAL);
	uint32_t keep[RETENTION_LEVELS] = {0};

	if (read_retention(s, "manual", set->keep, &p->manual, e) < 0 ||
	    read_retention(s, "others", keep, &p->others, e) < 0)
		return -1;
	set->forever = !p->manual;
	if (p->others)
		memcpy(add_set(p, RETENTION_OF_OTHERS, NULL)->keep, keep, sizeof(keep));
	return 0;
}

/* ---- window ---- */

/* "22:00" */
static int read_clock(const struct spec *s, const char *field, unsigned last, unsigned *ret_minute,
		      struct err *e)
{
	const char *text = NULL;
	char path[SPEC_PATH];
	unsigned hour, minute;

	spec_path(s, field, path);
	if (spec_text(s, field, 5, &text, e) < 0)
		return -1;
	if (!text)
		return err_set(e, ERR_INVALID, "%s: it is missing", path);
	if (strlen(text) != 5 || text[2] != ':' || strspn(text, "0123456789") != 2 ||
	    strspn(text + 3, "0123456789") != 2)
		return err_set(e, ERR_INVALID, "%s: \"%s\" is not a time like \"22:00\"", path,
			       text);
	hour = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
	minute = (unsigned)(text[3] - '0') * 10 + (unsigned)(text[4] - '0');
	if (minute > 59 || hour * 60 + minute > last)
		return err_set(e, ERR_INVALID, "%s: there is no such time as %s", path, text);
	*ret_minute = hour * 60 + minute;
	return 0;
}

static int read_days(const struct spec *s, uint8_t *days, struct err *e)
{
	const json_t *array = NULL, *v;
	size_t i, day;

	*days = 0x7f;
	if (spec_array(s, "days", 7, &array, e) < 0)
		return -1;
	if (!array)
		return 0;
	*days = 0;
	json_array_foreach((json_t *)array, i, v)
	{
		const char *name = json_string_value(v);

		for (day = 0; day < 7 && (!name || strcmp(name, policy_days[day]) != 0); day++)
			;
		if (day == 7)
			return err_set(e, ERR_INVALID,
				       "%s.days[%zu]: give mon, tue, wed, thu, fri, sat or sun",
				       s->path, i);
		*days |= (uint8_t)(1u << day);
	}
	if (*days == 0)
		return err_set(e, ERR_INVALID,
			       "%s.days: give at least one, or leave it out for all", s->path);
	return 0;
}

static int read_window(struct policy *p, const struct spec *s, struct err *e)
{
	static const char *const fields[] = {"start", "end", "days", NULL};
	const json_t *v = spec_get(s, "window");
	struct policy_window *w = &p->window;
	struct spec o;

	if (!v)
		return 0;
	if (spec_object(v, "window", fields, &o, e) < 0 ||
	    read_clock(&o, "start", 1439, &w->start, e) < 0 ||
	    read_clock(&o, "end", 1440, &w->end, e) < 0 || read_days(&o, &w->days, e) < 0)
		return -1;
	w->given = true;
	w->zone = p->zone;
	if (w->start == w->end)
		return err_set(e, ERR_INVALID,
			       "window.end: it is the same as the start; leave the window out to "
			       "allow all times");
	return 0;
}

/* ---- the rest ---- */

static int read_limits(struct policy *p, const struct spec *s, struct err *e)
{
	static const char *const fields[] = {"bandwidth", "concurrent", NULL};
	const json_t *v = spec_get(s, "limits"), *bandwidth;
	bool ok = true;
	struct spec o;

	if (!v)
		return 0;
	if (spec_object(v, "limits", fields, &o, e) < 0 ||
	    spec_number(&o, "concurrent", 1, 1000, &p->concurrent, e) < 0)
		return -1;
	bandwidth = spec_get(&o, "bandwidth");
	if (!bandwidth)
		return 0;
	if (json_is_integer(bandwidth) && json_integer_value(bandwidth) > 0)
		p->bandwidth = (uint64_t)json_integer_value(bandwidth);
	else
		ok = json_is_string(bandwidth) &&
		     human_parse_bytes(json_string_value(bandwidth), &p->bandwidth);
	if (!ok || p->bandwidth < BANDWIDTH_MIN || p->bandwidth > BANDWIDTH_MAX)
		return err_set(e, ERR_INVALID,
			       "limits.bandwidth: give bytes a second, as \"100MiB\", at least "
			       "1KiB");
	return 0;
}

static int read_copy(struct policy *p, const json_t *v, const char *path, struct err *e)
{
	static const char *const fields[] = {"provider_id", "retention", "keep_until_copied", NULL};
	struct policy_copy *copy = &p->copies[p->n_copies];
	struct retention_set set = {.scope = RETENTION_OF_EVERY};
	const char *provider = NULL;
	struct uuid id;
	struct spec s;
	bool given;

	if (spec_object(v, path, fields, &s, e) < 0 ||
	    spec_text(&s, "provider_id", UUID_TEXT, &provider, e) < 0 ||
	    read_retention(&s, "retention", set.keep, &given, e) < 0 ||
	    spec_flag(&s, "keep_until_copied", &copy->awaited, e) < 0)
		return -1;
	if (!provider || !uuid_parse(provider, &id))
		return err_set(e, ERR_INVALID, "%s.provider_id: give the id of a provider", path);
	uuid_text(&id, copy->provider);
	for (size_t i = 0; i < p->n_copies; i++)
		if (strcmp(p->copies[i].provider, copy->provider) == 0)
			return err_set(e, ERR_INVALID,
				       "%s.provider_id: copies go to this provider already", path);
	if (given) {
		copy->sets = xcalloc(1, sizeof(set));
		copy->sets[0] = set;
		copy->n_sets = 1;
	}
	p->n_copies++;
	return 0;
}

static int read_copies(struct policy *p, const struct spec *s, struct err *e)
{
	const json_t *v = spec_get(s, "copy"), *array = NULL, *one;
	char path[SPEC_PATH];
	size_t i;

	p->copies = xcalloc(POLICY_COPIES, sizeof(*p->copies));
	if (!v || !json_is_array(v))
		return v ? read_copy(p, v, "copy", e) : 0;
	if (spec_array(s, "copy", POLICY_COPIES, &array, e) < 0)
		return -1;
	json_array_foreach((json_t *)array, i, one)
	{
		snprintf(path, sizeof(path), "copy[%zu]", i);
		if (read_copy(p, one, path, e) < 0)
			return -1;
	}
	return 0;
}

/* An object with one number. */
static int read_days_field(const struct spec *s, const char *field, const char *inner, uint32_t low,
			   uint32_t *days, struct err *e)
{
	const char *const fields[] = {inner, NULL};
	const json_t *v = spec_get(s, field);
	struct spec o;

	if (!v)
		return 0;
	if (spec_object(v, field, fields, &o, e) < 0)
		return -1;
	return spec_number(&o, inner, low, POLICY_NUMBER_MAX, days, e);
}

static int read_verify(struct policy *p, const struct spec *s, struct err *e)
{
	static const char *const fields[] = {"every_days", "after", "depth", NULL};
	static const char *const depths[] = {"content", "structure", NULL};
	const json_t *v = spec_get(s, "verify");
	const char *depth = NULL;
	struct spec o;

	if (!v)
		return 0;
	if (spec_object(v, "verify", fields, &o, e) < 0 ||
	    spec_number(&o, "every_days", 1, POLICY_NUMBER_MAX, &p->verify_days, e) < 0 ||
	    spec_number(&o, "after", 1, POLICY_NUMBER_MAX, &p->verify_after, e) < 0 ||
	    spec_word(&o, "depth", depths, &depth, e) < 0)
		return -1;
	p->verify_structure = depth && strcmp(depth, "structure") == 0;
	if (p->verify_days || p->verify_after)
		return 0;
	return err_set(e, ERR_INVALID,
		       "verify: it does not say when: give every_days or after, or leave it out");
}

static int read_rpo(struct policy *p, const struct spec *s, struct err *e)
{
	const json_t *v = spec_get(s, "rpo");
	uint64_t us = 0;
	json_int_t seconds = json_integer_value(v);

	if (!v)
		return 0;
	if (json_is_string(v) && human_parse_duration(json_string_value(v), &us))
		seconds = (json_int_t)(us / 1000000);
	if (seconds < RPO_MIN_S || seconds > RPO_MAX_S)
		return err_set(
			e, ERR_INVALID,
			"rpo: give seconds, or a time as \"12h\" or \"1d\", from a minute to "
			"ten years");
	p->rpo_s = (uint32_t)seconds;
	return 0;
}

static int read_rest(struct policy *p, const struct spec *s, struct err *e)
{
	static const char *const consistencies[] = {"required", "best-effort", "off", NULL};

	if (spec_number(s, "minimum", 1, 1000, &p->minimum, e) < 0 ||
	    spec_flag(s, "keep_verified", &p->keep_verified, e) < 0 ||
	    read_days_field(s, "failed", "days", 0, &p->failed_days, e) < 0 ||
	    spec_word(s, "consistency", consistencies, &p->consistency, e) < 0 ||
	    read_window(p, s, e) < 0 || read_limits(p, s, e) < 0 || read_verify(p, s, e) < 0 ||
	    read_rpo(p, s, e) < 0)
		return -1;
	return read_copies(p, s, e);
}

static int read_zone(struct policy *p, const struct spec *s, struct zones *zones, struct err *e)
{
	const char *name = NULL;

	if (spec_text(s, "timezone", ZONE_NAME_MAX, &name, e) < 0)
		return -1;
	p->zone_given = name != NULL;
	p->zone = zones_get(zones, name ? name : "UTC", e);
	return p->zone ? 0 : err_wrap(e, "timezone");
}

struct policy *policy_parse(const json_t *document, struct zones *zones, uint64_t now_us,
			    struct err *e)
{
	static const char *const fields[] = {
		"schedules",   "manual", "others", "minimum", "keep_verified", "failed", "timezone",
		"consistency", "window", "limits", "verify",  "rpo",	       "copy",	 NULL};
	AUTO(policy) p = policy_new();
	struct spec s;

	if (spec_object(document, "", fields, &s, e) < 0 || read_zone(p, &s, zones, e) < 0 ||
	    read_schedules(p, &s, zones, now_us, e) < 0 || read_other_sets(p, &s, e) < 0 ||
	    read_rest(p, &s, e) < 0)
		return NULL;
	return steal(&p);
}

struct policy *policy_parse_text(const char *text, size_t len, struct zones *zones, uint64_t now_us,
				 struct err *e)
{
	json_error_t why;
	struct policy *p;
	json_t *document;

	if (len > POLICY_SIZE_MAX) {
		err_set(e, ERR_LIMIT, "document: it has %zu bytes; at most %d are allowed", len,
			POLICY_SIZE_MAX);
		return NULL;
	}
	document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	if (!document) {
		err_set(e, ERR_INVALID, "document: line %d: %.100s", why.line, why.text);
		return NULL;
	}
	p = policy_parse(document, zones, now_us, e);
	json_decref(document);
	return p;
}
