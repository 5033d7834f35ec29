/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow_check.h: what must be true of operations whatever has happened, told by their logs (the
 * functions of the kinds of flow_fixture.h write down there when they are called) and the tables.
 */
#ifndef HF_TEST_FLOW_CHECK_H
#define HF_TEST_FLOW_CHECK_H

#include "flow_fixture.h"

/*
 * Follow each operation's log against a plain model: a step settles once in each run, when all that
 * it needs has; it is undone once, when it was done and nothing that was built on it still is;
 * there is one end to each run, and nothing after it. Fails with the log where that is not so.
 */
void flow_check_logs(struct db *d);

/* How the tables must fit together, at any moment. `most` of "key": never more running than that.
 */
void flow_check_tables(struct db *d, const char *key, int most);

/* How many operations have not ended. */
unsigned flow_check_live(struct db *d);

#endif
