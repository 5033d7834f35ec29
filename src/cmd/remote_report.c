/* SPDX-License-Identifier: Apache-2.0 */
/* What a server tells of everything at once: usage, search, what a target held, one resource. */
#include <stdio.h>
#include <string.h>

#include "cmd/remote.h"

/* ---- usage ---- */

static const struct remote_column usage[] = {
	{"project", "project_name", CELL_TEXT},
	{"target", "target_name", CELL_TEXT},
	{"plan", "plan_name", CELL_TEXT},
	{"resource", "resource_name", CELL_TEXT},
	{"made", "points", CELL_NUMBER},
	{"size", "logical_bytes", CELL_BYTES},
	{"stored", "stored_bytes", CELL_BYTES},
	{"restores", "restores", CELL_NUMBER},
	{"kept", "kept_points", CELL_NUMBER},
	{"size kept", "kept_logical_bytes", CELL_BYTES},
	{"stored for it", "kept_stored_bytes", CELL_BYTES},
	{0},
};

static int print_piece(void *arg, const void *bytes, size_t n, struct err *e)
{
	(void)arg;
	return fwrite(bytes, 1, n, stdout) == n ? 0
						: err_set(e, ERR_IO, "writing to standard output");
}

int remote_usage(struct cli *c, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	json_t *answer = NULL;

	buf_text(&path, "usage");
	client_query(&path, "from", parsed_text(&c->p, "from"));
	client_query(&path, "to", parsed_text(&c->p, "to"));
	client_query(&path, "by", parsed_text(&c->p, "by"));
	client_query(&path, "limit", parsed_text(&c->p, "limit"));
	client_query(&path, "all_tenants", parsed_flag(&c->p, "all-projects") ? "true" : NULL);
	if (remote_open(c, e) < 0)
		return -1;
	if (parsed_flag(&c->p, "csv"))
		return client_stream(c->client, buf_str(&path), "text/csv", print_piece, NULL,
				     &c->cancel, e);
	if (client_do(c->client, "GET", buf_str(&path), NULL, &answer, e) < 0)
		return -1;
	if (json_is_true(json_object_get(answer, "more")))
		cli_note(c, LOG_LEVEL_WARN,
			 "there are more rows: ask for more with --limit, or for larger groups "
			 "with --by");
	remote_print(c, usage, json_incref(json_object_get(answer, "usage")));
	json_decref(answer);
	return 0;
}

/* ---- search ---- */

static const struct remote_column found[] = {
	{"type", "type", CELL_TEXT},
	{"name", "name", CELL_TEXT},
	{"what", "text", CELL_TEXT},
	{"id", "id", CELL_TEXT},
	{0},
};

int remote_search(struct cli *c, struct err *e)
{
	AUTO_BUF path = BUF_INIT;
	json_t *results = NULL;

	buf_text(&path, "search");
	client_query(&path, "q", c->p.args[0]);
	client_query(&path, "limit", parsed_text(&c->p, "limit"));
	if (remote_open(c, e) < 0 ||
	    client_get(c->client, buf_str(&path), "results", &results, e) < 0)
		return -1;
	remote_print(c, found, results);
	return 0;
}

/* ---- a target as it was ---- */

static const struct remote_column history[] = {
	{"time", "at", CELL_TIME},
	{"stored", "stored_bytes", CELL_BYTES},
	{"size", "logical_bytes", CELL_BYTES},
	{"free", "free_bytes", CELL_BYTES},
	{"total", "total_bytes", CELL_BYTES},
	{0},
};

int remote_target_history(struct cli *c, struct err *e)
{
	const struct remote_kind *k = remote_kind_of(c);
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *base = NULL;
	AUTO_BUF path = BUF_INIT;
	json_t *samples = NULL;

	if (remote_open(c, e) < 0 || remote_find_id(c, k, c->p.args[0], &id, e) < 0)
		return -1;
	base = remote_path(k, id, "history");
	buf_text(&path, base);
	client_query(&path, "days", parsed_text(&c->p, "days"));
	if (client_get(c->client, buf_str(&path), "history", &samples, e) < 0)
		return -1;
	remote_print(c, history, samples);
	return 0;
}

/* ---- one resource ---- */

/* Found by what it is called on its platform; shown as coverage has it, which tells more. */
int remote_resource_show(struct cli *c, struct err *e)
{
	return remote_show_as(c, remote_kind("resource"), remote_kind("coverage"), e);
}
