/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A point that decodes must encode to something that decodes to the same.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "repo/point.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_BUF once = BUF_INIT;
	AUTO_BUF twice = BUF_INIT;
	AUTO(point) a = NULL;
	AUTO(point) b = NULL;
	struct err e = {0};

	a = point_decode(data, size, &e);
	if (!a)
		return 0;
	point_encode(a, &once);
	b = point_decode(once.data, once.len, &e);
	if (!b)
		abort();
	point_encode(b, &twice);
	if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
		abort();
	return 0;
}
