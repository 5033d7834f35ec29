/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h: small things that are done to texts. Pure functions, any thread.
 */
#ifndef HF_BASE_TEXT_H
#define HF_BASE_TEXT_H

#include <stddef.h>

/* Cut blanks off both ends: writes a NUL behind the last character that is none, and returns the
 * first. */
char *text_trim(char *s);
/*
 * How many bytes the UTF-8 character at `p` has, shortest form, no surrogates; 0: it is none.
 * `left` bytes are there; more than there are is harmless where a NUL ends them.
 */
size_t text_utf8(const void *p, size_t left);

#endif
