/* SPDX-License-Identifier: Apache-2.0 */
/* /movers: the processes that move data; inviting new ones, draining and revoking them. */
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "link/movers.h"

#define PAGE 1000
#define INVITATION_HOURS 24
#define HOUR_US UINT64_C(3600000000)

static json_t *mover_json(const struct mover_row *m)
{
	return json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:O?, s:I, s:b, s:o, s:o, s:o, s:s?}", "id",
			 m->id, "name", m->name, "host", m->host, "version", m->version, "state",
			 mover_state(m, clock_wall_us()), "kinds", m->kinds, "capacity",
			 (json_int_t)m->capacity, "drain", m->drain, "created_at",
			 json_time(m->created_at), "last_seen_at", json_time(m->last_seen_at),
			 "revoked_at", json_time(m->revoked_at), "created_by", m->created_by);
}

static int add(void *arg, const struct mover_row *m, struct err *e)
{
	(void)e;
	json_array_append_new(arg, mover_json(m));
	return 0;
}

static int list(struct api_call *c, struct err *e)
{
	const char *marker = httpd_query(c->http, "marker");
	struct mover_row after = {.name = NULL};
	json_t *a = json_array();
	int done;

	if (marker && mover_get(c->t, marker, &after, e) < 0) {
		json_decref(a);
		return -1;
	}
	done = mover_each(c->t, marker ? after.name : NULL, marker ? after.id : NULL, PAGE, add, a,
			  e);
	if (marker)
		mover_row_done(&after);
	api_reply(c, 200, "movers", a);
	return done;
}

static int show_one(struct api_call *c, const char *id, struct err *e)
{
	struct mover_row m;

	if (mover_get(c->t, id, &m, e) < 0)
		return -1;
	api_reply(c, 200, "mover", mover_json(&m));
	mover_row_done(&m);
	return 0;
}

static int show(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];

	return api_uuid(c, "mover_id", id, e) < 0 ? -1 : show_one(c, id, e);
}

/* The word is for whoever starts the mover, and is not told again. */
static int invite(struct api_call *c, struct err *e)
{
	char word[TOKEN_TEXT], actor[300];
	const char *name;
	struct input in;
	int64_t hours;

	api_input(c, "mover", &in);
	name = input_text(&in, "name", REQUIRED, MOVER_NAME_MAX);
	hours = input_number(&in, "hours", OPTIONAL, 1, 24 * 30, INVITATION_HOURS);
	if (input_done(&in, e) < 0 ||
	    mover_invite(c->t, name, api_actor(c, actor, sizeof(actor)), clock_wall_us(),
			 (uint64_t)hours * HOUR_US, word, e) < 0)
		return -1;
	httpd_set_header(c->http, "Cache-Control", "no-store");
	api_reply(c, 201, "invitation",
		  json_pack("{s:s, s:s, s:o}", "name", name, "word", word, "expires_at",
			    json_time(clock_wall_us() + (uint64_t)hours * HOUR_US)));
	return 0;
}

static int update(struct api_call *c, struct err *e)
{
	char id[UUID_TEXT];
	struct input in;
	bool drain;

	if (api_uuid(c, "mover_id", id, e) < 0)
		return -1;
	api_input(c, "mover", &in);
	if (!input_has(&in, "drain"))
		input_wrong(&in, "drain", "It is what can be changed, and required.");
	drain = input_flag(&in, "drain", false);
	if (input_done(&in, e) < 0 || mover_set_drain(c->t, id, drain, e) < 0)
		return -1;
	return show_one(c, id, e);
}

/* First revoked, then, asked again, forgotten. */
static int delete (struct api_call *c, struct err *e)
{
	struct mover_row m;
	char id[UUID_TEXT];
	bool revoked;

	if (api_uuid(c, "mover_id", id, e) < 0 || mover_get(c->t, id, &m, e) < 0)
		return -1;
	revoked = m.revoked_at != 0;
	mover_row_done(&m);
	return revoked ? mover_forget(c->t, id, e) : mover_revoke(c->t, id, clock_wall_us(), e);
}

#define ONE "/v1/{project_id}/movers/{mover_id}"

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/movers", "mover:get", list, 0},
	{"POST", "/v1/{project_id}/movers", "mover:join", invite, API_WRITES},
	{"GET", ONE, "mover:get", show, 0},
	{"PUT", ONE, "mover:update", update, API_WRITES},
	{"DELETE", ONE, "mover:delete", delete, API_WRITES},
};
const struct api_resource api_movers = {routes, ARRAY_LEN(routes)};
