/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "auth/keystone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(identity) id = NULL;
	struct err e = {0};

	if (keystone_parse_token((const char *)data, size, NULL, &id, &e))
		return 0;
	if (!id->expires_us || !strcmp(id->project_id, AUTH_EVERYWHERE) || !id->user_id[0])
		abort();
	if (id->admin && !(id->everywhere & AUTH_ADMIN))
		abort();
	return 0;
}
