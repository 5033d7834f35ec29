/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_versions.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/xml.h"

#define NEXT "the mark of the next page is too long"

/* <ListVersionsResult>, below it <Version> and <DeleteMarker>, and below these what is told. */
enum level { LEVEL_PAGE = 1, LEVEL_ROW = 2, LEVEL_CELL = 3 };

struct reading {
	struct xml x;
	struct s3_versions *page;
	bool is_page, in_row, truncated;
	struct s3_version_row row;
};

static void drop_row(struct s3_version_row *r)
{
	free(r->key);
	free(r->version);
	free(r->etag);
	*r = (struct s3_version_row){0};
}

static void begin(void *arg, const char *name)
{
	struct reading *g = arg;

	if (g->x.depth == LEVEL_PAGE)
		g->is_page = strcmp(name, "ListVersionsResult") == 0;
	if (g->x.depth == LEVEL_ROW) {
		drop_row(&g->row);
		g->row.marker = strcmp(name, "DeleteMarker") == 0;
		g->in_row = g->row.marker || strcmp(name, "Version") == 0;
	}
}

static void take_name(struct reading *g, char **ret)
{
	if (g->x.too_long || !g->x.text[0])
		xml_wrong(&g->x, "a name is empty or too long");
	free(*ret);
	*ret = xstrdup(g->x.text);
}

static void take_cell(struct reading *g, const char *name)
{
	if (strcmp(name, "Key") == 0) {
		take_name(g, &g->row.key);
	} else if (strcmp(name, "VersionId") == 0) {
		take_name(g, &g->row.version);
	} else if (strcmp(name, "ETag") == 0) {
		take_name(g, &g->row.etag);
	} else if (strcmp(name, "IsLatest") == 0) {
		g->row.latest = strcmp(g->x.text, "true") == 0;
	} else if (strcmp(name, "Size") == 0) {
		g->row.size = xml_number(&g->x, "a size is no number");
	}
}

static void add_row(struct reading *g)
{
	struct s3_versions *p = g->page;

	g->in_row = false;
	if (!g->row.key || !g->row.version) {
		xml_wrong(&g->x, "a version has no name");
		return;
	}
	if (p->n == S3_PAGE_MAX) {
		xml_wrong(&g->x, "it lists too many versions");
		return;
	}
	if (p->n % 256 == 0)
		p->rows = xreallocarray(p->rows, p->n + 256, sizeof(*p->rows));
	p->rows[p->n++] = g->row;
	g->row = (struct s3_version_row){0};
}

static void end(void *arg, const char *name)
{
	struct reading *g = arg;

	if (g->x.depth == LEVEL_CELL && g->in_row)
		take_cell(g, name);
	else if (g->x.depth == LEVEL_ROW && g->in_row)
		add_row(g);
	else if (g->x.depth == LEVEL_ROW && strcmp(name, "IsTruncated") == 0)
		g->truncated = strcmp(g->x.text, "true") == 0;
	else if (g->x.depth == LEVEL_ROW && strcmp(name, "NextKeyMarker") == 0)
		xml_take(&g->x, g->page->next_key, NEXT);
	else if (g->x.depth == LEVEL_ROW && strcmp(name, "NextVersionIdMarker") == 0)
		xml_take(&g->x, g->page->next_version, NEXT);
}

int s3_versions_parse(const void *xml, size_t n, struct s3_versions *ret, struct err *e)
{
	struct s3_versions page = {0};
	struct reading g = {.page = &page};

	g.x = (struct xml){.begin = begin, .end = end, .arg = &g};
	xml_read(&g.x, xml, n);
	drop_row(&g.row);
	if (!g.x.wrong && !g.is_page)
		g.x.wrong = "it is another document";
	if (!g.x.wrong && g.truncated && !page.next_key[0])
		g.x.wrong = "it does not say where the next page begins";
	if (g.x.wrong) {
		s3_versions_done(&page);
		return err_set(e, ERR_IO, "the service's list of versions cannot be read: %s",
			       g.x.wrong);
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
