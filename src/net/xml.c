/* SPDX-License-Identifier: Apache-2.0 */
#include "net/xml.h"

#include <expat.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void xml_wrong(struct xml *x, const char *what)
{
	if (!x->wrong)
		x->wrong = what;
	XML_StopParser(x->parser, XML_FALSE);
}

static void forget_text(struct xml *x)
{
	x->n = 0;
	x->text[0] = 0;
	x->too_long = false;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct xml *x = arg;

	(void)attributes;
	if (++x->depth > XML_DEPTH)
		xml_wrong(x, "it is too deep");
	forget_text(x);
	x->begin(x->arg, name);
}

static void XMLCALL on_text(void *arg, const XML_Char *s, int len)
{
	struct xml *x = arg;

	x->too_long = x->too_long || x->n + (size_t)len >= sizeof(x->text);
	if (x->too_long)
		return;
	memcpy(x->text + x->n, s, (size_t)len);
	x->n += (size_t)len;
	x->text[x->n] = 0;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
	struct xml *x = arg;

	x->end(x->arg, name);
	x->depth--;
	forget_text(x);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system,
			       const XML_Char *public, int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	xml_wrong(arg, "it has a document type");
}

const char *xml_read(struct xml *x, const void *document, size_t n)
{
	x->parser = XML_ParserCreate("UTF-8");
	if (!x->parser)
		abort();
	XML_SetUserData(x->parser, x);
	XML_SetElementHandler(x->parser, on_start, on_end);
	XML_SetCharacterDataHandler(x->parser, on_text);
	XML_SetStartDoctypeDeclHandler(x->parser, on_doctype);
	if ((n >= INT32_MAX || XML_Parse(x->parser, document, (int)n, 1) != XML_STATUS_OK) &&
	    !x->wrong)
		x->wrong = "it is no XML";
	XML_ParserFree(x->parser);
	return x->wrong;
}

void xml_take(struct xml *x, char out[XML_TEXT], const char *what)
{
	if (x->too_long)
		xml_wrong(x, what);
	memcpy(out, x->text, x->n + 1);
}

unsigned long long xml_number(struct xml *x, const char *what)
{
	size_t digits = strspn(x->text, "0123456789");

	if (digits == 0 || digits > 18 || x->text[digits])
		xml_wrong(x, what);
	return strtoull(x->text, NULL, 10);
}
