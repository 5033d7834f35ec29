/* SPDX-License-Identifier: Apache-2.0 */
#include "base/human.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

char *human_bytes(uint64_t bytes, char *out)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t unit = 0;

	/* 1023.95 would be printed as 1024.0. */
	while (v >= 1023.95 && unit + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(out, HUMAN_TEXT, "%u B", (unsigned)bytes);
	else
		snprintf(out, HUMAN_TEXT, "%.1f %s", v, units[unit]);
	return out;
}

char *human_duration(uint64_t us, char *out)
{
	uint64_t s = us / 1000000 + (us % 1000000 >= 500000);

	if (us < 1000000)
		snprintf(out, HUMAN_TEXT, "%u ms", (unsigned)(us / 1000));
	else if (us < 59950000) /* 59.95 would be printed as 60.0 */
		snprintf(out, HUMAN_TEXT, "%.1f s", (double)us / 1e6);
	else if (s < 3600)
		snprintf(out, HUMAN_TEXT, "%u min %02u s", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		snprintf(out, HUMAN_TEXT, "%llu h %02u min", (unsigned long long)(s / 3600),
			 (unsigned)(s / 60 % 60));
	return out;
}

/* A non-negative decimal number followed by one of `units`; its value times the unit's factor. */
static bool parse_unit(const char *text, const char *const units[], const double factors[],
		       size_t n, uint64_t *ret_v)
{
	char *end;
	double v;

	/* strtod would also take hexadecimal. */
	if (!isdigit((unsigned char)text[0]) || tolower((unsigned char)text[1]) == 'x')
		return false;
	v = strtod(text, &end);
	while (*end == ' ')
		end++;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(end, units[i]) != 0)
			continue;
		v *= factors[i];
		if (!isfinite(v) || v >= 18446744073709551616.0)
			return false;
		*ret_v = (uint64_t)v;
		return true;
	}
	return false;
}

#define K 1024.0

bool human_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	static const char *const units[] = {"",	 "b",	"k", "kib", "m", "mib",
					    "g", "gib", "t", "tib", "p", "pib"};
	static const double factors[] = {1,
					 1,
					 1 * K,
					 1 * K,
					 K * K,
					 K * K,
					 K * K * K,
					 K * K * K,
					 K * K * K * K,
					 K * K * K * K,
					 K * K * K * K * K,
					 K * K * K * K * K};

	return parse_unit(text, units, factors, ARRAY_LEN(units), ret_bytes);
}

bool human_parse_duration(const char *text, uint64_t *ret_us)
{
	static const char *const units[] = {"", "s", "ms", "m", "min", "h", "d"};
	static const double factors[] = {1e6, 1e6, 1e3, 60e6, 60e6, 3600e6, 86400e6};

	return parse_unit(text, units, factors, ARRAY_LEN(units), ret_us);
}
