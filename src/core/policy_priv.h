/* SPDX-License-Identifier: Apache-2.0 */
/* policy_priv.h: what the files of policies share. */
#ifndef HF_CORE_POLICY_PRIV_H
#define HF_CORE_POLICY_PRIV_H

#include "core/policy.h"

#define POLICY_FAILED_DAYS 7

/* "mon" … "sun", NULL */
extern const char *const policy_days[];

/* With what holds where a document says nothing, but without a zone. */
struct policy *policy_new(void);

#endif
