/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph.h: the steps of one operation in memory, for what is worked out over all of them.
 *
 * A step can only need steps that were there before it, so the order of positions is one in which
 * every step comes after what it needs.
 */
#ifndef HF_FLOW_GRAPH_H
#define HF_FLOW_GRAPH_H

#include "flow/flow_priv.h"

#define GRAPH_NONE SIZE_MAX

struct graph_step {
	char id[UUID_TEXT];
	char *kind;
	bool done;	 /* its state is that */
	size_t added_by; /* a step of the same graph, or GRAPH_NONE */
	size_t *needs;	 /* steps before it */
	size_t n_needs;
};

struct graph {
	struct graph_step *v; /* by position */
	size_t n;
};

struct graph *graph_load(struct db_tx *t, const char *operation, struct err *e);
void graph_free(struct graph *g);
DEFINE_AUTO(graph, graph_free);

#endif
