/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uuid.h: random UUIDs (RFC 9562, version 4) and random bytes from the kernel. Any thread.
 */
#ifndef HF_BASE_UUID_H
#define HF_BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT 37 /* 36 characters and a NUL */

struct uuid {
	uint8_t b[16];
};

/* Fill `out` with `n` random bytes; ends the process when the kernel has none to give. */
void random_bytes(void *out, size_t n);

struct uuid uuid_random(void);
/* The usual 8-4-4-4-12 form in lower case into `out` (UUID_TEXT bytes); returns `out`. */
char *uuid_text(const struct uuid *u, char *out);
/* Read exactly that form, of either case, ended by NUL. */
bool uuid_parse(const char *text, struct uuid *ret_u);
bool uuid_equal(const struct uuid *a, const struct uuid *b);
bool uuid_is_zero(const struct uuid *u);

#endif
