/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "auth/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e = {0};
	AUTO(rules) r = rules_parse((const char *)data, size, "fuzz", &e);
	AUTO(identity) id = identity_new();

	id->roles = AUTH_MEMBER;
	if (r && !rules_allow(r, id, "plan:create", "p", &e))
		abort(); /* it is in no project */
	return 0;
}
