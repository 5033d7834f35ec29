/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server for tests of the link: a conductor over a flow and a database, and besides, for the
 * test, without any protection:
 *
 *	invite {name, good_for_s} → {invitation}
 *	start {steps: [{kind, input, place}]} → {operation}
 *	cancel {operation}, drain {mover, on}, revoke {mover} → {}
 *	movers → {movers: [{id, name, state, host, …}], connected}
 *	steps → {steps: [{id, state, place, attempt, reason, result, counted, …}]}
 *	log → {log: [text]}
 *
 * each a POST under /test/.
 *
 * Each settling of a step adds one to what is counted for it, in the same transaction. Usage:
 * conductor_server DATABASE-URL PORT LEASE-SECONDS HEARTBEAT-SECONDS KEY; it prints its port, and
 * ends on SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/flow.h"
#include "link/conductor.h"
#include "link/movers.h"

static struct db *db;
static struct flow *flow;
static struct conductor *conductor;

/* ---- kinds ---- */

static int count_it(struct db_tx *t, const struct flow_step *s, struct err *e)
{
	return db_exec(t, NULL, e,
		       "INSERT INTO test_counted (step, n) VALUES ($1, 1) ON CONFLICT (step) DO "
		       "UPDATE SET n = test_counted.n + 1",
		       db_t(s->id));
}

#define KIND(kind)                                                                                 \
	{                                                                                          \
		.name = kind, .settle = count_it, .mover_undoes = true, .attempts = 20             \
	}
static struct flow_kind kinds[] = {
	KIND("target.init"),	   KIND("target.check"),      KIND("checkpoint.protect"),
	KIND("checkpoint.delete"), KIND("checkpoint.verify"), KIND("checkpoint.restore"),
};
static const struct flow_operation_kind operation = {.name = "test"};

/* ---- the test's own requests ---- */

static json_t *body_of(struct httpd_call *c)
{
	size_t n;
	const char *text = httpd_body(c, &n);
	json_t *j = json_loadb(text ? text : "", n, 0, NULL);

	return j ? j : json_object();
}

static const char *text_of(const json_t *j, const char *name)
{
	const char *s = json_string_value(json_object_get(j, name));

	return s ? s : "";
}

static void answer(struct httpd_call *c, int rc, json_t *take, const struct err *e)
{
	json_t *j = rc < 0 ? json_pack("{s:s}", "error", e->msg) : json_incref(take);
	char *text = json_dumps(j, JSON_COMPACT);

	httpd_answer(c, rc < 0 ? 500 : 200, "application/json", text, strlen(text));
	free(text);
	json_decref(j);
	json_decref(take);
}

struct request {
	json_t *in, *out;
};

static int invite(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;
	char word[TOKEN_TEXT];

	if (mover_invite(t, text_of(r->in, "name"), "test", clock_wall_us(),
			 (uint64_t)json_integer_value(json_object_get(r->in, "good_for_s")) *
				 1000000,
			 word, e) < 0)
		return -1;
	json_object_set_new(r->out, "invitation", json_string(word));
	return 0;
}

static int start(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;
	char id[UUID_TEXT], step[UUID_TEXT];
	const json_t *s;
	size_t i;

	if (flow_start(flow, t,
		       &(const struct flow_operation_new){.kind = "test",
							  .project = "p",
							  .subject = "s",
							  .name = "test",
							  .created_by = "test"},
		       id, e) < 0)
		return -1;
	json_array_foreach(json_object_get(r->in, "steps"), i, s)
	{
		const struct flow_step_new n = {.kind = text_of(s, "kind"),
						.place = text_of(s, "place"),
						.name = "step",
						.input = json_object_get(s, "input")};

		if (flow_add(flow, t, id, &n, step, e) < 0)
			return -1;
	}
	json_object_set_new(r->out, "operation", json_string(id));
	return 0;
}

static int cancel(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;

	return flow_cancel(flow, t, text_of(r->in, "operation"), e);
}

static int drain(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;

	return mover_set_drain(t, text_of(r->in, "mover"),
			       json_is_true(json_object_get(r->in, "on")), e);
}

static int revoke_one(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;

	return mover_revoke(t, text_of(r->in, "mover"), clock_wall_us(), e);
}

static int add_mover(void *arg, const struct mover_row *m, struct err *e)
{
	struct request *r = arg;

	(void)e;
	json_array_append_new(json_object_get(r->out, "movers"),
			      json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:O}", "id", m->id, "name",
					m->name, "state", mover_state(m, clock_wall_us()), "host",
					m->host, "version", m->version, "capacity",
					(json_int_t)m->capacity, "kinds", m->kinds));
	return 0;
}

static int list_movers(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;

	json_object_set_new(r->out, "movers", json_array());
	json_object_set_new(r->out, "connected",
			    json_integer((json_int_t)conductor_connected(conductor)));
	return mover_each(t, NULL, NULL, 1000, add_mover, r, e);
}

static int list_steps(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;
	json_t *list = json_array();
	AUTO(db_rows)
	rows = db_query(
		t, e,
		"SELECT s.id, s.state, s.queue, s.attempt, s.reason, s.result, COALESCE(c.n, 0), "
		"s.leased_by, s.progress, s.undoing FROM steps s LEFT JOIN test_counted c ON "
		"c.step "
		"= s.id ORDER BY s.queued_at, s.position");
	int rc = rows ? 1 : -1;

	json_object_set_new(r->out, "steps", list);
	while (rc > 0 && (rc = db_next(rows, e)) > 0) {
		json_t *result = json_loads(db_text(rows, 5), 0, NULL);
		json_t *progress = json_loads(db_text(rows, 8), 0, NULL);

		json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:I,s:s?,s:o,s:I,s:s?,s:o,s:b}", "id",
					db_text(rows, 0), "state", db_text(rows, 1), "place",
					db_text(rows, 2), "attempt", (json_int_t)db_int(rows, 3),
					"reason", db_text_or_null(rows, 4), "result",
					result ? result : json_null(), "counted",
					(json_int_t)db_int(rows, 6), "by", db_text_or_null(rows, 7),
					"progress", progress ? progress : json_null(), "undoing",
					db_int(rows, 9) != 0));
	}
	return rc;
}

static int list_log(struct db_tx *t, void *arg, struct err *e)
{
	struct request *r = arg;
	json_t *list = json_array();
	AUTO(db_rows) rows = db_query(t, e, "SELECT text FROM operation_log ORDER BY at, seq");
	int rc = rows ? 1 : -1;

	json_object_set_new(r->out, "log", list);
	while (rc > 0 && (rc = db_next(rows, e)) > 0)
		json_array_append_new(list, json_string(db_text(rows, 0)));
	return rc;
}

static void on_test(struct httpd_call *c, void *arg)
{
	struct request r = {body_of(c), json_object()};
	struct err e = {0};
	db_fn *const *fn = arg;
	int rc = db_write(db, *fn, &r, &e);

	json_decref(r.in);
	answer(c, rc, r.out, &e);
}

/* ---- life ---- */

static int make_table(struct db_tx *t, void *arg, struct err *e)
{
	(void)arg;
	return db_exec(
		t, NULL, e,
		"CREATE TABLE IF NOT EXISTS test_counted (step TEXT PRIMARY KEY, n BIGINT NOT "
		"NULL)");
}

/* A secret that is in no table: the child must see it, the database never. */
static int fill(void *arg, struct db_tx *t, const struct flow_step *s, json_t **ret_input,
		struct err *e)
{
	const char *key = arg;
	json_t *target;

	(void)t;
	(void)e;
	*ret_input = s->input ? json_deep_copy(s->input) : json_object();
	target = json_object_get(*ret_input, "target");
	if (target)
		json_object_set_new(target, "key", json_string(key));
	return 0;
}

static int die(const struct err *e)
{
	fprintf(stderr, "conductor_server: %s\n", e->msg);
	return 1;
}

static struct httpd *serve(uint16_t port, struct err *e)
{
	static db_fn *fns[] = {invite,	   start,	cancel,	    drain,
			       revoke_one, list_movers, list_steps, list_log};
	static const char *const paths[] = {"/test/invite", "/test/start",  "/test/cancel",
					    "/test/drain",  "/test/revoke", "/test/movers",
					    "/test/steps",  "/test/log"};
	static struct httpd_route routes[32];
	const struct httpd_route *own;
	size_t n;

	own = conductor_routes(conductor, &n);
	memcpy(routes, own, n * sizeof(*own));
	for (size_t i = 0; i < ARRAY_LEN(fns); i++)
		routes[n++] = (struct httpd_route){"POST", paths[i], on_test, &fns[i]};
	return httpd_start(&(const struct httpd_options){.address = "127.0.0.1",
							 .port = port,
							 .connections = 25000},
			   routes, n, e);
}

int main(int argc, char **argv)
{
	static const struct flow_kind *list[ARRAY_LEN(kinds) + 1];
	const struct flow_operation_kind *const operations[] = {&operation, NULL};
	struct conductor_options o = {.fill = fill};
	struct httpd *h = NULL;
	struct err e = {0};
	sigset_t set;
	int sig;

	if (argc != 6)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		kinds[i].lease_s = (unsigned)strtoul(argv[3], NULL, 10);
		list[i] = &kinds[i];
	}
	db = db_open(argv[1], &e);
	if (!db || db_write(db, make_table, NULL, &e) < 0)
		return die(&e);
	flow = flow_new(db, "test", list, operations, &e);
	if (!flow || flow_workers(flow, 1, &e) < 0)
		return die(&e);
	o.db = db;
	o.flow = flow;
	o.arg = argv[5];
	o.heartbeat_s = (unsigned)strtoul(argv[4], NULL, 10);
	conductor = conductor_new(&o, &e);
	h = conductor ? serve((uint16_t)strtoul(argv[2], NULL, 10), &e) : NULL;
	if (!h)
		return die(&e);
	printf("%u\n", httpd_port(h));
	fflush(stdout);
	sigwait(&set, &sig);
	httpd_stop(h, 1000);
	conductor_free(conductor);
	flow_stop(flow, 1000);
	flow_free(flow);
	db_close(db);
	return 0;
}
