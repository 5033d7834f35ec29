/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_xml.h: the documents that an S3 service answers with. With limits: at most S3_PAGE_MAX objects
 * and HTTP_BODY_MAX bytes; no entities of its own, no document type. Threads: pure functions.
 */
#ifndef HF_NET_S3_XML_H
#define HF_NET_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/xml.h"

#define S3_PAGE_MAX 10000
#define S3_TEXT XML_TEXT

struct s3_object {
	char *key;
	uint64_t size; /* in a listing of objects */
	char *upload;  /* in a listing of uploads; or NULL */
};

struct s3_page {
	struct s3_object *objects;
	size_t n;
	char next[S3_TEXT]; /* what the request for the next page says; "" at the end */
};

struct s3_error {
	char code[64];
	char message[256];
	char region[64]; /* where the bucket is, if the request went elsewhere */
};

/* A page of a listing. */
int s3_page_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e);
/* The answer to a removal of many objects: those that are still there. */
int s3_kept_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e);
/* The first page of the uploads that nobody finished. */
int s3_uploads_parse(const void *xml, size_t n, struct s3_page *ret, struct err *e);
void s3_page_done(struct s3_page *p);
/* The text of the element `name` right below the document's, which is `root`; "" where there is
 * none. ERR_IO: it is another document. */
int s3_value_parse(const void *xml, size_t n, const char *root, const char *name, char ret[S3_TEXT],
		   struct err *e);
/* What can be found; empty where it is no such document. */
void s3_error_parse(const void *xml, size_t n, struct s3_error *ret);

#endif
