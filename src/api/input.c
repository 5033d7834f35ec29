/* SPDX-License-Identifier: Apache-2.0 */
#include "api/input.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define SHOWN 80 /* bytes of a value that a message repeats */

void input_init(struct input *in, json_t *object, const char *path)
{
	*in = (struct input){.object = object};
	snprintf(in->path, sizeof(in->path), "%s", path);
	if (!json_is_object(object)) {
		in->object = NULL;
		err_set(&in->wrong, ERR_INVALID, "The request has to have a JSON object '%s'.",
			path);
	}
}

static struct err *wrong_of(struct input *in)
{
	while (in->outer)
		in = in->outer;
	return &in->wrong;
}

void input_wrong(struct input *in, const char *name, const char *fmt, ...)
{
	AUTO_FREE char *value = NULL;
	struct err *w = wrong_of(in);
	char why[256];
	va_list ap;

	if (w->kind != ERR_NONE)
		return;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (json_object_get(in->object, name))
		value = json_dumps(json_object_get(in->object, name),
				   JSON_COMPACT | JSON_ENCODE_ANY);
	if (value)
		err_set(w, ERR_INVALID,
			"Invalid input for field/attribute %s.%s. Value: %.*s%s. %s", in->path,
			name, SHOWN, value, strlen(value) > SHOWN ? "…" : "", why);
	else
		err_set(w, ERR_INVALID, "Invalid input for field/attribute %s.%s. %s", in->path,
			name, why);
}

static json_t *take(struct input *in, const char *name, enum input_need need)
{
	json_t *v = json_object_get(in->object, name);

	if (in->n_taken < INPUT_FIELDS)
		in->taken[in->n_taken++] = name;
	if (!in->object || wrong_of(in)->kind != ERR_NONE)
		return NULL;
	if (!v && need == REQUIRED)
		input_wrong(in, name, "It is required.");
	else if (json_is_null(v) && need == REQUIRED)
		input_wrong(in, name, "It must not be null.");
	return json_is_null(v) ? NULL : v;
}

bool input_has(const struct input *in, const char *name)
{
	return json_object_get(in->object, name) != NULL;
}

static bool was_taken(const struct input *in, const char *name)
{
	for (size_t i = 0; i < in->n_taken; i++)
		if (strcmp(in->taken[i], name) == 0)
			return true;
	return false;
}

static void check_all_taken(struct input *in)
{
	const char *name;
	json_t *v;

	json_object_foreach(in->object, name, v)
	{
		if (was_taken(in, name))
			continue;
		input_wrong(in, name, "There is no such field.");
		return;
	}
}

int input_done(struct input *in, struct err *e)
{
	struct err *w = wrong_of(in);

	if (w->kind == ERR_NONE)
		check_all_taken(in);
	if (w->kind == ERR_NONE)
		return 0;
	if (e)
		*e = *w;
	return -1;
}

bool input_object(struct input *in, const char *name, enum input_need need, struct input *ret)
{
	json_t *v = take(in, name, need);

	*ret = (struct input){.outer = in};
	snprintf(ret->path, sizeof(ret->path), "%.*s.%s", INPUT_PATH / 2, in->path, name);
	if (!v)
		return false;
	if (!json_is_object(v)) {
		input_wrong(in, name, "It has to be an object.");
		return false;
	}
	ret->object = v;
	return true;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return false;
	return true;
}

/* Characters, not bytes: what continues a character of UTF-8 does not count. */
static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

const char *input_text(struct input *in, const char *name, enum input_need need, size_t max)
{
	json_t *v = take(in, name, need);
	const char *text = json_string_value(v);

	if (!v)
		return NULL;
	if (!text)
		input_wrong(in, name, "It has to be a string.");
	else if (strlen(text) != json_string_length(v) || !printable(text))
		input_wrong(in, name, "It must not contain control characters.");
	else if (characters(text) > max)
		input_wrong(in, name, "It is longer than %zu characters.", max);
	else
		return text;
	return NULL;
}

const char *input_name(struct input *in, const char *name, enum input_need need)
{
	const char *text;

	if (need == OPTIONAL && !input_has(in, name))
		return NULL;
	text = input_text(in, name, REQUIRED, 255);
	if (text && text[strspn(text, " \t")] == 0) {
		input_wrong(in, name,
			    "An invalid 'name' value was provided. It must not be blank.");
		return NULL;
	}
	return text;
}

bool uuid_like(const char *text, char *ret)
{
	char digits[33];
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || n == 32)
			return false;
		digits[n++] = (char)tolower((unsigned char)*text);
	}
	if (n != 32)
		return false;
	snprintf(ret, UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
		 digits + 16, digits + 20);
	return true;
}

bool input_uuid(struct input *in, const char *name, enum input_need need, char *ret)
{
	const char *text = input_text(in, name, need, 64);

	if (!text)
		return false;
	if (uuid_like(text, ret))
		return true;
	input_wrong(in, name, "It has to be a UUID.");
	return false;
}

int input_word(struct input *in, const char *name, enum input_need need, const char *const *words)
{
	const char *text = input_text(in, name, need, 64);
	char list[160] = "";
	size_t n = 0;

	if (!text)
		return -1;
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], text) == 0)
			return i;
		if (n < sizeof(list))
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "",
					      words[i]);
	}
	input_wrong(in, name, "It has to be one of: %s.", list);
	return -1;
}

static bool number_of(const json_t *v, int64_t *ret)
{
	const char *text = json_string_value(v);
	char *end;

	if (json_is_integer(v)) {
		*ret = json_integer_value(v);
		return true;
	}
	if (!text || !*text || isspace((unsigned char)*text))
		return false;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	return *end == 0 && errno == 0;
}

int64_t input_number(struct input *in, const char *name, enum input_need need, int64_t min,
		     int64_t max, int64_t otherwise)
{
	json_t *v = take(in, name, need);
	int64_t n;

	if (!v)
		return otherwise;
	if (!number_of(v, &n))
		input_wrong(in, name, "It has to be an integer.");
	else if (n < min || n > max)
		input_wrong(in, name, "It has to be from %lld to %lld.", (long long)min,
			    (long long)max);
	else
		return n;
	return otherwise;
}

bool input_flag(struct input *in, const char *name, bool otherwise)
{
	json_t *v = take(in, name, OPTIONAL);

	if (!v)
		return otherwise;
	if (!json_is_boolean(v))
		input_wrong(in, name, "It has to be true or false.");
	return json_is_true(v);
}

json_t *input_json(struct input *in, const char *name, enum input_need need, json_type type,
		   size_t max)
{
	json_t *v = take(in, name, need);
	size_t n;

	if (!v)
		return NULL;
	if (json_typeof(v) != type) {
		input_wrong(in, name, "It has to be an %s.",
			    type == JSON_ARRAY ? "array" : "object");
		return NULL;
	}
	n = type == JSON_ARRAY ? json_array_size(v) : json_object_size(v);
	if (n > max) {
		input_wrong(in, name, "It has more than %zu members.", max);
		return NULL;
	}
	return v;
}

static bool is_metadata_name(const char *name)
{
	size_t n = strspn(name,
			  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:.# ");

	return n > 0 && n <= 255 && name[n] == 0;
}

json_t *input_metadata(struct input *in, const char *name)
{
	json_t *o = input_json(in, name, OPTIONAL, JSON_OBJECT, 256), *v;
	const char *key;

	json_object_foreach(o, key, v)
	{
		if (!is_metadata_name(key)) {
			input_wrong(in, name, "'%.60s' cannot be a name in it.", key);
			return NULL;
		}
		if (!json_is_boolean(v) && !json_is_string(v) && !json_is_integer(v)) {
			input_wrong(in, name,
				    "'%.60s' has to be a string, an integer, true or false.", key);
			return NULL;
		}
	}
	return o;
}
