/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: from the query to a list_query, and the link to the next page. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "base/buf.h"

#define DAY_US 86400000000LL

static int number_of(const char *name, const char *text, long min, long *ret, struct err *e)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (*end || end == text || errno || *text == ' ' || *text == '+')
		return err_set(e, ERR_INVALID, "%s '%s': %s param must be an integer", name, text,
			       name);
	if (n < min)
		return err_set(e, ERR_INVALID, "%s '%s': %s param must be %s", name, text, name,
			       min ? "positive" : "0 or more");
	*ret = n;
	return 0;
}

int api_query_only(struct api_call *c, const char *const *names, struct err *e)
{
	const char *name, *value;

	for (size_t i = 0; httpd_query_at(c->http, i, &name, &value); i++) {
		size_t k = 0;

		while (names[k] && strcmp(names[k], name) != 0)
			k++;
		if (!names[k])
			return err_set(e, ERR_INVALID, "There is no parameter '%.60s' here.", name);
	}
	return 0;
}

int api_query_number(struct api_call *c, const char *name, long most, long *number, struct err *e)
{
	const char *text = httpd_query(c->http, name);

	if (text && number_of(name, text, 1, number, e) < 0)
		return -1;
	if (*number > most)
		return err_set(e, ERR_INVALID, "%s '%ld': it is at most %ld", name, *number, most);
	return 0;
}

static int flag_of(const char *name, const char *text, bool *ret, struct err *e)
{
	static const char *const words[] = {"1", "true",  "yes", "y", "on",
					    "0", "false", "no",	 "n", "off"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i < 5;
			return 0;
		}
	return err_set(e, ERR_INVALID, "%s '%s': it has to be true or false", name, text);
}

static int direction_of(const char *text, bool *ret_descending, struct err *e)
{
	*ret_descending = strcmp(text, "desc") == 0;
	if (*ret_descending || strcmp(text, "asc") == 0)
		return 0;
	return err_set(e, ERR_INVALID, "sort direction '%s': it has to be asc or desc", text);
}

/* What one query needs, with room for the names that were split off. */
struct page {
	struct list_query q;
	char sort[256];
	const char *key, *direction;
	bool all;
	const char *other_project;
};

/* "key[:dir],key[:dir]" */
static int read_sort(struct page *p, const char *text, struct err *e)
{
	char *rest = p->sort, *item;

	if (strlen(text) >= sizeof(p->sort))
		return err_set(e, ERR_INVALID, "sort: it is too long");
	snprintf(p->sort, sizeof(p->sort), "%s", text);
	while ((item = strsep(&rest, ","))) {
		char *colon = strchr(item, ':');
		struct list_sort *s = &p->q.sort[p->q.n_sort];

		if (p->q.n_sort == TABLE_SORTS)
			return err_set(e, ERR_INVALID, "sort: at most %d keys", TABLE_SORTS);
		*s = (struct list_sort){item, true};
		if (colon) {
			*colon = 0;
			if (direction_of(colon + 1, &s->descending, e) < 0)
				return -1;
		}
		p->q.n_sort++;
	}
	return 0;
}

/* "2026-11-22" or "2026-11-22T10:00:00[Z]": the start of that day or second, UTC. */
static int time_of(const char *name, const char *text, bool *ret_is_day, int64_t *ret,
		   struct err *e)
{
	struct tm tm = {.tm_mday = 1};
	const char *end = strptime(text, "%Y-%m-%d", &tm);

	*ret_is_day = end && *end == 0;
	if (end && (*end == 'T' || *end == ' ')) {
		end = strptime(end + 1, "%H:%M:%S", &tm);
		if (end && *end == 'Z')
			end++;
	}
	if (!end || *end)
		return err_set(e, ERR_INVALID,
			       "%s '%s': write it as 2026-11-22 or 2026-11-22T10:00:00Z (UTC)",
			       name, text);
	*ret = (int64_t)timegm(&tm) * 1000000;
	return 0;
}

int api_query_day(struct api_call *c, const char *name, int64_t *day, struct err *e)
{
	const char *text = httpd_query(c->http, name);
	int64_t at = 0;
	bool is_day;

	if (!text)
		return 0;
	if (time_of(name, text, &is_day, &at, e) < 0)
		return -1;
	*day = at / DAY_US;
	return 0;
}

static int read_filter(struct page *p, const struct table *t, const char *name, const char *value,
		       struct err *e)
{
	const struct filter *f = table_filter(t, name);
	struct list_filter *given = &p->q.filters[p->q.n_filters];
	bool is_day, flag = false;

	if (!f)
		return err_set(e, ERR_INVALID, "Lists of %s have no parameter '%s'.", t->items,
			       name);
	if (p->q.n_filters == TABLE_FILTERS)
		return err_set(e, ERR_INVALID, "%s: there are too many filters", name);
	*given = (struct list_filter){.name = name, .value = value};
	if (f->op == FILTER_FLAG) {
		if (flag_of(name, value, &flag, e) < 0)
			return -1;
		given->number = flag;
	} else if (f->op == FILTER_FROM || f->op == FILTER_BEFORE) {
		if (time_of(name, value, &is_day, &given->number, e) < 0)
			return -1;
		/* The last day that is asked for is one of them. */
		if (f->op == FILTER_BEFORE && is_day)
			given->number += DAY_US;
	}
	p->q.n_filters++;
	return 0;
}

static int read_one(struct page *p, const struct table *t, const char *name, const char *value,
		    struct err *e)
{
	long n;

	if (strcmp(name, "limit") == 0) {
		if (number_of(name, value, 1, &n, e) < 0)
			return -1;
		p->q.limit = n < TABLE_LIMIT ? (size_t)n : TABLE_LIMIT;
		return 0;
	}
	if (strcmp(name, "offset") == 0) {
		if (number_of(name, value, 0, &n, e) < 0)
			return -1;
		p->q.offset = (size_t)n;
		return 0;
	}
	if (strcmp(name, "sort") == 0)
		return read_sort(p, value, e);
	if (strcmp(name, "all_tenants") == 0)
		return flag_of(name, value, &p->all, e);
	if (strcmp(name, "marker") == 0)
		p->q.marker = value;
	else if (strcmp(name, "sort_key") == 0)
		p->key = value;
	else if (strcmp(name, "sort_dir") == 0)
		p->direction = value;
	else if (strcmp(name, "project_id") == 0)
		p->other_project = value;
	else if (!t->own || strcmp(name, t->own) != 0)
		return read_filter(p, t, name, value, e);
	return 0;
}

static int read_query(struct api_call *c, const struct table *t, struct page *p, struct err *e)
{
	const char *name, *value;

	p->q.limit = TABLE_LIMIT;
	for (size_t i = 0; httpd_query_at(c->http, i, &name, &value); i++)
		if (read_one(p, t, name, value, e) < 0)
			return -1;
	if ((p->key || p->direction) && p->q.n_sort)
		return err_set(e, ERR_INVALID, "sort cannot go with sort_key and sort_dir");
	if (p->key || p->direction) {
		p->q.sort[0] = (struct list_sort){p->key ? p->key : "created_at", true};
		p->q.n_sort = 1;
		if (p->direction && direction_of(p->direction, &p->q.sort[0].descending, e) < 0)
			return -1;
	}
	return 0;
}

/* Whose rows: an administrator may ask for all, or for another project's; for others it is as if
 * not asked. */
static void choose_project(struct api_call *c, struct page *p)
{
	p->q.project = c->project;
	if (!c->who || !c->who->admin)
		return;
	if (p->other_project)
		p->q.project = p->other_project;
	else if (p->all)
		p->q.project = NULL;
}

int api_scope(struct api_call *c, const char **ret_project, struct err *e)
{
	const char *all = httpd_query(c->http, "all_tenants");
	struct page p = {.q.limit = 1};

	if (all && flag_of("all_tenants", all, &p.all, e) < 0)
		return -1;
	choose_project(c, &p);
	*ret_project = p.q.project;
	return 0;
}

/* ---- the link to the next page ---- */

static void add_encoded(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (strchr("-._~", *s) || (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		    (*s >= 'A' && *s <= 'Z'))
			buf_add(b, s, 1);
		else
			buf_fmt(b, "%%%02X", (unsigned char)*s);
	}
}

static json_t *next_link(struct api_call *c, const char *marker)
{
	AUTO_BUF url = BUF_INIT;
	char base[512];
	const char *name, *value;

	buf_fmt(&url, "%s%s?", api_base(c, base, sizeof(base)), httpd_path(c->http));
	for (size_t i = 0; httpd_query_at(c->http, i, &name, &value); i++) {
		if (strcmp(name, "marker") == 0 || strcmp(name, "offset") == 0)
			continue;
		add_encoded(&url, name);
		buf_text(&url, "=");
		add_encoded(&url, value);
		buf_text(&url, "&");
	}
	buf_text(&url, "marker=");
	add_encoded(&url, marker);
	return json_pack("[{s:s, s:s}]", "rel", "next", "href", buf_str(&url));
}

int api_list(struct api_call *c, const struct table *t, const struct list_filter *fixed,
	     size_t n_fixed, struct err *e)
{
	struct page p = {.key = NULL};
	json_t *items, *last;
	char links[80];
	bool more;

	if (read_query(c, t, &p, e) < 0)
		return -1;
	choose_project(c, &p);
	for (size_t i = 0; i < n_fixed && p.q.n_filters < TABLE_FILTERS; i++)
		p.q.filters[p.q.n_filters++] = fixed[i];
	if (table_list(c->t, t, &p.q, &items, &more, e) < 0)
		return -1;
	last = json_array_get(items, json_array_size(items) - 1);
	api_reply(c, 200, t->items, items);
	snprintf(links, sizeof(links), "%s_links", t->items);
	if (more)
		json_object_set_new(c->reply, links,
				    next_link(c, json_string_value(json_object_get(last, "id"))));
	return 0;
}

const char *api_visible(const struct api_call *c)
{
	return c->who->admin ? NULL : c->project;
}

int api_show(struct api_call *c, const struct table *t, const char *id, struct err *e)
{
	json_t *row;

	if (table_get(c->t, t, api_visible(c), id, &row, e) < 0)
		return -1;
	api_reply(c, 200, t->item, row);
	return 0;
}

int api_own(struct api_call *c, const struct table *t, const char *part, char ret_id[UUID_TEXT],
	    struct err *e)
{
	struct table own = *t;
	json_t *row;

	own.shared = false;
	if (api_uuid(c, part, ret_id, e) < 0 ||
	    table_get(c->t, &own, api_visible(c), ret_id, &row, e) < 0)
		return -1;
	json_decref(row);
	return 0;
}

int api_list_rows(struct api_call *c, struct err *e)
{
	return api_list(c, c->route->table, NULL, 0, e);
}

int api_show_row(struct api_call *c, struct err *e)
{
	const char *part = strrchr(c->route->path, '{') + 1;
	char name[64], id[UUID_TEXT];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(part, "}"), part);
	return api_uuid(c, name, id, e) < 0 ? -1 : api_show(c, c->route->table, id, e);
}
