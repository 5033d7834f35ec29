/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3_metadata.h: keys that a cloud gives to whoever runs in it: to a container, through a service
 * that its environment names (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,
 * AWS_CONTAINER_CREDENTIALS_FULL_URI, with AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE or
 * AWS_CONTAINER_AUTHORIZATION_TOKEN); or to an instance, through the metadata service (version 2,
 * with a token; AWS_EC2_METADATA_DISABLED=true: it is not asked; AWS_EC2_METADATA_SERVICE_ENDPOINT:
 * where it is).
 *
 * Sources: Amazon EC2 User Guide ("Use the Instance Metadata Service", "Retrieve security
 * credentials"); AWS SDKs and Tools Reference Guide ("Container credential provider", "IMDS
 * credential provider").
 *
 * Threads: thread-safe, but for changes of the environment.
 */
#ifndef HF_NET_S3_METADATA_H
#define HF_NET_S3_METADATA_H

#include "net/http.h"
#include "net/sigv4.h"

struct s3_given_key {
	struct sigv4_key key;
	uint64_t expires_us; /* by the clock on the wall; UINT64_MAX: never */
};

/*
 * Ask for a key; seconds, where nobody answers. ERR_NOENT: there is nobody to ask; ERR_INVALID: the
 * environment is wrong; ERR_DENIED: none is given; and what http_do() says.
 */
int s3_metadata_ask(struct http *h, struct s3_given_key *ret, struct err *e);
/* The document that holds it. ERR_IO: it is none; ERR_DENIED: it says why there is no key. */
int s3_metadata_parse(const void *json, size_t n, struct s3_given_key *ret, struct err *e);

#endif
