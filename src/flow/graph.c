/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/graph.h"

#include <stdio.h>
#include <string.h>

void graph_free(struct graph *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++) {
		free(g->v[i].kind);
		free(g->v[i].needs);
	}
	free(g->v);
	free(g);
}

/* Ids in order, to find a step by its own. */
struct name {
	const char *id;
	size_t at;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->id, ((const struct name *)b)->id);
}

static struct name *sorted(const struct graph *g)
{
	struct name *names = xcalloc(g->n + 1, sizeof(*names));

	for (size_t i = 0; i < g->n; i++)
		names[i] = (struct name){g->v[i].id, i};
	if (g->n)
		qsort(names, g->n, sizeof(*names), by_id);
	return names;
}

static size_t find(const struct graph *g, const struct name *names, const char *id)
{
	struct name key = {.id = id};
	const struct name *found =
		id && g->n ? bsearch(&key, names, g->n, sizeof(*names), by_id) : NULL;

	return found ? found->at : GRAPH_NONE;
}

static int load_steps(struct graph *g, struct db_rows *r, struct err *e)
{
	size_t room = 0;
	int rc;

	while ((rc = db_next(r, e)) > 0) {
		if (g->n == room) {
			room = room ? 2 * room : 16;
			g->v = xreallocarray(g->v, room, sizeof(*g->v));
		}
		g->v[g->n] = (struct graph_step){.kind = xstrdup(db_text(r, 1)),
						 .done = strcmp(db_text(r, 2), STEP_DONE) == 0,
						 .added_by = GRAPH_NONE};
		snprintf(g->v[g->n].id, UUID_TEXT, "%s", db_text(r, 0));
		g->n++;
	}
	return rc;
}

static int load_needs(struct graph *g, const struct name *names, struct db_rows *r, struct err *e)
{
	int rc;

	while ((rc = db_next(r, e)) > 0) {
		size_t from = find(g, names, db_text(r, 0));
		size_t to = find(g, names, db_text(r, 1));
		struct graph_step *s;

		if (from == GRAPH_NONE || to == GRAPH_NONE || to >= from)
			return err_set(e, ERR_CORRUPT, "step %s needs %s, which is not before it",
				       db_text(r, 0), db_text(r, 1));
		s = &g->v[from];
		s->needs = xreallocarray(s->needs, s->n_needs + 1, sizeof(*s->needs));
		s->needs[s->n_needs++] = to;
	}
	return rc;
}

static int load_adders(struct graph *g, const struct name *names, struct db_rows *r, struct err *e)
{
	int rc;

	while ((rc = db_next(r, e)) > 0) {
		size_t from = find(g, names, db_text(r, 0));
		size_t to = find(g, names, db_text(r, 1));

		if (from != GRAPH_NONE && to < from)
			g->v[from].added_by = to;
	}
	return rc;
}

struct graph *graph_load(struct db_tx *t, const char *operation, struct err *e)
{
	AUTO(graph) g = xcalloc(1, sizeof(*g));
	AUTO_FREE struct name *names = NULL;
	AUTO(db_rows) steps = NULL;
	AUTO(db_rows) needs = NULL;
	AUTO(db_rows) adders = NULL;

	steps = db_query(t, e,
			 "SELECT id, kind, state FROM steps WHERE operation_id = $1 "
			 "ORDER BY position",
			 db_t(operation));
	if (!steps || load_steps(g, steps, e) < 0)
		return NULL;
	names = sorted(g);
	needs = db_query(t, e,
			 "SELECT n.step_id, n.needs_id FROM steps s JOIN step_needs n ON "
			 "n.step_id = s.id WHERE s.operation_id = $1",
			 db_t(operation));
	if (!needs || load_needs(g, names, needs, e) < 0)
		return NULL;
	adders = db_query(t, e,
			  "SELECT id, added_by FROM steps WHERE operation_id = $1 AND "
			  "added_by IS NOT NULL",
			  db_t(operation));
	if (!adders || load_adders(g, names, adders, e) < 0)
		return NULL;
	return steal(&g);
}
