/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario_priv.h: what scenario.c (a life, and the check) and scenario_copy.c
 * (its life with another one) share.
 */
#ifndef HF_TEST_SCENARIO_PRIV_H
#define HF_TEST_SCENARIO_PRIV_H

#include "scenario.h"

#define CONTENT_BLOCKS 4
#define COPIED_CONTENT (SCENARIO_POINTS + 1) /* our own are below */

/* Many small packs and runs. */
extern const struct session_options in_pieces;

/* Checkpoints share most of their blocks; one is a hole. The others are worth a delta. */
void make_content(struct disk *d, uint32_t number);
struct repo *open_repo(struct store *s, struct err *e);

/* A checkpoint comes from another repository. */
int step_copy(struct store *s, struct ledger *l, struct err *e);
/* One block that only the copy needs is lost, one is damaged. */
int step_damage(struct store *s, struct ledger *l, struct err *e);
/* It comes back from the other repository. */
int step_repair(struct store *s, struct ledger *l, struct err *e);
/* The same; -1 also when something could not be mended. */
int repair_copy(struct store *s, struct err *e);

#endif
