/* SPDX-License-Identifier: Apache-2.0 */
/*
 * human.h: numbers as people read and type them. Pure functions, any thread.
 */
#ifndef HF_BASE_HUMAN_H
#define HF_BASE_HUMAN_H

#include <stdbool.h>
#include <stdint.h>

#define HUMAN_TEXT 32

/* "0 B", "512 B", "1.5 KiB", "48.8 MiB" into `out` (HUMAN_TEXT bytes); returns `out`. */
char *human_bytes(uint64_t bytes, char *out);
/* "850 ms", "3.2 s", "4 min 05 s", "2 h 03 min". */
char *human_duration(uint64_t us, char *out);
/* "64", "64K", "64KiB", "1.5G" (powers of 1024, either case); false for anything else. */
bool human_parse_bytes(const char *text, uint64_t *ret_bytes);
/* "30", "30s", "500ms", "5m", "2h"; a bare number is seconds. */
bool human_parse_duration(const char *text, uint64_t *ret_us);

#endif
