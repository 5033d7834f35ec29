/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include <stdlib.h>

const char *env_text(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

const char *env_either(const char *a, const char *b)
{
	const char *v = env_text(a);

	return v ? v : env_text(b);
}
