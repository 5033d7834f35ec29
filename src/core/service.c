/* SPDX-License-Identifier: Apache-2.0 */
#include "core/service.h"

#include "base/clock.h"
#include "core/ids.h"

int service_seen(struct db_tx *t, const char *host, const char *role, struct err *e)
{
	char id[UUID_TEXT];

	return db_exec(t, NULL, e,
		       "INSERT INTO services (id, host, role, status, updated_at) VALUES ($1, $2, "
		       "$3, 'enabled', $4) ON CONFLICT (host, role) DO UPDATE SET updated_at = "
		       "excluded.updated_at",
		       db_t(new_id(id)), db_t(host), db_t(role), db_i(clock_wall_us()));
}

int service_set(struct db_tx *t, const char *id, bool enabled, const char *reason, struct err *e)
{
	uint64_t n;

	if (db_exec(t, &n, e, "UPDATE services SET status = $2, disabled_reason = $3 WHERE id = $1",
		    db_t(id), db_t(enabled ? "enabled" : "disabled"), db_t(reason)) < 0)
		return -1;
	return n ? 0 : err_set(e, ERR_NOENT, "There is no service '%s'.", id);
}
