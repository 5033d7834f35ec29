/* SPDX-License-Identifier: Apache-2.0 */
#include "repo/header.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "repo/parity.h"
#include "repo/seal.h"

#define FIRST_LINE "holdfast repository\n"
#define ARBITER "arbiter" /* the only feature there is */
#define HASH_LINE "sha256: "

void header_encode(const struct header *h, struct buf *out)
{
	char text[UUID_TEXT], hex[HASH_TEXT];
	uint8_t hash[HASH_BYTES];

	buf_text(out, FIRST_LINE);
	buf_fmt(out, "version: %d\n", REPO_VERSION);
	buf_fmt(out, "id: %s\n", uuid_text(&h->id, text));
	buf_text(out, "needs:\n");
	if (uuid_is_zero(&h->arbiter))
		buf_text(out, "needs-to-write:\n");
	else
		buf_fmt(out, "needs-to-write: " ARBITER "\narbiter: %s\n",
			uuid_text(&h->arbiter, text));
	if (h->parity)
		buf_fmt(out, "parity: %u\n", h->parity);
	sha256(out->data, out->len, hash);
	buf_fmt(out, HASH_LINE "%s\n", hex_encode(hash, HASH_BYTES, hex));
}

/* The text with its last line checked and cut off. */
static char *checked_lines(const void *text, size_t n, struct err *e)
{
	const size_t tail = strlen(HASH_LINE) + 2 * HASH_BYTES + 1;
	uint8_t want[HASH_BYTES], have[HASH_BYTES];
	const char *last = (const char *)text + (n > tail ? n - tail : 0);

	if (n > HEADER_MAX || n < strlen(FIRST_LINE) + tail ||
	    memcmp(text, FIRST_LINE, strlen(FIRST_LINE)) != 0 || memchr(text, 0, n)) {
		err_set(e, ERR_CORRUPT, "this is not the header of a repository");
		return NULL;
	}
	if (memcmp(last, HASH_LINE, strlen(HASH_LINE)) != 0 ||
	    !hex_decode(last + strlen(HASH_LINE), HASH_BYTES, have) || last[tail - 1] != '\n') {
		err_set(e, ERR_CORRUPT, "the header has no checksum at its end");
		return NULL;
	}
	sha256(text, n - tail, want);
	if (memcmp(want, have, HASH_BYTES) != 0) {
		err_set(e, ERR_CORRUPT, "the header's checksum is wrong");
		return NULL;
	}
	return xstrndup(text, n - tail);
}

struct lines {
	struct header h;
	long version;
	bool id, arbitrated;
};

/* What is beyond what we can do is as if nothing was said. */
static unsigned parity_of(const char *value)
{
	char *end;
	long percent = strtol(value, &end, 10);

	return *end == 0 && percent > 0 && percent <= (long)PARITY_PERCENT_MAX ? (unsigned)percent
									       : 0;
}

static int take_line(struct lines *l, const char *key, const char *value, struct err *e)
{
	if (strcmp(key, "version") == 0) {
		l->version = strtol(value, NULL, 10);
	} else if (strcmp(key, "id") == 0) {
		l->id = uuid_parse(value, &l->h.id);
	} else if (strcmp(key, "needs") == 0 && value[0]) {
		return err_set(e, ERR_VERSION,
			       "the repository needs '%s', which this version does not know: use a "
			       "newer version of holdfast",
			       value);
	} else if (strcmp(key, "needs-to-write") == 0 && value[0]) {
		l->arbitrated = strcmp(value, ARBITER) == 0;
		l->h.read_only = !l->arbitrated;
	} else if (strcmp(key, "arbiter") == 0 && !uuid_parse(value, &l->h.arbiter)) {
		return err_set(e, ERR_CORRUPT, "the header's arbiter '%.40s' is no UUID", value);
	} else if (strcmp(key, "parity") == 0) {
		l->h.parity = parity_of(value);
	}
	return 0;
}

int header_decode(const void *text, size_t n, struct header *ret_h, struct err *e)
{
	AUTO_FREE char *lines = checked_lines(text, n, e);
	struct lines l = {0};
	char *save, *line;

	if (!lines)
		return -1;
	strtok_r(lines, "\n", &save); /* the first line */
	while ((line = strtok_r(NULL, "\n", &save)) != NULL) {
		char *value = strchr(line, ':');

		if (!value)
			return err_set(e, ERR_CORRUPT, "the header has a line without a colon");
		*value++ = 0;
		value += strspn(value, " ");
		if (take_line(&l, line, value, e) < 0)
			return -1;
	}
	if (l.version > REPO_VERSION)
		return err_set(
			e, ERR_VERSION,
			"the repository has format version %ld, this program knows up to %d: "
			"use a newer version of holdfast",
			l.version, REPO_VERSION);
	if (l.version != REPO_VERSION || !l.id)
		return err_set(e, ERR_CORRUPT, "the header lacks a version or an id");
	if (!l.h.read_only && l.arbitrated != !uuid_is_zero(&l.h.arbiter))
		return err_set(e, ERR_CORRUPT,
			       "the header names an arbiter and does not need it, or the reverse");
	*ret_h = l.h;
	return 0;
}
