/* SPDX-License-Identifier: Apache-2.0 */
/* X-Forwarded-For: whatever it says, what comes out is an address, and of nobody who is trusted but
 * where all are. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "net/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const proxies[] = {"10.0.0.0/8", "::1", NULL};
	AUTO(networks) n = networks_new(proxies, NULL);
	AUTO_FREE char *line = xstrndup((const char *)data, size);
	char address[INET6_ADDRSTRLEN] = "10.0.0.1";
	uint8_t a[NETWORK_ADDRESS];

	if (forwarded_back(n, line, address) &&
	    (!network_address(address, a) || !networks_have(n, a)))
		abort();
	if (!network_address(address, a))
		abort();
	return 0;
}
