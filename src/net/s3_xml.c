/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/xml.h"

/* A document with a row for each object. */
struct table {
	const char *root, *row;
	bool has_size, has_upload, has_pages;
};

static const struct table listing = {"ListBucketResult", "Contents", true, false, true};
static const struct table removal = {"DeleteResult", "Error", false, false, false};
static const struct table uploads = {"ListMultipartUploadsResult", "Upload", false, true, false};

struct parsing {
	struct xml x;
	const struct table *table;
	struct s3_page *page;	/* or NULL */
	struct s3_error *error; /* or NULL */
	const char *root;	/* what the document must be, or NULL */
	const char *name;	/* of the element whose text goes to `value`, or NULL */
	char *value;
	bool in_object, truncated, is_root;
	char key[S3_TEXT], upload[S3_TEXT];
	uint64_t size;
};

static void begin(void *arg, const char *name)
{
	struct parsing *g = arg;

	if (g->x.depth == 1 && g->root)
		g->is_root = strcmp(name, g->root) == 0;
	if (g->x.depth == 2 && g->table && strcmp(name, g->table->row) == 0) {
		g->in_object = true;
		g->key[0] = g->upload[0] = 0;
		g->size = UINT64_MAX;
	}
}

static void add_object(struct parsing *g)
{
	struct s3_page *p = g->page;

	if (!g->key[0] || (g->table->has_size && g->size == UINT64_MAX) ||
	    (g->table->has_upload && !g->upload[0])) {
		xml_wrong(&g->x, "an object has no name, no size or no upload");
		return;
	}
	if (p->n == S3_PAGE_MAX) {
		xml_wrong(&g->x, "it lists too many objects");
		return;
	}
	if (p->n % 256 == 0)
		p->objects = xreallocarray(p->objects, p->n + 256, sizeof(*p->objects));
	p->objects[p->n++] = (struct s3_object){xstrdup(g->key), g->size,
						g->table->has_upload ? xstrdup(g->upload) : NULL};
}

static void end_in_object(struct parsing *g, const char *name)
{
	if (strcmp(name, "Key") == 0)
		xml_take(&g->x, g->key, "a name is too long");
	else if (g->table->has_size && strcmp(name, "Size") == 0)
		g->size = xml_number(&g->x, "a size is no number");
	else if (g->table->has_upload && strcmp(name, "UploadId") == 0)
		xml_take(&g->x, g->upload, "the name of an upload is too long");
}

static void end_in_table(struct parsing *g, const char *name)
{
	if (g->in_object && g->x.depth == 3) {
		end_in_object(g, name);
	} else if (g->x.depth == 2 && g->in_object) {
		g->in_object = false;
		add_object(g);
	} else if (g->x.depth == 2 && strcmp(name, "IsTruncated") == 0) {
		g->truncated = strcmp(g->x.text, "true") == 0;
	} else if (g->x.depth == 2 && strcmp(name, "NextContinuationToken") == 0) {
		xml_take(&g->x, g->page->next, "the mark of the next page is too long");
	}
}

/* For people: what a service says must not steer their terminal. */
static void take_words(const struct parsing *g, char *out, size_t cap)
{
	snprintf(out, cap, "%s", g->x.text);
	for (; *out; out++) {
		if ((unsigned char)*out < ' ' || (unsigned char)*out >= 127)
			*out = '?';
	}
}

static void end(void *arg, const char *name)
{
	struct parsing *g = arg;

	if (g->page && !g->x.wrong)
		end_in_table(g, name);
	if (g->name && g->x.depth == 2 && strcmp(name, g->name) == 0)
		xml_take(&g->x, g->value, "a value is too long");
	if (g->error && g->x.depth == 2 && strcmp(name, "Code") == 0)
		take_words(g, g->error->code, sizeof(g->error->code));
	if (g->error && g->x.depth == 2 && strcmp(name, "Region") == 0)
		take_words(g, g->error->region, sizeof(g->error->region));
	if (g->error && g->x.depth == 2 && strcmp(name, "Message") == 0)
		take_words(g, g->error->message, sizeof(g->error->message));
}

static const char *parse(struct parsing *g, const void *xml, size_t n)
{
	g->x = (struct xml){.begin = begin, .end = end, .arg = g};
	return xml_read(&g->x, xml, n);
}

/* What is wrong with a document that must be whole; NULL: nothing. */
static const char *parse_all(struct parsing *g, const void *xml, size_t n)
{
	if (!parse(g, xml, n) && !g->is_root)
		g->x.wrong = "it is another document";
	return g->x.wrong;
}

static int parse_table(const struct table *t, const void *xml, size_t n, struct s3_page *ret,
		       struct err *e)
{
	struct parsing g = {.table = t, .root = t->root, .page = ret};

	*ret = (struct s3_page){0};
	if (!parse_all(&g, xml, n) && t->has_pages && g.truncated && !ret->next[0])
		g.x.wrong = "it does not say where the next page begins";
	if (!g.x.wrong) {
		if (!g.truncated)
			ret->next[0] = 0;
		return 0;
	}
	s3_page_done(ret);
	return err_set(e, ERR_IO, "the service's answer (%s) cannot be read: %s", t->root,
		       g.x.wrong);
}

int s3_page_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e)
{
	return parse_table(&listing, xml, n, ret, e);
}

int s3_kept_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e)
{
	return parse_table(&removal, xml, n, ret, e);
}

int s3_uploads_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e)
{
	return parse_table(&uploads, xml, n, ret, e);
}

int s3_value_parse(const void *xml, size_t n, const char *root, const char *name, char ret[S3_TEXT],
		   struct err *e)
{
	char value[S3_TEXT] = "";
	struct parsing g = {.root = root, .name = name, .value = value};

	if (parse_all(&g, xml, n))
		return err_set(e, ERR_IO, "the service's answer (%s) cannot be read: %s", root,
			       g.x.wrong);
	memcpy(ret, value, S3_TEXT);
	return 0;
}

void s3_page_done(struct s3_page *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->objects[i].key);
		free(p->objects[i].upload);
	}
	free(p->objects);
	*p = (struct s3_page){0};
}

void s3_error_parse(const void *xml, size_t n, struct s3_error *ret)
{
	struct parsing g = {.error = ret};

	*ret = (struct s3_error){0};
	parse(&g, xml, n);
}
