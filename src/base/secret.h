/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h: bytes that must not leave the process: keys and passphrases.
 *
 * A secret lies in pages of its own, locked against swapping where the system allows it, left out
 * of core dumps, and overwritten before they are given back. Nothing formats, logs or compares it
 * byte by byte with an early exit. secret_harden() is called once by every program before it reads
 * a secret.
 *
 * Threads: a secret is read-only once filled and may then be shared; the owner frees it last.
 */
#ifndef HF_BASE_SECRET_H
#define HF_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct secret {
	uint8_t *data;
	size_t len;
	size_t cap; /* whole pages */
};

/* Keep secrets out of core dumps and away from other processes of the same user. */
void secret_harden(void);

/* `len` zero bytes; never NULL. */
struct secret *secret_new(size_t len);
struct secret *secret_of(const void *data, size_t len);
/* Overwrites and frees; NULL is fine. */
void secret_free(struct secret *s);
/* In time that depends on the lengths only. */
bool secret_equal(const struct secret *a, const struct secret *b);
/* Overwrite plain memory so that the compiler keeps it. */
void secret_wipe(void *p, size_t n);

DEFINE_AUTO(secret, secret_free);

#endif
