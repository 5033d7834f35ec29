/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hex.h: bytes as lower-case hexadecimal digits and back. Pure functions, any thread.
 */
#ifndef HF_BASE_HEX_H
#define HF_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Write 2 * n digits and a NUL to `out`; returns `out`. */
char *hex_encode(const void *data, size_t n, char *out);
/* Read exactly 2 * n digits of either case from `text` (not necessarily terminated) into `out`;
 * false when there is anything else, with `out` undefined. */
bool hex_decode(const char *text, size_t n, void *out);

#endif
