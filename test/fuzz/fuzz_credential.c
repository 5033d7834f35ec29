/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "repo/credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};

	credential_free(credential_parse(data, size, &e));
	return 0;
}
