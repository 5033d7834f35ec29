/* SPDX-License-Identifier: Apache-2.0 */
#include "net/s3_xml.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define DEPTH_MAX 16

/* A document with a row for each object. */
struct table {
	const char *root, *row;
	bool has_size, has_upload, has_pages;
};

static const struct table listing = {"ListBucketResult", "Contents", true, false, true};
static const struct table removal = {"DeleteResult", "Error", false, false, false};
static const struct table uploads = {"ListMultipartUploadsResult", "Upload", false, true, false};

struct parsing {
	XML_Parser xml;
	const struct table *table;
	struct s3_page *page;	/* or NULL */
	struct s3_error *error; /* or NULL */
	const char *root;	/* what the document must be, or NULL */
	const char *name;	/* of the element whose text goes to `value`, or NULL */
	char *value;
	unsigned depth;
	char text[S3_TEXT]; /* of the element that is open */
	size_t n;
	bool too_long, in_object, truncated, is_root;
	char key[S3_TEXT], upload[S3_TEXT];
	uint64_t size;
	const char *wrong; /* the first thing that is */
};

static void wrong(struct parsing *g, const char *what)
{
	if (!g->wrong)
		g->wrong = what;
	XML_StopParser(g->xml, XML_FALSE);
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct parsing *g = arg;

	(void)attributes;
	if (++g->depth > DEPTH_MAX)
		wrong(g, "it is too deep");
	if (g->depth == 1 && g->root)
		g->is_root = strcmp(name, g->root) == 0;
	if (g->depth == 2 && g->table && strcmp(name, g->table->row) == 0) {
		g->in_object = true;
		g->key[0] = g->upload[0] = 0;
		g->size = UINT64_MAX;
	}
	g->n = 0;
	g->text[0] = 0;
	g->too_long = false;
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
	struct parsing *g = arg;

	if (g->n + (size_t)len >= sizeof(g->text)) {
		g->too_long = true;
		return;
	}
	memcpy(g->text + g->n, s, (size_t)len);
	g->n += (size_t)len;
	g->text[g->n] = 0;
}

static void add_object(struct parsing *g)
{
	struct s3_page *p = g->page;

	if (!g->key[0] || (g->table->has_size && g->size == UINT64_MAX) ||
	    (g->table->has_upload && !g->upload[0])) {
		wrong(g, "an object has no name, no size or no upload");
		return;
	}
	if (p->n == S3_PAGE_MAX) {
		wrong(g, "it lists too many objects");
		return;
	}
	if (p->n % 256 == 0)
		p->objects = xreallocarray(p->objects, p->n + 256, sizeof(*p->objects));
	p->objects[p->n++] = (struct s3_object){xstrdup(g->key), g->size,
						g->table->has_upload ? xstrdup(g->upload) : NULL};
}

static void take_size(struct parsing *g)
{
	size_t digits = strspn(g->text, "0123456789");

	if (digits == 0 || digits > 18 || g->text[digits])
		wrong(g, "a size is no number");
	else
		g->size = strtoull(g->text, NULL, 10);
}

static void take_text(struct parsing *g, char out[S3_TEXT], const char *what)
{
	if (g->too_long)
		wrong(g, what);
	memcpy(out, g->text, g->n + 1);
}

static void end_in_object(struct parsing *g, const char *name)
{
	if (strcmp(name, "Key") == 0)
		take_text(g, g->key, "a name is too long");
	else if (g->table->has_size && strcmp(name, "Size") == 0)
		take_size(g);
	else if (g->table->has_upload && strcmp(name, "UploadId") == 0)
		take_text(g, g->upload, "the name of an upload is too long");
}

static void end_in_table(struct parsing *g, const char *name)
{
	if (g->in_object && g->depth == 3) {
		end_in_object(g, name);
	} else if (g->depth == 2 && g->in_object) {
		g->in_object = false;
		add_object(g);
	} else if (g->depth == 2 && strcmp(name, "IsTruncated") == 0) {
		g->truncated = strcmp(g->text, "true") == 0;
	} else if (g->depth == 2 && strcmp(name, "NextContinuationToken") == 0) {
		take_text(g, g->page->next, "the mark of the next page is too long");
	}
}

/* For people: what a service says must not steer their terminal. */
static void take_words(const struct parsing *g, char *out, size_t cap)
{
	snprintf(out, cap, "%s", g->text);
	for (; *out; out++) {
		if ((unsigned char)*out < ' ' || (unsigned char)*out >= 127)
			*out = '?';
	}
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct parsing *g = arg;

	if (g->page && !g->wrong)
		end_in_table(g, name);
	if (g->name && g->depth == 2 && strcmp(name, g->name) == 0)
		take_text(g, g->value, "a value is too long");
	if (g->error && g->depth == 2 && strcmp(name, "Code") == 0)
		take_words(g, g->error->code, sizeof(g->error->code));
	if (g->error && g->depth == 2 && strcmp(name, "Region") == 0)
		take_words(g, g->error->region, sizeof(g->error->region));
	if (g->error && g->depth == 2 && strcmp(name, "Message") == 0)
		take_words(g, g->error->message, sizeof(g->error->message));
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

static bool parse(struct parsing *g, const void *xml, size_t n)
{
	bool fine;

	g->xml = XML_ParserCreate("UTF-8");
	if (!g->xml)
		abort();
	XML_SetUserData(g->xml, g);
	XML_SetElementHandler(g->xml, on_start, on_end);
	XML_SetCharacterDataHandler(g->xml, on_text);
	XML_SetStartDoctypeDeclHandler(g->xml, on_doctype);
	fine = n < INT32_MAX && XML_Parse(g->xml, xml, (int)n, 1) == XML_STATUS_OK;
	if (!fine && !g->wrong)
		g->wrong = "it is no XML";
	XML_ParserFree(g->xml);
	return fine && !g->wrong;
}

/* What is wrong with a document that must be whole; NULL: nothing. */
static const char *parse_all(struct parsing *g, const void *xml, size_t n)
{
	if (parse(g, xml, n) && !g->is_root)
		g->wrong = "it is another document";
	return g->wrong;
}

static int parse_table(const struct table *t, const void *xml, size_t n, struct s3_page *ret,
		       struct err *e)
{
	struct parsing g = {.table = t, .root = t->root, .page = ret};

	*ret = (struct s3_page){0};
	if (!parse_all(&g, xml, n) && t->has_pages && g.truncated && !ret->next[0])
		g.wrong = "it does not say where the next page begins";
	if (!g.wrong) {
		if (!g.truncated)
			ret->next[0] = 0;
		return 0;
	}
	s3_page_done(ret);
	return err_set(e, ERR_IO, "the service's answer (%s) cannot be read: %s", t->root, g.wrong);
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
			       g.wrong);
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
