/* SPDX-License-Identifier: Apache-2.0 */
#include "link/conductor_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "flow/flow_query.h"
#include "net/fields.h"

#define ROOM_MAX 16 /* steps that one request may take */
#define CAPACITY_MAX 1000
#define HELD_MAX 10000 /* and what earlier runs left to be told */
#define NOTES_MAX 100
#define NOTE_MAX 2000
#define KINDS_MAX 100
#define RESULT_MAX ((size_t)16 << 20) /* of a list of ten thousand resources */
#define REPORT_MAX ((size_t)512 << 10)
/* So many reports a second, of all steps together, are asked for; each at least every REPORT_S. */
#define REPORTS_PER_S 250
#define REPORT_S 2
#define REPORT_LEAST_S 20

/* ---- answers ---- */

/* Takes `j`. */
static void answer(struct httpd_call *c, int status, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;

	httpd_set_header(c, "Cache-Control", "no-store");
	httpd_answer(c, text ? status : 500, "application/json", text ? text : "{}",
		     text ? strlen(text) : 2);
	free(text);
	json_decref(j);
}

static void refuse_with(struct httpd_call *c, int status, const struct err *e)
{
	answer(c, status,
	       json_pack("{s:{s:s,s:s}}", "error", "kind", err_info(e->kind)->name, "message",
			 e->msg));
}

static void refuse(struct httpd_call *c, const struct err *e)
{
	refuse_with(c, err_info(e->kind)->http, e);
}

static json_t *body_of(struct httpd_call *c, struct err *e)
{
	json_error_t why;
	size_t n;
	const char *text = httpd_body(c, &n);
	json_t *j = json_loadb(text ? text : "", n, JSON_REJECT_DUPLICATES, &why);

	if (!j) /* what jansson quotes may be a token */
		err_set(e, ERR_INVALID, "the body is no JSON: see line %d, column %d", why.line,
			why.column);
	return j;
}

/* ---- who asks ---- */

struct asker {
	const char *token;
	struct mover_row m;
};

static int find_asker(struct db_tx *t, void *arg, struct err *e)
{
	struct asker *a = arg;

	mover_row_done(&a->m);
	return mover_identify(t, a->token, &a->m, e);
}

/* The token goes over the wire: to this machine itself, or sealed. */
static int check_wire(const struct httpd_call *c, struct err *e)
{
	const char *from = httpd_address(c);

	if (httpd_is_tls(c) || strncmp(from, "127.", 4) == 0 || strcmp(from, "::1") == 0 ||
	    strncmp(from, "::ffff:127.", 11) == 0)
		return 0;
	return err_set(e, ERR_DENIED, "movers on other machines need HTTPS");
}

/* false: it was refused. The row is the caller's. */
static bool identify(struct conductor *c, struct httpd_call *call, struct mover_row *ret)
{
	const char *header = httpd_header(call, "Authorization");
	struct asker a = {.token = ""};
	struct err e = {0};

	if (header && strncasecmp(header, "Bearer ", 7) == 0)
		a.token = header + 7;
	if (check_wire(call, &e) < 0) {
		refuse(call, &e);
		return false;
	}
	if (db_read(c->o.db, find_asker, &a, &e) < 0) {
		mover_row_done(&a.m);
		if (e.kind == ERR_DENIED)
			refuse_with(call, 401, &e);
		else
			refuse(call, &e);
		return false;
	}
	seen_note(c->seen, a.m.id, clock_wall_us());
	*ret = a.m;
	return true;
}

/* ---- the course of a request ---- */

struct asking {
	struct conductor *c;
	struct mover_row m; /* who asks */
	const char *step;   /* that the path names; or NULL */
	const json_t *body;
};
/* *ret_answer is an object, the caller's. */
typedef int answer_fn(struct asking *a, json_t **ret_answer, struct err *e);

static void serve(struct httpd_call *call, struct conductor *c, answer_fn *fn)
{
	struct asking a = {.c = c, .step = httpd_part(call, "step_id")};
	json_t *body, *reply = NULL;
	struct err e = {0};

	if (!identify(c, call, &a.m))
		return;
	a.body = body = body_of(call, &e);
	if (!body || fn(&a, &reply, &e) < 0)
		refuse(call, &e);
	else
		answer(call, 200, reply);
	json_decref(body);
	mover_row_done(&a.m);
}

/* ---- register ---- */

static int check_kinds(const json_t *kinds, struct err *e)
{
	AUTO_FREE const char **texts = fields_texts(kinds, "kinds", e);

	return texts ? 0 : -1;
}

struct registering {
	const char *invitation, *token;
	struct mover_hello hello;
	char id[UUID_TEXT];
};

static int store_mover(struct db_tx *t, void *arg, struct err *e)
{
	struct registering *r = arg;

	return mover_register(t, r->invitation, r->token, &r->hello, clock_wall_us(), r->id, e);
}

static int register_mover(struct conductor *c, const json_t *body, struct registering *r,
			  struct err *e)
{
	const struct field f[] = {
		{"invitation", FIELD_TEXT, &r->invitation, .needed = true, .most = 200},
		{"token", FIELD_TEXT, &r->token, .needed = true, .most = 200},
		{"host", FIELD_TEXT, &r->hello.host, .needed = true, .most = 255},
		{"version", FIELD_TEXT, &r->hello.version, .needed = true, .most = 64},
		{"kinds", FIELD_LIST, &r->hello.kinds, .needed = true, .most = KINDS_MAX},
		{"capacity", FIELD_NUMBER, &r->hello.capacity, .needed = true, .least = 1,
		 .most = CAPACITY_MAX},
	};

	if (fields_take(body, "", f, ARRAY_LEN(f), e) < 0 || check_kinds(r->hello.kinds, e) < 0)
		return -1;
	return db_write(c->o.db, store_mover, r, e);
}

static void on_register(struct httpd_call *call, void *arg)
{
	struct registering r = {0};
	struct err e = {0};
	json_t *body = body_of(call, &e);

	if (!body || check_wire(call, &e) < 0 || register_mover(arg, body, &r, &e) < 0)
		refuse(call, &e);
	else
		answer(call, 200, json_pack("{s:s}", "id", r.id));
	json_decref(body);
}

/* ---- events, heartbeat ---- */

static void on_events(struct httpd_call *call, void *arg)
{
	struct conductor *c = arg;
	struct mover_row m;

	if (!identify(c, call, &m))
		return;
	httpd_set_header(call, "Cache-Control", "no-store");
	streams_open(c->streams, call, m.id);
	mover_row_done(&m);
}

struct hearing {
	const struct mover_row *m;
	struct mover_hello hello;
};

static int store_hello(struct db_tx *t, void *arg, struct err *e)
{
	const struct hearing *h = arg;

	return mover_seen(t, h->m->id, &h->hello, clock_wall_us(), e);
}

static bool says_something_new(const struct hearing *h)
{
	return strcmp(h->hello.host, h->m->host) != 0 ||
	       strcmp(h->hello.version, h->m->version) != 0 ||
	       h->hello.capacity != h->m->capacity || !json_equal(h->hello.kinds, h->m->kinds);
}

static int hear(struct asking *a, json_t **ret_answer, struct err *e)
{
	struct hearing h = {.m = &a->m};
	int64_t room = 0, running = 0;
	const struct field f[] = {
		{"host", FIELD_TEXT, &h.hello.host, .needed = true, .most = 255},
		{"version", FIELD_TEXT, &h.hello.version, .needed = true, .most = 64},
		{"kinds", FIELD_LIST, &h.hello.kinds, .needed = true, .most = KINDS_MAX},
		{"capacity", FIELD_NUMBER, &h.hello.capacity, .needed = true, .least = 1,
		 .most = CAPACITY_MAX},
		{"room", FIELD_NUMBER, &room, .most = CAPACITY_MAX},
		{"running", FIELD_NUMBER, &running, .most = CAPACITY_MAX},
	};

	if (fields_take(a->body, "", f, ARRAY_LEN(f), e) < 0 || check_kinds(h.hello.kinds, e) < 0)
		return -1;
	streams_note(a->c->streams, a->m.id, a->m.drain ? 0 : (unsigned)room, (unsigned)running);
	if (says_something_new(&h) && db_write(a->c->o.db, store_hello, &h, e) < 0)
		return -1;
	*ret_answer =
		json_pack("{s:b,s:i}", "drain", a->m.drain, "again_s", (int)a->c->o.heartbeat_s);
	return 0;
}

static void on_heartbeat(struct httpd_call *call, void *arg)
{
	serve(call, arg, hear);
}

/* ---- taking steps ---- */

struct filling {
	const struct conductor *c;
	const struct flow_step *step;
	json_t *input;
};

static int fill(struct db_tx *t, void *arg, struct err *e)
{
	struct filling *f = arg;

	json_decref(f->input);
	f->input = NULL;
	return f->c->o.fill(f->c->o.arg, t, f->step, &f->input, e);
}

static json_t *input_of(struct conductor *c, const struct flow_step *s, struct err *e)
{
	struct filling f = {c, s, NULL};

	if (!c->o.fill)
		return s->input ? json_incref(s->input) : json_object();
	if (db_read(c->o.db, fill, &f, e) < 0) {
		json_decref(f.input);
		return NULL;
	}
	return f.input ? f.input : json_object();
}

/* A step that cannot be given away has failed; if that cannot be noted, its lease ends. */
static void add_step(struct conductor *c, const struct flow_step *s, json_t *list)
{
	struct err why = {0};
	json_t *input = input_of(c, s, &why), *j;

	if (!input) {
		flow_finish(c->o.flow, s->id, s->fence, NULL, &why, NULL);
		return;
	}
	j = json_pack("{s:s,s:I,s:I,s:s,s:b,s:o}", "step", s->id, "fence", (json_int_t)s->fence,
		      "attempt", (json_int_t)s->attempt, "kind", s->kind, "undo", s->undo, "input",
		      input);
	if (s->result)
		json_object_set(j, "result", s->result);
	json_array_append_new(list, j);
}

static int take_steps(struct conductor *c, const struct mover_row *m, unsigned room, json_t *list,
		      struct err *e)
{
	char own[MOVER_PLACE];
	const char *const places[] = {mover_place(m->id, own), FLOW_ANY_MOVER};

	for (unsigned i = 0; i < room; i++) {
		AUTO(flow_step) s = NULL;

		/* What was taken is told, whatever comes after it. */
		if (flow_take(c->o.flow, own, places, ARRAY_LEN(places), &s, e) < 0)
			return i ? 0 : -1;
		if (!s)
			break;
		add_step(c, s, list);
	}
	return 0;
}

/* Steps are handed out by an answer; one that got lost leaves leases that nobody knows of. */
struct leases {
	const char *who;
	json_t *list;
};

static int read_leases(struct db_tx *t, void *arg, struct err *e)
{
	struct leases *l = arg;

	json_decref(l->list);
	l->list = NULL;
	return flow_leases(t, l->who, &l->list, e);
}

static bool has(const json_t *list, const json_t *wanted)
{
	const json_t *j;
	size_t i;

	json_array_foreach(list, i, j)
	{
		if (json_equal(j, wanted))
			return true;
	}
	return false;
}

/* The mover says that `held` is all it has; `held` NULL: it has missed no answer. */
static int take_lost_back(struct conductor *c, const struct mover_row *m, const json_t *held,
			  struct err *e)
{
	const struct err lost = {.kind = ERR_CANCELLED, .msg = "the mover never received it"};
	char own[MOVER_PLACE];
	struct leases l = {.who = mover_place(m->id, own)};
	int rc = held ? db_read(c->o.db, read_leases, &l, e) : 0;
	json_t *j;
	size_t i;

	json_array_foreach(l.list, i, j)
	{
		/* One that cannot be given back now is by its lease. */
		if (rc == 0 && !has(held, j))
			flow_finish(c->o.flow, json_string_value(json_object_get(j, "step")),
				    (uint64_t)json_integer_value(json_object_get(j, "fence")), NULL,
				    &lost, NULL);
	}
	json_decref(l.list);
	return rc;
}

static int take(struct asking *a, json_t **ret_answer, struct err *e)
{
	const struct conductor_options *o = &a->c->o;
	int64_t room = 0, running = 0;
	unsigned most, n;
	const json_t *held = NULL;
	json_t *list;
	const struct field f[] = {
		{"room", FIELD_NUMBER, &room, .needed = true, .most = CAPACITY_MAX},
		{"running", FIELD_NUMBER, &running, .most = CAPACITY_MAX},
		{"held", FIELD_LIST, &held, .most = HELD_MAX},
	};

	if (fields_take(a->body, "", f, ARRAY_LEN(f), e) < 0 ||
	    take_lost_back(a->c, &a->m, held, e) < 0)
		return -1;
	most = a->m.drain ? 0 : (unsigned)room;
	/* Before it is looked for steps: one that becomes ready from here on wakes this mover. */
	streams_note(a->c->streams, a->m.id, most, (unsigned)running);
	/* Its room is noted all the same: it is told to look when we may again. */
	if (o->may && !o->may(o->may_arg))
		most = 0;
	list = json_array();
	if (take_steps(a->c, &a->m, MIN(most, (unsigned)ROOM_MAX), list, e) < 0) {
		json_decref(list);
		return -1;
	}
	n = (unsigned)json_array_size(list);
	if (n)
		streams_note(a->c->streams, a->m.id, most - n, (unsigned)running + n);
	*ret_answer = json_pack("{s:o}", "steps", list);
	return 0;
}

static void on_take(struct httpd_call *call, void *arg)
{
	serve(call, arg, take);
}

/* ---- reports ---- */

struct report {
	const char *step;
	char who[MOVER_PLACE];
	int64_t fence;
	const json_t *progress, *notes, *result, *error;
	char operation[UUID_TEXT];
};

static int check_owner(struct db_tx *t, void *arg, struct err *e)
{
	struct report *r = arg;
	int rc = flow_has_lease(t, r->step, (uint64_t)r->fence, r->who, r->operation, e);

	if (rc == 0)
		return err_set(e, ERR_CONFLICT, "this step is not this mover's any more");
	return rc < 0 ? -1 : 0;
}

/* What a library said may have line ends in it. */
static char *one_line(const char *text)
{
	char *copy = xstrdup(text);

	for (char *p = copy; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = ' ';
	}
	return copy;
}

static int store_note(struct db_tx *t, const struct report *r, const json_t *note, struct err *e)
{
	static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
	const char *level = NULL, *text = NULL;
	const struct field f[] = {
		{"level", FIELD_TEXT, &level, .needed = true, .among = levels},
		{"text", FIELD_TEXT, &text, .needed = true, .most = NOTE_MAX, .any_text = true},
	};
	AUTO_FREE char *line = NULL;

	if (fields_take(note, "notes", f, ARRAY_LEN(f), e) < 0)
		return -1;
	line = one_line(text);
	return strcmp(level, "debug") == 0 ? 0 : flow_log(t, r->operation, r->step, level, line, e);
}

static int store_notes(struct db_tx *t, void *arg, struct err *e)
{
	struct report *r = arg;
	const json_t *note;
	size_t i;

	if (check_owner(t, r, e) < 0)
		return -1;
	json_array_foreach((json_t *)r->notes, i, note)
	{
		if (store_note(t, r, note, e) < 0)
			return -1;
	}
	return 0;
}

static int take_report(const json_t *body, bool final, struct report *r, struct err *e)
{
	const struct field f[] = {
		{"fence", FIELD_NUMBER, &r->fence, .needed = true, .most = INT64_MAX},
		{"notes", FIELD_LIST, &r->notes, .most = NOTES_MAX},
		{"progress", FIELD_OBJECT, &r->progress, .most = 16},
		{"result", FIELD_OBJECT, &r->result, .most = 1000},
		{"error", FIELD_OBJECT, &r->error},
	};

	return fields_take(body, "", f, final ? ARRAY_LEN(f) : ARRAY_LEN(f) - 2, e);
}

/* What both kinds of report begin with. */
static int begin_report(struct asking *a, bool final, struct report *r, struct err *e)
{
	r->step = a->step;
	mover_place(a->m.id, r->who);
	if (take_report(a->body, final, r, e) < 0)
		return -1;
	if (json_array_size(r->notes))
		return db_write(a->c->o.db, store_notes, r, e);
	return db_read(a->c->o.db, check_owner, r, e);
}

/* When the next report is due: soon where few run, so that people see it move. */
static int again_s(struct conductor *c)
{
	size_t most = streams_count(c->streams) / REPORTS_PER_S;

	return (int)MIN(MAX(most, (size_t)REPORT_S), (size_t)REPORT_LEAST_S);
}

static int renew(struct asking *a, json_t **ret_answer, struct err *e)
{
	struct report r = {0};
	bool stop = false;

	if (begin_report(a, false, &r, e) < 0 ||
	    flow_renew(a->c->o.flow, r.step, (uint64_t)r.fence, r.progress, &stop, e) < 0)
		return -1;
	*ret_answer = json_pack("{s:b,s:i}", "stop", stop, "again_s", again_s(a->c));
	return 0;
}

static void on_progress(struct httpd_call *call, void *arg)
{
	serve(call, arg, renew);
}

static int take_error(const json_t *error, struct err *ret, struct err *e)
{
	const char *kind = NULL, *message = NULL;
	const struct field f[] = {
		{"kind", FIELD_TEXT, &kind, .needed = true, .most = 64},
		{"message", FIELD_TEXT, &message, .any_text = true},
	};
	AUTO_FREE char *line = NULL;

	if (fields_take(error, "error", f, ARRAY_LEN(f), e) < 0)
		return -1;
	line = one_line(message ? message : "no reason was given");
	err_set(ret, err_kind_named(kind, ERR_INTERNAL), "%s", line);
	return 0;
}

static int finish(struct asking *a, json_t **ret_answer, struct err *e)
{
	struct report r = {0};
	struct err why = {0};

	if (begin_report(a, true, &r, e) < 0)
		return -1;
	if (!r.result == !r.error)
		return err_set(e, ERR_INVALID, "give either result or error");
	if ((r.error && take_error(r.error, &why, e) < 0) ||
	    flow_finish(a->c->o.flow, r.step, (uint64_t)r.fence, (json_t *)r.result,
			r.error ? &why : NULL, e) < 0)
		return -1;
	*ret_answer = json_object();
	return 0;
}

static void on_result(struct httpd_call *call, void *arg)
{
	serve(call, arg, finish);
}

void conductor_make_routes(struct conductor *c)
{
	const struct httpd_route routes[CONDUCTOR_ROUTES] = {
		{"POST", "/mover/v1/register", on_register, c, .body_max = REPORT_MAX},
		{"GET", "/mover/v1/events", on_events, c, HTTPD_QUICK},
		{"POST", "/mover/v1/heartbeat", on_heartbeat, c, .body_max = REPORT_MAX},
		{"POST", "/mover/v1/steps/take", on_take, c, .body_max = REPORT_MAX},
		{"POST", "/mover/v1/steps/{step_id}/progress", on_progress, c,
		 .body_max = REPORT_MAX},
		{"POST", "/mover/v1/steps/{step_id}/result", on_result, c, .body_max = RESULT_MAX},
	};

	memcpy(c->routes, routes, sizeof(routes));
}
