/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "repo/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header h;
	struct err e = {0};

	header_decode(data, size, &h, &e);
	return 0;
}
