/* SPDX-License-Identifier: Apache-2.0 */
#include "base/priority.h"

#include <sys/resource.h>

#define LOWEST 19

void priority_lower(void)
{
	/* To lower it is always allowed. */
	setpriority(PRIO_PROCESS, 0, LOWEST);
}
