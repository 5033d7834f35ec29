/* SPDX-License-Identifier: Apache-2.0 */
#include "flow_check.h"

#include <string.h>

#include "flow/graph.h"

/* ---- logs ---- */

/* What the log has told so far of one operation. */
struct model {
	struct db_tx *t;
	const char *operation;
	struct graph *g;
	bool *done, *stuck, *told; /* for each step */
	bool ended;
	unsigned runs;
	char state[32];
};

static void print_log(struct model *m)
{
	struct err e = {0};
	AUTO(db_rows)
	r = db_query(m->t, &e,
		     "SELECT seq, level, coalesce(step_id, '-'), text FROM "
		     "operation_log WHERE operation_id = $1 ORDER BY seq",
		     db_t(m->operation));

	while (r && db_next(r, &e) > 0)
		print_error("%3d %-8s %s %s\n", (int)db_int(r, 0), db_text(r, 1), db_text(r, 2),
			    db_text(r, 3));
	for (size_t i = 0; i < m->g->n; i++)
		print_error("step %s %s%s\n", m->g->v[i].id, m->g->v[i].kind,
			    m->g->v[i].done ? " done" : "");
}

#define MUST(m, condition)                                                                         \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			print_log(m);                                                              \
			fail_msg("operation %s: %s", (m)->operation, #condition);                  \
		}                                                                                  \
	} while (0)

static size_t find(const struct model *m, const char *id)
{
	for (size_t i = 0; i < m->g->n; i++)
		if (strcmp(m->g->v[i].id, id) == 0)
			return i;
	return GRAPH_NONE;
}

static bool has_undo(const char *kind)
{
	return strcmp(kind, "plain") != 0 && strcmp(kind, "once") != 0;
}

/* All that was built on `i` and has an undo is undone, or never will be. */
static bool free_to_undo(const struct model *m, size_t i)
{
	AUTO_FREE bool *above = xcalloc(m->g->n, sizeof(*above));

	above[i] = true;
	for (size_t j = i + 1; j < m->g->n; j++) {
		const struct graph_step *s = &m->g->v[j];

		for (size_t k = 0; k < s->n_needs; k++)
			above[j] = above[j] || above[s->needs[k]];
		if (above[j] && has_undo(s->kind) && m->done[j] && !m->stuck[j])
			return false;
	}
	return true;
}

static void run_again(struct model *m)
{
	AUTO_FREE bool *runs = xcalloc(m->g->n + 1, sizeof(*runs));

	MUST(m, m->ended);
	MUST(m, strcmp(m->state, FLOW_SUCCEEDED) != 0);
	m->ended = false;
	m->runs++;
	for (size_t i = 0; i < m->g->n; i++) {
		const struct graph_step *s = &m->g->v[i];

		runs[i] = !m->done[i] || m->stuck[i] ||
			  (s->added_by != GRAPH_NONE && runs[s->added_by]);
		for (size_t k = 0; k < s->n_needs; k++)
			runs[i] = runs[i] || runs[s->needs[k]];
		m->done[i] = !runs[i];
		m->stuck[i] = m->told[i] = false;
	}
}

static void step_line(struct model *m, size_t i, const char *text)
{
	const struct graph_step *s = &m->g->v[i];

	MUST(m, !m->ended);
	if (strncmp(text, "settle ", 7) == 0) {
		MUST(m, !m->done[i]);
		for (size_t k = 0; k < s->n_needs; k++)
			MUST(m, m->done[s->needs[k]]);
		m->done[i] = true;
	} else if (strncmp(text, "undone ", 7) == 0) {
		MUST(m, m->done[i]);
		MUST(m, has_undo(s->kind));
		MUST(m, free_to_undo(m, i));
		m->done[i] = false;
	} else {
		MUST(m, strncmp(text, "failed ", 7) == 0 || strncmp(text, "cancelled ", 10) == 0);
		MUST(m, !m->done[i]);
		MUST(m, !m->told[i]);
		m->told[i] = true;
	}
}

static void line(struct model *m, const char *level, const char *step, const char *text)
{
	size_t i = find(m, step);

	if (strcmp(text, "It is run again") == 0) {
		run_again(m);
	} else if (strcmp(level, "error") == 0 && strncmp(text, "Undoing ", 8) == 0) {
		if (i != GRAPH_NONE)
			m->stuck[i] = true;
	} else if (strcmp(level, "call") == 0 && strncmp(text, "ended ", 6) == 0) {
		MUST(m, !m->ended);
		m->ended = true;
		snprintf(m->state, sizeof(m->state), "%s", text + 6);
	} else if (strcmp(level, "call") == 0 && i != GRAPH_NONE) {
		step_line(m, i, text);
	} else if (strcmp(level, "call") == 0) {
		/* One that was added, and has gone when its adder was run again. */
		MUST(m, !m->ended);
	}
}

/* What the log tells is what the tables say. */
static void compare(struct model *m, const char *state, bool ended)
{
	MUST(m, m->ended == ended);
	if (ended)
		MUST(m, strcmp(m->state, state) == 0);
	for (size_t i = 0; i < m->g->n; i++) {
		const struct graph_step *s = &m->g->v[i];

		/* While it is being undone its state is another, and it counts as done here. */
		if (ended && !m->stuck[i])
			MUST(m, m->done[i] == s->done);
		if (strcmp(state, FLOW_SUCCEEDED) == 0)
			MUST(m, s->done);
		if (ended && strcmp(state, FLOW_SUCCEEDED) != 0)
			MUST(m, !(s->done && has_undo(s->kind)));
	}
}

static int check_one(struct db_tx *t, const char *operation, const char *state, bool ended)
{
	struct err e = {0};
	AUTO(graph) g = graph_load(t, operation, &e);
	AUTO_FREE bool *flags = g ? xcalloc(3 * g->n + 3, sizeof(*flags)) : NULL;
	AUTO(db_rows)
	r = g ? db_query(t, &e,
			 "SELECT level, coalesce(step_id, ''), text FROM "
			 "operation_log WHERE operation_id = $1 ORDER BY seq",
			 db_t(operation))
	      : NULL;
	struct model m = {.t = t, .operation = operation, .g = g, .done = flags};

	if (!r)
		fail_msg("%s", e.msg);
	m.stuck = m.done + g->n;
	m.told = m.stuck + g->n;
	while (db_next(r, &e) > 0)
		line(&m, db_text(r, 0), db_text(r, 1), db_text(r, 2));
	compare(&m, state, ended);
	return 0;
}

static int check_logs(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT id, state, ended_at FROM operations");
	int rc = -1;

	(void)arg;
	while (r && (rc = db_next(r, e)) > 0)
		check_one(t, db_text(r, 0), db_text(r, 1), !db_is_null(r, 2));
	return rc;
}

void flow_check_logs(struct db *d)
{
	OK(db_read(d, check_logs, NULL, e));
}

/* ---- tables ---- */

/* Each of these finds nothing, at any moment. */
static const char *const never[] = {
	/* a step runs before what it needs is done */
	"SELECT s.id FROM steps s JOIN step_needs n ON n.step_id = s.id JOIN steps d ON d.id = "
	"n.needs_id WHERE s.state IN ('ready', 'running', 'done') AND s.undoing = 0 AND d.state <> "
	"'done' AND d.undoing = 0 AND d.state <> 'undone' AND d.state <> 'undo_failed'",
	/* something is open, and its operation has ended */
	"SELECT s.id FROM steps s JOIN operations o ON o.id = s.operation_id WHERE o.ended_at IS "
	"NOT NULL AND s.state IN ('waiting', 'ready', 'running')",
	/* ended without a state of the end, or the other way round */
	"SELECT id FROM operations WHERE (ended_at IS NULL) <> (state IN ('queued', 'running', "
	"'undoing'))",
	/* counts as running, or not, and is not, or is */
	"SELECT s.id FROM steps s WHERE (s.state = 'running') <> EXISTS (SELECT 1 FROM step_holds "
	"h WHERE h.step_id = s.id AND h.limit_key = 'project:' || s.project_id)",
	"SELECT l.step_id FROM step_limits l JOIN steps s ON s.id = l.step_id WHERE s.state = "
	"'running' AND NOT EXISTS (SELECT 1 FROM step_holds h WHERE h.step_id = l.step_id AND "
	"h.limit_key = l.limit_key)",
	/* waits for what is done */
	"SELECT s.id FROM steps s JOIN operations o ON o.id = s.operation_id WHERE s.state = "
	"'waiting' AND s.undoing = 0 AND o.state <> 'undoing' AND s.unmet <> (SELECT count(*) FROM "
	"step_needs n JOIN steps d ON d.id = n.needs_id WHERE n.step_id = s.id AND d.state <> "
	"'done')",
	"SELECT id FROM steps WHERE state = 'waiting' AND undoing = 0 AND unmet <= 0",
	/* taken back while something still runs forward */
	"SELECT s.id FROM steps s JOIN steps r ON r.operation_id = s.operation_id WHERE s.undoing "
	"= "
	"1 AND s.state = 'running' AND r.undoing = 0 AND r.state IN ('waiting', 'ready', "
	"'running')",
};

struct tables {
	const char *key;
	int most;
};

static int check_tables(struct db_tx *t, void *arg, struct err *e)
{
	struct tables *w = arg;
	AUTO(db_rows) held = NULL;

	for (size_t i = 0; i < ARRAY_LEN(never); i++) {
		AUTO(db_rows) r = db_query_v(t, never[i], NULL, 0, e);

		if (!r)
			return -1;
		if (db_next(r, e) > 0)
			fail_msg("step or operation %s: %s", db_text(r, 0), never[i]);
	}
	held = db_query(t, e, "SELECT count(*) FROM step_holds WHERE limit_key = $1", db_t(w->key));
	if (!held || db_next(held, e) <= 0)
		return -1;
	if (db_int(held, 0) > w->most)
		fail_msg("%d of %s run; %d may", (int)db_int(held, 0), w->key, w->most);
	return 0;
}

void flow_check_tables(struct db *d, const char *key, int most)
{
	struct tables w = {.key = key, .most = most};

	OK(db_read(d, check_tables, &w, e));
}

static int count_live(struct db_tx *t, void *arg, struct err *e)
{
	AUTO(db_rows) r = db_query(t, e, "SELECT count(*) FROM operations WHERE ended_at IS NULL");

	if (!r || db_next(r, e) <= 0)
		return -1;
	*(unsigned *)arg = (unsigned)db_int(r, 0);
	return 0;
}

unsigned flow_check_live(struct db *d)
{
	unsigned n = 0;

	OK(db_read(d, count_live, &n, e));
	return n;
}
