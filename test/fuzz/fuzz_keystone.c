/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "auth/account.h"
#include "auth/keystone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(identity) id = NULL;
	AUTO(projects) p = keystone_parse_projects((const char *)data, size, NULL);
	struct err e = {0};

	for (size_t i = 0; p && i < p->n; i++)
		if (!p->v[i].id[0] || !p->v[i].name)
			abort();
	if (keystone_parse_token((const char *)data, size, NULL, &id, &e))
		return 0;
	if (!id->expires_us || !strcmp(id->project_id, AUTH_EVERYWHERE) || !id->user_id[0])
		abort();
	if (id->admin && !(id->everywhere & AUTH_ADMIN))
		abort();
	return 0;
}
