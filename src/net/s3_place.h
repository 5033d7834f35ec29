/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_place.h: where a bucket is, and with what key it is opened.
 *
 *   BUCKET[/PREFIX][?OPTION=VALUE&…]                 Amazon's, or AWS_ENDPOINT_URL_S3
 *   http(s)://HOST[:PORT]/BUCKET[/PREFIX][?…]        any other service
 *
 * Options: region=NAME, style=path|virtual, retry=TIME, part=SIZE. Keys, region and endpoint come
 * from the variables and files that every S3 client knows: AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the profile AWS_PROFILE in
 * AWS_SHARED_CREDENTIALS_FILE
 * (~/.aws/credentials); AWS_REGION, AWS_DEFAULT_REGION; AWS_CA_BUNDLE.
 *
 * Threads: read-only once made.
 */
#ifndef HF_NET_S3_PLACE_H
#define HF_NET_S3_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/sigv4.h"

struct s3_place {
	char *base;   /* "https://host:port" with the bucket where it belongs, no "/" at the end */
	char *host;   /* as in the Host header */
	char *path;   /* encoded, what goes before a key: "/bucket/prefix/" or "/" */
	char *prefix; /* of keys: "a/b/" or "" */
	char *bucket, *region;
	char *ca; /* or NULL */
	uint64_t retry_us;
	uint64_t part_bytes; /* larger objects are sent in parts of this size */
	struct sigv4_key key;
};

/* Parse what follows "s3:", and find the key. ERR_INVALID names what is wrong. */
int s3_place_parse(const char *url, struct s3_place *ret, struct err *e);
void s3_place_done(struct s3_place *p);

/* The key of a profile in the text of a credentials file; false when it has none. */
bool s3_credentials_parse(const char *text, size_t n, const char *profile, struct sigv4_key *ret);

#endif
