/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dict.h: a few names and texts in the query of a request, as Karbor's client sends them: the way
 * in which Python writes a dict ({'name': 'web', u'status': "running"}); or as JSON.
 *
 * Of Python's strings: with one or two quotes, perhaps with a u before them; \\ \' \" \n \r \t.
 * Threads: pure.
 */
#ifndef HF_API_DICT_H
#define HF_API_DICT_H

#include <jansson.h>

#include "base/err.h"

#define DICT_BYTES 4096
#define DICT_MEMBERS 32

/* A new object of texts. `name` is for messages. ERR_INVALID. */
json_t *dict_parse(const char *name, const char *text, struct err *e);

#endif
