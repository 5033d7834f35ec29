/* SPDX-License-Identifier: Apache-2.0 */
/*
 * presence.h: whether packs that the index names are there: for who looks for what is missing, and
 * for sessions in a store where requests may arrive late (store.h: late; format section 11).
 *
 * There, an index run of a session that was revoked can turn up after the packs it names were
 * collected. A session therefore counts on a pack only once it has seen it, after it read the
 * epochs: from then on a collector that wants to remove it waits for the session.
 *
 * Few packs are asked for one by one; when there are many, all are listed.
 *
 * Threads: thread-safe.
 */
#ifndef HF_REPO_PRESENCE_H
#define HF_REPO_PRESENCE_H

#include "repo/index.h"
#include "repo/store.h"

struct presence;

struct presence *presence_new(struct store *s);
void presence_free(struct presence *p);
/* Is the pack there? 1, 0, -1. */
int presence_has(struct presence *p, const uint8_t pack[HASH_BYTES], struct err *e);
/* Add the names of all packs that it said are there: the set is sorted then. */
void presence_told(struct presence *p, struct pack_set *add_to);

DEFINE_AUTO(presence, presence_free);

#endif
