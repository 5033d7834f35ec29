/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rescue.h: storing a block or node anew, as a whole, from whatever place still gives it. It may be
 * the base of others, and what it is a delta of may be lost next.
 *
 * Belongs to one thread.
 */
#ifndef HF_REPO_RESCUE_H
#define HF_REPO_RESCUE_H

#include "repo/session.h"

struct rescue;

/* `s` is borrowed. Never NULL. */
struct rescue *rescue_new(struct session *s);
void rescue_free(struct rescue *r);
/* 1: it is stored, in *ret_stored bytes (may be NULL), 0: no place gives it, -1. */
int rescue_block(struct rescue *r, const struct block_id *id, size_t *ret_stored, struct err *e);

DEFINE_AUTO(rescue, rescue_free);

#endif
