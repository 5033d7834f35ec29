/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h: small things that are done to texts. Pure functions, any thread.
 */
#ifndef HF_BASE_TEXT_H
#define HF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Cut blanks off both ends: writes a NUL behind the last character that is none, and returns the
 * first. */
char *text_trim(char *s);
/*
 * How many bytes the UTF-8 character at `p` has, shortest form, no surrogates; 0: it is none.
 * `left` bytes are there; more than there are is harmless where a NUL ends them.
 */
size_t text_utf8(const void *p, size_t left);
/* Every byte that is part of no UTF-8 character becomes a ?. */
void text_clean(char *s);
/*
 * Is it a mail address in its plain form, "user@host.example": no quotes, comments, display names
 * or literals, ASCII (RFC 5321, 4.1.2 and 4.5.3.1)?
 */
bool text_is_mail_address(const char *text);

#endif
