/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of logins, and URLs that people type: what is read is the same when it is written and
 * read again, and a URL that is good is its own.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "client/logins.h"

static void url(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	AUTO_FREE char *good = logins_url(text, NULL);
	AUTO_FREE char *again = good ? logins_url(good, NULL) : NULL;

	if (good && (!again || strcmp(good, again) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct logins l, again;
	AUTO_BUF text = BUF_INIT;
	AUTO_BUF twice = BUF_INIT;
	struct err e;

	url(data, size);
	if (logins_parse(data, size, &l, &e) < 0)
		return 0;
	logins_format(&l, &text);
	if (logins_parse(text.data, text.len, &again, &e) < 0)
		abort();
	logins_format(&again, &twice);
	if (text.len != twice.len || memcmp(text.data, twice.data, text.len) != 0)
		abort();
	logins_done(&l);
	logins_done(&again);
	return 0;
}
