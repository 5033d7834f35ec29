/* SPDX-License-Identifier: Apache-2.0 */
#include "net/fields.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/uuid.h"

#define NAME_MAX_TEXT 160

/* "target.url" */
static const char *full_name(const char *where, const char *name, char out[NAME_MAX_TEXT])
{
	snprintf(out, NAME_MAX_TEXT, "%.80s%s%.64s", where, *where ? "." : "", name);
	return out;
}

static const char *type_name(enum field_type t)
{
	static const char *const names[] = {
		[FIELD_TEXT] = "a text",      [FIELD_UUID] = "a UUID",
		[FIELD_NUMBER] = "a number",  [FIELD_FLAG] = "true or false",
		[FIELD_OBJECT] = "an object", [FIELD_LIST] = "a list",
	};

	return names[t];
}

static bool right_type(const json_t *v, enum field_type t)
{
	switch (t) {
	case FIELD_TEXT:
	case FIELD_UUID:
		return json_is_string(v);
	case FIELD_NUMBER:
		return json_is_integer(v);
	case FIELD_FLAG:
		return json_is_boolean(v);
	case FIELD_OBJECT:
		return json_is_object(v);
	case FIELD_LIST:
		return json_is_array(v);
	}
	return false;
}

/* Values are not told: a text may be a secret. */
static int check_text(const char *name, const char *text, size_t n, size_t most, bool any,
		      struct err *e)
{
	if (n > most)
		return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", name, most);
	if (any)
		return 0;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return err_set(e, ERR_INVALID, "%s has a control character in it", name);
	}
	return 0;
}

static int take_text(const struct field *f, const json_t *v, const char *name, struct err *e)
{
	const char *text = json_string_value(v);
	size_t most = f->most ? (size_t)f->most : FIELD_TEXT_MAX;

	if (check_text(name, text, json_string_length(v), most, f->any_text, e) < 0)
		return -1;
	if (f->needed && !*text)
		return err_set(e, ERR_INVALID, "%s is empty", name);
	for (size_t i = 0; f->among; i++) {
		if (!f->among[i])
			return err_set(e, ERR_INVALID, "%s '%.40s' is none that there is", name,
				       text);
		if (strcmp(f->among[i], text) == 0)
			break;
	}
	*(const char **)f->ret = text;
	return 0;
}

static int take_uuid(const struct field *f, const json_t *v, const char *name, struct err *e)
{
	const char *text = json_string_value(v);
	char again[UUID_TEXT];
	struct uuid u;

	if (!uuid_parse(text, &u) || strcmp(uuid_text(&u, again), text) != 0)
		return err_set(e, ERR_INVALID, "%s '%.40s' is no UUID in lower case", name, text);
	*(const char **)f->ret = text;
	return 0;
}

static int take_number(const struct field *f, const json_t *v, const char *name, struct err *e)
{
	json_int_t i = json_integer_value(v);

	if (i < f->least || i > f->most)
		return err_set(e, ERR_INVALID, "%s is %lld: it goes from %lld to %lld", name,
			       (long long)i, (long long)f->least, (long long)f->most);
	*(int64_t *)f->ret = i;
	return 0;
}

static int take_many(const struct field *f, const json_t *v, const char *name, struct err *e)
{
	size_t most = f->most ? (size_t)f->most : FIELD_LIST_MAX;
	size_t n = json_is_array(v) ? json_array_size(v) : json_object_size(v);

	if (n > most)
		return err_set(e, ERR_LIMIT, "%s has %zu members: at most %zu are allowed", name, n,
			       most);
	*(const json_t **)f->ret = v;
	return 0;
}

static int take(const struct field *f, const json_t *v, const char *where, struct err *e)
{
	char name[NAME_MAX_TEXT];

	full_name(where, f->name, name);
	if (!right_type(v, f->type))
		return err_set(e, ERR_INVALID, "%s must be %s", name, type_name(f->type));
	switch (f->type) {
	case FIELD_TEXT:
		return take_text(f, v, name, e);
	case FIELD_UUID:
		return take_uuid(f, v, name, e);
	case FIELD_NUMBER:
		return take_number(f, v, name, e);
	case FIELD_FLAG:
		*(bool *)f->ret = json_is_true(v);
		return 0;
	case FIELD_OBJECT:
	case FIELD_LIST:
		break;
	}
	return take_many(f, v, name, e);
}

static int refuse_others(const json_t *o, const char *where, const struct field *f, size_t n,
			 struct err *e)
{
	char name[NAME_MAX_TEXT];
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v)
	{
		size_t i = 0;

		while (i < n && strcmp(f[i].name, key) != 0)
			i++;
		if (i == n)
			return err_set(e, ERR_INVALID, "%s: there is no such field",
				       full_name(where, key, name));
	}
	return 0;
}

int fields_take(const json_t *o, const char *where, const struct field *f, size_t n, struct err *e)
{
	char name[NAME_MAX_TEXT];

	if (!json_is_object(o))
		return err_set(e, ERR_INVALID, "%s must be an object",
			       *where ? where : "what was sent");
	if (refuse_others(o, where, f, n, e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_object_get(o, f[i].name);

		if (v && !json_is_null(v)) {
			if (take(&f[i], v, where, e) < 0)
				return -1;
		} else if (f[i].needed) {
			return err_set(e, ERR_INVALID, "%s is missing",
				       full_name(where, f[i].name, name));
		}
	}
	return 0;
}

const char **fields_texts(const json_t *list, const char *where, struct err *e)
{
	AUTO_FREE const char **v = xcalloc(json_array_size(list) + 1, sizeof(*v));
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		char name[NAME_MAX_TEXT];

		snprintf(name, sizeof(name), "%.80s[%zu]", where, i);
		if (!json_is_string(item) || !json_string_length(item)) {
			err_set(e, ERR_INVALID, "%s must be a text", name);
			return NULL;
		}
		v[i] = json_string_value(item);
		if (check_text(name, v[i], json_string_length(item), FIELD_TEXT_MAX, false, e) < 0)
			return NULL;
	}
	return steal(&v);
}
