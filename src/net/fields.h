/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.h: the members of a JSON object that came from outside, checked: each has its type and its
 * bounds, those that are needed are there, and there is nothing else. What is wrong is told
 * with its name.
 *
 *	const struct field f[] = {{"name", FIELD_TEXT, &name, .needed = true, .most = 255},
 *				  {"start", FIELD_FLAG, &start}};
 *
 * Threads: pure.
 */
#ifndef HF_NET_FIELDS_H
#define HF_NET_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FIELD_TEXT_MAX 4096 /* bytes, where a field does not say */
#define FIELD_LIST_MAX 1000

enum field_type {
	FIELD_TEXT,   /* const char **; no control characters */
	FIELD_UUID,   /* const char **; in lower case */
	FIELD_NUMBER, /* int64_t *, from `least` to `most` */
	FIELD_FLAG,   /* bool * */
	FIELD_OBJECT, /* const json_t ** */
	FIELD_LIST,   /* const json_t ** */
};

struct field {
	const char *name;
	enum field_type type;
	void *ret; /* keeps its value where the member is absent or null; borrows from the object */
	bool needed;
	int64_t least,
		most; /* of a number; of a text, list or object: bytes or members, 0: as above */
	const char *const *among; /* of a text: NULL-terminated; or NULL */
	bool any_text;		  /* control characters, too */
};

/* `where` names the object in messages: "target"; "" for the outermost. ERR_INVALID, ERR_LIMIT. */
int fields_take(const json_t *o, const char *where, const struct field *f, size_t n, struct err *e);

/* A list of texts as a NULL-terminated array, which the caller frees; its texts are the list's. */
const char **fields_texts(const json_t *list, const char *where, struct err *e);

#endif
