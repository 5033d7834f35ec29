/* SPDX-License-Identifier: Apache-2.0 */
/* How what a server tells is shown to people: lists as tables, one thing as lines. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/human.h"
#include "cmd/remote.h"

#define COLUMNS_MAX 12
#define ID_SHOWN ((size_t)8)
#define ID_TIMED ((size_t)18)
#define ID_VERSION 14 /* where a UUID says its version */
#define ID_MOST ((size_t)36)

const json_t *remote_member(const json_t *o, const char *path)
{
	while (o && *path) {
		size_t n = strcspn(path, ".");
		AUTO_FREE char *name = xstrndup(path, n);

		o = json_object_get(o, name);
		path += n + (path[n] == '.');
	}
	return o;
}

/* ---- cells ---- */

/* The time between two members; until now where the second is not there yet. */
static char *took(const json_t *o, const struct remote_column *col)
{
	const char *from = json_string_value(remote_member(o, col->member));
	const char *to = json_string_value(remote_member(o, col->ref));
	uint64_t began, ended = clock_wall_us();
	char text[HUMAN_TEXT];

	if (!from || !clock_parse_rfc3339(from, &began) ||
	    (to && !clock_parse_rfc3339(to, &ended)) || ended < began)
		return xstrdup("");
	return xstrdup(human_duration(ended - began, text));
}

static char *time_text(const char *text)
{
	char local[CLOCK_TEXT];
	uint64_t us;

	return xstrdup(text && clock_parse_rfc3339(text, &us) ? clock_local(us, local) : "");
}

static char *plain(const json_t *v)
{
	if (json_is_string(v))
		return xstrdup(json_string_value(v));
	if (json_is_integer(v))
		return xasprintf("%lld", (long long)json_integer_value(v));
	if (json_is_boolean(v))
		return xstrdup(json_is_true(v) ? "yes" : "no");
	if (!v || json_is_null(v))
		return xstrdup("");
	return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
}

/*
 * How many digits of the ids tell these apart? Those that begin with the time (UUIDs of version 7)
 * begin alike with others that are not in the list, too: of them more is shown.
 */
static size_t id_length(const json_t *array)
{
	const char *first = client_text(json_array_get(array, 0), "id");
	bool timed = strlen(first) == ID_MOST && first[ID_VERSION] == '7';

	for (size_t n = timed ? ID_TIMED : ID_SHOWN; n < ID_MOST; n += 5) {
		json_t *seen = json_object(), *o;
		size_t i, all = json_array_size(array), distinct;

		json_array_foreach((json_t *)array, i, o)
		{
			const char *id = client_text(o, "id");

			json_object_setn_new(seen, id, MIN(strlen(id), n), json_null());
		}
		distinct = json_object_size(seen);
		json_decref(seen);
		if (distinct == all)
			return n;
	}
	return ID_MOST;
}

static char *cell(struct cli *c, const json_t *o, const struct remote_column *col, size_t id_len)
{
	const json_t *v = remote_member(o, col->member);
	const char *text = json_string_value(v);
	char human[HUMAN_TEXT];

	switch (col->how) {
	case CELL_ID:
		return xstrndup(text ? text : "", text ? MIN(strlen(text), id_len) : 0);
	case CELL_TIME:
		return time_text(text);
	case CELL_BYTES:
		return xstrdup(json_is_integer(v)
				       ? human_bytes((uint64_t)json_integer_value(v), human)
				       : "");
	case CELL_COUNT:
		return xasprintf("%zu", json_array_size(v));
	case CELL_FLAG:
		return xstrdup(json_is_true(v) ? "yes" : "no");
	case CELL_REF:
		return xstrdup(text ? remote_name(c, col->ref, text) : "");
	case CELL_TOOK:
		return took(o, col);
	case CELL_ABSENT:
		return xstrdup(!v || json_is_null(v) ? "yes" : "no");
	case CELL_TEXT:
	case CELL_NUMBER:
		break;
	}
	return plain(v);
}

static bool is_number(enum cell how)
{
	return how == CELL_BYTES || how == CELL_COUNT || how == CELL_TOOK || how == CELL_NUMBER;
}

void remote_print(struct cli *c, const struct remote_column *columns, json_t *array)
{
	const char *titles[COLUMNS_MAX];
	char align[COLUMNS_MAX + 1] = "";
	char *cells[COLUMNS_MAX];
	struct table *t;
	size_t n = 0, i, id_len = id_length(array);
	json_t *o;

	if (c->json) {
		json_array_foreach(array, i, o)
		{
			cli_json_item(i, json_incref(o));
		}
		cli_json_end(json_array_size(array));
		json_decref(array);
		return;
	}
	for (; columns[n].title && n < COLUMNS_MAX; n++) {
		titles[n] = columns[n].title;
		align[n] = is_number(columns[n].how) ? 'r' : 'l';
	}
	t = table_new(titles, align);
	json_array_foreach(array, i, o)
	{
		for (size_t k = 0; k < n; k++)
			cells[k] = cell(c, o, &columns[k], id_len);
		table_row(t, (const char *const *)cells);
		for (size_t k = 0; k < n; k++)
			free(cells[k]);
	}
	table_print(t);
	json_decref(array);
}

/* ---- one ---- */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && strcmp(s + n - k, end) == 0;
}

/* A value as people read it, by what its name ends in. */
static char *value_text(struct cli *c, const char *name, const json_t *v)
{
	static const char *const nouns_shown[] = {"plan",     "policy", "provider", "target",
						  "platform", "mover",	"trigger"};
	const char *text = json_string_value(v);
	char human[HUMAN_TEXT];

	if (text && ends_with(name, "_at") && strlen(text) > 10)
		return time_text(text);
	if (json_is_integer(v) && (ends_with(name, "_bytes") || strncmp(name, "bytes_", 6) == 0))
		return xstrdup(human_bytes((uint64_t)json_integer_value(v), human));
	for (size_t i = 0; text && i < ARRAY_LEN(nouns_shown); i++) {
		const char *noun = nouns_shown[i];

		if (strncmp(name, noun, strlen(noun)) == 0 &&
		    strcmp(name + strlen(noun), "_id") == 0)
			return xasprintf("%s (%s)", remote_name(c, noun, text), text);
	}
	return plain(v);
}

/* An object in a line: "name web1, status available". */
static char *line_text(struct cli *c, const json_t *o)
{
	AUTO_BUF b = BUF_INIT;
	const char *name;
	json_t *v;

	if (!json_is_object(o))
		return plain(o);
	json_object_foreach((json_t *)o, name, v)
	{
		AUTO_FREE char *text = value_text(c, name, v);

		if (*text)
			buf_fmt(&b, "%s%s %s", b.len ? ", " : "", name, text);
	}
	return xstrdup(buf_str(&b));
}

/* "last_seen_at" as "last seen at" */
static char *words_of(const char *name)
{
	char *words = xstrdup(name);

	for (char *p = words; *p; p++) {
		if (*p == '_')
			*p = ' ';
	}
	return words;
}

static void show_member(struct cli *c, const char *name, const json_t *v)
{
	AUTO_FREE char *words = words_of(name);
	AUTO_FREE char *text = NULL;
	json_t *item;
	size_t i;

	if (json_is_array(v)) {
		json_array_foreach((json_t *)v, i, item)
		{
			AUTO_FREE char *line = line_text(c, item);

			cli_field(i ? "" : words, "%s", line);
		}
		return;
	}
	text = json_is_object(v) ? line_text(c, v) : value_text(c, name, v);
	if (*text)
		cli_field(words, "%s", text);
}

void remote_print_one(struct cli *c, json_t *o)
{
	const char *name;
	json_t *v;

	if (c->json) {
		cli_json(o);
		return;
	}
	json_object_foreach(o, name, v)
	{
		/* For programs that make forms of it. */
		if (strcmp(name, "extended_info_schema") == 0)
			continue;
		show_member(c, name, v);
	}
	json_decref(o);
}

/* ---- commands ---- */

int remote_list(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);
	json_t *all = NULL;

	if (remote_open(c, e) < 0 || client_list(c->client, k->path, k->items, 0, &all, e) < 0)
		return -1;
	remote_print(c, k->columns, all);
	return 0;
}

int remote_show_as(struct cli *c, const struct remote_kind *found, const struct remote_kind *shown,
		   struct err *e)
{
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *path = NULL;
	json_t *o = NULL;

	if (remote_open(c, e) < 0 || remote_find_id(c, found, c->p.args[0], &id, e) < 0)
		return -1;
	path = remote_path(shown, id, NULL);
	if (client_get(c->client, path, shown->item, &o, e) < 0)
		return -1;
	remote_print_one(c, o);
	return 0;
}

int remote_show(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);

	if (c->p.n_args == 0)
		return err_set(e, ERR_INVALID, "name one: see 'holdfast %s list'", k->noun);
	/* A list tells less of each than it does itself. */
	return remote_show_as(c, k, k, e);
}

int remote_remove(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);
	AUTO_FREE char *question = xasprintf("remove %s '%s'?", k->noun, c->p.args[0]);
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *path = NULL;

	if (remote_open(c, e) < 0 || remote_find_id(c, k, c->p.args[0], &id, e) < 0 ||
	    cli_confirm(c, question, e) < 0)
		return -1;
	path = remote_path(k, id, NULL);
	if (client_do(c->client, "DELETE", path, NULL, NULL, e) < 0)
		return -1;
	if (c->json)
		cli_json(json_pack("{s:[s]}", "removed", id));
	else
		printf("removed %s %s\n", k->noun, c->p.args[0]);
	return 0;
}
