/* SPDX-License-Identifier: Apache-2.0 */
/* A dict in a query: what is understood is an object of texts, and its JSON means the same. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "api/dict.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	json_t *o = dict_parse("parameters", text, NULL), *again;
	AUTO_FREE char *json = NULL;

	if (!o)
		return 0;
	json = json_dumps(o, JSON_COMPACT);
	if (!json)
		abort();
	if (strlen(json) <= DICT_BYTES) {
		again = dict_parse("parameters", json, NULL);
		if (!again || !json_equal(o, again))
			abort();
		json_decref(again);
	}
	json_decref(o);
	return 0;
}
