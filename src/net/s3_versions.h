/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_versions.h: a page of the versions of objects, as an S3 service lists them
 * (ListObjectVersions): objects and the markers that hide them. Limits as in s3_xml.h. Threads:
 * pure functions.
 */
#ifndef HF_NET_S3_VERSIONS_H
#define HF_NET_S3_VERSIONS_H

#include "net/s3_xml.h"

struct s3_version_row {
	char *key, *version;
	char *etag;    /* NULL of a marker */
	uint64_t size; /* 0 of a marker */
	bool latest, marker;
};

struct s3_versions {
	struct s3_version_row *rows;
	size_t n;
	/* What the request for the next page says; "" at the end. */
	char next_key[S3_TEXT], next_version[S3_TEXT];
};

int s3_versions_parse(const void *xml, size_t n, struct s3_versions *ret, struct err *e);
void s3_versions_done(struct s3_versions *v);

#endif
