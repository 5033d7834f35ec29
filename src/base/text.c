/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define ADDRESS_MAX 254
#define USER_MAX 64

char *text_trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	n = strlen(s);
	while (n && isspace((unsigned char)s[n - 1]))
		s[--n] = 0;
	return s;
}

size_t text_utf8(const void *text, size_t left)
{
	/* The range of the second byte is what excludes longer forms, surrogates, and what is above
	 * U+10FFFF (Unicode, table 3-7). */
	static const struct {
		uint8_t first, last, low, high;
		size_t n;
	} rows[] = {
		{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	const uint8_t *p = text;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (p[0] < rows[i].first || p[0] > rows[i].last)
			continue;
		if (rows[i].n > left ||
		    (rows[i].n > 1 && (p[1] < rows[i].low || p[1] > rows[i].high)))
			return 0;
		for (size_t k = 2; k < rows[i].n; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return rows[i].n;
	}
	return 0;
}

static bool is_domain(const char *s)
{
	return isalnum((unsigned char)*s) &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-") ==
		       strlen(s);
}

bool text_is_mail_address(const char *text)
{
	const char *at = strrchr(text, '@');

	if (!at || at == text || at - text > USER_MAX || strlen(text) > ADDRESS_MAX ||
	    *text == '.' || *text == '-' || strstr(text, "..") || !is_domain(at + 1))
		return false;
	for (const char *p = text; p < at; p++)
		if (!isalnum((unsigned char)*p) && !strchr("!#$%&'*+-./=?^_`{|}~", *p))
			return false;
	return true;
}

void text_clean(char *s)
{
	const char *end = s + strlen(s);
	size_t n;

	for (; s < end; s += n) {
		n = text_utf8(s, (size_t)(end - s));
		if (n == 0) {
			*s = '?';
			n = 1;
		}
	}
}
