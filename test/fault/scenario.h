/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario.h: a repository's life in a few steps, each as a process of its own would take it, a
 * ledger of what was acknowledged, and the check that the ledger is true.
 */
#ifndef HF_TEST_SCENARIO_H
#define HF_TEST_SCENARIO_H

#include "writer.h"

#define SCENARIO_POINTS 8

struct ledger_point {
	struct uuid id; /* noted before the commit; of a copy: that of its origin */
	bool copy;
	uint32_t content;
	bool committed; /* acknowledged */
	bool deleting, deleted;
};

/* Plain values only: it may lie in memory that is shared with a child. */
struct ledger {
	struct ledger_point points[SCENARIO_POINTS];
	size_t n;
	bool created, key_added, rotated;
	bool damaging, repaired; /* what only the copy needs */
	size_t steps, failed;
};

/* Take all steps on a store; that from which is copied is another, in memory. With `go_on` a step
 * that fails is left out, else it is the last. */
void scenario_run(struct store *s, bool go_on, struct ledger *l);

/*
 * What the store holds must agree with the ledger: what was acknowledged restores bit for bit,
 * nothing is there that was not asked for, and the repository can be used as before. NULL, or what
 * is wrong (static).
 */
const char *scenario_check(struct store *s, const struct ledger *l);

#endif
