/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_place.h: where a bucket is.
 *
 *   BUCKET[/PREFIX][?OPTION=VALUE&…]                 Amazon's, or AWS_ENDPOINT_URL_S3
 *   http(s)://HOST[:PORT]/BUCKET[/PREFIX][?…]        any other service
 *
 * Options: region=NAME, style=path|virtual, retry=TIME, part=SIZE, and last arbiter=TARGET, which
 * takes the rest of the text (repo/store_arbiter.h). Region, endpoint and
 * certificates come from the variables that every S3 client knows, too: AWS_REGION,
 * AWS_DEFAULT_REGION; AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; AWS_CA_BUNDLE.
 *
 * Threads: read-only once made.
 */
#ifndef HF_NET_S3_PLACE_H
#define HF_NET_S3_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct s3_place {
	char *base;   /* "https://host:port" with the bucket where it belongs, no "/" at the end */
	char *host;   /* as in the Host header */
	char *path;   /* encoded, what goes before a key: "/bucket/prefix/" or "/" */
	char *prefix; /* of keys: "a/b/" or "" */
	char *bucket, *region;
	char *ca; /* or NULL */
	uint64_t retry_us;
	uint64_t part_bytes; /* larger objects are sent in parts of this size */
};

/* Parse what follows "s3:". ERR_INVALID names what is wrong. */
int s3_place_parse(const char *url, struct s3_place *ret, struct err *e);
void s3_place_done(struct s3_place *p);
/* What stands behind "arbiter="; NULL: nothing does. */
const char *s3_place_arbiter(const char *url);

#endif
