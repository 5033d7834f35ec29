/* SPDX-License-Identifier: Apache-2.0 */
/* ids.h: a new id for a row. Any thread. */
#ifndef HF_CORE_IDS_H
#define HF_CORE_IDS_H

#include "base/uuid.h"

static inline char *new_id(char out[UUID_TEXT])
{
	struct uuid u = uuid_random();

	return uuid_text(&u, out);
}

#endif
