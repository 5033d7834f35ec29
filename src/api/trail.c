/* SPDX-License-Identifier: Apache-2.0 */
/* What every request that changes something, or was refused, leaves in the audit log. */
#include <string.h>

#include "api/api_priv.h"
#include "auth/audit.h"
#include "base/log.h"

static struct audit_entry entry_of(const struct api_call *c, const char *action)
{
	return (struct audit_entry){.who = c->who,
				    .address = httpd_address(c->http),
				    .project = c->project,
				    .action = action,
				    .subject = httpd_path(c->http)};
}

/* The id of what was made: {"plan": {"id": …}}. */
static const char *made(const json_t *reply)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)reply, key, v)
	{
		if (json_is_object(v))
			return json_string_value(json_object_get(v, "id"));
	}
	return NULL;
}

int api_audit(struct api_call *c, const struct api_route *r, struct err *e)
{
	struct audit_entry x = entry_of(c, r->action && *r->action ? r->action : "self");

	if (!(r->flags & API_WRITES))
		return 0;
	x.outcome = "done";
	x.detail = made(c->reply);
	return audit_add(c->core->auth, c->t, &x, e);
}

struct refusal {
	struct api_call *call;
	const char *action;
};

static int add_refusal(struct db_tx *t, void *arg, struct err *e)
{
	const struct refusal *r = arg;
	struct audit_entry x = entry_of(r->call, r->action);

	x.outcome = "denied";
	return audit_add(r->call->core->auth, t, &x, e);
}

void api_audit_denied(struct api_call *c, const char *action)
{
	struct refusal r = {c, action};
	struct err e = {ERR_NONE};

	if (db_write(c->core->db, add_refusal, &r, &e) < 0)
		log_error("a refusal could not be written to the audit log: %s", e.msg);
}
