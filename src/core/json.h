/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: JSON as it is kept in columns and read from steps. Threads: pure. */
#ifndef HF_CORE_JSON_H
#define HF_CORE_JSON_H

#include <jansson.h>
#include <stdint.h>

/* Text of a JSON value as it is kept: compact, keys sorted; the caller frees it. */
char *json_text(const json_t *v);
/* The value of a column that keeps JSON; `otherwise` ("{}") where it is empty. Never NULL. */
json_t *json_of(const char *text, const char *otherwise);
/* The text in a member of an object; "" where there is none. The object's. */
const char *json_text_in(const json_t *o, const char *name);
/* A string, in which what is no UTF-8 is a ?; null for NULL and "". */
json_t *json_string_of(const char *text);
/* RFC 3339; null for 0. */
json_t *json_time(uint64_t wall_us);

#endif
