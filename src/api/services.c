/* SPDX-License-Identifier: Apache-2.0 */
/* /os-services: the processes of the server. */
#include <string.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "core/service.h"

/* Karbor's name of each role, which its clients filter by. */
static const struct {
	const char *role, *binary;
} binaries[] = {
	{"api", "karbor-api"},
	{"scheduler", "karbor-operationengine"},
	{"worker", "karbor-protection"},
	{"conductor", "holdfast-conductor"},
};

static const char *binary_of(const char *role)
{
	for (size_t i = 0; i < ARRAY_LEN(binaries); i++)
		if (strcmp(binaries[i].role, role) == 0)
			return binaries[i].binary;
	return role;
}

static json_t *row_json(const struct db_rows *r)
{
	bool up = (uint64_t)db_int(r, 5) + SERVICE_ALIVE_US > clock_wall_us();
	char text[CLOCK_TEXT];

	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s?}", "id", db_text(r, 0), "host",
			 db_text(r, 1), "binary", binary_of(db_text(r, 2)), "role", db_text(r, 2),
			 "status", db_text(r, 3), "state", up ? "up" : "down", "updated_at",
			 clock_rfc3339((uint64_t)db_int(r, 5), text), "disabled_reason",
			 db_text_or_null(r, 4));
}

/* Of the process that answers. */
static json_t *server_json(const struct api_call *c)
{
	return json_pack("{s:s, s:s, s:o}", "version", HF_VERSION, "database", db_name(c->core->db),
			 "certificate_ends_at", json_time(api_certificate_end(c->api)));
}

#define SELECT "SELECT id, host, role, status, disabled_reason, updated_at FROM services "

static int list(struct api_call *c, struct err *e)
{
	const char *host = httpd_query(c->http, "host"), *binary = httpd_query(c->http, "binary");
	AUTO(db_rows) r = db_query(c->t, e, SELECT "ORDER BY host, role");
	json_t *a = json_array();
	int have = r ? 1 : -1;

	while (have > 0 && (have = db_next(r, e)) > 0) {
		if ((host && strcmp(host, db_text(r, 1)) != 0) ||
		    (binary && strcmp(binary, binary_of(db_text(r, 2))) != 0))
			continue;
		json_array_append_new(a, row_json(r));
	}
	api_reply(c, 200, "services", a);
	json_object_set_new(c->reply, "server", server_json(c));
	return have < 0 ? -1 : 0;
}

static int update(struct api_call *c, struct err *e)
{
	static const char *const statuses[] = {"enabled", "disabled", NULL};
	AUTO(db_rows) r = NULL;
	char id[UUID_TEXT];
	const char *reason;
	struct input in;
	int status;

	if (api_uuid(c, "service_id", id, e) < 0)
		return -1;
	input_init(&in, c->body, "service");
	status = input_word(&in, "status", REQUIRED, statuses);
	reason = input_text(&in, "disabled_reason", OPTIONAL, 255);
	if (reason && status == 0)
		input_wrong(&in, "disabled_reason", "It goes with status 'disabled' only.");
	if (input_done(&in, e) < 0 || service_set(c->t, id, status == 0, reason, e) < 0)
		return -1;
	r = db_query(c->t, e, SELECT "WHERE id = $1", db_t(id));
	if (!r || db_next(r, e) < 0)
		return -1;
	api_reply(c, 200, "service", row_json(r));
	return 0;
}

static const struct api_route routes[] = {
	{"GET", "/v1/{project_id}/os-services", "service:get_all", list, 0},
	{"PUT", "/v1/{project_id}/os-services/{service_id}", "service:update", update, API_WRITES},
};
const struct api_resource api_services = {routes, ARRAY_LEN(routes)};
