/* SPDX-License-Identifier: Apache-2.0 */
#include "core/json.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"

char *json_text(const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

	return text ? text : xstrdup("null");
}

json_t *json_of(const char *text, const char *otherwise)
{
	json_t *v = json_loads(text && *text ? text : otherwise, JSON_DECODE_ANY, NULL);

	return v ? v : json_loads(otherwise, JSON_DECODE_ANY, NULL);
}

const char *json_text_in(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

json_t *json_string_of(const char *text)
{
	AUTO_FREE char *clean = xstrdup0(text);

	if (clean)
		text_clean(clean);
	return clean && *clean ? json_string(clean) : json_null();
}

json_t *json_time(uint64_t wall_us)
{
	char text[CLOCK_TEXT];

	return wall_us ? json_string(clock_rfc3339(wall_us, text)) : json_null();
}
