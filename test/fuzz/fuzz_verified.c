/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "repo/verified.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verified v = {0};
	struct err e = {0};

	verified_decode(data, size, &v, &e);
	verified_sort(&v);
	verified_done(&v);
	return 0;
}
