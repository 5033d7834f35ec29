/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications of a server: trying them, what was sent, another secret. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/remote.h"

#define LOOK_MS 200
#define PATIENCE_US UINT64_C(40000000) /* longer than a delivery may take */

static const struct remote_column deliveries[] = {
	{"id", "id", CELL_ID},
	{"time", "created_at", CELL_TIME},
	{"event", "event", CELL_TEXT},
	{"state", "state", CELL_TEXT},
	{"tries", "attempts", CELL_NUMBER},
	{"code", "code", CELL_NUMBER},
	{"title", "title", CELL_TEXT},
	{"reason", "reason", CELL_TEXT},
	{0},
};

/* The path of `action` of the one that is named. */
static int path_of(struct cli *c, const char *action, char **ret, struct err *e)
{
	const struct remote_kind *k = remote_kind("notification");
	AUTO_FREE char *id = NULL;

	if (remote_open(c, e) < 0 || remote_find_id(c, k, c->p.args[0], &id, e) < 0)
		return -1;
	*ret = remote_path(k, id, action);
	return 0;
}

int remote_notification_deliveries(struct cli *c, struct err *e)
{
	AUTO_FREE char *path = NULL;
	json_t *all = NULL;

	if (path_of(c, "deliveries", &path, e) < 0 ||
	    client_list(c->client, path, "deliveries", 0, &all, e) < 0)
		return -1;
	remote_print(c, deliveries, all);
	return 0;
}

/* Until it has ended, or nobody seems to send it. */
static int await_delivery(struct cli *c, const char *path, json_t **delivery, struct err *e)
{
	AUTO_FREE char *one = xasprintf("%s/%s", path, client_text(*delivery, "id"));
	uint64_t until = clock_mono_us() + PATIENCE_US;

	while (strcmp(client_text(*delivery, "state"), "pending") == 0) {
		if (cancel_check(&c->cancel, e) < 0)
			return -1;
		if (clock_mono_us() > until)
			return err_set(e, ERR_TIMEOUT,
				       "it is still on its way: see 'holdfast notification "
				       "deliveries %s'",
				       c->p.args[0]);
		clock_sleep_ms(LOOK_MS);
		json_decref(*delivery);
		*delivery = NULL;
		if (client_get(c->client, one, "delivery", delivery, e) < 0)
			return -1;
	}
	return 0;
}

int remote_notification_test(struct cli *c, struct err *e)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *sent = NULL;
	json_t *answer = NULL, *delivery;
	int rc;

	if (path_of(c, "test", &path, e) < 0 ||
	    client_do(c->client, "POST", path, NULL, &answer, e) < 0)
		return -1;
	delivery = json_incref(json_object_get(answer, "delivery"));
	json_decref(answer);
	sent = xasprintf("%.*s/deliveries", (int)(strrchr(path, '/') - path), path);
	rc = await_delivery(c, sent, &delivery, e);
	if (rc == 0 && strcmp(client_text(delivery, "state"), "delivered") != 0)
		rc = err_set(e, ERR_IO, "it was not delivered: %s",
			     client_text(delivery, "reason"));
	else if (rc == 0 && c->json)
		cli_json(json_incref(delivery));
	else if (rc == 0)
		printf("delivered\n");
	json_decref(delivery);
	return rc;
}

int remote_notification_rotate(struct cli *c, struct err *e)
{
	json_t *o = json_object(), *body = json_pack("{s:o}", "rotate_secret", o), *answer = NULL;
	AUTO_FREE char *path = NULL;
	int rc = path_of(c, "rotate_secret", &path, e);

	if (rc == 0)
		rc = remote_take_options(c, "rotate", o, e);
	if (rc == 0)
		rc = client_do(c->client, "POST", path, body, &answer, e);
	json_decref(body);
	if (rc == 0)
		remote_print_one(c, json_incref(json_object_get(answer, "notification")));
	json_decref(answer);
	return rc;
}
