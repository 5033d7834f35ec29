/* SPDX-License-Identifier: Apache-2.0 */
#include "core/spec.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define WORD 40

/* ---- words ---- */

/*
 * How many letters have to be put in, left out or changed to make one word of the other, row by row
 * of the usual table.
 */
static size_t distance(const char *a, const char *b)
{
	size_t row[WORD + 1], n = strlen(b);

	for (size_t i = 0; i <= n; i++)
		row[i] = i;
	for (size_t i = 0; a[i]; i++) {
		size_t above_left = row[0];

		row[0] = i + 1;
		for (size_t k = 1; k <= n; k++) {
			size_t change = above_left + (tolower((unsigned char)a[i]) !=
						      tolower((unsigned char)b[k - 1]));

			above_left = row[k];
			row[k] = MIN(change, 1 + MIN(row[k], row[k - 1]));
		}
	}
	return row[n];
}

bool spec_is_known(const char *word, const char *const *words)
{
	while (*words && strcmp(word, *words) != 0)
		words++;
	return *words;
}

const char *spec_nearest(const char *word, const char *const *words)
{
	const char *best = NULL;
	size_t least = SIZE_MAX, letters = strlen(word);

	if (letters > WORD)
		return NULL;
	for (; *words; words++) {
		size_t d = strlen(*words) > WORD ? SIZE_MAX : distance(word, *words);

		if (d < least) {
			least = d;
			best = *words;
		}
	}
	/* With more than half of its letters wrong it is another word. */
	return best && 2 * least <= MAX(letters, strlen(best)) ? best : NULL;
}

/* "a, b, c" */
static const char *list_words(const char *const *words, struct buf *b)
{
	for (size_t i = 0; words[i]; i++)
		buf_fmt(b, "%s%s", i ? ", " : "", words[i]);
	return buf_str(b);
}

/* ---- objects ---- */

void spec_path(const struct spec *s, const char *field, char out[SPEC_PATH])
{
	snprintf(out, SPEC_PATH, "%s%s%s", s->path, *s->path ? "." : "", field);
}

const json_t *spec_get(const struct spec *s, const char *field)
{
	const json_t *v = json_object_get(s->object, field);

	return json_is_null(v) ? NULL : v;
}

/* The value as people wrote it, cut to what fits. */
static const char *value_text(const json_t *v, struct buf *b)
{
	AUTO_FREE char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	buf_fmt(b, "%.60s", text ? text : "?");
	return buf_str(b);
}

static int wrong(const struct spec *s, const char *field, struct err *e, const char *what)
{
	char path[SPEC_PATH];
	AUTO_BUF value = BUF_INIT;

	spec_path(s, field, path);
	return err_set(e, ERR_INVALID, "%s: %s is not %s", path,
		       value_text(spec_get(s, field), &value), what);
}

/* Names are shown as they are only if they could be fields. */
static bool is_plain(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= WORD &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") ==
		       n;
}

static int unknown(const struct spec *s, const char *field, const char *const *fields,
		   struct err *e)
{
	const char *nearest = spec_nearest(field, fields);
	char path[SPEC_PATH];
	AUTO_BUF known = BUF_INIT;

	spec_path(s, is_plain(field) ? field : "(a field)", path);
	if (nearest)
		return err_set(e, ERR_INVALID, "%s: there is no such field; did you mean \"%s\"?",
			       path, nearest);
	return err_set(e, ERR_INVALID, "%s: there is no such field; there are %s", path,
		       list_words(fields, &known));
}

int spec_object(const json_t *value, const char *path, const char *const *fields,
		struct spec *ret_s, struct err *e)
{
	struct spec s = {.object = value};
	const char *key;
	json_t *v;

	snprintf(s.path, sizeof(s.path), "%s", path);
	if (!json_is_object(value))
		return err_set(e, ERR_INVALID, "%s: give an object", *path ? path : "document");
	json_object_foreach((json_t *)value, key, v)
	{
		if (!spec_is_known(key, fields))
			return unknown(&s, key, fields, e);
	}
	*ret_s = s;
	return 0;
}

/* ---- fields ---- */

/* No control characters; that it is UTF-8, jansson has seen to. */
static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

int spec_text(const struct spec *s, const char *field, size_t most, const char **text,
	      struct err *e)
{
	const json_t *v = spec_get(s, field);
	const char *is = json_string_value(v);
	char path[SPEC_PATH];

	if (!v)
		return 0;
	if (!is)
		return wrong(s, field, e, "a text");
	spec_path(s, field, path);
	if (json_string_length(v) == 0 || json_string_length(v) > most)
		return err_set(e, ERR_INVALID, "%s: it has to have 1 to %zu bytes", path, most);
	if (strlen(is) != json_string_length(v) || !is_printable(is))
		return err_set(e, ERR_INVALID, "%s: it has characters that cannot be printed",
			       path);
	*text = is;
	return 0;
}

int spec_number(const struct spec *s, const char *field, uint32_t low, uint32_t high,
		uint32_t *number, struct err *e)
{
	const json_t *v = spec_get(s, field);
	char what[64];

	if (!v)
		return 0;
	snprintf(what, sizeof(what), "a whole number from %u to %u", low, high);
	if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high)
		return wrong(s, field, e, what);
	*number = (uint32_t)json_integer_value(v);
	return 0;
}

int spec_flag(const struct spec *s, const char *field, bool *flag, struct err *e)
{
	const json_t *v = spec_get(s, field);

	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return wrong(s, field, e, "true or false");
	*flag = json_is_true(v);
	return 0;
}

int spec_word(const struct spec *s, const char *field, const char *const *words, const char **word,
	      struct err *e)
{
	const json_t *v = spec_get(s, field);
	const char *is = json_string_value(v);
	AUTO_BUF what = BUF_INIT;

	if (!v)
		return 0;
	for (size_t i = 0; is && words[i]; i++)
		if (strcmp(is, words[i]) == 0) {
			*word = words[i];
			return 0;
		}
	buf_text(&what, "one of ");
	return wrong(s, field, e, list_words(words, &what));
}

int spec_array(const struct spec *s, const char *field, size_t most, const json_t **array,
	       struct err *e)
{
	const json_t *v = spec_get(s, field);
	char path[SPEC_PATH];

	if (!v)
		return 0;
	spec_path(s, field, path);
	if (!json_is_array(v))
		return err_set(e, ERR_INVALID, "%s: give an array", path);
	if (json_array_size(v) > most)
		return err_set(e, ERR_LIMIT, "%s: it has %zu members; at most %zu are allowed",
			       path, json_array_size(v), most);
	*array = v;
	return 0;
}
