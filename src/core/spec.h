/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h: reading documents strictly: JSON objects with known fields. Errors name the field by its
 * path ("schedules[0].retention.daily"), its value, and what it should be; an unknown field is an
 * error that names the nearest known one. null is as if the field were not there.
 *
 * Threads: pure functions; any thread.
 */
#ifndef HF_CORE_SPEC_H
#define HF_CORE_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define SPEC_PATH 160

/* An object at a path; "" is the document itself. The object is borrowed. */
struct spec {
	const json_t *object;
	char path[SPEC_PATH];
};

/* `value` as an object with none but these fields (ended by NULL). ERR_INVALID. */
int spec_object(const json_t *value, const char *path, const char *const *fields,
		struct spec *ret_s, struct err *e);
/* The path of a field, for messages. */
void spec_path(const struct spec *s, const char *field, char out[SPEC_PATH]);
/* NULL when it is not there, or null. */
const json_t *spec_get(const struct spec *s, const char *field);

/*
 * Fields that are not there leave the result as it is. A text has 1 to `most` bytes, printable
 * (UTF-8); it is the object's.
 */
int spec_text(const struct spec *s, const char *field, size_t most, const char **text,
	      struct err *e);
int spec_number(const struct spec *s, const char *field, uint32_t low, uint32_t high,
		uint32_t *number, struct err *e);
int spec_flag(const struct spec *s, const char *field, bool *flag, struct err *e);
/* A text that is one of `words` (ended by NULL); the word of the list is given. */
int spec_word(const struct spec *s, const char *field, const char *const *words, const char **word,
	      struct err *e);
/* An array of at most `most`, or NULL. */
int spec_array(const struct spec *s, const char *field, size_t most, const json_t **array,
	       struct err *e);

/* Whether a list (ended by NULL) has the word. */
bool spec_is_known(const char *word, const char *const *words);
/* The word of a list (ended by NULL) that is most like `word`; NULL: none is. */
const char *spec_nearest(const char *word, const char *const *words);

#endif
