/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_xml.h: the two kinds of documents that an S3 service answers with: a page of a listing, and an
 * error. With limits: at most S3_PAGE_MAX objects and HTTP_BODY_MAX bytes; no entities of its own,
 * no document type. Threads: pure functions.
 */
#ifndef HF_NET_S3_XML_H
#define HF_NET_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define S3_PAGE_MAX 10000
#define S3_TEXT 1100 /* a key, at most 1024 bytes; a token; a message */

struct s3_object {
	char *key;
	uint64_t size;
};

struct s3_page {
	struct s3_object *objects;
	size_t n;
	char next[S3_TEXT]; /* what the request for the next page says; "" at the end */
};

struct s3_error {
	char code[64];
	char message[256];
};

int s3_page_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e);
void s3_page_done(struct s3_page *p);
/* What can be found; empty where it is no such document. */
void s3_error_parse(const void *xml, size_t n, struct s3_error *ret);

#endif
