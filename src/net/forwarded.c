/* SPDX-License-Identifier: Apache-2.0 */
#include "net/forwarded.h"

#include <string.h>

#include "base/text.h"

#define PART_MOST 64 /* the longest address with its port has 53 */

static bool is_port(const char *text)
{
	return text[0] == ':' && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1);
}

/* "[ADDRESS]" or "[ADDRESS]:PORT" */
static bool take_bracketed(char *text, uint8_t ret[NETWORK_ADDRESS])
{
	char *close = strchr(text, ']');

	if (!close || (close[1] && !is_port(close + 1)))
		return false;
	*close = 0;
	return strchr(text, ':') && network_address(text + 1, ret);
}

/* One part of the line, of `n` bytes. */
static bool take_part(const char *part, size_t n, uint8_t ret[NETWORK_ADDRESS])
{
	char copy[PART_MOST], *text, *colon;

	if (n >= sizeof(copy))
		return false;
	memcpy(copy, part, n);
	copy[n] = 0;
	text = text_trim(copy);
	if (text[0] == '[')
		return take_bracketed(text, ret);
	colon = strchr(text, ':');
	if (colon && !strchr(colon + 1, ':')) {
		if (!is_port(colon))
			return false;
		*colon = 0;
	}
	return network_address(text, ret);
}

bool forwarded_back(const struct networks *trusted, const char *line,
		    char address[INET6_ADDRSTRLEN])
{
	const char *end = line + strlen(line), *comma, *part;
	uint8_t a[NETWORK_ADDRESS];

	if (!network_address(address, a) || !networks_have(trusted, a))
		return false;
	for (;; end = comma) {
		comma = memrchr(line, ',', (size_t)(end - line));
		part = comma ? comma + 1 : line;
		if (!take_part(part, (size_t)(end - part), a))
			return false;
		network_text(a, address);
		if (!networks_have(trusted, a))
			return false;
		if (!comma)
			return true;
	}
}
