/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "repo/box.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[SEAL_KEY];
	AUTO_BUF body = BUF_INIT;
	struct box_head h;
	struct err e = {0};

	for (enum box_type type = BOX_KEYS; type <= BOX_EPOCH; type++) {
		if (box_head_parse(data, size, type, &h, &e) == 0 &&
		    box_open(key, &h, data, size, &body, &e) == 0)
			buf_done(&body);
	}
	return 0;
}
