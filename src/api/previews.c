/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /schedule_previews: when a schedule would fire, and what it is in words, before anybody saves it.
 * Nothing is stored.
 */
#include "api/api_priv.h"
#include "base/clock.h"
#include "sched/words.h"

#define COUNT_MAX 100
#define COUNT 10

static int preview(struct api_call *c, struct err *e)
{
	AUTO(schedule) s = NULL;
	AUTO_FREE char *words = NULL;
	uint64_t now = clock_wall_us(), at[COUNT_MAX];
	json_t *properties, *firings;
	struct input in;
	size_t n;

	api_input(c, "schedule_preview", &in);
	n = (size_t)input_number(&in, "count", OPTIONAL, 1, COUNT_MAX, COUNT);
	if (in.wrong.kind != ERR_NONE)
		return input_done(&in, e);
	/* The other fields are the schedule's, which knows them and their limits. */
	properties = json_copy(in.object);
	json_object_del(properties, "count");
	s = schedule_parse(properties, c->core->zones, now, e);
	if (s)
		words = schedule_words(s,
				       json_string_value(json_object_get(properties, "pattern")));
	json_decref(properties);
	if (!s)
		return err_wrap(e, "Invalid input for field/attribute schedule_preview");
	n = schedule_next_n(s, now, n, at);
	firings = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(firings, json_time(at[i]));
	api_reply(c, 200, "schedule_preview",
		  json_pack("{s:o, s:s}", "firings", firings, "words", words));
	return 0;
}

static const struct api_route routes[] = {
	{"POST", "/v1/{project_id}/schedule_previews", "policy:simulate", preview, API_OUTSIDE},
};
const struct api_resource api_previews = {routes, ARRAY_LEN(routes)};
