/* SPDX-License-Identifier: Apache-2.0 */
/*
 * header.h: the text object "holdfast" that says what a place is (format section 3). Pure
 * functions.
 */
#ifndef HF_REPO_HEADER_H
#define HF_REPO_HEADER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"

#define HEADER_KEY "holdfast"
#define HEADER_MAX 4096
#define REPO_VERSION 1

struct header {
	struct uuid id;
	unsigned parity; /* per cent, wanted for every pack; 0: none */
	/* Who decides what is written (store_arbiter.h); zero: the store itself. */
	struct uuid arbiter;
	bool read_only; /* needs a feature for writing that we do not know */
};

void header_encode(const struct header *h, struct buf *out);
/* ERR_CORRUPT: no header, or a damaged one; ERR_VERSION: a newer format. */
int header_decode(const void *text, size_t n, struct header *ret_h, struct err *e);

#endif
