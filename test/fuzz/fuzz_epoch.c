/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "repo/epoch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_set set = {0};
	struct err e = {0};

	epoch_decode(data, size, &set, &e);
	pack_set_done(&set);
	return 0;
}
