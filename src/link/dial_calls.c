/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that makes requests, one after the other: to register, heartbeats, results, reports on
 * what runs, and to take steps, in this order of urgency. What fails is due again after a pause.
 */
#include "link/dial_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "link/spool.h"

#define SECOND_US ((uint64_t)1000000)
#define TIMEOUT_MS 30000
#define HEARTBEAT_S 30
#define REPORT_S 2
#define STATUS_GONE 409

struct caller {
	struct dial *d;
	struct http *http;
	unsigned failures; /* in a row */
	uint64_t pause_us; /* until then nothing is asked */
	uint64_t beat_us;  /* the next heartbeat */
	uint64_t look_us;  /* when to look for steps in any case */
	bool sure;	   /* that no answer which gave steps was lost */
};

/* ---- one request ---- */

static json_t *parse(struct buf *b)
{
	json_t *j = json_loadb(b->len ? (const char *)b->data : "", b->len, 0, NULL);

	if (b->len)
		secret_wipe(b->data, b->len);
	return j;
}

/* What the server said as an error; a proxy's words are passed over. */
static int refused(int status, const json_t *body, struct err *e)
{
	const json_t *error = json_object_get(body, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	enum err_kind kind =
		err_kind_named(json_string_value(json_object_get(error, "kind")), ERR_IO);

	if (status >= 500 && !message)
		kind = ERR_UNREACHABLE;
	return err_set(e, kind, "the server says %d: %s", status, message ? message : "no reason");
}

/* `body` may be NULL: GET. *ret_status: 0 if there was no answer. The answer is the caller's. */
static int call(struct caller *c, const char *path, const json_t *body, int *ret_status,
		json_t **ret, struct err *e)
{
	AUTO_FREE char *url = xasprintf("%s%s", c->d->server, path);
	AUTO_FREE char *token = xasprintf("Authorization: Bearer %s", c->d->me.token);
	AUTO_FREE char *text = json_dumps(body, JSON_COMPACT);
	const char *const headers[] = {token, "Content-Type: application/json"};
	struct http_request q = {.method = "POST",
				 .url = url,
				 .headers = headers,
				 .n_headers = ARRAY_LEN(headers),
				 .data = text,
				 .len = strlen(text),
				 .timeout_ms = TIMEOUT_MS};
	struct http_reply r = {0};
	json_t *answer;
	int rc;

	*ret_status = 0;
	rc = http_do(c->http, &q, &r, e);
	secret_wipe(token, strlen(token));
	secret_wipe(text, strlen(text));
	if (rc < 0)
		return -1;
	answer = parse(&r.body);
	buf_done(&r.body);
	*ret_status = r.status;
	pthread_mutex_lock(&c->d->lock);
	c->d->reached_us = clock_mono_us();
	pthread_mutex_unlock(&c->d->lock);
	if (r.status == 200 && json_is_object(answer)) {
		*ret = answer;
		return 0;
	}
	rc = refused(r.status, answer, e);
	json_decref(answer);
	return rc;
}

/* ---- when it fails ---- */

static void give_up(struct dial *d, const struct err *why)
{
	log_error("%s", why->msg);
	pthread_mutex_lock(&d->lock);
	d->fatal = *why;
	d->stop_children = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	dial_poke(d);
}

static void set_identity(struct dial *d, struct identity *me)
{
	pthread_mutex_lock(&d->lock);
	d->me = *me;
	pthread_mutex_unlock(&d->lock);
	secret_wipe(me, sizeof(*me));
}

/* The server does not know us: with an invitation we begin anew, else that is the end. */
static void unknown(struct caller *c, const struct err *why)
{
	struct dial *d = c->d;
	struct identity me;
	struct err e = *why;

	pthread_mutex_lock(&d->lock);
	d->known = false;
	pthread_mutex_unlock(&d->lock);
	if (!d->invitation) {
		err_wrap(&e, "the server does not let this mover in; register it anew with an "
			     "invitation");
		give_up(d, &e);
		return;
	}
	log_warn("%s: registering anew", why->msg);
	if (identity_renew(d->state, &me, &e) < 0)
		give_up(d, &e);
	set_identity(d, &me);
}

/* Everything waits: a server that is not there is not asked for one thing after the other. */
static void failed(struct caller *c, int status, const struct err *why)
{
	if (status == 401 && c->d->known) {
		unknown(c, why);
		return;
	}
	c->failures++;
	c->pause_us = clock_mono_us() + dial_pause_us(c->failures);
	if (c->failures == 1 || c->failures % 20 == 0)
		log_warn("server %s: %s", c->d->server, why->msg);
}

static void went_well(struct caller *c)
{
	if (c->failures)
		log_info("server %s answers again", c->d->server);
	c->failures = 0;
}

/* ---- registering ---- */

static json_t *hello_json(const struct dial *d)
{
	return json_pack("{s:s,s:s,s:O,s:I}", "host", d->host, "version", HF_VERSION, "kinds",
			 d->kinds, "capacity", (json_int_t)d->capacity);
}

static int try_register(struct caller *c, int *ret_status, struct err *e)
{
	struct dial *d = c->d;
	json_t *body = hello_json(d), *answer = NULL;
	struct identity me;
	const char *id;
	struct uuid u;
	int rc;

	json_object_set_new(body, "invitation", json_string(d->invitation));
	json_object_set_new(body, "token", json_string(d->me.token));
	rc = call(c, "/mover/v1/register", body, ret_status, &answer, e);
	json_decref(body);
	if (rc < 0)
		return -1;
	id = json_string_value(json_object_get(answer, "id"));
	me = d->me;
	rc = id && uuid_parse(id, &u) ? identity_keep(d->state, &me, id, e)
				      : err_set(e, ERR_INVALID, "the server gave no id");
	if (rc == 0)
		set_identity(d, &me);
	json_decref(answer);
	return rc;
}

static void introduce(struct caller *c)
{
	struct dial *d = c->d;
	struct err why = {0};
	int status = 200;

	if (!d->me.id[0] && !d->invitation) {
		err_set(&why, ERR_DENIED,
			"this mover is not registered: give it an invitation of the server");
		give_up(d, &why);
		return;
	}
	if (!d->me.id[0] && try_register(c, &status, &why) < 0) {
		if (status == 403 || status == 400)
			give_up(d, &why);
		else
			failed(c, status, &why);
		return;
	}
	if (status != 200)
		return;
	went_well(c);
	log_info("this mover is %s", d->me.id);
	pthread_mutex_lock(&d->lock);
	d->known = true;
	d->look = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

/* ---- heartbeats ---- */

static int64_t seconds_in(const json_t *answer, const char *name, int64_t otherwise)
{
	json_int_t s = json_integer_value(json_object_get(answer, name));

	return s >= 1 && s <= 3600 ? s : otherwise;
}

static void beat(struct caller *c)
{
	struct dial *d = c->d;
	json_t *body = hello_json(d), *answer = NULL;
	struct err why = {0};
	unsigned room, running;
	int status;

	pthread_mutex_lock(&d->lock);
	d->beat = false;
	room = d->draining ? 0 : dial_count(d, SLOT_FREE);
	running = dial_count(d, SLOT_TAKEN) + dial_count(d, SLOT_RUNNING);
	pthread_mutex_unlock(&d->lock);
	json_object_set_new(body, "room", json_integer(room));
	json_object_set_new(body, "running", json_integer(running));
	if (call(c, "/mover/v1/heartbeat", body, &status, &answer, &why) < 0) {
		failed(c, status, &why);
	} else {
		went_well(c);
		c->beat_us = clock_mono_us() +
			     (uint64_t)seconds_in(answer, "again_s", HEARTBEAT_S) * SECOND_US;
	}
	json_decref(answer);
	json_decref(body);
}

/* ---- results ---- */

static void free_slot(struct dial *d, struct slot *s)
{
	spool_drop(d->state, s->step, s->fence);
	pthread_mutex_lock(&d->lock);
	json_decref(s->report);
	json_decref(s->progress);
	json_decref(s->notes);
	/* `child` is the other thread's, which looks at it without the lock. */
	s->report = s->progress = s->notes = NULL;
	s->stop = s->lost = false;
	s->state = s->left ? SLOT_NONE : SLOT_FREE;
	d->look = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

/* The server will say the same each time: it cannot be told. */
static bool is_final(int status)
{
	return status == STATUS_GONE || status == 400 || status == 404 || status == 413;
}

static void tell_result(struct caller *c, struct slot *s)
{
	AUTO_FREE char *path = xasprintf("/mover/v1/steps/%s/result", s->step);
	json_t *body, *answer = NULL;
	struct err why = {0};
	int status = 200, rc;

	if (s->lost) {
		free_slot(c->d, s);
		return;
	}
	body = json_copy(s->report);
	json_object_set_new(body, "fence", json_integer((json_int_t)s->fence));
	rc = call(c, path, body, &status, &answer, &why);
	json_decref(body);
	json_decref(answer);
	if (rc == 0 || (is_final(status) && why.kind != ERR_BUSY)) {
		if (rc < 0)
			log_info("step %s: its result is not taken: %s", s->step, why.msg);
		went_well(c);
		free_slot(c->d, s);
	} else {
		failed(c, status, &why);
	}
}

/* ---- reports on what runs ---- */

static json_t *report_body(struct dial *d, struct slot *s)
{
	json_t *body = json_pack("{s:I}", "fence", (json_int_t)s->fence);

	pthread_mutex_lock(&d->lock);
	if (s->progress)
		json_object_set(body, "progress", s->progress);
	if (s->notes)
		json_object_set_new(body, "notes", s->notes);
	s->notes = NULL;
	pthread_mutex_unlock(&d->lock);
	return body;
}

/* They were not told: before those that came since. */
static void put_notes_back(struct dial *d, struct slot *s, const json_t *body)
{
	json_t *notes = json_copy(json_object_get(body, "notes"));

	if (!notes)
		return;
	pthread_mutex_lock(&d->lock);
	if (s->notes)
		json_array_extend(notes, s->notes);
	json_decref(s->notes);
	s->notes = notes;
	pthread_mutex_unlock(&d->lock);
}

static void report(struct caller *c, struct slot *s)
{
	AUTO_FREE char *path = xasprintf("/mover/v1/steps/%s/progress", s->step);
	struct dial *d = c->d;
	json_t *body = report_body(d, s), *answer = NULL;
	struct err why = {0};
	int status, rc = call(c, path, body, &status, &answer, &why);

	if (rc == 0) {
		went_well(c);
	} else if (is_final(status)) {
		log_info("step %s is not this mover's any more: %s", s->step, why.msg);
	} else {
		put_notes_back(d, s, body);
		failed(c, status, &why);
	}
	pthread_mutex_lock(&d->lock);
	s->due_us = clock_mono_us() + (uint64_t)seconds_in(answer, "again_s", REPORT_S) * SECOND_US;
	s->stop = s->stop || json_is_true(json_object_get(answer, "stop"));
	s->lost = s->lost || (rc < 0 && is_final(status));
	pthread_mutex_unlock(&d->lock);
	dial_poke(d);
	json_decref(answer);
	json_decref(body);
}

/* ---- taking steps ---- */

/* One that is free stays so until this thread fills it. */
static struct slot *free_slot_of(struct dial *d)
{
	struct slot *s = NULL;

	pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->n_slots && !s; i++) {
		if (d->slots[i].state == SLOT_FREE)
			s = &d->slots[i];
	}
	pthread_mutex_unlock(&d->lock);
	return s;
}

/* On the disk first: if this process dies from here on, the next one gives the step back. */
static void take_step(struct dial *d, json_t *j)
{
	const char *step = json_string_value(json_object_get(j, "step"));
	const json_t *fence = json_object_get(j, "fence");
	struct slot *s = free_slot_of(d);
	struct err why = {0};
	struct uuid u;

	if (!s || !step || !uuid_parse(step, &u) || !json_is_integer(fence)) {
		log_error("the server gave a step that cannot be read, or too many");
		return;
	}
	snprintf(s->step, sizeof(s->step), "%s", step);
	s->fence = (uint64_t)json_integer_value(fence);
	if (spool_put(d->state, s->step, s->fence, "{}", &why) < 0)
		log_warn("step %s cannot be noted on disk: %s", step, why.msg);
	json_object_del(j, "fence"); /* the child does not need it */
	s->job = json_dumps(j, JSON_COMPACT);
	pthread_mutex_lock(&d->lock);
	s->state = SLOT_TAKEN;
	pthread_mutex_unlock(&d->lock);
	dial_poke(d);
}

static void look_again(struct dial *d)
{
	pthread_mutex_lock(&d->lock);
	d->look = true;
	pthread_mutex_unlock(&d->lock);
}

/* What this mover has of the server's, which is all of it where an answer got lost. */
static json_t *held_by(struct dial *d)
{
	json_t *list = json_array();

	pthread_mutex_lock(&d->lock);
	for (unsigned i = 0; i < d->n_slots; i++) {
		const struct slot *s = &d->slots[i];

		if (s->state != SLOT_FREE && s->state != SLOT_NONE)
			json_array_append_new(list, json_pack("{s:s,s:I}", "step", s->step, "fence",
							      (json_int_t)s->fence));
	}
	pthread_mutex_unlock(&d->lock);
	return list;
}

static void take(struct caller *c, unsigned room)
{
	struct dial *d = c->d;
	json_t *body = json_pack("{s:i,s:i}", "room", (int)room, "running",
				 (int)(d->capacity - MIN(room, d->capacity)));
	json_t *answer = NULL, *steps, *j;
	struct err why = {0};
	int status;
	size_t i;

	c->look_us = clock_mono_us() + d->look_s * SECOND_US;
	pthread_mutex_lock(&d->lock);
	d->look = false; /* what is woken from here on is looked at again */
	pthread_mutex_unlock(&d->lock);
	if (!c->sure)
		json_object_set_new(body, "held", held_by(d));
	c->sure = call(c, "/mover/v1/steps/take", body, &status, &answer, &why) == 0;
	if (!c->sure) {
		failed(c, status, &why);
		look_again(d);
	} else {
		went_well(c);
		steps = json_object_get(answer, "steps");
		json_array_foreach(steps, i, j)
		{
			take_step(d, j);
		}
		/* There may be more. */
		if (json_array_size(steps))
			look_again(d);
	}
	json_decref(answer);
	json_decref(body);
}

/* ---- the thread ---- */

enum what { WHAT_WAIT, WHAT_INTRODUCE, WHAT_BEAT, WHAT_RESULT, WHAT_REPORT, WHAT_TAKE, WHAT_END };

/* With the lock: a slot that runs and whose report is due, or NULL; *ret_next the next time. */
static struct slot *report_due(struct dial *d, uint64_t now, uint64_t *ret_next)
{
	for (unsigned i = 0; i < d->n_slots; i++) {
		struct slot *s = &d->slots[i];

		if (s->state != SLOT_RUNNING || s->lost)
			continue;
		if (s->due_us <= now)
			return s;
		*ret_next = MIN(*ret_next, s->due_us);
	}
	return NULL;
}

static struct slot *result_due(struct dial *d)
{
	for (unsigned i = 0; i < d->n_slots; i++) {
		if (d->slots[i].state == SLOT_OVER)
			return &d->slots[i];
	}
	return NULL;
}

/* A request for reports on everything makes all of them due. */
static void make_due(struct dial *d)
{
	for (unsigned i = 0; d->report && i < d->n_slots; i++)
		d->slots[i].due_us = 0;
	d->report = false;
}

/* With the lock: what is most urgent now, or how long to wait. */
static enum what choose(struct caller *c, struct slot **ret_slot, uint64_t *ret_until)
{
	struct dial *d = c->d;
	uint64_t now = clock_mono_us(), next = now + 60 * SECOND_US;

	if (d->ending)
		return WHAT_END;
	*ret_until = next;
	if (d->fatal.kind != ERR_NONE)
		return WHAT_WAIT;
	*ret_until = c->pause_us;
	if (c->pause_us > now)
		return WHAT_WAIT;
	if (!d->known)
		return WHAT_INTRODUCE;
	make_due(d);
	if ((*ret_slot = result_due(d)) != NULL)
		return WHAT_RESULT;
	if ((*ret_slot = report_due(d, now, &next)) != NULL)
		return WHAT_REPORT;
	if (c->beat_us <= now || d->beat)
		return WHAT_BEAT;
	if (!d->draining && (d->look || c->look_us <= now) && dial_count(d, SLOT_FREE))
		return WHAT_TAKE;
	next = MIN(next, c->beat_us);
	*ret_until = dial_count(d, SLOT_FREE) && !d->draining ? MIN(next, c->look_us) : next;
	return WHAT_WAIT;
}

static enum what next_thing(struct caller *c, struct slot **ret_slot, unsigned *ret_room)
{
	uint64_t until = 0;
	enum what what;

	pthread_mutex_lock(&c->d->lock);
	while ((what = choose(c, ret_slot, &until)) == WHAT_WAIT)
		dial_wait(c->d, until);
	*ret_room = dial_count(c->d, SLOT_FREE);
	pthread_mutex_unlock(&c->d->lock);
	return what;
}

static bool do_next(struct caller *c)
{
	struct slot *s = NULL;
	unsigned room;

	switch (next_thing(c, &s, &room)) {
	case WHAT_INTRODUCE:
		introduce(c);
		return true;
	case WHAT_BEAT:
		beat(c);
		return true;
	case WHAT_RESULT:
		tell_result(c, s);
		return true;
	case WHAT_REPORT:
		report(c, s);
		return true;
	case WHAT_TAKE:
		take(c, room);
		return true;
	default:
		return false;
	}
}

void *dial_calls(void *arg)
{
	struct dial *d = arg;
	struct caller c = {.d = d, .http = http_new(d->ca)};

	while (do_next(&c))
		;
	http_free(c.http);
	return NULL;
}
