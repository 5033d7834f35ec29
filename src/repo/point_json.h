/* SPDX-License-Identifier: Apache-2.0 */
/*
 * point_json.h: a checkpoint as JSON, as 'holdfast checkpoint show -o json' prints it and a mover
 * tells it to the server.
 *
 * Threads: pure.
 */
#ifndef HF_REPO_POINT_JSON_H
#define HF_REPO_POINT_JSON_H

#include <jansson.h>

#include "repo/point.h"

/* The caller's. */
json_t *point_json(const struct point *p);

#endif
