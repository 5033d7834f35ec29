/* SPDX-License-Identifier: Apache-2.0 */
/* A token of an OpenID provider, or its keys; nobody has the private key, so nothing may be taken.
 */
#include "fuzz.h"

#include <string.h>

#include "auth/oidc.h"
#include "base/mem.h"

#define KEYS                                                                                       \
	"{\"keys\": [{\"kty\": \"EC\", \"crv\": \"P-256\", \"kid\": \"e1\", "                      \
	"\"x\": \"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\", "                                 \
	"\"y\": \"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\"}]}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_FREE char *text = xstrndup((const char *)data, size);
	char *claims = NULL;
	struct err e = {0};

	if (!oidc_check(KEYS, text, "https://a", "b", NULL, 1800000000, &claims, &e))
		abort();
	oidc_check(text, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "https://a", "b", NULL, 1800000000,
		   &claims, &e);
	return 0;
}
