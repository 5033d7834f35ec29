/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_versions.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define DEPTH_MAX 16

/* <ListVersionsResult>, below it <Version> and <DeleteMarker>, and below these what is told. */
enum level { LEVEL_PAGE = 1, LEVEL_ROW = 2, LEVEL_CELL = 3 };

struct reading {
	XML_Parser xml;
	struct s3_versions *page;
	const char *wrong; /* the first thing that is */
	unsigned depth;
	bool is_page, in_row, too_long, truncated;
	char text[S3_TEXT]; /* of the innermost element */
	size_t n;
	struct s3_version_row row;
};

static void wrong(struct reading *g, const char *what)
{
	if (!g->wrong)
		g->wrong = what;
	XML_StopParser(g->xml, XML_FALSE);
}

static void drop_row(struct s3_version_row *r)
{
	free(r->key);
	free(r->version);
	free(r->etag);
	*r = (struct s3_version_row){0};
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *g = arg;

	(void)attributes;
	if (++g->depth > DEPTH_MAX)
		wrong(g, "it is too deep");
	if (g->depth == LEVEL_PAGE)
		g->is_page = strcmp(name, "ListVersionsResult") == 0;
	if (g->depth == LEVEL_ROW) {
		drop_row(&g->row);
		g->row.marker = strcmp(name, "DeleteMarker") == 0;
		g->in_row = g->row.marker || strcmp(name, "Version") == 0;
	}
	g->n = 0;
	g->text[0] = 0;
	g->too_long = false;
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
	struct reading *g = arg;

	g->too_long = g->too_long || g->n + (size_t)len >= sizeof(g->text);
	if (g->too_long)
		return;
	memcpy(g->text + g->n, s, (size_t)len);
	g->n += (size_t)len;
	g->text[g->n] = 0;
}

static void take_name(struct reading *g, char **ret)
{
	if (g->too_long || !g->text[0])
		wrong(g, "a name is empty or too long");
	free(*ret);
	*ret = xstrdup(g->text);
}

static void take_cell(struct reading *g, const char *name)
{
	size_t digits = strspn(g->text, "0123456789");

	if (strcmp(name, "Key") == 0) {
		take_name(g, &g->row.key);
	} else if (strcmp(name, "VersionId") == 0) {
		take_name(g, &g->row.version);
	} else if (strcmp(name, "ETag") == 0) {
		take_name(g, &g->row.etag);
	} else if (strcmp(name, "IsLatest") == 0) {
		g->row.latest = strcmp(g->text, "true") == 0;
	} else if (strcmp(name, "Size") == 0) {
		if (digits == 0 || digits > 18 || g->text[digits])
			wrong(g, "a size is no number");
		g->row.size = strtoull(g->text, NULL, 10);
	}
}

static void add_row(struct reading *g)
{
	struct s3_versions *p = g->page;

	g->in_row = false;
	if (!g->row.key || !g->row.version) {
		wrong(g, "a version has no name");
		return;
	}
	if (p->n == S3_PAGE_MAX) {
		wrong(g, "it lists too many versions");
		return;
	}
	if (p->n % 256 == 0)
		p->rows = xreallocarray(p->rows, p->n + 256, sizeof(*p->rows));
	p->rows[p->n++] = g->row;
	g->row = (struct s3_version_row){0};
}

static void take_next(struct reading *g, char out[S3_TEXT])
{
	if (g->too_long)
		wrong(g, "the mark of the next page is too long");
	else
		memcpy(out, g->text, g->n + 1);
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct reading *g = arg;

	if (g->depth == LEVEL_CELL && g->in_row)
		take_cell(g, name);
	else if (g->depth == LEVEL_ROW && g->in_row)
		add_row(g);
	else if (g->depth == LEVEL_ROW && strcmp(name, "IsTruncated") == 0)
		g->truncated = strcmp(g->text, "true") == 0;
	else if (g->depth == LEVEL_ROW && strcmp(name, "NextKeyMarker") == 0)
		take_next(g, g->page->next_key);
	else if (g->depth == LEVEL_ROW && strcmp(name, "NextVersionIdMarker") == 0)
		take_next(g, g->page->next_version);
	g->depth--;
	g->n = 0;
	g->text[0] = 0;
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
			       const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	wrong(arg, "it has a document type");
}

static void read_all(struct reading *g, const void *xml, size_t n)
{
	g->xml = XML_ParserCreate("UTF-8");
	if (!g->xml)
		abort();
	XML_SetUserData(g->xml, g);
	XML_SetElementHandler(g->xml, on_start, on_end);
	XML_SetCharacterDataHandler(g->xml, on_text);
	XML_SetStartDoctypeDeclHandler(g->xml, on_doctype);
	if ((n >= INT32_MAX || XML_Parse(g->xml, xml, (int)n, 1) != XML_STATUS_OK) && !g->wrong)
		g->wrong = "it is no XML";
	XML_ParserFree(g->xml);
	drop_row(&g->row);
}

int s3_versions_parse(const void *xml, size_t n, struct s3_versions *ret, struct err *e)
{
	struct s3_versions page = {0};
	struct reading g = {.page = &page};

	read_all(&g, xml, n);
	if (!g.wrong && !g.is_page)
		g.wrong = "it is another document";
	if (!g.wrong && g.truncated && !page.next_key[0])
		g.wrong = "it does not say where the next page begins";
	if (g.wrong) {
		s3_versions_done(&page);
		return err_set(e, ERR_IO, "the service's list of versions cannot be read: %s",
			       g.wrong);
	}
	if (!g.truncated)
		page.next_key[0] = page.next_version[0] = 0;
	*ret = page;
	return 0;
}

void s3_versions_done(struct s3_versions *v)
{
	for (size_t i = 0; i < v->n; i++)
		drop_row(&v->rows[i]);
	free(v->rows);
	*v = (struct s3_versions){0};
}
