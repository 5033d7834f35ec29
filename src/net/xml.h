/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xml.h: reading a document of elements and text, element by element, with limits: no document
 * type, no more than XML_DEPTH levels, no text longer than XML_TEXT. Attributes are passed over.
 *
 * Threads: pure functions.
 */
#ifndef HF_NET_XML_H
#define HF_NET_XML_H

#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH 16
#define XML_TEXT 1100 /* of an S3 service: a key, at most 1024 bytes; a token; a message */

/* An element begins or ends; `arg` is the reader's. */
typedef void xml_element_fn(void *arg, const char *name);

struct xml {
	xml_element_fn *begin, *end;
	void *arg;
	/* While `begin` and `end` are called: */
	unsigned depth;	     /* of the element, from 1 */
	char text[XML_TEXT]; /* at its end: what it holds, if it holds no elements */
	size_t n;
	bool too_long;	   /* the text, which is cut off then */
	const char *wrong; /* the first thing that is, or NULL */
	void *parser;
};

/* Give up: `what` tells why, a constant. */
void xml_wrong(struct xml *x, const char *what);
/* Read a document; `x` has the functions and nothing else. What is wrong with it, or NULL. */
const char *xml_read(struct xml *x, const void *document, size_t n);
/* The text, which must not be too long: else `what`. */
void xml_take(struct xml *x, char out[XML_TEXT], const char *what);
/* The text as a number. */
unsigned long long xml_number(struct xml *x, const char *what);

#endif
