/* SPDX-License-Identifier: Apache-2.0 */
/* Crontabs, and the firings of those that are taken: strictly ascending, on minutes. */
#include "fuzz.h"

#include <stdlib.h>

#include "base/mem.h"
#include "sched/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	int64_t s = 1795305600, next;
	struct cron c;

	if (cron_parse(text, &c, NULL) < 0)
		return 0;
	for (int i = 0; i < 20 && cron_next(&c, s, &next); i++) {
		if (next <= s || next % 60 != 0)
			abort();
		s = next;
	}
	return 0;
}
