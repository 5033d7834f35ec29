/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input.h: taking apart the JSON objects that clients send. The first thing that is wrong is kept
 * and told by input_done(), with the path of the field, its value and what it should be, in the
 * words that Karbor's clients know; so a handler takes all its fields and asks once. A field that
 * nobody takes is an error too.
 *
 * Strings that are returned are the object's. Threads: an input belongs to one.
 */
#ifndef HF_API_INPUT_H
#define HF_API_INPUT_H

#include <jansson.h>

#include "base/err.h"
#include "base/uuid.h"

#define INPUT_FIELDS 48
#define INPUT_PATH 160

struct input {
	json_t *object; /* borrowed; NULL once something is wrong */
	char path[INPUT_PATH];
	const char *taken[INPUT_FIELDS];
	size_t n_taken;
	struct err wrong; /* kind is ERR_NONE while nothing is */
	struct input *outer;
};

enum input_need { OPTIONAL, REQUIRED };

/* `object` may be NULL or no object: that is wrong. `path` is for messages: "plan". */
void input_init(struct input *in, json_t *object, const char *path);
/* The object in field `name`; missing and optional: `ret` has no object, and nothing is wrong. */
bool input_object(struct input *in, const char *name, enum input_need need, struct input *ret);
/* 0, or -1 with ERR_INVALID. An inner input's error is its outer's. */
int input_done(struct input *in, struct err *e);

/* Was the field sent, be it as null? */
bool input_has(const struct input *in, const char *name);

/* NULL: it is not there (or null), or something is wrong. No control characters. */
const char *input_text(struct input *in, const char *name, enum input_need need, size_t max);
/* A name: 1 to 255 characters, not only blanks. */
const char *input_name(struct input *in, const char *name, enum input_need need);
/* A UUID, with or without dashes, in its usual form: into `ret` (UUID_TEXT bytes); false: none. */
bool input_uuid(struct input *in, const char *name, enum input_need need, char *ret);
/* One of `words`, a NULL-terminated list; its position, or -1. */
int input_word(struct input *in, const char *name, enum input_need need, const char *const *words);
/* A number, also as text of digits, as old clients send it. `otherwise` where it is not there. */
int64_t input_number(struct input *in, const char *name, enum input_need need, int64_t min,
		     int64_t max, int64_t otherwise);
bool input_flag(struct input *in, const char *name, bool otherwise);
/* Any object, or array, as it is; NULL: not there. At most `max` members. */
json_t *input_json(struct input *in, const char *name, enum input_need need, json_type type,
		   size_t max);
/* Names of 1 to 255 characters [A-Za-z0-9-_:.# ] to texts, numbers and flags. */
json_t *input_metadata(struct input *in, const char *name);

/* Say that field `name` is wrong: "Invalid input for field/attribute PATH.NAME. Value: V. WHY". */
void input_wrong(struct input *in, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Is it a UUID, dashes or not? Then its form with dashes is in `ret` (UUID_TEXT bytes). */
bool uuid_like(const char *text, char *ret);

#endif
