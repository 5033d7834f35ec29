/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table is a tree: one level for each part of a path. A node has children by name, one for
 * "{name}", and the routes that end at it or take the rest from it. What parts are called is read
 * from the path of the route when somebody asks.
 */
#include "net/httpd_route.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* ---- targets ---- */

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 32) >= 'a' && (c | 32) <= 'f')
		return (c | 32) - 'a' + 10;
	return -1;
}

static bool is_text(const char *s)
{
	for (size_t n; *s; s += n) {
		n = text_utf8(s, SIZE_MAX);
		if (!n || (unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	}
	return true;
}

/* Decode `n` bytes to `*out`, which moves on behind a NUL; what was written, or NULL. */
static const char *decode(const char *s, size_t n, bool plus, char **out, const char *what,
			  struct err *e)
{
	char *p = *out, *start = p;

	for (size_t i = 0; i < n; i++) {
		int high = s[i] == '%' && n - i > 2 ? digit(s[i + 1]) : -1;
		int low = high >= 0 ? digit(s[i + 2]) : -1;

		if (s[i] == '%' && low < 0) {
			err_set(e, ERR_INVALID,
				"the %s has a percent sign without two hexadecimal digits", what);
			return NULL;
		}
		if (s[i] == '%') {
			*p = (char)(high << 4 | low);
			i += 2;
		} else {
			*p = plus && s[i] == '+' ? ' ' : s[i];
		}
		if (!*p++) {
			err_set(e, ERR_INVALID, "the %s has a zero byte", what);
			return NULL;
		}
	}
	*p++ = 0;
	if (!is_text(start)) {
		err_set(e, ERR_INVALID, "the %s has a control character or is not UTF-8", what);
		return NULL;
	}
	*out = p;
	return start;
}

/* The length up to a character, or all of it. */
static size_t until(const char *s, size_t n, char c)
{
	const char *p = memchr(s, c, n);

	return p ? (size_t)(p - s) : n;
}

static int parse_path(const char *raw, size_t n, struct target *t, char **out, struct err *e)
{
	char *join;

	if (n == 0 || raw[0] != '/')
		return err_set(e, ERR_INVALID, "the path does not begin with a slash");
	if (n > TARGET_PATH_MAX)
		return err_set(e, ERR_INVALID, "the path has %zu bytes; %d are allowed", n,
			       TARGET_PATH_MAX);
	for (size_t i = 1, len; i <= n; i += len + 1) {
		len = until(raw + i, n - i, '/');
		if (t->n_parts == TARGET_PARTS)
			return err_set(e, ERR_INVALID, "the path has more than %d parts",
				       TARGET_PARTS);
		t->parts[t->n_parts] = decode(raw + i, len, false, out, "path", e);
		if (!t->parts[t->n_parts])
			return -1;
		if (strcmp(t->parts[t->n_parts], ".") == 0 ||
		    strcmp(t->parts[t->n_parts], "..") == 0)
			t->dots = true;
		t->n_parts++;
	}
	t->path = join = *out;
	for (size_t i = 0; i < t->n_parts; i++) {
		size_t len = strlen(t->parts[i]);

		*join++ = '/';
		t->from[i] = join;
		memcpy(join, t->parts[i], len);
		join += len;
	}
	*join++ = 0;
	*out = join;
	return 0;
}

static int parse_query(const char *raw, size_t n, struct target *t, char **out, struct err *e)
{
	for (size_t i = 0, len; i < n; i += len + 1) {
		size_t name;

		len = until(raw + i, n - i, '&');
		if (!len)
			continue;
		if (t->n_query == TARGET_QUERY)
			return err_set(e, ERR_INVALID, "there are more than %d query parameters",
				       TARGET_QUERY);
		name = until(raw + i, len, '=');
		t->query[t->n_query].name = decode(raw + i, name, true, out, "query", e);
		if (!t->query[t->n_query].name)
			return -1;
		t->query[t->n_query].value =
			name == len
				? ""
				: decode(raw + i + name + 1, len - name - 1, true, out, "query", e);
		if (!t->query[t->n_query].value)
			return -1;
		t->n_query++;
	}
	return 0;
}

int target_parse(const char *raw, struct target *ret_t, struct err *e)
{
	size_t n = strlen(raw), path = until(raw, n, '?');
	char *out;

	if (memchr(raw, '#', n))
		return err_set(e, ERR_INVALID, "the address has a fragment (#)");
	memset(ret_t, 0, sizeof(*ret_t));
	/* The path twice, each part and parameter with its end. */
	ret_t->text = out = xmalloc(2 * n + 8);
	if (parse_path(raw, path, ret_t, &out, e) < 0 ||
	    (path < n && parse_query(raw + path + 1, n - path - 1, ret_t, &out, e) < 0)) {
		target_done(ret_t);
		return -1;
	}
	return 0;
}

void target_done(struct target *t)
{
	free(t->text);
	memset(t, 0, sizeof(*t));
}

/* ---- the table ---- */

struct leaf {
	const struct httpd_route *route;
	struct leaf *next;
};

struct node {
	const char *text; /* of its part, in the path of a route */
	size_t len;
	struct node *next;     /* another child of the same parent */
	struct node *children; /* by name */
	struct node *any;      /* "{name}" */
	struct leaf *here;     /* routes that end */
	struct leaf *rest;     /* "{name*}" */
};

struct route_table {
	struct node root;
};

static struct node *child(const struct node *n, const char *part, size_t len)
{
	struct node *c = n->children;

	while (c && (c->len != len || memcmp(c->text, part, len) != 0))
		c = c->next;
	return c;
}

static void add_leaf(struct leaf **list, const struct httpd_route *r)
{
	while (*list) {
		assert(strcmp((*list)->route->method, r->method) != 0); /* twice the same */
		list = &(*list)->next;
	}
	*list = xcalloc(1, sizeof(**list));
	(*list)->route = r;
}

static void add_route(struct node *n, const struct httpd_route *r)
{
	size_t total = strlen(r->path);

	assert(r->path[0] == '/');
	for (size_t i = 1, len; i <= total; i += len + 1) {
		const char *part = r->path + i;
		struct node **at, *c;

		len = until(part, total - i, '/');
		if (len > 3 && part[0] == '{' && part[len - 2] == '*') {
			assert(i + len == total);
			add_leaf(&n->rest, r);
			return;
		}
		if (len > 2 && part[0] == '{') {
			assert(part[len - 1] == '}');
			at = &n->any;
			c = n->any;
		} else {
			at = &n->children;
			c = child(n, part, len);
		}
		if (!c) {
			c = xcalloc(1, sizeof(*c));
			c->text = part;
			c->len = len;
			c->next = *at;
			*at = c;
		}
		n = c;
	}
	add_leaf(&n->here, r);
}

struct route_table *route_table_new(const struct httpd_route *routes, size_t n)
{
	struct route_table *t = xcalloc(1, sizeof(*t));

	for (size_t i = 0; i < n; i++)
		add_route(&t->root, &routes[i]);
	return t;
}

static void free_leaves(struct leaf *l)
{
	while (l) {
		struct leaf *next = l->next;

		free(l);
		l = next;
	}
}

/* As deep as the longest path of a route. */
static void free_inside(struct node *n)
{
	free_leaves(n->here);
	free_leaves(n->rest);
	if (n->any) {
		free_inside(n->any);
		free(n->any);
	}
	while (n->children) {
		struct node *c = n->children;

		n->children = c->next;
		free_inside(c);
		free(c);
	}
}

void route_table_free(struct route_table *t)
{
	if (!t)
		return;
	free_inside(&t->root);
	free(t);
}

/* ---- finding ---- */

struct search {
	const struct target *target;
	const char *method;
	char *allow;
};

static void allow_method(struct search *s, const char *method)
{
	size_t used = strlen(s->allow), n = strlen(method);
	const char *p = s->allow;

	if (strcmp(method, "*") == 0)
		return;
	while ((p = strstr(p, method))) {
		if ((p == s->allow || p[-1] == ' ') && (!p[n] || p[n] == ','))
			return;
		p += n;
	}
	snprintf(s->allow + used, ROUTE_ALLOW - used, "%s%s", used ? ", " : "", method);
}

static const struct httpd_route *choose(struct search *s, const struct leaf *list)
{
	const struct httpd_route *get = NULL, *any = NULL;

	for (const struct leaf *l = list; l; l = l->next) {
		if (strcmp(l->route->method, s->method) == 0)
			return l->route;
		if (strcmp(l->route->method, "GET") == 0 && strcmp(s->method, "HEAD") == 0)
			get = l->route;
		if (strcmp(l->route->method, "*") == 0)
			any = l->route;
		allow_method(s, l->route->method);
		if (strcmp(l->route->method, "GET") == 0)
			allow_method(s, "HEAD");
	}
	return get ? get : any;
}

/* What "{rest*}" may take: it is used as a path, so no part of it may be more than a name. */
static bool is_rest(const struct target *t, size_t from)
{
	for (size_t i = from; i < t->n_parts; i++) {
		if ((!t->parts[i][0] && i + 1 < t->n_parts) || strchr(t->parts[i], '/'))
			return false;
	}
	return true;
}

/* As deep as the longest path of a route. */
static const struct httpd_route *walk(struct search *s, const struct node *n, size_t i)
{
	const struct target *t = s->target;
	const struct httpd_route *r = NULL;
	const struct node *c;

	if (i == t->n_parts)
		return choose(s, n->here);
	c = child(n, t->parts[i], strlen(t->parts[i]));
	if (c)
		r = walk(s, c, i + 1);
	if (!r && n->any && t->parts[i][0])
		r = walk(s, n->any, i + 1);
	if (!r && n->rest && is_rest(t, i))
		r = choose(s, n->rest);
	return r;
}

const struct httpd_route *route_find(const struct route_table *t, const struct target *target,
				     const char *method, char *ret_allow)
{
	struct search s = {target, method, ret_allow};

	ret_allow[0] = 0;
	return target->dots ? NULL : walk(&s, &t->root, 0);
}

const char *route_part(const struct httpd_route *r, const struct target *t, const char *name)
{
	size_t total = strlen(r->path), want = strlen(name), k = 0;

	for (size_t i = 1, len; i <= total && k < t->n_parts; i += len + 1, k++) {
		const char *part = r->path + i;

		len = until(part, total - i, '/');
		if (len < want + 2 || part[0] != '{' || memcmp(part + 1, name, want) != 0)
			continue;
		if (part[want + 1] == '}')
			return t->parts[k];
		if (part[want + 1] == '*')
			return t->from[k];
	}
	return NULL;
}

/* ---- cookies ---- */

char *cookie_find(const char *header, const char *name)
{
	size_t want = strlen(name);

	for (const char *p = header; *p;) {
		size_t len;

		p += strspn(p, " \t;");
		len = strcspn(p, ";");
		if (len > want && memcmp(p, name, want) == 0 && p[want] == '=') {
			const char *v = p + want + 1;

			len -= want + 1;
			while (len && (v[len - 1] == ' ' || v[len - 1] == '\t'))
				len--;
			if (len > 1 && v[0] == '"' && v[len - 1] == '"')
				return xstrndup(v + 1, len - 2);
			return xstrndup(v, len);
		}
		p += len;
	}
	return NULL;
}
