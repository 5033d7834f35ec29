/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env.h: variables of the environment. An empty one is as good as none. Any thread, as long as none
 * changes the environment.
 */
#ifndef HF_BASE_ENV_H
#define HF_BASE_ENV_H

/* The value, or NULL where it is not set or empty. */
const char *env_text(const char *name);
/* The first of two that has a value, or NULL. */
const char *env_either(const char *a, const char *b);

#endif
